//! `goferry warm`: names a project's files to a proxy beforehand.

mod post;

use std::path::Path;

use goferry_env::{Environment, Inputs, Project, ProjectFiles};
use goferry_module::{ProxyUrl, Scheme};
use goferry_proxy::warm::{Part, Progress, Summary};

use crate::args::warm::Warm;
use crate::doctor::check_folder;
use crate::exit_code;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;

/// Where a bearer token is read from: a command line is seen by others.
const TOKEN: &str = "GOFERRY_TOKEN";
/// Failures that are printed.
const SHOWN: usize = 20;

/// Sends the project's files, and prints what the proxy says.
pub(crate) fn run(args: &Warm, printer: &Printer) -> Outcome {
    check_folder(&args.dir)?;
    let inputs = Inputs::from_process(&args.dir);
    let env = Environment::resolve(&inputs).map_err(|error| Failure::failed(error.to_string()))?;
    let url = match &args.proxy {
        Some(url) => ProxyUrl::parse(url).map_err(|error| Failure::usage(format!("--proxy: {error}")))?,
        None => {
            let first = env.goproxy.urls().map(|(url, _)| url).find(|url| url.scheme() != Scheme::File);
            first.cloned().ok_or_else(|| {
                Failure::usage("GOPROXY names no proxy").hint("name one: goferry warm --proxy http://127.0.0.1:8080")
            })?
        }
    };
    if url.scheme() == Scheme::File {
        return Err(Failure::usage(format!("{url} is a folder: only a goferry that serves can be warmed")));
    }
    let files = Project::files(&inputs, &env).map_err(|error| Failure::failed(error.to_string()))?;
    let files = files.ok_or_else(|| Failure::failed(format!("there is no go.mod in {}", args.dir.display())))?;
    let body: Vec<u8> = parts(&files)?.iter().flat_map(|part| serde_json::to_vec(part).unwrap_or_default()).collect();

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the system gives no event queue: {error}")))?;
    let mut summary: Option<Summary> = None;
    runtime.block_on(post::lines(&url, &inputs, body, inputs.var(TOKEN), |line| {
        if let Ok(told) = serde_json::from_slice::<Summary>(line) {
            summary = Some(told);
        } else if let Ok(Progress { done, files, fetched_bytes }) = serde_json::from_slice(line) {
            printer.progress(&format!("{done} of {files} files, {} fetched", size(fetched_bytes)));
        }
    }))?;
    let summary = summary.ok_or_else(|| {
        Failure::failed(format!("{url}/-/warm: the answer ended without a summary")).hint("is it a goferry?")
    })?;
    print(&summary, args.quiet, printer)
}

/// What is sent: each module's go.mod and go.sum, the go.work with its go.work.sum.
fn parts(files: &ProjectFiles) -> Result<Vec<Part>, Failure> {
    let read = |file: &Path| match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::failed(format!("reading {}: {error}", file.display()))),
    };
    let mut parts = Vec::new();
    let mut sums = files.sums.iter();
    if let Some((file, _)) = &files.go_work {
        let sum = sums.next().map(|file| read(file)).transpose()?.flatten();
        parts.push(Part { go_mod: None, go_sum: sum, go_work: read(file)? });
    }
    for ((file, _), sum) in files.modules.iter().zip(sums) {
        parts.push(Part { go_mod: read(file)?, go_sum: read(sum)?, go_work: None });
    }
    Ok(parts)
}

fn print(summary: &Summary, quiet: bool, printer: &Printer) -> Outcome {
    for failed in summary.failed.iter().take(SHOWN) {
        printer.failure(&Failure::failed(format!("{}: {}", failed.file, failed.error)));
    }
    if summary.failures > SHOWN {
        printer.note(&format!("goferry: note: {} more could not be had", summary.failures - SHOWN));
    }
    if !quiet {
        let Summary { modules, files, fetched_bytes, failures, seconds, .. } = summary;
        let there = files - failures;
        let fetched = size(*fetched_bytes);
        printer.result(&format!(
            "{there} of {files} files of {modules} modules are there, {fetched} fetched in {seconds:.1} s"
        ))?;
    }
    Ok(if summary.failures == 0 { exit_code::OK } else { exit_code::FOUND })
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
