//! What would be changed: each file as it is and as it would be.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use goferry_diagnose::Id;
use goferry_env::Inputs;
use goferry_env::setters::{self, MAX_FILE, Setter};

use crate::failure::Failure;

/// In the name of every backup.
pub(super) const BACKUP: &str = ".goferry-backup-";

/// A setting of a variable that a finding is about.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    /// The variable.
    pub(super) var: &'static str,
    /// The key in its list, or the variable itself.
    key: &'static str,
    unwanted: fn(&str) -> bool,
}

impl Setting {
    /// The setting that causes a finding, where one in a file of the user's can.
    pub(super) fn of(id: Id) -> Option<Setting> {
        let whole = |var, unwanted| Some(Setting { var, key: var, unwanted });
        match id {
            Id::Http2DisabledByEnv => Some(Setting {
                var: "GODEBUG",
                key: "http2client",
                unwanted: |value| godebug(value, "http2client") == Some("0"),
            }),
            // Eight is what doctor calls enough.
            Id::GomaxprocsLow => whole("GOMAXPROCS", |value| value.trim().parse::<u32>().is_ok_and(|procs| procs < 8)),
            Id::GoproxyOff => whole("GOPROXY", |value| first_entry(value) == "off"),
            Id::GoproxyDirect => whole("GOPROXY", |value| first_entry(value) == "direct"),
            _ => None,
        }
    }

    /// Whether a value holds it.
    pub(super) fn is_in(self, value: &str) -> bool {
        (self.unwanted)(value)
    }

    /// In words.
    pub(super) fn describe(self) -> String {
        match self.key {
            "http2client" => "GODEBUG=http2client=0".to_owned(),
            "GOMAXPROCS" => "GOMAXPROCS below 8".to_owned(),
            _ if self.is_in("off") => "GOPROXY=off".to_owned(),
            _ => "GOPROXY=direct".to_owned(),
        }
    }

    fn causes(self, setter: &Setter) -> bool {
        setter.counts_here && setter.var == self.var && self.is_in(&setter.value)
    }
}

/// The last value of a key: that is the one in force (internal/godebug, update).
fn godebug<'a>(list: &'a str, key: &str) -> Option<&'a str> {
    list.rsplit(',').find_map(|item| item.trim().strip_prefix(key)?.strip_prefix('='))
}

fn first_entry(list: &str) -> &str {
    list.split([',', '|']).map(str::trim).find(|entry| !entry.is_empty()).unwrap_or_default()
}

/// One file.
pub(super) struct Change {
    /// The file, with symbolic links followed.
    pub(super) file: PathBuf,
    /// As it is.
    pub(super) before: String,
    /// As it would be.
    pub(super) after: String,
}

/// All files.
pub(super) struct Plan {
    /// What would be changed.
    pub(super) changes: Vec<Change>,
    /// What sets it and is left alone, with the reason.
    pub(super) skipped: Vec<String>,
}

/// Looks for the setting and takes it out of each text.
pub(super) fn plan(inputs: &Inputs, setting: Setting) -> Result<Plan, Failure> {
    let mut plan = Plan { changes: Vec::new(), skipped: Vec::new() };
    for setter in setters::find(inputs, &[setting.var]) {
        if setter.file.to_string_lossy().contains(BACKUP) || !setting.is_in(&setter.value) {
            continue;
        }
        if !setting.causes(&setter) {
            let reason = setter.reason.as_deref().unwrap_or("it has no effect on the go command");
            plan.skipped.push(format!("{}:{} is left as it is: {reason}", setter.file.display(), setter.line));
            continue;
        }
        let file = std::fs::canonicalize(&setter.file)
            .map_err(|error| Failure::failed(format!("{}: {error}", setter.file.display())))?;
        if plan.changes.iter().any(|change| change.file == file) {
            continue;
        }
        let before = read(&file)?;
        let after = without(&before, &setter, setting, &file)?;
        if after == before {
            plan.skipped.push(format!("{}:{} has changed in the meantime", file.display(), setter.line));
        } else {
            plan.changes.push(Change { file, before, after });
        }
    }
    Ok(plan)
}

/// The text of a file that the search found, read once more.
pub(super) fn read(file: &std::path::Path) -> Result<String, Failure> {
    let mut text = String::new();
    File::open(file)
        .and_then(|open| open.take(MAX_FILE + 1).read_to_string(&mut text))
        .map_err(|error| Failure::failed(format!("{} cannot be read: {error}", file.display())))?;
    if text.len() as u64 > MAX_FILE {
        return Err(Failure::failed(format!("{} is larger than {MAX_FILE} bytes", file.display())));
    }
    Ok(text)
}

/// The text without any place that sets it. Places move when one before them goes, so each is looked for anew.
fn without(before: &str, first: &Setter, setting: Setting, file: &std::path::Path) -> Result<String, Failure> {
    let mut text = before.to_owned();
    loop {
        let found = setters::find_in(&text, first.kind, &[setting.var]);
        let Some(setter) = found.iter().find(|setter| setting.causes(setter)) else { return Ok(text) };
        let next = setters::remove_setting(&text, setter, setting.key)
            .map_err(|error| Failure::failed(format!("{}:{}: {error}", file.display(), setter.line)))?;
        // Each removal takes something away; otherwise this would not end.
        if next.len() >= text.len() {
            return Err(Failure::failed(format!(
                "{}:{}: the line cannot be taken out by goferry",
                file.display(),
                setter.line
            ))
            .hint(format!("take {} out by hand", setting.describe())));
        }
        text = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_values_cause_it() {
        let of = |id| Setting::of(id).unwrap();
        assert!(of(Id::Http2DisabledByEnv).is_in("netdns=go,http2client=0"));
        assert!(!of(Id::Http2DisabledByEnv).is_in("http2client=0,http2client=1"));
        assert!(!of(Id::Http2DisabledByEnv).is_in("xhttp2client=0"));
        assert!(
            of(Id::GomaxprocsLow).is_in("2") && !of(Id::GomaxprocsLow).is_in("8") && !of(Id::GomaxprocsLow).is_in("$N")
        );
        assert!(of(Id::GoproxyOff).is_in("off") && !of(Id::GoproxyOff).is_in("https://goproxy.example.com,off"));
        assert!(of(Id::GoproxyDirect).is_in("direct,off") && !of(Id::GoproxyDirect).is_in("off"));
        assert!(Setting::of(Id::GoawayChurn).is_none());
        assert_eq!(of(Id::GoproxyDirect).describe(), "GOPROXY=direct");
        assert_eq!(of(Id::GoproxyOff).describe(), "GOPROXY=off");
    }
}
