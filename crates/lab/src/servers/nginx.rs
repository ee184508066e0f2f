//! nginx's configuration.

use std::net::SocketAddr;
use std::path::Path;

use super::config::{ACCESS_LOG, Backend, FOLDER, FrontEnd};

/// One statement a line, so that it can be edited by lines.
pub(super) fn front_end(front: &FrontEnd<'_>) -> String {
    let (cert, key) = (front.pem.cert.display(), front.pem.key.display());
    let serve = match front.backend {
        Backend::Files(folder) => format!("root {};", folder.display()),
        Backend::Http(address) => {
            format!("location / {{ proxy_pass http://{address}; proxy_http_version 1.1; }}")
        }
    };
    // The form of every version from 1.9.5 on; from 1.25.1 on it is deprecated and works.
    whole(&format!(
        "        listen {} ssl http2;\n        server_name {};\n        ssl_certificate {cert};\n        \
         ssl_certificate_key {key};\n        ssl_protocols TLSv1.2 TLSv1.3;\n        {serve}\n",
        front.listen, front.name
    ))
}

pub(super) fn plain(listen: SocketAddr, folder: &Path) -> String {
    whole(&format!("        listen {listen};\n        root {};\n", folder.display()))
}

fn whole(server: &str) -> String {
    // The master of a root's nginx gives its workers to another user, who may not read the folder.
    let user = if nix::unistd::geteuid().is_root() { "user root;\n" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {FOLDER}/{name};\n"))
        .concat();
    format!(
        "{user}daemon off;\nworker_processes 1;\npid {FOLDER}/nginx.pid;\nerror_log stderr warn;\nevents {{\n}}\nhttp {{\n\
         {temporary}    default_type application/octet-stream;\n    log_format traffic '$connection $server_protocol $request_uri';\n    \
         access_log {FOLDER}/{ACCESS_LOG} traffic;\n    server {{\n{server}    }}\n}}\n"
    )
}
