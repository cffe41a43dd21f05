//! `mailer verify`: the verdict about a message or a CMS signature, and nothing of its content.
use std::io;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::context::{Context, PinOptions};
use super::input::{file_content, stdin_content};
use super::open::{judging, open_message};
use super::report::{Exit, Failure, print_text};
use super::verdict::{Finding, verdict_json};
use crate::content::Content;
use crate::message::mime::MimeError;
use crate::message::terminal_text::safe_text;
use crate::message::transfer_encoding::{DecodedBody, TransferEncoding};
use crate::protection::open::ReleasePolicy;
use crate::smime::{self, VerifyError};
use crate::trust::Verdict;

/// Says who signed a message, and whether to believe it; prints no content.
///
/// Reads a mail of any length from a file or standard input. The card is needed only for an encrypted one. With --content, FILE
/// is a CMS signature (DER or PEM) over the octets of that file; with --cms alone it carries its content itself.
///
/// Exit code 0 means signed and trusted, 4 anything else that could be read, unsigned mail included.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mailer verify letter.eml\n  mailer verify --content report.pdf report.pdf.p7s --json"
)]
pub(super) struct Verify {
    /// The message [default: standard input]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// FILE is a CMS SignedData, not a mail
    #[arg(long)]
    cms: bool,
    /// The octets that the CMS SignedData in FILE signs
    #[arg(long, value_name = "FILE")]
    content: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pin: PinOptions,
}

impl Verify {
    pub(super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let context = Context::load(home)?;
        let input = self.file.as_deref().map_or_else(stdin_content, file_content)?;
        if self.cms || self.content.is_some() {
            return self.cms(&context, &input);
        }
        let (opened, notes) = open_message(&context, &self.pin, &input)?;
        let policy = ReleasePolicy { require_signed: true, show_untrusted: false };
        let finding = Finding::new(&opened, policy, &notes);
        if self.json {
            let mut object = finding.to_json(&json!({ "command": "verify" }));
            if let Some(object) = object.as_object_mut() {
                object.remove("content");
            }
            print_text(&format!("{object}\n"))?;
        } else {
            print_text(&finding.in_words())?;
        }
        Ok(finding.exit)
    }

    /// A CMS object names no author, so the signer is judged by the certificate's own addresses.
    fn cms(&self, context: &Context, object: &Content) -> Result<Exit, Failure> {
        let content = self.content.as_deref().map(file_content).transpose()?;
        let (verdict, notes) = judging(context, |judge| {
            let object = match cms_octets(object).map_err(MimeError::from)? {
                Some(object) => object,
                None => {
                    let problem = "the file is no CMS object in DER, and no whole one in PEM".to_owned();
                    return Ok(Verdict::unreadable(&VerifyError::Malformed(problem)));
                }
            };
            Ok(match smime::verify(&object, content.as_ref(), &[]) {
                Ok(signed) => judge.signed_message(&signed, &[]),
                Err(VerifyError::Io(problem)) => return Err(MimeError::from(problem).into()),
                Err(problem) => Verdict::unreadable(&problem),
            })
        })?;
        let exit = if verdict.is_trusted() { Exit::Done } else { Exit::NotTrusted };
        if self.json {
            let notes: Vec<Value> = notes.iter().map(|note| json!(safe_text(note))).collect();
            let object = json!({
                "command": "verify", "verdict": verdict_json(&verdict), "encrypted": false, "notes": notes, "exit": exit.code(),
            });
            print_text(&format!("{object}\n"))?;
        } else {
            let notes: String = notes.iter().map(|note| format!("note: {}\n", safe_text(note))).collect();
            print_text(&format!("{}\n{notes}", safe_text(&verdict.to_string())))?;
        }
        Ok(exit)
    }
}

/// The octets of a CMS object that is DER or PEM (RFC 7468 sections 8 and 9); `None` for anything else, PEM without end too.
fn cms_octets(object: &Content) -> io::Result<Option<DecodedBody>> {
    let start = object.head(LONGEST_PEM_LINE)?;
    if start.first() == Some(&SEQUENCE) {
        return Ok(Some(DecodedBody { body: object.clone(), encoding: TransferEncoding::Identity }));
    }
    let blank = start.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let Some(label) = start.get(blank..).and_then(|start| start.strip_prefix(b"-----BEGIN ")) else {
        return Ok(None);
    };
    let tail_start = object.len().saturating_sub(LONGEST_PEM_LINE as u64);
    let tail = object.slice(tail_start..object.len()).head(LONGEST_PEM_LINE)?;
    let end = memchr::memmem::rfind(&tail, b"-----END ");
    let is_cms = PEM_LABELS.iter().any(|known| label.starts_with(known));
    let first_line = start.len() - label.len() + label.iter().take_while(|&&byte| byte != b'\n').count();
    Ok(end.filter(|_| is_cms).map(|end| DecodedBody {
        body: object.slice(first_line as u64..tail_start + end as u64),
        encoding: TransferEncoding::Base64,
    }))
}

/// What every ContentInfo begins with.
const SEQUENCE: u8 = 0x30;
const LONGEST_PEM_LINE: usize = 1024;
const PEM_LABELS: [&[u8]; 3] = [b"CMS-----", b"PKCS7-----", b"PKCS #7 SIGNED DATA-----"];
