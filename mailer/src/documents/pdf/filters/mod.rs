//! Stream filters undone while reading (ISO 32000-2 section 7.4), so that nothing has to be in memory as a whole.
//!
//! - `text`: ASCIIHexDecode, ASCII85Decode. `packed`: RunLengthDecode, LZWDecode. `predictor`: what Flate and LZW add.
//! - Images' filters (DCTDecode and the like) are refused by name.
mod packed;
mod predictor;
mod text;

use std::io::{self, BufReader, Read};

use super::error::PdfError;
use super::object::{Dictionary, Object, Stream};
use crate::content::Content;

/// The most filters of one stream.
const MOST_FILTERS: usize = 8;
/// How much is decoded at once.
const BUFFER: usize = 16 * 1024;

/// Follows references, or refuses them.
pub(super) type Resolve<'r> = dyn Fn(&Object) -> Result<Object, PdfError> + 'r;

/// For streams whose dictionaries may not have references.
pub(super) fn direct(object: &Object) -> Result<Object, PdfError> {
    match object {
        Object::Reference(reference) => {
            Err(PdfError::Unsupported(format!("{reference} where the standard wants the value itself")))
        }
        object => Ok(object.clone()),
    }
}

/// A reader of the decoded octets of a stream; `at` is where errors say that it is.
pub(super) fn reader(stream: &Stream, resolve: &Resolve<'_>, at: u64) -> Result<Box<dyn Read>, PdfError> {
    if stream.dictionary.get("F").is_some() {
        return Err(PdfError::Unsupported("a stream that lies in another file".to_owned()));
    }
    let value = |key| resolve(stream.dictionary.get(key).unwrap_or(&Object::Null));
    let wrong = |what: &str| PdfError::damaged(at, format!("a stream has {what} that cannot be"));
    let filters = match value("Filter")? {
        Object::Null => Vec::new(),
        Object::Array(filters) => filters.iter().map(resolve).collect::<Result<_, _>>()?,
        one => vec![one],
    };
    let parameters = match value("DecodeParms")? {
        Object::Array(parameters) => parameters.iter().map(resolve).collect::<Result<_, _>>()?,
        one => vec![one],
    };
    if filters.len() > MOST_FILTERS {
        return Err(PdfError::TooMany { at, what: "filters of one stream", most: MOST_FILTERS as u64 });
    }
    let mut source: Box<dyn Read> = Box::new(Octets { content: stream.data.clone(), offset: 0 });
    for (position, filter) in filters.iter().enumerate() {
        let Object::Name(name) = filter else { return Err(wrong("a /Filter")) };
        let parameters = match parameters.get(position) {
            None | Some(Object::Null) => Dictionary::new(),
            Some(Object::Dictionary(dictionary)) => dictionary.clone(),
            Some(_) => return Err(wrong("/DecodeParms")),
        };
        let buffered = BufReader::with_capacity(BUFFER, source);
        source = match name.0.as_slice() {
            b"FlateDecode" => {
                let inflated = flate2::bufread::ZlibDecoder::new(buffered);
                predictor::reader(Box::new(inflated), &parameters, resolve)?
                    .ok_or_else(|| wrong("a predictor"))?
            }
            b"LZWDecode" => {
                let early = match resolve(parameters.get("EarlyChange").unwrap_or(&Object::Null))? {
                    Object::Null | Object::Integer(1) => true,
                    Object::Integer(0) => false,
                    _ => return Err(wrong("an /EarlyChange")),
                };
                let unpacked = Decoded::new(buffered, packed::Lzw::new(early));
                predictor::reader(Box::new(unpacked), &parameters, resolve)?
                    .ok_or_else(|| wrong("a predictor"))?
            }
            b"ASCIIHexDecode" => Box::new(Decoded::new(buffered, text::Hexadecimal)),
            b"ASCII85Decode" => Box::new(Decoded::new(buffered, text::Base85)),
            b"RunLengthDecode" => Box::new(Decoded::new(buffered, packed::RunLength)),
            _ => return Err(PdfError::Unsupported(format!("the filter {}", name.text()))),
        };
    }
    Ok(source)
}

/// The decoded octets of a stream, if there are at most `most`.
pub(super) fn decoded(
    stream: &Stream,
    resolve: &Resolve<'_>,
    most: usize,
    at: u64,
) -> Result<Vec<u8>, PdfError> {
    let mut octets = Vec::new();
    let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    reader(stream, resolve, at)?.take(bound).read_to_end(&mut octets).map_err(|found| problem(found, at))?;
    if octets.len() > most {
        return Err(PdfError::TooLarge { at, what: "a decoded stream", most: most as u64 });
    }
    Ok(octets)
}

/// What a decoder says: wrong octets, or a file that cannot be read.
pub(super) fn problem(problem: io::Error, at: u64) -> PdfError {
    match problem.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            PdfError::damaged(at, format!("a stream cannot be decoded: {problem}"))
        }
        _ => PdfError::Io(problem),
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads a content that it owns.
struct Octets {
    content: Content,
    offset: u64,
}

