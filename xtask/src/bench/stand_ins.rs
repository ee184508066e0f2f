//! What an upstream has that the copy has not: `.info` and zip of versions of which the go command asks the `.mod` alone.
//!
//! The copy holds what the go command downloads ([`crate::upstream`]). A proxy that fetches all three files of a version once
//! it is asked for one of them needs the others too, which every real upstream has. Those are made up here, the zip with
//! nothing but go.mod in it: such a proxy transfers less than it would from a real upstream. No other client asks for them.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use goferry_module::escape::unescape_version;
use goferry_module::zip::create_module_zip;
use goferry_module::{EscapedPath, ModuleVersion, Version};

/// The date of each version; no client here looks at it.
const TIME: &str = "2020-01-01T00:00:00Z";

/// Writes into `folder` what `modules` lacks of the versions whose `.mod` is below `asked`. How many versions these are.
///
/// # Errors
/// When a file cannot be read or written, or is of no module.
pub(crate) fn write(asked: &Path, modules: &Path, folder: &Path) -> io::Result<usize> {
    let mut versions = 0;
    for file in mods(asked)? {
        let relative = file.strip_prefix(asked).map_err(io::Error::other)?;
        let lacks = |extension: &str| !modules.join(relative).with_extension(extension).exists();
        let target = folder.join(relative);
        if !lacks("info") && !lacks("zip") {
            continue;
        }
        versions += 1;
        let module = module_of(relative)?;
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        if lacks("info") {
            let text = format!("{{\"Version\":\"{}\",\"Time\":\"{TIME}\"}}", module.version());
            fs::write(target.with_extension("info"), text)?;
        }
        if lacks("zip") {
            let zip = create_module_zip(&module, [("go.mod", fs::read(&file)?)]).map_err(io::Error::other)?;
            fs::write(target.with_extension("zip"), zip)?;
        }
    }
    Ok(versions)
}

/// Every `.mod` below a folder.
fn mods(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            found.extend(mods(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "mod") {
            found.push(path);
        }
    }
    Ok(found)
}

/// The version that a file `PATH/@v/VERSION.mod` is of, both escaped.
fn module_of(relative: &Path) -> io::Result<ModuleVersion> {
    let bad = |why: &dyn Display| io::Error::other(format!("{}: {why}", relative.display()));
    let text = relative.to_str().and_then(|text| text.strip_suffix(".mod")?.split_once("/@v/"));
    let (path, version) = text.ok_or_else(|| bad(&"no file of a module proxy"))?;
    let path = EscapedPath::parse(path).map_err(|error| bad(&error))?.unescape();
    let version = unescape_version(version).map_err(|error| bad(&error))?;
    let version = Version::parse(&version).map_err(|error| bad(&error))?;
    ModuleVersion::new(path, version).map_err(|error| bad(&error))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use goferry_module::zip::{Archive, check};
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn what_is_missing_is_made_and_nothing_else() {
        let place = TempDir::new().unwrap();
        let [asked, modules, folder] = ["asked", "modules", "rest"].map(|name| place.path().join(name));
        for (root, file) in [
            (&asked, "example.com/!upper/@v/v1.0.0-!r!c1.mod"),
            (&asked, "example.com/m/v2/@v/v2.1.0.mod"),
            (&modules, "example.com/m/v2/@v/v2.1.0.mod"),
            (&modules, "example.com/m/v2/@v/v2.1.0.info"),
            (&modules, "example.com/m/v2/@v/v2.1.0.zip"),
        ] {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), "module example.com/Upper\n").unwrap();
        }
        assert_eq!(write(&asked, &modules, &folder).unwrap(), 1);
        let made = |name: &str| folder.join("example.com/!upper/@v").join(name);
        let info = fs::read_to_string(made("v1.0.0-!r!c1.info")).unwrap();
        assert_eq!(info, r#"{"Version":"v1.0.0-RC1","Time":"2020-01-01T00:00:00Z"}"#);
        let module = module_of(Path::new("example.com/!upper/@v/v1.0.0-!r!c1.mod")).unwrap();
        let zip = fs::read(made("v1.0.0-!r!c1.zip")).unwrap();
        let archive = Archive::open(Cursor::new(zip)).unwrap();
        assert_eq!(check(&module, &archive).result().unwrap().len(), 1);
        assert!(!made("v1.0.0-!r!c1.mod").exists() && !folder.join("example.com/m").exists());
    }

    #[test]
    fn a_file_of_no_module_is_an_error() {
        let place = TempDir::new().unwrap();
        fs::write(place.path().join("go.mod"), "").unwrap();
        assert!(write(place.path(), place.path(), &place.path().join("rest")).is_err());
    }
}
