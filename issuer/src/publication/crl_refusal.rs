//! Why a CRL is not published.
use jiff::Timestamp;

use crate::ca::{CaError, SerialNumber};

/// Why a CRL must not be published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlRefusal {
    /// Its number does not grow.
    #[error("its number {new} is not above {old} of the published CRL")]
    NumberDoesNotGrow {
        /// Published, hexadecimal.
        old: String,
        /// Offered, hexadecimal.
        new: String,
    },
    /// Its number is not the one that the registry set aside for it.
    #[error("its number is {found}, but the registry set {expected} aside for it")]
    WrongNumber {
        /// The registry's, hexadecimal.
        expected: String,
        /// Offered, hexadecimal.
        found: String,
    },
    /// A revocation would be forgotten.
    #[error("the revocation of {serial_number}, whose certificate has not expired, is missing")]
    EntryVanished {
        /// Which.
        serial_number: SerialNumber,
    },
    /// A revocation of the registry is not there.
    #[error("the revocation of {serial_number}, which the registry holds, is missing")]
    EntryMissing {
        /// Which.
        serial_number: SerialNumber,
    },
    /// A revocation that the registry does not hold.
    #[error("it revokes {serial_number}, of which the registry knows no revocation")]
    EntryUnknown {
        /// Which.
        serial_number: SerialNumber,
    },
    /// A revocation is not as the registry holds it.
    #[error("it says another date or reason of {serial_number} than the registry")]
    EntryDiffers {
        /// Which.
        serial_number: SerialNumber,
    },
    /// Its entries do not ascend, so that it cannot be compared.
    #[error("its entries are not in ascending order")]
    NotInOrder,
    /// A delta starts from a CRL that readers do not have.
    #[error(
        "it says what changed since CRL number {base}, but the published one is {published}; publish a complete one"
    )]
    OtherBase {
        /// The delta's base, hexadecimal.
        base: String,
        /// Published, hexadecimal; `none` where there is none.
        published: String,
    },
    /// A partition that certificates name would stay behind.
    #[error(
        "{file} is published and certificates name it, but there is no new one; the number of partitions stays as it was for as long as the CA key is used"
    )]
    PartitionMissing {
        /// The published file.
        file: String,
    },
    /// Its issuingDistributionPoint is not where it would lie.
    #[error("it says that it lies at {0}, which is no place in the published directory")]
    OtherPlace(String),
    /// It is already stale.
    #[error("it expired {next_update}; make a new one")]
    Stale {
        /// Its nextUpdate.
        next_update: Timestamp,
    },
    /// It lies before its predecessor, and nobody accepted the clock since.
    #[error(
        "it says it was made {this_update}, before the published one of {published}; set the clock right and publish again, or if it is right and was ahead then: issuer clock accept --why TEXT"
    )]
    BeforePublished {
        /// Its thisUpdate.
        this_update: Timestamp,
        /// The published one's.
        published: Timestamp,
    },
    /// It lies in the future.
    #[error("it says it was made {this_update}, which is {reason}; set the clock right and publish again")]
    MadeAtTheWrongTime {
        /// Its thisUpdate.
        this_update: Timestamp,
        /// `in the future`.
        reason: String,
    },
    /// What is published cannot be compared with.
    #[error(
        "the published {file} is damaged ({reason}); publish a complete one in its place (issuer publish, without --delta), or put a good copy of it back and publish again"
    )]
    PublishedDamaged {
        /// The published file, in the published directory.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The lint found something.
    #[error("the lint found: {0}")]
    Lint(String),
    /// Not a CRL, or of no authority that is published, or its signature is wrong.
    #[error("{0}")]
    Malformed(String),
}

impl From<CaError> for CrlRefusal {
    fn from(error: CaError) -> Self {
        Self::Malformed(error.to_string())
    }
}
