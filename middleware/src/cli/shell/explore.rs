//! The shell's own commands: PIV by name, and bare APDUs.
use std::fmt::Write as _;

use der::Encode as _;
use der::pem::LineEnding;
use middleware::secret_source::SecretSource;
use middleware::{DataObject, KeyReference, LastTry, ManagementKey, Pin, PinStatus, Transaction};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Secrets, pretty};
use crate::cli::failure::ToolError;
use crate::cli::options::pin_prompt;

/// What a command of the shell takes, for completion and help.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    Key,
    Object,
    ObjectAndHex,
    Hex,
}

/// A command by its name.
pub(super) struct Named {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    help: &'static str,
}

const fn named(name: &'static str, takes: Takes, help: &'static str) -> Named {
    Named { name, takes, help }
}

/// Every command of the shell's own.
pub(super) const COMMANDS: [Named; 17] = [
    named("apdu", Takes::Hex, "send a command of any length, fetch its whole answer"),
    named("authenticate", Takes::Nothing, "with the management key; the card is held until reset or the end"),
    named("help", Takes::Nothing, "this"),
    named("keys", Takes::Nothing, "the keys that the card shows"),
    named("logout", Takes::Nothing, "forget the PIN (VERIFY P1=FF)"),
    named("metadata", Takes::Key, "what a vendor's card tells of a key"),
    named("objects", Takes::Nothing, "the data objects that are there, and how long they are"),
    named("pin", Takes::Nothing, "the state of the PIN (an empty VERIFY)"),
    named("read", Takes::Object, "a data object, as TLV"),
    named("reconnect", Takes::Nothing, "open the card anew"),
    named("reset", Takes::Nothing, "reset the card: nothing stays open on it"),
    named("select", Takes::Nothing, "PIV once more; what the application says of itself"),
    named("serial", Takes::Nothing, "serial number and GUID"),
    named("tlv", Takes::Hex, "show bytes as TLV; nothing is sent"),
    named("verify", Takes::Nothing, "the PIN, which is asked for; the card is held until logout or reset"),
    named("version", Takes::Nothing, "the firmware of a vendor's card"),
    named("write", Takes::ObjectAndHex, "a data object, after authenticate; no hex deletes it"),
];

/// Data objects by name (SP 800-73-5 Part 1 table 3), and the vendor's.
pub(super) const OBJECTS: [(&str, u32); 20] = [
    ("capability-container", 0x5F_C107),
    ("chuid", 0x5F_C102),
    ("certificate-9a", 0x5F_C105),
    ("certificate-9c", 0x5F_C10A),
    ("certificate-9d", 0x5F_C10B),
    ("certificate-9e", 0x5F_C101),
    ("fingerprints", 0x5F_C103),
    ("security-object", 0x5F_C106),
    ("facial-image", 0x5F_C108),
    ("printed-information", 0x5F_C109),
    ("discovery", 0x7E),
    ("key-history", 0x5F_C10C),
    ("iris-images", 0x5F_C121),
    ("biometric-templates", 0x7F61),
    ("secure-messaging-signer", 0x5F_C122),
    ("pairing-code", 0x5F_C123),
    ("admin-data", 0x5F_FF00),
    ("attestation-certificate", 0x5F_FF01),
    ("emulated-mark", 0x5F_FF53),
    ("certificate-82", 0x5F_C10D),
];

/// One command, parsed.
pub(super) enum Explore {
    Apdu(Vec<u8>),
    Authenticate,
    Frame(Vec<Piece>),
    Help,
    Keys,
    Logout,
    Metadata(KeyReference),
    Objects,
    PinState,
    Read(DataObject),
    Reconnect,
    Reset,
    Select,
    Serial,
    Tlv(Vec<u8>),
    Verify,
    Version,
    Write(DataObject, Vec<u8>),
}

/// A part of a bare APDU.
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// `[PIN]`, filled up to eight bytes.
    Pin,
}

/// What a command shows.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) json: Value,
    /// The bare answer with its status word, for `<`.
    pub(super) answer: Option<Vec<u8>>,
}

impl Shown {
    pub(super) fn text(text: &str) -> Self {
        Self { text: text.to_owned(), json: json!(text), answer: None }
    }

    fn answer(answer: Vec<u8>) -> Self {
        let (data, status) = answer
            .split_last_chunk::<2>()
            .map_or((&[][..], 0), |(data, status)| (data, u16::from_be_bytes(*status)));
        let mut text = if data.is_empty() { String::new() } else { pretty::data(data) };
        let _ = write!(text, "{status:04X}  {}", pretty::status(status));
        let json = json!({ "data": hex::encode(data), "status": format!("{status:04X}") });
        Self { text, json, answer: Some(answer) }
    }
}

