//! Waits of a [`Page`](super::Page) on the tab's own DevTools socket.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::{Instant, timeout, timeout_at};

use super::push::Socket;
use super::tab::Tab;
use crate::source::page::command::{Command, CommandResult};
use crate::source::page::envelope::Envelope;
use crate::source::page::error::LookError;
use crate::source::page::scripts::{Extra, wait_arguments};
use crate::source::page::wait::{MAX_SILENCE, SOCKET_SLICE_GRACE};

/// Longest time for the answer of a driver that is asked whether it is still there.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

impl Tab {
    /// Runs one slice. If it fails, a look by WebDriver says why.
    pub(super) async fn wait_by_socket(
        &self,
        socket: &Socket,
        known: &Envelope,
        length: Duration,
    ) -> Result<Envelope, LookError> {
        let (client, _, scripts, booted) = self.start_command();
        let slice = pin!(socket.run_async(
            &scripts.wait(self.kind(), booted.as_deref()),
            &wait_arguments(known, length),
        ));
        // Without its driver a page could not be looked at.
        let driver_gone = pin!(async {
            if let Ok(Ok(_)) | Err(_) = timeout(ANSWER_TIMEOUT, client.window()).await {
                pending::<()>().await;
            }
        });
        let end = timeout(length + SOCKET_SLICE_GRACE, select(slice, driver_gone)).await;
        match end {
            Ok(Either::Left((Ok(answer), _))) if !answer.is_null() => {
                self.envelope(answer, &scripts)
            }
            Ok(_) => self.read(Extra::None).await,
            Err(_) => {
                // As for slices of WebDriver: the page's timers do not run.
                if !known.is_hidden {
                    self.state().record.avoid_slices();
                }
                self.read(Extra::None).await
            }
        }
    }

    /// Waits for the result of this slice, at most until this moment. Returns `None` if there is none by then, or if the
    /// page stops answering.
    pub(super) async fn watch(
        &self,
        socket: &Socket,
        slice: &Command,
        until: Instant,
    ) -> Option<CommandResult> {
        loop {
            let silent_at = self.state().record.answered_at + MAX_SILENCE;
            let result = timeout_at(until.min(silent_at), slice.clone().result()).await;
            if let Ok(result) = result {
                return Some(result);
            }
            if Instant::now() >= until || !socket.answers().await {
                return None;
            }
            self.state().record.answered_at = Instant::now();
        }
    }
}
