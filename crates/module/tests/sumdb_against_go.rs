//! Notes, tree heads, look-ups and tiles against the Go packages that the go command itself is built with.
//!
//! Go's distribution carries `golang.org/x/mod/sumdb/{note,tlog}` as the go command's own dependencies. The test puts
//! them into a module of its own, in a temporary directory, beside a program that answers one question a line.

use std::fmt::Display;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use goferry_module::sumdb::tlog::{EMPTY_TREE, split_stored_hash_index, stored_hash_index, tree_hash_indexes};
use goferry_module::sumdb::{Lookup, Note, Tile, TilePlan, TreeHead, Verifier};

const PROGRAM: &str = include_str!("data/sumdb_oracle.go");

/// A key and a note that the program signs with it, so that the signatures are Go's.
const SEED: [u8; 32] = [9; 32];
const NAME: &str = "sum.example.com";

/// What each byte of a valid text is replaced with, and what is put before it.
const DISTURBANCES: [&[u8]; 10] = [b"", b"\n", b" ", b"+", b"=", b"A", b"0", b"/", b"\r", b"\xff"];

#[test]
fn go_reads_the_same_from_disturbed_texts() {
    let mut questions = Questions::default();
    let (key, note) = signed_by_go();
    let known = [Verifier::parse(&key).unwrap()];
    for message in disturbed(note.as_bytes()) {
        let ours = Note::open(&message, &known)
            .map(|note| format!("{} {} {}", encode(&note.text), note.signatures.len(), note.unverified.len()));
        questions.ask(&["note", &encode(&key), &encode(&message)], ours);
    }
    for text in disturbed(key.as_bytes()) {
        // Not UTF-8: a GOSUMDB is text before it gets here.
        let Ok(text) = String::from_utf8(text) else { continue };
        let ours = Verifier::parse(&text).map(|key| format!("{} {:08x}", encode(key.name()), key.key_hash()));
        questions.ask(&["verifier", &encode(&text)], ours);
    }
    let (tree, _) = note.split_once("\n\n").unwrap();
    for text in disturbed(format!("{tree}\n").as_bytes()) {
        let Ok(text) = String::from_utf8(text) else { continue };
        let ours = TreeHead::parse(&text).map(|head| format!("{} {}", head.size, head.hash));
        questions.ask(&["tree", &encode(&text)], ours);
    }
    let answer = format!("42\nexample.com/m v1.0.0 h1:a=\nexample.com/m v1.0.0/go.mod h1:b=\n\n{}", &note[..24]);
    for answer in disturbed(answer.as_bytes()) {
        let ours = Lookup::parse(&answer)
            .map(|lookup| format!("{} {} {}", lookup.id, encode(lookup.text), encode(lookup.signed_tree)));
        questions.ask(&["record", &encode(&answer)], ours);
    }
    for path in ["tile/3/4/x001/x234/067.p/1", "tile/8/0/000", "tile/8/data/x001/000.p/255", "tile/30/63/999"] {
        for path in disturbed(path.as_bytes()) {
            let Ok(path) = String::from_utf8(path) else { continue };
            let ours = Tile::parse(&path).map(|tile| coordinates(&tile)).map_err(|_| "malformed");
            questions.ask(&["path", &encode(&path)], ours);
        }
    }
    questions.compare();
}

#[test]
fn go_plans_the_same_tiles() {
    let mut questions = Questions::default();
    let sizes = [1, 2, 7, 255, 256, 257, 65_535, 65_536, 65_837, 40_000_000, 1 << 40];
    for size in sizes {
        let end = stored_hash_index(0, size);
        let spread = [0, 1, end / 7, end / 3, end / 2, end - end / 5, end - 1].into_iter();
        let mut sets: Vec<Vec<u64>> = spread.filter(|index| *index < end).map(|index| vec![index]).collect();
        sets.push(sets.concat());
        sets.push(tree_hash_indexes(size / 2 + 1));
        for (height, set) in [2, 8, 11].into_iter().flat_map(|height| sets.iter().map(move |set| (height, set))) {
            let tree = TreeHead { size, hash: EMPTY_TREE };
            let paths = |plan: TilePlan| plan.tiles().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            let list: Vec<String> = set.iter().map(ToString::to_string).collect();
            let ours = TilePlan::new(height, tree, set).map(paths);
            questions.ask(&["tiles", &height.to_string(), &size.to_string(), &list.join(",")], ours);
        }
        for index in [end / 3, end / 2, end - 1] {
            let (level, n) = split_stored_hash_index(index);
            let ours: Result<String, &str> = Ok(format!("{level} {n} {}", Tile::for_index(8, index)));
            questions.ask(&["index", &index.to_string()], ours);
        }
    }
    questions.compare();
}

