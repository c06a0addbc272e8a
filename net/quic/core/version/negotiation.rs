// SPDX-License-Identifier: GPL-2.0 OR MIT

//! How client and server agree on a version, and how they notice that somebody made them agree on a
//! worse one (RFC 9368).
//!
//! ```text
//! client                                                        server
//!   Initial in the original version ------------------------->  not spoken: Version Negotiation packet
//!   answer_negotiation_packet() <-----------------------------
//!   Initial in another version ------------------------------>  check_client(), select_compatible()
//!   negotiated version = that of the first long header that
//!   differs, check_server() <---------------------------------  Initial in the negotiated version
//! ```
//!
//! Everything here is a function of its arguments. `preference` is what the local endpoint speaks,
//! the preferred first.

use super::{SupportedVersion, Version, VersionInformation};
use crate::error::TransportError;

/// What a client does about a Version Negotiation packet.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum NegotiationAnswer {
    /// Nothing: the packet is to be ignored.
    Ignore,
    /// Give up: there is no common version.
    Abort,
    /// Start again with this version.
    Retry(SupportedVersion),
}

/// What a client does about a Version Negotiation packet that lists `offered`, after it tried
/// `original`.
///
/// The caller has compared the connection IDs, and does not call this for a connection attempt that
/// already is the answer to such a packet or has processed another packet.
pub fn answer_negotiation_packet(
    preference: &[SupportedVersion],
    original: Version,
    offered: impl Iterator<Item = Version> + Clone,
) -> NegotiationAnswer {
    // RFC 9368 §4: Clients MUST ignore any received Version Negotiation packets that contain the
    // Original Version.
    // RFC 9000 §6.2: A client MUST discard a Version Negotiation packet that lists the QUIC version
    // selected by the client.
    if offered.clone().any(|version| version == original) {
        return NegotiationAnswer::Ignore;
    }
    // RFC 9368 §2.1: the client SHALL search for a version it supports in the list provided by the
    // server. If it doesn't find one, it SHALL abort the connection attempt.
    preferred(preference, |version| {
        offered.clone().any(|offered| offered == version.wire())
    })
    .map_or(NegotiationAnswer::Abort, NegotiationAnswer::Retry)
}

/// The version in which a server goes on with a connection that the client started in `chosen`.
///
/// `preference` comes first if the client offers one of them; with an empty one the client's choice
/// stands. `client` is absent if the client sent no version_information.
// RFC 9368 §2.3: the server MUST select one of these versions that it (1) supports and (2) knows
// the client's Chosen Version is compatible with.
// RFC 9369 §4: version 2 meets the definition of a compatible version with version 1, and version 1
// is compatible with version 2.
pub fn select_compatible(
    preference: &[SupportedVersion],
    chosen: SupportedVersion,
    client: Option<&VersionInformation>,
) -> SupportedVersion {
    client
        .and_then(|client| preferred(preference, |version| client.offers(version)))
        .unwrap_or(chosen)
}

/// What a server checks in the version_information of a client whose packets came in version
/// `in_use`.
///
/// Fails with VERSION_NEGOTIATION_ERROR.
pub fn check_client(
    client: &VersionInformation,
    in_use: SupportedVersion,
) -> Result<(), TransportError> {
    // RFC 9368 §4: the server MUST validate that the client's Chosen Version matches the version in
    // use for the connection. If the two differ, the server MUST close the connection with a
    // version negotiation error.
    if client.chosen != in_use.wire() {
        return Err(TransportError::version_negotiation(
            "chosen version is not the one in use",
        ));
    }
    Ok(())
}

/// What a client knows when it checks the server's version_information.
#[derive(Copy, Clone, Debug)]
pub struct ClientNegotiation<'a> {
    /// What the client speaks, the preferred first.
    pub preference: &'a [SupportedVersion],
    /// The version_information that the client sent, absent if it sent none.
    pub sent: Option<&'a VersionInformation>,
    /// The version in which the server answered.
    pub negotiated: SupportedVersion,
    /// Whether this connection attempt is the answer to a Version Negotiation packet.
    pub after_negotiation_packet: bool,
}

