//! `goferry serve`.

mod log;
mod settings;
mod status;

use std::sync::Arc;

use goferry_env::{Environment, Inputs};
use goferry_proxy::config::{Auth, Settings, SourceMode};
use goferry_proxy::server::{Changed, Server, Stop};
use goferry_proxy::{Proxy, Watch};
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) use self::settings::store;
use crate::args::serve::Serve;
use crate::exit_code;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;

/// Serves until told to stop.
pub(crate) fn run(args: &Serve, printer: &Printer) -> Outcome {
    if let Some(url) = &args.status {
        return status::run(url, printer);
    }
    let inputs = Inputs::from_process(".");
    let (settings, env) = settings::read(args, &inputs)?;
    if args.check {
        printer.result(&settings::shown(&settings, &env))?;
        return Ok(exit_code::OK);
    }
    let logs = log::start(&settings.config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the system gives no event queue: {error}")))?;
    runtime.block_on(async {
        // Before anything is said: whoever has read that it listens may send them.
        let mut signals = Signals::new()?;
        let proxy =
            Proxy::open(settings.config.clone(), &inputs, &env).map_err(|error| Failure::failed(error.to_string()))?;
        let watch = Arc::clone(proxy.watch());
        let server = Server::bind(Arc::new(proxy)).map_err(|error| Failure::failed(format!("listening: {error}")))?;
        let server = Arc::new(server);
        let mut said = lines(&server, &settings, &env);
        said.iter().for_each(|line| printer.note(line));
        let (sender, stop) = Stop::new();
        let running = tokio::spawn(Arc::clone(&server).run(stop));
        let mut current = settings;
        while signals.next().await == Asked::Reload {
            // go env, the store and the files of users are read: not on a thread that serves.
            let (args, inputs, watched) = (args.clone(), inputs.clone(), Arc::clone(&watch));
            let serving = Arc::clone(&server);
            match tokio::task::spawn_blocking(move || reload(&args, &inputs, watched, &serving)).await {
                Ok(Ok((settings, env, changed))) => {
                    logs.set(&settings.config);
                    for place in changed.closed {
                        let drain = settings.config.drain.as_secs();
                        tracing::info!("no longer listening on {place}; connections to it may end within {drain} s");
                    }
                    for place in changed.opened {
                        tracing::info!("listening on {place}");
                    }
                    let now = lines(&server, &settings, &env);
                    for line in now.iter().filter(|line| !said.contains(line)) {
                        tracing::info!("{line}");
                    }
                    tracing::info!(rules = settings.config.rules.len(), "settings were read again and are in effect");
                    (current, said) = (settings, now);
                }
                Ok(Err(failure)) => {
                    // It may have been opened anew before the rest failed.
                    let _ = watch.set_up(&current.config);
                    tracing::error!(
                        "settings were read again and cannot be used; the old ones stay: {}",
                        failure.message
                    );
                }
                Err(error) => tracing::error!(%error, "settings could not be read again; the old ones stay"),
            }
        }
        let _ = sender.send(true);
        let _ = running.await;
        Ok(exit_code::OK)
    })
}

/// Reads the settings again and puts them into effect, all or none.
fn reload(
    args: &Serve,
    inputs: &Inputs,
    watch: Arc<Watch>,
    server: &Server,
) -> Result<(Settings, Environment, Changed), Failure> {
    let (settings, env) = settings::read(args, inputs)?;
    let prepared = server.prepare(&settings.config).map_err(|error| Failure::failed(format!("listening: {error}")))?;
    watch.set_up(&settings.config).map_err(|error| Failure::failed(error.to_string()))?;
    let proxy = Proxy::open_watched(settings.config.clone(), inputs, &env, watch)
        .map_err(|error| Failure::failed(error.to_string()))?;
    let changed = server.apply(prepared, Arc::new(proxy));
    Ok((settings, env, changed))
}

/// What to do with it, and what it does: a line each.
fn lines(server: &Server, settings: &Settings, env: &Environment) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(authority) = server.authority() {
        lines.push(format!("export SSL_CERT_FILE={}", authority.display()));
    }
    lines.extend(server.urls().iter().map(|url| format!("export GOPROXY={url}")));
    lines.extend(server.sockets().iter().map(|socket| format!("listening on {}", socket.display())));
    let around = env.value("GONOPROXY");
    if !around.is_empty() && around != "none" {
        lines.push(format!("export GONOPROXY=none  # else go commands fetch {around} past this proxy"));
    }
    let reached = |address: &std::net::SocketAddr| !address.ip().is_loopback();
    if settings.config.auth != Auth::Open && settings.config.tls.is_none() && server.addresses().iter().any(reached) {
        let text = "what clients say to be let in can be read on the way: speak TLS, here or in front of it";
        lines.push(text.to_owned());
    }
    lines.push(format!("store: {}", settings.config.store.display()));
    lines.push(match settings.config.source {
        SourceMode::Fetch => format!("upstream: {}", settings::upstream(settings, env)),
        SourceMode::Offline => "upstream: none (--offline): only what the store has is served".to_owned(),
        SourceMode::Frozen => {
            "upstream: none (--frozen): only what the store has is served, and nothing written".to_owned()
        }
    });
    lines.push(format!("rules: {}", settings.config.rules.len()));
    lines
}

/// What a signal asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Reload,
    Stop,
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Signals, Failure> {
        let of = |kind| signal(kind).map_err(|error| Failure::failed(format!("signals cannot be waited for: {error}")));
        Ok(Signals {
            hangup: of(SignalKind::hangup())?,
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
        }
    }
}