impl Explore {
    /// `None` for what is no command of the shell's own.
    pub(super) fn parse(name: &str, rest: &[String]) -> anyhow::Result<Option<Self>> {
        let Some(command) = COMMANDS.iter().find(|command| command.name == name) else { return Ok(None) };
        let bad = |what: &str| ToolError::BadLine(format!("{name} {what}"));
        Ok(Some(match (command.takes, rest) {
            (Takes::Nothing, []) => match name {
                "authenticate" => Self::Authenticate,
                "help" => Self::Help,
                "keys" => Self::Keys,
                "logout" => Self::Logout,
                "objects" => Self::Objects,
                "pin" => Self::PinState,
                "reconnect" => Self::Reconnect,
                "reset" => Self::Reset,
                "select" => Self::Select,
                "serial" => Self::Serial,
                "verify" => Self::Verify,
                _ => Self::Version,
            },
            // `reset --yes` is the tool's, which makes the card blank; nobody shall mean one and get the other.
            (Takes::Nothing, _) if name == "reset" => return Ok(None),
            (Takes::Nothing, _) => return Err(bad("takes nothing").into()),
            (Takes::Key, [key]) => Self::Metadata(key.parse().map_err(ToolError::BadLine)?),
            (Takes::Key, _) => return Err(bad("KEY: 9A, 9C, 9D, 9E or 82 to 95").into()),
            (Takes::Object, [object]) => Self::Read(object_named(object)?),
            (Takes::ObjectAndHex, [object, hex @ ..]) => Self::Write(object_named(object)?, from_hex(hex)?),
            (Takes::Object | Takes::ObjectAndHex, _) => {
                return Err(bad("OBJECT: a name, or a tag in hex").into());
            }
            (Takes::Hex, hex) if name == "tlv" => Self::Tlv(from_hex(hex)?),
            (Takes::Hex, hex) => Self::Apdu(from_hex(hex)?),
        }))
    }

    /// `> 00 20 00 80 08 [PIN]`
    pub(super) fn frame(text: &str) -> anyhow::Result<Self> {
        let mut pieces = Vec::new();
        for word in text.split_whitespace() {
            pieces.push(match word {
                "[PIN]" => Piece::Pin,
                word => Piece::Bytes(from_hex(&[word.to_owned()])?),
            });
        }
        Ok(Self::Frame(pieces))
    }

    pub(super) fn needs_no_card(&self) -> bool {
        matches!(self, Self::Help | Self::Tlv(_))
    }

    pub(super) fn run_without_card(&self) -> anyhow::Result<Shown> {
        match self {
            Self::Tlv(bytes) => Ok(Shown::text(pretty::data(bytes).trim_end())),
            _ => Ok(Shown::text(&help())),
        }
    }

    pub(super) fn run(&self, transaction: &mut Transaction<'_>, secrets: &Secrets) -> anyhow::Result<Shown> {
        match self {
            Self::Apdu(command) => Ok(Shown::answer(transaction.exchange(command)?)),
            Self::Authenticate => authenticate(transaction, &secrets.management_key),
            Self::Frame(pieces) => frame(transaction, pieces, &secrets.pin),
            Self::Keys => keys(transaction),
            Self::Logout => {
                transaction.log_out()?;
                Ok(Shown::text("The PIN is forgotten."))
            }
            Self::Metadata(key) => metadata(transaction, *key),
            Self::Objects => objects(transaction),
            Self::PinState => Ok(pin_state(transaction.pin_status()?)),
            Self::Read(object) => {
                let contents = transaction.read_object(*object)?;
                let text = pretty::data(&contents);
                Ok(Shown {
                    text: text.trim_end().to_owned(),
                    json: json!(hex::encode(&*contents)),
                    answer: None,
                })
            }
            Self::Select => Ok(Shown::answer(transaction.exchange(&SELECT)?)),
            Self::Serial => {
                let identity = transaction.identity()?;
                let guid = identity.guid.map(hex::encode);
                let serial = identity.serial.map(|serial| serial.to_string());
                let none = || "none".to_owned();
                let text = format!(
                    "Serial {}, GUID {}",
                    serial.unwrap_or_else(none),
                    guid.clone().unwrap_or_else(none)
                );
                Ok(Shown { text, json: json!({ "serial": identity.serial, "guid": guid }), answer: None })
            }
            Self::Verify => verify(transaction, &secrets.pin),
            Self::Version => {
                let version = transaction.identity()?.version.map(|(a, b, c)| format!("{a}.{b}.{c}"));
                let text = version.clone().unwrap_or_else(|| "The card does not tell.".to_owned());
                Ok(Shown { text, json: json!(version), answer: None })
            }
            Self::Write(object, contents) => write_object(transaction, *object, contents),
            // They end the transaction, so the session sees to them.
            Self::Reset | Self::Reconnect => Ok(Shown::default()),
            Self::Help | Self::Tlv(_) => self.run_without_card(),
        }
    }
}