impl ClientNegotiation<'_> {
    /// Checks the version_information of the server, `None` if it sent none.
    ///
    /// Fails with VERSION_NEGOTIATION_ERROR.
    pub fn check_server(&self, server: Option<&VersionInformation>) -> Result<(), TransportError> {
        let Some(server) = server else {
            return self.check_silent_server();
        };

        // RFC 9368 §4: clients MUST validate that the server's Chosen Version is equal to the
        // Negotiated Version; if they do not match, the client MUST close the connection
        // with a version negotiation error.
        if server.chosen != self.negotiated.wire() {
            return Err(TransportError::version_negotiation(
                "server chose another version than it uses",
            ));
        }

        // RFC 9368 §4: If a client receives Version Information where the server's Chosen Version
        // was not sent by the client as part of its Available Versions, the client MUST
        // close the connection with a version negotiation error.
        if self.sent.is_some_and(|sent| !sent.offers(self.negotiated)) {
            return Err(TransportError::version_negotiation(
                "server chose a version that was not offered",
            ));
        }

        if !self.after_negotiation_packet {
            return Ok(());
        }
        // RFC 9368 §4: if the client reacted to a Version Negotiation packet and the server's
        // Available Versions field is empty, the client MUST close the connection with a
        // version negotiation error.
        if server.is_empty {
            return Err(TransportError::version_negotiation(
                "server lists no versions",
            ));
        }
        // RFC 9368 §4: the client would have selected the same version if it received a Version
        // Negotiation packet that listed the versions in the server's Available Versions
        // field, plus the Negotiated Version. If the client would have selected a different
        // version, the client MUST close the connection with a version negotiation error.
        let would_have_selected = preferred(self.preference, |version| {
            server.offers(version) || version == self.negotiated
        });
        if would_have_selected != Some(self.negotiated) {
            return Err(TransportError::version_negotiation(
                "a better version is available: downgrade",
            ));
        }
        Ok(())
    }

    fn check_silent_server(&self) -> Result<(), TransportError> {
        // RFC 9368 §4: If a client has reacted to a Version Negotiation packet and the server's
        // Version Information was missing, the client MUST close the connection with a
        // version negotiation error.
        if self.after_negotiation_packet {
            return Err(TransportError::version_negotiation(
                "version_information is missing",
            ));
        }
        // Without it, nothing authenticates that the server left the version of the client.
        let chosen = self.sent.map(|sent| sent.chosen);
        if chosen.is_some_and(|chosen| chosen != self.negotiated.wire()) {
            return Err(TransportError::version_negotiation(
                "version changed without version_information",
            ));
        }
        Ok(())
    }
}

