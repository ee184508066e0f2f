//! A whole diagnosis: look around, probe, judge, sum up.

use goferry_env::{EnvError, Inputs};

use crate::case::{Case, PathView};
use crate::observation::{Fact, Observation, PathInfo};
use crate::price::{self, PriceInputs};
use crate::pricing;
use crate::probe::{self, Reporter};
use crate::report::{self, Report};
use crate::rules;
use crate::surroundings::Surroundings;

/// What the user asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The long probes: 1,500 requests and 120 s.
    pub deep: bool,
    /// What takes GOPROXY's place.
    pub proxy: Option<String>,
}

/// Why there is no diagnosis.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiagnoseError {
    /// There is no usable GOPROXY; the text says what to set.
    #[error(transparent)]
    Environment(#[from] EnvError),
    /// The project's files cannot be read; the text names file and line.
    #[error("{0}")]
    Project(String),
}

/// Diagnoses the project of `inputs`.
///
/// # Errors
/// [`DiagnoseError`]. Whatever the network does is a finding, not an error.
pub async fn diagnose(inputs: &Inputs, options: &Options, reporter: &dyn Reporter) -> Result<Report, DiagnoseError> {
    reporter.phase("reading the Go environment");
    let around = Surroundings::look(inputs, options.proxy.as_deref())?;
    if let Some(problem) = &around.project_problem {
        return Err(DiagnoseError::Project(problem.clone()));
    }
    let targets = probe::targets(&around);
    let observations = probe::probe(&around, &targets, options.deep, reporter).await;
    let paths: Vec<PathInfo> = targets.into_iter().map(|target| target.info).collect();
    Ok(conclude(&around, &paths, &observations, options.deep))
}

/// From what was seen to the report: pure.
#[must_use]
pub fn conclude(around: &Surroundings, paths: &[PathInfo], observations: &[Observation], deep: bool) -> Report {
    let nominal = PriceInputs {
        project: price::Project::uniform(pricing::NOMINAL_MODULES, pricing::TYPICAL_ZIP),
        client: price::Client::default(),
        path: price::Path::default(),
        costs: price::HostCosts::default(),
    };
    let case = Case {
        environment: around,
        project: around.project.as_ref(),
        setters: &around.setters,
        paths,
        observations,
        price: &nominal,
        deep,
    };
    let main = case.main_path();
    let earlier: Vec<PathView<'_>> = match main {
        Some(main) => {
            case.go_paths().filter(|path| path.info.position < main.info.position && path.answers()).collect()
        }
        None => Vec::new(),
    };
    let sizes = zip_sizes(observations);
    let price = pricing::inputs(around, main, &earlier, &sizes);
    let case = Case { price: &price, ..case };
    report::summarize(&case, rules::judge(&case))
}

/// Sizes of zips that were seen on the wire, each once.
fn zip_sizes(observations: &[Observation]) -> Vec<u64> {
    let mut seen: Vec<(&str, u64)> = observations
        .iter()
        .filter_map(|observation| match &observation.fact {
            Fact::Exchanged { exchange, .. } if exchange.path.ends_with(".zip") && exchange.status == Some(200) => {
                Some((exchange.path.as_str(), exchange.content_length()?))
            }
            _ => None,
        })
        .collect();
    seen.sort_unstable();
    seen.dedup();
    seen.into_iter().map(|(_, size)| size).collect()
}
