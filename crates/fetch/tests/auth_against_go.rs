//! Which credentials the real go command 1.27.3 sends, against [`Credentials`]: a module proxy on loopback, with TLS,
//! that records what it is asked. These tests need a `go` and a `git` on PATH.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use goferry_env::{Environment, Inputs};
use goferry_fetch::client::Refusal;
use goferry_fetch::{Authorize as _, Credentials};
use goferry_module::zip::create_module_zip;
use goferry_module::{ModulePath, ModuleVersion, Version};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const TOOLCHAIN: &str = "go1.27.3";
const FILES: [&str; 3] = ["info", "mod", "zip"];

/// What must come with a request below `/one`: header and value, or nothing; and what is answered where it does not.
struct Case {
    name: &'static str,
    goauth: &'static str,
    /// `HOST` stands for address and port of the server, in `userinfo`, netrc and the scripts.
    netrc: &'static str,
    userinfo: &'static str,
    /// What follows `#!/bin/sh`; `one` and `two` are on PATH.
    one: &'static str,
    two: &'static str,
    demands: Option<(&'static str, &'static str)>,
    refusal: u16,
}

/// `u:p`.
const BASIC: Option<(&str, &str)> = Some(("authorization", "Basic dTpw"));
const TOKEN: Option<(&str, &str)> = Some(("x-token", "1"));
const GIVE: &str = "printf 'https://HOST/one/\\n\\nx-token: 1\\n\\n'";

const NETRC: Case = Case {
    name: "netrc, by default",
    goauth: "",
    netrc: "machine HOST login u password p\n",
    userinfo: "",
    one: "",
    two: "",
    demands: BASIC,
    refusal: 401,
};

const CASES: &[Case] = &[
    NETRC,
    Case { name: "netrc without the port", netrc: "machine 127.0.0.1 login u password p\n", ..NETRC },
    Case {
        name: "the first of two lines",
        netrc: "machine HOST login u password p\nmachine HOST login x password y\n",
        ..NETRC
    },
    Case {
        name: "the longer prefix",
        netrc: "machine HOST login x password y\nmachine HOST/one login u password p\n",
        ..NETRC
    },
    Case { name: "a wrong password", netrc: "machine HOST login u password wrong\n", ..NETRC },
    Case { name: "off", goauth: "off", ..NETRC },
    Case { name: "off, and none needed", goauth: "off", demands: None, ..NETRC },
    Case { name: "in the URL, beside a netrc", netrc: "machine HOST login x password y\n", userinfo: "u:p@", ..NETRC },
    Case { name: "a command without a URL", goauth: "one", one: GIVE, demands: TOKEN, ..NETRC },
    Case {
        name: "a command with a URL",
        goauth: "one 'a b' c",
        one: "cat > $HOME/stdin$#; test $# = 3 || exit 0; printf 'https://HOST\\n\\nX-TOKEN:  1 \\n\\n'",
        demands: TOKEN,
        ..NETRC
    },
    Case {
        name: "a command with a URL, after a 404",
        goauth: "one",
        one: "test $# = 1 || exit 0; printf 'https://HOST\\n\\nX-Token: 1\\n\\n'",
        demands: TOKEN,
        refusal: 404,
        ..NETRC
    },
    Case { name: "netrc before a command", goauth: "netrc;one", one: GIVE, demands: None, ..NETRC },
    Case {
        name: "two commands for one prefix",
        goauth: "one;two",
        one: "printf 'https://HOST\\n\\nx-token: 1\\n\\n'",
        two: "printf 'https://HOST\\n\\nx-token: 2\\nx-other: 3\\n\\n'",
        demands: TOKEN,
        ..NETRC
    },
    Case {
        name: "a command takes netrc's away",
        goauth: "one;netrc",
        one: "printf 'https://HOST\\n\\n\\n'",
        demands: None,
        ..NETRC
    },
    Case {
        name: "malformed output is void",
        goauth: "one;netrc",
        one: "printf 'https://HOST\\n\\nX-Token: 1\\n'",
        ..NETRC
    },
    Case {
        name: "a command that fails",
        goauth: "one;netrc",
        one: "printf 'https://HOST\\n\\nX-Token: 1\\n\\n'; exit 1",
        ..NETRC
    },
    Case { name: "a command that is not there", goauth: "no-such-helper;netrc", ..NETRC },
    Case {
        name: "another 4xx than was expected",
        goauth: "one",
        one: "test $# = 0 && printf 'https://HOST\\n\\nX-Token: old\\n\\n' || printf 'https://HOST\\n\\nX-Token: 1\\n\\n'",
        demands: TOKEN,
        refusal: 403,
        ..NETRC
    },
    Case { name: "git", goauth: "git HOME", netrc: "", ..NETRC },
    Case {
        name: "git after netrc's wrong password",
        goauth: "git HOME;netrc",
        netrc: "machine HOST login u password wrong\n",
        ..NETRC
    },
];

