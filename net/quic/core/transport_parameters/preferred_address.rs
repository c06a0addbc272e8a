// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`PreferredAddress`]: where a server would like to be reached after the handshake (RFC 9000 §9.6, §18.2).

use crate::bytes::{Full, Reader, Writer};
use crate::cid::{ConnectionId, StatelessResetToken};
use crate::error::TransportError;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

/// The value of the preferred_address transport parameter.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct PreferredAddress {
    /// IPv4 Address and IPv4 Port, unless all of it is zero.
    pub ipv4: Option<SocketAddrV4>,
    /// IPv6 Address and IPv6 Port, unless all of it is zero.
    pub ipv6: Option<SocketAddrV6>,
    /// Connection ID, never empty, with sequence number 1.
    pub connection_id: ConnectionId,
    /// Stateless Reset Token for that connection ID.
    pub stateless_reset_token: StatelessResetToken,
}

impl PreferredAddress {
    pub(super) fn parse(value: &[u8]) -> Result<Self, TransportError> {
        const MALFORMED: TransportError =
            TransportError::transport_parameter("preferred_address is malformed");
        let mut reader = Reader::new(value);
        let mut fields = || {
            let ipv4 = SocketAddrV4::new(Ipv4Addr::from(reader.array::<4>()?), reader.u16()?);
            let ipv6 =
                SocketAddrV6::new(Ipv6Addr::from(reader.array::<16>()?), reader.u16()?, 0, 0);
            let connection_id = ConnectionId::read(&mut reader)?;
            let stateless_reset_token = StatelessResetToken::new(reader.array()?);
            Ok((ipv4, ipv6, connection_id, stateless_reset_token))
        };
        let fields: Result<_, crate::bytes::Truncated> = fields();
        let (ipv4, ipv6, connection_id, stateless_reset_token) = fields.map_err(|_| MALFORMED)?;
        if !reader.is_empty() {
            return Err(MALFORMED);
        }
        // RFC 9000 §18.2: a server MUST NOT include a zero-length connection ID in this transport
        // parameter. A client MUST treat a violation of these requirements as a connection
        // error of type TRANSPORT_PARAMETER_ERROR.
        let connection_id = connection_id
            .filter(|cid| !cid.is_empty())
            .ok_or(MALFORMED)?;
        // RFC 9000 §18.2: Servers MAY choose to only send a preferred address of one address family
        // by sending an all-zero address and port (0.0.0.0:0 or [::]:0) for the other
        // family.
        Ok(Self {
            ipv4: Some(ipv4)
                .filter(|address| !(address.ip().is_unspecified() && address.port() == 0)),
            ipv6: Some(ipv6)
                .filter(|address| !(address.ip().is_unspecified() && address.port() == 0)),
            connection_id,
            stateless_reset_token,
        })
    }

    /// How many bytes [`Self::emit`] writes.
    pub(super) fn size(&self) -> usize {
        self.connection_id.len().saturating_add(41)
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        let ipv4 = self
            .ipv4
            .unwrap_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
        let ipv6 = self
            .ipv6
            .unwrap_or(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0));
        writer.array(ipv4.ip().octets())?;
        writer.u16(ipv4.port())?;
        writer.array(ipv6.ip().octets())?;
        writer.u16(ipv6.port())?;
        self.connection_id.write(writer)?;
        writer.array(*self.stateless_reset_token.as_bytes())
    }
}
