//! The published directory on a disk that is full, and on one that may be read only: what readers find stays whole, nothing
//! is lost, and the next run completes it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use sealwright_tests::disk::files;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::programs::program;
use sealwright_tests::world::World;

/// What happens on the disk, in a mount namespace of its own; after each step what is published is copied, and the exit
/// code is written down.
const STEPS: &str = r#"
mount -t tmpfs -o size=8m tmpfs "$PUBLISHED"
publish() {
  code=0
  "$ISSUER" --home "$DESK" --passphrase-file "$PASSPHRASE" publish --to "$PUBLISHED" > "$OUT/$1.out" 2>&1 || code=$?
  echo "$code" > "$OUT/$1.code"
  mkdir "$OUT/$1"
  cp -r "$PUBLISHED"/certificates "$PUBLISHED"/crl "$PUBLISHED"/*.pem "$OUT/$1" 2> "$OUT/$1.err" || true
}
publish whole
"$ISSUER" --home "$DESK" revoke alice@example.org --reason key-compromise > "$OUT/revoked.out"
"$ISSUER" --home "$DESK" --passphrase-file "$PASSPHRASE" issue bob@example.org --card "$BOB" \
  --transport-pin-file "$OUT/bob.pin" > "$OUT/issued.out"
dd if=/dev/zero of="$PUBLISHED/ballast" bs=4096 2> "$OUT/ballast.err" || true
publish full
"$ISSUER" --home "$DESK" --json target list > "$OUT/targets.json"
rm "$PUBLISHED/ballast"
mount -o remount,ro "$PUBLISHED"
publish readonly
mount -o remount,rw "$PUBLISHED"
publish again
find "$PUBLISHED" -name '.unfinished*' > "$OUT/unfinished"
"#;

struct Disk<'a> {
    out: &'a Path,
    leaf: &'a Path,
}

impl Disk<'_> {
    fn read(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.out.join(name)).with_context(|| name.to_owned())
    }

    /// Whether openssl accepts Alice's certificate by what a reader found after this step.
    fn accepts(&self, step: &str) -> Result<bool> {
        let file = |name: &str| self.out.join(step).join(name);
        let verify = Run::new("openssl").args(["verify", "-x509_strict", "-crl_check_all", "-CAfile"]);
        let verify = verify.arg(file("anchor.pem")).arg("-untrusted").arg(file("ca-chain.pem"));
        let judged = verify.arg("-CRLfile").arg(file("crl.pem")).arg(self.leaf).outcome()?;
        ensure!(judged.code == Some(0) || judged.err().contains("certificate revoked"), "{step}: {judged}");
        Ok(judged.code == Some(0))
    }
}

#[test]
fn a_published_directory_that_is_full_or_read_only_stays_whole_and_is_completed() -> Result<()> {
    let Some(_root) = Root::or_skip("a small disk of its own")? else { return Ok(()) };
    let world = World::new()?;
    let card = world.blank_card("alice")?;
    world.hand_out("alice", &card, &card.locator(), &["--algorithm", "p256"])?;
    let bob = world.blank_card("bob")?;
    world.desk.stock(&bob)?.ok()?;
    let (published, out, leaf) = (world.path("disk"), world.path("out"), world.path("alice.pem"));
    fs::create_dir(&published)?;
    fs::create_dir(&out)?;
    let steps = Run::new("unshare").args(["--mount", "--", "bash", "-eu", "-c", STEPS]);
    steps
        .env("ISSUER", program("issuer")?)
        .env("DESK", world.desk.home())
        .env("PASSPHRASE", world.desk.home().with_file_name("passphrase"))
        .env("PUBLISHED", &published)
        .env("BOB", bob.locator())
        .env("OUT", &out)
        .ok()?;

    let certificate =
        files(&out.join("whole/certificates"))?.into_iter().next().context("nothing was published")?;
    Run::new("openssl")
        .args(["x509", "-inform", "DER", "-in"])
        .arg(certificate)
        .arg("-out")
        .arg(&leaf)
        .ok()?;
    let disk = Disk { out: &out, leaf: &leaf };
    for (step, code, word, accepted) in [
        ("whole", "0", "Published in", true),
        // The revocation came first and is out; what had no room, Bob's new certificates, is not.
        ("full", "1", "No space left on device; make room", false),
        ("readonly", "1", "Read-only file system; let it", false),
        ("again", "0", "4 certificates for mail", false),
    ] {
        let said = disk.read(&format!("{step}.out"))?;
        ensure!(disk.read(&format!("{step}.code"))?.trim() == code && said.contains(word), "{step}: {said}");
        ensure!(disk.accepts(step)? == accepted, "{step}: {said}");
    }
    let targets: serde_json::Value = serde_json::from_str(&disk.read("targets.json")?)?;
    let full = targets.get(0).context("no target")?;
    ensure!(full["failures"] == 1 && full["waiting"].as_u64() > Some(0), "{full}");
    ensure!(full["trouble"].to_string().contains("No space left"), "{full}");
    let of_bob = |step: &str| {
        files(&out.join(step).join("certificates"))
            .map(|files| files.iter().filter(|file| file.to_string_lossy().contains("bob@")).count())
    };
    ensure!(of_bob("full")? < 2 && of_bob("again")? == 2, "Bob's certificates are not as they should be");
    ensure!(disk.read("unfinished")?.is_empty(), "{}", disk.read("unfinished")?);
    Ok(())
}
