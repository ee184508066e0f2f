use goferry_env::{Environment, Inputs};

use super::format::{parse_blocks, parse_git, response};
use super::*;

/// A home with a netrc and shell scripts on PATH; scripts log their calls to `calls`.
struct Home(tempfile::TempDir);

impl Home {
    fn new(netrc: &str) -> Home {
        let home = Home(tempfile::tempdir().unwrap());
        std::fs::write(home.path(".netrc"), netrc).unwrap();
        std::fs::create_dir(home.path("bin")).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn script(self, name: &str, text: &str) -> Home {
        // A child writes the program, so that no fork of another test holds it open for writing (ETXTBSY).
        let source = self.path("source");
        let log = format!("printf '%s' {name} >> $HOME/calls; printf ' %s' \"$@\" >> $HOME/calls; echo >> $HOME/calls");
        std::fs::write(&source, format!("#!/bin/sh\n{log}\n{text}\n")).unwrap();
        let to = self.path("bin").join(name);
        let done = std::process::Command::new("install").args(["-m", "755"]).arg(&source).arg(to).status().unwrap();
        assert!(done.success(), "install(1) from coreutils");
        self
    }

    fn with(&self, goauth: &str) -> Result<Credentials, FetchError> {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let mut inputs = Inputs::empty(self.0.path(), "/")
            .with_env("HOME", &self.0.path().display().to_string())
            .with_env("PATH", &path)
            .with_env("GOPROXY", "off")
            .with_env("GOAUTH", goauth)
            .with_env("GIT_CONFIG_NOSYSTEM", "1")
            .with_env("GIT_TERMINAL_PROMPT", "0");
        inputs.home = Some(self.0.path().to_owned());
        Credentials::of(&inputs, &Environment::resolve(&inputs).unwrap())
    }

    fn calls(&self) -> String {
        std::fs::read_to_string(self.path("calls")).unwrap_or_default()
    }
}

const URL: &str = "https://goproxy.example.com/one/example.com/m/@v/v1.0.0.mod";

fn refusal(status: u16) -> Refusal {
    Refusal { status, headers: vec![("www-authenticate".to_owned(), "Basic".to_owned())] }
}

fn token(value: &str) -> Headers {
    vec![("X-Token".to_owned(), value.to_owned())]
}

#[tokio::test]
async fn netrc_over_https_only_and_by_the_longest_prefix() {
    let home = Home::new(
        "machine goproxy.example.com login u password first\nmachine goproxy.example.com login u password second\n\
         machine goproxy.example.com/one login v password p\n",
    );
    let auth = home.with("").unwrap();
    assert_eq!(auth.headers_for("https://goproxy.example.com/two").await, [basic("u", "first")]);
    assert_eq!(auth.headers_for(URL).await, [basic("v", "p")]);
    assert_eq!(auth.headers_for("https://goproxy.example.com/onesie").await, [basic("u", "first")]);
    assert_eq!(auth.headers_for("http://goproxy.example.com/one").await, []);
    assert_eq!(auth.headers_for("https://goproxy.example.com:8443/one").await, [], "the port is part of the prefix");
    assert!(!auth.after_4xx(URL, &[basic("v", "p")], &refusal(401)).await);
    assert_eq!(home.with("off").unwrap().headers_for(URL).await, []);
    assert!(!format!("{auth:?}").contains("first"));
}

#[tokio::test]
async fn credentials_in_the_url_win() {
    let home = Home::new("machine goproxy.example.com login u password p\n");
    let auth = home.with("netrc").unwrap();
    let url = "https://me:p%40ss@goproxy.example.com/x";
    assert_eq!(auth.headers_for(url).await, [basic("me", "p@ss")]);
    assert!(!auth.after_4xx(url, &[], &refusal(401)).await);
}

#[tokio::test]
async fn a_command_runs_first_without_arguments_and_then_with_the_url_and_the_response() {
    let home = Home::new("").script(
        "helper",
        "cat > $HOME/stdin.$#\n\
         if [ $# = 1 ]; then printf 'https://goproxy.example.com/zero/\\n\\nx-token: 0\\n\\n'; exit; fi\n\
         printf 'https://goproxy.example.com/one\\nhttps://other.example.com\\n\\nx-token:  7 \\nX-Token: 8\\n\\n'",
    );
    let auth = home.with("helper --flag").unwrap();
    assert_eq!(home.calls(), "", "not before it is needed");
    assert_eq!(auth.headers_for("https://goproxy.example.com/zero/m").await, token("0"));
    assert_eq!(auth.headers_for(URL).await, []);
    assert!(auth.after_4xx(URL, &[], &refusal(401)).await);
    let both = [token("7"), token("8")].concat();
    assert_eq!(auth.headers_for(URL).await, both);
    assert_eq!(auth.headers_for("https://other.example.com/x").await, both);
    assert_eq!(home.calls(), format!("helper --flag\nhelper --flag {URL}\n"));
    let stdin = std::fs::read_to_string(home.path("stdin.2")).unwrap();
    assert_eq!(stdin, "HTTP/1.1 401 Unauthorized\nWww-Authenticate: Basic\n\n");
    assert!(auth.after_4xx("https://other.example.com/y", &[], &refusal(403)).await, "another request brought them");
    assert!(!auth.after_4xx(URL, &both, &refusal(403)).await, "once for a URL");
    assert!(!auth.after_4xx("https://other.example.com/z", &both, &refusal(404)).await);
    assert_eq!(home.calls().lines().count(), 2);
}

#[tokio::test]
async fn the_first_of_the_list_wins_and_an_empty_block_takes_away() {
    let home = Home::new("machine goproxy.example.com login u password p\n")
        .script("one", "printf 'https://goproxy.example.com\\n\\nX-Token: 1\\n\\n'")
        .script("none", "printf 'https://goproxy.example.com\\n\\n\\n'");
    let first = |goauth: &'static str| {
        let home = &home;
        async move { home.with(goauth).unwrap().headers_for(URL).await }
    };
    assert_eq!(first("netrc; one").await, [basic("u", "p")]);
    assert_eq!(first("one ;netrc").await, token("1"));
    assert_eq!(first("none;one;netrc").await, []);
}

