//! The listener of a proxy, and clients that mean it harm, or just do not know better: what each is answered, and that the
//! next one is served all the same. Everything is on the loopback, with a store that was made here and nothing behind it.

mod conformance;
mod drain;
mod floods;
mod go;
mod http2;
mod limits;
mod reload;
mod requests;
mod tls;
mod unix;
mod world;
