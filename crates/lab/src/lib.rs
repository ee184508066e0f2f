//! Skeleton.

pub mod link;
