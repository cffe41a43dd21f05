//! TLS to mail servers (RFC 8446): the configured anchor alone decides whose server it is.
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::TransportError;
use super::endpoint::Endpoint;

/// How long a connection or one answer may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Whose servers are ours. The operating system's list of certification authorities is not asked.
#[derive(Clone)]
pub struct TlsAnchors(Arc<ClientConfig>);

impl TlsAnchors {
    /// Takes one or more certificates in PEM.
    ///
    /// # Errors
    /// [`TransportError::BadAnchor`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, TransportError> {
        let bad = |problem: String| TransportError::BadAnchor(problem);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| bad(error.to_string()))?;
            roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(bad("no certificate found".to_owned()));
        }
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| bad(error.to_string()))?
                .with_root_certificates(roots)
                .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// The same for connections that others make.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }

    /// Makes the connection secure, or says why the server cannot be trusted.
    pub(super) async fn secure(
        &self,
        stream: TcpStream,
        endpoint: &Endpoint,
    ) -> Result<TlsStream<TcpStream>, TransportError> {
        let server = endpoint.to_string();
        let name = ServerName::try_from(endpoint.host.clone()).map_err(|_| TransportError::BadUrl {
            url: server.clone(),
            problem: "the host is not a name that a certificate can carry".to_owned(),
        })?;
        let handshake = TlsConnector::from(Arc::clone(&self.0)).connect(name, stream);
        match tokio::time::timeout(PATIENCE, handshake).await {
            Err(_) => Err(TransportError::Timeout { server, during: "TLS handshake" }),
            Ok(Err(error)) => Err(refusal(server, &error)),
            Ok(Ok(stream)) => Ok(stream),
        }
    }
}

/// Opens the TCP connection.
pub(super) async fn connect(endpoint: &Endpoint) -> Result<TcpStream, TransportError> {
    let server = endpoint.to_string();
    match tokio::time::timeout(PATIENCE, TcpStream::connect((endpoint.host.as_str(), endpoint.port))).await {
        Err(_) => Err(TransportError::Timeout { server, during: "connection" }),
        Ok(Err(error)) => Err(TransportError::Unreachable { server, problem: error.to_string() }),
        Ok(Ok(stream)) => {
            // Commands and short answers by turns: waiting to fill a packet (Nagle) costs 40 ms each. It only costs time.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
    }
}

fn refusal(server: String, error: &std::io::Error) -> TransportError {
    let tls_error = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls_error {
        Some(rustls::Error::InvalidCertificate(problem)) => {
            TransportError::ServerCertificate { server, problem: in_words(problem) }
        }
        Some(other) => TransportError::Tls { server, problem: breakdown_in_words(other).to_owned() },
        None => TransportError::Tls { server, problem: error.to_string() },
    }
}

/// Why a handshake failed.
pub(crate) fn handshake_in_words(error: &std::io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(problem)) => {
            format!("its certificate is refused: {}", in_words(problem))
        }
        Some(other) => breakdown_in_words(other).to_owned(),
        None => error.to_string(),
    }
}

fn in_words(error: &CertificateError) -> String {
    match error {
        // A wrong signature is what another CA of the same name gives.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its issuer is not the configured anchor".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it was issued for another server name".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it was not issued for a server".to_owned()
        }
        CertificateError::Revoked => "it was revoked".to_owned(),
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "it is a CA certificate (self-signed?), not one that a CA issued for the server".to_owned()
        }
        _ => "it is malformed, or of a kind that is not supported".to_owned(),
    }
}

fn breakdown_in_words(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidMessage(_) | rustls::Error::InappropriateMessage { .. } => {
            "what it answers is not TLS; is this the right port, and the right kind of URL?"
        }
        rustls::Error::AlertReceived(_) => "the server broke the TLS handshake off",
        rustls::Error::PeerIncompatible(_) => "the server supports no TLS version or algorithm that is safe",
        rustls::Error::NoCertificatesPresented => "the server shows no certificate",
        _ => "the TLS handshake failed",
    }
}
