//! The response-time table: what writing and reading a mail cost, and whose time it is: the card's, the host's, or the
//! network's with its servers.
//!
//! Alice writes to Bob; both cards are in readers of a real pcscd, the mail goes through a real Postfix into a real
//! Dovecot and comes back by IMAP, all on this machine. A process of its own does the work, for it must find pcscd by an
//! environment variable.
use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mailer::certificate::Certificate;
use mailer::clock::{Clock, SystemClock};
use mailer::content::Content;
use mailer::directory::Directory;
use mailer::keys::{
    CardKeys, KeyError, KeyRing, KeysError, LastTry, PinProvider, RsaEncryption, SecretSource,
    SignatureScheme, Signer,
};
use mailer::message::address::Address;
use mailer::protection::open::{self, ReleasePolicy};
use mailer::protection::protect::{self, ProtectedEntity};
use mailer::smime::{Enveloping, Recipient, RsaPadding, SigningIdentity};
use mailer::transport::Credentials;
use mailer::transport::endpoint::Endpoint;
use mailer::transport::imap::{Position, fetch_new};
use mailer::transport::smtp::SmtpSession;
use mailer::transport::tls::TlsAnchors;
use mailer::trust::{Anchor, Anchors, Judge, UnknownRevocation};
use sealwright_tests::privilege::Root;
use sealwright_tests::process::{Run, wait_until};
use sealwright_tests::world::{DOMAIN, MAIL_PASSWORD, World};
use serde_json::{Value, json};
use spki::SubjectPublicKeyInfoOwned;
use zeroize::Zeroizing;

use crate::Options;

/// How a mail is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Signed,
    Encrypted,
    Both,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Signed, Self::Encrypted, Self::Both];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Signed => "signed",
            Self::Encrypted => "encrypted",
            Self::Both => "signed and encrypted",
        }
    }

    fn is_signed(self) -> bool {
        matches!(self, Self::Signed | Self::Both)
    }

    fn is_encrypted(self) -> bool {
        matches!(self, Self::Encrypted | Self::Both)
    }
}

/// Seconds of each party.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shares {
    card: f64,
    host: f64,
    network: f64,
}

impl Shares {
    fn total(self) -> f64 {
        self.card + self.host + self.network
    }
}

/// One line of the table: medians.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Response {
    pub(crate) kind: Kind,
    pub(crate) octets: u64,
    write: Shares,
    read: Shares,
}

impl Response {
    /// Seconds until the server has accepted the mail.
    pub(crate) fn writing(&self) -> f64 {
        self.write.total()
    }

    /// Seconds until the mail is fetched, opened and judged.
    pub(crate) fn reading(&self) -> f64 {
        self.read.total()
    }

    fn json(&self) -> Value {
        let shares = |shares: Shares| json!([shares.card, shares.host, shares.network]);
        json!({ "kind": self.kind.name(), "octets": self.octets, "write": shares(self.write), "read": shares(self.read) })
    }

    fn from_json(value: &Value) -> Result<Self> {
        let shares = |name: &str| -> Result<Shares> {
            let numbers: Vec<f64> =
                value[name].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
            let [card, host, network] = numbers[..] else { anyhow::bail!("three shares of {name}") };
            Ok(Shares { card, host, network })
        };
        let kind = Kind::ALL.into_iter().find(|kind| value["kind"] == kind.name()).context("a kind")?;
        let octets = value["octets"].as_u64().context("a size")?;
        Ok(Self { kind, octets, write: shares("write")?, read: shares("read")? })
    }
}

/// Size and turns.
const SIZES: [(u64, usize); 5] = [(1_000, 9), (10_000, 9), (1_000_000, 7), (10_000_000, 5), (100_000_000, 3)];

/// Measures, prints the table, and draws it where that is wanted.
pub(crate) fn show(options: &Options) -> Result<()> {
    let Some(root) = Root::or_skip("bench mail: response times")? else { return Ok(()) };
    let responses = measure(root, options.small)?;
    if options.json {
        responses.iter().for_each(|response| println!("{}", response.json()));
    } else {
        println!("{}", table(&responses));
    }
    match &options.plot {
        Some(path) => crate::plot::draw(path, &responses),
        None => Ok(()),
    }
}

