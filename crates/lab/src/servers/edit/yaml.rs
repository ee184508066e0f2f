//! YAML in block style, one key a line: Envoy, mitmproxy. Mappings are merged key by key, everything else is replaced.

/// Puts the mapping `snippet` into the mapping whose `@type` ends in `kind`, or into the outermost one.
pub(super) fn put(text: &str, kind: Option<&str>, snippet: &str) -> Result<String, String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (mut from, mut indent) = (0, 0);
    if let Some(kind) = kind {
        let typed = |line: &String| line.trim_start().starts_with("\"@type\":") && line.trim_end().ends_with(kind);
        let at = lines.iter().position(typed).ok_or("the configuration has no such message")?;
        (from, indent) = (at, indent_of(&lines[at]));
    }
    let snippet: Vec<String> = snippet.lines().map(str::to_owned).collect();
    merge(&mut lines, from, indent, &snippet);
    Ok(lines.join("\n") + "\n")
}

/// Merges `snippet`, whose keys are at the margin, into the mapping that goes on from line `from` at `indent`.
fn merge(lines: &mut Vec<String>, from: usize, indent: usize, snippet: &[String]) {
    let mut at = 0;
    while at < snippet.len() {
        let length = value_length(snippet, at, 0);
        let (key, body) = (key_of(&snippet[at]), &snippet[at..at + length]);
        at += length;
        let end = mapping_end(lines, from, indent);
        let old = (from..end).find(|&line| indent_of(&lines[line]) == indent && key_of(&lines[line]) == key);
        let indented = |line: &String| format!("{}{line}", " ".repeat(indent));
        match old {
            None => {
                lines.splice(end..end, body.iter().map(indented));
            }
            Some(old) => {
                let inner = value_length(lines, old, indent);
                if is_mapping(&lines[old..old + inner], indent) && is_mapping(body, 0) {
                    let deeper = indent_of(&lines[old + 1]);
                    let margin = indent_of(&body[1]);
                    let body: Vec<String> = body[1..].iter().map(|line| line[margin..].to_owned()).collect();
                    merge(lines, old + 1, deeper, &body);
                } else {
                    lines.splice(old..old + inner, body.iter().map(indented));
                }
            }
        }
    }
}

/// Lines of the key at `at` and its value: those below it that are indented deeper, or list items beside it.
fn value_length(lines: &[String], at: usize, indent: usize) -> usize {
    let below = lines[at + 1..].iter().take_while(|line| {
        let item = indent_of(line) == indent && line.trim_start().starts_with("- ");
        indent_of(line) > indent || item
    });
    1 + below.count()
}

/// The first line after `from` that no longer belongs to the mapping at `indent`.
fn mapping_end(lines: &[String], from: usize, indent: usize) -> usize {
    let leaves = |line: &String| indent_of(line) < indent;
    lines[from..].iter().position(leaves).map_or(lines.len(), |count| from + count)
}

fn is_mapping(lines: &[String], indent: usize) -> bool {
    lines[0].trim_end().ends_with(':')
        && lines.get(1).is_some_and(|line| indent_of(line) > indent && !line.trim_start().starts_with("- "))
}

fn key_of(line: &str) -> &str {
    let line = line.trim_start();
    line.split_once(':').map_or(line, |(key, _)| key)
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a:\n- t:\n    \"@type\": x.Tls\n    common:\n      alpn: [http/1.1]\n      certs:\n      - one\n    last: 1\nb: 2\n";

    #[test]
    fn mappings_are_merged() {
        assert_eq!(
            put(TEXT, Some(".Tls"), "common:\n  alpn: [h2]\nnew:\n  deep: 3").unwrap(),
            "a:\n- t:\n    \"@type\": x.Tls\n    common:\n      alpn: [h2]\n      certs:\n      - one\n    last: 1\n    \
             new:\n      deep: 3\nb: 2\n"
        );
    }

    #[test]
    fn what_is_no_mapping_is_replaced() {
        assert_eq!(put("http2: false\nport: 1\n", None, "http2: true").unwrap(), "http2: true\nport: 1\n");
        assert_eq!(
            put("ignore_hosts:\n- old\nport: 1\n", None, "ignore_hosts:\n  - ^new$").unwrap(),
            "ignore_hosts:\n  - ^new$\nport: 1\n"
        );
        assert!(put(TEXT, Some(".Other"), "x: 1").is_err());
    }
}
