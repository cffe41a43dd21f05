//! A published directory with certificates of people, served by the program and asked by curl.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use issuer::ca::{Certificate, Profile};
use issuer::publication::{Publication, PublishedDirectory};
use tempfile::TempDir;

use crate::server::{Answer, Server};
use crate::support::test_key::TestKey;
use crate::support::{World, alice, holder};

/// What is published; a directory of its own for each.
pub struct Published {
    pub world: World,
    /// Alice's signature and encryption certificates, Bob's.
    pub certificates: Vec<Certificate>,
    pub crls: Vec<Vec<u8>>,
    directory: TempDir,
}

impl Published {
    pub fn new() -> Self {
        let mut world = World::new(TestKey::p256);
        let profiles = [
            Profile::DigitalSignature(alice()),
            Profile::KeyManagement(alice()),
            Profile::DigitalSignature(holder("李 Bob", "bob@example.com")),
        ];
        let certificates =
            profiles.iter().map(|profile| world.certify(profile, &mut TestKey::p256())).collect();
        let crls = vec![world.root_crl(1, &[]), world.crl(1, &[]), world.servers_crl(1)];
        let published = Self { world, certificates, crls, directory: TempDir::new().unwrap() };
        published.publish();
        published
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn publish(&self) {
        let publication = Publication {
            accepted: None,
            now: self.world.now,
            authorities: self.world.authorities(),
            certificates: self.certificates.clone(),
            crls: self.crls.iter().map(|crl| Cow::Borrowed(crl.as_slice())).collect(),
            registered: BTreeMap::new(),
            judged: BTreeMap::new(),
            bases: Vec::new(),
            further_authorities: Vec::new(),
            answers: BTreeMap::new(),
            overdue: Vec::new(),
            not_after: &|_, _| None,
        };
        PublishedDirectory::open(self.directory.path()).unwrap().write(&publication).unwrap();
    }
}

/// A published directory and a server over it.
pub struct Site {
    pub published: Published,
    pub server: Server,
}

impl Site {
    pub fn new() -> Self {
        let published = Published::new();
        let server = Server::of(published.directory.path(), &[]);
        Self { published, server }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.server.ask(path, &[])
    }

    /// Searches the certificates.
    pub fn search(&self, attribute: &str, value: &str) -> Answer {
        self.get(&format!("/certificates/search.cgi?{attribute}={value}"))
    }
}
