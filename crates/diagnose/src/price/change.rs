//! Remedies as changes of the inputs, and what they save.

use std::time::Duration;

use serde::Serialize;

use crate::finding::Cost;
use crate::price::inputs::{Congestion, PriceInputs, Protocol};
use crate::price::predict;

/// What a remedy changes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// HTTP/2 over TLS, one connection for all.
    SharedHttp2,
    /// HTTP/1.1 connections stay open after a response.
    KeepAlive,
    /// The server allows that many streams on a connection.
    MaxConcurrentStreams(u32),
    /// The server does not end connections after some requests.
    NoGoAway,
    /// No stream is refused or broken.
    NoResets,
    /// Loss no longer limits a flow: bbr on the server.
    NoLossCeiling,
    /// The path loses nothing.
    NoLoss,
    /// Stream windows are no limit.
    WindowFull,
    /// TLS 1.3: one round trip less for each connection.
    Tls13,
    /// The server sends its SETTINGS at once.
    NoSettingsDelay,
    /// The origin needs no more than this for a request.
    ThinkTime(Duration),
    /// A name is resolved in no more than this.
    FastDns(Duration),
    /// No CONNECT: the forward proxy is not used for this host.
    NoForwardProxy,
    /// That many entries of GOPROXY fewer are asked in vain.
    NoFallback(u32),
    /// GOMAXPROCS is at least this.
    Procs(u32),
    /// The toolchain is there already.
    NoToolchain,
    /// A pruned graph (go 1.17 and later) that reads so many `.mod` files, all named by go.mod.
    PrunedGraph(u32),
    /// go.sum has every hash.
    CompleteGoSum,
    /// The path has at least this capacity in bits a second; `None`: capacity is no limit.
    Bandwidth(Option<f64>),
    /// Several `.info` at once.
    ParallelInfo,
    /// A round trip of at most this: a proxy nearby.
    RoundTrip(Duration),
}

impl Change {
    /// The inputs as they would be with the remedy. Nothing gets worse: a limit is only ever raised, a delay only ever lowered.
    #[must_use]
    pub fn apply(&self, inputs: &PriceInputs) -> PriceInputs {
        let mut new = inputs.clone();
        let (path, project, client) = (&mut new.path, &mut new.project, &mut new.client);
        match *self {
            Change::SharedHttp2 => path.protocol = Protocol::Http2,
            Change::KeepAlive => match &mut path.protocol {
                Protocol::Http2 => {}
                Protocol::Http1 { keep_alive } | Protocol::PlainHttp1 { keep_alive } => *keep_alive = true,
            },
            Change::MaxConcurrentStreams(n) => {
                // What a low limit refuses, a higher one takes.
                if path.max_concurrent_streams < n {
                    path.refused_backoff = Duration::ZERO;
                }
                path.max_concurrent_streams = path.max_concurrent_streams.max(n);
            }
            Change::NoGoAway => path.goaway_every = None,
            Change::NoResets => {
                path.refused_backoff = Duration::ZERO;
                path.broken_streams = 0.0;
            }
            Change::NoLossCeiling => path.congestion = Congestion::Bbr,
            Change::NoLoss => path.loss = 0.0,
            Change::WindowFull => path.stream_window = None,
            Change::Tls13 => path.tls_rtts = path.tls_rtts.min(1),
            Change::NoSettingsDelay => path.settings_delay = Duration::ZERO,
            Change::ThinkTime(d) => path.server_think = path.server_think.min(d),
            Change::FastDns(d) => path.dns = path.dns.min(d),
            Change::NoForwardProxy => path.connect_rtts = 0,
            Change::NoFallback(n) => path.fallback_entries = path.fallback_entries.saturating_sub(n),
            Change::Procs(n) => {
                client.gomaxprocs = client.gomaxprocs.max(n);
            }
            Change::NoToolchain => project.toolchain_bytes = None,
            Change::PrunedGraph(n) => {
                project.graph_mod_files = project.graph_mod_files.min(n);
                project.graph_roots = project.graph_mod_files;
                project.graph_depth = 1;
            }
            Change::CompleteGoSum => project.sumdb_lookups = 0,
            Change::Bandwidth(b) => {
                path.bandwidth = match (path.bandwidth, b) {
                    (Some(old), Some(new)) => Some(old.max(new)),
                    _ => None,
                };
            }
            Change::ParallelInfo => project.parallel_info = true,
            Change::RoundTrip(d) => path.rtt = path.rtt.min(d),
        }
        new
    }
}

/// What `change` saves this project on this path: the difference of two predictions with the model's uncertainty, a quarter
/// (half to double where packets are lost, or where the sender is not known). Never below zero: a remedy that would not help costs nothing.
#[must_use]
pub fn saving(inputs: &PriceInputs, change: &Change) -> Cost {
    let now = predict(inputs).total.as_secs_f64();
    let then = predict(&change.apply(inputs)).total.as_secs_f64();
    let difference = (now - then).max(0.0);
    let (low, high, sure) =
        if inputs.path.loss > 0.0 { (0.5, 2.0, "a factor of 2 (loss)") } else { (0.75, 1.25, "25 %") };
    Cost {
        seconds_min: difference * low,
        seconds_max: (difference * high).min(now),
        basis: format!("predicted {now:.2} s now and {then:.2} s with the remedy, within {sure}"),
    }
}
