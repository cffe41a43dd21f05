//! Bytes of any length that can be read again and again, from any offset, in little memory.
//!
//! A [`Content`] is a rope of views into memory and files; copying one copies no bytes. What is decrypted or put together
//! goes through a [`Spool`], which keeps a little in memory and the rest in a nameless temporary file that is encrypted
//! under a key of this process alone: nobody finds plaintext on the disk, whatever happens to the process.
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use aes::Aes256;
use cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use getrandom::SysRng;
use rand_core::TryRng;
use zeroize::Zeroizing;

/// What a spool keeps in memory before it begins a file.
const IN_MEMORY: usize = 64 * 1024;
/// How much is read, ciphered or written at once.
const CHUNK: usize = 64 * 1024;

type SpoolCipher = ctr::Ctr128BE<Aes256>;

/// Something whose octets can be read from the start as often as needed.
pub trait Replay {
    /// A reader at the first octet.
    fn replay(&self) -> Box<dyn Read + '_>;
}

/// Octets that stay as they are: views into memory and files, one after the other.
#[derive(Clone, Default)]
pub struct Content {
    pieces: Vec<Piece>,
    length: u64,
}

/// A view into one store.
#[derive(Clone)]
struct Piece {
    store: Store,
    start: u64,
    length: u64,
}

#[derive(Clone)]
enum Store {
    Memory(Arc<Zeroizing<Vec<u8>>>),
    File(Arc<File>),
    Encrypted(Arc<EncryptedFile>),
}

/// A nameless temporary file with the key that only this process has.
struct EncryptedFile {
    file: File,
    key: Zeroizing<[u8; 32]>,
}

impl EncryptedFile {
    /// The key is used for this one file, so the counter may start at zero (SP 800-38A section 6.5).
    fn cipher(&self, offset: u64) -> SpoolCipher {
        let mut cipher = SpoolCipher::new((&*self.key).into(), &[0; 16].into());
        cipher.seek(offset);
        cipher
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buffer, offset)?;
        self.cipher(offset).apply_keystream(buffer.get_mut(..read).unwrap_or_default());
        Ok(read)
    }
}

impl Store {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let rest = bytes.get(start..).unwrap_or_default();
                let length = rest.len().min(buffer.len());
                buffer
                    .get_mut(..length)
                    .unwrap_or_default()
                    .copy_from_slice(rest.get(..length).unwrap_or_default());
                Ok(length)
            }
            Self::File(file) => file.read_at(buffer, offset),
            Self::Encrypted(file) => file.read_at(buffer, offset),
        }
    }
}

impl Content {
    /// Octets in memory; they are zeroised when the last view is gone.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self::from_zeroizing(Zeroizing::new(bytes))
    }

    /// The same, for octets that are already held with care.
    pub fn from_zeroizing(bytes: Zeroizing<Vec<u8>>) -> Self {
        let length = bytes.len() as u64;
        Self::from_store(Store::Memory(Arc::new(bytes)), length)
    }

    /// A regular file, which must not change as long as the content lives; it is not copied.
    ///
    /// # Errors
    /// Its length cannot be found out.
    pub fn from_file(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self::from_store(Store::File(Arc::new(file)), length))
    }

    fn from_store(store: Store, length: u64) -> Self {
        let pieces = if length == 0 { Vec::new() } else { vec![Piece { store, start: 0, length }] };
        Self { pieces, length }
    }

    /// Several contents, one after the other.
    pub fn concat(contents: impl IntoIterator<Item = Self>) -> Self {
        contents.into_iter().fold(Self::default(), |mut whole, content| {
            whole.length += content.length;
            whole.pieces.extend(content.pieces);
            whole
        })
    }

    /// How many octets there are.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A view of part of the content; what lies beyond its end is left out.
    pub fn slice(&self, range: Range<u64>) -> Self {
        let mut slice = Self::default();
        let mut piece_start = 0;
        for piece in &self.pieces {
            let piece_end = piece_start + piece.length;
            let (start, end) = (range.start.max(piece_start), range.end.min(piece_end));
            if start < end {
                let start_inside = piece.start + (start - piece_start);
                slice.pieces.push(Piece {
                    store: piece.store.clone(),
                    start: start_inside,
                    length: end - start,
                });
                slice.length += end - start;
            }
            piece_start = piece_end;
        }
        slice
    }

    /// A reader from the first octet. It reads large pieces at a time: give it buffers of some 64 KiB.
    pub fn reader(&self) -> ContentReader<'_> {
        ContentReader { content: self, piece: 0, offset: 0 }
    }

    /// The whole content in memory, or `None` when it is longer than `most` octets.
    ///
    /// # Errors
    /// The file cannot be read, or is shorter than it was.
    pub fn to_vec(&self, most: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        match usize::try_from(self.length) {
            Ok(length) if length <= most => {
                let mut bytes = Zeroizing::new(Vec::with_capacity(length));
                self.reader().read_to_end(&mut bytes)?;
                Ok(Some(bytes))
            }
            _ => Ok(None),
        }
    }

    /// The first octets, at most `most` of them.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn head(&self, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
        let length = self.length.min(most as u64);
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(most)));
        self.slice(0..length).reader().read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// Those of the file and of `out`.
    pub fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut buffer = Zeroizing::new(vec![0; CHUNK]);
        let mut reader = self.reader();
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(()),
                read => out.write_all(buffer.get(..read).unwrap_or_default())?,
            }
        }
    }
}

