//! Remedies for what happens in the TLS handshake, and for who interferes with it.

use super::http2::{APACHE, CADDY_SITE, ENVOY_TLS, HAPROXY, NGINX_SERVER, SQUID};
use super::{Context, Form, ServerKind, choose, run, write};
use crate::finding::Remedy;

/// `http2-stripped-by-proxy`: first what keeps the inspection and gives HTTP/2 back.
pub(super) fn let_h2_through(ctx: &Context) -> Vec<Remedy> {
    let mut all = match ctx.proxy().kind {
        ServerKind::PanOs => vec![write(
            "PAN-OS, the rule's profile: Objects > Decryption > Decryption Profile > SSL \
             Decryption > SSL Forward Proxy, then commit",
            "Strip ALPN: off",
            "PAN-OS 9.0 and newer, by its vendor's documentation",
        )],
        ServerKind::Fortinet => vec![write(
            "FortiOS, the SSL inspection profile (put its name for PROFILE)",
            "config firewall ssl-ssh-profile\n    edit \"PROFILE\"\n        set supported-alpn \
             all\n    next\nend",
            "FortiOS 7.0 and newer, with proxy-based inspection, by its vendor's documentation",
        )],
        ServerKind::Mitmproxy => {
            vec![write("mitmproxy, ~/.mitmproxy/config.yaml", "http2: true", "mitmproxy 5 and newer (the default)")]
        }
        _ => Vec::new(),
    };
    all.extend(exempt(ctx));
    all
}

/// `tls-intercepted`: the module proxy's host is left alone.
pub(super) fn exempt(ctx: &Context) -> Vec<Remedy> {
    let (host, regex) = (ctx.host(), ctx.host_regex());
    let squid = Form::of(
        ServerKind::Squid,
        SQUID,
        format!(
            "acl step1 at_step SslBump1\nacl gomod ssl::server_name {host}\nssl_bump peek step1\n\
             ssl_bump splice gomod\nssl_bump bump all"
        ),
        "Squid 3.5 and newer, built with OpenSSL (Debian: squid-openssl); a bumped connection is \
         HTTP/1.1 always, a spliced one is the client's and the server's own",
    )
    .then(&["squid -k parse && squid -k reconfigure"]);
    let mitmproxy = Form::of(
        ServerKind::Mitmproxy,
        "mitmproxy, ~/.mitmproxy/config.yaml",
        format!("ignore_hosts:\n  - ^{regex}:443$"),
        "mitmproxy 2.0 and newer",
    );
    let generic = Form {
        kind: ServerKind::Unknown,
        from: None,
        below: None,
        remedy: write(
            "the TLS inspection's exemption list: ask the network's owners to add this host",
            host,
            "every product; the go command checks what it downloads against go.sum and the \
             checksum database, with or without inspection",
        ),
    };
    let menu = |kind: ServerKind, place: &str| Form {
        kind,
        from: None,
        below: None,
        remedy: write(place, host, "every version, by its vendor's documentation"),
    };
    let mut forms = vec![
        generic,
        squid,
        mitmproxy,
        menu(ServerKind::PanOs, "PAN-OS: Device > Certificate Management > SSL Decryption Exclusion, add this host"),
        menu(
            ServerKind::Zscaler,
            "Zscaler: Policy > SSL Inspection, a rule \"Do Not Inspect\" for a URL category with \
             this host",
        ),
        menu(
            ServerKind::Fortinet,
            "FortiOS: the SSL inspection profile's \"Exempt from SSL Inspection\", an address of \
             this name",
        ),
    ];
    // The menus of a product that is not there help nobody.
    let kind = ctx.proxy().kind;
    let known = forms.iter().any(|form| form.kind == kind);
    let kind = if known { kind } else { ServerKind::Unknown };
    forms.retain(|form| form.kind == kind);
    let mut all: Vec<Remedy> = forms.into_iter().map(|form| form.remedy).collect();
    all.push(super::network::around_the_proxy(ctx));
    all
}

