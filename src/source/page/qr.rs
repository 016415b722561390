//! [`QrAnswer`]: the page's answer when it is asked for its QR code.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::decision::Observation;
use crate::link::QrCode;
use crate::source::PageState;

/// Longest text of a QR code, in bytes.
const MAX_TEXT: usize = 4096;

/// Largest width and height of a screenshot, in CSS pixels.
const MAX_SIDE: f64 = 1024.0;

/// Largest distance of a screenshot from the upper left corner, in CSS pixels.
const MAX_PLACE: f64 = 1e6;

/// The answer of `look.js`, unread: an error of its deserialisation would quote the payload.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct QrAnswer(Value);

/// The QR code of a page at one look.
#[derive(PartialEq)]
pub(crate) enum Shown {
    /// It shows none.
    Nothing,
    /// It is expired.
    Expired,
    /// Its text, or the data of its canvas: a PNG as a data URL.
    Payload(String),
    /// It shows one in this place, and gives neither text nor picture.
    Unreadable(Option<Area>),
}

/// A part of the page, in CSS pixels from the upper left corner of its document.
#[derive(PartialEq)]
pub(crate) struct Area {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Area {
    /// Reads an area, unless it is too large for a QR code.
    fn read(value: &Value) -> Option<Self> {
        let within = |name: &str, min: f64, max: f64| {
            let number = value.get(name)?.as_f64()?;
            (min..=max).contains(&number).then_some(number)
        };
        Some(Self {
            x: within("x", 0.0, MAX_PLACE)?,
            y: within("y", 0.0, MAX_PLACE)?,
            width: within("width", 1.0, MAX_SIDE)?,
            height: within("height", 1.0, MAX_SIDE)?,
        })
    }
}

impl QrAnswer {
    /// Interprets the answer by the rest of the same look. Only a page without an account has a QR code.
    pub(crate) fn interpret(self, observation: &Observation) -> Shown {
        let flag = |name: &str| self.0.get(name).and_then(Value::as_bool) == Some(true);
        // The button only counts if the socket does not say that the code is valid.
        let is_valid = observation.envelope().state() == Some("UNPAIRED");
        match observation.page_state() {
            Some(PageState::QrExpired) => return Shown::Expired,
            Some(PageState::QrShown) if !flag("isShown") => return Shown::Nothing,
            Some(PageState::QrShown) if flag("hasButton") && !is_valid => return Shown::Expired,
            Some(PageState::QrShown) => {}
            _ => return Shown::Nothing,
        }
        let text = |name: &str| self.0.get(name).and_then(Value::as_str);
        let code = text("text").filter(|code| (1..=MAX_TEXT).contains(&code.len()));
        let picture = || text("picture").filter(|url| QrCode::is_png_url(url));
        match code.or_else(picture) {
            Some(payload) => Shown::Payload(payload.to_owned()),
            None => Shown::Unreadable(self.0.get("area").and_then(Area::read)),
        }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Expired => "Expired",
            Self::Payload(_) => "Payload",
            Self::Unreadable(_) => "Unreadable",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::envelope::Envelope;
    use super::super::history::History;
    use super::*;

    const CODE: &str = "2@secret";
    const PICTURE: &str = "data:image/png;base64,iVBORw0KGgo=";

    /// Interprets the answer on a page whose socket is in this state.
    #[allow(clippy::needless_pass_by_value)] // for short calls
    fn interpreted(state: &str, registered: bool, qr: Value) -> Shown {
        let me = json!({"number": {"jid": "628110000041@c.us"}});
        let envelope = json!({
            "origin": "https://web.whatsapp.com",
            "document": "1.5",
            "rows": if registered { json!({"0": me}) } else { json!({}) },
            "socket": {"state": state, "synced": registered.then_some(true)},
            "registered": registered,
            "storage": {"noise": registered, "me": registered},
            "isCurrent": true,
            "isBooted": true,
            "isLoaded": true,
            "hasQrCode": !registered,
            "qr": qr,
        });
        let mut envelope: Envelope = serde_json::from_value(envelope).unwrap();
        let answer = envelope.qr.take().unwrap();
        answer.interpret(&Observation::new(envelope, &mut History::default()))
    }

    fn payload(payload: &str) -> Shown {
        Shown::Payload(payload.to_owned())
    }

    #[test]
    fn the_text_goes_before_the_picture_and_only_while_the_page_can_be_linked() {
        let both = json!({"isShown": true, "text": CODE, "picture": PICTURE});
        assert_eq!(interpreted("UNPAIRED", false, both.clone()), payload(CODE));
        assert_eq!(
            interpreted("UNPAIRED_IDLE", false, both.clone()),
            Shown::Expired
        );
        assert_eq!(interpreted("CONNECTED", true, both.clone()), Shown::Nothing);
        assert_eq!(interpreted("CONFLICT", true, both), Shown::Nothing);
        let picture = json!({"isShown": true, "text": null, "picture": PICTURE});
        assert_eq!(interpreted("UNPAIRED", false, picture), payload(PICTURE));
        let button = json!({"isShown": true, "hasButton": true, "text": CODE});
        assert_eq!(
            interpreted("UNPAIRED", false, button.clone()),
            payload(CODE)
        );
        assert_eq!(interpreted("RENAMED", false, button), Shown::Expired);
        let none = json!({"isShown": false});
        assert_eq!(interpreted("UNPAIRED", false, none), Shown::Nothing);
    }

    #[test]
    fn an_answer_of_any_form_is_bounded_and_never_quoted() {
        for hostile in [
            json!({"isShown": true, "text": "2@".repeat(MAX_TEXT)}),
            json!({"isShown": true, "text": ""}),
            json!({"isShown": true, "picture": "javascript:alert(1)"}),
            json!({"isShown": true, "text": {"length": CODE}, "picture": [CODE]}),
        ] {
            assert_eq!(
                interpreted("UNPAIRED", false, hostile),
                Shown::Unreadable(None)
            );
        }
        for hostile in [json!(CODE), json!([CODE]), json!({"isShown": CODE})] {
            assert_eq!(interpreted("UNPAIRED", false, hostile), Shown::Nothing);
        }
        let area = json!({"x": 0, "y": 8.5, "width": 264, "height": 264});
        assert!(Area::read(&area).is_some());
        for (name, wrong) in [
            ("width", json!(0)),
            ("height", json!(1025)),
            ("x", json!(-1)),
            ("y", json!("8")),
            ("y", Value::Null),
        ] {
            let mut area = area.clone();
            area[name] = wrong;
            assert!(Area::read(&area).is_none(), "{area}");
        }
        assert!(!format!("{:?}", payload(CODE)).contains("secret"));
    }
}
