//! An official notice to many: who has it, who has confirmed it, and what proves that to somebody with openssl alone.
//!
//! 8 people, or 50 with `SEALWRIGHT_FULL`.
#![allow(clippy::indexing_slicing, reason = "a test may fail this way")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sealwright_tests::disk::files;
use sealwright_tests::mail::{Account, Person};
use sealwright_tests::paper::page;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::{Run, Server, wait_until};
use sealwright_tests::world::{DOMAIN, MailServers, World};
use serde_json::Value;

/// The classes of readers; each gets a letter of its own.
const CLASSES: [&str; 2] = ["board", "staff"];

fn class_size() -> usize {
    if std::env::var_os("SEALWRIGHT_FULL").is_some() { 25 } else { 4 }
}

/// The chancery, everybody who gets the notice, the servers, the time-stamp service.
struct Chancery {
    world: World,
    servers: MailServers,
    _tsa: Server,
    tsa_url: String,
    alice: Person,
    people: [Vec<Person>; 2],
}

fn names(class: &str) -> Vec<String> {
    (1..=class_size()).map(|number| format!("{class}{number:02}")).collect()
}

impl Chancery {
    fn open(root: Root) -> Result<Self> {
        let staff = CLASSES.into_iter().flat_map(names);
        let world =
            World::with_more_staff(staff.map(|name| (format!("Reader {name}"), format!("{name}@{DOMAIN}"))))?;
        let alice = world.person("alice", "p256")?;
        let people = CLASSES.map(|class| cards(&world, class));
        let [board, staff] = people;
        world.desk.make_time_stamp_service()?.ok()?;
        world.desk.publish()?.ok()?;
        let (tsa, tsa_url) = world.desk.serve_time_stamps(&world.path("tsa.log"))?;
        let servers = world.mail_servers(root)?;
        Ok(Self { world, servers, _tsa: tsa, tsa_url, alice, people: [board?, staff?] })
    }

    fn account(&self, person: &Person) -> Result<Account> {
        let account = self.world.server_account(&self.servers, person)?;
        Ok(account.with("--time-stamp-server", &self.tsa_url))
    }

    fn everybody(&self) -> Vec<&Person> {
        self.people.iter().flatten().collect()
    }

    fn waiting(&self, person: &Person) -> Result<usize> {
        Ok(self.servers.dovecot.messages(&person.address)?.len())
    }

    /// Sends the notice to one class; answers the case.
    fn distribute(&self, class: usize, notice: &Path) -> Result<String> {
        let list = self.world.path(&format!("{}.csv", CLASSES[class]));
        let rows: String = self.people[class].iter().map(|person| format!("{}\n", person.address)).collect();
        fs::write(&list, format!("mail\n{rows}"))?;
        let run = self.alice.keyed_words(&["document", "distribute"])?.arg(notice).arg("--to").arg(list);
        let said = run.args(["--subject", "Fees from January", "--json"]).ok()?;
        let said: Value = serde_json::from_str(&said.out())?;
        Ok(said["case"].as_str().context("it names its case")?.to_owned())
    }

    /// The notice is read, and confirmed.
    fn confirm(&self, person: &Person) -> Result<()> {
        person.fetch()?.ok()?;
        person.keyed_words(&["receipts", "give", "1"])?.ok()?;
        Ok(())
    }

    /// Somebody who has a lost card and a directory from before the loss gives a receipt with it.
    fn misuse(&self, lost: &Person, stale: &Path) -> Result<()> {
        let refused = lost.keyed_words(&["receipts", "give", "1", "--again"])?.fails_with(1)?;
        ensure!(refused.err().contains("revoked"), "{refused}");
        let account = self.account(lost)?.with("--directory", format!("file:{}", stale.display()));
        let mut arguments = account.arguments.clone();
        let first = arguments.iter().position(|word| word == "--directory").context("there is one")?;
        arguments.drain(first..first + 2);
        lost.set_up(&Account { arguments })?.ok()?;
        fs::remove_dir_all(lost.home().join("mail/cache")).or_else(absent)?;
        lost.keyed_words(&["receipts", "give", "1", "--again"])?.ok()?;
        Ok(())
    }

