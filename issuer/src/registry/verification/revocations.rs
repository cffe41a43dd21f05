//! What a CRL is made from, and what the log tells of it since another CRL was made.
//!
//! A CRL is made from the rows of `revocations`. Who can write them could take one out while a CRL is made and put it back
//! afterwards, and the tables would agree with the log again; so the log is asked before a CRL is signed.

use sqlx::{AssertSqlSafe, Row};

use super::super::audit::{EVENT, entry, event};
use super::super::backup::BackupValue;
use super::super::database::{Kind, Registry, chain_end};
use super::super::error::RegistryError;
use super::super::records::{RevokedCertificate, Standing};
use super::super::revocations::revoked_of;
use super::super::rows::{self, damaged};
use super::chain::{Fields, serial_number};
use super::{AT_A_TIME, View, told_number};
use crate::domain::{
    AuthorityEvent, AuthorityName, Certificate, CertificateEvent, CertificateState, ChainEnd, SerialNumber,
    Subject,
};

/// What the log tells of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldStanding {
    /// Which.
    pub serial: SerialNumber,
    /// Who signed it, and with which of its keys; none where neither the log nor a table says.
    pub signer: Option<(AuthorityName, u32)>,
    /// What a CRL has to say of it; none where it is neither revoked nor on hold.
    pub revoked: Option<RevokedCertificate>,
}

/// What a CRL is made from and compared with, as one moment saw both.
pub struct CrlSource {
    view: View,
    kind: Kind,
    key: (AuthorityName, u32),
    /// What the registry holds, ascending by serial number.
    pub revoked: Vec<RevokedCertificate>,
    /// What the log tells of certificates of this key that were held, released or revoked since the predecessor was made.
    pub told: Vec<ToldStanding>,
    /// After which event.
    after: u64,
}

impl Registry {
    /// Reads what a CRL of a key is made from. `predecessor` is the SHA-256, hex, of the complete CRL before it: how that one
    /// came about was judged then, so that only what happened since is read, and checked link by link.
    ///
    /// # Errors
    /// [`RegistryError::LogBroken`], or the database.
    pub async fn crl_source(
        &self,
        key: (AuthorityName, u32),
        predecessor: Option<&str>,
    ) -> Result<CrlSource, RegistryError> {
        let mut view = self.view().await?;
        let (authority, generation) = key;
        let revoked = revoked_of(&mut view.transaction, self.kind(), authority, Some(generation)).await?;
        let after = match predecessor {
            Some(digest) => view.number_event(authority, digest).await?.unwrap_or_default(),
            None => 0,
        };
        let mut source = CrlSource { view, kind: self.kind(), key, revoked, told: Vec::new(), after };
        source.tell(after).await?;
        Ok(source)
    }
}

impl CrlSource {
    /// Whether the whole log was asked, because it does not tell of the predecessor, or there is none.
    pub const fn tells_all(&self) -> bool {
        self.after == 0
    }

    /// Reads the rows again, and what the whole log tells, and checks all of it link by link: where the predecessor and what came
    /// after it do not account for what the registry holds.
    ///
    /// # Errors
    /// [`RegistryError::LogBroken`], or the database.
    pub async fn tell_all(&mut self) -> Result<(), RegistryError> {
        let (authority, generation) = self.key;
        self.revoked = revoked_of(&mut self.view.transaction, self.kind, authority, Some(generation)).await?;
        self.tell(0).await
    }

    async fn tell(&mut self, after: u64) -> Result<(), RegistryError> {
        let begin = self.view.end_at(after).await?;
        self.view.verify_chain_after(begin).await?;
        self.told = self.view.told(after, None).await?;
        self.told.retain(|told| told.signer.is_none_or(|signer| signer == self.key));
        Ok(())
    }

    /// Whether a certificate is one of an earlier program's, of which its log does not tell.
    ///
    /// # Errors
    /// The database.
    pub async fn is_untold(&mut self, serial: &SerialNumber) -> Result<bool, RegistryError> {
        let key = BackupValue::Octets { hex: hex::encode(serial.as_bytes()) };
        // Whether the log begins with the registry, or tells of this.
        let statement = "SELECT 1 AS found FROM events WHERE topic = 'registry' AND kind = 'registry-created' \
                         UNION SELECT 1 AS found FROM events WHERE serial IS NOT NULL AND serial = $1";
        Ok(self.view.fetch(statement, &[&key]).await?.is_empty())
    }
}

