//! What can be done with a card in each state, and which of it undoes something.

use super::CardState;
use super::state::Usability;

/// A kind of command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CardAction {
    /// Take into stock.
    Receive,
    /// Begin to make it somebody's, or begin again.
    Personalise,
    /// Finish that.
    HandOver,
    /// Record that it cannot be done.
    RecordFault,
    /// Give that up.
    Abandon,
    /// Record that the holder uses it.
    Activate,
    /// Record that its PIN is blocked.
    BlockPin,
    /// Record that its PIN was set anew.
    UnblockPin,
    /// Suspend.
    Hold,
    /// End the suspension.
    Release,
    /// Record that it is lost or stolen.
    ReportLoss,
    /// Record that it is broken.
    ReportDamage,
    /// Put another in its place.
    Replace,
    /// End it.
    Revoke,
    /// Take it back.
    Return,
    /// Put it, wiped, into stock.
    Restock,
    /// Record that it is no more.
    Destroy,
}

impl CardAction {
    /// "It cannot be ...".
    pub const fn participle(self) -> &'static str {
        match self {
            Self::Receive => "taken into stock",
            Self::Personalise => "personalised",
            Self::HandOver => "handed over",
            Self::RecordFault => "found faulty",
            Self::Abandon => "given up half-made",
            Self::Activate => "activated",
            Self::BlockPin => "marked as PIN blocked",
            Self::UnblockPin => "unblocked",
            Self::Hold => "put on hold",
            Self::Release => "released",
            Self::ReportLoss => "reported lost or stolen",
            Self::ReportDamage => "reported damaged",
            Self::Replace => "replaced",
            Self::Revoke => "revoked",
            Self::Return => "returned",
            Self::Restock => "put back into stock",
            Self::Destroy => "recorded as destroyed",
        }
    }
}

/// Whether an action goes on or goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The next step of a card's life.
    Onward,
    /// It undoes the step that led into the present state, as far as that can be undone.
    Back,
}

/// One thing that can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// What.
    pub action: CardAction,
    /// Whether it undoes something.
    pub direction: Direction,
}

impl CardState {
    /// Everything that can be done in this state: exactly the commands that `decide` does not refuse for the state's sake.
    pub fn ways(&self) -> Vec<Way> {
        use CardAction as A;
        let onward = |actions: &[A]| ways(Direction::Onward, actions);
        let back = |actions: &[A]| ways(Direction::Back, actions);
        match self {
            Self::Unknown => onward(&[A::Receive]),
            Self::InStock { .. } => onward(&[A::Personalise, A::Destroy]),
            Self::Unusable { .. } => [back(&[A::Receive]), onward(&[A::Destroy])].concat(),
            Self::BeingPersonalised { .. } => {
                [onward(&[A::Personalise, A::HandOver, A::RecordFault]), back(&[A::Abandon])].concat()
            }
            Self::Issued { usability, .. } => [issued(*usability), ended_from_use()].concat(),
            Self::OnHold { .. } => [back(&[A::Release]), ended_from_use()].concat(),
            Self::Lost { .. } => [back(&[A::Return]), onward(&[A::Replace])].concat(),
            Self::Damaged { .. } => [back(&[A::Return]), onward(&[A::Replace, A::Destroy])].concat(),
            Self::Revoked { .. } => [back(&[A::Return]), onward(&[A::Replace, A::Destroy])].concat(),
            Self::Replaced { .. } => [back(&[A::Return]), onward(&[A::Destroy])].concat(),
            Self::Returned { .. } => [back(&[A::Restock]), onward(&[A::Destroy])].concat(),
            Self::Destroyed { .. } => Vec::new(),
        }
    }
}

fn issued(usability: Usability) -> Vec<Way> {
    match usability {
        Usability::AwaitingActivation => {
            ways(Direction::Onward, &[CardAction::Activate, CardAction::BlockPin, CardAction::Hold])
        }
        Usability::Active => ways(Direction::Onward, &[CardAction::BlockPin, CardAction::Hold]),
        Usability::PinBlocked => {
            [ways(Direction::Back, &[CardAction::UnblockPin]), ways(Direction::Onward, &[CardAction::Hold])]
                .concat()
        }
    }
}

/// How a card that somebody has comes to its end; taking it back undoes having handed it over.
fn ended_from_use() -> Vec<Way> {
    use CardAction as A;
    let ends = [A::ReportLoss, A::ReportDamage, A::Replace, A::Revoke];
    [ways(Direction::Onward, &ends), ways(Direction::Back, &[A::Return])].concat()
}

fn ways(direction: Direction, actions: &[CardAction]) -> Vec<Way> {
    actions.iter().map(|action| Way { action: *action, direction }).collect()
}