/// PIV by its full application identifier (SP 800-73-5 Part 1 section 2.2).
const SELECT: [u8; 17] =
    [0x00, 0xA4, 0x04, 0x00, 0x0B, 0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00, 0x00];

fn help() -> String {
    let mut text = String::new();
    for command in &COMMANDS {
        let takes = match command.takes {
            Takes::Nothing => "",
            Takes::Key => "KEY",
            Takes::Object => "OBJECT",
            Takes::ObjectAndHex => "OBJECT HEX",
            Takes::Hex => "HEX",
        };
        let _ = writeln!(text, "  {:<28}{}", format!("{} {takes}", command.name), command.help);
    }
    text.push_str(
        "  > HEX                       send these bytes; [PIN] stands for the PIN\n\
         \x20 < HEX                       the answer must be so; ?? is any byte, .. any bytes\n\
         \x20 expect TEXT                 the command before must have shown it\n\
         \x20 expect error CODE           the command before must have failed so\n\
         \x20 quit\n\
         And the commands of card itself: list, status, certificates, generate, ... (generate --help)\n",
    );
    let objects: Vec<&str> = OBJECTS.iter().map(|(name, _)| *name).collect();
    let _ = write!(text, "Objects: a tag in hex, or {}", objects.join(", "));
    text
}

fn frame(transaction: &mut Transaction<'_>, pieces: &[Piece], pin: &SecretSource) -> anyhow::Result<Shown> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(300));
    for piece in pieces {
        match piece {
            Piece::Bytes(more) => bytes.extend_from_slice(more),
            Piece::Pin => {
                let text = pin.read("PIN")?;
                let mut padded = Zeroizing::new([0xFF; 8]);
                let room = padded.get_mut(..text.len()).ok_or(middleware::CardError::MalformedPin)?;
                room.copy_from_slice(text.as_bytes());
                bytes.extend_from_slice(padded.as_slice());
            }
        }
    }
    Ok(Shown::answer(transaction.transmit(&bytes)?))
}

fn verify(transaction: &mut Transaction<'_>, pin: &SecretSource) -> anyhow::Result<Shown> {
    let prompt = pin_prompt("PIN", transaction.pin_status()?, LastTry::Refuse)?;
    let entered = Pin::new(&pin.read(&prompt)?)?;
    transaction.verify_pin(&entered, LastTry::Refuse).map(drop)?;
    Ok(Shown::text("The PIN is right; the card is held until logout, reset or the end."))
}

fn authenticate(transaction: &mut Transaction<'_>, source: &SecretSource) -> anyhow::Result<Shown> {
    let algorithm = transaction.management_key_algorithm()?;
    let prompt =
        format!("Management key ({} hex digits; nothing for the factory's)", 2 * algorithm.key_length());
    let text = source.read(&prompt)?;
    let key = if text.trim().is_empty() {
        ManagementKey::factory_default(algorithm)
    } else {
        let bytes = Zeroizing::new(hex::decode(text.trim()).map_err(|_| ToolError::ManagementKeyNotHex)?);
        ManagementKey::new(algorithm, &bytes)?
    };
    let _ = transaction.authenticate(&key)?;
    Ok(Shown::text("The management key is right; the card is held until reset or the end."))
}

fn keys(transaction: &mut Transaction<'_>) -> anyhow::Result<Shown> {
    let contents = transaction.contents()?;
    let (mut text, mut list) = (String::new(), Vec::new());
    for key in &contents.keys {
        let algorithm = key.algorithm.map_or("other".to_owned(), |algorithm| algorithm.to_string());
        let certificate = match (&key.certificate, &key.problem) {
            (_, Some(problem)) => problem.clone(),
            (Some(certificate), None) => format!("certificate of {} bytes", certificate.len()),
            (None, None) => "no certificate".to_owned(),
        };
        writeln!(text, "{}  {algorithm:<8}  {certificate}", key.reference)?;
        list.push(
            json!({ "key": key.reference.to_string(), "algorithm": algorithm, "certificate": certificate }),
        );
    }
    if list.is_empty() {
        text.push_str("The card shows no keys.");
    }
    Ok(Shown { text: text.trim_end().to_owned(), json: json!(list), answer: None })
}

