//! `goferry download`.

mod json;
mod predict;
mod progress;
mod summary;
mod timeline;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use goferry_env::{Environment, Inputs, Project, ProjectFiles, toolchain};
use goferry_fetch::client::ClientConfig;
use goferry_fetch::download::{Downloader, Job, Report, Setup, Shop};
use goferry_fetch::query::{Argument, parse_arguments};
use goferry_module::gomod::ResolvedVersions;
use goferry_module::{ModulePath, ModuleVersion, Version};

use self::predict::GoCommand;
use self::progress::Counter;
use crate::args::{Download, When};
use crate::doctor::check_folder;
use crate::exit_code;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;

/// Between two looks at the progress.
const TICK: Duration = Duration::from_millis(100);

/// Downloads, and prints what became of it.
pub(crate) fn run(args: &Download, printer: &Printer) -> Outcome {
    let (dir, named) = folder(args)?;
    check_folder(&dir)?;
    let inputs = Inputs::from_process(&dir);
    let env = Environment::resolve(&inputs).map_err(|error| fail(error.to_string()))?;
    let counter = Arc::new(Counter::default());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| fail(format!("the system gives no event queue: {error}")))?;
    let client = ClientConfig {
        retries: args.retries,
        timeout: args.timeout,
        connections: usize::from(args.connections),
        ..ClientConfig::default()
    };
    let mut setup = Setup {
        inputs: &inputs,
        env: &env,
        project: None,
        client,
        reporter: Arc::clone(&counter) as Arc<dyn goferry_fetch::download::Reporter>,
    };
    let resolved = resolve_versions(&setup, &runtime)?;
    let project = Project::files_with(&inputs, &env, resolved).map_err(|error| fail(error.to_string()))?;
    setup.project = project.as_ref();
    let arguments = parse_arguments(&named, project.is_some())
        .map_err(|error| Failure::usage(error.to_string()).hint("goferry download --help"))?;
    let shop = Arc::new(Shop::open(&setup).map_err(|error| fetch_failure(&error))?);
    let timeline = args.timeline.as_deref().map(timeline::Out::create).transpose()?;
    let go_command = GoCommand::here(&inputs, &env, project.as_ref(), &arguments);
    let job = job(args, &inputs, &env, project.as_ref(), arguments, printer)?;
    let downloader = Downloader::new(Arc::clone(&shop), project, Arc::clone(&counter) as _);
    let finished = runtime.block_on(watch(&downloader, &job, &counter, printer));
    if let Some(out) = timeline {
        out.write(shop.client())?;
    }
    // Names that are still being resolved, and zips being unpacked after Ctrl-C, are not waited for.
    runtime.shutdown_background();
    let Some(report) = finished else {
        let text = "interrupted; what had arrived is kept, and the next run goes on from there";
        return Err(Failure { message: text.to_owned(), hint: None, code: exit_code::INTERRUPTED });
    };
    print(args, &report, &shop, &go_command, printer)
}

/// Versions in go.mod such as `master` and `v1.2`, which the go command asks the sources about before it does anything.
fn resolve_versions(setup: &Setup<'_>, runtime: &tokio::runtime::Runtime) -> Result<ResolvedVersions, Failure> {
    let queries = Project::queries(setup.inputs, setup.env).map_err(|error| fail(error.to_string()))?;
    if queries.is_empty() {
        return Ok(ResolvedVersions::default());
    }
    let shop = Shop::open(setup).map_err(|error| fetch_failure(&error))?;
    runtime.block_on(shop.resolve_versions(&queries)).map_err(|error| fetch_failure(&error))
}

/// The folder, and what was named beside it.
fn folder(args: &Download) -> Result<(PathBuf, Vec<String>), Failure> {
    let is_folder = |text: &str| {
        text.starts_with('.')
            || text.starts_with('/')
            || (!text.contains('@') && Path::new(text).join("go.mod").is_file())
            || (!text.contains('@') && Path::new(text).join("go.work").is_file())
    };
    match (&args.dir, args.what.as_slice()) {
        (Some(dir), what) => Ok((dir.clone(), what.to_vec())),
        (None, [only]) if is_folder(only) => Ok((PathBuf::from(only), Vec::new())),
        (None, what) => {
            if let Some(folder) = what.iter().find(|text| text.starts_with('.') || text.starts_with('/')) {
                return Err(Failure::usage(format!("{folder} is a folder beside modules"))
                    .hint("name the folder with -C and the modules after it"));
            }
            Ok((PathBuf::from("."), what.to_vec()))
        }
    }
}

