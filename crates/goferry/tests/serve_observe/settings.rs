//! What doctor says to write into the settings of a goferry is taken by it.

use std::process::Command;

use goferry_diagnose::finding::Id;
use goferry_diagnose::remedy::{Context, Server, ServerKind, remedies};
use goferry_lab::certs::Authority;

use crate::world::goferry;

#[test]
fn every_remedy_for_a_goferry_is_one_of_its_settings() {
    let dir = tempfile::tempdir().unwrap();
    let pem = Authority::new("goferry.example.com").unwrap().pem_with_key();
    for file in ["tls.crt", "tls.key"] {
        std::fs::write(dir.path().join(file), &pem).unwrap();
    }
    let mut ctx = Context::new("goproxy.example.com");
    ctx.server = Server::from_headers(Some("goferry/0.1.0"), None, &[]);
    assert_eq!(ctx.server.kind, ServerKind::Goferry);
    let mut checked = 0;
    for &id in Id::ALL {
        for remedy in remedies(id, &ctx) {
            let Some(config) = remedy.config.filter(|_| remedy.place.starts_with("goferry, the file")) else {
                continue;
            };
            let file = dir.path().join("goferry.toml");
            let folder = dir.path().to_str().unwrap();
            std::fs::write(&file, config.replace("/etc/goferry", folder)).unwrap();
            let mut command: Command = goferry(dir.path());
            let args = ["serve", "--upstream", "https://goproxy.example.com", "--check", "--config"];
            let output = command.args(args).arg(&file).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{id}: {config}\n{said}");
            checked += 1;
        }
    }
    assert!(checked >= 4, "{checked} remedies");
}
