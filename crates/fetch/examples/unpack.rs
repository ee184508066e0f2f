//! How fast a module cache is filled from zips: `unpack CACHE OUT [WORKERS] [hash]`.
//!
//! Every `.zip`, `.info` and `.mod` below `CACHE/cache/download` is installed into the module cache `OUT`, as if it had
//! just arrived; with `hash` the zips are only checked and hashed. Prints seconds and MB/s of inflated bytes. Largest
//! first, as the downloader orders them. `go mod download` with `GOPROXY=file://CACHE/cache/download` does the same.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use goferry_fetch::cache::{Origin, Zip};
use goferry_fetch::{ModCache, Unpacker};
use goferry_module::{EscapedPath, FileKind, ModuleVersion, Version, escape::unescape_version};

/// Up to this size a zip stays in memory, in bytes, as the downloader would have it.
const IN_MEMORY: u64 = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [from, out, rest @ ..] = &args[..] else { return Err("usage: unpack CACHE OUT [WORKERS] [hash]".into()) };
    let workers = rest.iter().find_map(|arg| arg.parse().ok()).unwrap_or(2);
    let hash_only = rest.iter().any(|arg| arg == "hash");
    let from = ModCache::open(Path::new(from), false);
    let root = from.root().join("cache/download");
    let mut modules = Vec::new();
    find(&root, &root, &mut modules)?;
    modules.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let cache = ModCache::open(Path::new(out), false);
    let unpacker = Unpacker::new(workers);
    let queue = Mutex::new(modules.iter());
    let total = Mutex::new((0_u64, 0_usize));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((module, size)) = { queue.lock().unwrap().next() } {
                    let unpacked = if hash_only {
                        unpacker.unpack(module, &from.file(module, FileKind::Zip), None).map(Some)
                    } else {
                        install(&from, &cache, &unpacker, module, *size)
                    };
                    match unpacked {
                        Ok(Some(unpacked)) => {
                            let mut total = total.lock().unwrap();
                            *total = (total.0 + unpacked.bytes, total.1 + unpacked.files);
                        }
                        Ok(None) => {}
                        Err(error) => eprintln!("{error}"),
                    }
                }
            });
        }
    });
    cache.flush_lists();
    let seconds = began.elapsed().as_secs_f64();
    let (bytes, files) = *total.lock().unwrap();
    let megabytes = bytes as f64 / 1e6;
    println!(
        "{} zips, {files} files, {megabytes:.1} MB: {seconds:.3} s, {:.0} MB/s",
        modules.len(),
        megabytes / seconds
    );
    let began = Instant::now();
    let there = modules.iter().filter(|(module, _)| cache.state(module).extracted).count();
    println!("state of {} modules ({there} there): {:.2} ms", modules.len(), began.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

fn install(
    from: &ModCache,
    cache: &ModCache,
    unpacker: &Unpacker,
    module: &ModuleVersion,
    size: u64,
) -> Result<Option<goferry_fetch::unpack::Unpacked>, goferry_fetch::FetchError> {
    let path = from.file(module, FileKind::Zip);
    if let Some(info) = from.read_info(module) {
        cache.write_info(module, &info)?;
    }
    if let Some(content) = from.read_mod(module) {
        cache.write_mod(module, &content)?;
    }
    let failed = |e: std::io::Error| goferry_fetch::FetchError::local(path.display(), &e);
    let zip = if size <= IN_MEMORY {
        Zip::of_bytes(fs::read(&path).map_err(failed)?.into())
    } else {
        let mut parts = cache.partial_zip(module, Duration::ZERO)?;
        parts.set_origin(Origin { url: path.display().to_string(), total: Some(size), ..Origin::default() })?;
        let mut file = fs::File::open(&path).map_err(failed)?;
        std::io::copy(&mut file, &mut parts.segment(0, size)?).map_err(failed)?;
        parts.join(size)?
    };
    Ok(cache.install(module, zip, |_| Ok(()), true, unpacker)?.unpacked)
}

/// All zips below a folder, with their sizes.
fn find(root: &Path, dir: &Path, into: &mut Vec<(ModuleVersion, u64)>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path: PathBuf = entry.path();
        if entry.file_type()?.is_dir() {
            find(root, &path, into)?;
        } else if let Some(stem) = path.to_str().and_then(|path| path.strip_suffix(".zip"))
            && let Some((module, version)) = stem.rsplit_once("/@v/")
        {
            let module = module.strip_prefix(root.to_str().unwrap_or_default()).unwrap_or_default();
            let module = EscapedPath::parse(module.trim_start_matches('/'))?.unescape();
            let version = Version::parse(&unescape_version(version)?)?;
            into.push((ModuleVersion::new(module, version)?, entry.metadata()?.len()));
        }
    }
    Ok(())
}