/// Events that change what a CRL says.
const KINDS: &str =
    "'certificate-held', 'certificate-released', 'certificate-revoked', 'revocation-explained'";

impl View {
    /// The event with which the number of a CRL was taken: whatever was told before is in it. None where the log does not
    /// tell, because an earlier program signed it, or another desk.
    async fn number_event(
        &mut self,
        authority: AuthorityName,
        digest: &str,
    ) -> Result<Option<u64>, RegistryError> {
        let topic = BackupValue::Text(Subject::Authority(authority).to_string());
        let (mut before, mut wanted) = (i64::MAX, None);
        loop {
            let statement = format!(
                "SELECT {EVENT} FROM events WHERE topic = $1 AND sequence < $2 \
                 AND kind IN ('crls-signed', 'crl-number-taken') ORDER BY sequence DESC LIMIT 20"
            );
            let rows = self.fetch(&statement, &[&topic, &BackupValue::Number(before)]).await?;
            for row in &rows {
                let record = entry(row)?.record;
                before = told_number(record.sequence)?;
                match event(&record.detail)? {
                    AuthorityEvent::CrlsSigned { number, complete, parts, .. } if wanted.is_none() => {
                        let is_it = complete.iter().chain(parts.values()).any(|signed| signed == digest);
                        wanted = is_it.then_some(number);
                    }
                    AuthorityEvent::CrlNumberTaken { number, .. } if wanted == Some(number) => {
                        return Ok(Some(record.sequence));
                    }
                    _ => {}
                }
            }
            if rows.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Where the log stood with this event.
    pub(super) async fn end_at(&mut self, sequence: u64) -> Result<ChainEnd, RegistryError> {
        if sequence == 0 {
            return Ok(ChainEnd::START);
        }
        let statement = "SELECT sequence, hash FROM events WHERE sequence = $1";
        let rows = self.fetch(statement, &[&BackupValue::Number(told_number(sequence)?)]).await?;
        chain_end(rows.first().ok_or_else(|| damaged(format!("event {sequence} is missing")))?)
    }

    /// Where the certificates stand that were held, released or revoked after one event and up to another, ascending by the
    /// octets of their serial numbers.
    pub(super) async fn told(
        &mut self,
        after: u64,
        until: Option<u64>,
    ) -> Result<Vec<ToldStanding>, RegistryError> {
        let until = until.map_or(Ok(i64::MAX), told_number)?;
        let changed = self.changed(after, until).await?;
        let mut told = Vec::with_capacity(changed.len());
        let mut pages = changed.chunks(AT_A_TIME);
        let mut next = self.stories(pages.next(), until).await?;
        while let Some(stories) = next {
            let reading = tokio::task::spawn_blocking(move || standings(&stories));
            next = self.stories(pages.next(), until).await?;
            told.extend(reading.await.map_err(|error| damaged(error.to_string()))??);
        }
        for told in told.iter_mut().filter(|told| told.signer.is_none()) {
            told.signer = self.signer(&told.serial).await?;
        }
        Ok(told)
    }

    /// Which certificates were held, released or revoked.
    async fn changed(&mut self, after: u64, until: i64) -> Result<Vec<SerialNumber>, RegistryError> {
        let serials = self.joined("digits", " ", "sequence");
        let statement = format!(
            "SELECT {serials} AS serials, max(sequence) AS last FROM (SELECT sequence, {} AS digits FROM events \
             WHERE sequence > $1 AND sequence <= $2 AND kind IN ({KINDS}) ORDER BY sequence LIMIT {AT_A_TIME}) AS page",
            self.hex("serial")
        );
        let (mut changed, mut after) = (Vec::new(), told_number(after)?);
        loop {
            let page = [after, until].map(BackupValue::Number);
            let found = self.fetch(&statement, &page.each_ref()).await?;
            let row = found.first().ok_or_else(|| damaged("a page of events is missing"))?;
            let Some(serials) = row.try_get::<Option<String>, _>("serials")? else { break };
            for digits in serials.split(' ').filter(|digits| !digits.is_empty()) {
                changed.push(serial_number(digits)?);
            }
            after = row.try_get("last")?;
        }
        changed.sort_unstable_by(|left, right| left.as_bytes().cmp(right.as_bytes()));
        changed.dedup();
        Ok(changed)
    }

    /// What happened to some certificates: `serial SP sequence SP length SP detail` of each event, in whatever order. None of
    /// no certificates.
    async fn stories(
        &mut self,
        of: Option<&[SerialNumber]>,
        until: i64,
    ) -> Result<Option<String>, RegistryError> {
        let Some(of) = of else { return Ok(None) };
        let wanted: Vec<String> = of.iter().map(|serial| self.octets(serial)).collect();
        let event = format!(
            "{} || ' ' || sequence || ' ' || octet_length(detail) || ' ' || detail",
            self.hex("serial")
        );
        let statement = format!(
            "SELECT {} AS stories FROM events WHERE serial IS NOT NULL AND sequence <= $1 AND serial IN ({})",
            self.joined(&event, "", "serial, sequence"),
            wanted.join(", ")
        );
        // Each is asked once.
        let query = sqlx::query(AssertSqlSafe(statement)).bind(until).persistent(false);
        let row = query.fetch_one(&mut *self.transaction).await?;
        let stories: Option<String> = row.try_get("stories")?;
        stories.map(Some).ok_or_else(|| damaged("events are missing that were just there"))
    }

    /// A serial number as a literal.
    fn octets(&self, serial: &SerialNumber) -> String {
        match self.kind {
            Kind::Sqlite => format!("x'{serial}'"),
            #[cfg(feature = "postgres")]
            Kind::Postgres => format!("'\\x{serial}'::bytea"),
        }
    }

    /// Who signed a certificate of which an earlier program's log does not say it.
    async fn signer(&mut self, serial: &SerialNumber) -> Result<Option<(AuthorityName, u32)>, RegistryError> {
        let key = BackupValue::Octets { hex: hex::encode(serial.as_bytes()) };
        let rows =
            self.fetch("SELECT authority, generation FROM certificates WHERE serial = $1", &[&key]).await?;
        let read = |row| Ok((rows::authority(row, "authority")?, rows::number(row, "generation")?));
        rows.first().map(read).transpose()
    }
}

/// A page of [`View::stories`].
fn standings(stories: &str) -> Result<Vec<ToldStanding>, RegistryError> {
    let (mut rest, mut events) = (Fields(stories), Vec::new());
    while !rest.0.is_empty() {
        let (digits, sequence, detail) =
            story(&mut rest).ok_or_else(|| damaged("an event of a certificate cannot be read"))?;
        let told: CertificateEvent = event(detail)?;
        events.push((serial_number(digits)?, sequence, told));
    }
    events.sort_unstable_by(|left, right| (left.0.as_bytes(), left.1).cmp(&(right.0.as_bytes(), right.1)));
    let mut told = Vec::new();
    for of in events.chunk_by(|left, right| left.0 == right.0) {
        let Some((serial, ..)) = of.first() else { continue };
        told.push(standing(serial.clone(), of.iter().map(|(.., told)| told)));
    }
    Ok(told)
}

fn story<'a>(rest: &mut Fields<'a>) -> Option<(&'a str, u64, &'a str)> {
    let (digits, sequence) = (rest.word()?, rest.word()?.parse().ok()?);
    let length = rest.length()?;
    Some((digits, sequence, rest.text(length)?))
}

fn standing<'a>(
    serial: SerialNumber,
    lines: impl Iterator<Item = &'a CertificateEvent> + Clone,
) -> ToldStanding {
    let signer = lines.clone().find_map(|line| match line {
        CertificateEvent::CertificateReserved { certificate: Some(told), .. } => {
            Some((AuthorityName::parse(&told.authority)?, told.generation))
        }
        _ => None,
    });
    let state = Certificate::replay(lines.cloned());
    let (revoked_at, standing, invalid_since) = match state.state() {
        CertificateState::Revoked { since, reason, invalid_since } => {
            (*since, Standing::Revoked(*reason), *invalid_since)
        }
        CertificateState::OnHold { since, .. } => (*since, Standing::OnHold, None),
        _ => return ToldStanding { serial, signer, revoked: None },
    };
    let revoked = RevokedCertificate { serial: serial.clone(), revoked_at, standing, invalid_since };
    ToldStanding { serial, signer, revoked: Some(revoked) }
}