/// A table as the README shows it, in milliseconds.
fn table(responses: &[Response]) -> String {
    let mut text = String::from(
        "| mail | size | write: card | host | network | **total** | read: card | host | network | **total** |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for response in responses {
        let size = match response.octets {
            small if small < 1_000_000 => format!("{} KB", small / 1_000),
            large => format!("{} MB", large / 1_000_000),
        };
        let cells = |shares: Shares| {
            let [card, host, network, total] =
                [shares.card, shares.host, shares.network, shares.total()].map(milliseconds);
            format!("{card} | {host} | {network} | **{total}**")
        };
        text += &format!(
            "| {} | {size} | {} | {} |\n",
            response.kind.name(),
            cells(response.write),
            cells(response.read)
        );
    }
    text
}

fn milliseconds(seconds: f64) -> String {
    match seconds * 1e3 {
        0.0 => "-".to_owned(),
        small if small < 10.0 => format!("{small:.1}"),
        large => format!("{large:.0}"),
    }
}

fn measure(root: Root, small: bool) -> Result<Vec<Response>> {
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, _, _alices) = world.person_at_reader(&pcscd, 0, "alice", "p256")?;
    let (bob, _, _bobs) = world.person_at_reader(&pcscd, 1, "bob", "p256")?;
    let servers = world.mail_servers(root)?;
    let certificate = |person: &sealwright_tests::mail::Person, key: &str, name: &str| -> Result<()> {
        let pem = person.card("certificates")?.args([key, "--pem"]).ok()?.stdout;
        Ok(std::fs::write(world.path(name), pem)?)
    };
    certificate(&bob, "9D", "bob.pem")?;
    let setting = json!({
        "folder": world.folder(), "published": world.desk.published(), "anchor": world.desk.anchor(),
        "smtp": servers.postfix.submissions, "imap": servers.dovecot.imap,
        "mailbox": servers.dovecot.folder().join("mail").join(&bob.address),
        "alice": { "locator": alice.locator, "pin": alice.pin_file(), "home": alice.home() },
        "bob": { "locator": bob.locator, "pin": bob.pin_file() },
        "largest": if small { 1_000_000 } else { 100_000_000 },
    });
    let client = Run::new(std::env::current_exe()?).args(["client", "response-times", &setting.to_string()]);
    let said = client.envs([&pcscd.environment()]).env("HOME", alice.home()).ok()?.out();
    said.lines().map(|line| Response::from_json(&serde_json::from_str(line)?)).collect()
}

/// What the client process does: writes and reads, and prints a JSON object a line.
pub(crate) fn client(arguments: &[&str]) -> Result<()> {
    let [setting] = arguments else { anyhow::bail!("one argument is expected") };
    let setting: Value = serde_json::from_str(setting)?;
    let mut post = Post::open(&setting)?;
    let largest = setting.get("largest").and_then(Value::as_u64).context("largest")?;
    for (octets, turns) in SIZES.into_iter().filter(|(octets, _)| *octets <= largest) {
        for kind in Kind::ALL {
            post.round_trip(kind, octets)?;
            let rounds = (0..turns).map(|_| post.round_trip(kind, octets)).collect::<Result<Vec<_>>>()?;
            let (write, read): (Vec<Shares>, Vec<Shares>) = rounds.into_iter().unzip();
            println!("{}", Response { kind, octets, write: median(&write), read: median(&read) }.json());
        }
    }
    Ok(())
}

/// The median of each share.
fn median(rounds: &[Shares]) -> Shares {
    let of = |share: fn(&Shares) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(share).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    Shares { card: of(|s| s.card), host: of(|s| s.host), network: of(|s| s.network) }
}

/// Both ends of the mail.
struct Post {
    alice: CardKeys,
    bob: Option<CardKeys>,
    to: [Address; 1],
    from: Address,
    recipients: Vec<Recipient>,
    anchors: Anchors,
    directory: Directory,
    smtp: Endpoint,
    imap: Endpoint,
    tls: TlsAnchors,
    mailbox: PathBuf,
    position: Option<Position>,
    letters: usize,
}

