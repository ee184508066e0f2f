//! `GOMAXPROCS` as the Go runtime computes it at the start (`runtime/proc.go`, `runtime/cgroup_linux.go`).
//!
//! The variable, if it is a positive number; else the CPUs that the scheduler allows; and from Go 1.25 on at most
//! the CPU quota of the process's own cgroup, rounded up and never below 2, unless `GODEBUG=containermaxprocs=0`.
//! For the go command that default is always on: its own module is at the release's language version.

use std::path::PathBuf;

use crate::inputs::{Inputs, Os};
use crate::{cgroup, godebug, read};

/// The value and where it comes from.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct GoMaxProcs {
    /// The value that the go command runs with.
    pub value: u32,
    /// CPUs that the scheduler allows (`runtime.NumCPU`).
    pub num_cpu: u32,
    /// What decided.
    pub why: Why,
}

/// What decided the value.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Why {
    /// The environment variable.
    Env,
    /// The CPUs that the scheduler allows.
    Affinity {
        /// Their number.
        cpus: u32,
    },
    /// The CPU quota of the cgroup.
    CgroupQuota {
        /// The file that sets it.
        file: PathBuf,
        /// CPU seconds per second.
        quota: f64,
    },
}

/// Computes the value for a Go release, `go_minor` being 25 for 1.25.
#[must_use]
pub fn compute(inputs: &Inputs, go_minor: u32) -> GoMaxProcs {
    let num_cpu = num_cpu(inputs);
    if let Some(value) = inputs
        .var("GOMAXPROCS")
        .and_then(|v| v.parse::<i32>().ok())
        .and_then(|v| u32::try_from(v).ok())
        .filter(|v| *v > 0)
    {
        return GoMaxProcs { value, num_cpu, why: Why::Env };
    }
    let wanted =
        godebug::setting(inputs, "containermaxprocs").and_then(|v| v.parse::<i32>().ok()).is_none_or(|v| v > 0);
    if go_minor >= 25
        && wanted
        && inputs.os == Os::Linux
        && let Some(limit) = cgroup::cpu_limit(inputs)
    {
        let rounded = limit.cpus.ceil().max(2.0);
        if rounded < f64::from(num_cpu) {
            return GoMaxProcs {
                value: (2..num_cpu).find(|n| f64::from(*n) >= rounded).unwrap_or(num_cpu),
                num_cpu,
                why: Why::CgroupQuota { file: limit.file, quota: limit.cpus },
            };
        }
    }
    GoMaxProcs { value: num_cpu, num_cpu, why: Why::Affinity { cpus: num_cpu } }
}

/// The CPUs of the affinity mask. `std::thread::available_parallelism` will not do: it looks at cgroup quotas too.
fn num_cpu(inputs: &Inputs) -> u32 {
    let from_status = || {
        let status = read::text(&inputs.system("/proc/self/status"), 1 << 20).ok()?;
        let mask = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed:"))?;
        mask.trim().chars().filter(|c| *c != ',').map(|c| c.to_digit(16).map(u32::count_ones)).sum::<Option<u32>>()
    };
    match inputs.os {
        Os::Linux => from_status().filter(|n| *n > 0).unwrap_or(1),
        _ => std::thread::available_parallelism().ok().and_then(|n| u32::try_from(n.get()).ok()).unwrap_or(1),
    }
}
