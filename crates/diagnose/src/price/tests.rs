//! The model against every figure measured with the real go command, and the properties that a price must have.

use std::time::Instant;

use proptest::prelude::*;

use super::*;

/// 200 x 50 kB, 50 ms, 200 Mbit/s, TLS 1.3, as the figures were measured.
fn lab(modules: u32, procs: u32) -> PriceInputs {
    PriceInputs {
        project: Project::uniform(modules, 50_000),
        client: Client { gomaxprocs: procs, num_cpu: 2, go_minor: 27 },
        path: Path { bandwidth: Some(200e6), max_concurrent_streams: 250, ..Path::default() },
        costs: HostCosts::default(),
    }
}

/// A real web server project: 167 zips, 193 MB, 320 `.mod` files. Zips of real projects are very unequal.
fn web_server(procs: u32, mbit: f64) -> PriceInputs {
    let mut inputs = lab(167, procs);
    let weights: Vec<f64> = (0..167).map(|i| 1.0 / f64::from((i * 31) % 167 + 1).powf(1.1)).collect();
    let sum: f64 = weights.iter().sum();
    inputs.project.zips = weights.iter().map(|w| (193e6 * w / sum) as u64).collect();
    inputs.project.graph_mod_files = 320;
    inputs.project.graph_depth = 3;
    inputs.path.bandwidth = Some(mbit * 1e6);
    inputs
}

fn http1(mut inputs: PriceInputs) -> PriceInputs {
    inputs.path.protocol = Protocol::Http1 { keep_alive: true };
    inputs
}

fn lossy(mut inputs: PriceInputs, loss: f64, congestion: Congestion) -> PriceInputs {
    inputs.path.loss = loss;
    inputs.path.congestion = congestion;
    inputs
}

fn seconds(inputs: &PriceInputs) -> f64 {
    predict(inputs).total.as_secs_f64()
}

#[track_caller]
fn assert_within(predicted: f64, measured: f64, factor: f64) {
    assert!(
        predicted < measured * factor && predicted > measured / factor,
        "predicted {predicted:.2} s, measured {measured:.2} s, allowed factor {factor}"
    );
}

#[test]
fn small_modules_without_loss_take_what_go_took() {
    assert_within(seconds(&lab(200, 2)), 22.8, 1.25);
    assert_within(seconds(&lab(200, 16)), 12.6, 1.25);
    assert_within(seconds(&http1(lab(200, 16))), 13.0, 1.25);
    let mut no_delay = lab(200, 2);
    no_delay.path.rtt = Duration::ZERO;
    no_delay.path.bandwidth = None;
    assert_within(seconds(&no_delay), 1.3, 1.25);
}

#[test]
fn small_modules_with_loss_take_what_go_took() {
    for (inputs, measured) in [
        (lossy(lab(200, 16), 0.001, Congestion::Cubic), 21.4),
        (lossy(lab(200, 16), 0.01, Congestion::Cubic), 47.5),
        (http1(lossy(lab(200, 16), 0.001, Congestion::Cubic)), 12.5),
        (http1(lossy(lab(200, 16), 0.01, Congestion::Cubic)), 15.7),
        (lossy(lab(200, 16), 0.01, Congestion::Bbr), 15.7),
    ] {
        assert_within(seconds(&inputs), measured, 1.3);
    }
}

#[test]
fn a_real_project_takes_what_go_took() {
    assert_within(seconds(&web_server(2, 200.0)), 33.6, 1.25);
    assert_within(seconds(&web_server(2, 1000.0)), 33.5, 1.25);
    assert_within(seconds(&web_server(16, 1000.0)), 28.2, 1.25);
    assert_within(seconds(&http1(web_server(16, 1000.0))), 28.9, 1.25);
    assert_within(seconds(&lossy(web_server(2, 200.0), 0.001, Congestion::Cubic)), 192.0, 1.3);
    assert_within(seconds(&http1(lossy(web_server(16, 200.0), 0.001, Congestion::Cubic))), 67.0, 2.0);
    assert_within(seconds(&lossy(web_server(2, 200.0), 0.01, Congestion::Bbr)), 42.0, 1.3);
}

