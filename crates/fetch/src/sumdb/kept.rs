//! What is kept of a checksum database, held against the tree heads that the database has signed and that are kept with it.
//! Nobody is asked, nothing is written. Proofs are those of [`TilePlan`], as of what a server answers.
//!
//! | file | sound where |
//! |---|---|
//! | `latest` | the database has signed it |
//! | `lookup/M@V` | the database has signed its tree head, its record is about M@V, and is the one that a sound tile has there |
//! | `tile/…` | it is in the log of a signed tree head, with tiles that are kept too |
//!
//! A tree head that moved on leaves tiles behind that nothing kept proves any more: they are [`Verdict::Unproven`], as is
//! everything where the key is not known, and are damaged only where they are not of their form. So is what hangs on a
//! damaged tile, whose place in the log nothing shows then.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use goferry_module::escape::{EscapedPath, unescape_version};
use goferry_module::sumdb::plan::PlanError;
use goferry_module::sumdb::tlog::{Hash, stored_hash_index};
use goferry_module::sumdb::{Lookup, Tile, TilePlan, TreeHead, Verifier, lookup, note, tile};

use self::edge::Told;
use super::disk::read_locked;

mod edge;

/// Folders within each other that are looked at.
const MAX_DEPTH: usize = 64;
/// Tiles that are held in memory at once, of 8 KiB each.
const CHUNK: usize = 256;
/// Tree heads that tiles below the edge are held against, the largest first.
const MAX_HEADS: usize = 256;

/// What looking at a file has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is what the database has signed.
    Proven,
    /// It is of its form, and what would prove it is not kept.
    Unproven,
    /// It is not what it should be, and why.
    Damaged(String),
    /// The database has signed its tree head, and another one that is kept and proven and that it does not fit: the
    /// database has shown two histories.
    Contradicts,
}

/// Looks at all that is kept of a database in `dir` (`…/sumdb/NAME`), and at the file `latest`. What vanishes meanwhile was
/// not there, and an empty file is one that is being made. Without `verifier` only at their form. Blocks.
///
/// # Errors
/// Where a folder or a file cannot be read.
pub fn look(dir: &Path, latest: &Path, verifier: Option<&Verifier>) -> io::Result<BTreeMap<PathBuf, Verdict>> {
    let (seen, heads, tiles) = Default::default();
    let mut kept = Kept { dir, verifier, seen, own: None, heads, tiles };
    kept.latest(latest)?;
    let records = kept.lookups()?;
    kept.find_tiles()?;
    if verifier.is_some() {
        kept.heads.sort_by_key(|head| std::cmp::Reverse(head.size));
        kept.heads.dedup();
        let own = kept.own;
        let (proven, contradicting) = Proof::of(&mut kept, &records).run()?;
        if own.is_some_and(|head| contradicting.contains(&head)) {
            kept.seen.insert(latest.to_owned(), Verdict::Contradicts);
        }
        for (path, record) in &records {
            let contradicts = contradicting.contains(&record.head).then_some(Verdict::Contradicts);
            if let Some(verdict) = contradicts.map_or_else(|| kept.record(record, &proven), |it| Ok(Some(it)))? {
                kept.seen.insert(path.clone(), verdict);
            }
        }
    }
    Ok(kept.seen)
}

struct Kept<'a> {
    dir: &'a Path,
    verifier: Option<&'a Verifier>,
    seen: BTreeMap<PathBuf, Verdict>,
    /// That of `latest`.
    own: Option<TreeHead>,
    /// Those that are signed.
    heads: Vec<TreeHead>,
    /// Those of the right size.
    tiles: BTreeSet<Tile>,
}

/// What a look-up says, whose tree head is signed.
struct Record {
    id: u64,
    hash: Hash,
    head: TreeHead,
}

