//! The description of the routes by OpenAPI.

use std::collections::BTreeMap;

use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ComponentsBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, ContentBuilder, InfoBuilder, OpenApiBuilder, PathItem, PathsBuilder, Ref, Required,
    ResponseBuilder,
};

use super::problem::{self, Problem};
use super::{EVENTS, HEALTH, OPENAPI, READY, STATUS, WEBHOOK};
use crate::store::Status;

const JSON: &str = "application/json";
/// The security scheme of the routes that need a token.
const TOKEN: &str = "token";

/// Returns the description as JSON.
pub(super) fn description(has_receiver: bool) -> String {
    use problem::{
        INTERNAL, INVALID_EVENT, INVALID_JSON, INVALID_REQUEST, INVALID_SIGNATURE, INVALID_TOKEN,
        METHOD_NOT_ALLOWED, NOT_JSON, NUMBER_ALREADY_CONNECTED, OVERLOADED, REBIND_REFUSED,
        SLOW_REQUEST, STORAGE, TOO_LARGE, TOO_MANY_REQUESTS, TOO_MANY_STREAMS, UNKNOWN_SESSION,
    };
    let every = [METHOD_NOT_ALLOWED, INTERNAL];
    let limited = [TOO_MANY_REQUESTS, OVERLOADED, STORAGE];
    let text = |name| {
        ParameterBuilder::new()
            .name(name)
            .schema(Some(typed(Type::String)))
    };
    let header = |name| text(name).parameter_in(ParameterIn::Header);
    let token = || SecurityRequirement::new(TOKEN, [""; 0]);

    let status = operation("Returns the status of a session and its full number.")
        .security(token())
        .parameter(text("session_id").parameter_in(ParameterIn::Path));
    let refused = [INVALID_TOKEN, UNKNOWN_SESSION];
    let status = answers(
        status,
        (JSON, "SessionStatus"),
        &[&every, &limited, &refused],
    );

    let events = operation(
        "Streams the present state of each session of the token's workspace, then every change, as \
         Server-Sent Events `status` with a SessionChange as data. An event `reset` says that the \
         states after it are all there are.",
    );
    let events = events.security(token()).parameter(header("Last-Event-ID"));
    let refused = [INVALID_TOKEN, TOO_MANY_STREAMS];
    let stream = ("text/event-stream", "SessionChange");
    let events = answers(events, stream, &[&every, &limited, &refused]);

    let mut webhook = operation("Takes an event that is signed by Standard Webhooks.");
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        webhook = webhook.parameter(header(name).required(Required::True));
    }
    let body = RequestBodyBuilder::new().content(JSON, content("SessionEvent"));
    let body = body.required(Some(Required::True)).build();
    let webhook = webhook.request_body(Some(body));
    let refused = [
        INVALID_REQUEST,
        INVALID_JSON,
        INVALID_SIGNATURE,
        UNKNOWN_SESSION,
        SLOW_REQUEST,
        NUMBER_ALREADY_CONNECTED,
        REBIND_REFUSED,
        TOO_LARGE,
        NOT_JSON,
        INVALID_EVENT,
    ];
    let webhook = answers(webhook, (JSON, "Accepted"), &[&every, &limited, &refused]);

    let health = operation("Answers while the process is alive.");
    let health = answers(health, (JSON, "Health"), &[&every]);
    let ready = operation("Answers while the store answers.");
    let ready = answers(ready, (JSON, "Health"), &[&every, &[STORAGE]]);
    let this = operation("Returns this description.");
    let this = answers(this, (JSON, "Description"), &[&every]);

    let get = |operation: OperationBuilder| PathItem::new(HttpMethod::Get, operation);
    let mut paths = PathsBuilder::new()
        .path(STATUS, get(status))
        .path(EVENTS, get(events))
        .path(HEALTH, get(health))
        .path(READY, get(ready))
        .path(OPENAPI, get(this));
    if has_receiver {
        paths = paths.path(WEBHOOK, PathItem::new(HttpMethod::Post, webhook));
    }
    let info = InfoBuilder::new()
        .title("whatsapp-phone")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The phone numbers and states of WhatsApp Web sessions.",
        ));
    let description = OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components().build()));
    // The types of utoipa always serialise.
    description.build().to_json().unwrap_or_default()
}

fn operation(summary: &str) -> OperationBuilder {
    OperationBuilder::new().summary(Some(summary))
}

/// Adds the answer 200 and the problems, those of one status together.
fn answers(
    mut operation: OperationBuilder,
    (media_type, schema): (&str, &str),
    problems: &[&[Problem]],
) -> OperationBuilder {
    let accepted = ResponseBuilder::new()
        .description("It succeeded.")
        .content(media_type, content(schema));
    operation = operation.response("200", accepted);
    let mut by_status = BTreeMap::<_, Vec<_>>::new();
    for problem in problems.concat() {
        let line = format!("`{}`: {}", problem.code, problem.detail);
        by_status.entry(problem.status).or_default().push(line);
    }
    for (status, lines) in by_status {
        let problem = ResponseBuilder::new().description(lines.join("; "));
        let problem = problem.content(problem::MEDIA_TYPE, content("Problem"));
        operation = operation.response(status.as_str(), problem);
    }
    operation
}

fn content(schema: &str) -> Content {
    ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema)))
        .build()
}

fn components() -> ComponentsBuilder {
    let either = |values: &[&str]| {
        let values = values.iter().copied();
        typed(Type::String).enum_values(Some(values))
    };
    let statuses: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
    let optional = |about: &str| {
        let types = SchemaType::Array(vec![Type::String, Type::Null]);
        typed(types).description(Some(about))
    };
    let full = "The digits of the number; never null while the status is `connected`.";
    let status = object("status", either(&statuses))
        .property("phone_number", optional(full))
        .required("phone_number");
    let change = object("status", either(&statuses))
        .property("session_id", typed(Type::String))
        .required("session_id")
        .property("phone_number", optional("The number, masked."))
        .required("phone_number")
        .property("code", optional("Why the status is `error`."))
        .required("code");
    let event = object("event", typed(Type::String)).property("data", typed(Type::Object));
    let about =
        "RFC 9457, with a code. Contains nothing of the request. A sink may have codes of its own.";
    let problem = object("code", typed(Type::String))
        .description(Some(about))
        .property("type", typed(Type::String))
        .property("title", typed(Type::String))
        .property("detail", typed(Type::String))
        .property("status", typed(Type::Integer));
    let accepted = either(&["processed_inline", "queued"]);
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    ComponentsBuilder::new()
        .schema("SessionStatus", status)
        .schema("SessionChange", change)
        .schema("SessionEvent", event)
        .schema("Accepted", object("status", accepted))
        .schema("Health", object("status", either(&["alive", "ready"])))
        .schema("Description", typed(Type::Object))
        .schema("Problem", problem)
        .security_scheme(TOKEN, token)
}

fn typed(kind: impl Into<SchemaType>) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind)
}

/// An object with one required field.
fn object(field: &str, schema: ObjectBuilder) -> ObjectBuilder {
    typed(Type::Object).property(field, schema).required(field)
}
