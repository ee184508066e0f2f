//! Modules made up for a test, in several versions.

use std::collections::BTreeMap;

use goferry_lab::made::{self, Made, with_origin};

/// What a module requires: name and version.
pub(crate) type Requires<'a> = &'a [(String, &'a str)];

/// Modules below `lab.example.com`, and the files that a module proxy has of them.
#[derive(Default)]
pub(crate) struct Universe {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    sums: String,
}

pub(crate) fn name(number: usize) -> String {
    format!("m{number:04}")
}

pub(crate) fn path(name: &str) -> String {
    format!("lab.example.com/{name}")
}

impl Universe {
    /// Publishes `name@version` with a package that imports those of `imports`.
    pub(crate) fn add(&mut self, name: &str, version: &str, go: &str, requires: Requires<'_>, imports: &[String]) {
        let module = made::module(&format!("{}@{version}", path(name)));
        let requires = requires.iter().map(|(other, version)| format!("{}@{version}", path(other)));
        let go_mod = made::go_mod(&module, go, requires);
        let imports: String = imports.iter().map(|other| format!("import _ {:?}\n", path(other))).collect();
        let source = format!("package {name}\n\n{imports}");
        let mut made = Made::new(module, go_mod, &[("m.go", source.as_bytes()), ("noise.bin", &noise(version))]);
        made.info = with_origin(&made.info);
        self.sums.push_str(&made.go_sum());
        self.files.extend(made.files().map(|(path, content)| (path, content.to_vec())));
        let list = self.files.entry(made.module.path().list_path()).or_default();
        list.extend(format!("{version}\n").as_bytes());
    }

    /// A go.sum with everything.
    pub(crate) fn sums(&self) -> &str {
        &self.sums
    }

    /// `count` modules, each of which requires and imports twice its number and one, and two; the first requires all.
    pub(crate) fn tree(count: usize, go: &str) -> Universe {
        let children = |number: usize| (2 * number + 1..2 * number + 3).filter(|child| *child < count);
        Universe::of(count, go, |number| children(number).collect())
    }

    /// None requires another.
    pub(crate) fn flat(count: usize) -> Universe {
        Universe::of(count, "1.21", |_| Vec::new())
    }

    /// Each requires the next.
    pub(crate) fn chain(count: usize, go: &str) -> Universe {
        Universe::of(count, go, |number| (number + 1..count).take(1).collect())
    }

    fn of(count: usize, go: &str, children: impl Fn(usize) -> Vec<usize>) -> Universe {
        let mut universe = Universe::default();
        for number in 0..count {
            let imports: Vec<String> = children(number).into_iter().map(name).collect();
            let requires: Vec<(String, &str)> = imports.iter().map(|name| (name.clone(), "v1.0.0")).collect();
            universe.add(&name(number), "v1.0.0", go, &requires, &imports);
        }
        universe
    }

    /// As real ones are: `count` modules that the main module needs at v1.2.0, which require each other at older versions
    /// and, for tests of their own, others that nobody else needs and that require more; a few are below go 1.17.
    pub(crate) fn pruned(count: usize) -> Universe {
        let mut universe = Universe::default();
        for number in 0..count {
            let imports: Vec<String> = (number + 1..count).step_by(7).take(2).map(name).collect();
            for (version, older) in
                [("v1.0.0", "v1.0.0"), ("v1.1.0", "v1.0.0"), ("v1.2.0", "v1.1.0"), ("v1.3.0", "v1.2.0")]
            {
                let mut requires: Vec<(String, &str)> =
                    (number + 1..count).step_by(3).take(8).map(|other| (name(other), older)).collect();
                for import in &imports {
                    requires.retain(|(name, _)| name != import);
                    requires.push((import.clone(), if version == "v1.2.0" { "v1.2.0" } else { older }));
                }
                requires.extend((0..4).map(|test| (format!("t{:04}", (number * 5 + test) % 90), older)));
                let go = if number % 10 == 9 { "1.16" } else { "1.20" };
                universe.add(&name(number), version, go, &requires, &imports);
            }
        }
        for number in 0..90 {
            let test = format!("t{number:04}");
            for version in ["v1.0.0", "v1.1.0", "v1.2.0"] {
                let requires = [(format!("t{:04}", (number + 1) % 90), "v1.0.0"), (format!("u{number:04}"), version)];
                universe.add(&test, version, "1.20", &requires, &[]);
                universe.add(&format!("u{number:04}"), version, "1.20", &[], &[]);
            }
        }
        universe
    }
}

/// Bytes that do not compress, others for each version.
fn noise(version: &str) -> Vec<u8> {
    let seed = version.bytes().fold(7_u64, |all, byte| all * 31 + u64::from(byte));
    goferry_lab::universe::noise(12_000, seed)
}
