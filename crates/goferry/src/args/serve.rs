//! The command line of the proxy and its store.

use std::path::PathBuf;

use clap::Args;
use goferry_proxy::config::Given;

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  goferry serve                              for this machine, on port 8080
  goferry serve --listen 0.0.0.0:8080        for others too
  goferry serve --config goferry.toml --check
  GOPROXY=http://127.0.0.1:8080 go build     a go command that uses it
Every flag is a setting of the file too, and wins over it. All settings, rules
for some modules, users and TLS: docs/serve.md. SIGHUP reads the file again,
SIGTERM ends.")]
pub(crate) struct Serve {
    /// Where to listen, IP:PORT or unix:PATH; may be given several times [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<String>,
    /// The folder of the store [default: goferry/store in the user's cache folder].
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<String>,
    /// Whom modules are fetched from, as in GOPROXY [default: the go command's own GOPROXY].
    #[arg(long, value_name = "LIST")]
    pub(crate) upstream: Option<String>,
    /// A file of settings, in TOML.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Show the settings in effect and where each comes from; nothing is started.
    #[arg(long)]
    pub(crate) check: bool,
    /// Show what the proxy at URL does: its connections, and whether it is ready (exit code 1 where it is not).
    #[arg(long, value_name = "URL")]
    pub(crate) status: Option<String>,
    /// What all paths begin with, as /go.
    #[arg(long, value_name = "PATH")]
    pub(crate) path_prefix: Option<String>,
    /// The checksum database, as in GOSUMDB, or off [default: the go command's own].
    #[arg(long, value_name = "NAME")]
    pub(crate) sumdb: Option<String>,
    /// Modules that it is not asked about, as in GONOSUMDB.
    #[arg(long, value_name = "PATTERNS")]
    pub(crate) no_sumdb: Option<String>,
    /// Modules that the go command fetches from their repositories, as in GONOPROXY.
    #[arg(long, value_name = "PATTERNS")]
    pub(crate) direct: Option<String>,
    /// Fetch nothing: serve what the store has.
    #[arg(long)]
    pub(crate) offline: bool,
    /// Fetch and write nothing: the store may be the cache/download of a module cache in use.
    #[arg(long)]
    pub(crate) frozen: bool,
    /// With --frozen: give away the modules of GOPRIVATE too.
    #[arg(long)]
    pub(crate) allow_private: bool,
    /// Keep the store below this, as 10GB or 512MiB; what was not used for longest goes first.
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_size: Option<String>,
    /// Fetch nothing before it is asked for.
    #[arg(long)]
    pub(crate) no_ahead: bool,
    /// Most connections to one upstream; how many are used is decided by measurement.
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) connections: Option<i64>,
    /// How long requests may take to end after SIGTERM [default: 30s].
    #[arg(long, value_name = "TIME")]
    pub(crate) drain: Option<String>,
    /// Speak TLS, with this certificate chain in PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_cert: Option<String>,
    /// Its private key in PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key: Option<String>,
    /// Speak TLS with a certificate that is made now, for trials.
    #[arg(long)]
    pub(crate) tls_self_signed: bool,
    /// Who may ask: none (everyone), basic or bearer.
    #[arg(long, value_name = "KIND")]
    pub(crate) auth: Option<String>,
    /// The names and passwords, or the tokens, one a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) auth_file: Option<String>,
    /// How requests are logged: text or json.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
    /// What is logged beside requests: off, error, warn, info, debug or trace [default: info].
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

impl Serve {
    /// What the flags say, as settings.
    pub(crate) fn given(&self) -> Vec<(&'static str, Given)> {
        let mut given = Vec::new();
        if !self.listen.is_empty() {
            given.push(("listen", Given::Texts(self.listen.clone())));
        }
        let texts = [
            ("store", &self.store),
            ("upstream", &self.upstream),
            ("path-prefix", &self.path_prefix),
            ("sumdb", &self.sumdb),
            ("no-sumdb", &self.no_sumdb),
            ("direct", &self.direct),
            ("max-size", &self.max_size),
            ("drain", &self.drain),
            ("tls.cert", &self.tls_cert),
            ("tls.key", &self.tls_key),
            ("auth.kind", &self.auth),
            ("auth.file", &self.auth_file),
            ("log-format", &self.log_format),
            ("log-level", &self.log_level),
        ];
        given.extend(texts.into_iter().filter_map(|(name, text)| Some((name, Given::Text(text.clone()?)))));
        let switches = [
            ("offline", self.offline, true),
            ("frozen", self.frozen, true),
            ("allow-private", self.allow_private, true),
            ("ahead", self.no_ahead, false),
            ("tls.self-signed", self.tls_self_signed, true),
        ];
        let set = switches.into_iter().filter(|(_, said, _)| *said);
        given.extend(set.map(|(name, _, value)| (name, Given::Switch(value))));
        given.extend(self.connections.map(|count| ("fetch.connections", Given::Number(count))));
        given
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{CommandFactory as _, Parser as _};
    use goferry_proxy::config::KEYS;

    use crate::args::{Cli, Command};

    /// The table of settings and the command line name the same flags, and each flag arrives at its setting.
    #[test]
    fn flags_and_settings_agree() {
        let cli = Cli::command();
        let serve = cli.find_subcommand("serve").expect("serve");
        let options: BTreeSet<String> = serve
            .get_arguments()
            .filter_map(|arg| arg.get_long().map(|long| format!("--{long}")))
            .filter(|long| !matches!(long.as_str(), "--config" | "--check" | "--help" | "--version" | "--status"))
            .collect();
        let flags: BTreeSet<String> = KEYS.iter().filter_map(|key| key.flag.map(str::to_owned)).collect();
        assert_eq!(options, flags);
        for key in KEYS {
            let Some(flag) = key.flag else { continue };
            let takes = serve.get_arguments().find(|arg| arg.get_long() == flag.strip_prefix("--"));
            let takes = takes.is_some_and(|arg| arg.get_action().takes_values());
            let line = ["goferry", "serve", flag, "1"].into_iter().take(if takes { 4 } else { 3 });
            let Ok(Cli { command: Command::Serve(args) }) = Cli::try_parse_from(line) else { panic!("{flag}") };
            let names: Vec<_> = args.given().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, [key.name]);
        }
    }
}
