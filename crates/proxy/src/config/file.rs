//! The settings file: TOML (<https://toml.io/en/v1.1.0>), read with the line of everything in it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::keys::{KEYS, upstream};
use super::settings::{Place, Problem};
use super::value::Given;
use super::{Action, Rule};

/// More than anyone writes.
const MAX_FILE: u64 = 1 << 20;
/// The name of the tables of rules.
const RULE: &str = "rule";
/// What a rule has.
const RULE_KEYS: [&str; 4] = ["pattern", "upstream", "block", "private"];

/// What a file says.
#[derive(Default)]
pub(super) struct Said {
    /// Settings: the index in [`KEYS`], the line, the value.
    pub(super) values: Vec<(usize, usize, Given)>,
    /// Rules with their lines.
    pub(super) rules: Vec<(usize, Rule)>,
    pub(super) problems: Vec<Problem>,
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Said {
    let mut text = Vec::new();
    let mut said = Said::default();
    let whole = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut text));
    let problem = |what: String| Problem { place: Place::File(path.to_owned(), None), key: None, what };
    match (whole, std::str::from_utf8(&text)) {
        (Err(error), _) => said.problems.push(problem(format!("cannot be read: {error}"))),
        (Ok(_), _) if text.len() as u64 > MAX_FILE => {
            said.problems.push(problem("is larger than 1 MiB: that is no settings file".to_owned()));
        }
        (Ok(_), Err(_)) => said.problems.push(problem("is not UTF-8".to_owned())),
        (Ok(_), Ok(text)) => said = parse(path, text),
    }
    said
}

fn parse(path: &Path, text: &str) -> Said {
    let mut reader = Reader { path, text, said: Said::default() };
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        reader.top(table.get_ref());
    }
    for error in errors {
        // Without the line itself, which may hold a password.
        let at = error.span().map_or(1, |span| reader.line(span.start));
        reader.problem(at, None, error.message().to_owned());
    }
    // Tables are sorted by name; people read from top to bottom.
    reader.said.problems.sort_by_key(|problem| match problem.place {
        Place::File(_, line) => line,
        _ => None,
    });
    reader.said
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    said: Said,
}

impl Reader<'_> {
    /// The line of a byte, from 1 on.
    fn line(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    fn problem(&mut self, line: usize, key: Option<String>, what: String) {
        let place = Place::File(self.path.to_owned(), Some(line));
        self.said.problems.push(Problem { place, key, what });
    }

    fn top(&mut self, table: &DeTable<'_>) {
        for (name, value) in table {
            let line = self.line(name.span().start);
            let name = name.get_ref().as_ref();
            match value.get_ref() {
                _ if name == RULE => self.rules(line, value.get_ref()),
                DeValue::Table(inner) if tables().any(|table| table == name) => {
                    for (key, value) in inner {
                        let line = self.line(key.span().start);
                        self.value(line, &format!("{name}.{}", key.get_ref()), value.get_ref());
                    }
                }
                value => self.value(line, name, value),
            }
        }
    }

    fn value(&mut self, line: usize, name: &str, value: &DeValue<'_>) {
        match KEYS.iter().position(|key| key.name == name) {
            Some(key) => self.said.values.push((key, line, given(value))),
            None => {
                // A table by a wrong name is one wrong name, whatever is in it.
                let names = KEYS.iter().map(|key| key.name).chain(tables()).chain([RULE]);
                self.problem(line, Some(name.to_owned()), unknown(name, names));
            }
        }
    }

    fn rules(&mut self, line: usize, value: &DeValue<'_>) {
        let Some(rules) = value.as_array() else {
            return self.problem(line, Some(RULE.to_owned()), "each rule begins with [[rule]]".to_owned());
        };
        for rule in rules.iter() {
            let line = self.line(rule.span().start);
            let Some(table) = rule.get_ref().as_table() else {
                self.problem(line, Some(RULE.to_owned()), "each rule begins with [[rule]]".to_owned());
                continue;
            };
            if let Some(rule) = self.rule(line, table) {
                self.said.rules.push((line, rule));
            }
        }
    }

    fn rule(&mut self, line: usize, table: &DeTable<'_>) -> Option<Rule> {
        let before = self.said.problems.len();
        let (mut pattern, mut actions) = (None, Vec::new());
        for (key, value) in table {
            let line = self.line(key.span().start);
            let (key, value) = (key.get_ref().as_ref(), given(value.get_ref()));
            let read = match key {
                "pattern" => value.patterns().map(|patterns| pattern = Some(patterns)),
                "upstream" => value.text().and_then(upstream).map(|list| actions.push(Action::Upstream(list))),
                "block" => value.text().map(|text| actions.push(Action::Block(text.to_owned()))),
                "private" => match value.switch() {
                    Ok(true) => {
                        actions.push(Action::Private);
                        Ok(())
                    }
                    Ok(false) => Err("only true says something: leave the rule out".to_owned()),
                    Err(error) => Err(error),
                },
                _ => Err(unknown(key, RULE_KEYS.into_iter())),
            };
            if let Err(what) = read {
                self.problem(line, Some(format!("{RULE}.{key}")), what);
            }
        }
        let mut wrong = |what: &str| self.problem(line, Some(RULE.to_owned()), what.to_owned());
        match &pattern {
            Some(pattern) if pattern.split(',').all(str::is_empty) => wrong("its pattern is empty and matches nothing"),
            None if !table.contains_key("pattern") => wrong("it has no pattern, as pattern = \"example.com/team/*\""),
            _ => {}
        }
        let named = RULE_KEYS[1..].iter().filter(|key| table.contains_key(**key)).count();
        if named != 1 {
            wrong("it says exactly one of upstream = \"LIST\", block = \"MESSAGE\" and private = true");
        }
        match (self.said.problems.len() == before, pattern, actions.pop()) {
            (true, Some(pattern), Some(action)) => Some(Rule { pattern, action }),
            _ => None,
        }
    }
}

