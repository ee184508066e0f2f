//! Configurations of statements and blocks in braces: nginx, Caddy. One statement, or the head or end of a block, a line.

/// Puts the statements of `snippet` at the end of the first block whose opening line `opens`; statements of the block that
/// begin with the same word go.
pub(super) fn put(text: &str, opens: impl Fn(&str) -> bool, snippet: &str) -> Result<String, String> {
    let lines: Vec<&str> = text.lines().collect();
    let open = lines.iter().position(|line| opens(line.trim())).ok_or("the configuration has no such block")?;
    let close = open + 1 + statement_end(&lines[open + 1..]).ok_or("the block does not end")?;
    let snippet: Vec<&str> = snippet.lines().collect();
    let new: Vec<&str> = statements(&snippet).iter().filter_map(|statement| first_word(statement.first()?)).collect();
    let indent = " ".repeat(indent(lines[open]) + 4);
    let mut out: Vec<String> = lines[..=open].iter().map(|&line| line.to_owned()).collect();
    for statement in statements(&lines[open + 1..close]) {
        let replaced = statement.first().and_then(|line| first_word(line)).is_some_and(|word| new.contains(&word));
        if !replaced {
            out.extend(statement.iter().map(|&line| line.to_owned()));
        }
    }
    out.extend(snippet.iter().map(|line| format!("{indent}{line}")));
    out.extend(lines[close..].iter().map(|&line| line.to_owned()));
    Ok(out.join("\n") + "\n")
}

/// The line, of those inside a block, that closes it.
fn statement_end(lines: &[&str]) -> Option<usize> {
    let mut depth = 0_i32;
    lines.iter().position(|line| {
        depth += balance(line);
        depth < 0
    })
}

/// Lines grouped to statements: one line, or a block with all its lines.
fn statements<'a>(lines: &[&'a str]) -> Vec<Vec<&'a str>> {
    let mut all: Vec<Vec<&str>> = Vec::new();
    let mut depth = 0_i32;
    for &line in lines {
        match all.last_mut() {
            Some(statement) if depth > 0 => statement.push(line),
            _ => all.push(vec![line]),
        }
        depth += balance(line);
    }
    all
}

fn balance(line: &str) -> i32 {
    line.chars().fold(0, |depth, c| match c {
        '{' => depth + 1,
        '}' => depth - 1,
        _ => depth,
    })
}

fn first_word(line: &str) -> Option<&str> {
    line.split(|c: char| c.is_whitespace() || c == ';').find(|word| !word.is_empty())
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NGINX: &str = "http {\n    server {\n        listen 1.2.3.4:443 ssl;\n        location / { return 204; }\n        \
                         keepalive_requests 10;\n    }\n}\n";

    #[test]
    fn a_directive_replaces_its_like() {
        let edited = put(NGINX, |line| line == "server {", "listen 443 ssl http2;\nkeepalive_time 1h;");
        assert_eq!(
            edited.unwrap(),
            "http {\n    server {\n        location / { return 204; }\n        keepalive_requests 10;\n        \
             listen 443 ssl http2;\n        keepalive_time 1h;\n    }\n}\n"
        );
    }

    #[test]
    fn a_block_replaces_its_like() {
        let text = "{\n    admin off\n    servers {\n        protocols h1\n    }\n}\nhttps://a {\n}\n";
        let edited = put(text, |line| line == "{", "servers {\n    protocols h1 h2\n}");
        assert_eq!(
            edited.unwrap(),
            "{\n    admin off\n    servers {\n        protocols h1 h2\n    }\n}\nhttps://a {\n}\n"
        );
    }

    #[test]
    fn a_block_that_is_not_there_is_an_error() {
        assert!(put("{\n}\n", |line| line == "server {", "x;").is_err());
        assert!(put("server {\n", |line| line == "server {", "x;").is_err());
    }
}
