//! The probe of a connection on which HTTP/1.1 is spoken.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use goferry_module::FileKind;
use goferry_net::exchange::Exchange;
use goferry_net::h1::{Bounds, H1};
use goferry_net::tcp_info::TcpWatch;

use crate::observation::{Http, Load};

use super::Prober;
use super::goodput::{Flow, watch_losses};
use super::http2::{KEEP_ZIP, join_all};
use super::open::{Opened, Records, proxy_authorization};

/// Requests made one after another.
const ALONE: usize = 6;
/// How long a response may go without a byte.
const STALL: Duration = Duration::from_millis(2_500);
/// The most of a small file that is kept, in octets.
const KEEP: usize = 1 << 20;

/// An HTTP/1.1 connection with what belongs to it.
pub(super) struct Client {
    pub(super) h1: H1,
    number: u32,
    trusted: bool,
    watch: Option<TcpWatch>,
    records: Arc<Mutex<Records>>,
}

impl Prober<'_> {
    pub(super) async fn probe_http1(&mut self, opened: Opened, deep: bool) {
        self.say(&format!("asking {} for module files", self.target.info.host));
        let mut client = self.speak(opened);
        let alone = if self.light() { 1 } else { ALONE };
        let mut kinds = [FileKind::Info, FileKind::Mod].into_iter().cycle();
        for index in 0..alone {
            let Some(usable) = self.usable_http1(client).await else { return };
            client = usable;
            let kind = kinds.next().unwrap_or(FileKind::Info);
            let paths = self.plan.small(kind, index / 2, 1);
            self.ask_http1(&mut client, &paths, KEEP, Load::Alone).await;
            if self.last_stalled() {
                return self.finish(client.watch.as_ref(), &client.records);
            }
        }
        if self.light() {
            return self.finish(client.watch.as_ref(), &client.records);
        }
        if let Some(path) = self.sumdb_path() {
            let Some(usable) = self.usable_http1(client).await else { return };
            client = usable;
            let exchange = self.fetch_http1(&mut client, &[path], 0).await.pop();
            self.record_sumdb(exchange);
        }
        self.say("measuring the transfer of zips");
        self.finish(client.watch.as_ref(), &client.records);
        self.flows(Some(client), 1).await;
        self.flows(None, 4).await;
        if deep {
            self.probe_idle().await;
        }
    }

    fn speak(&self, opened: Opened) -> Client {
        let Opened { stream, trusted, number, watch, records, .. } = opened;
        let mut h1 = H1::new(stream, &self.authority());
        if let (Some(proxy), "http") = (&self.target.proxy, self.target.info.scheme.as_str())
            && proxy.scheme != goferry_env::http_proxy::ProxyScheme::Socks5
        {
            h1 = h1.through_proxy(proxy_authorization(proxy));
        }
        Client { h1, number, trusted, watch, records }
    }

    async fn usable_http1(&mut self, client: Client) -> Option<Client> {
        if client.h1.is_usable() {
            return Some(client);
        }
        self.finish(client.watch.as_ref(), &client.records);
        self.open_http1().await
    }

    pub(super) async fn open_http1(&mut self) -> Option<Client> {
        let opened = self.open().await?;
        (opened.http() == Http::V1).then(|| self.speak(opened))
    }

    pub(super) async fn ask_http1(&mut self, client: &mut Client, paths: &[String], keep: usize, load: Load) {
        for exchange in self.fetch_http1(client, paths, keep).await {
            self.record(client.number, Http::V1, load, exchange);
        }
    }

    async fn fetch_http1(&mut self, client: &mut Client, paths: &[String], keep: usize) -> Vec<Exchange> {
        let bounds =
            Bounds { total: self.budget.bound(Duration::from_secs(8)), stall: self.budget.bound(STALL), enough: None };
        let mut exchanges = Vec::new();
        for request in self.requests(paths, keep, client.trusted) {
            exchanges.push(client.h1.fetch(&request, bounds).await);
        }
        exchanges
    }

    /// Zips over `count` connections at once, one after another on each.
    async fn flows(&mut self, first: Option<Client>, count: usize) {
        if self.plan.is_empty() || self.budget.left() < Duration::from_millis(1_500) {
            return;
        }
        let mut clients: Vec<Client> = first.into_iter().filter(|client| client.h1.is_usable()).collect();
        while clients.len() < count {
            let Some(client) = self.open_http1().await else { break };
            clients.push(client);
        }
        if clients.len() < count {
            return;
        }
        let enough = self.transfer_time();
        let last = self.budget.bound(enough + STALL);
        let mut work = Vec::new();
        for (index, client) in clients.iter_mut().enumerate() {
            let paths = self.plan.zips(index * 3, if count == 1 { 6 } else { 3 });
            let mut requests = self.requests(&paths, 0, client.trusted);
            if let (1, Some(first)) = (count, requests.first_mut()) {
                first.keep = KEEP_ZIP;
            }
            work.push(async move {
                let done = std::sync::atomic::AtomicBool::new(false);
                let started = std::time::Instant::now();
                let (exchanges, losses) = tokio::join!(
                    async {
                        let mut exchanges = Vec::new();
                        for request in &requests {
                            let left = enough.saturating_sub(started.elapsed());
                            if left.is_zero() || !client.h1.is_usable() {
                                break;
                            }
                            let total = last.saturating_sub(started.elapsed());
                            exchanges.push(
                                client.h1.fetch(request, Bounds { total, stall: STALL, enough: Some(left) }).await,
                            );
                        }
                        done.store(true, std::sync::atomic::Ordering::Relaxed);
                        exchanges
                    },
                    watch_losses(client.watch.as_ref(), &done)
                );
                (client.number, exchanges, losses)
            });
        }
        let results = join_all(work).await;
        let round_trip = self.least_connect().unwrap_or(Duration::from_millis(1));
        let flows: Vec<Flow> = results.iter().map(|(_, exchanges, losses)| Flow::new(exchanges, *losses)).collect();
        self.facts.extend(Flow::goodput(&flows, round_trip));
        for (number, exchanges, _) in results {
            for exchange in exchanges {
                self.record(number, Http::V1, Load::Large, exchange);
            }
        }
        for client in clients {
            self.finish(client.watch.as_ref(), &client.records);
        }
    }
}
