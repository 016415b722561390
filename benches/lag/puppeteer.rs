//! Beside a real Puppeteer, which drives the page: the lag, and what its owner could notice.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use whatsapp_phone::source::cdp::{AttachOptions, CdpPage, CdpSource, Target};
use whatsapp_phone::testkit::standin::{Generation, Scenario, StandIn};

use crate::figures::Summary;
use crate::methods::Method;
use crate::{Outcome, digits, epoch_ms, millis};

/// The event by which Chrome reports each further debugger of a tab; nothing can avoid it.
const EXPECTED: &str = "targetInfoChanged";

/// Events that come as often in each run. The numbers of the others depend on the time.
const COUNTED: [&str; 3] = [
    "executionContextCreated",
    "frameNavigated",
    "attachedToTarget",
];

/// A script that drives a page by Puppeteer.
struct Owner {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Owner {
    fn start(script: &Path, url: &str) -> Outcome<Self> {
        let mut node = Command::new("node");
        node.arg(script).arg(url).kill_on_drop(true);
        let mut child = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        Ok(Self {
            input: input.ok_or("no input")?,
            output: BufReader::new(output.ok_or("no output")?).lines(),
            child,
        })
    }

    async fn line(&mut self) -> Outcome<String> {
        let line = self.output.next_line().await?;
        Ok(line.ok_or("the script of Puppeteer ended; is puppeteer-core installed beside it?")?)
    }

    async fn end(mut self) -> Outcome<Value> {
        drop(self.input);
        let line = self.output.next_line().await?.ok_or("no report")?;
        self.child.wait().await?;
        Ok(serde_json::from_str(&line)?)
    }
}

/// Reads the page so many times by its socket beside Puppeteer, and as often not at all. Fails if Puppeteer's
/// events or the page's traces differ.
pub(crate) async fn measure(script: &Path, times: &[f64]) -> Outcome<()> {
    let (_, without) = run(script, times, false).await?;
    let (lags, with) = run(script, times, true).await?;
    let Summary {
        min,
        median,
        p95,
        max,
    } = Summary::of(&lags);
    println!(
        "Beside Puppeteer, `cdp`, {} runs, in milliseconds: min {min:.1}, median {median:.1}, p95 {p95:.1}, max {max:.1}",
        lags.len()
    );
    let events = |of: &Value| -> BTreeMap<String, u64> {
        serde_json::from_value(of["events"].clone()).unwrap_or_default()
    };
    let before = events(&without);
    if before.is_empty() {
        return Err("Puppeteer recorded no event".into());
    }
    let is_new = |(event, count): &(String, u64)| match before.get(event) {
        None => !event.contains(EXPECTED),
        Some(before) => COUNTED.iter().any(|name| event.contains(name)) && count > before,
    };
    let new: Vec<_> = events(&with).into_iter().filter(is_new).collect();
    println!(
        "{} kinds of events; further ones with this crate: {new:?}",
        before.len()
    );
    if !new.is_empty() || with["traces"] != without["traces"] {
        let report = json!({ "new": new, "without": without["traces"], "with": with["traces"] });
        return Err(format!("Puppeteer noticed this crate: {report:#}").into());
    }
    Ok(())
}

async fn run(script: &Path, times: &[f64], is_read: bool) -> Outcome<(Vec<f64>, Value)> {
    let stand_in = StandIn::start(Scenario::never()).await?;
    let mut owner = Owner::start(script, &stand_in.url())?;
    let address = owner.line().await?.parse()?;
    let page = match is_read {
        true => {
            let options = AttachOptions::default().target(Target::at(&stand_in.url())?);
            Some(CdpPage::attach(address, options).await?)
        }
        false => None,
    };
    let mut lags = Vec::new();
    for at in times {
        stand_in.set_scenario(Scenario::ready_after(Generation::Current, millis(*at)));
        owner.input.write_all(b"reload\n").await?;
        owner.line().await?;
        if let Some(page) = &page {
            let number = Method::Cdp.extract(CdpSource::all(page), None).await?;
            let returned = epoch_ms();
            if number != digits() {
                return Err("a wrong number".into());
            }
            lags.push(returned - stand_in.wait_readable().await);
        } else {
            stand_in.wait_readable().await;
        }
    }
    if let Some(page) = page {
        page.close().await;
    }
    Ok((lags, owner.end().await?))
}
