//! The properties of a link, checked before anything is made.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, thread};

use nix::unistd::geteuid;
use tempfile::TempDir;

use super::address::{client_setup, server_setup};
use super::control::{Control, Direction, Ipv6Mode};
use super::error::LinkError;
use super::namespace::{Namespace, Override, available_congestion};
use super::relay::Relay;
use super::shaper::{Shaper, bytes_in};
use super::{Link, Properties};

/// The least that the default queue holds, in bytes.
const LEAST_QUEUE: u64 = 64 << 10;
const MAX_RTT: Duration = Duration::from_secs(60);
const MIN_RATE: u64 = 8_000;
const MAX_RATE: u64 = 100_000_000_000;

/// Builds a [`Link`]. Made by [`Link::builder`].
#[derive(Debug, Clone)]
pub struct LinkBuilder {
    rtt: Duration,
    rate_bits: Option<u64>,
    loss: f64,
    loss_to_server: f64,
    queue: Queue,
    congestion: String,
    seed: u64,
    ipv6: Ipv6Mode,
    resolv_conf: Option<String>,
    hosts: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum Queue {
    Default,
    Bytes(u64),
    Bdp(f64),
}

impl LinkBuilder {
    pub(super) fn new() -> Self {
        Self {
            rtt: Duration::from_millis(50),
            rate_bits: None,
            loss: 0.0,
            loss_to_server: 0.0,
            queue: Queue::Default,
            congestion: "cubic".to_owned(),
            seed: 1,
            ipv6: Ipv6Mode::Pass,
            resolv_conf: None,
            hosts: None,
        }
    }

    /// The round trip time without queueing; half of it is spent each way. Default: 50 ms. At most 60 s.
    #[must_use]
    pub fn rtt(mut self, rtt: Duration) -> Self {
        self.rtt = rtt;
        self
    }

    /// The rate of each direction in bits a second, counted over IP packets, 8 kbit/s to 100 Gbit/s. Default: no limit.
    #[must_use]
    pub fn rate_bits(mut self, bits_a_second: u64) -> Self {
        self.rate_bits = Some(bits_a_second);
        self
    }

    /// The probability, 0 to 1, that a packet from the server to the client is lost. Each packet is decided by itself. Default: 0.
    #[must_use]
    pub fn loss(mut self, probability: f64) -> Self {
        self.loss = probability;
        self
    }

    /// The same for packets from the client to the server: requests and acknowledgements. Default: 0.
    #[must_use]
    pub fn loss_to_server(mut self, probability: f64) -> Self {
        self.loss_to_server = probability;
        self
    }

    /// The length of the drop-tail queue before each rate limiter, in bytes. Default: the larger of one bandwidth-delay product (rate x
    /// RTT) and 64 KiB. Without a rate there is no queue.
    #[must_use]
    pub fn queue_bytes(mut self, bytes: u64) -> Self {
        self.queue = Queue::Bytes(bytes);
        self
    }

    /// The length of that queue as a multiple of the bandwidth-delay product, above 0 and at most 1000, and at least one packet of 1500 bytes.
    #[must_use]
    pub fn queue_bdp(mut self, products: f64) -> Self {
        self.queue = Queue::Bdp(products);
        self
    }

    /// TCP's congestion control on both sides, by route (`congctl`), for instance `cubic` or `bbr`. Default: `cubic`, which most servers run.
    #[must_use]
    pub fn congestion(mut self, name: &str) -> Self {
        self.congestion = name.to_owned();
        self
    }

    /// The seed of the random losses: the same packets in the same order lose the same ones. Default: 1.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What happens to IPv6. Default: [`Ipv6Mode::Pass`].
    #[must_use]
    pub fn ipv6(mut self, mode: Ipv6Mode) -> Self {
        self.ipv6 = mode;
        self
    }

    /// The text that the client side reads as `/etc/resolv.conf`.
    #[must_use]
    pub fn client_resolv_conf(mut self, text: &str) -> Self {
        self.resolv_conf = Some(text.to_owned());
        self
    }

    /// The text that the client side reads as `/etc/hosts`.
    #[must_use]
    pub fn client_hosts(mut self, text: &str) -> Self {
        self.hosts = Some(text.to_owned());
        self
    }

    /// Makes the namespaces and interfaces and starts the relay.
    ///
    /// # Errors
    /// [`LinkError::NotRoot`] without root; otherwise what is out of range, missing or refused.
    pub fn build(self) -> Result<Link, LinkError> {
        let properties = self.properties()?;
        if !geteuid().is_root() {
            return Err(LinkError::NotRoot);
        }
        let (files, overrides) = self.overrides()?;
        let v6 = Path::new("/proc/net/if_inet6").exists();
        let congestion = &properties.congestion;
        let explain = |error| explain_congestion(error, congestion);
        let (server, server_tun) = Namespace::create("server", &server_setup(congestion, v6), &[]).map_err(explain)?;
        let (client, client_tun) =
            Namespace::create("client", &client_setup(congestion, v6), &overrides).map_err(explain)?;
        let (server_tun, client_tun) = (Arc::new(server_tun), Arc::new(client_tun));

        let control = Arc::new(Control::default());
        control.to_client.set_loss(self.loss);
        control.to_server.set_loss(self.loss_to_server);
        control.set_ipv6(self.ipv6);
        let mut stops = Vec::new();
        let mut relays = Vec::new();
        for direction in [Direction::ToClient, Direction::ToServer] {
            let (ours, theirs) = UnixStream::pair().map_err(LinkError::system("making a socket pair"))?;
            let (from, to) = match direction {
                Direction::ToClient => (&server_tun, &client_tun),
                Direction::ToServer => (&client_tun, &server_tun),
            };
            let relay = Relay {
                from: Arc::clone(from),
                to: Arc::clone(to),
                direction,
                shaper: Shaper::new(
                    self.rtt / 2,
                    self.rate_bits,
                    properties.queue_bytes,
                    self.seed ^ (direction as u64) << 63,
                ),
                control: Arc::clone(&control),
                stop: theirs,
            };
            let thread = thread::Builder::new()
                .name("link-relay".to_owned())
                .spawn(move || relay.run())
                .map_err(LinkError::system("starting a relay thread"))?;
            stops.push(ours);
            relays.push(thread);
        }
        Ok(Link { properties, client, server, control, stops, relays, v6, _files: files })
    }

