//! A stand-in WhatsApp Web: one local server, one page, every generation of it, and a clock.
//!
//! The real page cannot be had in a test: it needs a phone, it changes without notice, and it does not report the
//! moment at which its number became readable. This one does what a [`Scenario`] says and reports that moment.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use whatsapp_phone::testkit::standin::{Generation, Scenario, StandIn};
//!
//! let standin = StandIn::start(Scenario::ready(Generation::Current)).await?;
//! // A browser opens `standin.url()`.
//! let readable_at = standin.wait_readable().await;
//! # Ok(())
//! # }
//! ```
//!
//! By default it behaves as the real page was measured to:
//!
//! - `Socket.state` is `UNLAUNCHED` at first and after every reload, for [`Scenario::with_launch_after`], and
//!   `Socket.hasSynced` is `undefined`, never `false`.
//! - `window.Debug.VERSION` appears when the page boots, after [`Scenario::with_boot_after`]. `require` is
//!   there before, and runs modules that have not run yet: see [`EARLY_MODULES`].
//! - `getMaybeMePnUser` and `getMaybeMeLidUser` memoise their first answer, `nobody` included.
//! - `require('WAWebUserPrefsMultiDevice').isRegistered()` returns whether noise key and number are stored.
//! - An unpaired page shows a QR code: the text is in `data-ref` of the element around the canvas. Once it
//!   has expired, a button in that element asks for a new one.
//! - A [`Logout`] has seven steps, and can stop after each.
//!
//! [`Situation`] lists the situations that a reader must distinguish.
//!
//! As on the real page the number sits in a closure: only getters, `localStorage` and the events of the
//! `Socket` model show it, and `window` gains nothing that the real page lacks. Old generations have no
//! `Socket`. [`Generation::ConnMe`] and [`Generation::ConnWid`] write `last-wid` instead of `last-wid-md`.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

mod constants;
mod logout;
mod names;
mod presets;
mod scenario;
mod server;
mod situation;
mod step;

pub use constants::{
    EARLY_MODULES, FORMER_LID, FORMER_PHONE, LID, PHONE, PLATFORM, PUSH_NAME, QR_PREFIX,
};
pub use logout::{Logout, LogoutStep};
pub use names::Name;
pub use scenario::{Generation, QrForm, Scenario, Stale, WidForm};
pub use situation::Situation;
pub use step::Step;

use server::Shared;

/// The running stand-in. It listens on free ports of 127.0.0.1 and ends when it is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the server"]
pub struct StandIn {
    shared: Arc<Shared>,
    origin: String,
    decoy: String,
    /// Its drop ends both servers and their open connections.
    alive: watch::Sender<()>,
}

impl StandIn {
    /// Starts it on the current runtime.
    ///
    /// # Errors
    ///
    /// When no port of 127.0.0.1 can be had.
    pub async fn start(scenario: Scenario) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(scenario));
        let page = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let decoy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let standin = Self {
            origin: format!("http://{}", page.local_addr()?),
            decoy: format!("http://{}/https://web.whatsapp.com/", decoy.local_addr()?),
            shared: Arc::clone(&shared),
            alive: watch::Sender::new(()),
        };
        server::spawn(page, server::standin(shared), standin.alive.subscribe());
        server::spawn(decoy, server::plain(), standin.alive.subscribe());
        Ok(standin)
    }

    /// Returns the exact origin, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the page to open. Any other path of this origin is a plain page that counts as no load.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/", self.origin)
    }

    /// Returns a plain page of another origin, whose path merely contains the address of WhatsApp Web.
    #[must_use]
    pub fn decoy_url(&self) -> String {
        self.decoy.clone()
    }

    /// Sets the scenario that the next load begins, on empty storage, and resets the loads and the recorded
    /// moment.
    ///
    /// Close or reload pages of the former scenario: their timelines continue, and they share its storage.
    pub fn set_scenario(&self, scenario: Scenario) {
        self.shared.set_scenario(scenario);
    }

    /// Returns how often the page was asked for in this scenario.
    #[must_use]
    pub fn loads(&self) -> u32 {
        self.shared.loads()
    }

    /// Returns the moment from which the number may be taken in the newest load: it is readable, and on
    /// pages that have a `Socket` registered, connected and synced. Milliseconds since the epoch, by the
    /// page's clock, taken right before. `None` until the page has reported it.
    #[must_use]
    pub fn readable_at(&self) -> Option<f64> {
        *self.shared.readable().borrow()
    }

    /// Waits until [`StandIn::readable_at`] is known. Without such a moment it waits for ever.
    pub async fn wait_readable(&self) -> f64 {
        known(self.shared.readable()).await
    }

    /// Waits until the newest load has done all that its scenario says, and returns that moment as
    /// [`StandIn::readable_at`] does. A held logout and an absent boot or launch are not waited for.
    pub async fn wait_settled(&self) -> f64 {
        known(self.shared.settled()).await
    }

    /// Lets the newest load do what its scenario says by [`Scenario::on_signal`]; once it has, it has
    /// settled again. Call it after [`StandIn::wait_settled`].
    pub fn signal(&self) {
        self.shared.signal();
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.shared.end();
    }
}

