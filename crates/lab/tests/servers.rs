//! The real servers and proxies, on loopback, driven by curl: each starts healthy, takes a snippet into its configuration,
//! counts its traffic, and is gone when it is dropped.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use goferry_lab::certs::{Authority, LeafSpec, PemFiles};
use goferry_lab::server::behaviour::{Behaviour, Transport};
use goferry_lab::server::{Origin, OriginHandle};
use goferry_lab::servers::{self, Backend, Config, ForwardProxy, FrontEnd, Program, RealServer, ServersError, Site};
use goferry_lab::universe::{Universe, VERSION};
use tempfile::TempDir;

const HOST: &str = "127.0.0.1";

/// Modules on disk, and a certificate for [`HOST`].
struct Ground {
    folder: TempDir,
    pem: PemFiles,
    universe: Arc<Universe>,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let universe = Arc::new(Universe::builder().modules(2).build());
        servers::write_goproxy(&universe, folder.path()).unwrap();
        let authority = Authority::new("Lab Private Root").unwrap();
        let leaf = authority.leaf(&LeafSpec::good(&[HOST])).unwrap();
        let pem = leaf.write_pem(&folder.path().join("pem")).unwrap();
        Self { folder, pem, universe }
    }

    fn front<'a>(&'a self, backend: Backend<'a>) -> FrontEnd<'a> {
        FrontEnd { listen: servers::free_address().unwrap(), name: HOST, pem: &self.pem, backend }
    }

    fn files(&self) -> Backend<'_> {
        Backend::Files(self.folder.path())
    }

    fn nginx(&self) -> RealServer {
        start(&Config::nginx(&self.front(self.files())))
    }

    /// A module proxy over plain HTTP/1.1.
    fn plain_origin(&self) -> OriginHandle {
        let listener = std::net::TcpListener::bind((HOST, 0)).unwrap();
        let behaviour = Behaviour { transport: Transport::Plain, ..Behaviour::default() };
        Origin::start(behaviour, Arc::clone(&self.universe), None, listener).unwrap()
    }

    fn forward(&self) -> ForwardProxy<'_> {
        ForwardProxy { listen: servers::free_address().unwrap(), trusted: &self.pem.ca }
    }

    fn ca_with(&self, more: &str) -> PathBuf {
        let file = self.folder.path().join("both.pem");
        let ca = std::fs::read_to_string(&self.pem.ca).unwrap();
        std::fs::write(&file, ca + more).unwrap();
        file
    }
}

fn start(config: &Config) -> RealServer {
    RealServer::start(config, Site::Loopback).unwrap_or_else(|error| panic!("{error}"))
}

fn url(server: &RealServer, module: usize) -> String {
    let address = server.address();
    format!("https://{address}/lab.example.com/m{module:04}/@v/{VERSION}.mod")
}

