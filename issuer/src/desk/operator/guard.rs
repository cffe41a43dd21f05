//! Who may do what: asked at the start of every command, and before each item of long work.
//!
//! A desk without operators works for whoever can open its home: single-operator mode. Once there are operators, the
//! registry changes nothing before [`Office::authorize`] has let somebody through.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use middleware::Locator;
use middleware::secret_source::SecretSource;

use super::super::failure::Failure;
use super::super::office::Office;
use super::super::output;
use super::session::{Presence, PresentedCard};
use crate::clock::Clock;
use crate::domain::{
    Act, Actor, ApprovalCommand, ApprovalId, ChainHash, GuardedAct, Operator, OperatorId, Party, Permission,
    can_approve_each_other,
};
use crate::registry::Approved;
#[cfg(doc)]
use crate::registry::Registry;

/// A card, and where its PIN comes from.
#[derive(Clone, Debug)]
pub struct OperatorCard {
    /// Which card.
    pub locator: Locator,
    /// Its PIN.
    pub pin: SecretSource,
}

/// Which card shall let somebody in.
#[derive(Clone, Debug)]
pub enum Chosen {
    /// None.
    Nobody,
    /// The one of the configuration, whoever works here.
    Configured(OperatorCard),
    /// The one that whoever works here named.
    Named(OperatorCard),
}

/// What an open office knows of whoever works with it.
pub struct Guard {
    /// Who it is in single-operator mode, and beside whom unattended work is done.
    login: Actor,
    chosen: Chosen,
    second: Option<OperatorCard>,
    session: Mutex<Session>,
}

/// Whether somebody is logged in.
enum Session {
    /// Nobody yet.
    Closed,
    /// Somebody, by this key.
    Open { key: ChainHash, presence: Presence },
    /// The card left.
    Ended,
    /// Nobody could log in, and whoever has the passphrase of the keys was let through.
    Recovering,
}

impl Guard {
    /// Nobody is logged in yet.
    pub fn new(login: Actor, chosen: Chosen, second: Option<OperatorCard>) -> Self {
        Self { login, chosen, second, session: Mutex::new(Session::Closed) }
    }

    /// Whether somebody let himself in, or is about to.
    fn is_attended(&self) -> bool {
        matches!(self.chosen, Chosen::Named(_)) || !matches!(*self.session(), Session::Closed)
    }

    /// Logs out whoever is logged in: the next command asks for a card again.
    pub fn log_out(&self) {
        *self.session() = Session::Closed;
    }

    /// Whether whoever has the passphrase works, because no operator can.
    pub(in crate::desk) fn is_recovering(&self) -> bool {
        matches!(*self.session(), Session::Recovering)
    }

    /// A recovery is for one command.
    fn stop_recovering(&self) {
        if self.is_recovering() {
            self.log_out();
        }
    }

    /// Whether a second operator is at the same desk.
    pub(in crate::desk) const fn has_second(&self) -> bool {
        self.second.is_some()
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key of whoever is logged in, if the card has been there all the time.
    fn key(&self) -> Result<Option<ChainHash>, Failure> {
        let mut session = self.session();
        let gone = || {
            Failure::new(
                "operator-card-gone",
                "the operator's card has left its reader, and the session ended with it; what was not done yet was not done: put the card back and run the same command again",
            )
        };
        match &mut *session {
            Session::Closed | Session::Recovering => Ok(None),
            Session::Ended => Err(gone()),
            Session::Open { key, presence } => {
                let key = *key;
                if presence.is_there() {
                    return Ok(Some(key));
                }
                *session = Session::Ended;
                Err(gone())
            }
        }
    }
}

impl Office {
    /// Lets through whoever may do it, and nobody else: the first line of every command, and again before each item of long
    /// work, because a session ends when the card leaves. In a desk without operators everybody may.
    ///
    /// # Errors
    /// No card, a card that is no operator's or not good any more, a wrong PIN, the wrong role, a card that left. What was
    /// refused is in the log.
    pub async fn authorize(&self, action: Permission) -> Result<(), Failure> {
        self.guard.stop_recovering();
        self.admit(action).await?;
        self.settle_configuration(action).await
    }

