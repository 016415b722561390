//! [`Page`]: one tab, and who holds it.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fantoccini::Client;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::attach::{AttachOptions, Visit};
use super::devtools::DebuggerAddress;
use super::driver::DriverProcess;
use super::envelope::Envelope;
use super::error::MISCONFIGURED;
use super::link::{Answer, Link, lock};
use super::open::OpenOptions;
use super::session::{Session, Wire};
use super::target::Target;
use crate::failure::{ProtocolFailure, Site};

/// Longest slice of a wait: for so long at most the driver is not free for another command. Shorter
/// than the script timeout of a session, which ends a slice where the page's own timers do not. A
/// command costs as much processor time as fifteen looks in the page, so it is as long as the slot of
/// [`RetryPolicy::eager`](crate::retry::RetryPolicy::eager).
const SLICE: Duration = Duration::from_millis(400);

/// How much later than it should a flight may land and still be waited for by who comes next.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much longer than asked a wait goes on for the answer of its own slice.
const GRACE: Duration = Duration::from_millis(50);

/// Pause between looks from outside, where slices do not work.
const OUTER_PACE: Duration = Duration::from_millis(50);

/// One WhatsApp Web page, to be read by [`WebDriverSource`](super::WebDriverSource)s. Cheap to
/// clone; all clones and all their sources share one WebDriver session, and looks that come
/// together share one round trip.
///
/// | made by | whose browser | when the last clone is dropped |
/// |---|---|---|
/// | [`open`](Self::open), [`open_at`](Self::open_at) | ours | the browser ends |
/// | [`attach`](Self::attach), [`attach_at`](Self::attach_at) | somebody else's | only our session with it ends; no window is closed |
/// | [`from_client`](Self::from_client) | the caller's, and the session too | nothing |
#[derive(Clone)]
pub struct Page(Arc<Inner>);

struct Inner {
    link: Arc<Link>,
    under_way: Mutex<UnderWay>,
}

/// What is under way on the session, or was last.
#[derive(Default)]
struct UnderWay {
    look: Option<Flight>,
    slice: Option<Flight>,
}

/// A command that runs in a task of its own. Nothing can call it back from the driver, so it flies on
/// when its waiters have gone, and who comes next joins it in place of sending another one.
#[derive(Clone)]
struct Flight {
    answer: Shared<BoxFuture<'static, Answer>>,
    /// It should have landed by then; later it is not joined any more.
    due: Instant,
}

impl Flight {
    fn begin(length: Duration, flight: impl Future<Output = Answer> + Send + 'static) -> Self {
        let answer = flight.boxed().shared();
        tokio::spawn(answer.clone());
        Self {
            answer,
            due: Instant::now() + length + PATIENCE,
        }
    }

    fn is_in_time(&self) -> bool {
        Instant::now() < self.due
    }

    fn has_landed(&self) -> bool {
        self.answer.peek().is_some()
    }
}

impl Page {
    /// Opens a browser of our own on this ChromeDriver, and in it the page. The browser ends with
    /// the last clone of the page, or with the driver.
    ///
    /// Runs in a task of its own: when it is dropped, or its deadline is over, what has been
    /// started by then is ended in the background.
    ///
    /// # Errors
    ///
    /// Code `misconfigured` when the options contradict each other, the browser cannot start, or the
    /// page ends up at another origin; `ambiguous_tab` when several tabs are at that origin;
    /// `timeout` when the deadline is over; else what the driver said.
    pub async fn open(
        driver: &DriverProcess,
        options: OpenOptions,
    ) -> Result<Self, ProtocolFailure> {
        let browsers = driver.browsers().clone();
        let url = driver.url().to_owned();
        options
            .start(url, move |client| {
                let given = client.capabilities();
                let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
                let pid = given.and_then(|given| given.get("goog:processID")?.as_u64());
                let profile = given.and_then(|given| text(given.get("chrome")?.get("userDataDir")));
                let pid = pid.and_then(|pid| u32::try_from(pid).ok()).ok_or_else(|| {
                    let text = "the driver does not name its browser's process, so it could not be ended; use ChromeDriver";
                    ProtocolFailure::new(Site::WebDriverCommand, text).with_code(MISCONFIGURED)
                })?;
                browsers.adopt(pid, profile.as_deref().map(Path::new)).map(Some)
            })
            .await
    }

    /// Opens a browser on a WebDriver server that runs elsewhere, such as a Selenium Grid, and in it
    /// the page. The session is ended with the last clone of the page.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); code `misconfigured` also when no WebDriver server answers.
    pub async fn open_at(webdriver: &str, options: OpenOptions) -> Result<Self, ProtocolFailure> {
        options.start(webdriver.to_owned(), |_| Ok(None)).await
    }

    /// Joins a Chrome that somebody else started and still drives, for instance with Puppeteer,
    /// through a ChromeDriver of ours. The tab is found without touching the others, and is switched
    /// to only if it is not the driver's current one already. Nothing of ours stays in its page: the
    /// `cdc_*` globals that ChromeDriver puts there are taken out, dialogs are left alone.
    ///
    /// When the tab is closed or moves to another origin, and a new one has come up at the target's
    /// origin since, that one is read from then on. Where several sessions share one Chrome, it could
    /// be another session's: name the tab there ([`AttachOptions::tab`]).
    ///
    /// What ChromeDriver does and we cannot avoid: it marks the other tabs with its `cdc_*` globals,
    /// and brings a background tab to the front when it has to switch to it.
    ///
    /// Runs in a task of its own, since a crashed tab can hold ChromeDriver for 90 seconds.
    ///
    /// # Errors
    ///
    /// Code `misconfigured` when no Chrome answers at the address (told within two seconds) or none
    /// of its tabs matches; `ambiguous_tab` when several do; `timeout` when the deadline is over;
    /// else what the driver said.
    pub async fn attach(
        driver: &DriverProcess,
        address: DebuggerAddress,
        options: AttachOptions,
    ) -> Result<Self, ProtocolFailure> {
        options.start(driver.url().to_owned(), address).await
    }

