//! `goferry doctor` through every fault of the lab, across the emulated link (root only): the id, its
//! severity, and nothing else at warning or above.

use std::collections::VecDeque;
use std::sync::Mutex;

use goferry_lab::doctor::Doctor;
use goferry_lab::faults::{self, Fault};
use goferry_lab::go_client::GoVersion;

/// Diagnoses at once: timing matters to them, and there may be two cores.
const WORKERS: usize = 3;

#[test]
fn doctor_says_what_each_fault_is() {
    let only = std::env::var("GOFERRY_FAULT").ok();
    let wanted = |fault: &Fault| only.as_deref().is_none_or(|only| fault.id.starts_with(only));
    let queue: Mutex<VecDeque<Fault>> = Mutex::new(faults::all().into_iter().filter(wanted).collect());
    assert!(!queue.lock().unwrap().is_empty(), "no fault begins with GOFERRY_FAULT");
    let (wrong, costly) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let program = std::env::var("GOFERRY_DOCTOR").unwrap_or_else(|_| env!("CARGO_BIN_EXE_goferry").to_owned());
    let go: GoVersion = "go1.27.3".parse().unwrap();
    let doctor = Doctor::new(program, go);
    let next = || queue.lock().unwrap().pop_front();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(fault) = next() {
                    match check(&doctor, &fault) {
                        Ok(()) => {}
                        Err(why) if why.contains("is warning, not info") => costly.lock().unwrap().push(fault),
                        Err(why) => wrong.lock().unwrap().push(format!("{}: {why}", fault.id)),
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    // Whether it is worth a warning depends on what it costs, and that on how busy the machine is: once more, alone.
    for fault in costly.into_inner().unwrap() {
        if let Err(why) = check(&doctor, &fault) {
            wrong.push(format!("{}: {why}", fault.id));
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{} diagnoses are wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

fn check(doctor: &Doctor, fault: &Fault) -> Result<(), String> {
    let scenario = (fault.build)();
    let diagnosis = doctor.diagnose(&scenario).map_err(|error| error.to_string())?;
    let disagrees = diagnosis.disagrees(fault.findings);
    show(&format!("{} {:.1} s {:?} {disagrees:?}", fault.id, diagnosis.wall.as_secs_f64(), diagnosis.findings));
    // A bound of the whole, whatever the other side does; deep probes have two minutes.
    let bound = if scenario.deep { 130.0 } else { 12.0 };
    if diagnosis.wall.as_secs_f64() > bound {
        return Err(format!("it took {:.1} s", diagnosis.wall.as_secs_f64()));
    }
    match disagrees {
        None => Ok(()),
        Some(why) => {
            let findings = serde_json::to_string_pretty(&diagnosis.report["findings"]).unwrap_or_default();
            let findings: String = findings.chars().take(3000).collect();
            Err(format!("{why}\nfindings: {:?}\n{findings}", diagnosis.findings))
        }
    }
}

/// With GOFERRY_SHOW set, says what each diagnosis was; GOFERRY_FAULT picks the faults whose id begins so.
#[expect(clippy::print_stderr, reason = "asked for by the person who runs the test")]
fn show(text: &str) {
    if std::env::var_os("GOFERRY_SHOW").is_some() {
        eprintln!("{text}");
    }
}
