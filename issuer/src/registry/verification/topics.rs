//! What is about no person, card, certificate or request: the registry as a whole, operators, approvals.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::super::audit::{EVENT, LogEntry, entry};
use super::super::backup::BackupValue;
use super::super::database::chain_hash;
use super::super::error::RegistryError;
use super::super::rows::{snapshot_text, time_text};
use super::difference::{Columns, Findings, Told};
use super::people::Members;
use super::{AT_A_TIME, View, number, octets, text, told_number};
use crate::domain::{
    Act, Agreement, Approval, ApprovalEvent, ApprovalId, AuditRecord, AuthorityEvent, AuthorityHistory,
    AuthorityName, BrokenChain, ChainEnd, ChainHash, OperatorEvent, RegistryEvent, Subject,
};

/// An operator, as the events tell it.
struct OperatorStory {
    added: OperatorEvent,
    added_at: Timestamp,
    removed_at: Option<Timestamp>,
}

/// What the events of topics tell.
#[derive(Default)]
pub(super) struct Topics {
    agreement: Agreement,
    pub(super) authorities: BTreeMap<AuthorityName, AuthorityHistory>,
    operators: BTreeMap<i64, OperatorStory>,
    approvals: BTreeMap<i64, Vec<ApprovalEvent>>,
    /// Number and hash of each event by which somebody may be let in, hashed anew; only [`Topics::read_authority`] looks.
    pub(super) relied: Vec<(u64, ChainHash)>,
}

/// The kinds of events that say who may do what, whose signature is believed, and what needs two, as SQL lists them.
pub(in super::super) const AUTHORITY: &str = "'operator-added', 'operator-renewed', 'operator-removed', \
    'audit-key-added', 'dual-control-set', 'clock-accepted', 'published-checkpoint-accepted', \
    'configuration-recorded', 'approval-asked', 'approval-granted', 'approval-refused', 'approval-used'";

impl Topics {
    /// Replays all of them.
    pub(super) async fn read_all(view: &mut View) -> Result<Self, RegistryError> {
        let mut topics = Self::default();
        let mut after = 0;
        loop {
            let statement = format!(
                "SELECT {EVENT} FROM events WHERE topic IS NOT NULL AND sequence > $1 ORDER BY sequence LIMIT {AT_A_TIME}"
            );
            let rows = view.fetch(&statement, &[&BackupValue::Number(told_number(after)?)]).await?;
            for row in &rows {
                let record = entry(row)?.record;
                after = record.sequence;
                topics.apply(&record);
            }
            if rows.is_empty() {
                return Ok(topics);
            }
        }
    }

    /// Replays those about operators, settings and keys that sign checkpoints, each compared with its hash: few, however long
    /// the log is. Refusals, of which there may be many, change none of them.
    pub(super) async fn read_authority(view: &mut View) -> Result<Self, RegistryError> {
        let mut topics = Self::default();
        for about in ["topic = 'registry'", "topic >= 'operator ' AND topic < 'operator!'"] {
            let about = format!("{about} AND kind IN ({AUTHORITY})");
            topics.rely_on(view, &about, &[]).await?;
        }
        topics.relied.sort_by_key(|(sequence, _)| *sequence);
        Ok(topics)
    }

    /// Replays those of some approvals, likewise.
    pub(super) async fn read_approvals(
        view: &mut View,
        approvals: impl Iterator<Item = ApprovalId>,
    ) -> Result<Self, RegistryError> {
        let mut topics = Self::default();
        for approval in approvals {
            let topic = BackupValue::Text(Subject::Approval(approval).to_string());
            topics.rely_on(view, "topic = $1", &[&topic]).await?;
        }
        topics.relied.sort_by_key(|(sequence, _)| *sequence);
        Ok(topics)
    }

    async fn rely_on(
        &mut self,
        view: &mut View,
        about: &str,
        bound: &[&BackupValue],
    ) -> Result<(), RegistryError> {
        let statement = format!("SELECT {EVENT} FROM events WHERE {about} ORDER BY topic, sequence");
        for row in &view.fetch(&statement, bound).await? {
            let LogEntry { record, hash } = entry(row)?;
            if record.hash(&chain_hash(row, "previous")?) != hash {
                return Err(BrokenChain::Changed(record.sequence).into());
            }
            self.relied.push((record.sequence, hash));
            self.apply(&record);
        }
        Ok(())
    }

    /// Whether the log begins with the registry, so that it tells everything.
    pub(super) const fn is_whole(&self) -> bool {
        self.agreement.created.is_some()
    }

