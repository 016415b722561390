//! Without the feature `cdp` no page has a [`Push`]: every wait uses WebDriver commands.

use std::future::Ready;

use fantoccini::Client;
use serde_json::Value;

use crate::source::page::devtools::DebuggerAddress;
use crate::source::page::error::LookError;

#[derive(Clone)]
pub(super) enum Socket {}

impl Socket {
    pub(super) fn answers(&self) -> Ready<bool> {
        match *self {}
    }

    pub(super) fn run_async(&self, _: &str, _: &[Value]) -> Ready<Result<Value, LookError>> {
        match *self {}
    }
}

pub(super) enum Push {}

impl Push {
    pub(super) fn new(_: Option<DebuggerAddress>) -> Option<Self> {
        None
    }

    pub(super) const fn is_open(&self) -> bool {
        match *self {}
    }

    pub(super) async fn socket(&self, _: &Client) -> Option<Socket> {
        match *self {}
    }

    pub(super) const fn follow(&self) {
        match *self {}
    }

    pub(super) fn leave(&self, _: String) {
        match *self {}
    }
}
