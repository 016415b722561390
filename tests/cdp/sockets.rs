//! Sockets that fail, on a server that answers as a Chrome.

use std::sync::atomic::Ordering;

use whatsapp_phone::ProtocolErrorClassifier;
use whatsapp_phone::classify::ErrorClass;
use whatsapp_phone::failure::ProtocolFailure;
use whatsapp_phone::source::cdp::{CdpPage, CdpSource, DebuggerAddress};
use whatsapp_phone::source::{Assurance, InfoSource, Look};

use crate::fake::{FakeChrome, Fault, ORIGIN, fake_chrome};
use crate::options;
use crate::support::{ms, on_own_runtime, within_limit};

async fn attach_to(chrome: &FakeChrome) -> CdpPage {
    let address: DebuggerAddress = chrome.address.parse().unwrap();
    CdpPage::attach(address, options(ORIGIN)).await.unwrap()
}

fn class(failure: &ProtocolFailure) -> ErrorClass {
    ProtocolErrorClassifier::default().classify(failure).class
}

#[tokio::test]
async fn a_socket_that_fails_once_costs_no_answer() {
    for fault in Fault::LOUD {
        let chrome = fake_chrome(fault, 1).await;
        let page = attach_to(&chrome).await;
        let look = within_limit("a look", CdpSource::all(&page).probe()).await;
        assert_eq!(look, Ok(Look::NotYet), "{fault:?}");
    }
}

#[tokio::test]
async fn a_socket_that_always_fails_is_an_error_in_time() {
    for fault in Fault::ALL {
        let chrome = fake_chrome(fault, usize::MAX).await;
        let page = attach_to(&chrome).await;
        let source = CdpSource::all(&page);
        let wait = source.wait(Assurance::Confirmed, ms(100));
        let failure = within_limit("a wait", wait).await.unwrap_err();
        let expected = match fault {
            Fault::FiftyMegabytes => ErrorClass::Timeout,
            // The browser still answers for the page.
            Fault::WrongId | Fault::HalfAFrame | Fault::EndlessEvents => ErrorClass::Blocked,
            Fault::OtherOrigin => ErrorClass::Navigation,
            _ => ErrorClass::Network,
        };
        assert_eq!(class(&failure), expected, "{fault:?}: {failure}");
        println!("{fault:?}: {failure}");
    }
}

/// A stopped Chrome accepts connections, but answers none.
#[tokio::test]
async fn a_browser_that_stops_answering_in_mid_session_is_asked_again() {
    for (fault, expected) in [
        (Fault::Cut, ErrorClass::Timeout),
        (Fault::OtherOrigin, ErrorClass::Navigation),
    ] {
        let chrome = fake_chrome(fault, usize::MAX).await;
        let page = attach_to(&chrome).await;
        chrome.is_stopped.store(true, Ordering::Relaxed);
        let source = CdpSource::all(&page);
        let look = within_limit("a look", source.probe()).await;
        let failure = look.unwrap_err();
        assert_eq!(class(&failure), expected, "{fault:?}: {failure}");
    }
}

#[tokio::test]
async fn a_page_outlives_the_runtime_that_attached_to_it() {
    let chrome = fake_chrome(Fault::Cut, 0).await;
    let address: DebuggerAddress = chrome.address.parse().unwrap();
    let page = on_own_runtime(CdpPage::attach(address, options(ORIGIN))).await;
    let source = CdpSource::all(&page.unwrap());
    let look = within_limit("a look", source.probe()).await;
    assert_eq!(look, Ok(Look::NotYet));
}

#[tokio::test]
async fn attaching_waits_for_a_slow_browser() {
    let chrome = fake_chrome(Fault::SlowHandshake, 0).await;
    let page = attach_to(&chrome).await;
    let source = CdpSource::all(&page);
    let look = within_limit("a look", source.probe()).await;
    assert_eq!(look, Ok(Look::NotYet));
}
