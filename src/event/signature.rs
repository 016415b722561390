//! Signatures of webhooks by [Standard Webhooks](https://www.standardwebhooks.com): [`SigningKeys`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::EventId;

/// How far a `webhook-timestamp` may be from the receiver's clock, before or after it: 5 minutes.
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// The start of a secret.
const PREFIX: &str = "whsec_";
/// The start of a signature: HMAC-SHA256.
const VERSION: &str = "v1,";
/// The block size of SHA-256. HMAC fills a shorter key up with zeros, so a filled key signs the same.
const MAX_KEY: usize = 64;
const MIN_KEY: usize = 24;

type Key = Box<Zeroizing<[u8; MAX_KEY]>>;

/// The keys of a webhook: one, or several while a new one replaces an old one. [`sign`](Self::sign) uses
/// all of them, [`verify`](Self::verify) accepts a signature by any of them.
///
/// Read from text: `whsec_` and the base64 form of 24 to 64 random bytes; several secrets are separated by
/// spaces. `echo "whsec_$(openssl rand -base64 32)"` makes one. `Debug` shows only how many there are. The
/// keys are overwritten when the last clone is dropped.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use whatsapp_phone::event::EventId;
/// use whatsapp_phone::event::signature::SigningKeys;
///
/// let (old, new) = ("whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQt", "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXct");
/// let sender: SigningKeys = format!("{new} {old}").parse()?;
/// let receiver: SigningKeys = old.parse()?;
///
/// let now = SystemTime::now();
/// let headers = sender.sign(&EventId::new("event-1")?, now, b"{}");
/// receiver.verify(&headers, b"{}", now)?;
/// assert!(receiver.verify(&headers, b"{ }", now).is_err());
/// assert!(receiver.verify(&headers, b"{}", now + Duration::from_secs(301)).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SigningKeys(Arc<[Key]>);

/// The headers of a signed webhook.
///
/// The struct is exhaustive, since a receiver makes it from a request, and Standard Webhooks has these three headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureHeaders {
    /// `webhook-id`: the same for every attempt. A receiver recognises a repetition by it.
    pub id: EventId,
    /// `webhook-timestamp`: the time of this attempt, in seconds since 1970.
    pub timestamp: String,
    /// `webhook-signature`: one signature for each key, separated by spaces.
    pub signature: String,
}

/// Why a secret cannot be used. Never contains the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// There is none.
    #[error(
        "there is no webhook secret; write `whsec_` and the base64 form of 24 to 64 random bytes"
    )]
    Missing,
    /// It has no prefix.
    #[error("a webhook secret must start with `whsec_`")]
    Prefix,
    /// The text after the prefix is not base64.
    #[error("a webhook secret must be base64 with padding after `whsec_`")]
    Base64,
    /// The key is too short or too long.
    #[error("a webhook secret has {bytes} bytes; it must have 24 to 64")]
    Length {
        /// How many it has.
        bytes: usize,
    },
}

/// Why a signature was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The id contains a full stop.
    #[error("the webhook-id must not contain a full stop")]
    Id,
    /// The timestamp is not a number.
    #[error("the webhook-timestamp must be a number of seconds since 1970, in digits")]
    Timestamp,
    /// The timestamp is before or after the receiver's clock by more than [`TOLERANCE`].
    #[error("the webhook-timestamp is {seconds} s away from this clock; at most 300 s are allowed")]
    Stale {
        /// The difference, in seconds.
        seconds: u64,
    },
    /// No signature is by one of the keys.
    #[error("no webhook-signature is by a key of this receiver")]
    NoMatch,
}

impl SigningKeys {
    /// Signs a body with every key. An id with a full stop, which a foreign event may have, is replaced by
    /// its SHA-256 in base64: a full stop separates the parts of the signed text.
    #[must_use]
    pub fn sign(&self, id: &EventId, now: SystemTime, body: &[u8]) -> SignatureHeaders {
        let id = match id.as_str().contains('.') {
            true => hashed(id),
            false => id.clone(),
        };
        let timestamp = unix_seconds(now).to_string();
        let signatures: Vec<_> = self
            .0
            .iter()
            .map(|key| signature(key, &id, &timestamp, body))
            .collect();
        SignatureHeaders {
            id,
            timestamp,
            signature: signatures.join(" "),
        }
    }

    /// Checks that these headers sign this body with one of the keys, and that the timestamp is within
    /// [`TOLERANCE`] of `now`. The body must be the bytes that arrived. Signatures are compared in constant
    /// time; those of other versions than `v1` are skipped.
    ///
    /// It does not recognise a repetition: that is the task of the caller, by the id.
    ///
    /// # Errors
    ///
    /// If the headers are invalid or stale, or no signature matches.
    pub fn verify(
        &self,
        headers: &SignatureHeaders,
        body: &[u8],
        now: SystemTime,
    ) -> Result<(), SignatureError> {
        // With a full stop in the id, one signature would fit several texts.
        if headers.id.as_str().contains('.') {
            return Err(SignatureError::Id);
        }
        let timestamp = &headers.timestamp;
        if !timestamp.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SignatureError::Timestamp);
        }
        let sent: u64 = timestamp.parse().map_err(|_| SignatureError::Timestamp)?;
        let seconds = unix_seconds(now).abs_diff(sent);
        if seconds > TOLERANCE.as_secs() {
            return Err(SignatureError::Stale { seconds });
        }
        let mut is_any = Choice::from(0);
        for key in self.0.iter() {
            let expected = signature(key, &headers.id, timestamp, body);
            for given in headers.signature.split(' ') {
                is_any |= given.as_bytes().ct_eq(expected.as_bytes());
            }
        }
        if is_any.into() {
            Ok(())
        } else {
            Err(SignatureError::NoMatch)
        }
    }
}

fn hashed(id: &EventId) -> EventId {
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(id.as_str()));
    EventId::new(&hash).unwrap_or_else(|_| EventId::generate())
}

fn unix_seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn signature(key: &Key, id: &EventId, timestamp: &str, body: &[u8]) -> String {
    let key: &[u8; MAX_KEY] = key;
    let mut mac = Hmac::<Sha256>::new(key.into());
    for part in [
        id.as_str().as_bytes(),
        b".",
        timestamp.as_bytes(),
        b".",
        body,
    ] {
        mac.update(part);
    }
    format!("{VERSION}{}", STANDARD.encode(mac.finalize().into_bytes()))
}

impl FromStr for SigningKeys {
    type Err = SecretError;

    fn from_str(secrets: &str) -> Result<Self, SecretError> {
        let keys: Arc<[Key]> = secrets
            .split_whitespace()
            .map(key)
            .collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err(SecretError::Missing);
        }
        Ok(Self(keys))
    }
}

fn key(secret: &str) -> Result<Key, SecretError> {
    let text = secret.strip_prefix(PREFIX).ok_or(SecretError::Prefix)?;
    // Base64 is longer than the bytes that it stands for.
    let mut decoded = Zeroizing::new(vec![0; text.len()]);
    let bytes = STANDARD
        .decode_slice(text, &mut decoded)
        .map_err(|_| SecretError::Base64)?;
    if !(MIN_KEY..=MAX_KEY).contains(&bytes) {
        return Err(SecretError::Length { bytes });
    }
    let mut key = Key::new(Zeroizing::new([0; MAX_KEY]));
    key[..bytes].copy_from_slice(&decoded[..bytes]);
    Ok(key)
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeys({})", self.0.len())
    }
}

#[cfg(test)]
mod tests;
