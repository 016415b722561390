//! [`Name`]: what WhatsApp may rename without notice.

use serde::Serialize;

macro_rules! names {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// A name of WhatsApp's that readers may depend on. A page has each under another name when
        /// [`Scenario::renamed`](super::Scenario::renamed) says so.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
        #[non_exhaustive]
        pub enum Name {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
        }

        impl Name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the name as WhatsApp writes it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

names! {
    /// The number's getter; it memoises.
    GetMaybeMePnUser = "getMaybeMePnUser",
    /// The LID's getter; it memoises, and its memo survives a logout.
    GetMaybeMeLidUser = "getMaybeMeLidUser",
    /// The number with its device; it does not memoise.
    GetMaybeMeDevicePn = "getMaybeMeDevicePn",
    /// The LID with its device; it does not memoise.
    GetMaybeMeDeviceLid = "getMaybeMeDeviceLid",
    /// The number's getter of [`Generation::StoreUser`](super::Generation::StoreUser) and
    /// [`Generation::Comet`](super::Generation::Comet).
    GetMaybeMeUser = "getMaybeMeUser",
    /// The getter that throws when there is nothing; on current pages it prefers the LID.
    GetMeUser = "getMeUser",
    /// The storage key of the number.
    LastWidMd = "last-wid-md",
    /// The storage key of the LID.
    WaLid = "WALid",
    /// The storage key of the noise key.
    WaNoiseInfo = "WANoiseInfo",
    /// The storage key of the mark of a logout.
    PostLogout = "post-logout",
    /// The module of the getters.
    MeUserModule = "WAWebUserPrefsMeUser",
    /// The module of `isRegistered`.
    MultiDeviceModule = "WAWebUserPrefsMultiDevice",
    /// The module of `Socket`.
    SocketModel = "WAWebSocketModel",
    /// The module of `Conn`.
    ConnModel = "WAWebConnModel",
    /// WhatsApp's own test whether the device is registered.
    IsRegistered = "isRegistered",
    /// `Socket.hasSynced`.
    HasSynced = "hasSynced",
    /// `Socket.state`.
    State = "state",
    /// The boot marker.
    DebugVersion = "Debug.VERSION",
}
