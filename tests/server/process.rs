//! A copy of this program that serves the routes, so that its memory can be measured: [`Server`].

use std::net::SocketAddr;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use whatsapp_phone::server::serve;

use super::time::within_limit;
use super::*;

pub(super) const SESSIONS: usize = 1_000;
/// Set in the process that serves.
const ROLE: &str = "SERVER_TEST_SERVES";

pub(super) fn session(number: usize) -> String {
    format!("session-{number}")
}

/// Serves until it is killed. Prints its address.
#[tokio::test]
async fn serves_if_started_by_another_test() {
    if std::env::var(ROLE).is_err() {
        return;
    }
    let store = MemoryStore::default();
    for number in 0..SESSIONS {
        store.register(&key(&session(number))).await.unwrap();
    }
    let receiver = WebhookReceiver::new(keys(), StoreSink::new(store.clone()));
    let app = Api::new(store, tokens()).receiver(receiver).into_router();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\nat {}", listener.local_addr().unwrap());
    serve(listener, app, 1_000, std::future::pending()).await;
}

/// The process. It ends with its owner.
pub(super) struct Server {
    process: Child,
    pub(super) address: SocketAddr,
}

impl Server {
    /// Starts a process with a store in memory, which has `SESSIONS` sessions.
    pub(super) async fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "process::serves_if_started_by_another_test",
                "--nocapture",
            ])
            .env(ROLE, "yes")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = within_limit("the server starts", async {
            loop {
                let line = lines.next_line().await.unwrap().expect("an address");
                if let Some(address) = line.strip_prefix("at ") {
                    break address.parse().unwrap();
                }
            }
        });
        let address = address.await;
        Self { process, address }
    }

    /// Returns the memory of the process in bytes: `VmRSS:` is what is resident, `VmHWM:` the most that was.
    pub(super) fn memory(&self, kind: &str) -> usize {
        let process = self.process.id().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(kind));
        let kibibytes = line.unwrap().trim_end_matches("kB").trim();
        kibibytes.parse::<usize>().unwrap() << 10
    }
}
