//! Serves the metrics to Prometheus.

use std::future::{IntoFuture, ready};
use std::net::SocketAddr;

use axum::{Router, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tokio::net::TcpListener;
use whatsapp_phone::metrics::{self, EXTRACTION_DURATION, SESSION_READY_PROCESSING_TIME};

use crate::Outcome;

/// Records the program's metrics, and serves them at `/metrics` of this address.
pub(crate) async fn serve(address: SocketAddr) -> Outcome<()> {
    let duration = Matcher::Full(EXTRACTION_DURATION.into());
    let processing = Matcher::Full(SESSION_READY_PROCESSING_TIME.into());
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(duration, &[0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])?
        .set_buckets_for_metric(processing, &[1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1e3, 5e3])?
        .install_recorder()?;
    metrics::register();
    let listener = TcpListener::bind(address).await?;
    eprintln!("metrics: http://{}/metrics", listener.local_addr()?);
    let router = Router::new().route("/metrics", get(move || ready(recorder.render())));
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(())
}
