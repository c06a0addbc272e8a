// SPDX-License-Identifier: GPL-2.0

//! [`EventMask`]: which events a program wants, `QUIC_SOCKOPT_EVENT`.

use crate::{
    socket::QuicSock,
    sys::{
        bindings::{
            quic_event_type_QUIC_EVENT_MAX as MAX, quic_event_type_QUIC_EVENT_NONE as NONE,
        },
        sockopt::{OptionIn, OptionOut},
    },
    uapi::EventOption,
};
use kernel::prelude::*;

/// A bit for each kind of event; all off at first.
#[derive(Copy, Clone, Default)]
pub(crate) struct EventMask(u16);

// A kind of event is the number of a bit.
const _: () = assert!(MAX <= u16::BITS);

impl EventMask {
    /// The bit of an event, if there is such an event.
    fn bit(kind: u8) -> Result<u16> {
        let kind = u32::from(kind);
        if kind == NONE || kind >= MAX {
            return Err(EINVAL);
        }
        Ok(1 << kind)
    }
}

/// `setsockopt()`, in any state.
pub(crate) fn set(sock: &QuicSock, value: &OptionIn) -> Result {
    let option: EventOption = value.read()?;
    let bit = EventMask::bit(option.type_)?;
    let mut guard = sock.lock();
    if option.on != 0 {
        guard.events.0 |= bit;
    } else {
        guard.events.0 &= !bit;
    }
    Ok(())
}

/// `getsockopt()`: the kind comes in, whether it is on goes out.
pub(crate) fn get(sock: &QuicSock, value: &OptionOut) -> Result {
    let mut option: EventOption = value.read()?;
    let bit = EventMask::bit(option.type_)?;
    option.on = u8::from(sock.lock().events.0 & bit != 0);
    value.write(&option)
}
