//! What is written about settings agrees with them: deploy/goferry.toml and the table of docs/serve.md.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Action, KEYS, Listen, Place, ProxyConfig, Settings, Sources};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn settings(text: &str) -> Settings {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("goferry.toml");
    fs::write(&file, text).expect("a file");
    let sources = Sources { file: Some(file), ..Sources::default() };
    Settings::read(&sources, None).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_example_has_every_setting_and_can_be_used() {
    let example = fs::read_to_string(root().join("deploy/goferry.toml")).expect("the example");
    assert!(example.lines().all(|line| line.is_empty() || line.starts_with('#')), "something is in effect");
    // What is a setting has no blank after its #.
    let on: String = example
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or_default())
        .flat_map(|line| [line, "\n"])
        .collect();
    let all = settings(&on);
    for (key, _, place) in all.all() {
        assert!(matches!(place, Place::File(..)), "{} is not in the example", key.name);
    }
    let kinds: Vec<_> = all
        .config
        .rules
        .iter()
        .map(|rule| match rule.action {
            Action::Upstream(_) => "upstream",
            Action::Block(_) => "block",
            Action::Private => "private",
        })
        .collect();
    assert_eq!(kinds, ["upstream", "block", "private"]);
    assert!(matches!(all.config.listen[1], Listen::Unix(_)));
}

#[test]
fn the_guide_names_every_setting_with_its_flag_and_default() {
    let guide = fs::read_to_string(root().join("docs/serve.md")).expect("the guide");
    let mut table = String::new();
    for key in KEYS {
        let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
        let default = match key.name {
            "store" => "`goferry/store` in the user's cache folder".to_owned(),
            "upstream" => "GOPROXY of the go command".to_owned(),
            "direct" => "GONOPROXY of the go command".to_owned(),
            "sumdb" => "GOSUMDB of the go command".to_owned(),
            "no-sumdb" => "GONOSUMDB of the go command".to_owned(),
            _ => code(&key.value(&ProxyConfig::default())),
        };
        let flag = key.flag.map(code).unwrap_or_default();
        table += &format!("| `{}` | {flag} | {default} | {} |\n", key.name, key.meaning);
    }
    assert!(guide.contains(&table), "docs/serve.md does not have this table of settings:\n{table}");
}