fn given(value: &DeValue<'_>) -> Given {
    match value {
        DeValue::String(text) => Given::Text(text.as_ref().to_owned()),
        DeValue::Boolean(switch) => Given::Switch(*switch),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Given::Number(number),
            Err(_) => Given::Other("a number that large"),
        },
        DeValue::Array(values) => {
            let texts = values.iter().map(|value| value.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<_>>().map_or(Given::Other("a list of other things"), Given::Texts)
        }
        DeValue::Float(_) => Given::Other("a number with a fraction"),
        DeValue::Datetime(_) => Given::Other("a date"),
        DeValue::Table(_) => Given::Other("a table"),
    }
}

/// The names of tables, as often as they have settings.
fn tables() -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter_map(|key| Some(key.name.split_once('.')?.0))
}

/// What is said of a name that nothing has.
fn unknown(name: &str, names: impl Iterator<Item = &'static str>) -> String {
    let typed: String = name.chars().take(100).collect::<String>().to_lowercase().replace('_', "-");
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let nearest = names
        .map(|name| {
            // The right name in the wrong table is near too.
            let far = if last(name) == last(&typed) { 1 } else { strsim::damerau_levenshtein(name, &typed) };
            (far, name)
        })
        .min_by_key(|(far, _)| *far)
        .filter(|(far, name)| far * 3 <= name.len().max(3));
    match nearest {
        Some((_, name)) => format!("there is no such setting; did you mean {name}?"),
        None => "there is no such setting".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        parse(Path::new("g.toml"), text).problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn unknown_names_and_what_was_meant() {
        let text =
            "lisen = \"127.0.0.1:1\"\nmax_size = \"1GB\"\nweather = 1\n[limits]\nconections = 1\nfresh = \"1s\"\n";
        assert_eq!(
            problems(text),
            [
                "g.toml:1: lisen: there is no such setting; did you mean listen?",
                "g.toml:2: max_size: there is no such setting; did you mean max-size?",
                "g.toml:3: weather: there is no such setting",
                "g.toml:5: limits.conections: there is no such setting; did you mean limits.connections?",
                "g.toml:6: limits.fresh: there is no such setting; did you mean freshness.fresh?",
            ]
        );
    }

    #[test]
    fn unknown_tables_and_what_was_meant() {
        let text = "[Limits]\nidle = \"1m\"\n[feetch]\ntimeout = \"1m\"\n[weather]\nidle = \"1m\"\n";
        assert_eq!(
            problems(text),
            [
                "g.toml:1: Limits: there is no such setting; did you mean limits?",
                "g.toml:3: feetch: there is no such setting; did you mean fetch?",
                "g.toml:5: weather: there is no such setting",
            ]
        );
    }

    #[test]
    fn rules_have_a_pattern_and_one_action() {
        let rule = |body: &str| problems(&format!("[[rule]]\n{body}"));
        assert!(rule("pattern = \"example.com/a\"\nblock = \"no\"\n").is_empty());
        assert!(rule("pattern = [\"example.com/a\", \"example.com/b\"]\nprivate = true\n").is_empty());
        for (body, says) in [
            ("block = \"no\"\n", "g.toml:1: rule: it has no pattern"),
            ("pattern = \"a\"\n", "g.toml:1: rule: it says exactly one of"),
            ("pattern = \"a\"\nblock = \"no\"\nprivate = true\n", "g.toml:1: rule: it says exactly one of"),
            ("pattern = \"a\"\nprivate = false\n", "g.toml:3: rule.private: only true"),
            ("pattern = \"[\"\nprivate = true\n", "g.toml:2: rule.pattern: \"[\" is no pattern"),
            ("pattern = \",\"\nprivate = true\n", "g.toml:1: rule: its pattern is empty"),
            ("pattern = \"a\"\nupstream = \"ftp://example.com\"\n", "g.toml:3: rule.upstream: "),
            ("pattern = \"a\"\nblok = \"no\"\n", "g.toml:3: rule.blok: there is no such setting; did you mean block?"),
        ] {
            let found = rule(body);
            assert!(found.iter().any(|found| found.starts_with(says)), "{body}: {found:?}");
        }
        assert_eq!(problems("rule = 1\n"), ["g.toml:1: rule: each rule begins with [[rule]]"]);
    }

    #[test]
    fn what_is_no_toml_is_told_without_its_text() {
        let found = problems("listen = [\nupstream = \"https://u:secret@goproxy.example.com\n");
        assert!(!found.is_empty());
        assert!(found.iter().all(|found| found.starts_with("g.toml:") && !found.contains("secret")), "{found:?}");
    }
}
