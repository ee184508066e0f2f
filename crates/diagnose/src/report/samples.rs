//! Reports made up for the tests of the renderings.

use crate::finding::{Confidence, Cost, Evidence, Finding, Id, Location, Remedy, Severity};
use crate::price::{Client, HostCosts, Path, PriceInputs, Project};

use super::{
    GoodputSummary, Hop, PathSummary, PhaseSummary, PredictionSummary, ProjectSummary, Remedied, Report, SCHEMA,
    Variable,
};

/// Every sample with its name.
pub(super) fn all() -> Vec<(&'static str, Report)> {
    vec![
        ("healthy", healthy()),
        ("several", several()),
        ("unreachable", unreachable()),
        ("no_project", no_project()),
        ("hostile", hostile()),
    ]
}

/// Nothing is wrong: HTTP/2 at 50 ms.
pub(super) fn healthy() -> Report {
    Report { findings: vec![serial()], ..report() }
}

/// An intercepting proxy without h2, a Dockerfile with GOMAXPROCS, and what is only worth knowing.
pub(super) fn several() -> Report {
    let mut report = report();
    let path = &mut report.paths[0];
    path.via = Some("http://***@proxy.corp.example.com:3128".to_owned());
    path.http = Some("HTTP/1.1".to_owned());
    path.alpn = Some("none".to_owned());
    path.settings.clear();
    path.hops.insert(1, hop("proxy", "proxy.corp.example.com:3128 (squid 6.6)", "TCP, CONNECT", Some(1.2)));
    path.hops.insert(2, hop("interceptor", "Example Corp Inspection CA", "TLSv1.3, HTTP/1.1", Some(1.9)));
    path.hops[3].protocol = "HTTP/1.1".to_owned();
    path.phases.insert(2, phase("CONNECT", 4, 1, [1.2, 1.4, 2.8, 2.8]));
    let mut direct = report.paths[0].clone();
    direct.via = None;
    direct.used_by_go = false;
    direct.hops.drain(1..3);
    direct.hops[1].broken = true;
    direct.hops[1].rtt_ms = None;
    (direct.http, direct.tls, direct.alpn) = (None, None, None);
    direct.phases = vec![phase("TCP IPv4", 2, 2, [0.0; 4])];
    report.paths.push(direct);
    report.findings = vec![stripped(), gomaxprocs(), serial()];
    report.prediction = Some(prediction(12.63, &[(Id::Http2StrippedByProxy, 5.9), (Id::GomaxprocsLow, 10.1)], 4.22));
    report
}

/// Nobody listens.
pub(super) fn unreachable() -> Report {
    let mut report = report();
    let path = &mut report.paths[0];
    path.entry = "https://127.0.0.1:9".to_owned();
    (path.http, path.tls, path.alpn) = (None, None, None);
    path.hops[1] = Hop { broken: true, rtt_ms: None, ..hop("server", "127.0.0.1:9", "TCP", None) };
    path.settings.clear();
    path.goodput.clear();
    path.phases = vec![phase("TCP IPv4", 3, 3, [0.0; 4])];
    (path.requests, path.connections) = (0, 3);
    report.prediction = None;
    report.findings = vec![Finding {
        id: Id::UpstreamUnreachable,
        title: "127.0.0.1:9 refuses connections".to_owned(),
        severity: Severity::Error,
        confidence: Confidence::Measured,
        evidence: vec![Evidence::text("TCP connect to 127.0.0.1:9", "connection refused (os error 111)")],
        why: "The go command has no other entry in GOPROXY to go on with.".to_owned(),
        cost: None,
        remedies: vec![Remedy {
            place: "the module proxy's machine: see what listens".to_owned(),
            commands: vec!["ss -ltn 'sport = :9'".to_owned()],
            config: None,
            valid_for: "Linux".to_owned(),
        }],
        verify: "curl -sS https://127.0.0.1:9/".to_owned(),
        docs: Id::UpstreamUnreachable.page(),
        location: None,
    }];
    report
}

/// Healthy, outside of any project.
pub(super) fn no_project() -> Report {
    Report { project: None, findings: Vec::new(), ..report() }
}

