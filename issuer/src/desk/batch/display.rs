//! What is shown while a batch runs: at a terminal one bar for all cards and one for each that is in hand, else a line for
//! each card that is done.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::queue::Progress;
use super::rows::Row;
use super::worker::Watcher;
use crate::desk::output::{self, Format};
use crate::desk::texts;
use crate::personalization::run::{Point, Progress as Step};

/// Shows how far a batch is.
pub struct Display {
    format: Format,
    total: usize,
    bars: Option<Bars>,
    ended: Mutex<usize>,
}

struct Bars {
    all: ProgressBar,
    several: MultiProgress,
    /// Of the places at which somebody works now.
    places: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Display {
    /// For a batch of `total` cards, of which `done` are done.
    pub fn new(format: Format, total: usize, done: usize) -> Self {
        let at_terminal = format == Format::Text && std::io::stderr().is_terminal();
        let bars = at_terminal.then(|| Bars::new(MultiProgress::new(), total, done));
        Self { format, total, bars, ended: Mutex::new(done) }
    }

    fn say(&self, text: &str) {
        announce(self.bars.as_ref().map(|bars| &bars.several), self.format, text);
    }

    /// Whether lines are drawn again and again.
    pub const fn has_bars(&self) -> bool {
        self.bars.is_some()
    }

    /// Says something for somebody who does not know how far it is.
    pub fn announcer(&self) -> impl Fn(&str) + Send + use<> {
        let (several, format) = (self.bars.as_ref().map(|bars| bars.several.clone()), self.format);
        move |text| announce(several.as_ref(), format, text)
    }

    /// Takes the bars away: what is said from now on is about what came of it.
    pub fn close(&self) {
        if let Some(bars) = &self.bars {
            bars.close();
        }
    }
}

fn announce(several: Option<&MultiProgress>, format: Format, text: &str) {
    match several {
        // Above the bars; where that fails, nobody watches any more.
        Some(several) => {
            let _ = several.println(text);
        }
        None if format == Format::Text => output::progress(text),
        None => {}
    }
}

impl Bars {
    fn new(several: MultiProgress, total: usize, done: usize) -> Self {
        let all = several.add(bar(total, "{bar:40} {pos}/{len} {msg} {eta}"));
        all.set_message(texts::say("batched-time-left", &[]));
        all.set_position(u64::try_from(done).unwrap_or(u64::MAX));
        Self { all, several, places: Mutex::new(BTreeMap::new()) }
    }

    /// Changes the bar of a place, which it gets with its first card.
    fn place(&self, place: &str, change: impl FnOnce(&ProgressBar)) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = places.entry(place.to_owned()).or_insert_with(|| {
            self.several.add(bar(0, "  {prefix}: {msg} {bar:20} {pos}/{len}").with_prefix(place.to_owned()))
        });
        change(bar);
    }

    /// Takes the bar of a place away.
    fn leave(&self, place: &str) {
        let bar = self.places.lock().unwrap_or_else(PoisonError::into_inner).remove(place);
        if let Some(bar) = bar {
            bar.finish_and_clear();
            self.several.remove(&bar);
        }
    }

    fn close(&self) {
        let places = std::mem::take(&mut *self.places.lock().unwrap_or_else(PoisonError::into_inner));
        for bar in places.into_values().chain([self.all.clone()]) {
            bar.finish_and_clear();
            self.several.remove(&bar);
        }
    }
}

fn bar(length: usize, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX)).with_style(style)
}

impl Watcher for Display {
    fn begun(&self, place: &str, row: &Row) {
        let Some(bars) = &self.bars else { return };
        bars.place(place, |bar| {
            bar.set_position(0);
            bar.set_message(row.holder.mail.as_str().to_owned());
        });
    }

    fn step(&self, place: &str, step: &Step) {
        let Some(bars) = &self.bars else { return };
        match step {
            Step::Begun { steps, .. } => {
                let steps = u64::try_from(*steps).unwrap_or(u64::MAX);
                bars.place(place, |bar| bar.set_length(steps));
            }
            Step::Step { point: Point::Acted, .. } => bars.place(place, |bar| bar.inc(1)),
            _ => {}
        }
    }

    /// At a terminal the bar tells of what is done, and only trouble has a line: hundreds of lines would bury it.
    fn ended(&self, place: &str, row: &Row, progress: &Progress) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(progress, Progress::Waiting | Progress::HalfMade(_)) {
            *ended += 1;
            if let Some(bars) = &self.bars {
                bars.all.inc(1);
            }
        }
        if self.bars.is_some() && matches!(progress, Progress::Done { as_ordered: None, .. }) {
            return;
        }
        let (mail, total) = (row.holder.mail.as_str(), self.total);
        let (ended, total, what) = (ended.to_string(), total.to_string(), words(progress));
        let values =
            [("ended", ended.as_str()), ("total", &total), ("mail", mail), ("what", &what), ("place", place)];
        self.say(&texts::say("batched-ended", &values));
    }

    fn wanted(&self, place: &str, what: &str) {
        self.say(&format!("{place}: {what}"));
    }

    fn left(&self, place: &str) {
        if let Some(bars) = &self.bars {
            bars.leave(place);
        }
    }
}

