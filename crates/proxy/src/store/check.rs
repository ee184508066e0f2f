//! Files of the store, held against what is known of them before they are served.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use goferry_fetch::fetcher::Judge;
use goferry_fetch::sums::Hashed;
use goferry_fetch::{FailKind, FetchError};
use goferry_module::{DirHash, FileKind, ModuleVersion};
use goferry_net::Party;
use http::HeaderValue;

use super::{Stamp, Store, blocking, etag, write_whole};
use crate::answer::{Entity, EntityContent, FOR_EVER};
use crate::config::SourceMode;

/// How often a zip is looked at again that others replace meanwhile.
const TRIES: usize = 4;

impl Store {
    /// A `.info`: it must be JSON that names the version.
    pub(super) async fn info(self: &Arc<Self>, module: &ModuleVersion) -> Result<Option<Vec<u8>>, FetchError> {
        // Most of what is asked for first is not there: that is known without another thread.
        if !is_there(&self.cache.file(module, FileKind::Info)) {
            return Ok(None);
        }
        let (this, version) = (Arc::clone(self), module.clone());
        let read = blocking(move || {
            let read = this.cache.read_info(&version);
            Ok(read.ok_or_else(|| is_there(&this.cache.file(&version, FileKind::Info))))
        });
        match read.await? {
            Ok(bytes) => Ok(Some(bytes)),
            Err(false) => Ok(None),
            Err(true) => {
                let text = format!("{module}: the .info in the store is not JSON that names this version");
                self.put_aside(module, FileKind::Info, FetchError::new(FailKind::Invalid, Party::Client, text)).await
            }
        }
    }

    /// A `.mod`: it must have the pinned hash, or the one of the checksum database. Where the upstream may not be asked,
    /// one that has no pin is what the go command verified when it wrote it.
    pub(super) async fn go_mod(
        self: &Arc<Self>,
        module: &ModuleVersion,
        judge: &Arc<dyn Judge>,
    ) -> Result<Option<Vec<u8>>, FetchError> {
        if !is_there(&self.cache.file(module, FileKind::Mod)) {
            return Ok(None);
        }
        let (this, version) = (Arc::clone(self), module.clone());
        let read = blocking(move || {
            let read = this.cache.read_mod(&version);
            let there = read.is_some() || is_there(&this.cache.file(&version, FileKind::Mod));
            Ok((read, there, this.pins.read(&version).go_mod))
        });
        let (bytes, pinned) = match read.await? {
            (Some(bytes), _, pinned) => (bytes, pinned),
            (None, false, _) => return Ok(None),
            (None, true, _) => {
                let text = format!("{module}: the .mod in the store cannot be read, or is none");
                let error = FetchError::new(FailKind::Invalid, Party::Client, text);
                return self.put_aside(module, FileKind::Mod, error).await;
            }
        };
        let hash = DirHash::of_go_mod(&bytes);
        let judged = match pinned {
            Some(pinned) if pinned == hash => return Ok(Some(bytes)),
            Some(pinned) if !self.may_ask() => Err(mismatch(module, ".mod", hash, "the one that was verified", pinned)),
            None if !self.may_ask() => return Ok(Some(bytes)),
            _ => judge.check(module, Hashed::GoMod, &hash, "the store").await,
        };
        match judged {
            Ok(()) => Ok(Some(bytes)),
            // Another request, or process, may have put a sound one in its place.
            Err(_) if self.may_ask() && self.cache.read_mod(module).is_none_or(|now| now != bytes) => {
                Box::pin(self.go_mod(module, judge)).await
            }
            Err(error) => self.put_aside(module, FileKind::Mod, error).await,
        }
    }

