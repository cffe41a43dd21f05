//! Ours and a peer measured by turns in one run, and the rows that `scripts/bench` prints.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

/// One line of the benchmark's table: medians.
#[derive(Clone, Debug)]
pub struct Row {
    /// `card`, `middleware`, `issuer`, `mail`, `documents`.
    pub area: &'static str,
    /// What was done.
    pub name: &'static str,
    /// Of what size, `-` where it has none.
    pub size: &'static str,
    /// Our median, in `unit`.
    pub ours: f64,
    /// The peer's median, in `unit`.
    pub peer: f64,
    /// Who the peer is.
    pub peer_name: &'static str,
    /// The most that ours may be, in `unit`; infinite where there is no limit.
    pub limit: f64,
    /// `us`, `ms`, `s`, `s CPU`, `MB` or `syncs`.
    pub unit: &'static str,
}

impl Row {
    /// Ours over the peer's.
    pub fn ratio(&self) -> f64 {
        self.ours / self.peer
    }

    /// Whether ours keeps the limit.
    pub fn kept(&self) -> bool {
        self.ours <= self.limit
    }

    /// One JSON object.
    pub fn json(&self) -> String {
        json!({
            "area": self.area, "name": self.name, "size": self.size, "ours": rounded(self.ours),
            "peer": rounded(self.peer), "peer_name": self.peer_name, "limit": rounded(self.limit),
            "unit": self.unit, "ratio": rounded(self.ratio()),
        })
        .to_string()
    }
}

/// The table for people.
pub fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<11}{:<48}{:<10}{:>10}{:>10}{:>10}  {:<7}{:<7}{}\n",
        "area", "what", "size", "ours", "peer", "limit", "unit", "ratio", "peer is"
    );
    for row in rows {
        let verdict = if row.kept() { "" } else { "  OVER THE LIMIT" };
        text += &format!(
            "{:<11}{:<48}{:<10}{:>10.2}{:>10.2}{:>10.2}  {:<7}{:<7.2}{}{verdict}\n",
            row.area,
            row.name,
            row.size,
            row.ours,
            row.peer,
            row.limit,
            row.unit,
            row.ratio(),
            row.peer_name
        );
    }
    text
}

/// Medians of both, after one turn that does not count.
pub fn by_turns(
    rounds: usize,
    mut ours: impl FnMut() -> Result<()>,
    mut peer: impl FnMut() -> Result<()>,
) -> Result<(Duration, Duration)> {
    once_each(&mut ours, &mut peer)?;
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        times.push(once_each(&mut ours, &mut peer)?);
    }
    Ok(medians(times))
}

/// The times of several participants, one turn of each after the other, after one turn that does not count. Sorted.
pub fn interleaved(
    rounds: usize,
    participants: usize,
    mut turn: impl FnMut(usize) -> Result<()>,
) -> Result<Vec<Vec<Duration>>> {
    let mut times = vec![Vec::with_capacity(rounds); participants];
    for round in 0..=rounds {
        for (participant, times) in times.iter_mut().enumerate() {
            let time = timed(|| turn(participant))?;
            if round > 0 {
                times.push(time);
            }
        }
    }
    times.iter_mut().for_each(|times| times.sort());
    Ok(times)
}

/// The time below which this share of sorted times lies, in hundredths.
pub fn percentile(sorted: &[Duration], hundredths: usize) -> Duration {
    sorted.get(sorted.len() * hundredths / 100).copied().unwrap_or_default()
}

/// One turn of both.
pub fn once_each(
    ours: impl FnOnce() -> Result<()>,
    peer: impl FnOnce() -> Result<()>,
) -> Result<(Duration, Duration)> {
    Ok((timed(ours)?, timed(peer)?))
}

/// The median of each side.
pub fn medians(times: Vec<(Duration, Duration)>) -> (Duration, Duration) {
    let (ours, peer) = times.into_iter().unzip();
    (median(ours), median(peer))
}

fn timed(what: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    what()?;
    Ok(start.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