#[tokio::test]
async fn the_same_headers_are_sent() {
    let authority = rcgen_pair();
    for case in CASES {
        let server = Server::start(&authority, case);
        let (theirs, ours) = (Home::new(case, &server.host), Home::new(case, &server.host));
        let url = format!("https://{}{}/one", case.userinfo, server.host);

        let cache = tempfile::tempdir().unwrap();
        fs::write(cache.path().join("ca.pem"), &authority.pem).unwrap();
        let mut go = Command::new(goroot().join("bin/go"));
        go.args(["mod", "download", "example.com/m@v1.0.0"]).current_dir(theirs.dir.path()).env_clear();
        for (name, value) in &theirs.env(case) {
            go.env(name, value);
        }
        go.env("GOTOOLCHAIN", "local").env("GOENV", "off").env("GOSUMDB", "off").env("GOPROXY", &url);
        go.env("GOMODCACHE", cache.path().join("mod")).env("GOFLAGS", "-modcacherw");
        go.env("SSL_CERT_FILE", cache.path().join("ca.pem"));
        let out = go.output().unwrap();
        let mut real = server.asked();
        // The go command sends a refused request again even where nothing has changed.
        real.dedup();

        let answered = ours.ask(case, &server, &url).await;
        assert_eq!(server.asked(), [], "{}", case.name);
        assert_eq!(answered.0, real, "{}: {}", case.name, String::from_utf8_lossy(&out.stderr));
        assert_eq!(answered.1, out.status.success(), "{}", case.name);
        if !case.goauth.contains("git") {
            assert_eq!(ours.told(), theirs.told(), "{}", case.name);
        }
        assert!(!real.is_empty());
    }
}

/// File, headers that matter.
type Asked = (String, Vec<(String, String)>);

/// A home directory with a netrc, and the programs of a case on PATH, which log how they are called.
struct Home {
    dir: tempfile::TempDir,
    host: String,
}

impl Home {
    fn new(case: &Case, host: &str) -> Home {
        let dir = tempfile::tempdir().unwrap();
        let home = Home { dir, host: host.to_owned() };
        fs::create_dir(home.path("bin")).unwrap();
        fs::write(home.path(".netrc"), home.fill(case.netrc)).unwrap();
        fs::write(home.path(".gitconfig"), "[credential]\n\thelper = lab\n").unwrap();
        let helper = "test $1 != get || printf 'username=u\\npassword=p\\n'";
        for (name, text) in [("one", case.one), ("two", case.two), ("git-credential-lab", helper)] {
            let source = home.path("source");
            let log = format!("printf '<%s>' {name} \"$@\" >> $HOME/calls; echo >> $HOME/calls");
            fs::write(&source, format!("#!/bin/sh\n{log}\n{}\n", home.fill(text))).unwrap();
            let to = home.path("bin").join(name);
            // Written by a child: were it open for writing here while another test forks, it could not be started.
            assert!(Command::new("install").args(["-m", "755"]).arg(&source).arg(to).status().unwrap().success());
        }
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn fill(&self, text: &str) -> String {
        text.replace("HOST", &self.host)
            .replace("HOME", "HOME\u{0}")
            .replace("$HOME\u{0}", "$HOME")
            .replace('\u{0}', "")
    }

    fn env(&self, case: &Case) -> Vec<(&'static str, String)> {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let home = self.dir.path().display().to_string();
        let goauth = case.goauth.replace("HOME", &home);
        let no = "1".to_owned();
        vec![
            ("PATH", path),
            ("HOME", home),
            ("GOAUTH", goauth),
            ("GIT_CONFIG_NOSYSTEM", no),
            ("GIT_TERMINAL_PROMPT", "0".to_owned()),
        ]
    }

    /// The calls of the programs, and what they read: the URL without the home directory, header lines sorted.
    fn told(&self) -> (String, Vec<String>) {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let stdin = fs::read_to_string(self.path("stdin3")).unwrap_or_default();
        let mut lines: Vec<String> = stdin.lines().map(str::to_owned).collect();
        lines.sort();
        (calls, lines)
    }

    /// Asks for the files as the go command does, without a network; gives what was sent and whether all went well.
    async fn ask(&self, case: &Case, server: &Server, base: &str) -> (Vec<Asked>, bool) {
        let mut inputs = Inputs::empty(self.dir.path(), "/").with_env("GOPROXY", "off");
        for (name, value) in self.env(case) {
            inputs = inputs.with_env(name, &value);
        }
        inputs.home = Some(self.dir.path().to_owned());
        let auth = Credentials::of(&inputs, &Environment::resolve(&inputs).unwrap()).unwrap();
        let mut out = Vec::new();
        for file in FILES {
            let url = format!("{base}/example.com/m/@v/v1.0.0.{file}");
            let mut refused = false;
            loop {
                let mut sent = auth.headers(&url).await;
                sent.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
                sent.sort();
                let status = server.rule.status(&sent);
                out.push((file.to_owned(), sent));
                if status == 200 {
                    break;
                }
                let headers = server.rule.refusal_headers();
                if refused || !auth.refused(&url, &Refusal { status, headers }).await {
                    return (out, false);
                }
                refused = true;
            }
        }
        (out, true)
    }
}

#[derive(Clone, Copy)]
struct Rule {
    demands: Option<(&'static str, &'static str)>,
    refusal: u16,
}

impl Rule {
    fn status(&self, sent: &[(String, String)]) -> u16 {
        let good = |(name, value): (&str, &str)| sent.iter().any(|(n, v)| n == name && v == value);
        if self.demands.is_none_or(good) { 200 } else { self.refusal }
    }

