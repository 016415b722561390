//! The certificates that are trusted at https URLs.

use std::io;
use std::sync::{Arc, OnceLock};

use hyper_rustls::ConfigBuilderExt;
use rustls::{ClientConfig, RootCertStore};

/// Returns a TLS configuration with the system's certificates, which are read once; at plain http URLs none
/// is needed, nor has to be installed.
///
/// The provider is named: which one is the process's default, others may have made ambiguous.
pub(crate) fn config(is_https: bool) -> io::Result<ClientConfig> {
    static BY_THE_SYSTEM: OnceLock<ClientConfig> = OnceLock::new();
    if let Some(config) = BY_THE_SYSTEM.get() {
        return Ok(config.clone());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    if !is_https {
        let none = RootCertStore::empty();
        return Ok(builder.with_root_certificates(none).with_no_client_auth());
    }
    let config = builder.with_native_roots()?.with_no_client_auth();
    Ok(BY_THE_SYSTEM.get_or_init(|| config).clone())
}
