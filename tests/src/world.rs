//! One temporary folder with a desk, people and servers. Dropping it ends the servers and removes the folder.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::card::CardFile;
use crate::desk::Desk;
use crate::dovecot::{Dovecot, Identity};
use crate::mail::{Account, Person};
use crate::openssl;
use crate::pcscd::{Inserted, Pcscd};
use crate::postfix::Postfix;
use crate::privilege::Root;
use crate::relay::Relay;

/// The organisation's mail domain.
pub const DOMAIN: &str = "example.org";
/// What every mailbox on the servers asks for.
pub const MAIL_PASSWORD: &str = "mailbox password";
/// The staff: name and address.
pub const STAFF: [(&str, &str); 4] = [
    ("Alice Archer", "alice@example.org"),
    ("Bob Baker", "bob@example.org"),
    ("Carol Cook", "carol@example.org"),
    ("Dave Dyer", "dave@example.org"),
];

/// See the module.
#[derive(Debug)]
pub struct World {
    /// The issuance desk, with its staff imported.
    pub desk: Desk,
    staff: Vec<(String, String)>,
    next_serial: AtomicU32,
    servers: TempDir,
    folder: Folder,
}

/// Where the world's files are.
#[derive(Debug)]
enum Folder {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(path) => path,
        }
    }
}

/// Postfix and Dovecot with certificates of our issuer, each behind a wire-tapper.
#[derive(Debug)]
pub struct MailServers {
    /// Submission.
    pub postfix: Postfix,
    /// Mailboxes.
    pub dovecot: Dovecot,
    /// What passes between mail programs and Postfix.
    pub smtp_tap: Relay,
    /// What passes between mail programs and Dovecot.
    pub imap_tap: Relay,
}

impl World {
    /// A desk with its CAs and its staff; nobody has a card yet.
    pub fn new() -> Result<Self> {
        Self::empty()?.opened()
    }

    /// The same with more people: name and address of each.
    pub fn with_more_staff(more: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let mut world = Self::empty()?;
        world.staff.extend(more);
        world.opened()
    }

    fn opened(self) -> Result<Self> {
        self.desk.init(DOMAIN, BASE_URL)?.ok()?;
        let staff: Vec<(&str, &str)> = self.staff.iter().map(|(name, mail)| (&**name, &**mail)).collect();
        self.desk.import_staff(&staff)?.ok()?;
        Ok(self)
    }

    /// Nothing yet, in a temporary folder.
    pub fn empty() -> Result<Self> {
        Self::in_folder(Folder::Temporary(open_folder()?))
    }

    /// Nothing yet, in a folder that stays.
    pub fn kept(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        Self::in_folder(Folder::Kept(folder.canonicalize()?))
    }

    fn in_folder(folder: Folder) -> Result<Self> {
        let desk = Desk::at(&folder.path().join("desk"))?;
        let staff = STAFF.map(|(name, mail)| (name.to_owned(), mail.to_owned())).to_vec();
        Ok(Self { desk, staff, next_serial: AtomicU32::new(10_000_001), servers: open_folder()?, folder })
    }

    /// The world's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the world's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of pcscd and the mail servers: apart, because their users must reach it and their sockets need a
    /// short path.
    pub fn servers_folder(&self) -> &Path {
        self.servers.path()
    }

    /// A blank card with firmware 5.7 and a serial number of its own.
    pub fn blank_card(&self, name: &str) -> Result<CardFile> {
        let serial = self.next_serial.fetch_add(1, Ordering::Relaxed);
        CardFile::yubikey(self.folder.path(), name, "5.7", serial)
    }

    /// One of the staff with an issued in-process card, PIN changed, certificates published.
    pub fn person(&self, name: &str, algorithm: &str) -> Result<Person> {
        let card = self.blank_card(name)?;
        self.issue(name, &card, &card.locator(), &["--algorithm", algorithm])
    }

    /// One of the staff with an issued card in a reader, PIN changed, certificates published.
    pub fn person_at_reader(
        &self,
        pcscd: &Pcscd,
        reader: usize,
        name: &str,
        algorithm: &str,
    ) -> Result<(Person, CardFile, Inserted)> {
        let card = self.blank_card(name)?;
        let inserted = pcscd.insert(reader, &card.state)?;
        let locator = format!("pcsc:{}", pcscd.reader_name(reader));
        let person = self.issue(name, &card, &locator, &["--algorithm", algorithm])?;
        Ok((person, card, inserted))
    }

    /// Stock, issue, hand over, change the PIN, publish.
    pub fn issue(&self, name: &str, card: &CardFile, locator: &str, more: &[&str]) -> Result<Person> {
        let person = self.hand_out(name, card, locator, more)?;
        self.desk.publish()?.ok()?;
        Ok(person)
    }

