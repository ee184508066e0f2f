use std::collections::BTreeMap;

use super::super::h2load::Loaded;
use super::*;
use crate::bench::options::has;
use crate::served::Traffic;

fn row(words: &str) -> Row {
    let words: Vec<String> = words.split(',').map(str::to_owned).collect();
    rows::all().into_iter().find(|row| has(&row.tags(), &words)).unwrap()
}

fn facts() -> Facts {
    let text = |text: &str| text.to_owned();
    Facts {
        machine: text("2 processors"),
        nginx: text("nginx 1"),
        h2load: text("h2load 1"),
        go: text("go1.27.3"),
        goferry: text("goferry 0.1.0"),
        goproxy: None,
        built_here: true,
        file_systems: ["tmpfs", "ext4"].map(str::to_owned),
        runs: 3,
        quick: false,
        long_once: false,
    }
}

fn sample(seconds: f64, bytes: u64) -> Vec<Result<Sample, String>> {
    let traffic = Traffic { connections: 1, requests: 600, bytes, ..Traffic::default() };
    vec![Ok(Sample { seconds, traffic })]
}

fn run(requests: u64, bytes: u64, peak: f64) -> Vec<Result<Run, String>> {
    let loaded = Loaded { seconds: 2.0, requests, failed: 0, bytes, times: vec![0.001, 0.002] };
    vec![Ok(Run { loaded, cpu: 1.0, peak, connected: 1_000 })]
}

#[test]
fn a_line_says_whether_its_targets_were_reached() {
    let Row::Behind(tree) = row("go,tree,50ms,0%") else { panic!() };
    let mut samples = BTreeMap::from([
        (Through::Alone, sample(21.0, 100)),
        (Through::Empty, sample(2.0, 101)),
        (Through::Full, sample(1.2, 0)),
        (Through::Nginx, sample(1.0, 0)),
    ]);
    let text = behind(&tree, &samples, 100);
    assert!(
        text.contains("| 2.00 | 10.5 | 8 times faster: reached; 1.02 of the bytes: reached | 1.010 | 1 | 600 | 2.00 |"),
        "{text}"
    );
    assert!(text.contains("| 1.1 of nginx on loopback (1.20): **missed** | 0.000 |"), "{text}");
    assert!(text.contains("| goproxy | not measured |"), "{text}");
    samples.insert(Through::Empty, vec![Err("no |\n more".to_owned())]);
    let text = behind(&tree, &samples, 100);
    assert!(text.contains("| goferry, empty | **fails**: no / more | - | 8 times faster: **missed**;"), "{text}");
}

#[test]
fn load_memory_and_reuse_have_their_targets() {
    let runs = [run(2_000, 90, 150.0), run(2_200, 100, 20.0)];
    let small = load(Kind::Info, Protocol::Plain, &runs);
    assert!(
        small.contains("| 1000, 1100 |") && small.contains("| 0.91 | 1 of nginx's requests: **missed** |"),
        "{small}"
    );
    assert!(load(Kind::Zip1, Protocol::Plain, &runs).contains("| 0.90 | 0.9 of nginx's bytes: reached |"));
    assert!(memory(Protocol::Tls2, &runs).contains("| 150, 20 | less than 200 MB: reached |"));
    let mut few = [run(2_000, 90, 150.0), run(2_200, 100, 20.0)];
    few[0].iter_mut().flatten().for_each(|run| run.connected = 900);
    assert!(memory(Protocol::Tls2, &few).contains("| less than 200 MB: **missed** | 900, 1000 |"));
    let failing = [vec![Err("no".to_owned())], runs[1].clone()];
    assert!(memory(Protocol::Tls2, &failing).contains("**fails**, 20 | less than 200 MB: **missed**"));
    let loaded = Loaded { seconds: 1.0, requests: 20_000, failed: 0, bytes: 0, times: vec![0.05, 0.2] };
    let first_answers = vec![0.05, 0.06, 3.0];
    let traffic = Traffic { requests: 20_000, opened: 21, first_answers, ..Traffic::default() };
    let mut reused = Reused { asked: 20_000, loaded, traffic, slow: Some([7, 0]) };
    assert!(reuse(Reuse::Limited, &reused).contains("none lost, none waits: **missed** | 1 | 7, 0 |"));
    reused.traffic.first_answers[1] = 2.0;
    assert!(reuse(Reuse::Limited, &reused).contains("none lost, none waits: reached | 0 | 7, 0 |"));
    reused.asked += 1;
    assert!(reuse(Reuse::Limited, &reused).contains("none lost, none waits: **missed** | 0 | 7, 0 |"));
    reused.asked -= 1;
    reused.slow = Some([7, 2]);
    assert!(reuse(Reuse::Limited, &reused).contains("none lost, none waits: **missed** | 0 | 7, 2 |"));
    assert!(reuse(Reuse::Healthy, &reused).contains("99.8950 | 99.99 % reused: **missed**"));
    reused.traffic.opened = 2;
    assert!(reuse(Reuse::Healthy, &reused).contains("| 99.9900 | 99.99 % reused: reached"));
}

#[test]
fn every_line_has_as_many_cells_as_its_head() {
    let runs = [run(2, 2, 1.0), run(2, 2, 1.0)];
    let reused = Reused { asked: 1, loaded: Loaded::default(), traffic: Traffic::default(), slow: None };
    for row in rows::all() {
        let lines = match row {
            Row::Behind(one) => behind(&one, &BTreeMap::from([(Through::Alone, sample(1.0, 1))]), 1),
            Row::Load(kind, protocol) => load(kind, protocol, &runs),
            Row::Memory(protocol) => memory(protocol, &runs),
            Row::Reuse(one) => reuse(one, &reused),
        };
        let section = SECTIONS.iter().find(|section| (section.has)(&row)).unwrap();
        let cells = |text: &str| text.matches('|').count();
        for line in lines.lines().chain(failed(&row, "a | b").lines()) {
            assert_eq!(cells(line), cells(section.head), "{line}");
        }
    }
}

#[test]
fn a_part_is_put_into_the_page_that_is_there() {
    let (info, mem) = (row("load,info,h1"), row("memory,h1"));
    let runs = [run(2_000, 90, 150.0), run(1_000, 100, 20.0)];
    let (load_line, memory_line) = (load(Kind::Info, Protocol::Plain, &runs), memory(Protocol::Plain, &runs));
    let first = page(&facts(), &[(info, load_line.clone())], None);
    assert!(first.contains(&load_line) && first.contains("Not measured: go, flat, loopback;"), "{first}");
    let second = page(&facts(), &[(mem, memory_line.clone())], Some(&first));
    assert!(second.contains(&load_line) && second.contains(&memory_line), "{second}");
    assert!(second.contains("measured by themselves") && !second.contains("load, info, h1;"), "{second}");
    let third = page(&facts(), &[(mem, memory_line)], None);
    assert!(!third.contains(&load_line), "{third}");
}
