//! The policy from environment variables.

use std::ffi::OsString;
use std::time::Duration;

use super::{PolicyError, RetryPolicy};

const INITIAL_DELAY: &str = "WHATSAPP_PHONE_INITIAL_DELAY";
const ATTEMPTS: &str = "WHATSAPP_PHONE_ATTEMPTS";
const INTERVAL: &str = "WHATSAPP_PHONE_INTERVAL";
const LOOK_TIMEOUT: &str = "WHATSAPP_PHONE_LOOK_TIMEOUT";
const DEADLINE: &str = "WHATSAPP_PHONE_DEADLINE";

/// Names of the builder's settings and of the variables that set them.
const VARIABLES: [(&str, &str); 5] = [
    ("initial_delay", INITIAL_DELAY),
    ("attempts", ATTEMPTS),
    ("interval", INTERVAL),
    ("look_timeout", LOOK_TIMEOUT),
    ("deadline", DEADLINE),
];

impl RetryPolicy {
    /// Reads the policy from the environment. Unset variables are those of [`RetryPolicy::eager`].
    ///
    /// | variable | value |
    /// |---|---|
    /// | `WHATSAPP_PHONE_INITIAL_DELAY` | a duration: `0s`, `2s 500ms` |
    /// | `WHATSAPP_PHONE_ATTEMPTS` | a number of looks, or `unlimited` |
    /// | `WHATSAPP_PHONE_INTERVAL` | a duration |
    /// | `WHATSAPP_PHONE_LOOK_TIMEOUT` | a duration |
    /// | `WHATSAPP_PHONE_DEADLINE` | a duration |
    ///
    /// An empty variable counts as not set, since compose files pass on empty ones.
    ///
    /// # Errors
    ///
    /// If a value is not Unicode, cannot be read, or breaks a rule of the builder. The error names the
    /// variable.
    ///
    /// ```
    /// use whatsapp_phone::retry::RetryPolicy;
    ///
    /// let policy = RetryPolicy::from_env()?;
    /// println!("gives up after {:?}", policy.deadline());
    /// # Ok::<(), whatsapp_phone::retry::PolicyError>(())
    /// ```
    pub fn from_env() -> Result<Self, PolicyError> {
        Self::from_vars(|name| std::env::var_os(name))
    }

    /// Reads the policy as [`from_env`](Self::from_env) does, from any map: `lookup` is called for each name.
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env).
    ///
    /// ```
    /// use whatsapp_phone::retry::RetryPolicy;
    ///
    /// let policy = RetryPolicy::from_vars(|name| (name == "WHATSAPP_PHONE_DEADLINE").then_some("30s"))?;
    /// assert_eq!(policy.deadline().as_secs(), 30);
    /// # Ok::<(), whatsapp_phone::retry::PolicyError>(())
    /// ```
    pub fn from_vars<V: Into<OsString>>(
        lookup: impl Fn(&str) -> Option<V>,
    ) -> Result<Self, PolicyError> {
        let read = |name| text(name, lookup(name).map(Into::into));
        let mut builder = Self::builder();
        if let Some(value) = read(INITIAL_DELAY)? {
            builder = builder.initial_delay(duration(INITIAL_DELAY, &value)?);
        }
        if let Some(value) = read(ATTEMPTS)? {
            builder = match looks(&value)? {
                Some(looks) => builder.attempts(looks),
                None => builder.unlimited_attempts(),
            };
        }
        if let Some(value) = read(INTERVAL)? {
            builder = builder.interval(duration(INTERVAL, &value)?);
        }
        if let Some(value) = read(LOOK_TIMEOUT)? {
            builder = builder.look_timeout(duration(LOOK_TIMEOUT, &value)?);
        }
        if let Some(value) = read(DEADLINE)? {
            builder = builder.deadline(duration(DEADLINE, &value)?);
        }
        builder.build().map_err(name_variable)
    }
}

