//! PDF files that nobody of this project wrote: each is signed and judged by everybody, or refused for a reason.
use mailer::content::Content;
use mailer::documents::pdf::Document;
use mailer::documents::preparation::SigningRequest;
use mailer::documents::verify::Standing;

use crate::judges::all_accept;
use crate::material::Notary;
use crate::openssl_pki::Key;

#[test]
fn outside_data_is_signed_or_refused_with_its_reason() {
    let Some(folder) = std::env::var_os("SEALWRIGHT_DATA") else {
        println!("no SEALWRIGHT_DATA: nothing from outside is signed");
        return;
    };
    let notary = Notary::new(Key::P256);
    let folder = std::path::Path::new(&folder).join("data/pdf");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "pdf"));
    files.sort();
    assert!(!files.is_empty(), "{} has no PDF files", folder.display());
    let (mut signed, mut refused) = (0, 0);
    for path in &files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let octets = std::fs::read(path).unwrap();
        let document = Document::open(&Content::from_vec(octets.clone()));
        match document
            .map_err(|error| error.to_string())
            .and_then(|_| notary.try_sign(&octets, &SigningRequest::default()))
        {
            Ok(file) => {
                assert!(file.starts_with(&octets), "{name}");
                all_accept(&notary, &name, &file);
                assert_eq!(notary.verify(&file).standing(), Standing::Trusted, "{name}");
                println!("{name}: signed, accepted by all");
                signed += 1;
            }
            Err(reason) => {
                println!("{name}: refused: {reason}");
                refused += 1;
            }
        }
    }
    println!("PDF files from outside: {signed} signed and accepted by all, {refused} refused with a reason");
    assert!(signed > refused);
}
