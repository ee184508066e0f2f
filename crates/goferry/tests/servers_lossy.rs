//! A long link that loses packets, with a sender that runs CUBIC: real nginx, and `goferry download` (needs root).

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use goferry_lab::certs::{Authority, LeafSpec};
use goferry_lab::go_client::GoVersion;
use goferry_lab::link::{Link, server_v4};
use goferry_lab::servers::{self, Backend, Config, FrontEnd, RealServer, Site};
use goferry_lab::universe::{ProjectSpec, Universe, ZipSize};

/// One flow takes 14 s for it.
const ZIP: usize = 12_000_000;
const HOST: &str = "goproxy.example.com";

/// Nothing waits for a connection, so that only what is under way can be given to others.
#[test]
fn one_large_zip_is_spread_over_flows_that_lose_and_hardly_any_of_it_comes_twice() {
    let hosts = format!("127.0.0.1 localhost\n{} {HOST}\n", server_v4(1));
    let link = Link::builder()
        .rtt(Duration::from_millis(50))
        .rate_bits(200_000_000)
        .loss(0.003)
        .congestion("cubic")
        .client_hosts(&hosts)
        .build()
        .unwrap_or_else(|error| panic!("this test needs an emulated link: {error}"));
    let files = tempfile::tempdir().unwrap();
    let folder = |name: &str| {
        let folder = files.path().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    };
    let universe = Universe::builder().modules(1).zip_size(ZipSize::Fixed(ZIP)).build();
    let (goproxy, project) = (folder("goproxy"), folder("project"));
    servers::write_goproxy(&universe, &goproxy).unwrap();
    universe.write_project(&project, &ProjectSpec::default()).unwrap();
    let pem = Authority::new("Lab Private Root").unwrap().leaf(&LeafSpec::good(&[HOST])).unwrap();
    let pem = pem.write_pem(&folder("pem")).unwrap();
    let listen = (server_v4(1), 443).into();
    let front = FrontEnd { listen, name: HOST, pem: &pem, backend: Backend::Files(&goproxy) };
    let server = RealServer::start(&Config::nginx(&front), Site::Link(&link, &[])).unwrap();

    let home = folder("home");
    let go: GoVersion = "go1.27.3".parse().unwrap();
    let mut command = Command::new("timeout");
    command
        .args(["--signal=KILL", "60", env!("CARGO_BIN_EXE_goferry"), "download"])
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", go.goroot().unwrap().join("bin").display()))
        .env("HOME", &home)
        .env("GOPATH", home.join("go"))
        .env("GOENV", "off")
        .env("GOFLAGS", "-modcacherw")
        .env("GOTOOLCHAIN", "local")
        .env("GOSUMDB", "off")
        .env("GOPROXY", format!("https://{HOST}"))
        .env("SSL_CERT_FILE", &pem.ca)
        .env("SSL_CERT_DIR", &home)
        .current_dir(&project)
        .stdin(Stdio::null());
    let mark = server.mark();
    let output = link.client_output(&mut command).unwrap();
    let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned();
    assert!(output.status.success(), "{said}\n{}", server.log());
    let traffic = server.traffic_since(mark);
    assert!(traffic.connections >= 3, "{traffic:?}\n{said}");
    let came = link.counters().to_client.delivered_bytes as f64 / ZIP as f64;
    // Headers of IP and TCP are 3.6 %, TLS and what TCP repeats half a percent, handshakes below one.
    assert!(came < 1.08, "{came}\n{traffic:?}\n{said}");
}
