//! Remedies on the server, for what it does with HTTP/2 and HTTP/1.1 connections.

use super::{Context, Form, ServerKind, choose, project, run, write};
use crate::finding::Remedy;

/// The places that configuration is written to. `tests/remedies_real.rs` finds the right frame
/// for a program's check by them.
pub(super) const NGINX_SERVER: &str = "nginx, the server block of the module proxy";
pub(super) const NGINX_LOCATION: &str = "nginx, the location block of the module proxy";
pub(super) const HAPROXY: &str = "HAProxy, haproxy.cfg";
pub(super) const CADDY_GLOBAL: &str = "Caddy, the global options block of the Caddyfile";
pub(super) const CADDY_SITE: &str = "Caddy, the site block of the module proxy";
pub(super) const ENVOY_TLS: &str = "Envoy, the listener's DownstreamTlsContext";
pub(super) const ENVOY_HCM: &str = "Envoy, the listener's HttpConnectionManager";
pub(super) const ENVOY_CLUSTER: &str = "Envoy, typed_extension_protocol_options of the module proxy's cluster";
pub(super) const APACHE: &str = "Apache httpd, the virtual host of the module proxy";
pub(super) const SQUID: &str = "Squid, squid.conf";

/// `http2-not-offered`.
pub(super) fn offer(ctx: &Context) -> Vec<Remedy> {
    let mut all = choose(
        &ctx.server,
        vec![
            nginx(NGINX_SERVER, "listen 443 ssl;\nhttp2 on;", "nginx 1.25.1 and newer")
                .from(1, 25, 1)
                .then(&["nginx -t && nginx -s reload"]),
            nginx(
                NGINX_SERVER,
                "listen 443 ssl http2;",
                "nginx 1.9.5 to 1.25.0, where \"http2 on;\" is an unknown directive",
            )
            .below(1, 25, 1)
            .then(&["nginx -t && nginx -s reload"]),
            haproxy(
                "frontend goproxy\n    mode http\n    bind :443 ssl crt /etc/haproxy/goproxy.pem \
                 alpn h2,http/1.1\n    default_backend goproxy",
                "HAProxy 1.8.0 and newer; from 2.8.0 this alpn is the default of bind lines with \
                 ssl: there take \"no-alpn\" and \"alpn http/1.1\" away",
            ),
            Form::of(
                ServerKind::Caddy,
                CADDY_GLOBAL,
                "servers {\n    protocols h1 h2\n}",
                "Caddy 2.6.0 and newer, where h2 is on unless \"protocols\" leaves it out",
            ),
            envoy_tls(
                "common_tls_context:\n  alpn_protocols: [h2, http/1.1]",
                "Envoy 1.14 and newer (v3 API), with codec_type AUTO, the default",
            ),
            Form::of(
                ServerKind::Apache,
                APACHE,
                "Protocols h2 http/1.1",
                "Apache httpd 2.4.17 and newer with mod_http2; not with the prefork MPM",
            )
            .then(&["a2dismod mpm_prefork; a2enmod mpm_event http2", "systemctl restart apache2"]),
        ],
    );
    if matches!(ctx.server.kind, ServerKind::Artifactory | ServerKind::Nexus | ServerKind::Athens | ServerKind::Goproxy)
    {
        for remedy in &mut all {
            remedy.place.push_str(&format!(", in front of {}", ctx.server.kind.name()));
        }
    }
    all
}

/// `plain-http`.
pub(super) fn plain_http(ctx: &Context) -> Vec<Remedy> {
    let host = ctx.host();
    let mut all = vec![Remedy {
        place: "your shell, once the module proxy answers at https".to_owned(),
        commands: vec![format!("export GOPROXY=\"$(go env GOPROXY | sed 's#http://{host}#https://{host}#g')\"")],
        config: None,
        valid_for: "every Go; https needs a certificate that the machine trusts, and the port of \
                    https in the URL if it is not 443"
            .to_owned(),
    }];
    all.extend(offer(ctx));
    all
}

