//! Remedies for names, addresses, HTTP proxies, the module proxy's own answers, and the link.

use super::http2::{SQUID, http1_for_the_moment};
use super::project::{any_error_falls_through, by_goferry};
use super::{Context, ServerKind, run, write};
use crate::finding::Remedy;

/// Go's resolver: `net/dnsclient_unix.go`, 5 s a question, two attempts, each server in turn.
pub(super) fn dns_slow(ctx: &Context) -> Vec<Remedy> {
    vec![
        write(
            "this machine, /etc/resolv.conf",
            "options timeout:1 attempts:2",
            "Linux and the BSDs; Go reads timeout, attempts, rotate, ndots and use-vc; put a \
             resolver that answers first, since they are asked in turn",
        ),
        write(
            "Kubernetes, the pod's spec",
            "dnsConfig:\n  options:\n  - name: ndots\n    value: \"1\"",
            "every Kubernetes; its default of ndots:5 asks for each search domain first",
        ),
        look_up(ctx),
    ]
}

pub(super) fn dns_failing(ctx: &Context) -> Vec<Remedy> {
    let mut all = vec![look_up(ctx)];
    all.push(run(
        "your shell, where an HTTP proxy resolves names for you (put its address in)",
        ["export HTTPS_PROXY=http://proxy.example.com:3128"],
        "every Go; through CONNECT the proxy resolves the name, the machine need not",
    ));
    all
}

fn look_up(ctx: &Context) -> Remedy {
    let command = format!("time getent ahosts {}", ctx.host());
    run(
        "this machine: ask as other programs do, and see which resolvers there are",
        [command.as_str(), "cat /etc/resolv.conf"],
        "Linux; if this is quick and Go is not, try GODEBUG=netdns=cgo (a go built with cgo) and \
         look at /etc/nsswitch.conf",
    )
}

/// Go gives IPv6 a lead of 300 ms and then tries IPv4 beside it (`net/dial.go`), but once the
/// connection stands it stays with it.
pub(super) fn ipv6(ctx: &Context) -> Vec<Remedy> {
    let refuse = format!(
        "for a in $(getent ahostsv6 {} | cut -d' ' -f1 | sort -u); do sudo ip -6 route add \
         unreachable \"$a\"; done",
        ctx.host()
    );
    vec![
        run(
            "this machine: repair the route, or see that there is none",
            ["ip -6 route get 2001:db8::1", "ip -6 route show default"],
            "Linux; a default route that leads nowhere is what must go",
        ),
        run(
            "this machine: let connections to this host's IPv6 addresses fail at once",
            [refuse.as_str()],
            "Linux; Go then takes IPv4 without waiting; until the next restart",
        ),
        run(
            "this machine, where small packets pass and large ones do not (a tunnel's MTU)",
            ["sudo ip link set dev \"$(ip -6 route show default | sed 's/.* dev \\([^ ]*\\).*/\\1/' \
              | head -1)\" mtu 1280"],
            "Linux; 1280 bytes is what every IPv6 link carries (RFC 8200 section 5)",
        ),
        run(
            "this machine: no IPv6 at all",
            ["sudo sysctl -w net.ipv6.conf.all.disable_ipv6=1"],
            "Linux; the last resort; /etc/gai.conf does not change Go's own resolver",
        ),
    ]
}

/// Past the HTTP proxy, for this one host.
pub(super) fn around_the_proxy(ctx: &Context) -> Remedy {
    let command = format!("export NO_PROXY=\"${{NO_PROXY:-$no_proxy}},{}\"", ctx.host());
    run(
        "your shell, where the network lets you out without the proxy",
        [command.as_str()],
        "every Go; it helps only if the proxy is one that HTTPS_PROXY names",
    )
}

pub(super) fn proxy_unreachable(ctx: &Context) -> Vec<Remedy> {
    vec![
        run(
            "your shell, if there is no such proxy any more",
            ["unset HTTPS_PROXY https_proxy HTTP_PROXY http_proxy", "go mod download"],
            "every Go; find who sets them with: grep -rn -i _proxy /etc/environment /etc/profile.d \
             ~/.profile ~/.bashrc",
        ),
        around_the_proxy(ctx),
    ]
}

