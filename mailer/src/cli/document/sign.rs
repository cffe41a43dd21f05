//! `mailer document sign`: a document signed on the card, with a trusted time stamp.
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::super::algorithms::AlgorithmOptions;
use super::super::context::{Context, PinOptions, new_identifier};
use super::super::report::{Exit, Failure, plain_words, print_text, shown, tell};
use super::super::signing::Desk;
use super::files;
use super::seal_options::SealOptions;
use super::time::Stamps;
use crate::content::Content;
use crate::documents::Permission;
use crate::documents::preparation::SigningRequest;
use crate::documents::sign::{SignedDocument, TimeStamper, sign_document};
use crate::smime::{SignError, SignedAttributesPlan, sign, unsigned_time_stamp};
use crate::time_stamping::NoTimeStamp;

/// Signs a document on the card, with a trusted time stamp.
///
/// A PDF file gets a signature inside (PAdES), appended so that earlier ones stay good; the first one certifies the document:
/// later changes show. Any other file gets a signature beside it (CAdES, FILE.p7s). The file itself is never touched. The
/// time-stamp server is tried before the PIN is asked; if it fails after all, the document is signed without a time stamp
/// (exit code 3), and `mailer document stamp` adds it later, without the card.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mailer document sign notice.pdf --reason 'Issued' --seal --image coat-of-arms.png --page 1 --at 340,60\n  mailer document sign contract.docx"
)]
pub(in super::super) struct Sign {
    /// The document
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the result goes [default: FILE-signed.pdf, or FILE.p7s]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How long it can be proven [default: b-lt where a time-stamp server is configured, otherwise b-b]
    #[arg(long, value_enum, value_name = "LEVEL")]
    level: Option<LevelArgument>,
    /// What may be done to the document later [default for a first signature: nothing]
    #[arg(long, value_enum, value_name = "CHANGES", conflicts_with = "no_certify")]
    certify: Option<CertifyArgument>,
    /// Sign without certifying: forms may be filled in later, and others may sign
    #[arg(long)]
    no_certify: bool,
    /// The signature field: an empty one of the document, or a name for a new one
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    /// Why you sign
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Where you sign
    #[arg(long, value_name = "TEXT")]
    location: Option<String>,
    #[command(flatten)]
    seal: SealOptions,
    /// Put the signature beside a PDF file too (FILE.p7s)
    #[arg(long)]
    detached: bool,
    /// One JSON object on stdout
    #[arg(long)]
    pub(in super::super) json: bool,
    /// Sign with RSASSA-PSS if the key is RSA; not every program verifies it
    #[arg(long)]
    rsa_pss: bool,
    #[command(flatten)]
    pin: PinOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum LevelArgument {
    /// Signed
    #[value(name = "b-b")]
    BB,
    /// With a trusted time stamp
    #[value(name = "b-t")]
    BT,
    /// With everything that proves it, so that nobody needs to be asked later
    #[value(name = "b-lt")]
    BLt,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CertifyArgument {
    /// Nothing may be changed
    NoChanges,
    /// Forms may be filled in, and others may sign
    FillIn,
    /// Annotations are allowed too
    Annotate,
}

impl CertifyArgument {
    fn permission(self) -> Permission {
        match self {
            Self::NoChanges => Permission::NoChanges,
            Self::FillIn => Permission::FillIn,
            Self::Annotate => Permission::Annotate,
        }
    }
}

/// What came of it.
struct Outcome {
    output: PathBuf,
    field: Option<String>,
    stamped: Option<Result<(), NoTimeStamp>>,
}

impl Sign {
    pub(in super::super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let context = Context::load(home)?;
        let content = files::read(&self.file)?;
        let is_pdf = files::is_pdf(&content)?;
        let in_pdf = is_pdf && !self.detached;
        let is_named_pdf = self.file.extension().is_some_and(|found| found.eq_ignore_ascii_case("pdf"));
        if is_named_pdf && !is_pdf && !self.detached {
            let message = format!(
                "{} is no PDF file, whatever its name says; --detached puts the signature beside it",
                self.file.display()
            );
            return Err(Failure::new("not-a-pdf", message));
        }
        let stamps = Stamps::configured(&context)?;
        let level = self.level(stamps.is_some());
        let stamps = match (level, stamps) {
            (LevelArgument::BB, _) => None,
            (_, Some(stamps)) => Some(stamps),
            (_, None) => return Err(no_server()),
        };
        let mut desk =
            Desk::new(&context, context.card(&self.pin)?, AlgorithmOptions::signing(self.rsa_pss))?;
        let outcome = if in_pdf {
            self.pdf(&context, &mut desk, &content, stamps, level)?
        } else {
            self.beside(&context, &mut desk, &content, stamps)?
        };
        self.report(&outcome)
    }

    fn level(&self, has_server: bool) -> LevelArgument {
        let otherwise = if has_server { LevelArgument::BLt } else { LevelArgument::BB };
        self.level.unwrap_or(otherwise)
    }

    fn pdf(
        &self,
        context: &Context,
        desk: &mut Desk<'_>,
        content: &Content,
        mut stamps: Option<Stamps>,
        level: LevelArgument,
    ) -> Result<Outcome, Failure> {
        let output = files::output(&self.file, self.output.clone(), files::beside(&self.file, "-signed"))?;
        let document = files::open(&self.file, content)?;
        let is_first = crate::documents::signature::signatures(&document)
            .map_err(|error| Failure::new(error.code(), error.to_string()))?
            .is_empty();
        // Whatever can fail without the card fails before the PIN is asked.
        desk.check_signer()?;
        let rehearsed = stamps.as_mut().map(|stamps| stamps.rehearse(desk)).transpose()?;
        let proof = match (level, &rehearsed) {
            (LevelArgument::BLt, Some(rehearsed)) => {
                let mut proof = desk.proof_of_signer()?;
                proof.merge(rehearsed.proof.clone());
                Some(proof)
            }
            _ => None,
        };
        let certificate = desk.signing_certificate()?;
        let request = SigningRequest {
            field: self.field.clone(),
            certify: match (self.certify, self.no_certify || !is_first) {
                (Some(told), _) => Some(told.permission()),
                (None, true) => None,
                (None, false) => Some(Permission::NoChanges),
            },
            name: Some(certificate.subject()),
            reason: self.reason.clone(),
            location: self.location.clone(),
            placement: self.seal.placement(&certificate, self.reason.as_deref(), context.now)?,
            validation_data: proof,
        };
        let identifier = new_identifier()?;
        let signed = desk.with_identity(|identity| {
            let stamper = stamps.as_mut().zip(rehearsed.as_ref());
            let stamper =
                stamper.map(|(stamps, rehearsed)| (stamps as &mut dyn TimeStamper, rehearsed.longest));
            sign_document(&document, &request, identity, stamper, context.now, identifier)
                .map_err(|error| Failure::new(error.code(), format!("{}: {error}", self.file.display())))
        })?;
        let SignedDocument { content, field, stamped } = signed;
        files::write(&output, &content)?;
        Ok(Outcome { output, field: Some(field), stamped })
    }

    /// A CAdES signature beside the file (EN 319 122-1).
    fn beside(
        &self,
        context: &Context,
        desk: &mut Desk<'_>,
        content: &Content,
        mut stamps: Option<Stamps>,
    ) -> Result<Outcome, Failure> {
        let output = files::output(&self.file, self.output.clone(), appended(&self.file, ".p7s"))?;
        stamps.as_mut().map(|stamps| stamps.rehearse(desk)).transpose()?;
        let algorithm = desk.signing_algorithm()?;
        let (object, stamped) = desk.with_identity(|identity| {
            let digest = sign::digest(content, algorithm, &mut |_| {}).map_err(SignError::from)?;
            let intermediates = identity.intermediates;
            let made = sign::make(&digest, identity, &SignedAttributesPlan::detached_document(context.now))?;
            let stamped = stamps.as_mut().map(|stamps| stamps.stamp(made.value()));
            let unsigned = match &stamped {
                Some(Ok(token)) => vec![unsigned_time_stamp(token)?],
                _ => Vec::new(),
            };
            Ok((made.signed_data(None, intermediates, &unsigned)?, stamped))
        })?;
        files::write(&output, &object)?;
        Ok(Outcome { output, field: None, stamped: stamped.map(|stamped| stamped.map(drop)) })
    }

    fn report(&self, outcome: &Outcome) -> Result<Exit, Failure> {
        let failed = outcome.stamped.as_ref().and_then(|stamped| stamped.as_ref().err());
        let exit = if failed.is_some() { Exit::Partly } else { Exit::Done };
        if self.json {
            let problem = failed
                .map(|error| json!({ "code": error.code(), "message": plain_words(&error.to_string()) }));
            let object = json!({
                "command": "document sign", "output": outcome.output.display().to_string(), "field": outcome.field,
                "time_stamped": outcome.stamped.as_ref().is_some_and(Result::is_ok),
                "problem": problem.unwrap_or(Value::Null), "exit": exit.code(),
            });
            print_text(&format!("{object}\n"))?;
            return Ok(exit);
        }
        print_text(&format!("{} was signed as {}.\n", shown(&self.file), shown(&outcome.output)))?;
        if let Some(error) = failed {
            tell(&format!(
                "mailer: the time stamp is missing: {}\nAdd it, without the card, with: mailer document stamp {}",
                plain_words(&error.to_string()),
                shown(&outcome.output)
            ));
        }
        Ok(exit)
    }
}

pub(super) fn no_server() -> Failure {
    let message = "no time-stamp server is configured; name one with: mailer setup --time-stamp-server URL";
    Failure::new("no-time-stamp-server", message)
}

fn appended(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
