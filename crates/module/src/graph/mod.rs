//! The module graph: which go.mod files the go command reads, and which version of each module it selects
//! (`cmd/go/internal/modload/buildlist.go`, `modfile.go`, `list.go`, `cmd/go/internal/mvs`).
//!
//! ```text
//! go.mod (and go.work) → GraphLoader → needs() → caller fetches all at once → provide() → … → finish() → ModuleGraph
//! ```
//!
//! [`GraphLoader`] does no I/O. It names every go.mod that it needs as soon as it knows of it, so that the caller can
//! have many requests in flight; the answers may come in any order. [`ModuleGraph`] then says what was selected, what
//! `go mod download` fetches, and what it writes to go.mod.
//!
//! # What the go command reads
//! - **Pruned** (`go` line of the main module at 1.17 or later): go.mod of each requirement (a *root*). What a root
//!   requires counts for the selection, but its go.mod is read only where the root's own `go` line is below 1.17: then
//!   all below it is read. If that selects a newer version of a root, the root becomes that version and the graph is
//!   read again, until nothing changes.
//! - **Unpruned** (below 1.17, or no `go` line): every go.mod of every version that any of them names.
//! - **Workspace**: each main module as its own `go` line says. Then, where something that a main module requires was
//!   selected at a newer version, that version is read as if it were a main module, and so on.
//!
//! A version of the main module that a dependency requires is read like any other, though it is never selected. In a
//! pruned module, lower duplicates of a `require` line are not read.
//!
//! # What it is
//! The behaviour of `go mod download`, which may change go.mod (`-mod=mod`). `go list -m` with the default
//! `-mod=readonly` finds the same where go.mod needs no change, and is an error where it does.
//! Vendor directories and `-modfile` are the caller's affair.

mod error;
mod loader;
mod main_modules;
mod module_graph;
mod node;
mod read;
mod requirements;
mod roots;
#[cfg(test)]
mod tests;

pub use self::error::GraphError;
pub use self::loader::{GraphLoader, Limits, Need};
pub use self::main_modules::{MainModule, Replaced, Workspace};
pub use self::module_graph::{Downloads, GoLineOf, ModuleGraph, Refused, Selected};
pub use self::requirements::{Requirement, Requirements};
