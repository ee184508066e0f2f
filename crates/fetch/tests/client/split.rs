//! One zip over several connections.

use std::time::{Duration, Instant};

use goferry_fetch::web::Web;

use crate::site::{Plan, ranges, sent, site};
use crate::{Run, base, client, zip_of};

#[tokio::test]
async fn a_zip_is_split_over_connections_that_have_no_work() {
    // Each connection carries 1 MB/s.
    const RATE: usize = 1_000_000;
    let zip = zip_of(8_000_000, 1);
    let file = zip.clone();
    let (server, log) = site(move |_, asked| match asked.path.as_str() {
        "/m.zip" => Plan { rate: Some(RATE), ..Plan::of(&file, "\"one\"", asked) },
        _ => Plan { rate: Some(100), ..Plan::new(200, b"small") },
    })
    .await;
    let run = Run::new(client(&server));
    let base = base(&server);
    // HTTP/1.1: as many connections as requests wait.
    let smalls = (0..6).map(|n| {
        let (client, base) = (std::sync::Arc::clone(&run.context.client), base.clone());
        tokio::spawn(async move { client.get(&base, &format!("/{n}"), 100).await.unwrap() })
    });
    for small in smalls.collect::<Vec<_>>() {
        assert_eq!(small.await.unwrap(), "small");
    }
    let before = server.accepted();
    assert!(before >= 4, "{before}");
    log.lock().unwrap().clear();
    let context = run.context.clone();
    let splitting = tokio::spawn(async move { context.split(&base).await });
    let began = Instant::now();
    let arrived = run.zip(&server).await.unwrap();
    let took = began.elapsed();
    splitting.abort();
    let (bytes, assembled) = run.check(arrived, &zip);
    assert!(assembled && bytes >= zip.len() as u64);
    let alone = Duration::from_secs_f64(zip.len() as f64 / RATE as f64);
    assert!(took < alone.mul_f64(0.7), "{took:?}, alone {alone:?}");
    assert!(ranges(&log).iter().flatten().count() >= 2, "{:?}", ranges(&log));
    // What was on its way when an end came nearer is all that is sent twice.
    assert!(sent(&log) < zip.len() + zip.len() / 3, "{}", sent(&log));
}
