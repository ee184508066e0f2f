//! The module cache: the same as that of the real go command, and whole when things go wrong.

mod against_go;
mod faults;
mod universe;
