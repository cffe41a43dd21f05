//! CA keys in files, behind SoftHSM2 and on cards in readers under a real pcscd: the same ceremony and the same roll-over of
//! the root give the same results, which openssl accepts; and a card or token that is taken away while CRLs are signed stops
//! its own authority only.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use sealwright_tests::card::{CardFile, FACTORY_PIN};
use sealwright_tests::disk::files;
use sealwright_tests::pcscd::{Inserted, Pcscd};
use sealwright_tests::pkcs11::Clients;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::programs::program;
use sealwright_tests::world::World;

const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";

const CEREMONY: &str = r#"
organization = "Example"
domains = ["example.org"]
base_url = "http://pki.example.org"
allow_emulated = true
witnesses = ["Ada Ames"]
"#;

/// Where the keys of two roots are, the second made to follow the first.
struct Keys {
    root: String,
    next_root: String,
    /// Their public keys, PEM, where somebody else's tool told them.
    told: Vec<String>,
}

/// An authority whose root's keys are somewhere.
struct Authority<'a> {
    world: &'a World,
    keys: Keys,
}

impl Authority<'_> {
    fn command(&self, words: &[&str]) -> Result<Run> {
        let run = self.world.desk.keyed(words)?.arg("--key-pin-file").arg(self.world.path("pin"));
        Ok(run.env("SOFTHSM2_CONF", self.world.path("softhsm.conf")))
    }

    fn published(&self, name: &str) -> PathBuf {
        self.world.desk.published().join(name)
    }

    fn publish(&self) -> Result<()> {
        self.command(&["publish"])?.arg("--to").arg(self.world.desk.published()).ok()?;
        Ok(())
    }

    /// Declared, shown, confirmed, published.
    fn hold_ceremony(&self) -> Result<()> {
        self.declare(&format!("root = \"{}\"", self.keys.root))
    }

    /// The same with the keys of these authorities elsewhere, TOML.
    fn declare(&self, keys: &str) -> Result<()> {
        let declaration = self.world.path("ceremony.toml");
        fs::write(self.world.path("pin"), format!("{FACTORY_PIN}\n"))?;
        fs::write(&declaration, format!("{CEREMONY}[keys]\n{keys}\n"))?;
        let shown = self.command(&["init"])?.arg("--ceremony").arg(&declaration).fails_with(1)?;
        ensure!(shown.err().contains("authority root:"), "{shown}");
        let digest = shown.err().split("--confirm ").nth(1).context("no digest")?.trim().to_owned();
        self.command(&["init"])?.arg("--ceremony").arg(&declaration).args(["--confirm", &digest]).ok()?;
        self.publish()
    }

    /// A second root, an authority below it, and both published beside the first.
    fn roll_over(&self) -> Result<()> {
        fs::copy(self.published("anchor.pem"), self.world.path("first-root.pem"))?;
        self.command(&["ca", "rollover", "root", "--key", &self.keys.next_root])?.ok()?;
        self.command(&["ca", "rollover", "people"])?.ok()?;
        self.publish()
    }

    /// What the roots certified verifies under the first of them alone, as under both; their keys are the ones that were told.
    fn judge(&self) -> Result<()> {
        let mut keys = Vec::new();
        for file in files(&self.published("ca"))? {
            let pem = self.world.path("one.pem");
            Run::new("openssl")
                .args(["x509", "-inform", "DER", "-in"])
                .arg(&file)
                .arg("-out")
                .arg(&pem)
                .ok()?;
            let field = |name: &str| {
                anyhow::Ok(Run::new("openssl").args(["x509", "-noout", name, "-in"]).arg(&pem).ok()?.out())
            };
            keys.push(field("-pubkey")?);
            // The second root stands for itself; to whoever trusts the first it comes as that one certified it.
            let is_root = field("-subject")?.replace("subject", "issuer") == field("-issuer")?;
            let first = self.world.path("first-root.pem");
            for anchor in [self.published("anchor.pem"), first].iter().take(if is_root { 1 } else { 2 }) {
                let verify =
                    Run::new("openssl").args(["verify", "-x509_strict", "-crl_check_all", "-CAfile"]);
                let verify = verify.arg(anchor).arg("-untrusted").arg(self.published("ca-chain.pem"));
                verify.arg("-CRLfile").arg(self.published("crl.pem")).arg(&pem).ok()?;
            }
        }
        for told in &self.keys.told {
            ensure!(keys.iter().any(|key| key.trim() == told.trim()), "no CA certificate is for {told}");
        }
        ensure!(!self.world.desk.home().join("keys/root.pem").exists() || self.keys.root == "file");
        self.command(&["lint"])?.arg(self.published("ca-chain.pem")).ok()?;
        Ok(())
    }

    /// What was published, without what differs from key to key and from second to second.
    fn essence(&self) -> Result<Vec<String>> {
        let mut all = Vec::new();
        for (folder, kind) in [("ca", "x509"), ("crl", "crl")] {
            for file in files(&self.published(folder))? {
                let show =
                    Run::new("openssl").args([kind, "-inform", "DER", "-noout", "-text", "-in"]).arg(&file);
                let options = ["-certopt", "no_pubkey,no_sigdump,no_serial,no_validity"];
                let text = show.args(options.into_iter().filter(|_| kind == "x509")).ok()?.out();
                let text = text.split("Signature Value").next().unwrap_or_default();
                // "..20": expiredCertsOnCRL, a time that openssl does not decode.
                let times = |line: &&str| line.contains("Update:") || line.trim_start().starts_with("..20");
                all.push(text.lines().filter(|line| !times(line)).map(without_identifiers).collect());
            }
        }
        all.sort();
        Ok(all)
    }
}

