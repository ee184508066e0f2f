//! Configurations of lines: HAProxy, Squid, tinyproxy.

/// HAProxy: sections begin at the margin. A line of the snippet replaces the lines of the same section that set the same.
pub(super) fn sections(text: &str, snippet: &str) -> Result<String, String> {
    let mut all: Vec<Vec<String>> = split(text);
    for new in split(snippet) {
        let head = new[0].trim().to_owned();
        let section = all
            .iter_mut()
            .find(|section| section[0].trim() == head)
            .ok_or_else(|| format!("there is no section \"{head}\""))?;
        let keys: Vec<String> = new[1..].iter().map(|line| haproxy_key(line)).collect();
        let blank = section.iter().skip(1).all(|line| !line.trim().is_empty());
        section.retain(|line| line.trim() == head || !keys.contains(&haproxy_key(line)));
        while section.last().is_some_and(|line| line.trim().is_empty()) {
            section.pop();
        }
        section.extend(new[1..].iter().filter(|line| !line.trim().is_empty()).cloned());
        if !blank {
            section.push(String::new());
        }
    }
    Ok(all.concat().join("\n") + "\n")
}

fn split(text: &str) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    for line in text.lines() {
        let inside = line.is_empty() || line.starts_with([' ', '\t']);
        match all.last_mut() {
            Some(section) if inside => section.push(line.to_owned()),
            _ => all.push(vec![line.to_owned()]),
        }
    }
    all
}

/// What a line sets: its first word, and the second where the first only says of which kind it is.
fn haproxy_key(line: &str) -> String {
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or_default();
    match first {
        "option" | "timeout" => format!("{first} {}", words.next().unwrap_or_default()),
        _ => first.to_owned(),
    }
}

/// Squid: `acl NAME` and every other directive replaces its like; `http_access` is put before those that are there. Order
/// matters, so the snippet stands where the first line was that it replaces, or before the first `http_access`.
pub(super) fn squid(text: &str, snippet: &str) -> String {
    let key = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().take(2).collect();
        match words.as_slice() {
            ["acl", name] => format!("acl {name}"),
            [first, ..] => (*first).to_owned(),
            [] => String::new(),
        }
    };
    let keys: Vec<String> = snippet.lines().map(key).collect();
    let replaced = |line: &str| key(line) != "http_access" && keys.contains(&key(line));
    let lines: Vec<&str> = text.lines().collect();
    let at = lines
        .iter()
        .position(|line| replaced(line))
        .or_else(|| lines.iter().position(|line| key(line) == "http_access"))
        .unwrap_or(lines.len());
    let before = lines[..at].iter().copied();
    let after = lines[at..].iter().copied().filter(|line| !replaced(line));
    let all: Vec<&str> = before.chain(snippet.lines()).chain(after).collect();
    all.join("\n") + "\n"
}

/// tinyproxy: what may be said more than once is said once more, and what may not is decided by the last line.
pub(super) fn append(text: &str, snippet: &str) -> String {
    format!("{text}{snippet}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_haproxy_line_replaces_its_like_in_its_section() {
        let text = "global\n    maxconn 5\n\ndefaults\n    mode http\n    timeout client 1s\n    timeout server 1s\n\nfrontend f\n    bind :1\n";
        let edited = sections(text, "defaults\n    mode http\n    timeout client 5m\nfrontend f\n    bind :443 ssl");
        assert_eq!(
            edited.unwrap(),
            "global\n    maxconn 5\n\ndefaults\n    timeout server 1s\n    mode http\n    timeout client 5m\n\n\
             frontend f\n    bind :443 ssl\n"
        );
        assert!(sections(text, "listen x\n    bind :2").is_err());
    }

    #[test]
    fn squid_keeps_its_order() {
        let text = "http_port 1\nssl_bump bump all\nacl gomod dst 1.2.3.4\nhttp_access deny all\n";
        assert_eq!(
            squid(text, "acl gomod ssl::server_name a.example\nssl_bump splice gomod\nssl_bump bump all"),
            "http_port 1\nacl gomod ssl::server_name a.example\nssl_bump splice gomod\nssl_bump bump all\nhttp_access deny all\n"
        );
        assert_eq!(
            squid(text, "http_access allow all"),
            "http_port 1\nssl_bump bump all\nacl gomod dst 1.2.3.4\nhttp_access allow all\nhttp_access deny all\n"
        );
    }
}