/// Status of the last response, HTTP version, and status of the CONNECT.
fn curl(arguments: &[&str]) -> (String, String, String) {
    let output = Command::new("curl")
        .args(["-q", "--silent", "--max-time", "10", "--noproxy", "", "--output", "/dev/null"])
        .args(["--write-out", "%{http_code} %{http_version} %{http_connect}"])
        .args(arguments)
        .env_clear()
        .output()
        .expect("curl is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.split(' ').map(str::to_owned);
    let mut word = || words.next().unwrap_or_default();
    (word(), word(), word())
}

fn asked(server: &RealServer, ca: &Path) -> (String, String) {
    let ca = ca.display().to_string();
    let (status, version, _) = curl(&["--cacert", &ca, &url(server, 1)]);
    (status, version)
}

fn through(proxy: SocketAddr, server: &RealServer, ca: &Path) -> (String, String, String) {
    let (proxy, ca) = (format!("http://{proxy}"), ca.display().to_string());
    curl(&["--proxy", &proxy, "--cacert", &ca, &url(server, 0)])
}

fn text(status: &str, version: &str) -> (String, String) {
    (status.to_owned(), version.to_owned())
}

/// Both versions from a healthy server; then `snippet` takes HTTP/2 away.
fn offers_h2_until(ground: &Ground, mut config: Config, place: &str, snippet: &str) {
    let server = start(&config);
    assert_eq!(asked(&server, &ground.pem.ca), text("200", "2"), "{}", server.log());
    let traffic = server.traffic();
    assert_eq!((traffic.requests, traffic.connections), (1, 1), "{}", server.log());
    assert!(traffic.protocols.contains("HTTP/2"), "{traffic:?}");
    config.write(place, snippet).unwrap();
    let server = server.restart(&config, Site::Loopback).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(asked(&server, &ground.pem.ca), text("200", "1.1"), "{}", server.log());
    let mark = server.mark();
    assert!(server.traffic().protocols.contains("HTTP/1.1"));
    assert_eq!(server.traffic_since(mark).requests, 0);
}

#[test]
fn real_nginx_is_a_module_proxy() {
    let ground = Ground::new();
    let config = Config::nginx(&ground.front(ground.files()));
    let snippet = format!("listen {} ssl;", config.listen);
    offers_h2_until(&ground, config, "nginx, the server block of the module proxy", &snippet);
}

#[test]
fn real_caddy_is_a_module_proxy() {
    let ground = Ground::new();
    let config = Config::caddy(&ground.front(ground.files()));
    let place = "Caddy, the global options block of the Caddyfile";
    offers_h2_until(&ground, config, place, "servers {\n    protocols h1\n}");
}

#[test]
fn real_haproxy_is_a_module_proxy() {
    let ground = Ground::new();
    let origin = ground.plain_origin();
    let config = Config::haproxy(&ground.front(Backend::Http(origin.address())));
    let snippet = format!("frontend goproxy\n    bind {} ssl crt /etc/haproxy/goproxy.pem", config.listen);
    offers_h2_until(&ground, config, "HAProxy, haproxy.cfg", &snippet);
}

#[test]
fn real_envoy_is_a_module_proxy() {
    let ground = Ground::new();
    let origin = ground.plain_origin();
    let config = Config::envoy(&ground.front(Backend::Http(origin.address())));
    let place = "Envoy, the listener's DownstreamTlsContext";
    let snippet = "common_tls_context:\n  alpn_protocols: [http/1.1]";
    offers_h2_until(&ground, config, place, snippet);
}

#[test]
fn real_tinyproxy_tunnels_or_refuses() {
    let ground = Ground::new();
    let origin = ground.nginx();
    let mut config = Config::tinyproxy(&ground.forward());
    let proxy = start(&config);
    let answer = through(config.listen, &origin, &ground.pem.ca);
    assert_eq!(answer, ("200".into(), "2".into(), "200".into()), "{}", proxy.log());
    config.write("tinyproxy, tinyproxy.conf", "ConnectPort 563").unwrap();
    let proxy = proxy.restart(&config, Site::Loopback).unwrap();
    let (status, _, connect) = through(config.listen, &origin, &ground.pem.ca);
    assert_eq!((status.as_str(), connect.as_str()), ("000", "403"), "{}", proxy.log());
}

#[test]
fn real_squid_tunnels_or_bumps() {
    let ground = Ground::new();
    let origin = ground.nginx();
    let config = Config::squid(&ground.forward());
    let proxy = start(&config);
    let answer = through(config.listen, &origin, &ground.pem.ca);
    assert_eq!(answer, ("200".into(), "2".into(), "200".into()), "{}", proxy.log());
    drop(proxy);
    let inspection = Authority::new("Lab Inspection Root").unwrap();
    let config = Config::squid_bumping(&ground.forward(), &inspection);
    let proxy = start(&config);
    let both = ground.ca_with(inspection.pem());
    let answer = through(config.listen, &origin, &both);
    assert_eq!(answer, ("200".into(), "1.1".into(), "200".into()), "{}", proxy.log());
    assert!(proxy.traffic().requests >= 1, "{}", proxy.log());
    // The origin's own authority is not the one that signed: curl must refuse it.
    assert_eq!(through(config.listen, &origin, &ground.pem.ca).0, "000");
}

#[test]
fn real_mitmproxy_keeps_or_drops_http2() {
    let ground = Ground::new();
    let origin = ground.nginx();
    let mut config = Config::mitmproxy(&ground.forward());
    let proxy = start(&config);
    let both = ground.ca_with(&proxy.authority_pem().unwrap());
    let answer = through(config.listen, &origin, &both);
    assert_eq!(answer, ("200".into(), "2".into(), "200".into()), "{}", proxy.log());
    config.write("mitmproxy, ~/.mitmproxy/config.yaml", "http2: false").unwrap();
    let proxy = proxy.restart(&config, Site::Loopback).unwrap();
    // Its authority is still the one from before.
    let answer = through(config.listen, &origin, &both);
    assert_eq!(answer, ("200".into(), "1.1".into(), "200".into()), "{}", proxy.log());
}

#[test]
fn a_dropped_server_is_gone() {
    let ground = Ground::new();
    let server = ground.nginx();
    let address = server.address();
    assert!(TcpStream::connect(address).is_ok());
    drop(server);
    assert!(TcpStream::connect(address).is_err(), "{address} still listens");
}

#[test]
fn a_bad_configuration_says_what_the_program_said() {
    let ground = Ground::new();
    let mut config = Config::nginx(&ground.front(ground.files()));
    let place = "nginx, the server block of the module proxy";
    config.write(place, "http_two on;").unwrap();
    let error = RealServer::start(&config, Site::Loopback).unwrap_err();
    assert!(matches!(error, ServersError::Ended { .. }), "{error}");
    assert!(error.to_string().contains("unknown directive \"http_two\""), "{error}");
    let error = config.write("HAProxy, haproxy.cfg", "x").unwrap_err();
    assert!(error.to_string().contains("names another program"), "{error}");
}

#[test]
fn every_program_says_its_version() {
    for program in Program::ALL {
        let version = program.version().unwrap_or_else(|error| panic!("{error}"));
        assert!(version.split('.').count() >= 2, "{}: {version}", program.name());
    }
}
