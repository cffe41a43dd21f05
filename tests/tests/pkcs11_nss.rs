//! NSS, as in Firefox and Thunderbird, and Poppler's pdfsig over it, use a card through our PKCS#11 module.

use std::fs;

use anyhow::Result;
use sealwright_tests::openssl;
use sealwright_tests::paper;
use sealwright_tests::pcscd::Pcscd;
use sealwright_tests::pkcs11::Clients;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::world::World;

const FOR_SIGNING: &str = "Certificate for Digital Signature";
const FOR_LOGIN: &str = "Certificate for PIV Authentication";

/// A database of NSS that knows our module and trusts our CA, and the card's PIN in a file.
struct Nss<'a> {
    clients: Clients<'a>,
    label: String,
}

impl<'a> Nss<'a> {
    fn new(world: &World, pcscd: &'a Pcscd, pin: &str) -> Result<Self> {
        let clients = Clients::new(pcscd, world.folder())?;
        let label = clients.label()?;
        fs::create_dir_all(clients.path("nss"))?;
        clients.run("certutil").args(["-N", "-d", "sql:nss", "--empty-password"]).ok()?;
        let add =
            clients.run("modutil").args(["-dbdir", "sql:nss", "-force", "-add", "sealwright", "-libfile"]);
        add.arg(clients.module()).ok()?;
        let add = |name: &str, trust: &str, certificate: &str| {
            let add = clients.run("certutil").args(["-A", "-d", "sql:nss", "-n", name, "-t", trust, "-a"]);
            add.input(certificate).ok()
        };
        add("root", "CT,C,C", &fs::read_to_string(world.desk.anchor())?)?;
        let chain = fs::read_to_string(world.desk.published().join("ca-chain.pem"))?;
        // One at a time: certutil reads the first of a file.
        for (number, certificate) in chain.split_inclusive("-----END CERTIFICATE-----\n").enumerate() {
            add(&format!("authority {number}"), "C,C,C", certificate)?;
        }
        sealwright_tests::world::write_secret(&clients.path("pin"), &format!("{pin}\n"))?;
        Ok(Self { clients, label })
    }

    fn run(&self, program: &str) -> Run {
        self.clients.run(program)
    }
}

#[test]
fn nss_lists_signs_and_verifies_with_a_p256_card() -> Result<()> {
    nss_lists_signs_and_verifies("p256", |_| Ok(()))
}

#[test]
fn nss_lists_signs_verifies_and_decrypts_with_an_rsa_card() -> Result<()> {
    // NSS 3.87 decrypts CMS with RSA keys only: cmsutil finds what OpenSSL encrypts to an elliptic curve malformed.
    nss_lists_signs_and_verifies("rsa2048", |nss| {
        let clients = &nss.clients;
        let read = clients.pkcs11_tool().args(["--read-object", "--type", "cert", "--id", "03"]);
        read.args(["--output-file", "03.der"]).ok()?;
        openssl::to_pem("x509", &clients.path("03.der"))?;
        let encrypt =
            clients.run("openssl").args(["cms", "-encrypt", "-aes256", "-outform", "DER", "-in", "message"]);
        encrypt.args(["-out", "encrypted.p7", "03.pem"]).ok()?;
        let decrypt = nss.run("cmsutil").args(["-D", "-d", "sql:nss", "-f", "pin", "-i", "encrypted.p7"]);
        assert!(decrypt.ok()?.out().contains("hello"));
        Ok(())
    })
}

