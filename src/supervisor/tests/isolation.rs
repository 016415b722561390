//! Nothing of a session is left when it has ended, however and whenever it ends.

use std::sync::Arc;

use super::*;

const MANY: usize = 10_000;

#[test]
fn ten_thousand_sessions_come_and_go_and_leave_what_is_kept() {
    on_both(async || {
        let supervisor = Supervisor::builder().keep(100).build();
        let runtime = Handle::current().metrics();
        let before = runtime.num_alive_tasks();
        for n in 0..MANY {
            // Every tenth id is used by all sessions of its kind.
            let id = if n % 10 == 0 {
                "often".to_owned()
            } else {
                n.to_string()
            };
            let session = supervisor.start(id).unwrap();
            match n % 4 {
                0 => drop(session.spawn("lost", fail(page_closed()))),
                1 => drop(session.spawn("hang", hang())),
                2 => drop(session.spawn("done", async { Ok::<_, io::Error>([0_u8; 1024]) })),
                _ => {}
            }
            session.end(S(0)).await;
            // On a busy machine the threads may need more than the moment that `end` gives them.
            assert!(end_of(&session).await.is_ended());
        }
        assert!(supervisor.sessions().is_empty());
        let (order, states) = {
            let ended = &supervisor.0.lock().ended;
            (ended.order.len(), ended.states.len())
        };
        assert!(order == 100 && states <= 100, "{order} {states}");
        assert!(supervisor.state((MANY - 1).to_string()).is_some());
        assert!(supervisor.state("1").is_none());
        // Only this handle holds the state that all sessions share.
        while Arc::strong_count(&supervisor.0) > 1 || runtime.num_alive_tasks() > before {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn ends_from_all_sides_come_once() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).enable_time().build().unwrap();
    runtime.block_on(async {
        let (builder, reports) = reported();
        let supervisor = builder.keep(MANY).build();
        let (mut sides, mut held) = (Vec::new(), Vec::new());
        for n in 0..MANY / 5 {
            let session = supervisor.start(n.to_string()).unwrap();
            let (one, two, three) = (session.clone(), session.clone(), session.clone());
            held.push(session);
            sides.push(tokio::spawn(async move {
                drop(one.spawn("lost", fail(page_closed())));
                drop(one.spawn("hang", hang()));
            }));
            sides.push(tokio::spawn(async move {
                drop(two.spawn("done", async { Ok::<_, io::Error>(()) }));
                two.end(S(0)).await;
            }));
            sides.push(tokio::spawn(async move {
                if n % 2 == 0 {
                    three.end(Duration::MAX).await;
                }
            }));
        }
        for side in sides {
            side.await.unwrap();
        }
        supervisor.stop(S(0)).await;
        for session in &held {
            end_of(session).await;
        }
        for n in 0..MANY / 5 {
            assert!(supervisor.state(n.to_string()).unwrap().is_ended());
        }
        let ends = reports.try_iter().filter(|report| {
            let reason = report.reason.kind();
            assert!(reason != ReasonKind::Panicked && report.event != Event::TaskPanicked);
            matches!(report.event, Event::SessionEnded { .. })
        });
        assert_eq!(ends.count(), MANY / 5);
    });
}
