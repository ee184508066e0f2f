//! Zips that break off.

use std::sync::Arc;
use std::time::{Duration, Instant};

use goferry_fetch::FailKind;
use goferry_fetch::client::{Anonymous, ClientConfig};

use crate::site::{Plan, ranges, sent, site};
use crate::{Run, client, client_of, config, zip_of};

const TAG: &str = "\"one\"";
const SMALL: usize = 700_000;
const LARGE: usize = 3_000_000;

#[tokio::test]
async fn a_cut_zip_goes_on_where_it_stopped() {
    for size in [SMALL, LARGE] {
        let zip = zip_of(size, 1);
        let file = zip.clone();
        let (server, log) = site(move |n, asked| {
            let plan = Plan::of(&file, TAG, asked);
            if n < 3 { plan.cut(200_000) } else { plan }
        })
        .await;
        let run = Run::new(client(&server));
        assert_eq!(run.expect(&server, &zip).await, (zip.len() as u64, true));
        assert_eq!(sent(&log), zip.len(), "each byte was sent once");
        let log = log.lock().unwrap();
        assert_eq!(log.len(), 4);
        for (n, seen) in log.iter().enumerate().skip(1) {
            let range = seen.range.as_deref().unwrap();
            assert!(range.starts_with(&format!("bytes={}-", n * 200_000)), "{range}");
            assert_eq!(seen.if_range.as_deref(), Some(TAG));
        }
        assert_eq!(run.context.client.healed(), 1);
    }
}

#[tokio::test]
async fn many_cuts_with_progress_are_got_through() {
    let zip = zip_of(LARGE, 2);
    let file = zip.clone();
    let (server, log) = site(move |_, asked| Plan::of(&file, TAG, asked).cut(100_000)).await;
    let run = Run::new(client_of(&[&server], ClientConfig { retries: 2, ..config() }, Arc::new(Anonymous)));
    assert_eq!(run.expect(&server, &zip).await.0, zip.len() as u64);
    assert_eq!((sent(&log), log.lock().unwrap().len()), (zip.len(), 31));
}

#[tokio::test]
async fn without_any_validator_the_rest_is_asked_for_too_and_marked() {
    for size in [SMALL, LARGE] {
        let zip = zip_of(size, 3);
        let file = zip.clone();
        let (server, log) = site(move |n, asked| {
            let plan = asked.field("range").map_or_else(|| Plan::new(200, &file), |range| Plan::part(&file, range));
            if n == 0 { plan.cut(200_000) } else { plan }
        })
        .await;
        let run = Run::new(client(&server));
        assert_eq!(run.expect(&server, &zip).await, (zip.len() as u64, true));
        assert_eq!(log.lock().unwrap()[1].if_range, None);
        // But afresh nothing is put together that nothing vouches for.
        let run = Run::new(client(&server));
        log.lock().unwrap().clear();
        let arrived = run.context.zip(&crate::module(), &crate::base(&server), "/m.zip", 0, true).await.unwrap();
        assert!(!arrived.assembled);
        assert!(ranges(&log)[1].is_none() || size == LARGE, "{:?}", ranges(&log));
    }
}

#[tokio::test]
async fn servers_that_do_not_resume_are_asked_for_the_whole() {
    type Bend = fn(&[u8], &str) -> Plan;
    let bends: [(&str, Bend); 7] = [
        ("no ranges", |file, _| Plan::new(200, file).with("ETag: \"one\"")),
        ("another start", |file, _| Plan::part(file, "bytes=1-").with("ETag: \"one\"")),
        ("another length", |file, range| {
            let mut plan = Plan::part(file, range).with("ETag: \"one\"");
            plan.lines = plan.lines.replace(&format!("/{}", file.len()), "/99999999");
            plan
        }),
        ("another file", |file, range| Plan::part(file, range).with("ETag: \"two\"")),
        ("no Content-Range", |file, _| Plan { status: 206, ..Plan::new(200, file) }),
        ("416", |_, _| Plan::new(416, b"")),
        ("nonsense", |file, _| Plan { status: 206, ..Plan::new(200, file) }.with("Content-Range: bytes x-y/z")),
    ];
    for (name, bend) in bends {
        for size in [SMALL, LARGE] {
            let zip = zip_of(size, 4);
            let file = zip.clone();
            let (server, log) = site(move |n, asked| match asked.field("range") {
                Some(range) => bend(&file, range),
                None if n == 0 => Plan::of(&file, TAG, asked).cut(200_000),
                None => Plan::of(&file, TAG, asked),
            })
            .await;
            let run = Run::new(client(&server));
            let (_, assembled) = run.expect(&server, &zip).await;
            assert!(!assembled, "{name}");
            // An answer with the whole is taken, it is not asked for again.
            let requests = log.lock().unwrap().len();
            assert_eq!(requests, if name == "no ranges" { 2 } else { 3 }, "{name} {:?}", ranges(&log));
        }
    }
}

