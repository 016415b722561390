//! The example `service` as a process, with real browsers: from the QR codes to the numbers, a killed browser, a
//! killed service, and a graceful stop. The test reads the example's page in a browser of its own.
#![cfg(all(
    feature = "sqlite",
    feature = "supervisor",
    feature = "testkit",
    feature = "webdriver",
    target_os = "linux"
))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use support::example::example;
use support::processes::{Run, end, kill_one};
use support::{callers_client, driver, ms, options, stop, until, until_async, within_limit};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use whatsapp_phone::Backoff;
use whatsapp_phone::event::{SessionId, SessionKey};
use whatsapp_phone::fantoccini::Client;
use whatsapp_phone::onboard::{SessionHandle, SessionService, SkipReason, profile_path};
use whatsapp_phone::source::webdriver::OpenOptions;
use whatsapp_phone::sqlx;
use whatsapp_phone::store::memory::MemoryStore;
use whatsapp_phone::store::sqlite::SqliteStore;
use whatsapp_phone::store::{SessionRow, SessionStore, Status, StoreOptions};
use whatsapp_phone::testkit::standin::{Generation, Scenario, StandIn, Step};

fn number(session: usize) -> String {
    format!("62811000004{session}")
}

/// A phone that scans the QR code on request, and stays linked.
fn scenario(session: usize) -> Scenario {
    let me = || Step::me(&format!("{}@c.us", number(session)));
    Scenario::new(Generation::Current)
        .at(ms(0), Step::socket("UNPAIRED"))
        .on_signal(ms(0), Step::socket("PAIRING"))
        .on_signal(ms(1_000), me())
        .on_signal(ms(3_000), Step::connected())
        .next_load()
        .at(ms(0), Step::socket("OPENING"))
        .at(ms(0), me())
        .at(ms(1_000), Step::connected())
}

struct Service {
    child: Child,
    url: String,
}

impl Service {
    async fn start(run: &Run, program: &Path, storage: &Path, pages: &[StandIn]) -> Self {
        let mut command = run.command(program);
        command.args(["--listen", "127.0.0.1:0", "--storage"]);
        command.arg(storage);
        for page in pages {
            command.args(["--origin", page.origin()]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = within_limit("the service listens", lines.next_line()).await;
        let line = line.unwrap().expect("the service says its address");
        let url = line.strip_prefix("listening at ").unwrap().to_owned();
        Self { child, url }
    }
}

/// Evaluates a function's body in the page.
async fn eval(client: &Client, script: &str) -> Value {
    client.execute(script, Vec::new()).await.unwrap()
}

/// Waits until the page says this about the session.
async fn shows(client: &Client, session: usize, text: &str) {
    let script =
        format!("return document.querySelector('[data-session=\"{session}\"]')?.textContent ?? ''");
    let what = format!("the page shows `{text}` of session {session}");
    until_async(&what, async || {
        let shown = eval(client, &script).await;
        shown.as_str().unwrap().contains(text)
    })
    .await;
}

async fn row(store: &SqliteStore, session: usize) -> SessionRow {
    let id = SessionId::new(&session.to_string()).unwrap();
    store.session(&id).await.unwrap().unwrap()
}

#[tokio::test]
async fn sessions_without_profile_and_those_that_were_given_up_are_listed() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("sessions.db").display());
    let store = SqliteStore::connect(&url, StoreOptions::default().create_tables());
    let store = store.await.unwrap();
    let service = SessionService::builder(store.clone()).storage(directory.path());
    let service = service.build().unwrap();
    for session in 0..2 {
        let key = SessionKey::new(1, session).unwrap();
        store.register(&key).await.unwrap();
    }
    let given_up = SessionKey::new(1, 0).unwrap();
    std::fs::create_dir_all(service.profile(&given_up)).unwrap();
    // Another program gives it up without deleting it.
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let update = "update whatsapp_accounts set status = 'failed' where session_id = '0'";
    sqlx::query(update).execute(&pool).await.unwrap();

    let resumed = service.resume().await.unwrap();
    assert!(resumed.started.is_empty());
    let [first, second] = &resumed.skipped[..] else {
        panic!("{resumed:?}");
    };
    assert_eq!((&first.session, first.status), (&given_up, Status::Failed));
    assert!(matches!(first.reason, SkipReason::GivenUp));
    assert!(matches!(second.reason, SkipReason::NoProfile));
    assert!(!service.profile(&second.session).exists());
}

