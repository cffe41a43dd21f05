//! Our own library is a client of our own module: the issuer's root key lies on a card that it reaches by PKCS#11.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::Result;
use sealwright_tests::card::{CardFile, FACTORY_PIN};
use sealwright_tests::pkcs11::Clients;
use sealwright_tests::privilege::Root;
use sealwright_tests::programs::program;
use sealwright_tests::world::World;

#[test]
fn the_root_signs_with_a_card_s_key_through_our_module() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::empty()?;
    let pcscd = world.pcscd(root, 2)?;
    let card = CardFile::yubikey(world.folder(), "root", "5.7", 5_700_004)?;
    let _inserted = pcscd.insert(0, &card.state)?;
    let clients = Clients::new(&pcscd, world.folder())?;
    clients.personalise("01", "rsa:3072", "rsa")?;
    // The PIN is asked for before each signature, and the module is told so.
    clients.personalise("02", "EC:secp384r1", "p384")?;
    for (name, secret) in [("pin", FACTORY_PIN), ("passphrase", "a long passphrase")] {
        fs::write(clients.path(name), secret)?;
        fs::set_permissions(clients.path(name), fs::Permissions::from_mode(0o600))?;
    }
    for id in ["01", "02"] {
        let issuer = |words: &[&str]| -> Result<_> {
            let run = clients.run(&program("issuer")?.display().to_string()).env("HOME", world.folder());
            let run = run.args(["--home", &format!("desk{id}")]).args(words);
            Ok(run.args(["--passphrase-file", "passphrase", "--key-pin-file", "pin"]))
        };
        let key = format!("pkcs11:id=%{id};type=private?module-path={}", clients.module().display());
        let init = ["init", "--organization", "Example", "--domain", "example.org", "--allow-emulated"];
        let init =
            issuer(&[&init[..], &["--base-url", "http://pki.example.org", "--root-key", &key]].concat())?;
        init.ok()?;
        let published = format!("published{id}");
        issuer(&["publish", "--to", &published])?.ok()?;
        // OpenSSL finds the card's key in the root, and the root's signature good.
        clients.export_public_key(id, "card.pub")?;
        let anchor = format!("{published}/anchor.pem");
        let of_root = clients.run("openssl").args(["x509", "-in", &anchor, "-noout", "-pubkey"]).ok()?;
        assert_eq!(of_root.stdout, fs::read(clients.path("card.pub"))?, "{id}");
        clients.run("openssl").args(["verify", "-check_ss_sig", "-CAfile", &anchor, &anchor]).ok()?;
    }
    Ok(())
}
