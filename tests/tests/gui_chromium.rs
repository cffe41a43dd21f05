//! Chromium itself, in a window that nobody sees, shows a server the holder's certificate by our module; the PIN is typed
//! into its dialog. Only with `scripts/test --full`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use sealwright_tests::desktop::{Desktop, wanted};
use sealwright_tests::ports::free_port;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::programs::folder;
use sealwright_tests::world::World;

#[test]
fn chromium_logs_in_with_the_certificate_of_9a_after_the_pin_was_typed() -> Result<()> {
    let (true, Some(root)) = (wanted("Chromium"), Root::or_skip("pcscd in a private namespace")?) else {
        return Ok(());
    };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, _, _inserted) = world.person_at_reader(&pcscd, 0, "alice", "rsa2048")?;
    let published = world.desk.published();
    let (certify, tls) = world.desk.certify_server("post.example.org")?;
    certify.ok()?;

    let port = free_port()?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/gui/client_certificate_server.py");
    let server =
        Run::new("python3").arg(script).arg(port.to_string()).arg(with_chain(&world, &tls.certificate)?);
    let server = server.arg(&tls.key).arg(world.desk.anchor()).arg(published.join("ca-chain.pem"));
    let mut server = server.serve(&world.path("server.log"))?;
    server.wait_until("it listens", || {
        Ok(fs::read_to_string(world.path("server.log"))?.contains("listening"))
    })?;

    let home = world.path("browser");
    let database = format!("sql:{}", home.join(".pki/nssdb").display());
    fs::create_dir_all(home.join(".pki/nssdb"))?;
    Run::new("certutil").args(["-N", "-d", &database, "--empty-password"]).ok()?;
    let anchor = world.desk.anchor();
    Run::new("certutil")
        .args(["-A", "-d", &database, "-n", "anchor", "-t", "CT,C,C", "-i"])
        .arg(&anchor)
        .ok()?;
    let module = folder()?.join("libmiddleware_pkcs11.so");
    let add = Run::new("modutil")
        .args(["-dbdir", &database, "-force", "-add", "Sealwright", "-libfile"])
        .arg(&module);
    add.envs([&pcscd.environment()]).ok()?;

    let desktop = Desktop::start(&world.path("desktop"))?;
    let browser = Run::new("chromium").args([
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
    ]);
    let browser = browser.args(["--password-store=basic", "--window-size=1200,860", "--window-position=0,0"]);
    let browser = browser.arg(format!("--user-data-dir={}", home.join("profile").display()));
    let browser = browser.arg(format!("https://127.0.0.1:{port}/")).env("HOME", &home);
    let browser = browser.envs(&desktop.environment()).envs([&pcscd.environment()]);
    let mut browser = browser.serve(&world.path("chromium.log"))?;

    // Chromium asks for the PIN in a second window, then offers the certificate, where the return key accepts.
    let mut is_typed = false;
    let logged_in = browser.wait_until("it is logged in", || {
        if server.log().contains("visitor: ") {
            return Ok(true);
        }
        if is_typed {
            desktop.press("Return")?;
        } else if desktop.windows()? > 1 {
            desktop.type_line(&alice.pin)?;
            is_typed = true;
        }
        Ok(false)
    });
    desktop.show("chromium.png")?;
    logged_in?;
    assert!(server.log().contains("commonName=Alice Archer"), "{}", server.log());
    Ok(())
}

/// A server's certificate with the authorities above it, as servers send them.
fn with_chain(world: &World, certificate: &Path) -> Result<PathBuf> {
    let file = world.path("server-chain.pem");
    let chain = fs::read_to_string(world.desk.published().join("ca-chain.pem"))?;
    fs::write(&file, fs::read_to_string(certificate)? + &chain)?;
    Ok(file)
}