/// A service whose sessions open this page.
fn service(run: &Run, store: &MemoryStore, storage: &Path, page: OpenOptions) -> SessionService {
    let restart = Backoff::builder().initial_delay(Duration::from_secs(3600));
    let service = SessionService::builder(store.clone()).storage(storage);
    let service = service.driver(run.driver()).page(move |_| page.clone());
    service.restart(restart.build().unwrap()).build().unwrap()
}

/// Locks a profile as a browser does that was killed.
fn lock(profile: &Path, host: &str, pid: u32) {
    std::fs::create_dir_all(profile).unwrap();
    for (name, target) in [
        ("SingletonLock", format!("{host}-{pid}")),
        ("SingletonSocket", "/tmp/gone/SingletonSocket".into()),
        ("SingletonCookie", "14".into()),
    ] {
        symlink(target, profile.join(name)).unwrap();
    }
}

/// Ends a session, whose browser must end before its driver does.
async fn closes_in_order(run: &Run, session: &SessionHandle, profile: &Path) {
    let has_ended = || {
        assert!(!run.drivers().is_empty() || run.browsers(profile).is_empty());
        session.state().is_none_or(|state| state.is_ended())
    };
    let ended = until("the session has ended", has_ended);
    tokio::join!(session.end(support::LIMIT), ended);
}

#[tokio::test]
async fn a_profile_that_a_killed_browser_has_locked_opens_unless_another_host_may_use_it() {
    let (run, store, directory) = (Run::new(), MemoryStore::default(), tempfile::tempdir());
    let directory = directory.unwrap();
    let page = StandIn::start(Scenario::new(Generation::Current)).await;
    let page = page.unwrap();
    let service = service(&run, &store, directory.path(), options(&page.url()));
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    // Another program has got the id of the second one; the third id is written with `%`, over several directories.
    let long = format!("../Ä:{}", "%".repeat(200));
    let host = host.trim();
    // A killed service had the fourth one, in a container with another name.
    for (session, lock_host, pid) in [
        ("ended", host, ended.id()),
        ("reused", host, std::process::id()),
        (&long, host, ended.id()),
        ("renamed", "container-1", 1),
    ] {
        let key = SessionKey::new(1, session).unwrap();
        let profile = service.profile(&key);
        lock(&profile, lock_host, pid);
        std::fs::write(profile.join("whatsapp-phone.lock"), lock_host).unwrap();
        let loads = page.loads();
        let session = service.start(&key).await.unwrap();
        until("the page is open", || page.loads() > loads).await;
        assert_eq!(run.browsers(&profile).len(), 1);
        // While it is open, no other process gets it.
        let file = std::fs::File::open(profile.join("whatsapp-phone.lock")).unwrap();
        assert!(file.try_lock().is_err());
        closes_in_order(&run, &session, &profile).await;
        file.try_lock().unwrap();
    }

    // The browser that has locked the first one was not opened by this crate. That of the second one may still run:
    // another process holds the crate's lock.
    let held = service.profile(&SessionKey::new(1, "held").unwrap());
    lock(&held, "container-1", 1);
    std::fs::write(held.join("whatsapp-phone.lock"), "container-1").unwrap();
    let file = std::fs::File::open(held.join("whatsapp-phone.lock")).unwrap();
    file.lock().unwrap();
    for (session, remedy) in [
        ("moved", "delete `SingletonLock`"),
        ("held", "another process uses"),
    ] {
        let key = SessionKey::new(1, session).unwrap();
        if session == "moved" {
            lock(&service.profile(&key), "another-host", 1);
        }
        drop(service.start(&key).await.unwrap());
        let row = async || store.session(&key.session_id).await.unwrap().unwrap();
        until_async("the error is in the row", async || {
            row().await.error.is_some()
        })
        .await;
        let error = row().await.error.unwrap();
        assert_eq!(error.code, "misconfigured");
        assert!(error.message.contains(remedy), "{}", error.message);
    }
    assert!(held.join("SingletonLock").is_symlink());
    service.stop(support::LIMIT).await;
    run.none_is_left().await;
}

