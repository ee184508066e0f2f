//! The HTTP/2 client against scripted servers. The test is the frame transcript: each server reads
//! the client's preface and frames with `goferry-wire` and writes what its script says. Time is
//! paused and jumps to the next timer, so that bounds of seconds are exact and cost nothing.

mod anything;
mod bodies;
mod bounds;
mod goaway;
mod headers;
mod mock;
mod preface;
mod stalls;
