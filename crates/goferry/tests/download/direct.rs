//! Modules that no proxy serves: a git repository, fetched by the go command.

use std::fs;
use std::path::Path;

use goferry_lab::git;
use tempfile::TempDir;

use crate::world::{Home, Universe, assert_same, go_mod, project};

/// A repository with a tag and a branch.
fn repository(at: &Path) {
    let script = r#"
        printf 'module private.example.com/repo.git\n\ngo 1.20\n' > go.mod
        printf 'package repo\n' > x.go
        git add . && git commit -q -m one && git tag v1.0.0
        printf 'package repo // two\n' > x.go
        git add . && git commit -q -m two
        git branch topic
    "#;
    git::repository(at, "repo.git", script).unwrap();
}

fn home(universe: &Universe, repositories: &TempDir) -> Home {
    let home = Home::new(&universe.url()).with("GOPRIVATE", "private.example.com");
    let config = git::config(repositories.path(), "private.example.com");
    fs::write(home.path().join(".gitconfig"), config).unwrap();
    home
}

#[test]
fn what_goprivate_names_is_cloned() {
    let (universe, repositories) = (Universe::new(), TempDir::new().unwrap());
    repository(repositories.path());
    let requires = "require example.com/leaf v1.0.0\nrequire private.example.com/repo.git v1.0.0\n";
    let dirs = [(); 2].map(|()| project(&[("go.mod", go_mod("1.20", requires))]));
    let [theirs, ours] = [(); 2].map(|()| home(&universe, &repositories));
    theirs.go_download(dirs[0].path(), &[]).ok();
    ours.download(dirs[1].path(), &[]).ok();
    assert_same(dirs[0].path(), dirs[1].path(), "project");
    for part in ["private.example.com", "example.com"] {
        assert_same(&theirs.cache().join(part), &ours.cache().join(part), part);
        let below = format!("cache/download/{part}");
        assert_same(&theirs.cache().join(&below), &ours.cache().join(&below), part);
    }
    ours.go(dirs[1].path(), &["mod", "verify"]).ok();
}

#[test]
fn a_branch_of_it() {
    let (universe, repositories) = (Universe::new(), TempDir::new().unwrap());
    repository(repositories.path());
    let nowhere = project(&[]);
    let [theirs, ours] = [(); 2].map(|()| home(&universe, &repositories));
    for query in ["topic", "latest"] {
        let name = format!("private.example.com/repo.git@{query}");
        theirs.go_download(nowhere.path(), &[&name]).ok();
        ours.download(nowhere.path(), &[&name]).ok();
        let part = "private.example.com";
        assert_same(&theirs.cache().join(part), &ours.cache().join(part), query);
    }
}

#[test]
fn without_a_repository_it_is_the_go_commands_error() {
    let (universe, repositories) = (Universe::new(), TempDir::new().unwrap());
    let dir = project(&[("go.mod", go_mod("1.20", "require private.example.com/repo.git v1.0.0\n"))]);
    home(&universe, &repositories).download(dir.path(), &[]).failed(1).says("private.example.com/repo.git@v1.0.0");
}