    fn properties(&self) -> Result<Properties, LinkError> {
        if self.rtt > MAX_RTT {
            return Err(out_of_range("the RTT", format!("{:?}", self.rtt), "at most 60 s"));
        }
        if let Some(rate) = self.rate_bits.filter(|rate| !(MIN_RATE..=MAX_RATE).contains(rate)) {
            return Err(out_of_range("the rate", format!("{rate} bit/s"), "8 kbit/s to 100 Gbit/s"));
        }
        check_probability(self.loss)?;
        check_probability(self.loss_to_server)?;
        let name = &self.congestion;
        if name.is_empty() || name.len() > 15 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(out_of_range(
                "the congestion control",
                format!("{name:?}"),
                "1 to 15 letters, digits or underscores",
            ));
        }
        let bdp = self.rate_bits.map_or(0, |rate| bytes_in(self.rtt, rate));
        let queue_bytes = match self.queue {
            Queue::Default => bdp.max(LEAST_QUEUE),
            Queue::Bytes(bytes) => bytes,
            Queue::Bdp(products) if products > 0.0 && products <= 1000.0 => ((bdp as f64 * products) as u64).max(1500),
            Queue::Bdp(products) => {
                return Err(out_of_range("the queue", format!("{products} BDP"), "above 0 and at most 1000"));
            }
        };
        Ok(Properties { rtt: self.rtt, rate_bits: self.rate_bits, queue_bytes, congestion: name.clone() })
    }

    /// Writes the files that the client sees in place of the machine's. They live as long as the folder that is returned.
    fn overrides(&self) -> Result<(Option<TempDir>, Vec<Override>), LinkError> {
        let wanted: Vec<_> = [("/etc/resolv.conf", &self.resolv_conf), ("/etc/hosts", &self.hosts)]
            .into_iter()
            .filter_map(|(target, text)| Some((Path::new(target), text.as_ref()?)))
            .collect();
        if wanted.is_empty() {
            return Ok((None, Vec::new()));
        }
        let folder = TempDir::with_prefix("goferry-link-").map_err(LinkError::system("making a temporary folder"))?;
        let mut overrides = Vec::new();
        for (number, (target, text)) in wanted.into_iter().enumerate() {
            let source = folder.path().join(number.to_string());
            fs::write(&source, text).map_err(LinkError::system("writing a file for the client side"))?;
            overrides.push(Override { target: target.to_owned(), source });
        }
        Ok((Some(folder), overrides))
    }
}

/// A probability from 0 to 1, or an error that says so.
pub(super) fn check_probability(loss: f64) -> Result<f64, LinkError> {
    if (0.0..=1.0).contains(&loss) {
        return Ok(loss);
    }
    Err(out_of_range("the loss", loss.to_string(), "a probability from 0 to 1"))
}

fn out_of_range(what: &'static str, value: String, range: &'static str) -> LinkError {
    LinkError::OutOfRange { what, value, range }
}

/// `ip` answers "Invalid argument" to a congestion control that the kernel does not have; this says what is meant.
fn explain_congestion(error: LinkError, name: &str) -> LinkError {
    let available = available_congestion();
    if matches!(error, LinkError::Ip { .. }) && !available.split_whitespace().any(|other| other == name) {
        return LinkError::Congestion { name: name.to_owned(), available };
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(builder: LinkBuilder) -> String {
        builder.properties().unwrap_err().to_string()
    }

    #[test]
    fn values_out_of_range_are_named() {
        let new = LinkBuilder::new;
        assert_eq!(refused(new().loss(1.5)), "the loss of the link is 1.5: it must be a probability from 0 to 1");
        assert!(refused(new().loss_to_server(f64::NAN)).contains("NaN"));
        assert!(refused(new().rate_bits(1)).contains("8 kbit/s"));
        assert!(refused(new().rtt(Duration::from_secs(61))).contains("at most 60 s"));
        assert!(refused(new().congestion("bbr; reboot")).contains("letters"));
        assert!(refused(new().congestion("")).contains("letters"));
        assert!(refused(new().queue_bdp(0.0)).contains("0 BDP"));
    }

    #[test]
    fn the_queue_is_one_bandwidth_delay_product_or_64_kib() {
        let queue = |builder: LinkBuilder| builder.properties().unwrap().queue_bytes;
        let fast = || LinkBuilder::new().rate_bits(200_000_000);
        assert_eq!(queue(fast()), 1_250_000);
        assert_eq!(queue(fast().queue_bdp(0.5)), 625_000);
        assert_eq!(queue(fast().queue_bytes(9000)), 9000);
        assert_eq!(queue(LinkBuilder::new().rate_bits(1_000_000)), 65_536);
        assert_eq!(queue(LinkBuilder::new().rate_bits(8_000).queue_bdp(0.1)), 1500);
    }
}
