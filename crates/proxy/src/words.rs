//! What a failed fetch is called in the answer: first a line that says what failed, whose fault it is and what to do, then
//! what was asked of whom and what came back. All of it within what the go command shows.

use goferry_fetch::{FailKind, FetchError};
use goferry_net::{ErrorKind, NetError, Party, Phase};

/// What the go command shows of an answer: so many lines and bytes, separators included; nothing after a blank line, and
/// nothing at all where there is a character that is neither graphic nor a space (`cmd/go/internal/web/api.go`,
/// `formatErrorDetail`, the same in 1.21 and 1.27).
const LINES: usize = 8;
const BYTES: usize = 8 * 81;
/// What it puts before each line but the first.
const SEPARATOR: usize = "\n\t".len();

/// All that is to be said of an error, a line each.
pub(crate) fn all(error: &FetchError) -> String {
    if let FailKind::Status(508) = error.kind {
        return ring(error);
    }
    let headline = headline(error);
    // Where the first line does not say all of what to do.
    let more = matches!(
        error.kind,
        FailKind::Forbidden | FailKind::GoCommand | FailKind::Mismatch | FailKind::Status(401 | 407)
    ) || is_of_the_store(error);
    let advice = error.advice.as_deref().filter(|_| more || headline.is_none());
    let lines = [headline.as_deref(), Some(&error.detail), advice];
    lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// A ring of proxies: the words of who found it out, and then what each has for upstream, for whoever is to change one.
fn ring(error: &FetchError) -> String {
    let said = error.detail.rsplit_once("server response: ").map_or(error.detail.as_str(), |(_, said)| said);
    let upstream = error.asked.as_ref().map_or("", |asked| &asked.base);
    format!("{}\none of them has the upstream {upstream}", said.replace("\n\t", "\n"))
}

/// The same words so that the go command shows them to their end: the longest lines are cut, the last ones left out.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::new();
    let lines = text.lines().map(str::trim_end).filter(|line| !line.trim_start().is_empty());
    for (number, line) in lines.take(LINES).enumerate() {
        let line: String = line.chars().map(plain).collect();
        if number > 0 {
            shown.push('\n');
        }
        // One byte more is counted for each line that was shown before.
        let room = BYTES.saturating_sub(shown.len() + number * (SEPARATOR - 1));
        if line.len() <= room {
            shown.push_str(&line);
            continue;
        }
        let mark = '…';
        shown.push_str(&line[..line.floor_char_boundary(room.saturating_sub(mark.len_utf8()))]);
        if room >= mark.len_utf8() {
            shown.push(mark);
        }
        break;
    }
    shown.truncate(shown.trim_end().len());
    shown
}

/// Letters, numbers, marks and signs that every version of Go takes for graphic.
fn plain(c: char) -> char {
    let sign =
        matches!(c, '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{ff}' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}');
    if c == '\t' || c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric() || sign { c } else { '\u{fffd}' }
}

