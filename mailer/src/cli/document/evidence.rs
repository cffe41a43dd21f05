//! `mailer document evidence`: everything that proves a case, for whoever has nothing but openssl.
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::super::algorithms::AlgorithmOptions;
use super::super::asking::{Letter, letter_of};
use super::super::context::{Context, PinOptions};
use super::super::report::{Exit, Failure, plain_words, print_text};
use super::super::signing::Desk;
use super::status::case_json;
use crate::certificate::Certificate;
use crate::certificate::tlv::{element, tag};
use crate::content::Content;
use crate::documents::pdf::Document;
use crate::documents::signature::signatures;
use crate::documents::validation_data::ValidationData;
use crate::ledger::{Case, Given, Ledger};
use crate::message::attachment::safe_name;
use crate::message::base64::Base64Writer;
use crate::message::mime::MimeError;
use crate::message::outer::assemble;
use crate::message::parse;
use crate::message::part::Part;
use crate::message::shown_text::Reading;
use crate::smime::{self, ReceivedReceipt, Signature};
use crate::time_stamping::Token;
use crate::trust::{Purpose, in_words};

/// Writes a folder that proves who was sent a document and who has confirmed it: document, message, receipts, time stamps,
/// certificates, CRLs, and a README with the commands of openssl that check all of it.
///
/// The card opens the message that the ledger keeps encrypted. The folder is readable to whoever gets it: hand it out with
/// care.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mailer document evidence 20261130T081500Z-1a2b3c4d --to evidence")]
pub(in super::super) struct Evidence {
    /// The case that `mailer document status` shows
    #[arg(value_name = "CASE")]
    case: String,
    /// The folder, which must not be there yet
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// One JSON object on stdout
    #[arg(long)]
    pub(in super::super) json: bool,
    #[command(flatten)]
    pin: PinOptions,
}

/// What a signature of the message, of a receipt or of the document needs to be checked.
struct Signed {
    /// The files' common name, such as `receipts/bob@mail.test`.
    stem: String,
    signature: Signature,
    along: Vec<Certificate>,
    what: String,
    /// Where the value of the signature stands in the CMS object, so that openssl can cut it out.
    value_at: Option<usize>,
    /// The commands that show that the signed octets are those of the document.
    binding: Vec<String>,
}

/// The folder while it is written.
struct Folder<'f> {
    root: &'f Path,
    /// Name and SHA-256 of each file.
    sums: Vec<(String, String)>,
}

impl Evidence {
    pub(in super::super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        if self.to.exists() {
            return Err(Failure::usage(format!(
                "{} is there already; name another folder",
                self.to.display()
            )));
        }
        let context = Context::load(home)?;
        let case = Ledger::open(&context.home.ledger())?.case(&self.case)?;
        let mut desk = Desk::new(&context, context.card(&self.pin)?, AlgorithmOptions::signing(false))?;
        let letter = letter_of(&case, &mut desk)?;
        let parent =
            self.to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let unfinished = tempfile::Builder::new()
            .prefix(".new-")
            .tempdir_in(parent)
            .map_err(|problem| Failure::file(parent, &problem))?;
        let mut folder = Folder { root: unfinished.path(), sums: Vec::new() };
        let receipts = write_all(&context, &mut desk, &case, &letter, &mut folder)?;
        let kept = unfinished.keep();
        fs::rename(&kept, &self.to).map_err(|problem| {
            let _ = fs::remove_dir_all(&kept);
            Failure::file(&self.to, &problem)
        })?;
        if self.json {
            let object = json!({
                "command": "document evidence", "case": self.case, "folder": self.to.display().to_string(), "receipts": receipts,
                "exit": 0,
            });
            print_text(&format!("{object}\n"))?;
        } else {
            print_text(&format!(
                "{}: the evidence of {} with {receipts} {}; its README.md says how to check it.\n",
                plain_words(&self.to.display().to_string()),
                self.case,
                if receipts == 1 { "receipt" } else { "receipts" }
            ))?;
        }
        Ok(Exit::Done)
    }
}

impl Folder<'_> {
    fn write(&mut self, name: &str, octets: &[u8]) -> Result<(), Failure> {
        let path = self.root.join(name);
        let failure = |problem| Failure::file(&path, &problem);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failure)?;
        }
        fs::write(&path, octets).map_err(failure)?;
        self.sums.push((name.to_owned(), hex::encode(Sha256::digest(octets))));
        Ok(())
    }
}

