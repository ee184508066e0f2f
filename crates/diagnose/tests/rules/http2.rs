//! HTTP/2 and HTTP/1.1: what a connection's frames and endings say, and what they do not.

use goferry_diagnose::observation::Load;
use goferry_diagnose::{Confidence, Id, Severity};
use goferry_net::exchange::Outcome;
use goferry_net::{ErrorKind, Phase};

use super::catalogue::{RTT, body, goaway, idle, positive, reset};
use super::seen::{LOCAL_CA, error, goodput, settings};
use super::support::{Scene, Seen, ms};

#[test]
fn a_variable_in_a_dockerfile_alone_is_possible_and_located() {
    let scene = Scene::on(Seen::healthy(RTT)).file("Dockerfile", "FROM scratch\nENV GODEBUG=http2client=0\n");
    let finding = scene.finding(Id::Http2DisabledByEnv);
    assert_eq!((finding.severity, finding.confidence), (Severity::Info, Confidence::Possible));
    let location = finding.location.unwrap();
    assert!(location.file.ends_with("project/Dockerfile") && location.line == 2, "{location:?}");
    assert!(finding.cost.is_none());
}

#[test]
fn a_variable_in_force_is_measured_and_named_by_the_file_that_sets_it() {
    let finding = positive(Id::Http2DisabledByEnv).file(".envrc", "export GODEBUG=http2client=0\n");
    let finding = finding.finding(Id::Http2DisabledByEnv);
    assert_eq!((finding.severity, finding.confidence), (Severity::Warning, Confidence::Measured));
    let location = finding.location.unwrap();
    assert!(location.file.ends_with("project/.envrc") && location.line == 1, "{location:?}");
}

#[test]
fn other_settings_of_godebug_are_nothing() {
    for value in ["http2client=1", "http2debug=2", "http2server=0", ""] {
        assert!(!Scene::on(Seen::healthy(RTT)).env("GODEBUG", value).says(Id::Http2DisabledByEnv), "{value:?}");
    }
    // The last one counts.
    assert!(!Scene::on(Seen::healthy(RTT)).env("GODEBUG", "http2client=0,http2client=1").says(Id::Http2DisabledByEnv));
}

#[test]
fn a_go_mod_godebug_line_has_no_effect_on_the_go_command() {
    let scene = Scene::on(Seen::healthy(RTT)).file("go.work", "go 1.25.0\n\nuse .\n\ngodebug http2client=0\n");
    assert!(!scene.says(Id::Http2DisabledByEnv));
}

#[test]
fn a_connect_proxy_that_speaks_http_1_1_is_innocent() {
    let proxied = Seen::healthy(RTT).proxied().with(|seen| {
        seen.tunnelled = vec![super::seen::tunnelled(Some(200), Ok(()), RTT)];
    });
    assert_eq!(Scene::on(proxied.clone()).and(Seen::healthy(RTT).twin()).said(), []);
    assert_eq!(Scene::on(proxied).said(), []);
}

#[test]
fn an_origin_without_h2_is_no_fault_of_the_proxy() {
    let scene = Scene::on(Seen::http1(RTT).proxied()).and(Seen::http1(RTT).twin());
    assert_eq!(scene.said(), [(Id::Http2NotOffered, Severity::Warning)]);
    // Intercepted, but the origin itself has no h2: nothing was taken away.
    let scene = scene.but(|seen| seen.signed_by(LOCAL_CA));
    assert_eq!(scene.said(), [(Id::TlsIntercepted, Severity::Info)]);
}

#[test]
fn stripping_without_a_look_at_the_origin_is_no_more_than_derived() {
    let seen = Seen::http1(RTT).proxied().with(|seen| seen.signed_by("O=Zscaler Inc., CN=Zscaler Intermediate CA"));
    let finding = Scene::on(seen).finding(Id::Http2StrippedByProxy);
    assert_eq!(finding.confidence, Confidence::Derived);
    assert_eq!(positive(Id::Http2StrippedByProxy).finding(Id::Http2StrippedByProxy).confidence, Confidence::Measured);
}

