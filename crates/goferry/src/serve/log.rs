//! Events of the libraries on standard error. Requests have a log of their own.

use std::io::IsTerminal as _;

use goferry_proxy::ProxyConfig;
use goferry_proxy::config::LogFormat;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};

/// What lets events of a level through.
type Level = Layered<reload::Layer<LevelFilter, Registry>, Registry>;
/// What writes them.
type Lines = Box<dyn Layer<Level> + Send + Sync>;

/// Changes what is logged, and how.
pub(super) struct Logs {
    level: Handle<LevelFilter, Registry>,
    lines: Handle<Lines, Level>,
}

impl Logs {
    pub(super) fn set(&self, config: &ProxyConfig) {
        // They fail only where there is no subscriber any more, and then nobody reads.
        let _ = self.level.reload(config.log_level);
        let _ = self.lines.reload(lines(config));
    }
}

/// Begins to log.
pub(super) fn start(config: &ProxyConfig) -> Logs {
    let (level_layer, level) = reload::Layer::new(config.log_level);
    let (lines_layer, lines) = reload::Layer::new(lines(config));
    let _ = tracing_subscriber::registry().with(level_layer).with(lines_layer).try_init();
    Logs { level, lines }
}

fn lines(config: &ProxyConfig) -> Lines {
    let lines = fmt::layer().with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed(),
    }
}
