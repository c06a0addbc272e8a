// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Peer`]: makes datagrams of what an input says.

use super::setup::Setup;
use crate::cipher::TAG;
use crate::input::Input;
use quic_core::bytes::Writer;
use quic_core::cid::ConnectionId;
use quic_core::packet::{PacketType, Retry, VersionNegotiation, MIN_INITIAL_DATAGRAM};
use quic_core::role::Role;
use quic_core::varint::VarInt;
use quic_core::version::{SupportedVersion, Version};

/// Datagrams are not longer.
const MAX_DATAGRAM: usize = 4096;

const TYPES: [PacketType; 4] = [
    PacketType::OneRtt,
    PacketType::Initial,
    PacketType::Handshake,
    PacketType::ZeroRtt,
];

/// What is wrong with a packet.
#[derive(Copy, Clone, Default)]
struct Oddities(u8);

impl Oddities {
    const RESERVED_BITS: u8 = 1;
    const NO_FIXED_BIT: u8 = 2;
    const UNAUTHENTIC: u8 = 4;
    const OTHER_DCID: u8 = 8;
    const OTHER_SCID: u8 = 16;
    const OTHER_VERSION: u8 = 32;
    const NUMBER: u8 = 64;
    const TOKEN: u8 = 128;

    fn has(self, oddity: u8) -> bool {
        self.0 & oddity != 0
    }
}

pub(super) struct Peer {
    role: Role,
    pub(super) version: SupportedVersion,
    pub(super) cid: ConnectionId,
    /// Where the connection can be reached.
    pub(super) dcids: Vec<ConnectionId>,
    pub(super) retry_cid: Option<ConnectionId>,
    /// 1-RTT packets have neither header protection nor a tag.
    pub(super) unencrypted: bool,
    next: [u64; 3],
    key_phase: bool,
    datagram: Vec<u8>,
    last: Vec<u8>,
    /// A Handshake packet that is authentic has left, and so on: the address counts as validated.
    pub(super) proved: bool,
    /// All that was sent in the clear, by which PATH_RESPONSE is recognized.
    pub(super) payload: Vec<u8>,
}

fn type_bits(packet_type: PacketType, version: SupportedVersion) -> u8 {
    let number = match packet_type {
        PacketType::Initial => 0,
        PacketType::ZeroRtt => 1,
        PacketType::Handshake => 2,
        PacketType::OneRtt => return 0x40,
    };
    let number = match version {
        SupportedVersion::V1 => number,
        SupportedVersion::V2 => number + 1,
    };
    0xc0 | (number << 4)
}

fn put_varint(to: &mut Vec<u8>, value: usize) {
    let mut buffer = [0; 8];
    let mut writer = Writer::new(&mut buffer);
    let value = VarInt::try_from(value).expect("a length");
    writer.varint(value).expect("room");
    to.extend_from_slice(writer.written());
}

fn put_cid(to: &mut Vec<u8>, cid: &ConnectionId) {
    to.push(cid.len() as u8);
    to.extend_from_slice(cid.as_slice());
}

impl Peer {
    pub(super) fn new(setup: &Setup, dcid: ConnectionId) -> Self {
        Self {
            role: setup.role.peer(),
            version: setup.config.version,
            cid: setup.peer_cid,
            dcids: vec![dcid],
            retry_cid: None,
            unencrypted: false,
            next: [0; 3],
            key_phase: false,
            datagram: Vec::new(),
            last: Vec::new(),
            proved: false,
            payload: Vec::new(),
        }
    }

    /// Adds a packet to the datagram; whether the datagram is complete.
    pub(super) fn packet(&mut self, input: &mut Input<'_>, payload: Option<&[u8]>) -> bool {
        let choices = input.u8();
        let packet_type = TYPES[usize::from(choices & 3)];
        let oddities = match choices & 0x20 {
            0 => Oddities::default(),
            _ => Oddities(input.u8()),
        };
        if choices & 8 != 0 && packet_type == PacketType::OneRtt {
            self.key_phase = !self.key_phase;
        }
        let space = packet_type.space() as usize;
        let number = match oddities.has(Oddities::NUMBER) {
            false => self.next[space],
            true => {
                let (far, shift) = (u64::from(input.u8()), input.u8() % 31);
                match shift & 1 {
                    0 => self.next[space].saturating_sub(far << (shift / 2)),
                    _ => self.next[space] + (far << shift),
                }
            }
        };
        // A packet number has 62 bits.
        self.next[space] = (self.next[space].max(number) + 1).min(1 << 61);
        let payload = payload.unwrap_or_else(|| input.vec());
        self.put(packet_type, number, choices & 0x10 != 0, oddities, payload);
        choices & 4 == 0
    }

    /// A packet with nothing wrong.
    pub(super) fn plain(&mut self, packet_type: PacketType, payload: &[u8]) {
        let space = packet_type.space() as usize;
        let number = self.next[space];
        self.next[space] += 1;
        self.put(packet_type, number, false, Oddities::default(), payload);
    }

