//! [`SupervisorBuilder`]: what a supervisor is told once, for all its sessions.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::reason::{Reason, Report};
use super::session::Session;
use super::task::BoxError;
use super::{Shared, Supervisor};
use crate::classify::ProtocolErrorClassifier;
use crate::retry::RetryPolicy;

pub(super) type Observer = dyn Fn(&Report) + Send + Sync;

/// A restart hook, made the same for all.
pub(super) type Hook = Arc<
    dyn Fn(Session, Reason) -> Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>
        + Send
        + Sync,
>;

/// Builds a [`Supervisor`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct SupervisorBuilder {
    pub(super) classifier: ProtocolErrorClassifier,
    pub(super) grace: Duration,
    pub(super) keep: usize,
    pub(super) observer: Option<Arc<Observer>>,
    pub(super) restart: Option<(RetryPolicy, Hook)>,
}

impl SupervisorBuilder {
    pub(super) const fn new() -> Self {
        Self {
            classifier: ProtocolErrorClassifier::new(),
            grace: Duration::from_secs(5),
            keep: 1024,
            observer: None,
            restart: None,
        }
    }

    /// The classifier that judges errors. Default: [`ProtocolErrorClassifier::default`].
    ///
    /// An [`ExtractError`](crate::ExtractError) goes by its kind, which the extractor's own classifier
    /// has told; only one that kept an extraction from beginning is read anew.
    pub fn classifier(mut self, classifier: ProtocolErrorClassifier) -> Self {
        self.classifier = classifier;
        self
    }

    /// How long the other tasks of a session may take to come to an end when one of them ends it by
    /// an error or a panic; then they are aborted. Default: 5 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How many ends are remembered for [`Supervisor::state`]. Default: 1024.
    pub fn keep(mut self, ends: usize) -> Self {
        self.keep = ends;
        self
    }

    /// Is called with everything that befalls a session: a task's error that is not run again, a
    /// panic, an end. By then the same is in the log (`tracing`), so this is for hosts that count, store
    /// or alert.
    ///
    /// It runs where it happened and must not block; a panic of it is caught and logged. When a
    /// session is seen to have ended, its end has been reported. A supervisor that is captured in it
    /// would never be freed.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use whatsapp_phone::Supervisor;
    /// use whatsapp_phone::supervisor::Event;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), whatsapp_phone::supervisor::StartError> {
    /// let (sender, reports) = mpsc::channel();
    /// let report = move |report: &_| drop(sender.send(Clone::clone(report)));
    /// let supervisor = Supervisor::builder().on_report(report).build();
    ///
    /// let task = supervisor.start("7")?.spawn("import", async {
    ///     Err::<(), _>("duplicate key value violates unique constraint")
    /// });
    /// task.await.unwrap_err();
    ///
    /// let report: whatsapp_phone::supervisor::Report = reports.recv().unwrap();
    /// assert_eq!((report.session.as_str(), report.event), ("7", Event::TaskFailed));
    /// assert_eq!(report.reason.task(), Some("import"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_report(mut self, observer: impl Fn(&Report) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Brings back each session that ends by an error or a panic: a new session under the same id is
    /// handed to `hook` with the reason, to open its page and to run its tasks again.
    ///
    /// The first restart comes after the policy's initial delay, the next ones after its further
    /// delays. There are no more restarts than attempts, and none later than the policy's deadline
    /// after the first failure of a row; a session that has lived for longer than that deadline begins
    /// a new row. During the delay the id is taken and its state is
    /// [`Restarting`](super::SessionState::Restarting); to call it off, end that session.
    ///
    /// The hook runs as the task `restart` of the new session. An error or panic of it ends the
    /// session again, whatever the error means. A supervisor that is captured in it would never be freed.
    ///
    /// ```
    /// use whatsapp_phone::{RetryPolicy, Supervisor};
    ///
    /// # fn example() -> Result<(), whatsapp_phone::retry::PolicyError> {
    /// let policy = RetryPolicy::eager().to_builder().attempts(5).build()?;
    /// let supervisor = Supervisor::builder().restart(policy, |session, reason| async move {
    ///     println!("{session:?} is back after: {reason}");
    ///     // open its page here; then:
    ///     drop(session.spawn("number", async { Ok::<_, std::io::Error>(()) }));
    ///     Ok::<_, std::io::Error>(())
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn restart<W, E>(
        mut self,
        policy: RetryPolicy,
        hook: impl Fn(Session, Reason) -> W + Send + Sync + 'static,
    ) -> Self
    where
        W: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let hook: Hook = Arc::new(move |session, reason| {
            let work = hook(session, reason);
            Box::pin(async move { work.await.map_err(Into::into) })
        });
        self.restart = Some((policy, hook));
        self
    }

    /// The supervisor.
    #[must_use]
    pub fn build(self) -> Supervisor {
        Supervisor(Arc::new(Shared::new(self)))
    }
}

impl fmt::Debug for SupervisorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let restart = self.restart.as_ref().map(|(policy, _)| policy);
        f.debug_struct("SupervisorBuilder")
            .field("grace", &self.grace)
            .field("keep", &self.keep)
            .field("restart", &restart)
            .finish_non_exhaustive()
    }
}