pub(super) fn proxy_auth(ctx: &Context) -> Vec<Remedy> {
    let mut all = vec![run(
        "your shell (put user, password and proxy in; : / @ % and the like as %3A %2F %40 %25)",
        ["export HTTPS_PROXY='http://USER:PASSWORD@proxy.example.com:3128'"],
        "every Go; it knows Basic only: for Negotiate, Kerberos or NTLM run a local proxy that does \
         (cntlm, px) and name that one",
    )];
    if matches!(ctx.proxy().kind, ServerKind::Squid | ServerKind::Unknown) {
        all.push(write(
            SQUID,
            format!("acl gomod_host dstdomain {}\nhttp_access allow CONNECT gomod_host", ctx.host()),
            "Squid 3 and newer, before the http_access line that asks for proxy_auth",
        ));
    }
    all.push(around_the_proxy(ctx));
    all
}

pub(super) fn proxy_refused(ctx: &Context) -> Vec<Remedy> {
    let host = ctx.host();
    let squid = write(
        SQUID,
        format!(
            "acl gomod_ports port 443\nacl gomod_host dstdomain {host}\nhttp_access allow CONNECT \
             gomod_ports gomod_host"
        ),
        "Squid 3 and newer, before \"http_access deny all\"",
    );
    let tinyproxy = write(
        "tinyproxy, tinyproxy.conf",
        "ConnectPort 443",
        "tinyproxy 1.8 and newer; look at Filter and Allow as well",
    );
    let filter = write(
        "the file that Filter in tinyproxy.conf names",
        format!("^{}$", ctx.host_regex()),
        "tinyproxy 1.8 and newer, with \"FilterDefaultDeny Yes\"; without it the file lists what is refused: take the line \
         that matches this host away",
    );
    let mut all = match ctx.proxy().kind {
        ServerKind::Squid => vec![squid],
        ServerKind::Tinyproxy => vec![tinyproxy, filter],
        _ => vec![
            write(
                "the HTTP proxy's rules: ask its owners to allow CONNECT to this",
                format!("{host}:443"),
                "every proxy",
            ),
            squid,
            tinyproxy,
        ],
    };
    all.push(around_the_proxy(ctx));
    all
}

/// What stands for the error code where a `file://` entry names no directory.
pub(crate) const NO_DIRECTORY: &str = "ENOENT";

/// `upstream-unreachable`.
pub(super) fn upstream_unreachable(ctx: &Context) -> Vec<Remedy> {
    if ctx.code.as_deref() == Some(NO_DIRECTORY) {
        return vec![run(
            "your shell: a module proxy that is there (put yours in)",
            ["export GOPROXY=https://goproxy.example.com,direct", "go env GOPROXY"],
            "every Go; or create the directory, laid out as a module proxy",
        )];
    }
    let listening = format!("ss -ltnp 'sport = :{}'", ctx.port);
    let ask = format!("curl -v -o /dev/null {}", quoted(ctx.goproxy()));
    vec![
        run(
            "this machine: ask without the go command",
            [ask.as_str()],
            "every system; if this fails too, it is the network, the firewall or the server",
        ),
        run("the server: see that it listens, and on which addresses", [listening.as_str()], "Linux"),
        any_error_falls_through(),
    ]
}

pub(super) fn upstream_status(ctx: &Context) -> Vec<Remedy> {
    let host = ctx.host();
    let credentials = || {
        write(
            "this machine, ~/.netrc (mode 0600; put user and password in)",
            format!("machine {host} login USER password PASSWORD"),
            "every Go, over https only; from Go 1.24 GOAUTH can name a command instead",
        )
    };
    let log = || {
        let ask = format!("curl -sS -D - -o /dev/null {}", quoted(ctx.goproxy()));
        run("this machine: see the whole answer", [ask.as_str()], "every system")
    };
    let clone_less =
        || run("your shell: fewer requests at once", ["GODEBUG=cmdgonetlimit=2 go mod download"], "Go 1.21 and newer");
    match ctx.status {
        Some(401 | 403 | 407) => vec![credentials(), log(), any_error_falls_through()],
        Some(404 | 410) => vec![log(), super::project::reset_goproxy()],
        Some(429) => vec![clone_less(), credentials(), any_error_falls_through()],
        Some(500..=599) => vec![any_error_falls_through(), log()],
        _ => vec![log(), any_error_falls_through()],
    }
}

