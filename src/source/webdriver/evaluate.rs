//! [`evaluate`]: runs a script past ChromeDriver's own wrapper.
//!
//! ChromeDriver runs scripts through a wrapper, which uses the page's `Promise` and `JSON` if its own copies
//! of them have been removed. A page that has replaced those never answers the wrapper; the DevTools command
//! needs neither.

use fantoccini::Client;
use fantoccini::error::CmdError;
use fantoccini::wd::WebDriverCompatibleCommand;
use http::Method;
use serde_json::{Value, json};
use url::{ParseError, Url};

/// Runs the body of a script without arguments by `Runtime.evaluate`, or as usual if the server does not
/// know that command. Returns `null` if the script threw.
pub(super) async fn evaluate(client: &Client, script: &str) -> Result<Value, CmdError> {
    let params = json!({
        "expression": format!("(() => {{\n{script}\n}})()"),
        "returnByValue": true,
        "silent": true,
    });
    match devtools(client, "Runtime.evaluate", &params).await {
        Ok(mut answer) => {
            let value = answer.pointer_mut("/result/value").map(Value::take);
            Ok(value.unwrap_or_default())
        }
        Err(error) if error.is_unknown_command() || error.is_unknown_method() => {
            client.execute(script, Vec::new()).await
        }
        Err(error) => Err(error),
    }
}

/// Runs a DevTools command in the current tab, by ChromeDriver's extension command.
pub(super) async fn devtools(
    client: &Client,
    command: &str,
    params: &Value,
) -> Result<Value, CmdError> {
    let body = json!({ "cmd": command, "params": params });
    client.issue_cmd(DevTools(body.to_string())).await
}

/// The body of a DevTools command.
#[derive(Debug)]
struct DevTools(String);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.0.clone()))
    }
}
