//! A link of 20 ms with modules, certificates and a project, and what runs on it: real servers, the real go command, doctor.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use goferry_lab::certs::{Authority, LeafSpec, PemFiles};
use goferry_lab::go_client::{GoClient, GoRun, GoVersion};
use goferry_lab::link::{Link, server_v4};
use goferry_lab::server::behaviour::{Behaviour, Transport};
use goferry_lab::server::{Origin, OriginHandle};
use goferry_lab::servers::{self, Backend, Config, ForwardProxy, FrontEnd, RealServer, Site, Traffic};
use goferry_lab::universe::{ProjectSpec, Universe, ZipSize};
use tempfile::TempDir;

use crate::diagnosis::{Diagnosis, Remedy};

/// The module proxy's name.
pub(crate) const HOST: &str = "goproxy.example.com";
/// Last byte of the module proxy's address.
const ORIGIN: u8 = 10;
/// Last byte of the forward proxy's.
const FORWARD: u8 = 20;
/// Requests that `go mod download` of the project makes: `.mod`, `.info` and `.zip` of each module.
pub(crate) const REQUESTS: usize = 3 * MODULES;
const MODULES: usize = 24;
/// Requests that the go command makes at once.
const GOMAXPROCS: u32 = 8;
/// Seconds after which a diagnosis is killed: none may take that long.
const DOCTOR_DEADLINE: &str = "30";

/// The ground that servers and clients stand on. Servers are to be dropped before it.
pub(crate) struct World {
    pub(crate) link: Link,
    pub(crate) files: TempDir,
    pub(crate) pem: PemFiles,
    universe: Arc<Universe>,
    go: GoVersion,
}

