//! HTML reduced to the text that a browser would show: nothing is fetched, nothing runs, and what the sender hides from
//! sight is not shown either.
//!
//! One pass over the octets, whatever they are; memory and time grow with the input only.
mod markup;
mod style;

use markup::{Piece, Tag, pieces};
use style::{Look, Sheet};

/// Deeper elements are not told apart.
const DEEPEST: usize = 512;
/// A longer address of a link is cut.
const LONGEST_LINK: usize = 200;

/// The text of an HTML document, with `\n` as line ends, at most about `most` octets of it.
/// `omit_legacy_display` leaves out the copy of the header that RFC 9788 section 5.2.3 puts into the body.
pub(super) fn html_to_text(html: &str, most: usize, omit_legacy_display: bool) -> String {
    let mut writer = Writer {
        text: String::new(),
        is_at_line_start: true,
        is_blank_wanted: false,
        open: Vec::new(),
        too_deep: 0,
        sheet: Sheet::default(),
        omit_legacy_display,
    };
    for piece in pieces(html) {
        match piece {
            Piece::Text(text) => writer.words(text),
            Piece::Start(tag) => writer.start(&tag),
            Piece::End(name) => writer.end(&name),
            Piece::Raw { tag, text } => writer.raw(&tag, text),
        }
        if writer.text.len() > most {
            break;
        }
    }
    if writer.sheet.hides_what_we_cannot_tell() {
        writer.line_end();
        writer.text.push_str("[The style of this message hides parts of it that are shown here.]\n");
    }
    writer.text
}

/// An element that is not closed yet.
struct Open {
    name: String,
    look: Look,
    is_preformatted: bool,
    /// Where a link leads, and where its words begin in the text.
    link: Option<(String, usize)>,
}

struct Writer {
    text: String,
    is_at_line_start: bool,
    is_blank_wanted: bool,
    open: Vec<Open>,
    too_deep: usize,
    sheet: Sheet,
    omit_legacy_display: bool,
}

impl Writer {
    fn is_hidden(&self) -> bool {
        self.open.last().is_some_and(|open| open.look.is_hidden)
    }

    fn words(&mut self, text: &str) {
        if self.is_hidden() {
            return;
        }
        if self.open.last().is_some_and(|open| open.is_preformatted) {
            let text = markup::decoded(text).replace("\r\n", "\n");
            self.is_at_line_start = text.ends_with('\n') || (text.is_empty() && self.is_at_line_start);
            self.text.push_str(&text);
            return;
        }
        let is_blank = |character: char| matches!(character, ' ' | '\t' | '\r' | '\n' | '\u{c}');
        self.is_blank_wanted |= text.starts_with(is_blank);
        for word in text.split(is_blank).filter(|word| !word.is_empty()) {
            if self.is_blank_wanted && !self.is_at_line_start {
                self.text.push(' ');
            }
            self.text.push_str(&markup::decoded(word));
            self.is_at_line_start = false;
            self.is_blank_wanted = true;
        }
        self.is_blank_wanted = text.ends_with(is_blank);
    }

    fn start(&mut self, tag: &Tag<'_>) {
        let name = tag.name.as_str();
        // A paragraph cannot stand in another: the next one ends it.
        if name == "p" && self.open.last().is_some_and(|open| open.name == "p") {
            self.open.pop();
        }
        let parent = self.open.last().map(|open| open.look).unwrap_or_default();
        let mut look = self.sheet.look(parent, tag);
        look.is_hidden |=
            matches!(name, "head" | "template" | "svg" | "math" | "object" | "audio" | "video" | "canvas")
                || (self.omit_legacy_display && tag.has_class("header-protection-legacy-display"));
        if !look.is_hidden {
            self.show_start(tag);
        }
        if is_void(name) || tag.is_self_closing {
            return;
        }
        if self.open.len() >= DEEPEST {
            self.too_deep += 1;
            return;
        }
        let is_preformatted =
            matches!(name, "pre" | "listing") || self.open.last().is_some_and(|open| open.is_preformatted);
        let link = tag.value("href").filter(|_| name == "a" && !look.is_hidden).and_then(link_target);
        let link = link.map(|target| (target, self.text.len()));
        self.open.push(Open { name: name.to_owned(), look, is_preformatted, link });
    }