    /// What is no event of these (a refusal, say) changes no table.
    fn apply(&mut self, record: &AuditRecord) {
        let AuditRecord { sequence, at, detail, .. } = record;
        match &record.subject {
            Subject::Registry => {
                if let Ok(event) = serde_json::from_str::<RegistryEvent>(detail) {
                    let agreement = std::mem::take(&mut self.agreement);
                    self.agreement = agreement.apply(event, (*sequence, *at));
                }
            }
            Subject::Authority(name) => {
                if let Ok(event) = serde_json::from_str::<AuthorityEvent>(detail) {
                    let history = self.authorities.remove(name).unwrap_or_default();
                    self.authorities.insert(*name, history.apply(event, *at));
                }
            }
            Subject::Operator(id) => match serde_json::from_str(detail) {
                Ok(added @ OperatorEvent::OperatorAdded { .. }) => {
                    let story = OperatorStory { added, added_at: *at, removed_at: None };
                    self.operators.insert(id.0, story);
                }
                Ok(OperatorEvent::OperatorRenewed { certificate, key }) => {
                    if let Some(OperatorEvent::OperatorAdded { certificate: old, key: old_key, .. }) =
                        self.operators.get_mut(&id.0).map(|story| &mut story.added)
                    {
                        (*old, *old_key) = (certificate, key);
                    }
                }
                Ok(OperatorEvent::OperatorRemoved { .. }) => {
                    if let Some(story) = self.operators.get_mut(&id.0) {
                        story.removed_at = Some(*at);
                    }
                }
                Ok(OperatorEvent::OperatorRefused { .. } | OperatorEvent::OperatorPinSet { .. }) | Err(_) => {
                }
            },
            Subject::Approval(id) => {
                if let Ok(event) = serde_json::from_str(detail) {
                    self.approvals.entry(id.0).or_default().push(event);
                }
            }
            _ => {}
        }
    }

    /// Compares their tables.
    pub(super) async fn compare(
        &self,
        view: &mut View,
        findings: &mut Findings,
    ) -> Result<(), RegistryError> {
        self.compare_registry(view, findings).await?;
        self.compare_authority(view, findings).await?;
        let classes = self.agreement.classes.iter().map(|(name, (description, policy))| {
            (name.clone(), vec![("description", Told::text(description)), ("policy", Told::text(policy))])
        });
        let is_whole = self.is_whole();
        of_table(view, "reader_classes", |row| text(row, "name"), classes.collect(), is_whole, findings)
            .await?;
        let lists = self.agreement.class_lists.iter().map(|(number, (issued, expires))| {
            (
                number.to_string(),
                vec![("issued_at", Told::time(*issued)), ("expires_at", Told::time(*expires))],
            )
        });
        let by_number = |row: &Columns| Ok(number(row, "number")?.to_string());
        of_table(view, "reader_class_lists", by_number, lists.collect(), is_whole, findings).await?;
        let by_id = |row: &Columns| Ok(number(row, "id")?.to_string());
        let mut approvals = BTreeMap::new();
        for (id, events) in &self.approvals {
            approvals.insert(id.to_string(), approval(events)?);
        }
        of_table(view, "approvals", by_id, approvals, true, findings).await
    }

    /// Compares who may do what, what needs two, and whose signatures count.
    pub(super) async fn compare_authority(
        &self,
        view: &mut View,
        findings: &mut Findings,
    ) -> Result<(), RegistryError> {
        let settings = self.agreement.settings.iter();
        let told = settings.map(|(name, value)| ((*name).to_owned(), vec![("value", Told::text(value))]));
        of_table(view, "settings", |row| text(row, "name"), told.collect(), true, findings).await?;
        let by_id = |row: &Columns| Ok(number(row, "id")?.to_string());
        let operators = self.operators.iter().map(|(id, story)| (id.to_string(), story.columns()));
        of_table(view, "operators", by_id, operators.collect(), true, findings).await?;
        let keys = self.agreement.audit_keys.iter().map(|(id, since)| {
            (id.clone(), vec![("public_key", Told::Digest(id.clone())), ("since", Told::time(*since))])
        });
        of_table(view, "audit_keys", |row| text(row, "id"), keys.collect(), true, findings).await
    }

    /// Compares a row about an approval.
    pub(super) fn compare_approval(
        &self,
        row: &Columns,
        findings: &mut Findings,
    ) -> Result<(), RegistryError> {
        let id = number(row, "id")?;
        match self.approvals.get(&id) {
            Some(events) => findings.compare("approvals", &id.to_string(), row, approval(events)?),
            None => findings.without_event("approvals", &id.to_string(), true),
        }
        Ok(())
    }

