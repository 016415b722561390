//! [`Extractor`]: sources and policy, put together once and run for each session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::look_loop::Plan;
use super::{ExtractError, Extraction, PhoneExtractor};
use crate::classify::ProtocolErrorClassifier;
use crate::retry::RetryPolicy;
use crate::source::{Assurance, InfoSource};

/// A schedule of the user: makes, for each extraction, the delays before each look.
pub(super) type Schedule = dyn Fn() -> Box<dyn Iterator<Item = Duration> + Send> + Send + Sync;

/// The extractor of this crate: sources under a [`RetryPolicy`].
///
/// Cheap to clone; clones share their sources.
///
/// ```
/// use std::time::Duration;
/// use whatsapp_phone::extract::Extractor;
/// use whatsapp_phone::source::{Assurance, mock::MockSource};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), whatsapp_phone::extract::ExtractError> {
/// let extractor = Extractor::builder()
///     .source(MockSource::new("page").number_at(Duration::from_secs(1), "628110000041@c.us"))
///     .accept(Assurance::Confirmed)
///     .build()?;
/// assert_eq!(extractor.extract().await?.elapsed, Duration::from_secs(1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Extractor {
    sources: Vec<Arc<dyn InfoSource>>,
    policy: RetryPolicy,
    schedule: Option<Arc<Schedule>>,
    accept: Assurance,
    classifier: ProtocolErrorClassifier,
}

impl Extractor {
    /// Starts an extractor: no sources yet, [`RetryPolicy::eager`], accepts
    /// [`Unverified`](Assurance::Unverified) and above.
    pub fn builder() -> ExtractorBuilder {
        ExtractorBuilder(Self {
            sources: Vec::new(),
            policy: RetryPolicy::default(),
            schedule: None,
            accept: Assurance::Unverified,
            classifier: ProtocolErrorClassifier::default(),
        })
    }

    /// Runs one extraction: [`PhoneExtractor::extract`] without the trait, and without a box.
    ///
    /// # Errors
    ///
    /// When there is no number to be had, with the reason in [`ExtractError::kind`].
    pub async fn extract(&self) -> Result<Extraction, ExtractError> {
        let plan = Plan {
            sources: &self.sources,
            policy: &self.policy,
            schedule: self.schedule.as_deref(),
            accept: self.accept,
            classifier: &self.classifier,
        };
        plan.run().await
    }
}

#[async_trait]
impl PhoneExtractor for Extractor {
    async fn extract(&self) -> Result<Extraction, ExtractError> {
        Self::extract(self).await
    }
}

impl fmt::Debug for Extractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.sources.iter().map(InfoSource::name).collect();
        f.debug_struct("Extractor")
            .field("sources", &names)
            .field("policy", &self.policy)
            .field("accept", &self.accept)
            .finish_non_exhaustive()
    }
}

/// Builds an [`Extractor`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct ExtractorBuilder(pub(crate) Extractor);

impl ExtractorBuilder {
    /// Adds a source. The first one is the primary.
    pub fn source(mut self, source: impl InfoSource + 'static) -> Self {
        self.0.sources.push(Arc::new(source));
        self
    }

    /// Adds sources, in their order; for those of several types, `Arc<dyn InfoSource>`.
    ///
    /// ```
    /// use whatsapp_phone::Extractor;
    /// use whatsapp_phone::source::mock::MockSource;
    ///
    /// let extractor = Extractor::builder().sources(["a", "b"].map(MockSource::new)).build()?;
    /// # Ok::<(), whatsapp_phone::ExtractError>(())
    /// ```
    pub fn sources(self, sources: impl IntoIterator<Item = impl InfoSource + 'static>) -> Self {
        sources.into_iter().fold(self, Self::source)
    }

    /// Sets the policy. Default: [`RetryPolicy::eager`].
    pub fn policy(mut self, policy: RetryPolicy) -> Self {
        self.0.policy = policy;
        self
    }

    /// Sets the least assurance that ends an extraction. Default: [`Assurance::Unverified`].
    pub fn accept(mut self, least: Assurance) -> Self {
        self.0.accept = least;
        self
    }

    /// Sets a schedule in place of the policy's: for each extraction, the delays before each look, the
    /// first look included. When it ends, so do the looks; the policy's deadline holds as before.
    ///
    /// A delay after the first look is at least 10 ms, as in a policy: zeros would be a busy loop. An
    /// empty schedule is [`Misconfigured`](super::ErrorKind::Misconfigured).
    ///
    /// ```
    /// use std::time::Duration;
    /// use whatsapp_phone::extract::Extractor;
    ///
    /// let fibonacci = || {
    ///     let mut pair = (0, 100);
    ///     let delays = std::iter::repeat_with(move || {
    ///         pair = (pair.1, pair.0 + pair.1);
    ///         Duration::from_millis(pair.0)
    ///     });
    ///     Box::new(delays.take(10)) as Box<dyn Iterator<Item = Duration> + Send>
    /// };
    /// let builder = Extractor::builder().schedule(fibonacci);
    /// ```
    pub fn schedule(
        mut self,
        schedule: impl Fn() -> Box<dyn Iterator<Item = Duration> + Send> + Send + Sync + 'static,
    ) -> Self {
        self.0.schedule = Some(Arc::new(schedule));
        self
    }

    /// Sets the classifier that reads failures. Default: [`ProtocolErrorClassifier::default`].
    pub fn classifier(mut self, classifier: ProtocolErrorClassifier) -> Self {
        self.0.classifier = classifier;
        self
    }

    /// Makes the extractor.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](super::ErrorKind::Misconfigured) without a source.
    pub fn build(self) -> Result<Extractor, ExtractError> {
        if self.0.sources.is_empty() {
            return Err(ExtractError::no_sources());
        }
        Ok(self.0)
    }
}