    /// [`attach`](Self::attach) through a WebDriver server that runs elsewhere. The address is as
    /// that server sees it; where the server is not on this machine, only it can find the tab, by
    /// switching to each in turn.
    ///
    /// # Errors
    ///
    /// As [`attach`](Self::attach); code `misconfigured` also when no WebDriver server answers.
    pub async fn attach_at(
        webdriver: &str,
        address: DebuggerAddress,
        options: AttachOptions,
    ) -> Result<Self, ProtocolFailure> {
        options.start(webdriver.to_owned(), address).await
    }

    /// Reads the current window of a client of the caller's. Never switches, navigates, closes or
    /// changes time-outs; and as long as the window is not at the target's origin, never believes
    /// it.
    ///
    /// Leave the client's current window alone while sources read this page.
    #[must_use]
    pub fn from_client(client: Client, target: Target) -> Self {
        Self::new(client.into(), target, None, None)
    }

    pub(super) fn new(
        wire: Wire,
        target: Target,
        session: Option<Session>,
        visit: Option<Visit>,
    ) -> Self {
        let link = Link::new(wire, target, session, visit);
        Self(Arc::new(Inner {
            link: Arc::new(link),
            under_way: Mutex::default(),
        }))
    }

    pub(super) fn link(&self) -> &Link {
        &self.0.link
    }

    /// Ends a session of ours, and the browser if it is ours too: lets it close, for three seconds at
    /// most; what takes longer is ended in the background. A caller's client is only let go. Other
    /// clones of this page, and their sources, can read nothing from then on.
    pub async fn close(self) {
        self.0.link.close().await;
    }

    /// The page's WebDriver client, for whatever the caller wants to do with a page of ours: take a
    /// screenshot, show the QR code. Commands of one session run one at a time. Take it anew for
    /// each use: when a look is given up, it ends and another one takes its place. The session's
    /// script timeout is 500 ms.
    ///
    /// After [`close`](Self::close) every command fails.
    #[must_use]
    pub fn client(&self) -> Client {
        self.0.link.client()
    }

    /// Which tab this is.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.0.link.target
    }

    /// One look: every reader in one round trip. Looks that come while one is under way join it.
    pub(super) async fn look(&self) -> Answer {
        let flight = {
            let mut under_way = lock(&self.0.under_way);
            let last = under_way.look.take().filter(|flight| !flight.has_landed());
            let flight = match last {
                Some(flight) if flight.is_in_time() => flight,
                stuck => {
                    let link = Arc::clone(&self.0.link);
                    Flight::begin(Duration::ZERO, async move {
                        if stuck.is_some() {
                            link.replace_wire().await?;
                        }
                        link.look().await
                    })
                }
            };
            under_way.look = Some(flight.clone());
            flight
        };
        flight.answer.await
    }

    /// What the page showed last, where a slice can go on from there.
    pub(super) fn seen(&self) -> Option<Arc<Envelope>> {
        self.0.link.seen()
    }

    /// What the page shows now: the answer of a slice that is under way, or of a look.
    pub(super) async fn now(&self) -> Answer {
        let slice = lock(&self.0.under_way).slice.clone();
        match slice.filter(|flight| !flight.has_landed() && flight.is_in_time()) {
            Some(flight) => flight.answer.await,
            None => self.look().await,
        }
    }

    /// The next envelope that differs from this one, or whatever there is when a slice is over;
    /// `None` when `end` comes before either. Waits that come together share one slice.
    pub(super) async fn change(&self, known: &Arc<Envelope>, end: Instant) -> Option<Answer> {
        let left = end.saturating_duration_since(Instant::now());
        let Some(flight) = self.slice(known, left.min(SLICE)) else {
            sleep(left.min(OUTER_PACE)).await;
            return Some(self.look().await);
        };
        match timeout_at((end + GRACE).min(flight.due), flight.answer.clone()).await {
            Ok(answer) => Some(answer),
            // A slice that began for somebody else goes on for longer.
            Err(_) if flight.is_in_time() => None,
            Err(_) => Some(self.look().await),
        }
    }

    /// The slice under way, or a new one; `None` where there is none to be had.
    fn slice(&self, known: &Arc<Envelope>, length: Duration) -> Option<Flight> {
        let mut under_way = lock(&self.0.under_way);
        if let Some(flight) = &under_way.slice
            && !flight.has_landed()
        {
            // One that is stuck is left to a look, which can tell why.
            return flight.is_in_time().then(|| flight.clone());
        }
        if !self.0.link.takes_slices() {
            return None;
        }
        let (link, base) = (Arc::clone(&self.0.link), Arc::clone(known));
        let flight = Flight::begin(length, async move { link.slice(&base, length).await });
        under_way.slice = Some(flight.clone());
        Some(flight)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.link.end();
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("target", &self.0.link.target)
            .field("is_ours", &self.0.link.is_ours())
            .finish_non_exhaustive()
    }
}
