//! Whether an element can be seen: inline styles, presentational attributes, and style sheets with simple selectors.
use std::collections::HashSet;

use super::markup::{Tag, decoded};

/// More than any mail needs; the rest of a sheet is passed over.
const MOST_SELECTORS: usize = 10_000;
/// Smaller letters cannot be read, in pixels.
const SMALLEST: f32 = 3.0;

/// How an element looks, as far as it matters, with what it inherits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Look {
    pub(super) is_hidden: bool,
    /// `None` where a picture or something unknown is behind the words.
    background: Option<Color>,
    color: Option<Color>,
}

impl Default for Look {
    fn default() -> Self {
        Self { is_hidden: false, background: Some(Color(255, 255, 255)), color: Some(Color(0, 0, 0)) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Color(u8, u8, u8);

/// What the style sheets of a document hide.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    /// Selectors `name`, `.class`, `#identifier` and `name.class`, in lower case.
    hidden: HashSet<String>,
    hides_unknown: bool,
}

impl Sheet {
    /// Reads a style sheet. Rules for printers and small screens do not count.
    pub(super) fn read(&mut self, css: &str) {
        let css = without_comments(css);
        let mut rest = css.as_str();
        while let Some((selectors, after)) = rest.split_once('{') {
            if selectors.trim_start().starts_with('@') {
                rest = after_block(after);
                continue;
            }
            let (declarations, after) = after.split_once('}').unwrap_or((after, ""));
            rest = after;
            let selectors = selectors.rsplit(['}', ';']).next().unwrap_or_default();
            if is_hiding(declarations) {
                for selector in selectors.split(',') {
                    self.hide(selector.trim());
                }
            }
        }
    }

    fn hide(&mut self, selector: &str) {
        let is_simple = !selector.is_empty()
            && selector.chars().all(|character| character.is_alphanumeric() || "-_.#".contains(character))
            && selector.matches(['.', '#']).count() <= 1;
        if is_simple && self.hidden.len() < MOST_SELECTORS {
            self.hidden.insert(selector.to_lowercase());
        } else if selector.contains(|character: char| !character.is_whitespace()) {
            self.hides_unknown = true;
        }
    }

    /// Whether a rule hides something and we cannot tell what.
    pub(super) fn hides_what_we_cannot_tell(&self) -> bool {
        self.hides_unknown
    }

    /// How an element looks inside its parent.
    pub(super) fn look(&self, parent: Look, tag: &Tag<'_>) -> Look {
        let mut look = parent;
        let style = tag.value("style").map(decoded).unwrap_or_default();
        if let Some(background) = tag.value("bgcolor") {
            look.background = color(background);
        }
        if let Some(named) = tag.value("color") {
            look.color = color(named);
        }
        for (name, value) in declarations(&style) {
            match name.as_str() {
                "color" => look.color = color(&value),
                "background" | "background-color" => look.background = color(&value),
                _ => {}
            }
        }
        let is_invisible = look.color.is_some() && look.color == look.background;
        look.is_hidden |=
            tag.value("hidden").is_some() || is_hiding(&style) || is_invisible || self.is_hidden(tag);
        look
    }

    fn is_hidden(&self, tag: &Tag<'_>) -> bool {
        if self.hidden.is_empty() {
            return false;
        }
        let name = &tag.name;
        let names = |mark: char, value: &str| {
            let value = value.to_lowercase();
            self.hidden.contains(&format!("{mark}{value}"))
                || self.hidden.contains(&format!("{name}{mark}{value}"))
        };
        self.hidden.contains(name)
            || tag.value("id").is_some_and(|identifier| names('#', identifier))
            || tag
                .value("class")
                .is_some_and(|classes| classes.split_ascii_whitespace().any(|class| names('.', class)))
    }
}

/// Whether declarations take an element out of sight.
fn is_hiding(css: &str) -> bool {
    let mut clips = false;
    let mut is_flat = false;
    for (name, value) in declarations(css) {
        let size = pixels(&value);
        match name.as_str() {
            "display" if value == "none" => return true,
            "visibility" if value == "hidden" || value == "collapse" => return true,
            "mso-hide" if value == "all" => return true,
            "opacity" if value.trim_end_matches('%').parse::<f32>().is_ok_and(|opacity| opacity < 0.05) => {
                return true;
            }
            "font-size" if size.is_some_and(|size| size < SMALLEST) => return true,
            "text-indent" | "left" | "top" | "margin-left" | "margin-top"
                if size.is_some_and(|size| size < -400.0) =>
            {
                return true;
            }
            "color" if value == "transparent" || value.ends_with(",0)") => return true,
            "clip" | "clip-path" if value != "auto" && value != "none" => return true,
            "overflow" | "overflow-x" | "overflow-y" if value == "hidden" => clips = true,
            "height" | "max-height" | "width" | "max-width" if size.is_some_and(|size| size <= 1.0) => {
                is_flat = true
            }
            _ => {}
        }
    }
    clips && is_flat
}

/// Names and values in lower case, without `!important`; a blank inside a value goes too.
fn declarations(css: &str) -> impl Iterator<Item = (String, String)> {
    css.split(';').filter_map(|declaration| {
        let (name, value) = declaration.split_once(':')?;
        let value = value.to_lowercase();
        let value: String = value.trim().trim_end_matches("!important").split_whitespace().collect();
        Some((name.trim().to_lowercase(), value))
    })
}

/// A length in pixels, as far as it can be told without a page.
fn pixels(value: &str) -> Option<f32> {
    let end = value
        .find(|character: char| !matches!(character, '0'..='9' | '.' | '-' | '+'))
        .unwrap_or(value.len());
    let (number, unit) = value.split_at_checked(end)?;
    let number: f32 = number.parse().ok()?;
    let factor = match unit {
        "" | "px" => 1.0,
        "pt" => 1.33,
        "em" | "rem" => 16.0,
        "%" => 0.16,
        "ex" | "ch" => 8.0,
        _ => return (number == 0.0).then_some(0.0),
    };
    Some(number * factor)
}

fn color(value: &str) -> Option<Color> {
    let value = value.trim().to_ascii_lowercase();
    if let Some(digits) = value.strip_prefix('#') {
        let channel = |at: usize, width: usize| {
            let channel = u8::from_str_radix(digits.get(at * width..(at + 1) * width)?, 16).ok()?;
            Some(if width == 1 { channel * 17 } else { channel })
        };
        let width = if digits.len() <= 4 { 1 } else { 2 };
        return Some(Color(channel(0, width)?, channel(1, width)?, channel(2, width)?));
    }
    if let Some(channels) = value.strip_prefix("rgb(").and_then(|rest| rest.strip_suffix(')')) {
        let mut channels = channels.split(',').map(|channel| channel.trim().parse().ok());
        return Some(Color(channels.next()??, channels.next()??, channels.next()??));
    }
    match value.as_str() {
        "white" => Some(Color(255, 255, 255)),
        "black" => Some(Color(0, 0, 0)),
        _ => None,
    }
}

fn without_comments(css: &str) -> String {
    let mut kept = String::with_capacity(css.len());
    let mut rest = css;
    while let Some((before, comment)) = rest.split_once("/*") {
        kept.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    kept.replace("<!--", "").replace("-->", "")
}

/// What follows the block that has been opened.
fn after_block(css: &str) -> &str {
    let mut depth = 1_usize;
    for (at, byte) in css.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return css.get(at + 1..).unwrap_or_default();
        }
    }
    ""
}
