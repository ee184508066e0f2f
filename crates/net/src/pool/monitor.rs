//! What watches connections: ticks for the rule of growth, and PINGs for those that went quiet.

use std::future::poll_fn;
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
            let (pause, told) = {
                let mut slots = inner.lock();
                for (number, why) in slots.finished(now) {
                    slots.end(number, why, now);
                }
                if !slots.is_at_work() {
                    slots.ticking = false;
                    return;
                }
                let told = slots.stuck(now);
                (slots.tick(now), told)
            };
            for (sender, failure) in told {
                let _ = sender.send(Err(failure));
            }
            Inner::pump(&inner, false);
            drop(inner);
            sleep(pause).await;
        }
    });
}

/// Gives a connection of HTTP/2 up when its SETTINGS do not come, or when it stays quiet although a PING was sent.
pub(super) fn watch_http2(back: Back, shared: Arc<Shared>, ping: Option<PingPong>, config: PoolConfig) {
    tokio::spawn(async move {
        let Some(mut ping) = ping else { return };
        let step = (config.quiet / 4).clamp(Duration::from_millis(5), Duration::from_millis(250));
        let born = Instant::now();
        // The first PING measures the round trip to the one who answers, which may not be the one who answers for TCP.
        let mut sent = ping.send_ping(Ping::opaque()).is_ok().then(Instant::now);
        // Since when a quiet connection has been asked for a sign of life.
        let mut asked: Option<Instant> = None;
        loop {
            match sent {
                // One PING at a time: the library takes no other before the answer.
                Some(at) => match timeout(step, poll_fn(|cx| ping.poll_pong(cx))).await {
                    Ok(Ok(_)) => {
                        shared.timeline.note(Event::Ping { round_trip: at.elapsed() });
                        sent = None;
                    }
                    Ok(Err(_)) => return,
                    Err(_) => {}
                },
                None => sleep(step).await,
            }
            if shared.dead.load(Ordering::Relaxed) {
                return;
            }
            if !shared.timeline.settings_seen() && born.elapsed() >= config.settings_bound {
                return give_up(&back, &shared, "no SETTINGS from the server", config.settings_bound);
            }
            if !shared.timeline.settings_seen() {
                continue;
            }
            let number = shared.timeline.number();
            let busy = match back.upgrade() {
                Some(inner) => inner.lock().is_busy(number),
                None => return,
            };
            if !busy || shared.timeline.quiet() < config.quiet {
                asked = None;
                continue;
            }
            match asked {
                None => {
                    asked = Some(Instant::now());
                    if sent.is_none() {
                        sent = ping.send_ping(Ping::opaque()).is_ok().then(Instant::now);
                    }
                }
                Some(at) if at.elapsed() >= config.ping_bound => {
                    return give_up(&back, &shared, "dead: a PING was not answered", config.ping_bound);
                }
                Some(_) => {}
            }
        }
    });
}

fn give_up(back: &Back, shared: &Arc<Shared>, why: &str, bound: Duration) {
    let Some(inner) = back.upgrade() else { return };
    let why = format!("{why} within {:.0} s", bound.as_secs_f64());
    let now = inner.born.elapsed();
    inner.lock().end(shared.timeline.number(), &why, now);
    Inner::pump(&inner, false);
}
