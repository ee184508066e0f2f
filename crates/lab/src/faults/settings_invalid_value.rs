//! SETTINGS_INITIAL_WINDOW_SIZE of 2^31: a FLOW_CONTROL_ERROR by RFC 9113 section 6.5.2.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "settings-invalid-value",
    summary: "SETTINGS carry a value that is not allowed",
    findings: &[Expected::error("settings-invalid")],
    go: Go::always(Fails(&["FLOW_CONTROL_ERROR"])),
    build: || {
        Scenario::of(Behaviour {
            http2: Http2 {
                settings: Settings::new().with(SettingId::InitialWindowSize, 0x8000_0000),
                ..Http2::default()
            },
            ..Behaviour::default()
        })
    },
};