/// `tls-untrusted`.
pub(super) fn trust(ctx: &Context) -> Vec<Remedy> {
    let own = ctx.no_roots.then(|| {
        run(
            "your shell: back to the system's certificates",
            ["unset SSL_CERT_FILE SSL_CERT_DIR"],
            "every Go; the two take the place of the system's file and directories, each on its own",
        )
    });
    let others = [
        run(
            "this machine, with the CA's certificate in ca.crt",
            ["sudo cp ca.crt /usr/local/share/ca-certificates/goproxy-ca.crt", "sudo update-ca-certificates"],
            "Debian, Ubuntu, Alpine with ca-certificates",
        ),
        run(
            "this machine, with the CA's certificate in ca.crt",
            ["sudo cp ca.crt /etc/pki/ca-trust/source/anchors/goproxy-ca.crt", "sudo update-ca-trust"],
            "Fedora, RHEL and their relatives",
        ),
        run(
            "your shell, without root",
            [
                "cat /etc/ssl/certs/ca-certificates.crt ca.crt > \"$HOME/.goproxy-roots.pem\"",
                "export SSL_CERT_FILE=\"$HOME/.goproxy-roots.pem\"",
            ],
            "Linux and the BSDs, from Go 1.27 also macOS and Windows (before, these use the \
             system's own store alone); SSL_CERT_FILE takes the place of the system's file, so both \
             go in",
        ),
        Remedy {
            place: "the server, if it sends its own certificate without the intermediate ones".to_owned(),
            commands: vec![format!(
                "openssl s_client -connect {0}:{1} -servername {0} -showcerts </dev/null",
                ctx.host(),
                ctx.port
            )],
            config: None,
            valid_for: "every server; the file that it is given must hold the certificate first, \
                        then each intermediate"
                .to_owned(),
        },
    ];
    own.into_iter().chain(others).collect()
}

/// `tls-expired`.
pub(super) fn expired(ctx: &Context) -> Vec<Remedy> {
    let (host, port) = (ctx.host(), ctx.port);
    let look = format!(
        "openssl s_client -connect {host}:{port} -servername {host} </dev/null 2>/dev/null | openssl \
         x509 -noout -dates"
    );
    vec![
        run(
            "the server: renew the certificate, then load it",
            ["certbot renew", "nginx -s reload"],
            "servers whose certificate certbot keeps and nginx serves; others: the CA's own way, and \
             a reload, since a renewed file is not read by itself",
        ),
        run(
            "this machine, if the certificate is good and the clock is not",
            [look.as_str(), "timedatectl", "sudo timedatectl set-ntp true"],
            "Linux with systemd",
        ),
    ]
}

/// `tls-name-mismatch`.
pub(super) fn name(ctx: &Context) -> Vec<Remedy> {
    let (host, port) = (ctx.host(), ctx.port);
    let look = format!(
        "openssl s_client -connect {host}:{port} -servername {host} </dev/null 2>/dev/null | openssl \
         x509 -noout -ext subjectAltName"
    );
    let mut all = vec![run(
        "your GOPROXY: use a name that the certificate has",
        [look.as_str(), "go env GOPROXY"],
        "every Go; only the names in subjectAltName count, never the common name",
    )];
    all.extend(choose(
        &ctx.server,
        vec![
            Form::of(
                ServerKind::Nginx,
                NGINX_SERVER,
                format!("server_name {host};"),
                "nginx, every version, beside the ssl_certificate that has the name; without it the \
                 default server's certificate is sent",
            ),
            Form::of(
                ServerKind::Haproxy,
                HAPROXY,
                "frontend goproxy\n    mode http\n    bind :443 ssl crt /etc/haproxy/certs/ \
                 strict-sni alpn h2,http/1.1\n    default_backend goproxy",
                "HAProxy 1.8.0 and newer; each file of the folder holds a certificate and its key, \
                 and is chosen by its names",
            ),
            Form::of(
                ServerKind::Caddy,
                "Caddy, the Caddyfile",
                format!("{host} {{\n    reverse_proxy 127.0.0.1:3000\n}}"),
                "Caddy 2; it asks for a certificate for each site address",
            ),
        ],
    ));
    all
}

/// `tls-client-cert-required`. The go command cannot present one.
pub(super) fn client_certificate(ctx: &Context) -> Vec<Remedy> {
    choose(
        &ctx.server,
        vec![
            Form::of(
                ServerKind::Nginx,
                NGINX_SERVER,
                "ssl_verify_client off;",
                "nginx, every version; ask for a password or a token instead, which the go command \
                 sends from netrc or GOAUTH (Go 1.24)",
            ),
            Form::of(
                ServerKind::Haproxy,
                HAPROXY,
                "frontend goproxy\n    mode http\n    bind :443 ssl crt /etc/haproxy/goproxy.pem \
                 verify none alpn h2,http/1.1\n    default_backend goproxy",
                "HAProxy 1.8.0 and newer",
            ),
            Form::of(
                ServerKind::Caddy,
                CADDY_SITE,
                "tls {\n    client_auth {\n        mode request\n    }\n}",
                "Caddy 2.0.0 and newer; \"request\" accepts clients without a certificate",
            ),
            Form::of(
                ServerKind::Envoy,
                ENVOY_TLS,
                "require_client_certificate: false",
                "Envoy 1.14 and newer (v3 API)",
            ),
            Form::of(ServerKind::Apache, APACHE, "SSLVerifyClient none", "Apache httpd 2.4"),
        ],
    )
    .into_iter()
    .chain([Remedy {
        place: "nginx on this machine, the http block: a local proxy that holds the certificate".to_owned(),
        commands: vec!["export GOPROXY=http://127.0.0.1:8080".to_owned()],
        config: Some(format!(
            "server {{\n    listen 127.0.0.1:8080;\n    location / {{\n        \
             proxy_pass https://{};\n        proxy_ssl_server_name on;\n        \
             proxy_ssl_certificate /etc/nginx/goproxy-client.crt;\n        \
             proxy_ssl_certificate_key /etc/nginx/goproxy-client.key;\n    }}\n}}",
            ctx.host()
        )),
        valid_for: "nginx 1.7.8 and newer; HTTP/1.1 on the loopback costs nothing".to_owned(),
    }])
    .collect()
}

