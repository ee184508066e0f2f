//! The forward proxy and the certificates, against curl and `openssl s_client`.

mod certs;
mod intercept;
mod misbehave;
mod origin;
mod tunnel;

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use goferry_lab::forward::{ForwardConfig, ForwardProxy};

/// What curl did.
#[derive(Debug)]
pub(crate) struct Curl {
    /// Its exit code: 0 done, 28 out of time, 35 TLS failed, 56 no answer or a CONNECT refused, 60 not trusted.
    pub(crate) exit: i32,
    /// The body.
    pub(crate) body: String,
    /// The last status of the origin, 0 for none.
    pub(crate) status: u16,
    /// The status of the CONNECT, 0 for none.
    pub(crate) connect: u16,
    /// `2` or `1.1`.
    pub(crate) version: String,
    /// TCP connections opened.
    pub(crate) connections: u32,
}

/// Runs curl with no configuration and no environment of the caller's, for 5 s at most.
pub(crate) fn curl(arguments: &[&str]) -> Curl {
    let format = "\\n%{http_code} %{http_connect} %{http_version} %{num_connects}";
    let output = Command::new("curl")
        .args(["-q", "--silent", "--max-time", "5", "--noproxy", "", "--write-out", format])
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .expect("curl is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, numbers) = text.rsplit_once('\n').unwrap_or(("", &text));
    let numbers: Vec<&str> = numbers.split(' ').collect();
    Curl {
        exit: output.status.code().expect("an exit code"),
        body: body.to_owned(),
        status: numbers[0].parse().expect("a status"),
        connect: numbers[1].parse().expect("a status"),
        version: numbers[2].to_owned(),
        connections: numbers[3].parse().expect("a number"),
    }
}

/// A proxy on a free port of loopback.
pub(crate) fn proxy(config: ForwardConfig) -> ForwardProxy {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    ForwardProxy::start(listener, config).expect("a proxy")
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}
