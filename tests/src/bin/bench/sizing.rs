//! What 10,000 to 10,000,000 cards need: a page computed from the unit costs that the same run has measured.
//!
//! No figure of a machine is written here: what was not measured in the run is said to be missing. What is assumed about an
//! organisation stands in [`ASSUMED`], and on the page.

use std::fmt::Write as _;

use sealwright_tests::measure::Row;

use crate::issuing::IN_REGISTRY;

const CARDS: [(&str, f64); 4] = [("10,000", 1e4), ("100,000", 1e5), ("1,000,000", 1e6), ("10,000,000", 1e7)];

/// What an organisation is taken to be like.
struct Assumed {
    certificates_per_card: f64,
    /// How long a card's certificates are valid.
    days: f64,
    /// Of the unexpired certificates, how many are revoked.
    revoked: f64,
    working_days_per_year: f64,
    hours_per_day: f64,
    /// What a person at a desk does with cards of plastic, where making keys takes seconds.
    cards_per_desk_and_hour: f64,
    /// Time between two complete CRLs, in hours.
    hours_between_lists: f64,
    /// What every reader has to fetch should not be larger, in bytes.
    largest_list: f64,
    bytes_per_revocation: f64,
}

const ASSUMED: Assumed = Assumed {
    certificates_per_card: 4.0,
    days: 820.0,
    revoked: 0.05,
    working_days_per_year: 220.0,
    hours_per_day: 8.0,
    cards_per_desk_and_hour: 60.0,
    hours_between_lists: 24.0,
    largest_list: 1e6,
    bytes_per_revocation: 49.0,
};

/// The page, Markdown.
pub(crate) fn page(rows: &[Row]) -> String {
    let measured = Measured { rows };
    let mut page = String::from(
        "# What an issuer of 10,000 to 10,000,000 cards needs\n\n\
         Printed by `scripts/bench issuer --sizing FILE.md`; every cost was measured in that run, on that machine.\n\n",
    );
    let _ = writeln!(
        page,
        "Assumed: {} certificates for each card, valid for {} days, {} % of them revoked; {} working days a year of {} hours; \
         {} cards an hour at one desk with cards of plastic; a complete CRL every {} hours, none larger than {} MB for its readers; \
         {} bytes for a revocation in a CRL.\n",
        ASSUMED.certificates_per_card,
        ASSUMED.days,
        ASSUMED.revoked * 100.0,
        ASSUMED.working_days_per_year,
        ASSUMED.hours_per_day,
        ASSUMED.cards_per_desk_and_hour,
        ASSUMED.hours_between_lists,
        ASSUMED.largest_list / 1e6,
        ASSUMED.bytes_per_revocation,
    );
    unit_costs(&mut page, &measured);
    growth(&mut page, &measured);
    needs(&mut page, &measured);
    page.push_str(ENGINES);
    page
}

/// The rows of the run.
struct Measured<'a> {
    rows: &'a [Row],
}

impl Measured<'_> {
    /// Ours of the row of that name, at the largest size that was measured.
    fn cost(&self, name: &str) -> Option<(f64, &'static str)> {
        let row = self.rows.iter().rev().find(|row| row.area == "issuer" && row.name == name)?;
        Some((row.ours, row.size))
    }

    fn value(&self, name: &str) -> Option<f64> {
        self.cost(name).map(|(value, _)| value)
    }
}

/// Each cost: its words, the row it comes from, its unit.
const COSTS: [(&str, &str, &str); 11] = [
    (
        "a person and a card on SQLite, without certificates and log",
        "SQLite: a person and a card, no log",
        "bytes",
    ),
    ("an issued card on SQLite: person, certificates, journal and log", IN_REGISTRY, "bytes"),
    (
        "a person and a card on PostgreSQL, without certificates and log",
        "PostgreSQL: a person and a card, no log",
        "bytes",
    ),
    ("search by the beginning of a name, SQLite", "SQLite: beginning of a name, some hits", "ms"),
    ("search by the beginning of a name, PostgreSQL", "PostgreSQL: beginning of a name, some hits", "ms"),
    ("a certificate linted and signed", "a certificate linted and signed, P-256", "us"),
    ("a card issued in a batch", "a card issued in a batch, P-256", "ms"),
    ("a CRL encoded, at that size", "CRL, encoder alone", "s CPU"),
    ("a CRL encoded: memory", "CRL, encoder alone: memory", "MB"),
    ("a prepared OCSP answer served", "a prepared OCSP answer, 16 clients at a time", "us"),
    ("a certificate found over HTTP", "a certificate found by address over HTTP", "us"),
];

