//! The server's first frame comes 1.5 s after TLS, and everything with it.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "settings-late",
    summary: "SETTINGS come 1.5 s late",
    findings: &[Expected::warning("settings-late")],
    go: Go::always(Succeeds),
    build: || {
        Scenario::of(Behaviour {
            http2: Http2 {
                settings_timing: SettingsTiming::After(Duration::from_millis(1500)),
                ..Http2::default()
            },
            ..Behaviour::default()
        })
    },
};
