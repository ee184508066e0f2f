//! A PING before SETTINGS: RFC 9113 section 3.4 says SETTINGS come first, and Go closes with PROTOCOL_ERROR.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "settings-not-first",
    summary: "the first frame is not SETTINGS",
    findings: &[Expected::error("settings-invalid")],
    go: Go::always(Fails(&["PROTOCOL_ERROR"])),
    build: || {
        Scenario::of(Behaviour {
            http2: Http2 {
                settings_timing: SettingsTiming::AfterPing,
                ..Http2::default()
            },
            ..Behaviour::default()
        })
    },
};
