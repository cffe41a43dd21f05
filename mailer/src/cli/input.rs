//! Messages and bodies from stdin and files, up to the size that is read at all.
use std::io::Read;
use std::path::Path;

use super::report::Failure;
use crate::message::MAXIMUM_MESSAGE_BYTES;

/// Reads stdin to its end.
///
/// # Errors
/// It cannot be read, or is too large.
pub(super) fn read_stdin() -> Result<Vec<u8>, Failure> {
    read_limited(std::io::stdin().lock(), Path::new("standard input"))
}

/// Reads a file; `-` is stdin.
///
/// # Errors
/// It cannot be read, or is too large.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    if path.as_os_str() == "-" {
        return read_stdin();
    }
    let file = std::fs::File::open(path).map_err(|problem| Failure::file(path, &problem))?;
    read_limited(file, path)
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
