//! An emulated long link: two network namespaces with a kernel TCP stack each, and between them a delay, a rate, a queue and losses.
//!
//! ```text
//! client namespace                                        server namespace
//! 10.66.1.1, fd00:66:1::1      relay threads              10.66.2.1 to .254, fd00:66:2::1 to ::20
//! goferry0 (TUN) ──► queue ─ rate ─ loss ─ RTT/2 ──► goferry0 (TUN)
//! goferry0 (TUN) ◄── RTT/2 ─ loss ─ rate ─ queue ◄── goferry0 (TUN)
//! ```
//!
//! TCP on both sides is the kernel's own, so slow start, loss recovery and windows are the real ones. The congestion control is set by
//! route, never by sysctl, and belongs to each result measured here: see [`Link`]'s `Display`.
//!
//! Needs Linux, root, `/dev/net/tun` and the `ip` command (iproute2). Nothing is left behind: the namespaces have no name, the
//! interfaces are not persistent, and both go when the [`Link`] is dropped. A process or socket still in a namespace keeps that
//! namespace, without its interface, until it ends.
//!
//! ```no_run
//! use std::net::TcpListener;
//! use std::time::Duration;
//! use goferry_lab::link::Link;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let link = Link::builder().rtt(Duration::from_millis(50)).rate_bits(200_000_000).loss(0.01).build()?;
//! // The socket stays in its namespace, wherever it is used afterwards.
//! let listener = link.in_server(|| TcpListener::bind((link.server_addr(), 0)))??;
//! let status = link.client_output(std::process::Command::new("curl").arg(format!("http://{}/", listener.local_addr()?)))?;
//! # Ok(()) }
//! ```

mod address;
mod builder;
mod control;
mod error;
mod namespace;
mod packet;
mod relay;
mod shaper;
mod sys;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Output};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

pub use self::address::{CLIENT_V4, CLIENT_V6, SERVER_V6_HOSTS, SILENT_V4, SILENT_V6, server_v4, server_v6};
pub use self::builder::LinkBuilder;
pub use self::control::{Counters, Direction, Ipv6Mode, LinkCounters};
pub use self::error::LinkError;

use self::control::Control;
use self::namespace::Namespace;

/// A running link. Dropping it removes it.
#[derive(Debug)]
pub struct Link {
    properties: Properties,
    client: Namespace,
    server: Namespace,
    control: Arc<Control>,
    /// Closing them ends the relay threads.
    stops: Vec<UnixStream>,
    relays: Vec<JoinHandle<()>>,
    v6: bool,
    _files: Option<TempDir>,
}

/// What does not change while the link lives.
#[derive(Debug, Clone)]
struct Properties {
    rtt: Duration,
    rate_bits: Option<u64>,
    queue_bytes: u64,
    congestion: String,
}

impl Link {
    /// A builder with the defaults: 50 ms, no rate limit, no loss, cubic.
    pub fn builder() -> LinkBuilder {
        LinkBuilder::new()
    }

    /// The first address of the server side, 10.66.2.1.
    pub fn server_addr(&self) -> IpAddr {
        self.server_addr_of(1)
    }

    /// The server side's IPv4 address number `host`, 1 to 254. Each can be bound there: one for a proxy, another for an origin.
    pub fn server_addr_of(&self, host: u8) -> IpAddr {
        server_v4(host).into()
    }

    /// The server side's IPv6 address number `host`, 1 to [`SERVER_V6_HOSTS`]; `None` beyond, and where the kernel has no IPv6.
    pub fn server_addr_v6(&self, host: u8) -> Option<Ipv6Addr> {
        (self.v6 && (1..=SERVER_V6_HOSTS).contains(&host)).then(|| server_v6(host))
    }

    /// The client's IPv4 address.
    pub fn client_addr(&self) -> IpAddr {
        CLIENT_V4.into()
    }

    /// An address behind the link where packets are swallowed: no answer, no error.
    pub fn silent_addr(&self) -> Ipv4Addr {
        SILENT_V4
    }

    /// The round trip time without queueing.
    pub fn rtt(&self) -> Duration {
        self.properties.rtt
    }

    /// The rate of each direction in bits a second.
    pub fn rate_bits(&self) -> Option<u64> {
        self.properties.rate_bits
    }

