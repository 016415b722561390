//! Helpers of the tests with a real browser. A missing browser fails them, with the install line.
#![allow(dead_code, reason = "each test program uses its part")]

pub(crate) mod again;
pub(crate) mod chrome;
pub(crate) mod example;
pub(crate) mod invalid_servers;
pub(crate) mod log;
pub(crate) mod processes;
pub(crate) mod program;
pub(crate) mod time;
pub(crate) mod traces;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

#[allow(unused_imports, reason = "each test program uses its part")]
pub(crate) use time::{LIMIT, cancel_after, print_overrun, until, until_async, within_limit};
use tokio::sync::watch;
use whatsapp_phone::ErrorKind as ExtractErrorKind;
use whatsapp_phone::extract::{ExtractError, Extraction, Extractor};
use whatsapp_phone::failure::ProtocolFailure;
use whatsapp_phone::fantoccini;
use whatsapp_phone::retry::RetryPolicy;
use whatsapp_phone::source::Assurance;
use whatsapp_phone::source::webdriver::{
    DriverProcess, OpenOptions, Page, ReaderId, Target, WebDriverSource,
};
use whatsapp_phone::source::{InfoSource, Look, PageState};
use whatsapp_phone::testkit::standin::{Generation, PHONE, Scenario, StandIn, Step};

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A headless browser at this page; as root without Chromium's sandbox, which root cannot have.
pub(crate) fn options(url: &str) -> OpenOptions {
    let options = OpenOptions::default()
        .target(Target::at(url).unwrap())
        .url(url)
        .headless(true);
    sandbox()
        .iter()
        .fold(options, |options, arg| options.browser_arg(*arg))
}

/// As root without Chromium's sandbox, which root cannot have.
pub(crate) fn sandbox() -> &'static [&'static str] {
    if rustix::process::geteuid().is_root() {
        &["--no-sandbox"]
    } else {
        &[]
    }
}

/// A ChromeDriver of its own. The message carries the install line if the program is missing.
pub(crate) async fn driver() -> DriverProcess {
    let driver = DriverProcess::builder().start_timeout(LIMIT).start().await;
    driver.unwrap_or_else(|error| panic!("{error}"))
}

/// Ends a driver with what it started. On a busy machine that may take longer than `stop` waits, and then
/// continues in the background.
pub(crate) async fn stop(driver: DriverProcess) {
    let stopped = within_limit("the driver stops", driver.stop()).await;
    if let Err(error) = stopped {
        assert!(
            error
                .message()
                .contains("not gone half a second after SIGKILL"),
            "{error}"
        );
    }
}

/// The default policy, with a deadline that a busy machine keeps too.
pub(crate) fn policy() -> RetryPolicy {
    RetryPolicy::builder().deadline(LIMIT).build().unwrap()
}

/// The same, which ends after this many looks, however long they take.
pub(crate) fn looks(count: u32) -> RetryPolicy {
    let policy = policy().to_builder().attempts(count);
    policy.look_timeout(LIMIT).build().unwrap()
}

/// A stand-in page in a real browser, with a ChromeDriver of its own.
pub(crate) struct Stage {
    pub(crate) stand_in: StandIn,
    pub(crate) page: Page,
    pub(crate) driver: DriverProcess,
}

impl Stage {
    pub(crate) async fn open(scenario: Scenario) -> Self {
        let stand_in = StandIn::start(scenario).await.unwrap();
        let driver = driver().await;
        let page = Page::open(&driver, options(&stand_in.url())).await.unwrap();
        Self {
            stand_in,
            page,
            driver,
        }
    }

    /// Loads the page again with this scenario.
    pub(crate) async fn reload(&self, scenario: Scenario) {
        self.stand_in.set_scenario(scenario);
        self.page.client().goto(&self.stand_in.url()).await.unwrap();
    }

    /// All readers, eager, for at most this long.
    pub(crate) async fn extract(&self, accept: Assurance, deadline: Duration) -> Outcome {
        let policy = RetryPolicy::builder().deadline(deadline).build().unwrap();
        self.extract_by(WebDriverSource::all(&self.page), policy, accept)
            .await
    }

    pub(crate) async fn extract_only(&self, reader: ReaderId, deadline: Duration) -> Outcome {
        let policy = RetryPolicy::builder().deadline(deadline).build().unwrap();
        let source = WebDriverSource::only(&self.page, reader);
        self.extract_by(source, policy, Assurance::Unverified).await
    }

    /// An extraction that finds nothing, by all readers.
    pub(crate) async fn extract_in_three_looks(&self, accept: Assurance) -> Outcome {
        self.extract_by(WebDriverSource::all(&self.page), looks(3), accept)
            .await
    }

    /// The same by one reader.
    pub(crate) async fn extract_only_in_three_looks(&self, reader: ReaderId) -> Outcome {
        let source = WebDriverSource::only(&self.page, reader);
        self.extract_by(source, looks(3), Assurance::Unverified)
            .await
    }

