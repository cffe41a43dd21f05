//! The real OpenLDAP server on loopback with TLS, its tools, and a relay that meddles with what a client and it say.
#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod meddler;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

pub const BASE: &str = "dc=example,dc=org";
pub const WRITER: &str = "cn=issuer,dc=example,dc=org";
pub const PASSWORD: &str = "let me write";

/// A server with people; it ends with the test.
pub struct Slapd {
    pub port: u16,
    pub tls_port: u16,
    folder: tempfile::TempDir,
    process: Option<Child>,
    /// While the server is down nobody else gets its ports.
    kept: Vec<OwnedFd>,
}

/// Alice and Bob, somebody without an address, and two who share one.
const ENTRIES: &str = "dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n\
    dn: uid=alice,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: alice\ncn: Alice Ng\nsn: Ng\nmail: Alice@example.org\n\n\
    dn: uid=bob,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: bob\ncn: Bob Ruiz\nsn: Ruiz\nmail: bob@example.org\n\n\
    dn: uid=mute,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: mute\ncn: Mute\nsn: Mute\n";

impl Slapd {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("db")).unwrap();
        certify(folder.path());
        let at = |name: &str| folder.path().join(name).display().to_string();
        let schemas: String = ["core", "cosine", "inetorgperson"]
            .iter()
            .map(|name| format!("include /etc/ldap/schema/{name}.schema\n"))
            .collect();
        let config = format!(
            "{schemas}modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {}\n\
             TLSCACertificateFile {ca}\nTLSCertificateFile {}\nTLSCertificateKeyFile {}\n\
             database mdb\nsuffix \"{BASE}\"\nrootdn \"{WRITER}\"\nrootpw \"{PASSWORD}\"\ndirectory {}\nmaxsize 1073741824\n\
             dbnosync\nindex mail eq\naccess to * by * read\n",
            at("slapd.pid"),
            at("server.pem"),
            at("server.key"),
            at("db"),
            ca = at("server.pem"),
        );
        std::fs::write(folder.path().join("slapd.conf"), config).unwrap();
        std::fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        let [port, tls_port] = [free_port(), free_port()];
        let mut server = Self { port, tls_port, folder, process: None, kept: Vec::new() };
        server.load(ENTRIES);
        server.wake();
        server
    }

    /// Adds entries; the server must be down.
    pub fn load(&self, ldif: &str) {
        std::fs::write(self.path("entries.ldif"), ldif).unwrap();
        let config = self.path("slapd.conf");
        let loaded = Command::new("/usr/sbin/slapadd")
            .args(["-q", "-f", config.to_str().unwrap(), "-l", self.path("entries.ldif").to_str().unwrap()])
            .output()
            .expect("slapd is installed");
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    }

    /// Starts the server, again.
    pub fn wake(&mut self) {
        self.kept.clear();
        let urls = format!("ldap://127.0.0.1:{}/ ldaps://127.0.0.1:{}/", self.port, self.tls_port);
        let process = Command::new("/usr/sbin/slapd")
            .args(["-d", "0", "-f", self.path("slapd.conf").to_str().unwrap(), "-h", &urls])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let process = self.process.insert(process);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(process.try_wait().unwrap().is_none(), "slapd ended");
            std::thread::yield_now();
        }
    }

    /// Ends the server as a power cut would.
    pub fn sleep(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
            self.kept = [self.port, self.tls_port].map(keep_port).into();
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}/{BASE}", self.port)
    }

    /// `ldapsearch`'s answer, LDIF without comments and line breaks within values.
    pub fn search(&self, base: &str, filter: &str, attributes: &[&str]) -> String {
        let url = format!("ldap://127.0.0.1:{}", self.port);
        let mut all = vec!["-x", "-LLL", "-o", "ldif-wrap=no", "-H", &url, "-b", base, filter];
        all.extend(attributes);
        let found = Command::new("ldapsearch").args(all).output().expect("ldap-utils is installed");
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        String::from_utf8(found.stdout).unwrap()
    }

    /// The values of a binary attribute, as `ldapsearch` gives them.
    pub fn values(&self, base: &str, filter: &str, attribute: &str) -> BTreeSet<Vec<u8>> {
        use base64ct::Encoding;
        let begin = format!("{attribute}:: ");
        let answer = self.search(base, filter, &[attribute]);
        let values = answer.lines().filter_map(|line| line.strip_prefix(&begin));
        values.map(|value| base64ct::Base64::decode_vec(value).unwrap()).collect()
    }

    /// Puts other octets in the place of a value in the database of the sleeping server, whatever its schema says of them.
    pub fn overwrite_asleep(&self, value: &[u8], other: &[u8]) {
        use base64ct::{Base64, Encoding};
        let config = self.text("slapd.conf");
        let dumped =
            Command::new("/usr/sbin/slapcat").args(["-f", &config]).output().expect("slapd is installed");
        assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
        let entries = String::from_utf8(dumped.stdout).unwrap().replace("\n ", "");
        let changed = entries.replace(&Base64::encode_string(value), &Base64::encode_string(other));
        assert_ne!(changed, entries, "the value is not there");
        std::fs::remove_dir_all(self.path("db")).unwrap();
        std::fs::create_dir(self.path("db")).unwrap();
        self.load(&changed);
    }

    /// Changes entries past our program.
    pub fn modify(&self, ldif: &str) -> Output {
        let file = self.path("change.ldif");
        std::fs::write(&file, ldif).unwrap();
        let url = format!("ldap://127.0.0.1:{}", self.port);
        Command::new("ldapmodify")
            .args(["-x", "-D", WRITER, "-w", PASSWORD, "-H", &url, "-f", file.to_str().unwrap()])
            .output()
            .expect("ldap-utils is installed")
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.sleep();
    }
}

/// The server's own certificate, for 127.0.0.1.
fn certify(folder: &Path) {
    std::fs::write(folder.join("openssl.cnf"), "[req]\ndistinguished_name = dn\n[dn]\n").unwrap();
    let done = Command::new("openssl")
        .current_dir(folder)
        .args([
            "req",
            "-config",
            "openssl.cnf",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "30",
        ])
        .args(["-subj", "/CN=ldap", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args([
            "-addext",
            "basicConstraints=critical,CA:false",
            "-keyout",
            "server.key",
            "-out",
            "server.pem",
        ])
        .output()
        .expect("openssl is installed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Holds a port at which nobody listens.
fn keep_port(port: u16) -> OwnedFd {
    use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};
    let held = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    sockopt::set_socket_reuseaddr(&held, true).unwrap();
    bind(&held, &std::net::SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    held
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
