//! An operator is led through: what card it is, what can be done with it, what is still to be said.

use std::io::IsTerminal;

use middleware::{Locator, ReaderWatch};

use super::completion::Typing;
use super::line::{self, Parsed, Said};
use super::recognise::{self, Care, Offer};
use super::wait::{self, Present};
use super::{Session, texts};
use crate::desk::failure::{Failure, Status};
use crate::desk::{issue, output};
use crate::domain::{Cardholder, InitialPin, RevocationReason};
use crate::registry::SearchFor;

impl Session {
    /// Sees to the card in the reader, or to the next that is put into one, until nothing more is wanted.
    pub(super) async fn lead(&mut self) -> Result<Status, Failure> {
        let Some(locator) = self.wait_for_card().await? else { return Ok(Status::Done) };
        let mut status = Status::Done;
        loop {
            let (name, seen) = recognise::look(&self.office, &locator).await?;
            for line in seen.described(&name) {
                output::line(&line)?;
            }
            let Some(offer) = self.choose(seen.offers()).await? else { return Ok(status) };
            match self.take_up(offer, &locator).await {
                Ok(done) => status = done,
                Err(failure) if self.source.is_interactive() => self.tell(&failure),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Where there is a card; none if nobody wants to insert one.
    async fn wait_for_card(&mut self) -> Result<Option<Locator>, Failure> {
        let mut watch = ReaderWatch::default();
        let mut is_told = false;
        // Ctrl-C is heard before anybody is told to press it.
        let mut interrupts = super::interrupts()?;
        loop {
            match wait::present(&self.place, &mut watch)? {
                Present::One(locator) => return Ok(Some(locator)),
                Present::Several(places) => {
                    output::line(&texts::say("shell-several", &[]))?;
                    let names: Vec<_> = places.iter().map(ToString::to_string).collect();
                    let chosen = self.number(&names, "shell-which-reader").await?;
                    return Ok(chosen.and_then(|chosen| places.into_iter().nth(chosen)));
                }
                Present::None if !self.source.is_interactive() => {
                    return Err(Failure::new("no-card", texts::say("shell-no-card", &[])));
                }
                Present::None => {}
            }
            if !is_told {
                output::line(&texts::say("shell-insert", &[]))?;
                is_told = true;
            }
            watch = tokio::select! {
                changed = wait::change(watch) => changed?,
                _ = interrupts.recv() => return Ok(None),
            };
        }
    }

    async fn choose(&mut self, mut offers: Vec<Offer>) -> Result<Option<Offer>, Failure> {
        if offers.is_empty() {
            output::line(&texts::say("shell-nothing-to-do", &[]))?;
            return Ok(None);
        }
        output::line(&texts::say("shell-offers", &[]))?;
        let names: Vec<_> = offers.iter().map(|offer| offer.what.clone()).collect();
        let chosen = self.number(&names, "shell-choose").await?;
        Ok(chosen.map(|chosen| offers.swap_remove(chosen)))
    }

    /// Lists these and asks for one; none for an empty answer.
    async fn number(&mut self, names: &[String], question: &str) -> Result<Option<usize>, Failure> {
        for (place, name) in names.iter().enumerate() {
            output::line(&format!("{:>3}  {name}", place.saturating_add(1)))?;
        }
        loop {
            let answer = self.ask(&texts::say(question, &[]), Typing::Answer).await?;
            let Some(answer) = answer.filter(|answer| !answer.is_empty()) else { return Ok(None) };
            let number = answer.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            if let Some(number) = number.filter(|number| *number < names.len()) {
                return Ok(Some(number));
            }
            self.ask_again(texts::say("shell-no-such-number", &[("answer", &answer)]))?;
        }
    }

    /// Does what was chosen, after asking for what is still to be said.
    pub(super) async fn take_up(&mut self, offer: Offer, locator: &Locator) -> Result<Status, Failure> {
        let Some(words) = self.filled_in(offer.words, locator).await? else { return self.not_done() };
        if let Some(question) = question(offer.care)
            && !self.confirmed(&question, offer.care).await?
        {
            return self.not_done();
        }
        match line::parse(words, locator)? {
            Parsed::Said(Said::Action(action)) => self.act(action).await,
            _ => self.not_done(),
        }
    }

    fn not_done(&self) -> Result<Status, Failure> {
        output::line(&texts::say("shell-not-done", &[]))?;
        Ok(Status::Done)
    }

    async fn filled_in(
        &mut self,
        words: Vec<String>,
        locator: &Locator,
    ) -> Result<Option<Vec<String>>, Failure> {
        let hands_a_pin_over = line::takes(&words, "transport-pin-file");
        let mut filled = Vec::new();
        for word in words {
            let given = match word.as_str() {
                "LOCATOR" => Some(locator.to_string()),
                "PERSON" => self.ask_person().await?,
                "REASON" => self.ask_reason().await?,
                "FILE" | "STOCK.toml" => self.ask_file("shell-file").await?,
                _ => Some(word),
            };
            let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(None) };
            filled.push(given);
        }
        if hands_a_pin_over && !self.holder_chooses(&filled).await? {
            let is_shown = std::io::stdout().is_terminal();
            let question = if is_shown { "shell-pin-file" } else { "shell-pin-file-needed" };
            match self.ask_file(question).await? {
                Some(answer) if answer == BY_HOLDER => filled.extend(by_holder(&filled)),
                Some(file) if !file.is_empty() => filled.extend(["--transport-pin-file".to_owned(), file]),
                Some(_) if is_shown => {}
                _ => return Ok(None),
            }
        }
        Ok(Some(filled))
    }

    /// Whether a card was begun for the person that is named with a PIN that its holder chooses: going on with it asks for it.
    async fn holder_chooses(&self, words: &[String]) -> Result<bool, Failure> {
        let registry = &self.office.registry;
        let Some(person) = words.get(1) else { return Ok(false) };
        let Some(holder) = registry.cardholder_named(person).await? else { return Ok(false) };
        let Some(record) = registry.card_of(holder.id).await? else { return Ok(false) };
        let ordered = issue::ordered(&self.office, &record).await?;
        Ok(ordered.is_some_and(|ordered| ordered.pin == Some(InitialPin::ChosenByHolder)))
    }

    /// The name of a file. A yes or no is meant for another question: whoever wants a file named so writes `./y`.
    async fn ask_file(&mut self, question: &str) -> Result<Option<String>, Failure> {
        loop {
            let answer = self.ask(&texts::say(question, &[]), Typing::Answer).await?;
            match answer {
                Some(answer) if yes_or_no(&answer).is_some() => {
                    self.ask_again(texts::say("shell-no-file-name", &[("answer", &answer)]))?;
                }
                answer => return Ok(answer),
            }
        }
    }

    /// Somebody who types is told what was wrong, and asked again; a pipe ends there.
    fn ask_again(&self, message: String) -> Result<(), Failure> {
        if self.source.is_interactive() { output::line(&message) } else { Err(Failure::usage(message)) }
    }

    /// Somebody in the registry, as a mail address; none if nobody is meant.
    pub(super) async fn ask_person(&mut self) -> Result<Option<String>, Failure> {
        loop {
            let answer = self.ask(&texts::say("shell-person", &[]), Typing::Person).await?;
            let Some(text) = answer.filter(|answer| !answer.is_empty()) else { return Ok(None) };
            if let Some(exact) = self.office.registry.cardholder_named(&text).await? {
                return Ok(Some(exact.mail.as_str().to_owned()));
            }
            let people = self.office.registry.search(&text, SearchFor::Beginnings).await?.people;
            match people.as_slice() {
                [] => {
                    let message = texts::say("shell-person-unknown", &[("text", &text)]);
                    if !self.source.is_interactive() {
                        return Err(Failure::new("unknown-person", message));
                    }
                    output::line(&message)?;
                }
                [one] => {
                    let question = texts::say("shell-is-it", &[("person", &shown(one))]);
                    if self.confirmed(&question, Care::Light).await? {
                        return Ok(Some(one.mail.as_str().to_owned()));
                    }
                }
                several => {
                    output::line(&texts::say("shell-person-several", &[]))?;
                    let names: Vec<_> = several.iter().map(shown).collect();
                    if let Some(chosen) = self.number(&names, "shell-which-person").await? {
                        return Ok(several.get(chosen).map(|person| person.mail.as_str().to_owned()));
                    }
                }
            }
        }
    }

    async fn ask_reason(&mut self) -> Result<Option<String>, Failure> {
        let reasons: Vec<_> = RevocationReason::of_people().map(RevocationReason::as_str).collect();
        let reasons = reasons.join(", ");
        self.ask(&texts::say("shell-reason", &[("reasons", &reasons)]), Typing::Reason).await
    }

    /// Yes or no; Enter is no where it matters, and yes where it does not.
    pub(super) async fn confirmed(&mut self, question: &str, care: Care) -> Result<bool, Failure> {
        let choice = match care {
            Care::Light => texts::say("shell-yes-no-default-yes", &[]),
            Care::Final | Care::LosesKeys => texts::say("shell-yes-no", &[]),
        };
        loop {
            let Some(answer) = self.ask(&format!("{question} {choice}"), Typing::Answer).await? else {
                return Ok(false);
            };
            match yes_or_no(&answer) {
                Some(answer) => return Ok(answer),
                None if answer.is_empty() => return Ok(care == Care::Light),
                None => self.ask_again(texts::say("shell-yes-or-no", &[("answer", &answer)]))?,
            }
        }
    }

    async fn ask(&mut self, question: &str, typing: Typing) -> Result<Option<String>, Failure> {
        self.source.answer(question, typing, &self.office).await
    }
}

/// What is asked before something is done that cannot be undone.
fn question(care: Care) -> Option<String> {
    let sure = texts::say("shell-sure", &[]);
    match care {
        Care::Light => None,
        Care::Final => Some(sure),
        Care::LosesKeys => Some(format!("{} {sure}", texts::say("shell-loses-keys", &[]))),
    }
}

/// What an answer to a question of yes or no is; nothing for what is neither.
fn yes_or_no(answer: &str) -> Option<bool> {
    match answer.to_lowercase().as_str() {
        "y" | "yes" | "是" => Some(true),
        "n" | "no" | "否" => Some(false),
        _ => None,
    }
}

/// The answer that lets the holder choose the PIN.
const BY_HOLDER: &str = "*";

/// How this command is told so.
fn by_holder(words: &[String]) -> Vec<String> {
    let options: &[&str] =
        if line::takes(words, "pin-by-holder") { &["--pin-by-holder"] } else { &["--new-pin", "terminal"] };
    options.iter().map(|option| (*option).to_owned()).collect()
}

fn shown(person: &Cardholder) -> String {
    format!("{} <{}>", person.name.as_str(), person.mail.as_str())
}
