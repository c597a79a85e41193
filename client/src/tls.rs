//! Whom a client trusts.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;
use crate::options::Options;

/// One configuration for all connections: the public roots, and those of the options. It depends
/// on no provider of the process.
pub(crate) fn config(options: &Options) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(file) = &options.ca_file {
        let bad = |error: &dyn std::fmt::Display| {
            Error::Setup(format!("the certificates of {}: {error}", file.display()))
        };
        let mut any = false;
        for root in CertificateDer::pem_file_iter(file).map_err(|error| bad(&error))? {
            roots.add(root.map_err(|error| bad(&error))?).map_err(|error| bad(&error))?;
            any = true;
        }
        if !any {
            return Err(bad(&"there is none in it"));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Setup(format!("TLS: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
