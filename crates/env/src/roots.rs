//! Which certificates the go command trusts on this system, by exactly Go's rule (`crypto/x509/root*.go`).
//!
//! On Unix systems one bundle file is read, the first of a list that can be read, and then **every file of every
//! certificate directory**. `SSL_CERT_FILE` replaces the list of files and `SSL_CERT_DIR` the list of directories,
//! each on its own: with only `SSL_CERT_FILE` set the default directories are still read. macOS and Windows ask the
//! platform; from Go 1.27 the two variables replace the platform there as well.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::inputs::{Inputs, Os};
use crate::{pem, read};

/// Largest certificate file that is read, in bytes.
pub const MAX_FILE: u64 = 16 << 20;
/// Most files that are read from one directory.
pub const MAX_DIR_ENTRIES: usize = 4096;
/// Most certificates that are kept.
pub const MAX_CERTIFICATES: usize = 20_000;

/// The roots that Go would trust.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Roots {
    /// Where they come from.
    pub source: RootSource,
    /// Each distinct certificate, DER.
    #[serde(skip)]
    pub der: Vec<Vec<u8>>,
    /// Every file that was read, in Go's order.
    pub files: Vec<RootFile>,
    /// What is wrong with what was read.
    pub problems: Vec<RootProblem>,
    /// Whether Go fails with an error instead of an empty pool: nothing was loaded and something could not be read.
    pub fails: bool,
}

/// Where the roots come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootSource {
    /// The files and directories named in [`Roots::files`].
    Files,
    /// The platform's own verifier (macOS, Windows); no files are read.
    Platform,
}

/// One file that gave certificates or could have.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RootFile {
    /// The file.
    pub path: PathBuf,
    /// Why it is read.
    pub because: RootReason,
    /// Certificates in it, duplicates of earlier files included.
    pub certificates: usize,
    /// Certificates that no earlier file had.
    pub new: usize,
}

/// Why a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootReason {
    /// `SSL_CERT_FILE` names it.
    SslCertFile,
    /// It lies in a directory of `SSL_CERT_DIR`.
    SslCertDir,
    /// It is the system's bundle.
    DefaultFile,
    /// It lies in one of the system's certificate directories.
    DefaultDir,
}

/// A defect in what Go reads.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RootProblem {
    /// The file or directory.
    pub path: PathBuf,
    /// Line, from 1, where one is known.
    pub line: Option<u32>,
    /// What is wrong.
    pub what: String,
    /// Whether the user's own setting names the path.
    pub named_by_user: bool,
}

/// Loads the roots as Go does.
///
/// `go_minor` is the minor version of the Go release (27 for 1.27), which decides for macOS and Windows.
#[must_use]
pub fn load(inputs: &Inputs, go_minor: u32) -> Roots {
    let (file, dir) = (inputs.var("SSL_CERT_FILE"), inputs.var("SSL_CERT_DIR"));
    let mut loader = Loader::default();
    if matches!(inputs.os, Os::Darwin | Os::Windows) {
        let off = crate::godebug::setting(inputs, "x509sslcertoverrideplatform") == Some("0");
        if go_minor < 27 || (file.is_none() && dir.is_none()) || off {
            loader.roots.source = RootSource::Platform;
            return loader.roots;
        }
    }
    loader.files(inputs, file);
    loader.directories(inputs, dir);
    loader.roots.fails = loader.roots.der.is_empty() && loader.first_error;
    loader.roots
}

struct Loader {
    roots: Roots,
    seen: HashSet<[u8; 32]>,
    first_error: bool,
}

impl Default for Loader {
    fn default() -> Self {
        Loader {
            roots: Roots {
                source: RootSource::Files,
                der: Vec::new(),
                files: Vec::new(),
                problems: Vec::new(),
                fails: false,
            },
            seen: HashSet::new(),
            first_error: false,
        }
    }
}

impl Loader {
    fn files(&mut self, inputs: &Inputs, named: Option<&str>) {
        let (paths, because) = match named {
            Some(file) => (vec![PathBuf::from(file)], RootReason::SslCertFile),
            None => (default_files(inputs.os).iter().map(|f| inputs.system(f)).collect(), RootReason::DefaultFile),
        };
        for path in paths {
            match read::bytes(&path, MAX_FILE) {
                Ok(data) => {
                    self.take(path, because, &data);
                    break;
                }
                Err(e) => self.unreadable(&path, &e, named.is_some()),
            }
        }
    }

