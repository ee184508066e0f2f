//! `GODEBUG` as it acts inside the go command: only the process environment counts.
//!
//! A `go/env` file, `$GOROOT/go.env` and the `godebug` lines of go.mod have no effect on the go command itself.

use crate::inputs::Inputs;

/// One `key=value` of the list.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Setting {
    /// The key.
    pub key: String,
    /// The value, possibly empty.
    pub value: String,
}

/// Every setting that is in force, in the order of the list; of a repeated key the last one
/// (`internal/godebug` and the runtime both read from the right).
#[must_use]
pub fn settings(inputs: &Inputs) -> Vec<Setting> {
    let mut out: Vec<Setting> = Vec::new();
    for item in inputs.var("GODEBUG").unwrap_or("").split(',') {
        let Some((key, value)) = item.split_once('=') else {
            continue;
        };
        out.retain(|s| s.key != key);
        out.push(Setting { key: key.to_owned(), value: value.to_owned() });
    }
    out
}

/// The value of one key.
#[must_use]
pub fn setting<'a>(inputs: &'a Inputs, key: &str) -> Option<&'a str> {
    inputs.var("GODEBUG")?.rsplit(',').filter_map(|item| item.split_once('=')).find(|(k, _)| *k == key).map(|(_, v)| v)
}

/// What a key does to module downloads, for the keys that do something.
#[must_use]
pub fn meaning(key: &str) -> Option<&'static str> {
    Some(match key {
        "http2client" => "0 turns HTTP/2 off for every request of the go command",
        "http2debug" => "1 or 2 logs HTTP/2 events to standard error",
        "http2xconnect" => "0 turns extended CONNECT off",
        "cmdgonetlimit" => "the number of requests the go command makes at the same time",
        "netdns" => "chooses the resolver: go or cgo",
        "netedns0" => "0 leaves EDNS0 out of DNS queries",
        "multipathtcp" => "Multipath TCP for dials or listeners",
        "containermaxprocs" => "0 makes GOMAXPROCS ignore the CPU limit of the cgroup",
        "updatemaxprocs" => "0 keeps GOMAXPROCS as it was at the start",
        "x509sslcertoverrideplatform" => "0 ignores SSL_CERT_FILE and SSL_CERT_DIR on macOS and Windows",
        "toolchaintrace" => "1 prints why a toolchain was chosen",
        "urlstrictcolons" => "0 allows several colons in the host of a URL",
        k if k.starts_with("tls") => "changes what TLS offers or accepts",
        k if k.starts_with("x509") => "changes how certificates are verified",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_repeated_key_is_in_force() {
        let inputs = Inputs::empty("/", "/").with_env("GODEBUG", "http2client=1,x,netdns=go,http2client=0");
        assert_eq!(setting(&inputs, "http2client"), Some("0"));
        assert_eq!(setting(&inputs, "x"), None);
        let keys: Vec<_> = settings(&inputs).into_iter().map(|s| s.key).collect();
        assert_eq!(keys, ["netdns", "http2client"]);
    }
}
