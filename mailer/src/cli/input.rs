//! Messages and bodies from stdin and files.
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::Path;

use super::report::Failure;
use crate::content::{Content, Spool};
use crate::message::MAXIMUM_MESSAGE_BYTES;
use crate::protection::protect::ProtectedEntity;

/// All of stdin, of any length. A regular file is read where it lies, from where its offset stands; anything else is spooled
/// (encrypted, if it is large).
///
/// # Errors
/// It cannot be read, or the temporary file not be written.
pub(super) fn stdin_content() -> Result<Content, Failure> {
    let name = Path::new("standard input");
    let file = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    file.and_then(of_any_length).map_err(|problem| Failure::file(name, &problem))
}

/// A file of any length; `-` is stdin.
///
/// # Errors
/// It cannot be read, or the temporary file not be written.
pub(super) fn file_content(path: &Path) -> Result<Content, Failure> {
    if path.as_os_str() == "-" {
        return stdin_content();
    }
    File::open(path).and_then(of_any_length).map_err(|problem| Failure::file(path, &problem))
}

/// A file in memory, up to the size that is taken there; `-` is stdin.
///
/// # Errors
/// It cannot be read, or is too large.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    if path.as_os_str() == "-" {
        return read_limited(io::stdin().lock(), Path::new("standard input"));
    }
    let file = File::open(path).map_err(|problem| Failure::file(path, &problem))?;
    read_limited(file, path)
}

/// A protected entity as content, to be protected once more or kept.
///
/// # Errors
/// It cannot be read, or the temporary file not be written.
pub(super) fn content_of(protected: ProtectedEntity) -> Result<Content, Failure> {
    protected.into_content().map_err(|problem| {
        Failure::new("input-output", format!("the message could not be read or kept: {problem}"))
    })
}

fn of_any_length(mut file: File) -> io::Result<Content> {
    if !file.metadata()?.is_file() {
        return Spool::take(&mut file);
    }
    // Whoever reads on from the same descriptor finds it read, as from a pipe.
    let start = file.stream_position()?;
    file.seek(SeekFrom::End(0))?;
    Ok(Content::from_file(file)?.slice(start..u64::MAX))
}

fn read_limited(source: impl Read, name: &Path) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    source
        .take(MAXIMUM_MESSAGE_BYTES as u64 + 1)
        .read_to_end(&mut content)
        .map_err(|problem| Failure::file(name, &problem))?;
    if content.len() > MAXIMUM_MESSAGE_BYTES {
        let message = format!(
            "{} is larger than {} MiB; nothing was done",
            name.display(),
            MAXIMUM_MESSAGE_BYTES >> 20
        );
        return Err(Failure::new("too-large", message));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_regular_file_is_read_from_its_offset() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"read already, the rest").unwrap();
        file.seek(SeekFrom::Start(14)).unwrap();
        let content = of_any_length(file.try_clone().unwrap()).unwrap();
        assert_eq!(**content.to_vec(99).unwrap().unwrap(), *b"the rest");
        assert_eq!(file.stream_position().unwrap(), 22);
    }

    #[test]
    fn anything_else_is_spooled() {
        let (reader, mut writer) = io::pipe().unwrap();
        let sent = std::thread::spawn(move || writer.write_all(&vec![b'x'; 1_000_000]));
        let content = of_any_length(File::from(std::os::fd::OwnedFd::from(reader))).unwrap();
        sent.join().unwrap().unwrap();
        assert_eq!(content.len(), 1_000_000);
    }
}
