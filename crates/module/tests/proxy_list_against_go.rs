//! GOPROXY values against the real go command, which checks the whole list before it asks anyone.

use std::process::Command;

use goferry_module::ProxyList;

/// Values that end in `off` or name nothing, so that no connection is opened, whatever becomes of them.
const VALUES: &[&str] = &[
    "off",
    " off ",
    ",off",
    ",",
    " | ,",
    "goproxy",
    "ftp://goproxy.example.com,off",
    "https:opaque",
    "://goproxy.example.com",
    "file://host/dir",
    "file:///dir?query",
    "file:///dir#fragment",
    "/absolute/dir",
    "https://goproxy.example.com:port",
    "https://[::1",
    "https://[not-an-address]:1",
    "https://goproxy.example.com/%zz",
    "https://user name@goproxy.example.com",
    "https://goproxy example.com",
    "1http://goproxy.example.com",
    "user:secret@:/x",
];

#[test]
fn lists_are_refused_where_the_go_command_refuses_them() {
    let dir = tempfile::tempdir().unwrap();
    for value in VALUES {
        let output = Command::new("go")
            .args(["list", "-m", "-versions", "example.com/m"])
            .current_dir(dir.path())
            .env("GOPROXY", value)
            .env("GOPRIVATE", "")
            .env("GONOPROXY", "")
            .env("GOFLAGS", "-mod=mod")
            .env("GOTOOLCHAIN", "local")
            .env("GOMODCACHE", dir.path().join("cache"))
            .output()
            .expect("the go command must be on PATH for this test");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let refused = !stderr.contains("module lookup disabled by GOPROXY=off");
        match ProxyList::parse(value) {
            Ok(list) => assert!(!refused, "{value:?}: read as {list}, but go says {stderr}"),
            Err(error) => {
                assert!(refused, "{value:?}: we say {error}, go goes on: {stderr}");
                let message = error.to_string();
                let message = message.trim_start_matches("invalid GOPROXY entry: ");
                let words = message.split([':', '"', '\'']).next().unwrap();
                assert!(stderr.contains(words), "{value:?}: we say {error}, go says {stderr}");
            }
        }
    }
}
