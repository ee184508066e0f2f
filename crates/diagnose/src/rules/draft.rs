//! What a rule says, before it is priced.

use crate::case::PathView;
use crate::finding::{Confidence, Evidence, Id, Location};
use crate::observation::PathId;
use crate::price::Change;

/// What a finding does to the go command, which decides its severity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// The go command fails or hangs: an error, whatever it costs.
    Fails,
    /// It loses time that the change gives back: a warning, or info where the price is small.
    Costs(Change),
    /// It loses time that cannot be priced: a warning.
    Warns,
    /// Worth knowing: info. With a change, the cost is said.
    Notes(Option<Change>),
    /// Info whose cost is what one multiplexed connection would save.
    NotesSerial,
}

/// A finding without its price.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Which finding.
    pub id: Id,
    /// The path that it is about.
    pub path: Option<PathId>,
    /// One line with the figures of this case.
    pub title: String,
    /// What it does to the go command.
    pub effect: Effect,
    /// How sure.
    pub confidence: Confidence,
    /// The proof.
    pub evidence: Vec<Evidence>,
    /// Why it costs time in Go.
    pub why: String,
    /// The command that shows that the remedy worked.
    pub verify: String,
    /// The file and line that cause it.
    pub location: Option<Location>,
    /// The HTTP/2 error code, for the remedies.
    pub code: Option<String>,
    /// The HTTP status, for the remedies.
    pub status: Option<u16>,
    /// The toolchain, for the remedies.
    pub toolchain: Option<String>,
}

impl Draft {
    /// A draft about the whole case, measured, that warns.
    #[must_use]
    pub fn new(id: Id, title: impl Into<String>, effect: Effect) -> Draft {
        Draft {
            id,
            path: None,
            title: title.into(),
            effect,
            confidence: Confidence::Measured,
            evidence: Vec::new(),
            why: String::new(),
            verify: "goferry doctor".to_owned(),
            location: None,
            code: None,
            status: None,
            toolchain: None,
        }
    }

    /// About this path.
    #[must_use]
    pub fn on(mut self, path: PathView<'_>) -> Draft {
        self.path = Some(path.id);
        self
    }

    /// With this line of proof.
    #[must_use]
    pub fn proof(mut self, evidence: Evidence) -> Draft {
        self.evidence.push(evidence);
        self
    }

    /// With these lines of proof.
    #[must_use]
    pub fn proofs(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Draft {
        self.evidence.extend(evidence);
        self
    }

    /// Because of this.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Draft {
        self.why = why.into();
        self
    }

    /// Verified by this command.
    #[must_use]
    pub fn verify(mut self, command: impl Into<String>) -> Draft {
        self.verify = command.into();
        self
    }

    /// This sure.
    #[must_use]
    pub fn confidence(mut self, confidence: Confidence) -> Draft {
        self.confidence = confidence;
        self
    }
}
