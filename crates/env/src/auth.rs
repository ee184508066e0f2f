//! GOAUTH and netrc (`cmd/go/internal/auth`): which credentials the go command would send, never shown.

use std::fmt;
use std::path::PathBuf;

use crate::inputs::{Inputs, Os};
use crate::{mask, read};

const MAX_NETRC: u64 = 1 << 20;

/// One entry of GOAUTH.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum GoAuth {
    /// The netrc file.
    Netrc,
    /// No credentials at all.
    Off,
    /// `git credential fill` in a directory.
    Git {
        /// The directory.
        dir: PathBuf,
    },
    /// A command; only its program is kept, since arguments may be secrets.
    Command {
        /// The program.
        program: String,
    },
}

/// A GOAUTH that the go command refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GoAuthError {
    /// Nothing between two semicolons.
    #[error("GOAUTH has an empty command: remove the extra ';'")]
    Empty,
    /// `off` beside something else.
    #[error("GOAUTH=off cannot be combined with other commands: use one or the other")]
    OffCombined,
    /// `git` without an absolute directory.
    #[error("GOAUTH=git needs one absolute directory")]
    GitDir,
    /// A command with a quotation mark that is not closed.
    #[error("GOAUTH has a command with an unterminated {0} string")]
    Quote(char),
}

/// Parses GOAUTH, a list separated by `;`.
///
/// # Errors
/// Where the go command stops.
pub fn parse_goauth(value: &str) -> Result<Vec<GoAuth>, GoAuthError> {
    let commands: Vec<&str> = value.split(';').map(str::trim).collect();
    commands
        .iter()
        .map(|command| {
            let words: Vec<&str> = command.split_whitespace().collect();
            match words.as_slice() {
                [] => Err(GoAuthError::Empty),
                ["off", ..] if commands.len() > 1 => Err(GoAuthError::OffCombined),
                ["off", ..] => Ok(GoAuth::Off),
                ["netrc", ..] => Ok(GoAuth::Netrc),
                ["git", dir] if std::path::Path::new(dir).is_absolute() => Ok(GoAuth::Git { dir: PathBuf::from(dir) }),
                ["git", ..] => Err(GoAuthError::GitDir),
                [program, ..] => Ok(GoAuth::Command { program: (*program).to_owned() }),
            }
        })
        .collect()
}

/// Splits a command of GOAUTH into program and arguments, with elements in `'` or `"` and no escapes
/// (`cmd/internal/quoted.Split`). The arguments may be secrets.
///
/// # Errors
/// When a quotation mark is not closed.
pub fn split_command(command: &str) -> Result<Vec<String>, GoAuthError> {
    const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];
    let mut words = Vec::new();
    let mut rest = command.trim_start_matches(BLANKS);
    while let Some(first) = rest.chars().next() {
        let (word, after) = if matches!(first, '"' | '\'') {
            rest[1..].split_once(first).ok_or(GoAuthError::Quote(first))?
        } else {
            rest.split_at(rest.find(BLANKS).unwrap_or(rest.len()))
        };
        words.push(word.to_owned());
        rest = after.trim_start_matches(BLANKS);
    }
    Ok(words)
}

/// GOAUTH with the arguments of its commands masked.
pub(crate) fn mask_goauth(value: &str) -> String {
    let one = |command: &str| {
        let mut words = command.split_whitespace();
        match (words.next(), words.next()) {
            (Some("git"), Some(dir)) => format!("git {dir}"),
            (Some(program), Some(_)) => format!("{program} {}", mask::MASK),
            (program, _) => program.unwrap_or("").to_owned(),
        }
    };
    value.split(';').map(one).collect::<Vec<_>>().join(";")
}

/// One usable machine of a netrc file. `Debug` shows the machine only.
#[derive(Clone, PartialEq, Eq)]
pub struct NetrcLine {
    /// The host, or a URL prefix without its scheme.
    pub machine: String,
    login: String,
    password: String,
}

impl NetrcLine {
    /// Login and password: for authenticating, never for printing.
    #[must_use]
    pub fn credentials(&self) -> (&str, &str) {
        (&self.login, &self.password)
    }
}

impl fmt::Debug for NetrcLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetrcLine({}, {})", self.machine, mask::MASK)
    }
}

impl serde::Serialize for NetrcLine {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.machine)
    }
}

/// The netrc file and what it holds.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Netrc {
    /// The file, whether or not it exists; `None` without a home directory.
    pub path: Option<PathBuf>,
    /// Its usable machines, in order.
    pub lines: Vec<NetrcLine>,
    /// Why it cannot be read, where it exists.
    pub problem: Option<String>,
}

impl Netrc {
    /// Reads `$NETRC` or `~/.netrc`.
    #[must_use]
    pub fn read(inputs: &Inputs) -> Netrc {
        let Some(path) = netrc_path(inputs) else {
            return Netrc::default();
        };
        let (lines, problem) = match read::bytes(&path, MAX_NETRC) {
            Ok(data) => (parse_netrc(&String::from_utf8_lossy(&data)), None),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => (Vec::new(), None),
            Err(e) => (Vec::new(), Some(format!("{} cannot be read: {e}", path.display()))),
        };
        Netrc { path: Some(path), lines, problem }
    }

