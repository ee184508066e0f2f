//! nginx as an operator sets it up who wants it fast.

use std::path::Path;

use goferry_lab::certs::PemFiles;
use goferry_lab::servers::{self, Config, RealServer, Site};

use super::rows::Protocol;
use crate::bench::BenchError;

/// nginx that serves the files below `folder` over loopback, and its URL; with a log of requests, gathered as goferry gathers its own.
pub(super) fn start(folder: &Path, pem: &PemFiles, protocol: Protocol) -> Result<(RealServer, String), BenchError> {
    let listen = servers::free_address()?;
    let tls = match protocol {
        Protocol::Plain => String::new(),
        Protocol::Tls1 => " ssl".to_owned(),
        Protocol::Tls2 => " ssl http2".to_owned(),
    };
    let scheme = if protocol == Protocol::Plain { "http" } else { "https" };
    let certificate = if protocol == Protocol::Plain {
        String::new()
    } else {
        let (cert, key) = (pem.cert.display(), pem.key.display());
        format!("ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;")
    };
    let mut config = Config::nginx_plain(listen, folder);
    let user = if nix::unistd::geteuid().is_root() { "user root;" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path @FOLDER@/{name};\n"))
        .concat();
    config.text = format!(
        "{user}\ndaemon off;\nworker_processes 2;\npid @FOLDER@/nginx.pid;\nerror_log stderr warn;\n\
         events {{\n    worker_connections 8192;\n}}\nhttp {{\n{temporary}    \
         access_log @FOLDER@/access.log combined buffer=64k flush=1s;\n    sendfile on;\n    tcp_nopush on;\n    keepalive_requests 100000000;\n    keepalive_time 1h;\n    \
         open_file_cache max=10000 inactive=1h;\n    open_file_cache_valid 1h;\n    http2_chunk_size 16k;\n    \
         ssl_session_cache shared:tls:10m;\n    types {{ application/zip zip; application/json info; text/plain mod; }}\n    \
         server {{\n        listen {listen}{tls} backlog=4096;\n        {certificate}\n        root {};\n    }}\n}}\n",
        folder.display()
    );
    Ok((
        RealServer::start(&config, Site::Loopback).map_err(crate::served::ServedError::from)?,
        format!("{scheme}://{listen}"),
    ))
}