/// Runs of 40 hexadecimal digits, with colons or without, are key identifiers.
fn without_identifiers(line: &str) -> String {
    let is_digit = |character: char| character.is_ascii_hexdigit();
    let one = |word: &str| {
        let digits = word.trim_end_matches(|character| !is_digit(character));
        let is_identifier = digits.chars().filter(|character| is_digit(*character)).count() == 40;
        if is_identifier { word.replace(digits, "IDENTIFIER") } else { word.to_owned() }
    };
    let words = line.split_inclusive(|character| !is_digit(character) && character != ':');
    words.map(one).chain(["\n".to_owned()]).collect()
}

/// A token with a P-256 key for each root.
fn on_token(world: &World) -> Result<Keys> {
    fs::create_dir(world.path("tokens"))?;
    let tokens = world.path("tokens").display().to_string();
    fs::write(world.path("softhsm.conf"), format!("directories.tokendir = {tokens}\n"))?;
    let tool = |name: &str| Run::new(name).env("SOFTHSM2_CONF", world.path("softhsm.conf"));
    let pins = ["--pin", FACTORY_PIN, "--so-pin", "12345678"];
    tool("softhsm2-util").args(["--init-token", "--free", "--label", "CA"]).args(pins).ok()?;
    for (label, id) in [("root", "01"), ("next", "02")] {
        let login = ["--module", SOFTHSM, "--token-label", "CA", "--login", "--pin", FACTORY_PIN];
        let key = ["--keypairgen", "--key-type", "EC:prime256v1", "--label", label, "--id", id];
        tool("pkcs11-tool").args(login).args(key).ok()?;
    }
    let place = |label: &str| format!("pkcs11:token=CA;object={label}?module-path={SOFTHSM}");
    Ok(Keys { root: place("root"), next_root: place("next"), told: Vec::new() })
}

/// A card in each of two readers, with a P-256 key in 9C that Yubico's tool made. Debian's speaks 3DES management keys only.
fn on_cards(world: &World, pcscd: &Pcscd) -> Result<(Keys, [Inserted; 2])> {
    let mut told = Vec::new();
    let mut insert = |reader: usize| -> Result<Inserted> {
        let serial = 5_400_000 + u32::try_from(reader)?;
        let card = CardFile::yubikey(world.folder(), &format!("root{reader}"), "5.4", serial)?;
        let inserted = pcscd.insert(reader, &card.state)?;
        let tool =
            Run::new("yubico-piv-tool").envs([&pcscd.environment()]).args(["-r", &pcscd.reader_name(reader)]);
        let made = tool.args(["-a", "generate", "-s", "9c", "-A", "ECCP256"]).ok()?;
        told.push(made.out());
        Ok(inserted)
    };
    let inserted = [insert(0)?, insert(1)?];
    let place = |reader: usize| format!("card:pcsc:{}", pcscd.reader_name(reader));
    Ok((Keys { root: place(0), next_root: place(1), told }, inserted))
}

