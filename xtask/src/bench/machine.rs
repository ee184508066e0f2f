//! What the figures were measured with.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use super::BenchError;
use super::rows::Subject;
use crate::workspace::output;

/// All that the page says of it.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) machine: String,
    pub(crate) nginx: String,
    pub(crate) go: String,
    /// `None` when it was not measured.
    pub(crate) goferry: Option<String>,
    /// Whether it is the release build of this checkout.
    pub(crate) built_here: bool,
    /// Of the folder in memory and of the one on disk.
    pub(crate) file_systems: [String; 2],
    pub(crate) runs: usize,
    /// Seconds above which go was run once.
    pub(crate) long_once: Option<f64>,
    pub(crate) gomaxprocs: &'static str,
    /// The name of the real project.
    pub(crate) real: &'static str,
    /// Zips, files in the cache and bytes of each subject.
    pub(crate) subjects: Vec<(Subject, usize, usize, u64)>,
}

/// Processors, memory and kernel.
pub(super) fn describe() -> Result<String, BenchError> {
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
pub(super) fn load() -> Result<f64, BenchError> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default())
}

/// The type of the file system that a folder is on.
pub(super) fn file_system(folder: &Path) -> Result<String, BenchError> {
    let said = output(Command::new("df").arg("--output=fstype").arg(folder))?;
    Ok(said.lines().last().unwrap_or_default().trim().to_owned())
}

/// nginx's name and version.
pub(super) fn nginx() -> Result<String, BenchError> {
    let program = goferry_lab::servers::Program::Nginx.binary().map_err(crate::served::ServedError::from)?;
    let said = Command::new(program).arg("-v").output()?;
    // It says so on standard error.
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    Ok(said.trim().trim_start_matches("nginx version: ").replace('/', " "))
}

/// goferry's version.
pub(super) fn goferry(binary: &Path) -> Result<String, BenchError> {
    Ok(output(Command::new(binary).arg("--version"))?.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_described() {
        let text = describe().unwrap();
        assert!(text.contains("processors") && text.contains("Linux "), "{text}");
        assert_eq!(file_system(Path::new("/proc")).unwrap(), "proc");
    }
}