/// Servers and files that put into their names what a terminal, a browser or a CI system would act on.
pub(super) fn hostile() -> Report {
    let nasty = "\x1b[2J\u{9b}31m\r\n::error::x\u{202e}<script>alert(1)</script> `|` [a](http://example.com) \u{7}";
    // What is to be copied is written by goferry, which lets no line feed of others into it.
    let line = nasty.replace("\r\n", " ");
    let mut report = several();
    let path = &mut report.paths[0];
    path.entry = format!("https://goproxy.example.com/{nasty}");
    path.hops[1].name = nasty.to_owned();
    path.hops[2].protocol = nasty.to_owned();
    path.phases[0].phase = nasty.to_owned();
    path.http = Some(nasty.to_owned());
    path.settings = vec![variable(nasty, nasty, nasty)];
    if let Some(project) = &mut report.project {
        project.name = nasty.to_owned();
        project.go_line = Some(nasty.to_owned());
    }
    report.environment = vec![variable("GOPROXY", nasty, nasty)];
    let finding = &mut report.findings[0];
    finding.title = nasty.to_owned();
    finding.why = nasty.to_owned();
    finding.evidence = vec![Evidence::text(nasty, nasty)];
    finding.verify.clone_from(&line);
    finding.location = Some(Location { file: format!("/src/shop/{nasty}"), line: 0 });
    finding.remedies = vec![Remedy {
        place: nasty.to_owned(),
        commands: vec![line.clone()],
        config: Some(format!("a\n\t{line}\nb")),
        valid_for: nasty.to_owned(),
    }];
    report.findings.truncate(1);
    report
}

fn report() -> Report {
    Report {
        schema: SCHEMA.to_owned(),
        goferry: "0.1.0".to_owned(),
        project: Some(ProjectSummary {
            name: "example.com/shop".to_owned(),
            file: "/src/shop/go.mod".to_owned(),
            go_line: Some("1.26.0".to_owned()),
            pruned: true,
            modules: 200,
            mod_files: 230,
            missing_hashes: 0,
            zip_bytes: 10_000_000,
            zips_known: 60,
        }),
        environment: vec![
            variable("GOPROXY", "https://goproxy.example.com,direct", "environment"),
            variable("GOFLAGS", "-mod=mod", "/home/gopher/.config/go/env:3"),
            variable("GOSUMDB", "sum.golang.org", "default"),
        ],
        paths: vec![PathSummary {
            entry: "https://goproxy.example.com".to_owned(),
            position: 0,
            via: None,
            used_by_go: true,
            hops: vec![
                hop("go", "go1.27.3", "", None),
                hop("server", "goproxy.example.com (nginx 1.28.0)", "HTTP/2", Some(50.2)),
            ],
            tls: Some("TLSv1.3".to_owned()),
            alpn: Some("h2".to_owned()),
            http: Some("HTTP/2".to_owned()),
            settings: vec![variable("MAX_CONCURRENT_STREAMS", "128", "SETTINGS")],
            phases: vec![
                phase("DNS A", 2, 0, [0.42, 0.9, 1.4, 1.4]),
                phase("TCP IPv4", 4, 0, [50.1, 50.3, 51.9, 51.9]),
                phase("TLS", 4, 0, [52.0, 52.4, 55.0, 55.0]),
                phase("request, one after another", 8, 0, [50.2, 50.9, 61.0, 1250.0]),
            ],
            requests: 40,
            connections: 4,
            goodput: vec![
                GoodputSummary { flows: 1, mbit_per_s: 93.42, bytes: 4_000_000 },
                GoodputSummary { flows: 4, mbit_per_s: 188.0, bytes: 8_000_000 },
            ],
        }],
        findings: Vec::new(),
        prediction: Some(prediction(11.87, &[], 11.87)),
    }
}

fn prediction(now_s: f64, with: &[(Id, f64)], all_s: f64) -> PredictionSummary {
    PredictionSummary {
        now_s,
        with: with.iter().map(|&(id, seconds)| Remedied { id, seconds }).collect(),
        all_s,
        multiplexed_s: 0.84,
        inputs: serde_json::to_value(PriceInputs {
            project: Project::uniform(3, 50_000),
            client: Client::default(),
            path: Path::default(),
            costs: HostCosts::default(),
        })
        .unwrap(),
    }
}

fn variable(name: &str, value: &str, origin: &str) -> Variable {
    Variable { name: name.to_owned(), value: value.to_owned(), origin: origin.to_owned() }
}

fn hop(role: &str, name: &str, protocol: &str, rtt_ms: Option<f64>) -> Hop {
    Hop { role: role.to_owned(), name: name.to_owned(), protocol: protocol.to_owned(), rtt_ms, broken: false }
}

