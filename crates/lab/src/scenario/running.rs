//! A [`Scenario`] made real, on a link or on loopback.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::network::{DNS, EMPTY, ORIGIN, ORIGIN_V6, add_global_ipv6, link_builder, zone};
use super::{EMPTY_HOST, Forward, Names, ORIGIN_HOST, Scenario, Upstream};
use crate::certs::{Authority, CertError};
use crate::dns::DnsServer;
use crate::forward::{ForwardConfig, ForwardMode, ForwardProxy, Intercept};
use crate::go_client::{GoClient, GoVersion};
use crate::link::{Link, LinkError};
use crate::server::behaviour::{Answers, Transport, Which};
use crate::server::{Behaviour, Identity, Origin, OriginError, OriginHandle};
use crate::universe::{PREFIX, Universe};

/// Last byte of the forward proxy's address on the link.
const FORWARD: u8 = 20;
/// Requests that the go command makes at once, on any machine, unless the scenario says otherwise.
const GOMAXPROCS: &str = "8";
/// Port of the forward proxy.
const FORWARD_PORT: u16 = 3128;

/// Why a scenario could not be made real.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The origin.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// Certificates.
    #[error(transparent)]
    Certificates(#[from] CertError),
    /// A socket, a folder or a file.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The scenario cannot be had on loopback.
    #[error("{0} needs the emulated link: run as root on Linux, without --listen")]
    NeedsLink(&'static str),
    /// `ip` refused an IPv6 address or route.
    #[error("the scenario needs IPv6, which this kernel does not have or refuses: {0}")]
    NoIpv6(String),
}

impl ScenarioError {
    fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

/// A scenario that is going on; it ends when this is dropped.
pub struct Running {
    // Dropped in this order: servers before the link that they listen on.
    origin: Option<OriginHandle>,
    _others: Vec<OriginHandle>,
    forward: Option<ForwardProxy>,
    dns: Option<DnsServer>,
    files: TempDir,
    env: BTreeMap<String, String>,
    universe: Arc<Universe>,
    link: Option<Link>,
}

/// Makes `scenario` real: on a link for root, otherwise on loopback where that is possible.
///
/// # Errors
/// See [`ScenarioError`].
pub fn start(scenario: &Scenario) -> Result<Running, ScenarioError> {
    if nix::unistd::geteuid().is_root() {
        start_on_link(scenario)
    } else {
        start_local(scenario, SocketAddr::from(([127, 0, 0, 1], 0)))
    }
}

/// Makes `scenario` real across an emulated link.
///
/// # Errors
/// See [`ScenarioError`]; without root, [`LinkError::NotRoot`].
pub fn start_on_link(scenario: &Scenario) -> Result<Running, ScenarioError> {
    let link = link_builder(scenario).build()?;
    let mut setup = Setup::new(scenario)?;
    let port = setup.port();
    let address = SocketAddr::new(link.server_addr_of(ORIGIN), port);
    let hosts = [ORIGIN_HOST, PREFIX, EMPTY_HOST];
    let mut origin = None;
    if scenario.upstream == Upstream::Listening {
        let behaviour = scenario.behaviour.clone();
        origin = Some(link.in_server(|| setup.origin(behaviour, &hosts, address))??);
    }
    let mut others = Vec::new();
    if scenario.ipv6.is_some() {
        add_global_ipv6(&link)?;
        let address = SocketAddr::new(ORIGIN_V6.into(), port);
        let behaviour = scenario.behaviour.clone();
        others.push(link.in_server(|| setup.origin(behaviour, &hosts, address))??);
    }
    if scenario.goproxy.contains("{empty}") {
        let address = SocketAddr::new(link.server_addr_of(EMPTY), port);
        let answers = Answers { status: vec![(Which::ALL, 404)], ..Answers::default() };
        let behaviour = Behaviour { answers, ..Behaviour::default() };
        others.push(link.in_server(|| setup.origin(behaviour, &hosts, address))??);
    }
    let mut dns = None;
    if scenario.names != Names::Hosts {
        let zone = zone(scenario.names, address.ip());
        let dns_address = SocketAddr::new(link.server_addr_of(DNS), 53);
        let server = link.in_server(|| DnsServer::bind(dns_address, zone))?;
        dns = Some(server.map_err(ScenarioError::system("start the DNS server"))?);
    }
    let forward_address = SocketAddr::new(link.server_addr_of(FORWARD), FORWARD_PORT);
    let mut forward = None;
    if let Some(config) = setup.forward(address)? {
        let proxy =
            link.in_server(|| TcpListener::bind(forward_address).and_then(|tcp| ForwardProxy::start(tcp, config)))?;
        forward = Some(proxy.map_err(ScenarioError::system("start the forward proxy"))?);
    }
    if scenario.forward != Forward::None {
        setup.set("HTTPS_PROXY", format!("http://{forward_address}"));
        setup.set("HTTP_PROXY", format!("http://{forward_address}"));
    }
    let scheme = setup.scheme();
    setup.set_goproxy(&format!("{scheme}://{ORIGIN_HOST}"), &format!("{scheme}://{EMPTY_HOST}"));
    setup.finish(Servers { origin, others, forward, dns, link: Some(link) })
}

/// Makes `scenario` real on this machine's loopback: the origin listens on `listen`.
///
/// # Errors
/// [`ScenarioError::NeedsLink`] for what cannot be had there: forward proxies (the go command uses none for loopback),
/// DNS, IPv6, hosts that swallow, a second GOPROXY entry.
pub fn start_local(scenario: &Scenario, listen: SocketAddr) -> Result<Running, ScenarioError> {
    let needs_link = [
        (scenario.forward != Forward::None, "a forward proxy"),
        (scenario.names != Names::Hosts, "a DNS server"),
        (scenario.ipv6.is_some(), "broken IPv6"),
        (!scenario.swallowed_hosts.is_empty(), "a host that does not answer"),
        (scenario.goproxy.contains("{empty}"), "a second proxy"),
        (scenario.link.loss > 0.0, "packet loss"),
        (scenario.link.rate_bits.is_some(), "a thin link"),
    ];
    if let Some((_, what)) = needs_link.into_iter().find(|(needed, _)| *needed) {
        return Err(ScenarioError::NeedsLink(what));
    }
    let mut setup = Setup::new(scenario)?;
    let host = listen.ip().to_string();
    let (mut origin, mut address) = (None, listen);
    if scenario.upstream == Upstream::Listening {
        let handle = setup.origin(scenario.behaviour.clone(), &[&host, "localhost"], listen)?;
        address = handle.address();
        origin = Some(handle);
    } else if listen.port() == 0 {
        // A port that was free a moment ago: nothing listens there.
        let free = TcpListener::bind(listen).and_then(|listener| listener.local_addr());
        address = free.map_err(ScenarioError::system("find a free port"))?;
    }
    let url = format!("{}://{address}", setup.scheme());
    setup.set_goproxy(&url, &url);
    setup.finish(Servers { origin, others: Vec::new(), forward: None, dns: None, link: None })
}

impl Running {
    /// The client's environment: GOPROXY, GOSUMDB, SSL_CERT_FILE, proxies, and what the scenario adds.
    #[must_use]
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// The client's project. The go command may write to it.
    #[must_use]
    pub fn project(&self) -> PathBuf {
        self.files.path().join("project")
    }

    /// The modules.
    #[must_use]
    pub fn universe(&self) -> &Universe {
        &self.universe
    }

    /// The origin, unless the scenario has none.
    #[must_use]
    pub fn origin(&self) -> Option<&OriginHandle> {
        self.origin.as_ref()
    }

    /// The forward proxy, if it runs.
    #[must_use]
    pub fn forward(&self) -> Option<&ForwardProxy> {
        self.forward.as_ref()
    }

    /// The DNS server, if it runs.
    #[must_use]
    pub fn dns(&self) -> Option<&DnsServer> {
        self.dns.as_ref()
    }

    /// The link, unless on loopback. Clients run on its client side.
    #[must_use]
    pub fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// `go mod download` of the project in the scenario's environment. Run it with [`Running::run_go`].
    #[must_use]
    pub fn go_client(&self, version: GoVersion) -> GoClient {
        let mut client = GoClient::new(version).dir(self.project());
        for (name, value) in &self.env {
            client = match name.as_str() {
                "SSL_CERT_FILE" => client.ssl_cert_file(value),
                _ => client.env(name, value),
            };
        }
        client
    }

    /// Runs the go command where the scenario's client is.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run_go(&self, client: &GoClient) -> Result<crate::go_client::GoRun, crate::go_client::GoClientError> {
        match &self.link {
            Some(link) => client.run_on(link),
            None => client.run(),
        }
    }
}

/// What is started.
struct Servers {
    origin: Option<OriginHandle>,
    others: Vec<OriginHandle>,
    forward: Option<ForwardProxy>,
    dns: Option<DnsServer>,
    link: Option<Link>,
}

/// What both kinds of start need.
struct Setup<'a> {
    scenario: &'a Scenario,
    universe: Arc<Universe>,
    authority: Authority,
    inspection: Option<Arc<Authority>>,
    files: TempDir,
    env: BTreeMap<String, String>,
}

