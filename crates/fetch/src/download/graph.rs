//! The module graph: every go.mod that is needed, all that are known asked for at once.

use std::sync::Arc;

use goferry_module::graph::{GraphLoader, MainModule, ModuleGraph, Need, Workspace};
use goferry_net::Party;
use tokio::task::JoinSet;

use super::Shop;
use crate::error::{FailKind, FetchError};
use crate::source::MAX_GO_MOD;
use goferry_env::ProjectFiles;

/// Starts a loader on a project's files.
pub(super) fn loader(project: &ProjectFiles) -> Result<GraphLoader, FetchError> {
    let parent = |file: &std::path::Path| file.parent().map(std::path::Path::to_owned).unwrap_or_default();
    let main =
        project.modules.iter().map(|(file, go_mod)| MainModule { dir: parent(file), go_mod: go_mod.clone() }).collect();
    let workspace =
        project.go_work.as_ref().map(|(file, go_work)| Workspace { dir: parent(file), go_work: go_work.clone() });
    GraphLoader::new(main, workspace).map_err(|error| invalid(&error))
}

/// Loads the graph. Its go.mod files are verified and go into the cache.
pub(super) async fn load(shop: &Arc<Shop>, mut loader: GraphLoader) -> Result<ModuleGraph, FetchError> {
    let mut running = JoinSet::new();
    loop {
        for need in loader.needs() {
            let shop = Arc::clone(shop);
            running.spawn(async move {
                let outcome = match &need {
                    Need::Module(module) => shop.go_mod_bytes(module).await,
                    Need::Directory(dir) => local(dir),
                };
                (need, outcome)
            });
        }
        let Some(ended) = running.join_next().await else { break };
        let (need, outcome) = ended.map_err(|error| {
            FetchError::new(FailKind::Invalid, Party::Goferry, format!("loading the module graph: {error}"))
        })?;
        match outcome {
            Ok(go_mod) => loader.provide(&need, &go_mod).map_err(|error| invalid(&error))?,
            Err(mut error) => {
                let chain = loader.required_by(&need);
                if !chain.is_empty() {
                    error.detail = format!("{} requires\n\t{need}: {}", chain.join(" requires\n\t"), error.detail);
                } else if !error.detail.contains(&need.to_string()) {
                    error.detail = format!("{need}: {}", error.detail);
                }
                return Err(error);
            }
        }
    }
    loader.finish().map_err(|error| invalid(&error))
}

fn local(dir: &std::path::Path) -> Result<Vec<u8>, FetchError> {
    use std::io::Read as _;
    let file = dir.join("go.mod");
    let mut data = Vec::new();
    let read = std::fs::File::open(&file).and_then(|open| open.take(MAX_GO_MOD as u64 + 1).read_to_end(&mut data));
    match read {
        Ok(size) if size <= MAX_GO_MOD => Ok(data),
        Ok(_) => Err(FetchError::invalid(format!("{}: more than 16 MiB", file.display()))),
        Err(error) => Err(FetchError::local(format_args!("replacement directory: reading {}", file.display()), &error)),
    }
}

fn invalid(error: &goferry_module::graph::GraphError) -> FetchError {
    FetchError::new(FailKind::Invalid, Party::Client, error.to_string())
}