/// What is asked of the program, and what we answer.
#[derive(Default)]
struct Questions {
    asked: Vec<(String, String)>,
}

impl Questions {
    fn ask(&mut self, words: &[&str], ours: Result<String, impl Display>) {
        let ours = ours.map_or_else(|error| format!("err {error}"), |answer| format!("ok {answer}"));
        self.asked.push((words.join("\t"), ours));
    }

    fn compare(self) {
        let input: String = self.asked.iter().map(|(question, _)| format!("{question}\n")).collect();
        let answers = ask_go(&input);
        assert_eq!(answers.len(), self.asked.len(), "an answer a question");
        let both = |outcome: &str| self.asked.iter().filter(|(_, ours)| ours.starts_with(outcome)).count();
        assert!(both("ok") > 10, "the questions are not all refused");
        for ((question, ours), go) in self.asked.iter().zip(&answers) {
            // Go's words for a tree or a record come with more than their own: the first part is enough.
            let same = if go.starts_with("err") { ours.starts_with(go.as_str()) } else { ours == go };
            assert!(same, "{question}\n  we say {ours}\n  go says {go}");
        }
    }
}

fn signed_by_go() -> (String, String) {
    let text = format!("go.sum database tree\n1234\n{EMPTY_TREE}\n");
    let answers = ask_go(&format!("sign\t{NAME}\t{}\t{}\n", encode(SEED), encode(text)));
    let (key, note) = answers[0].split_once(' ').unwrap();
    (key.to_owned(), String::from_utf8(STANDARD.decode(note).unwrap()).unwrap())
}

fn disturbed(valid: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![valid.to_vec(), [valid, valid].concat()];
    for at in 0..=valid.len() {
        for disturbance in DISTURBANCES {
            all.push([&valid[..at], disturbance, &valid[at..]].concat());
            all.push([&valid[..at], disturbance, valid.get(at + 1..).unwrap_or_default()].concat());
        }
        all.push(valid[..at].to_vec());
    }
    all
}

fn coordinates(tile: &Tile) -> String {
    let level = tile.level().map_or("-1".to_owned(), |level| level.to_string());
    format!("{} {level} {} {}", tile.height(), tile.n(), tile.width())
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// The program's answers, one for each line of the input.
fn ask_go(input: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    for package in ["note", "tlog"] {
        copy_package(&go_root().join("src/cmd/vendor/golang.org/x/mod/sumdb").join(package), &dir.path().join(package));
    }
    fs::write(dir.path().join("go.mod"), "module oracle\n\ngo 1.22\n").unwrap();
    fs::write(dir.path().join("main.go"), PROGRAM).unwrap();
    fs::write(dir.path().join("questions"), input).unwrap();
    let output = go(&["run", "."])
        .current_dir(dir.path())
        .stdin(fs::File::open(dir.path().join("questions")).unwrap())
        .stderr(Stdio::piped())
        .output()
        .expect("the go command must be on PATH for this test");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn go_root() -> PathBuf {
    let output = go(&["env", "GOROOT"]).output().expect("the go command must be on PATH for this test");
    String::from_utf8(output.stdout).unwrap().trim().into()
}

fn go(arguments: &[&str]) -> Command {
    let mut command = Command::new("go");
    command.args(arguments).env("GOTOOLCHAIN", "local").env("GOPROXY", "off").env("GOFLAGS", "-mod=mod");
    command.env("GOWORK", "off");
    command
}

fn copy_package(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).expect("Go's distribution has the sources of the go command") {
        let entry = entry.unwrap();
        let mut copy = fs::File::create(to.join(entry.file_name())).unwrap();
        copy.write_all(&fs::read(entry.path()).unwrap()).unwrap();
    }
}
