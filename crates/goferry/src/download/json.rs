//! The objects of `go mod download -json` (cmd/go/internal/modcmd/download.go, `ModuleJSON`): the same fields in the same
//! order, tabs for indentation, empty ones left out.

use goferry_fetch::ModCache;
use goferry_fetch::download::{Failed, ModuleReport};
use goferry_module::ModuleVersion;
use serde_json::Value;

/// One module.
pub(super) fn object(module: &ModuleReport, cache: &ModCache) -> String {
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let origin = module.query.as_ref().and_then(|_| origin(module, cache));
    let error = module.error.as_ref().map(|error| error.detail.clone());
    write(
        &[
            ("Path", Some(module.module.path().to_string())),
            ("Version", Some(module.module.version().to_string())),
            ("Query", module.query.clone()),
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
pub(super) fn failed(failed: &Failed) -> String {
    let (path, query) = match failed.what.split_once('@') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (failed.what.as_str(), None),
    };
    write(&[("Path", Some(path.to_owned())), ("Query", query), ("Error", Some(failed.error.detail.clone()))], None)
}

/// What a dry run would download.
pub(super) fn would(module: &ModuleVersion) -> String {
    write(&[("Path", Some(module.path().to_string())), ("Version", Some(module.version().to_string()))], None)
}

/// Where the version came from, as the `.info` in the cache says.
fn origin(module: &ModuleReport, cache: &ModCache) -> Option<Value> {
    let info: Value = serde_json::from_slice(&cache.read_info(&module.module)?).ok()?;
    info.get("Origin").filter(|origin| origin.is_object()).cloned()
}

fn write(fields: &[(&str, Option<String>)], origin: Option<Value>) -> String {
    let mut lines: Vec<String> = fields
        .iter()
        .filter_map(|(name, value)| {
            let value = value.as_ref().filter(|value| !value.is_empty())?;
            Some(format!("\t\"{name}\": {}", Value::String(value.clone())))
        })
        .collect();
    if let Some(origin) = origin {
        let text = serde_json::to_string_pretty(&origin).unwrap_or_default().replace("\n", "\n\t").replace("  ", "\t");
        lines.push(format!("\t\"Origin\": {text}"));
    }
    format!("{{\n{}\n}}", lines.join(",\n"))
}
