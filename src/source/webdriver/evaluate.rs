//! A script that runs past ChromeDriver's own wrapper: [`evaluate`].
//!
//! ChromeDriver runs scripts through one of its own, which uses the page's `Promise` and `JSON` where
//! a guest has swept its copies of them away. A page that has replaced those never answers it; the
//! DevTools command beneath needs neither.

use fantoccini::Client;
use fantoccini::error::CmdError;
use fantoccini::wd::WebDriverCompatibleCommand;
use http::Method;
use serde_json::{Value, json};
use url::{ParseError, Url};

/// What the body of an `execute/sync` script without arguments returns; `null` if it threw.
pub(super) async fn evaluate(client: &Client, script: &str) -> Result<Value, CmdError> {
    let mut answer = client.issue_cmd(Evaluate::body(script)).await?;
    let value = answer.pointer_mut("/result/value").map(Value::take);
    Ok(value.unwrap_or_default())
}

/// `Runtime.evaluate` in the current tab, by ChromeDriver's extension command.
#[derive(Debug)]
struct Evaluate(String);

impl Evaluate {
    fn body(script: &str) -> Self {
        let params = json!({
            "expression": format!("(() => {{\n{script}\n}})()"),
            "returnByValue": true,
            "silent": true,
        });
        Self(json!({ "cmd": "Runtime.evaluate", "params": params }).to_string())
    }
}

impl WebDriverCompatibleCommand for Evaluate {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.0.clone()))
    }
}
