//! A batch at real readers: card after card is put in, one is pulled in the middle, and nothing secret stays in memory.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use memchr::memmem;
use sealwright_tests::card::CardFile;
use sealwright_tests::desk::PASSPHRASE;
use sealwright_tests::pcscd::{Inserted, Pcscd};
use sealwright_tests::privilege::Root;
use sealwright_tests::process::{PATIENCE, Run, Server};
use sealwright_tests::programs::program;
use sealwright_tests::world::World;

/// A desk with a list of people, blank cards and readers.
struct Story {
    world: World,
    pcscd: Pcscd,
    cards: Vec<CardFile>,
}

impl Story {
    fn new(root: Root, people: usize, blank: impl Fn(&Path, u32) -> Result<CardFile>) -> Result<Self> {
        let mut world = World::new()?;
        let staff: Vec<_> = (1..=people)
            .map(|number| (format!("Person {number}"), format!("p{number}@example.org")))
            .collect();
        let named: Vec<_> = staff.iter().map(|(name, mail)| (name.as_str(), mail.as_str())).collect();
        world.desk.import_staff(&named)?.ok()?;
        let rows: String = staff.iter().map(|(_, mail)| format!("{mail}\n")).collect();
        fs::write(world.path("list.csv"), format!("person\n{rows}"))?;
        let pcscd = world.pcscd(root, 2)?;
        let mut cards = Vec::new();
        for number in 1..=people {
            let card = blank(world.folder(), u32::try_from(number)?)?;
            world.desk.stock(&card)?.ok()?;
            cards.push(card);
        }
        Ok(Self { world, pcscd, cards })
    }

    fn batch(&self, readers: &[usize]) -> Result<Run> {
        let run = self.world.desk.keyed(&["batch"])?.arg(self.world.path("list.csv"));
        let run = run.arg("--pin-folder").arg(self.pins()).arg("--card");
        Ok(run.args(readers.iter().map(|reader| format!("pcsc:{}", self.pcscd.reader_name(*reader)))))
    }

    fn pins(&self) -> PathBuf {
        self.world.path("pins")
    }

    fn insert(&self, reader: usize, card: usize) -> Result<Inserted> {
        let card = self.cards.get(card).context("no such card")?;
        self.pcscd.insert(reader, &card.state)
    }

    /// A card that is gone when its second key is asked for (GENERATE ASYMMETRIC KEY PAIR, SP 800-73-5 part 2, 3.3.2).
    fn insert_to_be_pulled(&self, reader: usize, card: usize) -> Result<Server> {
        let card = self.cards.get(card).context("no such card")?;
        let pulled = self.pcscd.in_network(program("vpcd-card")?);
        let pulled = pulled.args([&Pcscd::vpcd_address(reader)?, "pull"]).arg(&card.state).args(["47", "9C"]);
        pulled.serve(&self.world.path("pulled.log"))
    }

    fn log(&self) -> PathBuf {
        self.world.path("batch.log")
    }

    /// Waits until the log of the batch says this so many times.
    fn says(&self, batch: &mut Server, words: &str, times: usize) -> Result<()> {
        let log = self.log();
        batch.wait_until(words, || {
            Ok(String::from_utf8_lossy(&fs::read(&log)?).matches(words).count() >= times)
        })
    }

    fn checked(&self, card: usize) -> Result<serde_json::Value> {
        let card = self.cards.get(card).context("no such card")?;
        let run = self.world.desk.keyed(&["--json", "check", "--card", &card.locator()])?;
        Ok(serde_json::from_str(&run.ok()?.out())?)
    }

    fn holder(&self, card: usize) -> Result<String> {
        let checked = self.checked(card)?;
        Ok(checked
            .get("holder")
            .and_then(|holder| holder.as_str())
            .context("nobody has the card")?
            .to_owned())
    }

    /// Card, registry and authority agree, with the PIN in the file of a holder.
    fn agree(&self, card: usize) -> Result<()> {
        let checked = self.checked(card)?;
        let is_so = |key: &str, value: serde_json::Value| checked.get(key) == Some(&value);
        ensure!(is_so("agrees", true.into()) && is_so("state", "awaiting activation".into()), "{checked}");
        let pin = self.pins().join(format!("{}.pin", self.holder(card)?));
        let card = self.cards.get(card).context("no such card")?;
        let run = self.world.desk.keyed(&["check", "--card", &card.locator()])?;
        run.arg("--pin-file").arg(pin).ok()?;
        Ok(())
    }
}

