//! The objects of `go mod download -json` (cmd/go/internal/modcmd/download.go, `ModuleJSON`): the same fields in the same
//! order, tabs for indentation, empty ones left out.

use std::collections::BTreeSet;

use goferry_fetch::ModCache;
use goferry_fetch::download::{Answer, Failed, ModuleReport, Report};
use goferry_module::ModuleVersion;
use serde_json::Value;

/// The fields of an origin in Go's order (cmd/go/internal/modfetch/codehost, `Origin`).
const ORIGIN: [&str; 8] = ["VCS", "URL", "Subdir", "Hash", "TagPrefix", "TagSum", "Ref", "RepoSum"];

/// All objects of a report: in the order of the arguments, as often as they were named; without arguments sorted.
pub(super) fn objects(report: &Report, cache: &ModCache) -> Vec<String> {
    let mut objects = Vec::new();
    let mut told = BTreeSet::new();
    for answer in &report.answers {
        match answer {
            Answer::Module { module, query, stated } => {
                if let Some(done) = report.modules.iter().find(|done| done.module == *module) {
                    let origin = if *stated { origin(module, cache) } else { None };
                    objects.push(object(done, query.as_deref(), origin));
                    told.insert(module);
                }
            }
            Answer::Failed(index) => objects.extend(report.failed.get(*index).map(failed)),
        }
    }
    let rest = report.modules.iter().filter(|done| !told.contains(&done.module));
    objects.extend(rest.map(|done| object(done, None, None)));
    let answered = |index: &usize| report.answers.iter().any(|one| matches!(one, Answer::Failed(at) if at == index));
    let others = report.failed.iter().enumerate().filter(|(index, _)| !answered(index));
    objects.extend(others.map(|(_, other)| failed(other)));
    objects.extend(report.would.iter().map(would));
    objects
}

/// One module.
fn object(module: &ModuleReport, query: Option<&str>, origin: Option<Value>) -> String {
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let error = module.error.as_ref().map(|error| error.detail.clone());
    write(
        &[
            ("Path", Some(module.module.path().to_string())),
            ("Version", Some(module.module.version().to_string())),
            ("Query", query.map(str::to_owned)),
            ("Error", error),
            ("Info", path(&module.info)),
            ("GoMod", path(&module.go_mod)),
            ("Zip", path(&module.zip)),
            ("Dir", path(&module.dir)),
            ("Sum", module.sum.map(|sum| sum.to_string())),
            ("GoModSum", module.go_mod_sum.map(|sum| sum.to_string())),
        ],
        origin,
    )
}

/// What is no module, or was not found to be one.
fn failed(failed: &Failed) -> String {
    let (path, query) = match failed.what.split_once('@') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (failed.what.as_str(), None),
    };
    write(&[("Path", Some(path.to_owned())), ("Query", query), ("Error", Some(failed.error.detail.clone()))], None)
}

/// What a dry run would download.
fn would(module: &ModuleVersion) -> String {
    write(&[("Path", Some(module.path().to_string())), ("Version", Some(module.version().to_string()))], None)
}

/// Where the version came from, as the `.info` in the cache says.
fn origin(module: &ModuleVersion, cache: &ModCache) -> Option<Value> {
    let info: Value = serde_json::from_slice(&cache.read_info(module)?).ok()?;
    info.get("Origin").filter(|origin| origin.is_object()).cloned()
}

fn write(fields: &[(&str, Option<String>)], origin: Option<Value>) -> String {
    let mut lines: Vec<String> = fields
        .iter()
        .filter_map(|(name, value)| {
            Some(format!("\t\"{name}\": {}", text(value.as_deref().filter(|v| !v.is_empty())?)))
        })
        .collect();
    if let Some(origin) = origin {
        let parts: Vec<String> = ORIGIN
            .iter()
            .filter_map(|name| Some(format!("\t\t\"{name}\": {}", text(origin.get(name)?.as_str()?))))
            .collect();
        lines.push(format!("\t\"Origin\": {{\n{}\n\t}}", parts.join(",\n")));
    }
    format!("{{\n{}\n}}", lines.join(",\n"))
}

/// A string as encoding/json writes it.
fn text(value: &str) -> String {
    let text = Value::String(value.to_owned()).to_string();
    [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")]
        .iter()
        .fold(text, |text, (char, escape)| text.replace(*char, escape))
}
