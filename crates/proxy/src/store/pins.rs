//! The hashes of what was verified when it was stored: by the checksum database, or, where that is not asked, of the first
//! that came. What comes later must have them.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use goferry_fetch::fetcher::Judge;
use goferry_fetch::sums::{DatabaseUse, Hashed};
use goferry_fetch::{BoxFuture, FailKind, FetchError};
use goferry_module::escape::unescape_version;
use goferry_module::{DirHash, ModulePath, ModuleVersion, Version};
use goferry_net::Party;

use super::{blocking, write_whole};

/// The largest file of pins that is read, in bytes.
const MAX: u64 = 4096;

/// The pins of a store.
#[derive(Debug)]
pub struct Pins {
    dir: PathBuf,
}

/// The pinned hashes of a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pinned {
    /// That of the zip.
    pub zip: Option<DirHash>,
    /// That of the go.mod.
    pub go_mod: Option<DirHash>,
}

impl Pinned {
    fn of(&self, what: Hashed) -> Option<DirHash> {
        match what {
            Hashed::Zip => self.zip,
            Hashed::GoMod => self.go_mod,
        }
    }
}

impl Pins {
    pub(super) fn new(dir: &Path) -> Pins {
        Pins { dir: dir.to_owned() }
    }

    /// What is pinned of a version; nothing where the file is damaged.
    #[must_use]
    pub fn read(&self, module: &ModuleVersion) -> Pinned {
        use std::io::Read as _;
        let mut text = String::new();
        let read = File::open(self.file(module)).and_then(|file| file.take(MAX).read_to_string(&mut text));
        let mut pinned = Pinned::default();
        if read.is_err() {
            return pinned;
        }
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("zip", hash)) => pinned.zip = hash.parse().ok(),
                Some(("mod", hash)) => pinned.go_mod = hash.parse().ok(),
                _ => {}
            }
        }
        pinned
    }

    /// Pins a hash; the other one stays.
    ///
    /// # Errors
    /// [`FailKind::Local`] where it cannot be written.
    pub fn write(&self, module: &ModuleVersion, what: Hashed, hash: DirHash) -> Result<(), FetchError> {
        let _lock = self.lock()?;
        self.write_locked(module, what, hash)
    }

    /// Pins a hash where none is pinned; else gives the one that is.
    ///
    /// # Errors
    /// As [`Pins::write`].
    pub fn write_first(
        &self,
        module: &ModuleVersion,
        what: Hashed,
        hash: DirHash,
    ) -> Result<Option<DirHash>, FetchError> {
        let _lock = self.lock()?;
        let known = self.read(module).of(what);
        if known.is_none() {
            self.write_locked(module, what, hash)?;
        }
        Ok(known)
    }

    /// One writes at a time, of all processes: of a zip and its go.mod, which are often fetched at once, the one would
    /// undo what the other has pinned. No module path begins with a dot.
    fn lock(&self) -> Result<File, FetchError> {
        let path = self.dir.join(".lock");
        let locked = fs::create_dir_all(&self.dir)
            .and_then(|()| File::options().append(true).create(true).open(&path))
            .and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error| FetchError::local(format_args!("locking {}", path.display()), &error))
    }

    fn write_locked(&self, module: &ModuleVersion, what: Hashed, hash: DirHash) -> Result<(), FetchError> {
        let mut pinned = self.read(module);
        let slot = match what {
            Hashed::Zip => &mut pinned.zip,
            Hashed::GoMod => &mut pinned.go_mod,
        };
        if *slot == Some(hash) {
            return Ok(());
        }
        *slot = Some(hash);
        let mut text = String::new();
        for (name, hash) in [("zip", pinned.zip), ("mod", pinned.go_mod)] {
            if let Some(hash) = hash {
                let _ = writeln!(text, "{name} {hash}");
            }
        }
        write_whole(&self.file(module), text.as_bytes())
    }

    /// The versions of a module of which something is pinned.
    #[must_use]
    pub fn versions(&self, path: &ModulePath) -> Vec<Version> {
        let entries = fs::read_dir(self.dir.join(format!("{}/@v", path.escape()))).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| unescape_version(entry.file_name().to_str()?).ok());
        names.filter_map(|name| Version::parse(&name).ok()).collect()
    }

    /// Forgets a version.
    pub fn remove(&self, module: &ModuleVersion) {
        let _ = fs::remove_file(self.file(module));
    }

    fn file(&self, module: &ModuleVersion) -> PathBuf {
        self.dir.join(format!("{}/@v/{}", module.path().escape(), module.escaped_version()))
    }
}

