//! That a request is the one that was made: the SHA-256 of its file, which came another way than the file.

use std::io::{BufRead, IsTerminal};
use std::path::Path;

use super::super::failure::Failure;
use super::super::output;
use crate::domain::ChainHash;

/// The SHA-256 of a request's file, as `issuer ca request` and `sha256sum` tell it.
pub(super) fn digest(request: &[u8]) -> ChainHash {
    ChainHash::of(request)
}

/// Compares the request with the digest that was given, or is typed now.
///
/// # Errors
/// It is another request; or nobody was there to be asked.
pub(super) fn confirm(request: &[u8], file: &Path, given: Option<&str>) -> Result<ChainHash, Failure> {
    let own = digest(request);
    let said = match given {
        Some(given) => given.to_owned(),
        None => typed(file)?,
    };
    let is_separator = |sign: char| sign.is_whitespace() || sign == ':';
    let said: String = said.chars().filter(|sign| !is_separator(*sign)).collect();
    if said.eq_ignore_ascii_case(&own.to_string()) {
        return Ok(own);
    }
    let message = format!(
        "{}: it is not the request with that SHA-256; ask where the request was made, and believe the one who made it and not the file. Nothing was signed",
        file.display()
    );
    Err(Failure::new("other-request", message))
}

fn typed(file: &Path) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        let message = format!(
            "{}: say which request you mean, by the SHA-256 that issuer ca request showed where it was made: --digest SHA256",
            file.display()
        );
        return Err(Failure::usage(message));
    }
    output::progress(&format!(
        "SHA-256 of {}, as issuer ca request showed it where it was made:",
        file.display()
    ));
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Failure::new("io", format!("standard input: {error}")))?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf request | sha256sum`.
    const SHA256: &str = "1f58b9145b24d108d7ac38887338b3ea3229833b9c1e418250343f907bfd1047";

    #[test]
    fn a_digest_is_read_as_people_write_it() {
        let judged = |said: &str| confirm(b"request", Path::new("people.csr"), Some(said));
        let (first, second) = SHA256.split_at(32);
        for said in
            [SHA256, &SHA256.to_uppercase(), &format!("{first} {second}\n"), &format!("{first}:{second}")]
        {
            assert_eq!(judged(said).unwrap().to_string(), SHA256);
        }
        for said in ["", first, second, &SHA256.replace('1', "2"), &format!("{SHA256}00")] {
            assert_eq!(judged(said).unwrap_err().code, "other-request", "{said:?}");
        }
    }
}
