//! Ten thousand sessions come and go, and the memory stays as it was.
#![cfg(feature = "supervisor")]
#![allow(clippy::unwrap_used)] // helpers of tests: clippy spares only the tests themselves

use std::alloc::System;
use std::future::pending;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use whatsapp_phone::Supervisor;
use whatsapp_phone::failure::{ProtocolFailure, Site};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Sessions that end in turns by an error, at their deadline, or when they are done; fifty at a time.
async fn come_and_go(supervisor: &Supervisor, sessions: std::ops::Range<u32>) {
    let mut open = std::collections::VecDeque::new();
    for n in sessions {
        // All ids are of one length, so that what is remembered of one is as large as of another.
        let session = supervisor.start(format!("session {n:08}")).unwrap();
        match n % 3 {
            0 => drop(session.spawn("watch", async {
                let gone = ProtocolFailure::new(Site::Unknown, "gone").with_code("no such window");
                Err::<(), _>(gone)
            })),
            1 => drop(session.spawn("hang", pending::<Result<(), std::io::Error>>())),
            _ => drop(session.spawn("done", async { Ok::<_, std::io::Error>(vec![0_u8; 4096]) })),
        }
        open.push_back(session);
        if open.len() > 50 {
            let session = open.pop_front().unwrap();
            assert!(session.end(Duration::ZERO).await.is_ended());
        }
    }
    for session in open {
        session.end(Duration::ZERO).await;
    }
    assert!(supervisor.sessions().is_empty());
    // The tasks that were aborted last are gone once the runtime has had its turn.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded() {
    let supervisor = Supervisor::new();
    come_and_go(&supervisor, 0..5_000).await;
    let before = allocated();
    come_and_go(&supervisor, 5_000..15_000).await;
    let growth = allocated().saturating_sub(before);
    println!("10,000 sessions later: {growth} bytes more than {before}");
    // One small allocation lost per session would be twenty times that.
    assert!(growth < 16 * 1024, "{growth} bytes more");
    let kept = (0..15_000).filter(|n| supervisor.state(format!("session {n:08}")).is_some());
    assert_eq!(kept.count(), 1024);
}
