//! go.mod and go.work against the real go command: `go mod edit -json` and `go work edit -json`.

use std::path::Path;
use std::process::{Command, Output};

use goferry_module::gomod::{GoMod, GoWork, ParseErrors, Replace, Replacement};
use goferry_module::version::Version;
use serde_json::{Map, Value, json};

const SAMPLES: &[&str] = &[
    "module example.com/m\n",
    "module example.com/m\n\ngo 1.21\n\ntoolchain go1.22.3\n",
    "module \"example.com/quoted\"\ngo 1.21rc1\n",
    "module foo\r\n\r\ngo 1.16\r\nrequire (\r\n\tbar v0.0.0 // indirect\r\n\tgopkg.in/yaml.v2 v2.2.1\r\n)\r\nreplace bar => ../bar\r\n",
    "// head\n\n// Deprecated: use example.com/n\n// instead.\n//\n// More.\nmodule example.com/m // tail\n",
    "module example.com/m\nrequire a.b/c v1\nrequire a.b/d v1.2+meta // indirect; why\nrequire a.b/e/v3 v3.0.0-rc.1 //indirect\n",
    "module example.com/m\nrequire a.b/f v2.0.0+incompatible // not indirect\nexclude (\n\ta.b/c v1.0.1\n\n\t// note\n\ta.b/c v1.0.2\n)\n",
    "module example.com/m\nreplace (\n a.b/c v1.2.3 => d.e/f v1.0.0\n a.b/c => ./local // why\n a.b/g => /abs/dir\n a.b/h => d.e/h/v2 v2.1.0\n)\n",
    "module example.com/m\nretract v1.0.0 // bad\n// all of these\nretract (\n\tv1.1.0\n\t// range\n\t[v1.2.0, v1.3.0] // too\n)\nretract [v1.4.0,v1.5.0]\n",
    "module example.com/m\ngo 1.24\ngodebug (\n\tdefault=go1.21\n\tpanicnil=1\n)\ntool (\n\texample.com/t/cmd\n)\ntool a.b/x\nignore ./node_modules\n",
    "module example.com/m\nrequire ()\nrequire a.b/c v0.0.0-20240102030405-abcdefabcdef\n",
    "module \"a\\x2eb/c\\u0064\"\n",
    "module (\n\texample.com/blockmodule\n)\n",
    "",
    "\n// only a comment",
    "module example.com/m // comment at the end without newline",
    // Refused.
    "module example.com/m\nmodule example.com/n\n",
    "go 1.21\ngo 1.22\n",
    "go 1.021\n",
    "go v1.21\n",
    "go 1.21.3rc1x\n",
    "toolchain 1.21\n",
    "toolchain go2\n",
    "require a.b/c\n",
    "require a.b/c master\n",
    "require a.b/c/v2 v1.0.0\n",
    "require a.b/c v2.0.0\n",
    "require a.b/c/v1 v1.0.0\n",
    "require gopkg.in/yaml v1.0.0\n",
    "require `a.b/c` v1.0.0\n",
    "require 'a.b/c' v1.0.0\n",
    "require a.b/c \"v1.0.0\n",
    "require (\n\ta.b/c v1.0.0\n",
    "require (\n\ta.b/c v1.0.0\n) x\n",
    "require x (\n\ta.b/c v1.0.0\n)\n",
    "require /* no */ a.b/c v1.0.0\n",
    "/* no */\n",
    "frobnicate yes\n",
    "frobnicate (\n yes\n)\n",
    "go (\n 1.21\n)\n",
    "replace a.b/c d.e/f v1.0.0\n",
    "replace a.b/c => d.e/f\n",
    "replace a.b/c => d.e/f@v1.0.0\n",
    "replace a.b/c => ./x v1.0.0\n",
    "replace a.b/c => .\\x\n",
    "replace a.b/c v2.0.0 => ./x\n",
    "retract [v1.0.0\n",
    "retract v1.0.0 v1.0.1\n",
    "retract\n",
    "exclude a.b/c\n",
    "tool a b\n",
    "godebug x\n",
    "godebug x=\"1\"\n",
    "module \u{7}\n",
    "module \"\\q\"\n",
    ") \n",
];

const WORK_SAMPLES: &[&str] = &[
    "go 1.21\n\nuse ./a\nuse (\n\t./b\n\t../c // note\n)\nreplace x.y/z => ./z\n",
    "go 1.22.1\n",
    "",
    "use a b\n",
    "require a.b/c v1.0.0\n",
    "require (\n a.b/c v1.0.0\n)\n",
];