impl Post {
    fn open(setting: &Value) -> Result<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned).context("a text in the setting");
        let path = |name: &str| -> Result<PathBuf> { Ok(text(&setting[name])?.into()) };
        let keys = |person: &Value| -> Result<CardKeys> {
            let pin: Box<dyn PinProvider> = Box::new(SecretSource::File(text(&person["pin"])?.into()));
            Ok(CardKeys::open(&text(&person["locator"])?.parse()?, pin, LastTry::Refuse)?)
        };
        let (folder, published) = (path("folder")?, path("published")?);
        let certificates = |path: &Path| -> Result<Vec<Certificate>> {
            Ok(Certificate::from_file_contents(&std::fs::read(path)?)?)
        };
        let bobs = certificates(&folder.join("bob.pem"))?;
        let anchor = std::fs::read(path("anchor")?)?;
        let anchors = certificates(&path("anchor")?)?
            .into_iter()
            .map(|certificate| Anchor { certificate, domains: vec![DOMAIN.to_owned()] })
            .collect();
        let location = format!("file:{}", published.display()).parse()?;
        let directory = Directory::open(&location, &folder.join("cache"), SystemClock.now())?;
        let port = |name: &str| setting[name].as_u64().context("a port in the setting");
        Ok(Self {
            alice: keys(&setting["alice"])?,
            bob: Some(keys(&setting["bob"])?),
            from: "alice@example.org".parse()?,
            to: ["bob@example.org".parse()?],
            recipients: bobs.into_iter().map(|bob| Recipient::unchecked(bob, true)).collect(),
            anchors: Anchors(anchors),
            directory,
            smtp: Endpoint::smtp(&format!("smtps://127.0.0.1:{}", port("smtp")?))?,
            imap: Endpoint::imap(&format!("imap://127.0.0.1:{}", port("imap")?))?,
            tls: TlsAnchors::from_pem(&anchor)?,
            mailbox: path("mailbox")?,
            position: None,
            letters: 0,
        })
    }

    fn credentials(user: &str) -> Credentials {
        Credentials { user: user.to_owned(), password: Zeroizing::new(MAIL_PASSWORD.to_owned()) }
    }

    /// One letter written and read.
    fn round_trip(&mut self, kind: Kind, octets: u64) -> Result<(Shares, Shares)> {
        let line = b"All work and no play makes Jack a dull boy. Tuesday, a little past noon....\r\n";
        let text = line.repeat(usize::try_from(octets)?.div_ceil(line.len()));
        let entity = [b"Content-Type: text/plain; charset=us-ascii\r\n\r\n".as_slice(), &text].concat();
        let entity = Content::from_vec(entity);
        let mut write = Shares::default();
        let start = Instant::now();
        let (message, card) = self.written(kind, &entity)?;
        write.card = card.as_secs_f64();
        write.host = start.elapsed().as_secs_f64() - write.card;
        let start = Instant::now();
        let credentials = Self::credentials("alice@example.org");
        let mut session = SmtpSession::open(&self.smtp, &self.tls, Some(&credentials))?;
        session.send(&self.from, &self.to, &message)?;
        drop(session);
        write.network = start.elapsed().as_secs_f64();
        drop(message);
        self.letters += 1;
        wait_until("the letter is in Bob's mailbox", || Ok(count(&self.mailbox) == self.letters))?;
        let read = self.read(kind)?;
        Ok((write, read))
    }

    fn written(&mut self, kind: Kind, entity: &Content) -> Result<(Vec<u8>, Duration)> {
        let mut message =
            b"From: alice@example.org\r\nTo: bob@example.org\r\nSubject: response time\r\nMIME-Version: 1.0\r\n".to_vec();
        let card = Rc::new(Cell::new(Duration::ZERO));
        let mut entity = entity.clone();
        let mut protected = None;
        if kind.is_signed() {
            let made = self.signed(&entity, &card)?;
            match kind {
                Kind::Both => entity = made.into_content()?,
                _ => protected = Some(made),
            }
        }
        if kind.is_encrypted() {
            protected = Some(protect::encrypt(&entity, &self.recipients, Enveloping::Authenticated)?);
        }
        match protected {
            Some(protected) => {
                message.extend_from_slice(protected.header());
                protected.write_body(&mut message)?;
            }
            None => entity.write_to(&mut message)?,
        }
        Ok((message, card.get()))
    }

    fn signed(&mut self, entity: &Content, card: &Rc<Cell<Duration>>) -> Result<ProtectedEntity> {
        let signer = self.alice.signer()?;
        let certificate = signer.certificate().clone();
        let mut timed = Timed { inner: signer, spent: Rc::clone(card) };
        let identity = SigningIdentity {
            signer: &mut timed,
            certificate: &certificate,
            intermediates: &[],
            rsa_padding: RsaPadding::Pkcs1v15,
        };
        Ok(protect::sign(entity, identity, SystemClock.now(), "=_boundary")?)
    }

    fn read(&mut self, kind: Kind) -> Result<Shares> {
        let mut read = Shares::default();
        let start = Instant::now();
        let mut fetched = None;
        let visit = fetch_new(
            &self.imap,
            &self.tls,
            &Self::credentials("bob@example.org"),
            self.position,
            &|_, _| false,
            &mut |message| {
                fetched = Some(message.content);
                Ok(())
            },
        )?;
        self.position = Some(visit.position);
        read.network = start.elapsed().as_secs_f64();
        let message = Content::from_vec(fetched.context("the letter is there")?);
        let start = Instant::now();
        let card = Rc::new(Cell::new(Duration::ZERO));
        let mut bob = self.bob.take().map(|keys| Timed { inner: keys, spent: Rc::clone(&card) });
        let mut judge = Judge {
            anchors: &self.anchors,
            source: &mut self.directory,
            at: SystemClock.now(),
            unknown_revocation: UnknownRevocation::Reject,
        };
        let returned = Rc::new(Cell::new(None));
        let mut keys = || -> Result<Box<dyn KeyRing>, KeysError> {
            let timed = bob.take().ok_or(KeysError::NoSuchKey)?;
            Ok(Box::new(Returning { keys: Some(timed), to: Rc::clone(&returned) }))
        };
        let opened = open::open(&message, &mut keys, &mut judge)?;
        ensure!(opened.verdict().is_trusted() == kind.is_signed(), "{}", opened.verdict());
        let policy = ReleasePolicy { require_signed: kind.is_signed(), show_untrusted: false };
        let content = opened.release(policy).context("the content is released")?;
        content.write_to(&mut io::sink())?;
        let spent = start.elapsed().as_secs_f64();
        read.card = card.get().as_secs_f64();
        read.host = spent - read.card;
        let back = returned.take().or(bob);
        self.bob = back.map(|timed| timed.inner);
        Ok(read)
    }
}

