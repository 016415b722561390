//! The memory of a page that waits on its own DevTools socket, and the end of all that it uses. The only test of its
//! program: it counts the allocations and files of the process.
#![cfg(all(
    feature = "cdp",
    feature = "testkit",
    feature = "webdriver",
    target_os = "linux"
))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use support::chrome::Chrome;
use support::time::random_moment;
use support::traces::{TRACES, loaded};
use support::{LIMIT, ms, until_async};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use whatsapp_phone::source::cdp::{AttachOptions, CdpPage, CdpSource, Target};
use whatsapp_phone::source::{Assurance, InfoSource};
use whatsapp_phone::testkit::standin::{Scenario, StandIn};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The most that one waiting source may take, in bytes.
const MAX_MEMORY: usize = 64 << 10;

/// Sources that wait at once.
const SOURCES: usize = 20;

fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn attach(chrome: &Chrome, stand_in: &StandIn) -> CdpPage {
    let options = AttachOptions::default().target(Target::at(stand_in.origin()).unwrap());
    let attached = CdpPage::attach(chrome.address.clone(), options.deadline(LIMIT));
    attached.await.unwrap()
}

#[tokio::test]
async fn a_waiting_source_is_small_and_two_hundred_leave_nothing() {
    let chrome = Chrome::start().await;
    let stand_in = StandIn::start(Scenario::never()).await.unwrap();
    let tab = chrome.open(&stand_in.url());
    loaded(&chrome, &tab).await;
    let traces = chrome.eval(&tab, TRACES).await;
    // The first one also pays for what all share.
    attach(&chrome, &stand_in).await.close().await;
    let (files, tasks) = (open_files(), Handle::current().metrics().num_alive_tasks());

    let before = allocated();
    let mut waits = JoinSet::new();
    for _ in 0..SOURCES {
        let source = CdpSource::all(&attach(&chrome, &stand_in).await);
        source.probe().await.unwrap();
        waits.spawn(async move { source.wait(Assurance::Confirmed, 10 * LIMIT).await });
    }
    // Their slices run in the page; a look each, so that all have begun.
    let page = attach(&chrome, &stand_in).await;
    for _ in 0..SOURCES {
        CdpSource::all(&page).probe().await.unwrap();
    }
    page.close().await;
    let each = allocated().saturating_sub(before) / SOURCES;
    println!("one waiting source takes {each} bytes");
    assert!(each < MAX_MEMORY, "{each} bytes");
    assert_eq!(waits.try_join_next().map(|ended| ended.unwrap()), None);
    waits.shutdown().await;

    for _ in 0..200 {
        let page = attach(&chrome, &stand_in).await;
        let source = CdpSource::all(&page);
        tokio::select! {
            look = source.wait(Assurance::Confirmed, LIMIT) => panic!("{look:?}"),
            () = random_moment(ms(40)) => {}
        }
    }
    until_async("no file and no task is left", async || {
        let left = Handle::current().metrics().num_alive_tasks();
        // The server of the stand-in page has connections of its own.
        open_files() <= files + 2 && left <= tasks + 2
    })
    .await;
    until_async("no trace is left", async || {
        chrome.eval(&tab, TRACES).await == traces
    })
    .await;
}
