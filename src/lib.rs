//! Which phone number does this WhatsApp Web session belong to?
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod classify;
pub mod extract;
pub mod failure;
pub mod jid;
pub mod phone;
pub mod retry;
pub mod source;
#[cfg(feature = "testkit")]
pub mod testkit;
