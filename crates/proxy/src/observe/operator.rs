//! The operator's side of one proxy: its figures are looked at every few seconds, and shown when asked for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use tokio::task::JoinSet;

use super::Watch;
use super::connections::{self, Connections, Origin};
use super::log::{Note, seconds};
use super::loss::Rule;
use super::metrics;
use super::pools::{New, Pools};
use super::ready::Ready;
use super::size::Size;
use crate::answer::{Answer, Content};
use crate::modules::Modules;
use crate::store::Store;
use crate::upstream::Upstream;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);
/// How long the figures wait to know whether all is ready; else they say what was known last.
const PROMPT: Duration = Duration::from_secs(1);

/// What an operator may ask of one proxy.
pub struct Operator {
    state: Arc<State>,
    _running: JoinSet<()>,
}

struct State {
    watch: Arc<Watch>,
    store: Arc<Store>,
    upstream: Arc<Upstream>,
    modules: Arc<Modules>,
    ready: Ready,
    generation: u64,
    seen: Mutex<Seen>,
    /// A count of a large store ends with its proxy.
    stop: AtomicBool,
}

/// What was seen at the last look.
#[derive(Default)]
struct Seen {
    pools: Pools,
    ahead: [u64; 3],
    mismatches: u64,
    rule: Rule,
    /// What is new, until the rule has judged it.
    new: Vec<New>,
}

impl Operator {
    /// Begins to look. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(watch: Arc<Watch>, store: &Arc<Store>, upstream: &Arc<Upstream>, modules: &Arc<Modules>) -> Operator {
        let generation = watch.begin_generation();
        let state = Arc::new(State {
            watch,
            store: Arc::clone(store),
            upstream: Arc::clone(upstream),
            modules: Arc::clone(modules),
            ready: Ready::default(),
            generation,
            seen: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let mut running = JoinSet::new();
        let looks = Arc::clone(&state);
        running.spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                looks.look();
                looks.judge();
            }
        });
        let counts = Arc::clone(&state);
        running.spawn(async move { counts.measure().await });
        Operator { state, _running: running }
    }

    /// `/metrics`. Whether it is ready is one of them, and there may be nobody who asks for `/readyz`.
    pub async fn metrics(&self) -> Answer {
        let asking = tokio::spawn(Arc::clone(&self.state).reasons());
        let _ = tokio::time::timeout(PROMPT, asking).await;
        self.state.look();
        let text = self.state.watch.metrics().text();
        let mut answer = Answer::text(StatusCode::OK, text);
        answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
        answer
    }

    /// `/readyz`.
    pub async fn ready(&self) -> Answer {
        let reasons = Arc::clone(&self.state).reasons().await;
        if reasons.is_empty() {
            return Answer::text(StatusCode::OK, "ready");
        }
        Answer::error(StatusCode::SERVICE_UNAVAILABLE, format!("not ready\n{}", reasons.join("\n")))
    }

    /// `/-/connections`.
    #[must_use]
    pub fn connections(&self) -> Answer {
        let mut text = serde_json::to_vec_pretty(&self.state.connections()).unwrap_or_default();
        text.push(b'\n');
        let mut answer = Answer::text(StatusCode::OK, "");
        answer.content = Content::Bytes(Bytes::from(text));
        answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
    }
}

impl State {
    /// Why it is not ready.
    async fn reasons(self: Arc<Self>) -> Vec<String> {
        self.ready.reasons(&self.store, &self.upstream, self.watch.metrics()).await
    }

    /// Whether no other proxy has taken this one's place.
    fn is_newest(&self) -> bool {
        self.watch.generation() == self.generation
    }

