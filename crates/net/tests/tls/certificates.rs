//! The verdict on a server's certificates, as Go's.

use goferry_net::tls::{CertProblem, GO_ALPN, Root, Roots, TlsClient};
use rcgen::{BasicConstraints, IsCa, date_time_ymd};

use crate::server::{Authority, BOTH, HOST, Identity, config, names, seen, self_signed, serve, shake};

async fn problem(identity: &Identity, roots: &Roots) -> Option<CertProblem> {
    let info = seen(identity, roots).await;
    assert_eq!(info.verdict.is_empty(), info.verified.is_ok(), "a bad verdict has words: {:?}", info.verdict);
    info.verified.err()
}

#[tokio::test]
async fn a_root_of_this_machine_is_local() {
    let authority = Authority::new();
    let info = seen(&authority.good(), &authority.roots()).await;
    assert_eq!(info.verified, Ok(Root::Local));
    assert_eq!(info.chain.len(), 1);
    assert_eq!(info.chain[0].names, [HOST]);
    assert!(info.chain[0].issuer.contains("A root of this test"), "{}", info.chain[0].issuer);
    assert!(info.chain[0].not_before < info.chain[0].not_after);
}

#[tokio::test]
async fn a_stranger_s_certificate_is_not_trusted() {
    // The two roots have the same name and different keys.
    let (mine, other) = (Authority::new(), Authority::new());
    assert_eq!(problem(&other.good(), &mine.roots()).await, Some(CertProblem::UnknownIssuer));
    assert_eq!(problem(&other.good(), &Roots::new(Vec::new())).await, Some(CertProblem::UnknownIssuer));
}

#[tokio::test]
async fn time_and_name_are_judged() {
    let authority = Authority::new();
    let mut expired = names(&[HOST]);
    (expired.not_before, expired.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    assert_eq!(problem(&authority.sign(&expired), &authority.roots()).await, Some(CertProblem::Expired));
    let mut future = names(&[HOST]);
    (future.not_before, future.not_after) = (date_time_ymd(2120, 1, 1), date_time_ymd(2121, 1, 1));
    assert_eq!(problem(&authority.sign(&future), &authority.roots()).await, Some(CertProblem::NotYetValid));
    let other = authority.sign(&names(&["other.example.com"]));
    assert_eq!(problem(&other, &authority.roots()).await, Some(CertProblem::WrongName));
    let wildcard = authority.sign(&names(&["*.example.com"]));
    assert_eq!(problem(&wildcard, &authority.roots()).await, None);
}

#[tokio::test]
async fn a_self_signed_leaf_is_trusted_where_it_is_a_root_itself() {
    for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        // The name is the ninth: none may be overlooked.
        let mut many: Vec<String> = (0..8).map(|n| format!("n{n}.example.com")).collect();
        many.push(HOST.to_owned());
        let mut params = names(&many.iter().map(String::as_str).collect::<Vec<_>>());
        params.is_ca = is_ca;
        let identity = self_signed(&params);
        let roots = Roots::new(vec![identity.chain[0].to_vec()]);
        assert_eq!(seen(&identity, &roots).await.verified, Ok(Root::Local), "{:?}", params.is_ca);
        assert_eq!(
            problem(&identity, &Authority::new().roots()).await,
            Some(CertProblem::UnknownIssuer),
            "{:?}",
            params.is_ca
        );

        params.subject_alt_names.pop();
        let elsewhere = self_signed(&params);
        let roots = Roots::new(vec![elsewhere.chain[0].to_vec()]);
        assert_eq!(problem(&elsewhere, &roots).await, Some(CertProblem::WrongName), "{:?}", params.is_ca);

        let mut expired = names(&[HOST]);
        expired.is_ca = params.is_ca;
        (expired.not_before, expired.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        let expired = self_signed(&expired);
        let roots = Roots::new(vec![expired.chain[0].to_vec()]);
        assert_eq!(problem(&expired, &roots).await, Some(CertProblem::Expired));
    }
}

#[tokio::test]
async fn an_address_is_a_name_too() {
    let authority = Authority::new();
    let identity = authority.sign(&names(&["127.0.0.1", "::1"]));
    let address = serve(config(&identity, BOTH, GO_ALPN)).await;
    for (host, verified) in
        [("127.0.0.1", Ok(Root::Local)), ("[::1]", Ok(Root::Local)), ("127.0.0.2", Err(CertProblem::WrongName))]
    {
        let client = TlsClient::new(&authority.roots(), GO_ALPN);
        let (_, info) = shake(&client, address, host).await.unwrap();
        assert_eq!(info.verified, verified, "{host}");
        assert_eq!(info.chain[0].names, ["127.0.0.1", "::1"]);
    }
}

#[tokio::test]
async fn a_certificate_s_text_is_cleaned_and_bounded() {
    let authority = Authority::new();
    let mut params = names(
        &(0..20)
            .map(|n| format!("n{n}.example.com"))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    );
    params.distinguished_name.push(rcgen::DnType::CommonName, format!("\u{1b}[31m{}", "x".repeat(500)));
    let info = seen(&authority.sign(&params), &authority.roots()).await;
    let subject = &info.chain[0].subject;
    assert!(subject.chars().count() <= 200 && !subject.chars().any(char::is_control), "{subject}");
    assert_eq!(info.chain[0].names.len(), 8);
}

#[test]
fn roots_that_cannot_be_read_are_left_out() {
    let roots = Roots::new(vec![b"no certificate".to_vec(), Authority::new().der]);
    assert_eq!((roots.len(), roots.is_empty()), (1, false));
}
