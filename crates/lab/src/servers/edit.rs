//! Snippets put into a configuration, as a person does who follows a remedy: what a snippet sets anew replaces what was set.

mod blocks;
mod lines;
mod yaml;

use super::Program;

/// `text` with `snippet` at `place`.
pub(super) fn put(program: Program, text: &str, place: &str, snippet: &str) -> Result<String, String> {
    match program {
        Program::Nginx if place.contains("server block") => blocks::put(text, |line| line == "server {", snippet),
        Program::Nginx if place.contains("http block") => blocks::put(text, |line| line == "http {", snippet),
        Program::Caddy if place.contains("global options") => blocks::put(text, |line| line == "{", snippet),
        Program::Caddy if place.contains("site block") => {
            blocks::put(text, |line| line.starts_with("https://") && line.ends_with('{'), snippet)
        }
        Program::Haproxy => lines::sections(text, snippet),
        Program::Envoy if place.contains("DownstreamTlsContext") => {
            yaml::put(text, Some(".DownstreamTlsContext"), snippet)
        }
        Program::Envoy if place.contains("HttpConnectionManager") => {
            yaml::put(text, Some(".HttpConnectionManager"), snippet)
        }
        Program::Mitmproxy => yaml::put(text, None, snippet),
        Program::Squid => Ok(lines::squid(text, snippet)),
        Program::Tinyproxy => Ok(lines::append(text, snippet)),
        _ => Err("this configuration has no such place".to_owned()),
    }
}
