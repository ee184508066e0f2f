//! Events of the libraries on standard error. Requests have a log of their own.

use std::io::IsTerminal as _;

use goferry_proxy::ProxyConfig;
use goferry_proxy::config::LogFormat;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt};

/// Changes what is logged.
pub(super) struct Logs(Handle<LevelFilter, Registry>);

impl Logs {
    pub(super) fn set(&self, level: LevelFilter) {
        // It fails only where there is no subscriber any more, and then nobody reads.
        let _ = self.0.reload(level);
    }
}

/// Begins to log.
pub(super) fn start(config: &ProxyConfig) -> Logs {
    let (level, handle) = reload::Layer::new(config.log_level);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed(),
    };
    let _ = tracing_subscriber::registry().with(level).with(lines).try_init();
    Logs(handle)
}
