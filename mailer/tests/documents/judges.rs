//! What foreign tools say about a signed document.
use std::path::Path;

use mailer::content::Content;
use mailer::documents::pdf::Document;
use mailer::documents::signature::signatures;

use crate::material::{Notary, tool};

/// The Python environment that `scripts/setup` makes.
pub(crate) fn python_tool(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let path = root.join(".venv/bin").join(name);
    assert!(path.exists(), "{} is missing; scripts/setup makes it", path.display());
    path.display().to_string()
}

/// Runs pyHanko over a file in the notary's folder.
pub(crate) fn pyhanko(notary: &Notary, command: &[&str], file: &str) -> (i32, String) {
    let trust =
        ["--trust", "Root.pem", "--trust-replace", "--other-certs", "People.pem", "--no-revocation-check"];
    let arguments = [&["sign"], command, &trust[..], &[file]].concat();
    tool(notary.pki.path(), &python_tool("pyhanko"), &arguments)
}

/// All judges find the document sound and its signatures good.
pub(crate) fn all_accept(notary: &Notary, name: &str, signed: &[u8]) {
    let file = format!("{name}.pdf");
    notary.pki.write(&file, signed);
    let folder = notary.pki.path();
    let (code, said) = tool(folder, "qpdf", &["--check", &file]);
    assert_eq!(code, 0, "{name}: qpdf: {said}");
    let (code, said) = tool(folder, "pdfsig", &["-nocert", &file]);
    let count = signatures_of(signed);
    assert_eq!((code, said.matches("Signature is Valid.").count()), (0, count), "{name}: pdfsig: {said}");
    let (_, said) = tool(folder, "mutool", &["sign", "-v", &file]);
    // It has no way to be given our root, so what it says of certificates is left out.
    let good = said.matches("unchanged since signing").count() + said.matches("signature is valid").count();
    assert_eq!(good, count, "{name}: mutool: {said}");
    let (mut code, mut said) = pyhanko(notary, &["validate", "--pretty-print"], &file);
    if said.contains("hybrid-reference") {
        // It reads such files only when it is told to be lenient.
        (code, said) = pyhanko(notary, &["validate", "--pretty-print", "--no-strict-syntax"], &file);
    }
    assert_eq!(code, 0, "{name}: pyhanko validate: {said}");
    openssl_accepts(notary, name, signed);
}

/// `openssl cms -verify -cades` over the pieces cut out by the byte range.
fn openssl_accepts(notary: &Notary, name: &str, signed: &[u8]) {
    let document = Document::open(&Content::from_vec(signed.to_vec())).unwrap();
    for found in signatures(&document).unwrap() {
        let signature = found.signature.unwrap();
        let octets = signature.signed_octets(&document).to_vec(usize::MAX).unwrap().unwrap();
        notary.pki.write("signature.p7", &signature.object);
        notary.pki.write("signed.bin", &octets);
        let arguments = "cms -verify -cades -binary -inform DER -in signature.p7 -content signed.bin -CAfile Root.pem -certfile People.pem -purpose any -out verified.bin";
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let (code, said) = tool(notary.pki.path(), "openssl", &words);
        assert_eq!(code, 0, "{name}: openssl cms: {said}");
    }
}

fn signatures_of(signed: &[u8]) -> usize {
    let document = Document::open(&Content::from_vec(signed.to_vec())).unwrap();
    signatures(&document).unwrap().len()
}
