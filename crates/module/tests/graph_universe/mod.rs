//! Made-up modules that require each other at random, and a project or a workspace that uses them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use goferry_module::zip::create_module_zip;
use goferry_module::{FileKind, GoVersion, ModInfo, ModulePath, ModuleVersion, Version};

/// The main modules; each also exists in the proxy, at versions that dependencies require.
pub(crate) const MAIN: [&str; 3] = ["example.com/main", "example.com/side", "example.com/main/inner"];

/// The directories of the main modules in a workspace.
pub(crate) const DIRS: [&str; 3] = ["main", "other/side", "main/inner"];

const GO_LINES: [&str; 12] =
    ["", "1.11", "1.16", "1.17rc1", "1.17", "1.18", "1.20", "1.21rc2", "1.21", "1.21.3", "1.22", "1.23.1"];

/// A seeded generator (xorshift): the same universe for the same seed on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..8).for_each(|_| _ = random.below(2));
        random
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 33) as usize) % limit
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// A file of the project: its path below the project's directory, and what is in it.
pub(crate) type File = (String, String);

pub(crate) struct Universe {
    /// `path`, and its versions in ascending order.
    modules: Vec<(String, Vec<String>)>,
    go_lines: Vec<&'static str>,
    /// The go.mod of every version.
    pub(crate) go_mods: Vec<(ModuleVersion, String)>,
    /// The project.
    pub(crate) files: Vec<File>,
    pub(crate) workspace: bool,
}

impl Universe {
    pub(crate) fn new(seed: u64, local: &GoVersion) -> Self {
        let mut random = Random::new(seed);
        let known = |line: &&str| GoVersion::parse(line).map_or(line.is_empty(), |go| go <= *local);
        let mut go_lines: Vec<&str> = GO_LINES.into_iter().filter(known).collect();
        // Old, new or mixed.
        match random.below(4) {
            0 => go_lines.truncate(5),
            1 => drop(go_lines.drain(..4)),
            _ => {}
        }
        let modules = modules(&mut random);
        let mut universe =
            Self { modules, go_lines, go_mods: Vec::new(), files: Vec::new(), workspace: random.one_in(3) };
        for (path, versions) in universe.modules.clone() {
            for version in versions {
                let go_mod = universe.dependency(&mut random, &path);
                let path = ModulePath::parse(&path).unwrap();
                let module = ModuleVersion::new(path, Version::parse(&version).unwrap()).unwrap();
                universe.go_mods.push((module, go_mod));
            }
        }
        for index in 0..3 {
            let go_mod = match random.below(3) {
                0 => universe.dependency(&mut random, ""),
                _ => universe.dependency(&mut random, "example.com/local"),
            };
            universe.files.push((format!("local{index}/go.mod"), go_mod));
        }
        if universe.workspace {
            universe.make_workspace(&mut random, local);
        } else {
            let go_mod = universe.main(&mut random, MAIN[0], ".");
            universe.files.push(("go.mod".to_owned(), go_mod));
        }
        universe
    }