/// `http1-connection-close`.
pub(super) fn keep_alive(ctx: &Context) -> Vec<Remedy> {
    choose(
        &ctx.server,
        vec![
            nginx(
                NGINX_SERVER,
                "keepalive_timeout 300s;\nkeepalive_requests 100000;",
                "nginx, every version; \"keepalive_timeout 0\" and \"keepalive_requests 1\" close \
                 after each response",
            ),
            haproxy(
                "defaults\n    mode http\n    option http-keep-alive\n    timeout connect 5s\n    \
                 timeout client 5m\n    timeout server 5m\n    timeout http-keep-alive 5m",
                "HAProxy 1.5 and newer; take \"option httpclose\" away",
            ),
            squid("client_persistent_connections on\nserver_persistent_connections on", "Squid 2.7 and newer"),
            envoy_hcm(
                "common_http_protocol_options:\n  idle_timeout: 3600s\n  \
                 max_requests_per_connection: 100000",
                "Envoy 1.20 and newer; \"max_requests_per_connection: 1\" closes after each \
                 response",
            ),
            Form::of(
                ServerKind::Apache,
                APACHE,
                "KeepAlive On\nKeepAliveTimeout 300\nMaxKeepAliveRequests 0",
                "Apache httpd 2.4; take \"SetEnv nokeepalive\" away",
            ),
            Form {
                kind: ServerKind::Caddy,
                from: None,
                below: None,
                remedy: run(
                    "Caddy, the Caddyfile: take the header directive away that says close",
                    ["grep -n -i connection /etc/caddy/Caddyfile"],
                    "Caddy 2, which keeps connections open unless it is told otherwise",
                ),
            },
        ],
    )
    .into_iter()
    .chain(choose_offer_note(ctx))
    .collect()
}

/// HTTP/2 makes the question moot where the server can do it.
fn choose_offer_note(ctx: &Context) -> Option<Remedy> {
    let first = offer(ctx).into_iter().next()?;
    Some(Remedy { place: format!("{} (HTTP/2 instead)", first.place), ..first })
}

/// `settings-missing` and `settings-invalid`: h2 is promised in ALPN and not spoken behind it.
pub(super) fn settings(ctx: &Context) -> Vec<Remedy> {
    let mut all = choose(
        &ctx.server,
        vec![
            haproxy(
                "frontend goproxy\n    mode http\n    bind :443 ssl crt /etc/haproxy/goproxy.pem \
                 alpn h2,http/1.1\n    default_backend goproxy",
                "HAProxy 1.8.0 and newer; with \"mode tcp\" the alpn promises what the server \
                 behind it must speak: use mode http, or \"alpn http/1.1\"",
            ),
            envoy_hcm(
                "codec_type: AUTO",
                "Envoy 1.14 and newer (v3 API); a tcp_proxy filter must not announce h2 for a \
                 server that does not speak it",
            ),
            nginx(
                NGINX_SERVER,
                "listen 443 ssl;\nhttp2 on;",
                "nginx 1.25.1 and newer; an ssl listener in the stream block must not announce h2 \
                 with ssl_alpn for a server that does not speak it",
            )
            .from(1, 25, 1),
            nginx(NGINX_SERVER, "listen 443 ssl http2;", "nginx 1.9.5 to 1.25.0").below(1, 25, 1),
        ],
    );
    all.push(http1_for_the_moment());
    all
}

/// `settings-late`.
pub(super) fn settings_late(ctx: &Context) -> Vec<Remedy> {
    let listening = format!("ss -ltn 'sport = :{}'", ctx.port);
    let mut all = choose(
        &ctx.server,
        vec![
            haproxy(
                "frontend goproxy\n    mode http\n    bind :443 ssl crt /etc/haproxy/goproxy.pem \
                 alpn h2,http/1.1\n    default_backend goproxy",
                "HAProxy 1.8.0 and newer; in mode http HAProxy sends SETTINGS itself, without \
                 waiting for \"tcp-request inspect-delay\" or for the server behind it",
            ),
            nginx(
                NGINX_SERVER,
                "ssl_session_cache shared:SSL:10m;\nssl_session_timeout 1h;",
                "nginx, every version; where handshakes keep the workers busy, together with \
                 \"worker_processes auto;\" in the main block",
            ),
        ],
    );
    all.push(run(
        "the server: look for a full accept queue and for busy workers",
        [listening.as_str(), "top -b -n 1 | head -20"],
        "Linux; a Recv-Q above 0 on the listening socket means that connections wait to be accepted",
    ));
    all
}

