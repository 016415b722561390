//! From sources to one number: [`Extractor`], [`extract_phone_safely`].
//!
//! An extraction looks at all its sources, round after round, until one gives a number that is sure
//! enough, something ends it, or its deadline is over. It never answers a number that a live rival
//! contradicts, and it always ends.
//!
//! **Slots.** Look *n* owns the time from its start to the start of look *n + 1*. No slot starts
//! early. A source that fails in passing (a reload, a lost connection) is asked again within the
//! same slot, at least 50 ms later, so that attempts are not burnt at once. A source that hangs
//! keeps its own look, at most for the look timeout, and does not hold the others.
//!
//! **Early ends.** A closed page or a lost browser, as the
//! [classifier](crate::classify::ProtocolErrorClassifier) reads the failure; two sources or readers
//! that disagree; set-ups that are wrong, where that is what every source says. Everything else is
//! looked at again until the policy is exhausted.

mod asked_source;
mod builder;
mod error;
mod look_loop;
mod round;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::builder::{Extractor, ExtractorBuilder};
pub use self::error::{ErrorKind, ExtractError, SourceFailure};
use self::look_loop::Plan;
use crate::classify::ProtocolErrorClassifier;
use crate::jid::Jid;
use crate::phone::PhoneNumber;
use crate::retry::RetryPolicy;
use crate::source::{Assurance, InfoSource};

/// Something that finds out which number a session belongs to.
///
/// # Contract
///
/// - `extract` returns within its deadline, whatever its sources do.
/// - It is cancel-safe: dropping the future leaves the sources ready for the next extraction.
/// - Every call is an extraction of its own; several may run at once.
#[async_trait]
pub trait PhoneExtractor: Send + Sync {
    /// Runs one extraction.
    ///
    /// # Errors
    ///
    /// When there is no number to be had, with the reason in [`ExtractError::kind`].
    async fn extract(&self) -> Result<Extraction, ExtractError>;
}

#[async_trait]
impl<E: PhoneExtractor + ?Sized> PhoneExtractor for Arc<E> {
    async fn extract(&self) -> Result<Extraction, ExtractError> {
        (**self).extract().await
    }
}

#[async_trait]
impl<E: PhoneExtractor + ?Sized> PhoneExtractor for Box<E> {
    async fn extract(&self) -> Result<Extraction, ExtractError> {
        (**self).extract().await
    }
}

/// A number, and how it was found. `Debug` masks number and JIDs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extraction {
    /// The phone number, verbatim.
    pub phone: PhoneNumber,
    /// The JID it was read from.
    pub jid: Jid,
    /// The account's LID, where the source knows it.
    pub lid: Option<Jid>,
    /// How sure the source was.
    pub assurance: Assurance,
    /// The name of the source that gave it.
    pub source: String,
    /// The expression of that source that gave it, for instance `Store.Conn.me`.
    pub reader: String,
    /// The look that gave it, counted from 1.
    pub attempt: u32,
    /// From the start of the extraction to its answer.
    pub elapsed: Duration,
}

/// Finds the number that `sources` know, under `policy`: the short form of [`Extractor`].
///
/// The first source is the primary one, in the order of results and for
/// [`fallback_after_exhaustion`](RetryPolicy::fallback_after_exhaustion). Numbers that are only
/// [`Provisional`](Assurance::Provisional) are not accepted.
///
/// # Errors
///
/// When there is no number to be had; see [`ErrorKind`]. An empty list of sources is
/// [`ErrorKind::Misconfigured`].
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use whatsapp_phone::extract::extract_phone_safely;
/// use whatsapp_phone::retry::RetryPolicy;
/// use whatsapp_phone::source::{InfoSource, mock::MockSource};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), whatsapp_phone::extract::ExtractError> {
/// let page = MockSource::new("page").number_at(Duration::from_secs(3), "628110000041@c.us");
/// let sources: Vec<Arc<dyn InfoSource>> = vec![Arc::new(page)];
///
/// let found = extract_phone_safely(&sources, &RetryPolicy::classic()).await?;
/// assert_eq!(found.phone.reveal(), "628110000041");
/// assert_eq!((found.attempt, found.elapsed), (2, Duration::from_secs(3)));
/// # Ok(())
/// # }
/// ```
pub async fn extract_phone_safely(
    sources: &[Arc<dyn InfoSource>],
    policy: &RetryPolicy,
) -> Result<Extraction, ExtractError> {
    if sources.is_empty() {
        return Err(ExtractError::no_sources());
    }
    let plan = Plan {
        sources,
        policy,
        schedule: None,
        accept: Assurance::Unverified,
        classifier: &ProtocolErrorClassifier::default(),
    };
    plan.run().await
}

const _: fn(&dyn PhoneExtractor) = |extractor| {
    fn is_send_and_sync<T: Send + Sync + ?Sized>(_: &T) {}
    is_send_and_sync(extractor);
};
