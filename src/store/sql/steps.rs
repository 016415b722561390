//! What all SQL drivers do in a transaction, in steps that each of them words in its own SQL.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;

use super::apply::apply;
use super::meaning::Failure;
use super::rows::{Columns, Loaded, Save, Told, seconds};
use crate::event::{EventId, SessionEvent, SessionId, SessionKey};
use crate::phone::PhoneNumber;
use crate::store::{
    APPLIED_IDS_KEPT, Outcome, SessionRow, StoreError, StoreErrorKind, StoreOptions,
};

/// Most sessions that one transaction gives up.
pub(super) const SWEEP: i64 = 500;
/// Most ids of events that one transaction forgets.
pub(super) const PRUNE: i64 = 5000;

/// What is asked of a database: one transaction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask<'a> {
    Register(&'a SessionKey),
    /// In this order.
    Apply(&'a [&'a SessionEvent]),
    /// Accounts after this one that have not changed for so long.
    Sweep(Duration, i64),
    Prune,
}

#[derive(Debug)]
pub(super) enum Answer {
    Registered(SessionRow),
    /// Of each event; one that is refused, or whose row is held, stops no other.
    Applied(Vec<Result<Outcome, Failure>>),
    /// After which account there may be more.
    Swept(Option<i64>),
    /// How many ids of events were forgotten.
    Pruned(u64),
}

/// What was done, and what watchers are told of it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) answer: Answer,
    pub(super) told: Vec<Told>,
}

/// Why it was not carried out.
#[derive(Debug)]
pub(super) enum Fault {
    /// We did not do it.
    Ours(Failure),
    /// The database did not do it.
    Sql(sqlx::Error),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Ours(error.into())
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

/// Which rows are wanted: that of a session, and, with a number, those of its workspace that hold it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) session: &'a SessionId,
    pub(super) workspace: i64,
    pub(super) number: Option<&'a PhoneNumber>,
    /// An event of the session, which may have been applied.
    pub(super) event: Option<&'a EventId>,
}

/// The events that are wanted, each with its session.
pub(super) fn events<'a>(wanted: &'a [Wanted<'_>]) -> impl Iterator<Item = (&'a str, &'a str)> {
    let event = |one: &'a Wanted<'_>| Some((one.session.as_str(), one.event?.as_str()));
    wanted.iter().filter_map(event)
}

/// The numbers that are wanted, each with its workspace.
pub(super) fn numbers<'a>(wanted: &'a [Wanted<'_>]) -> impl Iterator<Item = (i64, &'a str)> {
    let number = |one: &'a Wanted<'_>| Some((one.workspace, one.number?.reveal()));
    wanted.iter().filter_map(number)
}

/// What there is of what is wanted.
#[derive(Default)]
pub(super) struct Found {
    /// Each row once: of the sessions deleted or not, of the numbers those that are not.
    pub(super) rows: Vec<Columns>,
    /// The accounts of those that are locked until the transaction ends. Others hold the rest.
    pub(super) locked: HashSet<i64>,
    /// The wanted numbers, with their workspaces, that another transaction may be giving to a session.
    pub(super) busy: Vec<(i64, String)>,
}

