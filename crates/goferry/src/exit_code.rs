//! The exit codes, part of the public interface.

/// Done; for `doctor`: nothing at or above `--fail-on`.
pub(crate) const OK: i32 = 0;
/// `doctor`: something at or above `--fail-on` was found. `download`: something failed. `store verify`: something is
/// damaged. `store list`: nothing of what was named is there.
pub(crate) const FOUND: i32 = 1;
/// The command line cannot be understood, or names what does not exist.
pub(crate) const USAGE: i32 = 2;
/// What was asked for could not be done; standard error says why.
pub(crate) const FAILED: i32 = 3;

/// Ended by a signal, as a shell would report SIGINT.
pub(crate) const INTERRUPTED: i32 = 130;

/// The codes as `--help` shows them.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done; doctor: nothing at or above --fail-on
  1  doctor: something at or above --fail-on; download: a module failed;
     store verify: a file is damaged; store list: the module is not there
  2  usage: the command line cannot be understood
  3  it could not be done (for doctor: no diagnosis); standard error says why
  130  interrupted
`lab link` and `lab run` with a command end with that command's code.";
