//! CA keys in files, behind SoftHSM2 and on cards in readers under a real pcscd: the same ceremony and the same roll-over of
//! the root give the same results, which openssl accepts.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use sealwright_tests::card::{CardFile, FACTORY_PIN};
use sealwright_tests::disk::files;
use sealwright_tests::pcscd::{Inserted, Pcscd};
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
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
        let declaration = self.world.path("ceremony.toml");
        fs::write(self.world.path("pin"), format!("{FACTORY_PIN}\n"))?;
        fs::write(&declaration, format!("{CEREMONY}[keys]\nroot = \"{}\"\n", self.keys.root))?;
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