impl Content {
    /// The same into a file, from its offset on. What lies in files is copied by the system, which may let both share it.
    ///
    /// # Errors
    /// Those of the files.
    pub fn write_to_file(&self, out: &mut File) -> io::Result<()> {
        for piece in &self.pieces {
            let copied = match &piece.store {
                Store::File(file) => copied_by_system(file, piece.start, piece.length, out),
                Store::Memory(_) | Store::Encrypted(_) => 0,
            };
            let (store, length) = (piece.store.clone(), piece.length - copied);
            let rest = Piece { store, start: piece.start + copied, length };
            Self { pieces: vec![rest], length }.write_to(out)?;
        }
        Ok(())
    }
}

/// How many octets the system copied: all, or as many as it could before something was in the way. Whoever writes the rest
/// finds out what.
#[cfg(target_os = "linux")]
fn copied_by_system(from: &File, mut start: u64, length: u64, to: &File) -> u64 {
    /// One call cannot be interrupted.
    const AT_ONCE: usize = 16 * 1024 * 1024;
    let mut copied = 0;
    while copied < length {
        let wanted = usize::try_from(length - copied).unwrap_or(AT_ONCE).min(AT_ONCE);
        match rustix::fs::copy_file_range(from, Some(&mut start), to, None, wanted) {
            Ok(0) | Err(_) => break,
            Ok(octets) => copied += octets as u64,
        }
    }
    copied
}

#[cfg(not(target_os = "linux"))]
fn copied_by_system(_: &File, _: u64, _: u64, _: &File) -> u64 {
    0
}

impl Replay for Content {
    fn replay(&self) -> Box<dyn Read + '_> {
        Box::new(self.reader())
    }
}

impl Replay for Vec<u8> {
    fn replay(&self) -> Box<dyn Read + '_> {
        Box::new(self.as_slice())
    }
}

impl Replay for &[u8] {
    fn replay(&self) -> Box<dyn Read + '_> {
        Box::new(*self)
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Content({} octets)", self.length)
    }
}

/// Reads a [`Content`] from its first octet.
pub struct ContentReader<'a> {
    content: &'a Content,
    piece: usize,
    offset: u64,
}

impl Read for ContentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(piece) = self.content.pieces.get(self.piece) {
            let left = piece.length - self.offset;
            if left == 0 {
                self.piece += 1;
                self.offset = 0;
                continue;
            }
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let read = piece
                .store
                .read_at(buffer.get_mut(..wanted).unwrap_or_default(), piece.start + self.offset)?;
            if read == 0 && wanted > 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the file became shorter while it was read",
                ));
            }
            self.offset += read as u64;
            return Ok(read);
        }
        Ok(0)
    }
}

/// Takes octets in and gives a [`Content`] back.
pub struct Spool {
    memory: Zeroizing<Vec<u8>>,
    file: Option<Growing>,
}

struct Growing {
    file: EncryptedFile,
    cipher: SpoolCipher,
    length: u64,
}

impl Default for Spool {
    fn default() -> Self {
        // One allocation that never moves: nothing is left behind by a growing vector.
        Self { memory: Zeroizing::new(Vec::with_capacity(IN_MEMORY)), file: None }
    }
}

impl Spool {
    /// An empty spool.
    pub fn new() -> Self {
        Self::default()
    }