/// What failed, whose fault it is, what to do.
fn headline(error: &FetchError) -> Option<String> {
    let whom = match &error.asked {
        None => "the upstream of goferry".to_owned(),
        Some(asked) => match &asked.database {
            None => format!("the upstream {}", asked.base),
            Some(name) if asked.base.ends_with(&format!("://{name}")) => format!("the checksum database {name}"),
            Some(name) => format!("the checksum database {name} (at {})", asked.base),
        },
    };
    let setting = if error.asked.as_ref().is_some_and(|asked| asked.database.is_some()) {
        "sumdb or no-sumdb"
    } else {
        "upstream"
    };
    let text = match &error.kind {
        FailKind::NotFound(_) if error.asked.is_some() => {
            format!("{whom} does not have it: check the module's path and version")
        }
        FailKind::NotFound(_) => return None,
        FailKind::Status(401 | 407) => {
            format!("{whom} asks goferry for credentials: whoever runs goferry has to give it some")
        }
        FailKind::Status(403) => format!("{whom} refuses it to goferry: ask whoever runs that"),
        FailKind::Status(404 | 410) => {
            format!("{whom} does not know it: private modules want no-sumdb or a rule of goferry")
        }
        FailKind::Status(429) => format!("{whom} is asked too much: try again in a minute"),
        FailKind::Status(status @ 500..) => {
            format!("{whom} fails ({status}): ask whoever runs that, or try again later")
        }
        FailKind::Status(status) => {
            format!("{whom} answers {status} where a module proxy does not: check goferry's setting {setting}")
        }
        FailKind::Network(failed) => network(failed.as_deref(), error, &whom, setting),
        _ if is_of_the_store(error) => {
            "the store of goferry has it damaged or unverified: whoever runs goferry has to mend that (goferry store \
             verify)"
                .to_owned()
        }
        FailKind::Mismatch => {
            let (who, what) = if error.detail.contains("checksum mismatch") {
                (whom.as_str(), "sends this with a wrong checksum")
            } else {
                ("the checksum database", "contradicts what it has signed")
            };
            format!(
                "SECURITY ERROR: {who}, or something on goferry's way to it, {what}: do not go around goferry before it is \
                 clear why"
            )
        }
        FailKind::Invalid if error.party == Party::Goferry => {
            "goferry itself failed: try again, and report it".to_owned()
        }
        FailKind::Invalid => format!("{whom} sent what is not what it should be: ask whoever runs that"),
        FailKind::Forbidden => "the settings of goferry do not allow it: ask whoever runs goferry".to_owned(),
        FailKind::Local(Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)) => {
            "the disk of goferry is full: whoever runs goferry has to make room (goferry store prune, max-size)"
                .to_owned()
        }
        FailKind::Local(_) => "the machine of goferry fails: whoever runs goferry has to look at it".to_owned(),
        FailKind::GoCommand => "the go command of goferry, which fetches this from its repository, failed".to_owned(),
    };
    Some(text)
}

/// Whether a file of the store is at fault, and nobody was asked.
fn is_of_the_store(error: &FetchError) -> bool {
    matches!(error.kind, FailKind::Mismatch | FailKind::Invalid)
        && error.party == Party::Client
        && error.asked.is_none()
}

fn network(failed: Option<&NetError>, error: &FetchError, whom: &str, setting: &str) -> String {
    let Some(failed) = failed else {
        return format!("{whom} does not send it to its end: ask whoever runs that, or try again later");
    };
    if error.party == Party::Proxy {
        return format!("the forward proxy of goferry (HTTPS_PROXY) does not lead to {whom}: ask whoever runs goferry");
    }
    if failed.detail.contains("CertificateRequired") {
        return format!("{whom} demands a TLS client certificate, which goferry cannot give: ask whoever runs that");
    }
    match (failed.phase, &failed.kind) {
        (Phase::Resolve, ErrorKind::NameNotFound) => {
            format!("{whom}: there is no such host; check goferry's setting {setting} and its DNS")
        }
        (Phase::Resolve, _) => {
            format!("DNS fails where goferry runs, so {whom} cannot be found: check its name servers")
        }
        (Phase::Connect, ErrorKind::Refused) => {
            format!(
                "{whom} is down, nothing listens there: ask whoever runs that, or check goferry's setting {setting}"
            )
        }
        (Phase::Connect, _) => {
            format!("{whom} cannot be reached from goferry: check firewall, route and goferry's setting {setting}")
        }
        (Phase::Tls, ErrorKind::Other) if failed.detail.contains("not trusted") => {
            format!("{whom} is not trusted by goferry: mend its certificate, or give goferry its CA in SSL_CERT_FILE")
        }
        (Phase::Tls, ErrorKind::TimedOut) => {
            format!("{whom} is silent: it hangs, or something on goferry's way to it swallows its answers")
        }
        (Phase::Tls, _) => format!("TLS between goferry and {whom} fails: run goferry doctor where goferry runs"),
        (_, ErrorKind::TimedOut) => {
            format!("{whom} is silent: it hangs, or something on goferry's way to it swallows its answers")
        }
        _ => format!("the connection from goferry to {whom} breaks each time: run goferry doctor where goferry runs"),
    }
}

#[cfg(test)]
mod tests {
    use goferry_fetch::Asked;

    use super::*;

    /// As `formatErrorDetail` of the go command shows it.
    fn as_go(text: &str) -> String {
        let mut detail = String::new();
        for (number, line) in text.split('\n').enumerate() {
            if line.trim().is_empty() {
                break;
            }
            if number > 0 {
                detail.push_str("\n\t");
            }
            assert!(number < 8, "too many lines: {text}");
            assert!(detail.len() + line.len() <= 648, "too long: {text}");
            detail.push_str(line);
        }
        detail
    }

