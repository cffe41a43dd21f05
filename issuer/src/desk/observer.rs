//! Who watches what is done to a card, beside whoever reads the terminal: a front end that shows more than lines.

use std::sync::Arc;

use crate::personalization::run::Progress;

/// Is told of every moment at which what is done to a card can end, and be gone on with.
#[derive(Clone, Default)]
pub struct Observer(Option<Arc<Told>>);

type Told = dyn Fn(&Progress) + Send + Sync;

impl Observer {
    /// One that is told.
    pub fn new(told: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(told)))
    }

    /// Tells it.
    pub(super) fn tell(&self, progress: &Progress) {
        if let Some(told) = &self.0 {
            told(progress);
        }
    }
}
