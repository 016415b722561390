//! What all SQL drivers do in a transaction, in steps that each of them words in its own SQL.

use std::time::Duration;

use async_trait::async_trait;

use crate::event::{EventId, EventKind, SessionEvent, SessionId, SessionKey};
use crate::phone::PhoneNumber;
use crate::store::decide::{Verdict, given_up, judge, merged, retires, revived};
use crate::store::{
    APPLIED_IDS_KEPT, DuplicatePolicy, Ignored, Outcome, SessionRow, StatusChange, StoreError,
    StoreErrorKind, StoreOptions,
};

/// Most sessions that one transaction gives up.
pub(super) const SWEEP: i64 = 500;

/// What is asked of a database.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Register(SessionKey),
    Apply(SessionEvent),
    Sweep(Duration),
}

#[derive(Debug)]
pub(super) enum Answer {
    Registered(SessionRow),
    Applied(Outcome),
    Swept(Vec<StatusChange>),
}

impl Answer {
    /// What watchers are told.
    pub(super) fn changes(&self) -> Vec<StatusChange> {
        match self {
            Self::Registered(row) => vec![row.to_change()],
            Self::Applied(Outcome::Applied { change, retired }) => {
                retired.iter().chain([change]).cloned().collect()
            }
            Self::Applied(_) => Vec::new(),
            Self::Swept(swept) => swept.clone(),
        }
    }
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
    i64,
    String,
    Option<String>,
    String,
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
    account: i64,
    pub(super) row: SessionRow,
    pub(super) is_deleted: bool,
    metadata: Option<String>,
    is_applied: bool,
}

impl Loaded {
    /// Texts that other programs wrote and that are none of ours are no errors: a number that is none
    /// is none.
    pub(super) fn read(columns: Columns) -> Result<Self, StoreError> {
        let session = SessionKey::new(columns.1, columns.2)?;
        let status = columns.4.parse().map_err(|error| {
            let message =
                format!("the row of session {session} has a status that is none: {error}");
            StoreError::new(StoreErrorKind::Storage, message)
        })?;
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
    /// Whether `updated_at` becomes now.
    pub(super) is_change: bool,
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

    /// At most [`SWEEP`] that wait and have not changed for so many seconds.
    async fn stuck(&mut self, seconds: i64) -> Result<Vec<Columns>, sqlx::Error>;

    /// Forgets the ids of events that were applied longer ago.
    async fn prune(&mut self, seconds: i64) -> Result<(), sqlx::Error>;
}

/// The workspace's id as these databases hold it.
fn workspace(session: &SessionKey) -> Result<i64, StoreError> {
    session.workspace_id.as_str().parse().map_err(|_| {
        let message =
            "the event's `workspace_id` must be an integer in this store, as in its table";
        StoreError::new(StoreErrorKind::InvalidEvent, message)
    })
}

/// Does it, short of the commit. A refusal comes before anything is written.
pub(super) async fn carry_out(
    steps: &mut dyn Steps,
    ask: &Ask,
    options: &StoreOptions,
) -> Result<Answer, Fault> {
    Ok(match ask {
        Ask::Register(session) => Answer::Registered(register(steps, session).await?),
        Ask::Apply(event) => Answer::Applied(apply(steps, event, options).await?),
        Ask::Sweep(age) => Answer::Swept(sweep(steps, *age).await?),
    })
}

async fn register(steps: &mut dyn Steps, session: &SessionKey) -> Result<SessionRow, Fault> {
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
        return Ok(found.row);
    }
    let row = revived(found.row);
    let save = Save {
        account: found.account,
        row: &row,
        is_change: true,
        connects: false,
        life: Life::Begins,
        metadata: None,
        event: None,
    };
    steps.save(&save).await?;
    Ok(row)
}

async fn apply(
    steps: &mut dyn Steps,
    event: &SessionEvent,
    options: &StoreOptions,
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
    let found = found.await?.into_iter().map(Loaded::read);
    let mut holders = found.collect::<Result<Vec<_>, _>>()?;
    holders.retain(|found| !found.is_deleted);
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
    let statuses = holders.iter().map(|holder| holder.row.status);
    retires(&write.row, statuses, options.duplicates)?;
    let mut retired = Vec::new();
    for holder in holders {
        retired.push(give_up(steps, holder).await?);
    }
    let metadata = match write.metadata.is_empty() {
        true => None,
        false => Some(merged(found.metadata.as_deref(), write.metadata)),
    };
    let save = Save {
        account: found.account,
        row: &write.row,
        is_change: true,
        connects: write.connects,
        life: Life::Stays,
        metadata,
        event: event.id(),
    };
    steps.save(&save).await?;
    let change = write.row.to_change();
    Ok(Outcome::Applied { change, retired })
}

async fn give_up(steps: &mut dyn Steps, found: Loaded) -> Result<StatusChange, Fault> {
    let row = given_up(found.row);
    let save = Save {
        account: found.account,
        row: &row,
        is_change: true,
        connects: false,
        life: Life::Ends,
        metadata: None,
        event: None,
    };
    steps.save(&save).await?;
    Ok(row.to_change())
}

async fn sweep(steps: &mut dyn Steps, age: Duration) -> Result<Vec<StatusChange>, Fault> {
    let mut swept = Vec::new();
    for found in steps.stuck(seconds(age)).await? {
        swept.push(give_up(steps, Loaded::read(found)?).await?);
    }
    steps.prune(seconds(APPLIED_IDS_KEPT)).await?;
    Ok(swept)
}
