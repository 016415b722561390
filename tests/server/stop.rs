//! A graceful shutdown, over TCP.

use std::net::SocketAddr;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use whatsapp_phone::server::serve;

use super::time::within_limit;
use super::*;

async fn connect(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_graceful_shutdown_ends_streams_and_finishes_requests() {
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = stopped.map(drop).shared();
    let (api, store) = api().await;
    let app = api.stop_when(stopped.clone()).into_router();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(listener, app, 100, stopped));

    let head = format!("host: h\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    let mut stream = connect(address, &format!("GET {EVENTS} HTTP/1.1\r\n{head}")).await;
    let mut text = String::new();
    within_limit("the present state", async {
        let mut buffer = [0; 1024];
        while !text.contains("session-1") {
            let read = stream.read(&mut buffer).await.unwrap();
            assert_ne!(read, 0, "{text}");
            text += std::str::from_utf8(&buffer[..read]).unwrap();
        }
    })
    .await;

    // A webhook, half of which has arrived when the shutdown begins.
    let body = ready("session-1", PHONE).to_json();
    let request = signed(&*body);
    let mut half = format!(
        "POST {WEBHOOK} HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in request.headers() {
        half += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    half += "\r\n{";
    let mut webhook = connect(address, &half).await;
    // The server has accepted the connection before it answers this one.
    let mut health = connect(
        address,
        "GET /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
    )
    .await;
    let mut answer = String::new();
    within_limit("health", health.read_to_string(&mut answer))
        .await
        .unwrap();

    stop.send(()).unwrap();
    within_limit("the stream ends", stream.read_to_string(&mut text))
        .await
        .unwrap();
    assert!(text.ends_with("0\r\n\r\n"), "{text}");
    webhook.write_all(&body.as_bytes()[1..]).await.unwrap();
    answer.clear();
    within_limit("the webhook", webhook.read_to_string(&mut answer))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    within_limit("the server ends", server).await.unwrap();
    let row = store
        .session(&key("session-1").session_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.phone.unwrap().reveal(), PHONE);
}
