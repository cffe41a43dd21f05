//! What the user has set for all of our programs on this machine: how PINs are asked for, and how long they are kept.
//!
//! `$XDG_CONFIG_HOME/sealwright/middleware.toml` (by default under `~/.config`), each line of which a variable overrides:
//!
//! ```toml
//! pinentry = "pinentry"      # ask through this program instead of at the terminal; SEALWRIGHT_PINENTRY
//! pkcs11_pinentry = true     # so does the PKCS#11 module, where it would wait for the application's PIN; SEALWRIGHT_PKCS11_PINENTRY (1, 0)
//! pin_cache_seconds = 300    # keep a PIN that was right in the process's memory; SEALWRIGHT_PIN_CACHE_SECONDS
//! ```
use std::ffi::OsString;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// See the module's description.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The program that asks for secrets, by name or path; `None` to ask at the terminal.
    #[serde(default)]
    pub pinentry: Option<PathBuf>,
    #[serde(default)]
    pkcs11_pinentry: bool,
    /// Seconds; 0 not to keep a PIN at all.
    #[serde(default)]
    pin_cache_seconds: u64,
}

impl Settings {
    /// The user's settings as they are now.
    ///
    /// # Errors
    /// Names the file or variable that cannot be read, and why.
    pub fn load() -> std::io::Result<Self> {
        let directories = directories::BaseDirs::new();
        let file = directories.map(|directories| directories.config_dir().join("sealwright/middleware.toml"));
        Self::from_file_and_variables(file.as_deref(), |name| std::env::var_os(name))
    }

    /// How long a PIN that was right is kept; `None` not at all.
    pub fn pin_cache(&self) -> Option<Duration> {
        (self.pin_cache_seconds > 0).then(|| Duration::from_secs(self.pin_cache_seconds))
    }

    /// The program by which the PKCS#11 module asks for PINs itself; `None` where the application asks.
    pub fn pkcs11_pinentry(&self) -> Option<PathBuf> {
        self.pkcs11_pinentry.then(|| self.pinentry.clone().unwrap_or_else(|| PathBuf::from("pinentry")))
    }

    fn from_file_and_variables(
        file: Option<&Path>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> std::io::Result<Self> {
        let mut settings = match file {
            Some(file) => Self::from_file(file)?,
            None => Self::default(),
        };
        if let Some(program) = variable("SEALWRIGHT_PINENTRY") {
            settings.pinentry = (!program.is_empty()).then(|| PathBuf::from(program));
        }
        if let Some(is_set) = variable("SEALWRIGHT_PKCS11_PINENTRY") {
            settings.pkcs11_pinentry = match is_set.to_str() {
                Some("1") => true,
                Some("0" | "") => false,
                _ => {
                    let why = "SEALWRIGHT_PKCS11_PINENTRY is neither 1 nor 0";
                    return Err(Error::new(ErrorKind::InvalidData, why));
                }
            };
        }
        if let Some(seconds) = variable("SEALWRIGHT_PIN_CACHE_SECONDS") {
            settings.pin_cache_seconds =
                seconds.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
                    Error::new(
                        ErrorKind::InvalidData,
                        "SEALWRIGHT_PIN_CACHE_SECONDS is not a number of seconds".to_owned(),
                    )
                })?;
        }
        Ok(settings)
    }

    fn from_file(file: &Path) -> std::io::Result<Self> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        match std::fs::read_to_string(file) {
            Ok(text) => toml::from_str(&text).map_err(|error: toml::de::Error| {
                Error::new(ErrorKind::InvalidData, named(&error.message()))
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Error::new(error.kind(), named(&error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, variables: &[(&str, &str)]) -> std::io::Result<Settings> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Settings::from_file_and_variables(Some(file.path()), |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn nothing_is_set_unless_it_is_set() {
        let missing =
            Settings::from_file_and_variables(Some(Path::new("/nonexistent/file")), |_| None).unwrap();
        assert_eq!(missing, Settings::default());
        assert_eq!((missing.pinentry.clone(), missing.pin_cache()), (None, None));
        assert_eq!(load("", &[]).unwrap(), missing);
    }

    #[test]
    fn a_variable_overrides_the_file() {
        let text = "pinentry = \"pinentry-curses\"\npin_cache_seconds = 60\n";
        let settings = load(text, &[]).unwrap();
        assert_eq!(settings.pinentry.as_deref(), Some(Path::new("pinentry-curses")));
        assert_eq!(settings.pin_cache(), Some(Duration::from_secs(60)));
        let settings =
            load(text, &[("SEALWRIGHT_PINENTRY", ""), ("SEALWRIGHT_PIN_CACHE_SECONDS", "0")]).unwrap();
        assert_eq!((settings.pinentry.clone(), settings.pin_cache()), (None, None));
    }

    #[test]
    fn the_module_asks_only_where_that_is_set() {
        assert_eq!(load("pinentry = \"pinentry-qt\"", &[]).unwrap().pkcs11_pinentry(), None);
        let set = load("pkcs11_pinentry = true", &[]).unwrap();
        assert_eq!(set.pkcs11_pinentry().as_deref(), Some(Path::new("pinentry")));
        let both = [("SEALWRIGHT_PKCS11_PINENTRY", "1"), ("SEALWRIGHT_PINENTRY", "pinentry-qt")];
        assert_eq!(load("", &both).unwrap().pkcs11_pinentry().as_deref(), Some(Path::new("pinentry-qt")));
        let off = load("pkcs11_pinentry = true", &[("SEALWRIGHT_PKCS11_PINENTRY", "0")]).unwrap();
        assert_eq!(off.pkcs11_pinentry(), None);
        assert!(load("", &[("SEALWRIGHT_PKCS11_PINENTRY", "yes")]).is_err());
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for text in ["pinentry", "pin_entry = \"x\"", "pin_cache_seconds = -1"] {
            let error = load(text, &[]).unwrap_err();
            assert!(error.to_string().contains("tmp"), "{error}");
        }
        let error = load("", &[("SEALWRIGHT_PIN_CACHE_SECONDS", "soon")]).unwrap_err();
        assert!(error.to_string().contains("SEALWRIGHT_PIN_CACHE_SECONDS"), "{error}");
    }
}
