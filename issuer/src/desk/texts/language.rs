//! Which language somebody reads.

use clap::ValueEnum;

/// The languages of the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// English
    #[value(name = "en")]
    English,
    /// Simplified Chinese
    #[value(name = "zh")]
    Chinese,
}

impl Language {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// As the environment has it: the first of these variables that is not empty decides (POSIX.1-2017 section 8.2).
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut named = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable);
        named.find(|value| !value.is_empty()).map_or(Self::English, |value| Self::of_locale(&value))
    }

    /// Of a locale such as `zh_CN.UTF-8`; English for any that is not spoken here.
    fn of_locale(locale: &str) -> Self {
        let language = locale.split(['_', '-', '.', '@']).next().unwrap_or_default();
        if language.eq_ignore_ascii_case("zh") { Self::Chinese } else { Self::English }
    }

    /// The tag by BCP 47.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-Hans",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_says_something_decides() {
        let of = |pairs: &[(&str, &str)]| {
            Language::of_environment(|name| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(of(&[]), Language::English);
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8")]), Language::Chinese);
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C.UTF-8")]), Language::English);
        assert_eq!(of(&[("LANG", "de_DE"), ("LC_ALL", ""), ("LC_MESSAGES", "zh-Hans")]), Language::Chinese);
        assert_eq!(of(&[("LANG", "zha")]), Language::English);
    }
}