fn yubikey(folder: &Path, number: u32) -> Result<CardFile> {
    CardFile::yubikey(folder, &format!("c{number}"), "5.7", 71_000_000 + number)
}

fn standard(folder: &Path, number: u32) -> Result<CardFile> {
    CardFile::standard(folder, &format!("c{number}"))
}

#[test]
fn card_after_card_at_two_readers_and_one_is_pulled_in_the_middle() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let story = Story::new(root, 4, yubikey)?;
    let mut batch = story.batch(&[0, 1])?.serve(&story.log())?;
    story.says(&mut batch, "insert the next card", 2)?;
    // Gone in the middle of its keys: the registry says so.
    let mut first = story.insert_to_be_pulled(0, 0)?;
    ensure!(first.end_within(PATIENCE)?.success(), "{}", first.log());
    let second = story.insert(1, 1)?;
    story.says(&mut batch, "half-made", 1)?;
    story.says(&mut batch, "(at pcsc:", 2)?;
    let report = story.world.desk.command(&["report", "states", "--csv"])?.ok()?;
    ensure!(report.out().contains("being personalised,1"), "{report}");
    // The half-made one is gone on with wherever it comes next; its row is nobody else's.
    story.pcscd.wait_until_empty(0)?;
    let third = story.insert(0, 2)?;
    story.says(&mut batch, "(at pcsc:", 3)?;
    third.remove()?;
    story.pcscd.wait_until_empty(0)?;
    let again = story.insert(0, 0)?;
    story.says(&mut batch, "(at pcsc:", 4)?;
    again.remove()?;
    story.pcscd.wait_until_empty(0)?;
    let last = story.insert(0, 3)?;
    ensure!(batch.end_within(std::time::Duration::from_secs(120))?.success(), "{}", batch.log());
    ensure!(batch.log().contains("4 of 4 cards are done"), "{}", batch.log());
    second.remove()?;
    last.remove()?;
    for card in 0..4 {
        story.agree(card)?;
    }
    Ok(())
}

/// What a batch that waits for the next card still has in memory, as a core dump shows it: no PIN, PUK or management key of
/// the cards it made, and no passphrase. That the search finds what is there, the next person's address shows.
#[test]
fn a_core_of_a_batch_that_waits_holds_no_secret_of_a_finished_card() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let story = Story::new(root, 3, standard)?;
    let mut batch = story.batch(&[0])?.serve(&story.log())?;
    for card in 0..2 {
        story.says(&mut batch, "insert the next card", card + 1)?;
        let inserted = story.insert(0, card)?;
        story.says(&mut batch, "(at pcsc:", card + 1)?;
        inserted.remove()?;
        story.pcscd.wait_until_empty(0)?;
    }
    story.says(&mut batch, "insert the next card", 3)?;
    let core = story.world.path("core");
    let pid = batch.pid().as_raw_nonzero().to_string();
    Run::new("gcore").arg("-o").arg(&core).arg(&pid).ok()?;
    let image = fs::read(story.world.path(&format!("core.{pid}")))?;
    ensure!(is_in(&image, b"p3@example.org"), "the core is not that of the batch");
    let mut secrets = vec![("the passphrase".to_owned(), PASSPHRASE.as_bytes().to_vec())];
    for (number, card) in story.cards.iter().take(2).enumerate() {
        let holder = story.holder(number)?;
        let digits = fs::read_to_string(story.pins().join(format!("{holder}.pin")))?;
        secrets.push((format!("the PIN of {holder}"), digits.trim().as_bytes().to_vec()));
        secrets.push((format!("the PUK of {holder}'s card"), card.stock_value("puk")?.into_bytes()));
        let hex = card.stock_value("management_key")?;
        secrets.push((format!("the management key of {holder}'s card"), from_hex(&hex)?));
        secrets.push((format!("the management key of {holder}'s card, in hex"), hex.into_bytes()));
    }
    let found: Vec<_> =
        secrets.iter().filter(|(_, secret)| is_in(&image, secret)).map(|(name, _)| name).collect();
    ensure!(found.is_empty(), "in the core: {found:?}");
    Ok(())
}

fn is_in(haystack: &[u8], needle: &[u8]) -> bool {
    memmem::find(haystack, needle).is_some()
}

fn from_hex(text: &str) -> Result<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}
