//! The spans of the example `onboard`, as a collector of OpenTelemetry gets them.
#![cfg(all(
    feature = "metrics",
    feature = "server",
    feature = "sqlite",
    feature = "testkit",
    feature = "webdriver",
    feature = "webhook"
))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message as _;
use support::example::example;
use support::program::{Program, accept_webhooks};
use tokio::net::TcpListener;
use tokio::process::Command;
use whatsapp_phone::testkit::standin::{LID, QR_PREFIX};

type Received = Arc<Mutex<Vec<Bytes>>>;

async fn take(State(received): State<Received>, body: Bytes) {
    received.lock().unwrap().push(body);
}

/// The fields of a span, with those values that are texts.
fn fields(span: &Span) -> BTreeMap<&str, &str> {
    let mut fields = BTreeMap::new();
    for field in &span.attributes {
        let value = field.value.as_ref().and_then(|it| it.value.as_ref());
        let text = match value.unwrap() {
            Value::StringValue(text) => text,
            _ => "",
        };
        fields.insert(&*field.key, text);
    }
    fields
}

/// The fields of each span that the guide names.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let guide = include_str!("../src/guide/running.md");
    let (_, table) = guide.split_once("| span | around | fields |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let quoted = |cell: &str| -> BTreeSet<_> {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let rows = table.lines().skip(2).map(|row| {
        let cells: Vec<_> = row.split('|').collect();
        let name = quoted(cells[1]).pop_first().unwrap();
        (name, quoted(cells[3]))
    });
    rows.collect()
}

#[tokio::test]
async fn a_collector_gets_the_spans_of_the_guide_and_no_number() {
    let received = Received::default();
    let app = Router::new().route("/v1/traces", post(take));
    let app = app.with_state(Arc::clone(&received));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, app).await });

    let mut program = Command::new(example("onboard"));
    program.args(["send", "--local", "--traces", &url]);
    let directory = tempfile::tempdir().unwrap();
    program.envs(accept_webhooks().await);
    program.env("SESSION_STORAGE_PATH", directory.path());
    let (code, printed) = Program::start(program).end().await;
    assert_eq!(code, Some(0), "{printed}");

    let received = received.lock().unwrap();
    // The binary form contains each text unchanged.
    let text = String::from_utf8_lossy(&received.concat()).into_owned();
    let (lid, _) = LID.split_once('@').unwrap();
    for secret in ["628110000041", lid, QR_PREFIX] {
        assert!(!text.contains(secret), "{secret} was sent");
    }
    let requests = received
        .iter()
        .map(|body| ExportTraceServiceRequest::decode(&body[..]).unwrap());
    let scopes = requests
        .flat_map(|it| it.resource_spans)
        .flat_map(|it| it.scope_spans);
    let spans: Vec<Span> = scopes.flat_map(|scope| scope.spans).collect();

    // Every span has the fields of the guide, and no others but those of the exporter.
    let not_sent = ["otel.kind", "whatsapp_phone.ended"]; // the kind is no field; the monitor does not end
    for (name, documented) in documented() {
        let named = spans.iter().filter(|span| span.name == name);
        let sent: BTreeSet<&str> = named.flat_map(|span| fields(span).into_keys()).collect();
        if name == "session_task" {
            assert!(sent.is_empty(), "the example has no supervisor");
            continue;
        }
        let missing = documented.iter().filter(|field| !sent.contains(&***field));
        let missing: Vec<_> = missing
            .filter(|field| !not_sent.contains(&&***field))
            .collect();
        assert!(missing.is_empty(), "{name} has no {missing:?}");
        let is_own = |field: &&&str| {
            let foreign = ["code.", "thread.", "busy_ns", "idle_ns", "target", "level"];
            !foreign.iter().any(|start| field.starts_with(start)) && **field != "error.type"
        };
        let undocumented = sent
            .iter()
            .filter(is_own)
            .filter(|field| !documented.contains(**field));
        assert_eq!(
            undocumented.collect::<Vec<_>>(),
            Vec::<&&str>::new(),
            "of {name}"
        );
    }
    let all: BTreeSet<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(
        all,
        ["POST", "deliver", "extract_phone", "onboarding"].into()
    );

    // An event's id joins its way to the store and its way to the receiver.
    let named = |name: &'static str| spans.iter().filter(move |span| span.name == name);
    let ids = |sink: &str| -> BTreeSet<&str> {
        let fields = named("deliver").map(fields);
        let to_sink = fields.filter(|it| it["messaging.destination.name"] == sink);
        to_sink.map(|it| it["messaging.message.id"]).collect()
    };
    // The program may end while the store gets the last one.
    assert!(ids("webhook").len() >= 3 && ids("webhook").is_subset(&ids("fan_out")));
    let has_parent = |span: &Span, name| {
        let parent = named(name).find(|parent| parent.span_id == span.parent_span_id);
        parent.is_some()
    };
    assert!(named("POST").all(|span| has_parent(span, "deliver")));
    assert!(named("POST").all(|span| span.kind() == SpanKind::Client));
    assert!(named("deliver").all(|span| span.kind() == SpanKind::Producer));
    assert!(named("extract_phone").all(|span| has_parent(span, "onboarding")));
    // The receiver's first answer.
    let has_failed = |span: &&Span| {
        let status = span.status.as_ref();
        status.is_some_and(|status| status.code() == StatusCode::Error)
    };
    let failed = named("POST").find(has_failed).unwrap();
    assert_eq!(fields(failed)["error.type"], "webhook_failed");
}
