//! Sources of a number: [`InfoSource`], and the result of one look: [`Look`].
//!
//! | driver | reads | feature |
//! |---|---|---|
//! | [`from_fn`] | the result of a closure | |
//! | [`mock::MockSource`] | a script, for tests | |
//! | `cdp::CdpSource` | a WhatsApp Web page of a running Chrome, by its own DevTools socket | `cdp` |
//! | `webdriver::WebDriverSource` | a WhatsApp Web page, through ChromeDriver | `webdriver` |

#[cfg(feature = "cdp")]
#[cfg_attr(docsrs, doc(cfg(feature = "cdp")))]
pub mod cdp;
mod identity;
pub mod mock;
#[cfg(any(feature = "cdp", all(unix, feature = "webdriver")))]
mod page;
#[cfg(all(unix, any(feature = "cdp", feature = "webdriver")))]
#[cfg_attr(not(feature = "webdriver"), allow(dead_code))]
mod process;
mod state;
#[cfg(all(unix, feature = "webdriver"))]
#[cfg_attr(docsrs, doc(cfg(feature = "webdriver")))]
pub mod webdriver;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::identity::{Assurance, Identity, Pending};
pub use self::state::PageState;
use crate::failure::ProtocolFailure;

/// The result of one look.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Look {
    /// No number yet, and no reason to stop looking.
    NotYet,
    /// The account's LID is known, its number is not.
    LidOnly(Identity),
    /// The number is known. [`Identity::phone`] is there.
    Found(Identity),
    /// Two live readers give different accounts. No answer is better than a wrong one.
    Conflict,
}

impl Look {
    /// Returns the look for an identity: `Found` with a number, else `LidOnly` with a LID, else
    /// `NotYet`.
    #[must_use]
    pub fn from_identity(identity: Identity) -> Self {
        if identity.phone.is_some() {
            Self::Found(identity)
        } else if identity.lid.is_some() {
            Self::LidOnly(identity)
        } else {
            Self::NotYet
        }
    }

    /// Returns whether a [`wait`](InfoSource::wait) for `min` returns early with this: a number that is sure
    /// enough, or a conflict.
    #[must_use]
    pub fn is_awaited(&self, min: Assurance) -> bool {
        match self {
            Self::Found(me) => me.assurance >= min,
            Self::Conflict => true,
            Self::NotYet | Self::LidOnly(_) => false,
        }
    }
}

/// Something that may know which account a session belongs to.
///
/// # Contract
///
/// - Both methods are **cancel-safe**: the future may be dropped at any point, and the source is
///   then ready for the next look. The extractor drops looks that take too long.
/// - Neither blocks the thread, and neither retries on its own: policy belongs to the caller.
/// - A missing number is [`Look::NotYet`], never an error. An error means that the look itself did
///   not work; its words and code decide what happens next
///   ([`ProtocolErrorClassifier`](crate::classify::ProtocolErrorClassifier)).
/// - [`Look::Found`] always carries a number. A LID alone is [`Look::LidOnly`].
/// - `wait` looks for up to `max` and returns early only for a `Found` at `min` or above, a
///   `Conflict`, or a failure. Otherwise it returns what it last saw when `max` is over. A `max` of
///   zero is still one look.
/// - The same source may be asked by several extractions at once.
///
/// `testkit::contract` holds any source to these rules (feature `testkit`).
///
/// ```
/// use std::time::Duration;
/// use whatsapp_phone::failure::ProtocolFailure;
/// use whatsapp_phone::source::{Assurance, Identity, InfoSource, Look};
///
/// #[derive(Debug)]
/// struct FromConfig(Option<String>);
///
/// #[async_trait::async_trait]
/// impl InfoSource for FromConfig {
///     fn name(&self) -> &str {
///         "config"
///     }
///
///     async fn probe(&self) -> Result<Look, ProtocolFailure> {
///         let Some(jid) = self.0.as_deref().and_then(|text| text.parse().ok()) else {
///             return Ok(Look::NotYet);
///         };
///         Ok(Look::from_identity(Identity::new(jid, Assurance::Unverified, "config")))
///     }
/// }
/// ```
#[async_trait]
pub trait InfoSource: Send + Sync {
    /// Returns a short name for logs and results: `webdriver`, `Store.Conn.me`, ...
    fn name(&self) -> &str;

    /// Looks once.
    ///
    /// # Errors
    ///
    /// If the look itself did not work.
    async fn probe(&self) -> Result<Look, ProtocolFailure>;

