//! HAProxy's configuration.

use super::config::{Backend, FrontEnd};

/// One thread: where two write to standard output at once, HAProxy drops a line of the log.
pub(super) fn front_end(front: &FrontEnd<'_>) -> String {
    let server = match front.backend {
        Backend::Http(address) => format!("    server origin {address}\n"),
        // HAProxy serves no files: every request is answered with 503.
        Backend::Files(_) => String::new(),
    };
    format!(
        "global\n    maxconn 500\n    nbthread 1\n    log stdout format raw local0 info\n\n\
         defaults\n    mode http\n    log global\n    log-format \"%ci:%cp %HV %HP\"\n    timeout connect 5s\n    \
         timeout client 5m\n    timeout server 5m\n\n\
         frontend goproxy\n    bind {} ssl crt {} alpn h2,http/1.1\n    default_backend goproxy\n\n\
         backend goproxy\n{server}",
        front.listen,
        front.pem.combined.display()
    )
}