fn write_all(
    context: &Context,
    desk: &mut Desk<'_>,
    case: &Case,
    letter: &Letter,
    folder: &mut Folder<'_>,
) -> Result<usize, Failure> {
    let entity = letter.entity.to_vec(usize::MAX).map_err(MimeError::from)?;
    let message = assemble(&letter.fields, &entity.unwrap_or_default());
    folder.write("message.eml", &message)?;
    let mut signed = vec![of_message(letter)?];
    let document = write_document(case, letter, folder)?;
    if let Some(document) = &document {
        signed.extend(write_signatures(document, folder)?);
    }
    let states = case.states()?;
    let mut count = 0;
    for state in &states {
        if let Some(given) = &state.receipt {
            let receipt = of_receipt(case, given, &state.address, folder)?;
            signed.push(receipt);
            count += 1;
        }
        for (file, ..) in &state.refused {
            folder.write(file, &case.kept(file)?)?;
        }
    }
    let strangers = case.strangers_receipts()?;
    for receipt in &strangers {
        folder.write(&receipt.file, &case.kept(&receipt.file)?)?;
    }
    let stamped = write_time_stamps(&signed, folder)?;
    let believed = write_proofs(context, desk, &signed, &stamped, folder)?;
    let status = serde_json::to_vec_pretty(&case_json(case, &states, &strangers)).unwrap_or_default();
    folder.write("status.json", &status)?;
    let readme = Readme { context, case, signed: &signed, stamped: &stamped, believed: &believed }
        .text(document.as_ref().and_then(|document| Some((&*document.file, document.attached.as_ref()?))));
    folder.write("README.md", readme.as_bytes())?;
    let sums: String = folder.sums.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
    let path = folder.root.join("SHA256SUMS");
    fs::write(&path, sums).map_err(|problem| Failure::file(&path, &problem))?;
    Ok(count)
}

fn unreadable(what: &str) -> Failure {
    Failure::new("ledger-damaged", format!("{what} that the ledger keeps cannot be read"))
}

fn of_message(letter: &Letter) -> Result<Signed, Failure> {
    use crate::message::secured::{Protection, protection};
    let verified = match protection(&Part::read(&letter.entity)?)? {
        Protection::Detached { content, signature } => smime::verify(&signature, Some(&content), &[]),
        Protection::Object { cms, .. } => smime::verify(&cms, None, &[]),
        Protection::None => return Err(unreadable("the message")),
    };
    let verified = verified.map_err(|_| unreadable("the message"))?;
    let signature = verified.signers.into_iter().find_map(|signer| signer.outcome.ok());
    Ok(Signed {
        stem: "message".to_owned(),
        signature: signature.ok_or_else(|| unreadable("the message"))?,
        along: verified.certificates,
        what: "the message".to_owned(),
        value_at: None,
        binding: Vec::new(),
    })
}

fn of_receipt(case: &Case, given: &Given, address: &str, folder: &mut Folder<'_>) -> Result<Signed, Failure> {
    let octets = case.kept(&given.file)?;
    let what = || unreadable(&given.file);
    let object = Part::read(&Content::from_vec(octets.clone()))?.decoded_body()?;
    let received = ReceivedReceipt::read(&object, &[]).map_err(|_| what())?;
    let object = object.to_vec(crate::message::MAXIMUM_MESSAGE_BYTES).map_err(MimeError::from)?;
    let value_at = value_at(&object.unwrap_or_default(), &received.signature.value);
    folder.write(&given.file, &octets)?;
    let stem = given.file.strip_suffix(".eml").unwrap_or(&given.file).to_owned();
    let what = format!("the receipt of {address}");
    let along = received.message.certificates;
    Ok(Signed { stem, signature: received.signature, along, what, value_at, binding: Vec::new() })
}

/// The document as the message carries it.
struct Attached {
    /// Its name in the folder, for a shell.
    file: String,
    octets: Content,
    /// Where its base64 stands in the signed content of the message, as we write it.
    attached: Option<Range<usize>>,
}

