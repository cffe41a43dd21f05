//! The authority: certificates signed, CRLs of a million entries, OCSP and searches over HTTP.
//!
//! - `signing`: a certificate linted and signed; `lists`: CRLs; `whole_way`: one from the registry to the published file;
//! - `serving`: OCSP and certificate search;
//! - `directory`: certificates into an LDAP directory;
//! - `office`: an authority with keys in memory.
mod directory;
mod lists;
mod office;
mod serving;
mod signing;
mod whole_way;

use anyhow::{Result, bail};
use sealwright_tests::measure::Row;

use crate::Options;

/// All rows, or one part's.
pub(crate) fn rows(options: &Options) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if options.wants("signing") {
        rows.extend(signing::rows()?);
    }
    if options.wants("lists") {
        rows.extend(lists::rows(options.small)?);
    }
    if options.wants("serving") {
        rows.extend(serving::rows(options.small)?);
    }
    if options.wants("directory") {
        rows.extend(directory::rows(options.small)?);
    }
    Ok(rows)
}

/// What a process of its own does, so that its memory and CPU time are its own.
pub(crate) fn child(arguments: &[&str]) -> Result<()> {
    match arguments {
        [what, count, place] => lists::client(what, count.parse()?, place.as_ref()),
        _ => bail!("client authority WHAT COUNT PLACE"),
    }
}