#[tokio::test]
async fn a_file_that_changes_in_between_begins_anew() {
    for size in [SMALL, LARGE] {
        let (old, new) = (zip_of(size, 5), zip_of(size + 10_000, 6));
        let (first, second) = (old.clone(), new.clone());
        let (server, log) = site(move |n, asked| match n {
            0 => Plan::of(&first, TAG, asked).cut(300_000),
            _ => Plan::of(&second, "\"two\"", asked),
        })
        .await;
        let run = Run::new(client(&server));
        let arrived = run.zip(&server).await.unwrap();
        assert!(!arrived.assembled);
        assert_eq!(arrived.bytes, (300_000 + new.len()) as u64);
        assert_eq!(log.lock().unwrap().len(), 2, "{:?}", ranges(&log));
    }
}

#[tokio::test]
async fn a_server_that_always_breaks_off_and_never_resumes_is_given_up() {
    for size in [SMALL, LARGE] {
        let zip = zip_of(size, 7);
        let (server, log) = site(move |_, _| Plan::new(200, &zip).with("ETag: \"one\"").cut(200_000)).await;
        let config = ClientConfig { retries: 3, ..config() };
        let run = Run::new(client_of(&[&server], config, Arc::new(Anonymous)));
        let error = run.zip(&server).await.err().unwrap();
        assert!(matches!(error.kind, FailKind::Network(_)), "{error}");
        let requests = log.lock().unwrap().len();
        assert!(requests <= 12, "{requests}");
    }
}

#[tokio::test]
async fn parts_that_are_shorter_than_asked_for_are_gone_on_from() {
    for size in [SMALL, LARGE] {
        let zip = zip_of(size, 8);
        let file = zip.clone();
        let (server, log) = site(move |n, asked| {
            let Some(range) = asked.field("range") else { return Plan::of(&file, TAG, asked).cut(100_000) };
            let from: usize = range.strip_prefix("bytes=").unwrap().split('-').next().unwrap().parse().unwrap();
            // A tenth of what is left at least, and never more than half.
            let to = (from + (file.len() - from) / 2 + 20_000).min(file.len());
            assert!(n < 40);
            Plan::part(&file, &format!("bytes={from}-{}", to - 1)).with(&format!("ETag: {TAG}"))
        })
        .await;
        let run = Run::new(client(&server));
        assert_eq!(run.expect(&server, &zip).await, (zip.len() as u64, true));
        assert_eq!(sent(&log), zip.len());
    }
}

#[tokio::test]
async fn a_second_run_goes_on_from_what_is_on_disk() {
    let zip = zip_of(LARGE, 9);
    let file = zip.clone();
    let (server, log) = site(move |n, asked| {
        let plan = Plan::of(&file, TAG, asked);
        if n == 0 { Plan { stall: Some(1_500_000), ..plan } } else { plan }
    })
    .await;
    let run = Run::new(client(&server));
    // A run that is ended in the middle.
    let first = tokio::time::timeout(Duration::from_millis(600), run.zip(&server)).await;
    assert!(first.is_err());
    let run = run.again(client(&server));
    let (bytes, assembled) = run.expect(&server, &zip).await;
    assert_eq!((bytes, assembled), (zip.len() as u64 - 1_500_000, true));
    assert_eq!(sent(&log), zip.len());
    assert_eq!(ranges(&log)[1].as_deref(), Some("bytes=1500000-"));
}

#[tokio::test]
async fn holes_that_an_earlier_run_left_are_filled_and_nothing_else() {
    let zip = zip_of(LARGE, 10);
    let file = zip.clone();
    let (server, log) = site(move |_, asked| Plan::of(&file, TAG, asked)).await;
    let run = Run::new(client(&server));
    let url = format!("{}/m.zip", crate::base(&server));
    let mut parts = run.context.cache.partial_zip(&crate::module(), Duration::ZERO).unwrap();
    let etag = Some(TAG.to_owned());
    let total = Some(zip.len() as u64);
    parts.set_origin(goferry_fetch::cache::Origin { url, etag, last_modified: None, total }).unwrap();
    for (start, end) in [(0, 500_000), (1_000_000, 1_200_000), (2_000_000, 2_900_000)] {
        use std::io::Write as _;
        let mut writer = parts.segment(start as u64, u64::MAX).unwrap();
        writer.write_all(&zip[start..end]).unwrap();
    }
    drop(parts);
    let missing = zip.len() - 1_600_000;
    assert_eq!(run.expect(&server, &zip).await, (missing as u64, true));
    assert_eq!(sent(&log), missing);
    let mut asked = ranges(&log).into_iter().flatten().collect::<Vec<_>>();
    asked.sort();
    let last = format!("bytes=2900000-{}", zip.len() - 1);
    assert_eq!(asked, ["bytes=1200000-1999999", last.as_str(), "bytes=500000-999999"]);
}

