//! The policies that are compared.

use std::error::Error;
use std::time::Duration;

use whatsapp_phone::retry::{LookMode, PolicyError, RetryPolicy};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// A policy by name.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) policy: RetryPolicy,
    /// The plots would be unreadable with a line for each policy.
    pub(crate) is_plotted: bool,
}

/// Returns the policies of the reference's table, `classic`, a look every 50 ms, and `eager`.
fn built_in() -> Result<Vec<Entry>, PolicyError> {
    // The reference's own schedule, cut after so many looks, without its last look elsewhere.
    let looks = |n: u32, delay: Duration| {
        let builder = RetryPolicy::classic().to_builder().attempts(n);
        let builder = builder.initial_delay(delay);
        builder.fallback_after_exhaustion(false).build()
    };
    let delay = RetryPolicy::classic().backoff().initial_delay();
    let eager = RetryPolicy::eager().to_builder();
    let entries = [
        ("one look at 3s", looks(1, MS(3_000))?, true),
        ("one look at 5s", looks(1, MS(5_000))?, false),
        ("3 looks", looks(3, delay)?, false),
        ("5 looks", looks(5, delay)?, true),
        ("8 looks", looks(8, delay)?, false),
        ("10 looks", looks(10, delay)?, true),
        ("classic", RetryPolicy::classic(), true),
        (
            "poll 50ms",
            eager.interval(MS(50)).look_mode(LookMode::Poll).build()?,
            true,
        ),
        ("eager", RetryPolicy::eager(), true),
    ];
    let entries = entries.map(|(name, policy, is_plotted)| Entry {
        name: name.to_owned(),
        policy,
        is_plotted,
    });
    Ok(entries.into())
}

/// Returns the built-in policies and then those of the command line.
pub(crate) fn all(own: &[Entry]) -> Result<Vec<Entry>, Box<dyn Error>> {
    let mut all = built_in()?;
    for entry in own {
        if all.iter().any(|other| other.name == entry.name) {
            let name = &entry.name;
            return Err(format!("there are two policies `{name}`: give yours another name").into());
        }
        all.push(entry.clone());
    }
    Ok(all)
}

/// Reads `NAME=JSON`.
pub(crate) fn parse(text: &str) -> Result<Entry, Box<dyn Error + Send + Sync>> {
    let (name, json) = text
        .split_once('=')
        .ok_or("write NAME=JSON, for instance slow={\"interval\":\"1s\"}")?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " -_.".contains(c);
    if name.is_empty() || name.len() > 24 || !name.chars().all(is_plain) {
        return Err(
            "a name has 1 to 24 letters, digits, spaces, dots, hyphens, underscores".into(),
        );
    }
    Ok(Entry {
        name: name.to_owned(),
        policy: serde_json::from_str(json)?,
        is_plotted: true,
    })
}
