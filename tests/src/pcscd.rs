//! A real pcscd with vpcd readers. The socket path and vpcd's ports are compiled in, so each one runs in mount, network
//! and pid namespaces of its own; clients outside find it by `PCSCLITE_CSOCK_NAME`.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::namespace::Enclosed;
use crate::privilege::Root;
use crate::process::{Run, Server, wait_until};
use crate::programs::program;

/// The name that Yubico's tools look for.
const FRIENDLY_NAME: &str = "Yubico YubiKey OTP+FIDO+CCID";
const FOREIGN_NAME: &str = "Foreign emulated card";
const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";
const FIRST_PORT: u16 = 0x8C7B;

/// A running pcscd; dropping it ends it and everything in its namespaces.
#[derive(Debug)]
pub struct Pcscd {
    enclosed: Enclosed,
    folder: PathBuf,
    socket: PathBuf,
    readers: usize,
}

/// A card in a reader; dropping it pulls the card.
#[derive(Debug)]
pub struct Inserted {
    server: Server,
}

impl Pcscd {
    /// Starts one with at least this many readers, with its files in `folder`.
    pub fn start(root: Root, folder: &Path, readers: usize) -> Result<Self> {
        Self::start_with_driver(root, folder, readers, None)
    }

    /// The same, with one more reader that a foreign driver makes; its home folder is in `folder`, too.
    pub fn start_with_driver(
        root: Root,
        folder: &Path,
        readers: usize,
        driver: Option<&Path>,
    ) -> Result<Self> {
        let sockets = folder.join("sock");
        fs::create_dir_all(&sockets)?;
        // pcscd's socket is open to everybody who may search the folder.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        let drivers = readers.div_ceil(2);
        let mut readers_file = reader_conf(folder, drivers)?;
        if let Some(driver) = driver {
            let driver = driver.display();
            writeln!(readers_file, "FRIENDLYNAME \"{FOREIGN_NAME}\"\nLIBPATH {driver}\nCHANNELID 0x0\n")?;
        }
        fs::write(folder.join("reader.conf"), readers_file)?;
        fs::write(folder.join("inside.sh"), inside_script(folder))?;
        let script = folder.join("inside.sh").display().to_string();
        let log = folder.join("pcscd.log");
        let namespaces = ["--mount", "--net", "--mount-proc"];
        let mut enclosed = Enclosed::start(root, &namespaces, &["sh", "-e", &script], &log)?;
        let socket = sockets.join("pcscd.comm");
        enclosed.wait_until("its socket exists", || Ok(socket.exists()))?;
        let pcscd = Self { enclosed, folder: folder.to_owned(), socket, readers: 2 * drivers };
        wait_until("pcscd lists its readers", || Ok(pcscd.occupied()?.len() == pcscd.readers))?;
        Ok(pcscd)
    }

    /// The variable by which PC/SC clients find it.
    pub fn environment(&self) -> (String, OsString) {
        ("PCSCLITE_CSOCK_NAME".to_owned(), self.socket.clone().into())
    }

    /// The socket; anyone who may search the folders may connect.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A reader's name as PC/SC lists it: two readers share a driver.
    pub fn reader_name(&self, reader: usize) -> String {
        format!("{} 00 {:02}", friendly_name(reader / 2), reader % 2)
    }

    /// The name of the foreign driver's reader.
    pub fn foreign_reader_name() -> String {
        format!("{FOREIGN_NAME} 00 00")
    }

    /// A command in the network namespace, where vpcd listens for cards.
    pub fn in_network(&self, program: impl AsRef<std::ffi::OsStr>) -> Run {
        let inner = self.enclosed.inner().as_raw_nonzero().to_string();
        Run::new("nsenter").args(["-t", &inner, "--net", "--"]).arg(program)
    }

    /// Where vpcd waits for the card of a reader, inside the network namespace.
    pub fn vpcd_address(reader: usize) -> Result<String> {
        Ok(format!("127.0.0.1:{}", FIRST_PORT + u16::try_from(reader)?))
    }

    /// Inserts the card of a state file by `card-sim run` and waits until the reader shows it.
    pub fn insert(&self, reader: usize, state: &Path) -> Result<Inserted> {
        let address = Self::vpcd_address(reader)?;
        let run = self.in_network(program("card-sim")?).arg("run").arg(state).args(["--vpcd", &address]);
        self.insert_program(reader, run)
    }

    /// Inserts a card that another program plays.
    pub fn insert_program(&self, reader: usize, run: Run) -> Result<Inserted> {
        let mut server = run.serve(&self.folder.join(format!("card-{reader}.log")))?;
        server.wait_until("the reader shows the card", || self.is_occupied(reader))?;
        Ok(Inserted { server })
    }

    /// Waits until the reader is empty.
    pub fn wait_until_empty(&self, reader: usize) -> Result<()> {
        wait_until("the reader is empty", || Ok(!self.is_occupied(reader)?))
    }

    fn is_occupied(&self, reader: usize) -> Result<bool> {
        self.occupied()?.get(reader).copied().context("pcscd does not have so many readers")
    }

    /// For each reader, whether it holds a card; a foreign tool says so.
    fn occupied(&self) -> Result<Vec<bool>> {
        let listed = Run::new("opensc-tool").arg("--list-readers").envs([&self.environment()]).outcome()?;
        let rows = listed.out();
        let rows = rows.lines().filter(|line| line.contains(FRIENDLY_NAME));
        Ok(rows.map(|row| row.split_whitespace().nth(1) == Some("Yes")).collect())
    }
}

impl Inserted {
    /// The card process, for those who kill it.
    pub fn pid(&self) -> rustix::process::Pid {
        self.server.pid()
    }

    /// What the card process wrote.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Pulls the card and waits until its process has ended.
    pub fn remove(self) -> Result<()> {
        let status = self.server.stop(rustix::process::Signal::INT)?;
        ensure!(status.success(), "card-sim run ended with {status} on Ctrl-C");
        Ok(())
    }
}

/// One entry per driver, each with its own copy of the driver file: vpcd keeps its sockets in one array per loaded file.
fn reader_conf(folder: &Path, drivers: usize) -> Result<String> {
    let mut text = String::new();
    for number in 0..drivers {
        let copy = folder.join(format!("vpcd{number}.so"));
        fs::copy(DRIVER, &copy).context("copying the vpcd driver; is vsmartcard-vpcd installed?")?;
        let port = FIRST_PORT + u16::try_from(2 * number)?;
        let name = friendly_name(number);
        writeln!(text, "FRIENDLYNAME \"{name}\"\nDEVICENAME /dev/null:{port:#X}")?;
        writeln!(text, "LIBPATH {}\nCHANNELID {port:#X}\n", copy.display())?;
    }
    Ok(text)
}

/// pcscd takes two entries of one name for the same reader.
fn friendly_name(driver: usize) -> String {
    if driver == 0 { FRIENDLY_NAME.to_owned() } else { format!("{FRIENDLY_NAME} {driver}") }
}

fn inside_script(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "ip link set lo up\n\
         mount -t tmpfs tmpfs /run\n\
         mkdir /run/pcscd\n\
         export HOME={folder}\n\
         mount --bind {folder}/sock /run/pcscd\n\
         exec pcscd --foreground --config {folder}/reader.conf\n"
    )
}
