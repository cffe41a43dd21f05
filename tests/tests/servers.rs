//! The harness itself: the servers are real, start by themselves and leave nothing behind.

use anyhow::Result;
use sealwright_tests::dovecot::{Dovecot, Identity};
use sealwright_tests::openssl;
use sealwright_tests::pcscd::Pcscd;
use sealwright_tests::postfix::Postfix;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::{Run, wait_until};
use sealwright_tests::programs::program;
use sealwright_tests::world::open_folder;

#[test]
fn a_card_is_seen_in_the_third_of_four_readers_and_its_removal_too() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let folder = open_folder()?;
    let pcscd = Pcscd::start(root, folder.path(), 4)?;
    let empty = pcscd.in_network(program("vpcd-card")?).args([&Pcscd::vpcd_address(2)?, "empty"]);
    let card = pcscd.insert_program(2, empty)?;
    let atr = Run::new("opensc-tool")
        .args(["--reader", &pcscd.reader_name(2), "--atr"])
        .envs([&pcscd.environment()]);
    assert_eq!(atr.ok()?.out().trim(), "3b:80:01:81");
    drop(card);
    pcscd.wait_until_empty(2)
}

#[test]
fn pcscd_and_all_it_started_end_with_the_world() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let folder = open_folder()?;
    let pcscd = Pcscd::start(root, folder.path(), 2)?;
    let inside = folder.path().join("reader.conf").display().to_string();
    assert_eq!(processes_naming(&inside)?, 1);
    drop(pcscd);
    assert_eq!(processes_naming(&inside)?, 0);
    Ok(())
}

#[test]
fn postfix_takes_mail_by_starttls_dovecot_holds_it_and_both_end_with_the_world() -> Result<()> {
    let Some(root) = Root::or_skip("Postfix")? else { return Ok(()) };
    let folder = open_folder()?;
    let (key, certificate) = openssl::stranger_certificate(folder.path(), "server", "localhost")?;
    let tls = Identity { key, certificate };
    let users = ["bob@example.org"];
    let dovecot = Dovecot::start(root, &folder.path().join("dovecot"), &tls, &users, "secret")?;
    let postfix =
        Postfix::start(root, &folder.path().join("postfix"), &tls, &dovecot, "example.org", &users)?;
    let script = "import smtplib, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
server = smtplib.SMTP('localhost', int(sys.argv[2]))
server.starttls(context=context)
server.login('bob@example.org', 'secret')
server.sendmail('bob@example.org', ['bob@example.org'], 'Subject: x\\n\\nhello')
try:
    server.sendmail('bob@example.org', ['stranger@example.org'], 'Subject: x\\n\\nhello')
except smtplib.SMTPRecipientsRefused as refused:
    print(refused.recipients['stranger@example.org'][0])";
    let port = postfix.submission.to_string();
    let sent = Run::new("python3").args(["-c", script]).arg(&tls.certificate).arg(port).ok()?;
    assert_eq!(sent.out().trim(), "550");
    wait_until("the mail is delivered", || Ok(dovecot.messages("bob@example.org")?.len() == 1))?;

    let path = folder.path().display().to_string();
    assert!(processes_naming(&path)? > 0);
    drop((postfix, dovecot));
    assert_eq!(processes_naming(&path)?, 0);
    Ok(())
}

/// How many processes name this text in their command line or work in a folder of that name.
fn processes_naming(text: &str) -> Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir("/proc")? {
        let folder = entry?.path();
        let command = std::fs::read(folder.join("cmdline")).unwrap_or_default();
        let works_in = std::fs::read_link(folder.join("cwd")).unwrap_or_default();
        let ours = String::from_utf8_lossy(&command).contains(text) || works_in.starts_with(text);
        count += usize::from(ours && folder.join("exe").exists());
    }
    Ok(count)
}
