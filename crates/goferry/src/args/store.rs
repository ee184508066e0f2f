//! The command line of `goferry store`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use goferry_proxy::config::{parse_size, parse_time};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  goferry store list
  goferry store verify --repair
  goferry store prune --max-size 20GB --dry-run
  goferry store size --store $(go env GOMODCACHE)/cache/download
Each may be used while a server uses the store.")]
pub(crate) struct Store {
    #[command(subcommand)]
    pub(crate) what: What,
    /// The folder of the store; one in the user's cache folder where nothing is said.
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) store: Option<PathBuf>,
    /// Print JSON (goferry.store/1).
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress and no notes.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// What is there: modules, versions, files, when they were used last; exit with 1 where nothing of MODULE is there.
    List {
        /// Only this module, or this version of it, or all below this path.
        #[arg(value_name = "MODULE[@VERSION]")]
        module: Option<String>,
    },
    /// Read every file and compare it with its hash; exit with 1 where one is damaged.
    Verify {
        /// Put what is damaged into quarantine: a server fetches it again.
        #[arg(long)]
        repair: bool,
    },
    /// How much space is taken, and by what.
    Size,
    /// Remove what was not used for longest; hashes that were seen first stay known.
    #[command(group(ArgGroup::new("limits").args(["max_size", "older_than"]).required(true).multiple(true)))]
    Prune {
        /// Until the store takes this much space.
        #[arg(long, value_name = "SIZE", value_parser = parse_size)]
        max_size: Option<u64>,
        /// What was not used for this long, as 30d or 12h.
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        older_than: Option<Duration>,
        /// Only say what would be removed.
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
    /// Remove a module, or one version of it, with the hashes that were seen first.
    Forget {
        /// The module, or one version of it.
        #[arg(value_name = "MODULE[@VERSION]")]
        module: String,
    },
}
