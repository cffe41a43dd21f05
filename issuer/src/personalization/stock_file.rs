//! What a manufacturer tells about a blank card: its GUID, PUK and management key, in a small TOML file.
//!
//! ```text
//! personality = "standard"
//! guid = "00112233445566778899aabbccddeeff"
//! puk = "12345678"                            6 to 8 bytes of text
//! management_key = "..."                      hex
//! management_key_algorithm = "aes256"         3des, aes128, aes192 or aes256
//! ```

use serde::Deserialize;
use zeroize::Zeroizing;

use super::custody::{StockSecrets, algorithm_named};
use crate::domain::{Guid, StockIdentity};

/// A blank card with the secrets it came with.
pub struct StockCard {
    /// What the card is known by.
    pub identity: StockIdentity,
    /// Its secrets.
    pub secrets: StockSecrets,
}

/// A stock file that cannot be used: the field and what is wrong with it; never its value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct MalformedStockFile {
    /// Which field, or `file`.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

#[derive(Deserialize)]
struct StockFile {
    guid: String,
    puk: Zeroizing<String>,
    management_key: Zeroizing<String>,
    management_key_algorithm: String,
}

/// Reads a stock file.
///
/// # Errors
/// [`MalformedStockFile`] naming the field.
pub fn read(text: &str) -> Result<StockCard, MalformedStockFile> {
    let malformed = |field, reason: &str| MalformedStockFile { field, reason: reason.to_owned() };
    // The parser's own message could quote a secret: only the fact is told.
    let file: StockFile = toml::from_str(text).map_err(|_| {
        malformed("file", "it needs guid, puk, management_key and management_key_algorithm as TOML strings")
    })?;
    let guid = Guid::from_hex(&file.guid).ok_or_else(|| malformed("guid", "must be 32 hex digits"))?;
    let algorithm = algorithm_named(&file.management_key_algorithm)
        .ok_or_else(|| malformed("management_key_algorithm", "must be 3des, aes128, aes192 or aes256"))?;
    let management_key = Zeroizing::new(
        hex::decode(file.management_key.trim()).map_err(|_| malformed("management_key", "must be hex"))?,
    );
    let secrets = StockSecrets::new(file.puk.as_bytes(), algorithm, &management_key).map_err(|_| {
        malformed(
            "puk, management_key",
            "the PUK must have 6 to 8 bytes and the key the length of its algorithm",
        )
    })?;
    Ok(StockCard { identity: StockIdentity::Guid(guid), secrets })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field_of(text: &str) -> &'static str {
        read(text).err().expect("the file was accepted").field
    }

    #[test]
    fn the_field_that_is_wrong_is_named_and_no_secret_is_told() {
        let good = format!(
            "guid = \"{}\"\npuk = \"87654321\"\nmanagement_key = \"{}\"\nmanagement_key_algorithm = \"aes256\"\n",
            "0a".repeat(16),
            "5c".repeat(32)
        );
        assert_eq!(field_of(&good.replace("aes256", "rot13")), "management_key_algorithm");
        assert_eq!(field_of(&good.replace("0a0a", "zz")), "guid");
        assert_eq!(field_of(&good.replace("5c5c", "no")), "management_key");
        let broken = read(&good.replace("puk = \"87654321\"", "puk = \"87654321")).err().unwrap();
        assert!(broken.field == "file" && !broken.to_string().contains("87654321"));
    }
}
