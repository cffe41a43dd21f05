//! Domains that look like others: letters of several scripts in one label, or of another script that look Latin (Unicode
//! Technical Standard 39, its restriction levels in short).
use super::address::Address;

/// Says what is odd about the domain of an address, with the form that cannot deceive; `None` where nothing is.
pub fn warning(address: &str) -> Option<String> {
    let (_, domain) = address.rsplit_once('@')?;
    let (unicode, _) = idna::domain_to_unicode(domain);
    if unicode.is_ascii() {
        return None;
    }
    let ascii =
        address.parse::<Address>().map_or_else(|_| domain.to_owned(), |address| address.domain().to_owned());
    let mixes = unicode.split('.').any(mixes_scripts);
    // A name that is foreign as a whole, its end included, deceives nobody.
    let pretends =
        unicode.rsplit('.').next().is_some_and(str::is_ascii) && unicode.split('.').any(looks_latin);
    match (mixes, pretends) {
        (true, _) => Some(format!("letters of several scripts: {ascii}")),
        (false, true) => Some(format!("letters that look like Latin ones: {ascii}")),
        (false, false) => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Armenian,
    Hebrew,
    Arabic,
    Han,
    Kana,
    Hangul,
    Bopomofo,
    Other,
}

/// Digits and hyphens belong to every script.
fn script(character: char) -> Option<Script> {
    Some(match character {
        'a'..='z' | 'A'..='Z' | '\u{AA}' | '\u{BA}' | '\u{C0}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' => {
            Script::Latin
        }
        '\0'..='\u{BF}' | '\u{300}'..='\u{36F}' | '\u{200C}' | '\u{200D}' | '\u{30FB}' => return None,
        '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}' => Script::Greek,
        '\u{400}'..='\u{52F}'
        | '\u{1C80}'..='\u{1C8F}'
        | '\u{2DE0}'..='\u{2DFF}'
        | '\u{A640}'..='\u{A69F}' => Script::Cyrillic,
        '\u{530}'..='\u{58F}' => Script::Armenian,
        '\u{590}'..='\u{5FF}' => Script::Hebrew,
        '\u{600}'..='\u{6FF}' | '\u{750}'..='\u{77F}' => Script::Arabic,
        '\u{3005}'..='\u{3007}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{323AF}' => Script::Han,
        '\u{3040}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' => Script::Kana,
        '\u{1100}'..='\u{11FF}' | '\u{3130}'..='\u{318F}' | '\u{AC00}'..='\u{D7AF}' => Script::Hangul,
        '\u{3100}'..='\u{312F}' | '\u{31A0}'..='\u{31BF}' => Script::Bopomofo,
        _ => Script::Other,
    })
}

/// Latin goes with the scripts of East Asia, and they with Han; nothing else goes together.
fn mixes_scripts(label: &str) -> bool {
    let mut scripts: Vec<Script> = Vec::new();
    for script in label.chars().filter_map(script) {
        if !scripts.contains(&script) {
            scripts.push(script);
        }
    }
    let goes_together = |with: &[Script]| {
        scripts.iter().all(|script| matches!(script, Script::Latin | Script::Han) || with.contains(script))
    };
    scripts.len() > 1
        && ![Script::Kana, Script::Hangul, Script::Bopomofo]
            .iter()
            .any(|with| goes_together(std::slice::from_ref(with)))
}

fn looks_latin(label: &str) -> bool {
    !label.is_ascii()
        && label.chars().all(|character| LOOK_LATIN.contains(character) || script(character).is_none())
}

/// Letters of Cyrillic, Greek and Armenian that many fonts draw as Latin ones.
const LOOK_LATIN: &str = "аеіјорсухѕԁԛԝһӏᴦгьвкмнтпοανικρτυχωϲϳոսօցհզ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deceiving_domains_are_named_in_their_plain_form() {
        for deceiving in ["boss@pаypal.example", "boss@аррӏе.com", "boss@xn--80ak6aa92e.com", "b@οοοο.test"]
        {
            let warning = warning(deceiving).unwrap_or_else(|| panic!("{deceiving}"));
            assert!(warning.contains("xn--"), "{warning}");
        }
    }

    #[test]
    fn honest_domains_of_any_script_are_left_alone() {
        for honest in [
            "a@x.test",
            "a@bücher.example",
            "用户@例え.テスト",
            "a@почта.рф",
            "a@ουτοπία.ελ",
            "a@한국kr.test",
            "a@toyota車.jp",
            "a@दूत.भारत",
            "no address",
            "a@",
        ] {
            assert_eq!(warning(honest), None, "{honest}");
        }
    }

    proptest::proptest! {
        #[test]
        fn judging_never_panics(text: String) {
            let _ = warning(&format!("a@{text}"));
        }
    }
}
