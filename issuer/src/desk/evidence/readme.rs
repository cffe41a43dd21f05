//! What a folder of evidence says of itself: the story in words, and the commands that check it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::Timestamp;

use crate::domain::{AuditKeyId, Cardholder};
use crate::registry::{CertificateRecord, ProvenEvent};

/// A certificate, and what openssl must say of it.
pub(super) struct Expected {
    pub(super) record: CertificateRecord,
    pub(super) is_revoked: bool,
    pub(super) is_expired: bool,
}

/// What the README is written from.
pub(super) struct Readme<'a> {
    pub(super) holder: &'a Cardholder,
    pub(super) events: &'a [ProvenEvent],
    pub(super) expected: &'a [Expected],
    /// SHA-256 of the audit key that signs the manifest, hex.
    pub(super) key: &'a str,
    /// The audit keys that signed checkpoints.
    pub(super) signers: &'a BTreeSet<AuditKeyId>,
    pub(super) now: Timestamp,
}

impl Readme<'_> {
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let (name, mail) = (self.holder.name.as_str(), self.holder.mail.as_str());
        let _ = writeln!(text, "# Evidence: the cards of {name} <{mail}>\n");
        let _ = writeln!(
            text,
            "Taken from the issuer's registry on {:.0}. Each check below is one script for a POSIX shell, run in this folder, with openssl \
             (3.0 or later), sha256sum, find, sort, uniq, grep, head, tail, cut, tr and rm. Each must end with exit status 0; whatever else it prints, any \
             other status means that this folder proves nothing.\n",
            self.now
        );
        self.story(&mut text);
        self.trust(&mut text);
        text.push_str(LOG);
        self.certificates(&mut text);
        text.push_str(LIMITS);
        text
    }

    fn story(&self, text: &mut String) {
        text.push_str("## What happened\n\n| event | when | who | about | what |\n|---|---|---|---|---|\n");
        for ProvenEvent { entry, .. } in self.events {
            let record = &entry.record;
            let who = record.actor.replace('|', "\\|");
            let _ = writeln!(
                text,
                "| {} | {} | {who} | {} | {} |",
                record.sequence, record.at, record.subject, record.kind
            );
        }
    }

    fn trust(&self, text: &mut String) {
        let key = self.key;
        let signers: Vec<_> = self.signers.iter().map(ToString::to_string).collect();
        let _ = write!(
            text,
            "\n## Whose word it is\n\n\
             Whoever made this folder up could have made the key up too. So the SHA-256 of the audit key must come to you by another way \
             than this folder: from the auditor, who reads it in `issuer audit verify --json`, or from `audit/keys.pem` in the organisation's \
             published directory. Set it, `export audit_key=...`, and compare; without it this check fails:\n\n\
             ```sh\n\
             set -e\n\
             told=${{audit_key:?set it to the SHA-256 of the audit key as the organisation told it to you}}\n\
             test \"$(openssl pkey -pubin -in audit-key.pem -outform DER | sha256sum | cut -c 1-64)\" = \"$told\"\n\
             ```\n\n\
             That key signs this folder, with the organisation's root certificates (`anchor.pem`; after a roll-over there are two) and the \
             keys that signed the checkpoints (`audit-keys/`, more than one where a registry was restored meanwhile). It calls itself `{key}`:\n\n\
             ```sh\n\
             set -e\n\
             name() {{ openssl pkey -pubin -in \"$1\" -outform DER | sha256sum | cut -c 1-64; }}\n\
             test \"$(name audit-key.pem)\" = {key}\n\
             for key in {}; do\n  test \"$(name \"audit-keys/$key.pem\")\" = \"$key\"\ndone\n\
             ```\n\n\
             Nothing in this folder was changed or added since, also where a listing does not show it (names that begin with a dot, folders \
             in folders, links); whatever the manifest does not list is named:\n\n\
             ```sh\n\
             set -e\n\
             openssl dgst -sha256 -verify audit-key.pem -signature manifest.sig manifest.sha256\n\
             sha256sum --check --strict --quiet manifest.sha256\n\
             export LC_ALL=C\n\
             listed=$({{ cut -c 67- manifest.sha256; echo manifest.sha256; echo manifest.sig; }} | sort)\n\
             found=$(find . ! -type d | cut -c 3- | sort)\n\
             test \"$found\" = \"$listed\" || {{\n  \
               echo \"These are not in the manifest, or not in the folder:\"\n  \
               printf '%s\\n%s\\n' \"$listed\" \"$found\" | sort | uniq -u\n  \
               exit 1\n\
             }}\n\
             ```\n",
            signers.join(" ")
        );
    }

    fn certificates(&self, text: &mut String) {
        text.push_str(
            "\n## The certificates\n\nEach was issued by an authority of the organisation; the time of the check is that of this folder. On hold \
             counts as revoked.\n\n```sh\nset -e\n",
        );
        let _ = writeln!(text, "at={}", self.now.as_second());
        text.push_str(CHECK);
        for Expected { record, is_revoked, is_expired } in self.expected {
            let serial = record.serial.to_string();
            let word = match (is_revoked, is_expired) {
                (true, _) => "revoked",
                (false, true) => "expired",
                (false, false) => "good",
            };
            let _ = writeln!(text, "{word} {serial}");
        }
        text.push_str("```\n");
        for Expected { record, .. } in self.expected {
            let _ = writeln!(
                text,
                "\n- {}: {}, {}, from {} to {}, in the registry: {}",
                record.serial,
                record.profile,
                record.subject,
                record.not_before,
                record.not_after,
                record.state.state().name()
            );
        }
    }
}