/// The document, out of the message.
fn write_document(
    case: &Case,
    letter: &Letter,
    folder: &mut Folder<'_>,
) -> Result<Option<Attached>, Failure> {
    let Some(facts) = &case.record().document else { return Ok(None) };
    let signed = signed_content(letter)?;
    let readable = parse::read(&signed, Reading { omit_legacy_display: false })?;
    let octets = readable.attachments.iter().find_map(|attached| {
        let octets = attached.to_vec(crate::message::MAXIMUM_MESSAGE_BYTES).ok().flatten()?;
        (hex::encode(Sha256::digest(&octets)) == facts.sha256).then_some(octets)
    });
    let octets = octets.ok_or_else(|| unreadable("the document"))?;
    let name = format!("document/{}", safe_name(&facts.name));
    folder.write(&name, &octets)?;
    let mut lines = Base64Writer::new(Vec::new());
    let encoded = lines.write_all(&octets).and_then(|()| lines.finish());
    let encoded = encoded.map_err(|problem| Failure::new("input-output", problem.to_string()))?;
    let signed = signed.to_vec(crate::message::MAXIMUM_MESSAGE_BYTES).map_err(MimeError::from)?;
    let at = memchr::memmem::find(&signed.unwrap_or_default(), &encoded);
    let attached = at.map(|at| at..at + encoded.len());
    Ok(Some(Attached { file: quoted(&name), octets: Content::from_vec(octets.to_vec()), attached }))
}

/// What the signatures of the document cover, cut out so that no reader of PDF files is needed.
fn write_signatures(attached: &Attached, folder: &mut Folder<'_>) -> Result<Vec<Signed>, Failure> {
    let Ok(document) = Document::open(&attached.octets) else { return Ok(Vec::new()) };
    let mut signed = Vec::new();
    for (number, found) in signatures(&document).unwrap_or_default().into_iter().enumerate() {
        let Ok(signature) = found.signature else { continue };
        let stem = format!("document/signature{}", number + 1);
        let covered = signature.signed_octets(&document);
        let verified = smime::verify(&signature.object.as_slice(), Some(&covered), &[]);
        let Ok(verified) = verified else { continue };
        let Some(good) = verified.signers.into_iter().find_map(|signer| signer.outcome.ok()) else {
            continue;
        };
        let octets = covered.to_vec(usize::MAX).map_err(MimeError::from)?;
        folder.write(&format!("{stem}.octets"), &octets.unwrap_or_default())?;
        folder.write(&format!("{stem}.p7s"), &signature.object)?;
        let (file, gap, end) = (&attached.file, &signature.gap, signature.end);
        signed.push(Signed {
            value_at: value_at(&signature.object, &good.value),
            what: format!("signature {} of the document", number + 1),
            binding: vec![
                format!("cmp -n {} {file} {stem}.octets", gap.start),
                format!("head -c {end} {file} | cmp - {stem}.octets {} {}", gap.end, gap.start),
            ],
            stem,
            signature: good,
            along: verified.certificates,
        });
    }
    Ok(signed)
}

/// One word for a shell.
fn quoted(name: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    match name.chars().all(is_plain) {
        true => name.to_owned(),
        false => format!("'{}'", name.replace('\'', r"'\''")),
    }
}

/// The content that the message's signature covers.
fn signed_content(letter: &Letter) -> Result<Content, Failure> {
    use crate::message::secured::{Protection, protection};
    match protection(&Part::read(&letter.entity)?)? {
        Protection::Detached { content, .. } => Ok(content),
        Protection::Object { cms, .. } => {
            let verified = smime::verify(&cms, None, &[]).map_err(|_| unreadable("the message"))?;
            verified.content.ok_or_else(|| unreadable("the message"))
        }
        Protection::None => Err(unreadable("the message")),
    }
}

/// The OCTET STRING around the value of a signature in an object in DER, which openssl writes as it reads it. In BER, openssl
/// would write it otherwise.
fn value_at(object: &[u8], value: &[u8]) -> Option<usize> {
    const INDEFINITE: u8 = 0x80;
    if object.get(1) == Some(&INDEFINITE) {
        return None;
    }
    let element = element(tag::OCTET_STRING, &[value]);
    let mut found = object.windows(element.len()).enumerate().filter(|(_, window)| *window == element);
    match (found.next(), found.next()) {
        (Some((at, _)), None) => Some(at),
        _ => None,
    }
}

/// The time stamps over the values of signatures; a value too where openssl cannot cut it out.
fn write_time_stamps(signed: &[Signed], folder: &mut Folder<'_>) -> Result<Vec<(String, Token)>, Failure> {
    let mut stamped = Vec::new();
    for Signed { stem, signature, along, value_at, .. } in signed {
        let token =
            signature.time_stamp_tokens.iter().find_map(|der| Some((der, Token::read(der, along).ok()?)));
        if let Some((der, token)) = token {
            if value_at.is_none() {
                folder.write(&format!("{stem}.value"), &signature.value)?;
            }
            folder.write(&format!("{stem}.tst"), der)?;
            stamped.push((stem.clone(), token));
        }
    }
    Ok(stamped)
}

