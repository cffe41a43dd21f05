//! The real OpenLDAP server on loopback, with a database of its own.
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::openssl_pki::Pki;

pub(crate) const BASE: &str = "dc=example,dc=test";

/// A running server; it ends with the test.
pub(crate) struct Slapd {
    pub(crate) port: u16,
    pub(crate) tls_port: u16,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Slapd {
    /// Starts a server with these entries; its certificate is `server.pem` of the authority, if there is one.
    pub(crate) fn start(ldif: &str, tls: Option<&Pki>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("db")).unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut config = String::from(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\ninclude /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n",
        );
        config.push_str(&format!("pidfile {}\n", at("slapd.pid")));
        if let Some(pki) = tls {
            let file = |name: &str| pki.path().join(name).display().to_string();
            config.push_str(&format!(
                "TLSCACertificateFile {}\nTLSCertificateFile {}\nTLSCertificateKeyFile {}\n",
                file("chain.pem"),
                file("server.pem"),
                file("server.key")
            ));
        }
        config.push_str(&format!(
            "database mdb\nsuffix \"{BASE}\"\ndirectory {}\nmaxsize 67108864\ndbnosync\naccess to * by * read\n",
            at("db")
        ));
        std::fs::write(folder.path().join("slapd.conf"), config).unwrap();
        std::fs::write(folder.path().join("entries.ldif"), ldif).unwrap();
        let loaded = Command::new(program("slapadd"))
            .args(["-q", "-f", &at("slapd.conf"), "-l", &at("entries.ldif")])
            .output()
            .expect("slapd must be installed");
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
        let (port, tls_port) = (free_port(), free_port());
        let mut urls = format!("ldap://127.0.0.1:{port}/");
        if tls.is_some() {
            urls.push_str(&format!(" ldaps://127.0.0.1:{tls_port}/"));
        }
        let process = Command::new(program("slapd"))
            .args(["-d", "0", "-f", &at("slapd.conf"), "-h", &urls])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { port, tls_port, process, _folder: folder };
        while !server.answers() {
            assert!(server.process.try_wait().unwrap().is_none(), "slapd ended");
            std::thread::yield_now();
        }
        server
    }

    fn answers(&self) -> bool {
        let url = format!("ldap://127.0.0.1:{}", self.port);
        let asked = Command::new("ldapwhoami").args(["-x", "-H", &url]).output();
        asked.expect("ldap-utils must be installed").status.success()
    }

    pub(crate) fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}/{BASE}", self.port)
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Debian keeps them where ordinary users do not look.
fn program(name: &str) -> PathBuf {
    let usual = Path::new("/usr/sbin").join(name);
    if usual.exists() { usual } else { PathBuf::from(name) }
}
