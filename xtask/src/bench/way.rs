//! Links between client and server.

use std::time::Duration;

use goferry_lab::link::{Link, LinkError};

/// A way between client and server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Way {
    pub(crate) rtt_ms: u64,
    pub(crate) rate_bits: u64,
    /// Share of packets lost on the way to the client.
    pub(crate) loss: f64,
    /// Congestion control of both sides.
    pub(crate) sender: &'static str,
}

impl Way {
    /// The emulated link; the same seed loses the same packets.
    pub(crate) fn build(&self, seed: u64) -> Result<Link, LinkError> {
        let Self { rtt_ms, rate_bits, loss, sender } = *self;
        let link = Link::builder().rtt(Duration::from_millis(rtt_ms)).rate_bits(rate_bits).loss(loss);
        link.congestion(sender).seed(seed).build()
    }
}

/// The words that choose a way on the command line; loopback where there is none.
pub(crate) fn tags(way: Option<&Way>) -> Vec<String> {
    way.map_or(vec!["loopback".to_owned()], |way| {
        vec![format!("{}ms", way.rtt_ms), format!("{}%", way.loss * 100.0), way.sender.to_owned()]
    })
}

/// What tables call a way.
pub(crate) fn name(way: Option<&Way>) -> String {
    let Some(way) = way else { return "loopback".to_owned() };
    let rate = if way.rate_bits >= 1_000_000_000 {
        format!("{} Gbit/s", way.rate_bits / 1_000_000_000)
    } else {
        format!("{} Mbit/s", way.rate_bits / 1_000_000)
    };
    let loss = if way.loss > 0.0 { format!(", {} % loss", way.loss * 100.0) } else { String::new() };
    format!("{} ms, {rate}{loss}", way.rtt_ms)
}