fn words(progress: &Progress) -> String {
    match progress {
        Progress::Waiting | Progress::Taken => texts::say("batched-not-begun", &[]),
        Progress::Done { guid, as_ordered: None, .. } => {
            texts::say("batched-card", &[("guid", &guid.to_string())])
        }
        Progress::Done { guid, as_ordered: Some(order), .. } => {
            let values = [("guid", guid.to_string()), ("order", order.said.clone())];
            texts::say(
                "batched-card-as-ordered",
                &values.each_ref().map(|(key, value)| (*key, value.as_str())),
            )
        }
        Progress::HalfMade(why) => texts::say("batched-half-made-why", &[("why", &why.said)]),
        Progress::Refused(why) => texts::say("batched-refused-why", &[("why", &why.said)]),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;
    use crate::desk::card_profile::Wanted;
    use crate::domain::{Cardholder, CardholderId, Guid, MailAddress, Name};
    use crate::personalization::plan::{KeyChoice, KeyOrigin};

    /// A terminal that only counts how many lines are in use.
    #[derive(Debug, Default)]
    struct Screen {
        /// Line of the cursor, and the lowest there was.
        lines: Mutex<(usize, usize)>,
        written: Mutex<String>,
    }

    impl Screen {
        fn down(&self, lines: usize) {
            let mut at = self.lines.lock().unwrap();
            at.0 += lines;
            at.1 = at.1.max(at.0);
        }
    }

    #[derive(Debug)]
    struct Shown(Arc<Screen>);

    impl TermLike for Shown {
        fn width(&self) -> u16 {
            80
        }

        fn height(&self) -> u16 {
            60
        }

        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            let mut at = self.0.lines.lock().unwrap();
            at.0 = at.0.saturating_sub(n);
            Ok(())
        }

        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            self.0.down(n);
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)?;
            self.0.down(1);
            Ok(())
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.written.lock().unwrap().push_str(text);
            self.0.down(text.matches('\n').count());
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn row(number: i64) -> Row {
        let holder = Cardholder {
            id: CardholderId(number),
            name: Name::new("Alice Ng").unwrap(),
            mail: MailAddress::new(&format!("p{number}@example.org")).unwrap(),
            staff_id: None,
            employed_until: None,
            left: None,
        };
        let keys =
            KeyChoice { algorithm: middleware::KeyAlgorithm::P256, origin: KeyOrigin::GeneratedOnCard };
        Row { line: 1, holder, wanted: Wanted::default(), profile: keys.into(), place: None }
    }

    fn display(screen: &Arc<Screen>, total: usize) -> Display {
        let target = ProgressDrawTarget::term_like(Box::new(Shown(Arc::clone(screen))));
        let bars = Bars::new(MultiProgress::with_draw_target(target), total, 0);
        // Each change is shown at once, as it would be on a slow day.
        bars.all.force_draw();
        Display { format: Format::Text, total, bars: Some(bars), ended: Mutex::new(0) }
    }

    #[test]
    fn five_hundred_cards_take_the_lines_of_those_in_hand() {
        let screen = Arc::default();
        let display = display(&screen, 500);
        let done = Progress::Done { guid: Guid::new([7; 16]), before: false, as_ordered: None };
        for number in 1..=500 {
            let (place, row) = (format!("sim:{number}.card"), row(number));
            display.begun(&place, &row);
            display.bars.as_ref().unwrap().place(&place, ProgressBar::force_draw);
            display.ended(&place, &row, &done);
            display.left(&place);
        }
        assert_eq!(*display.ended.lock().unwrap(), 500);
        assert_eq!(display.bars.as_ref().unwrap().all.position(), 500);
        let lowest = screen.lines.lock().unwrap().1;
        assert!((1..=3).contains(&lowest), "{lowest} lines for one card at a time");
    }

    #[test]
    fn no_bar_is_left_below_what_came_of_it() {
        let screen = Arc::default();
        let display = display(&screen, 3);
        display.begun("sim:1.card", &row(1));
        display.bars.as_ref().unwrap().place("sim:1.card", ProgressBar::force_draw);
        assert!(screen.written.lock().unwrap().contains("p1@example.org"));
        let announce = display.announcer();
        display.close();
        screen.written.lock().unwrap().clear();
        drop(display);
        assert_eq!(*screen.written.lock().unwrap(), "", "drawn again when nobody watches any more");
        announce("stopping");
        assert!(screen.written.lock().unwrap().contains("stopping"));
    }
}
