//! [`PageState`]: what a page showed while it gave no number.

use crate::text::stable_names;

/// The state of a page that gave no number, or none that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PageState {
    /// No account is linked, and the page shows its QR code.
    QrShown,
    /// No account is linked, and the QR code has expired.
    QrExpired,
    /// The page has an account and is connecting to WhatsApp.
    Linking,
    /// The page shows an account that WhatsApp has not confirmed yet, for instance during the first sync.
    Provisional,
    /// The account is open in another window.
    Conflict,
    /// The connection to WhatsApp is blocked.
    ProxyBlock,
    /// The account is blocked by WhatsApp.
    TosBlock,
    /// The document has loaded, but WhatsApp Web has not started in it.
    NotBooted,
    /// The tab is at another origin, or its document is still loading.
    NotLoaded,
    /// The browser could not load the page.
    Network,
    /// The page can be read, and gives no evidence for any other state.
    Unknown,
}

impl PageState {
    /// Returns what the page shows and what to do, in one sentence. It advises to wait only if more time
    /// can help.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::QrShown => "the page shows a QR code; scan it with the phone",
            Self::QrExpired => {
                "the page's QR code has expired; reload the page and scan the new one"
            }
            Self::Linking => {
                "the page is connecting to WhatsApp; allow more time, or check the browser's network"
            }
            Self::Provisional => {
                "WhatsApp has not confirmed the page's account yet, for instance during the first sync; allow more time"
            }
            Self::Conflict => {
                "the account is open in another window; close that one, or choose \"Use here\" on this page"
            }
            Self::ProxyBlock => {
                "the connection to WhatsApp is blocked; check the browser's proxy and network"
            }
            Self::TosBlock => {
                "WhatsApp has blocked the account; open WhatsApp on the phone to see why"
            }
            Self::NotBooted => {
                "WhatsApp Web has not started on the page; allow more time, or reload the page"
            }
            Self::NotLoaded => {
                "the page is still loading, or the tab is at another origin; allow more time, or check the tab's URL"
            }
            Self::Network => {
                "the browser could not load the page; check its network and proxy, and reload the page"
            }
            Self::Unknown => {
                "the page shows no known reason; look at it, and diagnose it: WhatsApp may have renamed something"
            }
        }
    }
}

stable_names!(PageState, "a state of a page", as_str {
    QrShown = "qr_shown",
    QrExpired = "qr_expired",
    Linking = "linking",
    Provisional = "provisional",
    Conflict = "conflict",
    ProxyBlock = "proxy_block",
    TosBlock = "tos_block",
    NotBooted = "not_booted",
    NotLoaded = "not_loaded",
    Network = "network",
    Unknown = "unknown",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_own_name_and_advises_more_time_only_if_that_can_help() {
        let passing = [
            PageState::Linking,
            PageState::Provisional,
            PageState::NotBooted,
            PageState::NotLoaded,
        ];
        for (i, state) in PageState::ALL.iter().enumerate() {
            let is_new = |other: &PageState| other.as_str() != state.as_str();
            assert!(PageState::ALL[..i].iter().all(is_new), "{state}");
            assert_eq!(
                state.advice().contains("allow more time"),
                passing.contains(state),
                "{state}"
            );
            assert_eq!(serde_json::json!(state), state.to_string());
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
    }
}