    fn put(
        &mut self,
        packet_type: PacketType,
        number: u64,
        spin: bool,
        oddities: Oddities,
        payload: &[u8],
    ) {
        if self.datagram.len() + payload.len() > MAX_DATAGRAM {
            self.datagram.clear();
        }
        trace!(
            "    peer: {packet_type:?} {number} {payload:02x?} oddities {:#x}",
            oddities.0
        );
        let version = match (oddities.has(Oddities::OTHER_VERSION), self.version) {
            (false, version) => version,
            (true, SupportedVersion::V1) => SupportedVersion::V2,
            (true, SupportedVersion::V2) => SupportedVersion::V1,
        };
        // The number has four bytes.
        let mut first = type_bits(packet_type, version) | 3;
        if oddities.has(Oddities::RESERVED_BITS) {
            first |= 8;
        }
        if oddities.has(Oddities::NO_FIXED_BIT) {
            first &= !0x40;
        }
        let dcid = match oddities.has(Oddities::OTHER_DCID) {
            false => self.dcids[0],
            true => self.dcids[payload.len() % self.dcids.len()],
        };
        let scid = match oddities.has(Oddities::OTHER_SCID) {
            false => self.cid,
            true => ConnectionId::EMPTY,
        };
        let unencrypted = self.unencrypted && packet_type == PacketType::OneRtt;
        let datagram = &mut self.datagram;
        match packet_type {
            PacketType::OneRtt => {
                let bits = (u8::from(spin) << 5) | (u8::from(self.key_phase) << 2);
                datagram.push(first | bits);
                datagram.extend_from_slice(dcid.as_slice());
            }
            PacketType::Initial | PacketType::Handshake | PacketType::ZeroRtt => {
                datagram.push(first);
                datagram.extend(version.wire().get().to_be_bytes());
                put_cid(datagram, &dcid);
                put_cid(datagram, &scid);
                if packet_type == PacketType::Initial {
                    let token: &[u8] = match oddities.has(Oddities::TOKEN) {
                        false => b"",
                        true => b"token",
                    };
                    put_varint(datagram, token.len());
                    datagram.extend_from_slice(token);
                }
                put_varint(datagram, 4 + payload.len() + TAG.len());
            }
        }
        datagram.extend((number as u32).to_be_bytes());
        datagram.extend_from_slice(payload);
        match (unencrypted, oddities.has(Oddities::UNAUTHENTIC)) {
            (true, _) => {}
            (false, false) => datagram.extend(TAG),
            (false, true) => datagram.extend([0; TAG.len()]),
        }
        self.payload.extend_from_slice(payload);
        self.proved |= packet_type == PacketType::Handshake;
        if packet_type == PacketType::Initial
            && self.role == Role::Client
            && self.datagram.len() < MIN_INITIAL_DATAGRAM
        {
            self.pad();
        }
    }

    /// A client pads datagrams with Initial packets: what follows is no packet.
    fn pad(&mut self) {
        self.datagram.resize(MIN_INITIAL_DATAGRAM, 0);
    }

    /// Adds any bytes.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        if self.datagram.len() + bytes.len() <= MAX_DATAGRAM {
            self.datagram.extend_from_slice(bytes);
            self.payload.extend_from_slice(bytes);
            self.proved |= !bytes.is_empty();
        }
    }

    /// A Retry packet, alone.
    pub(super) fn retry(&mut self, input: &mut Input<'_>, original_dcid: &ConnectionId) {
        let cid = ConnectionId::new(&[0xee; 20][..usize::from(input.u8() % 21)]);
        let cid = cid.expect("not too long");
        let retry = Retry {
            version: self.version,
            dcid: self.dcids[0],
            scid: cid,
            token: input.vec(),
        };
        let mut buffer = [0; 1500];
        let mut writer = Writer::new(&mut buffer);
        let written = retry.emit(&mut writer, &crate::cipher::Plain, original_dcid, 0);
        if written.is_ok() {
            self.datagram = writer.written().to_vec();
            self.retry_cid.get_or_insert(cid);
        }
    }

    /// A Version Negotiation packet, alone.
    pub(super) fn version_negotiation(
        &mut self,
        input: &mut Input<'_>,
        original_dcid: &ConnectionId,
    ) {
        let choices = input.u8();
        let versions = [
            Version::V1,
            Version::V2,
            Version::reserved(7),
            Version::new(9),
        ];
        let versions = versions
            .into_iter()
            .enumerate()
            .filter_map(|(at, version)| ((choices >> at) & 1 != 0).then_some(version));
        let mut buffer = [0; 200];
        let mut writer = Writer::new(&mut buffer);
        let (scid, dcid) = (self.dcids[0], original_dcid);
        let written = VersionNegotiation::emit(
            &mut writer,
            scid.as_slice(),
            dcid.as_slice(),
            versions,
            choices >> 4,
        );
        if written.is_ok() {
            self.datagram = writer.written().to_vec();
        }
    }

    /// The last datagram once more.
    pub(super) fn repeat(&mut self) {
        self.datagram = self.last.clone();
    }

    /// The datagram as far as it has come.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let datagram = std::mem::take(&mut self.datagram);
        self.last.clone_from(&datagram);
        datagram
    }
}
