//! Connections that hang or are lost under way, through a proxy between a store and its server.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use whatsapp_phone::event::{EventId, Failed, SessionEvent, SessionKey};
use whatsapp_phone::store::{SessionStore, Status, StoreOptions};

use super::database::{Kind, Place};
use super::ready;
use super::time::until;

/// The way in which a proxy treats its connections.
#[derive(Clone, Copy, Debug, Default)]
struct Rule {
    /// Connections before this one accept what the store sends, forward nothing, and stay open.
    alive_from: usize,
    /// A connection that commits is closed when the server has answered, without the answer.
    cuts_commits: bool,
}

/// Forwards the traffic between a store and its server.
struct Proxy {
    url: String,
    rule: watch::Sender<Rule>,
    /// How many connections there were.
    count: watch::Receiver<usize>,
    /// The number of bytes that the store sent on connections that hang.
    unanswered: watch::Receiver<usize>,
    /// The round trips of the transaction that was committed last.
    trips: watch::Receiver<usize>,
}

impl Proxy {
    async fn before(place: &Place) -> Self {
        let start = place.url.find('@').unwrap() + 1;
        let end = start + place.url[start..].find(['/', '?']).unwrap();
        let server = place.url[start..end].to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = place.url.replacen(&server, &address.to_string(), 1);
        let (rule, rules) = watch::channel(Rule::default());
        let (counted, count) = watch::channel(0);
        let (lost, unanswered) = watch::channel(0);
        let (measured, trips) = watch::channel(0);
        tokio::spawn(async move {
            // Ends with the test's runtime.
            while let Ok((client, _)) = listener.accept().await {
                let number = *counted.borrow();
                counted.send_replace(number + 1);
                let server = TcpStream::connect(&server).await.unwrap();
                let senders = [lost.clone(), measured.clone()];
                tokio::spawn(pass_on(client, server, number, rules.clone(), senders));
            }
        });
        Self {
            url,
            rule,
            count,
            unanswered,
            trips,
        }
    }
}

async fn pass_on(
    mut client: TcpStream,
    mut server: TcpStream,
    number: usize,
    mut rules: watch::Receiver<Rule>,
    [lost, measured]: [watch::Sender<usize>; 2],
) {
    let (mut asked, mut said) = ([0; 4096], [0; 4096]);
    let mut commits = false;
    let (mut trips, mut is_answered) = (0, true);
    loop {
        let rule = *rules.borrow_and_update();
        if number < rule.alive_from {
            while let Ok(bytes @ 1..) = client.read(&mut asked).await {
                lost.send_modify(|lost| *lost += bytes);
            }
            std::future::pending::<()>().await;
        }
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(1..) = read else { return };
                let asked = &asked[..read.unwrap()];
                let ends = asked.strip_suffix(b"\0").unwrap_or(asked).ends_with(b"COMMIT");
                let says_commit = ends || asked.windows(7).any(|part| part == b"COMMIT;");
                commits = rule.cuts_commits && says_commit;
                if asked.windows(5).any(|part| part == b"BEGIN") { trips = 0 }
                // A long request is read in parts.
                trips += usize::from(std::mem::take(&mut is_answered));
                if says_commit { measured.send_replace(trips); }
                if server.write_all(asked).await.is_err() { return }
            }
            read = server.read(&mut said) => {
                let Ok(1..) = read else { return };
                if commits { return }
                is_answered = true;
                if client.write_all(&said[..read.unwrap()]).await.is_err() { return }
            }
            _ = rules.changed() => {}
        }
    }
}

