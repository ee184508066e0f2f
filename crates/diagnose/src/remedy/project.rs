//! Remedies on the user's own side: environment, go.mod, go.sum, GOPROXY.

use super::{Context, run};
use crate::finding::{Id, Remedy};

pub(super) fn http2_disabled(ctx: &Context) -> Vec<Remedy> {
    let id = Id::Http2DisabledByEnv;
    let mut all = Vec::new();
    if ctx.location.is_some() {
        let (show, apply) = (format!("goferry fix {id}"), format!("goferry fix {id} --apply"));
        all.push(run(
            "your files: the line that sets it; the first command shows the change, the second \
             makes it",
            [show.as_str(), apply.as_str()],
            "every Go; open shells keep the old value until they are started anew",
        ));
    }
    all.push(run(
        "your shell: take this one setting out of GODEBUG",
        ["export GODEBUG=\"$(printf %s \"$GODEBUG\" | tr , '\\n' | grep -v '^http2client=' | \
          paste -sd, -)\""],
        "every Go; only the environment of the process counts, not go env -w and not go.mod",
    ));
    all.push(run("your shell: without GODEBUG at all", ["unset GODEBUG"], "every Go"));
    all
}

/// Another client than the go command's. `why` says what it does otherwise.
pub(super) fn by_goferry(why: &str) -> Remedy {
    run("this machine: goferry in place of go mod download", ["goferry download"], why)
}

pub(super) fn serial() -> Vec<Remedy> {
    vec![
        by_goferry(
            "the same modules, module cache and go.sum; everything known is asked for at once, over \
             one connection",
        ),
        run(
            "your CI: let the build fetch what it imports",
            ["go build ./..."],
            "Go 1.17 and newer; .info files are fetched several at once there, and only modules \
             that are imported are fetched whole",
        ),
        run(
            "your CI: keep the downloaded files between runs; this folder, keyed by go.sum",
            ["echo \"$(go env GOMODCACHE)/cache/download\""],
            "every Go",
        ),
        run(
            "your shell: the whole build list, whose .info files are fetched several at once",
            ["go mod download all"],
            "Go 1.24 and newer; it fetches more modules than go mod download where the graph is \
             pruned, so it pays only where the lists are nearly the same",
        ),
    ]
}

pub(super) fn gomaxprocs() -> Vec<Remedy> {
    vec![
        run(
            "your shell or CI: for the download only",
            ["GOMAXPROCS=16 go mod download"],
            "every Go; the value bounds requests at once, waiting for the network needs no CPU",
        ),
        run(
            "your container: see its CPU limit, which Go 1.25 and newer follow, and raise it",
            ["cat /sys/fs/cgroup/cpu.max"],
            "Linux with cgroup v2; the limit is rounded up, and is at least 2",
        ),
    ]
}

pub(super) fn toolchain(ctx: &Context) -> Vec<Remedy> {
    let wanted = ctx.toolchain.as_deref().filter(|t| {
        t.starts_with("go1")
            && t.len() <= 32
            && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
    });
    let mut all = Vec::new();
    all.push(run(
        "your image or machine: install the toolchain that the project asks for",
        ["go env GOVERSION", "go mod edit -json | grep -e '\"Go\"' -e '\"Toolchain\"'"],
        "every Go from 1.21; when the first is at least the second nothing is downloaded",
    ));
    if let Some(wanted) = wanted {
        let fetch = format!("GOTOOLCHAIN={wanted} go version");
        all.push(run(
            "your image: download it once, while the image is built",
            [fetch.as_str()],
            "Go 1.21 and newer; it stays in GOMODCACHE, which the image must keep",
        ));
    }
    all.push(run(
        "your shell or CI: use the go that is there",
        ["export GOTOOLCHAIN=local"],
        "Go 1.21 and newer; a project whose go line is newer than this go is then refused, and no \
         longer upgraded for",
    ));
    all.push(run(
        "your project: no toolchain line, where the go line is enough",
        ["go mod edit -toolchain=none"],
        "Go 1.21 and newer",
    ));
    all
}

pub(super) fn unpruned() -> Vec<Remedy> {
    vec![run(
        "your project: the least go line that prunes the module graph; commit go.mod and go.sum",
        ["go mod tidy -go=1.17", "go build ./..."],
        "Go 1.17 and newer; take a higher number if the code needs it; from 1.22 on the meaning of \
         loop variables changes, so test after that",
    )]
}

pub(super) fn gosum() -> Vec<Remedy> {
    vec![
        run(
            "your project; commit go.sum afterwards",
            ["go mod tidy"],
            "every Go; go mod download alone does not write the hashes of zips",
        ),
        run(
            "your workspace; commit go.work.sum afterwards",
            ["go work sync", "go mod download"],
            "Go 1.18 and newer, where there is a go.work",
        ),
    ]
}

