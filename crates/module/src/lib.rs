//! What a Go module is: paths and their escaping, versions, GOPROXY lists, go.mod and go.work, go.sum, `h1:` hashes,
//! module zips, `.info` files and the checksum database setting.
//!
//! This crate is pure. It opens no file and no connection: everything is parsed from bytes or strings, zips are read
//! from anything that is `Read + Seek`. Every rule is the go command's own rule and names the Go source file that it
//! was read from, so that goferry never calls valid what the go command refuses, or the other way round.
//!
//! All input is treated as hostile. Parsers do not panic, and sizes are bounded by the limits of the go command
//! (16 MiB for a go.mod, 500 MiB for a module zip and for the sum of its files).
//!
//! | what | type |
//! |---|---|
//! | a module path, and its form in URLs and on disk | [`ModulePath`], [`EscapedPath`] |
//! | a version | [`Version`], [`PseudoVersion`] |
//! | both | [`ModuleVersion`] |
//! | GOPROXY | [`ProxyList`], [`ProxyEntry`], [`ProxyUrl`] |
//! | GOPRIVATE and friends | [`pattern::match_prefix_patterns`] |
//! | go.mod, go.work | [`GoMod`], [`GoWork`] |
//! | the `go` and `toolchain` lines | [`GoVersion`], [`Toolchain`] |
//! | go.sum | [`GoSum`] |
//! | which modules are selected | [`GraphLoader`], [`ModuleGraph`] |
//! | `h1:` hashes | [`DirHash`] |
//! | module zips | [`zip`] |
//! | `.info` files | [`ModInfo`] |
//! | GOSUMDB | [`SumDb`] |
#![forbid(unsafe_code)]

pub mod dirhash;
pub mod escape;
pub mod go_version;
pub mod gomod;
pub mod gosum;
pub mod graph;
pub mod info;
pub mod module_version;
pub mod path;
pub mod pattern;
pub mod proxy_list;
pub mod proxy_url;
pub mod pseudo;
mod semver;
pub mod sumdb;
mod unicode;
pub mod version;
pub mod zip;

pub use crate::dirhash::DirHash;
pub use crate::escape::{EscapeError, EscapedPath};
pub use crate::go_version::{GoVersion, Toolchain};
pub use crate::gomod::{GoMod, GoWork};
pub use crate::gosum::GoSum;
pub use crate::graph::{GraphLoader, ModuleGraph};
pub use crate::info::ModInfo;
pub use crate::module_version::{FileKind, ModuleVersion};
pub use crate::path::{ModulePath, PathError};
pub use crate::proxy_list::{FallBack, ProxyEntry, ProxyList, ProxyTarget};
pub use crate::proxy_url::{ProxyUrl, Scheme};
pub use crate::pseudo::PseudoVersion;
pub use crate::sumdb::SumDb;
pub use crate::version::{Version, VersionError};