    /// The length of each direction's queue in bytes; of no effect without a rate.
    pub fn queue_bytes(&self) -> u64 {
        self.properties.queue_bytes
    }

    /// TCP's congestion control on both sides.
    pub fn congestion(&self) -> &str {
        &self.properties.congestion
    }

    /// Runs `work` on a thread inside the client's namespace and waits for it. Sockets, threads and processes made there stay there,
    /// and the client's own `/etc` files are seen. A panic of `work` goes on in the caller.
    ///
    /// # Errors
    /// When the thread cannot be started or may not enter the namespace.
    pub fn in_client<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LinkError> {
        self.client.run(work)
    }

    /// The same inside the server's namespace.
    ///
    /// # Errors
    /// As [`Link::in_client`].
    pub fn in_server<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LinkError> {
        self.server.run(work)
    }

    /// Starts `command` on the client side. The child belongs to the caller, who waits for it or kills it.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the command cannot be started.
    pub fn client_spawn(&self, command: &mut Command) -> Result<Child, LinkError> {
        spawn(&self.client, command)
    }

    /// Runs `command` on the client side to its end and collects its output.
    ///
    /// # Errors
    /// As [`Link::client_spawn`].
    pub fn client_output(&self, command: &mut Command) -> Result<Output, LinkError> {
        output(&self.client, command)
    }

    /// Starts `command` on the server side, as [`Link::client_spawn`] does on the client's.
    ///
    /// # Errors
    /// As [`Link::client_spawn`].
    pub fn server_spawn(&self, command: &mut Command) -> Result<Child, LinkError> {
        spawn(&self.server, command)
    }

    /// Runs `command` on the server side to its end and collects its output.
    ///
    /// # Errors
    /// As [`Link::client_spawn`].
    pub fn server_output(&self, command: &mut Command) -> Result<Output, LinkError> {
        output(&self.server, command)
    }

    /// From now on loses packets from the server to the client with this probability.
    ///
    /// # Errors
    /// [`LinkError::OutOfRange`] for anything but 0 to 1.
    pub fn set_loss(&self, probability: f64) -> Result<(), LinkError> {
        self.set_loss_of(Direction::ToClient, probability)
    }

    /// The same for either direction.
    ///
    /// # Errors
    /// As [`Link::set_loss`].
    pub fn set_loss_of(&self, direction: Direction, probability: f64) -> Result<(), LinkError> {
        self.control.lane(direction).set_loss(builder::check_probability(probability)?);
        Ok(())
    }

    /// While on, both directions swallow every packet, those on their way too.
    pub fn blackhole(&self, on: bool) {
        self.control.set_blackhole(on);
    }

    /// From now on treats IPv6 so.
    pub fn set_ipv6(&self, mode: Ipv6Mode) {
        self.control.set_ipv6(mode);
    }

    /// What happened to the packets so far.
    pub fn counters(&self) -> LinkCounters {
        LinkCounters { to_client: self.control.to_client.counters(), to_server: self.control.to_server.counters() }
    }
}

impl fmt::Display for Link {
    /// One line with all that a result measured over this link must state.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Properties { rtt, rate_bits, queue_bytes, congestion } = &self.properties;
        write!(f, "RTT {} ms, ", rtt.as_secs_f64() * 1e3)?;
        match rate_bits {
            Some(rate) => write!(f, "{} Mbit/s each way, queue {queue_bytes} bytes, ", *rate as f64 / 1e6)?,
            None => f.write_str("no rate limit, ")?,
        }
        let (down, up) = (self.control.to_client.loss(), self.control.to_server.loss());
        write!(
            f,
            "loss {} % to the client and {} % to the server, congestion control {congestion}",
            down * 100.0,
            up * 100.0
        )
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stops.clear();
        for relay in self.relays.drain(..) {
            // A relay that panicked has already ended, which is all that is wanted here.
            let _ = relay.join();
        }
    }
}

fn spawn(side: &Namespace, command: &mut Command) -> Result<Child, LinkError> {
    let program = command.get_program().to_owned();
    side.run(|| command.spawn())?.map_err(|source| LinkError::Command { program, source })
}

fn output(side: &Namespace, command: &mut Command) -> Result<Output, LinkError> {
    let program = command.get_program().to_owned();
    side.run(|| command.output())?.map_err(|source| LinkError::Command { program, source })
}
