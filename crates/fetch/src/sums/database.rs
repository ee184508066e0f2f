//! Which modules the checksum database is asked about (`cmd/go/internal/modfetch/sumdb.go`, `useSumDB`).

use std::fmt;

use goferry_env::Environment;
use goferry_module::ModulePath;
use goferry_module::pattern::match_prefix_patterns;

use super::TOOLCHAIN;

/// The settings that decide whether the checksum database is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseUse {
    /// GOSUMDB is `off`.
    pub off: bool,
    /// GONOSUMDB, whose default is GOPRIVATE: a list of patterns separated by commas.
    pub no_sum_db: String,
    /// GOPROXY is one `file://` URL: then even toolchains follow the two settings above.
    pub file_proxy: bool,
}

/// Why a module is not asked of the checksum database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exempt {
    /// `GOSUMDB=off`.
    GosumdbOff,
    /// GONOSUMDB (or GOPRIVATE) names it.
    Gonosumdb,
}

impl DatabaseUse {
    /// The settings of an environment.
    #[must_use]
    pub fn of(env: &Environment) -> DatabaseUse {
        let proxy = env.value("GOPROXY");
        DatabaseUse {
            off: env.value("GOSUMDB") == "off",
            no_sum_db: env.value("GONOSUMDB").to_owned(),
            file_proxy: proxy.starts_with("file://") && !proxy.contains([',', '|']),
        }
    }

    /// Why the database is not asked about a module; `None` where it is.
    #[must_use]
    pub fn exempt(&self, path: &ModulePath) -> Option<Exempt> {
        if path.as_str() == TOOLCHAIN && !self.file_proxy {
            return None;
        }
        if self.off {
            return Some(Exempt::GosumdbOff);
        }
        match_prefix_patterns(&self.no_sum_db, path.as_str()).then_some(Exempt::Gonosumdb)
    }
}

impl fmt::Display for Exempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exempt::GosumdbOff => "GOSUMDB=off",
            Exempt::Gonosumdb => "GONOSUMDB (or GOPRIVATE) names it",
        })
    }
}