#[tokio::test]
async fn failures_are_noted_without_secrets_and_settings_that_cannot_be_used_are_errors() {
    let home = Home::new("").script("broken", "echo secret; echo secret >&2; exit 4").script("odd", "echo secret");
    let auth = home.with("broken secret;odd;no-such-helper").unwrap();
    assert_eq!(auth.headers_for(URL).await, []);
    let problems = auth.problems().join("\n");
    for part in ["broken: it ended with status 4", "odd: invalid format", "no-such-helper: it cannot be started"] {
        assert!(problems.contains(part), "{problems}");
    }
    assert!(!problems.contains("secret"), "{problems}");
    for bad in ["netrc;;off", "off;netrc", "git relative", "git /no/such/directory", "helper 'open"] {
        let error = home.with(bad).unwrap_err();
        assert!(error.detail.contains("GOAUTH"), "{bad}: {error}");
    }
}

#[tokio::test]
async fn git_fills_approves_and_rejects() {
    let helper = "case $1 in get) cat > /dev/null; echo username=u; echo password=p;; *) cat >> $HOME/told;; esac";
    let home = Home::new("").script("git-credential-lab", helper);
    std::fs::write(home.path(".gitconfig"), "[credential]\n\thelper = lab\n\tuseHttpPath = true\n").unwrap();
    std::fs::create_dir(home.path("dir")).unwrap();
    let auth = home.with(&format!("git {}", home.path("dir").display())).unwrap();
    assert_eq!(auth.headers_for(URL).await, []);
    assert_eq!(home.calls(), "", "git needs a URL");
    assert!(auth.after_4xx(URL, &[], &refusal(401)).await, "{:?}", auth.problems());
    assert_eq!(auth.headers_for(URL).await, [basic("u", "p")]);
    auth.outcome(URL, 503).await;
    auth.outcome(URL, 200).await;
    auth.outcome(URL, 401).await;
    assert_eq!(home.calls(), "git-credential-lab get\ngit-credential-lab store\n", "told once");
    let told = std::fs::read_to_string(home.path("told")).unwrap();
    assert!(told.contains("username=u\npassword=p"), "{told}");
    let other = "https://goproxy.example.com/two";
    assert!(auth.after_4xx(other, &[], &refusal(404)).await);
    auth.outcome(other, 401).await;
    assert!(home.calls().ends_with("get\ngit-credential-lab erase\n"), "{}", home.calls());
}

