//! The issuance desk: the program `issuer` with a home, a registry and a published folder of its own.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::card::CardFile;
use crate::dovecot::Identity;
use crate::openssl;
use crate::process::{Run, Server};
use crate::programs::program;
use crate::world::write_secret;

/// What protects the CA keys and the master key.
pub const PASSPHRASE: &str = "correct horse battery staple";

/// A desk that may issue to emulated cards.
#[derive(Debug)]
pub struct Desk {
    home: PathBuf,
    published: PathBuf,
    passphrase: PathBuf,
    environment: Vec<(String, OsString)>,
}

impl Desk {
    /// Where a desk keeps its things; nothing is made yet.
    pub fn at(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let passphrase = folder.join("passphrase");
        write_secret(&passphrase, PASSPHRASE)?;
        Ok(Self {
            home: folder.join("home"),
            published: folder.join("published"),
            passphrase,
            environment: Vec::new(),
        })
    }

    /// Lets the desk's readers be those of a pcscd.
    pub fn use_readers(&mut self, pcscd: (String, OsString)) {
        self.environment = vec![pcscd];
    }

    /// The variables by which the desk finds its readers.
    pub fn readers(&self) -> Vec<(String, OsString)> {
        self.environment.clone()
    }

    /// A root, the issuing CAs, an empty registry.
    pub fn init(&self, domain: &str, base_url: &str) -> Result<Run> {
        let run = self.keyed(&["init", "--organization", "Example Mail", "--domain", domain])?;
        Ok(run.args(["--base-url", base_url, "--allow-emulated"]))
    }

    /// A command that uses no key.
    pub fn command(&self, words: &[&str]) -> Result<Run> {
        let issuer = Run::new(program("issuer")?).envs(&self.environment).env("HOME", &self.home);
        Ok(issuer.arg("--home").arg(&self.home).args(words))
    }

    /// A command that uses a CA key or the master key.
    pub fn keyed(&self, words: &[&str]) -> Result<Run> {
        Ok(self.command(words)?.arg("--passphrase-file").arg(&self.passphrase))
    }

    /// Imports people by name and address.
    pub fn import_staff(&self, people: &[(&str, &str)]) -> Result<Run> {
        let file = self.home.with_file_name("staff.csv");
        let rows: String = people.iter().map(|(name, mail)| format!("{name},{mail}\n")).collect();
        fs::write(&file, format!("name,mail\n{rows}"))?;
        Ok(self.command(&["staff", "import"])?.arg(&file))
    }

    /// Takes a blank card into the stock.
    pub fn stock(&self, card: &CardFile) -> Result<Run> {
        let run = self.keyed(&["stock", "add"])?;
        Ok(match (&card.stock, card.serial) {
            (Some(stock), _) => run.arg("--file").arg(stock),
            (None, Some(serial)) => run.args(["--serial", &serial.to_string()]),
            (None, None) => run.args(["--card", &card.locator()]),
        })
    }

    /// Issues a card; the transport PIN goes to [`Desk::transport_pin_file`].
    pub fn issue(&self, person: &str, locator: &str) -> Result<Run> {
        let run = self.keyed(&["issue", person, "--card", locator])?;
        Ok(run.arg("--transport-pin-file").arg(self.transport_pin_file(person)))
    }

    /// Where the transport PIN of a person's card is written.
    pub fn transport_pin_file(&self, person: &str) -> PathBuf {
        self.home.with_file_name(format!("{person}.transport-pin"))
    }

    /// Revokes a person's certificates.
    pub fn revoke(&self, person: &str, reason: &str) -> Result<Run> {
        self.keyed(&["revoke", person, "--reason", reason])
    }

    /// Writes certificates and CRLs into [`Desk::published`].
    pub fn publish(&self) -> Result<Run> {
        Ok(self.keyed(&["publish"])?.arg("--to").arg(&self.published))
    }

    /// Makes a key and a request for a server of the organisation by OpenSSL, and the command that certifies it.
    pub fn certify_server(&self, host: &str) -> Result<(Run, Identity)> {
        let folder = self.home.with_file_name("server");
        fs::create_dir_all(&folder)?;
        let (key, request) = openssl::server_request(&folder, "server", host)?;
        let certificate = folder.join("server.pem");
        let run = self
            .keyed(&["certify"])?
            .arg(&request)
            .args(["--profile", "mail-server", "--out"])
            .arg(&certificate);
        Ok((run, Identity { key, certificate }))
    }

    /// Serves the published folder over HTTP, without keys or registry; the server and its `http://HOST:PORT`.
    pub fn serve(&self, log: &Path) -> Result<(Server, String)> {
        let serve = Run::new(program("issuer")?).args(["serve", "--listen", "127.0.0.1:0", "--from"]);
        let mut server = serve.arg(&self.published).serve(log)?;
        let url = printed_url(&mut server, log)?;
        Ok((server, url))
    }

    /// Makes a time-stamp service in a folder of its own.
    pub fn make_time_stamp_service(&self) -> Result<Run> {
        let passphrase = self.time_stamp_passphrase();
        write_secret(&passphrase, "a passphrase for the clock alone")?;
        Ok(self.keyed(&["tsa", "init"])?.arg("--service-passphrase-file").arg(passphrase))
    }

    /// Starts the time-stamp service; the server and its `http://HOST:PORT`.
    pub fn serve_time_stamps(&self, log: &Path) -> Result<(Server, String)> {
        let tsa = self.command(&["tsa", "--listen", "127.0.0.1:0", "--service-passphrase-file"])?;
        let mut server = tsa.arg(self.time_stamp_passphrase()).serve(log)?;
        let url = printed_url(&mut server, log)?;
        Ok((server, url))
    }

    fn time_stamp_passphrase(&self) -> PathBuf {
        self.home.with_file_name("time-stamp-passphrase")
    }

    /// The published folder.
    pub fn published(&self) -> &Path {
        &self.published
    }

    /// Registry, keys and configuration.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The trust anchor, PEM.
    pub fn anchor(&self) -> PathBuf {
        self.published.join("anchor.pem")
    }

    /// The published certificates of an address.
    pub fn certificates_of(&self, address: &str) -> Result<Vec<PathBuf>> {
        crate::disk::files(&self.published.join("certificates/by-email").join(address))
    }
}

/// Waits for the `http://HOST:PORT` that a server prints when it is ready.
fn printed_url(server: &mut Server, log: &Path) -> Result<String> {
    let mut url = String::new();
    server.wait_until("it prints its URL", || {
        let said = fs::read_to_string(log)?;
        let address = said.split("http://").nth(1).and_then(|rest| rest.split(['/', ' ', '\n']).next());
        url = format!("http://{}", address.unwrap_or_default());
        Ok(address.is_some() && said.ends_with('\n'))
    })?;
    Ok(url)
}
