//! `goferry fix`: takes a setting that a finding is about out of the user's own files.

mod plan;
mod write;

use std::path::Path;

use goferry_diagnose::Id;
use goferry_diagnose::report::text::{ascii, harmless_lines};
use goferry_env::{Inputs, mask};
use similar::TextDiff;

use crate::args::Fix;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;
use crate::{doctor, exit_code, explain};

use self::plan::{Change, Setting};

/// Shows what would be changed, and with `--apply` changes it.
pub(crate) fn run(args: &Fix, printer: &Printer) -> Outcome {
    let id = explain::parse(&args.id)?;
    doctor::check_folder(&args.dir)?;
    let setting = Setting::of(id).ok_or_else(|| no_file(id))?;
    let inputs = Inputs::from_process(&args.dir);
    let plan = plan::plan(&inputs, setting)?;
    for skipped in &plan.skipped {
        printer.note(skipped);
    }
    if plan.changes.is_empty() {
        nothing(&inputs, setting, printer)?;
        return Ok(exit_code::OK);
    }
    for change in &plan.changes {
        printer.result(&diff(change, printer))?;
    }
    if !args.apply {
        let dir = if args.dir == Path::new(".") { String::new() } else { format!(" {}", args.dir.display()) };
        printer.note(&format!("Nothing is written yet. To write it: goferry fix {id} --apply{dir}"));
        return Ok(exit_code::OK);
    }
    for change in &plan.changes {
        let backup = write::replace(change)?;
        printer.note(&format!("{} is written; as it was: {}", change.file.display(), backup.display()));
    }
    printer.note(&format!("Shells that are open keep the old {} until they are started anew.", setting.var));
    Ok(exit_code::OK)
}

/// The change as a unified diff. What looks like a credential in the lines around is masked, so it is for reading.
fn diff(change: &Change, printer: &Printer) -> String {
    let file = change.file.display().to_string();
    let text = TextDiff::from_lines(&change.before, &change.after).unified_diff().header(&file, &file).to_string();
    let text: Vec<String> = text.split('\n').map(mask::urls).collect();
    let text = harmless_lines(&text.join("\n"));
    if printer.style().unicode { text } else { ascii(&text) }
}

/// Why no file can be changed for this finding.
fn no_file(id: Id) -> Failure {
    Failure::failed(format!("{id} is not caused by a line of your files that could be taken out"))
        .hint(format!("`goferry doctor` prints the remedy that fits here; `goferry explain {id}` has all of them"))
}

/// Says that no file sets it, and whether this process has it all the same.
fn nothing(inputs: &Inputs, setting: Setting, printer: &Printer) -> Result<(), Failure> {
    let what = setting.describe();
    printer.result(&format!("Nothing to change: no file that goferry searches sets {what}."))?;
    if inputs.var(setting.var).is_some_and(|value| setting.is_in(value)) {
        printer.note(&format!(
            "It is in the environment of this process all the same, from a program or file that is not searched. For this shell: \
             unset {}",
            setting.var
        ));
    }
    Ok(())
}