/// `tls-old`.
pub(super) fn versions(ctx: &Context) -> Vec<Remedy> {
    choose(
        &ctx.server,
        vec![
            Form::of(
                ServerKind::Nginx,
                NGINX_SERVER,
                "ssl_protocols TLSv1.2 TLSv1.3;",
                "nginx 1.13.0 and newer with OpenSSL 1.1.1 (TLS 1.3 is on by default from 1.23.4)",
            )
            .from(1, 13, 0),
            Form::of(
                ServerKind::Haproxy,
                HAPROXY,
                "global\n    ssl-default-bind-options ssl-min-ver TLSv1.2",
                "HAProxy 1.8.0 and newer with OpenSSL 1.1.1; take \"ssl-max-ver\" and \"no-tlsv13\" \
                 away",
            ),
            Form::of(ServerKind::Caddy, CADDY_SITE, "tls {\n    protocols tls1.2 tls1.3\n}", "Caddy 2 (the default)"),
            Form::of(
                ServerKind::Envoy,
                ENVOY_TLS,
                "common_tls_context:\n  tls_params:\n    tls_minimum_protocol_version: TLSv1_2\n    \
                 tls_maximum_protocol_version: TLSv1_3",
                "Envoy 1.14 and newer (v3 API)",
            ),
            Form::of(
                ServerKind::Apache,
                APACHE,
                "SSLProtocol -all +TLSv1.2 +TLSv1.3",
                "Apache httpd 2.4.36 and newer with OpenSSL 1.1.1",
            ),
        ],
    )
}

/// `tls-renegotiation`.
pub(super) fn renegotiation(ctx: &Context) -> Vec<Remedy> {
    let mut all = vec![
        write(
            APACHE,
            "SSLVerifyClient none\nSSLProtocol -all +TLSv1.2 +TLSv1.3",
            "Apache httpd 2.4.36 and newer: SSLVerifyClient, SSLVerifyDepth and SSLCipherSuite in a \
             Directory or Location renegotiate; in the virtual host they do not",
        ),
        run(
            "IIS: ask for the client certificate in the first handshake, or not at all (put the \
             binding's hash and application id in)",
            [
                "netsh http show sslcert ipport=0.0.0.0:443",
                "netsh http update sslcert ipport=0.0.0.0:443 certhash=HASH appid={APPID} \
                 clientcertnegotiation=enable",
            ],
            "IIS 10, by its vendor's documentation",
        ),
    ];
    all.extend(versions(ctx).into_iter().filter(|r| r.place != APACHE));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remedy::Server;
    use crate::remedy::http2::{CADDY_GLOBAL, offer};

    #[test]
    fn a_known_interceptor_gets_its_own_way_first() {
        for (kind, first) in [
            (ServerKind::PanOs, "PAN-OS"),
            (ServerKind::Fortinet, "FortiOS"),
            (ServerKind::Squid, "Squid"),
            (ServerKind::Mitmproxy, "mitmproxy"),
            (ServerKind::Zscaler, "Zscaler"),
        ] {
            let mut ctx = Context::new("goproxy.example.com");
            ctx.forward_proxy = Some(Server::new(kind, None));
            let all = let_h2_through(&ctx);
            assert!(all[0].place.starts_with(first), "{kind:?}: {all:?}");
            assert!(all.iter().all(|r| r.place.starts_with(first) || r.place.starts_with("your")));
        }
    }

    #[test]
    fn an_unknown_interceptor_gets_words_that_hold_for_all() {
        let all = exempt(&Context::new("goproxy.example.com"));
        assert_eq!(all.len(), 2, "{all:?}");
        assert_eq!(all[0].config.as_deref(), Some("goproxy.example.com"));
    }

    #[test]
    fn caddy_is_given_back_what_was_taken_from_it() {
        let mut ctx = Context::new("goproxy.example.com");
        ctx.server = Server::new(ServerKind::Caddy, None);
        assert_eq!(offer(&ctx)[0].place, CADDY_GLOBAL);
    }
}
