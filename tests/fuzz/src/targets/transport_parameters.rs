// SPDX-License-Identifier: MIT OR Apache-2.0

//! Transport parameters of both roles: what was read is written, and read again.

use crate::input::Input;
use quic_core::bytes::Writer;
use quic_core::cid::ConnectionId;
use quic_core::role::Role;
use quic_core::transport_parameters::{HandshakeConnectionIds, TransportParameters};
use quic_core::version::VersionInformation;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let sender = input.pick(&[Role::Client, Role::Server]);
    let grease = input.bool().then(|| input.u64());
    let Ok(mut parameters) = TransportParameters::parse(input.rest(), sender) else {
        return;
    };
    // Of versions that nobody here speaks nothing is kept to be written, and grease makes an empty
    // list one that is not.
    parameters.version_information = parameters
        .version_information
        .filter(|information| is_whole(information) && !(grease.is_some() && information.is_empty));
    let mut buffer = [0; 1024];
    let mut writer = Writer::new(&mut buffer);
    let written = parameters.emit(&mut writer, sender, grease);
    written.expect("room for all parameters");
    let again = TransportParameters::parse(writer.written(), sender);
    assert_eq!(again, Ok(parameters), "{:02x?}", writer.written());
    if sender == Role::Client {
        assert_eq!(parameters.stateless_reset_token, None);
        assert_eq!(parameters.preferred_address, None);
    }

    let remembered = parameters.remembered();
    assert_eq!(parameters.check_zero_rtt(&remembered), Ok(()));
    let ids = HandshakeConnectionIds {
        original_destination: ConnectionId::EMPTY,
        peer_initial_source: ConnectionId::EMPTY,
        retry_source: None,
    };
    let _ = parameters.authenticate(sender, &ids);
    let rules = parameters.frame_rules(sender);
    assert_eq!(rules.role, sender);
}

/// Whether no version is missing in it that has to be there.
pub(super) fn is_whole(information: &VersionInformation) -> bool {
    information.chosen.supported().is_some()
        && information.is_empty == information.available().next().is_none()
}