impl Kept<'_> {
    fn latest(&mut self, path: &Path) -> io::Result<()> {
        let Some(note) = read(path, note::MAX_SIZE)? else { return Ok(()) };
        let verdict = match self.verifier.map(|verifier| TreeHead::open(&note, std::slice::from_ref(verifier))) {
            None => Verdict::Unproven,
            Some(Ok(head)) => {
                self.heads.push(head);
                self.own = Some(head);
                Verdict::Proven
            }
            Some(Err(error)) => Verdict::Damaged(error.to_string()),
        };
        self.seen.insert(path.to_owned(), verdict);
        Ok(())
    }

    /// Looks at the look-ups by themselves.
    fn lookups(&mut self) -> io::Result<Vec<(PathBuf, Record)>> {
        let mut records = Vec::new();
        for below in files(self.dir, Path::new("lookup"), 0)? {
            let path = self.dir.join(&below);
            let named = below.strip_prefix("lookup").ok().and_then(Path::to_str).and_then(module);
            let (Some(named), Some(answer)) = (named, read(&path, lookup::MAX_SIZE)?) else { continue };
            let verdict = match self.lookup(&answer, &named) {
                Ok(None) => Verdict::Unproven,
                Ok(Some(record)) => {
                    self.heads.push(record.head);
                    records.push((path.clone(), record));
                    Verdict::Unproven
                }
                Err(reason) => Verdict::Damaged(reason),
            };
            self.seen.insert(path, verdict);
        }
        Ok(records)
    }

    fn lookup(&self, answer: &[u8], (path, version): &(String, String)) -> Result<Option<Record>, String> {
        let lookup = Lookup::parse(answer).map_err(|error| error.to_string())?;
        let about = |version: &str| lookup.lines(path, version).next().is_some();
        if !about(version) && !about(&format!("{version}/go.mod")) {
            return Err(format!("it is not about {path}@{version}"));
        }
        let Some(verifier) = self.verifier else { return Ok(None) };
        let head = TreeHead::open(lookup.signed_tree, std::slice::from_ref(verifier)).map_err(|e| e.to_string())?;
        if lookup.id >= head.size {
            return Err(format!("record {} is not in a log of {} records", lookup.id, head.size));
        }
        Ok(Some(Record { id: lookup.id, hash: lookup.record_hash(), head }))
    }

    fn find_tiles(&mut self) -> io::Result<()> {
        for below in files(self.dir, Path::new("tile"), 0)? {
            let Some(tile) = below.to_str().and_then(|path| Tile::parse(path).ok()) else { continue };
            let path = self.dir.join(&below);
            // Tiles of records have no size by their name, and nobody here keeps them.
            if tile.level().is_none() {
                continue;
            }
            let length = match fs::symlink_metadata(&path) {
                Ok(meta) if meta.len() > 0 => meta.len(),
                _ => continue,
            };
            let verdict = if length == tile.size() as u64 {
                self.tiles.insert(tile);
                Verdict::Unproven
            } else {
                Verdict::Damaged(format!("{tile} has {length} bytes, not {}", tile.size()))
            };
            self.seen.insert(path, verdict);
        }
        Ok(())
    }

    fn path(&self, tile: Tile) -> PathBuf {
        self.dir.join(tile.to_string())
    }

    /// The tile, or the complete one at its place.
    fn file_of(&self, tile: Tile) -> Option<Tile> {
        [tile, tile.complete()].into_iter().find(|tile| self.tiles.contains(tile))
    }

    fn read(&self, tile: Tile) -> io::Result<Option<Bytes>> {
        let Some(file) = self.file_of(tile) else { return Ok(None) };
        let bytes = read(&self.path(file), file.size())?.filter(|bytes| bytes.len() == file.size());
        Ok(bytes.map(|bytes| bytes.slice(..tile.size())))
    }

    fn damaged(&mut self, tile: Tile, reason: String) {
        self.tiles.remove(&tile);
        self.seen.insert(self.path(tile), Verdict::Damaged(reason));
    }

    /// Whether a record is the one of its log, where a sound tile has it.
    fn record(&self, record: &Record, proven: &Proven) -> io::Result<Option<Verdict>> {
        let index = stored_hash_index(0, record.id);
        let narrow = Tile::for_index(tile::HEIGHT, index);
        let tile = proven.get(&place(narrow)).filter(|tile| tile.width() >= narrow.width());
        let Some(tile) = tile else { return Ok(None) };
        let Some(bytes) = self.read(*tile)? else { return Ok(None) };
        Ok(Some(match tile.hash_at(&bytes, index) {
            Ok(hash) if hash == record.hash => Verdict::Proven,
            _ => Verdict::Damaged(format!("it is not record {} of the log", record.id)),
        }))
    }
}

