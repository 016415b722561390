//! [`Jid`]: the address of an account, and [`Server`]: its part after the `@`.
//!
//! Grammar: `user[.agent|_agent][:device]@server`. WhatsApp Web writes `c.us` for people, the
//! protocol writes `s.whatsapp.net`. Only the server says whether `user` is a phone number: a LID
//! looks exactly like one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::phone::{PhoneNumber, PhoneNumberError};
use crate::text::{mask_number, read_text, stable_names};

/// The part of a [`Jid`] after the `@`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Server {
    /// People, as WhatsApp Web writes them.
    CUs,
    /// People, as the protocol writes them.
    SWhatsAppNet,
    /// People whose device is hosted (device 99).
    Hosted,
    /// LID: an account's hidden identity. Up to 15 digits that are no phone number.
    Lid,
    /// LID of a hosted device.
    HostedLid,
    /// Groups.
    GUs,
    /// Channels.
    Newsletter,
    /// Broadcast lists and `status`.
    Broadcast,
    /// Bots.
    Bot,
    /// Messenger accounts.
    Msgr,
    /// Accounts of other networks.
    Interop,
    /// Calls.
    Call,
}

stable_names!(Server, "a server", as_str {
    CUs = "c.us",
    SWhatsAppNet = "s.whatsapp.net",
    Hosted = "hosted",
    Lid = "lid",
    HostedLid = "hosted.lid",
    GUs = "g.us",
    Newsletter = "newsletter",
    Broadcast = "broadcast",
    Bot = "bot",
    Msgr = "msgr",
    Interop = "interop",
    Call = "call",
});

impl Server {
    /// Returns whether a user on this server is known by a phone number.
    #[must_use]
    pub const fn has_phone_numbers(self) -> bool {
        matches!(self, Self::CUs | Self::SWhatsAppNet | Self::Hosted)
    }

    /// Returns whether a user on this server is a LID.
    #[must_use]
    pub const fn has_lids(self) -> bool {
        matches!(self, Self::Lid | Self::HostedLid)
    }
}

/// A WhatsApp address, kept verbatim.
///
/// `==` compares the text; [`same_account`](Self::same_account) compares whom it means. `Debug` and
/// `Display` mask the user, [`reveal`](Self::reveal) and serde give the text.
///
/// ```
/// use whatsapp_phone::jid::{Jid, Server};
///
/// let jid: Jid = "628110000041:12@c.us".parse()?;
/// assert_eq!(jid.server(), Server::CUs);
/// assert_eq!(jid.device(), Some(12));
/// assert_eq!(jid.phone_number().unwrap().reveal(), "628110000041");
/// assert_eq!(jid.to_string(), "62********41:12@c.us");
///
/// let lid: Jid = "123456789012345@lid".parse()?;
/// assert!(lid.phone_number().is_err());
/// # Ok::<(), whatsapp_phone::jid::JidError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct Jid {
    text: Box<str>,
    user_len: u8,
    agent: Option<u8>,
    device: Option<u16>,
    server: Server,
}

impl Jid {
    /// Longest text of a JID, in bytes.
    pub const MAX_LEN: usize = 128;

    /// Reads a JID.
    ///
    /// # Errors
    ///
    /// The first rule that `text` breaks. The error never contains the text.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let Parts {
            user_len,
            agent,
            device,
            server,
        } = parts(text)?;
        Ok(Self {
            text: text.into(),
            user_len,
            agent,
            device,
            server,
        })
    }

    /// Returns the text as it was read.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Returns the user: everything before agent, device and server. For people, the phone number.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.text[..usize::from(self.user_len)]
    }

    /// Returns the agent, if written.
    #[must_use]
    pub const fn agent(&self) -> Option<u8> {
        self.agent
    }

    /// Returns the device, if written. The phone itself is device 0, companions count from 1.
    #[must_use]
    pub const fn device(&self) -> Option<u16> {
        self.device
    }

    /// Returns the server.
    #[must_use]
    pub const fn server(&self) -> Server {
        self.server
    }

    /// Returns the phone number of the account.
    ///
    /// # Errors
    ///
    /// [`NotAPhoneNumber`] where the server has none (LIDs, groups, bots), or where the user breaks
    /// a rule of [`PhoneNumber`] (WhatsApp's own accounts).
    pub fn phone_number(&self) -> Result<PhoneNumber, NotAPhoneNumber> {
        if !self.server.has_phone_numbers() {
            return Err(NotAPhoneNumber::Server(self.server));
        }
        PhoneNumber::parse(self.user()).map_err(NotAPhoneNumber::User)
    }

    /// Returns the account's own JID: the same user and server, without agent and device.
    ///
    /// ```
    /// use whatsapp_phone::jid::Jid;
    ///
    /// let jid: Jid = "628110000041:12@c.us".parse()?;
    /// assert_eq!(jid.without_device().reveal(), "628110000041@c.us");
    /// # Ok::<(), whatsapp_phone::jid::JidError>(())
    /// ```
    #[must_use]
    pub fn without_device(&self) -> Self {
        Self {
            text: format!("{}@{}", self.user(), self.server).into(),
            user_len: self.user_len,
            agent: None,
            device: None,
            server: self.server,
        }
    }

    /// Returns whether both mean the same account: same user, and both a person by number or both by LID.
    /// Device, agent and the spelling of the server (`c.us`, `s.whatsapp.net`) do not matter.
    #[must_use]
    pub fn same_account(&self, other: &Self) -> bool {
        let (a, b) = (self.server, other.server);
        self.user() == other.user()
            && (a == b
                || (a.has_phone_numbers() && b.has_phone_numbers())
                || (a.has_lids() && b.has_lids()))
    }
}