    pub(crate) async fn extract_by(
        &self,
        source: WebDriverSource,
        policy: RetryPolicy,
        accept: Assurance,
    ) -> Outcome {
        let extractor = Extractor::builder()
            .source(source)
            .policy(policy)
            .accept(accept);
        extractor.build().unwrap().extract().await
    }
}

/// A page that has its number when the stand-in gives the signal.
pub(crate) fn ready_on_signal() -> Scenario {
    Scenario::new(Generation::Current)
        .at(ms(0), Step::socket("OPENING"))
        .on_signal(ms(0), Step::me(PHONE))
        .on_signal(ms(0), Step::connected())
}

pub(crate) type Outcome = Result<Extraction, ExtractError>;

/// A source that counts how often it has been asked.
#[derive(Clone)]
pub(crate) struct Counted<S> {
    source: S,
    asked: Arc<watch::Sender<u32>>,
}

impl<S> Counted<S> {
    pub(crate) fn new(source: S) -> Self {
        Self {
            source,
            asked: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Waits until the look of this number, counted from 0, has begun.
    pub(crate) async fn looks(&self, count: u32) {
        self.asked
            .subscribe()
            .wait_for(|asked| *asked > count)
            .await
            .unwrap();
    }
}

#[async_trait::async_trait]
impl<S: InfoSource> InfoSource for Counted<S> {
    fn name(&self) -> &str {
        self.source.name()
    }

    async fn probe(&self) -> Result<Look, ProtocolFailure> {
        self.asked.send_modify(|asked| *asked += 1);
        self.source.probe().await
    }

    async fn wait(&self, min: Assurance, max: Duration) -> Result<Look, ProtocolFailure> {
        self.asked.send_modify(|asked| *asked += 1);
        self.source.wait(min, max).await
    }

    fn page_state(&self) -> Option<PageState> {
        self.source.page_state()
    }
}

/// A script that the page's thread never comes back from.
pub(crate) const ENDLESS: &str = "setTimeout(() => { for (;;) {} }, 0)";

/// For what ends at the deadline only.
pub(crate) fn four_seconds() -> RetryPolicy {
    RetryPolicy::builder().deadline(ms(4000)).build().unwrap()
}

/// Returns the outcome of an extraction in which, from its third look on, this happens.
pub(crate) async fn extract_during(
    source: impl InfoSource + 'static,
    policy: RetryPolicy,
    act: impl Future<Output = ()>,
) -> Outcome {
    let source = Counted::new(Arc::new(source));
    let deadline = policy.deadline();
    let extractor = Extractor::builder().source(source.clone()).policy(policy);
    let extractor = extractor.build().unwrap();
    let act = async {
        source.looks(2).await;
        act.await;
    };
    let extract = print_overrun(deadline, extractor.extract());
    let (outcome, ()) = tokio::join!(extract, within_limit("it happens", act));
    outcome
}

/// Returns the result of this future on a runtime of its own, which ends with it.
pub(crate) async fn on_own_runtime<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> T {
    let run = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(future)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// The error is of one of these kinds, and came before the deadline.
#[track_caller]
pub(crate) fn assert_early(error: &ExtractError, kinds: &[ExtractErrorKind]) {
    assert!(
        kinds.contains(&error.kind()),
        "{error}: {:?}",
        error.failures()
    );
    assert!(
        error.elapsed() < LIMIT,
        "{error}: ended by its deadline only"
    );
}

/// Whether this process still runs; one that has ended and waits to be reaped does not.
pub(crate) fn alive(pid: u64) -> bool {
    // ESRCH: it ended between the opening of the file and the reading.
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.rsplit_once(") ").unwrap().1.starts_with('Z'),
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => false,
        Err(error) => panic!("/proc/{pid}/stat: {error}"),
    }
}

/// The process id of a session's browser.
pub(crate) fn pid(client: &fantoccini::Client) -> u64 {
    client.capabilities().unwrap()["goog:processID"]
        .as_u64()
        .unwrap()
}

pub(crate) fn signal(signal: &str, pid: u64) {
    let kill = std::process::Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(kill.unwrap().success());
}

/// A session that a caller has made himself.
pub(crate) async fn callers_client(webdriver: &str) -> fantoccini::Client {
    let args = [&["--headless=new"], sandbox()].concat();
    let asked = [(
        "goog:chromeOptions".to_owned(),
        serde_json::json!({ "args": args }),
    )];
    let http = hyper_util::client::legacy::connect::HttpConnector::new();
    let mut builder = fantoccini::ClientBuilder::new(http);
    builder
        .capabilities(asked.into_iter().collect())
        .connect(webdriver)
        .await
        .unwrap()
}

/// The set-up is wrong, and the message names all of this.
#[track_caller]
pub(crate) fn assert_says(failure: &ProtocolFailure, parts: &[&str]) {
    assert_eq!(failure.code(), Some("misconfigured"), "{failure}");
    for part in parts {
        assert!(
            failure.message().contains(part),
            "no `{part}` in: {failure}"
        );
    }
    println!("{failure}");
}
