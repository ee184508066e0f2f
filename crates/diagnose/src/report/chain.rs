//! The path as a drawn chain: `go ──TCP, 1.2 ms──► proxy ──HTTP/2, 52 ms──► server`.

use super::Hop;
use super::human::Style;
use super::text::{count, millis};

/// A hop with its texts made harmless.
pub(super) struct Drawn {
    name: String,
    way: String,
    broken: bool,
}

impl Drawn {
    /// Takes a hop; every text goes through `text`.
    pub(super) fn new(hop: &Hop, text: impl Fn(&str) -> String) -> Drawn {
        let mut way: Vec<String> = Vec::new();
        if !hop.protocol.is_empty() {
            way.push(text(&hop.protocol));
        }
        way.extend(hop.rtt_ms.map(millis));
        // The go command and a nameless hop are known by their role.
        let name = if hop.name.is_empty() || hop.name == hop.role {
            text(&hop.role)
        } else if hop.role == "go" {
            text(&hop.name)
        } else {
            format!("{} {}", text(&hop.role), text(&hop.name))
        };
        Drawn { name, way: way.join(", "), broken: hop.broken }
    }

    fn arrow(&self, unicode: bool) -> String {
        let (dash, head, cut) = if unicode { ("──", "─►", "─╳") } else { ("--", "->", "-X") };
        let end = if self.broken { cut } else { head };
        if self.way.is_empty() { format!("{dash}{end}") } else { format!("{dash} {} {dash}{end}", self.way) }
    }
}

/// The chain in one line where it fits, otherwise one line a hop.
pub(super) fn draw(hops: &[Drawn], style: Style) -> Vec<String> {
    let Some((first, rest)) = hops.split_first() else { return Vec::new() };
    let pieces: Vec<String> = rest.iter().map(|hop| format!("{} {}", hop.arrow(style.unicode), hop.name)).collect();
    let one_line = format!("{} {}", first.name, pieces.join(" "));
    if count(&one_line) + 2 <= style.width {
        return vec![one_line.trim_end().to_owned()];
    }
    let mut lines = vec![first.name.clone()];
    lines.extend(pieces.into_iter().map(|piece| format!("  {piece}")));
    lines
}
