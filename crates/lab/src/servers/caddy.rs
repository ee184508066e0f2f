//! Caddy's configuration.

use super::config::{ACCESS_LOG, Backend, FOLDER, FrontEnd};

pub(super) fn front_end(front: &FrontEnd<'_>) -> String {
    let (cert, key) = (front.pem.cert.display(), front.pem.key.display());
    let serve = match front.backend {
        Backend::Files(folder) => format!("    root * {}\n    file_server\n", folder.display()),
        Backend::Http(address) => format!("    reverse_proxy {address}\n"),
    };
    format!(
        "{{\n    admin off\n    auto_https off\n}}\n\
         https://{}:{} {{\n    bind {}\n    tls {cert} {key}\n{serve}    log {{\n        output file {FOLDER}/{ACCESS_LOG}\n        \
         format json\n    }}\n}}\n",
        front.name,
        front.listen.port(),
        front.listen.ip(),
    )
}