    fn show_start(&mut self, tag: &Tag<'_>) {
        match tag.name.as_str() {
            "br" => self.hard_line_end(),
            "hr" => {
                self.line_end();
                self.text.push_str("---\n");
            }
            "li" => {
                self.line_end();
                self.text.push_str("- ");
                self.is_at_line_start = true;
                self.is_blank_wanted = false;
            }
            "td" | "th" => self.is_blank_wanted = true,
            "img" => {
                if let Some(alternative) =
                    tag.value("alt").filter(|alternative| !alternative.trim().is_empty())
                {
                    self.words(&format!("[{}]", alternative.trim()));
                }
            }
            name if is_block(name) => self.line_end(),
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        let Some(position) = self.open.iter().rposition(|open| open.name == name) else { return };
        let was_hidden = self.open.get(position).is_some_and(|open| open.look.is_hidden);
        for open in self.open.split_off(position) {
            if let Some((target, start)) = open.link {
                self.link(&target, start);
            }
        }
        if !was_hidden {
            if name == "p" {
                self.line_end();
                self.hard_line_end();
            } else if is_block(name) {
                self.line_end();
            }
        }
    }

    /// Says where a link leads, unless its words do.
    fn link(&mut self, target: &str, start: usize) {
        let words = self.text.get(start..).unwrap_or_default().trim();
        let shown = target.strip_prefix("mailto:").unwrap_or(target);
        if !words.is_empty() && words != shown && words.trim_end_matches('/') != shown.trim_end_matches('/') {
            self.text.push_str(" <");
            self.text.push_str(shown);
            self.text.push('>');
        }
    }

    fn raw(&mut self, tag: &Tag<'_>, text: &str) {
        match tag.name.as_str() {
            "style" => self.sheet.read(text),
            "textarea" | "xmp" | "plaintext" => {
                let parent = self.open.last().map(|open| open.look).unwrap_or_default();
                if !self.sheet.look(parent, tag).is_hidden {
                    self.line_end();
                    self.text.push_str(text);
                    self.is_at_line_start = text.ends_with('\n');
                    self.line_end();
                }
            }
            // What scripts, frames and titles say is not part of the text.
            _ => {}
        }
    }

    fn line_end(&mut self) {
        if !self.is_at_line_start {
            self.hard_line_end();
        }
        self.is_blank_wanted = false;
    }

    fn hard_line_end(&mut self) {
        // Many empty lines in a row push text out of sight.
        if !self.text.ends_with("\n\n") && !self.text.is_empty() {
            self.text.push('\n');
        }
        self.is_at_line_start = true;
        self.is_blank_wanted = false;
    }
}

/// The address of a link that a person may want to follow; never followed here.
fn link_target(href: &str) -> Option<String> {
    let href = markup::decoded(href);
    let href: String = href.trim().chars().filter(|character| !character.is_control()).collect();
    let lower = href.get(..8.min(href.len())).unwrap_or(&href).to_ascii_lowercase();
    let is_known = ["http:", "https:", "mailto:", "ftp:"].iter().any(|scheme| lower.starts_with(scheme));
    let longest = href.char_indices().nth(LONGEST_LINK).map(|(at, _)| at);
    is_known.then(|| match longest {
        Some(at) => format!("{}…", href.get(..at).unwrap_or_default()),
        None => href,
    })
}

fn is_void(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
    )
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "blockquote"
            | "body"
            | "center"
            | "dd"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figure"
            | "footer"
            | "form"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "header"
            | "li"
            | "listing"
            | "main"
            | "nav"
            | "ol"
            | "p"
            | "pre"
            | "section"
            | "table"
            | "tr"
            | "ul"
    )
}

#[cfg(test)]
mod tests;
