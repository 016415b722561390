//! Sends the spans to a collector of OpenTelemetry, by OTLP over HTTP.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::task::spawn_blocking;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::Outcome;

/// The spans that wait for the collector.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// `url`: for instance `http://127.0.0.1:4318/v1/traces`.
    pub(crate) fn to(url: &str) -> Outcome<Self> {
        // The feature `webhook` builds `reqwest` without a default provider of cryptography.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let exporter = SpanExporter::builder().with_http().with_endpoint(url);
        let service = Resource::builder().with_service_name("onboard");
        let provider = SdkTracerProvider::builder()
            .with_resource(service.build())
            .with_batch_exporter(exporter.build()?);
        Ok(Self(provider.build()))
    }

    /// Takes the crate's own spans.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let own = Targets::new().with_target("whatsapp_phone", tracing::Level::INFO);
        let tracer = self.0.tracer("whatsapp-phone");
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_filter(own)
    }

    /// Sends what waits.
    pub(crate) async fn end(self) -> Outcome<()> {
        Ok(spawn_blocking(move || self.0.shutdown()).await??)
    }
}
