//! What watches connections: ticks for the rule of growth, and PINGs for those that went quiet.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{Instant, sleep, timeout};

use super::slots::{Back, Shared};
use super::{Inner, PoolConfig};
use crate::timeline::Event;

/// Ticks as long as the pool has connections.
pub(super) fn tick(back: Weak<Inner>) {
    tokio::spawn(async move {
        loop {
            let Some(inner) = back.upgrade() else { return };
            let now = inner.born.elapsed();
            let pause = {
                let mut slots = inner.lock();
                for (number, why) in slots.finished(now) {
                    slots.end(number, why, now);
                }
                if !slots.is_at_work() {
                    slots.ticking = false;
                    return;
                }
                slots.tick(now)
            };
            Inner::pump(&inner, false);
            drop(inner);
            sleep(pause).await;
        }
    });
}

/// Gives a connection of HTTP/2 up when its SETTINGS do not come, or a PING is not answered.
pub(super) fn watch_http2(back: Back, shared: Arc<Shared>, ping: Option<PingPong>, config: PoolConfig) {
    tokio::spawn(async move {
        let Some(mut ping) = ping else { return };
        let born = Instant::now();
        // The first PING measures the round trip to the one who answers, which may not be the one who answers for TCP.
        let started = Instant::now();
        if let Ok(Ok(_)) = timeout(config.settings_bound, ping.ping(Ping::opaque())).await {
            shared.timeline.note(Event::Ping { round_trip: started.elapsed() });
        }
        loop {
            if shared.dead.load(Ordering::Relaxed) {
                return;
            }
            if !shared.timeline.settings_seen() && born.elapsed() >= config.settings_bound {
                return give_up(&back, &shared, "no SETTINGS from the server", config.settings_bound);
            }
            let busy = {
                let Some(inner) = back.upgrade() else { return };
                let number = shared.timeline.number();
                let slots = inner.lock();
                slots.watched().iter().any(|(other, _, in_flight)| other.timeline.number() == number && *in_flight > 0)
            };
            let quiet = shared.timeline.quiet();
            if busy && quiet >= config.quiet {
                let bytes = shared.timeline.bytes_in();
                let started = Instant::now();
                match timeout(config.ping_bound, ping.ping(Ping::opaque())).await {
                    Ok(Ok(_)) => shared.timeline.note(Event::Ping { round_trip: started.elapsed() }),
                    Ok(Err(_)) => return,
                    Err(_) if shared.timeline.bytes_in() > bytes => {}
                    Err(_) => return give_up(&back, &shared, "dead: a PING was not answered", config.ping_bound),
                }
            }
            sleep(Duration::from_millis(250)).await;
        }
    });
}

fn give_up(back: &Back, shared: &Arc<Shared>, why: &str, bound: Duration) {
    let Some(inner) = back.upgrade() else { return };
    let now = inner.born.elapsed();
    let why = format!("{why} within {:.0} s", bound.as_secs_f64());
    inner.lock().end(shared.timeline.number(), &why, now);
    Inner::pump(&inner, false);
}