    /// The credentials for a URL: the longest machine that is a prefix of it at a slash, the first of equals
    /// (`loadCredential`). Only https requests carry credentials.
    #[must_use]
    pub fn lookup(&self, url: &str) -> Option<&NetrcLine> {
        let mut prefix = url.strip_prefix("https://")?.trim_end_matches('/');
        loop {
            if let Some(line) = self.lines.iter().find(|l| l.key() == prefix) {
                return Some(line);
            }
            prefix = &prefix[..prefix.rfind('/')?];
        }
    }
}

impl NetrcLine {
    fn key(&self) -> &str {
        let key = self.machine.strip_prefix("https://").unwrap_or(&self.machine);
        key.strip_suffix('/').unwrap_or(key)
    }
}

fn netrc_path(inputs: &Inputs) -> Option<PathBuf> {
    if let Some(path) = inputs.var("NETRC") {
        return Some(PathBuf::from(path));
    }
    let home = inputs.home.as_ref()?;
    if inputs.os == Os::Windows {
        let legacy = home.join("_netrc");
        if legacy.exists() {
            return Some(legacy);
        }
    }
    Some(home.join(".netrc"))
}

/// `parseNetrc`, its handling of odd lines included.
#[must_use]
pub fn parse_netrc(text: &str) -> Vec<NetrcLine> {
    let empty = || NetrcLine { machine: String::new(), login: String::new(), password: String::new() };
    let mut out = Vec::new();
    let mut current = empty();
    let mut in_macro = false;
    for line in text.split('\n') {
        if in_macro {
            in_macro = !line.is_empty();
            continue;
        }
        let fields: Vec<&str> = line.split_whitespace().collect();
        let pairs = fields.chunks_exact(2);
        let last = pairs.remainder();
        for pair in pairs {
            match pair[0] {
                "machine" => {
                    current = empty();
                    pair[1].clone_into(&mut current.machine);
                }
                "login" => pair[1].clone_into(&mut current.login),
                "password" => pair[1].clone_into(&mut current.password),
                "macdef" => in_macro = true,
                _ => {}
            }
            if !(current.machine.is_empty() || current.login.is_empty() || current.password.is_empty()) {
                out.push(std::mem::replace(&mut current, empty()));
            }
        }
        if last == ["default"] {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netrc_is_read_as_go_reads_it() {
        let text = "machine a.example.com login u password p\nmachine b.example.com\n login v\n password q\n\
            macdef x\nmachine no.example.com login x password y\n\nmachine a.example.com login second password s\n\
            machine incomplete.example.com login u\ndefault\nmachine after.example.com login u password p\n";
        let lines = parse_netrc(text);
        let names: Vec<_> = lines.iter().map(|l| (l.machine.as_str(), l.login.as_str())).collect();
        assert_eq!(names, [("a.example.com", "u"), ("b.example.com", "v"), ("a.example.com", "second")]);
        let netrc = Netrc { path: None, lines, problem: None };
        assert_eq!(netrc.lookup("https://a.example.com/x/@v/list").unwrap().credentials(), ("u", "p"));
        assert_eq!(netrc.lookup("http://a.example.com/x"), None);
        assert_eq!(netrc.lookup("https://c.example.com"), None);
        let shown = format!("{netrc:?}{}", serde_json::to_string(&netrc).unwrap());
        assert!(!shown.contains("\"p\"") && !shown.contains('q') && !shown.contains("second"), "{shown}");
    }

    #[test]
    fn commands_are_split_as_go_splits_them() {
        let split = |text| split_command(text).unwrap();
        assert_eq!(split(" helper  --token 'a b'\t\"c'd\"e f'g "), ["helper", "--token", "a b", "c'd", "e", "f'g"]);
        assert_eq!(split("''"), [""]);
        assert_eq!(split_command("helper 'open"), Err(GoAuthError::Quote('\'')));
    }

    #[test]
    fn goauth_lists() {
        assert_eq!(parse_goauth("netrc").unwrap(), [GoAuth::Netrc]);
        assert_eq!(
            parse_goauth("netrc; git /tmp ; helper --token s3cret").unwrap(),
            [GoAuth::Netrc, GoAuth::Git { dir: "/tmp".into() }, GoAuth::Command { program: "helper".into() }]
        );
        assert_eq!(mask_goauth("netrc;helper --token s3cret"), "netrc;helper ***");
        assert_eq!(parse_goauth("off;netrc"), Err(GoAuthError::OffCombined));
        assert_eq!(parse_goauth("netrc;"), Err(GoAuthError::Empty));
        assert_eq!(parse_goauth("git rel"), Err(GoAuthError::GitDir));
    }
}
