//! [`SupervisorBuilder`]: the settings of a supervisor.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::lifecycle::Lifecycle;
use super::reason::{Reason, Report};
use super::session::Session;
use super::shared::{RestartHook, Settings};
use super::task::{self, BoxError};
use crate::classify::ProtocolErrorClassifier;
use crate::retry::Backoff;

/// Builds a [`Supervisor`](super::Supervisor).
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct SupervisorBuilder(pub(super) Settings);

impl SupervisorBuilder {
    /// Sets the classifier of the tasks' errors. Default: [`ProtocolErrorClassifier::default`].
    ///
    /// An [`ExtractError`](crate::ExtractError) goes by its code, which depends on the extractor's own
    /// classifier; only an error that prevented an extraction is classified again.
    pub fn classifier(mut self, classifier: ProtocolErrorClassifier) -> Self {
        self.0.classifier = classifier;
        self
    }

    /// Sets how long the other tasks of a session may continue when one of them ends it by an error or a
    /// panic; then they are aborted. Default: 5 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.0.grace = grace;
        self
    }

    /// Sets how many ended sessions [`Supervisor::state`](super::Supervisor::state) knows. Default: 1024.
    pub fn keep(mut self, ends: usize) -> Self {
        self.0.keep = ends;
        self
    }

    /// Sets a function that is called with everything that happens to a session: an error after which a
    /// task is not run again, a panic, an end. All of it is in the log (`tracing`) already, so this is for
    /// services that count, store or alert.
    ///
    /// It is called in the task that failed and must not block; its panics are caught and logged. A
    /// session is [`Ended`](super::SessionState::Ended) only after its end has been reported. A supervisor
    /// that is captured in it would never be freed.
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
        self.0.observer = Some(Arc::new(observer));
        self
    }

    /// Restarts each session that ends by an error or a panic: hands `hook` a new session under the same
    /// id, and the reason, to open its page and to run its tasks again.
    ///
    /// The first restart comes after the initial delay of the backoff, the next ones after its further
    /// delays. There are no more restarts than attempts, and none later than the deadline after the
    /// first failure of a series. A session that has lived for longer than the deadline starts a new
    /// series; without a deadline, one that has lived for 10 minutes. During the delay the id is taken
    /// and its state is [`Restarting`](super::SessionState::Restarting); to cancel the restart, end that
    /// session.
    ///
    /// The hook runs as the task `restart` of the new session. An error or panic of it ends the session
    /// again, whatever the error means. A supervisor that is captured in it would never be freed.
    ///
    /// ```
    /// use whatsapp_phone::{Backoff, Supervisor};
    ///
    /// # fn example() -> Result<(), whatsapp_phone::retry::PolicyError> {
    /// let backoff = Backoff::builder().attempts(5).build()?;
    /// let supervisor = Supervisor::builder().restart(backoff, |session, reason| async move {
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
        backoff: Backoff,
        hook: impl Fn(Session, Reason) -> W + Send + Sync + 'static,
    ) -> Self
    where
        W: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let hook = Arc::new(hook);
        let restart: Arc<RestartHook> = Arc::new(move |session, delay, reason| {
            let (hook, waiting) = (Arc::clone(&hook), Arc::clone(session));
            let work = async move {
                // It may have been ended between the two.
                if waiting.pause(delay).await && waiting.change(Lifecycle::start_again) {
                    let hooked = hook(Session::new(&waiting), reason).await;
                    return hooked.map_err(Into::into);
                }
                Ok::<_, BoxError>(())
            };
            drop(task::launch(
                session,
                "restart".into(),
                true,
                task::once(work),
            ));
        });
        self.0.restart = Some((backoff, restart));
        self
    }
}

impl fmt::Debug for SupervisorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SupervisorBuilder({:?})", self.0.grace)
    }
}
