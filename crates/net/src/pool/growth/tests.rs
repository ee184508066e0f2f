//! Paths that are played to the rule, tick by tick.

use super::*;

/// Plays a path: each flow carries at most `flow` bytes a second, all together at most `path`.
fn play(cap: usize, flow: f64, path: f64, losing: bool, seconds: u64) -> (usize, Vec<Decision>) {
    let mut growth = Growth::new(cap);
    let step = Duration::from_millis(50);
    let mut flows: Vec<(u32, f64, u32, Duration)> = vec![(1, 0.0, 0, Duration::ZERO)];
    let mut next = 2;
    let mut decisions = Vec::new();
    for n in 1..(seconds * 20) {
        let now = step * u32::try_from(n).unwrap();
        let each = flow.min(path / flows.len() as f64);
        for (number, bytes, ooo, _) in &mut flows {
            *bytes += each * step.as_secs_f64();
            // The loss comes with a flow's own period, not with all at once.
            if losing && (n + u64::from(*number) * 3) % 8 == 0 {
                *ooo += 5;
            }
        }
        let tick = Tick {
            now,
            round_trip: step,
            flows: flows
                .iter()
                .map(|(number, bytes, ooo, since)| Flow {
                    number: *number,
                    bytes: *bytes as u64,
                    out_of_order: *ooo,
                    draining: false,
                    flowing: Some(now - *since),
                    present_round_trip: None,
                })
                .collect(),
            dialling: 0,
            backlog: 1 << 30,
            streams_exhausted: false,
        };
        match growth.tick(&tick) {
            Decision::Open(count, why) => {
                for _ in 0..count {
                    flows.push((next, 0.0, 0, now));
                    next += 1;
                }
                decisions.push(Decision::Open(count, why));
            }
            Decision::Drop(numbers, why) => {
                flows.retain(|(number, ..)| !numbers.contains(number));
                decisions.push(Decision::Drop(numbers, why));
            }
            Decision::Stay => {}
            other => decisions.push(other),
        }
    }
    (flows.len(), decisions)
}

/// The n-th tick of one flow that brings so many bytes with each and always loses.
fn of_one(n: u32, bytes: u64, backlog: u64) -> Tick {
    let step = Duration::from_millis(50);
    let flow = Flow {
        number: 1,
        bytes: u64::from(n) * bytes,
        out_of_order: n,
        draining: false,
        flowing: Some(step * n),
        present_round_trip: None,
    };
    Tick { now: step * n, round_trip: step, flows: vec![flow], dialling: 0, backlog, streams_exhausted: false }
}

#[test]
fn flows_that_lose_below_the_path_grow_to_what_it_gives() {
    let (flows, decisions) = play(16, 375_000.0, 25_000_000.0, true, 5);
    assert_eq!(flows, 16, "{decisions:?}");
}

#[test]
fn a_full_path_keeps_one_flow() {
    let (flows, decisions) = play(16, 50_000_000.0, 25_000_000.0, true, 10);
    assert_eq!(flows, 1, "{decisions:?}");
    assert!(decisions.len() <= 6, "trials are paused more and more: {decisions:?}");
}

#[test]
fn a_window_limited_flow_gets_company_without_any_loss() {
    let (flows, decisions) = play(16, 2_000_000.0, 10_000_000.0, false, 10);
    assert!((4..=8).contains(&flows), "{flows} {decisions:?}");
}

#[test]
fn where_none_can_be_opened_the_next_trial_is_not_far() {
    let mut growth = Growth::new(16);
    let mut opens = Vec::new();
    for n in 1..2400u32 {
        let tick = of_one(n, 50_000, 1 << 30);
        match growth.tick(&tick) {
            Decision::Open(..) => opens.push(tick.now),
            Decision::Drop(numbers, _) => assert_eq!((numbers.len(), growth.is_trying()), (0, false)),
            Decision::Stay => {}
            Decision::Keep(why) => panic!("{why}"),
        }
    }
    let pauses: Vec<u64> = opens.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
    assert_eq!(pauses, [2, 4, 8, 16, 30, 30]);
}

#[test]
fn the_cap_holds() {
    assert!(play(3, 375_000.0, 25_000_000.0, true, 5).0 <= 3);
    assert_eq!(play(1, 375_000.0, 25_000_000.0, true, 5).0, 1);
}

#[test]
fn little_work_is_not_worth_a_trial() {
    let mut growth = Growth::new(16);
    for n in 1..40u32 {
        assert_eq!(growth.tick(&of_one(n, 20_000, 50_000)), Decision::Stay);
    }
}