impl<'a> Setup<'a> {
    fn new(scenario: &'a Scenario) -> Result<Self, ScenarioError> {
        let files = TempDir::with_prefix("goferry-lab-").map_err(ScenarioError::system("make a folder"))?;
        let universe = Arc::new(scenario.universe.build());
        let project = files.path().join("project");
        std::fs::create_dir(&project)
            .and_then(|()| universe.write_project(&project, &scenario.project))
            .map_err(ScenarioError::system("write the project"))?;
        let authority = Authority::new("Lab Private Root")?;
        let inspection = match scenario.forward {
            Forward::Intercepts(_) => Some(Arc::new(Authority::new("Lab Inspection Root")?)),
            _ => None,
        };
        let mut setup = Self { scenario, universe, authority, inspection, files, env: BTreeMap::new() };
        let certificates = setup.write_certificates()?;
        setup.set("SSL_CERT_FILE", certificates.to_string_lossy().into_owned());
        setup.set("GOSUMDB", "off".to_owned());
        setup.set("GOMAXPROCS", GOMAXPROCS.to_owned());
        Ok(setup)
    }

    /// One file with every authority that the client trusts.
    fn write_certificates(&self) -> Result<PathBuf, ScenarioError> {
        let file: &Path = &self.files.path().join("authorities.pem");
        let inspection = self.inspection.as_ref().map_or("", |authority| authority.pem());
        std::fs::write(file, format!("{}{inspection}", self.authority.pem()))
            .map_err(ScenarioError::system("write the authorities"))?;
        Ok(file.to_owned())
    }

