//! The settings of a proxy out of a file and flags, checked as a whole.

use std::fmt;
use std::path::{Path, PathBuf};

use goferry_module::ProxyList;

use super::file::{self, Said};
use super::keys::{AuthKind, Draft, KEYS, Key, takes};
use super::value::Given;
use super::{Action, Auth, Listen, ProxyConfig, SourceMode, Tls};

/// Where settings come from.
#[derive(Clone, Default)]
pub struct Sources {
    /// The settings file.
    pub file: Option<PathBuf>,
    /// What flags say: the name of the setting and its value. They win over the file.
    pub flags: Vec<(&'static str, Given)>,
    /// The folder of the store where nothing is said.
    pub store: Option<PathBuf>,
}

/// Where a setting comes from, or what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is the default.
    Default,
    /// A line of a file, from 1 on; `None` for the file as a whole.
    File(PathBuf, Option<usize>),
    /// A flag.
    Flag(&'static str),
    /// A variable of the go command, and where that has its value from.
    Variable(&'static str, String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Default => f.write_str("default"),
            Place::File(path, Some(line)) => write!(f, "{}:{line}", path.display()),
            Place::File(path, None) => write!(f, "{}", path.display()),
            Place::Flag(flag) => f.write_str(flag),
            Place::Variable(name, origin) => write!(f, "{name}, {origin}"),
        }
    }
}

/// What is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is written.
    pub place: Place,
    /// The setting.
    pub key: Option<String>,
    /// What is wrong. No credentials.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(key) = &self.key
            && !matches!(self.place, Place::Flag(_))
        {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.what)
    }
}

/// All that is wrong: at least one thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// From the top of the file to its end, then the flags.
    #[must_use]
    pub fn new(mut problems: Vec<Problem>) -> Problems {
        problems.sort_by_key(|problem| match problem.place {
            Place::File(_, line) => (0, line),
            _ => (1, None),
        });
        Problems(problems)
    }
}

/// Settings that can be used, and where each comes from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The settings.
    pub config: ProxyConfig,
    /// For each of [`KEYS`].
    places: Vec<Place>,
    /// For each rule its line.
    rules: Vec<Place>,
}

impl Settings {
    /// Reads and checks everything. `goproxy` is the upstream where no setting names one.
    ///
    /// # Errors
    /// All that is wrong, not only the first of it.
    pub fn read(sources: &Sources, goproxy: Option<&ProxyList>) -> Result<Settings, Problems> {
        let (settings, problems) = Settings::gather(sources, goproxy);
        if problems.is_empty() { Ok(settings) } else { Err(Problems::new(problems)) }
    }

    /// The same where more is to be looked at: what can be used, and all that is wrong so far.
    #[must_use]
    pub fn gather(sources: &Sources, goproxy: Option<&ProxyList>) -> (Settings, Vec<Problem>) {
        let store = sources.store.clone().unwrap_or_default();
        let config = ProxyConfig { store, ..ProxyConfig::default() };
        let mut draft = Draft {
            config,
            base: PathBuf::new(),
            offline: false,
            frozen: false,
            tls_cert: None,
            tls_key: None,
            tls_self_signed: false,
            auth: AuthKind::None,
            auth_file: None,
        };
        let mut places = vec![Place::Default; KEYS.len()];
        let mut rules = Vec::new();
        let mut problems = Vec::new();
        if let Some(path) = &sources.file {
            let Said { values, rules: said, problems: found } = file::read(path);
            problems.extend(found);
            draft.base = path.parent().unwrap_or(Path::new("")).to_owned();
            for (key, line, value) in values {
                let place = Place::File(path.clone(), Some(line));
                set(&mut draft, &mut places, key, &value, place, &mut problems);
            }
            for (line, rule) in said {
                draft.config.rules.push(rule);
                rules.push(Place::File(path.clone(), Some(line)));
            }
        }
        draft.base = PathBuf::new();
        for (name, value) in &sources.flags {
            if let Some(key) = KEYS.iter().position(|key| key.name == *name) {
                let place = Place::Flag(KEYS[key].flag.unwrap_or(name));
                set(&mut draft, &mut places, key, value, place, &mut problems);
            }
        }
        let whole = Whole { places: &places, rules: &rules, problems: &mut problems };
        let config = whole.finish(draft, goproxy);
        (Settings { config, places, rules }, problems)
    }

    /// Where a setting comes from.
    #[must_use]
    pub fn place(&self, name: &str) -> &Place {
        KEYS.iter().position(|key| key.name == name).map_or(&Place::Default, |index| &self.places[index])
    }

    /// Each setting with its value, empty where it is not set, and where that comes from.
    pub fn all(&self) -> impl Iterator<Item = (&'static Key, String, &Place)> {
        KEYS.iter().zip(&self.places).map(|(key, place)| (key, key.value(&self.config), place))
    }

