//! File names from strangers made safe; attachments saved without overwriting anything.
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::terminal_text::{is_invisible, is_steering};

const LONGEST_NAME: usize = 120;
const MOST_NAMESAKES: u32 = 10_000;

/// A file name without folders, control characters, leading dots, or names that mean a device somewhere.
pub fn safe_name(suggested: &str) -> String {
    let last = suggested.rsplit(['/', '\\']).next().unwrap_or_default();
    let cleaned: String = last
        .chars()
        .filter(|&character| !is_steering(character) && !is_invisible(character))
        .map(|character| if "<>:\"|?*".contains(character) { '_' } else { character })
        .collect();
    // A long row of blanks pushes the true ending of a name out of sight.
    let cleaned = cleaned.split_whitespace().collect::<Vec<_>>().join(" ");
    // A leading dot hides the file, a leading dash looks like an option, a trailing dot or blank is dropped by some systems.
    let trimmed = cleaned.trim_start_matches(['.', '-', ' ']).trim_end_matches(['.', ' ']);
    let shortened = shorten(trimmed);
    if shortened.is_empty() {
        "attachment".to_owned()
    } else if is_device_name(&shortened) {
        format!("_{shortened}")
    } else {
        shortened
    }
}

/// Saves under a safe form of `suggested`, mode 0600; where the name is taken, ` (2)` and so on is added.
/// The file appears complete or not at all.
///
/// # Errors
/// The folder cannot be written, the disk is full, or ten thousand namesakes are there already.
pub fn save(folder: &Path, suggested: &str, content: &mut dyn Read) -> io::Result<PathBuf> {
    let name = safe_name(suggested);
    let mut file = tempfile::Builder::new().prefix(".saving-").tempfile_in(folder)?;
    io::copy(content, &mut file)?;
    file.as_file().sync_all()?;
    for number in 1..=MOST_NAMESAKES {
        let path = folder.join(numbered(&name, number));
        match file.persist_noclobber(&path) {
            Ok(_) => return Ok(path),
            Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => file = refused.file,
            Err(refused) => return Err(refused.error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("too many files are named {name}")))
}

fn numbered(name: &str, number: u32) -> String {
    match (number, name.rsplit_once('.')) {
        (1, _) => name.to_owned(),
        (_, Some((stem, extension))) if !stem.is_empty() => format!("{stem} ({number}).{extension}"),
        _ => format!("{name} ({number})"),
    }
}

/// Cuts the stem, keeps a short extension.
fn shorten(name: &str) -> String {
    if name.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.len() <= 16 => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let mut kept = String::new();
    for character in stem.chars() {
        if kept.len() + character.len_utf8() + extension.len() > LONGEST_NAME {
            break;
        }
        kept.push(character);
    }
    kept + &extension
}

fn is_device_name(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix).is_some_and(|rest| {
            matches!(rest.as_bytes(), [b'0'..=b'9']) || rest == "¹" || rest == "²" || rest == "³"
        })
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || numbered("COM")
        || numbered("LPT")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn no_name_leaves_the_folder_or_means_something_else() {
        for (suggested, wanted) in [
            ("report.pdf", "report.pdf"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Windows\\evil.exe", "evil.exe"),
            ("/", "attachment"),
            ("..", "attachment"),
            ("", "attachment"),
            (".bashrc", "bashrc"),
            ("-rf", "rf"),
            ("a\0b\u{1b}[2Jc\r\n.txt", "ab[2Jc.txt"),
            ("invoice\u{202e}fdp.exe", "invoicefdp.exe"),
            ("NUL.txt", "_NUL.txt"),
            ("com1", "_com1"),
            ("a<b>c:d|e?f*.txt", "a_b_c_d_e_f_.txt"),
            ("Jahresabschluß 你好.pdf", "Jahresabschluß 你好.pdf"),
            ("name. . ", "name"),
            ("invoice.pdf \u{a0} \u{3000}                .exe", "invoice.pdf .exe"),
            ("a\u{200b}b\u{3164}\u{ad}.txt", "ab.txt"),
            ("aux .txt", "_aux .txt"),
            ("\u{feff}\u{202e}", "attachment"),
        ] {
            assert_eq!(safe_name(suggested), wanted, "{suggested:?}");
        }
        let long = safe_name(&format!("{}.pdf", "ä".repeat(300)));
        assert!(long.len() <= LONGEST_NAME && long.ends_with("ä.pdf"), "{long}");
    }

    #[test]
    fn saving_never_overwrites_and_keeps_the_file_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = save(folder.path(), "a.txt", &mut &b"one"[..]).unwrap();
        let second = save(folder.path(), "../a.txt", &mut &b"two"[..]).unwrap();
        assert_eq!(second, folder.path().join("a (2).txt"));
        assert_eq!(
            (std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap()),
            (b"one".to_vec(), b"two".to_vec())
        );
        assert_eq!(std::fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_link_waiting_under_the_name_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("precious");
        std::os::unix::fs::symlink(&target, folder.path().join("a.txt")).unwrap();
        let saved = save(folder.path(), "a.txt", &mut &b"x"[..]).unwrap();
        assert_eq!(saved, folder.path().join("a (2).txt"));
        assert!(!target.exists());
    }

    proptest::proptest! {
        #[test]
        fn a_safe_name_is_one_plain_component(suggested: String) {
            let name = safe_name(&suggested);
            assert!(!name.is_empty() && name.len() <= LONGEST_NAME + 1 && !name.starts_with('.'));
            assert!(!name.contains(['/', '\\', '\0']) && !name.chars().any(is_steering));
            assert_eq!(safe_name(&name), name);
        }
    }
}