    fn status(&self, case: &str) -> Result<Value> {
        let said = self.alice.mailer()?.args(["document", "status", case, "--json"]).ok()?;
        Ok(serde_json::from_str(&said.out())?)
    }
}

fn absent(problem: std::io::Error) -> std::io::Result<()> {
    if problem.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(problem) }
}

/// Everybody of a class with a card, the first one's with RSA keys. Four desks work side by side: most of the time is waiting
/// for the disk.
fn cards(world: &World, class: &str) -> Result<Vec<Person>> {
    let with_card = |(number, name): &(usize, String)| {
        let algorithm = if *number == 0 { "rsa2048" } else { "p256" };
        let card = world.blank_card(name)?;
        world.hand_out(name, &card, &card.locator(), &["--algorithm", algorithm])
    };
    let names: Vec<(usize, String)> = names(class).into_iter().enumerate().collect();
    std::thread::scope(|scope| {
        let desks: Vec<_> = names
            .chunks(names.len().div_ceil(4))
            .map(|part| scope.spawn(move || part.iter().map(with_card).collect::<Result<Vec<_>>>()))
            .collect();
        let issued: Result<Vec<Vec<Person>>> =
            desks.into_iter().map(|desk| desk.join().expect("no desk panics")).collect();
        Ok(issued?.into_iter().flatten().collect())
    })
}

/// Does something with everybody, two at a time.
fn each(people: &[&Person], act: impl Fn(&Person) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let work = || -> Result<()> {
            while let Some(person) = people.get(next.fetch_add(1, Ordering::Relaxed)) {
                act(person).with_context(|| person.address.clone())?;
            }
            Ok(())
        };
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })
}

/// Tells how long each part took; read with `--nocapture`.
struct Diary(Instant);

impl Diary {
    fn tell(&mut self, what: &str) {
        eprintln!("{what}: {:.1} s", self.0.elapsed().as_secs_f32());
        self.0 = Instant::now();
    }
}