/// The widest proven tile at each place.
type Proven = HashMap<(u32, Option<u32>, u64), Tile>;

/// Holds tiles against tree heads.
struct Proof<'a, 'b> {
    kept: &'a mut Kept<'b>,
    proven: HashSet<Tile>,
    /// Tree heads that the tiles at their edge do not give.
    refuted: Vec<TreeHead>,
    /// What look-ups say of records.
    records: HashMap<u64, Hash>,
}

impl<'a, 'b> Proof<'a, 'b> {
    fn of(kept: &'a mut Kept<'b>, records: &[(PathBuf, Record)]) -> Proof<'a, 'b> {
        let records = records.iter().map(|(_, record)| (record.id, record.hash)).collect();
        Proof { kept, proven: HashSet::new(), refuted: Vec::new(), records }
    }

    /// The widest proven tile at each place, and the tree heads that contradict them.
    fn run(mut self) -> io::Result<(Proven, Vec<TreeHead>)> {
        let mut sound = 0;
        for head in self.kept.heads.clone() {
            let Ok(edge) = TilePlan::new(tile::HEIGHT, head, &[]) else { continue };
            match self.verify(&edge)? {
                Some(Ok(())) if sound < MAX_HEADS => {
                    sound += 1;
                    self.below(head)?;
                }
                Some(Err(_)) => self.refuted.push(head),
                _ => {}
            }
        }
        self.compare()?;
        let contradicting = self.accuse()?;
        for tile in &self.proven {
            self.kept.seen.insert(self.kept.path(*tile), Verdict::Proven);
        }
        Ok((self.widest(), contradicting))
    }

    /// `None` where not all of its tiles are kept.
    fn verify(&mut self, plan: &TilePlan) -> io::Result<Option<Result<(), PlanError>>> {
        let mut data = Vec::with_capacity(plan.tiles().len());
        for tile in plan.tiles() {
            match self.kept.read(*tile)? {
                Some(bytes) => data.push(bytes),
                None => return Ok(None),
            }
        }
        Ok(Some(plan.verify(&data).map(|_| {
            self.proven.extend(plan.tiles().iter().filter(|tile| self.kept.tiles.contains(tile)));
        })))
    }

    /// Those that are below the edge of a tree head that is proven.
    fn below(&mut self, head: TreeHead) -> io::Result<()> {
        let mut left: Vec<Tile> = self.kept.tiles.iter().filter(|tile| !self.proven.contains(tile)).copied().collect();
        left.retain(|tile| tile.height() == tile::HEIGHT && self.chain(*tile, head).is_some());
        for chunk in left.chunks(CHUNK) {
            // Each turn but the last finds one that is damaged.
            for _ in 0..=chunk.len() {
                // What hangs below a damaged one is left out.
                let indexes: Vec<u64> = chunk.iter().filter_map(|tile| self.chain(*tile, head)).collect();
                let Ok(plan) = TilePlan::new(tile::HEIGHT, head, &indexes) else { break };
                let Some(Err(PlanError::Inconsistent { tile })) = self.verify(&plan)? else { break };
                let Some(file) = self.kept.file_of(tile) else { break };
                self.kept.damaged(file, "it has not the hash that the tile above it gives".to_owned());
            }
        }
        Ok(())
    }

    /// A hash in the tile, where the log at `head` has the tile as wide as it is, and all that proves it is kept.
    fn chain(&self, tile: Tile, head: TreeHead) -> Option<u64> {
        let below = tile.level()? * tile.height();
        let index = stored_hash_index(below, tile.n().checked_shl(tile.height())?);
        let plan = TilePlan::new(tile::HEIGHT, head, &[index]).ok()?;
        let is_there = |other: &Tile| self.kept.file_of(*other).is_some();
        (plan.tiles().contains(&tile) && plan.tiles().iter().all(is_there)).then_some(index)
    }

