//! A chain of certificates with one thing wrong, judged by us and by `openssl verify`.
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use mailer::trust::examination::Examination;
use mailer::trust::{Acceptance, Anchor, Anchors, Certificate, CertificateList, PolicyInputs, Purpose};
use p256::ecdsa::SigningKey;

use crate::maker::{Draft, ListDraft, key_identifier, new_key, sequence, tlv};

/// Object identifiers of extensions.
pub(crate) mod id {
    pub(crate) const SUBJECT_KEY: &str = "2.5.29.14";
    pub(crate) const KEY_USAGE: &str = "2.5.29.15";
    pub(crate) const ALTERNATIVE_NAME: &str = "2.5.29.17";
    pub(crate) const BASIC_CONSTRAINTS: &str = "2.5.29.19";
    pub(crate) const NAME_CONSTRAINTS: &str = "2.5.29.30";
    pub(crate) const DISTRIBUTION_POINTS: &str = "2.5.29.31";
    pub(crate) const POLICIES: &str = "2.5.29.32";
    pub(crate) const POLICY_MAPPINGS: &str = "2.5.29.33";
    pub(crate) const AUTHORITY_KEY: &str = "2.5.29.35";
    pub(crate) const POLICY_CONSTRAINTS: &str = "2.5.29.36";
    pub(crate) const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
    pub(crate) const INHIBIT_ANY_POLICY: &str = "2.5.29.54";
}

/// The moment for which is judged.
pub(crate) fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

/// Root, one CA, one person; everything right, and open to change before it is signed.
pub(crate) struct Chain {
    pub(crate) root: Draft,
    pub(crate) root_key: SigningKey,
    pub(crate) ca: Draft,
    pub(crate) ca_key: SigningKey,
    /// A second CA, between the CA and the person.
    pub(crate) below: Option<(Draft, SigningKey)>,
    pub(crate) person: Draft,
    /// Whoever signs the person's certificate, if it is not the CA above.
    pub(crate) other_signer: Option<SigningKey>,
    pub(crate) lists: Vec<Vec<u8>>,
    /// Further certificates.
    pub(crate) more: Vec<Vec<u8>>,
    pub(crate) purpose: Purpose,
    pub(crate) policies: PolicyInputs,
    /// What `openssl verify` is told besides.
    pub(crate) openssl: Vec<&'static str>,
}

pub(crate) const PERSON: &str = "alice@example.test";

/// keyUsage: the given bits of the first octet.
pub(crate) fn key_usage(bits: u8) -> Vec<u8> {
    vec![3, 2, u8::try_from(bits.trailing_zeros()).unwrap(), bits]
}

pub(crate) const DIGITAL_SIGNATURE: u8 = 0x80;
pub(crate) const KEY_AGREEMENT: u8 = 0x08;
pub(crate) const KEY_CERT_SIGN: u8 = 0x04;
pub(crate) const CRL_SIGN: u8 = 0x02;

