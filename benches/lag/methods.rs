//! The methods that are compared: each reads the number of one page.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use fantoccini::Client;
use tokio::time::sleep;
use whatsapp_phone::extract::Extractor;
use whatsapp_phone::retry::{LookMode, RetryPolicy};
use whatsapp_phone::source::InfoSource;
#[cfg(feature = "cdp")]
use whatsapp_phone::source::cdp::{AttachOptions, CdpPage, CdpSource, Target};
use whatsapp_phone::source::webdriver::{Page, WebDriverSource};

use crate::Outcome;
#[cfg(feature = "cdp")]
use crate::debugger_address;

/// Asks the page itself for the value from which `client.info.wid.user` is built.
const CLIENT_INFO: &str =
    "return window.require('WAWebUserPrefsMeUser').getMaybeMePnUser()?.user ?? null";
const STORE_CONN_ME: &str = "return window.Store?.Conn?.me?.user ?? null";

/// The same tab, read by the session that opened it, by one that attached to its browser, and through its own socket.
pub(crate) struct Pages {
    pub(crate) own: Page,
    pub(crate) attached: Page,
    #[cfg(feature = "cdp")]
    pub(crate) cdp: CdpPage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Method {
    Reference,
    Classic,
    Poll50,
    Eager,
    Attached,
    #[cfg(feature = "cdp")]
    Cdp,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reference => "reference",
            Self::Classic => "classic",
            Self::Poll50 => "poll50",
            Self::Eager => "eager",
            Self::Attached => "attached",
            #[cfg(feature = "cdp")]
            Self::Cdp => "cdp",
        })
    }
}

impl Method {
    /// Waits in the same way all the time, so that its processor time can be taken.
    pub(crate) fn is_steady(self) -> bool {
        match self {
            Self::Poll50 | Self::Eager => true,
            #[cfg(feature = "cdp")]
            Self::Cdp => true,
            _ => false,
        }
    }

    /// Returns the source with which this method reads the page at this URL.
    pub(crate) async fn source(self, page: &Page, url: &str) -> Outcome<Box<dyn InfoSource>> {
        #[cfg(feature = "cdp")]
        if self == Self::Cdp {
            let options = AttachOptions::default().target(Target::at(url)?);
            let page = CdpPage::attach(debugger_address(page)?, options).await?;
            return Ok(Box::new(CdpSource::all(&page)));
        }
        let _ = url;
        Ok(Box::new(WebDriverSource::all(page)))
    }

    /// Returns the digits of the number.
    pub(crate) async fn read(self, pages: &Pages) -> Outcome<String> {
        match self {
            Self::Reference => reference(&pages.own.client()).await,
            Self::Attached => {
                self.extract(WebDriverSource::all(&pages.attached), None)
                    .await
            }
            #[cfg(feature = "cdp")]
            Self::Cdp => self.extract(CdpSource::all(&pages.cdp), None).await,
            _ => self.extract(WebDriverSource::all(&pages.own), None).await,
        }
    }

    /// By the extractor, with the policy's own deadline or this one.
    pub(crate) async fn extract(
        self,
        source: impl InfoSource + 'static,
        deadline: Option<Duration>,
    ) -> Outcome<String> {
        let policy = match self {
            Self::Reference | Self::Classic => RetryPolicy::classic(),
            Self::Poll50 => RetryPolicy::builder()
                .look_mode(LookMode::Poll)
                .interval(Duration::from_millis(50))
                .build()?,
            _ => RetryPolicy::eager(),
        };
        let deadline = deadline.unwrap_or(policy.deadline());
        let extractor = Extractor::builder()
            .source(source)
            .policy(policy.to_builder().deadline(deadline).build()?)
            .build()?;
        Ok(extractor.extract().await?.phone.reveal().to_owned())
    }
}

/// The reference schedule, on its own.
async fn reference(client: &Client) -> Outcome<String> {
    sleep(Duration::from_millis(2500)).await;
    for _ in 0..15 {
        if let Some(user) = ask(client, CLIENT_INFO).await? {
            return Ok(user);
        }
        sleep(Duration::from_millis(500)).await;
    }
    let user = ask(client, STORE_CONN_ME).await?;
    Ok(user.ok_or("no number")?)
}

async fn ask(client: &Client, expression: &str) -> Outcome<Option<String>> {
    let answer = client.execute(expression, Vec::new()).await?;
    Ok(answer
        .as_str()
        .filter(|user| !user.is_empty())
        .map(str::to_owned))
}