#[test]
fn one_multiplexed_connection_takes_what_the_link_takes() {
    let network = |mut inputs: PriceInputs| {
        inputs.costs.zip = Duration::ZERO;
        inputs.costs.zip_byte_ns = 0.0;
        multiplexed(&inputs)
    };
    assert_within(network(lab(200, 16)).total.as_secs_f64(), 0.8, 1.3);
    assert_within(network(web_server(2, 200.0)).total.as_secs_f64(), 8.1, 1.1);
    assert_within(network(web_server(2, 1000.0)).total.as_secs_f64(), 2.2, 1.1);
    assert_eq!(network(lab(200, 16)).connections, Connections { dialled: 1, used: 1 });
}

#[test]
fn loss_is_answered_with_several_flows() {
    let inputs = lossy(web_server(2, 200.0), 0.001, Congestion::Cubic);
    let several = multiplexed(&inputs);
    assert!(several.connections.used > 8, "{:?}", several.connections);
    assert!(several.total < predict(&inputs).total / 2, "{several:?}");
}

#[test]
fn a_cold_start_dials_for_each_request_and_uses_one() {
    let p = predict(&lab(200, 16));
    assert_eq!((p.requests, p.connections), (600, Connections { dialled: 16, used: 1 }));
    assert_eq!(p.connections.wasted(), 15);
    assert_eq!(predict(&lab(200, 2)).connections, Connections { dialled: 2, used: 1 });
}

#[test]
fn http1_keeps_two_and_churns_above() {
    assert_eq!(predict(&http1(lab(200, 2))).connections.used, 2);
    let churn = predict(&http1(lab(200, 16))).connections.dialled;
    assert!((48..400).contains(&churn), "192 were measured, predicted {churn}");
    let mut closing = lab(60, 8);
    closing.path.protocol = Protocol::Http1 { keep_alive: false };
    assert!(predict(&closing).connections.used == 180);
}

#[test]
fn http1_costs_nothing_at_two_processors() {
    let cost = saving(&http1(lab(200, 2)), &Change::SharedHttp2);
    assert!(cost.seconds_max < 0.05 * seconds(&lab(200, 2)), "{cost:?}");
}

#[test]
fn shared_http2_saves_nothing_where_loss_limits_a_flow() {
    let inputs = http1(lossy(lab(200, 16), 0.01, Congestion::Cubic));
    let cost = saving(&inputs, &Change::SharedHttp2);
    assert_eq!((cost.seconds_min, cost.seconds_max), (0.0, 0.0));
    assert!(saving(&lossy(lab(200, 16), 0.01, Congestion::Cubic), &Change::NoLossCeiling).seconds_min > 5.0);
}

/// Each change takes away what a path was made worse by, and nothing else.
#[test]
fn every_remedy_is_worth_what_its_fault_costs() {
    type Fault = fn(&mut PriceInputs);
    let faults: Vec<(Fault, Change)> = vec![
        (|i| i.path.protocol = Protocol::Http1 { keep_alive: false }, Change::KeepAlive),
        (|i| i.path.protocol = Protocol::Http1 { keep_alive: false }, Change::SharedHttp2),
        (|i| i.path.max_concurrent_streams = 1, Change::MaxConcurrentStreams(100)),
        (|i| i.path.goaway_every = Some(3), Change::NoGoAway),
        (|i| i.path.refused_backoff = Duration::from_secs(1), Change::NoResets),
        (|i| i.path.broken_streams = 0.05, Change::NoResets),
        (|i| (i.path.loss, i.path.congestion) = (0.01, Congestion::Unknown), Change::NoLossCeiling),
        (|i| i.path.loss = 0.01, Change::NoLoss),
        (|i| i.path.stream_window = Some(8192), Change::WindowFull),
        (|i| i.path.tls_rtts = 2, Change::Tls13),
        (|i| i.path.settings_delay = Duration::from_secs(2), Change::NoSettingsDelay),
        (|i| i.path.server_think = Duration::from_millis(80), Change::ThinkTime(Duration::ZERO)),
        (|i| i.path.dns = Duration::from_secs(5), Change::FastDns(Duration::from_millis(20))),
        (|i| i.path.connect_rtts = 1, Change::NoForwardProxy),
        (|i| (i.path.fallback_entries, i.path.fallback_answer) = (1, Duration::from_millis(50)), Change::NoFallback(1)),
        (|i| i.client.gomaxprocs = 1, Change::Procs(8)),
        (|i| i.project.toolchain_bytes = Some(TOOLCHAIN_BYTES), Change::NoToolchain),
        (|i| (i.project.graph_mod_files, i.project.graph_depth) = (300, 20), Change::PrunedGraph(60)),
        (|i| i.project.sumdb_lookups = 60, Change::CompleteGoSum),
        (|i| i.path.bandwidth = Some(5e6), Change::Bandwidth(None)),
        (|i| i.project.parallel_info = false, Change::ParallelInfo),
        (|i| i.path.rtt = Duration::from_millis(150), Change::RoundTrip(Duration::from_millis(5))),
    ];
    for (fault, change) in faults {
        let mut inputs = lab(60, 8);
        fault(&mut inputs);
        let cost = saving(&inputs, &change);
        assert!(cost.seconds_min > 0.02, "{change:?}: {cost:?}");
        assert!(cost.seconds_min <= cost.seconds_max);
    }
}

