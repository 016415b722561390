//! [`LastEvent`]: the latest event of a session.

use crate::phone::PhoneNumber;
use crate::store::{SessionRow, Status};

/// The last event that was queued for the sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum LastEvent {
    /// This onboarding has sent nothing, and has no row: an earlier process may have sent anything.
    #[default]
    Nothing,
    /// This onboarding has sent nothing, and the row waits for a scan.
    Registered,
    /// The latest event was given up and may have arrived, or the sink has withheld it as outdated.
    Unconfirmed,
    QrCode,
    QrExpired,
    Authenticated,
    Ready(PhoneNumber),
    /// With the error's code.
    Failed(Option<String>),
    Disconnected,
}

impl LastEvent {
    /// Returns whether it is a code, present or expired.
    pub(super) const fn is_qr_code(&self) -> bool {
        matches!(self, Self::QrCode | Self::QrExpired)
    }

    /// Returns whether no store can hold the session as linked. A code that may have arrived does not change
    /// that.
    pub(super) const fn is_unlinked(&self) -> bool {
        self.is_qr_code() || matches!(self, Self::Registered | Self::Disconnected)
    }
}

impl From<&SessionRow> for LastEvent {
    fn from(row: &SessionRow) -> Self {
        match (row.status, &row.phone) {
            (Status::Connected, Some(phone)) => Self::Ready(phone.clone()),
            (Status::QrScanning, _) => Self::Registered,
            (Status::Authenticated | Status::Connected, _) => Self::Authenticated,
            (Status::Disconnected, _) => Self::Disconnected,
            (Status::Error, _) => Self::Failed(row.error.as_ref().map(|error| error.code.clone())),
            (Status::Failed, _) => Self::Nothing,
        }
    }
}
