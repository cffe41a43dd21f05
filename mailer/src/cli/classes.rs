//! Classes of readers, from where the account says: groups of an LDAP server, or the signed list in the directory.
use super::context::Context;
use super::report::{Failure, plain_words, tell};
use crate::directory::DirectoryError;
use crate::directory::settings::Network;
use crate::message::address::Address;
use crate::readers::class_list::{LARGEST_LIST, NewestList};
use crate::readers::ldap::{Client, LdapUrl};
use crate::readers::{ClassList, ReaderClass, ReadersError, ldap_groups};
use crate::trust::{Anchors, Judge};

/// Asked at most once each, and only when a class is named.
pub(super) struct Classes<'c> {
    context: &'c Context,
    ldap: Option<(LdapUrl, Client)>,
    list: Option<ClassList>,
}

impl<'c> Classes<'c> {
    pub(super) fn new(context: &'c Context) -> Self {
        Self { context, ldap: None, list: None }
    }

    /// The addresses of everybody in the class.
    pub(super) fn addresses(&mut self, name: &str) -> Result<Vec<Address>, Failure> {
        Ok(self.class(name)?.members.into_iter().map(|member| member.address).collect())
    }

    fn class(&mut self, name: &str) -> Result<ReaderClass, Failure> {
        if let Some(configured) = &self.context.config.readers.ldap {
            let url: LdapUrl = configured.parse()?;
            if self.context.is_offline() {
                return Err(ReadersError::Offline(url.to_string()).into());
            }
            if self.ldap.is_none() {
                let tls = self.context.tls_anchors()?.client_config();
                self.ldap = Some((url.clone(), Client::connect(&url, &tls)?));
            }
            if let Some((url, client)) = &mut self.ldap {
                return Ok(ldap_groups::class(client, url, name)?);
            }
        }
        Ok(self.list(Network::Online)?.class(name)?.clone())
    }

    /// The signed list, judged. Where the directory cannot be asked, the last one that was accepted serves while it counts.
    pub(super) fn list(&mut self, network: Network) -> Result<&ClassList, Failure> {
        let list = match self.list.take() {
            Some(list) => list,
            None => self.fetch(network)?,
        };
        Ok(self.list.insert(list))
    }

    fn fetch(&self, network: Network) -> Result<ClassList, Failure> {
        let context = self.context;
        let newest = NewestList::new(&context.home.classes());
        let mut directory = context.directory_on(network)?;
        let octets = match directory.class_list(LARGEST_LIST) {
            Ok(Some(octets)) => octets,
            Ok(None) => return Err(ReadersError::NoList(directory.location().to_string()).into()),
            Err(error @ (DirectoryError::Unreachable { .. } | DirectoryError::Offline { .. })) => {
                let kept = newest.kept()?.ok_or_else(|| Failure::from(error.clone()))?;
                if network == Network::Online {
                    let error = plain_words(&error.to_string());
                    tell(&format!("mailer: note: {error}; the list of classes seen last is used"));
                }
                kept
            }
            Err(error) => return Err(error.into()),
        };
        let anchors = self.own_anchors()?;
        let mut judge = Judge {
            anchors: &anchors,
            source: &mut directory,
            at: context.now,
            unknown_revocation: context.unknown_revocation(),
        };
        let list = ClassList::judged(&octets, &mut judge)?;
        newest.accept(&list, &octets)?;
        Ok(list)
    }

    /// Those that speak for the user's own domain: nobody else's list says who reads here.
    fn own_anchors(&self) -> Result<Anchors, Failure> {
        let own = self.context.address()?.to_string();
        let mut anchors = self.context.anchors()?;
        anchors.0.retain(|anchor| anchor.covers(&own));
        Ok(anchors)
    }
}