impl Read for Octets {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = self.offset.saturating_add(buffer.len() as u64);
        let read = self.content.slice(self.offset..end).reader().read(buffer)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// One filter: appends some decoded octets at each step, or says that there are no more.
trait Step {
    fn step(&mut self, source: &mut dyn Source, out: &mut Vec<u8>) -> io::Result<bool>;
}

/// Octets one by one.
trait Source {
    fn octet(&mut self) -> io::Result<Option<u8>>;
}

impl<R: io::BufRead> Source for R {
    fn octet(&mut self) -> io::Result<Option<u8>> {
        let octet = self.fill_buf()?.first().copied();
        self.consume(usize::from(octet.is_some()));
        Ok(octet)
    }
}

/// A filter as a reader.
struct Decoded<S> {
    source: BufReader<Box<dyn Read>>,
    filter: S,
    out: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<S: Step> Decoded<S> {
    fn new(source: BufReader<Box<dyn Read>>, filter: S) -> Self {
        Self { source, filter, out: Vec::new(), given: 0, ended: false }
    }
}

impl<S: Step> Read for Decoded<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.out.len() {
            self.out.clear();
            self.given = 0;
        }
        while !self.ended && self.out.len() < BUFFER && self.given == 0 {
            self.ended = !self.filter.step(&mut self.source, &mut self.out)?;
        }
        let read = self.out.get(self.given..).unwrap_or_default().read(buffer)?;
        self.given += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(filter: &str, parameters: Object, data: &[u8]) -> Result<Vec<u8>, PdfError> {
        let dictionary =
            Dictionary::new().with("Filter", Object::name(filter)).with("DecodeParms", parameters);
        let stream = Stream { dictionary, data: Content::from_vec(data.to_vec()) };
        decoded(&stream, &direct, 100_000, 0)
    }

    #[test]
    fn text_filters_are_undone() {
        for (data, wanted) in
            [(&b"61 62\n2E2>junk"[..], Some(&b"ab. "[..])), (b"6x>", None), (b"", Some(b""))]
        {
            assert_eq!(decode("ASCIIHexDecode", Object::Null, data).ok().as_deref(), wanted, "{data:?}");
        }
        for (data, wanted) in [
            (&b"87cURD]i,\"Ebo80~>"[..], Some(&b"Hello World!"[..])),
            (b"87cUR D]i,\"E\nbo7~>", Some(b"Hello World")),
            (b"z5l~>", Some(b"\0\0\0\0A")),
            (b"uuuuu~>", None),
            (b"5~>", None),
            (b"5lz~>", None),
        ] {
            assert_eq!(decode("ASCII85Decode", Object::Null, data).ok().as_deref(), wanted, "{data:?}");
        }
    }

    #[test]
    fn packed_data_is_unpacked() {
        for (data, wanted) in [
            (&b"\x02abc\xFEx\x80rest"[..], Some(&b"abcxxx"[..])),
            (b"\x02ab", None),
            (b"\xFE", None),
            (b"\x00a", Some(b"a")),
        ] {
            assert_eq!(decode("RunLengthDecode", Object::Null, data).ok().as_deref(), wanted, "{data:?}");
        }
        // The example of section 7.4.4.2.
        let data = [0x80, 0x0B, 0x60, 0x50, 0x22, 0x0C, 0x0C, 0x85, 0x01];
        assert_eq!(
            decode("LZWDecode", Object::Null, &data).unwrap(),
            [45, 45, 45, 45, 45, 65, 45, 45, 45, 66]
        );
        assert!(decode("LZWDecode", Object::Null, &[0xFF; 9]).is_err());
    }

    fn deflated(octets: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        io::Write::write_all(&mut encoder, octets).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn predictors_are_undone() {
        let parameters = |predictor: i64, columns: i64, bits: i64, colors: i64| {
            let numbers = [
                ("Predictor", predictor),
                ("Columns", columns),
                ("BitsPerComponent", bits),
                ("Colors", colors),
            ];
            Object::Dictionary(
                numbers.iter().fold(Dictionary::new(), |all, (key, number)| all.with(key, *number)),
            )
        };
        // Rows by None, Sub, Up, Average and Paeth.
        let rows = [0, 1, 2, 3, 1, 1, 1, 1, 2, 1, 1, 1, 3, 1, 1, 1, 4, 1, 1, 1];
        let wanted = [1, 2, 3, 1, 2, 3, 2, 3, 4, 2, 3, 4, 3, 4, 5];
        for predictor in 10..=15 {
            assert_eq!(
                decode("FlateDecode", parameters(predictor, 3, 8, 1), &deflated(&rows)).unwrap(),
                wanted
            );
        }
        let tiff = |bits, colors, columns, octets: &[u8]| {
            decode("FlateDecode", parameters(2, columns, bits, colors), &deflated(octets)).unwrap()
        };
        assert_eq!(tiff(8, 1, 3, &[1, 1, 1, 5, 255, 1]), [1, 2, 3, 5, 4, 5]);
        assert_eq!(tiff(8, 2, 2, &[1, 10, 1, 10]), [1, 10, 2, 20]);
        assert_eq!(tiff(16, 1, 2, &[0, 255, 0, 1]), [0, 255, 1, 0]);
        assert_eq!(tiff(4, 1, 3, &[0x1F, 0x10]), [0x10, 0x10]);
        for wrong in [parameters(3, 1, 8, 1), parameters(12, 0, 8, 1), parameters(12, 1 << 40, 8, 1)] {
            assert!(decode("FlateDecode", wrong, &deflated(&rows)).is_err());
        }
        assert!(decode("FlateDecode", parameters(12, 3, 8, 1), &deflated(&[9, 1, 2, 3])).is_err());
        assert!(decode("FlateDecode", parameters(12, 3, 8, 1), &deflated(&[2, 1, 2])).is_err());
    }

    #[test]
    fn bombs_cut_streams_and_image_filters_are_refused() {
        let bomb = deflated(&vec![0; 1_000_000]);
        assert!(matches!(decode("FlateDecode", Object::Null, &bomb), Err(PdfError::TooLarge { .. })));
        let cut = deflated(&[7; 5_000]);
        let cut = decode("FlateDecode", Object::Null, &cut[..cut.len() - 5]);
        assert!(matches!(cut, Err(PdfError::Damaged { .. })));
        assert!(matches!(decode("DCTDecode", Object::Null, b""), Err(PdfError::Unsupported(_))));
    }
}
