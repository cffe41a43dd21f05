//! A document to many: each gets a message encrypted to them alone. What the mail server takes for as many messages is
//! measured by itself in the same run, and subtracted.
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use mailer::message::address::Address;
use mailer::transport::Credentials;
use mailer::transport::endpoint::Endpoint;
use mailer::transport::smtp::SmtpSession;
use mailer::transport::tls::TlsAnchors;
use sealwright_tests::dovecot::Dovecot;
use sealwright_tests::mail::Account;
use sealwright_tests::measure::Row;
use sealwright_tests::postfix::Postfix;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::world::{DOMAIN, MAIL_PASSWORD, write_secret};
use zeroize::Zeroizing;

use super::files::{self, Kind};
use super::office::Office;
use crate::usage::Usage;

/// A notice of a few pages.
const DOCUMENT: Kind = Kind::Attachment(100_000);
const ROUNDS: usize = 3;

/// From the document to the last message that Postfix has, without what Postfix takes for them.
pub(super) fn rows(small: bool) -> Result<Vec<Row>> {
    let Some(root) = Root::or_skip("bench documents: distribution")? else { return Ok(Vec::new()) };
    let (count, size, limit) = if small { (50, "50", 1.0) } else { (500, "500", 10.0) };
    let office = Office::open()?;
    let addresses: Vec<String> = (1..=count).map(|number| format!("reader{number}@{DOMAIN}")).collect();
    let readers = Readers::certify(&office, &addresses)?;
    let servers = Servers::start(root, &office, &addresses)?;
    office.set_up(servers.account(&office)?)?;
    files::write(&office.world.path("notice.pdf"), DOCUMENT)?;
    fs::write(office.world.path("list.txt"), addresses.join("\n"))?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push((
            distribute(&office)?,
            servers.submission_of_as_many(&office, count)?,
            readers.by_openssl()?,
        ));
    }
    let ours: Vec<Usage> =
        rounds.iter().map(|(ours, server, _)| Usage { wall: ours.wall - server, ..*ours }).collect();
    let ours = Usage::median(&ours);
    let mut peers: Vec<f64> = rounds.iter().map(|(_, _, peer)| *peer).collect();
    peers.sort_by(f64::total_cmp);
    let peer = peers.get(peers.len() / 2).copied().unwrap_or_default();
    Ok(vec![Row {
        area: "documents",
        name: "distribute, beyond submission by SMTP",
        size,
        ours: ours.wall,
        peer,
        peer_name: "openssl cms -encrypt, a process each, nothing kept",
        limit,
        unit: "s",
    }])
}

fn distribute(office: &Office) -> Result<Usage> {
    let subject = ["--subject", "Fees from January on"];
    office.keyed(&[&["document", "distribute", "notice.pdf", "--to", "list.txt"][..], &subject].concat())
}

/// A CA beside the desk's, whose certificates stand in the same directory: 500 cards would take longer than the rest.
struct Readers<'o> {
    office: &'o Office,
    count: usize,
}

impl<'o> Readers<'o> {
    fn certify(office: &'o Office, addresses: &[String]) -> Result<Self> {
        let folder = office.world.folder();
        let openssl = |words: &[&str]| Run::new("openssl").args(words).folder(folder).ok();
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let root = [
            "req",
            "-x509",
            "-days",
            "2",
            "-subj",
            "/CN=Readers",
            "-keyout",
            "readers.key",
            "-out",
            "readers.pem",
        ];
        let usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"];
        openssl(&[&root[..], &key, &usage].concat())?;
        let request = ["req", "-new", "-subj", "/CN=Reader", "-keyout", "reader.key", "-out", "reader.csr"];
        openssl(&[&request[..], &key].concat())?;
        fs::write(folder.join("index"), "")?;
        fs::write(folder.join("number"), "01\n")?;
        fs::write(
            folder.join("ca.cnf"),
            "[ca]\ndefault_ca=c\n[c]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=2\n\
             crl_extensions=x\n[x]\nauthorityKeyIdentifier=keyid\n",
        )?;
        let ca = ["-config", "ca.cnf", "-keyfile", "readers.key", "-cert", "readers.pem"];
        openssl(&[&["ca", "-gencrl", "-out", "readers.crl"][..], &ca].concat())?;
        let identifier =
            openssl(&["x509", "-in", "readers.pem", "-noout", "-ext", "subjectKeyIdentifier"])?.out();
        let identifier =
            identifier.lines().last().context("a key identifier")?.trim().replace(':', "").to_lowercase();
        let published = office.world.desk.published();
        openssl(&["x509", "-in", "readers.pem", "-outform", "DER", "-out", "readers.cer"])?;
        fs::copy(folder.join("readers.cer"), published.join(format!("ca/{identifier}.cer")))?;
        openssl(&["crl", "-in", "readers.crl", "-outform", "DER", "-out", "readers.crl.der"])?;
        fs::copy(folder.join("readers.crl.der"), published.join(format!("crl/{identifier}.crl")))?;
        for (number, address) in addresses.iter().enumerate() {
            fs::write(
                folder.join("reader.cnf"),
                format!(
                    "subjectAltName=email:{address}\nkeyUsage=critical,keyAgreement\nextendedKeyUsage=emailProtection\n\
                     authorityKeyIdentifier=keyid\n"
                ),
            )?;
            let home = published.join("certificates/by-email").join(address);
            fs::create_dir_all(&home)?;
            Run::new("openssl")
                .args([
                    "x509",
                    "-req",
                    "-in",
                    "reader.csr",
                    "-days",
                    "2",
                    "-CA",
                    "readers.pem",
                    "-CAkey",
                    "readers.key",
                ])
                .args(["-extfile", "reader.cnf", "-set_serial", &(number + 2).to_string()])
                .args(["-outform", "DER", "-out"])
                .arg(home.join("reader.cer"))
                .folder(folder)
                .ok()?;
            if number == 0 {
                let first = home.join("reader.cer");
                Run::new("openssl")
                    .args(["x509", "-inform", "DER", "-in"])
                    .arg(first)
                    .args(["-out", "reader.pem"])
                    .folder(folder)
                    .ok()?;
            }
        }
        Ok(Self { office, count: addresses.len() })
    }

