//! The evidence of one envelope: whether the device is registered, and the account of the page.

use super::envelope::{Envelope, RowAnswer, Text, Wid};
use super::readers::{Reader, ReaderId};
use crate::jid::{Jid, Server};

/// Whether the page's device is registered with an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Registration {
    Yes,
    /// By WhatsApp's own test only.
    No,
    Unknown,
}

/// Decides by WhatsApp's own test if it answers, else by the storage keys, which can only say yes.
pub(super) fn registration(envelope: &Envelope) -> Registration {
    let keys = &envelope.storage;
    match envelope.registered {
        Some(true) => Registration::Yes,
        Some(false) => Registration::No,
        None if keys.noise && keys.me => Registration::Yes,
        None => Registration::Unknown,
    }
}

/// The account that a page shows.
#[derive(Debug)]
pub(super) enum Account<'p> {
    Absent,
    Known(Known<'p>),
    /// Two live readers name different accounts.
    Conflict,
}

#[derive(Debug)]
pub(super) struct Known<'p> {
    /// The reader of the number, or of the LID if there is no number.
    pub(super) reader: &'p Reader,
    pub(super) number: Option<Jid>,
    pub(super) lid: Option<Jid>,
}

/// Compares the answers of the readers in question (`None`: all).
///
/// - Live readers go before storage, newer ones before older ones. A reader that says that there is none outweighs
///   all older ones and storage. Two live readers with different accounts are a conflict.
/// - Storage counts only if the device is registered.
/// - A LID is never a number.
pub(super) fn account<'p>(envelope: &'p Envelope, only: Option<&ReaderId>) -> Account<'p> {
    let rows: Vec<_> = envelope
        .readers
        .iter()
        .enumerate()
        .filter(|(_, reader)| only.is_none_or(|id| reader.id == *id))
        .filter_map(|(i, reader)| Some(ReaderAnswer::read(reader, envelope.rows.get(&i)?)))
        .collect();
    let live = || rows.iter().filter(|row| row.reader.is_live);
    let storage = rows.iter().find(|row| !row.reader.is_live);
    let storage = storage.filter(|_| registration(envelope) == Registration::Yes);

    let chosen = match live().find(|row| row.number.is_some() || row.says_none) {
        Some(first) => first.number.as_ref().map(|number| (first.reader, number)),
        None => storage.and_then(|row| Some((row.reader, row.number.as_ref()?))),
    };
    let is_rival = |other: &Jid| {
        chosen.is_some_and(|(reader, number)| reader.is_live && !number.same_account(other))
    };
    if live().filter_map(|row| row.number.as_ref()).any(is_rival) {
        return Account::Conflict;
    }
    // Storage may keep the LID of a former account: it counts only beside its own number.
    let stored_lid = storage.and_then(|row| {
        let (number, (_, chosen)) = (row.number.as_ref()?, chosen?);
        row.lid.as_ref().filter(|_| number.same_account(chosen))
    });
    let live_lid = live().find_map(|row| Some((row.reader, row.lid.as_ref()?)));
    let lid = live_lid.map(|(_, lid)| lid).or(stored_lid);
    let Some(reader) = chosen
        .map(|(reader, _)| reader)
        .or(live_lid.map(|(reader, _)| reader))
    else {
        return Account::Absent;
    };
    Account::Known(Known {
        reader,
        number: chosen.map(|(_, number)| number.clone()),
        lid: lid.cloned(),
    })
}

/// A row's answer, its texts parsed.
struct ReaderAnswer<'p> {
    reader: &'p Reader,
    number: Option<Jid>,
    lid: Option<Jid>,
    /// The number's getter exists, and has answered that there is none.
    says_none: bool,
}

impl<'p> ReaderAnswer<'p> {
    fn read(reader: &'p Reader, row: &RowAnswer) -> Self {
        let read = |wid: &Option<Wid>| wid.as_ref().and_then(|wid| jid(reader, wid));
        let (number, lid) = (read(&row.number), read(&row.lid));
        // The getter of the number may give the LID, never the other way round.
        let lids = [number.clone(), lid].into_iter().flatten();
        Self {
            reader,
            number: number.filter(|jid| jid.phone_number().is_ok()),
            lid: lids.into_iter().find(|jid| jid.server().has_lids()),
            says_none: row.number.as_ref().is_some_and(|wid| wid.nobody),
        }
    }
}

/// Returns whether a row answered, and what, masked.
pub(super) fn describe(reader: &Reader, row: &RowAnswer) -> (bool, Option<String>) {
    let answer = ReaderAnswer::read(reader, row);
    let jids: Vec<_> = [&answer.number, &answer.lid]
        .into_iter()
        .flatten()
        .map(Jid::to_string)
        .collect();
    let gave = if !jids.is_empty() {
        jids.join(", ")
    } else if answer.says_none {
        "none".to_owned()
    } else if row.threw {
        return (false, Some("an error".to_owned()));
    } else if row.number.is_some() || row.lid.is_some() {
        "no account".to_owned()
    } else {
        return (false, None);
    };
    (true, Some(gave))
}

fn jid(reader: &Reader, wid: &Wid) -> Option<Jid> {
    let short = |text: &Option<Text>| text.as_ref().and_then(Text::as_str).map(str::to_owned);
    let Some(text) = short(&wid.jid) else {
        let user = short(&wid.user).filter(|_| reader.is_bare_user_a_number)?;
        return Jid::parse(&format!("{user}@{}", Server::CUs)).ok();
    };
    let jid = if reader.is_live {
        Jid::parse(&text)
    } else {
        // Storage holds JSON: a JID in quotes. Without them it is half-written, or not WhatsApp's.
        Jid::parse(&serde_json::from_str::<String>(&text).ok()?)
    };
    Some(jid.ok()?.without_device())
}
