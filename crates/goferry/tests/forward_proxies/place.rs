//! A module proxy, the forward proxy on the way to it, and who goes that way.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use goferry_lab::certs::{Authority, LeafSpec};
use goferry_lab::forward::{ForwardConfig, ForwardCounts, ForwardMode, ForwardProxy};
use goferry_lab::server::behaviour::Transport;
use goferry_lab::server::{Behaviour, Identity, Origin, OriginHandle, Snapshot};
use goferry_lab::universe::{ProjectSpec, Shape, Universe};
use tempfile::TempDir;

use crate::world::Home;

/// The module proxy's name, which nobody but the forward proxy resolves.
pub(crate) const HOST: &str = "goproxy.lab.invalid";
/// What the forward proxies with credentials want. The password needs escaping in a URL.
const USER: &str = "gopher";
const PASSWORD: &str = "p@ss/w:rd";
const ESCAPED: &str = "p%40ss%2Fw%3Ard";

/// The kind of forward proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// RFC 1928.
    Socks5,
    /// CONNECT, and requests for `http://` URLs, inside TLS.
    Https,
}

/// Who is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// Everybody.
    None,
    /// Who gives user and password; the URL has them.
    Right,
    /// Who gives user and password; the URL has others.
    Wrong,
    /// Who gives user and password; the URL has none.
    Missing,
}

/// A situation; all of it ends with this.
pub(crate) struct Place {
    origin: OriginHandle,
    forward: ForwardProxy,
    universe: Arc<Universe>,
    login: Login,
    https: bool,
    files: TempDir,
}

impl Place {
    pub(crate) fn new(kind: Kind, login: Login, https: bool) -> Place {
        Place::reaching(HOST, kind, login, https)
    }

    /// One whose forward proxy knows the module proxy by this name.
    pub(crate) fn reaching(host: &str, kind: Kind, login: Login, https: bool) -> Place {
        let transport = if https { Transport::default() } else { Transport::Plain };
        Place::behaving(Behaviour { transport, ..Behaviour::default() }, host, kind, login)
    }

    /// One whose module proxy does this.
    pub(crate) fn behaving(behaviour: Behaviour, host: &str, kind: Kind, login: Login) -> Place {
        let https = !matches!(behaviour.transport, Transport::Plain);
        let authority = Authority::new("Lab Root").unwrap();
        let files = TempDir::new().unwrap();
        authority.write_pem(&files.path().join("ca.pem")).unwrap();
        let universe = Arc::new(Universe::builder().modules(6).shape(Shape::Chain).build());
        let identity = Identity { authority: &authority, hosts: &[HOST] };
        let origin = Origin::start(behaviour, Arc::clone(&universe), Some(identity), listener()).unwrap();
        let mode = if kind == Kind::Socks5 { ForwardMode::Socks5 } else { ForwardMode::Connect };
        let mut config = ForwardConfig::new(mode).host(host, origin.address());
        if login != Login::None {
            config = config.credentials(USER, PASSWORD);
        }
        if kind == Kind::Https {
            config = config.tls(&authority.leaf(&LeafSpec::good(&["127.0.0.1"])).unwrap()).unwrap();
        }
        let forward = ForwardProxy::start(listener(), config).unwrap();
        Place { origin, forward, universe, login, https, files }
    }

    /// GOPROXY of who goes through the forward proxy.
    pub(crate) fn goproxy(&self) -> String {
        format!("{}://{HOST}", if self.https { "https" } else { "http" })
    }

    /// The checksum database, of which the module proxy answers too.
    pub(crate) fn gosumdb(&self) -> String {
        self.universe.sumdb_key()
    }

    /// The forward proxy's URL with the credentials that the client has.
    fn url(&self) -> String {
        let credentials = match self.login {
            Login::None | Login::Missing => String::new(),
            Login::Right => format!("{USER}:{ESCAPED}@"),
            Login::Wrong => format!("{USER}:other@"),
        };
        self.forward.url().replacen("://", &format!("://{credentials}"), 1)
    }

    /// A home, whose commands go through the forward proxy.
    pub(crate) fn home(&self) -> Home {
        self.home_trusting(&self.files.path().join("ca.pem"))
    }

    /// The same with other authorities.
    pub(crate) fn home_trusting(&self, authorities: &Path) -> Home {
        let empty = self.files.path().join("empty");
        std::fs::create_dir_all(&empty).unwrap();
        Home::new(&self.goproxy())
            .with("GOSUMDB", &self.gosumdb())
            .with("HTTPS_PROXY", &self.url())
            .with("HTTP_PROXY", &self.url())
            .with("SSL_CERT_FILE", authorities.to_str().unwrap())
            .with("SSL_CERT_DIR", empty.to_str().unwrap())
    }

    /// A project of its own, whose go.sum lacks two modules.
    pub(crate) fn project(&self, name: &str) -> PathBuf {
        self.project_of(name, &ProjectSpec { missing_sums: 2, ..ProjectSpec::default() })
    }

    /// A project of its own.
    pub(crate) fn project_of(&self, name: &str, spec: &ProjectSpec) -> PathBuf {
        let folder = self.files.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        self.universe.write_project(&folder, spec).unwrap();
        folder
    }

    /// What the forward proxy has seen.
    pub(crate) fn forwarded(&self) -> ForwardCounts {
        self.forward.counts()
    }

    /// Requests that the module proxy has seen.
    pub(crate) fn requests(&self) -> u64 {
        self.seen().total_requests()
    }

    /// What the module proxy has seen.
    pub(crate) fn seen(&self) -> Snapshot {
        self.origin.snapshot()
    }
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}