/// `max-concurrent-streams-low`.
pub(super) fn streams(ctx: &Context) -> Vec<Remedy> {
    let n = ctx.streams.clamp(1, 1024).max(128);
    choose(
        &ctx.server,
        vec![
            nginx(NGINX_SERVER, format!("http2_max_concurrent_streams {n};"), "nginx 1.9.5 and newer (default 128)"),
            haproxy(
                format!("global\n    tune.h2.fe.max-concurrent-streams {n}"),
                "HAProxy 2.8.0 and newer (default 100)",
            )
            .from(2, 8, 0),
            haproxy(
                format!("global\n    tune.h2.max-concurrent-streams {n}"),
                "HAProxy 1.8.0 and newer; the only name before 2.8.0 (default 100)",
            )
            .below(2, 8, 0),
            envoy_hcm(
                format!("http2_protocol_options:\n  max_concurrent_streams: {n}"),
                "Envoy 1.14 and newer (v3 API; default unlimited, from 1.36.0 1024)",
            ),
            Form::of(
                ServerKind::Apache,
                APACHE,
                format!("H2MaxSessionStreams {n}"),
                "Apache httpd 2.4.17 and newer with mod_http2 (default 100)",
            ),
        ],
    )
}

/// `goaway-churn`.
pub(super) fn goaway(ctx: &Context) -> Vec<Remedy> {
    let n = ctx.requests.saturating_mul(10).clamp(100_000, 10_000_000);
    choose(
        &ctx.server,
        vec![
            nginx(
                NGINX_SERVER,
                format!("keepalive_requests {n};\nkeepalive_time 1h;\nkeepalive_timeout 300s;"),
                "nginx 1.19.10 and newer (keepalive_requests defaults to 1000)",
            )
            .from(1, 19, 10),
            nginx(
                NGINX_SERVER,
                format!("keepalive_requests {n};\nkeepalive_timeout 300s;"),
                "nginx 1.19.7 to 1.19.9 (keepalive_requests defaults to 100)",
            )
            .from(1, 19, 7)
            .below(1, 19, 10),
            nginx(
                NGINX_SERVER,
                format!("http2_max_requests {n};\nhttp2_idle_timeout 300s;"),
                "nginx 1.11.6 to 1.19.6 (http2_max_requests defaults to 1000)",
            )
            .below(1, 19, 7),
            haproxy(
                format!("global\n    tune.h2.fe.max-total-streams {n}"),
                "HAProxy 3.0.0 and newer, where it is set at all: there is no limit by default",
            )
            .from(3, 0, 0),
            haproxy(
                "defaults\n    mode http\n    timeout connect 5s\n    timeout client 5m\n    \
                 timeout server 5m\n    timeout http-keep-alive 5m",
                "HAProxy 1.8.0 and newer, which ends idle connections with GOAWAY after these",
            )
            .below(3, 0, 0),
            envoy_hcm(
                format!(
                    "common_http_protocol_options:\n  max_requests_per_connection: {n}\n  \
                     max_connection_duration: 3600s"
                ),
                "Envoy 1.20 and newer, where they are set at all: there is no limit by default",
            ),
        ],
    )
}

