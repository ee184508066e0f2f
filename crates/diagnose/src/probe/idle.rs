//! How long the server leaves an idle connection open (`--deep`).

use std::time::Duration;

use goferry_module::FileKind;

use crate::observation::{Fact, Http, Load};

use super::Prober;

/// Longer pauses than this are not waited for.
const PATIENCE: Duration = Duration::from_secs(40);

impl Prober<'_> {
    /// Leaves a connection idle after one request. Two with HTTP/1.1: that is what Go keeps.
    pub(super) async fn probe_idle(&mut self) {
        let patience = self.budget.bound(PATIENCE);
        if patience < Duration::from_secs(5) {
            self.facts.push(Fact::BudgetSpent { left_out: "idle time-outs".to_owned() });
            return;
        }
        self.say(&format!("leaving connections to {} idle for up to {} s", self.target.info.host, patience.as_secs()));
        let paths = self.plan.small(FileKind::Info, 0, 1);
        let is_http2 = self.facts.iter().any(|fact| matches!(fact, Fact::Http2 { .. }));
        if is_http2 {
            let Some(mut client) = self.open_client().await else { return };
            let idle = self.idle_http2(&mut client, &paths, patience).await;
            self.facts.push(match idle {
                Some(ended_after) => Fact::Idle { http: Http::V2, waited: patience, ended_after },
                None => {
                    Fact::BudgetSpent { left_out: "idle time-outs: the request before was not answered".to_owned() }
                }
            });
            // The GOAWAY of an idle connection is no churn: this connection says nothing else.
        } else {
            let (first, second) = (self.open_http1().await, self.open_http1().await);
            let (Some(mut first), Some(mut second)) = (first, second) else { return };
            self.ask_http1(&mut first, &paths, 0, Load::Deep).await;
            self.ask_http1(&mut second, &paths, 0, Load::Deep).await;
            if !first.h1.is_usable() || !second.h1.is_usable() {
                return;
            }
            let (first, second) = tokio::join!(first.h1.idle(patience), second.h1.idle(patience));
            for ended_after in [first, second] {
                self.facts.push(Fact::Idle { http: Http::V1, waited: patience, ended_after });
            }
        }
    }
}
