//! Links from one Markdown file to another file of the checkout.

use std::path::{Component, Path, PathBuf};

use super::Problems;
use crate::workspace::{Workspace, WorkspaceError};

/// Each relative link leads to a file or folder of the checkout, and each anchor to a heading.
pub(super) fn markdown(workspace: &Workspace, files: &[String]) -> Result<Problems, WorkspaceError> {
    let mut problems = Problems::new();
    for file in files.iter().filter(|file| file.ends_with(".md")) {
        let text = workspace.read(file)?;
        for link in links(&text) {
            if let Some(why) = dead(workspace, files, file, &link)? {
                problems.push(format!("{file}: the link to {link} {why}"));
            }
        }
    }
    Ok(problems)
}

fn dead(
    workspace: &Workspace,
    files: &[String],
    file: &str,
    link: &str,
) -> Result<Option<&'static str>, WorkspaceError> {
    if link.contains("://") || link.starts_with("mailto:") {
        return Ok(None);
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() { Some(file.to_owned()) } else { resolve(file, path) };
    let Some(target) = target else {
        return Ok(Some("leaves the checkout"));
    };
    let is_folder = target.is_empty() || files.iter().any(|known| known.starts_with(&format!("{target}/")));
    if !is_folder && !files.contains(&target) {
        return Ok(Some("leads nowhere"));
    }
    let Some(anchor) = anchor else {
        return Ok(None);
    };
    if !target.ends_with(".md") {
        return Ok(None);
    }
    let text = workspace.read(&target)?;
    let found =
        prose(&text).filter(|line| line.starts_with('#')).any(|line| slug(line.trim_start_matches('#')) == anchor);
    Ok((!found).then_some("leads to no heading"))
}

/// `link` as seen from `file`, relative to the root; `None` where it goes above it.
fn resolve(file: &str, link: &str) -> Option<String> {
    let mut path = PathBuf::from(file);
    path.pop();
    for part in Path::new(link.trim_end_matches('/')).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::Normal(part) => path.push(part),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path.to_string_lossy().into_owned())
}

/// The lines outside of code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// The targets of `[text](target)` outside of code.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        // Every second piece is code.
        for piece in line.split('`').step_by(2) {
            for rest in piece.split("](").skip(1) {
                if let Some((target, _)) = rest.split_once(')') {
                    found.push(target.to_owned());
                }
            }
        }
        // Links whose text is code: the code is gone, the target is not.
        for rest in line.split("`](").skip(1) {
            if let Some((target, _)) = rest.split_once(')') {
                found.push(target.to_owned());
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// A heading's anchor, as the usual renderers make it.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_outside_of_code() {
        let text = "See [a](a.md) and [`b`](../b.md#x).\n`[no](no.md)`\n```\n[no](no.md)\n```\n[c](c.md)\n";
        assert_eq!(links(text), ["../b.md#x", "a.md", "c.md"]);
    }

    #[test]
    fn a_link_is_seen_from_its_file() {
        assert_eq!(resolve("docs/findings/a.md", "../b.md").as_deref(), Some("docs/b.md"));
        assert_eq!(resolve("README.md", "docs/").as_deref(), Some("docs"));
        assert_eq!(resolve("docs/a.md", "..").as_deref(), Some(""));
        assert_eq!(resolve("README.md", "../secret"), None);
        assert_eq!(resolve("README.md", "/etc/passwd"), None);
    }

    #[test]
    fn anchors_are_made_as_usual() {
        assert_eq!(slug(" What it does not do (yet)"), "what-it-does-not-do-yet");
    }
}
