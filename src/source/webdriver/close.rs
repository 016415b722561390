//! The end of a session with a tab.

use std::pin::pin;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

use super::driver::OwnedBrowser;
use super::evaluate::evaluate;
use super::tab::Tab;

/// Longest time for cleaning up a page, which may be stuck.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest time that a browser started by this crate may take to close by itself.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest time that the end of a session may take in the background, for instance if its page is stuck.
const BACKGROUND_CLOSE_TIMEOUT: Duration = Duration::from_secs(60);

impl Tab {
    /// Ends the session, unless it is a caller's, and the browser if this crate started it. Waits as long as a
    /// healthy browser needs; the rest continues in the background.
    pub(super) async fn close(&self) {
        let browser = {
            let mut state = self.state();
            state.is_closed = true;
            state.browser.take()
        };
        self.leave_socket();
        if let Some(ending) = self.ending(browser) {
            let _ = timeout(CLEAN_UP_TIMEOUT + CLOSE_TIMEOUT, tokio::spawn(ending)).await;
        }
    }

    /// Ends it from a destructor: at once, and in the background.
    pub(super) fn end(&self) {
        let (browser, connection) = {
            let mut state = self.state();
            state.is_closed = true;
            (state.browser.take(), state.connection.clone())
        };
        self.leave_socket();
        // The browser first: otherwise a session with a stuck page would not end.
        drop(browser);
        match (Handle::try_current(), self.ending(None)) {
            (Ok(runtime), Some(ending)) => drop(runtime.spawn(ending)),
            _ => connection.close(),
        }
    }

    /// Ends a slice that runs on the page's socket, and removes its hooks.
    fn leave_socket(&self) {
        if let Some(push) = &self.push {
            push.leave(self.clean_up_script());
        }
    }

    pub(super) fn clean_up_script(&self) -> String {
        self.state().record.scripts.clean_up(self.kind())
    }

    /// Ends the session, if it is ours, then this browser, then the commands that still run.
    fn ending(
        &self,
        browser: Option<OwnedBrowser>,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let session = self.session()?.clone();
        let connection = self.state().connection.clone();
        let clean_up = self.finder().map(|_| self.clean_up_script());
        Some(async move {
            if let Some(script) = clean_up {
                let _ = timeout(CLEAN_UP_TIMEOUT, evaluate(&connection.client(), &script)).await;
            }
            // On the same connection a command that is stuck would block this one.
            if let Ok(last) = session.reconnect().await {
                let client = last.client();
                let mut closing = pin!(client.close());
                let is_over = timeout(CLOSE_TIMEOUT, closing.as_mut()).await.is_ok();
                drop(browser);
                if !is_over {
                    let _ = timeout(BACKGROUND_CLOSE_TIMEOUT, closing).await;
                }
            }
            connection.close();
        })
    }
}
