//! [`Page::set_overrides`](super::Page::set_overrides) on a session with a tab.

use super::error::{command, misconfigured};
use super::tab::Tab;
use crate::failure::{ProtocolFailure, Site};
use crate::source::page::history::History;
use crate::source::page::overrides::Overrides;
use crate::source::page::scripts::Scripts;

impl Tab {
    /// Reads the page with these overrides from the next look on.
    pub(super) async fn set_overrides(&self, overrides: &Overrides) -> Result<(), ProtocolFailure> {
        overrides.check()?;
        for (name, row) in overrides.rows() {
            let script = Scripts::compile(self.kind(), &row);
            self.run(&self.client(), &script).await.map_err(|error| {
                let cause = command(&error);
                if cause.site() != Site::Script {
                    return cause;
                }
                let text = format!("the reader `{name}` is not a JavaScript expression");
                misconfigured(text).caused_by(cause)
            })?;
        }
        let mut state = self.state();
        state.scripts = Scripts::new(overrides);
        // Other evidence may count now.
        state.history = History::default();
        state.last = None;
        Ok(())
    }
}