/// `stream-reset`, by the code that was seen.
pub(super) fn stream_reset(ctx: &Context) -> Vec<Remedy> {
    match ctx.code.as_deref() {
        Some("REFUSED_STREAM") => streams(ctx),
        Some("ENHANCE_YOUR_CALM") => vec![
            write(
                "Envoy, the bootstrap's layered_runtime",
                "layers:\n- name: goproxy\n  static_layer:\n    \
                 overload.premature_reset_total_stream_count: 100000",
                "Envoy 1.27.1 and newer (default 500)",
            ),
            resumes(),
            http1_for_the_moment(),
        ],
        Some("HTTP_1_1_REQUIRED") => vec![
            http1_for_the_moment(),
            write(
                APACHE,
                "SSLVerifyClient none",
                "Apache httpd 2.4, where mod_http2 answers so because a directory asks for a client \
                 certificate after the handshake",
            ),
        ],
        _ => {
            let mut all = choose(&ctx.server, origin_timeouts());
            all.push(project::any_error_falls_through());
            all.push(resumes());
            all.push(http1_for_the_moment());
            all
        }
    }
}

fn resumes() -> Remedy {
    project::by_goferry("a broken zip goes on where it stopped; HTTP/1.1 where HTTP/2 leads nowhere")
}

/// `connection-reset`.
pub(super) fn connection_reset(ctx: &Context) -> Vec<Remedy> {
    let mut all = Vec::new();
    if ctx.code.as_deref() == Some("COMPRESSION_ERROR") {
        all.extend(choose(
            &ctx.server,
            vec![
                envoy_hcm(
                    "http2_protocol_options:\n  hpack_table_size: 0",
                    "Envoy 1.14 and newer (v3 API); turns header compression state off",
                ),
                haproxy(
                    "global\n    tune.h2.header-table-size 4096",
                    "HAProxy 1.8.0 and newer: 4096 is the default and the smallest value; upgrade \
                     to the last release of the branch as well",
                ),
            ],
        ));
        all.push(http1_for_the_moment());
        return all;
    }
    all.extend(choose(&ctx.server, origin_timeouts()));
    all.push(project::any_error_falls_through());
    all.push(http1_for_the_moment());
    all
}

/// Time-outs between the reverse proxy and what stands behind it cut long zips.
fn origin_timeouts() -> Vec<Form> {
    vec![
        nginx(
            NGINX_LOCATION,
            "proxy_read_timeout 300s;\nsend_timeout 300s;\nproxy_max_temp_file_size 0;",
            "nginx, every version; error.log says \"upstream prematurely closed connection\" or \
             \"upstream timed out\" when it was this",
        ),
        haproxy(
            "defaults\n    mode http\n    timeout connect 5s\n    timeout client 5m\n    \
             timeout server 5m",
            "HAProxy 1.5 and newer; the log's termination state sD or SD means that the server's \
             side was cut",
        ),
        envoy_hcm(
            "stream_idle_timeout: 300s\nrequest_timeout: 0s\nhttp2_protocol_options:\n  \
             connection_keepalive: {interval: 30s, timeout: 10s}",
            "Envoy 1.17 and newer; the route's \"timeout\" (15 s by default) must be raised too",
        ),
    ]
}

/// `window-limited`.
pub(super) fn window(ctx: &Context) -> Vec<Remedy> {
    let mut all = choose(
        &ctx.server,
        vec![
            haproxy(
                "global\n    tune.h2.be.rxbuf 16m",
                "HAProxy 3.1.0 and newer, towards a server that it speaks HTTP/2 with",
            )
            .from(3, 1, 0),
            haproxy(
                "global\n    tune.h2.be.initial-window-size 4194304",
                "HAProxy 2.8.0 to 3.0, towards a server that it speaks HTTP/2 with",
            )
            .from(2, 8, 0)
            .below(3, 1, 0),
            haproxy("global\n    tune.h2.initial-window-size 4194304", "HAProxy 1.8.0 to 2.7, for both sides")
                .below(2, 8, 0),
            Form::of(
                ServerKind::Envoy,
                ENVOY_CLUSTER,
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions:\n  \
                 \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.\
                 HttpProtocolOptions\n  explicit_http_config:\n    http2_protocol_options:\n      \
                 initial_stream_window_size: 16777216\n      \
                 initial_connection_window_size: 25165824",
                "Envoy 1.17 and newer, towards a server that it speaks HTTP/2 with; 16 and 24 MiB \
                 are the defaults from 1.36.0",
            ),
        ],
    );
    all.push(run(
        "the server: larger TCP buffers, where the ceiling is one for all streams together",
        [
            "sudo sysctl -w net.ipv4.tcp_wmem='4096 262144 33554432'",
            "sudo sysctl -w net.ipv4.tcp_slow_start_after_idle=0",
        ],
        "Linux; a fixed SO_SNDBUF (nginx: \"listen ... sndbuf=\") takes the automatic growth away",
    ));
    all
}

