//! The renderings of made-up reports: snapshots, the schema, and what holds for each of them.

use serde_json::Value;

use super::samples;
use super::text::is_dangerous;
use super::{Report, Style, human, json, markdown, sarif};
use crate::finding::{Id, Severity};

const SCHEMA_FILE: &str = include_str!("../../../../docs/schema/report-1.json");
const PIPE: Style = Style { color: false, width: 80, unicode: false };

#[test]
fn for_a_person() {
    for (name, report) in samples::all() {
        insta::assert_snapshot!(format!("human_{name}"), human(&report, PIPE));
    }
    let wide = Style { color: true, width: 120, unicode: true };
    insta::assert_snapshot!("human_several_unicode_colour", human(&samples::several(), wide).replace('\x1b', "ESC"));
}

#[test]
fn for_a_ci_step() {
    for (name, report) in samples::all() {
        insta::assert_snapshot!(format!("markdown_{name}"), markdown(&report));
    }
}

#[test]
fn for_code_scanning() {
    for (name, report) in samples::all() {
        insta::assert_snapshot!(format!("sarif_{name}"), sarif(&report));
    }
}

#[test]
fn the_verdict_is_in_two_lines_at_any_width() {
    for (name, report) in samples::all() {
        for width in [10, 40, 60, 80, 100, 500] {
            let text = human(&report, Style { width, ..PIPE });
            let lines: Vec<&str> = text.lines().collect();
            assert!(
                lines[..2].iter().all(|line| !line.is_empty() && line.len() <= width.max(40)),
                "{name} at {width}: {text}"
            );
            assert_eq!(lines[2], "", "{name} at {width}: {text}");
        }
    }
    let text = human(&samples::healthy(), Style { width: 100, ..PIPE });
    assert!(text.starts_with("ok: Nothing keeps connections from being reused here: HTTP/2, RTT 50.2 ms\n"), "{text}");
    assert!(text.contains("\n`go mod download` of 200 modules is predicted to take 11.9 s.\n"), "{text}");
}

#[test]
fn nothing_but_what_is_copied_is_wider_than_the_page() {
    for (name, report) in samples::all().into_iter().filter(|(name, _)| *name != "hostile") {
        for width in [80, 100] {
            let text = human(&report, Style { width, ..PIPE });
            for line in text.lines().filter(|line| !line.starts_with("       ")) {
                assert!(line.len() <= width, "{name} at {width}: {line}");
            }
            assert!(text.is_ascii(), "{name}");
        }
    }
}

#[test]
fn colour_changes_nothing_else() {
    for (name, report) in samples::all() {
        let mut plain = human(&report, Style { color: true, ..PIPE });
        for code in ["0", "1", "2", "1;31", "1;32", "1;33"] {
            plain = plain.replace(&format!("\x1b[{code}m"), "");
        }
        assert_eq!(plain, human(&report, PIPE), "{name}");
    }
}