#[test]
fn go_mod_files_read_as_the_go_command_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    for sample in SAMPLES {
        let path = dir.path().join("go.mod");
        std::fs::write(&path, sample).unwrap();
        let ours = GoMod::parse("go.mod", sample.as_bytes()).map(|gomod| mod_json(&gomod));
        compare(sample, ours, &go(dir.path(), &["mod", "edit", "-json", "go.mod"]));
    }
}

#[test]
fn go_work_files_read_as_the_go_command_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    for sample in WORK_SAMPLES {
        let path = dir.path().join("go.work");
        std::fs::write(&path, sample).unwrap();
        let ours = GoWork::parse("go.work", sample.as_bytes()).map(|work| work_json(&work));
        compare(sample, ours, &go(dir.path(), &["work", "edit", "-json", "go.work"]));
    }
}

fn go(dir: &Path, args: &[&str]) -> Output {
    Command::new("go")
        .args(args)
        .current_dir(dir)
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "")
        .env("GOPROXY", "off")
        .output()
        .expect("the go command must be on PATH for this test")
}

fn compare(sample: &str, ours: Result<Value, ParseErrors>, theirs: &Output) {
    match ours {
        Ok(ours) => {
            assert!(theirs.status.success(), "go refuses what we read: {sample:?}: {}", text(&theirs.stderr));
            let theirs: Value = serde_json::from_slice(&theirs.stdout).unwrap();
            assert_eq!(ours, strip_nulls(theirs), "{sample:?}");
        }
        Err(errors) => {
            assert!(!theirs.status.success(), "go reads what we refuse: {sample:?}: {errors}");
            let stderr = text(&theirs.stderr);
            let first = &errors.errors[0];
            let position = format!(":{}:", first.line);
            assert!(stderr.contains(&position), "{sample:?}: ours {errors}, go's {stderr}");
            // The go command abbreviates lists; quoting of characters differs; the rest is word for word.
            let words = first.message.split([':', '\'', '"', '(']).next().unwrap().trim();
            assert!(stderr.contains(words), "{sample:?}: ours {errors}, go's {stderr}");
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn mod_json(gomod: &GoMod) -> Value {
    let module = gomod.module.as_ref().map(|module| {
        let mut m = Map::from_iter([("Path".to_owned(), json!(module.path))]);
        m.extend(module.deprecated.as_ref().map(|text| ("Deprecated".to_owned(), json!(text))));
        Value::Object(m)
    });
    strip_nulls(json!({
        "Module": module.unwrap_or_else(|| json!({"Path": ""})),
        "Go": gomod.go.as_ref().map(|go| &go.version),
        "Toolchain": gomod.toolchain.as_ref().map(|toolchain| &toolchain.name),
        "GoDebug": list(&gomod.godebug, |g| json!({"Key": g.key, "Value": g.value})),
        "Require": list(&gomod.requires, |r| json!({
            "Path": r.path, "Version": r.version.as_str(), "Indirect": r.indirect.then_some(true)
        })),
        "Exclude": list(&gomod.excludes, |e| json!({"Path": e.path, "Version": e.version.as_str()})),
        "Replace": list(&gomod.replaces, replace_json),
        "Retract": list(&gomod.retracts, |r| json!({
            "Low": r.low.as_str(), "High": r.high.as_str(),
            "Rationale": (!r.rationale.is_empty()).then_some(&r.rationale)
        })),
        "Tool": list(&gomod.tools, |t| json!({"Path": t.path})),
        "Ignore": list(&gomod.ignores, |i| json!({"Path": i.path})),
    }))
}

fn work_json(work: &GoWork) -> Value {
    strip_nulls(json!({
        "Go": work.go.as_ref().map(|go| &go.version),
        "Toolchain": work.toolchain.as_ref().map(|toolchain| &toolchain.name),
        "GoDebug": list(&work.godebug, |g| json!({"Key": g.key, "Value": g.value})),
        "Use": list(&work.uses, |u| json!({"DiskPath": u.path})),
        "Replace": list(&work.replaces, replace_json),
    }))
}

fn replace_json(replace: &Replace) -> Value {
    let new = match &replace.new {
        Replacement::Directory(path) => json!({"Path": path}),
        Replacement::Module { path, version } => json!({"Path": path, "Version": version.as_str()}),
    };
    json!({"Old": {"Path": replace.old_path, "Version": replace.old_version.as_ref().map(Version::as_str)}, "New": new})
}

fn list<T>(items: &[T], json: impl Fn(&T) -> Value) -> Value {
    if items.is_empty() { Value::Null } else { items.iter().map(json).collect() }
}

fn strip_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, strip_nulls(v))).collect(),
        Value::Array(items) => items.into_iter().map(strip_nulls).collect(),
        other => other,
    }
}
