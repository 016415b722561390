//! Sockets that fail, on a server that answers as a Chrome.

use futures_util::future::join_all;
use whatsapp_phone::ProtocolErrorClassifier;
use whatsapp_phone::classify::ErrorClass;
use whatsapp_phone::failure::ProtocolFailure;
use whatsapp_phone::source::cdp::{CdpPage, CdpSource, DebuggerAddress};
use whatsapp_phone::source::{Assurance, InfoSource, Look};

use crate::fake::{
    Answers, FakeChrome, Fault, ORIGIN, fake_chrome, fake_chrome_that_fails_in_a_slice,
};
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

#[tokio::test]
async fn a_socket_that_fails_during_a_wait_costs_no_answer() {
    let waits = Fault::ALL.map(async |fault| {
        let chrome = fake_chrome_that_fails_in_a_slice(fault).await;
        let page = attach_to(&chrome).await;
        // Longer than a page may be silent.
        let source = CdpSource::all(&page);
        let wait = source.wait(Assurance::Confirmed, ms(6000));
        let look = within_limit("a wait", wait).await;
        assert!(chrome.has_failed(), "{fault:?}");
        (fault, look)
    });
    for (fault, look) in join_all(waits).await {
        assert_eq!(look, Ok(Look::NotYet), "{fault:?}");
    }
}

#[tokio::test]
async fn a_browser_has_ended_only_if_nothing_or_another_one_listens_at_its_address() {
    for (fault, answers, expected) in [
        (Fault::Cut, Answers::None, ErrorClass::Network),
        (Fault::OtherOrigin, Answers::None, ErrorClass::Navigation),
        (Fault::Cut, Answers::BadGateway, ErrorClass::Network),
        (Fault::HalfAFrame, Answers::BadGateway, ErrorClass::Network),
        (Fault::Cut, Answers::BrokenOff, ErrorClass::Network),
        (Fault::Cut, Answers::OtherChrome, ErrorClass::BrowserGone),
        (Fault::Cut, Answers::NoTab, ErrorClass::PageClosed),
    ] {
        let chrome = fake_chrome(fault, 1).await;
        let page = attach_to(&chrome).await;
        *chrome.answers.lock().unwrap() = answers;
        let source = CdpSource::all(&page);
        let look = within_limit("a look", source.probe()).await;
        let failure = look.unwrap_err();
        assert_eq!(
            class(&failure),
            expected,
            "{fault:?}, {answers:?}: {failure}"
        );
        *chrome.answers.lock().unwrap() = Answers::Chrome;
        let look = within_limit("a look", source.probe()).await;
        assert_eq!(look, Ok(Look::NotYet), "{fault:?}, {answers:?}");
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
