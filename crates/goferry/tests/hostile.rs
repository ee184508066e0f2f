//! Servers and settings that are wrong in ways nobody planned: doctor ends within its bound, names what is wrong, and
//! never calls it well.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
    took: Duration,
}

impl Ran {
    fn report(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }

    /// The id and title of the gravest finding.
    fn worst(&self) -> (String, String) {
        let report = self.report();
        let text = |name: &str| report["findings"][0][name].as_str().unwrap_or_default().to_owned();
        assert_eq!(report["findings"][0]["severity"], "error", "{report:#}");
        assert!(report["prediction"].is_null(), "a command that fails takes no time: {report:#}");
        (text("id"), text("title"))
    }
}

fn doctor(args: &[&str], variables: &[(&str, &str)]) -> Ran {
    let (home, project) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let started = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_goferry"))
        .arg("doctor")
        .args(args)
        .env_clear()
        .env("HOME", home.path())
        .env("GOENV", "off")
        .envs(variables.iter().copied())
        .current_dir(project.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr), took: started.elapsed() }
}

/// A server that treats each connection so, after a first read. It ends with the test's process.
fn serve(treat: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                treat(stream);
            });
        }
    });
    address
}

fn dribble(mut stream: TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n");
    while stream.write_all(b"x").is_ok() {
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn endless(mut stream: TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
    while stream.write_all(&[b'x'; 65_536]).is_ok() {}
}

#[test]
fn a_body_that_never_ends_is_a_hang_and_not_well() {
    for treat in [dribble as fn(TcpStream), endless] {
        let ran = doctor(&["--json", "--proxy", &format!("http://{}", serve(treat))], &[]);
        let (id, title) = ran.worst();
        assert_eq!((ran.code, id.as_str()), (Some(1), "upstream-slow"), "{title}");
        assert!(title.contains("began an answer and did not end it"), "{title}");
        assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
    }
}

#[test]
fn what_is_no_http_is_called_that() {
    let address = serve(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
    });
    let ran = doctor(&["--json", "--proxy", &format!("http://{address}")], &[]);
    let (id, title) = ran.worst();
    assert_eq!(id, "connection-reset");
    assert!(title.contains("no HTTP that Go accepts"), "{title}");
    assert!(!ran.report()["findings"][0]["why"].as_str().unwrap().contains("HTTP/2"));
}

#[test]
fn a_handshake_that_is_refused_is_not_well() {
    let address = serve(|mut stream| {
        // A fatal alert, handshake_failure (RFC 8446 section 6).
        let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 40]);
    });
    let ran = doctor(&["--json", "--proxy", &format!("https://{address}")], &[]);
    let (id, title) = ran.worst();
    assert_eq!((ran.code, id.as_str()), (Some(1), "upstream-unreachable"), "{title}");
}

#[test]
fn a_directory_that_is_not_there_fails_unless_another_entry_follows() {
    let ran = doctor(&["--json"], &[("GOPROXY", "file:///no/such/folder")]);
    assert_eq!((ran.code, ran.worst().0.as_str()), (Some(1), "upstream-unreachable"));
    let ran = doctor(&["--json"], &[("GOPROXY", "file:///no/such/folder,off")]);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
}

#[test]
fn a_url_without_a_host_is_refused_with_its_origin() {
    let ran = doctor(&[], &[("GOPROXY", "https://")]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""));
    assert!(ran.err.contains("no host") && ran.err.contains("GOPROXY from environment"), "{}", ran.err);
}

#[test]
fn an_ipv6_address_stands_in_brackets() {
    let ran = doctor(&["--json"], &[("GOPROXY", "http://[::1]:9")]);
    assert_eq!(ran.worst().1, "[::1]:9 cannot be reached");
}

#[test]
fn credentials_are_masked_wherever_they_stand() {
    for form in [&[][..], &["--json"], &["--markdown"], &["--sarif"]] {
        for variables in [
            &[("GOPROXY", "https://u:hunter2@127.0.0.1:9/p?token=hunter2")][..],
            &[("GOPROXY", "http://127.0.0.1:9"), ("HTTPS_PROXY", "http://u:hunter2@exa mple:1")],
            &[("GOPROXY", "https://goproxy.example.com"), ("HTTPS_PROXY", "http://u:hunter2@exa mple:1")],
            &[("GOPROXY", "https://u:hunter2@[::1")],
        ] {
            let ran = doctor(form, variables);
            assert!(!ran.out.contains("hunter2") && !ran.err.contains("hunter2"), "{form:?}: {}{}", ran.out, ran.err);
        }
    }
}

#[test]
fn a_certificate_file_without_certificates_is_the_cause() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("garbage.pem");
    std::fs::write(&file, "not a certificate\n").unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_goferry"))
        .args(["lab", "run", "healthy-h2", "--", "sh", "-c"])
        .arg(format!(
            "SSL_CERT_FILE={} SSL_CERT_DIR=/no/such/folder {} doctor --json; true",
            file.display(),
            env!("CARGO_BIN_EXE_goferry")
        ))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    let report: Value = serde_json::Deserializer::from_str(&out[out.find('{').expect("a report")..])
        .into_iter()
        .next()
        .unwrap()
        .unwrap();
    let worst = &report["findings"][0];
    assert_eq!(worst["id"], "tls-untrusted", "{report:#}");
    assert!(worst["title"].as_str().unwrap().contains("garbage.pem"), "{worst:#}");
    assert_eq!(worst["remedies"][0]["commands"][0], "unset SSL_CERT_FILE SSL_CERT_DIR");
}

#[test]
fn a_dead_proxy_that_no_module_comes_through_is_only_noted() {
    let folder = TempDir::new().unwrap();
    let go_mod = "module example.com/x\n\ngo 1.22\n\nrequire example.com/y v1.0.0\n";
    std::fs::write(folder.path().join("go.mod"), go_mod).unwrap();
    let dir = folder.path().to_str().unwrap();
    let dead = ("GOPROXY", "http://127.0.0.1:9");
    assert_eq!(doctor(&["--json", dir], &[dead]).code, Some(1));
    let ran = doctor(&["--json", dir], &[dead, ("GOPRIVATE", "*")]);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    let findings = ran.report()["findings"].clone();
    assert!(findings.as_array().unwrap().iter().any(|finding| finding["id"] == "upstream-unreachable"), "{findings:#}");
}
