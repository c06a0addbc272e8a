// SPDX-License-Identifier: MIT OR Apache-2.0

//! Socket addresses, well-formed and not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// `sizeof(struct sockaddr_in)`
pub(crate) const LENGTH_V4: u32 = 16;
/// `sizeof(struct sockaddr_in6)`
pub(crate) const LENGTH_V6: u32 = 28;
/// `sizeof(struct sockaddr_storage)`
pub(crate) const LENGTH_MAX: u32 = 128;

/// An address family that QUIC sockets exist for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn number(self) -> libc::c_int {
        match self {
            Self::V4 => libc::AF_INET,
            Self::V6 => libc::AF_INET6,
        }
    }

    pub(crate) fn wildcard(self, port: u16) -> Address {
        match self {
            Self::V4 => (Ipv4Addr::UNSPECIFIED, port).into(),
            Self::V6 => (Ipv6Addr::UNSPECIFIED, port).into(),
        }
    }

    pub(crate) fn loopback(self, port: u16) -> Address {
        match self {
            Self::V4 => (Ipv4Addr::LOCALHOST, port).into(),
            Self::V6 => (Ipv6Addr::LOCALHOST, port).into(),
        }
    }

    /// Length of an address of this family.
    pub(crate) fn address_length(self) -> u32 {
        match self {
            Self::V4 => LENGTH_V4,
            Self::V6 => LENGTH_V6,
        }
    }
}

/// A socket address as bytes, with a length that need not fit its family.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct Address {
    bytes: [u8; LENGTH_MAX as usize],
    length: u32,
}

impl Address {
    /// The first bytes of what is there, or zeros behind it.
    pub(crate) fn of_length(mut self, length: u32) -> Self {
        self.length = length;
        self
    }

    pub(crate) fn of_family(mut self, family: libc::c_int) -> Self {
        self.bytes[..2].copy_from_slice(&(family as u16).to_ne_bytes());
        self
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn length(&self) -> u32 {
        self.length
    }

    /// From what the kernel wrote.
    pub(crate) fn from_kernel(bytes: [u8; LENGTH_MAX as usize], length: u32) -> Self {
        Self { bytes, length }
    }

    /// `None` if the family is neither, or the length is not that of the family.
    pub(crate) fn parse(&self) -> Option<SocketAddr> {
        let at = |offset: usize| -> [u8; 4] { self.bytes[offset..offset + 4].try_into().unwrap() };
        let port = u16::from_be_bytes([self.bytes[2], self.bytes[3]]);
        match (
            i32::from(u16::from_ne_bytes([self.bytes[0], self.bytes[1]])),
            self.length,
        ) {
            (libc::AF_INET, LENGTH_V4) => Some(SocketAddrV4::new(at(4).into(), port).into()),
            (libc::AF_INET6, LENGTH_V6) => {
                let flow = u32::from_be_bytes(at(4));
                let address: [u8; 16] = self.bytes[8..24].try_into().unwrap();
                let scope = u32::from_ne_bytes(at(24));
                Some(SocketAddrV6::new(address.into(), port, flow, scope).into())
            }
            _ => None,
        }
    }

    /// The port. The address must be a well-formed one.
    pub(crate) fn port(&self) -> u16 {
        self.parse().expect("not an Internet address").port()
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let mut bytes = [0; LENGTH_MAX as usize];
        bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) => {
                bytes[4..8].copy_from_slice(&v4.ip().octets());
                Self {
                    bytes,
                    length: LENGTH_V4,
                }
                .of_family(libc::AF_INET)
            }
            SocketAddr::V6(v6) => {
                bytes[4..8].copy_from_slice(&v6.flowinfo().to_be_bytes());
                bytes[8..24].copy_from_slice(&v6.ip().octets());
                bytes[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                Self {
                    bytes,
                    length: LENGTH_V6,
                }
                .of_family(libc::AF_INET6)
            }
        }
    }
}

impl<Ip: Into<IpAddr>> From<(Ip, u16)> for Address {
    fn from(address: (Ip, u16)) -> Self {
        SocketAddr::from(address).into()
    }
}

/// An address as it is usually written: `127.0.0.1:443`, `[fe80::1%1]:443`.
#[track_caller]
pub(crate) fn at(text: &str) -> Address {
    match text.parse::<SocketAddr>() {
        Ok(address) => address.into(),
        Err(_) => panic!("the case is wrong: not an address: {text}"),
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.parse() {
            Some(address) => write!(f, "{address}"),
            None => write!(
                f,
                "{} bytes {:?}",
                self.length,
                &self.bytes[..LENGTH_V6 as usize]
            ),
        }
    }
}

/// Equal as the kernel writes them: length and that many bytes.
impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        let length = self.length.min(LENGTH_MAX) as usize;
        self.length == other.length && self.bytes[..length] == other.bytes[..length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_conversion() {
        for text in [
            "127.0.0.1:443",
            "[2001:db8::1]:1",
            "[fe80::1%7]:65535",
            "0.0.0.0:0",
        ] {
            let address = at(text);
            assert_eq!(address.parse().unwrap().to_string(), text);
            assert_eq!(address, at(text));
            assert_eq!(address.of_length(3).parse(), None);
        }
        assert_ne!(at("127.0.0.1:1"), at("127.0.0.1:2"));
        assert_ne!(at("127.0.0.1:1"), at("127.0.0.1:1").of_length(15));
        assert_eq!(at("127.0.0.1:1").of_family(libc::AF_UNIX).parse(), None);
    }
}