    /// Each rule in words, and where it is written.
    pub fn rules(&self) -> impl Iterator<Item = (String, &Place)> {
        self.config.rules.iter().zip(&self.rules).map(|(rule, place)| {
            let action = match &rule.action {
                Action::Upstream(list) => format!("upstream {list}"),
                Action::Block(message) => format!("block {message:?}"),
                Action::Private => "private".to_owned(),
            };
            (format!("{}: {action}", rule.pattern), place)
        })
    }
}

fn set(draft: &mut Draft, places: &mut [Place], key: usize, value: &Given, place: Place, problems: &mut Vec<Problem>) {
    match (KEYS[key].set)(draft, value) {
        Ok(()) => places[key] = place,
        Err(what) => problems.push(Problem { place, key: Some(KEYS[key].name.to_owned()), what }),
    }
}

/// What settings must be together.
struct Whole<'a> {
    places: &'a [Place],
    rules: &'a [Place],
    problems: &'a mut Vec<Problem>,
}

impl Whole<'_> {
    fn place(&self, name: &str) -> Place {
        KEYS.iter().position(|key| key.name == name).map_or(Place::Default, |index| self.places[index].clone())
    }

    fn wrong(&mut self, key: &'static str, what: impl Into<String>) {
        let place = self.place(key);
        self.problems.push(Problem { place, key: Some(key.to_owned()), what: what.into() });
    }

    fn by_flag(&self, name: &str) -> bool {
        matches!(self.place(name), Place::Flag(_))
    }

    fn finish(mut self, mut draft: Draft, goproxy: Option<&ProxyList>) -> ProxyConfig {
        let mut config = std::mem::take(&mut draft.config);
        if config.store.as_os_str().is_empty() {
            self.wrong("store", "there is no cache folder of a user here: name a folder for the store");
        }
        config.source = match (draft.offline, draft.frozen) {
            (_, true) => SourceMode::Frozen,
            (true, false) => SourceMode::Offline,
            (false, false) => SourceMode::Fetch,
        };
        if config.source == SourceMode::Frozen && config.max_size.is_some() {
            self.wrong("max-size", "a frozen store is not written, so nothing can be taken out of it");
        }
        // A flag wins over what the file says the other way.
        let pair = self.by_flag("tls.cert") || self.by_flag("tls.key");
        match (self.by_flag("tls.self-signed"), pair) {
            (true, false) => (draft.tls_cert, draft.tls_key) = (None, None),
            (false, true) => draft.tls_self_signed = false,
            _ => {}
        }
        if draft.auth == AuthKind::None && self.by_flag("auth.kind") && !self.by_flag("auth.file") {
            draft.auth_file = None;
        }
        config.tls = match (draft.tls_self_signed, draft.tls_cert, draft.tls_key) {
            (false, None, None) => None,
            (false, Some(cert), Some(key)) => Some(Tls::Files { cert, key }),
            (true, None, None) => Some(Tls::SelfSigned),
            (true, ..) => {
                self.wrong("tls.self-signed", "it is either this or a certificate with its key");
                None
            }
            (false, Some(_), None) => {
                self.wrong("tls.cert", "a certificate needs its key: tls.key, --tls-key");
                None
            }
            (false, None, Some(_)) => {
                self.wrong("tls.key", "a key needs its certificate: tls.cert, --tls-cert");
                None
            }
        };
        config.auth = match (draft.auth, draft.auth_file) {
            (AuthKind::None, None) => Auth::Open,
            (AuthKind::Basic, Some(file)) => Auth::Basic(file),
            (AuthKind::Bearer, Some(file)) => Auth::Bearer(file),
            (AuthKind::None, Some(_)) => {
                self.wrong("auth.file", "is read by nobody: auth.kind, --auth, says none; basic or bearer is wanted");
                Auth::Open
            }
            (_, None) => {
                self.wrong("auth.kind", "needs a file of names and secrets: auth.file, --auth-file");
                Auth::Open
            }
        };
        for (index, listen) in config.listen.iter().enumerate() {
            let free = matches!(listen, Listen::Tcp(address) if address.port() == 0);
            if !free && config.listen[..index].contains(listen) {
                self.wrong("listen", "the same address twice");
            }
        }
        self.own_upstream(&config, goproxy);
        config
    }

    /// Nobody is their own upstream.
    fn own_upstream(&mut self, config: &ProxyConfig, goproxy: Option<&ProxyList>) {
        if config.source != SourceMode::Fetch {
            return;
        }
        let own = |list: &ProxyList| {
            let listens = |host: &str, port: u16| {
                config.listen.iter().any(|listen| matches!(listen, Listen::Tcp(address) if takes(*address, host, port)))
            };
            list.urls()
                .map(|(url, _)| url)
                .find(|url| !url.host().is_empty() && listens(url.host(), url.port_or_default()))
                .map(ToString::to_string)
        };
        match (&config.upstream, goproxy) {
            (Some(list), _) => {
                if let Some(url) = own(list) {
                    self.wrong("upstream", format!("{url} is this proxy itself: name the one behind it"));
                }
            }
            (None, Some(list)) => {
                if let Some(url) = own(list) {
                    self.problems.push(Problem {
                        place: Place::Variable("GOPROXY", "of the go command here".to_owned()),
                        key: None,
                        what: format!(
                            "{url} is this proxy itself: name whom it fetches from, with upstream or --upstream"
                        ),
                    });
                }
            }
            (None, None) => {}
        }
        for (rule, place) in config.rules.iter().zip(self.rules) {
            if let Action::Upstream(list) = &rule.action
                && let Some(url) = own(list)
            {
                let what = format!("{url} is this proxy itself: name the one behind it");
                self.problems.push(Problem { place: place.clone(), key: Some("rule.upstream".to_owned()), what });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn read(file: &str, flags: &[(&'static str, Given)]) -> Result<Settings, Vec<String>> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("goferry.toml");
        std::fs::write(&path, file).expect("a file");
        let goproxy = ProxyList::parse("https://goproxy.example.com,direct").ok();
        let sources = Sources { file: Some(path), flags: flags.to_vec(), store: Some("/store".into()) };
        let said = |problem: &Problem| problem.to_string().replace(&format!("{}/", dir.path().display()), "");
        Settings::read(&sources, goproxy.as_ref()).map_err(|problems| problems.0.iter().map(said).collect())
    }

    fn text(text: &str) -> Given {
        Given::Text(text.to_owned())
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let file = "listen = [\"127.0.0.1:8080\", \"nowhere\"]\npath-prefix = \"go/\"\ndrain = 30\n\
            max-size = \"ten\"\nsumdb = \"a b c\"\ndirect = \"[\"\nahead = \"yes\"\n\
            [limits]\nstreams = 0\n[tls]\ncert = \"c.pem\"\n[auth]\nkind = \"basic\"\n";
        let problems = read(file, &[("upstream", text("http://u:hunter2@"))]).expect_err("all wrong");
        let begins = [
            "goferry.toml:6: direct: ",
            "goferry.toml:7: ahead: ",
            "goferry.toml:13: auth.kind: needs a file",
            "goferry.toml:3: drain: a time is wanted",
            "goferry.toml:9: limits.streams: 0 is not between 1 and 10000",
            "goferry.toml:1: listen: \"nowhere\" is no address",
            "goferry.toml:4: max-size: a size is wanted",
            "goferry.toml:2: path-prefix: ",
            "goferry.toml:5: sumdb: ",
            "goferry.toml:11: tls.cert: a certificate needs its key",
            "--upstream: ",
        ];
        for begin in begins {
            assert!(problems.iter().any(|problem| problem.starts_with(begin)), "{begin}: {problems:#?}");
        }
        assert_eq!(problems.len(), begins.len(), "{problems:#?}");
        assert!(!problems.concat().contains("hunter2"), "{problems:#?}");
    }

    #[test]
    fn flags_win_and_places_are_known() {
        let file = "listen = \"127.0.0.1:1\"\nmax-size = \"1GB\"\n[auth]\nkind = \"basic\"\nfile = \"users\"\n";
        let settings = read(file, &[("max-size", text("2GB")), ("auth.kind", text("none"))]).expect("fine");
        assert_eq!(settings.config.max_size, Some(2_000_000_000));
        assert_eq!(settings.config.auth, Auth::Open);
        assert_eq!(settings.place("max-size"), &Place::Flag("--max-size"));
        assert!(matches!(settings.place("listen"), Place::File(_, Some(1))));
        assert_eq!(settings.place("drain"), &Place::Default);
        let tls = "[tls]\ncert = \"c.pem\"\nkey = \"k.pem\"\n";
        let settings = read(tls, &[("tls.self-signed", Given::Switch(true))]).expect("fine");
        assert_eq!(settings.config.tls, Some(Tls::SelfSigned));
    }

    #[test]
    fn paths_are_meant_from_the_folder_of_the_file() {
        let settings = read("store = \"s\"\n[auth]\nkind = \"bearer\"\nfile = \"/t\"\n", &[]).expect("fine");
        assert!(settings.config.store.is_absolute() && settings.config.store.ends_with("s"));
        assert_eq!(settings.config.auth, Auth::Bearer("/t".into()));
        let settings = read("", &[("store", text("s"))]).expect("fine");
        // As seen from here, wherever a go command then runs.
        assert_eq!(settings.config.store, std::path::absolute("s").expect("a folder"));
    }

    #[test]
    fn credentials_that_would_never_be_sent() {
        let list = "https://goproxy.example.com|http://ann:hunter2@goproxy.example.com";
        let rule = format!("[[rule]]\npattern = \"example.com\"\nupstream = \"{list}\"\n");
        for problems in [read("", &[("upstream", text(list))]), read(&rule, &[])] {
            let problems = problems.expect_err("over http://");
            assert!(problems[0].contains("over https:// only") && !problems[0].contains("hunter2"), "{problems:?}");
        }
        read("", &[("upstream", text("https://ann:hunter2@goproxy.example.com"))]).expect("fine");
    }

    #[test]
    fn nobody_is_their_own_upstream() {
        for (listen, upstream) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("127.0.0.1:8080", "http://LOCALHOST:8080/go,direct"),
            ("0.0.0.0:80", "https://goproxy.example.com|http://127.0.0.1"),
            ("[::]:8080", "http://[::1]:8080"),
            ("0.0.0.0:443", "localhost.:443"),
            ("127.0.0.1:8080", "http://0.0.0.0:8080"),
        ] {
            let flags = [("listen", text(listen)), ("upstream", text(upstream))];
            let problems = read("", &flags).expect_err(upstream);
            assert!(problems[0].starts_with("--upstream: ") && problems[0].contains("itself"), "{problems:?}");
            let rule = format!("[[rule]]\npattern = \"example.com\"\nupstream = \"{upstream}\"\n");
            let problems = read(&rule, &flags[..1]).expect_err(upstream);
            assert!(problems[0].starts_with("goferry.toml:1: rule.upstream: "), "{problems:?}");
            // Who fetches nothing has no upstream.
            read("offline = true", &flags).expect("fine");
        }
        for (listen, upstream) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8081"),
            ("127.0.0.1:8080", "http://goproxy.example.com:8080"),
            ("127.0.0.1:0", "http://127.0.0.1:80"),
            ("127.0.0.1:8080", "http://127.0.0.2:8080"),
            ("0.0.0.0:8080", "http://192.0.2.1:8080"),
        ] {
            read("", &[("listen", text(listen)), ("upstream", text(upstream))]).expect(upstream);
        }
        let goproxy = ProxyList::parse("http://127.0.0.1:8080").ok();
        let sources = Sources { store: Some("/store".into()), ..Sources::default() };
        let problems = Settings::read(&sources, goproxy.as_ref()).expect_err("the same port");
        assert!(problems.to_string().starts_with("GOPROXY, "), "{problems}");
    }

    #[test]
    fn what_is_not_there() {
        let sources = Sources { file: Some("/nowhere/g.toml".into()), ..Sources::default() };
        let problems = Settings::read(&sources, None).expect_err("no file");
        let said = problems.to_string();
        assert!(said.starts_with("/nowhere/g.toml: cannot be read: "), "{said}");
        assert!(said.contains("\ndefault: store: there is no cache folder"), "{said}");
    }

    /// Each setting takes what it shows, and a field of the settings without a key is found here.
    #[test]
    fn every_field_has_a_key_and_every_key_is_read_back() {
        let fields = |debug: &str| -> BTreeSet<String> {
            let name = |line: &str| {
                let name = line.trim_start().split_once(": ")?.0;
                let depth = (line.len() - line.trim_start().len()) / 4;
                (depth <= 2 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')).then(|| name.to_owned())
            };
            debug.lines().filter_map(name).collect()
        };
        let known: BTreeSet<String> = KEYS
            .iter()
            .map(|key| key.name.rsplit('.').next().unwrap_or_default().replace('-', "_"))
            .chain(["source", "tls", "auth", "rules", "freshness", "client", "limits"].map(str::to_owned))
            .collect();
        let found = fields(&format!("{:#?}", ProxyConfig::default()));
        let missing: Vec<_> = found.difference(&known).collect();
        assert!(missing.is_empty(), "settings without a key in config/keys.rs: {missing:?}");

        let names: BTreeSet<_> = KEYS.iter().map(|key| key.name).collect();
        assert_eq!(names.len(), KEYS.len(), "a name twice");
        for key in KEYS {
            let shown = key.value(&ProxyConfig::default());
            if shown.is_empty() || matches!(key.name, "offline" | "frozen" | "auth.kind") {
                continue;
            }
            let given = match (shown.parse(), shown.parse()) {
                (Ok(switch), _) => Given::Switch(switch),
                (_, Ok(number)) => Given::Number(number),
                _ => text(&shown),
            };
            let settings = read("", &[(key.name, given)]).unwrap_or_else(|error| panic!("{}: {error:?}", key.name));
            assert_eq!(key.value(&settings.config), shown, "{}", key.name);
        }
    }
}
