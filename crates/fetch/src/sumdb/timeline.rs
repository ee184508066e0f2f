//! The last tree head seen, in memory and in the `latest` file, and that the log only ever grew (`golang.org/x/mod/
//! sumdb`, `client.go`, `mergeLatest` and `checkTrees`).

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use goferry_module::sumdb::note::NoteError;
use goferry_module::sumdb::tlog::{EMPTY_TREE, Hash, check_tree, tree_hash, tree_hash_indexes, tree_proof};
use goferry_module::sumdb::tlog::{ProofError, tree_proof_indexes};
use goferry_module::sumdb::tree::TreeError;
use goferry_module::sumdb::{TilePlan, TreeHead, Verifier, tile};
use goferry_net::Party;

use super::disk::Disk;
use super::security;
use super::tiles::Tiles;
use crate::error::{FailKind, FetchError};

/// How often another process may change the `latest` file between our reading and our writing it.
const MAX_CONFLICTS: usize = 1000;

/// The history of the log as this machine knows it.
pub(super) struct Timeline {
    verifier: Verifier,
    disk: Arc<Disk>,
    tiles: Arc<Tiles>,
    latest: Mutex<Signed>,
    misbehavior: OnceLock<FetchError>,
}

/// A tree head and the signed note that it was read from; an empty note for the log without records.
#[derive(Clone)]
pub(super) struct Signed {
    pub(super) tree: TreeHead,
    note: Bytes,
}

/// Where something was read from.
pub(super) enum Origin {
    Server,
    File(PathBuf),
}

impl Timeline {
    pub(super) fn new(verifier: Verifier, disk: Arc<Disk>, tiles: Arc<Tiles>) -> Self {
        let latest = Mutex::new(Signed { tree: TreeHead::EMPTY, note: Bytes::new() });
        Self { verifier, disk, tiles, latest, misbehavior: OnceLock::new() }
    }

    /// The key of the database.
    pub(super) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Takes up the tree head in the `latest` file.
    pub(super) async fn begin(&self) -> Result<(), FetchError> {
        self.catch_up().await.map(drop)
    }

    /// The latest tree head.
    pub(super) fn latest(&self) -> TreeHead {
        self.lock().tree
    }

    /// What the latest tree head will be if `tree` is merged.
    pub(super) fn later(&self, tree: TreeHead) -> TreeHead {
        let latest = self.latest();
        if tree.size > latest.size { tree } else { latest }
    }

    /// The error of the database that has shown two histories.
    pub(super) fn misbehavior(&self) -> Option<FetchError> {
        self.misbehavior.get().cloned()
    }

    /// Opens a signed tree head. An empty note is the log without records, which nobody needs to sign.
    pub(super) fn open(&self, note: &[u8], origin: &Origin) -> Result<Signed, FetchError> {
        if note.is_empty() {
            return Ok(Signed { tree: TreeHead::EMPTY, note: Bytes::new() });
        }
        let tree = TreeHead::open(note, std::slice::from_ref(&self.verifier)).map_err(|error| match error {
            TreeError::Note(NoteError::InvalidSignature { .. } | NoteError::Unverified) => {
                origin.mismatch(&format!("{error}\nnote:\n\t{}", security::quote(note)))
            }
            _ => origin.invalid(&error.to_string(), note),
        })?;
        Ok(Signed { tree, note: Bytes::copy_from_slice(note) })
    }

    /// Checks that a tree head is of the same log as the latest one. If it is a later one, it becomes the latest: first
    /// in the `latest` file, where it replaces only what it was checked against, then here. So nobody here believes a
    /// tree head that another process, with a log of its own, may still contradict.
    pub(super) async fn merge(&self, signed: Signed) -> Result<(), FetchError> {
        for _ in 0..MAX_CONFLICTS {
            let (latest, stored) = self.catch_up().await?;
            if signed.tree.size > latest.tree.size {
                self.check(&latest, &signed).await?;
                if !self.disk.replace_latest(stored, signed.note.clone()).await? {
                    continue;
                }
                self.move_on(signed.clone());
            } else if !signed.note.is_empty() {
                self.check(&signed, &latest).await?;
            }
            self.tiles.settle(latest.tree).await;
            self.tiles.settle(signed.tree).await;
            return Ok(());
        }
        let file = self.disk.latest().display();
        Err(FetchError::new(
            FailKind::Local(None),
            Party::Client,
            format!("writing {file}: other processes changed it {MAX_CONFLICTS} times meanwhile"),
        ))
    }

