//! The real go command on the TLS port.

use std::fs;
use std::path::Path;
use std::process::Command;

use goferry_proxy::config::Tls;
use tempfile::TempDir;

use crate::world::Served;

/// `go mod download` of a module through the server; what it says of its connections.
fn download(served: &Served, godebug: &str) -> String {
    let home = TempDir::new().unwrap();
    let dir = home.path();
    fs::write(dir.join("go.mod"), "module test.example.com/m\n\ngo 1.21\n").unwrap();
    let mut go = Command::new("go");
    go.args(["mod", "download", "-json", "example.com/small@v1.0.0", "example.com/large@v1.0.0"]).current_dir(dir);
    let path = std::env::var_os("PATH").unwrap_or_default();
    go.env_clear().env("PATH", path).env("HOME", dir).env("GOTOOLCHAIN", "local");
    go.env("GOPROXY", &served.server.urls()[0]).env("SSL_CERT_FILE", served.server.authority().unwrap());
    go.env("SSL_CERT_DIR", Path::new("/nonexistent")).env("GOSUMDB", "off").env("GOFLAGS", "-modcacherw");
    let output = go.env("GODEBUG", godebug).output().expect("these tests drive the real go command: install Go");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(answer.matches("\"Sum\": \"h1:").count(), 2, "{answer}");
    said
}

#[test]
fn go_downloads_over_tls() {
    let served = Served::new(|config| config.tls = Some(Tls::SelfSigned));
    let said = download(&served, "http2debug=1");
    assert!(said.contains("http2: Transport"), "no HTTP/2 was spoken:\n{said}");
    let said = download(&served, "http2client=0,http2debug=1");
    assert!(!said.contains("http2: Transport"), "HTTP/2 was spoken:\n{said}");
}