#[test]
fn a_root_in_a_file_on_a_token_and_on_cards_in_readers_gives_the_same_results() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd")? else { return Ok(()) };
    let worlds = [World::empty()?, World::empty()?];
    let mut with_readers = World::empty()?;
    let pcscd = with_readers.pcscd(root, 2)?;
    let (keys, inserted) = on_cards(&with_readers, &pcscd)?;
    let in_file = Keys { root: "file".to_owned(), next_root: "file".to_owned(), told: Vec::new() };
    let on_token = on_token(&worlds[1])?;
    let authorities = [
        Authority { world: &worlds[0], keys: in_file },
        Authority { world: &worlds[1], keys: on_token },
        Authority { world: &with_readers, keys },
    ];
    let hold = |authority: &Authority<'_>| {
        authority.hold_ceremony()?;
        authority.roll_over()?;
        authority.judge()?;
        authority.essence()
    };
    let mut results = std::thread::scope(|scope| {
        let running = authorities.each_ref().map(|authority| scope.spawn(|| hold(authority)));
        running.map(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("it panicked")))
    })
    .into_iter();
    let mut next = || results.next().context("three results")?;
    let expected = next()?;
    // Two roots, two authorities for people, one for servers; and the CRL of each.
    ensure!(expected.len() == 5 + 5, "{} results", expected.len());
    ensure!(next()? == expected, "the token's results are others than the file's");
    ensure!(next()? == expected, "the cards' results are others than the file's");

    // Without its card the root signs nothing; the authorities below it go on.
    let on_cards = &authorities[2];
    for card in inserted {
        card.remove()?;
    }
    pcscd.wait_until_empty(0)?;
    pcscd.wait_until_empty(1)?;
    let refused = on_cards.command(&["ca", "rollover", "servers"])?.fails_with(1)?;
    ensure!(refused.err().contains("card"), "{refused}");
    on_cards.command(&["publish", "--pending"])?.ok()?;
    Ok(())
}

/// A desk whose authorities have their keys on a card and on a token.
struct Scattered<'a> {
    authority: Authority<'a>,
    pcscd: Pcscd,
}

impl Scattered<'_> {
    /// This card is gone from the reader when this command arrives (hexadecimal INS and P2).
    fn insert_to_be_pulled(
        &self,
        (reader, card): (usize, &str),
        [instruction, p2]: [&str; 2],
    ) -> Result<Inserted> {
        let state = self.authority.world.path(card);
        let run = self.pcscd.in_network(program("vpcd-card")?);
        let run = run.args([&Pcscd::vpcd_address(reader)?, "pull"]).arg(state).args([instruction, p2]);
        self.pcscd.insert_program(reader, run)
    }

    /// Number of each published CRL by its issuer, and whether it revokes anything; openssl reads them.
    fn crls(&self) -> Result<BTreeMap<String, (u32, bool)>> {
        let mut crls = BTreeMap::new();
        for file in files(&self.authority.published("crl"))? {
            ensure!(
                file.extension().is_some_and(|extension| extension == "crl"),
                "{} is left",
                file.display()
            );
            let shown =
                Run::new("openssl").args(["crl", "-inform", "DER", "-noout", "-text", "-in"]).arg(&file);
            let text = shown.ok()?.out();
            let after = |word: &str| text.split(word).nth(1).unwrap_or_default().lines();
            let issuer = after("Issuer: ").next().context("an issuer")?.to_owned();
            let number = after("CRL Number:").nth(1).context("a number")?.trim().parse()?;
            crls.insert(issuer, (number, text.contains("Serial Number:")));
        }
        Ok(crls)
    }

    /// `publish`, which leaves out one authority, names it and says why; the CRLs of the others are new.
    fn publishes_without(&self, away: &str, words: &[&str]) -> Result<()> {
        let before = self.crls()?;
        let run = self.authority.command(&["publish"])?.fails_with(3)?;
        for word in words {
            ensure!(run.err().contains(word), "{word}: {run}");
        }
        ensure!(run.err().matches("were not signed").count() == 1, "{run}");
        let after = self.crls()?;
        ensure!(after.len() == before.len() && before.len() == 3, "{after:?}");
        for (issuer, (number, _)) in &after {
            let was = before.get(issuer).context("an authority of before")?.0;
            ensure!((*number == was) == issuer.contains(away), "{issuer}: {number} after {was}");
        }
        Ok(())
    }

    /// `publish`, which signs new CRLs of all, and leaves nothing behind.
    fn publishes_all(&self) -> Result<()> {
        let before = self.crls()?;
        self.authority.command(&["publish"])?.ok()?;
        let is_newer = |(issuer, (number, _)): (&String, &(u32, bool))| {
            before.get(issuer).is_some_and(|was| was.0 < *number)
        };
        ensure!(self.crls()?.iter().all(is_newer), "not all are new");
        let desk = &self.authority.world.desk;
        desk.command(&["audit", "verify", "--published"])?.arg(desk.published()).ok()?;
        Ok(())
    }
}

