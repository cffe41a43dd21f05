//! Text with `format=flowed` (RFC 3676): soft line ends taken out, so that a paragraph is one line again.

/// Joins the lines of each paragraph; `\n` as line end. `delete_space` is `delsp=yes` (section 4.1): the blank before a
/// soft line end was added with it.
pub(super) fn unflow(text: &str, delete_space: bool) -> String {
    let mut unflowed = String::with_capacity(text.len());
    let mut open_depth = None;
    for line in text.split_inclusive('\n') {
        let has_end = line.ends_with('\n');
        let line = line.trim_end_matches('\n').trim_end_matches('\r');
        // Section 4.5: quote marks first, then the blank that stuffing added (section 4.4).
        let content = line.trim_start_matches('>');
        let depth = line.len() - content.len();
        let content = content.strip_prefix(' ').unwrap_or(content);
        // Section 4.3: a signature separator is never flowed, and ends the paragraph before it.
        let is_separator = content == "-- ";
        if open_depth.is_some_and(|open| open != depth || is_separator) {
            unflowed.push('\n');
            open_depth = None;
        }
        if open_depth.is_none() && depth > 0 {
            unflowed.extend(std::iter::repeat_n('>', depth));
            unflowed.push(' ');
        }
        let is_flowed = content.ends_with(' ') && !is_separator && has_end;
        if is_flowed && delete_space {
            unflowed.push_str(content.strip_suffix(' ').unwrap_or(content));
        } else {
            unflowed.push_str(content);
        }
        open_depth = is_flowed.then_some(depth);
        if !is_flowed && has_end {
            unflowed.push('\n');
        }
    }
    unflowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_become_lines_again() {
        for (flowed, delete_space, wanted) in [
            ("one \ntwo\nthree\n", false, "one two\nthree\n"),
            ("one \r\ntwo\r\n", false, "one two\n"),
            ("ho \nly\n", true, "holy\n"),
            (" From here\n  indented\n", false, "From here\n indented\n"),
            (">>so it \n>>goes\n>on \n>>no\n", false, ">> so it goes\n> on \n>> no\n"),
            ("text \n-- \nme\n", false, "text \n-- \nme\n"),
            ("last ", false, "last "),
            ("\n\n", false, "\n\n"),
            ("> quoted \nmine\n", false, "> quoted \nmine\n"),
        ] {
            assert_eq!(unflow(flowed, delete_space), wanted, "{flowed:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_word_is_lost(text: String) {
            let words = |text: &str| text.replace('>', " ").split_whitespace().collect::<String>();
            assert_eq!(words(&unflow(&text, false)), words(&text));
            let _ = unflow(&text, true);
        }
    }
}
