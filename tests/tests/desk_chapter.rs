//! The README's chapter on the desk is followed word for word: what is typed there is typed, and what is shown is shown.
#![allow(clippy::indexing_slicing, reason = "a test may fail this way")]

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use sealwright_tests::process::{Run, path};
use sealwright_tests::programs::folder;
use serde_json::Value;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What the desk asks and how it waits for a command, as the chapter shows it before what is typed.
const QUESTIONS: [&str; 7] =
    ["desk> ", "Number (", "For whom (", "Why (", "New file for the transport PIN", "(Y/n): ", "(y/N): "];

/// One command of the chapter.
#[derive(Debug, Default)]
struct Step {
    command: String,
    /// What the desk shows before each line that is typed, and that line.
    talk: Vec<(String, String)>,
    /// What is shown; `...` stands for more.
    shown: Vec<String>,
}

/// The commands of the chapter's blocks, in their order.
fn steps() -> Result<Vec<Step>> {
    let readme = fs::read_to_string(Path::new(REPOSITORY).join("README.md"))?;
    let (_, chapter) = readme.split_once("\n## The desk in five minutes\n").context("no such chapter")?;
    let (chapter, _) = chapter.split_once("\n## ").context("the chapter has no end")?;
    let blocks = chapter.split("```console\n").skip(1).filter_map(|after| after.split("```").next());
    let mut steps: Vec<Step> = Vec::new();
    for line in blocks.flat_map(str::lines) {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), ..Step::default() });
            continue;
        }
        let step = steps.last_mut().context("a block begins without a command")?;
        if step.command.ends_with('\\') {
            step.command = format!("{}\n{line}", step.command);
        } else if let Some(typed) = typed(line) {
            step.talk.push(typed);
        } else {
            step.shown.push(line.to_owned());
        }
    }
    Ok(steps)
}

/// A line of a talk with the desk, divided into what it shows and what is typed.
fn typed(line: &str) -> Option<(String, String)> {
    if let Some(command) = line.strip_prefix("desk>") {
        return Some(("desk> ".to_owned(), command.trim().to_owned()));
    }
    QUESTIONS.iter().skip(1).find(|question| line.contains(**question))?;
    let unanswered = line.strip_suffix(':').map(|question| (question, ""));
    let (question, answer) = unanswered.or_else(|| line.rsplit_once(": "))?;
    Some((format!("{question}: "), answer.to_owned()))
}

/// Numbers, times and identifiers differ each time.
fn masked(line: &str) -> String {
    let mut masked = String::new();
    let mut rest = line;
    for word in line.split_inclusive(|character: char| !character.is_ascii_alphanumeric()) {
        let (text, end) = match word.char_indices().last() {
            Some((place, last)) if !last.is_ascii_alphanumeric() => word.split_at(place),
            _ => (word, ""),
        };
        let is_hex = text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        rest = rest.get(word.len()..).unwrap_or_default();
        // How many there are of something is the same in every run: "62 events".
        let is_count =
            end == " " && text.len() < 5 && rest.starts_with(|next: char| next.is_ascii_lowercase());
        let is_number = text.starts_with(|character: char| character.is_ascii_digit()) && !is_count;
        masked.push_str(if is_hex || is_number { "#" } else { text });
        masked.push_str(end);
    }
    masked.trim_end().to_owned()
}

fn run(step: &Step, exported: &str, desk: &Path) -> Result<String> {
    let mut places = folder()?.as_os_str().to_owned();
    places.push(":");
    places.push(path());
    let script = format!("{exported}\n{}", step.command);
    let shell = |program: &str| Run::new(program).env("PATH", &places).env("HOME", desk).folder(desk);
    if step.talk.is_empty() {
        // Exit statuses are a part of the chapter: it shows them where they are not 0.
        return Ok(shell("bash").args(["-uc", &script]).merged().outcome()?.out());
    }
    let terminal = Path::new(REPOSITORY).join("issuer/tests/desk_shell/at_terminal.py");
    let talk = step.talk.iter().flat_map(|(shown, typed)| [shown.clone(), format!("{typed}\\r")]);
    let run = shell("python3").env("TERM", "dumb").arg(terminal).args(talk);
    let outcome = run.args(["--", "bash", "-uc", &script]).ok()?;
    let end: Value = serde_json::from_str(&outcome.out())?;
    ensure!(end["status"] == 0, "{outcome}");
    Ok(end["shown"].as_str().unwrap_or_default().replace('\r', ""))
}

#[test]
fn the_chapter_of_the_desk_is_true() -> Result<()> {
    let desk = tempfile::tempdir()?;
    let steps = steps()?;
    ensure!(steps.iter().any(|step| step.talk.len() > 5), "nobody talks with the desk");
    let mut exported = String::new();
    for step in &steps {
        if step.command.starts_with("export ") {
            exported = format!("{exported}{}\n", step.command);
            continue;
        }
        let said = run(step, &exported, desk.path())?;
        let mut lines = said.lines().map(masked);
        for expected in step.shown.iter().filter(|line| *line != "...") {
            let expected = masked(expected);
            ensure!(
                lines.any(|line| line == expected),
                "{}: {expected:?} is not shown, or not in this place, in\n{said}",
                step.command
            );
        }
    }
    Ok(())
}
