//! Whether a session is linked to a phone, and its QR code: [`LinkSource`].
//!
//! | driver | looks at | feature |
//! |---|---|---|
//! | [`mock::MockLink`] | a script, for tests; records its calls | |
//! | `source::cdp::CdpSource` | a WhatsApp Web page of a running Chrome, through all its readers | `cdp` |
//! | `source::webdriver::WebDriverSource` | a WhatsApp Web page in a browser, through all its readers | `webdriver` |

pub mod mock;
mod qr;

use std::sync::Arc;

use async_trait::async_trait;

pub use self::qr::{QrCode, QrCodeError};
use crate::failure::ProtocolFailure;
use crate::text::stable_names;

/// Whether a session is linked to a phone. The reason of a disconnect is its stable name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Bar {
    /// `CONFLICT`: the account is open in another window.
    Conflict,
    /// `PROXYBLOCK`: the connection to WhatsApp is blocked.
    ProxyBlock,
    /// `TOS_BLOCK`, `SMB_TOS_BLOCK`: the account is blocked.
    TosBlock,
}

stable_names!(LinkState, "a state of a link", as_str {
    Unknown = "unknown",
    Unlinked = "unlinked",
    QrExpired = "qr_expired",
    Linking = "linking",
    Linked = "linked",
    Barred(Bar::Conflict) = "conflict",
    Barred(Bar::ProxyBlock) = "proxy_block",
    Barred(Bar::TosBlock) = "tos_block",
});

/// Reads whether a session is linked, and the QR code by which it can be.
///
/// # Contract
///
/// Each call of either function is one look, as [`InfoSource::probe`](crate::source::InfoSource::probe):
///
/// - It is **cancel-safe**: the future may be dropped at any point, and the source is then ready for
///   the next look.
/// - It neither blocks the thread nor retries on its own, and it ends.
/// - It reports the present state of the session, not that of an earlier look.
/// - A page without evidence is [`LinkState::Unknown`], never an error; a page without a QR code has
///   none, which is no error either. An error means that the look
///   itself failed; it is never reported as a state. If the page or browser is gone for good, the
///   error's text or code is one that
///   [`ProtocolErrorClassifier`](crate::classify::ProtocolErrorClassifier) classifies as `page_closed`
///   or `browser_gone`; the caller recognises the end by that.
/// - Several callers may use the same source at once.
/// - If it names the [`document`](Self::document), the name stays until the page is reloaded, and the first
///   look that succeeds after a reload changes it.
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

    /// Looks once for the page's QR code. `None`: the page shows none, since it is linked or blocked, or
    /// has not got that far. An [expired](QrCode::is_expired) code has no payload, and an
    /// [unknown](QrCode::unknown) one is shown but cannot be read. Until the page renews its code, each
    /// look returns the [same](QrCode::is_same_code) one, for at most 60 seconds.
    ///
    /// Default: `None`, for a source that cannot read QR codes.
    ///
    /// # Errors
    ///
    /// If the look itself failed.
    async fn qr(&self) -> Result<Option<QrCode>, ProtocolFailure> {
        Ok(None)
    }

    /// Returns an identifier of the document that the latest successful look has seen: another one after a
    /// reload. `None`, as by default: unknown, or no look has succeeded yet.
    fn document(&self) -> Option<String> {
        None
    }
}

macro_rules! forward {
    ($($owner:ty),*) => {$(
        #[async_trait]
        impl<S: LinkSource + ?Sized> LinkSource for $owner {
            async fn link(&self) -> Result<LinkState, ProtocolFailure> {
                (**self).link().await
            }

            async fn qr(&self) -> Result<Option<QrCode>, ProtocolFailure> {
                (**self).qr().await
            }

            fn document(&self) -> Option<String> {
                (**self).document()
            }
        }
    )*};
}

forward!(Arc<S>, Box<S>, &S);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_barred_is_read_by_the_name_of_the_reason() {
        let blocked = LinkState::Barred(Bar::TosBlock);
        assert_eq!("tos_block".parse(), Ok(blocked));
        assert_eq!(blocked.to_string(), "tos_block");
        assert_eq!(LinkState::ALL.len(), 8);
    }
}
