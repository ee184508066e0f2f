use super::*;

fn decide(env: &[(&str, &str)], url: &str) -> ProxyDecision {
    let mut inputs = Inputs::empty("/", "/");
    for (name, value) in env {
        inputs = inputs.with_env(name, value);
    }
    ProxySettings::from_inputs(&inputs).decide(&Url::parse(url).unwrap())
}

fn via(env: &[(&str, &str)], url: &str) -> Option<String> {
    match decide(env, url) {
        ProxyDecision::Via(choice) => Some(choice.url.to_string()),
        _ => None,
    }
}

const P: (&str, &str) = ("HTTPS_PROXY", "http://proxy.example.com:3128");

#[test]
fn the_scheme_of_the_target_chooses_the_variable_and_upper_case_wins() {
    let env = [
        ("HTTPS_PROXY", "upper.example.com:1"),
        ("https_proxy", "lower.example.com:1"),
        ("http_proxy", "plain.example.com:1"),
    ];
    assert_eq!(via(&env, "https://a.example.com").as_deref(), Some("http://upper.example.com:1"));
    assert_eq!(via(&env, "http://a.example.com").as_deref(), Some("http://plain.example.com:1"));
    assert_eq!(via(&env[..1], "http://a.example.com"), None);
}

#[test]
fn loopback_is_never_proxied() {
    for url in [
        "https://localhost:1",
        "https://127.0.0.1",
        "https://127.9.9.9:4",
        "https://[::1]:3",
        "https://[::ffff:127.0.0.1]",
    ] {
        assert_eq!(decide(&[P], url), ProxyDecision::Direct { why: DirectReason::Loopback }, "{url}");
    }
    assert!(via(&[P], "https://LOCALHOST").is_some(), "Go compares the case");
}

#[test]
fn no_proxy_rules() {
    for (no_proxy, url, exempt) in [
        ("*", "https://a.example.com", true),
        ("a.example.com", "https://a.example.com", true),
        ("example.com", "https://a.example.com", true),
        ("example.com", "https://badexample.com", false),
        (".example.com", "https://a.example.com", true),
        (".example.com", "https://example.com", false),
        ("*.example.com", "https://example.com", false),
        ("*.example.com", "https://x.a.example.com", true),
        ("example.com:443", "https://a.example.com", true),
        ("example.com:8443", "https://a.example.com", false),
        ("example.com:8443", "https://a.example.com:8443", true),
        ("10.0.0.0/8", "https://10.1.2.3", true),
        ("10.0.0.0/8", "https://11.1.2.3", false),
        ("10.1.2.3", "https://10.1.2.3:99", true),
        ("10.1.2.3:98", "https://10.1.2.3:99", false),
        ("fd00::/8", "https://[fd12::1]", true),
        ("[fd12::1]:443", "https://[fd12::1]", true),
        ("[fd12::1]", "https://[fd12::1]", false),
        (" EXAMPLE.com , x", "https://A.example.COM", true),
        ("0.0.0.0/0", "https://a.example.com", false),
        ("0.0.0.0/0", "https://9.9.9.9", true),
        (":443", "https://a.example.com", false),
        ("a,,", "https://b.example.com", false),
    ] {
        let got = via(&[P, ("NO_PROXY", no_proxy)], url).is_none();
        assert_eq!(got, exempt, "NO_PROXY={no_proxy} {url}");
    }
}

#[test]
fn proxies_have_schemes_ports_and_masked_credentials() {
    for (value, scheme, port) in [
        ("http://p.example.com", ProxyScheme::Http, Some(80)),
        ("https://p.example.com", ProxyScheme::Https, Some(443)),
        ("socks5://p.example.com", ProxyScheme::Socks5, Some(1080)),
        ("socks5h://p.example.com:9", ProxyScheme::Socks5, Some(9)),
        ("p.example.com", ProxyScheme::Http, Some(80)),
        ("http://p.example.com:70000", ProxyScheme::Http, None),
    ] {
        let ProxyDecision::Via(choice) = decide(&[("HTTPS_PROXY", value)], "https://a.example.com") else {
            panic!("{value} is not used");
        };
        assert_eq!((choice.scheme.clone(), choice.port()), (scheme, port), "{value}");
    }
    let shown =
        serde_json::to_string(&decide(&[("HTTPS_PROXY", "http://u:secret@p.example.com")], "https://a.example.com"))
            .unwrap();
    assert!(!shown.contains("secret") && shown.contains("***@"), "{shown}");
}

#[test]
fn cgi_refuses_and_a_bad_value_is_ignored() {
    let env = [("HTTP_PROXY", "http://p.example.com"), ("REQUEST_METHOD", "GET")];
    assert!(matches!(decide(&env, "http://a.example.com"), ProxyDecision::Refused { .. }));
    let bad = [("HTTPS_PROXY", "http://p%zz")];
    assert!(matches!(
        decide(&bad, "https://a.example.com"),
        ProxyDecision::Direct { why: DirectReason::Unparsable { .. } }
    ));
}
