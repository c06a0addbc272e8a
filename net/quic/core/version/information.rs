// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`VersionInformation`]: the value of the version_information transport parameter (RFC 9368 §3).
//!
//! ```text
//! Version Information {
//!   Chosen Version (32),
//!   Available Versions (32) ...,
//! }
//! ```

use super::{SupportedVersion, Version};
use crate::bytes::{Full, Reader, Writer};
use crate::error::TransportError;
use crate::role::Role;

/// What an endpoint says about its versions.
///
/// Of the peer's Available Versions only those that this crate speaks are kept, in the peer's order
/// and once each: no other one can take part in a decision, and so the list is as long as
/// [`SupportedVersion::ALL`] at most, however many the peer sends.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct VersionInformation {
    /// Chosen Version: what the sender uses for this connection.
    pub chosen: Version,
    /// Whether Available Versions is empty; if not, it may still hold only versions that this
    /// crate does not speak.
    pub is_empty: bool,
    available: [Option<SupportedVersion>; SupportedVersion::ALL.len()],
}

impl VersionInformation {
    /// Information with the versions in `available`; of a client, in descending preference.
    pub fn new(chosen: Version, available: &[SupportedVersion]) -> Self {
        let mut this = Self {
            chosen,
            is_empty: available.is_empty(),
            available: [None; SupportedVersion::ALL.len()],
        };
        for &version in available {
            this.add(version);
        }
        this
    }

    /// Available Versions, as far as this crate speaks them.
    pub fn available(&self) -> impl Iterator<Item = SupportedVersion> + '_ {
        self.available.iter().copied().flatten()
    }

    /// Whether `version` is among the Available Versions.
    pub fn offers(&self, version: SupportedVersion) -> bool {
        self.available().any(|offered| offered == version)
    }

    /// Parses the value of the parameter that `sender` sent.
    ///
    /// Fails with TRANSPORT_PARAMETER_ERROR.
    pub fn parse(value: &[u8], sender: Role) -> Result<Self, TransportError> {
        let mut reader = Reader::new(value);
        let mut this = Self::new(read_version(&mut reader)?, &[]);
        let mut chosen_is_available = false;
        while !reader.is_empty() {
            let version = read_version(&mut reader)?;
            this.is_empty = false;
            chosen_is_available |= version == this.chosen;
            if let Some(version) = version.supported() {
                this.add(version);
            }
        }

        match sender {
            // RFC 9368 §4: If a server receives Version Information where the Chosen Version is not
            // included in Available Versions, it MUST treat it as a parsing failure.
            Role::Client if !chosen_is_available => Err(TransportError::transport_parameter(
                "chosen version is not available",
            )),
            // RFC 9368 §3: The version in the Chosen Version field is not necessarily included in
            // this list […] the Available Versions field MAY be empty.
            Role::Client | Role::Server => Ok(this),
        }
    }

    /// How many bytes [`Self::emit`] writes, `grease` included.
    pub fn size(&self, grease: Option<Version>) -> usize {
        let size = self
            .available()
            .fold(4_usize, |size, _| size.saturating_add(4));
        size.saturating_add(if grease.is_some() { 4 } else { 0 })
    }

    /// Writes the value of the parameter; `grease` is a reserved version to add to the Available
    /// Versions.
    pub fn emit(&self, writer: &mut Writer<'_>, grease: Option<Version>) -> Result<(), Full> {
        writer.whole(|writer| {
            writer.u32(self.chosen.get())?;
            for version in self.available() {
                writer.u32(version.wire().get())?;
            }
            grease.map_or(Ok(()), |version| writer.u32(version.get()))
        })
    }

    fn add(&mut self, version: SupportedVersion) {
        if self.offers(version) {
            return;
        }
        if let Some(free) = self.available.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(version);
        }
    }
}

fn read_version(reader: &mut Reader<'_>) -> Result<Version, TransportError> {
    // RFC 9368 §4: If that leads to a parsing failure (for example, if it is too short or if its
    // length is not divisible by four), then the endpoint MUST close the connection […]
    // TRANSPORT_PARAMETER_ERROR.
    let number = reader.u32().map_err(|_| {
        TransportError::transport_parameter("version_information not in whole versions")
    })?;
    // RFC 9368 §4: If an endpoint receives a Chosen Version equal to zero, or any Available Version
    // equal to zero, it MUST treat it as a parsing failure.
    match number {
        0 => Err(TransportError::transport_parameter(
            "version_information with version zero",
        )),
        _ => Ok(Version::new(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::TransportErrorCode;
    use SupportedVersion::{V1, V2};

    fn wire(versions: &[u32]) -> Vec<u8> {
        versions
            .iter()
            .flat_map(|version| version.to_be_bytes())
            .collect()
    }

    #[test]
    fn keeps_the_order_and_drops_what_nobody_speaks() {
        let value = wire(&[1, 0x1a2a_3a4a, 1, 0xff00_001d, 0x6b33_43cf, 1]);
        let information = VersionInformation::parse(&value, Role::Client).unwrap();
        assert_eq!(information.chosen, Version::V1);
        assert_eq!(information.available().collect::<Vec<_>>(), [V1, V2]);
        assert!(information.offers(V2));
        assert_eq!(
            information,
            VersionInformation::new(Version::V1, &[V1, V2, V1])
        );
    }

    #[test]
    fn parsing_failures() {
        for (value, sender, valid) in [
            (wire(&[1, 1]), Role::Client, true),
            (wire(&[1]), Role::Server, true),
            (wire(&[1, 0x6b33_43cf]), Role::Server, true),
            (wire(&[1]), Role::Client, false),
            (wire(&[1, 0x6b33_43cf]), Role::Client, false),
            (wire(&[0, 0]), Role::Client, false),
            (wire(&[0]), Role::Server, false),
            (wire(&[1, 1, 0]), Role::Client, false),
            (vec![], Role::Server, false),
            (vec![0, 0, 0], Role::Server, false),
            (vec![0, 0, 0, 1, 0], Role::Server, false),
            (vec![0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1], Role::Client, false),
        ] {
            let result = VersionInformation::parse(&value, sender);
            assert_eq!(result.is_ok(), valid, "{value:?} from {sender:?}");
            if let Err(error) = result {
                assert_eq!(error.code, TransportErrorCode::TRANSPORT_PARAMETER_ERROR);
            }
        }
    }

    #[test]
    fn emits_what_it_parses() {
        let information = VersionInformation::new(Version::V2, &[V2, V1]);
        let grease = Some(Version::reserved(0x5050_5050));
        for grease in [None, grease] {
            let mut buffer = [0; 16];
            let mut writer = Writer::new(&mut buffer);
            information.emit(&mut writer, grease).unwrap();
            assert_eq!(writer.position(), information.size(grease));
            for role in [Role::Client, Role::Server] {
                assert_eq!(
                    VersionInformation::parse(writer.written(), role),
                    Ok(information)
                );
            }
        }
        let mut short = [0; 15];
        let mut writer = Writer::new(&mut short);
        assert_eq!(information.emit(&mut writer, grease), Err(Full));
        assert_eq!(writer.position(), 0);
    }
}