    /// Takes up the tree head in the `latest` file, which another process may have moved on. The latest one then, and what
    /// is in the file.
    async fn catch_up(&self) -> Result<(Signed, Bytes), FetchError> {
        // Read before the file, which moves on first: an older one in the file is not of this process.
        let latest = self.lock().clone();
        let (stored, file) = self.stored().await?;
        if stored.note.is_empty() || stored.note == latest.note {
            return Ok((latest, file));
        }
        if stored.tree.size <= latest.tree.size {
            self.check(&stored, &latest).await?;
            return Ok((latest, file));
        }
        self.check(&latest, &stored).await?;
        self.move_on(stored.clone());
        Ok((stored, file))
    }

    /// Another look-up may have moved on further.
    fn move_on(&self, signed: Signed) {
        let mut latest = self.lock();
        if signed.tree.size > latest.tree.size {
            *latest = signed;
        }
    }

    /// The tree head in the `latest` file, and what is in the file. What the database has not signed is no tree head of
    /// it: in a doubted file it is what is damaged, and says nothing of the log.
    async fn stored(&self) -> Result<(Signed, Bytes), FetchError> {
        let note = self.disk.read_latest().await?;
        match self.open(&note, &Origin::File(self.disk.latest().to_owned())) {
            Err(_) if self.disk.is_doubted() => Ok((Signed { tree: TreeHead::EMPTY, note: Bytes::new() }, note)),
            opened => opened.map(|signed| (signed, note)),
        }
    }

    /// Checks that the log at `newer` begins with the log at `older`.
    async fn check(&self, older: &Signed, newer: &Signed) -> Result<(), FetchError> {
        let (old, new) = (older.tree, newer.tree);
        let hash = self.hash_at(old.size, new).await.map_err(|mut error| {
            let against = if old.size == new.size { String::new() } else { format!(" against tree#{}", new.size) };
            error.detail = format!("checking tree#{}{against}: {}", old.size, error.detail);
            error
        })?;
        if hash == old.hash {
            return Ok(());
        }
        let proof = self.prove(old.size, hash, new).await;
        let detail = security::fork(&older.note, &newer.note, hash, proof.as_deref());
        let error = FetchError::new(FailKind::Mismatch, Party::Upstream, detail).with_advice(
            "do not use what this database says; keep this text, it proves the misbehavior to whoever runs it",
        );
        Err(self.misbehavior.get_or_init(|| error).clone())
    }

    /// The hash of the first `size` records in the log at `tree`.
    async fn hash_at(&self, size: u64, tree: TreeHead) -> Result<Hash, FetchError> {
        if size == 0 {
            return Ok(EMPTY_TREE);
        }
        let hashes = self.hashes(tree, &tree_hash_indexes(size)).await?;
        tree_hash(size, &hashes).map_err(impossible)
    }

    /// The proof that the log at `new` has `hash` at the older size, from tiles that were fetched to compute it.
    async fn prove(&self, size: u64, hash: Hash, new: TreeHead) -> Result<Vec<Hash>, FetchError> {
        let indexes = tree_proof_indexes(new.size, size).map_err(impossible)?;
        let hashes = self.hashes(new, &indexes).await?;
        let proof = tree_proof(new.size, size, &hashes).map_err(impossible)?;
        check_tree(&proof, &new, &TreeHead { size, hash }).map_err(impossible)?;
        Ok(proof)
    }

    async fn hashes(&self, tree: TreeHead, indexes: &[u64]) -> Result<Vec<Hash>, FetchError> {
        let plan = TilePlan::new(tile::HEIGHT, tree, indexes);
        let plan = plan.map_err(|error| FetchError::invalid(format!("tree#{}: {error}", tree.size)))?;
        self.tiles.hashes(&plan).await
    }

    fn lock(&self) -> MutexGuard<'_, Signed> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Origin {
    /// What was read is not what the database signed.
    pub(super) fn mismatch(&self, what: &str) -> FetchError {
        self.error(FailKind::Mismatch, security::unproven(&format!("{}: {what}", self.name())))
    }

    /// What was read is not of its form.
    pub(super) fn invalid(&self, what: &str, data: &[u8]) -> FetchError {
        self.error(FailKind::Invalid, format!("{}: {what}\n\t{}", self.name(), security::quote(data)))
    }

    fn error(&self, kind: FailKind, detail: String) -> FetchError {
        match self {
            Self::Server => FetchError::new(kind, Party::Upstream, detail),
            Self::File(file) => FetchError::new(kind, Party::Client, detail)
                .with_advice(format!("if the file is damaged, remove {} and try again", file.display())),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Server => "the answer of the checksum database".to_owned(),
            Self::File(file) => file.display().to_string(),
        }
    }
}

/// The arithmetic of logs failed on what was verified.
fn impossible(error: ProofError) -> FetchError {
    FetchError::new(FailKind::Invalid, Party::Goferry, error.to_string())
}