fn job(
    args: &Download,
    inputs: &Inputs,
    env: &Environment,
    project: Option<&ProjectFiles>,
    arguments: Vec<Argument>,
    printer: &Printer,
) -> Result<Job, Failure> {
    let mut job = Job {
        arguments,
        no_extract: args.no_extract,
        dry_run: args.dry_run,
        write_on_failure: args.json,
        toolchain: None,
    };
    if args.toolchain != When::Never && project.is_some() {
        let choice = toolchain::choose(inputs, env);
        if let Some(problem) = choice.problem {
            printer.note(&format!("goferry: note: the go command will fail here: {problem}"));
        } else if choice.would_download {
            job.toolchain = choice.cache_dir.as_deref().and_then(toolchain_module);
            if job.toolchain.is_none() {
                return Err(fail(format!("the toolchain {} has no module for this system", choice.why)));
            }
        } else if args.toolchain == When::Always {
            printer.note(&format!("goferry: note: no toolchain to fetch: {}", choice.why));
        }
    }
    Ok(job)
}

/// The module whose folder in the cache is `dir`.
fn toolchain_module(dir: &Path) -> Option<ModuleVersion> {
    let (_, version) = dir.file_name()?.to_str()?.split_once('@')?;
    ModuleVersion::new(ModulePath::parse("golang.org/toolchain").ok()?, Version::parse(version).ok()?).ok()
}

/// Runs to the end, or to Ctrl-C: `None`.
async fn watch(downloader: &Downloader, job: &Job, counter: &Counter, printer: &Printer) -> Option<Report> {
    let interrupted = interrupted();
    let run = downloader.run(job);
    tokio::pin!(run);
    let mut tick = tokio::time::interval(TICK);
    tokio::pin!(interrupted);
    loop {
        tokio::select! {
            report = &mut run => {
                for note in counter.take_notes() {
                    printer.note(&format!("goferry: note: {note}"));
                }
                return Some(report);
            }
            () = &mut interrupted => return None,
            _ = tick.tick() => {
                for note in counter.take_notes() {
                    printer.note(&format!("goferry: note: {note}"));
                }
                printer.progress(&counter.line());
            }
        }
    }
}

/// Ends with Ctrl-C or SIGTERM, which are caught from this call on.
#[cfg(unix)]
fn interrupted() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
async fn interrupted() {
    let _ = tokio::signal::ctrl_c().await;
}

fn print(args: &Download, report: &Report, shop: &Shop, go_command: &GoCommand, printer: &Printer) -> Outcome {
    for note in &report.notes {
        printer.note(&format!("goferry: note: {note}"));
    }
    if report.ok() && report.modules.is_empty() && !args.dry_run {
        // As the go command says it, and where.
        printer.note("goferry: no module dependencies to download");
        return Ok(exit_code::OK);
    }
    if args.json {
        let objects = json::objects(report, shop.cache());
        if !objects.is_empty() {
            printer.result(&objects.join("\n"))?;
        }
    } else if args.dry_run {
        printer.result(&summary::dry_run(report))?;
    }
    for failure in summary::failures(report) {
        printer.failure(&failure);
    }
    if !args.json && !args.dry_run && !args.quiet {
        printer.result(&summary::text(report, go_command.line(report)))?;
    }
    Ok(if report.ok() { exit_code::OK } else { exit_code::FOUND })
}

fn fail(message: String) -> Failure {
    Failure { message, hint: None, code: exit_code::FOUND }
}

fn fetch_failure(error: &goferry_fetch::FetchError) -> Failure {
    Failure { message: error.detail.clone(), hint: error.advice.clone(), code: exit_code::FOUND }
}
