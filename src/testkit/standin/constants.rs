//! The accounts of the stand-in, and its other fixed texts.

/// The own number of every preset: an unassigned number, as storage writes it, with a device.
pub const PHONE: &str = "628110000041:12@c.us";
/// The LID that belongs to [`PHONE`].
pub const LID: &str = "123456789012345@lid";
/// The account that [`Stale`](super::Stale) storage still names. It is never the right answer.
pub const FORMER_PHONE: &str = "628990000099:3@c.us";
/// The LID of [`FORMER_PHONE`].
pub const FORMER_LID: &str = "987654321098765@lid";
/// `Conn.pushname`, once the number is known.
pub const PUSH_NAME: &str = "Stand-in";
/// `Conn.platform`, once the number is known.
pub const PLATFORM: &str = "android";
/// The beginning of every text of the stand-in's QR codes; the rest differs with each renewal.
pub const QR_PREFIX: &str = "2@stand-in.";
/// `require` of this gives how many modules were run before the page booted, and runs none: a test asks
/// it after a look that should start nothing. The real page has no such module.
pub const EARLY_MODULES: &str = "StandIn.modulesRunBeforeBoot";
