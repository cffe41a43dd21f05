//! The S/MIME messages of PKITS, opened as `mailer open` opens them.
//!
//! The suite gives each message the result of the case whose end entity signed it, for everybody's policy inputs. Two rules of
//! ours are stricter than the suite: none of its certificates holds the address of the From field, so a good signer is told
//! as `address-mismatch` (which is looked at last); and today's mail is not signed with DSA.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail this way")]
mod pkits_data;

use std::collections::{BTreeMap, BTreeSet};

use mailer::content::Content;
use mailer::keys::KeysError;
use mailer::protection::open::open;
use mailer::trust::{
    Anchor, Anchors, Certificate, CertificateList, Judge, Source, UnknownRevocation, Verdict,
};
use pkits_data::{Case, cases, data, in_parallel};

/// The CAs and CRLs of one case, as a directory would have them.
struct Directory {
    certificates: Vec<Certificate>,
    lists: Vec<CertificateList>,
}

impl Source for Directory {
    fn issuers_at_hand(&mut self, key_identifier: &[u8]) -> Vec<Certificate> {
        self.issuers(key_identifier)
    }

    fn issuers(&mut self, key_identifier: &[u8]) -> Vec<Certificate> {
        let has_it = |found: &&Certificate| found.subject_key_identifier().as_deref() == Some(key_identifier);
        self.certificates.iter().filter(has_it).cloned().collect()
    }

    fn revocation_lists(&mut self, _: &[u8]) -> Vec<CertificateList> {
        self.lists.clone()
    }
}

fn certificate(name: &str) -> Certificate {
    Certificate::from_der(&std::fs::read(data().join(format!("certs/{name}.crt"))).unwrap()).unwrap()
}

/// The verdict about a message, with the files of a case.
fn verdict(message: &[u8], case: &Case) -> Verdict {
    let [anchor, intermediates @ .., _] = case.certificates.as_slice() else { panic!("{case:?}") };
    let list = |name: &String| {
        CertificateList::from_der(&std::fs::read(data().join(format!("crls/{name}.crl"))).unwrap()).ok()
    };
    let mut source = Directory {
        certificates: intermediates.iter().map(|name| certificate(name)).collect(),
        lists: case.lists.iter().filter_map(list).collect(),
    };
    let anchors = Anchors(vec![Anchor {
        certificate: certificate(anchor),
        domains: vec!["testcertificates.gov".to_owned(), ".testcertificates.gov".to_owned()],
    }]);
    let mut judge = Judge {
        anchors: &anchors,
        source: &mut source,
        at: "2020-06-01T12:00:00Z".parse().unwrap(),
        unknown_revocation: UnknownRevocation::Reject,
    };
    let mut keys = || Err(KeysError::NoSuchKey);
    open(&Content::from_vec(message.to_vec()), &mut keys, &mut judge).unwrap().verdict().clone()
}

/// The cases that each end entity has, by the octets of its certificate.
fn cases_of_signers() -> BTreeMap<Vec<u8>, Vec<Case>> {
    let mut found: BTreeMap<Vec<u8>, Vec<Case>> = BTreeMap::new();
    for case in cases() {
        let file = data().join(format!("certs/{}.crt", case.certificates.last().unwrap()));
        found.entry(std::fs::read(file).unwrap()).or_default().push(case);
    }
    found
}

/// Certificates that travel in a message: the CMS object holds them as they are.
fn signer_of(message: &[u8], signers: &BTreeMap<Vec<u8>, Vec<Case>>) -> Vec<Case> {
    let text = String::from_utf8_lossy(message);
    let object = text.rsplit("filename=\"smime.p7s\"").next().unwrap();
    let base64: String = object.lines().skip(1).take_while(|line| !line.starts_with("--")).collect();
    let der = base64_simd::STANDARD.decode_to_vec(base64.trim()).unwrap();
    let inside = |certificate: &&Vec<u8>| memchr::memmem::find(&der, certificate).is_some();
    let found: Vec<&Vec<u8>> = signers.keys().filter(inside).collect();
    assert!(found.len() < 2, "one end entity signs");
    found.first().map(|signer| signers[*signer].clone()).unwrap_or_default()
}

/// Whether a certificate of the path has a DSA key.
fn uses_dsa(case: &Case) -> bool {
    let dsa = [0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x38, 0x04, 0x01];
    let files = case.certificates.iter().map(|name| data().join(format!("certs/{name}.crt")));
    files.map(|file| std::fs::read(file).unwrap()).any(|der| memchr::memmem::find(&der, &dsa).is_some())
}

/// What is wrong with our answer about one message, if anything; `None` also for a message without a case of its own.
fn check(message: &[u8], name: &str, signers: &BTreeMap<Vec<u8>, Vec<Case>>) -> Result<bool, String> {
    let with_default_inputs = |case: &Case| case.has_default_inputs();
    let Some(case) = signer_of(message, signers).into_iter().find(with_default_inputs) else {
        return Ok(false);
    };
    let verdict = verdict(message, &case);
    let good = BTreeSet::from(["trusted", "address-mismatch"]);
    let as_expected = match case.valid {
        true if uses_dsa(&case) => verdict.code() == "unsupported-algorithm",
        true => good.contains(verdict.code()),
        false => !good.contains(verdict.code()) && verdict.is_signed(),
    };
    if as_expected { Ok(true) } else { Err(format!("{name} ({}): {verdict}", case.test)) }
}

#[test]
fn every_message_is_judged_as_its_case() {
    let signers = cases_of_signers();
    let folder = data().join("smime");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 224);
    let answers = in_parallel(&files, |file| {
        check(&std::fs::read(file).unwrap(), file.file_name().unwrap().to_str().unwrap(), &signers)
    });
    let wrong: Vec<&String> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(wrong.is_empty(), "{} are wrong: {wrong:#?}", wrong.len());
    let judged = answers.iter().filter(|answer| **answer == Ok(true)).count();
    // The others' cases exist only for policy inputs that mail has not.
    assert_eq!(judged, 213);
}

#[test]
fn a_changed_message_is_not_a_good_one() {
    let signers = cases_of_signers();
    let file = data().join("smime/SignedValidSignaturesTest1.eml");
    let message = String::from_utf8(std::fs::read(file).unwrap()).unwrap();
    let changed = message.replace("sample signed", "sample changed");
    assert_eq!(check(message.as_bytes(), "unchanged", &signers), Ok(true));
    assert!(check(changed.as_bytes(), "changed", &signers).unwrap_err().contains("changed"));
}