fn preferred(
    preference: &[SupportedVersion],
    acceptable: impl Fn(SupportedVersion) -> bool,
) -> Option<SupportedVersion> {
    preference
        .iter()
        .copied()
        .find(|&version| acceptable(version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::TransportErrorCode;
    use SupportedVersion::{V1, V2};

    // [rfc9000-6.2-1] [rfc9000-6.2-3]
    #[test]
    fn client_answers_a_negotiation_packet() {
        let reserved = Version::reserved(0);
        let unknown = Version::new(0xff00_001d);
        for (preference, original, offered, answer) in [
            (
                &[V2, V1][..],
                reserved,
                &[Version::V1, Version::V2][..],
                NegotiationAnswer::Retry(V2),
            ),
            (
                &[V1, V2],
                reserved,
                &[Version::V1, Version::V2],
                NegotiationAnswer::Retry(V1),
            ),
            (
                &[V2, V1],
                Version::V2,
                &[unknown, Version::V1],
                NegotiationAnswer::Retry(V1),
            ),
            (
                &[V2, V1],
                Version::V1,
                &[Version::V1, Version::V2],
                NegotiationAnswer::Ignore,
            ),
            (
                &[V1],
                Version::V1,
                &[Version::V2, reserved],
                NegotiationAnswer::Abort,
            ),
            (&[V1], Version::V1, &[], NegotiationAnswer::Abort),
        ] {
            assert_eq!(
                answer_negotiation_packet(preference, original, offered.iter().copied()),
                answer
            );
        }
    }

    #[test]
    fn server_selects_what_the_client_offers() {
        let both = VersionInformation::new(Version::V1, &[V1, V2]);
        let only_v1 = VersionInformation::new(Version::V1, &[V1]);
        assert_eq!(select_compatible(&[V2, V1], V1, Some(&both)), V2);
        assert_eq!(select_compatible(&[V1, V2], V1, Some(&both)), V1);
        assert_eq!(select_compatible(&[], V1, Some(&both)), V1);
        assert_eq!(select_compatible(&[V2, V1], V1, Some(&only_v1)), V1);
        assert_eq!(select_compatible(&[V2], V1, Some(&only_v1)), V1);
        assert_eq!(select_compatible(&[V2, V1], V1, None), V1);
    }

    #[test]
    fn server_compares_the_chosen_version_with_the_header() {
        let information = VersionInformation::new(Version::V1, &[V1, V2]);
        assert_eq!(check_client(&information, V1), Ok(()));
        let error = check_client(&information, V2).unwrap_err();
        assert_eq!(error.code, TransportErrorCode::VERSION_NEGOTIATION_ERROR);
    }

    #[test]
    fn client_checks_the_server() {
        let sent_both = VersionInformation::new(Version::V1, &[V2, V1]);
        let sent_v1 = VersionInformation::new(Version::V1, &[V1]);
        let server = VersionInformation::new;
        // What was sent, what the server answered in, whether after a VN packet, what the server
        // says, the verdict.
        for (sent, negotiated, after, said, valid) in [
            (
                Some(sent_both),
                V2,
                false,
                Some(server(Version::V2, &[V1, V2])),
                true,
            ),
            (
                Some(sent_both),
                V1,
                false,
                Some(server(Version::V1, &[])),
                true,
            ),
            (Some(sent_both), V1, false, None, true),
            (None, V1, false, None, true),
            (
                Some(sent_both),
                V1,
                true,
                Some(server(Version::V1, &[V1])),
                true,
            ),
            // Fully Deployed Versions need not hold the negotiated one.
            (
                Some(sent_both),
                V2,
                true,
                Some(server(Version::V2, &[V1])),
                true,
            ),
            // The server chose one thing and said another.
            (
                Some(sent_both),
                V1,
                false,
                Some(server(Version::V2, &[V1, V2])),
                false,
            ),
            // It took what was not offered.
            (
                Some(sent_v1),
                V2,
                false,
                Some(server(Version::V2, &[V1, V2])),
                false,
            ),
            // It left the original version without authenticating that.
            (Some(sent_both), V2, false, None, false),
            // Somebody forged the Version Negotiation packet: the server speaks the better
            // version.
            (
                Some(sent_both),
                V1,
                true,
                Some(server(Version::V1, &[V1, V2])),
                false,
            ),
            (
                Some(sent_both),
                V1,
                true,
                Some(server(Version::V1, &[])),
                false,
            ),
            (Some(sent_both), V1, true, None, false),
        ] {
            let negotiation = ClientNegotiation {
                preference: &[V2, V1],
                sent: sent.as_ref(),
                negotiated,
                after_negotiation_packet: after,
            };
            let result = negotiation.check_server(said.as_ref());
            assert_eq!(result.is_ok(), valid, "{negotiation:?} and {said:?}");
            if let Err(error) = result {
                assert_eq!(error.code, TransportErrorCode::VERSION_NEGOTIATION_ERROR);
            }
        }
    }
}
