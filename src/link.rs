//! Whether a session is linked at all, as its page shows it: [`LinkSource`].
//!
//! | driver | looks at | feature |
//! |---|---|---|
//! | `source::webdriver::WebDriverSource` | a WhatsApp Web page in a browser, by all its readers | `webdriver` |

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::failure::ProtocolFailure;

/// How far a session is linked to a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LinkState {
    /// The page does not tell: it is loading, or too old to have a model of its connection and to
    /// mark a logout in its storage.
    Unknown,
    /// Nobody is linked; the page shows a QR code, or is about to.
    Unlinked,
    /// Nobody is linked, and the page has stopped renewing its QR code.
    QrExpired,
    /// The phone has accepted the code, or the page reconnects with its account.
    Linking,
    /// The page is connected with its account.
    Linked,
    /// WhatsApp has taken this page off: the account is open elsewhere, or barred.
    Barred(Bar),
}

/// Why a page does not work, by the state of its `Socket`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bar {
    /// `CONFLICT`: the account is open in another window.
    Conflict,
    /// `PROXYBLOCK`: the way to WhatsApp is barred.
    ProxyBlock,
    /// `TOS_BLOCK`, `SMB_TOS_BLOCK`: the account is barred.
    TosBlock,
}

impl LinkState {
    /// The stable name, as in logs and in the reason of a disconnect.
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

/// Something that can tell whether a session is linked.
///
/// # Contract
///
/// One look, as [`InfoSource::probe`](crate::source::InfoSource::probe):
///
/// - It is **cancel-safe**: the future may be dropped at any point, and the source is then ready for
///   the next look.
/// - It neither blocks the thread nor retries on its own, and it ends.
/// - It tells what the session is now, not what it was at an earlier look.
/// - What cannot be told is [`LinkState::Unknown`], never an error. An error means that the look itself
///   did not work, and is never told as a state. Of a page or browser that is gone for good it says so,
///   in words or a code that
///   [`ProtocolErrorClassifier`](crate::classify::ProtocolErrorClassifier) reads as `page_closed` or
///   `browser_gone`: that is how who watches knows the end.
/// - The same source may be asked by several at once.
///
/// `testkit::contract::link` holds any source to these rules (feature `testkit`).
#[async_trait]
pub trait LinkSource: Send + Sync {
    /// One look.
    ///
    /// # Errors
    ///
    /// When the look itself did not work.
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