fn phase(name: &str, count: usize, failed: usize, [min_ms, p50_ms, p95_ms, max_ms]: [f64; 4]) -> PhaseSummary {
    PhaseSummary { phase: name.to_owned(), count, failed, min_ms, p50_ms, p95_ms, max_ms }
}

fn stripped() -> Finding {
    Finding {
        id: Id::Http2StrippedByProxy,
        title: "squid 6.6 intercepts TLS and answers without h2, so every request is HTTP/1.1".to_owned(),
        severity: Severity::Warning,
        confidence: Confidence::Measured,
        evidence: vec![
            Evidence::text("certificate issuer on this path", "CN=Example Corp Inspection CA"),
            Evidence::text("ALPN offered and chosen", "h2, http/1.1; none"),
            Evidence::number("request round trip, p50", 50.9, "ms"),
        ],
        why: "Over HTTP/1.1 net/http keeps 2 idle connections a host (net/http/transport.go, DefaultMaxIdleConnsPerHost): \
              with more requests at once connections are opened and thrown away."
            .to_owned(),
        cost: Some(Cost {
            seconds_min: 5.2,
            seconds_max: 8.3,
            basis: "predicted 12.63 s now and 5.90 s over one shared HTTP/2 connection".to_owned(),
        }),
        remedies: vec![
            Remedy {
                place: "Squid, squid.conf".to_owned(),
                commands: vec!["squid -k parse && squid -k reconfigure".to_owned()],
                config: Some("acl goproxy ssl::server_name goproxy.example.com\nssl_bump splice goproxy".to_owned()),
                valid_for: "Squid 3.5 and newer".to_owned(),
            },
            Remedy {
                place: "the go command, past the proxy".to_owned(),
                commands: vec!["export NO_PROXY=goproxy.example.com".to_owned()],
                config: None,
                valid_for: "every Go; only where the direct way is open".to_owned(),
            },
        ],
        verify: "goferry doctor --fail-on warning".to_owned(),
        docs: Id::Http2StrippedByProxy.page(),
        location: None,
    }
}

fn gomaxprocs() -> Finding {
    Finding {
        id: Id::GomaxprocsLow,
        title: "GOMAXPROCS is 2 (from the environment variable): so many requests at once".to_owned(),
        severity: Severity::Warning,
        confidence: Confidence::Derived,
        evidence: vec![
            Evidence::number("GOMAXPROCS of the go command", 2.0, ""),
            Evidence::text("set in /src/shop/Dockerfile:7", "ENV GOMAXPROCS=2"),
        ],
        why: "The width of the .mod queue and of the zip semaphore is GOMAXPROCS.".to_owned(),
        cost: Some(Cost {
            seconds_min: 1.9,
            seconds_max: 3.1,
            basis: "predicted 12.63 s now and 10.10 s with 8".to_owned(),
        }),
        remedies: vec![Remedy {
            place: "your files: the line that sets it".to_owned(),
            commands: vec!["goferry fix gomaxprocs-low".to_owned(), "goferry fix gomaxprocs-low --apply".to_owned()],
            config: None,
            valid_for: String::new(),
        }],
        verify: "GOMAXPROCS=8 go mod download".to_owned(),
        docs: Id::GomaxprocsLow.page(),
        location: Some(Location { file: "/src/shop/Dockerfile".to_owned(), line: 7 }),
    }
}

fn serial() -> Finding {
    Finding {
        id: Id::SerialRequests,
        title: "200 .info files are asked for one after another".to_owned(),
        severity: Severity::Info,
        confidence: Confidence::Derived,
        evidence: vec![Evidence::number("round trips in a row", 200.0, "")],
        why: "cmd/go/internal/modload/build.go asks for each module's .info by itself.".to_owned(),
        cost: Some(Cost {
            seconds_min: 8.3,
            seconds_max: 11.87,
            basis: "predicted 11.87 s now and 0.84 s over one connection that asks for everything at once".to_owned(),
        }),
        remedies: vec![Remedy {
            place: "your CI: keep the downloaded files between runs".to_owned(),
            commands: vec!["echo \"$(go env GOMODCACHE)/cache/download\"".to_owned()],
            config: None,
            valid_for: "every Go".to_owned(),
        }],
        verify: "go mod download -x".to_owned(),
        docs: Id::SerialRequests.page(),
        location: None,
    }
}
