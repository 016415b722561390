//! The page that the command line of `extract` and `doctor` names.

use std::path::PathBuf;

use std::time::Duration;

use clap::Args;
use whatsapp_phone::extract::ExtractError;
use whatsapp_phone::failure::{ProtocolFailure, Site};
use whatsapp_phone::link::QrCode;
use whatsapp_phone::source::InfoSource;
#[cfg(feature = "cdp")]
use whatsapp_phone::source::cdp::{self, CdpPage, CdpSource, ChromeProcess};
use whatsapp_phone::source::webdriver::{
    AddressError, AttachOptions, DebuggerAddress, Diagnosis, DriverProcess, Guard, OpenOptions,
    Overrides, Page, Target, WebDriverSource,
};
use whatsapp_phone::testkit::standin::{Scenario, StandIn};

#[derive(Debug, Args)]
pub(crate) struct PageArgs {
    /// Join the running Chrome with this debugging address, and read its tab at the origin
    #[arg(long, value_name = "HOST:PORT", value_parser = debugger_address)]
    attach: Option<DebuggerAddress>,
    /// Read the tab by its own DevTools socket, without a ChromeDriver
    #[cfg(feature = "cdp")]
    #[arg(long, conflicts_with = "webdriver")]
    cdp: bool,
    /// Use this WebDriver server instead of a ChromeDriver of our own
    #[arg(long, value_name = "URL", value_parser = webdriver_url)]
    webdriver: Option<String>,
    /// Open this page instead of the stand-in, and accept only its origin. With --attach the
    /// default is https://web.whatsapp.com
    #[arg(long, value_name = "URL", value_parser = web_origin)]
    origin: Option<String>,
    /// Of the tabs at the origin, take the one with this text in its URL
    #[arg(long, value_name = "TEXT")]
    url_contains: Option<String>,
    /// Read guards and readers from this JSON file. Its expressions run in the account's page
    #[arg(long, value_name = "FILE")]
    overrides: Option<PathBuf>,
    /// WhatsApp's present name for a guard, for instance registration_test=isLinked
    #[arg(long, value_name = "GUARD=NAME", value_parser = guard)]
    guard: Vec<(Guard, String)>,
    /// One more reader: a JavaScript expression, which runs in the account's page, that yields the number
    #[arg(long, value_name = "NAME=EXPRESSION", value_parser = pair)]
    reader: Vec<(String, String)>,
}

/// The page by its driver.
pub(crate) enum OpenPage {
    WebDriver(Page),
    #[cfg(feature = "cdp")]
    Cdp(CdpPage),
}

#[allow(dead_code, reason = "each example uses its part")]
impl OpenPage {
    /// Returns a source that asks all readers.
    pub(crate) fn source(&self) -> Box<dyn InfoSource> {
        match self {
            Self::WebDriver(page) => Box::new(WebDriverSource::all(page)),
            #[cfg(feature = "cdp")]
            Self::Cdp(page) => Box::new(CdpSource::all(page)),
        }
    }

    pub(crate) async fn qr(&self) -> Result<Option<QrCode>, ProtocolFailure> {
        match self {
            Self::WebDriver(page) => page.qr().await,
            #[cfg(feature = "cdp")]
            Self::Cdp(page) => page.qr().await,
        }
    }

    pub(crate) async fn diagnose(&self, deadline: Duration) -> Result<Diagnosis, ProtocolFailure> {
        match self {
            Self::WebDriver(page) => page.diagnose(deadline).await,
            #[cfg(feature = "cdp")]
            Self::Cdp(page) => page.diagnose(deadline).await,
        }
    }

    async fn set_overrides(&self, overrides: &Overrides) -> Result<(), ProtocolFailure> {
        match self {
            Self::WebDriver(page) => page.set_overrides(overrides).await,
            #[cfg(feature = "cdp")]
            Self::Cdp(page) => page.set_overrides(overrides).await,
        }
    }
}

/// The page, with the parts that it keeps open.
pub(crate) struct Opened {
    pub(crate) page: OpenPage,
    driver: Option<DriverProcess>,
    #[cfg(feature = "cdp")]
    chrome: Option<ChromeProcess>,
    _stand_in: Option<StandIn>,
}

