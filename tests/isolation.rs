//! One session's end, crash or panic changes nothing for another: a thousand of them, on paused time.
#![cfg(feature = "supervisor")]
#![allow(clippy::unwrap_used)] // helpers of tests: clippy spares only the tests themselves

#[path = "support/many_sessions.rs"]
mod many_sessions;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use many_sessions::{SESSIONS, is_failing, jid, ready};
use tokio::time::Instant;
use whatsapp_phone::supervisor::{Event, Report, SupervisorBuilder};
use whatsapp_phone::{RetryPolicy, Supervisor};

const SPREAD: Duration = Duration::from_secs(8);

/// Returns a supervisor, and the list of its reports.
fn reporting(builder: SupervisorBuilder) -> (Supervisor, Arc<Mutex<Vec<Report>>>) {
    let reports = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&reports);
    let builder = builder.on_report(move |report| noted.lock().unwrap().push(report.clone()));
    (builder.build(), reports)
}

#[tokio::test(start_paused = true)]
async fn of_a_thousand_sessions_three_hundred_fail_and_the_others_do_not_notice() {
    let (quiet, none) = reporting(Supervisor::builder());
    let undisturbed = many_sessions::run(&quiet, &RetryPolicy::eager(), SPREAD, false).await;
    assert_eq!(undisturbed.len(), 700);
    for it in &undisturbed {
        assert_eq!(format!("{}@c.us", it.phone), jid(it.session));
        // Timers count whole milliseconds.
        assert_eq!(it.at.as_millis(), ready(it.session, SPREAD).as_millis());
    }
    let fails = |report: &Report| report.reason.is_failure();
    assert_eq!(
        none.lock().unwrap().iter().find(|report| fails(report)),
        None
    );

    // Without a restart hook, and with one that fails and panics for each session.
    let policy = RetryPolicy::eager()
        .to_builder()
        .attempts(3)
        .build()
        .unwrap();
    let hook = Supervisor::builder().restart(policy.backoff().clone(), |session, _| async move {
        drop(session.spawn("bad", async {
            Err::<(), _>(many_sessions::webdriver("tab crashed"))
        }));
        panic!("the hook");
        #[allow(unreachable_code)]
        Ok::<_, std::io::Error>(())
    });
    for builder in [Supervisor::builder(), hook] {
        let (supervisor, reports) = reporting(builder);
        let disturbed = many_sessions::run(&supervisor, &RetryPolicy::eager(), SPREAD, true).await;
        // The other sessions get the same numbers, in the same look at the same time.
        assert_eq!(disturbed, undisturbed);

        // Until the last has failed by its deadline.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let start = Instant::now();
        let stopped = supervisor.stop(Duration::from_secs(30)).await;
        assert!(stopped.stuck.is_empty() && start.elapsed() <= Duration::from_secs(30));
        assert!(supervisor.sessions().is_empty());

        let mut by_session: HashMap<u32, Vec<Report>> = HashMap::new();
        for report in reports.lock().unwrap().drain(..) {
            let session = report.session.as_str().parse().unwrap();
            by_session.entry(session).or_default().push(report);
        }
        for n in 0..SESSIONS {
            let reports = &by_session[&n];
            if is_failing(n) {
                assert!(reports.iter().any(fails), "session {n}: {reports:?}");
            } else {
                let event = Event::SessionEnded { restart_in: None };
                assert!(reports.len() == 1 && reports[0].event == event && !fails(&reports[0]));
            }
        }
    }
}
