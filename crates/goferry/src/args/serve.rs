//! The command line of the proxy and its store.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  goferry serve                              for this machine, on port 8080
  goferry serve --listen 0.0.0.0:8080        for others too
  GOPROXY=http://127.0.0.1:8080 go build     a go command that uses it")]
pub(crate) struct Serve {
    /// Where to listen; may be given several times.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: Vec<String>,
    /// The folder of the store; one in the user's cache folder where nothing is said.
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Whom modules are fetched from, as in GOPROXY; the go command's own where nothing is said.
    #[arg(long, value_name = "LIST")]
    pub(crate) upstream: Option<String>,
}
