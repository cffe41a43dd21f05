//! Certificates that lead in circles, or in too many ways: effort is bounded by count.
use mailer::trust::examination::Examination;
use mailer::trust::{Acceptance, Anchor, Anchors, Certificate, PolicyInputs, Purpose};
use p256::ecdsa::SigningKey;

use crate::maker::{name, new_key, oid, sequence};
use crate::opinions::{authority, id, now};

fn certificate(der: &[u8]) -> Certificate {
    Certificate::from_der(der).unwrap()
}

fn examine(anchor: &Certificate, intermediates: &[Certificate], person: &Certificate) -> &'static str {
    let examination = Examination {
        anchors: &Anchors(vec![Anchor { certificate: anchor.clone(), domains: Vec::new() }]),
        intermediates,
        lists: &[],
        responses: &[],
        purpose: Purpose::Any,
        at: now(),
        acceptance: Acceptance::Current,
        policies: PolicyInputs::default(),
    };
    examination.of(person).map_or_else(|problem| problem.code(), |_| "good")
}

/// A root, and CAs that certified each other, each under its own key; no key identifiers help.
struct Mesh {
    root: Certificate,
    root_key: SigningKey,
    cas: Vec<(String, SigningKey)>,
    cross: Vec<Certificate>,
}

impl Mesh {
    fn new(size: usize) -> Self {
        let root_key = new_key();
        let root = certificate(&authority(1, ("Root", &root_key), ("Root", &root_key)).sign(&root_key));
        let cas: Vec<(String, SigningKey)> =
            (0..size).map(|number| (format!("CA {number}"), new_key())).collect();
        let mut cross = Vec::new();
        for (issuer, issuer_key) in &cas {
            for (subject, key) in cas.iter().filter(|(subject, _)| subject != issuer) {
                let mut draft = authority(5, (issuer, issuer_key), (subject, key));
                draft.remove(id::AUTHORITY_KEY).remove(id::SUBJECT_KEY);
                cross.push(certificate(&draft.sign(issuer_key)));
            }
        }
        Self { root, root_key, cas, cross }
    }

    fn person(&self) -> Certificate {
        let (issuer, key) = &self.cas[0];
        let mut draft = authority(6, (issuer, key), ("Alice", &new_key()));
        draft.remove(id::AUTHORITY_KEY);
        certificate(&draft.sign(key))
    }

    /// The root's certificate for one CA.
    fn way_out(&self, number: usize) -> Certificate {
        let (subject, key) = &self.cas[number];
        certificate(&authority(7, ("Root", &self.root_key), (subject, key)).sign(&self.root_key))
    }
}

#[test]
fn circles_end() {
    let mesh = Mesh::new(2);
    assert_eq!(examine(&mesh.root, &mesh.cross, &mesh.person()), "unknown-issuer");
    let with_way_out = [mesh.cross.clone(), vec![mesh.way_out(1)]].concat();
    assert_eq!(examine(&mesh.root, &with_way_out, &mesh.person()), "good");
}

#[test]
fn a_mesh_without_a_way_out_is_given_up() {
    // 12 CAs: more than a million ways of at most 8 steps.
    let mesh = Mesh::new(12);
    assert_eq!(examine(&mesh.root, &mesh.cross, &mesh.person()), "too-many-paths");
    let direct = [mesh.cross.clone(), vec![mesh.way_out(0)]].concat();
    assert_eq!(examine(&mesh.root, &direct, &mesh.person()), "good", "the short way is tried first");
}

#[test]
fn complete_paths_that_all_fail_are_given_up() {
    // Fifty certificates of one CA, all of them certified by the root, none of them allowed to certify.
    let (root_key, ca_key) = (new_key(), new_key());
    let root = certificate(&authority(1, ("Root", &root_key), ("Root", &root_key)).sign(&root_key));
    let ca = |serial: u8| {
        let mut draft = authority(serial, ("Root", &root_key), ("People", &ca_key));
        draft.remove(id::BASIC_CONSTRAINTS);
        certificate(&draft.sign(&root_key))
    };
    let person = certificate(&authority(9, ("People", &ca_key), ("Alice", &new_key())).sign(&ca_key));
    let few: Vec<Certificate> = (10..20).map(ca).collect();
    assert_eq!(examine(&root, &few, &person), "not-an-authority");
    let many: Vec<Certificate> = (10..60).map(ca).collect();
    assert_eq!(examine(&root, &many, &person), "too-many-paths");
}

#[test]
fn a_path_longer_than_any_is_refused() {
    let root_key = new_key();
    let root = certificate(&authority(1, ("Root", &root_key), ("Root", &root_key)).sign(&root_key));
    let mut chain = Vec::new();
    let mut last = ("Root".to_owned(), root_key);
    for depth in 0..12_u8 {
        let next = (format!("CA {depth}"), new_key());
        let draft = authority(20 + depth, (&last.0, &last.1), (&next.0, &next.1));
        chain.push(certificate(&draft.sign(&last.1)));
        last = next;
        let person = authority(99, (&last.0, &last.1), ("Alice", &new_key())).sign(&last.1);
        let wanted = if depth < 8 { "good" } else { "unknown-issuer" };
        assert_eq!(examine(&root, &chain, &certificate(&person)), wanted, "{depth}");
    }
}

#[test]
fn policies_that_multiply_stay_small() {
    // Each CA maps every policy to every other: as a tree, 30 to the power of 7.
    let list: Vec<String> = (1..=30).map(|number| format!("1.3.6.1.4.1.32473.{number}")).collect();
    let policies: Vec<Vec<u8>> = list.iter().map(|policy| sequence(&[&oid(policy)])).collect();
    let policies = sequence(&policies.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let pairs = list.iter().flat_map(|one| list.iter().map(move |other| sequence(&[&oid(one), &oid(other)])));
    let pairs: Vec<Vec<u8>> = pairs.collect();
    let mappings = sequence(&pairs.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let root_key = new_key();
    let root = certificate(&authority(1, ("Root", &root_key), ("Root", &root_key)).sign(&root_key));
    let mut chain = Vec::new();
    let mut last = ("Root".to_owned(), root_key);
    for depth in 0..7_u8 {
        let next = (format!("CA {depth}"), new_key());
        let mut draft = authority(20 + depth, (&last.0, &last.1), (&next.0, &next.1));
        draft.put(id::POLICIES, false, policies.clone()).put(id::POLICY_MAPPINGS, true, mappings.clone());
        chain.push(certificate(&draft.sign(&last.1)));
        last = next;
    }
    let mut person = authority(99, (&last.0, &last.1), ("Alice", &new_key()));
    person.issuer = name(&last.0);
    person.put(id::POLICIES, false, policies);
    assert_eq!(examine(&root, &chain, &certificate(&person.sign(&last.1))), "good");
}