#[test]
fn foreign_text_reaches_no_terminal_raw() {
    let report = samples::hostile();
    let unicode = Style { unicode: true, ..PIPE };
    for text in [human(&report, PIPE), human(&report, unicode), json(&report), markdown(&report), sarif(&report)] {
        let bad: Vec<char> = text.chars().filter(|c| is_dangerous(*c) && !matches!(c, '\n' | '\t')).collect();
        assert!(bad.is_empty(), "{bad:?} in {text}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("::error::")), "{text}");
    }
    assert!(
        !markdown(&report).replace("\\`", "").lines().any(|line| line.starts_with("| ") && line.contains("<script>"))
    );
}

#[test]
fn the_schema_accepts_every_report() {
    let validator = validator();
    for (name, report) in samples::all() {
        let value: Value = serde_json::from_str(&json(&report)).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
        assert_eq!(serde_json::from_value::<Report>(value).unwrap(), report, "{name}");
    }
}

#[test]
fn the_schema_refuses_what_is_not_a_report() {
    let validator = validator();
    let good = serde_json::to_value(samples::several()).unwrap();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut bad = good.clone();
        change(&mut bad);
        assert_ne!(bad, good);
        !validator.is_valid(&bad)
    };
    assert!(validator.is_valid(&good));
    assert!(refused(&|report| report["schema"] = "goferry.report/2".into()));
    assert!(refused(&|report| report["more"] = 1.into()));
    assert!(refused(&|report| report["findings"][0]["id"] = "no-such-finding".into()));
    assert!(refused(&|report| report["findings"][0]["evidence"] = Value::Array(Vec::new())));
    assert!(refused(&|report| report["findings"][0]["severity"] = "fatal".into()));
    assert!(refused(&|report| report["findings"][0]["cost"]["seconds_min"] = (-1).into()));
    assert!(refused(&|report| report["findings"][0]["remedies"][0]["more"] = 1.into()));
    assert!(refused(&|report| report["findings"][1]["location"]["line"] = "7".into()));
    assert!(refused(&|report| report["paths"][0]["hops"][0]["more"] = 1.into()));
    assert!(refused(&|report| report["paths"][0]["phases"][0]["min_ms"] = Value::Null));
    assert!(refused(&|report| report["prediction"]["inputs"] = 1.into()));
    assert!(refused(&|report| {
        report.as_object_mut().unwrap().remove("environment");
    }));
}

#[test]
fn the_schema_knows_every_id() {
    let schema: Value = serde_json::from_str(SCHEMA_FILE).unwrap();
    let ids: Vec<&str> = Id::ALL.iter().map(|id| id.as_str()).collect();
    assert_eq!(schema["$defs"]["id"]["enum"], serde_json::json!(ids));
}

#[test]
fn sarif_places_a_file_inside_of_the_project_relative_to_it() {
    let mut report = samples::several();
    let location = |report: &Report, n: usize| {
        let log: Value = serde_json::from_str(&sarif(report)).unwrap();
        log["runs"][0]["results"][n]["locations"][0].clone()
    };
    let inside = &location(&report, 1)["physicalLocation"];
    assert_eq!(inside["artifactLocation"], serde_json::json!({"uri": "Dockerfile", "uriBaseId": "%SRCROOT%"}));
    assert_eq!(inside["region"]["startLine"], 7);
    assert!(location(&report, 0)["logicalLocations"][0]["fullyQualifiedName"].is_string());
    report.findings[1].location.as_mut().unwrap().file = "/home/gopher/.bashrc".to_owned();
    let outside = &location(&report, 1)["physicalLocation"];
    assert_eq!(outside["artifactLocation"], serde_json::json!({"uri": "file:///home/gopher/.bashrc"}));
}

#[test]
fn an_error_says_that_the_command_fails() {
    let verdict = samples::unreachable().verdict();
    assert_eq!(verdict.severity, Some(Severity::Error));
    assert_eq!(verdict.cost, "`go mod download` fails");
    assert!(verdict.todo.contains("ss -ltn"), "{}", verdict.todo);
}

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(SCHEMA_FILE).unwrap();
    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("the schema itself: {error}"));
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn a_slow_network_is_named_and_a_trifle_is_not() {
    let mut report = samples::healthy();
    let mut slow = report.findings[0].clone();
    slow.id = Id::BandwidthLimited;
    slow.title = "the path carries 2.0 Mbit/s".to_owned();
    report.findings.push(slow);
    assert!(
        report.verdict().todo.ends_with(" is predicted to take 11.9 s. The path carries 2.0 Mbit/s."),
        "{:?}",
        report.verdict()
    );
    let cost = report.findings[1].cost.as_mut().unwrap();
    (cost.seconds_min, cost.seconds_max) = (0.1, 0.2);
    assert!(report.verdict().todo.ends_with(" is predicted to take 11.9 s."), "{:?}", report.verdict());
}
