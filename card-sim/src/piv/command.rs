//! From a command APDU to a typed command: all syntax checks of SP 800-73-5 Part 2 section 3.

use zeroize::Zeroizing;

use super::commands::change_reference_data::ChangeReferenceData;
use super::commands::general_authenticate::GeneralAuthenticate;
use super::commands::generate_asymmetric_key_pair::GenerateAsymmetricKeyPair;
use super::commands::get_data::GetData;
use super::commands::put_data::PutData;
use super::commands::reset_retry_counter::ResetRetryCounter;
use super::commands::verify::Verify;
use super::extension::Extension;
use super::personality::Personality;
use crate::iso7816::{CommandApdu, StatusWord};

/// A command to the PIV card application whose syntax is right.
pub enum Command {
    /// GET DATA.
    GetData(GetData),
    /// VERIFY.
    Verify(Verify),
    /// CHANGE REFERENCE DATA.
    ChangeReferenceData(ChangeReferenceData),
    /// RESET RETRY COUNTER.
    ResetRetryCounter(ResetRetryCounter),
    /// GENERAL AUTHENTICATE.
    GeneralAuthenticate(GeneralAuthenticate),
    /// PUT DATA.
    PutData(PutData),
    /// GENERATE ASYMMETRIC KEY PAIR.
    GenerateAsymmetricKeyPair(GenerateAsymmetricKeyPair),
    /// An instruction that only one vendor's cards have.
    Extension(Extension),
}

impl Command {
    /// Checks the syntax of a command.
    ///
    /// # Errors
    /// 6D00 for an instruction this personality lacks; 6A86, 6A88 or 6A80 as the command's clause says.
    pub fn parse(apdu: &CommandApdu, personality: Personality) -> Result<Self, StatusWord> {
        let data = &apdu.data;
        Ok(match (apdu.instruction, apdu.p1, apdu.p2) {
            (0x20, p1, p2) => Self::Verify(Verify::parse(p1, p2, data)?),
            (0x24, p1, p2) => {
                Self::ChangeReferenceData(ChangeReferenceData::parse(p1, p2, data, personality)?)
            }
            (0x2C, p1, p2) => Self::ResetRetryCounter(ResetRetryCounter::parse(p1, p2, data)?),
            (0x47, 0x00, p2) => {
                Self::GenerateAsymmetricKeyPair(GenerateAsymmetricKeyPair::parse(p2, data, personality)?)
            }
            (0x87, p1, p2) => Self::GeneralAuthenticate(GeneralAuthenticate::parse(p1, p2, data)?),
            (0xCB, 0x3F, 0xFF) => Self::GetData(GetData::parse(data)?),
            (0xDB, 0x3F, 0xFF) => Self::PutData(PutData::parse(data)?),
            (0x47 | 0xCB | 0xDB, _, _) => return Err(StatusWord::INCORRECT_P1_P2),
            _ => Self::Extension(Extension::parse(apdu, personality)?),
        })
    }
}

/// Two eight-byte values side by side, as CHANGE REFERENCE DATA and RESET RETRY COUNTER carry them.
pub struct OldAndNew {
    /// The value to compare.
    pub old: Zeroizing<Vec<u8>>,
    /// The value to store.
    pub new: Zeroizing<Vec<u8>>,
}

impl OldAndNew {
    /// Splits sixteen bytes.
    ///
    /// # Errors
    /// 6A80 for any other length.
    pub fn parse(data: &[u8]) -> Result<Self, StatusWord> {
        match data.split_at_checked(super::pin::LENGTH) {
            Some((old, new)) if new.len() == super::pin::LENGTH => {
                Ok(Self { old: Zeroizing::new(old.to_vec()), new: Zeroizing::new(new.to_vec()) })
            }
            _ => Err(StatusWord::INCORRECT_DATA),
        }
    }
}