/// Certificates and CRLs; answers the certificates that are believed now, each with the name of its file.
fn write_proofs(
    context: &Context,
    desk: &mut Desk<'_>,
    signed: &[Signed],
    stamped: &[(String, Token)],
    folder: &mut Folder<'_>,
) -> Result<Vec<(Certificate, String)>, Failure> {
    let (mut proofs, mut believed) = (ValidationData::default(), Vec::new());
    let mut all: Vec<(&Certificate, &[Certificate], Purpose)> = Vec::new();
    for Signed { signature, along, .. } in signed {
        all.push((&signature.certificate, along, Purpose::SigningDocuments));
    }
    for (_, token) in stamped {
        all.push((&token.authority, &token.certificates, Purpose::TimeStamping));
    }
    for (certificate, along, purpose) in all {
        let others = along.iter().map(|found| found.der().to_vec()).chain([certificate.der().to_vec()]);
        proofs.merge(ValidationData { certificates: others.collect(), ..ValidationData::default() });
        if believed.iter().any(|(known, _)| known == certificate) {
            continue;
        }
        if let Ok(proof) = desk.proof(certificate, purpose, along) {
            proofs.merge(proof);
            let name = format!("certificates/{}.pem", certificate.serial_number());
            folder.write(&name, pem("CERTIFICATE", certificate.der())?.as_bytes())?;
            believed.push((certificate.clone(), name));
        }
    }
    let anchors = context.anchors()?;
    let join = |label: &'static str, ders: &mut dyn Iterator<Item = &[u8]>| {
        ders.map(|der| pem(label, der)).collect::<Result<String, Failure>>()
    };
    let roots = join("CERTIFICATE", &mut anchors.0.iter().map(|anchor| anchor.certificate.der()))?;
    folder.write("certificates/anchors.pem", roots.as_bytes())?;
    let others = join("CERTIFICATE", &mut proofs.certificates.iter().map(Vec::as_slice))?;
    folder.write("certificates/others.pem", others.as_bytes())?;
    let lists = join("X509 CRL", &mut proofs.lists.iter().map(Vec::as_slice))?;
    folder.write("certificates/crls.pem", lists.as_bytes())?;
    for (number, answer) in proofs.answers.iter().enumerate() {
        folder.write(&format!("certificates/ocsp{}.der", number + 1), answer)?;
    }
    Ok(believed)
}

fn pem(label: &'static str, der: &[u8]) -> Result<String, Failure> {
    der::pem::encode_string(label, der::pem::LineEnding::LF, der)
        .map_err(|error| Failure::new("not-encodable", error.to_string()))
}

/// What the README tells.
struct Readme<'r> {
    context: &'r Context,
    case: &'r Case,
    signed: &'r [Signed],
    stamped: &'r [(String, Token)],
    believed: &'r [(Certificate, String)],
}