pub(super) fn sumdb() -> Vec<Remedy> {
    vec![
        run(
            "your project: complete hashes on a machine that reaches the database; commit go.sum",
            ["go mod tidy"],
            "every Go; with a complete go.sum the database is not asked (but always for toolchains)",
        ),
        run(
            "your shell: a module proxy that carries the database first in GOPROXY; this must \
             answer 200",
            ["curl -sS -o /dev/null -w '%{http_code}\\n' \"$(go env GOPROXY | cut -d, -f1 | \
              cut -d'|' -f1)/sumdb/$(go env GOSUMDB | cut -d' ' -f1)/supported\""],
            "every Go; 404 or 410 sends go to the database itself, another error stops it",
        ),
        run(
            "your shell: private modules only (put your own prefix in)",
            ["go env -w GOPRIVATE=git.example.com"],
            "every Go; these are then fetched without module proxy and without database; for the \
             database alone GONOSUMDB. GOSUMDB=off would leave every new module unchecked",
        ),
    ]
}

pub(super) fn checksum() -> Vec<Remedy> {
    vec![
        run(
            "your shell: is it the proxy's copy, or your go.sum? Fetch past every copy",
            [
                "cd \"$(mktemp -d)\" && go mod init example.com/check",
                "GOMODCACHE=\"$(pwd)/mod\" \
              GOFLAGS=-modcacherw go mod download -json MODULE@VERSION | grep Sum",
            ],
            "every Go (put module and version in); in an empty module go asks the checksum database: \
             if it accepts, go.sum is wrong, else the proxy's copy is",
        ),
        run(
            "your project, only if the new hash was confirmed: drop the line, let go write it anew",
            ["git log -p -S 'MODULE VERSION' -- go.sum", "go mod tidy"],
            "every Go; delete the module's lines between the two commands. A published version \
             whose hash changed is a warning: do not answer it with GONOSUMDB or GOSUMDB=off",
        ),
        run(
            "this machine: drop the copies that were downloaded",
            ["go clean -modcache"],
            "every Go; needed where a proxy's wrong copy was cached and has been repaired since",
        ),
    ]
}

pub(super) fn fallback(ctx: &Context) -> Vec<Remedy> {
    let first = format!("go env -w GOPROXY='{},direct'", ctx.goproxy());
    let mut all = vec![run(
        "your shell: keep the private modules from the public entries (put your prefix in)",
        ["go env -w GOPRIVATE=git.example.com"],
        "every Go; they are then fetched from version control without asking each entry first",
    )];
    // A masked password must not be written back.
    if !ctx.goproxy().contains("***") && !ctx.goproxy().contains("xxxxx") {
        all.push(run(
            "your shell: the entry that has most modules first",
            [first.as_str()],
            "every Go; an environment variable GOPROXY wins over go env -w",
        ));
    }
    all.push(run(
        "your shell: see what is set, and from where",
        ["go env GOPROXY GOPRIVATE GONOPROXY", "go env -changed"],
        "Go 1.23 and newer for -changed",
    ));
    all
}

pub(super) fn direct() -> Vec<Remedy> {
    vec![
        reset_goproxy(),
        run(
            "your shell: a module proxy first (put yours in)",
            ["go env -w GOPROXY='https://goproxy.example.com,direct'"],
            "every Go; an environment variable GOPROXY wins over go env -w",
        ),
        run(
            "your shell: a narrower GOPRIVATE, if it takes in public modules",
            ["go env GOPRIVATE GONOPROXY"],
            "every Go; both are lists of glob patterns of path prefixes",
        ),
    ]
}

pub(super) fn off() -> Vec<Remedy> {
    vec![
        reset_goproxy(),
        run(
            "your project, if off is meant: carry the modules with it (on a machine with a proxy)",
            ["go mod vendor"],
            "Go 1.14 and newer; go build then uses vendor/ by itself",
        ),
    ]
}

/// Back to the default of this Go installation.
pub(super) fn reset_goproxy() -> Remedy {
    run(
        "your shell: back to the default of your Go installation",
        ["unset GOPROXY", "go env -u GOPROXY", "go env GOPROXY"],
        "every Go; the third command shows what counts now",
    )
}

/// `|` in place of `,`: the next entry is asked after any error.
pub(super) fn any_error_falls_through() -> Remedy {
    run(
        "your shell: ask the next entry of GOPROXY after any error, if there is one",
        ["export GOPROXY=\"$(go env GOPROXY | tr , '|')\""],
        "Go 1.15 and newer; with \",\" only 404 and 410 go on. Private module paths then reach the \
         next entries as well when the first one fails. A server that hangs is no error",
    )
}