fn count(mailbox: &Path) -> usize {
    ["new", "cur"]
        .iter()
        .filter_map(|part| std::fs::read_dir(mailbox.join(part)).ok())
        .map(Iterator::count)
        .sum()
}

/// A key whose operations are timed.
pub(crate) struct Timed<K> {
    /// The key.
    pub(crate) inner: K,
    /// What all its operations took together.
    pub(crate) spent: Rc<Cell<Duration>>,
}

impl<K> Timed<K> {
    fn time<T>(&mut self, operation: impl FnOnce(&mut K) -> T) -> T {
        let start = Instant::now();
        let done = operation(&mut self.inner);
        self.spent.set(self.spent.get() + start.elapsed());
        done
    }
}

impl<S: Signer> Signer for Timed<S> {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        self.inner.public_key()
    }

    fn sign(&mut self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.time(|signer| signer.sign(scheme, digest))
    }
}

/// Bob's keys, which come back for the next letter.
struct Returning {
    keys: Option<Timed<CardKeys>>,
    to: Rc<Cell<Option<Timed<CardKeys>>>>,
}

impl Drop for Returning {
    fn drop(&mut self) {
        self.to.set(self.keys.take());
    }
}

impl KeyRing for Returning {
    fn certificates(&self) -> &[Certificate] {
        self.keys.as_ref().map(|keys| keys.inner.certificates()).unwrap_or_default()
    }

    fn decrypt(
        &mut self,
        index: usize,
        encryption: RsaEncryption,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        let keys = self.keys.as_mut().ok_or(KeysError::NoSuchKey)?;
        keys.time(|keys| keys.decrypt(index, encryption, ciphertext))
    }

    fn agree(&mut self, index: usize, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        let keys = self.keys.as_mut().ok_or(KeysError::NoSuchKey)?;
        keys.time(|keys| keys.agree(index, peer))
    }
}