const LOG: &str = "\n## The events are part of the log\n\n\
An event's file is exactly what is hashed; its last line is the hash of the event before it. Each stands in the list of a \
checkpoint, which an audit key signed in the moment in which the event was recorded.\n\n\
```sh\n\
set -e\n\
sha256sum --check --strict --quiet events.sha256\n\
for event in events/*.txt; do\n\
  hash=$(sha256sum < \"$event\" | cut -c 1-64)\n\
  grep --quiet --line-regexp \"$hash  $event\" events.sha256\n\
  grep --quiet --line-regexp \"$hash\" checkpoints/*.hashes || { echo \"$event is in no checkpoint\"; exit 1; }\n\
done\n\
for list in checkpoints/*.hashes; do\n\
  checkpoint=\"${list%.hashes}.txt\"\n\
  grep --quiet --line-regexp \"batch $(sha256sum < \"$list\" | cut -c 1-64)\" \"$checkpoint\"\n\
  grep --quiet --line-regexp \"hash $(tail -n 1 \"$list\")\" \"$checkpoint\"\n\
done\n\
```\n\n\
Every checkpoint since is signed, and names the one before it: the log of then is the beginning of the log of now.\n\n\
```sh\n\
set -e\n\
before=\n\
for checkpoint in checkpoints/*.txt; do\n\
  tail -n 1 \"$checkpoint\" | openssl base64 -d -A > /tmp/signature.$$\n\
  key=audit-keys/$(grep '^key ' \"$checkpoint\" | cut -c 5-).pem\n\
  head -n 9 \"$checkpoint\" | openssl dgst -sha256 -verify \"$key\" -signature /tmp/signature.$$ > /dev/null\n\
  test -z \"$before\" || grep --quiet --line-regexp \"previous $before\" \"$checkpoint\"\n\
  before=$(sha256sum < \"$checkpoint\" | cut -c 1-64)\n\
done\n\
rm -f /tmp/signature.$$\n\
```\n\n\
The last line of `checkpoints/`'s last file, or a later one, is in the published directory (`audit/checkpoint.txt`) and with the \
auditor: if theirs names another history, this folder or the registry was forged.\n";

const CHECK: &str = "look() {\n\
  test \"$(openssl x509 -in \"certificates/$1.pem\" -noout -serial | cut -d = -f 2)\" = \\\n\
    \"$(echo \"$1\" | tr a-f A-F)\" || exit 1\n\
  openssl verify -x509_strict -crl_check_all -attime \"$at\" -CAfile anchor.pem -untrusted chain.pem -CRLfile crls.pem \\\n\
    \"certificates/$1.pem\" 2>&1\n\
}\n\
good() { look \"$1\" | grep --quiet --line-regexp \"certificates/$1.pem: OK\" || { echo \"$1 is not good\"; exit 1; }; }\n\
revoked() { look \"$1\" | grep --quiet --line-regexp 'error 23 at 0 depth lookup: certificate revoked' || { echo \"$1 is not revoked\"; exit 1; }; }\n\
expired() { look \"$1\" | grep --quiet --line-regexp 'error 10 at 0 depth lookup: certificate has expired' || { echo \"$1 is not expired\"; exit 1; }; }\n";

const LIMITS: &str = "\n## What it does not say\n\n\
Events about others are left out; their hashes are in the lists, and say nothing else of them. That nothing else was recorded \
about this person is the registry's word: `issuer audit verify --witness FILE`, run by the auditor, checks the whole log.\n";