#[tokio::test]
async fn parts_of_another_url_or_without_validator_are_not_used() {
    let zip = zip_of(LARGE, 11);
    for etag in [Some(TAG.to_owned()), None] {
        let file = zip.clone();
        let (server, log) = site(move |_, asked| Plan::of(&file, TAG, asked)).await;
        let run = Run::new(client(&server));
        let url = if etag.is_some() {
            "http://other.example.com/m.zip".to_owned()
        } else {
            format!("{}/m.zip", crate::base(&server))
        };
        let mut parts = run.context.cache.partial_zip(&crate::module(), Duration::ZERO).unwrap();
        let total = Some(zip.len() as u64);
        parts.set_origin(goferry_fetch::cache::Origin { url, etag, last_modified: None, total }).unwrap();
        std::io::Write::write_all(&mut parts.segment(0, u64::MAX).unwrap(), b"other bytes").unwrap();
        drop(parts);
        assert_eq!(run.expect(&server, &zip).await, (zip.len() as u64, false));
        assert_eq!(ranges(&log), [None]);
    }
}

#[tokio::test]
async fn a_chunked_zip_without_length_arrives_and_goes_on() {
    for size in [SMALL, LARGE] {
        let zip = zip_of(size, 12);
        let file = zip.clone();
        let (server, _log) = site(move |n, asked| {
            let plan = Plan::of(&file, TAG, asked);
            if n == 0 { Plan { announced: None, ..plan }.cut(200_000) } else { Plan { announced: None, ..plan } }
        })
        .await;
        let run = Run::new(client(&server));
        assert_eq!(run.expect(&server, &zip).await, (zip.len() as u64, true));
    }
}

#[tokio::test]
async fn a_length_that_lies_is_an_invalid_zip_or_given_up() {
    let zip = zip_of(SMALL, 13);
    let file = zip.clone();
    let (server, _) = site(move |_, _| Plan { announced: Some(file.len() + 10), ..Plan::new(200, &file) }).await;
    let config = ClientConfig { retries: 2, ..config() };
    let error = Run::new(client_of(&[&server], config, Arc::new(Anonymous))).zip(&server).await.err().unwrap();
    assert!(matches!(error.kind, FailKind::Network(_)), "{error}");
    // Too low: what arrived is cut short, and no zip.
    let zip = zip_of(SMALL, 13);
    let (server, _) = site(move |_, _| Plan { announced: Some(zip.len() - 10), ..Plan::new(200, &zip) }).await;
    let run = Run::new(client(&server));
    let arrived = run.zip(&server).await.unwrap();
    let unpacker = goferry_fetch::Unpacker::new(1);
    let error = run.context.cache.install(&crate::module(), arrived.zip, |_| Ok(()), false, &unpacker).unwrap_err();
    assert_eq!(error.kind, FailKind::Invalid, "{error}");
}

#[tokio::test]
async fn more_than_a_module_may_have_is_refused_at_once() {
    let (server, log) = site(|_, _| Plan { announced: Some(501 << 20), ..Plan::new(200, b"x") }).await;
    let error = Run::new(client(&server)).zip(&server).await.err().unwrap();
    assert!(error.kind == FailKind::Invalid && error.detail.contains("500 MiB"), "{error}");
    assert_eq!(log.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_zip_that_stalls_goes_on_elsewhere_within_the_bound() {
    let zip = zip_of(LARGE, 14);
    let file = zip.clone();
    let (server, log) = site(move |n, asked| {
        let plan = Plan::of(&file, TAG, asked);
        if n == 0 { Plan { stall: Some(1_000_000), ..plan } } else { plan }
    })
    .await;
    let config = ClientConfig { timeout: Duration::from_millis(700), ..config() };
    let run = Run::new(client_of(&[&server], config, Arc::new(Anonymous)));
    let began = Instant::now();
    assert_eq!(run.expect(&server, &zip).await, (zip.len() as u64, true));
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!(sent(&log), zip.len());
}
