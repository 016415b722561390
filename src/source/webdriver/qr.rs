//! [`Page::qr`]: the QR code of a page that has no account.

use serde_json::json;

use super::evaluate::devtools;
use super::page::Page;
use super::tab::Tab;
use crate::failure::ProtocolFailure;
use crate::link::QrCode;
use crate::source::page::command::CommandResult;
use crate::source::page::qr::{Area, Shown};
use crate::source::page::scripts::Extra;
use crate::source::page::wait;

impl Page {
    /// Returns the QR code that the page shows now. `None`: the page shows none, since it is linked,
    /// blocked or still loading. Takes at most 5 seconds, and starts nothing on the page.
    ///
    /// | the page shows | the code |
    /// |---|---|
    /// | the text of a code (`data-ref`) | this text, of at most 4096 bytes |
    /// | a canvas without that text | a [picture](QrCode::is_picture) of at most 48 KiB: the canvas's data |
    /// | a code that no script can read | on a page that this crate opened, a picture: a screenshot of its place; elsewhere [`QrCode::unknown`] |
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
        wait::qr(self).await
    }
}

impl Tab {
    /// Looks once, with the QR code.
    pub(super) async fn read_qr(&self) -> CommandResult<Option<QrCode>> {
        let mut outcome = self.read(Extra::Qr).await;
        let answer = outcome.as_mut().ok();
        let answer = answer.and_then(|envelope| envelope.qr.take());
        let observation = self.observe(outcome)?;
        let known = match answer.map(|answer| answer.interpret(&observation)) {
            None | Some(Shown::Nothing) => return Ok(None),
            Some(Shown::Expired) => return Ok(Some(QrCode::expired())),
            Some(Shown::Payload(payload)) => self.state().record.known_qr(payload),
            Some(Shown::Unreadable(area)) => self.screenshot(area).await,
        };
        Ok(Some(known.unwrap_or_else(QrCode::unknown)))
    }

    /// Takes a screenshot of this part of the page, if this crate opened it.
    async fn screenshot(&self, area: Option<Area>) -> Option<QrCode> {
        let area = area.filter(|_| self.is_opened())?;
        let clip = json!({
            "x": area.x, "y": area.y, "width": area.width, "height": area.height, "scale": 1,
        });
        let params = json!({ "format": "png", "clip": clip });
        let answer = devtools(&self.client(), "Page.captureScreenshot", &params).await;
        let answer = answer.ok()?;
        let url = format!("data:image/png;base64,{}", answer.get("data")?.as_str()?);
        QrCode::is_png_url(&url).then(|| self.state().record.known_qr(url))?
    }
}
