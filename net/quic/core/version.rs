// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Version`]: a QUIC version on the wire, and [`SupportedVersion`]: one that this crate speaks.
//!
//! How two endpoints agree on one is in [`negotiation`].

pub mod information;
pub mod negotiation;

pub use information::VersionInformation;

use core::fmt;

/// Any value of the Version field.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct Version(u32);

/// A version that this crate speaks. All of them are compatible with each other (RFC 9369 §4).
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum SupportedVersion {
    /// RFC 9000.
    V1,
    /// RFC 9369.
    V2,
}

impl Version {
    /// Not a version: marks a Version Negotiation packet (RFC 9000 §17.2.1).
    pub const NEGOTIATION: Self = Self(0);
    /// QUIC version 1 (RFC 9000 §15).
    pub const V1: Self = Self(0x0000_0001);
    /// QUIC version 2 (RFC 9369 §3.1).
    pub const V2: Self = Self(0x6b33_43cf);

    /// The version with that number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number on the wire.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// A reserved version, made of 16 `random` bits.
    // RFC 9000 §15: Versions that follow the pattern 0x?a?a?a?a are reserved for use in forcing
    // version negotiation to be exercised.
    pub const fn reserved(random: u32) -> Self {
        Self(random & 0xf0f0_f0f0 | 0x0a0a_0a0a)
    }

    /// Whether this is one of the reserved versions, which nobody speaks.
    pub const fn is_reserved(self) -> bool {
        self.0 & 0x0f0f_0f0f == 0x0a0a_0a0a
    }

    /// The same version, if this crate speaks it.
    #[inline]
    pub const fn supported(self) -> Option<SupportedVersion> {
        match self {
            Self::V1 => Some(SupportedVersion::V1),
            Self::V2 => Some(SupportedVersion::V2),
            _ => None,
        }
    }
}

impl SupportedVersion {
    /// Every one, the preferred first.
    pub const ALL: [Self; 2] = [Self::V2, Self::V1];

    /// The same version on the wire.
    #[inline]
    pub const fn wire(self) -> Version {
        match self {
            Self::V1 => Version::V1,
            Self::V2 => Version::V2,
        }
    }
}

impl From<SupportedVersion> for Version {
    fn from(version: SupportedVersion) -> Self {
        version.wire()
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_versions_are_supported_by_nobody() {
        for random in [0, 0x1234_5678, u32::MAX] {
            let version = Version::reserved(random);
            assert!(version.is_reserved());
            assert_eq!(version.supported(), None);
        }
        assert_eq!(Version::reserved(u32::MAX), Version::new(0xfafa_fafa));
        assert!(!Version::V1.is_reserved());
        assert!(!Version::V2.is_reserved());
        assert!(!Version::NEGOTIATION.is_reserved());
    }

    #[test]
    fn wire_and_supported_are_inverse() {
        for version in SupportedVersion::ALL {
            assert_eq!(Version::from(version).supported(), Some(version));
        }
        assert_eq!(Version::NEGOTIATION.supported(), None);
        assert_eq!(format!("{:?}", Version::V1), "0x00000001");
    }
}