    /// Compares where a checkpoint was published, and that it is remembered: one that is forgotten is not missed.
    pub(super) async fn compare_targets(
        &self,
        view: &mut View,
        end: ChainEnd,
        findings: &mut Findings,
    ) -> Result<(), RegistryError> {
        const TABLE: &str = "publication_targets";
        let mut told = self.agreement.published.clone();
        let last = told_number(end.sequence)?;
        view.each(TABLE, |row| {
            let place = text(&row, "place")?;
            if let Some(first) = told.remove(&place) {
                let checkpoint = vec![("checkpoint", Told::Between(told_number(first)?, last))];
                findings.compare(TABLE, &place, &row, checkpoint);
            }
            Ok(())
        })
        .await?;
        told.keys().for_each(|place| findings.missing(TABLE, place));
        Ok(())
    }

    async fn compare_registry(&self, view: &mut View, findings: &mut Findings) -> Result<(), RegistryError> {
        let told = match &self.agreement.created {
            Some((emulated, at)) => {
                vec![("emulated_cards", Told::text(emulated)), ("created_at", Told::time(*at))]
            }
            None => ["emulated_cards", "created_at"].map(|column| (column, Told::Untold)).into(),
        };
        let told = BTreeMap::from([("1".to_owned(), told)]);
        let by_number = |row: &Columns| Ok(number(row, "only_row")?.to_string());
        of_table(view, "registry", by_number, told, true, findings).await
    }
}

impl OperatorStory {
    fn columns(&self) -> Vec<(&'static str, Told)> {
        let OperatorEvent::OperatorAdded { person, certificate, key, roles } = &self.added else {
            return Vec::new();
        };
        vec![
            ("person", Told::number(person.0)),
            ("serial", Told::hex(certificate)),
            ("key_hash", Told::hex(key)),
            ("roles", Told::text(roles)),
            ("added_at", Told::time(self.added_at)),
            ("removed_at", Told::optional(self.removed_at, Told::time)),
        ]
    }
}

fn approval(events: &[ApprovalEvent]) -> Result<Vec<(&'static str, Told)>, RegistryError> {
    let approval = Approval::replay(events.iter().cloned());
    let state = approval.state();
    let mut told = vec![
        ("state", Told::text(state.name())),
        ("pending", Told::number(state.is_pending())),
        ("snapshot", Told::Json(snapshot_text(&approval)?)),
    ];
    if let Some(ApprovalEvent::ApprovalAsked { act, details, digest, why, by, expires_at, .. }) =
        events.first()
    {
        told.extend([
            ("act", Told::text(Act::as_str(*act))),
            ("details", Told::text(details)),
            ("digest", Told::hex(digest)),
            ("why", Told::text(why)),
            ("requester", Told::number(by.operator.0)),
            ("expires_at", Told::text(time_text(*expires_at))),
        ]);
    }
    Ok(told)
}

/// Compares a short table with what is told of its rows.
pub(super) async fn of_table(
    view: &mut View,
    table: &'static str,
    key: impl Fn(&Columns) -> Result<String, RegistryError>,
    mut told: BTreeMap<String, Vec<(&'static str, Told)>>,
    is_whole: bool,
    findings: &mut Findings,
) -> Result<(), RegistryError> {
    view.each(table, |row| {
        let key = key(&row)?;
        match told.remove(&key) {
            Some(told) => findings.compare(table, &key, &row, told),
            None => findings.without_event(table, &key, is_whole),
        }
        Ok(())
    })
    .await?;
    told.keys().for_each(|key| findings.missing(table, key));
    Ok(())
}

/// Compares who is in which class of readers.
pub(super) async fn compare_members(
    view: &mut View,
    members: &Members,
    findings: &mut Findings,
) -> Result<(), RegistryError> {
    const TABLE: &str = "reader_class_members";
    let mut names = BTreeMap::new();
    view.each("reader_classes", |row| {
        names.insert(number(&row, "id")?, text(&row, "name")?);
        Ok(())
    })
    .await?;
    let shown = |class: &str, person: i64| format!("{class} {person}");
    let mut found = BTreeSet::new();
    view.each(TABLE, |row| {
        let (class, person) = (number(&row, "class")?, number(&row, "person")?);
        let class = names.get(&class).cloned().unwrap_or_else(|| format!("number {class}"));
        match members.get(&(class.clone(), person)) {
            Some(clearance) => {
                let told = vec![("clearance", Told::number(*clearance))];
                findings.compare(TABLE, &shown(&class, person), &row, told);
            }
            None => findings.without_event(TABLE, &shown(&class, person), true),
        }
        found.insert((class, person));
        Ok(())
    })
    .await?;
    for (class, person) in members.keys().filter(|member| !found.contains(*member)) {
        findings.missing(TABLE, &shown(class, *person));
    }
    Ok(())
}

/// What an authority's certificate is known by in the log.
pub(super) fn digest_of(row: &Columns, column: &str) -> Result<String, RegistryError> {
    let hex = octets(row, column)?;
    let octets = hex::decode(hex).map_err(|error| super::damaged(error.to_string()))?;
    Ok(super::super::rows::digest(&octets))
}