    /// Looks for up to `max`, for a number of at least `min`. The default sleeps `max`, then
    /// probes once; a source that notices a change does better.
    ///
    /// # Errors
    ///
    /// If a look did not work.
    async fn wait(&self, min: Assurance, max: Duration) -> Result<Look, ProtocolFailure> {
        let _ = min;
        tokio::time::sleep(max).await;
        self.probe().await
    }

    /// Returns what the last look, by any caller, showed in place of an account that can be trusted. An
    /// extraction that fails asks for it, and its error advises accordingly. The default returns `None`; a
    /// source that wraps another one forwards the call.
    fn page_state(&self) -> Option<PageState> {
        None
    }
}

macro_rules! forward {
    ($($owner:ty),*) => {$(
        #[async_trait]
        impl<S: InfoSource + ?Sized> InfoSource for $owner {
            fn name(&self) -> &str {
                (**self).name()
            }

            async fn probe(&self) -> Result<Look, ProtocolFailure> {
                (**self).probe().await
            }

            async fn wait(&self, min: Assurance, max: Duration) -> Result<Look, ProtocolFailure> {
                (**self).wait(min, max).await
            }

            fn page_state(&self) -> Option<PageState> {
                (**self).page_state()
            }
        }
    )*};
}

forward!(Arc<S>, Box<S>, &S);

/// Makes a source from a closure that makes one look.
///
/// ```
/// use whatsapp_phone::source::{from_fn, Assurance, Identity, Look};
///
/// let source = from_fn("my cache", || async {
///     let jid = "628110000041@c.us".parse().expect("a literal JID");
///     Ok(Look::Found(Identity::new(jid, Assurance::Unverified, "cache")))
/// });
/// ```
pub fn from_fn<F, Fut>(name: impl Into<Cow<'static, str>>, look: F) -> FromFn<F>
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<Look, ProtocolFailure>> + Send,
{
    FromFn {
        name: name.into(),
        look,
    }
}

/// The source that [`from_fn`] makes.
#[derive(Clone)]
#[must_use = "a source does nothing until it is asked"]
pub struct FromFn<F> {
    name: Cow<'static, str>,
    look: F,
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<F, Fut> InfoSource for FromFn<F>
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<Look, ProtocolFailure>> + Send,
{
    fn name(&self) -> &str {
        &self.name
    }

    async fn probe(&self) -> Result<Look, ProtocolFailure> {
        (self.look)().await
    }
}

const _: fn(&dyn InfoSource) = |source| {
    fn is_send_and_sync<T: Send + Sync + ?Sized>(_: &T) {}
    is_send_and_sync(source);
};

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: &str = "628110000041:12@c.us";
    const LID: &str = "123456789012345@lid";

    #[test]
    fn an_identity_is_what_its_jid_says() {
        let me = Identity::new(NUMBER.parse().unwrap(), Assurance::Confirmed, "test");
        assert!(matches!(Look::from_identity(me.clone()), Look::Found(_)));
        let lid = Identity::new(LID.parse().unwrap(), Assurance::Confirmed, "test");
        assert!(lid.phone.is_none() && lid.jid.is_none());
        assert!(matches!(Look::from_identity(lid), Look::LidOnly(_)));
        let group = Identity::new("12036@g.us".parse().unwrap(), Assurance::Confirmed, "test");
        assert_eq!(Look::from_identity(group), Look::NotYet);
        assert_eq!(me.clone().with_lid(NUMBER.parse().unwrap()).lid, None);
    }

    #[test]
    fn debug_masks() {
        let mut me = Identity::new(NUMBER.parse().unwrap(), Assurance::Confirmed, "test");
        me.push_name = Some("Budi".into());
        let me = me.with_lid(LID.parse().unwrap());
        let text = format!("{:?}", Look::Found(me));
        assert!(
            !text.contains("628110000041") && !text.contains("123456789012345"),
            "{text}"
        );
        assert!(!text.contains("Budi"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_default_wait_sleeps_then_probes() {
        let source = from_fn("fn", || async { Ok(Look::NotYet) });
        let start = tokio::time::Instant::now();
        let look = source
            .wait(Assurance::Confirmed, Duration::from_millis(500))
            .await;
        assert_eq!(
            (look, start.elapsed()),
            (Ok(Look::NotYet), Duration::from_millis(500))
        );
    }
}