/// One transaction of one driver. It waits for no row that another holds, unless two make or forget the same.
#[async_trait]
pub(super) trait Steps: Send {
    /// Locks and reads the rows that are wanted. Of two transactions over one number, one finds it busy.
    async fn load(&mut self, wanted: &[Wanted<'_>]) -> Result<Found, sqlx::Error>;

    /// Makes the row of a session, unless there is one.
    async fn insert(&mut self, workspace: i64, session: &SessionId) -> Result<(), sqlx::Error>;

    /// Writes rows, but for their metadata.
    async fn save(&mut self, saves: &[Save<'_>]) -> Result<(), sqlx::Error>;

    /// What others keep there may be large, so it is written apart, where it changes.
    async fn set_metadata(&mut self, account: i64, metadata: &str) -> Result<(), sqlx::Error>;

    /// The first [`SWEEP`] after an account that wait and have not changed for so many seconds.
    async fn stuck(&mut self, seconds: i64, after: i64) -> Result<Vec<Columns>, sqlx::Error>;

    /// Forgets at most [`PRUNE`] ids of events that were applied longer ago, and says how many.
    async fn prune(&mut self, seconds: i64) -> Result<u64, sqlx::Error>;
}

/// The workspace's id as these databases hold it. It must read back as it is: `007` is no other
/// workspace's name.
pub(super) fn workspace(session: &SessionKey) -> Result<i64, StoreError> {
    let text = session.workspace_id.as_str();
    let workspace = text.parse().ok().filter(|id: &i64| id.to_string() == text);
    workspace.ok_or_else(|| {
        let message =
            "the event's `workspace_id` must be an integer in this store, as in its table";
        StoreError::new(StoreErrorKind::InvalidEvent, message)
    })
}

/// Does it, short of the commit. What was written before a fault is to be rolled back.
pub(super) async fn carry_out(
    steps: &mut dyn Steps,
    ask: Ask<'_>,
    options: &StoreOptions,
) -> Result<Done, Fault> {
    let mut told = Vec::new();
    let answer = match ask {
        Ask::Register(session) => Answer::Registered(register(steps, session, &mut told).await?),
        Ask::Apply(events) => Answer::Applied(apply(steps, events, options, &mut told).await?),
        Ask::Sweep(age, after) => Answer::Swept(sweep(steps, age, after, &mut told).await?),
        Ask::Prune => Answer::Pruned(steps.prune(seconds(APPLIED_IDS_KEPT)).await?),
    };
    Ok(Done { answer, told })
}

/// Writes what was touched. Rows that end do so first: others may take their numbers.
pub(super) async fn save(steps: &mut dyn Steps, rows: &[Loaded]) -> Result<(), sqlx::Error> {
    let saves = rows.iter().filter_map(Loaded::to_save);
    let (end, stay): (Vec<_>, Vec<_>) = saves.partition(|save| save.ends != 0);
    for saves in [end, stay] {
        if !saves.is_empty() {
            steps.save(&saves).await?;
        }
    }
    for row in rows {
        if let Some(metadata) = row.new_metadata() {
            steps.set_metadata(row.account, metadata).await?;
        }
    }
    Ok(())
}

async fn register(
    steps: &mut dyn Steps,
    session: &SessionKey,
    told: &mut Vec<Told>,
) -> Result<SessionRow, Fault> {
    let workspace = workspace(session)?;
    let wanted = [Wanted {
        session: &session.session_id,
        workspace,
        number: None,
        event: None,
    }];
    let mut found = steps.load(&wanted).await?;
    let is_new = found.rows.is_empty();
    if is_new {
        steps.insert(workspace, &session.session_id).await?;
        found = steps.load(&wanted).await?;
    }
    let row = found.rows.pop().ok_or(sqlx::Error::RowNotFound)?;
    if !found.locked.contains(&row.0) {
        return Err(Fault::Ours(Failure::held(session)));
    }
    let mut found = Loaded::read(row)?;
    if found.row.session != *session {
        return Err(StoreError::taken(session).into());
    }
    if found.is_deleted {
        found.revive();
    } else if found.row.status.is_waiting() && !is_new {
        // Somebody takes it up again, so it is not stuck.
        found.touch();
    }
    save(steps, std::slice::from_ref(&found)).await?;
    told.push(found.told());
    Ok(found.row)
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
    let mut rows = Vec::with_capacity(stuck.len());
    for columns in stuck {
        match Loaded::read(columns) {
            Ok(mut found) => {
                found.give_up();
                told.push(found.told());
                rows.push(found);
            }
            Err(error) => tracing::warn!(%error, "a row was passed over"),
        }
    }
    save(steps, &rows).await?;
    Ok(last.filter(|_| !is_all))
}