#[test]
fn a_notice_goes_to_two_classes_and_whoever_has_not_confirmed_it_is_known_and_proven() -> Result<()> {
    let Some(root) = Root::or_skip("Postfix")? else { return Ok(()) };
    let mut diary = Diary(Instant::now());
    let chancery = Chancery::open(root)?;
    let everybody = chancery.everybody();
    diary.tell(&format!("desk, servers, {} cards", everybody.len() + 1));
    each(&[&everybody[..], &[&chancery.alice]].concat(), |person| {
        person.set_up(&chancery.account(person)?)?.ok().map(drop)
    })?;
    diary.tell("accounts");

    let notice = chancery.world.path("notice.pdf");
    fs::write(&notice, page(&["Notice", "The fee is 100 from January on."]))?;
    let cases = [chancery.distribute(0, &notice)?, chancery.distribute(1, &notice)?];
    wait_until("everybody has the notice", || {
        everybody.iter().try_fold(true, |all, person| Ok(all && chancery.waiting(person)? == 1))
    })?;
    diary.tell("distribution");

    let missing = chancery.people.each_ref().map(|class| class.last().expect("a class has people"));
    let is_missing = |person: &Person| missing.iter().any(|other| other.address == person.address);
    let lost = &chancery.people[0][0];
    chancery.confirm(lost)?;
    let confirmed = Instant::now();
    let others: Vec<&Person> =
        everybody.iter().skip(1).copied().filter(|person| !is_missing(person)).collect();
    each(&others, |person| chancery.confirm(person))?;
    missing[0].fetch()?.ok()?;
    diary.tell(&format!("{} receipts given", others.len() + 1));

    let stale = chancery.world.path("published-before");
    Run::new("cp").arg("-a").arg(chancery.world.desk.published()).arg(&stale).ok()?;
    // Later than the time stamp of the receipt can be wrong.
    wait_until("the time stamp is older than the loss", || Ok(confirmed.elapsed() > Duration::from_secs(3)))?;
    for card in [lost, missing[0]] {
        chancery.world.desk.revoke(&card.address, "key-compromise")?.ok()?;
    }
    chancery.world.desk.publish()?.ok()?;
    for card in [lost, missing[0]] {
        chancery.misuse(card, &stale)?;
    }
    let sent = everybody.len() - missing.len() + 2;
    wait_until("all receipts are back", || Ok(chancery.waiting(&chancery.alice)? == sent))?;
    chancery.alice.fetch()?.ok()?;
    let taken = chancery.alice.mailer()?.args(["receipts", "--json"]).fails_with(3)?;
    diary.tell(&format!("{sent} receipts taken in"));

    let mut states = BTreeMap::new();
    for case in &cases {
        for recipient in chancery.status(case)?["recipients"].as_array().context("a list")? {
            let address = recipient["address"].as_str().context("a text")?;
            ensure!(recipient["delivery"] == "submitted", "{recipient}");
            states.insert(address.to_owned(), recipient.clone());
        }
    }
    for person in &everybody {
        let receipt = &states[&person.address]["receipt"];
        assert_eq!(receipt.is_null(), is_missing(person), "{}: {taken}", person.address);
        assert_eq!(receipt["proven"].is_string(), !is_missing(person), "{receipt}");
    }
    let refused = |person: &Person| states[&person.address]["refused_receipts"][0]["code"].clone();
    assert_eq!(refused(missing[0]), "receipt-untrusted", "given with a revoked card: {taken}");
    assert_eq!(refused(lost), "receipt-second", "{taken}");
    let without: usize = cases.iter().map(|case| missing_of(&chancery, case)).sum::<Result<usize>>()?;
    assert_eq!(without, 2);

    for (number, case) in cases.iter().enumerate() {
        let folder = chancery.world.path(&format!("evidence{number}"));
        let export = chancery.alice.keyed_words(&["document", "evidence", case])?;
        export.arg("--to").arg(&folder).ok()?;
        let commands = commands(&folder)?;
        for command in &commands {
            let outcome = run(&folder, command)?;
            assert_eq!(outcome.code, Some(0), "{outcome}");
        }
        diary.tell(&format!("evidence with {} commands", commands.len()));
        let planted = planted_changes_are_found(&folder, &commands)?;
        diary.tell(&format!("{planted} planted changes found"));
    }
    Ok(())
}

fn missing_of(chancery: &Chancery, case: &str) -> Result<usize> {
    let said = chancery.alice.mailer()?.args(["document", "status", case, "--missing", "--json"]).ok()?;
    let said: Value = serde_json::from_str(&said.out())?;
    Ok(said["recipients"].as_array().context("a list")?.len())
}

/// The commands of a README.md, of openssl and programs that every system has.
fn commands(folder: &Path) -> Result<Vec<String>> {
    let readme = fs::read_to_string(folder.join("README.md"))?;
    let blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap_or_default());
    let commands: Vec<String> = blocks.map(str::to_owned).collect();
    for command in &commands {
        let programs = command.split(" | ").map(|part| part.split(' ').next().unwrap_or_default());
        let is_known = |name: &str| ["openssl", "sha256sum", "cmp", "head", "tail"].contains(&name);
        ensure!(programs.into_iter().all(is_known) && !command.contains([';', '&', '`', '$']), "{command}");
    }
    ensure!(commands.len() > 10, "{readme}");
    ensure!(commands.iter().any(|command| command.ends_with("| cmp - document/notice.pdf")), "{readme}");
    Ok(commands)
}

fn run(folder: &Path, command: &str) -> Result<sealwright_tests::process::Outcome> {
    Run::new("sh").args(["-c", command]).folder(folder).outcome()
}