#[test]
fn one_closed_connection_is_no_habit() {
    let scene = Scene::on(Seen::http1(RTT)).but(|seen| {
        for exchanged in &mut seen.exchanges[..4] {
            exchanged.exchange.closes = true;
        }
    });
    assert_eq!(scene.said(), [(Id::Http2NotOffered, Severity::Warning)]);
}

#[test]
fn a_limit_of_100_streams_is_fine_at_any_width() {
    let with_limit = |limit, procs: &str| {
        let seen = Seen::healthy(RTT).with(|seen| seen.h2[0].settings = Some((settings(limit), RTT)));
        Scene::on(seen).env("GOMAXPROCS", procs).says(Id::MaxConcurrentStreamsLow)
    };
    assert!(!with_limit(100, "128"));
    assert!(with_limit(99, "128"));
    // As many as the go command has open at once are enough.
    assert!(!with_limit(16, "16"));
    assert!(with_limit(15, "16"));
    // Fewer than 8 are few on any machine.
    assert!(!with_limit(8, "2"));
    assert!(with_limit(7, "2"));
}

#[test]
fn a_server_that_names_no_limit_has_none() {
    let silent = Seen::healthy(RTT).with(|seen| seen.h2[0].settings = Some((goferry_wire::h2::Settings::new(), RTT)));
    assert_eq!(Scene::on(silent).said(), []);
}

#[test]
fn refused_streams_above_a_low_limit_are_told_of_once() {
    let scene = positive(Id::MaxConcurrentStreamsLow).but(|seen| {
        seen.h2[0].resets.push(reset("REFUSED_STREAM"));
        seen.exchanges[9].exchange.outcome = Outcome::Reset { code: "REFUSED_STREAM".to_owned() };
    });
    assert_eq!(scene.said(), [(Id::MaxConcurrentStreamsLow, Severity::Warning)]);
    // At a limit that is high enough they are resets like others, which go asks for again.
    let scene = scene.but(|seen| seen.h2[0].settings = Some((settings(128), RTT)));
    assert_eq!(scene.said(), [(Id::StreamReset, Severity::Warning)]);
}

#[test]
fn goaway_on_an_idle_connection_is_no_churn() {
    let scene = Scene::on(Seen::healthy(RTT).fact(idle(Some(ms(20_000)))));
    assert_eq!(scene.said(), [(Id::IdleTimeoutShort, Severity::Info)]);
}

#[test]
fn goaway_that_breaks_what_it_promised_is_an_error() {
    let cut_off = |stream: u32, status: Option<u16>| {
        positive(Id::GoawayChurn)
            .but(|seen| {
                seen.h2[0].goaways = vec![goaway("NO_ERROR", 29, 16)];
                let last = &mut seen.exchanges.last_mut().unwrap().exchange;
                last.stream_id = stream;
                last.status = status;
                last.outcome = Outcome::GoneAway { code: "NO_ERROR".to_owned(), last_stream_id: 29 };
            })
            .finding(Id::GoawayChurn)
            .severity
    };
    // Above the last id and without a response: asked for again.
    assert_eq!(cut_off(31, None), Severity::Warning);
    assert_eq!(cut_off(29, None), Severity::Error);
    assert_eq!(cut_off(31, Some(200)), Severity::Error);
    assert_eq!(cut_off(29, Some(200)), Severity::Error);
}

#[test]
fn goaway_with_an_error_code_is_an_error() {
    let scene = positive(Id::GoawayChurn).but(|seen| seen.h2[0].goaways = vec![goaway("ENHANCE_YOUR_CALM", 31, 16)]);
    assert_eq!(scene.said(), [(Id::GoawayChurn, Severity::Error)]);
}

#[test]
fn a_first_frame_within_two_round_trips_and_a_bit_is_not_late() {
    let at = |millis| {
        Scene::on(Seen::healthy(RTT).with(|seen| seen.h2[0].first_frame = Some(("SETTINGS".to_owned(), ms(millis)))))
    };
    assert!(!at(249).says(Id::SettingsLate));
    assert!(at(250).says(Id::SettingsLate));
    // One slow connection of two: the server can do better.
    let scene = at(800).but(|seen| seen.h2.push(Seen::healthy(RTT).h2.remove(0)));
    assert!(!scene.says(Id::SettingsLate));
}

