//! The end of each case: the server with what doctor printed in its configuration.

use std::net::SocketAddr;

use goferry_lab::servers::{Config, RealServer, Traffic};

use crate::diagnosis::{Diagnosis, Remedy};
use crate::evidence;
use crate::world::World;

/// A misconfiguration, what it led to, and what doctor made of it.
pub(crate) struct Case<'a> {
    world: &'a World,
    /// The misconfiguration, in words.
    situation: &'a str,
    /// What go did.
    before: String,
    /// With the id of the finding.
    diagnosis: (&'a Diagnosis, &'a str),
    remedy: &'a Remedy,
}

impl<'a> Case<'a> {
    pub(crate) fn new(
        world: &'a World,
        situation: &'a str,
        before: String,
        diagnosis: (&'a Diagnosis, &'a str),
        remedy: &'a Remedy,
    ) -> Case<'a> {
        Case { world, situation, before, diagnosis, remedy }
    }

    /// Starts the module proxy anew: doctor has nothing left to find, and go needs one connection.
    #[track_caller]
    pub(crate) fn ends_repaired(self, server: RealServer, config: &Config) {
        let server = self.world.restart(server, config);
        self.end(config, &server, None);
    }

    /// Starts the forward proxy anew, with the same end: `origin` is the module proxy behind it.
    #[track_caller]
    pub(crate) fn ends_repaired_on_the_way(self, proxy: RealServer, config: &Config, origin: &RealServer) {
        let via = proxy.address();
        let _proxy = self.world.restart(proxy, config);
        self.end(config, origin, Some(via));
    }

    #[track_caller]
    fn end(self, config: &Config, log: &RealServer, via: Option<SocketAddr>) {
        self.world.doctor(via).is_free_of(&[self.diagnosis.1]);
        let after = self.world.go_traffic(log, via);
        assert_eq!(after.connections, 1, "{after:?}");
        self.write(config, &after);
    }

    /// Starts the module proxy anew: it keeps connections, of which go needs far fewer than `before`. It speaks HTTP/1.1 still,
    /// and that is now what there is to say.
    #[track_caller]
    pub(crate) fn keeps_connections(self, server: RealServer, config: &Config, before: &Traffic) {
        let server = self.world.restart(server, config);
        let again = self.world.doctor(None);
        again.names("http2-not-offered");
        assert_eq!(again.severity(self.diagnosis.1), "", "{again}");
        let after = self.world.go_traffic(&server, None);
        assert!(after.connections < before.connections * 3 / 4, "{after:?}");
        self.write(config, &after);
    }

    fn write(self, config: &Config, after: &Traffic) {
        let after = evidence::said(after);
        evidence::repaired(config.program, self.situation, self.before, self.diagnosis, self.remedy, after);
    }
}
