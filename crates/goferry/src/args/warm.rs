//! The command line of `goferry warm`.

use std::path::PathBuf;

use clap::Args;

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  goferry warm                               the project here, into the proxy of GOPROXY
  goferry warm ./service --proxy https://goproxy.example.com
For the first step of a CI job: the proxy fetches what the project's go.mod and
go.sum name, all at once. A proxy that asks who you are: user and password in the
URL, or a token in GOFERRY_TOKEN.")]
pub(crate) struct Warm {
    /// The project's folder.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// The goferry that is to have the files [default: the first URL of GOPROXY].
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// No progress and no summary.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
