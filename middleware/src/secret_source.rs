//! Where PINs and passphrases come from: `fd:N`, a file, or the terminal without echo.
use zeroize::Zeroizing;

/// From `--pin-file` / `--passphrase-file`: `fd:N` or a path (first line, without its line end); absent: the terminal.
#[derive(Clone, Debug)]
pub enum SecretSource {
    Descriptor(i32),
    File(std::path::PathBuf),
    Terminal,
}

impl std::str::FromStr for SecretSource {
    type Err = std::io::Error;
    fn from_str(_text: &str) -> Result<Self, Self::Err> {
        todo!()
    }
}

impl SecretSource {
    /// Reads one secret. `prompt` is shown only at a terminal; a terminal that is not there is an error that says so.
    /// Reading `fd:N` twice reads successive lines.
    pub fn read(&self, _prompt: &str) -> std::io::Result<Zeroizing<String>> {
        todo!()
    }
}
