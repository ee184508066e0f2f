//! The goferry command: arguments, printing, exit codes. Everything else is in the libraries.
#![forbid(unsafe_code)]

mod args;
mod demo;
mod doctor;
mod download;
mod exit_code;
mod explain;
mod failure;
mod fix;
mod lab;
mod pages;
mod printer;
mod serve;
mod store;
mod suggest;
mod warm;

use std::io::Write as _;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::args::{Cli, Command, Lab};
use crate::printer::Printer;

fn main() {
    let code = run();
    // Not by returning: a resolver thread that still waits for an answer would hold the process.
    let _ = std::io::stdout().flush();
    std::process::exit(code);
}

fn run() -> i32 {
    let mut printer = Printer::new();
    let outcome = match Cli::try_parse() {
        Ok(cli) => dispatch(cli.command, &mut printer),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            let text =
                if printer.style().color { error.render().ansi().to_string() } else { error.render().to_string() };
            printer.result(&text).map(|()| exit_code::OK)
        }
        Err(error) => {
            printer.usage(&error);
            return exit_code::USAGE;
        }
    };
    outcome.unwrap_or_else(|failure| {
        printer.failure(&failure);
        failure.code
    })
}

fn dispatch(command: Command, printer: &mut Printer) -> failure::Outcome {
    match command {
        Command::Doctor(args) => {
            printer.set_quiet(args.quiet);
            doctor::run(&args, printer)
        }
        Command::Download(args) => {
            printer.set_quiet(args.quiet);
            download::run(&args, printer)
        }
        Command::Serve(args) => serve::run(&args, printer),
        Command::Warm(args) => {
            printer.set_quiet(args.quiet);
            warm::run(&args, printer)
        }
        Command::Store(args) => {
            printer.set_quiet(args.quiet);
            store::run(&args, printer)
        }
        Command::Explain(args) => explain::run(&args, printer),
        Command::Fix(args) => fix::run(&args, printer),
        Command::Lab(Lab::List) => lab::list(printer),
        Command::Lab(Lab::Run(args)) => lab::run(&args, printer),
        Command::Lab(Lab::Link(args)) => lab::link(&args, printer),
        Command::Demo(args) => demo::run(&args, printer),
    }
}