    /// Puts every module into the directory of a `file://` proxy.
    pub(crate) fn publish(&self, proxy: &Path) {
        for (module, go_mod) in &self.go_mods {
            let files = [("go.mod", go_mod.as_str()), ("a.go", "package a\n")];
            let files = files.into_iter().filter(|(name, _)| *name != "go.mod" || !module.version().is_incompatible());
            let zip = create_module_zip(module, files).unwrap();
            let time = Some("2024-01-02T03:04:05Z".parse().unwrap());
            let info = ModInfo { version: module.version().to_string(), time }.to_json();
            for (kind, content) in
                [(FileKind::Info, info.as_bytes()), (FileKind::Mod, go_mod.as_bytes()), (FileKind::Zip, &zip)]
            {
                let file = proxy.join(module.proxy_path(kind).trim_start_matches('/'));
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, content).unwrap();
            }
        }
    }

    /// Writes the project.
    pub(crate) fn write_project(&self, dir: &Path) {
        for (name, content) in &self.files {
            let file = dir.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
    }

    fn make_workspace(&mut self, random: &mut Random, local: &GoVersion) {
        let count = 1 + random.below(3);
        let mut work = String::new();
        let go = ["1.23.1", "1.21.3", "1.18"].into_iter().find(|go| GoVersion::parse(go).unwrap() <= *local).unwrap();
        match random.below(12) {
            0 => {}
            1 => writeln!(work, "go 1.20").unwrap(),
            _ => writeln!(work, "go {go}").unwrap(),
        }
        for index in 0..count {
            writeln!(work, "use ./{}", DIRS[index]).unwrap();
            let up = "../".repeat(DIRS[index].split('/').count());
            let go_mod = self.main(random, MAIN[index], up.trim_end_matches('/'));
            self.files.push((format!("{}/go.mod", DIRS[index]), go_mod));
        }
        if random.one_in(2) {
            self.replaces(random, &mut work, ".", 2);
        }
        self.files.push(("go.work".to_owned(), work));
    }

    fn main(&self, random: &mut Random, path: &str, up: &str) -> String {
        let mut text = format!("module {path}\n");
        self.go_line(random, &mut text);
        if random.one_in(8) {
            text.push_str("toolchain go1.21.1\n");
        }
        for _ in 0..random.below(8) {
            self.require(random, &mut text);
        }
        for _ in 0..random.below(4) {
            let (path, version) = self.any(random);
            writeln!(text, "exclude {path} {version}").unwrap();
        }
        if random.one_in(2) {
            self.replaces(random, &mut text, up, 3);
        }
        text
    }

    fn dependency(&self, random: &mut Random, path: &str) -> String {
        let mut text = match path {
            "" => String::new(),
            // Sometimes a lie.
            _ if random.one_in(300) => "module example.com/liar\n".to_owned(),
            _ if random.one_in(300) => String::new(),
            path => format!("module {path}\n"),
        };
        self.go_line(random, &mut text);
        for _ in 0..random.below(4) {
            self.require(random, &mut text);
        }
        text
    }

    fn go_line(&self, random: &mut Random, text: &mut String) {
        match *random.pick(&self.go_lines) {
            "" => {}
            line => writeln!(text, "go {line}").unwrap(),
        }
    }

    fn require(&self, random: &mut Random, text: &mut String) {
        let (path, version) = match random.below(60) {
            // What no proxy can serve.
            0 => ("nodot/module", "v1.0.0"),
            _ => self.any(random),
        };
        let comment = if random.one_in(3) { " // indirect" } else { "" };
        writeln!(text, "require {path} {version}{comment}").unwrap();
    }

    fn replaces(&self, random: &mut Random, text: &mut String, up: &str, most: usize) {
        let mut seen = Vec::new();
        for _ in 0..=random.below(most) {
            let (path, version) = self.any(random);
            let old = if random.one_in(2) { format!("{path} {version}") } else { path.to_owned() };
            if seen.contains(&old) {
                continue;
            }
            let new = match random.below(3) {
                0 => format!("{up}/local{}", random.below(3)),
                _ => {
                    let (path, version) = self.any(random);
                    format!("{path} {version}")
                }
            };
            writeln!(text, "replace {old} => {new}").unwrap();
            seen.push(old);
        }
    }

    fn any(&self, random: &mut Random) -> (&str, &str) {
        let (path, versions) = random.pick(&self.modules);
        let version: &String = random.pick(versions);
        (path, version)
    }
}

fn modules(random: &mut Random) -> Vec<(String, Vec<String>)> {
    let mut modules: Vec<(String, Vec<String>)> = (0..4 + random.below(12))
        .map(|index| {
            let (path, versions): (String, &[&str]) = match random.below(8) {
                0 => (format!("example.com/M{index}/v2"), &["v2.0.0-pre", "v2.0.0", "v2.1.0"]),
                1 => (format!("example.com/i{index}"), &["v1.0.0", "v2.0.0+incompatible", "v3.0.0+incompatible"]),
                2 => (format!("gopkg.in/g{index}.v1"), &["v1.0.0", "v1.9.0", "v1.10.0"]),
                _ => (
                    format!("example.com/m{index}"),
                    &["v0.1.0", "v1.0.0", "v1.0.1-0.20240102030405-abcdefabcdef", "v1.1.0"],
                ),
            };
            let count = 1 + random.below(versions.len());
            (path, versions[..count].iter().map(|&version| version.to_owned()).collect())
        })
        .collect();
    modules.extend(MAIN.map(|path| (path.to_owned(), vec!["v1.0.0".to_owned(), "v1.1.0".to_owned()])));
    modules
}