    /// The same where no operator who may do it has a good card any more: for whoever has the passphrase of the keys, and
    /// for this once.
    ///
    /// # Errors
    /// Somebody may do it; the wrong passphrase; an approver is needed beside it.
    pub(in crate::desk) async fn authorize_recovery(&mut self, action: Permission) -> Result<(), Failure> {
        if !self.registry.has_operators().await? {
            return self.authorize(action).await;
        }
        self.guard.stop_recovering();
        // It opens this and the keys.
        self.keep_passphrase_for_now();
        self.registry.act_as(None);
        self.admit_recovery(action).await?;
        self.settle_configuration(action).await
    }

    /// What needs nobody asks nobody for the card that `config.toml` names: a timer has none. Whoever names a card all the
    /// same, or is logged in, is named in the log.
    async fn admit(&self, action: Permission) -> Result<(), Failure> {
        let login = &self.guard.login;
        let has_operators = self.registry.has_operators().await?;
        if !has_operators && !action.is_unattended() {
            // Whoever took all operators out of the table would be let through.
            self.refuse_edited_authority_for(action).await?;
        }
        if !has_operators || (action.is_unattended() && !self.guard.is_attended()) {
            self.registry.act_as(Some(login.clone()));
            return Ok(());
        }
        self.registry.act_as(None);
        if action == Permission::Recover {
            return self.admit_recovery(action).await;
        }
        let operator = self.operator(action).await?;
        if let Err(refusal) = operator.judge(action, self.time_to_judge(action).await?) {
            return Err(self.refused(Some(&operator), action.as_str(), "operator-refused", &refusal).await);
        }
        self.registry.act_as(Some(actor(&operator)));
        Ok(())
    }

    /// By a clock that is far ahead every operator's card has expired, and nobody could take trust away. What these permit
    /// beside that waits for the clock in any case.
    async fn time_to_judge(&self, action: Permission) -> Result<Timestamp, Failure> {
        match action {
            Permission::Revoke | Permission::LifeCycle | Permission::Operators => self.time_in_log().await,
            _ => Ok(self.clock.now()),
        }
    }

    /// Nobody can administer this desk any more, or nobody approve what needs two, or nobody do something without which a card
    /// is not made good again: whoever has the passphrase of its keys may, beside an administrator, or an approver where
    /// anything needs two, whose card is good.
    async fn admit_recovery(&self, action: Permission) -> Result<(), Failure> {
        let now = self.clock.now();
        self.refuse_edited_authority_for(action).await?;
        let operators = self.registry.operators().await?;
        let needs_two = !self.registry.dual_control().await?.is_empty();
        let good = |permission| operators.iter().find(|operator| operator.judge(permission, now).is_ok());
        let administrator = good(Permission::Operators);
        let is_whole = !needs_two || can_approve_each_other(operators.iter(), now);
        let refusal = match (action, administrator) {
            (Permission::Recover, Some(good)) if is_whole => {
                Some(format!("{} administers this desk; ask there, without --recover", good.name))
            }
            (Permission::Recover, _) => None,
            _ => good(action).map(|good| {
                format!("{} may {action}, and has a good card; ask there, without --recover", good.name)
            }),
        };
        if let Some(why) = refusal {
            return Err(self.refused(None, action.as_str(), "operator-refused", &why).await);
        }
        let passphrase = self.passphrase()?;
        self.master_key(&passphrase).await?;
        if administrator.is_some() {
            return self.admit_administrator_alone(action, now).await;
        }
        if needs_two && good(Permission::Approve).is_some() {
            self.admit_beside_approver(action, now).await?;
        }
        *self.guard.session() = Session::Recovering;
        self.registry.act_as(Some(recovering(&self.guard.login)));
        Ok(())
    }

    /// An administrator, where nobody could approve, or nobody else has a good card.
    async fn admit_administrator_alone(&self, action: Permission, now: Timestamp) -> Result<(), Failure> {
        let operator = self.operator(action).await?;
        if let Err(refusal) = operator.judge(Permission::Operators, now) {
            return Err(self.refused(Some(&operator), action.as_str(), "operator-refused", &refusal).await);
        }
        self.registry.act_as(Some(recovering(&actor(&operator))));
        Ok(())
    }