struct Parts {
    user_len: u8,
    agent: Option<u8>,
    device: Option<u16>,
    server: Server,
}

fn parts(text: &str) -> Result<Parts, JidError> {
    match text {
        "" => return Err(JidError::Empty),
        "null" | "undefined" => return Err(JidError::NullText),
        _ if text.len() > Jid::MAX_LEN => return Err(JidError::TooLong { len: text.len() }),
        _ => {}
    }
    let (left, server) = text.split_once('@').ok_or(JidError::NoServer)?;
    let server = server.parse().map_err(|_| JidError::UnknownServer)?;
    let (left, device) = split_number(left, &[':']).ok_or(JidError::BadDevice)?;
    let (user, agent) = split_number(left, &['.', '_']).ok_or(JidError::BadAgent)?;
    if user.is_empty() {
        return Err(JidError::NoUser);
    }
    if !user.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(JidError::BadUser);
    }
    let user_len = u8::try_from(user.len()).map_err(|_| JidError::TooLong { len: text.len() })?;
    Ok(Parts {
        user_len,
        agent,
        device,
        server,
    })
}

/// Splits `left<mark>number`; without a mark there is no number. `None` if the number is invalid.
fn split_number<'t, N: FromStr>(text: &'t str, marks: &[char]) -> Option<(&'t str, Option<N>)> {
    let Some((left, number)) = text.split_once(marks) else {
        return Some((text, None));
    };
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None; // `parse` would take a sign
    }
    Some((left, Some(number.parse().ok()?)))
}

impl FromStr for Jid {
    type Err = JidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Jid {
    type Error = JidError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl<'de> Deserialize<'de> for Jid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wanted = "a JID is a string, user@server; write it in quotes";
        read_text(deserializer, wanted, Self::parse)
    }
}

impl From<Jid> for String {
    /// Reveals the text.
    fn from(jid: Jid) -> Self {
        jid.text.into()
    }
}

impl From<PhoneNumber> for Jid {
    /// Returns the account's JID as WhatsApp Web writes it: `<digits>@c.us`.
    fn from(phone: PhoneNumber) -> Self {
        let digits = phone.reveal();
        // A number is at most 20 bytes, so its length always fits.
        let user_len = u8::try_from(digits.len()).unwrap_or(u8::MAX);
        let text = format!("{digits}@{}", Server::CUs).into();
        Self {
            text,
            user_len,
            agent: None,
            device: None,
            server: Server::CUs,
        }
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, rest) = self.text.split_at(usize::from(self.user_len));
        write!(f, "{}{rest}", mask_number(user))
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jid({self})")
    }
}

/// The rule that a text breaks, so that it is not a [`Jid`]. Never contains the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum JidError {
    /// Nothing was given.
    #[error("the JID is empty; write user@server")]
    Empty,
    /// The text is `null` or `undefined`: a missing value that some program printed.
    #[error("the JID is the word `null` or `undefined`: the sender had none")]
    NullText,
    /// Longer than [`Jid::MAX_LEN`].
    #[error("the JID has {len} bytes; the limit is 128")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// There is no `@`.
    #[error("the JID has no `@`; write user@server")]
    NoServer,
    /// The server is none of [`Server::ALL`].
    #[error("the JID's server is not known; people are at c.us or s.whatsapp.net")]
    UnknownServer,
    /// The user is empty.
    #[error("the JID has nothing before the server")]
    NoUser,
    /// The user has a character other than ASCII letters, digits and `-`.
    #[error("the JID's user has a character that is not an ASCII letter, digit or `-`")]
    BadUser,
    /// The agent is no number from 0 to 255.
    #[error("the JID's agent is not a number from 0 to 255")]
    BadAgent,
    /// The device is no number from 0 to 65535.
    #[error("the JID's device is not a number from 0 to 65535")]
    BadDevice,
}

/// Why a [`Jid`] has no phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NotAPhoneNumber {
    /// Users of this server are not known by phone numbers.
    #[error("a user at {0} has no phone number in the JID")]
    Server(Server),
    /// The user breaks a rule of phone numbers.
    #[error("the JID's user is not a phone number")]
    User(#[source] PhoneNumberError),
}

#[cfg(test)]
mod tests;
