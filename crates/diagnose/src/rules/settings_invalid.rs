//! The first frame is not SETTINGS, or has a value that RFC 9113 does not allow.

use crate::case::Case;
use crate::finding::{Evidence, Id};

use super::shared::failure;
use super::{Draft, Rule};

pub(super) const RULE: Rule = Rule { id: Id::SettingsInvalid, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths() {
        let Some((seen, _)) = path.h2().find(|(seen, _)| seen.bad_preface) else { continue };
        let frame = seen.first_frame.as_ref().map_or("", |(kind, _)| kind.as_str());
        drafts.push(
            Draft::new(
                Id::SettingsInvalid,
                format!("{} begins HTTP/2 with a frame that breaks the protocol", path.info.host),
                failure(case, path),
            )
            .on(path)
            .proof(Evidence::text("first frame", frame))
            .proof(Evidence::text("what is wrong with it", seen.protocol_error.clone().unwrap_or_default()))
            .why(
                "The first frame must be SETTINGS with allowed values (RFC 9113 sections 3.4, 6.5.2). Go answers anything \
                 else with a connection error (net/http/internal/http2/transport.go, processSettings) and does not fall back \
                 to HTTP/1.1: the command fails.",
            )
            .verify(format!("nghttp -nv {}/", path.info.entry)),
        );
    }
    drafts
}
