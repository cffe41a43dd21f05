//! Where PKITS lies, and what it expects (tests/vectors/pkits/SOURCE.md).
#![allow(dead_code, reason = "each test program uses its part")]
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One line of pkits-expected.tsv.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) test: String,
    pub(crate) valid: bool,
    pub(crate) certificates: Vec<String>,
    pub(crate) lists: Vec<String>,
    pub(crate) policies: Vec<String>,
    pub(crate) explicit: bool,
    pub(crate) inhibit_mapping: bool,
    pub(crate) inhibit_any: bool,
    pub(crate) user_constrained: BTreeSet<String>,
}

impl Case {
    /// Whether the policy inputs are those that everybody has who asks for nothing.
    pub(crate) fn has_default_inputs(&self) -> bool {
        self.policies.is_empty() && !self.explicit && !self.inhibit_mapping && !self.inhibit_any
    }
}

/// The folder with the certificates, CRLs and messages.
pub(crate) fn data() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let environment = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/lib");
        let pythons = std::fs::read_dir(&environment).into_iter().flatten().flatten();
        let mut found = pythons
            .map(|python| python.path().join("site-packages/cryptography_vectors/x509/PKITS_data"))
            .filter(|folder| folder.is_dir());
        found.next().expect("PKITS is missing: scripts/setup installs cryptography-vectors into .venv")
    })
}

/// Every case of the suite.
pub(crate) fn cases() -> Vec<Case> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/pkits/pkits-expected.tsv");
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).map(case).collect()
}

fn case(line: &str) -> Case {
    let columns: Vec<&str> = line.split('\t').collect();
    let [test, valid, certificates, lists, policies, explicit, mapping, any, constrained] =
        columns.as_slice()
    else {
        panic!("{line}")
    };
    let list = |text: &str| -> Vec<String> {
        text.split(',').filter(|item| !item.is_empty() && *item != "-").map(str::to_owned).collect()
    };
    let constrained = if *constrained == "-" { "NIST-test-policy-1" } else { constrained };
    Case {
        test: (*test).to_owned(),
        valid: *valid == "true",
        certificates: list(certificates),
        lists: list(lists),
        policies: list(policies).iter().map(|name| policy(name)).collect(),
        explicit: *explicit == "true",
        inhibit_mapping: *mapping == "true",
        inhibit_any: *any == "true",
        user_constrained: list(constrained).iter().map(|name| policy(name)).collect(),
    }
}

fn policy(name: &str) -> String {
    match name.strip_prefix("NIST-test-policy-") {
        Some(number) => format!("2.16.840.1.101.3.2.1.48.{number}"),
        None if name == "anyPolicy" => "2.5.29.32.0".to_owned(),
        None => panic!("{name}"),
    }
}

/// Does the same to every item, on every core.
pub(crate) fn in_parallel<Item: Sync, Answer: Send>(
    items: &[Item],
    work: impl Fn(&Item) -> Answer + Sync,
) -> Vec<Answer> {
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let run = || {
            let mut answers = Vec::new();
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                answers.push(work(item));
            }
            answers
        };
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(run)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}
