//! go.mod files made at random: all directives, comments and blocks in all places, in good and bad style.

use proptest::prelude::*;
use proptest::sample::select;

/// The modules that files require, each at v1.0.0 and v1.1.0.
pub(crate) const PATHS: [&str; 6] =
    ["example.com/a", "example.com/b", "example.com/c", "example.com/d", "example.com/e", "gopkg.in/f.v1"];

/// What a file may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    pub(crate) go_lines: &'static [&'static str],
    /// `godebug`, `tool` and `ignore` lines.
    pub(crate) new_directives: bool,
}

/// A go.mod that the go command reads.
pub(crate) fn go_mod(dialect: Dialect) -> impl Strategy<Value = String> {
    let statements = prop::collection::vec(statement(dialect), 0..7);
    let go = prop_oneof![1 => Just(None), 6 => select(dialect.go_lines).prop_map(Some)];
    let toolchain = prop_oneof![
        4 => Just(None),
        1 => select(&["go1.21.1", "go1.20.3", "default", "go1.21.13", "go1.19"][..]).prop_map(Some)
    ];
    let module =
        select(&["module example.com/m", "module \"example.com/m\"", "module (\n\texample.com/m // in\n)"][..]);
    let lines = (above(), module, suffix(), go, above(), suffix(), toolchain, suffix()).prop_map(
        |(above_module, module, suffix, go, above_go, go_suffix, toolchain, toolchain_suffix)| {
            let module = format!("{above_module}{module}{suffix}\n");
            let go = go.map_or(String::new(), |go| format!("{above_go}go   {go}{go_suffix}\n"));
            let toolchain = toolchain.map_or(String::new(), |name| format!("\ntoolchain {name}{toolchain_suffix}\n"));
            vec![module, go, toolchain]
        },
    );
    let ends = (any::<bool>(), prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    (lines, statements)
        .prop_flat_map(|(mut lines, statements)| {
            lines.extend(statements);
            Just(lines).prop_shuffle()
        })
        .prop_map(|statements| statements.concat())
        .prop_flat_map(move |text| (Just(text), ends))
        .prop_map(|(mut text, (newline, crlf, blank))| {
            if !newline {
                text.truncate(text.trim_end_matches('\n').len());
            }
            if blank {
                text.insert_str(0, "\n\n");
                text.push_str("\n\n");
            }
            if crlf { text.replace('\n', "\r\n") } else { text }
        })
}

fn statement(dialect: Dialect) -> BoxedStrategy<String> {
    let mut all = vec![
        (10, several("require", require())),
        (2, several("exclude", exclude())),
        (2, several("replace", select(REPLACES).prop_map(str::to_owned).boxed())),
        (2, several("retract", select(RETRACTS).prop_map(str::to_owned).boxed())),
        (1, comment().prop_map(|comment| format!("\n{comment}\n\n")).boxed()),
    ];
    if dialect.new_directives {
        let tools = &["example.com/t", "\"example.com/t\"", "example.com/a/cmd"][..];
        all.push((1, several("tool", select(tools).prop_map(str::to_owned).boxed())));
        let ignores = &["./x", "\"./x\"", "node_modules", "\"a b\""][..];
        all.push((1, several("ignore", select(ignores).prop_map(str::to_owned).boxed())));
        let settings = &["panicnil=1", "default=go1.21"][..];
        all.push((1, several("godebug", select(settings).prop_map(str::to_owned).boxed())));
    }
    prop::strategy::Union::new_weighted(all).boxed()
}

const REPLACES: &[&str] = &[
    "example.com/x => ./x",
    "example.com/x  =>  \"./x\"",
    "example.com/x v1.0.0 => example.com/y v1.2.3",
    "\"example.com/z\" => ../z",
    "example.com/z v1.10.0 => ../z",
    "example.com/z v1.9.0 => ../z",
];

const RETRACTS: &[&str] =
    &["v1.0.0", "[v1.1.0, v1.2.0]", "[ v1.1.0,v1.10.0 ]", "\"v1.9.0\"", "[\"v1.3.0\", v1.3.1]", "v1.10.0"];

fn require() -> BoxedStrategy<String> {
    let path = (select(&PATHS[..]), prop::bool::weighted(0.1));
    let suffix = select(
        &[
            "",
            "",
            "",
            " // indirect",
            " // indirect",
            " //indirect",
            " // indirect; note",
            " // note",
            " //",
            " // indirect;",
            " // indirect note",
            "//indirect;x",
            " //  indirect;  two  ",
        ][..],
    );
    (path, select(&["v1.0.0", "v1.0.0", "v1.1.0"][..]), suffix)
        .prop_map(|((path, quoted), version, suffix)| {
            let path = if quoted { format!("\"{path}\"") } else { path.to_owned() };
            format!("{path} {version}{suffix}")
        })
        .boxed()
}

fn exclude() -> BoxedStrategy<String> {
    let versions = select(&["v1.0.0", "v1.1.0", "v1.2.0", "v1.10.0", "v1.9.0-rc.1"][..]);
    (select(&PATHS[..]), versions, suffix())
        .prop_map(|(path, version, suffix)| format!("{path} {version}{suffix}"))
        .boxed()
}

/// Lines of their own, and blocks.
fn several(verb: &'static str, line: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let in_block = (inside(), line.clone()).prop_map(|(above, line)| format!("{above}\t{line}\n"));
    let block = (above(), suffix(), prop::collection::vec(in_block, 0..6), inside(), suffix()).prop_map(
        move |(above, open, lines, end, close)| format!("{above}{verb} ({open}\n{}{end}){close}\n", lines.concat()),
    );
    let lone = (above(), line, prop::bool::weighted(0.5))
        .prop_map(move |(above, line, blank)| format!("{above}{verb} {line}\n{}", if blank { "\n" } else { "" }));
    let empty = suffix().prop_map(move |suffix| format!("{verb} (){suffix}\n"));
    prop_oneof![3 => lone, 4 => block, 1 => empty].boxed()
}

/// What stands above a line of a block.
fn inside() -> BoxedStrategy<String> {
    prop_oneof![
        6 => Just(String::new()),
        1 => Just("\n".to_owned()),
        1 => Just("\n\n".to_owned()),
        1 => comment().prop_map(|comment| format!("  {comment}\n")),
        1 => (comment(), comment()).prop_map(|(one, two)| format!("\n{one}\n\n\t{two}\n")),
    ]
    .boxed()
}

fn above() -> BoxedStrategy<String> {
    prop_oneof![
        6 => Just(String::new()),
        1 => Just("\n".to_owned()),
        1 => comment().prop_map(|comment| format!("{comment}\n")),
        1 => comment().prop_map(|comment| format!("\n{comment}\n")),
        1 => (comment(), comment()).prop_map(|(one, two)| format!("\n{one}\n{two}\n")),
    ]
    .boxed()
}

fn suffix() -> BoxedStrategy<String> {
    prop_oneof![6 => Just(String::new()), 1 => comment().prop_map(|comment| format!(" {comment}"))].boxed()
}

fn comment() -> BoxedStrategy<String> {
    let texts = &[
        "// note",
        "//close",
        "//",
        "// Deprecated: use another",
        "// indirect",
        "//  räum\tich \u{2003}",
        "// a // b",
    ];
    select(&texts[..]).prop_map(str::to_owned).boxed()
}
