//! [`Logout`]: how an account leaves the page, step by step.

use std::time::Duration;

use serde::Serialize;

/// One step of a logout, in the real order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogoutStep {
    /// `post-logout` is `1`: only if the server refused the login.
    Marked,
    /// The noise key and the salt are removed.
    KeysRemoved,
    /// The network step is over.
    NetworkDone,
    /// `Socket.hasSynced` is `undefined`.
    SyncUnset,
    /// The number is removed from getters and storage; the LID stays in both.
    NumberRemoved,
    /// `localStorage` is cleared, a `post-logout` mark with it, and preserved keys that were never set
    /// hold the text `null`. The LID's getter still answers.
    StorageCleared,
    /// The databases are destroyed; if that failed, `post-logout` is `1`. Only the navigation is left.
    DatabasesDestroyed,
}

impl LogoutStep {
    /// All of them, in their order.
    pub const ALL: &'static [Self] = &[
        Self::Marked,
        Self::KeysRemoved,
        Self::NetworkDone,
        Self::SyncUnset,
        Self::NumberRemoved,
        Self::StorageCleared,
        Self::DatabasesDestroyed,
    ];
}

/// How long a logout stops, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
struct Hold {
    /// The last step before the stop.
    after: LogoutStep,
    /// `None` is for ever.
    length: Option<Duration>,
}

/// A logout. The default one is the user's own: without an error, with a network step of 200 ms, and
/// the page stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Logout {
    refused: bool,
    with_error: bool,
    network: Duration,
    navigation: Option<Duration>,
    hold: Option<Hold>,
}

impl Default for Logout {
    fn default() -> Self {
        Self {
            refused: false,
            with_error: false,
            network: Duration::from_millis(200),
            navigation: None,
            hold: None,
        }
    }
}

impl Logout {
    /// Returns the logout of an account that the server refuses (401, `device_removed`): `post-logout` comes
    /// 100 ms before the rest.
    #[must_use]
    pub fn refused() -> Self {
        Self {
            refused: true,
            ..Self::default()
        }
    }

    /// Lets the destruction of the databases fail, which leaves the `post-logout` mark.
    #[must_use]
    pub const fn with_error(mut self) -> Self {
        self.with_error = true;
        self
    }

    /// Sets the length of the network step; up to 3 s on the real page. Default: 200 ms.
    #[must_use]
    pub const fn with_network(mut self, network: Duration) -> Self {
        self.network = network;
        self
    }

    /// Reloads the page this long after all else, which begins the next load. Default: never.
    #[must_use]
    pub const fn with_navigation(mut self, after: Duration) -> Self {
        self.navigation = Some(after);
        self
    }

    /// Stops for ever after this step.
    #[must_use]
    pub const fn stops_after(mut self, step: LogoutStep) -> Self {
        self.hold = Some(Hold {
            after: step,
            length: None,
        });
        self
    }

    /// Stops for this long after this step.
    #[must_use]
    pub const fn pauses_after(mut self, step: LogoutStep, length: Duration) -> Self {
        self.hold = Some(Hold {
            after: step,
            length: Some(length),
        });
        self
    }
}
