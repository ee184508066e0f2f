//! The name that was probably meant.

/// The nearest of `names`, if one is near: a third of the letters may differ, or it contains what was typed.
pub(crate) fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed: String = typed.chars().take(100).collect::<String>().to_lowercase().replace('_', "-");
    let scored = names.map(|name| {
        let contains = typed.len() >= 3 && name.contains(&typed);
        (if contains { 0 } else { distance(&typed, name) }, name)
    });
    let (distance, name) = scored.min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= name.len()).then_some(name)
}

/// Edits (one letter put in, taken out or changed) that make `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_probably_meant() {
        let names = ["goaway-churn", "stream-reset", "connection-reset", "tls-old"];
        let near = |typed| nearest(typed, names.into_iter());
        assert_eq!(near("goaway_churn"), Some("goaway-churn"));
        assert_eq!(near("steam-rest"), Some("stream-reset"));
        assert_eq!(near("goaway"), Some("goaway-churn"));
        assert_eq!(near("weather"), None);
        assert_eq!(near(""), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