    fn refusal_headers(&self) -> Vec<(String, String)> {
        [("content-length", "0"), ("www-authenticate", "Basic realm=x"), ("x-twice", "a"), ("x-twice", "b")]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .to_vec()
    }
}

/// A module proxy with one module. It ends with the test's process, with its last connection.
struct Server {
    host: String,
    rule: Rule,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    fn start(pair: &Pair, case: &Case) -> Server {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![pair.certificate.clone()], PrivatePkcs8KeyDer::from(pair.key.clone()).into())
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let rule = Rule { demands: case.demands, refusal: case.refusal };
        let log = Arc::new(Mutex::new(Vec::new()));
        let writes = Arc::clone(&log);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, log) = (Arc::clone(&config), Arc::clone(&writes));
                std::thread::spawn(move || drop(serve(stream, config, rule, &log)));
            }
        });
        Server { host, rule, log }
    }

    /// What was asked since the last call.
    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

fn serve(tcp: TcpStream, config: Arc<ServerConfig>, rule: Rule, log: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    let tls = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(tls, tcp));
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let mut sent: Vec<(String, String)> = lines
            .iter()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .filter(|(name, _)| name == "authorization" || name.starts_with("x-"))
            .collect();
        sent.sort();
        let mut words = lines[0].split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let file = path.rsplit('.').next().unwrap();
        let (status, body) = (rule.status(&sent), body(file));
        // The HEAD request of GOAUTH=git is not one for a file.
        if method == "GET" {
            log.lock().unwrap().push((file.to_owned(), sent));
        }
        let reason = http::StatusCode::from_u16(status).unwrap();
        let mut head = format!("HTTP/1.1 {reason}\r\n");
        if status == 200 && method == "GET" {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        } else {
            rule.refusal_headers().iter().for_each(|(n, v)| head.push_str(&format!("{n}: {v}\r\n")));
        }
        head.push_str("\r\n");
        stream.get_mut().write_all(head.as_bytes())?;
        if status == 200 && method == "GET" {
            stream.get_mut().write_all(&body)?;
        }
        stream.get_mut().flush()?;
    }
}

fn body(file: &str) -> Vec<u8> {
    let go_mod = b"module example.com/m\n".to_vec();
    match file {
        "info" => br#"{"Version":"v1.0.0"}"#.to_vec(),
        "mod" => go_mod,
        _ => {
            let path = ModulePath::parse("example.com/m").unwrap();
            let module = ModuleVersion::new(path, Version::parse("v1.0.0").unwrap()).unwrap();
            create_module_zip(&module, [("go.mod", go_mod)]).unwrap()
        }
    }
}

struct Pair {
    pem: String,
    certificate: rustls::pki_types::CertificateDer<'static>,
    key: Vec<u8>,
}

fn rcgen_pair() -> Pair {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = made.signing_key.serialize_der();
    Pair { pem: made.cert.pem(), certificate: made.cert.der().clone(), key }
}

fn goroot() -> PathBuf {
    let dir = tempfile::tempdir().unwrap();
    let mut go = Command::new("go");
    go.args(["env", "GOROOT"]).current_dir(&dir).env("GOTOOLCHAIN", TOOLCHAIN).env_remove("GOROOT");
    let out = go.output().expect("a go on PATH");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    PathBuf::from(String::from_utf8(out.stdout).unwrap().trim())
}
