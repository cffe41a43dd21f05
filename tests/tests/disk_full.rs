//! The registry's disk is full in the middle of a card: that is said, and the same command goes on when there is room.

use anyhow::{Result, ensure};
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::programs::program;
use sealwright_tests::world::World;

/// In a mount namespace of its own: the home lies on a small file system, filled but for so many kilobytes; `issue` is run
/// with a little more room each time, until it gets through.
const SCRIPT: &str = r#"
set -eu
home=$1 issuer=$2 passphrase=$3 card=$4 folder=$5
cp -a "$home" "$folder/copy"
mount -t tmpfs -o size=6m tmpfs "$home"
cp -a "$folder/copy/." "$home/"
free=0
while :; do
  head -c 64M /dev/zero 2>/dev/null >"$home/filler" || true
  truncate -s "-${free}K" "$home/filler"
  status=0
  "$issuer" --home "$home" --passphrase-file "$passphrase" issue alice@example.org --card "$card" \
    --transport-pin-file "$folder/alice.pin" 2>"$folder/said" >/dev/null || status=$?
  grep '^issuer: ' "$folder/said" | sed "s/^/$free $status /" || true
  rm "$home/filler"
  [ "$status" -ne 0 ] || break
  free=$((free + 24))
done
"$issuer" --home "$home" --passphrase-file "$passphrase" check --card "$card" --pin-file "$folder/alice.pin"
"$issuer" --home "$home" audit verify
umount "$home"
"#;

#[test]
fn a_full_disk_is_said_and_the_card_is_gone_on_with_when_there_is_room() -> Result<()> {
    let Some(_root) = Root::or_skip("a small file system")? else { return Ok(()) };
    let world = World::new()?;
    let card = world.blank_card("alice")?;
    world.desk.stock(&card)?.ok()?;
    let run = Run::new("unshare").args(["--mount", "sh", "-c", SCRIPT, "sh"]).arg(world.desk.home());
    let run = run.arg(program("issuer")?).arg(world.desk.home().with_file_name("passphrase"));
    let outcome = run.arg(card.locator()).arg(world.folder()).ok()?;
    let said = outcome.out();
    let failed: Vec<_> = said.lines().filter(|line| line.contains(" issuer: ")).collect();
    ensure!(failed.len() >= 5, "the disk was hardly ever full:\n{said}");
    for line in failed {
        ensure!(line.contains(" 1 issuer: ") && line.contains("the disk of the registry is full"), "{line}");
    }
    ensure!(said.contains("card, registry and authority agree."), "{said}");
    ensure!(said.contains("The log is whole"), "{said}");
    Ok(())
}
