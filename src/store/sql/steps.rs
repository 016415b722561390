//! What all SQL drivers do in a transaction, in steps that each of them words in its own SQL.

use std::time::Duration;

use async_trait::async_trait;

use crate::event::{EventId, EventKind, SessionEvent, SessionId, SessionKey};
use crate::phone::PhoneNumber;
use crate::store::decide::{Verdict, given_up, judge, merged, retires, revived};
use crate::store::{
    APPLIED_IDS_KEPT, DuplicatePolicy, Ignored, Outcome, SessionRow, Status, StatusChange,
    StoreError, StoreErrorKind, StoreOptions, UnknownStatus,
};

/// Most sessions that one transaction gives up.
pub(super) const SWEEP: i64 = 500;
/// Most ids of events that one transaction forgets.
pub(super) const PRUNE: i64 = 5000;

/// What is asked of a database.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Register(SessionKey),
    Apply(SessionEvent),
    /// Accounts after this one that have not changed for so long.
    Sweep(Duration, i64),
    Prune,
}

#[derive(Debug)]
pub(super) enum Answer {
    Registered(SessionRow),
    Applied(Outcome),
    /// After which account there may be more.
    Swept(Option<i64>),
    /// How many ids of events were forgotten.
    Pruned(u64),
}

/// A change, and the id of its account.
pub(super) type Told = (i64, StatusChange);

/// What was done, and what watchers are told of it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) answer: Answer,
    pub(super) told: Vec<Told>,
}

/// Why it was not done.
#[derive(Debug)]
pub(super) enum Fault {
    /// The answer is no.
    Refused(StoreError),
    /// The database did not do it.
    Sql(sqlx::Error),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

/// The columns that every driver reads, in this order: id, workspace, session, number, status,
/// metadata, whether it is soft-deleted; then of our table: last `seq`, version, LID, assurance; and
/// whether the event in hand was applied.
pub(super) type Columns = (
    i64,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    i64,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
    i64,
);

/// A row of `whatsapp_accounts`, with what is ours beside it.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) account: i64,
    pub(super) row: SessionRow,
    pub(super) is_deleted: bool,
    metadata: Option<String>,
    is_applied: bool,
}

impl Loaded {
    /// Texts that other programs wrote and that are none of ours are no errors: a number that is none
    /// is none.
    pub(super) fn read(columns: Columns) -> Result<Self, StoreError> {
        let odd = |what: &dyn std::fmt::Display| {
            let message = format!("the row of account {} is none of ours: {what}", columns.0);
            StoreError::new(StoreErrorKind::Storage, message)
        };
        let (Some(workspace), Some(session), Some(status)) = (columns.1, columns.2, columns.4)
        else {
            return Err(odd(&"workspace, session or status is null"));
        };
        let session = SessionKey::new(workspace, session).map_err(|error| odd(&error))?;
        let status = status.parse().map_err(|error: UnknownStatus| odd(&error))?;
        let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
        let row = SessionRow {
            status,
            phone: columns.3.and_then(|text| text.parse().ok()),
            last_seq: columns.7.map(unsigned),
            version: columns.8.map_or(0, unsigned),
            lid: columns.9.and_then(|text| text.parse().ok()),
            assurance: columns.10.and_then(|text| text.parse().ok()),
            ..SessionRow::new(session)
        };
        Ok(Self {
            account: columns.0,
            row: row.corrected(),
            metadata: columns.5,
            is_deleted: columns.6 != 0,
            is_applied: columns.11 != 0,
        })
    }

    /// What is told of it: whoever deleted it gave it up.
    pub(super) fn to_change(&self) -> StatusChange {
        let mut change = self.row.to_change();
        if self.is_deleted {
            change.status = Status::Failed;
        }
        change
    }
}

/// What becomes of `deleted_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Stays,
    Ends,
    /// The row begins anew, without its number.
    Begins,
}

/// What is written of a row.
#[derive(Debug)]
pub(super) struct Save<'a> {
    pub(super) account: i64,
    pub(super) row: &'a SessionRow,
    /// Whether `last_connected_at` becomes now.
    pub(super) connects: bool,
    pub(super) life: Life,
    pub(super) metadata: Option<String>,
    /// The event whose id is noted.
    pub(super) event: Option<&'a EventId>,
}

