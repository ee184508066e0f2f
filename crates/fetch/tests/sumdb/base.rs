//! Which server is asked for the database.

use goferry_fetch::FailKind;
use goferry_module::SumDb;

use crate::log::NAME;
use crate::site::Site;
use crate::web::FakeWeb;
use crate::{Machine, look_up_all, module};

/// Where the look-up went, or the error, when GOPROXY is this and `/bad` answers 500.
async fn asked(goproxy: &str) -> Result<String, FailKind> {
    let (site, machine) = (Site::with(2), Machine::new());
    site.instead(&format!("/bad/sumdb/{NAME}/supported"), 500, "");
    site.instead(&format!("/gone/sumdb/{NAME}/supported"), 410, "");
    site.instead(&format!("/reset/sumdb/{NAME}/supported"), 0, "");
    // The database itself: what the proxy says, without the part before the name.
    let lookup = "/lookup/example.com/!mod0@v1.0.0";
    for path in [lookup, "/tile/8/0/000.p/2"] {
        let (status, body) = site.answer(&format!("/db{path}"));
        site.instead(path, status, body);
    }
    site.take_requests();
    let client = machine.client_of(&FakeWeb::new(site.clone()), site.database(None), goproxy);
    let result = client.lookup(&module(0)).await;
    let requests = site.take_requests();
    match result {
        Ok(_) => Ok(requests.iter().find_map(|path| path.strip_suffix(lookup)).unwrap().to_owned()),
        Err(error) => {
            assert!(!requests.iter().any(|path| path.ends_with(lookup)), "{goproxy}: {requests:?}");
            Err(error.kind)
        }
    }
}

#[tokio::test]
async fn the_list_is_followed_as_the_go_command_follows_it() {
    let proxy = format!("/proxy/sumdb/{NAME}");
    let url = |name: &str| format!("http://example.com/{name}");
    let (good, bad, gone, plain, reset) = (url("proxy"), url("bad"), url("gone"), url("plain"), url("reset"));
    for (goproxy, base) in [
        (good.clone(), Ok(proxy.as_str())),
        (format!("{plain},{good}"), Ok(&proxy)),
        (format!("{gone},{good}"), Ok(&proxy)),
        (format!("{bad}|{good}"), Ok(&proxy)),
        (format!("{reset}|{good}"), Ok(&proxy)),
        (format!("{good},{bad}"), Ok(&proxy)),
        (plain.clone(), Ok("")),
        (format!("{plain},{gone}"), Ok("")),
        ("direct".to_owned(), Ok("")),
        ("off".to_owned(), Ok("")),
        (format!("{plain},direct"), Ok("")),
        (format!("{plain},off"), Ok("")),
        (format!("{bad}|direct"), Ok("")),
        (format!("{bad},direct"), Err(FailKind::Status(500))),
        (format!("{bad}|off"), Err(FailKind::Status(500))),
        (format!("{bad}|{gone}"), Err(FailKind::Status(500))),
        (format!("{reset}|{plain}"), Err(FailKind::Network(None))),
        (format!("{bad}|{reset}"), Err(FailKind::Network(None))),
        (format!("{bad}|{plain},direct"), Ok("")),
    ] {
        assert_eq!(asked(&goproxy).await, base.map(str::to_owned), "{goproxy}");
    }
}

#[tokio::test]
async fn an_address_in_gosumdb_is_used_whatever_the_proxies() {
    let (site, machine) = (Site::with(2), Machine::new());
    let web = FakeWeb::new(site.clone());
    let db = site.database(Some("http://db.example.com/db"));
    machine.client_of(&web, db, "http://proxy.example.com/proxy").lookup(&module(0)).await.unwrap();
    assert!(site.take_requests().iter().all(|path| path.starts_with("/db/")));
}

#[tokio::test]
async fn the_server_is_looked_for_once() {
    let (site, machine) = (Site::with(40), Machine::new());
    let goproxy = "http://a.example.com/plain,http://b.example.com/proxy";
    let client = machine.client_of(&FakeWeb::new(site.clone()), site.database(None), goproxy);
    assert!(look_up_all(&client, 0..40).await.iter().all(Result::is_ok));
    let requests = site.take_requests();
    assert_eq!(requests.iter().filter(|path| path.ends_with("/supported")).count(), 2);
}

#[tokio::test]
async fn a_name_with_a_path_stays_one() {
    let site = Site::with(1);
    let key = goferry_module::sumdb::Verifier::new("sum.example.com/dé", site.database(None).public_key).unwrap();
    let SumDb::On(db) = SumDb::parse(&key.to_string()).unwrap() else { panic!("it is on") };
    let client = Machine::new().client_of(&FakeWeb::new(site.clone()), *db, "http://a.example.com/x");
    client.lookup(&module(0)).await.unwrap_err();
    assert_eq!(site.take_requests()[0], "/x/sumdb/sum.example.com/d%C3%A9/supported");
}
