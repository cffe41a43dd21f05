//! Documents to be signed, and a notary who signs them with keys in files.
use std::path::Path;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use mailer::clock::{Clock, SystemClock};
use mailer::content::Content;
use mailer::documents::SignDocumentError;
use mailer::documents::pdf::Document;
use mailer::documents::preparation::SigningRequest;
use mailer::documents::sign::{SignedDocument, TimeStamper, sign_document};
use mailer::documents::validation_data::ValidationData;
use mailer::documents::verify::{DocumentReport, verify};
use mailer::keys::{CardError, KeyError, SignatureScheme, Signer};
use mailer::smime::{RsaPadding, SigningIdentity};
use mailer::time_stamping::NoTimeStamp;
use mailer::trust::{
    Anchor, Anchors, Certificate, CertificateList, Judge, Purpose, Source, UnknownRevocation,
};

use crate::openssl_pki::{Identity, Key, Pki};

/// A CRL validity that holds at any time at which the tests may run.
pub(crate) const CRL_VALID: (&str, &str) = ("20240101000000Z", "20480101000000Z");

pub(crate) const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A PDF file with so many pages, by hand: a cross-reference table, nothing compressed.
pub(crate) fn pdf(pages: usize) -> Vec<u8> {
    let mut objects = vec![
        "<</Type /Catalog /Pages 2 0 R>>".to_owned(),
        format!(
            "<</Type /Pages /Count {pages} /Kids [{}]>>",
            (0..pages).map(|page| format!("{} 0 R", 4 + 2 * page)).collect::<Vec<_>>().join(" ")
        ),
        "<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>".to_owned(),
    ];
    for page in 0..pages {
        objects.push(format!(
            "<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {} 0 R /Resources <</Font <</F 3 0 R>>>>>>",
            5 + 2 * page
        ));
        let text = format!("BT /F 18 Tf 72 720 Td (The fee is 100 on page {}.) Tj ET", page + 1);
        objects.push(format!("<</Length {}>>\nstream\n{text}\nendstream", text.len()));
    }
    assemble(&objects, "")
}

/// Objects from number 1 on, with a cross-reference table.
pub(crate) fn assemble(objects: &[String], trailer: &str) -> Vec<u8> {
    let mut file = b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n".to_vec();
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        file.extend(format!("{} 0 obj\n{object}\nendobj\n", index + 1).as_bytes());
    }
    let start = file.len();
    file.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).as_bytes());
    for offset in offsets {
        file.extend(format!("{offset:010} 00000 n \n").as_bytes());
    }
    let size = objects.len() + 1;
    file.extend(
        format!("trailer\n<</Size {size} /Root 1 0 R{trailer}>>\nstartxref\n{start}\n%%EOF\n").as_bytes(),
    );
    file
}

/// A text field on the first page.
pub(crate) fn pdf_with_form() -> Vec<u8> {
    let text = "BT /F 18 Tf 72 720 Td (Name:) Tj ET";
    let objects = [
        "<</Type /Catalog /Pages 2 0 R /AcroForm <</Fields [6 0 R] /DA (/F 12 Tf 0 g) /DR <</Font <</F 3 0 R>>>>>>>>".to_owned(),
        "<</Type /Pages /Count 1 /Kids [4 0 R]>>".to_owned(),
        "<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>".to_owned(),
        "<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R /Resources <</Font <</F 3 0 R>>>> /Annots [6 0 R]>>".to_owned(),
        format!("<</Length {}>>\nstream\n{text}\nendstream", text.len()),
        "<</Type /Annot /Subtype /Widget /FT /Tx /T (Name) /V (nobody) /F 4 /P 4 0 R /Rect [130 712 330 740] /DA (/F 12 Tf 0 g)>>".to_owned(),
    ];
    assemble(&objects, "")
}

/// A PKI with its CRLs, and whoever signs.
pub(crate) struct Notary {
    pub(crate) pki: Pki,
    pub(crate) signer: Identity,
    pub(crate) at: Timestamp,
    lists: Vec<CertificateList>,
}

impl Notary {
    pub(crate) fn new(key: Key) -> Self {
        let pki = Pki::new();
        let signer = pki.signer("notary", key);
        let lists = vec![pki.root.crl_with("", CRL_VALID), pki.people.crl_with("", CRL_VALID)];
        Self { pki, signer, at: SystemClock.now(), lists }
    }

    pub(crate) fn sign(&self, file: &[u8], request: &SigningRequest) -> Vec<u8> {
        self.sign_with(file, request, None).content.to_vec(usize::MAX).unwrap().unwrap().to_vec()
    }

    /// The signed file, or why there is none.
    pub(crate) fn try_sign(&self, file: &[u8], request: &SigningRequest) -> Result<Vec<u8>, String> {
        let signed = self.signed(file, request, None).map_err(|error| error.to_string())?;
        Ok(signed.content.to_vec(usize::MAX).unwrap().unwrap().to_vec())
    }

    pub(crate) fn sign_with(
        &self,
        file: &[u8],
        request: &SigningRequest,
        stamper: Option<(&mut dyn TimeStamper, usize)>,
    ) -> SignedDocument {
        self.signed(file, request, stamper).unwrap()
    }