    /// A zip: it must have the pinned hash and the one recorded beside it.
    pub(super) async fn zip(
        self: &Arc<Self>,
        module: &ModuleVersion,
        judge: &Arc<dyn Judge>,
    ) -> Result<Option<Entity>, FetchError> {
        let path = self.cache.file(module, FileKind::Zip);
        let failed = |error: &io::Error| FetchError::local(format_args!("reading {}", path.display()), error);
        for _ in 0..TRIES {
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(failed(&error)),
            };
            let stamp = Stamp::of(&file).map_err(|error| failed(&error))?;
            let known = match self.checked.get(module).filter(|(known, _)| *known == stamp) {
                Some(known) => known,
                None => {
                    let work = || {
                        let (this, module, judge) = (Arc::clone(self), module.clone(), Arc::clone(judge));
                        async move { this.check_zip(&module, &judge).await }
                    };
                    match self.checking.join(module, work).await.map(|landed| landed.value) {
                        Some(Ok(Some(known))) => known,
                        Some(Ok(None)) => return Ok(None),
                        Some(Err(error)) => return Err(error),
                        None => {
                            let text = format!("{module}: the task that checked its zip ended early");
                            return Err(FetchError::new(FailKind::Invalid, Party::Goferry, text));
                        }
                    }
                }
            };
            // What was checked must be what is open here.
            if known.0 == stamp {
                return Ok(Some(Entity {
                    content: EntityContent::Disk(Arc::new(file), stamp.size),
                    etag: etag(&known.1),
                    kind: HeaderValue::from_static("application/zip"),
                    cache_control: HeaderValue::from_static(FOR_EVER),
                }));
            }
        }
        let text = format!("{module}: the zip in the store changed {TRIES} times while it was looked at");
        Err(FetchError::new(FailKind::Local(None), Party::Client, text))
    }

    /// Reads and hashes a zip. `None` where it is not there, or was damaged and is in quarantine now.
    async fn check_zip(
        self: &Arc<Self>,
        module: &ModuleVersion,
        judge: &Arc<dyn Judge>,
    ) -> Result<Option<(Stamp, DirHash)>, FetchError> {
        let path = self.cache.file(module, FileKind::Zip);
        let stamp = || File::open(&path).and_then(|file| Stamp::of(&file)).ok();
        for _ in 0..TRIES {
            let Some(before) = stamp() else { return Ok(None) };
            let outcome = self.judge_zip(module, judge).await;
            if stamp() != Some(before) {
                continue;
            }
            return match outcome {
                Ok(hash) => {
                    self.checked.insert(module.clone(), (before, hash));
                    Ok(Some((before, hash)))
                }
                Err(error) => self.put_aside(module, FileKind::Zip, error).await,
            };
        }
        Ok(None)
    }

    async fn judge_zip(
        self: &Arc<Self>,
        module: &ModuleVersion,
        judge: &Arc<dyn Judge>,
    ) -> Result<DirHash, FetchError> {
        let (this, version) = (Arc::clone(self), module.clone());
        let (hash, recorded, pinned) = blocking(move || {
            let unpacked = this.unpacker.unpack(&version, &this.cache.file(&version, FileKind::Zip), None)?;
            Ok((unpacked.hash, read_ziphash(&this.cache.ziphash(&version)), this.pins.read(&version).zip))
        })
        .await?;
        let record = match (pinned, recorded) {
            (Some(pinned), _) if pinned != hash => {
                return Err(mismatch(module, "zip", hash, "the one that was verified", pinned));
            }
            (_, Some(recorded)) if recorded != hash => {
                return Err(mismatch(module, "zip", hash, "the recorded one", recorded));
            }
            (_, Some(_)) => false,
            (Some(_), None) => true,
            (None, None) if self.may_ask() => {
                judge.check(module, Hashed::Zip, &hash, "the store").await?;
                true
            }
            (None, None) => {
                let text =
                    format!("{module}: no hash of the zip in the store is recorded, so that it cannot be verified");
                return Err(FetchError::new(FailKind::Invalid, Party::Client, text).with_advice(format!(
                    "in a module cache, go mod download {module} verifies it and records its hash"
                )));
            }
        };
        if record && self.may_ask() {
            let path = self.cache.ziphash(module);
            // The go command, too, makes it anew where it is missing.
            let written = blocking(move || write_whole(&path, hash.to_string().as_bytes())).await;
            if let Err(error) = written {
                tracing::debug!(%module, %error, "the hash is not recorded");
            }
        }
        Ok(hash)
    }

    fn may_ask(&self) -> bool {
        self.mode == SourceMode::Fetch
    }

    /// Puts a file that is not what it should be into quarantine, so that it is fetched again.
    async fn put_aside<T>(
        self: &Arc<Self>,
        module: &ModuleVersion,
        kind: FileKind,
        mut error: FetchError,
    ) -> Result<Option<T>, FetchError> {
        if !matches!(error.kind, FailKind::Mismatch | FailKind::Invalid) {
            return Err(error);
        }
        tracing::error!(%module, kind = kind.extension(), %error, "a file of the store is damaged");
        if !self.may_ask() {
            let advice = error.advice.clone().unwrap_or_else(|| "mend or remove the file".to_owned());
            let advice = format!("the store is served as it is (--offline or --frozen): {advice}");
            // Whatever sent it, it was right when it was stored.
            error.party = Party::Client;
            return Err(error.with_advice(advice));
        }
        let (this, module) = (Arc::clone(self), module.clone());
        blocking(move || this.quarantine(&module, kind)).await?;
        Ok(None)
    }
}

pub(super) fn mismatch(module: &ModuleVersion, what: &str, hash: DirHash, which: &str, known: DirHash) -> FetchError {
    let text = format!(
        "{module}: the {what} in the store has the hash {hash}, {which} is {known}: it was damaged or replaced"
    );
    FetchError::new(FailKind::Mismatch, Party::Client, text)
}

/// What `V.ziphash` says, where that is a hash.
pub(super) fn read_ziphash(path: &Path) -> Option<DirHash> {
    use std::io::Read as _;
    let mut text = String::new();
    File::open(path).ok()?.take(4096).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
