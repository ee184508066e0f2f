//! The intercepting proxy: whose certificate the client sees, and which protocol.

use std::sync::Arc;

use goferry_lab::certs::{Authority, LeafSpec, TlsVersions};
use goferry_lab::forward::{ForwardConfig, ForwardMode, ForwardProxy, Intercept};
use tempfile::TempDir;

use crate::origin::{BODY, NAME, Origin};
use crate::{Curl, curl, proxy, text};

/// An origin that speaks `origin_alpn`, behind a proxy that intercepts as `how` says.
struct Scene {
    folder: TempDir,
    proxy: ForwardProxy,
    origin: Origin,
}

impl Scene {
    fn new(origin_alpn: &[&str], how: impl FnOnce(Intercept) -> Intercept) -> Self {
        let public = Authority::new("public root").unwrap();
        let origin = Origin::tls(&public, origin_alpn);
        Self::over(&public, origin, how)
    }

    fn over(trusted: &Authority, origin: Origin, how: impl FnOnce(Intercept) -> Intercept) -> Self {
        let company = Arc::new(Authority::new("company root").unwrap());
        let folder = tempfile::tempdir().unwrap();
        company.write_pem(&folder.path().join("company.pem")).unwrap();
        trusted.write_pem(&folder.path().join("public.pem")).unwrap();
        let intercept = how(Intercept::new(company, trusted.roots()));
        let proxy = proxy(ForwardConfig::new(ForwardMode::Intercept(intercept)).host(NAME, origin.address));
        Self { folder, proxy, origin }
    }

    /// A client that trusts this root, with more arguments.
    fn curl(&self, root: &str, more: &[&str]) -> Curl {
        let ca = self.folder.path().join(root);
        let (proxy, url) = (self.proxy.url(), format!("https://{NAME}/a"));
        curl(&[&["--proxy", &proxy, "--cacert", text(&ca), &url], more].concat())
    }
}

#[test]
fn without_alpn_h2_is_lost() {
    let scene = Scene::new(&["h2", "http/1.1"], |how| how);
    let done = scene.curl("company.pem", &[]);
    assert_eq!((done.exit, done.status, done.version.as_str()), (0, 200, "1.1"), "{done:?}");
    assert_eq!(done.body, BODY);
    let counts = scene.proxy.counts();
    assert_eq!(counts.intercepted, [(String::new(), 1)].into());
    assert!((50..400).contains(&counts.bytes_up), "the bytes of one request in clear: {counts:?}");
}

#[test]
fn with_http1_alpn_h2_is_lost() {
    let scene = Scene::new(&["h2", "http/1.1"], |how| how.alpn(&["http/1.1"]));
    let done = scene.curl("company.pem", &[]);
    assert_eq!((done.exit, done.status, done.version.as_str()), (0, 200, "1.1"), "{done:?}");
    assert_eq!(scene.proxy.counts().intercepted, [("http/1.1".to_owned(), 1)].into());
}

#[test]
fn with_h2_alpn_h2_is_kept() {
    let scene = Scene::new(&["h2", "http/1.1"], |how| how.alpn(&["h2", "http/1.1"]));
    let done = scene.curl("company.pem", &[]);
    assert_eq!((done.exit, done.status, done.version.as_str()), (0, 200, "2"), "{done:?}");
    assert_eq!(done.body, BODY);
    assert_eq!(scene.proxy.counts().intercepted, [("h2".to_owned(), 1)].into());
}

#[test]
fn h2_is_not_promised_where_the_origin_has_none() {
    let scene = Scene::new(&["http/1.1"], |how| how.alpn(&["h2", "http/1.1"]));
    let done = scene.curl("company.pem", &[]);
    assert_eq!((done.exit, done.status, done.version.as_str()), (0, 200, "1.1"), "{done:?}");
    let scene = Scene::new(&[], |how| how.alpn(&["h2", "http/1.1"]));
    let done = scene.curl("company.pem", &["--http1.1"]);
    assert_eq!((done.exit, done.status, done.version.as_str()), (0, 200, "1.1"), "{done:?}");
}

#[test]
fn a_client_that_knows_only_the_public_root_refuses() {
    let scene = Scene::new(&["h2"], |how| how.alpn(&["h2"]));
    let done = scene.curl("public.pem", &[]);
    assert_eq!((done.exit, done.connect), (60, 200), "{done:?}");
}

#[test]
fn old_tls_towards_the_client() {
    let scene = Scene::new(&["http/1.1"], |how| how.versions(TlsVersions::Tls12));
    assert_eq!(scene.curl("company.pem", &["--tlsv1.3"]).exit, 35);
    assert_eq!(scene.curl("company.pem", &["--tlsv1.2"]).exit, 0);
}

#[test]
fn an_origin_that_is_not_trusted_gives_502_inside() {
    let public = Authority::new("public root").unwrap();
    let leaf = public.leaf(&LeafSpec::expired(&[NAME])).unwrap();
    let config = leaf.server_config(&["h2"], TlsVersions::All, goferry_lab::certs::ClientAuth::None).unwrap();
    let scene = Scene::over(&public, Origin::with(config), |how| how.alpn(&["h2", "http/1.1"]));
    let done = scene.curl("company.pem", &[]);
    assert_eq!((done.exit, done.connect, done.status, done.version.as_str()), (0, 200, 502, "1.1"), "{done:?}");
    let counts = scene.proxy.counts();
    assert_eq!(counts.statuses, [(200, 1), (502, 1)].into());
    assert!(counts.failures.iter().any(|why| why.contains("the origin") && why.contains("xpired")), "{counts:?}");
    assert_eq!(scene.origin.connections(), 1);
}

#[test]
fn a_certificate_is_made_once_for_a_name() {
    let scene = Scene::new(&["http/1.1"], |how| how);
    let folder = scene.folder.path();
    let leaf = || {
        let (proxy, name) = (scene.proxy.address().to_string(), format!("{NAME}:443"));
        let output = std::process::Command::new("openssl")
            .args(["s_client", "-proxy", &proxy, "-connect", &name, "-servername", NAME, "-verify_hostname", NAME])
            .args(["-verify_return_error", "-CAfile", text(&folder.join("company.pem"))])
            .stdin(std::process::Stdio::null())
            .output()
            .expect("openssl is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
        assert!(text.contains("CN = company root") || text.contains("CN=company root"), "{text}");
        let begin = text.find("-----BEGIN CERTIFICATE-----").expect("a certificate");
        text[begin..text.find("-----END CERTIFICATE-----").expect("its end")].to_owned()
    };
    assert_eq!(leaf(), leaf());
}
