//! Our PKCS#11 module asks for the PIN itself, by pinentry, where the user has set that: the application never has it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::Result;
use sealwright_tests::card::{CardFile, FACTORY_PIN};
use sealwright_tests::pkcs11::Clients;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::world::World;

/// An Assuan server as pinentry is one, which writes down what it is told and answers GETPIN by this line.
fn pinentry(clients: &Clients<'_>, answer: &str) -> Result<()> {
    let script = format!(
        "#!/bin/sh\necho OK ready\nwhile read -r line; do\n  echo \"$line\" >> {said}\n  case \"$line\" in\n  \
         GETPIN) {answer} ;;\n  *) echo OK ;;\n  esac\ndone\n",
        said = clients.path("said").display()
    );
    fs::write(clients.path("pinentry"), script)?;
    fs::write(clients.path("said"), "")?;
    fs::set_permissions(clients.path("pinentry"), fs::Permissions::from_mode(0o700))?;
    Ok(())
}

#[test]
fn pkcs11_tool_signs_with_pins_that_pinentry_asks_for() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::empty()?;
    let pcscd = world.pcscd(root, 2)?;
    let card = CardFile::yubikey(world.folder(), "card", "5.7", 5_700_005)?;
    let _inserted = pcscd.insert(0, &card.state)?;
    let clients = Clients::new(&pcscd, world.folder())?;
    clients.personalise("02", "EC:prime256v1", "p256")?;
    fs::write(clients.path("data"), "what is signed")?;
    let asking = || -> Run {
        let run = clients.pkcs11_tool().env("SEALWRIGHT_PINENTRY", clients.path("pinentry"));
        run.env("SEALWRIGHT_PKCS11_PINENTRY", "1")
    };
    let said = || fs::read_to_string(clients.path("said"));
    let signs = || {
        let sign = asking().args(["--login", "--sign", "--id", "02", "--mechanism", "ECDSA-SHA256"]);
        let sign = sign.args(["--signature-format", "openssl", "--input-file", "data"]);
        sign.args(["--output-file", "signature"])
    };

    // Off by default: the token says so, and no program is started.
    pinentry(&clients, &format!("echo D {FACTORY_PIN}; echo OK"))?;
    assert!(!clients.pkcs11_tool().arg("--list-slots").ok()?.out().contains("PIN pad present"));
    assert!(asking().arg("--list-slots").ok()?.out().contains("PIN pad present"));
    assert_eq!(said()?, "");

    // Once for the login, and once for the signature with 9C.
    signs().ok()?;
    let verify = clients.run("openssl").args(["dgst", "-sha256", "-verify", "p256.pub", "-signature"]);
    assert!(verify.args(["signature", "data"]).ok()?.out().contains("Verified OK"));
    let asked = said()?;
    assert_eq!(asked.matches("GETPIN").count(), 2, "{asked}");
    assert!(asked.contains("PIN of card ") && asked.contains("for one signature"), "{asked}");

    pinentry(&clients, "echo D 999999; echo OK")?;
    assert!(signs().fails_with(1)?.text().contains("CKR_PIN_INCORRECT"));
    // Who closes the window has spent no try.
    pinentry(&clients, "echo 'ERR 83886179 Operation cancelled'")?;
    assert!(signs().fails_with(1)?.text().contains("CKR_FUNCTION_CANCELED"));
    assert!(said()?.contains("2 tries left"), "{}", said()?);
    Ok(())
}
