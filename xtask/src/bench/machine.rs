//! What the figures were measured with.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use super::BenchError;
use crate::workspace::output;

/// Processors, memory and kernel.
pub(crate) fn describe() -> Result<String, BenchError> {
    let cores = thread::available_parallelism()?.get();
    let processor = fs::read_to_string("/proc/cpuinfo")?;
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    let processor = processor.trim_matches([' ', '\t', ':']);
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB"));
    let gib = kib.and_then(|kib| kib.trim().parse::<f64>().ok()).unwrap_or_default() / 1024.0 / 1024.0;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!("{cores} processors ({processor}), {gib:.0} GiB, Linux {}", kernel.trim()))
}

/// Processes that want a processor, on average over the last minute.
pub(crate) fn load() -> Result<f64, BenchError> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default())
}

/// The type of the file system that a folder is on.
pub(crate) fn file_system(folder: &Path) -> Result<String, BenchError> {
    let said = output(Command::new("df").arg("--output=fstype").arg(folder))?;
    Ok(said.lines().last().unwrap_or_default().trim().to_owned())
}

/// nginx's name and version.
pub(crate) fn nginx() -> Result<String, BenchError> {
    let program = goferry_lab::servers::Program::Nginx.binary().map_err(crate::served::ServedError::from)?;
    let said = Command::new(program).arg("-v").output()?;
    // It says so on standard error.
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    Ok(said.trim().trim_start_matches("nginx version: ").replace('/', " "))
}

/// goferry's version.
pub(crate) fn goferry(binary: &Path) -> Result<String, BenchError> {
    Ok(output(Command::new(binary).arg("--version"))?.lines().next().unwrap_or_default().to_owned())
}

/// The first 12 digits of a file's SHA-256, which tell builds of one version apart.
pub(crate) fn sha256(file: &Path) -> Result<String, BenchError> {
    Ok(output(Command::new("sha256sum").arg(file))?.chars().take(12).collect())
}

/// Writes out what earlier runs left to be written, so that no run pays for another.
///
/// # Errors
/// When `sync` cannot be run.
pub(crate) fn settle(place: &Path) -> io::Result<()> {
    Command::new("sync").arg("-f").arg(place).stdin(Stdio::null()).status().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_described() {
        let text = describe().unwrap();
        assert!(text.contains("processors") && text.contains("Linux "), "{text}");
        assert_eq!(file_system(Path::new("/proc")).unwrap(), "proc");
        assert_eq!(sha256(Path::new("/dev/null")).unwrap(), "e3b0c44298fc");
    }
}