/// A judge that pins what another one found right, and where that one has nothing to go by holds to what was pinned.
pub struct PinJudge {
    /// The other one.
    pub inner: Arc<dyn Judge>,
    /// The pins.
    pub pins: Arc<Pins>,
    /// Which modules the other one has nothing to go by for.
    pub database_use: DatabaseUse,
}

impl PinJudge {
    async fn judge(
        &self,
        module: &ModuleVersion,
        what: Hashed,
        hash: &DirHash,
        source: &str,
    ) -> Result<(), FetchError> {
        self.inner.check(module, what, hash, source).await?;
        let first_counts = self.database_use.exempt(module.path()).is_some();
        let (pins, module, hash, source) = (Arc::clone(&self.pins), module.clone(), *hash, source.to_owned());
        blocking(move || {
            // Most of what is judged is pinned already: for that nobody waits.
            if pins.read(&module).of(what) == Some(hash) {
                return Ok(());
            }
            if !first_counts {
                return pins.write(&module, what, hash);
            }
            match pins.write_first(&module, what, hash)? {
                Some(known) if known != hash => Err(changed(&module, what, known, hash, &source)),
                _ => Ok(()),
            }
        })
        .await
    }
}

impl Judge for PinJudge {
    fn ahead<'a>(&'a self, module: &'a ModuleVersion, what: Hashed) -> BoxFuture<'a, ()> {
        self.inner.ahead(module, what)
    }

    fn check<'a>(
        &'a self,
        module: &'a ModuleVersion,
        what: Hashed,
        hash: &'a DirHash,
        source: &'a str,
    ) -> BoxFuture<'a, Result<(), FetchError>> {
        Box::pin(self.judge(module, what, hash, source))
    }
}

fn changed(module: &ModuleVersion, what: Hashed, known: DirHash, hash: DirHash, source: &str) -> FetchError {
    let what = match what {
        Hashed::Zip => "zip",
        Hashed::GoMod => "go.mod",
    };
    let text = format!(
        "verifying {module}: checksum mismatch\n\tdownloaded: {hash}\n\tfirst seen: {known}\n\
         SECURITY ERROR\nThe {what} from {source} is not the one that this proxy saw first."
    );
    FetchError::new(FailKind::Mismatch, Party::Upstream, text).with_advice(format!(
        "a published version never changes: find out who changed it; then goferry store forget {module}"
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::super::tests::module;
    use super::*;

    /// As of a zip and a go.mod that arrive at the same time, in two processes.
    #[test]
    fn what_is_pinned_at_once_stays() {
        let dir = tempfile::tempdir().unwrap();
        let hash = |text: &str| DirHash::of_go_mod(text.as_bytes());
        let both = Barrier::new(2);
        let pin = |what: Hashed, text: &str| {
            let pins = Pins::new(dir.path());
            for n in 0..200 {
                both.wait();
                let module = module(&format!("v1.{n}.0"));
                assert_eq!(pins.write_first(&module, what, hash(text)).unwrap(), None);
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| pin(Hashed::Zip, "zip"));
            scope.spawn(|| pin(Hashed::GoMod, "mod"));
        });
        let pins = Pins::new(dir.path());
        for n in 0..200 {
            let wanted = Pinned { zip: Some(hash("zip")), go_mod: Some(hash("mod")) };
            assert_eq!(pins.read(&module(&format!("v1.{n}.0"))), wanted, "{n}");
        }
        assert_eq!(pins.write_first(&module("v1.0.0"), Hashed::Zip, hash("other")).unwrap(), Some(hash("zip")));
        assert_eq!(pins.versions(module("v1.0.0").path()).len(), 200);
    }
}
