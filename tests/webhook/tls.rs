//! Receivers at https URLs. A process reads its trusted certificates from its environment, so this program
//! starts itself again.

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, pki_types::PrivateKeyDer};

use super::again::{print_result, run_again};
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
    let sent = send(&sink).await;
    print_result(sent.as_ref().map_or_else(SinkError::code, |()| "ok"));
}

async fn start_again() {
    let (url, pem) = receiver().await;
    let (_, other) = receiver().await;
    let directory = tempfile::tempdir().unwrap();
    for (pem, expected) in [(pem, "ok"), (other, "webhook_unreachable")] {
        let trusted = directory.path().join("trusted.pem");
        std::fs::write(&trusted, pem).unwrap();
        let trusted = trusted.to_str().unwrap();
        // The proxy must not be used.
        let variables = [
            (URL, &*url),
            ("SSL_CERT_FILE", trusted),
            ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ];
        let test = "tls::https_by_the_certificates_of_the_system";
        assert_eq!(run_again(test, &variables).await, expected);
    }
}
