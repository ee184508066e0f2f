//! Configurations of the forward proxies: Squid, mitmproxy, tinyproxy.

use super::config::{ACCESS_LOG, FOLDER, ForwardProxy};

/// Where Debian's package puts the helper that makes certificates.
pub(super) const CERTGEN: &str = "/usr/lib/squid/security_file_certgen";

pub(super) fn squid(proxy: &ForwardProxy<'_>) -> String {
    whole_squid(&format!("http_port {}\n", proxy.listen))
}

pub(super) fn squid_bumping(proxy: &ForwardProxy<'_>) -> String {
    whole_squid(&format!(
        "http_port {} ssl-bump tls-cert={FOLDER}/ca.pem generate-host-certificates=on dynamic_cert_mem_cache_size=4MB\n\
         sslcrtd_program {CERTGEN} -s {FOLDER}/certificates -M 4MB\nsslcrtd_children 2 startup=1 idle=1\n\
         tls_outgoing_options cafile={}\nacl step1 at_step SslBump1\nssl_bump peek step1\nssl_bump bump all\n",
        proxy.listen,
        proxy.trusted.display()
    ))
}

fn whole_squid(port: &str) -> String {
    format!(
        "{port}pid_filename {FOLDER}/squid.pid\ncache_log {FOLDER}/cache.log\nlogformat traffic %>a:%>p HTTP/%rv %ru\n\
         access_log stdio:{FOLDER}/{ACCESS_LOG} logformat=traffic\ncoredump_dir {FOLDER}\nvisible_hostname gate.example.com\n\
         dns_nameservers 127.0.0.1\npinger_enable off\nmax_filedescriptors 1024\nshutdown_lifetime 0 seconds\ncache deny all\n\
         http_access allow all\n"
    )
}

/// `config.yaml` of mitmproxy's configuration folder.
pub(super) fn mitmproxy(proxy: &ForwardProxy<'_>) -> String {
    format!(
        "listen_host: {}\nlisten_port: {}\nssl_verify_upstream_trusted_ca: {}\nhttp2: true\n",
        proxy.listen.ip(),
        proxy.listen.port(),
        proxy.trusted.display()
    )
}

pub(super) fn tinyproxy(proxy: &ForwardProxy<'_>) -> String {
    format!(
        "Listen {}\nPort {}\nTimeout 600\nMaxClients 200\nLogLevel Connect\n",
        proxy.listen.ip(),
        proxy.listen.port()
    )
}
