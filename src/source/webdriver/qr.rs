//! [`Page::qr`]: the QR code of a page that has no account.

use std::sync::Arc;
use std::time::Duration;

use fantoccini::Locator;
use fantoccini::wd::WebDriverCompatibleCommand;
use http::Method;
use tokio::time::timeout;
use url::{ParseError, Url};

use super::command::{Answer, Command};
use super::error::LookError;
use super::page::Page;
use super::tab::Tab;
use crate::failure::ProtocolFailure;
use crate::link::QrCode;
use crate::source::PageState;
use crate::source::page::qr::Shown;
use crate::source::page::scripts::Extra;

/// Longest time that a call takes.
const QR_TIMEOUT: Duration = Duration::from_secs(5);

/// The elements of a screenshot: the one around the canvas, else the canvas.
const ELEMENTS: [&str; 2] = [
    r#"[data-ref], [data-testid="link-device-qr-code"]"#,
    "canvas",
];

impl Page {
    /// Returns the QR code that the page shows now. `None`: the page shows none, since it is linked,
    /// blocked or still loading. Takes at most 5 seconds, and starts nothing on the page.
    ///
    /// | the page shows | the code |
    /// |---|---|
    /// | the text of a code (`data-ref`) | this text, of at most 4096 bytes |
    /// | a canvas without that text | a [picture](QrCode::is_picture) of at most 48 KiB: the canvas's data |
    /// | a code that no script can read | on a page that we opened, a picture: a screenshot of the element; elsewhere [`QrCode::unknown`] |
    /// | an expired code | [`QrCode::expired`]: the page shows a new one only after a click or a reload |
    ///
    /// The page renews its code every 20 to 60 seconds, so look again, for instance once a second, and show
    /// the code when it is no longer the [same](QrCode::is_same_code).
    /// [`QrCode::time_left`] counts from the first look that saw the code. Text and picture are the page's
    /// own, which may be hostile: draw the text as a QR code, and do not put it into markup.
    ///
    /// # Errors
    ///
    /// If the page cannot be read: as a look.
    pub async fn qr(&self) -> Result<Option<QrCode>, ProtocolFailure> {
        let read = async {
            // Other callers may share this look, and it gives up a command that is stuck.
            match self.look().await?.page_state() {
                Some(PageState::QrShown) => {}
                Some(PageState::QrExpired) => return Ok(Some(QrCode::expired())),
                _ => return Ok(None),
            }
            let tab = Arc::clone(self.tab());
            let read = Command::start(Duration::ZERO, async move { tab.read_qr().await });
            read.answer().await
        };
        let read = timeout(QR_TIMEOUT, read).await;
        read.unwrap_or_else(|_| Err(LookError::timeout().failure))
    }
}

impl Tab {
    /// One look, with the QR code.
    async fn read_qr(&self) -> Answer<Option<QrCode>> {
        let mut outcome = self.read(Extra::Qr).await;
        let answer = outcome.as_mut().ok();
        let answer = answer.and_then(|envelope| envelope.qr.take());
        let seen = self.observe(outcome)?;
        let known = match answer.map(|answer| answer.judge(&seen)) {
            None | Some(Shown::Nothing) => return Ok(None),
            Some(Shown::Expired) => return Ok(Some(QrCode::expired())),
            Some(Shown::Text(text)) => self.known_qr(text),
            Some(Shown::Picture(url)) => self.known_qr(url).filter(QrCode::is_picture),
            Some(Shown::Unreadable) => None,
        };
        if known.is_some() || !self.is_opened() {
            return Ok(Some(known.unwrap_or_else(QrCode::unknown)));
        }
        let screenshot = self.screenshot().await;
        let known = screenshot.and_then(|url| self.known_qr(url));
        let known = known.filter(QrCode::is_picture);
        Ok(Some(known.unwrap_or_else(QrCode::unknown)))
    }

    /// Returns the code with this payload as it was first seen, whose time goes on.
    fn known_qr(&self, payload: String) -> Option<QrCode> {
        let mut state = self.state();
        let known = state.qr.take();
        let known = known.filter(|known| known.reveal().as_ref() == Some(&payload));
        state.qr = known.or_else(|| QrCode::new(payload).ok());
        state.qr.clone()
    }

    /// Returns a picture of the code's element as a data URL.
    async fn screenshot(&self) -> Option<String> {
        let client = self.client();
        for element in ELEMENTS {
            let Ok(element) = client.find(Locator::Css(element)).await else {
                continue;
            };
            let screenshot = Screenshot(element.element_id().to_string());
            let png = client.issue_cmd(screenshot).await.ok()?;
            return Some(format!("data:image/png;base64,{}", png.as_str()?));
        }
        None
    }
}

/// A screenshot of this element, as base64: fantoccini's own command decodes it.
#[derive(Debug)]
struct Screenshot(String);

impl WebDriverCompatibleCommand for Screenshot {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/element/{}/screenshot", self.0))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::GET, None)
    }
}