fn metadata(transaction: &mut Transaction<'_>, key: KeyReference) -> anyhow::Result<Shown> {
    let Some(metadata) = transaction.key_metadata(key)? else {
        return Ok(Shown::text(&format!(
            "The card tells nothing of {key}: it has no such key, or tells of none."
        )));
    };
    let algorithm = metadata.algorithm.map_or("other".to_owned(), |algorithm| algorithm.to_string());
    let origin = match metadata.origin {
        Some(middleware::KeyOrigin::Generated) => "generated on the card",
        Some(middleware::KeyOrigin::Imported) => "imported",
        None => "of unknown origin",
    };
    let mut text = format!(
        "{key}  {algorithm}, {origin}; PIN {}, touch {}\n",
        metadata.pin_policy, metadata.touch_policy
    );
    let public_key = metadata.public_key.map(|public_key| public_key.to_der()).transpose()?;
    let pem =
        public_key.map(|der| der::pem::encode_string("PUBLIC KEY", LineEnding::LF, &der)).transpose()?;
    text.push_str(pem.as_deref().unwrap_or_default());
    let json = json!({
        "key": key.to_string(),
        "algorithm": algorithm,
        "origin": origin,
        "pin_policy": metadata.pin_policy.to_string(),
        "touch_policy": metadata.touch_policy.to_string(),
        "public_key": pem,
    });
    Ok(Shown { text: text.trim_end().to_owned(), json, answer: None })
}

fn objects(transaction: &mut Transaction<'_>) -> anyhow::Result<Shown> {
    let (mut text, mut list) = (String::new(), Vec::new());
    for (name, tag) in OBJECTS {
        let object = DataObject::from_tag(tag);
        let what = match transaction.read_object(object) {
            Ok(contents) => format!("{} bytes", contents.len()),
            Err(middleware::CardError::PinRequired) => "wants the PIN".to_owned(),
            Err(middleware::CardError::ObjectNotFound(_) | middleware::CardError::Refused { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        writeln!(text, "{object:<8}{name:<26}{what}", object = object.to_string())?;
        list.push(json!({ "tag": object.to_string(), "name": name, "state": what }));
    }
    Ok(Shown { text: text.trim_end().to_owned(), json: json!(list), answer: None })
}

fn pin_state(status: PinStatus) -> Shown {
    let (text, tries) = match status {
        PinStatus::Verified => ("verified".to_owned(), None),
        PinStatus::NotVerified { tries_left: 1 } => ("not verified, 1 try left".to_owned(), Some(1)),
        PinStatus::NotVerified { tries_left } => {
            (format!("not verified, {tries_left} tries left"), Some(tries_left))
        }
        PinStatus::Blocked => ("blocked".to_owned(), Some(0)),
    };
    Shown { json: json!({ "state": text, "tries_left": tries }), text, answer: None }
}

/// PUT DATA (SP 800-73-5 Part 2 section 3.3.1), which the card takes after `authenticate`.
fn write_object(
    transaction: &mut Transaction<'_>,
    object: DataObject,
    contents: &[u8],
) -> anyhow::Result<Shown> {
    let stands_alone =
        object == DataObject::DISCOVERY || object == DataObject::BIOMETRIC_INFORMATION_TEMPLATES;
    let data = if stands_alone {
        contents.to_vec()
    } else {
        let [_, tag @ ..] = object.tag().to_be_bytes();
        let inner =
            u16::try_from(contents.len()).map_err(|_| ToolError::TooLong(object.to_string()))?.to_be_bytes();
        [&[0x5C, 0x03], &tag[..], &[0x53, 0x82], &inner, contents].concat()
    };
    let length = u16::try_from(data.len()).map_err(|_| ToolError::TooLong(object.to_string()))?.to_be_bytes();
    let command = [&[0x00, 0xDB, 0x3F, 0xFF, 0x00][..], &length, &data].concat();
    Ok(Shown::answer(transaction.exchange(&command)?))
}

/// A name of [`OBJECTS`], the certificate of a key, or a tag.
fn object_named(text: &str) -> Result<DataObject, ToolError> {
    let lower = text.to_lowercase();
    if let Some((_, tag)) = OBJECTS.iter().find(|(name, _)| *name == lower) {
        return Ok(DataObject::from_tag(*tag));
    }
    if let Some(key) = lower.strip_prefix("certificate-").and_then(|key| key.parse::<KeyReference>().ok()) {
        return Ok(key.certificate_object());
    }
    match u32::from_str_radix(text, 16) {
        Ok(tag) if (1..=0xFF_FFFF).contains(&tag) => Ok(DataObject::from_tag(tag)),
        _ => Err(ToolError::BadLine(format!("{text:?} is no data object; help names them"))),
    }
}

fn from_hex(words: &[String]) -> Result<Vec<u8>, ToolError> {
    let digits = words.concat().replace(':', "");
    hex::decode(&digits).map_err(|_| ToolError::BadLine(format!("{:?} is not hex", words.join(" "))))
}
