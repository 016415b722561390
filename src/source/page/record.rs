//! [`Record`]: the knowledge about a page from its looks so far.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;

use super::command::{Command, CommandResult};
use super::decision::{Evidence, Observation};
use super::envelope::Envelope;
use super::error::LookError;
use super::history::History;
use super::overrides::Overrides;
use super::scripts::Scripts;
use super::target::Target;
use super::wait::NO_SLICES_TIME;
use crate::link::QrCode;
use crate::source::PageState;

/// The scripts of one page, and the results of its looks.
pub(crate) struct Record {
    pub(crate) scripts: Scripts,
    history: History,
    /// The last observation, unless the last look failed.
    pub(crate) last: Option<Arc<Observation>>,
    /// The state that the last look showed in place of an account, even if that look failed.
    pub(crate) page_state: Option<PageState>,
    /// The QR code of the last look for one.
    qr: Option<QrCode>,
    /// The missing evidence that was logged last.
    warned: Option<Evidence>,
    /// When the page answered last.
    pub(crate) answered_at: Instant,
    /// The slice that runs, or ran last.
    pub(crate) slice: Option<Command>,
    /// Until then the page is read without slices.
    no_slices_until: Option<Instant>,
}

impl Record {
    pub(crate) fn new() -> Self {
        Self {
            scripts: Scripts::for_page(),
            history: History::default(),
            last: None,
            page_state: None,
            qr: None,
            warned: None,
            answered_at: Instant::now(),
            slice: None,
            no_slices_until: None,
        }
    }

    /// Adds a look.
    pub(crate) fn add(&mut self, outcome: Result<Envelope, LookError>) -> CommandResult {
        let envelope = match outcome {
            Ok(envelope) => envelope,
            Err(error) => {
                self.history.interrupt();
                self.last = None;
                self.page_state = error.page_state();
                return Err(error.failure);
            }
        };
        self.answered_at = Instant::now();
        let observation = Arc::new(Observation::new(envelope, &mut self.history));
        if let Some(missing) = observation.unverified()
            && self.warned.replace(missing) != Some(missing)
        {
            tracing::warn!(
                missing = missing.missing(),
                "the page does not show all evidence; its number is given as unverified"
            );
        }
        self.page_state = observation.page_state();
        self.last = Some(Arc::clone(&observation));
        Ok(observation)
    }

    /// Reads the page with these overrides, which must be valid, from the next look on.
    pub(crate) fn set_overrides(&mut self, overrides: &Overrides) {
        self.scripts = self.scripts.with_overrides(overrides);
        // Other evidence may count now.
        self.history = History::default();
        self.last = None;
        // A new slice ends the present one, which reads by the old names.
        self.slice = None;
    }

    /// Reads the page without slices for a while: it did not end one by itself.
    pub(crate) fn avoid_slices(&mut self) {
        self.no_slices_until = Some(Instant::now() + NO_SLICES_TIME);
    }

    pub(crate) fn avoids_slices(&self) -> bool {
        let until = self.no_slices_until;
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Returns the document of the latest look that did not fail.
    pub(crate) fn document(&self) -> Option<&str> {
        self.history.document()
    }

    /// Returns the document that counts as booted.
    pub(crate) fn booted_document(&self) -> Option<&str> {
        self.history.booted_document()
    }

    /// Returns the code with this payload as it was first seen, whose time continues.
    pub(crate) fn known_qr(&mut self, payload: String) -> Option<QrCode> {
        let known = self.qr.take();
        let known = known.filter(|known| known.reveal().as_ref() == Some(&payload));
        self.qr = known.or_else(|| QrCode::new(payload).ok());
        self.qr.clone()
    }
}

/// Reads the answer of a look or a slice by these scripts.
pub(crate) fn envelope(
    answer: Value,
    scripts: &Scripts,
    target: &Target,
) -> Result<Envelope, LookError> {
    let mut envelope: Envelope =
        serde_json::from_value(answer).map_err(|error| LookError::malformed(&error))?;
    envelope.readers = Arc::clone(scripts.readers());
    envelope.overrides = Arc::clone(scripts.overrides());
    if envelope.origin() == Some(target.origin()) {
        Ok(envelope)
    } else if envelope.is_error_page {
        Err(LookError::error_page(target.origin()))
    } else {
        Err(LookError::wrong_origin(target.origin()))
    }
}