    #[test]
    fn the_go_command_shows_all_words() {
        let text = "m@v: checksum mismatch\n\tdownloaded: h1:a\n\n \nSECURITY ERROR\r\nsaid\u{1b}[31m \u{200b}§é…\n";
        let lines = "m@v: checksum mismatch\n\tdownloaded: h1:a\nSECURITY ERROR\nsaid\u{fffd}[31m \u{fffd}§é…";
        assert_eq!(shown(text), lines);
        assert_eq!(as_go(&shown(text)), lines.replace('\n', "\n\t"));
        for length in [1, 20, 80, 100, 640, 645, 646, 647, 648, 649, 2000] {
            for count in [1, 2, 7, 8, 9, 30] {
                for letter in ["a", "é", "…"] {
                    let text = format!("{}\n", letter.repeat(length)).repeat(count);
                    let words = shown(&text);
                    let seen = as_go(&words);
                    let whole = length * letter.len() * count + (count - 1) * 2 <= 648 && count <= 8;
                    assert_eq!(seen == text.trim_end().replace('\n', "\n\t"), whole, "{length} {count} {letter}");
                    assert!(seen.len() > 600 || whole || count > 8, "much is left out: {seen}");
                }
            }
        }
    }

    fn asked(kind: FailKind, party: Party, base: &str, database: Option<&str>) -> String {
        let mut error = FetchError::new(kind, party, "GET https://a/b: what came back");
        error.asked = Some(Box::new(Asked { base: base.to_owned(), database: database.map(str::to_owned) }));
        all(&error)
    }

    #[test]
    fn the_first_line_names_who_is_at_fault() {
        let net = |phase, kind: ErrorKind, party| {
            FailKind::Network(Some(Box::new(NetError::new(phase, kind, party, "connecting: refused"))))
        };
        let refused = net(Phase::Connect, ErrorKind::Refused, Party::Upstream);
        assert_eq!(
            asked(refused, Party::Upstream, "https://goproxy.example.com/go", None),
            "the upstream https://goproxy.example.com/go is down, nothing listens there: ask whoever runs that, or check \
             goferry's setting upstream\nGET https://a/b: what came back"
        );
        let silent = net(Phase::Connect, ErrorKind::TimedOut, Party::Network);
        let (upstream, database) = ("https://goproxy.example.com", Some("sum.example.com"));
        let words = asked(silent.clone(), Party::Network, "https://sum.example.com", database);
        let begin = "the checksum database sum.example.com cannot be reached from goferry: ";
        assert!(words.starts_with(begin) && words.contains("setting sumdb or no-sumdb\n"), "{words}");
        let words = asked(silent, Party::Network, upstream, database);
        let begin = "the checksum database sum.example.com (at https://goproxy.example.com) cannot";
        assert!(words.starts_with(begin), "{words}");
        let proxy = net(Phase::Tunnel, ErrorKind::Status(407), Party::Proxy);
        assert!(asked(proxy, Party::Proxy, upstream, None).starts_with("the forward proxy of goferry (HTTPS_PROXY)"));
        assert!(
            asked(FailKind::NotFound(404), Party::Upstream, upstream, None).starts_with("the upstream https://gop")
        );
        assert!(asked(FailKind::Mismatch, Party::Upstream, upstream, None).starts_with("SECURITY ERROR: the checksum"));
        let mut forged =
            FetchError::new(FailKind::Mismatch, Party::Upstream, "m@v: verifying module: checksum mismatch");
        assert!(
            all(&forged).starts_with("SECURITY ERROR: the upstream of goferry, or something on goferry's way to it, ")
        );
        forged.asked = Some(Box::new(Asked { base: upstream.to_owned(), database: None }));
        assert!(all(&forged).starts_with("SECURITY ERROR: the upstream https://goproxy.example.com, or something"));
        let damaged =
            FetchError::new(FailKind::Mismatch, Party::Client, "m@v: the .mod in the store has the hash h1:a");
        assert!(all(&damaged).starts_with("the store of goferry has it damaged"), "{}", all(&damaged));
        // What this proxy itself does not have says so itself.
        let own = FetchError::new(FailKind::NotFound(404), Party::Client, "m@v: not in the store");
        assert_eq!(all(&own), "m@v: not in the store");
    }
}
