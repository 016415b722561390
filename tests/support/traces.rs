//! The traces that a driver may leave on the page of another program.
#![allow(dead_code, reason = "each test program uses its part")]

use serde_json::Value;

use super::chrome::Chrome;
use super::until_async;

/// Everything of this crate that a script in the page could notice.
pub(crate) const TRACES: &str = "(() => {
    const names = Object.getOwnPropertyNames(window).sort();
    const socket = window.require('WAWebSocketModel').Socket;
    const hooks = Object.values(socket._events ?? {}).flat().length;
    const own = Object.getOwnPropertyDescriptor(Storage.prototype, 'setItem');
    return [names, Object.getOwnPropertyNames(document), hooks, String(own.value), own.writable,
        own.enumerable, own.configurable, Object.keys(localStorage), document.title, location.href,
        document.visibilityState, document.hasFocus(), document.documentElement.outerHTML.length];
})()";

/// Waits until the stand-in's page has booted, and shows its QR code if no phone is linked.
pub(crate) async fn loaded(chrome: &Chrome, tab: &str) {
    let is_loaded = "!window.isLeaving && document.readyState == 'complete'
        && window.Debug?.VERSION !== undefined
        && (require('WAWebSocketModel').Socket.state != 'UNPAIRED' || document.querySelector('[data-ref]') != null)
        && require('WAWebSocketModel').Socket.state != 'UNLAUNCHED'";
    until_async("the page is loaded", async || {
        chrome.eval(tab, is_loaded).await == true
    })
    .await;
}

/// Reloads the page, and waits for the new document: the old one runs on for a moment.
pub(crate) async fn reloaded(chrome: &Chrome, tab: &str) {
    let reload = "window.isLeaving = true; location.reload()";
    chrome.eval(tab, reload).await;
    loaded(chrome, tab).await;
}

/// Checks that nothing has come or gone. The page itself writes its storage when its number comes.
#[track_caller]
pub(crate) fn assert_same(before: &Value, after: &Value) {
    let all = |traces: &Value| -> Vec<String> {
        let traces = traces.as_array().unwrap().iter().enumerate();
        let kept = traces.filter(|(i, _)| *i != 7);
        kept.flat_map(|(i, trace)| match trace {
            Value::Array(names) => names.iter().map(|name| format!("{i}: {name}")).collect(),
            other => vec![format!("{i}: {other}")],
        })
        .collect()
    };
    let (before, after) = (all(before), all(after));
    let only = |a: &[String], b: &[String]| -> Vec<_> {
        a.iter().filter(|name| !b.contains(name)).cloned().collect()
    };
    assert_eq!(
        (only(&before, &after), only(&after, &before)),
        (vec![], vec![])
    );
}