fn text(name: &'static str, value: Option<OsString>) -> Result<Option<String>, PolicyError> {
    let Some(value) = value else { return Ok(None) };
    let value = value
        .into_string()
        .map_err(|raw| PolicyError::new(name, raw.to_string_lossy(), "it must be Unicode text"))?;
    let value = value.trim();
    Ok((!value.is_empty()).then(|| value.to_owned()))
}

fn duration(name: &'static str, value: &str) -> Result<Duration, PolicyError> {
    humantime::parse_duration(value).map_err(|_| {
        PolicyError::new(
            name,
            value,
            "it must be a duration with its unit, for example 500ms or 2s",
        )
    })
}

fn looks(value: &str) -> Result<Option<u32>, PolicyError> {
    if value.eq_ignore_ascii_case("unlimited") {
        return Ok(None);
    }
    let advice = "it must be a whole number of looks, or the word unlimited";
    value
        .parse()
        .map(Some)
        .map_err(|_| PolicyError::new(ATTEMPTS, value, advice))
}

/// Names the variable instead of the builder's setting. The eager policy is valid, so the invalid
/// setting came from a variable.
fn name_variable(error: PolicyError) -> PolicyError {
    let variable = VARIABLES
        .iter()
        .find(|(setting, _)| *setting == error.setting());
    match variable {
        Some((_, variable)) => error.renamed(variable),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(vars: &[(&str, &str)]) -> Result<RetryPolicy, PolicyError> {
        RetryPolicy::from_vars(|name| {
            vars.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| *value)
        })
    }

    #[test]
    fn without_variables_it_is_the_default() {
        assert_eq!(with(&[]), Ok(RetryPolicy::eager()));
        assert_eq!(
            with(&VARIABLES.map(|(_, name)| (name, " "))),
            Ok(RetryPolicy::eager())
        );
    }

    #[test]
    fn every_variable_is_read() {
        let policy = with(&[
            (INITIAL_DELAY, "2s 500ms"),
            (ATTEMPTS, " 15 "),
            (INTERVAL, "250ms"),
            (LOOK_TIMEOUT, "3s"),
            (DEADLINE, "1m"),
        ]);
        let expected = RetryPolicy::builder()
            .initial_delay(Duration::from_millis(2_500))
            .attempts(15)
            .interval(Duration::from_millis(250))
            .look_timeout(Duration::from_secs(3))
            .deadline(Duration::from_secs(60))
            .build();
        assert_eq!(policy, expected);
        assert_eq!(with(&[(ATTEMPTS, "Unlimited")]).unwrap().attempts(), None);
    }

    #[test]
    fn an_error_names_its_variable() {
        for (name, value, says) in [
            (INITIAL_DELAY, "2500", "a duration with its unit"),
            (INITIAL_DELAY, "10s", "the deadline is 10s"),
            (ATTEMPTS, "many", "a whole number of looks"),
            (ATTEMPTS, "-1", "a whole number of looks"),
            (ATTEMPTS, "0", "at least one attempt"),
            (INTERVAL, "0s", "at least 10ms"),
            (INTERVAL, "fast", "a duration with its unit"),
            (LOOK_TIMEOUT, "0ms", "longer than zero"),
            (DEADLINE, "25h", "at most 24h"),
        ] {
            let error = with(&[(name, value)]).unwrap_err();
            assert_eq!(error.setting(), name);
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn an_invalid_value_is_repeated_masked_and_short() {
        let error = with(&[(DEADLINE, &format!("628110000041 {}", "x".repeat(500)))]).unwrap_err();
        assert!(
            error.value().starts_with("62********41 x") && error.value().len() <= 64,
            "{error}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_unicode_is_an_error() {
        use std::os::unix::ffi::OsStringExt;

        let lookup =
            |name: &str| (name == INTERVAL).then(|| OsString::from_vec(vec![b'1', 0xff, b's']));
        let error = RetryPolicy::from_vars(lookup).unwrap_err();
        assert_eq!(
            error.to_string(),
            "WHATSAPP_PHONE_INTERVAL is 1\u{fffd}s, but it must be Unicode text"
        );
    }
}
