//! `.info` files: the JSON that a module proxy gives for a version and for `@latest`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The largest `.info` that is read, in bytes.
pub const MAX_INFO: usize = 1 << 20;

/// What an `.info` file says (<https://go.dev/ref/mod#goproxy-protocol>). Fields that are not known are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModInfo {
    /// The version, which the go command checks later.
    #[serde(default, alias = "version")]
    pub version: String,
    /// When the version was made.
    #[serde(default, alias = "time", skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
}

impl ModInfo {
    /// Parses an `.info` file.
    ///
    /// # Errors
    /// Where it is not JSON of that form, has no version, or is over [`MAX_INFO`].
    pub fn parse(data: &[u8]) -> Result<Self, InfoError> {
        if data.len() > MAX_INFO {
            return Err(InfoError(format!("{} bytes, limit is {MAX_INFO} bytes", data.len())));
        }
        let info: Self = serde_json::from_slice(data).map_err(|e| InfoError(e.to_string()))?;
        if info.version.is_empty() {
            return Err(InfoError("no Version".to_owned()));
        }
        Ok(info)
    }

    /// The file, as a proxy gives it.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and a time are always JSON")
    }
}

/// An `.info` file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid .info file: {0}; expected JSON such as {{\"Version\":\"v1.2.3\",\"Time\":\"2024-01-02T03:04:05Z\"}}")]
pub struct InfoError(String);
