//! A PIN that the holder of a card chooses at the desk, and types where nobody sees it.

use middleware::secret_source::SecretSource;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::{output, texts};
use crate::domain::Cardholder;
use crate::domain::holder_pin::{self, PinRefusal};

/// Where a PIN comes from: `terminal`, `pinentry`, `fd:N` or a file.
///
/// # Errors
/// None of these.
pub(super) fn source(text: &str) -> Result<SecretSource, Failure> {
    match text {
        "terminal" => Ok(SecretSource::Terminal),
        other => other.parse().map_err(|error| unreadable(&error)),
    }
}

/// Nobody gave one.
pub(super) const UNREADABLE: &str = "pin";
/// It is one that everybody tries first.
const WEAK: &str = "weak-pin";
/// The two that were typed differ.
const DIFFERENT: &str = "pins-differ";
/// How often whoever types it is asked.
const TIMES: usize = 3;

/// Reads it; whoever types it types it twice, and at a terminal is asked again for one that cannot be.
///
/// # Errors
/// It cannot be read, the two differ, or it is one that everybody tries first; nothing was changed.
pub(super) fn read(source: &SecretSource, holder: &Cardholder) -> Result<Zeroizing<String>, Failure> {
    let again = if source.is_terminal() { TIMES.saturating_sub(1) } else { 0 };
    for _ in 0..again {
        match read_once(source, holder) {
            Err(failure) if is_of_the_pin(&failure) => output::progress(&texts::failure(&failure)),
            read => return read,
        }
    }
    read_once(source, holder)
}

/// Whether another PIN would do.
fn is_of_the_pin(failure: &Failure) -> bool {
    [WEAK, DIFFERENT].contains(&failure.code)
}

fn read_once(source: &SecretSource, holder: &Cardholder) -> Result<Zeroizing<String>, Failure> {
    let prompt = texts::say("said-new-pin", &[("name", holder.name.as_str())]);
    let pin = source.read(&prompt).map_err(|error| unreadable(&error))?;
    let own_number = holder.staff_id.as_ref().map(|id| id.as_str());
    holder_pin::judge(&pin, own_number.as_slice()).map_err(|refusal| {
        Failure::new(WEAK, format!("{refusal}; choose another; nothing was changed"))
            .saying(translation(refusal), &[])
    })?;
    let is_typed = source.is_terminal() || matches!(source, SecretSource::Pinentry(_));
    if is_typed && *source.read(&texts::say("said-again", &[])).map_err(|error| unreadable(&error))? != *pin {
        let failure = Failure::new(DIFFERENT, "the two PINs differ; nothing was changed");
        return Err(failure.saying("failed-pins-differ", &[]));
    }
    Ok(pin)
}

const fn translation(refusal: PinRefusal) -> &'static str {
    match refusal {
        PinRefusal::NotDigits => "failed-pin-not-digits",
        PinRefusal::Repeats => "failed-pin-repeats",
        PinRefusal::Counts => "failed-pin-counts",
        PinRefusal::OwnNumber => "failed-pin-own-number",
    }
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::new(UNREADABLE, format!("the PIN cannot be read: {error}"))
}
