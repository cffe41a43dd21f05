//! Documents as files: read where they lie, written whole or not at all.
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::super::input::file_content;
use super::super::report::Failure;
use crate::content::Content;
use crate::documents::pdf::Document;
use crate::durable_file::sync_folder;

const PDF_MARK: &[u8] = b"%PDF-";
/// How far from its beginning a PDF file may say what it is (as readers take it).
const MARK_WITHIN: usize = 1024;

/// The file's octets.
pub(super) fn read(path: &Path) -> Result<Content, Failure> {
    file_content(path)
}

/// Whether it is a PDF file.
pub(super) fn is_pdf(content: &Content) -> Result<bool, Failure> {
    let head = content
        .head(MARK_WITHIN)
        .map_err(|problem| Failure::new("input-output", format!("the file cannot be read: {problem}")))?;
    Ok(memchr::memmem::find(&head, PDF_MARK).is_some())
}

/// The document.
pub(super) fn open(path: &Path, content: &Content) -> Result<Document, Failure> {
    Document::open(content)
        .map_err(|error| Failure::new(error.code(), format!("{}: {error}", path.display())))
}

/// Where the result goes: as told, or to a file that is not there yet. The document itself is never touched.
pub(super) fn output(input: &Path, told: Option<PathBuf>, otherwise: PathBuf) -> Result<PathBuf, Failure> {
    let output = match told {
        Some(told) => told,
        None if otherwise.symlink_metadata().is_ok() => {
            let message =
                format!("{} is there already; name another file with --output", otherwise.display());
            return Err(Failure::usage(message));
        }
        None => otherwise,
    };
    if output.file_name().is_none() {
        return Err(Failure::usage(format!("{} names no file", output.display())));
    }
    if is_same_file(input, &output) {
        let message = "the result would replace the document itself; name another file with --output";
        return Err(Failure::usage(message));
    }
    // Told before a PIN is asked, not after it.
    let folder = folder_of(&output);
    if !folder.is_dir() {
        let message = format!("{}: there is no folder {}", output.display(), folder.display());
        return Err(Failure::new("file", message));
    }
    Ok(output)
}

/// Beside the file: `notice-signed.pdf` for `notice.pdf`.
pub(super) fn beside(input: &Path, addition: &str) -> PathBuf {
    let mut name = input.file_stem().unwrap_or_default().to_owned();
    name.push(addition);
    if let Some(extension) = input.extension() {
        name.push(".");
        name.push(extension);
    }
    input.with_file_name(name)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// Writes a file with the usual permissions: it is there whole, or as it was before.
pub(super) fn write(path: &Path, content: &Content) -> Result<(), Failure> {
    write_with(path, 0o644, |file| content.write_to_file(file))
}

/// The same for what is made while it is written.
pub(super) fn write_by(
    path: &Path,
    write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    write_with(path, 0o644, |file| write(file))
}

/// Writes a file for its owner alone.
pub(super) fn write_private(path: &Path, content: &Content) -> Result<(), Failure> {
    write_with(path, 0o600, |file| content.write_to_file(file))
}

fn write_with(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), Failure> {
    let folder = folder_of(path);
    let written = || {
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(folder)?;
        write(file.as_file_mut())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|refused| refused.error)?;
        sync_folder(folder)
    };
    written().map_err(|problem| Failure::file(path, &problem))
}
