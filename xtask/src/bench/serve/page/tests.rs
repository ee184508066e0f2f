use std::collections::BTreeMap;

use super::super::behind::Sample;
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
        sha256: text("0123456789ab"),
        goproxy: None,
        built_here: true,
        file_systems: ["tmpfs", "ext4"].map(str::to_owned),
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
fn memory_is_that_of_runs_with_all_clients() {
    let runs = [run(2_000, 90, 150.0), run(2_200, 100, 20.0)];
    let text = memory(Protocol::Tls2, &runs);
    assert!(text.contains("| 150, 20 | less than 200 MB: reached | 1000, 1000 |"), "{text}");
    assert!(text.ends_with("| 150; 20 |\n"), "{text}");

    let mut few = run(2_000, 90, 50.0);
    few.iter_mut().flatten().for_each(|run| run.connected = 900);
    let text = memory(Protocol::Tls2, &[few.clone(), runs[1].clone()]);
    assert!(
        text.contains("| **no valid run**, 20 | less than 200 MB: **missed** | **no valid run**, 1000 |"),
        "{text}"
    );
    assert!(text.ends_with("| (not counted: 900 clients); 20 |\n"), "{text}");

    let some = [few.clone(), runs[0].clone(), few.clone()].concat();
    let text = memory(Protocol::Tls2, &[some, few]);
    assert!(text.contains("| 150, **no valid run** | less than 200 MB: reached |"), "{text}");
    let clients = "(not counted: 900 clients)";
    assert!(text.ends_with(&format!("| {clients} 150 {clients}; {clients} |\n")), "{text}");

    let much = [runs[0].clone(), run(1, 1, 201.0)].concat();
    assert!(memory(Protocol::Tls2, &[much, runs[1].clone()]).contains("less than 200 MB: **missed**"));
    let failing = vec![Err("no".to_owned())];
    let text = memory(Protocol::Tls2, &[failing.clone(), runs[1].clone()]);
    assert!(text.contains("| **fails**, 20 | less than 200 MB: **missed**"), "{text}");
    let text = memory(Protocol::Tls2, &[[runs[0].clone(), failing].concat(), runs[1].clone()]);
    assert!(text.contains("less than 200 MB: **missed**") && text.ends_with("| 150 fails; 20 |\n"), "{text}");
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
    let missing = second.lines().find(|line| line.starts_with("Not measured: ")).unwrap();
    assert!(!missing.contains("load, info, h1;") && missing.contains("load, mod, h1;"), "{second}");
    let third = page(&facts(), &[(mem, memory_line)], None);
    assert!(!third.contains(&load_line), "{third}");
}

#[test]
fn a_row_that_is_kept_says_what_it_was_measured_with() {
    let [info, zip, mem] = ["load,info,h1", "load,zip1,h1", "memory,h1"].map(row);
    let runs = [run(2_000, 90, 150.0), run(1_000, 100, 20.0)];
    let line_of = |row: Row| {
        let line = match row {
            Row::Load(kind, protocol) => load(kind, protocol, &runs),
            _ => memory(Protocol::Plain, &runs),
        };
        (row, line)
    };
    let with = |page: &str, name: &str| {
        let (_, section) = page.split_once("## What the rows were measured with").unwrap();
        let line = section.lines().find(|line| line.split(['|', ';']).any(|one| one.trim() == name));
        line.map(str::to_owned).unwrap_or_default()
    };
    let first = page(&facts(), &[info, zip, mem].map(line_of), None);
    let all = with(&first, "load, info, h1");
    assert!(all.starts_with("| load, info, h1; load, zip1, h1; memory, h1 | go1.27.3 with"), "{first}");
    assert!(all.contains("goferry 0.1.0, release build, SHA-256 0123456789ab…; nginx 1;"), "{first}");

    let new = Facts { sha256: "fedcba987654".to_owned(), built_here: false, quick: true, ..facts() };
    let second = page(&new, &[line_of(zip)], Some(&first));
    assert!(with(&second, "load, zip1, h1").contains("given, SHA-256 fedcba987654…"), "{second}");
    assert!(with(&second, "load, zip1, h1").contains("**short runs for a trial"), "{second}");
    assert_eq!(with(&second, "load, info, h1"), all.replace("load, zip1, h1; ", ""), "{second}");

    let third = page(&facts(), &[zip, mem].map(line_of), Some(&second));
    assert_eq!(with(&third, "load, info, h1"), all, "measured with the same, so in one line");

    let unknown = first.split("## What the rows").next().unwrap();
    let fourth = page(&facts(), &[line_of(mem)], Some(unknown));
    assert!(with(&fourth, "load, info, h1").ends_with("| not recorded |"), "{fourth}");
}
