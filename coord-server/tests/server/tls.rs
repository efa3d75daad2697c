//! TLS by files that change, and an origin that speaks it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coord_server::tls::TlsFiles;
use rcgen::CertifiedKey;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::program::{Running, program};
use crate::support::{Answer, PATIENCE, Server, SiteDirectory};

/// A certificate for `localhost`, which is its own issuer, in files.
struct Certificate {
    folder: TempDir,
    der: CertificateDer<'static>,
}

impl Certificate {
    fn new() -> Self {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cert.pem"), cert.pem()).unwrap();
        fs::write(folder.path().join("key.pem"), signing_key.serialize_pem()).unwrap();
        Self { folder, der: cert.der().clone() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn files(&self) -> TlsFiles {
        let look_every = Duration::from_millis(10);
        TlsFiles { look_every, ..TlsFiles::new(self.path("cert.pem"), self.path("key.pem")) }
    }

    /// A GET of somebody who trusts this certificate and no other.
    async fn get(&self, address: SocketAddr, path: &str) -> std::io::Result<Answer> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await?;
        let name = "localhost".try_into().unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        Ok(Answer::parse(&bytes))
    }
}

async fn start(site: &SiteDirectory, certificate: &Certificate) -> Server {
    Server::start_with(site, |config| config.tls = Some(certificate.files())).await
}

#[tokio::test]
async fn a_site_is_served_over_tls() {
    let (site, certificate) = (SiteDirectory::new(), Certificate::new());
    site.write("a.txt", b"secret");
    let server = start(&site, &certificate).await;

    assert_eq!(certificate.get(server.address, "/a.txt").await.unwrap().text(), "secret");
    assert!(Certificate::new().get(server.address, "/a.txt").await.is_err(), "another's");
    assert!(reqwest::get(server.url("/a.txt")).await.is_err(), "plain HTTP is no TLS");
    assert_eq!(certificate.get(server.address, "/a.txt").await.unwrap().status, 200);
}

#[tokio::test]
async fn files_that_change_are_put_in_force_if_they_can_be() {
    let (site, old, new) = (SiteDirectory::new(), Certificate::new(), Certificate::new());
    site.write("a.txt", b"A");
    let server = start(&site, &old).await;
    assert!(old.get(server.address, "/a.txt").await.is_ok());

    fs::write(old.path("cert.pem"), "no certificate").unwrap();
    for _ in 0..20 {
        assert!(old.get(server.address, "/a.txt").await.is_ok(), "the one before stays");
    }

    for name in ["key.pem", "cert.pem"] {
        fs::copy(new.path(name), old.path(name)).unwrap();
    }
    let renewed = async { while new.get(server.address, "/a.txt").await.is_err() {} };
    timeout(PATIENCE, renewed).await.expect("the new certificate comes into force");
    assert!(old.get(server.address, "/a.txt").await.is_err());
}

#[tokio::test]
async fn a_connection_that_does_not_shake_hands_holds_up_nothing() {
    let (site, certificate) = (SiteDirectory::new(), Certificate::new());
    site.write("a.txt", b"A");
    let server = start(&site, &certificate).await;
    let _silent = TcpStream::connect(server.address).await.unwrap();

    assert_eq!(certificate.get(server.address, "/a.txt").await.unwrap().text(), "A");
    server.stop().await;
}

#[tokio::test]
async fn an_origin_may_speak_tls_and_must_prove_who_it_is() {
    let (site, certificate) = (SiteDirectory::new(), Certificate::new());
    site.write("a.txt", b"A");
    let origin = start(&site, &certificate).await;
    let url = format!("https://localhost:{}", origin.address.port());
    let answer = async |trusted: &Certificate| {
        let mut before = program();
        before.args(["--origin", &url, "--manifest-store", "none"]);
        before.env("SSL_CERT_FILE", trusted.path("cert.pem"));
        let before = Running::start(&mut before);
        let answer = reqwest::get(format!("{}a.txt", before.url)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };

    assert_eq!(answer(&certificate).await, (200, "A".to_owned()));
    assert_eq!(answer(&Certificate::new()).await.0, 502);
}

#[test]
fn files_that_are_no_certificate_are_named() {
    let (site, certificate, other) = (SiteDirectory::new(), Certificate::new(), Certificate::new());
    let said = |cert: PathBuf, key: PathBuf| {
        let mut start = program();
        start.arg("--root").arg(site.root()).args(["--manifest-store", "none"]);
        start.arg("--tls-cert").arg(cert).arg("--tls-key").arg(key);
        let output = start.args(["--listen", "127.0.0.1:0"]).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };

    let missing = said(certificate.path("none.pem"), certificate.path("key.pem"));
    assert!(missing.contains("none.pem") && missing.contains("--tls-cert"), "{missing}");
    let mixed = said(certificate.path("cert.pem"), other.path("key.pem"));
    assert!(mixed.contains("do not fit"), "{mixed}");
}