    /// Spools everything that `source` has.
    ///
    /// # Errors
    /// Those of the source and of the temporary file.
    pub fn take(source: &mut dyn Read) -> io::Result<Content> {
        let mut spool = Self::new();
        let mut buffer = Zeroizing::new(vec![0; CHUNK]);
        loop {
            match source.read(&mut buffer) {
                Ok(0) => return spool.finish(),
                Ok(read) => spool.write_all(buffer.get(..read).unwrap_or_default())?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The octets so far, to be read.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn finish(mut self) -> io::Result<Content> {
        if self.file.is_none() {
            return Ok(Content::from_zeroizing(self.memory));
        }
        self.write_out()?;
        let Some(growing) = self.file else { return Ok(Content::default()) };
        Ok(Content::from_store(Store::Encrypted(Arc::new(growing.file)), growing.length))
    }

    /// Moves what is in memory into the file.
    fn write_out(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            let mut key = Zeroizing::new([0; 32]);
            SysRng.try_fill_bytes(&mut *key).map_err(io::Error::other)?;
            let file = EncryptedFile { file: tempfile::tempfile().map_err(no_room)?, key };
            let cipher = file.cipher(0);
            self.file = Some(Growing { file, cipher, length: 0 });
        }
        let Some(growing) = &mut self.file else { return Ok(()) };
        growing.cipher.apply_keystream(&mut self.memory);
        growing.file.file.write_all_at(&self.memory, growing.length).map_err(no_room)?;
        growing.length += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }
}

/// It is not the message that fails.
fn no_room(problem: io::Error) -> io::Error {
    let folder = std::env::temp_dir();
    let text = format!(
        "the folder for temporary files, {}, cannot be used ({problem}); name another in TMPDIR",
        folder.display()
    );
    io::Error::new(problem.kind(), text)
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.memory.len() == IN_MEMORY {
            self.write_out()?;
        }
        let taken = bytes.len().min(IN_MEMORY - self.memory.len());
        self.memory.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
    }

    #[test]
    fn what_is_spooled_comes_out_again_from_any_offset() {
        for length in [0, 1, IN_MEMORY - 1, IN_MEMORY, IN_MEMORY + 1, 3 * IN_MEMORY + 17] {
            let bytes = pattern(length);
            let content = Spool::take(&mut &bytes[..]).unwrap();
            assert_eq!(content.len(), length as u64);
            assert!(*content.to_vec(length).unwrap().unwrap() == bytes);
            for start in [0, 5, length / 2, length] {
                let rest = content.slice(start as u64..u64::MAX);
                assert!(*rest.to_vec(length).unwrap().unwrap() == bytes[start.min(length)..]);
            }
        }
    }

    #[test]
    fn the_temporary_file_holds_no_plaintext() {
        let content = Spool::take(&mut &b"attack at dawn. ".repeat(40_000)[..]).unwrap();
        let [Piece { store: Store::Encrypted(encrypted), .. }] = &content.pieces[..] else {
            panic!("long content goes to a file")
        };
        let mut raw = vec![0; 640_000];
        encrypted.file.read_exact_at(&mut raw, 0).unwrap();
        assert_eq!(memchr::memmem::find(&raw, b"attack"), None);
    }

    #[test]
    fn ropes_are_cut_and_joined_without_copying() {
        let rope =
            Content::concat([b"abc".as_slice(), b"", b"defg", b"h"].map(|b| Content::from_vec(b.to_vec())));
        for start in 0..9 {
            for end in start..10 {
                let cut = rope.slice(start..end).to_vec(99).unwrap().unwrap();
                let end = usize::try_from(end).unwrap().min(8);
                let start = usize::try_from(start).unwrap().min(end);
                assert_eq!(*cut, b"abcdefgh"[start..end]);
            }
        }
        assert_eq!(rope.to_vec(7).unwrap(), None);
        assert_eq!(**rope.head(4).unwrap(), *b"abcd");
    }

    #[test]
    fn a_rope_is_written_into_a_file_whatever_holds_its_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let (bytes, path) = (pattern(300_000), folder.path().join("source"));
        std::fs::write(&path, &bytes).unwrap();
        let source = Content::from_file(File::open(&path).unwrap()).unwrap();
        let spooled = Spool::take(&mut &bytes[..]).unwrap();
        let memory = Content::from_vec(b"between".to_vec());
        let rope =
            Content::concat([source.slice(5..200_000), memory, spooled, source.slice(299_999..300_000)]);
        let expected = rope.to_vec(usize::MAX).unwrap().unwrap();
        let target = folder.path().join("target");
        let mut file = File::create(&target).unwrap();
        file.write_all(b"before").unwrap();
        rope.write_to_file(&mut file).unwrap();
        file.write_all(b"after").unwrap();
        assert!(std::fs::read(&target).unwrap() == [b"before", &expected[..], b"after"].concat());
        std::fs::write(&path, &bytes[..100]).unwrap();
        let refused = rope.write_to_file(&mut file).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::UnexpectedEof);
        let mut readable = File::open(&target).unwrap();
        assert!(rope.write_to_file(&mut readable).is_err());
    }

    #[test]
    fn a_file_that_shrinks_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"four", 0).unwrap();
        let content = Content::from_file(file.try_clone().unwrap()).unwrap();
        file.set_len(2).unwrap();
        assert_eq!(content.to_vec(4).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