#[tokio::test]
async fn no_process_is_left_of_a_page_that_did_not_open() {
    let (run, store, directory) = (Run::new(), MemoryStore::default(), tempfile::tempdir());
    let directory = directory.unwrap();
    // Connections that get no answer.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = options(&format!("http://{}/", silent.local_addr().unwrap()));
    let key = SessionKey::new(1, 1).unwrap();

    // Its session is ended while the driver starts, and while the page opens.
    let service = service(&run, &store, directory.path(), silent.clone());
    for has_started in [Run::drivers as fn(&Run) -> Vec<u64>, |run| {
        run.browsers(Path::new("/"))
    }] {
        let session = service.start(&key).await.unwrap();
        until("a process has started", || !has_started(&run).is_empty()).await;
        session.end(support::LIMIT).await;
        run.none_is_left().await;
    }
    service.stop(support::LIMIT).await;

    // Its deadline is over.
    let silent = silent.deadline(ms(5_000));
    let service = self::service(&run, &store, directory.path(), silent);
    let session = service.start(&key).await.unwrap();
    let is_waiting = || session.state().unwrap().as_str() == "restarting";
    until("the page could not be opened", is_waiting).await;
    run.none_is_left().await;
    service.stop(support::LIMIT).await;
}

#[tokio::test]
async fn three_sessions_from_their_codes_over_kills_to_a_graceful_stop() {
    let (program, run) = (example("service"), Run::new());
    let directory = tempfile::tempdir().unwrap();
    let storage = directory.path().canonicalize().unwrap();
    let mut pages = Vec::new();
    for session in 0..3 {
        pages.push(StandIn::start(scenario(session)).await.unwrap());
    }
    let mut service = Service::start(&run, &program, &storage, &pages).await;
    let own = driver().await;
    let view = callers_client(own.url()).await;
    view.goto(&service.url).await.unwrap();

    // The QR codes, as pictures, then the numbers.
    for session in 0..3 {
        let script = format!(
            "const code = document.querySelector('[data-session=\"{session}\"] img'); \
             return Boolean(code?.complete && code.naturalWidth > 100)"
        );
        until_async("a QR code", async || eval(&view, &script).await == true).await;
    }
    for (session, page) in pages.iter().enumerate() {
        page.signal();
        shows(&view, session, &format!("connected {}", number(session))).await;
    }
    let script = "const all = performance.getEntriesByType('resource'); \
        const codes = all.filter(it => it.name.includes('/qr/')); \
        return performance.now() - codes.at(-1).startTime > 3000";
    let asks_for_none = async || eval(&view, script).await == true;
    until_async("the page asks for no more codes", asks_for_none).await;
    view.goto(&format!("{}api/v1/whatsapp/accounts/2/status", service.url))
        .await
        .unwrap();
    let status = eval(&view, "return JSON.parse(document.body.textContent)").await;
    assert_eq!(status["status"], "connected");
    assert_eq!(status["phone_number"], number(2));

    // A killed browser comes back, and the other two do not notice.
    view.goto(&service.url).await.unwrap();
    let url = format!("sqlite:{}", storage.join("sessions.db").display());
    let store = SqliteStore::connect(&url, StoreOptions::default());
    let store = store.await.unwrap();
    let untouched = (row(&store, 1).await, row(&store, 2).await);
    let profile = profile_path(&storage, &SessionKey::new(1, 0).unwrap());
    // The database holds numbers.
    for name in ["sessions.db", "sessions.db-wal"] {
        let mode = storage.join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
    let before = row(&store, 0).await.last_seq.unwrap();
    assert!(kill_one(&run.browsers(&profile)));
    let is_back = async || {
        let row = row(&store, 0).await;
        row.last_seq.unwrap() >= before + 3 && row.status == Status::Connected
    };
    until_async("the session is connected again", is_back).await;
    shows(&view, 0, &format!("connected {}", number(0))).await;
    assert_eq!(pages[0].loads(), 2);
    let others = (row(&store, 1).await, row(&store, 2).await);
    assert_eq!(others, untouched);

    // A killed service leaves nothing behind, and the next one continues where it was.
    let rows = [row(&store, 0).await, others.0, others.1];
    service.child.kill().await.unwrap();
    let loads: Vec<_> = pages.iter().map(StandIn::loads).collect();
    let mut service = Service::start(&run, &program, &storage, &pages).await;
    view.goto(&service.url).await.unwrap();
    for (session, page) in pages.iter().enumerate() {
        until("the page is open again", || page.loads() > loads[session]).await;
        within_limit("its number can be read", page.wait_readable()).await;
        shows(&view, session, &format!("connected {}", number(session))).await;
        // Nothing is new, so nothing was sent.
        assert_eq!(row(&store, session).await, rows[session]);
    }

    // A graceful stop leaves no process, and the rows as they are.
    assert!(end(&mut service.child).await.success());
    run.none_is_left().await;
    for (session, before) in rows.iter().enumerate() {
        assert_eq!(row(&store, session).await, *before);
    }
    view.close().await.unwrap();
    stop(own).await;
}
