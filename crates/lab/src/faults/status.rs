//! The module proxy answers with an error status, one fault for each.

use super::prelude::*;

pub(super) const FAMILY: &[Fault] = &[
    Fault {
        id: "status-401",
        summary: "every request is answered with 401",
        findings: STATUS,
        go: Go::always(Fails(&["401 Unauthorized"])),
        build: || status(401),
    },
    Fault {
        id: "status-403",
        summary: "every request is answered with 403",
        findings: STATUS,
        go: Go::always(Fails(&["403 Forbidden"])),
        build: || status(403),
    },
    Fault {
        id: "status-404",
        summary: "every request is answered with 404",
        findings: STATUS,
        go: Go::always(Fails(&["404 Not Found"])),
        build: || status(404),
    },
    Fault {
        id: "status-421",
        summary: "every request is answered with 421",
        findings: STATUS,
        go: Go::always(Fails(&["421 Misdirected Request"])),
        build: || status(421),
    },
    Fault {
        id: "status-429",
        summary: "every request is answered with 429",
        findings: STATUS,
        go: Go::always(Fails(&["429 Too Many Requests"])),
        build: || status(429),
    },
    Fault {
        id: "status-500",
        summary: "every request is answered with 500",
        findings: STATUS,
        go: Go::always(Fails(&["500 Internal Server Error"])),
        build: || status(500),
    },
    Fault {
        id: "status-503",
        summary: "every request is answered with 503",
        findings: STATUS,
        go: Go::always(Fails(&["503 Service Unavailable"])),
        build: || status(503),
    },
];

const STATUS: &[Expected] = &[Expected::error("upstream-status")];

fn status(status: u16) -> Scenario {
    let retry_after = matches!(status, 429 | 503).then_some(30);
    let answers = Answers { status: vec![(Which::ALL, status)], retry_after, ..Answers::default() };
    Scenario::of(Behaviour { answers, ..Behaviour::default() })
}
