//! `go env -w` files and `$GOROOT/go.env`, read as `cmd/go/internal/cfg.readEnvFile` does.

/// One `NAME=value` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvLine {
    /// The variable.
    pub name: String,
    /// Its value, to the end of the line; no quoting exists in these files.
    pub value: String,
    /// Line number, from 1.
    pub line: u32,
}

/// Every line that the go command would accept, in order.
///
/// A line without `=`, or that does not begin with a letter `A` to `Z`, is skipped silently, as the go command does.
#[must_use]
pub fn parse(text: &str) -> Vec<EnvLine> {
    text.split('\n')
        .zip(1..)
        .filter(|(line, _)| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .filter_map(|(line, number)| {
            let (name, value) = line.split_once('=')?;
            Some(EnvLine { name: name.to_owned(), value: value.to_owned(), line: number })
        })
        .collect()
}

/// The line that decides a variable: the last one, since each overwrites the one before.
#[must_use]
pub fn lookup<'a>(lines: &'a [EnvLine], name: &str) -> Option<&'a EnvLine> {
    lines.iter().rev().find(|l| l.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_lower_case_are_skipped_and_the_last_line_wins() {
        let lines = parse("# GOPROXY=x\nGOPROXY=a\nhttp_proxy=b\nGOFLAGS\n GOSUMDB=off\nGOPROXY=c=d");
        assert_eq!(lines.len(), 2);
        let found = lookup(&lines, "GOPROXY").unwrap();
        assert_eq!((found.value.as_str(), found.line), ("c=d", 6));
        assert_eq!(lookup(&lines, "GOSUMDB"), None);
    }
}
