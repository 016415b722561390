//! Tables, rows and settings that another program made in an unusual way.

use std::time::Duration;

use whatsapp_phone::event::SessionEvent;
use whatsapp_phone::store::{Status, StoreOptions};

use super::rows::until;
use super::{key, on_each, ready};

/// The row's id stays the same, its life does not.
#[tokio::test]
async fn a_watcher_sees_another_row_with_the_same_id() {
    on_each(async |place| {
        let options = StoreOptions::default().poll_every(Duration::from_millis(300));
        let store = place.open(options).await.unwrap();
        store.register(&key("s")).await.unwrap();
        let gone = SessionEvent::session_disconnected(key("s"), "");
        store.apply(&ready("s", "628110000041")).await.unwrap();
        store.apply(&gone).await.unwrap();
        let mut watcher = store.watch(&key("s").session_id).await.unwrap();
        // Versions begin anew: the store's own rows are lost ...
        place
            .run(
                "delete from whatsapp_phone_sessions;
                update whatsapp_accounts set status = 'error'",
            )
            .await;
        until(&mut watcher, Status::Error).await;
        store.apply(&ready("s", "628110000041")).await.unwrap();
        until(&mut watcher, Status::Connected).await;
        // ... or a new row gets the id of the old one before the next poll.
        place
            .run(
                "begin; delete from whatsapp_accounts;
                insert into whatsapp_accounts (id, workspace_id, session_id, status, created_at)
                values (1, 7, 's', 'authenticated', '2026-01-01 00:00:00'); commit",
            )
            .await;
        until(&mut watcher, Status::Authenticated).await;
        place.end().await;
    })
    .await;
}
