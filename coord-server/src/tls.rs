//! TLS by certificate files, which may be replaced while the server runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

/// Time that a handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// The only protocol that is spoken inside.
const PROTOCOL: &[u8] = b"http/1.1";

/// Where certificate and key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those that lead to its issuer, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Time between two looks at whether they have changed.
    pub look_every: Duration,
}

impl TlsFiles {
    /// Looked at every ten seconds.
    pub fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self { certificate, key, look_every: Duration::from_secs(10) }
    }

    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| TlsError::Pem { path, source }
        };
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(unreadable(&self.certificate))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(unreadable(&self.key))?;
        let certified = CertifiedKey::from_der(chain, key, provider);
        certified.map_err(|source| TlsError::Pair { path: self.certificate.clone(), source })
    }

    /// What tells that one of the files is another than before.
    fn versions(&self) -> io::Result<[(SystemTime, u64); 2]> {
        let version = |path: &Path| {
            let metadata = fs::metadata(path)?;
            Ok::<_, io::Error>((metadata.modified()?, metadata.len()))
        };
        Ok([version(&self.certificate)?, version(&self.key)?])
    }
}

/// Makes connections secure with the certificate that is in force.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
}

impl Tls {
    /// With what is in `files` now.
    ///
    /// # Errors
    /// If there is no certificate with its key in them.
    pub fn new(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let current = Arc::new(Current(RwLock::new(Arc::new(files.read(&provider)?))));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Provider)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Self { files, provider, current, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// If the other side does not speak TLS, or takes too long.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = self.acceptor.accept(stream);
        timeout(HANDSHAKE_WITHIN, handshake).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    /// Puts the files in force whenever they have changed. What cannot be used is no
    /// reason to stop: the certificate before it stays.
    pub async fn keep_current(self) {
        let mut looks = interval(self.files.look_every);
        let mut seen = None;
        loop {
            looks.tick().await;
            // Gone for a moment, as when they are being replaced.
            let Ok(versions) = self.files.versions() else { continue };
            // The first look finds what was just read, or what has replaced it since.
            if seen.replace(versions) == Some(versions) {
                continue;
            }
            match self.files.read(&self.provider) {
                Ok(certified) => {
                    let mut current =
                        self.current.0.write().unwrap_or_else(PoisonError::into_inner);
                    *current = Arc::new(certified);
                    tracing::info!(file = %self.files.certificate.display(), "certificate in force");
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "the certificate before stays in force");
                }
            }
        }
    }
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Files that cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or lacks what it is for.
    #[error("cannot use {}", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// The key is not the certificate's.
    #[error("{} and its key do not fit", path.display())]
    Pair {
        /// The certificate.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The cryptography in this binary does not do.
    #[error("no version of TLS can be spoken")]
    Provider(#[source] rustls::Error),
}