pub(super) fn upstream_slow(ctx: &Context) -> Vec<Remedy> {
    let mut all = vec![write(
        "nginx, the http block and a server block in front of the module proxy",
        "proxy_cache_path /var/cache/nginx/gomod keys_zone=gomod:16m max_size=50g inactive=90d \
         use_temp_path=off;\nserver {\n    listen 127.0.0.1:8080;\n    location ~ \
         /@v/[^/]+\\.(info|mod|zip)$ {\n        proxy_pass http://127.0.0.1:3000;\n        \
         proxy_cache gomod;\n        proxy_cache_valid 200 90d;\n        proxy_cache_lock on;\n    \
         }\n    location / {\n        proxy_pass http://127.0.0.1:3000;\n    }\n}",
        "nginx 1.7.10 and newer; .info, .mod and .zip of a version never change, list and @latest do",
    )];
    if ctx.server.kind == ServerKind::Athens {
        all.push(write(
            "Athens, its environment",
            "ATHENS_GOGET_WORKERS=32",
            "Athens; it runs a go command for each module that it does not have yet",
        ));
    }
    all.push(run(
        "this machine: see whether the second answer is quicker than the first",
        [
            "GOMODCACHE=\"$(mktemp -d)\" go mod download -x 2>&1 | tail -20",
            "GOMODCACHE=\"$(mktemp -d)\" go mod download -x 2>&1 | tail -20",
        ],
        "every Go, in the project; go prints each answer's time",
    ));
    all
}

/// Several flows, or a sender that does not take each loss for congestion.
pub(super) fn packet_loss() -> Vec<Remedy> {
    vec![
        Remedy {
            place: "the server: bbr in place of cubic".to_owned(),
            commands: vec![
                "sudo modprobe tcp_bbr".to_owned(),
                "sudo sysctl -w net.core.default_qdisc=fq".to_owned(),
                "sudo sysctl -w net.ipv4.tcp_congestion_control=bbr".to_owned(),
            ],
            config: Some("net.core.default_qdisc = fq\nnet.ipv4.tcp_congestion_control = bbr".to_owned()),
            valid_for: "Linux 4.9 and newer, for new connections; the configuration goes to \
                        /etc/sysctl.d/90-bbr.conf. It is the sender that decides, so it must be the \
                        machine that sends the zips"
                .to_owned(),
        },
        by_goferry(
            "opens more connections where one does not carry what the path can, and keeps those \
             that gain",
        ),
        Remedy {
            valid_for: "every Go; several connections then, and a loss on one does not slow the \
                        others: with a cubic sender three times as fast at 0.1 % loss and 50 ms"
                .to_owned(),
            place: "your shell, for the moment".to_owned(),
            commands: vec!["GOMAXPROCS=16 GODEBUG=http2client=0 go mod download".to_owned()],
            ..http1_for_the_moment()
        },
    ]
}

pub(super) fn bandwidth() -> Vec<Remedy> {
    vec![
        run(
            "your CI: keep the downloaded files between runs; this folder, keyed by go.sum",
            ["echo \"$(go env GOMODCACHE)/cache/download\""],
            "every Go; the unpacked folders beside it need not be kept",
        ),
        run(
            "your project: carry the modules with it",
            ["go mod vendor"],
            "Go 1.14 and newer; go build then uses vendor/ by itself and downloads nothing",
        ),
    ]
}

/// A text that `Context` has cleaned, between single quotes.
fn quoted(text: &str) -> String {
    format!("'{text}'")
}
