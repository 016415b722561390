//! Spans: their fields have the names of OpenTelemetry's conventions, and `whatsapp_phone.` before those of this crate.

use tracing::Span;

/// Records that a span's work failed, by a stable code. The span has the fields `otel.status_code` and `error.type`.
pub(crate) fn fail(span: &Span, code: &str) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", code);
}