#[tokio::test]
async fn many_refusals_at_once_run_the_command_once() {
    let home =
        Home::new("").script("helper", "[ $# = 0 ] || printf 'https://goproxy.example.com\\n\\nX-Token: 1\\n\\n'");
    let auth = std::sync::Arc::new(home.with("helper").unwrap());
    let urls: Vec<String> = (0..20).map(|n| format!("https://goproxy.example.com/{n}")).collect();
    for url in &urls {
        assert_eq!(Authorize::headers(&*auth, url).await, []);
    }
    let refused = |url: String| {
        let auth = auth.clone();
        async move { (Authorize::refused(&*auth, &url, &refusal(401)).await, auth.headers_for(&url).await) }
    };
    let tasks: Vec<_> = urls.into_iter().map(|url| tokio::spawn(refused(url))).collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), (true, token("1")));
    }
    assert_eq!(home.calls().lines().count(), 2, "{}", home.calls());
}

#[test]
fn formats() {
    let url = || "https://goproxy.example.com".to_owned();
    assert_eq!(parse_blocks("").unwrap(), []);
    assert_eq!(
        parse_blocks("https://goproxy.example.com\n\nx-a: b: c\n\n/path\n\n\n").unwrap(),
        [(url(), vec![("X-A".to_owned(), "b: c".to_owned())]), ("/path".to_owned(), vec![])]
    );
    for bad in [
        "https://goproxy.example.com",
        "https://goproxy.example.com\n",
        "https://goproxy.example.com\n\nX: y\n",
        "https://goproxy.example.com\n\nX y\n\n",
        "https://goproxy.example.com\n\nX:y\n\n",
        "https://goproxy.example.com\n\nX y: z\n\n",
        "https://goproxy.example.com\n\nX: a\u{1}b\n\n",
        "goproxy.example.com\n\nX: y\n\n",
        "https://goproxy.example.com\r\n\r\nX: y\r\n\r\n",
    ] {
        assert!(parse_blocks(bad).is_err(), "{bad:?}");
    }
    let fill = parse_git("protocol=https\nhost=goproxy.example.com\npath=one two\nusername=u\npassword=a=b\nwat\n");
    assert_eq!((fill.username.as_str(), fill.password.as_str()), ("u", "a=b"));
    assert_eq!(fill.prefix, "https://goproxy.example.com/one two");
    assert_eq!(parse_git("protocol=https\nhost=h\nurl=https://goproxy.example.com\n").prefix, url());
    assert_eq!(parse_git("url=nonsense\nusername=u\n").prefix, "");
    let headers = [("set-cookie", "a"), ("x-b", "c\r\nd"), ("Set-Cookie", "b")].map(|(n, v)| (n.into(), v.into()));
    let text = response(&Refusal { status: 403, headers: headers.to_vec() });
    assert_eq!(text, "HTTP/1.1 403 Forbidden\nSet-Cookie: a, b\nX-B: c  d\n\n");
}

proptest::proptest! {
    #[test]
    fn any_output_is_parsed_without_a_panic(text in "(https://[a-z/]{0,5}|[A-Za-z]{1,3}: [a-z]{0,3}|\\PC{0,6}|\n){0,12}") {
        if let Ok(blocks) = parse_blocks(&text) {
            proptest::prop_assert!(blocks.len() < 100);
        }
        let _ = parse_git(&text);
        let _ = split_command(&text);
    }
}
