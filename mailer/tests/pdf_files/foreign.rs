//! Foreign programs that read, check and write PDF files.
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder with files in it.
pub(crate) struct Desk(TempDir);

impl Desk {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, octets: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, octets).unwrap();
        path
    }

    /// What a program makes of a file; it is told its arguments with IN and OUT for the names.
    pub(crate) fn made(&self, octets: &[u8], command: &str) -> Vec<u8> {
        let (input, output) = (self.write("in.pdf", octets), self.path("out.pdf"));
        let _ = std::fs::remove_file(&output);
        let arguments =
            command.replace("IN", input.to_str().unwrap()).replace("OUT", output.to_str().unwrap());
        let run = run(&arguments.split(' ').collect::<Vec<_>>());
        std::fs::read(&output).unwrap_or_else(|_| panic!("{command}: {}", text(&run)))
    }
}

fn run(command: &[&str]) -> Output {
    let output = Command::new(command[0]).args(&command[1..]).env("LC_ALL", "C").output();
    output.unwrap_or_else(|problem| panic!("{}: {problem}; scripts/setup installs it", command[0]))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What `qpdf --check` has against a file.
pub(crate) fn complaint(file: &Path) -> Option<String> {
    let output = run(&["qpdf", "--check", file.to_str().unwrap()]);
    let text = text(&output);
    (!output.status.success() || text.contains("WARNING")).then_some(text)
}

/// How many pages qpdf, poppler and MuPDF count, none of them repairing the file first.
pub(crate) fn page_counts(file: &Path) -> Result<[usize; 3], String> {
    let name = file.to_str().unwrap();
    let counted = |command: &[&str], before: &str| {
        let output = run(command);
        let text = text(&output);
        let line = text.lines().find_map(|line| line.strip_prefix(before));
        let count = line.and_then(|line| line.trim().parse().ok());
        match count {
            Some(count)
                if output.status.success()
                    && !["repair", "xref", "trailer"].iter().any(|word| text.contains(word)) =>
            {
                Ok(count)
            }
            _ => Err(format!("{}: {text}", command[0])),
        }
    };
    Ok([
        counted(&["qpdf", "--show-npages", name], "")?,
        counted(&["pdfinfo", name], "Pages:")?,
        counted(&["mutool", "info", name], "Pages:")?,
    ])
}

/// Six pages as poppler writes them: /Size is too small.
pub(crate) fn united() -> Vec<u8> {
    Desk::new().made(&super::maker::plain(), "pdfunite IN IN OUT")
}

/// Three pages as foreign programs write them, of one file of ours.
pub(crate) fn written() -> Vec<(String, Vec<u8>)> {
    let desk = Desk::new();
    [
        "qpdf --object-streams=generate IN OUT",
        "qpdf --linearize IN OUT",
        "qpdf --linearize --object-streams=generate IN OUT",
        "qpdf --qdf IN OUT",
        "qpdf --newline-before-endstream --force-version=1.3 IN OUT",
        "qpdf --remove-unreferenced-resources=yes --compress-streams=n IN OUT",
        "mutool clean -gggg IN OUT",
        "mutool clean -z -d -a IN OUT",
        "mutool clean -l IN OUT",
        "gs -q -dBATCH -dNOPAUSE -sDEVICE=pdfwrite -sOutputFile=OUT IN",
    ]
    .iter()
    .map(|command| ((*command).to_owned(), desk.made(&super::maker::plain(), command)))
    .collect()
}
