//! [`Page::set_overrides`](super::Page::set_overrides) on a session with a tab.

use super::error::command;
use super::tab::Tab;
use crate::failure::{ProtocolFailure, Site};
use crate::source::page::overrides::{Overrides, invalid_reader};

impl Tab {
    /// Reads the page with these overrides from the next look on.
    pub(super) async fn set_overrides(&self, overrides: &Overrides) -> Result<(), ProtocolFailure> {
        overrides.check()?;
        for (name, row) in overrides.rows() {
            let script = self.state().record.scripts.compile(self.kind(), &row);
            self.run(&self.client(), &script).await.map_err(|error| {
                let cause = command(&error);
                if cause.site() != Site::Script {
                    return cause;
                }
                invalid_reader(name, cause)
            })?;
        }
        self.state().record.set_overrides(overrides);
        Ok(())
    }
}