    /// An approver at the same desk, where nobody administers it.
    async fn admit_beside_approver(&self, action: Permission, now: Timestamp) -> Result<(), Failure> {
        let Some(second) = &self.guard.second else {
            return Err(Failure::new(
                "approval-needed",
                "this needs an approver at the same desk: --second-operator LOCATOR; nothing was changed",
            ));
        };
        let (approver, _) = self.log_in(second, (action.as_str(), now)).await?;
        if let Err(refusal) = approver.judge(Permission::Approve, now) {
            return Err(self.refused(Some(&approver), action.as_str(), "operator-refused", &refusal).await);
        }
        Ok(())
    }

    /// How a desk goes on that no good card administers any more; nothing where one does.
    async fn way_back(&self) -> Result<Option<&'static str>, Failure> {
        let (operators, now) = (self.registry.operators().await?, self.clock.now());
        let is_done = |action| operators.iter().any(|operator| operator.judge(action, now).is_ok());
        Ok(match (is_done(Permission::Operators), is_done(Permission::Issue)) {
            (true, _) => None,
            (false, true) => Some(
                "no administrator's card is good any more: a registrar gives one new certificates (issuer renew PERSON --card LOCATOR), or whoever has the passphrase of the keys makes another (issuer operator add PERSON --role administrator --card LOCATOR --recover)",
            ),
            (false, false) => Some(
                "nobody who administers this desk or issues cards has a good card any more: whoever has the passphrase of the keys gives one new certificates (issuer renew PERSON --card LOCATOR --recover), or makes another card (issuer issue or replace, with --recover)",
            ),
        })
    }

    /// Lets an act through that needs two operators where the desk says so: after [`Self::authorize`], before the act. What
    /// was granted is spent by whoever does the act, in the change that it is ([`Registry::spending`]): an act that fails
    /// leaves it granted.
    ///
    /// # Errors
    /// Nobody else has granted it: it is asked for then, and the message says how it is granted.
    pub async fn approve(&self, act: &GuardedAct) -> Result<Approved, Failure> {
        self.refuse_edited_authority(act.act()).await?;
        let demanded = self.registry.dual_control().await?;
        // Who recovers a desk was let through beside an approver, where there is one.
        if !is_demanded(&demanded, act.act()) || self.guard.is_recovering() {
            return Ok(Approved::default());
        }
        let Some(key) = self.guard.key()? else {
            return Err(Failure::new("operator-needed", format!("{} needs two operators", act.act())));
        };
        let operator = self.registry.operator_of_key(&key).await?;
        let operator = operator.ok_or_else(|| Failure::new("operator-unknown", NO_LONGER))?;
        let (party, now) = (Party::of(&operator), self.time_in_log().await?);
        if let Some(approved) = self.registry.granted(act, &party, now).await? {
            let id = approved.id().unwrap_or(ApprovalId(0)).0;
            output::progress(&format!("approval {id} allows it"));
            return Ok(approved);
        }
        let id = self.registry.ask_approval(act, "", &party, now).await?;
        if let Some(second) = &self.guard.second {
            self.grant_at_once(second, id, act).await?;
            self.registry.act_as(Some(actor(&operator)));
            if let Some(approved) = self.registry.granted(act, &party, now).await? {
                return Ok(approved);
            }
        }
        let record = self.registry.approval(id).await?;
        Err(Failure::new(
            "approval-needed",
            format!(
                "{} ({}) needs a second operator: approval {} is asked for until {}; an approver grants it with: issuer approval grant {} --operator LOCATOR; then run the same command again",
                act.act(),
                act.details(),
                id.0,
                record.expires_at,
                id.0
            ),
        ))
    }

    /// The second operator is at the same desk (`--second-operator`).
    async fn grant_at_once(
        &self,
        second: &OperatorCard,
        id: ApprovalId,
        act: &GuardedAct,
    ) -> Result<(), Failure> {
        let now = match act.act() {
            Act::RevokeAuthority => self.time_in_log().await?,
            _ => self.clock.now(),
        };
        let (other, _) = self.log_in(second, (Permission::Approve.as_str(), now)).await?;
        if let Err(refusal) = other.judge(Permission::Approve, now) {
            return Err(self.refused(Some(&other), act.act().as_str(), "operator-refused", &refusal).await);
        }
        self.registry.act_as(Some(actor(&other)));
        let at = self.time_in_log().await?;
        let granted =
            self.registry.command_approval(id, ApprovalCommand::Grant { by: Party::of(&other) }, at).await;
        if let Err(refusal) = granted {
            return Err(self.refused(Some(&other), act.act().as_str(), "approval-refused", &refusal).await);
        }
        Ok(())
    }

