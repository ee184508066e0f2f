//! What `goferry serve` fetches before it is asked: never much more than the go command asks for, and in time. Held
//! against the real go command, alone and through an empty proxy.

mod origin;
mod universe;
mod warm;
mod waste;
mod world;
