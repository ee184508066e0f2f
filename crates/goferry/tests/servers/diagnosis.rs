//! What doctor said, as far as these tests ask.

use serde_json::Value;

/// A report.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    pub(crate) report: Value,
    pub(crate) stderr: String,
}

/// A remedy with configuration.
#[derive(Debug)]
pub(crate) struct Remedy {
    pub(crate) place: String,
    pub(crate) config: String,
    pub(crate) valid_for: String,
}

impl Diagnosis {
    /// Ids and severities, in the report's order.
    pub(crate) fn findings(&self) -> Vec<(&str, &str)> {
        let all = self.report["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().map(|finding| (text(&finding["id"]), text(&finding["severity"]))).collect()
    }

    /// The finding `id`, and nothing else at warning or above.
    #[track_caller]
    pub(crate) fn names(&self, id: &str) -> &Value {
        let all = self.report["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
        let found = all.iter().find(|finding| finding["id"] == id);
        let found = found.unwrap_or_else(|| panic!("{id} is not among {:?}\n{self}", self.findings()));
        let other = self.findings().into_iter().find(|(other, severity)| *severity != "info" && *other != id);
        assert_eq!(other, None, "beside {id}\n{self}");
        found
    }

    /// That `id` is not there, and nothing at warning or above.
    #[track_caller]
    pub(crate) fn is_free_of(&self, ids: &[&str]) {
        let bad = self.findings().into_iter().find(|(id, severity)| ids.contains(id) || *severity != "info");
        assert_eq!(bad, None, "{self}");
    }

    /// The severity of the finding `id`.
    pub(crate) fn severity(&self, id: &str) -> &str {
        self.findings().into_iter().find(|(other, _)| *other == id).map_or("", |(_, severity)| severity)
    }

    /// The first remedy of the finding `id` with configuration for this program.
    #[track_caller]
    pub(crate) fn remedy(&self, id: &str, program: &str) -> Remedy {
        self.remedy_valid_for(id, program, "")
    }

    /// The first of those whose versions are said with these words.
    #[track_caller]
    pub(crate) fn remedy_valid_for(&self, id: &str, program: &str, words: &str) -> Remedy {
        let remedies = self.names(id)["remedies"].as_array().cloned().unwrap_or_default();
        let mut fitting = remedies.iter().filter(|remedy| {
            text(&remedy["where"]).starts_with(program)
                && remedy["config"].is_string()
                && text(&remedy["valid_for"]).contains(words)
        });
        let remedy = fitting.next().unwrap_or_else(|| panic!("{id} has no remedy for {program}: {remedies:#?}"));
        Remedy {
            place: text(&remedy["where"]).to_owned(),
            config: text(&remedy["config"]).to_owned(),
            valid_for: text(&remedy["valid_for"]).to_owned(),
        }
    }

    /// Whether every remedy of `id` that has a configuration is for this program: it was recognised.
    pub(crate) fn is_sure_of(&self, id: &str, program: &str) -> bool {
        let remedies = self.names(id)["remedies"].as_array().cloned().unwrap_or_default();
        let mut configs = remedies.iter().filter(|remedy| remedy["config"].is_string());
        configs.all(|remedy| text(&remedy["where"]).contains(program))
    }
}

impl std::fmt::Display for Diagnosis {
    /// The findings and paths, and what was said on standard error: enough to see why a test failed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = |name: &str| {
            let all = serde_json::to_string_pretty(&self.report[name]).unwrap_or_default();
            all.chars().take(6000).collect::<String>()
        };
        write!(f, "{}\n{}\n{}", part("findings"), part("paths"), self.stderr)
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