/// `idle-timeout-short`. The go command itself closes an idle connection after 90 s.
pub(super) fn idle(ctx: &Context) -> Vec<Remedy> {
    let mut all = Vec::new();
    if let Some(proxy) = &ctx.forward_proxy {
        if proxy.kind == ServerKind::Tinyproxy {
            all.push(write("tinyproxy, tinyproxy.conf", "Timeout 600", "tinyproxy 1.8 and newer"));
        }
        if proxy.kind == ServerKind::Squid {
            all.push(squid_idle().remedy);
        }
    }
    all.extend(choose(
        &ctx.server,
        vec![
            nginx(
                NGINX_SERVER,
                "keepalive_timeout 300s;",
                "nginx 1.19.7 and newer (default 75 s), for HTTP/1.1 and HTTP/2",
            )
            .from(1, 19, 7),
            nginx(NGINX_SERVER, "keepalive_timeout 300s;\nhttp2_idle_timeout 300s;", "nginx 1.9.5 to 1.19.6")
                .below(1, 19, 7),
            haproxy(
                "defaults\n    mode http\n    timeout connect 5s\n    timeout client 5m\n    \
                 timeout server 5m\n    timeout http-keep-alive 5m",
                "HAProxy 1.5 and newer",
            ),
            Form::of(
                ServerKind::Caddy,
                CADDY_GLOBAL,
                "servers {\n    timeouts {\n        idle 5m\n    }\n}",
                "Caddy 2.3.0 and newer (default 5 min)",
            ),
            envoy_hcm(
                "common_http_protocol_options:\n  idle_timeout: 3600s",
                "Envoy 1.14 and newer (v3 API; default 1 h)",
            ),
            squid_idle(),
            Form::of(
                ServerKind::Apache,
                APACHE,
                "KeepAliveTimeout 300",
                "Apache httpd 2.4 (default 5 s), for HTTP/1.1 and HTTP/2",
            ),
        ],
    ));
    all.dedup();
    all
}

fn squid_idle() -> Form {
    squid(
        "client_idle_pconn_timeout 5 minutes\nserver_idle_pconn_timeout 5 minutes",
        "Squid 3.3 and newer (defaults 2 and 1 minutes)",
    )
}

/// HTTP/1.1 by the client's own choice.
pub(super) fn http1_for_the_moment() -> Remedy {
    run(
        "your shell, until the server is repaired",
        ["GODEBUG=http2client=0 go mod download"],
        "every Go; HTTP/1.1 then, with two idle connections kept a host; the server must speak it",
    )
}

fn nginx(place: &str, config: impl Into<String>, valid_for: &str) -> Form {
    Form::of(ServerKind::Nginx, place, config, valid_for)
}

fn haproxy(config: impl Into<String>, valid_for: &str) -> Form {
    Form::of(ServerKind::Haproxy, HAPROXY, config, valid_for)
}

fn envoy_hcm(config: impl Into<String>, valid_for: &str) -> Form {
    Form::of(ServerKind::Envoy, ENVOY_HCM, config, valid_for)
}

fn envoy_tls(config: &str, valid_for: &str) -> Form {
    Form::of(ServerKind::Envoy, ENVOY_TLS, config, valid_for)
}

fn squid(config: &str, valid_for: &str) -> Form {
    Form::of(ServerKind::Squid, SQUID, config, valid_for)
}
