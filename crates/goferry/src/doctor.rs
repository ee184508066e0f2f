//! `goferry doctor`.

use std::path::Path;

use goferry_diagnose::diagnose::{DiagnoseError, Options, diagnose};
use goferry_diagnose::report;
use goferry_env::Inputs;
use goferry_module::{ProxyList, Scheme};

use crate::args::Doctor;
use crate::exit_code;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;

/// Diagnoses, and prints the report.
pub(crate) fn run(args: &Doctor, printer: &Printer) -> Outcome {
    check_folder(&args.dir)?;
    if let Some(proxy) = &args.proxy {
        check_proxy(proxy)?;
    }
    let inputs = Inputs::from_process(&args.dir);
    let options = Options { deep: args.deep, proxy: args.proxy.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the system gives no event queue: {error}")))?;
    let report = runtime.block_on(diagnose(&inputs, &options, printer)).map_err(failure)?;
    // Names that are still being resolved are not waited for.
    runtime.shutdown_background();
    let text = if args.format.json {
        report::json(&report)
    } else if args.format.markdown {
        report::markdown(&report)
    } else if args.format.sarif {
        report::sarif(&report)
    } else {
        report::human(&report, printer.style())
    };
    printer.result(&text)?;
    Ok(if args.fail_on.fails(report.worst()) { exit_code::FOUND } else { exit_code::OK })
}

/// That the folder is one, and can be read.
pub(crate) fn check_folder(dir: &Path) -> Result<(), Failure> {
    let shown = dir.display();
    match std::fs::metadata(dir) {
        Err(error) => return Err(Failure::usage(format!("{shown}: {error}")).hint("name the folder of a Go project")),
        Ok(metadata) if !metadata.is_dir() => {
            return Err(Failure::usage(format!("{shown} is not a folder")).hint("name the folder that go.mod is in"));
        }
        Ok(_) => {}
    }
    match std::fs::read_dir(dir) {
        Err(error) => Err(Failure::failed(format!("{shown} cannot be read: {error}"))),
        Ok(_) => Ok(()),
    }
}

/// That the list can be parsed, and that each URL in it names a host.
fn check_proxy(proxy: &str) -> Result<(), Failure> {
    let list = ProxyList::parse(proxy).map_err(|error| Failure::usage(format!("--proxy: {error}")))?;
    let urls = list.entries().iter().filter_map(|entry| entry.target.url());
    if urls.clone().any(|url| url.scheme() != Scheme::File && url.host().is_empty()) {
        return Err(Failure::usage("--proxy: the URL names no host").hint("give it as https://goproxy.example.com"));
    }
    Ok(())
}

fn failure(error: DiagnoseError) -> Failure {
    let hint = match &error {
        DiagnoseError::Environment(_) => {
            "or name one for this once: goferry doctor --proxy https://goproxy.example.com"
        }
        DiagnoseError::Project(_) => "correct the file, or diagnose without a project from another folder",
    };
    Failure::failed(error.to_string()).hint(hint)
}