impl World {
    pub(crate) fn new() -> Self {
        let hosts = format!("127.0.0.1 localhost\n{} {HOST}\n", server_v4(ORIGIN));
        let link = Link::builder().rtt(Duration::from_millis(20)).client_hosts(&hosts).build();
        let link = link.unwrap_or_else(|error| panic!("this test needs an emulated link: {error}"));
        let files = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = files.path().join(name);
            fs::create_dir(&folder).unwrap();
            folder
        };
        let universe = Universe::builder().modules(MODULES).zip_size(ZipSize::Fixed(20_000));
        let universe = Arc::new(universe.build());
        servers::write_goproxy(&universe, &folder("goproxy")).unwrap();
        universe.write_project(&folder("project"), &ProjectSpec::default()).unwrap();
        let authority = Authority::new("Lab Private Root").unwrap();
        let pem = authority.leaf(&LeafSpec::good(&[HOST])).unwrap().write_pem(&folder("pem")).unwrap();
        Self { link, files, pem, universe, go: "go1.27.3".parse().unwrap() }
    }

    /// A front end at the module proxy's address, at port 443, with the modules' files behind it.
    pub(crate) fn front<'a>(&'a self, backend: Backend<'a>) -> FrontEnd<'a> {
        FrontEnd { listen: address(ORIGIN, 443), name: HOST, pem: &self.pem, backend }
    }

    /// The folder of the modules' files.
    pub(crate) fn goproxy(&self) -> PathBuf {
        self.files.path().join("goproxy")
    }

    /// A healthy nginx as the module proxy.
    pub(crate) fn nginx(&self) -> Config {
        Config::nginx(&self.front(Backend::Files(&self.goproxy())))
    }

    /// A module proxy over plain HTTP/1.1 that names no program, beside the front end.
    pub(crate) fn plain_origin(&self) -> OriginHandle {
        let behaviour = Behaviour { transport: Transport::Plain, ..Behaviour::default() };
        let universe = Arc::clone(&self.universe);
        let start = || {
            let listener = TcpListener::bind(backend_address()).unwrap();
            Origin::start(behaviour, universe, None, listener).unwrap()
        };
        self.link.in_server(start).unwrap()
    }

    /// Where a forward proxy listens, and what it trusts.
    pub(crate) fn forward(&self) -> ForwardProxy<'_> {
        ForwardProxy { listen: address(FORWARD, 3128), trusted: &self.pem.ca }
    }

    pub(crate) fn start(&self, config: &Config) -> RealServer {
        let names = [(IpAddr::from(server_v4(ORIGIN)), HOST)];
        RealServer::start(config, Site::Link(&self.link, &names)).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn restart(&self, server: RealServer, config: &Config) -> RealServer {
        let names = [(IpAddr::from(server_v4(ORIGIN)), HOST)];
        let site = Site::Link(&self.link, &names);
        server.restart(config, site).unwrap_or_else(|error| panic!("{error}\n{}", config.text))
    }

    /// The client trusts this authority as well from now on.
    pub(crate) fn trust(&self, authority_pem: &str) {
        let both = fs::read_to_string(&self.pem.ca).unwrap() + authority_pem;
        fs::write(self.files.path().join("trusted.pem"), both).unwrap();
    }

    fn trusted(&self) -> PathBuf {
        let more = self.files.path().join("trusted.pem");
        if more.exists() { more } else { self.pem.ca.clone() }
    }

    fn project(&self) -> PathBuf {
        self.files.path().join("project")
    }

    /// `go mod download` of the project, from empty caches.
    pub(crate) fn go(&self, proxy: Option<SocketAddr>) -> GoRun {
        let mut client = GoClient::new(self.go.clone())
            .dir(self.project())
            .goproxy(format!("https://{HOST}"))
            .ssl_cert_file(self.trusted())
            .gomaxprocs(GOMAXPROCS)
            .godebug("http2debug=1")
            .deadline(Duration::from_secs(40));
        if let Some(proxy) = proxy {
            client = client.env("HTTPS_PROXY", format!("http://{proxy}"));
        }
        client.run_on(&self.link).unwrap()
    }

    /// The same, which must succeed, and what `server` logged of it.
    #[track_caller]
    pub(crate) fn go_traffic(&self, server: &RealServer, proxy: Option<SocketAddr>) -> Traffic {
        let mark = server.mark();
        let run = self.go(proxy);
        assert!(run.succeeded(), "{}\n{}\n{}", run.outcome, run.stderr, server.log());
        let traffic = server.traffic_since(mark);
        assert_eq!(traffic.requests, REQUESTS, "{traffic:?}");
        traffic
    }

    /// `goferry doctor --json` of the project.
    pub(crate) fn doctor(&self, proxy: Option<SocketAddr>) -> Diagnosis {
        let home = tempfile::tempdir().unwrap();
        let program = env!("CARGO_BIN_EXE_goferry");
        let path = format!("{}:/usr/bin:/bin", self.go.goroot().unwrap().join("bin").display());
        let mut command = Command::new("timeout");
        command
            .args(["--signal=KILL", DOCTOR_DEADLINE])
            .arg(std::env::var("GOFERRY_DOCTOR").unwrap_or_else(|_| program.to_owned()))
            .args(["doctor", "--json"])
            .arg(self.project())
            .env_clear()
            .env("PATH", path)
            .env("HOME", home.path())
            .env("GOPATH", home.path().join("go"))
            .env("GOENV", "off")
            .env("GOTOOLCHAIN", "local")
            .env("GOSUMDB", "off")
            .env("GOMAXPROCS", GOMAXPROCS.to_string())
            .env("GOPROXY", format!("https://{HOST}"))
            .env("SSL_CERT_FILE", self.trusted())
            .env("SSL_CERT_DIR", home.path())
            .current_dir(home.path())
            .stdin(Stdio::null());
        if let Some(proxy) = proxy {
            command.env("HTTPS_PROXY", format!("http://{proxy}"));
        }
        let output = self.link.client_output(&mut command).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = serde_json::from_slice(&output.stdout);
        let report = report.unwrap_or_else(|error| panic!("no report: {error}, {}\n{stderr}", output.status));
        Diagnosis { report, stderr }
    }
}

/// The printed remedy, exactly, in the server's configuration.
#[track_caller]
pub(crate) fn apply(config: &mut Config, remedy: &Remedy) {
    config.write(&remedy.place, &remedy.config).unwrap_or_else(|error| panic!("{error}\n{remedy:?}"));
}

/// Where a backend listens that is behind a front end.
pub(crate) fn backend_address() -> SocketAddr {
    address(ORIGIN, 8080)
}

fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(server_v4(host).into(), port)
}
