//! GOPROXY and GOSUMDB from any text: no panic, and a list that was read can be read again from what `expose` gives.
#![no_main]

use goferry_module::{ProxyList, ProxyUrl, SumDb};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = SumDb::parse(text);
    if let Ok(list) = ProxyList::parse(text) {
        assert!(!list.entries().is_empty());
        for (url, _) in list.urls() {
            assert_eq!(
                &ProxyUrl::parse(url.expose()).expect("what was read can be read"),
                url
            );
            let _ = (url.authority(), url.request_target("/x"), url.directory());
            if let Some((_, Some(password))) = url.credentials() {
                let shown = format!("{url} {url:?}");
                let harmless = format!("xxxxx@{}{}/?xxxxx", url.authority(), url.path());
                assert!(
                    password.len() < 8 || harmless.contains(password) || !shown.contains(password)
                );
            }
        }
    }
});
