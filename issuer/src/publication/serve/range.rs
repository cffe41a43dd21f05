//! A part of a file: whoever lost the connection in the middle of a long CRL goes on where it ended (RFC 9110 section 14).
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use jiff::Timestamp;

use super::answer::date;

/// What a request wants of a file.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// All of it; also where the range cannot be read, or there are several.
    All,
    /// From, and up to but without.
    Part(usize, usize),
    /// Nothing that is there.
    Nothing,
}

/// Cuts the answer with a whole file to what the request wants of it.
pub(super) fn cut(
    answer: &mut Response<Vec<u8>>,
    method: &Method,
    headers: &HeaderMap,
    tag: &str,
    modified: Option<Timestamp>,
) {
    answer.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let length = answer.body().len();
    // Section 14.2: a range is of GET alone.
    let wanted = match headers.get(header::RANGE).and_then(|range| range.to_str().ok()) {
        Some(range) if *method == Method::GET && is_the_same(headers, tag, modified) => parse(range, length),
        _ => Wanted::All,
    };
    let (status, part) = match wanted {
        Wanted::All => return,
        Wanted::Part(begin, end) => {
            answer.body_mut().truncate(end);
            answer.body_mut().drain(..begin);
            (StatusCode::PARTIAL_CONTENT, format!("bytes {begin}-{}/{length}", end.saturating_sub(1)))
        }
        Wanted::Nothing => {
            answer.body_mut().clear();
            // It is true of this version alone, and whoever asked goes on with the next.
            answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            (StatusCode::RANGE_NOT_SATISFIABLE, format!("bytes */{length}"))
        }
    };
    *answer.status_mut() = status;
    if let Ok(part) = HeaderValue::from_str(&part) {
        answer.headers_mut().insert(header::CONTENT_RANGE, part);
    }
}

/// Section 13.1.5: with If-Range a part is given only of what the client has the other part of; all of it otherwise.
fn is_the_same(headers: &HeaderMap, tag: &str, modified: Option<Timestamp>) -> bool {
    match headers.get(header::IF_RANGE).map(|value| value.to_str().unwrap_or_default()) {
        None => true,
        // A weak one is never the same; a date may begin with a W too.
        Some(known) if known.starts_with('"') || known.starts_with("W/") => known == tag,
        Some(_) => modified.is_some() && date(headers, header::IF_RANGE) == modified,
    }
}

/// ```text
/// ranges-specifier = "bytes" "=" range-set
/// int-range        = first-pos "-" [ last-pos ]
/// suffix-range     = "-" suffix-length
/// ```
fn parse(range: &str, length: usize) -> Wanted {
    let Some((first, last)) = range.trim().strip_prefix("bytes=").and_then(|set| set.split_once('-')) else {
        return Wanted::All;
    };
    let number = |text: &str| -> Option<usize> {
        let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
        // More than there is is as far as it goes.
        is_number.then(|| text.parse().unwrap_or(usize::MAX))
    };
    let (begin, end) = match (number(first), number(last)) {
        (Some(begin), Some(last)) if begin <= last => (begin, last.saturating_add(1).min(length)),
        (Some(begin), None) if last.is_empty() => (begin, length),
        (None, Some(0)) if first.is_empty() => return Wanted::Nothing,
        (None, Some(count)) if first.is_empty() => (length.saturating_sub(count), length),
        _ => return Wanted::All,
    };
    if begin < end { Wanted::Part(begin, end) } else { Wanted::Nothing }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::{Wanted, is_the_same, parse};

    /// Every day of a week, and what else may stand there (RFC 9110 section 13.1.5).
    #[test]
    fn a_part_is_given_of_the_version_that_was_begun_by_its_date_or_its_tag() {
        let is_same = |known: &str, modified: &str| {
            let headers = HeaderMap::from_iter([(header::IF_RANGE, HeaderValue::from_str(known).unwrap())]);
            is_the_same(&headers, "\"tag\"", Some(modified.parse().unwrap()))
        };
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        for (day, date) in days.iter().zip(6..) {
            let known = format!("{day}, {date:02} Nov 1994 08:49:37 GMT");
            assert!(is_same(&known, &format!("1994-11-{date:02}T08:49:37Z")), "{known}");
            assert!(!is_same(&known, &format!("1994-11-{date:02}T08:49:38Z")), "{known}");
        }
        for (known, expected) in
            [("\"tag\"", true), ("\"other\"", false), ("W/\"tag\"", false), ("W", false), ("", false)]
        {
            assert_eq!(is_same(known, "1994-11-09T08:49:37Z"), expected, "{known}");
        }
    }

    #[test]
    fn one_range_is_cut_to_what_is_there() {
        for (range, wanted) in [
            ("bytes=0-0", Wanted::Part(0, 1)),
            ("bytes=3-", Wanted::Part(3, 10)),
            ("bytes=3-99999999999999999999999", Wanted::Part(3, 10)),
            ("bytes=-4", Wanted::Part(6, 10)),
            ("bytes=-40", Wanted::Part(0, 10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
        ] {
            assert_eq!(parse(range, 10), wanted, "{range}");
        }
        assert_eq!(parse("bytes=0-", 0), Wanted::Nothing);
    }

    #[test]
    fn what_is_no_single_range_is_as_if_it_were_not_there() {
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=4-3",
            "bytes=a-",
            "bytes=+1-2",
            "bytes=0-1,3-4",
            "lines=0-1",
        ] {
            assert_eq!(parse(range, 10), Wanted::All, "{range}");
        }
    }
}