fn nss_lists_signs_and_verifies(algorithm: &str, more: impl FnOnce(&Nss<'_>) -> Result<()>) -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, _, _inserted) = world.person_at_reader(&pcscd, 0, "alice", algorithm)?;
    let nss = Nss::new(&world, &pcscd, &alice.pin)?;

    let listed = nss.run("certutil").args(["-L", "-d", "sql:nss", "-h", "all", "-f", "pin"]).ok()?;
    for name in
        [FOR_LOGIN, FOR_SIGNING, "Certificate for Key Management", "Certificate for Card Authentication"]
    {
        let line = format!("{}:{name}", nss.label);
        let found = listed.out();
        let found = found.lines().find(|known| known.starts_with(&line)).unwrap_or_default();
        assert!(found.contains("u,u,u"), "{name}: {listed}");
    }
    let keys = nss.run("certutil").args(["-K", "-d", "sql:nss", "-h", &nss.label, "-f", "pin"]).ok()?;
    assert_eq!(keys.out().matches("Private key for").count(), 4, "{keys}");

    fs::write(nss.clients.path("message"), "hello\n")?;
    // 9C too: NSS logs in for the signature, asks for the token's state, and signs (CKA_ALWAYS_AUTHENTICATE).
    let nickname = format!("{}:{FOR_SIGNING}", nss.label);
    // What correspondents are to encrypt to (SMIMEEncryptionKeyPreference) is another key's certificate.
    let for_encryption = format!("{}:Certificate for Key Management", nss.label);
    let sign = nss.run("cmsutil").args(["-S", "-d", "sql:nss", "-f", "pin", "-G", "-N", &nickname]);
    sign.args(["-Y", &for_encryption, "-i", "message", "-o", "signed.p7"]).ok()?;
    let verified =
        nss.run("cmsutil").args(["-D", "-d", "sql:nss", "-n", "-h", "2", "-i", "signed.p7"]).ok()?;
    assert!(verified.text().contains("GoodSignature"), "{verified}");
    let by_openssl =
        nss.run("openssl").args(["cms", "-verify", "-noverify", "-inform", "DER", "-in", "signed.p7"]);
    assert!(by_openssl.ok()?.out().contains("hello"));
    more(&nss)
}

#[test]
fn pdfsig_signs_a_document() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, _, _inserted) = world.person_at_reader(&pcscd, 0, "alice", "rsa2048")?;
    let nss = Nss::new(&world, &pcscd, &alice.pin)?;
    fs::write(nss.clients.path("paper.pdf"), paper::page(&["An official paper"]))?;
    let pdfsig = || nss.run("pdfsig").args(["-nssdir", "sql:nss"]);
    let nickname = format!("{}:{FOR_LOGIN}", nss.label);
    let sign = pdfsig().args(["-nss-pwd", &alice.pin, "-add-signature", "-nick", &nickname]);
    // It signs and then says that NSS could not shut down, which is its own doing, with any token.
    let signed = sign.args(["paper.pdf", "signed.pdf"]).outcome()?;
    assert!(nss.clients.path("signed.pdf").exists(), "{signed}");
    let verified = pdfsig().arg("signed.pdf").ok()?;
    assert!(verified.out().contains("Signature is Valid"), "{verified}");
    assert!(verified.out().contains("Alice Archer"), "{verified}");
    Ok(())
}

/// The PIN that `-nss-pwd` names logs in; the one for each use of 9C comes from `-kpw`, and without it Poppler gives NSS
/// an empty one, again and again as long as NSS asks.
#[test]
fn pdfsig_signs_with_the_signature_key_given_its_pin_and_fails_without() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, _, _inserted) = world.person_at_reader(&pcscd, 0, "alice", "rsa2048")?;
    let nss = Nss::new(&world, &pcscd, &alice.pin)?;
    fs::write(nss.clients.path("paper.pdf"), paper::page(&["An official paper"]))?;
    let nickname = format!("{}:{FOR_SIGNING}", nss.label);
    let sign = |more: &[&str], file: &str| {
        let pdfsig = nss.run("pdfsig").args(["-nssdir", "sql:nss", "-nss-pwd", &alice.pin]);
        pdfsig.args(["-add-signature", "-nick", &nickname]).args(more).args(["paper.pdf", file]).outcome()
    };
    let without = sign(&[], "without.pdf")?;
    let signed = sign(&["-kpw", &alice.pin], "signed.pdf")?;
    assert!(nss.clients.path("signed.pdf").exists(), "{signed}");
    let verify = |file: &str| nss.run("pdfsig").args(["-nssdir", "sql:nss", file]).outcome();
    let verified = verify("signed.pdf")?;
    assert!(verified.out().contains("Signature is Valid"), "{verified}");
    assert!(!verify("without.pdf")?.out().contains("Signature is Valid"), "{without}");
    Ok(())
}