/// subjectAltName or a list of general names, each a context tag and its contents.
pub(crate) fn names(list: &[(u8, &[u8])]) -> Vec<u8> {
    let names: Vec<Vec<u8>> = list.iter().map(|(tag, contents)| tlv(*tag, &[contents])).collect();
    sequence(&names.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn identify(draft: &mut Draft, own: Option<&SigningKey>, issuer: &SigningKey) {
    if let Some(key) = own {
        draft.put(id::SUBJECT_KEY, false, tlv(0x04, &[&key_identifier(key)]));
    }
    draft.put(id::AUTHORITY_KEY, false, sequence(&[&tlv(0x80, &[&key_identifier(issuer)])]));
}

/// A CA certificate that is right.
pub(crate) fn authority(serial: u8, issuer: (&str, &SigningKey), subject: (&str, &SigningKey)) -> Draft {
    let mut draft = Draft::new(serial, issuer.0, subject.0, subject.1);
    draft.put(id::BASIC_CONSTRAINTS, true, sequence(&[&[1, 1, 0xFF]]));
    draft.put(id::KEY_USAGE, true, key_usage(KEY_CERT_SIGN | CRL_SIGN));
    identify(&mut draft, Some(subject.1), issuer.1);
    draft
}

impl Chain {
    /// A good one.
    pub(crate) fn new() -> Self {
        let (root_key, ca_key, key) = (new_key(), new_key(), new_key());
        let root = authority(1, ("Root", &root_key), ("Root", &root_key));
        let ca = authority(2, ("Root", &root_key), ("People", &ca_key));
        let mut person = Draft::new(3, "People", "Alice", &key);
        person.put(id::KEY_USAGE, true, key_usage(DIGITAL_SIGNATURE));
        person.put(id::ALTERNATIVE_NAME, false, names(&[(0x81, PERSON.as_bytes())]));
        person.put(id::EXTENDED_KEY_USAGE, false, sequence(&[&crate::maker::oid("1.3.6.1.5.5.7.3.4")]));
        identify(&mut person, Some(&key), &ca_key);
        Self {
            root,
            root_key,
            ca,
            ca_key,
            below: None,
            person,
            other_signer: None,
            lists: Vec::new(),
            more: Vec::new(),
            purpose: Purpose::Any,
            policies: PolicyInputs::default(),
            openssl: Vec::new(),
        }
    }

    /// The same with a second CA between the first and the person.
    pub(crate) fn longer() -> Self {
        let mut chain = Self::new();
        let key = new_key();
        let below = authority(4, ("People", &chain.ca_key), ("Team", &key));
        chain.person.issuer = crate::maker::name("Team");
        identify(&mut chain.person, None, &key);
        chain.below = Some((below, key));
        chain
    }

    /// The second CA of a longer chain.
    pub(crate) fn second(&mut self) -> &mut Draft {
        &mut self.below.as_mut().unwrap().0
    }

    /// Good CRLs of root and CA, to be changed and signed by [`Chain::with_lists`].
    pub(crate) fn list_drafts(&self) -> (ListDraft, ListDraft) {
        (ListDraft::new("Root", &self.root_key, 1), ListDraft::new("People", &self.ca_key, 1))
    }

    /// Takes these lists along, signed by root and CA, and has revocation checked.
    pub(crate) fn with_lists(&mut self, root: &ListDraft, ca: &ListDraft) {
        self.lists = vec![root.sign(&self.root_key), ca.sign(&self.ca_key)];
        self.openssl.extend(["-crl_check_all", "-extended_crl", "-use_deltas"]);
    }

    fn certificates(&self) -> (Vec<u8>, Vec<Vec<u8>>, Vec<u8>) {
        let mut intermediates = vec![self.ca.sign(&self.root_key)];
        intermediates.extend(self.more.iter().cloned());
        let mut signer = &self.ca_key;
        if let Some((below, key)) = &self.below {
            intermediates.push(below.sign(signer));
            signer = key;
        }
        let signer = self.other_signer.as_ref().unwrap_or(signer);
        (self.root.sign(&self.root_key), intermediates, self.person.sign(signer))
    }

    /// Our code and whether openssl accepts.
    pub(crate) fn opinions(&self) -> (String, bool) {
        (self.our_opinion(), self.opinion_of_openssl())
    }

    fn our_opinion(&self) -> String {
        let (root, intermediates, person) = self.certificates();
        let read = |der: &Vec<u8>| Certificate::from_der(der);
        let (Ok(root), Ok(person)) = (read(&root), read(&person)) else {
            return "certificate-malformed".to_owned();
        };
        let Ok(intermediates) = intermediates.iter().map(read).collect::<Result<Vec<_>, _>>() else {
            return "certificate-malformed".to_owned();
        };
        let Ok(lists) =
            self.lists.iter().map(|der| CertificateList::from_der(der)).collect::<Result<Vec<_>, _>>()
        else {
            return "crl-malformed".to_owned();
        };
        let examination = Examination {
            anchors: &Anchors(vec![Anchor { certificate: root, domains: Vec::new() }]),
            intermediates: &intermediates,
            lists: &lists,
            responses: &[],
            purpose: self.purpose,
            at: now(),
            acceptance: Acceptance::Current,
            policies: self.policies.clone(),
        };
        match examination.of(&person) {
            Ok(_) => "good".to_owned(),
            Err(problem) => {
                assert!(!problem.in_words("the certificate").is_empty());
                problem.code().to_owned()
            }
        }
    }

    fn opinion_of_openssl(&self) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let (root, intermediates, person) = self.certificates();
        let pem = |file: &str, label: &str, objects: &[Vec<u8>]| {
            let encode =
                |der: &Vec<u8>| der::pem::encode_string(label, der::pem::LineEnding::LF, der).unwrap();
            let text: String = objects.iter().map(encode).collect();
            std::fs::write(folder.path().join(file), text).unwrap();
        };
        pem("root.pem", "CERTIFICATE", &[root]);
        pem("untrusted.pem", "CERTIFICATE", &intermediates);
        pem("person.pem", "CERTIFICATE", &[person]);
        pem("all.crl", "X509 CRL", &self.lists);
        let at = now().as_second().to_string();
        let mut arguments = vec!["verify", "-x509_strict", "-attime", &at, "-CAfile", "root.pem"];
        arguments.extend(["-untrusted", "untrusted.pem"]);
        if !self.lists.is_empty() {
            arguments.extend(["-CRLfile", "all.crl"]);
        }
        arguments.extend(&self.openssl);
        arguments.push("person.pem");
        run(folder.path(), &arguments)
    }
}

fn run(folder: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new("openssl");
    command.args(arguments).current_dir(folder).env("OPENSSL_CONF", "/dev/null");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().expect("openssl must be installed").success()
}

/// What the second opinion is, where ours is a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Second {
    /// It refuses, too.
    Agrees,
    /// It accepts, for this reason.
    Accepts(&'static str),
}

/// A rule, and how a chain breaks it.
pub(crate) struct Broken {
    /// Where the rule stands, and what was done.
    pub(crate) what: &'static str,
    pub(crate) code: &'static str,
    pub(crate) second: Second,
    pub(crate) chain: Chain,
}

/// A good chain with one thing changed.
pub(crate) fn broken(
    what: &'static str,
    code: &'static str,
    second: Second,
    change: impl FnOnce(&mut Chain),
) -> Broken {
    let mut chain = Chain::new();
    change(&mut chain);
    Broken { what, code, second, chain }
}

/// A good chain of two CAs with one thing changed.
pub(crate) fn broken_longer(
    what: &'static str,
    code: &'static str,
    second: Second,
    change: impl FnOnce(&mut Chain),
) -> Broken {
    let mut chain = Chain::longer();
    change(&mut chain);
    Broken { what, code, second, chain }
}

/// Every rule must be seen broken, with its code, and the second opinion be the one that is written down.
pub(crate) fn check(rules: &[Broken]) {
    let mut wrong = Vec::new();
    for rule in rules {
        let (ours, openssl_accepts) = rule.chain.opinions();
        if ours != rule.code {
            wrong.push(format!("{}: {ours} instead of {}", rule.what, rule.code));
        }
        if openssl_accepts != (rule.second != Second::Agrees) {
            wrong.push(format!("{}: openssl accepts: {openssl_accepts}, but {:?}", rule.what, rule.second));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rules.len(), wrong.join("\n"));
}

/// Chains that keep the rule at its edge: both must accept.
pub(crate) fn check_good(chains: Vec<(&str, Chain)>) {
    for (what, chain) in chains {
        assert_eq!(chain.opinions(), ("good".to_owned(), true), "{what}");
    }
}
