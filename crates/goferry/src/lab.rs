//! `goferry lab`.

mod counts;
mod end;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

use goferry_lab::faults::{self, Fault};
use goferry_lab::link::{Link, LinkError};
use goferry_lab::scenario::{Running, Scenario, ScenarioError, start_local, start_on_link};
use tempfile::TempDir;

use crate::args;
use crate::exit_code;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;
use crate::suggest::nearest;

/// Lists the faults.
pub(crate) fn list(printer: &Printer) -> Outcome {
    let all = faults::all();
    let width = all.iter().map(|fault| fault.id.len()).max().unwrap_or(0);
    let lines: Vec<String> = all
        .iter()
        .map(|fault| {
            let found: Vec<&str> = fault.findings.iter().map(|finding| finding.id).collect();
            let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
            let indent = " ".repeat(width);
            format!("{:<width$}  {}\n{indent}  finds: {found}", fault.id, fault.summary)
        })
        .collect();
    printer.result(&lines.join("\n"))?;
    Ok(exit_code::OK)
}

/// The fault with this name.
pub(crate) fn fault(name: &str) -> Result<Fault, Failure> {
    faults::find(name).ok_or_else(|| {
        let all = faults::all();
        let hint = match nearest(name, all.iter().map(|fault| fault.id)) {
            Some(near) => format!("did you mean {near}? `goferry lab list` shows all"),
            None => "`goferry lab list` shows all".to_owned(),
        };
        Failure::usage(format!("there is no fault {name:?}")).hint(hint)
    })
}

/// Serves a fault, and shows what was counted when it ends.
pub(crate) fn run(args: &args::Run, printer: &Printer) -> Outcome {
    let fault = fault(&args.fault)?;
    let scenario = (fault.build)();
    let running = match start_local(&scenario, args.listen) {
        Err(ScenarioError::NeedsLink(what)) => across(&scenario, what, args.command.is_empty())?,
        other => other.map_err(|error| Failure::failed(error.to_string()))?,
    };
    let cache = TempDir::with_prefix("goferry-modcache-")
        .map_err(|error| Failure::failed(format!("no temporary folder: {error}")))?;
    let mut env = running.env().clone();
    env.insert("GOMODCACHE".to_owned(), cache.path().display().to_string());
    env.insert("GOFLAGS".to_owned(), "-modcacherw".to_owned());
    let code = if args.command.is_empty() {
        printer.result(&invitation(&fault, &running, &env))?;
        end::wait()?;
        exit_code::OK
    } else {
        let mut command = command(&args.command)?;
        command.envs(&env).current_dir(running.project());
        let child = match running.link() {
            Some(link) => link.client_spawn(&mut command).map_err(|error| Failure::failed(error.to_string()))?,
            None => spawn(&mut command)?,
        };
        status_code(finish(child)?)
    };
    printer.result(&counts::of(&running))?;
    Ok(code)
}

/// Runs a command across an emulated link.
pub(crate) fn link(args: &args::Link, printer: &Printer) -> Outcome {
    let mut builder = Link::builder().rtt(args.rtt).loss(args.loss).congestion(&args.congestion);
    if let Some(rate) = args.rate {
        builder = builder.rate_bits(rate);
    }
    let link = builder.build().map_err(|error| match error {
        LinkError::OutOfRange { .. } => Failure::usage(error.to_string()),
        other => Failure::failed(other.to_string()),
    })?;
    printer.note(&format!(
        "{link}\nserver's side {} to .254, client's side {}",
        link.server_addr(),
        link.client_addr()
    ));
    let addresses = [
        ("GOFERRY_SERVER_ADDR", link.server_addr().to_string()),
        ("GOFERRY_CLIENT_ADDR", link.client_addr().to_string()),
    ];
    let server = match &args.server {
        Some(line) => {
            let mut command = Command::new("sh");
            // A group of its own, so that it ends with all that it started.
            command.args(["-c", line]).envs(addresses.clone()).process_group(0);
            let child = link.server_spawn(&mut command).map_err(|error| Failure::failed(error.to_string()))?;
            Some(Group(child))
        }
        None => None,
    };
    let mut command = command(&args.command)?;
    let child = link.client_spawn(command.envs(addresses)).map_err(|error| Failure::failed(error.to_string()))?;
    let status = finish(child);
    drop(server);
    let counted = link.counters();
    for (to, counters) in [("client", counted.to_client), ("server", counted.to_server)] {
        printer.note(&format!(
            "packets to the {to}: {} delivered ({} bytes), {} lost, {} dropped by the full queue",
            counters.delivered, counters.delivered_bytes, counters.lost, counters.queue_dropped
        ));
    }
    Ok(status_code(status?))
}

/// The scenario on a link, which only a command on its client's side can reach.
fn across(scenario: &Scenario, what: &str, no_command: bool) -> Result<Running, Failure> {
    if no_command {
        let message = format!("{what} needs the emulated link, which only a command inside of it can reach");
        return Err(
            Failure::usage(message).hint("give the command (as root): goferry lab run FAULT -- go mod download")
        );
    }
    start_on_link(scenario).map_err(|error| Failure::failed(error.to_string()))
}

fn invitation(fault: &Fault, running: &Running, env: &BTreeMap<String, String>) -> String {
    let mut text = format!("# {}: {}\n", fault.id, fault.summary);
    for (name, value) in env {
        text.push_str(&format!("export {name}={}\n", quoted(value)));
    }
    text.push_str(&format!("cd {}\n", quoted(&running.project().display().to_string())));
    text.push_str("# in another shell, then: go mod download\n# Ctrl-C or end of input ends it\n");
    text
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@+%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn command(words: &[OsString]) -> Result<Command, Failure> {
    let (program, arguments) = words.split_first().ok_or_else(|| Failure::usage("there is no command"))?;
    // A name with a slash means the caller's folder, not the one that the command runs in.
    let program = if Path::new(program).components().count() > 1 {
        std::path::absolute(program).map_err(|error| Failure::usage(error.to_string()))?.into_os_string()
    } else {
        program.clone()
    };
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

fn spawn(command: &mut Command) -> Result<Child, Failure> {
    let program = command.get_program().to_owned();
    command.spawn().map_err(|error| Failure::failed(format!("{} could not be started: {error}", program.display())))
}

fn finish(child: Child) -> Result<ExitStatus, Failure> {
    // Ctrl-C reaches the command by itself; here it must not end what still counts.
    end::outlive(child).map_err(|error| Failure::failed(format!("the command cannot be waited for: {error}")))
}

/// The command's own code; as a shell says it where a signal ended it.
fn status_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// A process group that ends when this is dropped.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        if let Ok(id) = i32::try_from(self.0.id()) {
            // It may have ended by itself.
            let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGKILL);
        }
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_a_shell() {
        assert_eq!(quoted("https://127.0.0.1:80/x"), "https://127.0.0.1:80/x");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
