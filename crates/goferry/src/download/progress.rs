//! The progress line.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use goferry_fetch::download::{ModuleReport, Reporter};
use goferry_fetch::transfer::Progress;

use super::summary::bytes;

/// Over how long the rate is averaged.
const WINDOW: Duration = Duration::from_secs(3);

/// Counts what the downloader tells.
#[derive(Debug, Default)]
pub(super) struct Counter {
    planned: AtomicUsize,
    done: AtomicUsize,
    failed: AtomicUsize,
    bytes: AtomicU64,
    expected: AtomicU64,
    known: AtomicUsize,
    notes: Mutex<Vec<String>>,
    past: Mutex<Vec<(Instant, u64)>>,
}

impl Counter {
    /// Notes since the last call.
    pub(super) fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Modules, bytes, rate, time left.
    pub(super) fn line(&self) -> String {
        let (done, planned) = (self.done.load(Ordering::Relaxed), self.planned.load(Ordering::Relaxed));
        let got = self.bytes.load(Ordering::Relaxed);
        let rate = self.rate(got);
        let mut line = format!("{done}/{planned} modules, {}", bytes(got));
        if rate > 0.0 {
            line.push_str(&format!(", {}/s", bytes(rate as u64)));
        }
        if let Some(left) = self.left(got, done, planned)
            && rate > 0.0
        {
            let seconds = left / rate;
            if seconds >= 1.0 {
                line.push_str(&format!(", about {} left", time(seconds)));
            }
        }
        let failed = self.failed.load(Ordering::Relaxed);
        if failed > 0 {
            line.push_str(&format!(", {failed} failed"));
        }
        line
    }

    /// Bytes to come: those of zips that have begun are known, the others are taken to be as large on average.
    fn left(&self, got: u64, done: usize, planned: usize) -> Option<f64> {
        let known = self.known.load(Ordering::Relaxed);
        if known == 0 {
            return None;
        }
        let expected = self.expected.load(Ordering::Relaxed);
        let unknown = planned.saturating_sub(done.max(known)) as f64;
        Some(expected.saturating_sub(got) as f64 + unknown * (expected as f64 / known as f64))
    }

    fn rate(&self, got: u64) -> f64 {
        let now = Instant::now();
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        past.push((now, got));
        past.retain(|(at, _)| now.duration_since(*at) <= WINDOW);
        let (first, before) = past[0];
        let seconds = now.duration_since(first).as_secs_f64();
        if seconds < 0.2 { 0.0 } else { got.saturating_sub(before) as f64 / seconds }
    }
}

impl Progress for Counter {
    fn bytes(&self, count: u64) {
        self.bytes.fetch_add(count, Ordering::Relaxed);
    }

    fn expected(&self, count: u64) {
        self.expected.fetch_add(count, Ordering::Relaxed);
        self.known.fetch_add(1, Ordering::Relaxed);
    }
}

impl Reporter for Counter {
    fn planned(&self, modules: usize) {
        self.planned.store(modules, Ordering::Relaxed);
    }

    fn done(&self, module: &ModuleReport) {
        self.done.fetch_add(1, Ordering::Relaxed);
        if module.error.is_some() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn note(&self, text: &str) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
    }
}

fn time(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..=99 => format!("{seconds} s"),
        100..=5999 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
