//! Several events in one transaction: their rows are read at once, judged in memory one event after the
//! other, and written at once. So a refusal writes nothing, and an event costs a share of the
//! transaction's round trips.

use std::collections::HashSet;

use super::meaning::Failure;
use super::rows::{Loaded, Told};
use super::steps::{Found, Steps, Wanted, save, workspace};
use crate::event::{EventKind, SessionEvent, SessionKey};
use crate::phone::PhoneNumber;
use crate::store::decide::{Verdict, judge, retires};
use crate::store::{DuplicatePolicy, Ignored, Outcome, StoreError, StoreOptions};

pub(super) async fn apply(
    steps: &mut dyn Steps,
    events: &[&SessionEvent],
    options: &StoreOptions,
    told: &mut Vec<Told>,
) -> Result<Vec<Result<Outcome, Failure>>, sqlx::Error> {
    let asked: Vec<_> = events.iter().map(|event| wants(event, options)).collect();
    let sound = asked.iter().flatten().flatten();
    let wanted: Vec<_> = sound.map(|(_, wanted)| *wanted).collect();
    let found = match wanted.is_empty() {
        true => Found::default(),
        false => steps.load(&wanted).await?,
    };
    let mut rows = Rows::read(found);
    let mut outcomes = Vec::with_capacity(events.len());
    for (event, asked) in events.iter().zip(asked) {
        outcomes.push(match asked {
            Ok(Some((session, wanted))) => rows.apply(event, session, wanted, options, told),
            Ok(None) => Ok(Outcome::Ignored(Ignored::Foreign)),
            Err(error) => Err(error.into()),
        });
    }
    save(steps, &rows.ours).await?;
    Ok(outcomes)
}

/// What an event needs; `None` if it is about no session.
fn wants<'a>(
    event: &'a SessionEvent,
    options: &StoreOptions,
) -> Result<Option<(&'a SessionKey, Wanted<'a>)>, StoreError> {
    let Some(session) = event.session() else {
        return Ok(None);
    };
    let number = match event.kind() {
        EventKind::SessionReady(ready) if options.duplicates != DuplicatePolicy::Companions => {
            Some(ready.phone())
        }
        _ => None,
    };
    let wanted = Wanted {
        session: &session.session_id,
        workspace: workspace(session)?,
        number,
        event: event.id(),
    };
    Ok(Some((session, wanted)))
}

/// The rows that were read, as they will be.
struct Rows {
    ours: Vec<Loaded>,
    odd: Vec<Odd>,
    locked: HashSet<i64>,
    busy: Vec<(i64, String)>,
}

/// A row that is none of ours, though it is not deleted.
struct Odd {
    workspace: Option<i64>,
    session: Option<String>,
    phone: Option<PhoneNumber>,
    error: StoreError,
}

impl Rows {
    fn read(found: Found) -> Self {
        let (mut ours, mut odd) = (Vec::with_capacity(found.rows.len()), Vec::new());
        for columns in found.rows {
            let (workspace, is_deleted) = (columns.1, columns.6 != 0);
            let (session, phone) = (columns.2.clone(), columns.3.clone());
            match Loaded::read(columns) {
                Ok(found) => ours.push(found),
                Err(_) if is_deleted => {}
                Err(error) => odd.push(Odd {
                    workspace,
                    session,
                    phone: phone.and_then(|text| text.parse().ok()),
                    error,
                }),
            }
        }
        Self {
            ours,
            odd,
            locked: found.locked,
            busy: found.busy,
        }
    }

    fn position(&self, session: &SessionKey) -> Option<usize> {
        let is_own = |found: &Loaded| !found.is_deleted && found.row.session == *session;
        self.ours.iter().position(is_own)
    }

    fn apply(
        &mut self,
        event: &SessionEvent,
        session: &SessionKey,
        wanted: Wanted<'_>,
        options: &StoreOptions,
        told: &mut Vec<Told>,
    ) -> Result<Outcome, Failure> {
        let name = session.session_id.as_str();
        if let Some(odd) = self
            .odd
            .iter()
            .find(|odd| odd.session.as_deref() == Some(name))
        {
            return Err(odd.error.clone().into());
        }
        let own = self.position(session);
        let own = own.ok_or_else(|| StoreError::unknown(session))?;
        if !self.is_locked(own) || self.is_busy(wanted) {
            return Err(Failure::held(session));
        }
        let found = &self.ours[own];
        let is_applied = event.id().is_some_and(|event| found.is_applied(event));
        let write = match judge(&found.row, is_applied, event, options.rebind)? {
            Verdict::Ignore(why) => return Ok(Outcome::Ignored(why)),
            Verdict::Write(write) => write,
        };
        let holders: Vec<_> = match wanted.number {
            Some(number) => self.holders(own, number).collect(),
            None => Vec::new(),
        };
        let odd = self.odd.iter().find(|odd| {
            odd.workspace == Some(wanted.workspace)
                && odd.phone.is_some()
                && odd.phone.as_ref() == wanted.number
        });
        if let Some(odd) = odd {
            tracing::warn!(error = %odd.error, "a row that is none of ours holds a number");
            return Err(StoreError::held(session).into());
        }
        if !holders.iter().all(|&holder| self.is_locked(holder)) {
            return Err(Failure::held(session));
        }
        let statuses = holders.iter().map(|&holder| self.ours[holder].row.status);
        retires(&write.row, statuses, options.duplicates)?;
        let mut retired = Vec::with_capacity(holders.len());
        for holder in holders {
            self.ours[holder].give_up();
            retired.push(self.ours[holder].to_change());
            told.push(self.ours[holder].told());
        }
        let found = &mut self.ours[own];
        found.apply(*write, event.id());
        told.push(found.told());
        let change = found.to_change();
        Ok(Outcome::Applied { change, retired })
    }

    fn is_locked(&self, row: usize) -> bool {
        self.locked.contains(&self.ours[row].account)
    }

    fn is_busy(&self, wanted: Wanted<'_>) -> bool {
        let number = wanted.number.map(PhoneNumber::reveal);
        let mut busy = self.busy.iter();
        busy.any(|(workspace, busy)| {
            *workspace == wanted.workspace && Some(busy.as_str()) == number
        })
    }

    /// The other rows of the workspace that hold the number. Compared here: some databases take texts
    /// for equal that differ.
    fn holders(&self, own: usize, number: &PhoneNumber) -> impl Iterator<Item = usize> {
        let workspace = &self.ours[own].row.session.workspace_id;
        let holds = move |(index, other): &(usize, &Loaded)| {
            *index != own
                && !other.is_deleted
                && other.row.session.workspace_id == *workspace
                && other.row.phone.as_ref() == Some(number)
        };
        let holders = self.ours.iter().enumerate().filter(holds);
        holders.map(|(index, _)| index)
    }
}
