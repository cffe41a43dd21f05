//! What a program used: CPU and wall time and the most memory that it held at once (getrusage(2)).
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use sealwright_tests::process::Run;
use serde_json::json;

/// What one run used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time, all processes of the run together, in seconds.
    pub(crate) cpu: f64,
    /// From its start to its end, in seconds.
    pub(crate) wall: f64,
    /// The largest of its processes, in MB (10^6 octets).
    pub(crate) memory: f64,
}

impl Usage {
    /// The median of each figure.
    pub(crate) fn median(used: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| {
            let mut figures: Vec<f64> = used.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures.get(figures.len() / 2).copied().unwrap_or_default()
        };
        Self { cpu: of(|used| used.cpu), wall: of(|used| used.wall), memory: of(|used| used.memory) }
    }
}

/// Runs a shell line and says what it used. This program runs it once more removed, for it is small: nothing of ours
/// stands in the figures.
pub(crate) fn of_shell(line: &str, prepare: impl FnOnce(Run) -> Run) -> Result<Usage> {
    of_program(Path::new("sh"), &["-c", line], prepare)
}

/// The same for one program.
pub(crate) fn of_program(
    program: &Path,
    arguments: &[&str],
    prepare: impl FnOnce(Run) -> Run,
) -> Result<Usage> {
    let run = Run::new(std::env::current_exe()?).args(["client", "usage"]).arg(program).args(arguments);
    let said = prepare(run).ok()?;
    let last = said.err();
    let last = last.lines().last().context("the client says what was used")?;
    let used: serde_json::Value = serde_json::from_str(last).context("the client says it in JSON")?;
    let number = |name: &str| used.get(name).and_then(serde_json::Value::as_f64).context("a number");
    Ok(Usage { cpu: number("cpu")?, wall: number("wall")?, memory: number("memory")? })
}

/// What the client process does: runs the program to its end and says on standard error what it used.
pub(crate) fn client(program: &str, arguments: &[&str]) -> Result<()> {
    let start = Instant::now();
    let status = Command::new(program).args(arguments).status()?;
    let wall = start.elapsed().as_secs_f64();
    ensure!(status.success(), "{program} {arguments:?} ended with {status}");
    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let cpu = seconds(used.user_time()) + seconds(used.system_time());
    // Linux counts in KiB.
    let memory = used.max_rss() as f64 * 1024.0 / 1e6;
    eprintln!("{}", json!({ "cpu": cpu, "wall": wall, "memory": memory }));
    Ok(())
}
