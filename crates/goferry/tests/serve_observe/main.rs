//! What an operator sees of `goferry serve`, the real binary before an upstream of the lab: figures, log, connections and
//! readiness tell of the requests that were made, and agree with each other and with what the upstream counted.

mod counts;
mod ready;
mod refused;
mod settings;
mod world;
