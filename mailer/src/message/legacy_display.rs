//! Legacy Display elements (RFC 9788 sections 4.5 and 5.2.3): a hidden Subject repeated at the top of the text, for programs
//! that read no protected headers.
use super::header::MediaType;

/// The parameter of Content-Type that announces one.
pub const PARAMETER: &str = "hp-legacy-display";

/// Whether a part says that it begins with one.
pub(super) fn is_announced(media_type: &MediaType) -> bool {
    media_type.parameter(PARAMETER) == Some("1")
}

/// The text without its first lines up to the first empty one.
pub(super) fn without(text: &str) -> &str {
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\n') {
        rest = after;
        if line.trim_end_matches('\r').is_empty() {
            return rest;
        }
    }
    text
}

/// The lines to be put before a text: each hidden field on a line, and an empty line.
pub(super) fn lines(fields: &[(&str, &str)]) -> String {
    let mut lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_before_a_text_is_taken_off_again() {
        let text = format!("{}Hello\n\nBob\n", lines(&[("Subject", "Crane"), ("Keywords", "x")]));
        assert_eq!(text, "Subject: Crane\nKeywords: x\n\nHello\n\nBob\n");
        assert_eq!(without(&text), "Hello\n\nBob\n");
        assert_eq!(without("Subject: x\r\n\r\nHello"), "Hello");
        assert_eq!(without("no empty line\nat all"), "no empty line\nat all");
    }
}