fn unit_costs(page: &mut String, measured: &Measured<'_>) {
    page.push_str("## Unit costs of this run\n\n| what | measured with | cost |\n|---|---|---|\n");
    for (words, name, unit) in COSTS {
        let _ = match measured.cost(name) {
            Some((value, size)) => writeln!(page, "| {words} | {size} | {} {unit} |", rounded(value)),
            None => writeln!(page, "| {words} | - | not measured in this run |"),
        };
    }
    page.push('\n');
}

/// What a registry of each size took, as far as it was measured.
fn growth(page: &mut String, measured: &Measured<'_>) {
    const SIZES: [&str; 3] = ["10^4", "10^5", "10^6"];
    let of_registry = |row: &&Row| row.area == "issuer" && SIZES.contains(&row.size);
    let mut names: Vec<_> =
        measured.rows.iter().filter(of_registry).map(|row| (row.name, row.unit)).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return;
    }
    page.push_str(
        "## As the registry grows\n\n| what | 10^4 cards | 10^5 cards | 10^6 cards |\n|---|---|---|---|\n",
    );
    for (name, unit) in names {
        let cells = SIZES.map(|size| {
            let row = measured.rows.iter().find(|row| row.name == name && row.size == size);
            row.map_or_else(|| "-".to_owned(), |row| format!("{} {unit}", rounded(row.ours)))
        });
        let _ = writeln!(page, "| {name} | {} |", cells.join(" | "));
    }
    page.push('\n');
}

fn needs(page: &mut String, measured: &Measured<'_>) {
    page.push_str("## What that makes\n\n| | ");
    page.push_str(&CARDS.map(|(name, _)| format!("{name} cards")).join(" | "));
    page.push_str(" |\n|---|---|---|---|---|\n");
    let mut line = |words: &str, of: &dyn Fn(f64) -> Option<String>| {
        let cells = CARDS.map(|(_, cards)| of(cards).unwrap_or_else(|| "?".to_owned()));
        let _ = writeln!(page, "| {words} | {} |", cells.join(" | "));
    };
    let issued_per_day = |cards: f64| cards / ASSUMED.days * 365.0 / ASSUMED.working_days_per_year;
    let revoked = |cards: f64| cards * ASSUMED.certificates_per_card * ASSUMED.revoked;
    let list = |cards: f64| revoked(cards) * ASSUMED.bytes_per_revocation;
    line("cards issued or renewed on a working day", &|cards| Some(rounded(issued_per_day(cards))));
    line("desks with cards of plastic", &|cards| {
        let per_desk = ASSUMED.cards_per_desk_and_hour * ASSUMED.hours_per_day;
        Some(rounded((issued_per_day(cards) / per_desk).ceil()))
    });
    line("of a day, the registry and one core busy with them", &|cards| {
        let seconds = measured.value("a card issued in a batch, P-256")? / 1e3 * issued_per_day(cards);
        Some(format!("{} s", rounded(seconds)))
    });
    for database in ["SQLite", "PostgreSQL"] {
        line(&format!("people and cards on {database}, without certificates and log"), &|cards| {
            Some(size(measured.value(&format!("{database}: a person and a card, no log"))? * cards))
        });
    }
    line("all that a first issuance keeps, SQLite", &|cards| {
        Some(size(measured.value(IN_REGISTRY)? * cards))
    });
    line("a year more of it, by renewals", &|cards| {
        Some(size(measured.value(IN_REGISTRY)? * cards / ASSUMED.days * 365.0))
    });
    line("complete CRL", &|cards| Some(size(list(cards))));
    line("partitions, none larger than that", &|cards| {
        Some(rounded((list(cards) / ASSUMED.largest_list).ceil().max(1.0)))
    });
    line("CPU for complete CRLs, a day", &|cards| {
        let (seconds, entries) = measured.cost("CRL, encoder alone")?;
        let each = seconds / entries.replace(',', "").parse::<f64>().ok()?;
        let lists = 24.0 / ASSUMED.hours_between_lists;
        Some(format!("{} s", rounded(each * revoked(cards) * lists)))
    });
    line("OCSP answers that one core serves", &|_| {
        Some(format!(
            "{} a second",
            rounded(1e6 / measured.value("a prepared OCSP answer, 16 clients at a time")?)
        ))
    });
    page.push('\n');
}

