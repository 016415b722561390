//! [`Identity`]: the account of a page, and its [`Assurance`].

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::jid::Jid;
use crate::phone::PhoneNumber;
use crate::text::stable_names;

/// The evidence that a page offers for its number. Ordered: more is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Assurance {
    /// The link is not verified: the phone has only just accepted the QR code, the server has not accepted
    /// the login yet, or the page is not connected. Earlier than [`Confirmed`](Self::Confirmed), and it may
    /// still be taken back.
    Provisional,
    /// The page lacks some evidence: it is an old generation of WhatsApp Web, or WhatsApp has renamed
    /// something, and the page has stayed unchanged for long enough.
    Unverified,
    /// The page is registered, connected and synced.
    Confirmed,
}

stable_names!(Assurance, "an assurance", as_str {
    Provisional = "provisional",
    Unverified = "unverified",
    Confirmed = "confirmed",
});

/// The account that a page shows.
///
/// `Debug` masks number and JIDs and leaves out the push name.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The phone number, verbatim. `None` when only the LID is known.
    pub phone: Option<PhoneNumber>,
    /// The JID that the number was read from.
    pub jid: Option<Jid>,
    /// The LID, if the page knows it.
    pub lid: Option<Jid>,
    /// The name that the account shows to others.
    pub push_name: Option<String>,
    /// The phone's platform, as WhatsApp names it: `android`, `iphone`, `smba`, ...
    pub platform: Option<String>,
    /// The evidence that the page offers.
    pub assurance: Assurance,
    /// Set if time alone will raise the assurance: the page lacks some evidence, and is believed without
    /// it after it has stayed unchanged for long enough.
    pub pending: Option<Pending>,
    /// The expression that gave the answer, for instance `Store.Conn.me`.
    pub reader: Cow<'static, str>,
}

/// The reason for which the assurance of an [`Identity`] will rise with time alone, and the time left.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// The evidence that is missing.
    pub reason: Cow<'static, str>,
    /// The time for which the page still has to stay unchanged.
    pub left: Duration,
    /// The assurance that follows.
    pub assurance: Assurance,
}

impl Pending {
    /// Creates one: `reason` is missing, and is made up for by this assurance after `left` more without a
    /// change.
    #[must_use]
    pub fn new(reason: impl Into<Cow<'static, str>>, left: Duration, assurance: Assurance) -> Self {
        Self {
            reason: reason.into(),
            left,
            assurance,
        }
    }
}

impl Identity {
    /// Makes an identity from its JID: a person's JID gives the number, a LID only itself.
    ///
    /// ```
    /// use whatsapp_phone::source::{Assurance, Identity};
    ///
    /// let me = Identity::new("628110000041:12@c.us".parse()?, Assurance::Confirmed, "Store.Conn.me");
    /// assert_eq!(me.phone.unwrap().reveal(), "628110000041");
    /// # Ok::<(), whatsapp_phone::jid::JidError>(())
    /// ```
    #[must_use]
    pub fn new(jid: Jid, assurance: Assurance, reader: impl Into<Cow<'static, str>>) -> Self {
        let is_lid = jid.server().has_lids();
        Self {
            phone: jid.phone_number().ok(),
            lid: is_lid.then(|| jid.clone()),
            jid: (!is_lid).then_some(jid),
            push_name: None,
            platform: None,
            assurance,
            pending: None,
            reader: reader.into(),
        }
    }

    /// Adds the account's LID. A JID that is no LID is ignored.
    #[must_use]
    pub fn with_lid(mut self, lid: Jid) -> Self {
        if lid.server().has_lids() {
            self.lid = Some(lid);
        }
        self
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("phone", &self.phone)
            .field("jid", &self.jid)
            .field("lid", &self.lid)
            .field("platform", &self.platform)
            .field("assurance", &self.assurance)
            .field("pending", &self.pending)
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assurances_are_ordered_and_named() {
        assert!(Assurance::Provisional < Assurance::Unverified);
        assert!(Assurance::Unverified < Assurance::Confirmed);
        assert_eq!("confirmed".parse(), Ok(Assurance::Confirmed));
        assert!("sure".parse::<Assurance>().is_err());
        let json = serde_json::json!(Assurance::Unverified).to_string();
        assert_eq!(json, "\"unverified\"");
        let read = serde_json::from_str::<Assurance>;
        assert_eq!(read(&json).unwrap(), Assurance::Unverified);
        for wrong in ["\"628110000041\"", "628110000041", "{\"628110000041\":1}"] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(!error.contains("62"), "{error}");
        }
    }
}