impl Readme<'_> {
    fn text(&self, attached: Option<(&str, &Range<usize>)>) -> String {
        let Self { case, signed, stamped, .. } = self;
        let trust = self.trust("-certfile");
        let mut text = self.head();
        text.push_str("## The message is from its sender\n\n");
        let verify = format!("openssl cms -verify -in message.eml {trust} -purpose any");
        command(&mut text, &format!("{verify} -out /dev/null"));
        if let Some((file, at)) = attached {
            text.push_str("## The document is the one in the message\n\n");
            let cut = format!("tail -c +{} | head -c {}", at.start + 1, at.len());
            command(&mut text, &format!("{verify} | {cut} | openssl base64 -d | cmp - {file}"));
        }
        for Signed { stem, what, binding, .. } in self.below("document/") {
            let _ = write!(
                text,
                "## {}\n\nIt covers the document, without the signature itself:\n\n",
                sentence(what)
            );
            binding.iter().for_each(|line| command(&mut text, line));
            text.push_str("And it is good:\n\n");
            let cut = format!("-binary -inform DER -in {stem}.p7s -content {stem}.octets");
            command(&mut text, &format!("openssl cms -verify {cut} {trust} -purpose any -out /dev/null"));
        }
        text.push_str("## Who has confirmed it\n\n");
        for Signed { stem, what, .. } in self.below("receipts/") {
            let _ = write!(text, "{}:\n\n", sentence(what));
            let receipt = format!("openssl cms -verify_receipt {stem}.eml -in message.eml");
            command(&mut text, &format!("{receipt} {trust} -purpose any"));
        }
        if !self.below("receipts/").any(|_| true) {
            text.push_str("Nobody, when this was written.\n\n");
        }
        text.push_str("## When it was signed, by trusted time stamps\n\n");
        for (stem, token) in *stamped {
            let of_this = signed.iter().find(|found| found.stem == *stem);
            let what = of_this.map(|found| found.what.as_str()).unwrap_or_default();
            let _ =
                write!(text, "{} was there before {}:\n\n", sentence(what), in_words(token.info.at_latest()));
            let value_at = of_this.and_then(|found| found.value_at);
            command(&mut text, &time_stamp_command(stem, value_at, &self.trust("-untrusted")));
        }
        if stamped.is_empty() {
            let _ = writeln!(
                text,
                "There are none: {} is what the sender's clock said.\n",
                in_words(case.record().signed)
            );
        }
        self.certificates(&mut text);
        text
    }

    fn head(&self) -> String {
        let record = self.case.record();
        let mut text = format!(
            "# Evidence of {}\n\nSubject: {}\n\nSent by {}; signed {}.\n",
            record.id,
            plain_words(&record.subject),
            record.sender,
            in_words(record.signed)
        );
        if let Some(document) = &record.document {
            let _ = writeln!(
                text,
                "\nDocument: {}, {} octets, SHA-256 {}.",
                plain_words(&document.name),
                document.octets,
                document.sha256
            );
        }
        text.push_str(
            "\nEvery command below is run in this folder and ends with status 0. It needs openssl 3, and sha256sum, cmp, head and\n\
             tail; nothing of ours. You must know from elsewhere that `certificates/anchors.pem` is the authority that you trust.\n\
             Certificates are judged as of the moment when this was written.\n\n## Nothing was changed\n\n",
        );
        command(&mut text, "sha256sum --check --quiet SHA256SUMS");
        text
    }

    fn certificates(&self, text: &mut String) {
        let written = in_words(self.context.now);
        let _ = write!(text, "## Nobody's certificate was revoked when this was written, on {written}\n\n");
        for (certificate, file) in self.believed {
            let _ = write!(text, "{}:\n\n", plain_words(&certificate.subject()));
            let lists = format!("{} -CRLfile certificates/crls.pem", self.trust("-untrusted"));
            command(text, &format!("openssl verify -crl_check_all {lists} {file}"));
        }
        let is_doubtful =
            |found: &&Signed| self.believed.iter().all(|(known, _)| *known != found.signature.certificate);
        for Signed { what, signature, .. } in self.signed.iter().filter(is_doubtful) {
            let _ = writeln!(
                text,
                "The certificate of {} ({what}) is not good any more, or was not known to be: `certificates/crls.pem` tells why. A time stamp above tells whether the signature is older.\n",
                plain_words(&signature.certificate.subject())
            );
        }
    }

    fn below<'s>(&'s self, folder: &'s str) -> impl Iterator<Item = &'s Signed> {
        self.signed.iter().filter(move |found| found.stem.starts_with(folder))
    }

    fn trust(&self, others: &str) -> String {
        let moment = self.context.now.as_second();
        format!("-CAfile certificates/anchors.pem {others} certificates/others.pem -attime {moment}")
    }
}

/// With a capital letter.
fn sentence(words: &str) -> String {
    let mut characters = words.chars();
    characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters).collect()
}

/// The value of the signature is cut out of the very file that carries it: nobody can put the time stamp of another beside it.
fn time_stamp_command(stem: &str, value_at: Option<usize>, trust: &str) -> String {
    let verify = |data: &str| format!("openssl ts -verify -data {data} -in {stem}.tst -token_in {trust}");
    let Some(at) = value_at else { return verify(&format!("{stem}.value")) };
    let cut = format!("openssl asn1parse -inform DER -strparse {at} -noout -out /dev/stdout");
    match stem.starts_with("receipts/") {
        true => {
            let object = format!("openssl cms -cmsout -in {stem}.eml -outform DER");
            format!("{object} | {cut} | {}", verify("/dev/stdin"))
        }
        false => format!("{cut} -in {stem}.p7s | {}", verify("/dev/stdin")),
    }
}

fn command(text: &mut String, line: &str) {
    let _ = write!(text, "```sh\n{line}\n```\n\n");
}
