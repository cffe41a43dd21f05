//! Documents of any length are sealed and opened in little memory (Linux tells the most that a process ever had).
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use std::fs::File;
use std::io::{Read, Write};

use mailer::content::Content;
use mailer::documents::sealed::{Explanation, FileName, Integrity, open, seal};
use mailer::smime::Recipient;
use openssl_pki::{Key, Pki};

const LENGTH: u64 = 10 << 20;
/// How much more memory than before, in kilobytes.
const MOST: u64 = 5 * 1024;

fn most_memory_so_far() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_long_document_is_sealed_and_opened_in_little_memory() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::P256);
    let recipients = [Recipient::unchecked(reader.certificate(), true)];
    let mut ring = reader.ring();
    let file = tempfile::tempfile().unwrap();
    file.set_len(LENGTH).unwrap();
    let document = Content::from_file(file).unwrap();
    let before = most_memory_so_far();
    let name = FileName::new("long.pdf").unwrap();
    let sealed = seal(&document, &name, &recipients, &Explanation::english()).unwrap();
    let path = pki.path().join("sealed.pdf");
    let mut out = File::create(&path).unwrap();
    sealed.write_to(&mut out).unwrap();
    out.flush().unwrap();
    let wrapper = Content::from_file(File::open(&path).unwrap()).unwrap();
    assert!(wrapper.len() == sealed.len() && wrapper.len() > LENGTH);
    let opened = open(&wrapper, &mut ring).unwrap();
    assert_eq!(opened.integrity, Integrity::Authenticated);
    let (mut buffer, zeros) = (vec![1; 64 * 1024], vec![0; 64 * 1024]);
    let (mut reader, mut length) = (opened.document.reader(), 0);
    loop {
        let read = reader.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        assert!(buffer[..read] == zeros[..read]);
        length += read as u64;
    }
    assert_eq!(length, LENGTH);
    let more = most_memory_so_far() - before;
    assert!(more < MOST, "{more} kB");
}
