//! From an envelope to a look: which reader is believed, how far, and when none is.

use super::envelope::{Envelope, RowAnswer, Socket, Storage, Text, Wid};
use super::readers::{READERS, Reader, ReaderId};
use crate::failure::clean;
use crate::jid::{Jid, Server};
use crate::link::{Bar, LinkState};
use crate::source::{Assurance, Identity, Look};

/// Longest push name or platform kept, in bytes.
const MAX_NAME: usize = 256;

/// Decides what the readers in question (`None`: all) say.
///
/// - A page that has logged out is not believed at all, whatever still shows.
/// - Live readers go before storage, newer ones before older ones. What a reader says, that there is
///   nobody included, stands above all older ones. Two live readers with different accounts are a
///   conflict.
/// - Storage counts only where no live reader has given a number or said nobody, by its own rule, and
///   is provisional as long as the page has no model of its connection.
/// - A LID is never a number: alone it is an outcome of its own.
pub(super) fn decide(envelope: &Envelope, only: Option<ReaderId>) -> Look {
    let assurance = assurance(envelope.socket.as_ref());
    if has_logged_out(&envelope.storage, assurance) {
        return Look::NotYet;
    }
    let rows: Vec<_> = READERS
        .iter()
        .enumerate()
        .filter(|(_, reader)| only.is_none_or(|id| reader.id == id))
        .filter_map(|(i, reader)| Some(Answer::read(reader, envelope.rows.get(&i)?)))
        .collect();

    let live = || rows.iter().filter(|row| row.reader.is_live);
    let storage = rows.iter().find(|row| !row.reader.is_live);
    let storage = storage.filter(|_| is_storage_believable(envelope));
    let chosen = match live().find(|row| row.number.is_some() || row.says_nobody) {
        Some(first) => first.number.as_ref().map(|number| (first.reader, number)),
        None => storage.and_then(|row| Some((row.reader, row.number.as_ref()?))),
    };
    if let Some((reader, number)) = chosen
        && reader.is_live
        && live()
            .filter_map(|row| row.number.as_ref())
            .any(|other| !number.same_account(other))
    {
        return Look::Conflict;
    }
    // Storage may keep the LID of an account before: it counts beside its own number only.
    let stored_lid = storage.and_then(|row| {
        let (number, (_, chosen)) = (row.number.as_ref()?, chosen?);
        row.lid.as_ref().filter(|_| number.same_account(chosen))
    });
    let live_lid = live().find_map(|row| Some((row.reader, row.lid.as_ref()?)));
    let mut identity = match (chosen, live_lid) {
        (Some((reader, number)), live_lid) => {
            // Before its modules are there a page cannot know yet that its phone has unlinked it.
            let is_early = !reader.is_live && envelope.socket.is_none();
            let assurance = if is_early {
                Assurance::Provisional
            } else {
                assurance
            };
            let identity = Identity::new(number.clone(), assurance, reader.name);
            match live_lid.map(|(_, lid)| lid).or(stored_lid) {
                Some(lid) => identity.with_lid(lid.clone()),
                None => identity,
            }
        }
        (None, Some((reader, lid))) => Identity::new(lid.clone(), assurance, reader.name),
        (None, None) => return Look::NotYet,
    };
    identity.push_name = name(envelope.push_name.as_ref());
    identity.platform = name(envelope.platform.as_ref());
    Look::from_identity(identity)
}