impl Save<'_> {
    pub(super) fn phone(&self) -> Option<&str> {
        self.row.phone.as_ref().map(PhoneNumber::reveal)
    }

    pub(super) fn lid(&self) -> Option<&str> {
        self.row.lid.as_ref().map(crate::jid::Jid::reveal)
    }

    pub(super) fn assurance(&self) -> Option<&'static str> {
        self.row.assurance.map(crate::source::Assurance::as_str)
    }

    pub(super) fn last_seq(&self) -> Option<i64> {
        self.row.last_seq.map(signed)
    }

    pub(super) fn version(&self) -> i64 {
        signed(self.row.version)
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn seconds(time: Duration) -> i64 {
    // More than any clock has counted, and nothing that a database's interval cannot hold.
    signed(time.as_secs()).min(100 * 365 * 24 * 60 * 60)
}

/// One transaction of one driver. Rows that it reads are locked until it ends.
#[async_trait]
pub(super) trait Steps: Send {
    /// The row of a session, deleted or not. With a number also those of the workspace that hold it and
    /// are not deleted; transactions over one number are kept apart.
    async fn load(
        &mut self,
        session: &SessionId,
        number: Option<(i64, &PhoneNumber)>,
        event: Option<&EventId>,
    ) -> Result<Vec<Columns>, sqlx::Error>;

    /// Makes the row of a session, unless there is one.
    async fn insert(&mut self, workspace: i64, session: &SessionId) -> Result<(), sqlx::Error>;

    async fn save(&mut self, save: &Save<'_>) -> Result<(), sqlx::Error>;

    /// The first [`SWEEP`] after an account that wait and have not changed for so many seconds.
    async fn stuck(&mut self, seconds: i64, after: i64) -> Result<Vec<Columns>, sqlx::Error>;

    /// Forgets at most [`PRUNE`] ids of events that were applied longer ago, and says how many.
    async fn prune(&mut self, seconds: i64) -> Result<u64, sqlx::Error>;
}

/// The workspace's id as these databases hold it. It must read back as it is: `007` is no other
/// workspace's name.
fn workspace(session: &SessionKey) -> Result<i64, StoreError> {
    let text = session.workspace_id.as_str();
    let workspace = text.parse().ok().filter(|id: &i64| id.to_string() == text);
    workspace.ok_or_else(|| {
        let message =
            "the event's `workspace_id` must be an integer in this store, as in its table";
        StoreError::new(StoreErrorKind::InvalidEvent, message)
    })
}

/// Does it, short of the commit. What was written before a refusal is to be rolled back.
pub(super) async fn carry_out(
    steps: &mut dyn Steps,
    ask: &Ask,
    options: &StoreOptions,
) -> Result<Done, Fault> {
    let mut told = Vec::new();
    let answer = match ask {
        Ask::Register(session) => {
            let (account, row) = register(steps, session).await?;
            told.push((account, row.to_change()));
            Answer::Registered(row)
        }
        Ask::Apply(event) => Answer::Applied(apply(steps, event, options, &mut told).await?),
        Ask::Sweep(age, after) => Answer::Swept(sweep(steps, *age, *after, &mut told).await?),
        Ask::Prune => Answer::Pruned(steps.prune(seconds(APPLIED_IDS_KEPT)).await?),
    };
    Ok(Done { answer, told })
}

async fn register(steps: &mut dyn Steps, session: &SessionKey) -> Result<(i64, SessionRow), Fault> {
    let workspace = workspace(session)?;
    let mut found = steps.load(&session.session_id, None, None).await?;
    if found.is_empty() {
        steps.insert(workspace, &session.session_id).await?;
        found = steps.load(&session.session_id, None, None).await?;
    }
    let found = Loaded::read(found.pop().ok_or(sqlx::Error::RowNotFound)?)?;
    if found.row.session != *session {
        return Err(StoreError::taken(session).into());
    }
    if !found.is_deleted {
        return Ok((found.account, found.row));
    }
    let row = revived(found.row);
    let save = Save {
        account: found.account,
        row: &row,
        connects: false,
        life: Life::Begins,
        metadata: None,
        event: None,
    };
    steps.save(&save).await?;
    Ok((found.account, row))
}

async fn apply(
    steps: &mut dyn Steps,
    event: &SessionEvent,
    options: &StoreOptions,
    told: &mut Vec<Told>,
) -> Result<Outcome, Fault> {
    let Some(session) = event.session() else {
        return Ok(Outcome::Ignored(Ignored::Foreign));
    };
    let workspace = workspace(session)?;
    let number = match event.kind() {
        EventKind::SessionReady(ready) if options.duplicates != DuplicatePolicy::Companions => {
            Some(ready.phone())
        }
        _ => None,
    };
    let numbered = number.map(|number| (workspace, number));
    let found = steps.load(&session.session_id, numbered, event.id());
    let mut holders = Vec::new();
    let mut is_held_by_none_of_ours = false;
    for columns in found.await? {
        let is_own = columns.2.as_deref() == Some(session.session_id.as_str());
        let is_there = columns.6 == 0;
        let holds = columns.1 == Some(workspace) && is_there && {
            let phone = columns.3.as_ref().and_then(|text| text.parse().ok());
            phone.is_some() && phone.as_ref() == number
        };
        match Loaded::read(columns) {
            Ok(found) if found.is_deleted => {}
            Ok(found) => holders.push(found),
            Err(error) if is_own && is_there => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "a row was passed over");
                is_held_by_none_of_ours |= holds;
            }
        }
    }
    let own = holders
        .iter()
        .position(|found| found.row.session == *session);
    let found = own.map(|own| holders.swap_remove(own));
    let found = found.ok_or_else(|| StoreError::unknown(session))?;
    let write = match judge(&found.row, found.is_applied, event, options.rebind)? {
        Verdict::Ignore(why) => return Ok(Outcome::Ignored(why)),
        Verdict::Write(write) => write,
    };
    match number {
        // Some databases take ids for equal that differ.
        Some(number) => holders.retain(|holder| holder.row.phone.as_ref() == Some(number)),
        None => holders.clear(),
    }
    if is_held_by_none_of_ours {
        return Err(StoreError::held(session).into());
    }
    let statuses = holders.iter().map(|holder| holder.row.status);
    retires(&write.row, statuses, options.duplicates)?;
    let mut retired = Vec::new();
    for holder in holders {
        let given_up = give_up(steps, holder).await?;
        retired.push(given_up.1.clone());
        told.push(given_up);
    }
    let metadata = match write.metadata.is_empty() {
        true => None,
        false => Some(merged(found.metadata.as_deref(), write.metadata)),
    };
    let save = Save {
        account: found.account,
        row: &write.row,
        connects: write.connects,
        life: Life::Stays,
        metadata,
        event: event.id(),
    };
    steps.save(&save).await?;
    let change = write.row.to_change();
    told.push((found.account, change.clone()));
    Ok(Outcome::Applied { change, retired })
}

async fn give_up(steps: &mut dyn Steps, found: Loaded) -> Result<Told, Fault> {
    let row = given_up(found.row);
    let save = Save {
        account: found.account,
        row: &row,
        connects: false,
        life: Life::Ends,
        metadata: None,
        event: None,
    };
    steps.save(&save).await?;
    Ok((found.account, row.to_change()))
}

async fn sweep(
    steps: &mut dyn Steps,
    age: Duration,
    after: i64,
    told: &mut Vec<Told>,
) -> Result<Option<i64>, Fault> {
    let stuck = steps.stuck(seconds(age), after).await?;
    let is_all = i64::try_from(stuck.len()).is_ok_and(|stuck| stuck < SWEEP);
    let last = stuck.iter().map(|columns| columns.0).max();
    for columns in stuck {
        match Loaded::read(columns) {
            Ok(found) => told.push(give_up(steps, found).await?),
            Err(error) => tracing::warn!(%error, "a row was passed over"),
        }
    }
    Ok(last.filter(|_| !is_all))
}