    /// Brings the figures up to date.
    fn look(&self) {
        let metrics = self.watch.metrics();
        let newest = self.is_newest();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = &mut *seen;
        let client = self.upstream.client();
        let new = seen.pools.look(client, metrics, newest);
        for new in &new {
            for decided in &new.decisions {
                self.watch.note(Note::info("pool", decided.text.as_str()).of(&new.origin));
            }
        }
        // Not judged yet: what came before is kept, and an origin's parts are judged one after another.
        seen.new.extend(new);
        self.ready.note_good(client.pools().iter().map(|pool| pool.load().answers.good()).sum());
        let ahead = self.modules.ahead();
        let load = Ordering::Relaxed;
        let now = [ahead.begun.load(load), ahead.used.load(load), ahead.failed.load(load)];
        let counters = [&metrics.ahead_begun, &metrics.ahead_used, &metrics.ahead_failed];
        for ((counter, now), before) in counters.into_iter().zip(now).zip(seen.ahead) {
            counter.inc_by(now.saturating_sub(before));
        }
        seen.ahead = now;
        let mismatches = self.modules.mismatches();
        metrics.mismatches.inc_by(mismatches.saturating_sub(seen.mismatches));
        seen.mismatches = mismatches;
        if newest {
            let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            metrics.ahead_unused.set(number(now[0].saturating_sub(now[1] + now[2])));
            metrics.fetches.set(number(self.modules.in_flight() as u64));
        }
    }

    /// The rule of thumb.
    fn judge(&self) {
        let now = Instant::now();
        let metrics = self.watch.metrics();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for new in std::mem::take(&mut seen.new) {
            if let Some(report) = seen.rule.arrived(&new.origin, new.arrived, now) {
                metrics.loss_reports.with_label_values(&["from_upstream"]).inc();
                let text = format!(
                    "{:.1} % of {} segments came out of order on {} connections, and the pool is not the limit: the network \
                     between loses or reorders packets",
                    report.share * 100.0,
                    report.segments,
                    new.open
                );
                self.watch.note(Note::warning("network", text).of(&report.whom).share(report.share));
            }
        }
        // All proxies of the process have the same clients.
        if !self.is_newest() {
            return;
        }
        let sent = self.watch.clients().look();
        for sent in sent.values() {
            metrics.sent_to_clients(*sent);
        }
        for report in seen.rule.sent(&sent, now) {
            metrics.loss_reports.with_label_values(&["to_client"]).inc();
            let text = format!(
                "{:.1} % of {} segments had to be sent again: the network between loses packets",
                report.share * 100.0,
                report.segments
            );
            self.watch.note(Note::warning("network", text).of(&report.whom).share(report.share));
        }
    }

    fn connections(&self) -> Connections {
        let watch = &self.watch;
        let metrics = watch.metrics();
        let mut origins: Vec<Origin> = self.upstream.client().pools().iter().map(Origin::of).collect();
        origins.sort_by_key(|origin| std::cmp::Reverse(origin.requests));
        let open = watch.clients().open().into_iter();
        let (segments, retransmits) = metrics.tcp();
        Connections {
            format: connections::FORMAT.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            time: jiff::Timestamp::now().to_string(),
            uptime_seconds: seconds(watch.since().elapsed()),
            healed: metrics.upstream.healed.get().max(self.upstream.client().healed()),
            fetches: self.modules.in_flight() as u64,
            clients: connections::Clients {
                connections: open.map(|(protocol, count)| (protocol.to_owned(), count as u64)).collect(),
                requests_in_flight: u64::try_from(metrics.in_flight.get()).unwrap_or(0),
                segments,
                retransmits,
            },
            origins,
        }
    }

    /// Counts the store's files again and again.
    async fn measure(self: Arc<Self>) {
        loop {
            let this = Arc::clone(&self);
            let count = move || Size::of(this.store.dir(), this.store.own(), &this.stop);
            let Ok((size, pause)) = tokio::task::spawn_blocking(count).await else { return };
            if self.is_newest() && !self.stop.load(Ordering::Relaxed) {
                self.watch.metrics().store(size);
            }
            tokio::time::sleep(pause).await;
        }
    }
}