    /// Those at the place of a proven one, whose beginning must be the same.
    fn compare(&mut self) -> io::Result<()> {
        let widest = self.widest();
        let left: Vec<Tile> = self.kept.tiles.iter().filter(|tile| !self.proven.contains(tile)).copied().collect();
        for tile in left {
            let Some(known) = widest.get(&place(tile)).copied() else { continue };
            let (Some(mine), Some(right)) = (self.kept.read(tile)?, self.kept.read(known)?) else { continue };
            let common = mine.len().min(right.len());
            if mine[..common] != right[..common] {
                self.kept.damaged(tile, format!("it does not begin as {known}, which is proven"));
            } else if tile.width() <= known.width() {
                self.proven.insert(tile);
            }
        }
        Ok(())
    }

    fn widest(&self) -> Proven {
        let mut widest = Proven::new();
        for tile in &self.proven {
            let known = widest.entry(place(*tile)).or_insert(*tile);
            *known = (*known).max(*tile);
        }
        widest
    }

    /// The hash of the log does not say which of the tiles at its edge is wrong: others that are proven do, and what is
    /// kept below them ([`edge`]). Where all are proven, the tree head contradicts those that they are proven by.
    fn accuse(&mut self) -> io::Result<Vec<TreeHead>> {
        let mut contradicting = Vec::new();
        for head in std::mem::take(&mut self.refuted) {
            let Ok(edge) = TilePlan::new(tile::HEIGHT, head, &[]) else { continue };
            // One of them was found damaged since: that was why.
            if !matches!(self.verify(&edge)?, Some(Err(_))) {
                continue;
            }
            let file = |tile: Tile| self.kept.file_of(tile).filter(|file| !self.proven.contains(file));
            if edge.tiles().iter().all(|tile| file(*tile).is_none()) {
                contradicting.push(head);
                continue;
            }
            match edge::tell(self.kept, &edge, |tile| file(tile).is_some(), &self.records)? {
                None => {}
                Some(Told::Damaged(wrong)) => self.convict(&edge, &wrong),
                Some(Told::Among(suspects)) => {
                    let files: Vec<Tile> = suspects.into_iter().filter_map(file).collect();
                    let others = files.len() - 1;
                    let or = if others == 0 { String::new() } else { format!(", or one of {others} others has not") };
                    let reason = format!("it has not the hashes of the signed log of {} records{or}", head.size);
                    files.into_iter().for_each(|file| self.kept.damaged(file, reason.clone()));
                }
            }
        }
        Ok(contradicting)
    }

    /// These tiles of an edge are damaged; with what they should say, all others are proven.
    fn convict(&mut self, edge: &TilePlan, wrong: &[(Tile, String)]) {
        for (tile, whose) in wrong {
            let size = edge.tree().size;
            let reason = format!("it has not the hash of {whose}, with which it fits the signed log of {size} records");
            self.kept.file_of(*tile).into_iter().for_each(|file| self.kept.damaged(file, reason.clone()));
        }
        self.proven.extend(edge.tiles().iter().filter(|tile| self.kept.tiles.contains(tile)));
    }
}

fn place(tile: Tile) -> (u32, Option<u32>, u64) {
    (tile.height(), tile.level(), tile.n())
}

/// Path and version of a look-up's file.
fn module(name: &str) -> Option<(String, String)> {
    let (path, version) = name.rsplit_once('@')?;
    let path = EscapedPath::parse(path).ok()?.unescape();
    Some((path.as_str().to_owned(), unescape_version(version).ok()?))
}

/// A file; `None` where it is not there or empty.
fn read(path: &Path, limit: usize) -> io::Result<Option<Bytes>> {
    match read_locked(path, limit) {
        Ok(bytes) => Ok(Some(bytes).filter(|bytes| !bytes.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
    }
}

/// The files below a folder, below `root`. No symbolic link is followed.
fn files(root: &Path, below: &Path, depth: usize) -> io::Result<Vec<PathBuf>> {
    let path = root.join(below);
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let entries = match fs::read_dir(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let (name, kind) = entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?))).map_err(failed)?;
        let at = below.join(name);
        if kind.is_dir() && depth < MAX_DEPTH {
            found.extend(files(root, &at, depth + 1)?);
        } else if kind.is_file() {
            found.push(at);
        }
    }
    Ok(found)
}