/// How far the page says that it is linked.
///
/// The account's own evidence goes before the socket's, which is the last to hear of a logout. A
/// socket that opens says nothing by itself: it does so without an account as well as with one.
pub(super) fn link(envelope: &Envelope) -> LinkState {
    let storage = &envelope.storage;
    // The mark of a logout alone may be a former one's: it must not unlink who is linked again.
    if !storage.noise && (storage.me || is_post_logout(storage)) {
        return LinkState::Unlinked;
    }
    let assurance = match decide(envelope, None) {
        Look::Found(me) | Look::LidOnly(me) => Some(me.assurance),
        Look::Conflict => Some(assurance(envelope.socket.as_ref())),
        Look::NotYet => None,
    };
    let state = envelope.socket.as_ref().and_then(|socket| {
        let state = socket.state.as_ref()?;
        state.as_str()
    });
    match state {
        Some("UNPAIRED" | "UNPAIRED_IDLE") => LinkState::Unlinked,
        Some("SCREEN_LOCKED") if assurance.is_some() => LinkState::Linked,
        Some("CONFLICT") => LinkState::Barred(Bar::Conflict),
        Some("UNLAUNCHED") => LinkState::Barred(Bar::Unlaunched),
        Some("PROXYBLOCK") => LinkState::Barred(Bar::ProxyBlock),
        Some("TOS_BLOCK" | "SMB_TOS_BLOCK") => LinkState::Barred(Bar::TosBlock),
        _ => match assurance {
            None => LinkState::Unknown,
            Some(Assurance::Provisional) if state.is_none() => LinkState::Unknown,
            Some(Assurance::Provisional) => LinkState::Linking,
            Some(_) => LinkState::Linked,
        },
    }
}

/// A row's answer, its texts read.
struct Answer {
    reader: &'static Reader,
    number: Option<Jid>,
    lid: Option<Jid>,
    /// The number's getter exists, and has answered that there is none.
    says_nobody: bool,
}

impl Answer {
    fn read(reader: &'static Reader, row: &RowAnswer) -> Self {
        let jids = || {
            [&row.first, &row.second]
                .into_iter()
                .flatten()
                .filter_map(|wid| jid(reader, wid))
        };
        Self {
            reader,
            number: jids().find(|jid| jid.phone_number().is_ok()),
            lid: jids().find(|jid| jid.server().has_lids()),
            says_nobody: row.first.as_ref().is_some_and(|wid| wid.nobody),
        }
    }
}

fn jid(reader: &Reader, wid: &Wid) -> Option<Jid> {
    let short = |text: &Option<Text>| text.as_ref().and_then(Text::as_str).map(str::to_owned);
    let Some(text) = short(&wid.jid) else {
        let user = short(&wid.user).filter(|_| reader.is_bare_user_a_number)?;
        return Jid::parse(&format!("{user}@{}", Server::CUs)).ok();
    };
    if reader.is_live {
        return Jid::parse(&text).ok();
    }
    // Storage holds JSON: a JID in quotes. Without them it is half-written, or somebody else's.
    Jid::parse(&serde_json::from_str::<String>(&text).ok()?).ok()
}

/// Logout removes `WANoiseInfo` first and `last-wid-md`, which the getters read, later. The mark of
/// a former logout may outlive the next login, of which the connection tells.
fn has_logged_out(storage: &Storage, assurance: Assurance) -> bool {
    let is_linked_again = storage.noise && assurance == Assurance::Confirmed;
    (storage.me && !storage.noise) || (is_post_logout(storage) && !is_linked_again)
}

fn is_post_logout(storage: &Storage) -> bool {
    storage.post_logout.as_ref().and_then(Text::as_str) == Some("1")
}

/// While a page loads, nothing but its storage is there, and that may be a former login's.
fn is_storage_believable(envelope: &Envelope) -> bool {
    let storage = &envelope.storage;
    let can_tell = envelope.socket.is_some() || envelope.is_loaded;
    storage.noise && !is_post_logout(storage) && can_tell
}

/// How sure the page is. Without a model of its connection it offers no evidence either way.
fn assurance(socket: Option<&Socket>) -> Assurance {
    let Some(socket) = socket else {
        return Assurance::Unverified;
    };
    let state = socket.state.as_ref().and_then(Text::as_str);
    match (state, socket.synced) {
        (Some("CONNECTED"), Some(true)) => Assurance::Confirmed,
        (Some("CONNECTED"), None) => Assurance::Unverified,
        _ => Assurance::Provisional,
    }
}

fn name(text: Option<&Text>) -> Option<String> {
    let text = text?.as_str()?;
    (!text.is_empty()).then(|| clean(text, MAX_NAME))
}

#[cfg(test)]
mod tests;
