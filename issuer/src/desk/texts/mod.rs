//! What the desk says, in the language of whoever works there.
//!
//! Texts are Fluent messages in `en.ftl` and `zh.ftl`; a test holds them to the same keys and the same placeables, and to
//! what the sources name. What programs read (`--json`, codes, exit statuses) and what the manual says is English.

mod language;

use std::sync::OnceLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};

pub use language::Language;

use super::failure::Failure;
use super::output::Format;
use crate::domain::CardState;

/// The messages of one language.
pub struct Texts {
    language: Language,
    bundle: FluentBundle<FluentResource>,
}

static CHOSEN: OnceLock<Texts> = OnceLock::new();

/// From now on this program speaks this language; the first call counts.
pub fn speak(language: Language) {
    let _ = CHOSEN.set(Texts::new(language));
}

/// A message in the language that was chosen, English before any was.
pub fn say(key: &str, values: &[(&str, &str)]) -> String {
    CHOSEN.get_or_init(|| Texts::new(Language::English)).say(key, values)
}

/// The messages for whoever reads this: people have chosen a language, programs read English.
pub fn of(format: Format) -> &'static Texts {
    static ENGLISH: OnceLock<Texts> = OnceLock::new();
    match format {
        Format::Text => CHOSEN.get_or_init(|| Texts::new(Language::English)),
        Format::Json => ENGLISH.get_or_init(|| Texts::new(Language::English)),
    }
}

/// What went wrong, in the language that was chosen: as [`Failure::saying`] has it; of what nobody translated a sentence for
/// the kind of failure comes before the details, which are English.
pub fn failure(failure: &Failure) -> String {
    CHOSEN.get_or_init(|| Texts::new(Language::English)).failure(failure)
}

/// What is wrong with one of several things: in another language than English a sentence for its kind comes before it.
pub fn explained(code: &str, message: &str) -> String {
    let texts = of(Format::Text);
    let key = format!("failure-{code}");
    match texts.language != Language::English && texts.has(&key) {
        true => texts.say("explained-kind", &[("kind", &texts.say(&key, &[])), ("message", message)]),
        false => message.to_owned(),
    }
}

/// A failure in one line, in the language that was chosen: what else there is to be told stands around it.
pub fn explained_failure(failure: &Failure) -> String {
    let said = failure.said.clone().unwrap_or_else(|| explained(failure.code, &failure.message));
    said.replace('\n', " ")
}

/// A message in the language that was chosen, if that is not English; what English says is said where it is known.
pub fn translated(key: &str, values: &[(&str, &str)]) -> Option<String> {
    let texts = of(Format::Text);
    (texts.language != Language::English).then(|| texts.say(key, values))
}

/// The name of a card's state, as the domain has it.
pub fn state(name: &str) -> String {
    of(Format::Text).state(name)
}

/// What kind of event it is, in words.
pub fn event(kind: &str) -> String {
    let (texts, key) = (of(Format::Text), format!("event-{kind}"));
    if texts.has(&key) { texts.say(&key, &[]) } else { kind.replace('-', " ") }
}

/// The state of a card that somebody calls so, in any language: `on hold`, `On-Hold`, `已冻结`.
pub fn state_named(text: &str) -> Option<&'static str> {
    let typed = text.replace('-', " ");
    let in_english = CardState::NAMES.into_iter().find(|name| name.eq_ignore_ascii_case(&typed));
    let others = Language::ALL.into_iter().filter(|_| in_english.is_none() && !text.is_ascii());
    in_english.or_else(|| {
        others
            .map(Texts::new)
            .find_map(|texts| CardState::NAMES.into_iter().find(|name| texts.state(name) == text))
    })
}

/// A name in words as a part of a key.
pub fn key_of(name: &str) -> String {
    name.to_ascii_lowercase().replace(' ', "-")
}

impl Texts {
    /// The messages of this language.
    pub fn new(language: Language) -> Self {
        let tag = language.tag().parse().ok();
        let mut bundle = FluentBundle::new_concurrent(tag.into_iter().collect());
        // Marks around what is filled in would be copied with serial numbers and addresses.
        bundle.set_use_isolating(false);
        let source = source(language).to_owned();
        // A message that cannot be read is missing; a test finds it.
        let resource = FluentResource::try_new(source).unwrap_or_else(|(resource, _)| resource);
        let _ = bundle.add_resource(resource);
        Self { language, bundle }
    }

    /// Which language it is.
    pub const fn language(&self) -> Language {
        self.language
    }

    /// Whether there is such a message.
    pub fn has(&self, key: &str) -> bool {
        self.bundle.has_message(key)
    }

    /// The keys of all messages of a language, in the order in which they are written.
    #[cfg(test)]
    pub fn keys(language: Language) -> impl Iterator<Item = &'static str> {
        let begins = |line: &&str| line.starts_with(char::is_alphabetic);
        source(language).lines().filter(begins).filter_map(|line| Some(line.split_once(" =")?.0))
    }

    /// A message; its key, where there is none.
    pub fn say(&self, key: &str, values: &[(&str, &str)]) -> String {
        let Some(pattern) = self.bundle.get_message(key).and_then(|message| message.value()) else {
            return key.to_owned();
        };
        let mut arguments = FluentArgs::new();
        for (name, value) in values {
            arguments.set(*name, *value);
        }
        let mut errors = Vec::new();
        self.bundle.format_pattern(pattern, Some(&arguments), &mut errors).into_owned()
    }

    /// The name of a card's state, as the domain has it.
    pub fn state(&self, name: &str) -> String {
        self.say(&format!("state-{}", key_of(name)), &[])
    }

    fn failure(&self, failure: &Failure) -> String {
        match &failure.said {
            _ if self.language == Language::English => return failure.message.clone(),
            Some(said) => return said.clone(),
            None => {}
        }
        let key = format!("failure-{}", failure.code);
        let sentence = if self.has(&key) { self.say(&key, &[]) } else { self.say("failure", &[]) };
        format!("{sentence}\n{}", failure.message)
    }
}

const fn source(language: Language) -> &'static str {
    match language {
        Language::English => include_str!("en.ftl"),
        Language::Chinese => include_str!("zh.ftl"),
    }
}

#[cfg(test)]
mod tests;
