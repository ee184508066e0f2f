//! A project on disk that requires the modules of a universe.

use std::fs;
use std::io;
use std::path::Path;

use super::{Universe, VERSION};

/// How the project differs from a plain one.
#[derive(Debug, Clone, Default)]
pub struct ProjectSpec {
    /// The `go` line; the universe's unless said. Below 1.17 only direct requirements are listed, as old go did.
    pub go_line: Option<String>,
    /// A `toolchain` line, such as `go1.99.1`.
    pub toolchain: Option<String>,
    /// Modules, the last ones, that go.sum says nothing about.
    pub missing_sums: usize,
    /// Write a main.go that imports every module.
    pub main_go: bool,
}

impl Universe {
    /// Writes go.mod, go.sum and, if asked for, main.go into `folder`, which must exist.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_project(&self, folder: &Path, spec: &ProjectSpec) -> io::Result<()> {
        fs::write(folder.join("go.mod"), self.main_go_mod(spec))?;
        fs::write(folder.join("go.sum"), self.go_sum(spec.missing_sums))?;
        if spec.main_go {
            let imports: String = self.modules.iter().map(|module| format!("\t_ \"{}\"\n", module.path)).collect();
            fs::write(folder.join("main.go"), format!("package main\n\nimport (\n{imports})\n\nfunc main() {{}}\n"))?;
        }
        Ok(())
    }

    /// go.sum with both lines of each module but the last `missing`.
    fn go_sum(&self, missing: usize) -> String {
        let known = self.modules.len().saturating_sub(missing);
        let lines = self.modules[..known].iter().map(|module| {
            let (path, zip, go_mod) = (&module.path, &module.zip_hash, &module.go_mod_hash);
            format!("{path} {VERSION} {zip}\n{path} {VERSION}/go.mod {go_mod}\n")
        });
        lines.collect()
    }

    fn main_go_mod(&self, spec: &ProjectSpec) -> String {
        let go_line = spec.go_line.as_deref().unwrap_or(&self.go_line);
        let mut text = format!("module lab.example.com/project\n\ngo {go_line}\n");
        if let Some(toolchain) = &spec.toolchain {
            text.push_str(&format!("\ntoolchain {toolchain}\n"));
        }
        let pruned = !matches!(go_line, "1.11" | "1.12" | "1.13" | "1.14" | "1.15" | "1.16");
        text.push_str("\nrequire (\n");
        for (number, module) in self.modules.iter().enumerate() {
            let root = spec.main_go || self.shape.is_root(number);
            if root || pruned {
                let note = if root { "" } else { " // indirect" };
                text.push_str(&format!("\t{} {VERSION}{note}\n", module.path));
            }
        }
        text.push_str(")\n");
        text
    }
}
