//! Host names, with answers of a name server that are scripted.

use std::net::IpAddr;
use std::sync::atomic::AtomicUsize;

use reqwest::dns::Resolve;

use super::super::address::{LookUp, NotPublic, PublicResolver};
use super::*;

/// Gives one answer after another, the last one again and again.
fn answers(answers: &'static [&'static [&'static str]]) -> LookUp {
    let asked = AtomicUsize::new(0);
    Arc::new(move |_| {
        let asked = asked.fetch_add(1, Ordering::Relaxed);
        let answer = answers[asked.min(answers.len() - 1)];
        let addresses = answer.iter().map(|text| text.parse::<IpAddr>().unwrap());
        let addresses: Vec<_> = addresses.collect();
        Box::pin(async { Ok(addresses) })
    })
}

async fn resolved(resolver: &PublicResolver) -> Option<Vec<String>> {
    match resolver.resolve("receiver.example".parse().unwrap()).await {
        Ok(addresses) => Some(addresses.map(|it| it.ip().to_string()).collect()),
        Err(error) => {
            assert!(error.is::<NotPublic>(), "{error}");
            None
        }
    }
}

#[tokio::test]
async fn every_connection_gets_checked_addresses_only() {
    let resolver = PublicResolver(answers(&[
        &["1.1.1.1", "2606:4700::1111"],
        &["10.0.0.1", "1.1.1.1", "::ffff:127.0.0.1"],
        &["127.0.0.1"],
        &["::ffff:169.254.169.254", "fe80::1"],
        &[],
    ]));
    let text = |addresses: &[&str]| Some(addresses.iter().map(|&it| it.to_owned()).collect());
    assert_eq!(
        resolved(&resolver).await,
        text(&["1.1.1.1", "2606:4700::1111"])
    );
    assert_eq!(resolved(&resolver).await, text(&["1.1.1.1"]));
    // The name has changed its address.
    assert_eq!(resolved(&resolver).await, None);
    assert_eq!(resolved(&resolver).await, None);
    assert_eq!(resolved(&resolver).await, text(&[]));
}

#[tokio::test]
async fn a_name_with_a_private_address_is_refused_without_a_connection() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let port = server.local_addr().unwrap().port();
    let url = format!("http://user:hunter2@receiver.example:{port}/hunter3");
    let keys = SECRET.parse().unwrap();
    let builder = WebhookSink::builder(url, keys).allow_http();
    let sink = builder.look_up(answers(&[&["127.0.0.1"]])).build().unwrap();
    let error = sink.send(&event()).await.unwrap_err();
    assert_eq!(
        (error.code(), error.is_transient()),
        ("webhook_private_address", false)
    );
    assert!(
        !format!("{error} {error:?}").contains("hunter"),
        "{error:?}"
    );
    let accepted = server.accept().unwrap_err();
    assert_eq!(accepted.kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn localhost_is_refused_as_the_system_resolves_it() {
    let keys = SECRET.parse().unwrap();
    let builder = WebhookSink::builder("https://localhost:9/", keys);
    let error = builder.build().unwrap().send(&event()).await.unwrap_err();
    assert_eq!(error.code(), "webhook_private_address");
}