    /// Whoever is logged in; logs in where nobody is.
    pub(in crate::desk) async fn operator(&self, action: Permission) -> Result<Operator, Failure> {
        let key = match self.guard.key() {
            Ok(key) => key,
            Err(gone) => return Err(self.refused(None, action.as_str(), gone.code, &gone).await),
        };
        if let Some(key) = key {
            if let Some(operator) = self.registry.operator_of_key(&key).await? {
                return Ok(operator);
            }
            return Err(self.refused(None, action.as_str(), "operator-unknown", &NO_LONGER).await);
        }
        let (Chosen::Configured(card) | Chosen::Named(card)) = &self.guard.chosen else {
            return Err(Failure::new(
                "operator-needed",
                format!(
                    "this desk has operators: to {action}, name your card with --operator pcsc: or --operator sim:FILE (or operator = \"...\" in config.toml)"
                ),
            ));
        };
        self.refuse_edited_authority_for(action).await?;
        let (operator, presence) =
            self.log_in(card, (action.as_str(), self.time_to_judge(action).await?)).await?;
        *self.guard.session() = Session::Open { key: operator.key, presence };
        Ok(operator)
    }

    /// Proves that a card is a good operator's.
    pub(super) async fn log_in(
        &self,
        card: &OperatorCard,
        (action, now): (&str, Timestamp),
    ) -> Result<(Operator, Presence), Failure> {
        let presented = PresentedCard::open(&card.locator)?;
        let Some(operator) = self.registry.operator_of_key(&presented.key()?).await? else {
            let why = format!(
                "the card {} (certificate {} of {}) is no operator's",
                card.locator,
                presented.certificate().serial_number(),
                presented.certificate().subject()
            );
            return Err(self.refused(None, action, "operator-unknown", &why).await);
        };
        if let Err(refusal) = operator.judge_certificate(now) {
            let refused = self.refused(Some(&operator), action, "operator-refused", &refusal).await;
            return Err(match self.way_back().await? {
                Some(way) => refused.and(way),
                None => refused,
            });
        }
        match presented.prove(&card.pin, &operator.name) {
            Ok(presence) => Ok((operator, presence)),
            Err(failure) => Err(self.refused(Some(&operator), action, failure.code, &failure).await),
        }
    }

    /// Writes a refusal down, and makes a failure of it.
    pub(in crate::desk) async fn refused(
        &self,
        operator: Option<&Operator>,
        action: &str,
        code: &'static str,
        why: &(impl std::fmt::Display + ?Sized),
    ) -> Failure {
        self.registry.act_as(None);
        let who = operator.map_or_else(|| self.guard.login.clone(), actor);
        let id: Option<OperatorId> = operator.map(|operator| operator.id);
        let why = why.to_string();
        let failure = Failure::new(code, why.clone());
        let recorded = match self.time_in_log().await {
            Ok(at) => self.registry.record_refusal(id, who, (action, &why), at).await.map_err(Failure::from),
            Err(error) => Err(error),
        };
        match recorded {
            Ok(()) => failure,
            Err(error) => failure.and(&format!("and the refusal is not in the log: {error}")),
        }
    }
}

/// Whether an act needs two: as the desk says; who says it needs two as soon as anything does, and a new key of an authority,
/// which certifies for any domain, as soon as another domain does.
pub(in crate::desk) fn is_demanded(demanded: &BTreeSet<Act>, act: Act) -> bool {
    let is_implied = match act {
        Act::DualControl => !demanded.is_empty(),
        Act::CertifyAuthority => demanded.contains(&Act::OtherDomain),
        _ => false,
    };
    is_implied || demanded.contains(&act)
}

/// How the log names an operator.
pub(super) fn actor(operator: &Operator) -> Actor {
    let named = format!("operator {} {}", operator.id.0, operator.name);
    let short: String = named.chars().take(100).collect();
    Actor::new(&short).unwrap_or_else(|_| Actor::unrecorded())
}

/// How the log names whoever recovers a desk.
fn recovering(who: &Actor) -> Actor {
    let short: String = who.as_str().chars().take(80).collect();
    Actor::new(&format!("{short}, recovering")).unwrap_or_else(|_| Actor::unrecorded())
}

const NO_LONGER: &str = "whoever is logged in is an operator no longer";
