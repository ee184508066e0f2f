//! The checksum database through this proxy (<https://go.dev/design/25530-sumdb>, "Proxying a checksum database").

use std::sync::Arc;

use http::StatusCode;

use crate::answer::{Answer, EntityContent, Request};
use crate::route::SumDbRoute;
use crate::store::small;
use crate::upstream::Upstream;

/// Answers of the checksum database, verified where they can be and kept.
pub struct SumDb {
    upstream: Arc<Upstream>,
}

impl SumDb {
    /// Those of the database that `upstream` verifies with.
    #[must_use]
    pub fn new(upstream: Arc<Upstream>) -> SumDb {
        SumDb { upstream }
    }

    /// The answer to a request.
    pub async fn answer(&self, name: &str, what: &SumDbRoute, request: &Request) -> Answer {
        let Some(database) = self.upstream.database().filter(|database| database.name() == name) else {
            let text = format!("this proxy does not answer for the checksum database {name}: ask it itself");
            return Answer::text(StatusCode::NOT_FOUND, text);
        };
        let (outcome, kind, cache) = match what {
            SumDbRoute::Supported => (Ok("supported\n".into()), "text/plain; charset=utf-8", "max-age=3600"),
            SumDbRoute::Latest => (database.latest().await, "text/plain; charset=utf-8", "max-age=60"),
            SumDbRoute::Lookup(module) => (database.record(module).await, "text/plain; charset=utf-8", "max-age=3600"),
            SumDbRoute::Tile(tile) => (database.tile(*tile).await, "application/octet-stream", crate::answer::FOR_EVER),
        };
        match outcome {
            Ok(bytes) => {
                let entity = small(bytes, kind, cache);
                debug_assert!(matches!(entity.content, EntityContent::Memory(_)));
                Answer::entity(&entity, &request.headers)
            }
            Err(error) => Answer::failed(&error),
        }
    }
}
