//! `goferry explain`.

use goferry_diagnose::Id;

use crate::args::Explain;
use crate::exit_code;
use crate::failure::{Failure, Outcome};
use crate::pages::page;
use crate::printer::Printer;
use crate::suggest::nearest;

/// Prints a page, or the list of pages.
pub(crate) fn run(args: &Explain, printer: &Printer) -> Outcome {
    match &args.id {
        Some(id) => printer.result(page(parse(id)?))?,
        None => {
            let width = Id::ALL.iter().map(|id| id.as_str().len()).max().unwrap_or(0);
            let lines: Vec<String> = Id::ALL.iter().map(|id| format!("{id:<width$}  {}", id.title())).collect();
            printer.result(&lines.join("\n"))?;
        }
    }
    Ok(exit_code::OK)
}

/// The id with this name.
pub(crate) fn parse(name: &str) -> Result<Id, Failure> {
    Id::parse(name).ok_or_else(|| {
        let hint = match nearest(name, Id::ALL.iter().map(|id| id.as_str())) {
            Some(near) => format!("did you mean {near}? `goferry explain` lists all"),
            None => "`goferry explain` lists all".to_owned(),
        };
        Failure::usage(format!("there is no finding {name:?}")).hint(hint)
    })
}