#[test]
fn an_unpruned_graph_loads_along_its_depth() {
    let graph = |depth| {
        let mut inputs = lab(20, 16);
        inputs.project.graph_mod_files = 100;
        inputs.project.graph_depth = depth;
        predict(&inputs).phases.graph.as_secs_f64()
    };
    assert!(graph(40) > graph(5) + 1.0, "{} {}", graph(40), graph(5));
}

#[test]
fn a_4xx_is_asked_twice_from_go_1_24_on() {
    let with_go = |minor| {
        let mut inputs = lab(50, 8);
        inputs.client.go_minor = minor;
        inputs.path.fallback_entries = 1;
        inputs.path.fallback_answer = Duration::from_millis(50);
        seconds(&inputs)
    };
    let (before, after) = (with_go(23), with_go(24));
    // 50 .info in a row, 7 rounds of .mod and of .zip.
    assert_within(after - before, (50.0 + 14.0) * 0.05, 1.1);
}

#[test]
fn a_toolchain_costs_its_bytes_and_its_unpacking() {
    let mut inputs = lab(10, 2);
    inputs.project.toolchain_bytes = Some(TOOLCHAIN_BYTES);
    let toolchain = predict(&inputs).phases.toolchain.as_secs_f64();
    assert_within(toolchain, 10.0 + 75e6 * 8.0 / 200e6, 1.15);
}

#[test]
fn hostile_values_end_soon() {
    let mut inputs = lab(100, 8);
    inputs.project.zips = vec![u64::MAX; 100_000];
    inputs.project.graph_mod_files = u32::MAX;
    inputs.project.graph_depth = u32::MAX;
    inputs.project.infos = u32::MAX;
    inputs.client.gomaxprocs = u32::MAX;
    inputs.path.bandwidth = Some(0.0);
    inputs.path.loss = f64::NAN;
    inputs.path.broken_streams = f64::INFINITY;
    inputs.path.stream_window = Some(0);
    inputs.path.max_concurrent_streams = 0;
    inputs.path.goaway_every = Some(0);
    let start = Instant::now();
    let _ = predict(&inputs);
    let _ = multiplexed(&inputs);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn a_prediction_is_quick_and_repeatable() {
    let inputs = lossy(lab(600, 8), 0.001, Congestion::Cubic);
    let first = predict(&inputs);
    let best = (0..5)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(predict(&inputs), first);
            start.elapsed()
        })
        .min();
    // Below 5 ms in a release build; this one is not optimised.
    assert!(best.is_some_and(|b| b < Duration::from_millis(60)), "{best:?}");
}

#[test]
fn inputs_and_prediction_are_shown_in_seconds() {
    let inputs = lab(2, 2);
    let shown = serde_json::to_value(&inputs).unwrap();
    assert_eq!(shown["path"]["rtt"], 0.05);
    assert_eq!(shown["path"]["protocol"], "http2");
    assert_eq!(shown["project"]["zips"][1], 50_000);
    assert!(serde_json::to_value(predict(&inputs)).unwrap()["total"].is_f64());
}

