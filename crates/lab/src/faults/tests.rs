use std::collections::BTreeSet;

use super::*;

/// Every finding that a diagnosis can make; each needs a fault that causes it.
const FINDINGS: &str = "http2-disabled-by-env http2-not-offered http2-stripped-by-proxy plain-http http1-connection-close \
    settings-missing settings-late settings-invalid max-concurrent-streams-low goaway-churn stream-reset connection-reset \
    window-limited idle-timeout-short tls-intercepted tls-untrusted tls-expired tls-name-mismatch tls-client-cert-required \
    tls-old tls-renegotiation dns-slow dns-failing ipv6-broken proxy-unreachable proxy-auth-required proxy-refused \
    upstream-unreachable upstream-status upstream-slow packet-loss bandwidth-limited serial-requests gomaxprocs-low \
    gotoolchain-download unpruned-graph gosum-incomplete sumdb-unreachable goproxy-fallback goproxy-direct goproxy-off \
    checksum-mismatch";

#[test]
fn every_finding_has_a_fault_and_no_fault_names_an_unknown_one() {
    let caused: BTreeSet<_> = all().iter().flat_map(|fault| fault.findings).map(|expected| expected.id).collect();
    let known: BTreeSet<_> = FINDINGS.split_whitespace().collect();
    assert_eq!(known.difference(&caused).collect::<Vec<_>>(), Vec::<&&str>::new(), "findings without a fault");
    assert_eq!(caused.difference(&known).collect::<Vec<_>>(), Vec::<&&str>::new(), "unknown findings");
}

#[test]
fn ids_are_sorted_unique_and_found() {
    let ids: Vec<_> = all().iter().map(|fault| fault.id).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
    assert!(ids.iter().all(|id| { id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')) }));
    assert_eq!(find("goaway-every-10").map(|fault| fault.id), Some("goaway-every-10"));
    assert!(find("no-such-fault").is_none());
}

#[test]
fn a_change_of_go_is_told_by_its_version() {
    let go = find("rst-before-body-protocol-error").unwrap().go;
    assert_eq!(go.does(&"go1.21.13".parse().unwrap()), GoDoes::Hangs);
    assert_eq!(go.does(&"go1.27.3".parse().unwrap()), GoDoes::Fails(&["PROTOCOL_ERROR"]));
}

#[test]
fn every_fault_fails_or_costs_or_is_a_control() {
    for fault in all() {
        let fails = fault.go.since_1_27 != GoDoes::Succeeds;
        let error = fault.findings.iter().any(|expected| expected.severity == "error");
        assert!(!fails || !fault.findings.is_empty(), "{} makes go fail and is said to be a control", fault.id);
        assert!(fault.findings.iter().all(|expected| matches!(expected.severity, "error" | "warning" | "info")));
        assert!(!error || fails, "{} is an error though go succeeds", fault.id);
    }
}