#[tokio::test]
async fn dead_connections_hold_up_the_next_events_for_a_moment_only() {
    for kind in [Kind::Postgres, Kind::MySql] {
        let place = Place::new(kind).await;
        let proxy = Proxy::before(&place).await;
        let store = Place::open_at(kind, &proxy.url, StoreOptions::default());
        let store: Arc<dyn SessionStore> = store.await.unwrap().into();
        let [one, two] = ["one", "two"].map(|session| SessionKey::new(7, session).unwrap());
        let registered = tokio::join!(store.register(&one), store.register(&two));
        assert!(registered.0.is_ok() && registered.1.is_ok());

        // All connections hang from now on, without being closed.
        let alive_from = *proxy.count.borrow();
        assert!(alive_from > 0);
        let cuts_commits = false;
        proxy.rule.send_replace(Rule {
            alive_from,
            cuts_commits,
        });
        let gone = SessionEvent::session_disconnected(one, "");
        let (stuck, others) = (store.clone(), store.clone());
        let stuck = tokio::spawn(async move { stuck.apply(&gone).await });
        until("its transaction is under way", || {
            *proxy.unanswered.borrow() > 0
        })
        .await;
        let gone = SessionEvent::session_disconnected(two, "");
        let applied = others.apply(&gone).await;
        applied.unwrap_or_else(|error| panic!("{kind}: {error:?}"));
        assert!(!stuck.is_finished(), "{kind}: its connection is dead");
        stuck.abort();
        place.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_unknown_result_is_not_repeated() {
    for kind in [Kind::Postgres, Kind::MySql] {
        let place = Place::new(kind).await;
        let proxy = Proxy::before(&place).await;
        let store = Place::open_at(kind, &proxy.url, StoreOptions::default());
        let store = store.await.unwrap();
        let session = SessionKey::new(7, "s").unwrap();
        store.register(&session).await.unwrap();
        // Without id and `seq`, which would distinguish it from another event like it.
        let failed = br#"{"event": "session_error", "data": {"workspace_id": 7, "session_id": "s",
            "error": "phone_extraction_failed", "message": "none"}}"#;
        let failed = SessionEvent::from_json(failed).unwrap();
        assert!(failed.id().is_none() && failed.seq().is_none());
        proxy.rule.send_modify(|rule| rule.cuts_commits = true);
        let error = store.apply(&failed).await.unwrap_err();
        let said = (error.code(), error.is_transient());
        assert_eq!(said, ("storage", true), "{kind}: {error:?}");
        assert!(error.to_string().contains("may have done it"), "{error}");
        proxy.rule.send_modify(|rule| rule.cuts_commits = false);
        let row = store.session(&session.session_id).await.unwrap().unwrap();
        assert_eq!((row.status, row.version), (Status::Error, 1), "{kind}");
        // Sent again, an event with an id has an effect once.
        let ready = ready("s", "628110000041");
        proxy.rule.send_modify(|rule| rule.cuts_commits = true);
        store.apply(&ready).await.unwrap_err();
        proxy.rule.send_modify(|rule| rule.cuts_commits = false);
        store.apply(&ready).await.unwrap();
        let row = store.session(&session.session_id).await.unwrap().unwrap();
        assert_eq!((row.status, row.version), (Status::Connected, 2), "{kind}");
        place.end().await;
    }
}

#[tokio::test]
async fn a_batch_takes_few_round_trips() {
    for (kind, expected) in [(Kind::Postgres, 5), (Kind::MySql, 6)] {
        let place = Place::new(kind).await;
        let proxy = Proxy::before(&place).await;
        let store = Place::open_at(kind, &proxy.url, StoreOptions::default());
        let store = store.await.unwrap();
        let session = SessionKey::new(7, "s").unwrap();
        store.register(&session).await.unwrap();
        let failed = Failed::new("not_ready", "no number");
        let ready = ready("s", "628110000041");
        let gone = SessionEvent::session_disconnected(session.clone(), "");
        let failed = SessionEvent::session_error(session, failed);
        // An error is also written to the metadata, which is read before.
        let events = [(ready, expected), (gone, expected), (failed, expected + 2)];
        for (kind_of_event, (event, expected)) in (0..).zip(events) {
            let mut trips = Vec::new();
            // A connection prepares each statement once.
            for n in 0..20 {
                let id = EventId::new(&format!("{kind_of_event}-{n}")).unwrap();
                let event = event.clone().with_id(id);
                store.apply(&event).await.unwrap();
                trips.push(*proxy.trips.borrow());
            }
            let least = trips.iter().min();
            assert_eq!(
                least,
                Some(&expected),
                "{kind}, {:?}: {trips:?}",
                event.kind()
            );
        }
        place.end().await;
    }
}