    fn set(&mut self, name: &str, value: String) {
        self.env.insert(name.to_owned(), value);
    }

    fn set_goproxy(&mut self, origin: &str, empty: &str) {
        let list = self.scenario.goproxy.replace("{origin}", origin).replace("{empty}", empty);
        self.set("GOPROXY", list);
    }

    fn scheme(&self) -> &'static str {
        if matches!(self.scenario.behaviour.transport, Transport::Plain) { "http" } else { "https" }
    }

    fn port(&self) -> u16 {
        if self.scheme() == "http" { 80 } else { 443 }
    }

    fn origin(&self, behaviour: Behaviour, hosts: &[&str], address: SocketAddr) -> Result<OriginHandle, ScenarioError> {
        let listener = TcpListener::bind(address).map_err(ScenarioError::system("listen as the origin"))?;
        let identity = Identity { authority: &self.authority, hosts };
        Ok(Origin::start(behaviour, Arc::clone(&self.universe), Some(identity), listener)?)
    }

    /// The forward proxy's configuration, unless there is none, or none that lives.
    fn forward(&self, origin: SocketAddr) -> Result<Option<ForwardConfig>, ScenarioError> {
        let config = match (self.scenario.forward, &self.inspection) {
            (Forward::None | Forward::Dead, _) | (Forward::Intercepts(_), None) => return Ok(None),
            (Forward::Connect, _) => ForwardConfig::new(ForwardMode::Connect),
            (Forward::AsksCredentials, _) => ForwardConfig::new(ForwardMode::Connect).credentials("lab", "secret"),
            (Forward::Refuses(status), _) => ForwardConfig::new(ForwardMode::Refuse(status)),
            (Forward::Intercepts(alpn), Some(inspection)) => {
                let intercept = Intercept::new(Arc::clone(inspection), self.authority.roots()).alpn(alpn);
                ForwardConfig::new(ForwardMode::Intercept(intercept))
            }
        };
        Ok(Some(config.host(ORIGIN_HOST, origin)))
    }

    fn finish(mut self, servers: Servers) -> Result<Running, ScenarioError> {
        for (name, value) in self.scenario.env {
            self.set(name, (*value).to_owned());
        }
        Ok(Running {
            origin: servers.origin,
            _others: servers.others,
            forward: servers.forward,
            dns: servers.dns,
            files: self.files,
            env: self.env,
            universe: self.universe,
            link: servers.link,
        })
    }
}