const ENGINES: &str = "## Which engine carries what

Nothing that is distributed is our own work.

| part | carried by |
|---|---|
| registry, one desk | SQLite in the issuer's home: one file, write-ahead log, every commit synced |
| registry, several desks | one PostgreSQL; desks keep no state beside it (`postgres://`, `issuer --registry`) |
| searches, reports and audits beside the desks | PostgreSQL's streaming replicas, opened read-only |
| events and the journal, which only grow | PostgreSQL's declarative partitions by time; old ones are detached into an archive |
| loss of the database server | PostgreSQL's synchronous replica, or its archived write-ahead log up to a point in time |
| certificates, CRLs, prepared OCSP answers | static files: any web server, object store or content network in front of `publish --to DIR` |
| CRLs too large for their readers | `init --crl-partitions`, and deltas: readers fetch one part |
| OCSP beyond one machine | more web servers with the same files; `serve --ocsp` beside each for what was not prepared |
| search by mail address | `issuer serve` on any number of machines with the same files, or the LDAP directory |
| the LDAP directory | its own replication (OpenLDAP syncrepl); `publish` writes to one provider |
";

fn size(bytes: f64) -> String {
    match bytes {
        bytes if bytes >= 1e9 => format!("{} GB", rounded(bytes / 1e9)),
        bytes if bytes >= 1e6 => format!("{} MB", rounded(bytes / 1e6)),
        bytes => format!("{} KB", rounded(bytes / 1e3)),
    }
}

/// Two digits that say something.
fn rounded(value: f64) -> String {
    match value.abs() {
        value if value >= 100.0 || value == value.trunc() => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &'static str, size: &'static str, ours: f64) -> Row {
        let (peer_name, unit) = ("nobody", "bytes");
        Row { area: "issuer", name, size, ours, peer: 1.0, peer_name, limit: f64::INFINITY, unit }
    }

    #[test]
    fn needs_grow_with_what_was_measured() {
        let page = page(&[
            row("SQLite: a person and a card, no log", "10^4", 3000.0),
            row("SQLite: a person and a card, no log", "10^6", 2000.0),
            row("CRL, encoder alone", "1,000,000", 0.5),
            row("CRL, encoder alone: memory", "1,000,000", 10.0),
        ]);
        // The largest registry that was measured counts.
        assert!(
            page.contains(
                "| people and cards on SQLite, without certificates and log | 20 MB | 200 MB | 2 GB | 20 GB |"
            ),
            "{page}"
        );
        assert!(
            page.contains("| people and cards on PostgreSQL, without certificates and log | ? | ? | ? | ? |"),
            "{page}"
        );
        assert!(
            page.contains("| SQLite: a person and a card, no log | 3000 bytes | - | 2000 bytes |"),
            "{page}"
        );
        assert!(page.contains("| a card issued in a batch | - | not measured in this run |"), "{page}");
        // 5 % of 4 certificates each of 10,000 cards: 2,000 entries of 49 bytes.
        assert!(page.contains("| complete CRL | 98 KB | 980 KB | 9.80 MB | 98 MB |"), "{page}");
        assert!(page.contains("| partitions, none larger than that | 1 | 1 | 10 | 98 |"), "{page}");
        assert!(page.contains("| CPU for complete CRLs, a day | 0.00 s | 0.01 s | 0.10 s | 1 s |"), "{page}");
    }
}
