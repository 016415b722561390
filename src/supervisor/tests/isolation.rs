//! Nothing of a session is left when it has come and gone.

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
            assert!(session.state().is_ended());
        }
        assert!(supervisor.sessions().is_empty());
        let (order, states) = supervisor.0.lock().ended.sizes();
        assert!(order == 100 && states <= 100, "{order} {states}");
        assert!(supervisor.state((MANY - 1).to_string()).is_some());
        assert!(supervisor.state("1").is_none());
        // Nobody else holds what all sessions share.
        while Arc::strong_count(&supervisor.0) > 1 || runtime.num_alive_tasks() > before {
            tokio::task::yield_now().await;
        }
    });
}
