//! No text makes a parser panic, and no credential survives masking.

use goferry_env::http_proxy::ProxySettings;
use goferry_env::url::Url;
use goferry_env::{Inputs, auth, envfile, mask, roots};
use proptest::prelude::*;

proptest! {
    #[test]
    fn urls_and_proxy_settings(text in "\\PC{0,40}", list in "[a-z0-9.:/*,\\[\\]% é-]{0,40}", host in "[a-z0-9.:\\[\\]%-]{1,20}") {
        let inputs = Inputs::empty("/", "/").with_env("HTTPS_PROXY", &text).with_env("NO_PROXY", &list);
        let settings = ProxySettings::from_inputs(&inputs);
        if let Ok(url) = Url::parse(&format!("https://{host}")) {
            let _ = format!("{:?} {} {}", settings.decide(&url), url.hostname(), url.port());
        }
        let _ = Url::parse(&text);
    }

    #[test]
    fn files(text in "\\PC{0,200}") {
        let _ = auth::parse_netrc(&text);
        let _ = auth::parse_goauth(&text);
        let _ = envfile::parse(&text);
        let _ = mask::urls(&text);
    }

    #[test]
    fn certificates(parts in proptest::collection::vec("(-----BEGIN [A-Z]{0,4}(-----)?|-----END [A-Z]{0,4}(-----)?|[A-Za-z0-9+/=: ]{0,20})(\r?\n)?", 0..12)) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.pem");
        std::fs::write(&file, parts.concat()).unwrap();
        let empty = dir.path().join("none").display().to_string();
        let inputs = Inputs::empty("/", dir.path())
            .with_env("SSL_CERT_FILE", file.to_str().unwrap())
            .with_env("SSL_CERT_DIR", &empty);
        prop_assert!(roots::load(&inputs, 27).der.is_empty());
    }

    #[test]
    fn passwords_do_not_survive(user in "[a-z]{1,8}", host in "[a-z]{1,8}\\.example\\.com", before in "(https://a\\.example\\.com[,|])?") {
        let masked = mask::urls(&format!("{before}http://{user}:S3CRET@{host}:81,direct"));
        prop_assert!(!masked.contains("S3CRET"), "{}", masked);
        prop_assert!(masked.ends_with(",direct"));
    }
}
