//! Servers that are spoken to in TLS (feature `sql-rustls`).

use whatsapp_phone::event::SessionEvent;
use whatsapp_phone::store::{SessionStore, Status, StoreOptions};

use super::database::{Kind, Place};
use super::key;

#[tokio::test]
async fn a_server_is_verified_by_its_certificate() {
    let certificate = std::env::var("WHATSAPP_PHONE_TEST_CERTIFICATE")
        .expect("the file of the servers' certificate, as of tests/servers.sh");
    for kind in [Kind::Postgres, Kind::MySql] {
        let place = Place::new(kind).await;
        let (plain, tls, ca) = match kind {
            Kind::MySql => ("ssl-mode=DISABLED", "ssl-mode=VERIFY_IDENTITY", "ssl-ca"),
            _ => ("sslmode=disable", "sslmode=verify-full", "sslrootcert"),
        };
        assert!(place.url.contains(plain));
        let url = place.url.replace(plain, tls);
        let options = StoreOptions::default();
        let Err(error) = Place::open_at(kind, &url, options.clone()).await else {
            panic!("{kind}: the server's certificate is not trusted")
        };
        let said = (error.code(), error.is_transient());
        assert_eq!(said, ("misconfigured", false), "{kind}: {error:?}");

        let url = place
            .url
            .replace(plain, &format!("{tls}&{ca}={certificate}"));
        let store = Place::open_at(kind, &url, options).await.unwrap();
        store.register(&key("s")).await.unwrap();
        let gone = SessionEvent::session_disconnected(key("s"), "");
        store.apply(&gone).await.unwrap();
        let row = store.session(&key("s").session_id).await.unwrap().unwrap();
        assert_eq!(row.status, Status::Disconnected, "{kind}");
        place.end().await;
    }
}
