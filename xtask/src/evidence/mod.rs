//! `cargo xtask evidence`: the tables under `docs/evidence`, made by running what they tell of.

mod download_faults;
mod faults;
mod prediction;
mod serve_faults;
mod servers;

use std::path::Path;

use crate::say::say;

/// A table that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("evidence {name}: {why}")]
pub(crate) struct EvidenceError {
    name: &'static str,
    why: String,
}

/// Makes one table in a folder.
type Make = fn(&Path) -> Result<(), String>;

const TABLES: &[(&str, Make)] = &[
    ("download-faults", |out| download_faults::run(out).map_err(|error| error.to_string())),
    ("faults", |out| faults::run(out).map_err(|error| error.to_string())),
    ("prediction", |out| prediction::run(out).map_err(|error| error.to_string())),
    ("serve-faults", |out| serve_faults::run(out).map_err(|error| error.to_string())),
    ("servers", |out| servers::run(out).map_err(|error| error.to_string())),
];

/// The names that [`run`] knows.
pub(crate) const NAMES: &[&str] = &["download-faults", "faults", "prediction", "serve-faults", "servers"];

/// Makes these tables, all where none is named, in `out`.
///
/// # Errors
/// The first table that cannot be made.
pub(crate) fn run(names: &[String], out: &Path) -> Result<(), EvidenceError> {
    for (name, make) in TABLES {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            say!("==> {name}");
            make(out).map_err(|why| EvidenceError { name, why })?;
            say!("    {}", out.join(name).with_extension("md").display());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_tables() {
        let names: Vec<&str> = TABLES.iter().map(|table| table.0).collect();
        assert_eq!(names, NAMES);
    }
}