    /// What a script would do: a process for each.
    fn by_openssl(&self) -> Result<f64> {
        let start = Instant::now();
        let line = format!(
            "i=0; while [ $i -lt {} ]; do openssl cms -encrypt -aes-256-gcm -binary -in notice.pdf -out peer.eml reader.pem || exit 1; i=$((i+1)); done",
            self.count
        );
        Run::new("sh").args(["-c", &line]).folder(self.office.world.folder()).ok()?;
        Ok(start.elapsed().as_secs_f64())
    }
}

struct Servers {
    postfix: Postfix,
    _dovecot: Dovecot,
}

impl Servers {
    fn start(root: Root, office: &Office, addresses: &[String]) -> Result<Self> {
        let (certify, tls) = office.world.desk.certify_server("post.example.org")?;
        certify.ok()?;
        let users: Vec<&str> =
            addresses.iter().map(String::as_str).chain([office.alice.address.as_str()]).collect();
        let folder = office.world.servers_folder();
        let dovecot = Dovecot::start(root, &folder.join("dovecot"), &tls, &users, MAIL_PASSWORD)?;
        let postfix = Postfix::start(root, &folder.join("postfix"), &tls, &dovecot, DOMAIN, &users)?;
        Ok(Self { postfix, _dovecot: dovecot })
    }

    /// With two anchors: the desk's and that of the readers.
    fn account(&self, office: &Office) -> Result<Account> {
        let anchors = office.world.path("anchors.pem");
        let own = fs::read_to_string(office.world.desk.anchor())?;
        fs::write(&anchors, own + &fs::read_to_string(office.world.path("readers.pem"))?)?;
        let password = office.alice.home().join("mail-password");
        write_secret(&password, MAIL_PASSWORD)?;
        Ok(Account::default()
            .with("--anchor", anchors)
            .with("--anchor-domain", DOMAIN)
            .with("--directory", format!("file:{}", office.world.desk.published().display()))
            .with("--smtp", format!("smtps://127.0.0.1:{}", self.postfix.submissions))
            .with("--user", &office.alice.address)
            .with("--password-file", password)
            .with("--tls-anchor", office.world.desk.anchor()))
    }

    /// Seconds for as many messages of the same length over one connection.
    fn submission_of_as_many(&self, office: &Office, count: usize) -> Result<f64> {
        let client =
            Run::new(std::env::current_exe()?).args(["client", "distribution"]).arg(office.world.folder());
        let said = client
            .arg(format!("smtps://127.0.0.1:{}", self.postfix.submissions))
            .arg(count.to_string())
            .ok()?
            .out();
        Ok(said.trim().parse()?)
    }
}

/// What the client process does: submits a message to each reader, and says how long it took.
pub(crate) fn client(folder: &str, to: &str, count: &str) -> Result<()> {
    let folder = Path::new(folder);
    let length = 4 * fs::metadata(folder.join("notice.pdf"))?.len() / 3 * 4 / 3;
    let line = b"MIIB0gYJKoZIhvcNAQcDoIIBwzCCAb8CAQAxggE8MIIBOAIBADAgMBsxGTAXBgNVBAMM\r\n";
    let mut message = b"From: alice@example.org\r\nSubject: as long\r\n\r\n".to_vec();
    message.extend(line.repeat(usize::try_from(length)? / line.len()));
    let anchors = TlsAnchors::from_pem(&fs::read(folder.join("desk/published/anchor.pem"))?)?;
    let credentials = Credentials {
        user: "alice@example.org".to_owned(),
        password: Zeroizing::new(MAIL_PASSWORD.to_owned()),
    };
    let sender: Address = "alice@example.org".parse()?;
    let start = Instant::now();
    let mut session = SmtpSession::open(&Endpoint::smtp(to)?, &anchors, Some(&credentials))?;
    for number in 1..=count.parse::<u32>()? {
        let reader: Address = format!("reader{number}@{DOMAIN}").parse()?;
        let replies = session.send(&sender, &[reader], &message)?;
        ensure!(replies == [mailer::transport::smtp::RecipientReply::Accepted], "{replies:?}");
    }
    println!("{}", start.elapsed().as_secs_f64());
    Ok(())
}
