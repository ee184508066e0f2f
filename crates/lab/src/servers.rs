//! Real servers and proxies, which nobody here wrote, as TLS front ends of a module proxy and as forward proxies: nginx,
//! HAProxy, Caddy, Envoy, Squid, mitmproxy, tinyproxy.
//!
//! A [`Config`] is the program's own configuration as text; [`Config::write`] puts a snippet into it, as a person does who
//! follows a remedy. [`RealServer::start`] runs the program with it, on loopback or on the server side of a
//! [`Link`](crate::link::Link), in a process group of its own that is ended when the value is dropped. What the clients did
//! is read from the program's own access log: [`RealServer::traffic`].
//!
//! ```no_run
//! use goferry_lab::certs::{Authority, LeafSpec};
//! use goferry_lab::servers::{self, Backend, Config, FrontEnd, RealServer, Site};
//! use goferry_lab::universe::Universe;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let files = tempfile::tempdir()?;
//! servers::write_goproxy(&Universe::builder().build(), files.path())?;
//! let pem = Authority::new("Lab Root")?.leaf(&LeafSpec::good(&["127.0.0.1"]))?.write_pem(files.path())?;
//! let mut config = Config::nginx(&FrontEnd {
//!     listen: servers::free_address()?,
//!     name: "127.0.0.1",
//!     pem: &pem,
//!     backend: Backend::Files(files.path()),
//! });
//! config.write("nginx, the server block of the module proxy", "keepalive_requests 10;")?;
//! let server = RealServer::start(&config, Site::Loopback)?;
//! # Ok(()) }
//! ```

mod caddy;
mod config;
mod edit;
mod envoy;
mod error;
mod forward;
mod haproxy;
mod nginx;
mod process;
mod program;
mod traffic;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

pub use self::config::{Backend, Config, ForwardProxy, FrontEnd};
pub use self::error::ServersError;
pub use self::process::{RealServer, Site};
pub use self::program::{Program, envoy_binary};
pub use self::traffic::Traffic;

use crate::universe::{Universe, VERSION};

/// Writes the files that a module proxy serves for `universe` into `folder`, at the paths of the GOPROXY protocol, readable
/// by every user.
///
/// # Errors
/// When a folder or a file cannot be written.
pub fn write_goproxy(universe: &Universe, folder: &Path) -> io::Result<()> {
    for module in universe.modules() {
        let paths = [
            format!("/{}/@latest", module.path),
            format!("/{}/@v/list", module.path),
            format!("/{}/@v/{VERSION}.info", module.path),
            format!("/{}/@v/{VERSION}.mod", module.path),
            format!("/{}/@v/{VERSION}.zip", module.path),
        ];
        for path in paths {
            let Some(body) = universe.file(&path, false) else {
                continue;
            };
            let file = folder.join(&path[1..]);
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(file, &*body)?;
        }
    }
    Ok(())
}

/// A loopback address whose port was free a moment ago.
///
/// # Errors
/// When the system has no port left.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
