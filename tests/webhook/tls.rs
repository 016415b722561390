//! Receivers at https URLs. A process reads its trusted certificates from its environment, so this program
//! starts itself again.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, pki_types::PrivateKeyDer};

use super::*;

/// The URL of the receiver, for the started program.
const URL: &str = "TEST_WEBHOOK_URL";

/// Returns the URL of a receiver, and the PEM text of its certificate.
async fn receiver() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, _) = listener().await;
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            read_event(&mut stream).await;
            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            stream.flush().await.unwrap();
        }
    });
    (format!("https://localhost:{port}/hook"), made.cert.pem())
}

/// Starts this program again, and returns the code of its send.
async fn code(url: &str, trusted: &Path) -> String {
    let sent = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "tls::https_by_the_certificates_of_the_system",
            "--nocapture",
        ])
        .env(URL, url)
        .env("SSL_CERT_FILE", trusted)
        // It must not be used.
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .stderr(Stdio::null())
        .output()
        .await
        .unwrap();
    let output = String::from_utf8(sent.stdout).unwrap();
    let code = output.lines().find_map(|line| line.strip_prefix("sent: "));
    code.unwrap_or_else(|| panic!("no result: {output}"))
        .to_owned()
}

#[tokio::test]
async fn https_by_the_certificates_of_the_system() {
    match std::env::var(URL) {
        Ok(url) => print_code(url).await,
        Err(_) => start_again().await,
    }
}

/// In the started program: sends an event.
async fn print_code(url: String) {
    let sink = builder(url).backoff(attempts(1)).build().unwrap();
    match send(&sink).await {
        Ok(()) => println!("sent: ok"),
        Err(error) => println!("sent: {}", error.code()),
    }
}

async fn start_again() {
    let (url, pem) = receiver().await;
    let (_, other) = receiver().await;
    let directory = tempfile::tempdir().unwrap();
    for (pem, expected) in [(pem, "ok"), (other, "webhook_unreachable")] {
        let trusted = directory.path().join("trusted.pem");
        std::fs::write(&trusted, pem).unwrap();
        assert_eq!(code(&url, &trusted).await, expected);
    }
}