#[test]
fn a_card_or_token_that_is_taken_away_while_crls_are_signed_stops_its_own_authority_only() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd")? else { return Ok(()) };
    let mut world = World::empty()?;
    let pcscd = world.pcscd(root, 5)?;
    let (mut on_cards, [card, other]) = on_cards(&world, &pcscd)?;
    other.remove()?;
    // In whichever reader it is: pcscd overlooks a card that is back in the one that it was pulled out of.
    on_cards.root = "card:pcsc:serial=5400000".to_owned();
    let on_token = on_token(&world)?;
    let keys = format!("people = \"{}\"\nservers = \"{}\"", on_cards.root, on_token.root);
    let story = Scattered { authority: Authority { world: &world, keys: on_cards }, pcscd };
    story.authority.declare(&keys)?;
    world.desk.import_staff(&[("Alice Archer", "alice@example.org")])?.ok()?;
    let alices = world.blank_card("alice")?;
    world.desk.stock(&alices)?.ok()?;
    let issue = story.authority.command(&["issue", "alice@example.org", "--card", &alices.locator()])?;
    issue.arg("--transport-pin-file").arg(world.path("alice.pin")).ok()?;
    world.desk.revoke("alice@example.org", "key-compromise")?.ok()?;

    // At the PIN, and at the signature itself (VERIFY and GENERAL AUTHENTICATE, SP 800-73-5 part 2, sections 3.2.1 and 3.2.4).
    card.remove()?;
    for (reader, moment) in [(2, ["20", "80"]), (3, ["87", "9C"])] {
        let pulled = story.insert_to_be_pulled((reader, "root0.card"), moment)?;
        let words = ["CRLs of the authority people were not signed", "card", "issuer publish"];
        story.publishes_without("People", &words)?;
        drop(pulled);
    }
    // The token's folder: what is left of a token without its device.
    let card = story.pcscd.insert(4, &world.path("root0.card"))?;
    fs::rename(world.path("tokens"), world.path("taken"))?;
    fs::create_dir(world.path("tokens"))?;
    story.publishes_without("Servers", &["CRLs of the authority servers were not signed", "token"])?;
    ensure!(story.crls()?.iter().all(|(issuer, (_, revokes))| *revokes == issuer.contains("People")));
    // The same command afterwards.
    fs::remove_dir(world.path("tokens"))?;
    fs::rename(world.path("taken"), world.path("tokens"))?;
    story.publishes_all()?;
    drop(card);
    Ok(())
}

/// A token of our own module, whose card goes when the signature is asked for: the session is open and its user logged in.
#[test]
fn a_token_that_is_taken_away_in_the_middle_of_a_signature_stops_its_own_authority_only() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd")? else { return Ok(()) };
    let mut world = World::empty()?;
    let pcscd = world.pcscd(root, 4)?;
    let card = CardFile::yubikey(world.folder(), "token", "5.7", 5_700_100)?;
    let inserted = pcscd.insert(0, &card.state)?;
    let clients = Clients::new(&pcscd, world.folder())?;
    clients.personalise("02", "EC:prime256v1", "servers")?;
    let place = format!("pkcs11:id=%02;type=private?module-path={}", clients.module().display());
    let keys = Keys { root: "file".to_owned(), next_root: "file".to_owned(), told: Vec::new() };
    let story = Scattered { authority: Authority { world: &world, keys }, pcscd };
    story.authority.declare(&format!("servers = \"{place}\""))?;

    inserted.remove()?;
    // GENERAL AUTHENTICATE, SP 800-73-5 part 2, section 3.2.4.
    let pulled = story.insert_to_be_pulled((1, "token.card"), ["87", "9C"])?;
    let words = ["CRLs of the authority servers were not signed", "the token was taken away", "put it back"];
    story.publishes_without("Servers", &words)?;
    drop(pulled);
    // Before anything was begun with it.
    story.publishes_without("Servers", &["CRLs of the authority servers were not signed", "token"])?;
    let back = story.pcscd.insert(2, &card.state)?;
    story.publishes_all()?;
    drop(back);
    Ok(())
}