    /// The same, but nothing is published yet.
    pub fn hand_out(&self, name: &str, card: &CardFile, locator: &str, more: &[&str]) -> Result<Person> {
        let (full_name, address) = among(&self.staff, name)?;
        self.desk.stock(card)?.ok()?;
        self.desk.issue(address, locator)?.args(more).ok()?;
        let mut person = Person::new(self.folder.path(), full_name, address, locator)?;
        person.use_readers(self.desk.readers());
        person.change_pin(&self.desk.transport_pin_file(address))?.ok()?;
        Ok(person)
    }

    /// Accounts without a server: all mail goes through one folder with a maildir per address.
    pub fn maildir_account(&self) -> Account {
        Account::maildir(self.desk.published(), &self.path("post"), DOMAIN)
    }

    /// pcscd for the desk and for everybody who gets a card from now on.
    pub fn pcscd(&mut self, root: Root, readers: usize) -> Result<Pcscd> {
        let pcscd = Pcscd::start(root, &self.servers.path().join("pcscd"), readers)?;
        self.desk.use_readers(pcscd.environment());
        Ok(pcscd)
    }

    /// Mail servers for the whole staff but Dave, whom Postfix does not know.
    pub fn mail_servers(&self, root: Root) -> Result<MailServers> {
        let (certify, tls) = self.desk.certify_server("post.example.org")?;
        certify.ok()?;
        self.start_servers(root, &tls)
    }

    /// The same, but their certificate is not ours.
    pub fn mail_servers_of_a_stranger(&self, root: Root) -> Result<MailServers> {
        let (key, certificate) =
            openssl::stranger_certificate(self.folder.path(), "stranger", "post.example.org")?;
        self.start_servers(root, &Identity { key, certificate })
    }

    /// Mail servers with this TLS identity.
    pub fn start_servers(&self, root: Root, tls: &Identity) -> Result<MailServers> {
        let known: Vec<&str> =
            self.staff.iter().map(|(_, mail)| &**mail).filter(|mail| !mail.starts_with("dave")).collect();
        let mut attempt = 1;
        loop {
            let folder = self.servers.path().join(format!("mail{attempt}"));
            match MailServers::start(root, &folder, tls, &known) {
                // Another process may have taken a port that was free when we asked.
                Err(_) if attempt < 3 => attempt += 1,
                result => return result,
            }
        }
    }

    /// Accounts with these servers by STARTTLS, through the wire-tappers.
    pub fn server_account(&self, servers: &MailServers, person: &Person) -> Result<Account> {
        let [smtp, imap] = [servers.smtp_tap.port(), servers.imap_tap.port()];
        let urls = [format!("smtp://127.0.0.1:{smtp}"), format!("imap://127.0.0.1:{imap}")];
        self.account_at(urls, person)
    }

    /// Accounts with servers at these URLs for submission and mailbox.
    pub fn account_at(&self, [smtp, imap]: [String; 2], person: &Person) -> Result<Account> {
        let password = person.home().join("mail-password");
        write_secret(&password, MAIL_PASSWORD)?;
        Ok(Account::default()
            .trusting(self.desk.published(), DOMAIN)
            .with("--smtp", smtp)
            .with("--imap", imap)
            .with("--user", &person.address)
            .with("--password-file", password)
            .with("--tls-anchor", self.desk.anchor()))
    }
}

impl MailServers {
    fn start(root: Root, folder: &Path, tls: &Identity, users: &[&str]) -> Result<Self> {
        let dovecot = Dovecot::start(root, &folder.join("dovecot"), tls, users, MAIL_PASSWORD)?;
        let postfix = Postfix::start(root, &folder.join("postfix"), tls, &dovecot, DOMAIN, users)?;
        let smtp_tap = Relay::to(postfix.submission)?;
        let imap_tap = Relay::to(dovecot.imap)?;
        Ok(Self { postfix, dovecot, smtp_tap, imap_tap })
    }
}

/// Where certificates say that CRLs and CA certificates are to be had; nothing in the world asks there.
pub const BASE_URL: &str = "http://pki.example.org";

/// Full name and address of one of the staff by the address' local part.
pub fn staff(name: &str) -> Result<(&'static str, &'static str)> {
    let found = STAFF.into_iter().find(|(_, mail)| is_of(name, mail));
    found.with_context(|| format!("{name} is not one of the staff"))
}

fn among<'s>(staff: &'s [(String, String)], name: &str) -> Result<(&'s str, &'s str)> {
    let found = staff.iter().find(|(_, mail)| is_of(name, mail));
    let (full_name, address) = found.with_context(|| format!("{name} is not one of the staff"))?;
    Ok((full_name, address))
}

fn is_of(name: &str, mail: &str) -> bool {
    mail.strip_suffix(DOMAIN).and_then(|rest| rest.strip_suffix('@')) == Some(name)
}

/// A temporary folder that servers running as other users may search; short, because paths of Unix sockets end at
/// 108 bytes.
pub fn open_folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("sw").tempdir_in("/tmp")?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// Writes a file that only its owner can read.
pub fn write_secret(path: &Path, secret: &str) -> Result<()> {
    let mut file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(secret.as_bytes())?;
    Ok(())
}
