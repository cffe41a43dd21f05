//! Paths: only those of the published layout, so that nothing outside it can be named.
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

use crate::ca::MailAddress;
use crate::publication::layout::{self, CrlName, is_hexadecimal};

/// The file, relative to the published directory, that a request's path names; `None` for what is no name of
/// the layout.
pub(super) fn resolve(path: &str) -> Option<PathBuf> {
    let decode = |part: &str| percent_decode_str(part).decode_utf8().ok().map(|part| part.into_owned());
    let parts = path.strip_prefix('/')?.split('/').map(decode).collect::<Option<Vec<String>>>()?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        [file @ (layout::ANCHOR | layout::CA_CHAIN | layout::CRLS | layout::CLASSES)] => {
            Some(PathBuf::from(file))
        }
        ["audit", "checkpoint.txt"] => Some(PathBuf::from(layout::CHECKPOINT)),
        ["audit", "keys.pem"] => Some(PathBuf::from(layout::AUDIT_KEYS)),
        [folder @ layout::AUTHORITIES, file] if is_hexadecimal(file.strip_suffix(".cer")?) => {
            Some(Path::new(folder).join(file))
        }
        [layout::REVOCATIONS, file] => Some(CrlName::parse(file)?.path()),
        ["certificates", "by-email", folder, file]
            if is_address_folder(folder) && is_hexadecimal(file.strip_suffix(".cer")?) =>
        {
            Some(Path::new(layout::BY_EMAIL).join(folder).join(file))
        }
        _ => None,
    }
}

/// The published certificates of a mail address, sorted. An exact address: its upper-case letters and a
/// U-label domain are folded as they were when its folder was named, and that is all.
pub(super) fn by_email(root: &Path, address: &MailAddress) -> Vec<PathBuf> {
    let folder = Path::new(layout::BY_EMAIL).join(layout::address_folder(&address.to_string()));
    let Ok(entries) = std::fs::read_dir(root.join(&folder)) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let certificates = names.filter(|name| name.strip_suffix(".cer").is_some_and(is_hexadecimal));
    let mut files: Vec<PathBuf> = certificates.map(|name| folder.join(name)).collect();
    files.sort();
    files
}

/// What [`layout::address_folder`] makes; the `@` keeps `.` and `..` out.
fn is_address_folder(name: &str) -> bool {
    name.contains('@') && name.bytes().all(|octet| layout::is_plain(octet) || octet == b'%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_layout_resolve() {
        for (path, file) in [
            ("/anchor.pem", "anchor.pem"),
            ("/ca-chain.pem", "ca-chain.pem"),
            ("/crl.pem", "crl.pem"),
            ("/classes.p7m", "classes.p7m"),
            ("/ca/00ff.cer", "ca/00ff.cer"),
            ("/crl/00ff.crl", "crl/00ff.crl"),
            ("/crl/00ff-16-3.crl", "crl/00ff-16-3.crl"),
            ("/crl/00ff-16-3-delta.crl", "crl/00ff-16-3-delta.crl"),
            ("/crl/00ff-delta.crl", "crl/00ff-delta.crl"),
            ("/certificates/by-email/a@example.org/01.cer", "certificates/by-email/a@example.org/01.cer"),
            ("/certificates/by-email/a%40example.org/01.cer", "certificates/by-email/a@example.org/01.cer"),
            ("/certificates/by-email/%25C3%25BC@x.org/01.cer", "certificates/by-email/%C3%BC@x.org/01.cer"),
        ] {
            assert_eq!(resolve(path).as_deref(), Some(Path::new(file)), "{path}");
        }
    }

    #[test]
    fn nothing_else_does() {
        for path in [
            "",
            "/",
            "/ca",
            "/ca/",
            "/ca/../anchor.pem",
            "/../etc/passwd",
            "/%2e%2e/etc/passwd",
            "/ca/..%2f..%2fkeys.cer",
            "/ca/%2e%2e",
            "//anchor.pem",
            "/ca//00.cer",
            "/ca/00FF.cer",
            "/ca/.cer",
            "/ca/00.crl",
            "/crl/00.cer",
            "/crl/00-16-16.crl",
            "/crl/00-016-3.crl",
            "/.revision",
            "/.lock",
            "/certificates",
            "/certificates/by-email",
            "/certificates/by-email/",
            "/certificates/by-email/a@example.org",
            "/certificates/by-email/a@example.org/",
            "/certificates/by-email/../01.cer",
            "/certificates/by-email/..%2f@/01.cer",
            "/certificates/by-email/%00@x.org/01.cer",
            "/certificates/by-email/ü@x.org/01.cer",
            "/certificates/by-email/%FF@x/01.cer",
            "/anchor.pem/",
            "/anchor.pem%00",
            "/ca/00.cer%00",
        ] {
            assert_eq!(resolve(path), None, "{path}");
        }
    }
}