async fn known(mut moment: watch::Receiver<Option<f64>>) -> f64 {
    if let Ok(at) = moment.wait_for(Option::is_some).await
        && let Some(at) = *at
    {
        return at;
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn send(url: &str, method: &str, body: &str) -> String {
        let (host, path) = url
            .strip_prefix("http://")
            .unwrap()
            .split_once('/')
            .unwrap();
        let mut stream = TcpStream::connect(host).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(url: &str) -> String {
        send(url, "GET", "").await
    }

    #[tokio::test]
    async fn the_page_names_its_load_and_the_script_carries_the_plan() {
        let standin = StandIn::start(Scenario::ready(Generation::Current))
            .await
            .unwrap();
        assert_eq!(standin.loads(), 0);
        assert!(get(&standin.url()).await.contains("round=1&amp;load=1"));
        let page = get(&standin.url()).await;
        assert!(page.contains("round=1&amp;load=2") && !page.contains("content-security-policy"));
        assert_eq!(standin.loads(), 2);

        let script = get(&format!("{}page.js?round=1&load=2", standin.url())).await;
        assert!(script.contains(r#""generation":"current""#) && script.contains(PHONE));

        standin.set_scenario(Scenario::blank());
        assert_eq!(standin.loads(), 0);
        let late = get(&format!("{}page.js?round=1&load=2", standin.url())).await;
        assert!(late.ends_with("\r\n\r\nlocation.reload();"), "{late}");
    }

    #[tokio::test]
    async fn only_the_newest_load_reports() {
        let standin = StandIn::start(Scenario::never()).await.unwrap();
        let report = format!("{}report", standin.url());
        get(&standin.url()).await;
        get(&standin.url()).await;
        let late = send(
            &report,
            "POST",
            r#"{"round":1,"load":1,"what":"readable","at":1.5}"#,
        )
        .await;
        assert!(late.starts_with("HTTP/1.1 410"));
        assert_eq!(standin.readable_at(), None);

        let accepted = send(
            &report,
            "POST",
            r#"{"round":1,"load":2,"what":"readable","at":2.5}"#,
        )
        .await;
        assert!(accepted.starts_with("HTTP/1.1 204"));
        assert_eq!(standin.wait_readable().await.to_bits(), 2.5_f64.to_bits());

        get(&standin.url()).await;
        assert_eq!(standin.readable_at(), None);
    }

    #[tokio::test]
    async fn a_signal_answers_the_newest_load_and_begins_it_anew() {
        let standin = StandIn::start(Scenario::never()).await.unwrap();
        let signal = format!("{}signal?round=1&load=", standin.url());
        let report = format!("{}report", standin.url());
        get(&standin.url()).await;
        let settled = r#"{"round":1,"load":1,"what":"settled","at":1.5}"#;
        send(&report, "POST", settled).await;
        assert_eq!(standin.wait_settled().await.to_bits(), 1.5_f64.to_bits());
        assert_eq!(standin.readable_at(), None);

        let first = tokio::spawn(async move { get(&format!("{signal}1")).await });
        let waiting = |standin: &StandIn| standin.shared.signalled.receiver_count();
        while waiting(&standin) == 0 {
            tokio::task::yield_now().await;
        }
        standin.signal();
        assert!(first.await.unwrap().starts_with("HTTP/1.1 204"));
        assert!(standin.wait_settled().now_or_never().is_none());

        // A load that is no longer the newest, and the end of the stand-in, end the wait.
        get(&standin.url()).await;
        let url = format!("{}signal?round=1&load=", standin.url());
        assert!(get(&format!("{url}1")).await.starts_with("HTTP/1.1 410"));
        let second = tokio::spawn(async move { get(&format!("{url}2")).await });
        while waiting(&standin) == 0 {
            tokio::task::yield_now().await;
        }
        drop(standin);
        assert!(second.await.unwrap().starts_with("HTTP/1.1 410"));
    }

    #[tokio::test]
    async fn bodies_are_bounded() {
        let standin = StandIn::start(Scenario::never()).await.unwrap();
        let body = format!(
            r#"{{"round":1,"load":1,"what":"readable","at":1.5,"more":"{}"}}"#,
            "x".repeat(1024)
        );
        let answer = send(&format!("{}report", standin.url()), "POST", &body).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }

    #[tokio::test]
    async fn the_strict_policy_is_sent_when_asked_for() {
        let standin = StandIn::start(Scenario::blank().with_strict_csp())
            .await
            .unwrap();
        let page = get(&standin.url()).await;
        assert!(page.contains(
            "content-security-policy: default-src 'none'; script-src 'self'; connect-src 'self'\r\n"
        ));
    }

    #[tokio::test]
    async fn plain_pages_are_no_loads() {
        let standin = StandIn::start(Scenario::ready(Generation::Current))
            .await
            .unwrap();
        assert!(!standin.decoy_url().starts_with(standin.origin()));
        assert!(standin.decoy_url().ends_with("/https://web.whatsapp.com/"));
        for url in [standin.decoy_url(), format!("{}other", standin.url())] {
            let page = get(&url).await;
            assert!(page.starts_with("HTTP/1.1 200") && !page.contains("page.js"));
        }
        assert!(
            get(&format!("{}favicon.ico", standin.url()))
                .await
                .starts_with("HTTP/1.1 204")
        );
        assert_eq!(standin.loads(), 0);
    }

    #[tokio::test]
    async fn dropping_it_frees_its_port_and_ends_open_connections() {
        let standin = StandIn::start(Scenario::blank()).await.unwrap();
        let host = standin.origin().strip_prefix("http://").unwrap().to_owned();
        let mut open = TcpStream::connect(&host).await.unwrap();
        let request = format!("GET /favicon.ico HTTP/1.1\r\nhost: {host}\r\n\r\n");
        open.write_all(request.as_bytes()).await.unwrap();
        assert_ne!(open.read(&mut [0; 256]).await.unwrap(), 0);
        drop(standin);
        assert_eq!(open.read(&mut [0; 256]).await.unwrap(), 0);
        tokio::time::timeout(Duration::from_secs(5), async {
            while TcpStream::connect(&host).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap();
    }
}