    fn directories(&mut self, inputs: &Inputs, named: Option<&str>) {
        let (dirs, because): (Vec<PathBuf>, _) = match named {
            Some(list) => (list.split(inputs.os.list_separator()).map(PathBuf::from).collect(), RootReason::SslCertDir),
            None => (default_dirs(inputs.os).iter().map(|d| inputs.system(d)).collect(), RootReason::DefaultDir),
        };
        for dir in dirs {
            match entries(&dir) {
                Ok((names, all)) => {
                    if !all {
                        self.problem(
                            &dir,
                            None,
                            format!("only the first {MAX_DIR_ENTRIES} files are read"),
                            named.is_some(),
                        );
                    }
                    for path in names {
                        if let Ok(data) = read::bytes(&path, MAX_FILE) {
                            self.take(path, because, &data);
                        }
                    }
                }
                Err(e) => self.unreadable(&dir, &e, named.is_some()),
            }
        }
    }

    fn take(&mut self, path: PathBuf, because: RootReason, data: &[u8]) {
        let named = matches!(because, RootReason::SslCertFile | RootReason::SslCertDir);
        let (blocks, defects) = pem::decode(data);
        let (mut certificates, mut new) = (0, 0);
        for defect in defects {
            self.problem(&path, Some(defect.line), defect.what.to_owned(), named);
        }
        let is_certificate = |b: &pem::Block| b.label == "CERTIFICATE" && !b.has_headers;
        if named && because == RootReason::SslCertFile && !blocks.iter().any(is_certificate) {
            self.problem(&path, None, "it holds no certificate".to_owned(), named);
        }
        for block in blocks.into_iter().filter(is_certificate) {
            if !parses(&block.bytes) {
                let what = "this certificate cannot be parsed".to_owned();
                self.problem(&path, Some(block.line), what, named);
                continue;
            }
            certificates += 1;
            if self.roots.der.len() >= MAX_CERTIFICATES {
                continue;
            }
            if self.seen.insert(Sha256::digest(&block.bytes).into()) {
                new += 1;
                self.roots.der.push(block.bytes);
            }
        }
        self.roots.files.push(RootFile { path, because, certificates, new });
    }

    fn unreadable(&mut self, path: &Path, e: &std::io::Error, named: bool) {
        let missing = e.kind() == std::io::ErrorKind::NotFound;
        self.first_error |= !missing;
        if named || !missing {
            self.problem(path, None, format!("cannot be read: {e}"), named);
        }
    }

    fn problem(&mut self, path: &Path, line: Option<u32>, what: String, named_by_user: bool) {
        if self.roots.problems.len() < 1000 {
            self.roots.problems.push(RootProblem { path: path.to_owned(), line, what, named_by_user });
        }
    }
}

/// The files of a directory in name order, without links that stay inside it (`readUniqueDirectoryEntries`), and
/// whether that is all of them.
fn entries(dir: &Path) -> std::io::Result<(Vec<PathBuf>, bool)> {
    let mut out = Vec::new();
    let mut all = true;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if out.len() == MAX_DIR_ENTRIES {
            all = false;
            break;
        }
        let path = entry.path();
        let inside = entry.file_type()?.is_symlink()
            && std::fs::read_link(&path).is_ok_and(|t| !t.to_string_lossy().contains('/'));
        if !inside {
            out.push(path);
        }
    }
    out.sort();
    Ok((out, all))
}

fn parses(der: &[u8]) -> bool {
    matches!(x509_parser::parse_x509_certificate(der), Ok((rest, _)) if rest.is_empty())
}

fn default_files(os: Os) -> &'static [&'static str] {
    match os {
        Os::Linux => &[
            "/etc/ssl/certs/ca-certificates.crt",
            "/etc/pki/tls/certs/ca-bundle.crt",
            "/etc/ssl/ca-bundle.pem",
            "/etc/pki/tls/cacert.pem",
            "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
            "/etc/ssl/cert.pem",
        ],
        Os::Bsd => &[
            "/usr/local/etc/ssl/cert.pem",
            "/etc/ssl/cert.pem",
            "/usr/local/share/certs/ca-root-nss.crt",
            "/etc/openssl/certs/ca-certificates.crt",
        ],
        Os::Solaris => &["/etc/certs/ca-certificates.crt", "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cacert.pem"],
        Os::Darwin | Os::Windows => &[],
    }
}

fn default_dirs(os: Os) -> &'static [&'static str] {
    match os {
        Os::Linux => &["/etc/ssl/certs", "/etc/pki/tls/certs"],
        Os::Bsd => &["/etc/ssl/certs", "/usr/local/share/certs", "/etc/openssl/certs"],
        Os::Solaris => &["/etc/certs/CA"],
        Os::Darwin | Os::Windows => &[],
    }
}
