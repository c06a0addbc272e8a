// SPDX-License-Identifier: GPL-2.0

//! Socket addresses between the bytes of the ABI and [`core::net::SocketAddr`].
//!
//! C header: [`include/uapi/linux/in6.h`](srctree/include/uapi/linux/in6.h)

use super::bindings;
use core::{
    mem::{offset_of, size_of},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
};
use kernel::prelude::*;

const IN: usize = size_of::<bindings::sockaddr_in>();
const IN6: usize = size_of::<bindings::sockaddr_in6>();

/// The longest address, in bytes.
pub(crate) const MAX_LEN: usize = IN6;

// Both layouts are fixed by the ABI; the parser below relies on them.
const _: () = {
    assert!(
        IN == 16
            && offset_of!(bindings::sockaddr_in, sin_port) == 2
            && offset_of!(bindings::sockaddr_in, sin_addr) == 4
    );
    assert!(IN6 == 28 && offset_of!(bindings::sockaddr_in6, sin6_port) == 2);
    assert!(
        offset_of!(bindings::sockaddr_in6, sin6_flowinfo) == 4
            && offset_of!(bindings::sockaddr_in6, sin6_addr) == 8
    );
    assert!(offset_of!(bindings::sockaddr_in6, sin6_scope_id) == 24);
};

/// A `struct sockaddr_in` or `struct sockaddr_in6`. `EINVAL` for another family, or when it is cut
/// short.
pub(crate) fn parse(bytes: &[u8]) -> Result<SocketAddr> {
    let (family, rest) = bytes.split_first_chunk::<2>().ok_or(EINVAL)?;
    let (port, rest) = rest.split_first_chunk::<2>().ok_or(EINVAL)?;
    let port = u16::from_be_bytes(*port);
    match u32::from(u16::from_ne_bytes(*family)) {
        bindings::AF_INET if bytes.len() >= IN => {
            let address = rest.first_chunk::<4>().ok_or(EINVAL)?;
            Ok(SocketAddrV4::new(Ipv4Addr::from(*address), port).into())
        }
        bindings::AF_INET6 if bytes.len() >= IN6 => {
            let (flowinfo, rest) = rest.split_first_chunk::<4>().ok_or(EINVAL)?;
            let (address, rest) = rest.split_first_chunk::<16>().ok_or(EINVAL)?;
            let scope = rest.first_chunk::<4>().ok_or(EINVAL)?;
            Ok(SocketAddrV6::new(
                Ipv6Addr::from(*address),
                port,
                u32::from_be_bytes(*flowinfo),
                u32::from_ne_bytes(*scope),
            )
            .into())
        }
        _ => Err(EINVAL),
    }
}

/// The bytes of an address as the ABI has it, and how many there are.
pub(crate) fn emit(address: &SocketAddr) -> ([u8; IN6], usize) {
    let mut bytes = [0; IN6];
    let mut fields = Fields { rest: &mut bytes };
    match address {
        SocketAddr::V4(v4) => {
            fields.put((bindings::AF_INET as u16).to_ne_bytes());
            fields.put(v4.port().to_be_bytes());
            fields.put(v4.ip().octets());
            (bytes, IN)
        }
        SocketAddr::V6(v6) => {
            fields.put((bindings::AF_INET6 as u16).to_ne_bytes());
            fields.put(v6.port().to_be_bytes());
            fields.put(v6.flowinfo().to_be_bytes());
            fields.put(v6.ip().octets());
            fields.put(v6.scope_id().to_ne_bytes());
            (bytes, IN6)
        }
    }
}

/// Writes one field after the other.
struct Fields<'a> {
    rest: &'a mut [u8],
}

impl Fields<'_> {
    fn put<const N: usize>(&mut self, field: [u8; N]) {
        if let Some((place, rest)) = core::mem::take(&mut self.rest).split_first_chunk_mut::<N>() {
            *place = field;
            self.rest = rest;
        }
    }
}