/// Changes every file, one after the other: the list of sums tells of each. Then again with a list that was made anew, as a
/// forger would: where a signature or a time stamp covers the file, another command tells of it.
fn planted_changes_are_found(folder: &Path, commands: &[String]) -> Result<usize> {
    let (sums, others) = commands.split_first().context("there are commands")?;
    ensure!(sums.starts_with("sha256sum"), "{sums}");
    let list = fs::read_to_string(folder.join("SHA256SUMS"))?;
    let mut found = 0;
    for file in files(folder)? {
        let name = file.strip_prefix(folder)?.display().to_string();
        let original = fs::read(&file)?;
        fs::write(&file, changed(&file, &original)?)?;
        let outcome = run(folder, sums)?;
        ensure!(outcome.code != Some(0), "nobody finds that {name} was changed");
        found += 1;
        if is_covered(&name) {
            forge_sums(folder, &list, &name)?;
            run(folder, sums)?.expect_code(0)?;
            let about = |command: &&String| command.split(' ').any(|word| word == name);
            let told = others.iter().filter(about).map(|command| run(folder, command));
            let told: Vec<_> = told.collect::<Result<_>>()?;
            ensure!(
                told.iter().any(|outcome| outcome.code != Some(0)),
                "{name} was changed, and nobody tells"
            );
            fs::write(folder.join("SHA256SUMS"), &list)?;
            found += 1;
        }
        fs::write(&file, original)?;
    }
    run(folder, sums)?.expect_code(0)?;
    exchanged_time_stamps_are_found(folder, others)?;
    Ok(found + 1)
}

/// The time stamp of another receipt proves nothing for this one.
fn exchanged_time_stamps_are_found(folder: &Path, commands: &[String]) -> Result<()> {
    let mut stamps = files(&folder.join("receipts"))?;
    stamps.retain(|file| file.extension().is_some_and(|extension| extension == "tst"));
    let [first, second, ..] = stamps.as_slice() else { anyhow::bail!("two receipts have time stamps") };
    let original = fs::read(first)?;
    fs::copy(second, first)?;
    let name = first.strip_prefix(folder)?.display().to_string();
    let about = commands.iter().find(|command| command.split(' ').any(|word| word == name));
    let outcome = run(folder, about.context("a command checks it")?)?;
    ensure!(outcome.code != Some(0), "{outcome}");
    Ok(fs::write(first, original)?)
}

/// What is signed, or proves something; the rest of the folder explains it, or is known from elsewhere.
fn is_covered(name: &str) -> bool {
    let is_helper = ["README.md", "SHA256SUMS", "status.json"].contains(&name)
        || ["certificates/anchors.pem", "certificates/others.pem"].contains(&name);
    !is_helper && !name.starts_with("refused/") && !name.starts_with("certificates/ocsp")
}

fn forge_sums(folder: &Path, list: &str, name: &str) -> Result<()> {
    let sum = Run::new("sha256sum").arg(name).folder(folder).ok()?.out();
    let row = |row: &str| if row.ends_with(&format!("  {name}")) { sum.clone() } else { format!("{row}\n") };
    Ok(fs::write(folder.join("SHA256SUMS"), list.lines().map(row).collect::<String>())?)
}

/// The file with one octet changed, where it matters.
fn changed(file: &Path, original: &[u8]) -> Result<Vec<u8>> {
    let extension = file.extension().unwrap_or_default().to_string_lossy().into_owned();
    let beside = |extension: &str| fs::read(PathBuf::from(file).with_extension(extension));
    let at = match &*extension {
        // The digest that was signed, the first OCTET STRING of 32 octets.
        "tst" => position(original, b"\x04\x20").map(|at| at + 9),
        "p7s" => position(original, &digest(&beside("octets")?)?),
        // The receipt itself, in the third line of the base64.
        "eml" if file.parent().is_some_and(|folder| folder.ends_with("receipts")) => {
            position(original, b"\r\n\r\n").map(|at| at + 4 + 2 * 78 + 30)
        }
        _ => (original.len() / 2..original.len()).find(|at| original[*at].is_ascii_alphanumeric()),
    };
    let at = at.with_context(|| format!("{} has no place for a change", file.display()))?;
    let mut changed = original.to_vec();
    let octet = changed.get_mut(at).context("within the file")?;
    *octet = if *octet == b'7' { b'8' } else { b'7' };
    Ok(changed)
}

fn digest(octets: &[u8]) -> Result<Vec<u8>> {
    let sum = Run::new("sha256sum").input(octets).ok()?.out();
    Ok(hex::decode(sum.split(' ').next().unwrap_or_default())?)
}

fn position(octets: &[u8], part: &[u8]) -> Option<usize> {
    octets.windows(part.len()).position(|window| window == part)
}
