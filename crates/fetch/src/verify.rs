//! The verdict on what arrived: go.sum first, then the checksum database.

use std::sync::{Arc, Mutex, PoisonError};

use goferry_module::{DirHash, ModuleVersion};
use goferry_net::Party;

use crate::error::{FailKind, FetchError};
use crate::fetcher::Judge;
use crate::sumdb::SumDbClient;
use crate::sums::{DatabaseUse, Hashed, Sums, Verdict};
use crate::web::BoxFuture;

/// Judges hashes. Shared by all downloads of a run.
pub struct Verifier {
    sums: Sums,
    database_use: DatabaseUse,
    database: Option<Arc<SumDbClient>>,
    warnings: Mutex<Vec<String>>,
}

impl Verifier {
    /// `database` is `None` where GOSUMDB is off.
    #[must_use]
    pub fn new(sums: Sums, database_use: DatabaseUse, database: Option<Arc<SumDbClient>>) -> Verifier {
        Verifier { sums, database_use, database, warnings: Mutex::default() }
    }

    /// The go.sum files.
    #[must_use]
    pub fn sums(&self) -> &Sums {
        &self.sums
    }

    /// What was odd, for the user, each once.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask_ahead(&self, module: &ModuleVersion, what: Hashed) {
        let toolchain = module.path().as_str() == "golang.org/toolchain";
        if (toolchain || !self.sums.lists(module, what))
            && self.database_use.exempt(module.path()).is_none()
            && let Some(database) = &self.database
        {
            // An error comes again when the verdict is asked for.
            let _ = database.lookup(module).await;
        }
    }

    async fn judge(
        &self,
        module: &ModuleVersion,
        what: Hashed,
        hash: &DirHash,
        source: &str,
    ) -> Result<(), FetchError> {
        match self.sums.check(module, what, hash, source) {
            Verdict::Verified => Ok(()),
            Verdict::Mismatch(error) => Err(error),
            Verdict::NotChecked { .. } => self.add(module, what, hash, source),
            Verdict::Ask => {
                let Some(database) = &self.database else {
                    let text = format!(
                        "verifying {module}: GOSUMDB=off, and the go command never uses a toolchain that the checksum \
                         database did not confirm"
                    );
                    return Err(FetchError::new(FailKind::Forbidden, Party::Client, text)
                        .with_advice("unset GOSUMDB for this download, or install the toolchain by hand"));
                };
                let lines = database.lookup(module).await?;
                match what {
                    Hashed::Zip => lines.check_zip(hash),
                    Hashed::GoMod => lines.check_go_mod(hash),
                }?;
                self.add(module, what, hash, source)
            }
        }
    }

    fn add(&self, module: &ModuleVersion, what: Hashed, hash: &DirHash, source: &str) -> Result<(), FetchError> {
        if let Some(warning) = self.sums.add(module, what, hash, source)? {
            let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        Ok(())
    }
}

impl Judge for Verifier {
    /// Asks the checksum database ahead, where it will be asked: beside the download, not after it.
    fn ahead<'a>(&'a self, module: &'a ModuleVersion, what: Hashed) -> BoxFuture<'a, ()> {
        Box::pin(self.ask_ahead(module, what))
    }

    fn check<'a>(
        &'a self,
        module: &'a ModuleVersion,
        what: Hashed,
        hash: &'a DirHash,
        source: &'a str,
    ) -> BoxFuture<'a, Result<(), FetchError>> {
        Box::pin(self.judge(module, what, hash, source))
    }
}
