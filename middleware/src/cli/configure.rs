//! `card configure CLIENT`: the lines that make other programs use the card through our PKCS#11 module.
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::Report;
use super::failure::ToolError;

/// The module's file name, as the system calls shared libraries.
const MODULE: &str = concat!("libmiddleware_pkcs11", ".so");

/// What `card configure` wants to know.
#[derive(Args)]
pub(super) struct Configure {
    /// The program that shall use the card
    client: Client,
    /// The PKCS#11 module; absent, it is looked for beside this program and in the system's folders
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Client {
    /// Every program that asks p11-kit: GnuTLS, curl, GNOME, OpenConnect...
    P11Kit,
    /// The openssl command and programs that read its configuration, through libengine-pkcs11-openssl
    Openssl,
    /// Programs with an NSS database: certutil, pdfsig, LibreOffice, Evolution
    Nss,
    /// Firefox
    Firefox,
    /// Thunderbird
    Thunderbird,
    /// Chromium and Chrome
    Chromium,
    /// OpenSSH's client and agent
    Ssh,
    /// GnuTLS's own tools
    Gnutls,
}

impl Configure {
    pub(super) fn run(&self) -> anyhow::Result<Report> {
        let module = self.module()?;
        let path = module.display().to_string();
        let text = self.client.lines(&path);
        let name = self.client.to_possible_value().map(|value| value.get_name().to_owned());
        Ok(Report { json: json!({ "client": name, "module": path, "lines": text }), text })
    }

    fn module(&self) -> anyhow::Result<PathBuf> {
        match &self.module {
            Some(module) => Ok(module
                .canonicalize()
                .map_err(|error| ToolError::NoModule(module.display().to_string(), error.to_string()))?),
            None => places()
                .iter()
                .find_map(|folder| folder.join(MODULE).canonicalize().ok())
                .ok_or_else(|| ToolError::ModuleNotFound(MODULE).into()),
        }
    }
}

/// Beside the program, where cargo leaves both; where packages put libraries; what was installed by hand.
fn places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Some(beside) = std::env::current_exe().ok().as_deref().and_then(Path::parent) {
        places.push(beside.to_owned());
        places.push(beside.join("../lib"));
        places.push(beside.join("../lib/pkcs11"));
    }
    places.extend(
        ["/usr/local/lib", "/usr/local/lib/pkcs11", "/usr/lib/pkcs11", "/usr/lib"].map(PathBuf::from),
    );
    places
}

impl Client {
    fn lines(self, module: &str) -> String {
        match self {
            Self::P11Kit => p11_kit(module),
            Self::Openssl => openssl(module),
            Self::Nss => nss(module),
            Self::Firefox => mozilla(
                "Firefox",
                "~/.mozilla/firefox/PROFILE",
                "/etc/firefox/policies/policies.json",
                module,
            ),
            Self::Thunderbird => mozilla(
                "Thunderbird",
                "~/.thunderbird/PROFILE",
                "/etc/thunderbird/policies/policies.json",
                module,
            ),
            Self::Chromium => chromium(module),
            Self::Ssh => ssh(module),
            Self::Gnutls => gnutls(module),
        }
    }
}

fn p11_kit(module: &str) -> String {
    format!(
        "# Save as ~/.config/pkcs11/modules/sealwright.module (for all users: /usr/share/p11-kit/modules/):\n\
         module: {module}\n\
         \n\
         # Then this lists \"sealwright\" with a token for each card:\n\
         #   p11-kit list-modules\n\
         # Programs that ask p11-kit offer the card's certificates and ask for the PIN when they use a key.\n"
    )
}

fn openssl(module: &str) -> String {
    format!(
        "# Needs libengine-pkcs11-openssl. Save as ~/sealwright-openssl.cnf and set OPENSSL_CONF to it,\n\
         # or put the same into /etc/ssl/openssl.cnf:\n\
         openssl_conf = openssl_init\n\
         \n\
         [openssl_init]\n\
         engines = engine_section\n\
         \n\
         [engine_section]\n\
         pkcs11 = pkcs11_section\n\
         \n\
         [pkcs11_section]\n\
         engine_id = pkcs11\n\
         MODULE_PATH = {module}\n\
         init = 0\n\
         \n\
         [req]\n\
         distinguished_name = req_distinguished_name\n\
         \n\
         [req_distinguished_name]\n\
         \n\
         # Then a request signed by key 9A, and a message signed by 9C, asking for the PIN:\n\
         #   openssl req -new -engine pkcs11 -keyform engine -key 'pkcs11:id=%01;type=private' -subj /CN=Alice\n\
         #   openssl cms -sign -engine pkcs11 -keyform engine -inkey 'pkcs11:id=%02;type=private' -signer 9c.pem -in FILE\n"
    )
}

fn nss(module: &str) -> String {
    format!(
        "# Once, with the programs that use the database closed (modutil is in libnss3-tools):\n\
         modutil -dbdir sql:$HOME/.pki/nssdb -add Sealwright -libfile {module} -force\n\
         \n\
         # Then this asks for the PIN and lists the card's certificates with a \"u\" for those with a key:\n\
         #   certutil -L -d sql:$HOME/.pki/nssdb -h all\n\
         # To take it out again: modutil -dbdir sql:$HOME/.pki/nssdb -delete Sealwright -force\n"
    )
}

fn mozilla(program: &str, profile: &str, policies: &str, module: &str) -> String {
    format!(
        "# In {program}: Settings, Privacy & Security, Security Devices, Load:\n\
         #   Module Name: Sealwright\n\
         #   Module filename: {module}\n\
         # or, with {program} closed, in the profile's folder (about:support names it):\n\
         modutil -dbdir sql:{profile} -add Sealwright -libfile {module} -force\n\
         \n\
         # or for every user of this computer, in {policies}:\n\
         #   {{ \"policies\": {{ \"SecurityDevices\": {{ \"Sealwright\": \"{module}\" }} }} }}\n\
         \n\
         # Then the card is listed under Security Devices, its certificates under Your Certificates, and {program}\n\
         # asks for the PIN once when it first uses a key, and for the signature key each time.\n"
    )
}

fn chromium(module: &str) -> String {
    format!(
        "# Once, with Chromium closed (modutil is in libnss3-tools); mkdir -p ~/.pki/nssdb if it is not there:\n\
         modutil -dbdir sql:$HOME/.pki/nssdb -add Sealwright -libfile {module} -force\n\
         \n\
         # Then a site that demands a certificate offers the card's, and Chromium asks for the PIN in a window.\n\
         # Without a window (headless) Chromium cannot ask and waits for ever.\n"
    )
}

fn ssh(module: &str) -> String {
    format!(
        "# In ~/.ssh/config:\n\
         PKCS11Provider {module}\n\
         \n\
         # The public keys for authorized_keys:\n\
         #   ssh-keygen -D {module}\n\
         # With an agent, which must be started so that it lets the module in, and then asks for the PIN once:\n\
         #   eval $(ssh-agent -P {module})\n\
         #   ssh-add -s {module}\n"
    )
}

fn gnutls(module: &str) -> String {
    format!(
        "# GnuTLS finds the card through p11-kit (card configure p11-kit), or when told where the module is:\n\
         p11tool --provider {module} --list-all\n\
         \n\
         # With p11-kit configured, keys and certificates are named by what p11tool lists:\n\
         #   gnutls-cli --x509certfile 'pkcs11:id=%01;type=cert' --x509keyfile 'pkcs11:id=%01;type=private' HOST\n"
    )
}