#[test]
fn a_connection_that_ends_before_its_first_frame_is_not_silent() {
    let scene = positive(Id::SettingsMissing).but(|seen| {
        let closed = error(Phase::Http2, ErrorKind::Closed);
        seen.unanswered(&Outcome::Lost(closed.clone()));
        seen.h2[0].ended = Some((closed, ms(60)));
    });
    assert_eq!(scene.said(), [(Id::ConnectionReset, Severity::Error)]);
}

#[test]
fn what_this_side_stopped_is_no_reset() {
    let scene = Scene::on(Seen::healthy(RTT)).but(|seen| {
        seen.exchanges[3].exchange.outcome = Outcome::Stopped;
        let last = &mut seen.exchanges[15].exchange;
        last.outcome = Outcome::Unsent;
        last.status = None;
    });
    assert_eq!(scene.said(), []);
}

#[test]
fn slow_start_is_no_window() {
    let growing: Vec<u64> = (0..9).map(|n| 14_600 << n).collect();
    assert_eq!(Scene::on(Seen::healthy(RTT).with(|seen| body(seen, &growing))).said(), []);
    // Three even bursts may be chance, four are none. The last burst has no silence after it and does not count.
    let even = |bursts: usize| Scene::on(Seen::healthy(RTT).with(|seen| body(seen, &vec![80_000; bursts + 1])));
    assert_eq!(even(3).said(), []);
    assert!(even(4).says(Id::WindowLimited));
    // With segments out of order it is loss that speaks.
    let lossy = Seen::healthy(RTT).with(|seen| body(seen, &[65_536; 12])).fact(goodput(1, 10.0, 1));
    assert!(!Scene::on(lossy).says(Id::WindowLimited));
}

#[test]
fn the_window_is_named_with_what_it_allows() {
    let finding = positive(Id::WindowLimited).finding(Id::WindowLimited);
    assert!(finding.title.contains("64 KiB") && finding.title.contains("10.5 Mbit/s"), "{}", finding.title);
}

#[test]
fn a_body_that_stops_while_pings_are_answered_hangs_the_command() {
    let stalled = |ping_answered| {
        Scene::on(Seen::healthy(RTT)).but(|seen| {
            seen.exchanges[15].load = Load::Large;
            let last = &mut seen.exchanges[15].exchange;
            last.headers = vec![("content-length".to_owned(), "1000000".to_owned())];
            last.body_bytes = 65_535;
            last.outcome = Outcome::Stalled { ping_answered: Some(ping_answered) };
        })
    };
    assert_eq!(stalled(true).said(), [(Id::WindowLimited, Severity::Error)]);
    assert_eq!(stalled(false).said(), [(Id::ConnectionReset, Severity::Error)]);
}

#[test]
fn idle_connections_may_end_after_half_a_minute() {
    for ended_after in [None, Some(ms(30_000)), Some(ms(39_000))] {
        assert_eq!(Scene::on(Seen::healthy(RTT).fact(idle(ended_after))).said(), [], "{ended_after:?}");
    }
}

#[test]
fn a_goferry_is_told_of_its_own_settings() {
    let named = |server: &'static str| {
        move |seen: &mut Seen| seen.each(|exchange| exchange.headers.push(("server".to_owned(), server.to_owned())))
    };
    for (path, id, config) in
        [(Seen::plain(RTT), Id::PlainHttp, "[tls]\ncert = "), (Seen::http1(RTT), Id::Http2NotOffered, "[tls]\ncert = ")]
    {
        let remedies = Scene::on(path.clone()).but(named("goferry/0.1.0")).finding(id).remedies;
        assert!(
            remedies.iter().any(|remedy| remedy.config.as_ref().is_some_and(|text| text.starts_with(config))),
            "{id}: {remedies:?}"
        );
        assert!(!remedies.iter().any(|remedy| remedy.place.starts_with("nginx")), "{id}: {remedies:?}");
        let others = Scene::on(path).but(named("nginx/1.25.1")).finding(id).remedies;
        assert!(!others.iter().any(|remedy| remedy.place.starts_with("goferry, ")), "{id}: {others:?}");
    }
}
