//! Remedies where the module proxy is a goferry: its own settings, and what it says of itself. What it never does by itself
//! (GOAWAY after so many requests, `Connection: close`) is done by what stands in front of it.

use super::{Context, Server, http2, network, run, write};
use crate::finding::{Id, Remedy};

/// The file of its settings. `crates/goferry/tests/serve_observe.rs` has it check each of these.
const SETTINGS: &str = "goferry, the file of its settings (goferry serve --config FILE)";

/// What to do about `id`, where a goferry has something of its own.
pub(super) fn own(id: Id, ctx: &Context) -> Option<Vec<Remedy>> {
    match id {
        Id::Http2NotOffered => Some(vec![tls()]),
        Id::PlainHttp => Some(http2::plain_http(&unknown(ctx)).into_iter().take(1).chain([tls()]).collect()),
        Id::MaxConcurrentStreamsLow => Some(vec![streams(ctx)]),
        Id::StreamReset if ctx.code.as_deref() == Some("REFUSED_STREAM") => Some(vec![streams(ctx)]),
        Id::IdleTimeoutShort => Some(vec![settings(
            "[limits]\nidle = \"5m\"",
            "goferry 0.1.0 and newer (default 3 min); what stands in front of it may be less patient",
        )]),
        Id::GoawayChurn => Some(in_front(ctx, http2::goaway(&unknown(ctx)))),
        Id::Http1ConnectionClose => Some(in_front(ctx, http2::keep_alive(&unknown(ctx)))),
        Id::StreamReset | Id::ConnectionReset => {
            let stall = settings(
                "[limits]\nstall = \"5m\"",
                "goferry 0.1.0 and newer: a client that takes nothing of an answer for so long is cut off (default 1 min)",
            );
            let others = if id == Id::StreamReset { http2::stream_reset(ctx) } else { http2::connection_reset(ctx) };
            Some([status(ctx), stall].into_iter().chain(others).collect())
        }
        Id::UpstreamSlow => Some(vec![status(ctx)]),
        Id::UpstreamStatus if ctx.status.is_some_and(|status| status >= 500) => {
            Some(std::iter::once(status(ctx)).chain(network::upstream_status(ctx)).collect())
        }
        Id::PacketLoss => Some(std::iter::once(status(ctx)).chain(network::packet_loss()).collect()),
        _ => None,
    }
}

fn settings(config: impl Into<String>, valid_for: &str) -> Remedy {
    write(SETTINGS, config, valid_for)
}

fn tls() -> Remedy {
    settings(
        "[tls]\ncert = \"/etc/goferry/tls.crt\"\nkey = \"/etc/goferry/tls.key\"",
        "goferry 0.1.0 and newer, which then offers h2; the certificate must be one that the clients trust; it takes a \
         restart",
    )
}

fn streams(ctx: &Context) -> Remedy {
    let n = ctx.streams.clamp(1, 1024).max(250);
    settings(format!("[limits]\nstreams = {n}"), "goferry 0.1.0 and newer (default 250)")
}

/// What it knows of its upstream.
fn status(ctx: &Context) -> Remedy {
    let ask = format!("goferry serve --status '{}'", ctx.goproxy());
    run(
        "any machine that reaches the proxy: what its upstream's connections do, and whether it is ready",
        [ask.as_str()],
        "goferry 0.1.0 and newer; where it asks who you are, with user and password in the URL or a token in \
         GOFERRY_TOKEN; the fields upstream_seconds and error of its log say the same of each request",
    )
}

/// A goferry does not do this by itself.
fn in_front(ctx: &Context, others: Vec<Remedy>) -> Vec<Remedy> {
    let look = Remedy {
        place: "the goferry: see whether it restarts; else it is what stands in front of it".to_owned(),
        ..status(ctx)
    };
    std::iter::once(look).chain(others).collect()
}

/// Whatever stands in front is not known.
fn unknown(ctx: &Context) -> Context {
    Context { server: Server::unknown(), ..ctx.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::{ServerKind, remedies};
    use super::*;

    fn on(id: Id, set: impl Fn(&mut Context)) -> Vec<Remedy> {
        let mut ctx = Context::new("goproxy.example.com");
        ctx.server = Server::from_headers(Some("goferry/0.1.0"), None, &[]);
        assert_eq!(ctx.server.kind, ServerKind::Goferry);
        set(&mut ctx);
        remedies(id, &ctx)
    }

    #[test]
    fn its_own_settings_come_first_and_no_other_program_is_named() {
        for (id, config) in [
            (Id::Http2NotOffered, "[tls]"),
            (Id::MaxConcurrentStreamsLow, "streams = 250"),
            (Id::IdleTimeoutShort, "idle = \"5m\""),
        ] {
            let all = on(id, |_| {});
            assert_eq!(all.len(), 1, "{id}: {all:?}");
            assert!(all[0].config.as_deref().unwrap().contains(config), "{id}: {all:?}");
        }
        let many = on(Id::MaxConcurrentStreamsLow, |ctx| ctx.streams = 512);
        assert!(many[0].config.as_deref().unwrap().contains("streams = 512"), "{many:?}");
        let refused = on(Id::StreamReset, |ctx| ctx.code = Some("REFUSED_STREAM".to_owned()));
        assert!(refused[0].config.as_deref().unwrap().contains("streams"), "{refused:?}");
    }

    #[test]
    fn what_it_does_not_do_itself_is_looked_for_in_front_of_it() {
        for id in [Id::GoawayChurn, Id::Http1ConnectionClose] {
            let all = on(id, |_| {});
            assert!(all[0].place.contains("in front"), "{id}: {all:?}");
            assert!(all[1..].iter().any(|remedy| remedy.place.starts_with("nginx")), "{id}: {all:?}");
        }
    }

    #[test]
    fn it_is_asked_about_its_upstream() {
        let url = |ctx: &mut Context| ctx.status = Some(502);
        for id in [Id::UpstreamSlow, Id::UpstreamStatus, Id::PacketLoss, Id::ConnectionReset] {
            let all = on(id, url);
            let first = &all[0].commands[0];
            assert_eq!(first, "goferry serve --status 'https://goproxy.example.com'", "{id}");
        }
        let absent = on(Id::UpstreamStatus, |ctx| ctx.status = Some(404));
        assert!(!absent[0].commands.join(" ").contains("--status"), "{absent:?}");
    }
}