impl PageArgs {
    /// The overrides of the file, then those of the command line.
    pub(crate) fn overrides(&self) -> Result<Overrides, ProtocolFailure> {
        let mut overrides = match &self.overrides {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    let text = format!("cannot read {}: {error}", path.display());
                    ProtocolFailure::new(Site::Unknown, text)
                })?;
                Overrides::from_json(&text)?
            }
            None => Overrides::default(),
        };
        for (guard, name) in &self.guard {
            overrides = overrides.guard(*guard, name);
        }
        for (name, expression) in &self.reader {
            overrides = overrides.reader(name, expression);
        }
        Ok(overrides)
    }

    /// Opens the page, or attaches to it. Without an address and an origin it is the stand-in's.
    pub(crate) async fn open(
        &self,
        scenario: Scenario,
        overrides: &Overrides,
    ) -> Result<Opened, ExtractError> {
        let stand_in = match (&self.origin, &self.attach) {
            (None, None) => Some(StandIn::start(scenario).await.map_err(|error| {
                ProtocolFailure::from_error(Site::Unknown, &error).with_code("misconfigured")
            })?),
            _ => None,
        };
        let driver = match &self.webdriver {
            Some(_) => None,
            None if self.uses_cdp() => None,
            None => Some(DriverProcess::start().await?),
        };
        #[cfg(feature = "cdp")]
        let chrome = match self.cdp && self.attach.is_none() {
            true => Some(chrome().await?),
            false => None,
        };
        let url = self.origin.clone();
        let url = url.or_else(|| stand_in.as_ref().map(StandIn::url));
        #[cfg(feature = "cdp")]
        let page = match &chrome {
            Some(chrome) => self.page_of(chrome, url).await?,
            None => self.page(driver.as_ref(), url).await?,
        };
        #[cfg(not(feature = "cdp"))]
        let page = self.page(driver.as_ref(), url).await?;
        page.set_overrides(overrides).await?;
        Ok(Opened {
            page,
            driver,
            #[cfg(feature = "cdp")]
            chrome,
            _stand_in: stand_in,
        })
    }

    fn uses_cdp(&self) -> bool {
        #[cfg(feature = "cdp")]
        return self.cdp;
        #[cfg(not(feature = "cdp"))]
        false
    }

    fn target(&self, url: Option<&String>) -> Result<Target, ProtocolFailure> {
        let target = match url {
            Some(url) => Target::at(url)?,
            None => Target::default(),
        };
        Ok(match &self.url_contains {
            Some(text) => target.url_contains(text),
            None => target,
        })
    }

    #[cfg(feature = "cdp")]
    async fn page_of(
        &self,
        chrome: &ChromeProcess,
        url: Option<String>,
    ) -> Result<OpenPage, ProtocolFailure> {
        let target = self.target(url.as_ref())?;
        let mut options = cdp::OpenOptions::default().target(target);
        if let Some(url) = url {
            options = options.url(url);
        }
        CdpPage::open(chrome, options).await.map(OpenPage::Cdp)
    }

    async fn page(
        &self,
        driver: Option<&DriverProcess>,
        url: Option<String>,
    ) -> Result<OpenPage, ProtocolFailure> {
        let target = self.target(url.as_ref())?;
        let webdriver = self.webdriver.as_deref().unwrap_or_default();
        if let Some(address) = self.attach.clone() {
            let options = AttachOptions::default().target(target);
            #[cfg(feature = "cdp")]
            if self.cdp {
                return CdpPage::attach(address, options).await.map(OpenPage::Cdp);
            }
            let page = match driver {
                Some(driver) => Page::attach(driver, address, options).await,
                None => Page::attach_at(webdriver, address, options).await,
            };
            return page.map(OpenPage::WebDriver);
        }
        let mut options = OpenOptions::default().target(target).headless(true);
        if let Some(url) = url {
            options = options.url(url);
        }
        if rustix::process::geteuid().is_root() {
            // Chromium refuses its sandbox to root. A service should run as a user of its own instead.
            options = options.browser_arg("--no-sandbox");
        }
        let page = match driver {
            Some(driver) => Page::open(driver, options).await,
            None => Page::open_at(webdriver, options).await,
        };
        page.map(OpenPage::WebDriver)
    }
}

impl Opened {
    pub(crate) async fn close(self) -> Result<(), ProtocolFailure> {
        match self.page {
            OpenPage::WebDriver(page) => page.close().await,
            #[cfg(feature = "cdp")]
            OpenPage::Cdp(page) => page.close().await,
        }
        #[cfg(feature = "cdp")]
        if let Some(chrome) = self.chrome {
            chrome.stop().await?;
        }
        match self.driver {
            Some(driver) => driver.stop().await,
            None => Ok(()),
        }
    }
}

#[cfg(feature = "cdp")]
async fn chrome() -> Result<ChromeProcess, ProtocolFailure> {
    let mut chrome = ChromeProcess::builder().headless(true);
    if rustix::process::geteuid().is_root() {
        chrome = chrome.arg("--no-sandbox");
    }
    chrome.start().await
}

fn debugger_address(text: &str) -> Result<DebuggerAddress, String> {
    text.parse()
        .map_err(|error: AddressError| error.to_string())
}

fn webdriver_url(url: &str) -> Result<String, &'static str> {
    match Target::at(url) {
        Ok(_) => Ok(url.to_owned()),
        Err(_) => Err("not an http or https URL; write for instance http://127.0.0.1:9515"),
    }
}

fn web_origin(url: &str) -> Result<String, String> {
    Target::at(url)
        .map(|_| url.to_owned())
        .map_err(|error| error.to_string())
}

fn guard(text: &str) -> Result<(Guard, String), String> {
    let (guard, name) = pair(text)?;
    let guard = guard.parse::<Guard>().map_err(|error| error.to_string())?;
    Ok((guard, name))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
