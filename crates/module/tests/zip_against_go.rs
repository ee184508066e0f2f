//! Zips and hashes against the real go command: it downloads made-up modules from a `file://` proxy and says their
//! hashes.

use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use goferry_module::zip::create_module_zip;
use goferry_module::{DirHash, FileKind, ModInfo, ModulePath, ModuleVersion, Version};
use serde_json::Value;

#[test]
fn the_go_command_takes_our_zips_and_finds_our_hashes() {
    let dir = tempfile::tempdir().unwrap();
    let modules = [
        ("example.com/plain", "v1.0.0"),
        ("example.com/Upper/Case", "v0.1.0-Alpha.1"),
        ("example.com/major/v2", "v2.3.4"),
        ("example.com/old", "v3.0.0+incompatible"),
        ("gopkg.in/made.v1", "v1.2.3"),
        ("example.com/pseudo", "v0.0.0-20240102030405-abcdefabcdef"),
    ];
    let mut args = vec!["mod", "download", "-json"];
    let names: Vec<String> = modules.iter().map(|(path, version)| format!("{path}@{version}")).collect();
    args.extend(names.iter().map(String::as_str));
    let expected: Vec<(DirHash, DirHash)> =
        modules.iter().map(|(path, version)| publish(dir.path(), path, version)).collect();

    let proxy = format!("file://{}", dir.path().join("proxy").display());
    let output = Command::new("go")
        .args(&args)
        .current_dir(dir.path())
        .env("GOPROXY", proxy)
        .env("GOSUMDB", "off")
        .env("GONOSUMDB", "")
        .env("GOPRIVATE", "")
        .env("GONOPROXY", "")
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=mod -modcacherw")
        .env("GOMODCACHE", dir.path().join("cache"))
        .output()
        .expect("the go command must be on PATH for this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let said: Vec<Value> =
        serde_json::Deserializer::from_slice(&output.stdout).into_iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(said.len(), modules.len());
    for ((path, version), (zip, gomod)) in modules.iter().zip(expected) {
        let said = said.iter().find(|m| m["Path"] == **path && m["Version"] == **version).expect(path);
        assert_eq!(said["Sum"], zip.to_string(), "{path}");
        assert_eq!(said["GoModSum"], gomod.to_string(), "{path}");
    }
}

/// Puts a module into the proxy directory; gives the hashes of its zip and of its go.mod.
fn publish(dir: &Path, path: &str, version: &str) -> (DirHash, DirHash) {
    let module = ModuleVersion::new(ModulePath::parse(path).unwrap(), Version::parse(version).unwrap()).unwrap();
    let gomod = format!("module {path}\n");
    let mut files = vec![
        ("z.go".to_owned(), b"package z\n".to_vec()),
        ("a/\u{e9}t\u{e9}.txt".to_owned(), vec![0xff; 100_000]),
        ("a.go".to_owned(), b"package z\n".to_vec()),
        ("LICENSE".to_owned(), Vec::new()),
    ];
    if !module.version().is_incompatible() {
        files.insert(1, ("go.mod".to_owned(), gomod.clone().into_bytes()));
    }
    let zip = create_module_zip(&module, files).unwrap();
    let info = ModInfo { version: version.to_owned(), time: Some("2024-01-02T03:04:05Z".parse().unwrap()) };
    for (kind, content) in
        [(FileKind::Info, info.to_json().as_bytes()), (FileKind::Mod, gomod.as_bytes()), (FileKind::Zip, &zip)]
    {
        let file = dir.join("proxy").join(module.proxy_path(kind).trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }
    (DirHash::of_zip(Cursor::new(&zip)).unwrap(), DirHash::of_go_mod(gomod.as_bytes()))
}
