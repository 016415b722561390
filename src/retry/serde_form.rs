//! The policy in a configuration file. It is read through the builder, which validates it.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use super::{Backoff, LookMode, PolicyError, RetryPolicy};
use crate::text::{clean, clean_error};

/// The fields of a [`RetryPolicy`], not validated. Absent ones are those of the eager policy.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename = "RetryPolicy")]
pub(super) struct Form {
    initial_delay: Human,
    // An unset value is left out in writing, since TOML has no null.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    interval: Human,
    growth: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_interval: Option<Human>,
    jitter: f64,
    look_timeout: Human,
    deadline: Human,
    #[serde(rename = "watch")]
    look_mode: LookMode,
    fallback_after_exhaustion: bool,
}

impl Default for Form {
    fn default() -> Self {
        RetryPolicy::eager().into()
    }
}

impl From<RetryPolicy> for Form {
    fn from(policy: RetryPolicy) -> Self {
        let deadline = Human(policy.deadline());
        let backoff = policy.backoff;
        Self {
            initial_delay: Human(backoff.initial_delay),
            attempts: backoff.attempts,
            interval: Human(backoff.interval),
            growth: backoff.growth,
            max_interval: backoff.max_interval.map(Human),
            jitter: backoff.jitter,
            look_timeout: Human(policy.look_timeout),
            deadline,
            look_mode: policy.look_mode,
            fallback_after_exhaustion: policy.fallback_after_exhaustion,
        }
    }
}

impl TryFrom<Form> for RetryPolicy {
    type Error = PolicyError;

    fn try_from(form: Form) -> Result<Self, PolicyError> {
        Self {
            backoff: Backoff {
                initial_delay: form.initial_delay.0,
                attempts: form.attempts,
                interval: form.interval.0,
                growth: form.growth,
                max_interval: form.max_interval.map(|longest| longest.0),
                jitter: form.jitter,
                deadline: Some(form.deadline.0),
            },
            look_timeout: form.look_timeout.0,
            look_mode: form.look_mode,
            fallback_after_exhaustion: form.fallback_after_exhaustion,
        }
        .to_builder()
        .build()
    }
}

impl<'de> Deserialize<'de> for RetryPolicy {
    /// Reads and validates a policy. An error repeats the invalid value, masked and cut, since a file may
    /// hold anything in the wrong place.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = Form::deserialize(deserializer).map_err(clean_error)?;
        Self::try_from(form).map_err(de::Error::custom)
    }
}

/// A duration as people write it: `500ms`, `2s 500ms`.
struct Human(Duration);

impl Serialize for Human {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for Human {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Human;

            // The message for a bare number: one reader could assume milliseconds, another seconds.
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with its unit, for example \"500ms\" or \"2s 500ms\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Human, E> {
                let refuse = |_| E::invalid_value(de::Unexpected::Str(&clean(text, 64)), &self);
                humantime::parse_duration(text).map(Human).map_err(refuse)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::RetryPolicyBuilder;
    use proptest::prelude::*;

    fn read(json: &str) -> Result<RetryPolicy, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(read("{}"), Ok(RetryPolicy::eager()));
        assert_eq!(
            read(r#"{"attempts": null, "max_interval": null}"#),
            Ok(RetryPolicy::eager())
        );
    }

    #[test]
    fn classic_as_json() {
        let json = r#"{"initial_delay":"2s 500ms","attempts":15,"interval":"500ms","growth":1.0,"jitter":0.0,"look_timeout":"2s","deadline":"11s","watch":"poll","fallback_after_exhaustion":true}"#;
        assert_eq!(
            serde_json::to_string(&RetryPolicy::classic()).unwrap(),
            json
        );
        assert_eq!(read(json), Ok(RetryPolicy::classic()));
    }

    #[test]
    fn errors_name_the_problem() {
        for (json, says) in [
            (
                r#"{"interval": 500}"#,
                "invalid type: integer `500`, expected a duration with its unit, for example \"500ms\"",
            ),
            (r#"{"interval": 0.5}"#, "expected a duration with its unit"),
            (
                r#"{"interval": "500"}"#,
                "invalid value: string \"500\", expected a duration with its unit",
            ),
            (
                r#"{"interval": "soon"}"#,
                "string \"soon\", expected a duration",
            ),
            (r#"{"interval": null}"#, "expected a duration"),
            (r#"{"intervall": "1s"}"#, "unknown field `intervall`"),
            (
                r#"{"watch": "hook"}"#,
                "not a look mode; write one of: poll, wait",
            ),
            (r#"{"attempts": -1}"#, "expected u32"),
            (
                r#"{"attempts": 0}"#,
                "attempts is 0, but at least one attempt is needed",
            ),
            (
                r#"{"deadline": "2days"}"#,
                "deadline is 2days, but it must be at most 24h",
            ),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(says), "{json}: {error}");
        }
    }

    #[test]
    fn errors_repeat_invalid_values_masked_and_cut() {
        let long = "secret ".repeat(100);
        for json in [
            r#"{"interval": 628110000041}"#.to_owned(),
            r#"{"interval": "628110000041"}"#.to_owned(),
            r#"{"628110000041@c.us": 1}"#.to_owned(),
            r#"{"watch": "628110000041"}"#.to_owned(),
            r#"{"attempts": 628110000041}"#.to_owned(),
            format!(r#"{{"interval": "{long}"}}"#),
            format!(r#"{{"{long}": 1}}"#),
            format!(r#"{{"watch": "{long}"}}"#),
        ] {
            let error = read(&json).unwrap_err();
            assert!(!error.contains("628110000041"), "{error}");
            assert!(error.len() <= 300, "{error}");
        }
        let error = serde_json::from_str::<LookMode>("\"628110000041\"").unwrap_err();
        assert!(!error.to_string().contains("628110000041"), "{error}");
    }

    prop_compose! {
        /// Factors have two decimals: the JSON parser may change the last bit of any other.
        fn any_policy()(
            deadline in 1_u64..=86_400_000_000_000,
            initial in 0.0_f64..1.0,
            attempts in proptest::option::of(1_u32..),
            interval in 10_000_000_u64..=86_400_000_000_000,
            cap in proptest::option::of(0.0_f64..=1.0),
            growth in 100_u32..=10_000,
            jitter in 0_u32..=100,
            look_timeout in 1_u64..=86_400_000_000_000,
            poll: bool,
            fallback: bool,
        ) -> RetryPolicy {
            let nanos = Duration::from_nanos;
            let builder = RetryPolicy::builder()
                .deadline(nanos(deadline))
                .initial_delay(nanos(deadline).mul_f64(initial).min(nanos(deadline - 1)))
                .interval(nanos(interval))
                .growth(f64::from(growth) / 100.0)
                .jitter(f64::from(jitter) / 100.0)
                .look_timeout(nanos(look_timeout))
                .look_mode(if poll { LookMode::Poll } else { LookMode::Wait })
                .fallback_after_exhaustion(fallback);
            let builder = attempts.into_iter().fold(builder, RetryPolicyBuilder::attempts);
            let room = nanos(86_400_000_000_000 - interval);
            let cap = cap.map(|share| nanos(interval) + room.mul_f64(share).min(room));
            cap.into_iter().fold(builder, RetryPolicyBuilder::max_interval).build().unwrap()
        }
    }

    proptest! {
        #[test]
        fn any_policy_is_read_back_as_it_was_written(policy in any_policy()) {
            let json = serde_json::to_string(&policy).unwrap();
            prop_assert_eq!(read(&json), Ok(policy), "{}", json);
        }
    }
}