fn any_inputs() -> impl Strategy<Value = PriceInputs> {
    (1u32..60, 1u32..20, 1u64..200, 1_000u64..400_000, prop::option::of(2.0f64..500.0), 0u8..4, 1u32..40).prop_map(
        |(modules, procs, rtt, size, mbit, protocol, streams)| {
            let mut inputs = lab(modules, procs);
            inputs.project.zips = vec![size; modules as usize];
            inputs.path.rtt = Duration::from_millis(rtt);
            inputs.path.bandwidth = mbit.map(|m| m * 1e6);
            inputs.path.max_concurrent_streams = streams;
            inputs.path.protocol = match protocol {
                0 => Protocol::Http2,
                1 => Protocol::Http1 { keep_alive: true },
                2 => Protocol::Http1 { keep_alive: false },
                _ => Protocol::PlainHttp1 { keep_alive: true },
            };
            inputs
        },
    )
}

/// Chunks and ties move a result a little; which two HTTP/1.1 connections survive, and what a GOAWAY falls upon, a little more.
fn at_most(a: f64, b: f64, inputs: &PriceInputs) -> bool {
    let steady = inputs.path.protocol == Protocol::Http2 && inputs.path.goaway_every.is_none();
    a <= b * if steady { 1.05 } else { 1.2 } + 0.05
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_longer_way_is_never_faster(inputs in any_inputs(), factor in 1.0f64..4.0) {
        let mut longer = inputs.clone();
        longer.path.rtt = inputs.path.rtt.mul_f64(factor);
        let (a, b) = (seconds(&inputs), seconds(&longer));
        prop_assert!(at_most(a, b, &inputs), "{a} {b}");
    }

    #[test]
    fn more_bandwidth_is_never_slower(inputs in any_inputs(), factor in 1.0f64..10.0) {
        let mut wider = inputs.clone();
        wider.path.bandwidth = inputs.path.bandwidth.map(|b| b * factor);
        let (a, b) = (seconds(&wider), seconds(&inputs));
        prop_assert!(at_most(a, b, &inputs), "{a} {b}");
    }

    #[test]
    fn more_modules_are_never_faster(inputs in any_inputs(), more in 1u32..30) {
        let mut larger = inputs.clone();
        let project = &mut larger.project;
        let size = project.zips[0];
        let count = project.graph_mod_files + more;
        *project = Project { zips: vec![size; count as usize], ..Project::uniform(count, size) };
        let (a, b) = (seconds(&inputs), seconds(&larger));
        prop_assert!(at_most(a, b, &inputs), "{a} {b}");
    }

    #[test]
    fn a_remedy_never_costs(inputs in any_inputs(), loss in prop::option::of(0.0001f64..0.03), goaway: bool) {
        let mut inputs = inputs;
        inputs.path.loss = loss.unwrap_or(0.0);
        inputs.path.tls_rtts = 2;
        inputs.path.dns = Duration::from_millis(30);
        inputs.project.sumdb_lookups = 3;
        inputs.path.goaway_every = goaway.then_some(10);
        for change in [Change::SharedHttp2, Change::KeepAlive, Change::NoGoAway, Change::Tls13, Change::Procs(16),
            Change::CompleteGoSum, Change::ParallelInfo, Change::WindowFull, Change::NoLoss] {
            let cost = saving(&inputs, &change);
            prop_assert!(cost.seconds_min >= 0.0 && cost.seconds_min <= cost.seconds_max);
            // Where few files are asked for, HTTP/2 may pay for a handshake that the remedy does not give back: TLS instead of plain
            // HTTP, a GOAWAY that two HTTP/1.1 connections do not reach, refused streams.
            // More at once than the server allows is refused.
            let streams = inputs.path.max_concurrent_streams;
            let trade = match change {
                Change::SharedHttp2 => {
                    goaway
                        || streams < inputs.client.gomaxprocs
                        || matches!(inputs.path.protocol, Protocol::PlainHttp1 { .. })
                }
                Change::Procs(procs) => streams < procs,
                _ => false,
            };
            if loss.is_none() && !trade {
                let (then, now) = (seconds(&change.apply(&inputs)), seconds(&inputs));
                prop_assert!(at_most(then, now, &inputs), "{change:?}: {now} to {then}");
            }
        }
    }

    #[test]
    fn every_file_is_asked_for_once(inputs in any_inputs(), goaway in prop::option::of(1u32..12), loss in 0.0f64..0.05) {
        let mut inputs = inputs;
        inputs.path.goaway_every = goaway;
        inputs.path.loss = loss;
        let wanted = inputs.project.graph_mod_files + 2 * inputs.project.infos;
        prop_assert_eq!(predict(&inputs).requests, wanted);
        prop_assert_eq!(multiplexed(&inputs).requests, wanted);
    }
}
