//! [`QrAnswer`]: the page's answer when it is asked for its QR code.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::decision::Observation;
use crate::source::PageState;

/// Longest text of a QR code, in bytes.
const MAX_TEXT: usize = 4096;

/// The answer of `look.js`, unread: an error of its deserialisation would quote the payload.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct QrAnswer(Value);

/// The QR code of a page at one look.
#[derive(PartialEq, Eq)]
pub(crate) enum Shown {
    /// It shows none.
    Nothing,
    /// It is expired.
    Expired,
    /// Its text.
    Text(String),
    /// The data of its canvas, in the page's words a data URL.
    Picture(String),
    /// It shows one, and gives neither text nor picture.
    Unreadable,
}

impl QrAnswer {
    /// Judges the answer beside the rest of the same look. Only a page without an account has a QR code.
    pub(crate) fn judge(self, seen: &Observation) -> Shown {
        let flag = |name: &str| self.0.get(name).and_then(Value::as_bool) == Some(true);
        match seen.page_state() {
            Some(PageState::QrExpired) => return Shown::Expired,
            Some(PageState::QrShown) if !flag("isShown") => return Shown::Nothing,
            Some(PageState::QrShown) if flag("hasButton") => return Shown::Expired,
            Some(PageState::QrShown) => {}
            _ => return Shown::Nothing,
        }
        let text = |name: &str| self.0.get(name).and_then(Value::as_str);
        let code = text("text").filter(|code| (1..=MAX_TEXT).contains(&code.len()));
        match (code, text("picture")) {
            (Some(code), _) => Shown::Text(code.to_owned()),
            (None, Some(picture)) => Shown::Picture(picture.to_owned()),
            (None, None) => Shown::Unreadable,
        }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Expired => "Expired",
            Self::Text(_) => "Text",
            Self::Picture(_) => "Picture",
            Self::Unreadable => "Unreadable",
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

    /// Judges the answer on a page whose socket is in this state.
    fn judged(state: &str, registered: bool, qr: Value) -> Shown {
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
            "qr": qr,
        });
        let mut envelope: Envelope = serde_json::from_value(envelope).unwrap();
        let answer = envelope.qr.take().unwrap();
        answer.judge(&Observation::new(envelope, &mut History::default()))
    }

    fn text() -> Shown {
        Shown::Text(CODE.to_owned())
    }

    #[test]
    fn the_text_goes_before_the_picture_and_only_while_the_page_can_be_linked() {
        let both = json!({"isShown": true, "text": CODE, "picture": "data:"});
        assert_eq!(judged("UNPAIRED", false, both.clone()), text());
        assert_eq!(judged("UNPAIRED_IDLE", false, both.clone()), Shown::Expired);
        assert_eq!(judged("CONNECTED", true, both.clone()), Shown::Nothing);
        assert_eq!(judged("CONFLICT", true, both), Shown::Nothing);
        let picture = json!({"isShown": true, "text": null, "picture": "data:"});
        let expected = Shown::Picture("data:".to_owned());
        assert_eq!(judged("UNPAIRED", false, picture), expected);
        let button = json!({"isShown": true, "hasButton": true, "text": CODE});
        assert_eq!(judged("UNPAIRED", false, button), Shown::Expired);
        let none = json!({"isShown": false});
        assert_eq!(judged("UNPAIRED", false, none), Shown::Nothing);
    }

    #[test]
    fn an_answer_of_any_form_is_bounded_and_never_quoted() {
        for hostile in [
            json!({"isShown": true, "text": "2@".repeat(MAX_TEXT)}),
            json!({"isShown": true, "text": ""}),
            json!({"isShown": true, "text": {"length": CODE}, "picture": [CODE]}),
        ] {
            assert_eq!(judged("UNPAIRED", false, hostile), Shown::Unreadable);
        }
        for hostile in [json!(CODE), json!([CODE]), json!({"isShown": CODE})] {
            assert_eq!(judged("UNPAIRED", false, hostile), Shown::Nothing);
        }
        assert!(!format!("{:?}", text()).contains("secret"));
    }
}
