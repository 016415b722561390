//! How far a session is linked to a phone, read from its page: [`LinkSource`].
//!
//! | driver | looks at | feature |
//! |---|---|---|
//! | `source::webdriver::WebDriverSource` | a WhatsApp Web page in a browser, through all its readers | `webdriver` |

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::failure::ProtocolFailure;

/// How far a session is linked to a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LinkState {
    /// The page gives no evidence: it is loading or has not started, or it is too old to have a model
    /// of its connection and to mark a logout in its storage.
    Unknown,
    /// No account is linked; the page shows a QR code, or is about to.
    Unlinked,
    /// No account is linked, and the QR code has expired: the page shows a new one only after a click
    /// or a reload. The `Socket` is `UNPAIRED_IDLE`.
    QrExpired,
    /// The phone has accepted the code, or the page reconnects with its account.
    Linking,
    /// The page is connected with its account.
    Linked,
    /// WhatsApp has stopped this page: the account is open elsewhere, or blocked.
    Barred(Bar),
}

/// Why WhatsApp has stopped a page, by the state of its `Socket`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bar {
    /// `CONFLICT`: the account is open in another window.
    Conflict,
    /// `PROXYBLOCK`: the connection to WhatsApp is blocked.
    ProxyBlock,
    /// `TOS_BLOCK`, `SMB_TOS_BLOCK`: the account is blocked.
    TosBlock,
}

impl LinkState {
    /// Returns the stable name, as in logs and in the reason of a disconnect.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Unlinked => "unlinked",
            Self::QrExpired => "qr_expired",
            Self::Linking => "linking",
            Self::Linked => "linked",
            Self::Barred(Bar::Conflict) => "conflict",
            Self::Barred(Bar::ProxyBlock) => "proxy_block",
            Self::Barred(Bar::TosBlock) => "tos_block",
        }
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads whether a session is linked.
///
/// # Contract
///
/// Each call is one look, as [`InfoSource::probe`](crate::source::InfoSource::probe):
///
/// - It is **cancel-safe**: the future may be dropped at any point, and the source is then ready for
///   the next look.
/// - It neither blocks the thread nor retries on its own, and it ends.
/// - It reports the present state of the session, not that of an earlier look.
/// - A page without evidence is [`LinkState::Unknown`], never an error. An error means that the look
///   itself failed; it is never reported as a state. If the page or browser is gone for good, the
///   error's text or code is one that
///   [`ProtocolErrorClassifier`](crate::classify::ProtocolErrorClassifier) classifies as `page_closed`
///   or `browser_gone`; the caller recognises the end by that.
/// - Several callers may use the same source at once.
///
/// `testkit::contract::link` tests any source against these rules (feature `testkit`).
#[async_trait]
pub trait LinkSource: Send + Sync {
    /// Looks once.
    ///
    /// # Errors
    ///
    /// If the look itself failed.
    async fn link(&self) -> Result<LinkState, ProtocolFailure>;
}

macro_rules! forward {
    ($($owner:ty),*) => {$(
        #[async_trait]
        impl<S: LinkSource + ?Sized> LinkSource for $owner {
            async fn link(&self) -> Result<LinkState, ProtocolFailure> {
                (**self).link().await
            }
        }
    )*};
}

forward!(Arc<S>, Box<S>, &S);
