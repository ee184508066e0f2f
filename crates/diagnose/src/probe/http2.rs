//! The probe of a connection on which h2 was chosen.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use goferry_module::FileKind;
use goferry_net::Request;
use goferry_net::exchange::Exchange;
use goferry_net::h2::{Bounds, H2};
use goferry_net::tcp_info::TcpWatch;

use crate::observation::{Fact, Http, Load};

use super::Prober;
use super::goodput::{Flow, watch_losses};
use super::open::{Opened, Records};

/// How long a server may take to send its first frame.
const SETTINGS_BOUND: Duration = Duration::from_millis(3_000);
/// How long a request may go without a byte before a PING is sent, and the PING without an answer.
const STALL: Duration = Duration::from_millis(1_200);
/// Requests made one after another.
const ALONE: usize = 6;
/// The most of a small file that is kept, in octets.
const KEEP: usize = 1 << 20;
/// The most of a zip that is kept to be hashed, in octets.
pub(super) const KEEP_ZIP: usize = 4 << 20;

/// An HTTP/2 connection with what belongs to it.
pub(super) struct Client {
    h2: H2,
    number: u32,
    trusted: bool,
    watch: Option<TcpWatch>,
    records: Arc<Mutex<Records>>,
    waited: Duration,
}

impl Prober<'_> {
    pub(super) async fn probe_http2(&mut self, opened: Opened, deep: bool) {
        let Some(mut client) = self.start(opened).await else { return };
        if client.h2.seen.first_frame.is_none() {
            // Go sends its requests without waiting for SETTINGS: perhaps the server waits for one.
            let paths = self.plan.small(FileKind::Info, 0, 1);
            self.ask(&mut client, &paths, Load::Alone, 1).await;
            return self.end(client).await;
        }
        self.say(&format!("asking {} for module files", self.target.info.host));
        let alone = if self.light() { 1 } else { ALONE };
        for path in self.plan.small(FileKind::Info, 0, alone) {
            let Some(usable) = self.usable(client).await else { return };
            client = usable;
            self.ask(&mut client, &[path], Load::Alone, 1).await;
            if self.last_stalled() {
                return self.end(client).await;
            }
        }
        for _ in 0..3 {
            client.h2.ping(self.budget.bound(STALL)).await;
        }
        if self.light() {
            return self.end(client).await;
        }
        if let Some(path) = self.sumdb_path() {
            let Some(usable) = self.usable(client).await else { return };
            client = usable;
            let exchange = self.fetch(&mut client, &[path], 0, 1, STALL * 3).await.pop();
            self.record_sumdb(exchange);
        }
        let Some(usable) = self.usable(client).await else { return };
        client = usable;
        let burst = (self.plan.parallel as usize).clamp(8, 16);
        let paths = self.plan.small(FileKind::Mod, 0, burst);
        self.ask(&mut client, &paths, Load::Burst, u32::try_from(burst).unwrap_or(16)).await;
        self.say("measuring the transfer of zips");
        let Some(usable) = self.usable(client).await else { return };
        client = usable;
        self.one_flow(&mut client).await;
        if deep {
            client = match self.find_limit(client).await {
                Some(client) => client,
                None => return,
            };
        }
        self.end(client).await;
        self.zips_across_goaway().await;
        self.several_flows().await;
        if deep {
            self.probe_idle().await;
        }
    }

    /// HTTP/2 on a new connection, up to the server's SETTINGS.
    async fn start(&mut self, opened: Opened) -> Option<Client> {
        let Opened { stream, trusted, number, watch, records, .. } = opened;
        let started = Instant::now();
        match H2::start(stream, &self.authority()).await {
            Ok(mut h2) => {
                h2.wait_settings(self.budget.bound(SETTINGS_BOUND)).await;
                Some(Client { h2, number, trusted, watch, records, waited: started.elapsed() })
            }
            Err(error) => {
                let seen = goferry_net::h2::H2Seen { ended: Some((error, started.elapsed())), ..Default::default() };
                self.facts.push(Fact::Http2 {
                    connection: number,
                    seen: Box::new(seen),
                    waited_for_settings: started.elapsed(),
                });
                self.finish(watch.as_ref(), &records);
                None
            }
        }
    }

    /// This connection, or another one where it takes no more requests.
    async fn usable(&mut self, client: Client) -> Option<Client> {
        if client.h2.is_usable() {
            return Some(client);
        }
        self.end(client).await;
        let opened = self.open().await?;
        if opened.http() != Http::V2 {
            return None;
        }
        self.start(opened).await
    }

    pub(super) async fn open_client(&mut self) -> Option<Client> {
        let opened = self.open().await?;
        if opened.http() != Http::V2 {
            return None;
        }
        self.start(opened).await
    }

    pub(super) async fn end(&mut self, client: Client) {
        let Client { h2, number, watch, records, waited, .. } = client;
        self.finish(watch.as_ref(), &records);
        let seen = h2.close().await;
        self.facts.push(Fact::Http2 { connection: number, seen: Box::new(seen), waited_for_settings: waited });
    }

    async fn ask(&mut self, client: &mut Client, paths: &[String], load: Load, concurrency: u32) {
        let exchanges = self.fetch(client, paths, KEEP, concurrency, STALL).await;
        for exchange in exchanges {
            self.record(client.number, Http::V2, load, exchange);
        }
    }

    async fn fetch(
        &mut self,
        client: &mut Client,
        paths: &[String],
        keep: usize,
        concurrency: u32,
        stall: Duration,
    ) -> Vec<Exchange> {
        let requests = self.requests(paths, keep, client.trusted);
        let bounds = Bounds { total: self.budget.bound(Duration::from_secs(8)), enough: None, stall, concurrency };
        client.h2.fetch(&requests, bounds).await
    }

    /// Requests for `paths`, as many as the budget allows.
    pub(super) fn requests(&mut self, paths: &[String], keep: usize, trusted: bool) -> Vec<Request> {
        let granted = self.budget.take_requests(u32::try_from(paths.len()).unwrap_or(u32::MAX)) as usize;
        paths[..granted]
            .iter()
            .map(|path| Request {
                authorization: self.authorization(trusted),
                keep,
                ..Request::get(self.target.url.request_target(path))
            })
            .collect()
    }

    /// `host` or `host:port` as in `:authority`.
    pub(super) fn authority(&self) -> String {
        self.target.url.authority()
    }

    /// Zips over this one connection.
    async fn one_flow(&mut self, client: &mut Client) {
        let paths = self.plan.zips(0, if self.plan.deep { 12 } else { 6 });
        if paths.is_empty() {
            return;
        }
        let mut requests = self.requests(&paths, 0, client.trusted);
        // One is hashed whole: what is served must be what go.sum says.
        if let Some(first) = requests.first_mut() {
            first.keep = KEEP_ZIP;
        }
        let bounds = self.transfer_bounds(4);
        let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (exchanges, losses) = tokio::join!(
            async {
                let exchanges = client.h2.fetch(&requests, bounds).await;
                done.store(true, std::sync::atomic::Ordering::Relaxed);
                exchanges
            },
            watch_losses(client.watch.as_ref(), &done)
        );
        let round_trip = client.h2.seen.pings.iter().min().copied().unwrap_or(Duration::from_millis(1));
        let flow = Flow::new(&exchanges, losses);
        self.facts.extend(Flow::goodput(std::slice::from_ref(&flow), round_trip));
        for exchange in exchanges {
            self.record(client.number, Http::V2, Load::Large, exchange);
        }
    }

    /// One request, then silence: after how long the server ends the connection. What else the
    /// connection showed is left out, since the GOAWAY of an idle connection is no churn. `None` where
    /// the request was not answered.
    pub(super) async fn idle_http2(
        &mut self,
        client: &mut Client,
        paths: &[String],
        patience: Duration,
    ) -> Option<Option<Duration>> {
        let answered = self.fetch(client, paths, 0, 1, STALL).await.iter().any(|exchange| exchange.status.is_some());
        if !answered {
            return None;
        }
        Some(client.h2.idle(patience).await)
    }

    /// Where the server ends connections early: whether that breaks responses that are under way. As
    /// many zips at once as make it send GOAWAY while bodies are coming.
    async fn zips_across_goaway(&mut self) {
        let limits = self.facts.iter().filter_map(|fact| match fact {
            Fact::Http2 { seen, .. } => seen.goaways.first().map(|goaway| goaway.served()),
            _ => None,
        });
        let Some(limit) = limits.min().filter(|limit| (2..=30).contains(limit)) else { return };
        let paths = self.plan.zips(0, limit as usize + 4);
        if paths.is_empty() {
            return;
        }
        let Some(mut client) = self.open_client().await else { return };
        let requests = self.requests(&paths, 0, client.trusted);
        let bounds = self.transfer_bounds(64);
        for exchange in client.h2.fetch(&requests, bounds).await {
            self.record(client.number, Http::V2, Load::Large, exchange);
        }
        self.end(client).await;
    }

    fn transfer_bounds(&self, concurrency: u32) -> Bounds {
        let enough = self.transfer_time();
        Bounds { total: self.budget.bound(enough + STALL * 3), enough: Some(enough), stall: STALL, concurrency }
    }

    /// How long a transfer is watched.
    pub(super) fn transfer_time(&self) -> Duration {
        if self.plan.deep { Duration::from_secs(8) } else { Duration::from_millis(1_300) }
    }

    /// Zips over several connections at once.
    async fn several_flows(&mut self) {
        let flows = 4;
        if self.plan.zips(0, 1).is_empty() || self.budget.left() < Duration::from_millis(1_500) {
            return;
        }
        let mut clients = Vec::new();
        for _ in 0..flows {
            let Some(client) = self.open_client().await else { break };
            clients.push(client);
        }
        if clients.len() > 1 {
            let bounds = self.transfer_bounds(3);
            let mut work = Vec::new();
            for (index, client) in clients.iter_mut().enumerate() {
                let paths = self.plan.zips(index * 3, if self.plan.deep { 6 } else { 3 });
                let requests = self.requests(&paths, 0, client.trusted);
                work.push(async move {
                    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
                    let (exchanges, losses) = tokio::join!(
                        async {
                            let exchanges = client.h2.fetch(&requests, bounds).await;
                            done.store(true, std::sync::atomic::Ordering::Relaxed);
                            exchanges
                        },
                        watch_losses(client.watch.as_ref(), &done)
                    );
                    (client.number, exchanges, losses)
                });
            }
            let results = join_all(work).await;
            let round_trip = clients.iter().flat_map(|client| client.h2.seen.pings.iter().copied()).min();
            let round_trip = round_trip.or_else(|| self.least_connect()).unwrap_or(Duration::from_millis(1));
            let flows: Vec<Flow> = results.iter().map(|(_, exchanges, losses)| Flow::new(exchanges, *losses)).collect();
            self.facts.extend(Flow::goodput(&flows, round_trip));
            for (number, exchanges, _) in results {
                for exchange in exchanges {
                    self.record(number, Http::V2, Load::Large, exchange);
                }
            }
        }
        for client in clients {
            self.end(client).await;
        }
    }

    /// The least TCP handshake of the path.
    pub(super) fn least_connect(&self) -> Option<Duration> {
        let worked = self.facts.iter().filter_map(|fact| match fact {
            Fact::Connected { outcome: Ok(()), took, .. } => Some(*took),
            _ => None,
        });
        worked.min()
    }

    /// Asks on one connection until the server ends it, or what is left of the budget is used.
    async fn find_limit(&mut self, mut client: Client) -> Option<Client> {
        self.say("looking for a connection's request limit");
        let mut from = 0;
        while self.budget.requests() > 150 && client.h2.is_usable() && self.budget.left() > Duration::from_secs(60) {
            let paths = self.plan.small(FileKind::Info, from, 50);
            from += 50;
            let exchanges = self.fetch(&mut client, &paths, 0, 10, STALL).await;
            // A thousand good answers say nothing one by one: what matters is what the connection showed.
            for exchange in exchanges.into_iter().filter(|exchange| !exchange.ok()) {
                self.record(client.number, Http::V2, Load::Deep, exchange);
            }
        }
        self.usable(client).await
    }
}

/// All at once, on one task.
pub(super) async fn join_all<F: Future>(work: Vec<F>) -> Vec<F::Output> {
    let mut pinned: Vec<_> = work.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        let mut waiting = false;
        for (future, output) in &mut pinned {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    pinned.into_iter().filter_map(|(_, output)| output).collect()
}
