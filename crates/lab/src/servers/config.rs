//! A program's configuration, as text.

use std::net::SocketAddr;
use std::path::Path;

use super::{Program, ServersError, caddy, edit, envoy, forward, haproxy, nginx};
use crate::certs::{Authority, PemFiles};

/// Stands in a configuration for the folder that the server is run in, which is made when it is started.
pub(super) const FOLDER: &str = "@FOLDER@";
/// The name of the access log in that folder, for programs that write it to a file.
pub(super) const ACCESS_LOG: &str = "access.log";

/// A TLS front end of a module proxy.
#[derive(Debug, Clone, Copy)]
pub struct FrontEnd<'a> {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The name that clients know it by.
    pub name: &'a str,
    /// Its certificate, and the authority that client certificates would have to be signed by.
    pub pem: &'a PemFiles,
    /// Where the modules are.
    pub backend: Backend<'a>,
}

/// What a front end serves.
#[derive(Debug, Clone, Copy)]
pub enum Backend<'a> {
    /// Files below this folder, written by [`write_goproxy`](super::write_goproxy). HAProxy and Envoy cannot.
    Files(&'a Path),
    /// A module proxy over plain HTTP/1.1.
    Http(SocketAddr),
}

/// A forward proxy.
#[derive(Debug, Clone, Copy)]
pub struct ForwardProxy<'a> {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The authorities that it trusts where it ends TLS, in PEM.
    pub trusted: &'a Path,
}

/// A program's configuration: text, and what else has to lie beside it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whose configuration it is.
    pub program: Program,
    /// Where it listens, once it runs.
    pub listen: SocketAddr,
    /// The text. `@FOLDER@` stands for the folder that the server is run in.
    pub text: String,
    /// More files of that folder, by name.
    pub(super) files: Vec<(String, String)>,
    /// Paths that remedies name, and the ones to put for them here.
    pub(super) stand_ins: Vec<(String, String)>,
}

impl Config {
    /// A healthy nginx: TLS 1.2 and 1.3, HTTP/2, defaults else. In plain HTTP/1.1, with [`Config::nginx_plain`].
    #[must_use]
    pub fn nginx(front: &FrontEnd<'_>) -> Self {
        Self::new(Program::Nginx, front.listen, nginx::front_end(front))
    }

    /// nginx as a backend: plain HTTP/1.1, the files below `folder`.
    #[must_use]
    pub fn nginx_plain(listen: SocketAddr, folder: &Path) -> Self {
        Self::new(Program::Nginx, listen, nginx::plain(listen, folder))
    }

    /// A healthy HAProxy: HTTP/2 and defaults else. Its backend must be one over HTTP.
    #[must_use]
    pub fn haproxy(front: &FrontEnd<'_>) -> Self {
        let mut config = Self::new(Program::Haproxy, front.listen, haproxy::front_end(front));
        let pem = front.pem.combined.display().to_string();
        config.stand_ins.push(("/etc/haproxy/goproxy.pem".to_owned(), pem));
        config
    }

    /// A healthy Caddy: its defaults, with the certificate given.
    #[must_use]
    pub fn caddy(front: &FrontEnd<'_>) -> Self {
        Self::new(Program::Caddy, front.listen, caddy::front_end(front))
    }

    /// A healthy Envoy: HTTP/2 and defaults else. Its backend must be one over HTTP.
    #[must_use]
    pub fn envoy(front: &FrontEnd<'_>) -> Self {
        Self::new(Program::Envoy, front.listen, envoy::front_end(front))
    }

    /// A Squid that tunnels: CONNECT to everywhere.
    #[must_use]
    pub fn squid(proxy: &ForwardProxy<'_>) -> Self {
        Self::new(Program::Squid, proxy.listen, forward::squid(proxy))
    }

    /// A Squid that looks at the name that the client asks for and ends every TLS connection with certificates of
    /// `authority` (`ssl_bump peek step1`, `ssl_bump bump all`).
    #[must_use]
    pub fn squid_bumping(proxy: &ForwardProxy<'_>, authority: &Authority) -> Self {
        let mut config = Self::new(Program::Squid, proxy.listen, forward::squid_bumping(proxy));
        config.files.push(("ca.pem".to_owned(), authority.pem_with_key()));
        config
    }

    /// A mitmproxy, which ends every TLS connection with certificates of an authority that it makes itself
    /// ([`RealServer::authority_pem`](super::RealServer::authority_pem)), and lets HTTP/2 through.
    #[must_use]
    pub fn mitmproxy(proxy: &ForwardProxy<'_>) -> Self {
        Self::new(Program::Mitmproxy, proxy.listen, forward::mitmproxy(proxy))
    }

    /// A tinyproxy that tunnels to everywhere.
    #[must_use]
    pub fn tinyproxy(proxy: &ForwardProxy<'_>) -> Self {
        Self::new(Program::Tinyproxy, proxy.listen, forward::tinyproxy(proxy))
    }

    /// Puts `snippet` where `place` says, as a person does who follows a remedy: what it sets anew replaces what was set, all
    /// else stays. `place` is a remedy's, for example `nginx, the server block of the module proxy`.
    ///
    /// # Errors
    /// [`ServersError::Edit`] when this configuration has no such place.
    pub fn write(&mut self, place: &str, snippet: &str) -> Result<(), ServersError> {
        let failed = |reason: String| ServersError::Edit { program: self.program, place: place.to_owned(), reason };
        if !place.starts_with(self.program.name()) {
            return Err(failed("it names another program".to_owned()));
        }
        let mut snippet = snippet.to_owned();
        for (from, to) in &self.stand_ins {
            snippet = snippet.replace(from, to);
        }
        self.text = edit::put(self.program, &self.text, place, &snippet).map_err(failed)?;
        Ok(())
    }

    /// Takes away every line that, without its indent, is `line`.
    ///
    /// # Errors
    /// [`ServersError::Edit`] when there is none.
    pub fn take_away(&mut self, line: &str) -> Result<(), ServersError> {
        let kept: Vec<&str> = self.text.lines().filter(|l| l.trim() != line).collect();
        if kept.len() == self.text.lines().count() {
            return Err(ServersError::Edit {
                program: self.program,
                place: line.to_owned(),
                reason: "there is no such line".to_owned(),
            });
        }
        self.text = kept.join("\n") + "\n";
        Ok(())
    }

    /// Puts a file beside the configuration, in the folder that `@FOLDER@` stands for.
    pub fn put_file(&mut self, name: &str, text: &str) {
        self.files.retain(|(other, _)| other != name);
        self.files.push((name.to_owned(), text.to_owned()));
    }

    fn new(program: Program, listen: SocketAddr, text: String) -> Self {
        Self { program, listen, text, files: Vec::new(), stand_ins: Vec::new() }
    }
}