    /// What comes of it when the card is pulled before it signs: the code of the error.
    pub(crate) fn sign_with_failing_key(&self, file: &[u8], stamper: &mut dyn TimeStamper) -> &'static str {
        let document = Document::open(&Content::from_vec(file.to_vec())).unwrap();
        let certificate = self.signer.certificate();
        let identity = SigningIdentity {
            signer: &mut Pulled(certificate.clone()),
            certificate: &certificate,
            intermediates: &[],
            rsa_padding: RsaPadding::Pkcs1v15,
        };
        let request = SigningRequest::default();
        let stamper = Some((stamper, 4000));
        match sign_document(&document, &request, identity, stamper, self.at, [7; 16]) {
            Ok(_) => "signed",
            Err(error) => error.code(),
        }
    }

    fn signed(
        &self,
        file: &[u8],
        request: &SigningRequest,
        stamper: Option<(&mut dyn TimeStamper, usize)>,
    ) -> Result<SignedDocument, SignDocumentError> {
        let document = Document::open(&Content::from_vec(file.to_vec()))?;
        let mut ring = self.signer.ring();
        let identity = SigningIdentity {
            signer: ring.signer(0).unwrap(),
            certificate: &self.signer.certificate(),
            intermediates: &[self.pki.people.certificate()],
            rsa_padding: RsaPadding::Pkcs1v15,
        };
        sign_document(&document, request, identity, stamper, self.at, [7; 16])
    }

    pub(crate) fn verify(&self, file: &[u8]) -> DocumentReport {
        self.verify_at(file, self.at, &self.lists)
    }

    /// What proves the signer, and the stamper, for a long time, by CRLs that are good for a week.
    pub(crate) fn proof(&self, stamper: &Stamper<'_>) -> ValidationData {
        let format = |moment: Timestamp| moment.strftime("%Y%m%d%H%M%SZ").to_string();
        let (from, to) = (format(self.at - HOUR), format(self.at + 168 * HOUR));
        let week = (from.as_str(), to.as_str());
        let lists = [self.pki.root.crl_with("", week), self.pki.people.crl_with("", week)];
        let anchors = self.anchors();
        let mut source = Lists(&lists);
        let mut judge = Judge {
            anchors: &anchors,
            source: &mut source,
            at: self.at,
            unknown_revocation: UnknownRevocation::Reject,
        };
        let people = [self.pki.people.certificate()];
        let mut proof = ValidationData::default();
        for (certificate, purpose) in [
            (self.signer.certificate(), Purpose::SigningDocuments),
            (stamper.authority.certificate(), Purpose::TimeStamping),
        ] {
            let enclosed = judge.proof_of(&certificate, purpose, &people).unwrap();
            proof.merge(ValidationData::from_enclosed(&enclosed));
        }
        proof
    }

    fn anchors(&self) -> Anchors {
        let domains = vec!["example.test".to_owned()];
        Anchors(vec![Anchor { certificate: self.pki.root.certificate(), domains }])
    }

    /// With these CRLs at hand, at that time.
    pub(crate) fn verify_at(&self, file: &[u8], at: Timestamp, lists: &[CertificateList]) -> DocumentReport {
        let document = Document::open(&Content::from_vec(file.to_vec())).unwrap();
        let anchors = self.anchors();
        let mut source = Lists(lists);
        let mut judge = Judge {
            anchors: &anchors,
            source: &mut source,
            at,
            unknown_revocation: UnknownRevocation::Reject,
        };
        verify(&document, &mut judge).unwrap()
    }
}

/// A card that was pulled.
struct Pulled(Certificate);

impl Signer for Pulled {
    fn public_key(&self) -> &spki::SubjectPublicKeyInfoOwned {
        self.0.public_key()
    }

    fn sign(&mut self, _scheme: SignatureScheme, _digest: &[u8]) -> Result<Vec<u8>, KeyError> {
        Err(KeyError::Card(CardError::CardRemoved))
    }
}

pub(crate) struct Lists<'a>(pub(crate) &'a [CertificateList]);

impl Source for Lists<'_> {
    fn issuers_at_hand(&mut self, _key_identifier: &[u8]) -> Vec<Certificate> {
        Vec::new()
    }

    fn issuers(&mut self, _key_identifier: &[u8]) -> Vec<Certificate> {
        Vec::new()
    }

    fn revocation_lists(&mut self, _key_identifier: &[u8]) -> Vec<CertificateList> {
        self.0.to_vec()
    }
}

/// `openssl ts` as a time-stamp server without a network.
pub(crate) struct Stamper<'n> {
    pub(crate) notary: &'n Notary,
    pub(crate) authority: Identity,
}

pub(crate) const TSA: &str = "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";

impl<'n> Stamper<'n> {
    pub(crate) fn new(notary: &'n Notary) -> Self {
        Self::with(notary, Key::P256)
    }

    pub(crate) fn with(notary: &'n Notary, key: Key) -> Self {
        Self { notary, authority: notary.pki.root.issue("Stamper", key, TSA) }
    }
}

impl TimeStamper for Stamper<'_> {
    fn stamp(&mut self, octets: &[u8]) -> Result<Vec<u8>, NoTimeStamp> {
        let (certificate, key) = (self.authority.pem(), self.authority.key());
        let config = format!(
            "[tsa]\ndefault_tsa=this\n[this]\nserial=stamps\ncrypto_device=builtin\nsigner_cert={certificate}\nsigner_key={key}\n\
             signer_digest=sha256\ndefault_policy=1.2.3.4.1\ndigests=sha256,sha512\naccuracy=secs:1\ness_cert_id_chain=no\n\
             ess_cert_id_alg=sha256\n"
        );
        let pki = &self.notary.pki;
        pki.write("tsa.cnf", config.as_bytes());
        pki.write("value", octets);
        let openssl = |arguments: &str| {
            let words: Vec<&str> = arguments.split_whitespace().collect();
            crate::openssl_pki::openssl(pki.path(), &words)
        };
        openssl("ts -query -data value -sha256 -cert -out query.tsq");
        openssl("ts -reply -config tsa.cnf -queryfile query.tsq -token_out -out token.der");
        Ok(pki.read("token.der"))
    }
}

/// Runs a tool; what it said on both, and its exit code.
pub(crate) fn tool(folder: &Path, program: &str, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("{program} must be installed: {error}"));
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}
