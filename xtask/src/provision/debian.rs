//! Programs from Debian's packages.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::geteuid;

use super::{ProvisionError, on_path};
use crate::say::say;
use crate::workspace::output;

/// What a test runs, and the package that has it.
struct Part {
    name: &'static str,
    package: &'static str,
    there: fn() -> bool,
}

macro_rules! program {
    ($name:literal, $package:literal) => {
        Part { name: $name, package: $package, there: || on_path($name).is_some() }
    };
}

const PARTS: &[Part] = &[
    program!("nginx", "nginx-light"),
    program!("haproxy", "haproxy"),
    program!("caddy", "caddy"),
    Part { name: "squid with OpenSSL", package: "squid-openssl", there: squid_has_openssl },
    program!("mitmdump", "mitmproxy"),
    program!("tinyproxy", "tinyproxy"),
    program!("apache2", "apache2-bin"),
    program!("openssl", "openssl"),
    program!("curl", "curl"),
    program!("h2load", "nghttp2-client"),
    program!("ip", "iproute2"),
    program!("git", "git"),
    Part {
        name: "public certificates",
        package: "ca-certificates",
        there: || Path::new("/etc/ssl/certs/ca-certificates.crt").is_file(),
    },
];

/// Only for Envoy.
const PYTHON: &[Part] = &[
    Part { name: "python3 -m venv", package: "python3-venv", there: || python("import venv, ensurepip") },
    Part { name: "python3 -m pip", package: "python3-pip", there: || python("import ensurepip") },
];

/// The services that these packages start and switch on.
const SERVICES: &[(&str, &str)] = &[
    ("nginx-light", "nginx"),
    ("haproxy", "haproxy"),
    ("caddy", "caddy"),
    ("squid-openssl", "squid"),
    ("tinyproxy", "tinyproxy"),
];

/// Installs what is missing; `with_python` where a virtual environment will be made.
pub(super) fn install_missing(with_python: bool) -> Result<(), ProvisionError> {
    let parts = || PARTS.iter().chain(if with_python { PYTHON } else { &[] }).filter(|part| !(part.there)());
    let missing: Vec<&Part> = parts().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|part| part.package).collect();
    if !geteuid().is_root() || on_path("apt-get").is_none() {
        return Err(ProvisionError::Missing { programs: names(&missing), packages: packages.join(" ") });
    }
    say!("    the tests need {}: installing {}", names(&missing), packages.join(" "));
    {
        let _quiet = NoServices::new()?;
        output(apt().arg("update"))?;
        // Nothing that is here may go for it.
        output(apt().args(["install", "-y", "--no-install-recommends", "--no-remove"]).args(&packages))?;
    }
    switch_off(&packages);
    let still: Vec<&Part> = parts().collect();
    if still.is_empty() {
        return Ok(());
    }
    Err(ProvisionError::StillMissing { programs: names(&still), packages: packages.join(" ") })
}

fn names(parts: &[&Part]) -> String {
    let names: Vec<&str> = parts.iter().map(|part| part.name).collect();
    names.join(", ")
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.args(["-q", "-o", "DPkg::Lock::Timeout=300"]).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn squid_has_openssl() -> bool {
    let Some(squid) = on_path("squid") else {
        return false;
    };
    let said = Command::new(squid).arg("-v").stdin(Stdio::null()).output();
    said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains("with-openssl"))
}

fn python(program: &str) -> bool {
    let run = Command::new("python3").args(["-c", program]).stdin(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

/// The services of packages that were just installed do not start with the machine. Where there is no systemd there is
/// nothing that would start them.
fn switch_off(packages: &[&str]) {
    for (_, unit) in SERVICES.iter().filter(|service| packages.contains(&service.0)) {
        let asked = Command::new("systemctl").args(["disable", "--quiet", unit]).stdin(Stdio::null()).output();
        if asked.is_ok_and(|done| done.status.success()) {
            say!("    the service {unit} came with it and is switched off");
        }
    }
}

/// While this lives, a package that is installed starts no service: `invoke-rc.d` asks `/usr/sbin/policy-rc.d`, and 101
/// means "not allowed" (`invoke-rc.d(8)`). A policy that is there already stays.
struct NoServices {
    written: Option<PathBuf>,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";
const DENY: &str =
    "#!/bin/sh\n# Written by goferry's `cargo xtask provision` for as long as it installs packages.\nexit 101\n";

impl NoServices {
    fn new() -> Result<Self, ProvisionError> {
        Self::at(Path::new(POLICY))
    }

    fn at(path: &Path) -> Result<Self, ProvisionError> {
        let failed = |source| ProvisionError::File { path: path.to_owned(), source };
        // One that an interrupted run of this program left.
        if fs::read_to_string(path).is_ok_and(|text| text == DENY) {
            fs::remove_file(path).map_err(failed)?;
        }
        let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Ok(Self { written: None });
            }
            Err(error) => return Err(failed(error)),
        };
        let this = Self { written: Some(path.to_owned()) };
        file.write_all(DENY.as_bytes()).map_err(failed)?;
        file.set_permissions(Permissions::from_mode(0o755)).map_err(failed)?;
        Ok(this)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(path) = &self.written {
            drop(fs::remove_file(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_there_while_packages_are_installed_and_gone_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy-rc.d");
        let quiet = NoServices::at(&path).unwrap();
        let status = Command::new(&path).arg("nginx").arg("start").status().unwrap();
        assert_eq!(status.code(), Some(101));
        drop(quiet);
        assert!(!path.exists());
    }

    #[test]
    fn a_policy_of_somebody_else_stays_and_our_own_leftover_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy-rc.d");
        fs::write(&path, "#!/bin/sh\nexit 0\n").unwrap();
        drop(NoServices::at(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "#!/bin/sh\nexit 0\n");
        fs::write(&path, DENY).unwrap();
        drop(NoServices::at(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn every_service_belongs_to_a_package_that_is_installed_here() {
        for (package, _) in SERVICES {
            assert!(PARTS.iter().any(|part| part.package == *package), "{package}");
        }
    }
}
