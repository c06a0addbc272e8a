// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`ClientHello`] and [`ClientHelloReader`]: what a listener needs from the first message of TLS to find the program that
//! is to answer it (RFC 8446 §4.1.2, RFC 7301, RFC 6066 §3).
//!
//! Only the message of a client that nobody has authenticated is read here, so no length is trusted
//! and memory is bounded. A ClientHello may span several packets, in frames of any order and size:
//! clients with post-quantum key shares need two packets, and some shuffle their frames on purpose.
//! What TLS makes of the message is not decided here: two frames that contradict each other only
//! decide to whom the connection goes.

use crate::bytes::{copy, Reader, Truncated};
use crate::varint::VarInt;
use kernel::alloc::{AllocError, Flags, KVec};

/// The longest ClientHello that is read, with its header, in bytes. Those with post-quantum key
/// shares have about 2000.
pub const MAX_LEN: usize = 16 * 1024;

/// How many pieces of a ClientHello may be there with gaps between them. Chrome makes about ten of
/// one.
const MAX_RANGES: usize = 32;

/// HandshakeType client_hello.
const CLIENT_HELLO: u8 = 1;
/// ExtensionType server_name.
const SERVER_NAME: u16 = 0;
/// ExtensionType application_layer_protocol_negotiation.
const ALPN: u16 = 16;

/// A whole ClientHello.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ClientHello<'a> {
    /// Empty, unless the client behaves as if it spoke over TCP (RFC 9001 §8.4).
    pub legacy_session_id: &'a [u8],
    /// The application protocols in the client's order, `None` without the extension.
    pub alpn: Option<ProtocolNames<'a>>,
    /// The host name of the server_name extension, which is ASCII if the client is right, never
    /// empty.
    pub server_name: Option<&'a [u8]>,
}

/// The names of application protocols, 1 to 255 bytes each.
// INVARIANT: The slice consists of whole names, each after its length in one byte.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ProtocolNames<'a>(&'a [u8]);

/// Why there is no ClientHello.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum ClientHelloError {
    /// It is another message, or its lengths do not agree, or an extension is there twice.
    Malformed,
    /// It is longer than [`MAX_LEN`], or comes in more pieces than can be told apart.
    TooLarge,
    /// There is no memory for it.
    NoMemory,
}

impl From<Truncated> for ClientHelloError {
    // What is inside of a whole message has no excuse to be cut off.
    fn from(_: Truncated) -> Self {
        Self::Malformed
    }
}

impl From<AllocError> for ClientHelloError {
    fn from(_: AllocError) -> Self {
        Self::NoMemory
    }
}

impl<'a> ClientHello<'a> {
    /// Parses the message at the start of `bytes`; `Ok(None)` if it is not whole yet.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<Self>, ClientHelloError> {
        let mut reader = Reader::new(bytes);
        match reader.u8() {
            Err(Truncated) => return Ok(None),
            Ok(CLIENT_HELLO) => {}
            Ok(_) => return Err(ClientHelloError::Malformed),
        }
        let Ok(length) = reader.u24() else {
            return Ok(None);
        };
        let length = usize::try_from(length).map_err(|_| ClientHelloError::TooLarge)?;
        if length > MAX_LEN.saturating_sub(4) {
            return Err(ClientHelloError::TooLarge);
        }
        match reader.bytes(length) {
            Ok(body) => Self::parse_body(body).map(Some),
            Err(Truncated) => Ok(None),
        }
    }

    fn parse_body(body: &'a [u8]) -> Result<Self, ClientHelloError> {
        let mut reader = Reader::new(body);
        // legacy_version and random.
        reader.skip(2 + 32)?;
        // RFC 9001 §8.4: A server SHOULD treat the receipt of a TLS ClientHello with a non-empty
        // legacy_session_id field as a connection error of type PROTOCOL_VIOLATION. To do
        // so there has to be a connection, so it is no reason to drop the message here.
        let legacy_session_id = reader.vec8()?;
        let cipher_suites = reader.vec16()?;
        let compression_methods = reader.vec8()?;
        if legacy_session_id.len() > 32
            || cipher_suites.is_empty()
            || cipher_suites.len() % 2 != 0
            || compression_methods.is_empty()
        {
            return Err(ClientHelloError::Malformed);
        }

        let mut hello = Self {
            legacy_session_id,
            alpn: None,
            server_name: None,
        };
        if reader.is_empty() {
            return Ok(hello);
        }
        let mut extensions = Reader::new(reader.vec16()?);
        if !reader.is_empty() {
            return Err(ClientHelloError::Malformed);
        }
        while !extensions.is_empty() {
            let extension_type = extensions.u16()?;
            let data = extensions.vec16()?;
            // RFC 8446 §4.2: There MUST NOT be more than one extension of the same type in a given
            // extension block.
            let duplicate = match extension_type {
                SERVER_NAME => hello.server_name.replace(host_name(data)?).is_some(),
                ALPN => hello.alpn.replace(ProtocolNames::parse(data)?).is_some(),
                _ => false,
            };
            if duplicate {
                return Err(ClientHelloError::Malformed);
            }
        }
        Ok(hello)
    }
}

// RFC 6066 §3: struct { ServerName server_name_list<1..2^16-1> } ServerNameList, of which host_name
// is the only type that was ever defined, and The ServerNameList MUST NOT contain more than one
// name of the same name_type.
fn host_name(extension: &[u8]) -> Result<&[u8], ClientHelloError> {
    let mut reader = Reader::new(extension);
    let mut list = Reader::new(reader.vec16()?);
    let (name_type, name) = (list.u8()?, list.vec16()?);
    match reader.is_empty() && list.is_empty() && name_type == 0 && !name.is_empty() {
        true => Ok(name),
        false => Err(ClientHelloError::Malformed),
    }
}

impl<'a> ProtocolNames<'a> {
    // RFC 7301 §3.1: ProtocolName protocol_name_list<2..2^16-1>, opaque ProtocolName<1..2^8-1>.
    fn parse(extension: &'a [u8]) -> Result<Self, ClientHelloError> {
        let mut reader = Reader::new(extension);
        let list = reader.vec16()?;
        if !reader.is_empty() || list.is_empty() {
            return Err(ClientHelloError::Malformed);
        }
        let mut names = Reader::new(list);
        while !names.is_empty() {
            if names.vec8()?.is_empty() {
                return Err(ClientHelloError::Malformed);
            }
        }
        // INVARIANT: All names have just been read.
        Ok(Self(list))
    }
}

impl<'a> Iterator for ProtocolNames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut reader = Reader::new(self.0);
        // By the invariant this fails only at the end.
        let name = reader.vec8().ok()?;
        self.0 = reader.rest();
        Some(name)
    }
}

/// Puts a ClientHello together from CRYPTO frames.
///
/// Frames are pushed as they come; [`Self::client_hello`] tells when there is enough. A ClientHello
/// that one frame holds from its start needs no reader but [`ClientHello::parse`].
#[derive(Debug)]
pub struct ClientHelloReader {
    /// The message as far as its furthest byte that was received, and zeros in the gaps.
    message: KVec<u8>,
    /// Which bytes were received: not empty, ascending, with gaps between any two.
    // INVARIANT: What follows the first (0, 0) is (0, 0) too. No range ends beyond `message`.
    ranges: [(u16, u16); MAX_RANGES],
}

impl Default for ClientHelloReader {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientHelloReader {
    /// A reader that has received nothing and owns no memory.
    pub const fn new() -> Self {
        Self {
            message: KVec::new(),
            ranges: [(0, 0); MAX_RANGES],
        }
    }

    /// Takes the data of a CRYPTO frame of an Initial packet. After an error everything is as
    /// before.
    pub fn push(
        &mut self,
        offset: VarInt,
        data: &[u8],
        flags: Flags,
    ) -> Result<(), ClientHelloError> {
        if data.is_empty() {
            return Ok(());
        }
        let start = usize::try_from(offset.get()).map_err(|_| ClientHelloError::TooLarge)?;
        let end = start
            .checked_add(data.len())
            .filter(|&end| end <= MAX_LEN)
            .ok_or(ClientHelloError::TooLarge)?;
        let ranges = self
            .ranges_with(start, end)
            .ok_or(ClientHelloError::TooLarge)?;

        if end > self.message.len() {
            self.message.resize(end, 0, flags)?;
        }
        copy(
            self.message
                .as_mut_slice()
                .get_mut(start..end)
                .unwrap_or_default(),
            data,
        );
        self.ranges = ranges;
        Ok(())
    }

    /// The ClientHello; `Ok(None)` if it is not whole yet.
    pub fn client_hello(&self) -> Result<Option<ClientHello<'_>>, ClientHelloError> {
        let received = match self.ranges.first() {
            Some(&(0, end)) => self
                .message
                .as_slice()
                .get(..usize::from(end))
                .unwrap_or_default(),
            _ => &[],
        };
        ClientHello::parse(received)
    }

    /// The ranges together with the one from `start` to `end`; `None` if they become too many.
    fn ranges_with(&self, start: usize, end: usize) -> Option<[(u16, u16); MAX_RANGES]> {
        let mut new = (u16::try_from(start).ok()?, u16::try_from(end).ok()?);
        let mut pending = true;
        let mut merged = [(0, 0); MAX_RANGES];
        let mut slots = merged.iter_mut();
        for &range in self.ranges.iter().take_while(|range| **range != (0, 0)) {
            if range.1 < new.0 {
                *slots.next()? = range;
            } else if new.1 < range.0 {
                if pending {
                    *slots.next()? = new;
                    pending = false;
                }
                *slots.next()? = range;
            } else {
                // They overlap or touch.
                new = (new.0.min(range.0), new.1.max(range.1));
            }
        }
        if pending {
            *slots.next()? = new;
        }
        Some(merged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::vectors::CLIENT_FRAMES;
    use crate::testing::hex;
    use kernel::alloc::flags::GFP_ATOMIC;
    use kernel::alloc::inject::fail_nth;
    use proptest::prelude::*;

    /// The ClientHello of RFC 9001 A.2, from its CRYPTO frame with offset 0 and a length of two
    /// bytes.
    fn sample() -> Vec<u8> {
        hex(CLIENT_FRAMES).split_off(4)
    }

    fn vec16(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
    }

    fn extension(extension_type: u16, data: &[u8]) -> Vec<u8> {
        [&extension_type.to_be_bytes()[..], &vec16(data)].concat()
    }

    /// A ClientHello with those bytes after its random.
    fn message(rest: &[&[u8]]) -> Vec<u8> {
        let body = [&[3, 3][..], &[0x72; 32], &rest.concat()].concat();
        [&[1][..], &(body.len() as u32).to_be_bytes()[1..], &body].concat()
    }

    /// No session ID, one suite, no compression.
    const FIELDS: &[u8] = &[0, 0, 2, 0x13, 0x01, 1, 0];

    fn with_extensions(extensions: &[u8]) -> Vec<u8> {
        message(&[FIELDS, &vec16(extensions)])
    }

    fn alpn(list: &[u8]) -> Vec<u8> {
        extension(16, &vec16(list))
    }

    fn names<'a>(hello: &ClientHello<'a>) -> Option<Vec<&'a [u8]>> {
        hello.alpn.map(Iterator::collect)
    }

    #[test]
    fn sample_of_rfc_9001_appendix_a_2() {
        let sample = sample();
        let hello = ClientHello::parse(&sample).unwrap().unwrap();
        assert_eq!(hello.server_name, Some(&b"example.com"[..]));
        assert_eq!(names(&hello), Some(vec![&b"alpn"[..]]));
        // What follows the message is not looked at.
        let longer = [&sample[..], &[0xff; 9]].concat();
        assert_eq!(ClientHello::parse(&longer), Ok(Some(hello)));
        for len in 0..sample.len() {
            assert_eq!(ClientHello::parse(&sample[..len]), Ok(None), "{len}");
        }
    }

    #[test]
    fn names_keep_their_order() {
        let bytes = with_extensions(&alpn(b"\x02h3\x05h3-29\x01x"));
        let hello = ClientHello::parse(&bytes).unwrap().unwrap();
        assert_eq!(names(&hello), Some(vec![&b"h3"[..], b"h3-29", b"x"]));
        assert_eq!(hello.server_name, None);
    }

    #[test]
    fn what_is_legal_is_accepted() {
        let many: Vec<u8> = (0x1000..0x1200)
            .flat_map(|extension_type| extension(extension_type, &[]))
            .collect();
        let long_name = [&[255][..], &[b'x'; 255]].concat();
        for (bytes, expected) in [
            (message(&[FIELDS]), None),
            (with_extensions(&[]), None),
            // A session ID of 32 bytes.
            (
                message(&[&[32], &[0x5e; 32], &FIELDS[1..], &vec16(&alpn(b"\x02h3"))]),
                Some(vec![&b"h3"[..]]),
            ),
            (
                with_extensions(&[&many[..], &alpn(b"\x02h3")].concat()),
                Some(vec![b"h3"]),
            ),
            (
                with_extensions(&alpn(&long_name)),
                Some(vec![&long_name[1..]]),
            ),
        ] {
            let hello = ClientHello::parse(&bytes).unwrap().unwrap();
            assert_eq!(names(&hello), expected);
        }
    }

    #[test]
    fn session_id_is_reported() {
        let bytes = message(&[&[2, 0x5e, 0x5f], &FIELDS[1..]]);
        assert_eq!(
            ClientHello::parse(&bytes)
                .unwrap()
                .unwrap()
                .legacy_session_id,
            &[0x5e, 0x5f]
        );
        assert_eq!(
            ClientHello::parse(&sample())
                .unwrap()
                .unwrap()
                .legacy_session_id,
            &[]
        );
    }

    #[test]
    fn what_does_not_agree_is_malformed() {
        let sni = |data: &[u8]| with_extensions(&extension(0, data));
        for bytes in [
            // Another message.
            vec![2, 0, 0, 0],
            message(&[]),
            message(&[&[33], &[0x5e; 33], &FIELDS[1..]]),
            message(&[&[0, 0, 0, 1, 0]]),
            message(&[&[0, 0, 3, 0x13, 0x01, 0, 1, 0]]),
            message(&[&[0, 0, 2, 0x13, 0x01, 0]]),
            message(&[&[0, 0, 9, 0x13, 0x01, 1, 0]]),
            message(&[FIELDS, &[0]]),
            message(&[FIELDS, &[0, 1]]),
            message(&[FIELDS, &[0, 0, 0]]),
            with_extensions(&[0, 16]),
            with_extensions(&[0, 16, 0, 1]),
            with_extensions(&alpn(b"")),
            with_extensions(&alpn(b"\x00")),
            with_extensions(&alpn(b"\x02h3\x00")),
            with_extensions(&alpn(b"\x03h3")),
            with_extensions(&extension(16, b"\x00\x03\x02h3x")),
            with_extensions(&extension(16, b"")),
            with_extensions(&alpn(b"\x02h3").repeat(2)),
            sni(b""),
            sni(b"\x00\x00"),
            sni(b"\x00\x03\x00\x00\x00"),
            sni(b"\x00\x04\x01\x00\x01x"),
            sni(b"\x00\x04\x00\x00\x01xy"),
            sni(b"\x00\x05\x00\x00\x01xy"),
            sni(b"\x00\x04\x00\x00\x02x"),
            with_extensions(&extension(0, b"\x00\x04\x00\x00\x01x").repeat(2)),
        ] {
            assert_eq!(
                ClientHello::parse(&bytes),
                Err(ClientHelloError::Malformed),
                "{bytes:02x?}"
            );
        }
        assert!(ClientHello::parse(&sni(b"\x00\x04\x00\x00\x01x"))
            .unwrap()
            .is_some());
        assert_eq!(
            ClientHello::parse(&[1, 0xff, 0xff, 0xff]),
            Err(ClientHelloError::TooLarge)
        );
        assert_eq!(
            ClientHello::parse(&[1, 0, 0x3f, 0xfd]),
            Err(ClientHelloError::TooLarge)
        );
        assert_eq!(ClientHello::parse(&[1, 0, 0x3f, 0xfc]), Ok(None));
    }

    fn at(offset: usize) -> VarInt {
        VarInt::try_from(offset).unwrap()
    }

    #[test]
    fn fragments_in_any_order() {
        let sample = sample();
        let mut reader = ClientHelloReader::default();
        assert_eq!(reader.client_hello(), Ok(None));
        // From the end, every second piece first.
        let pieces: Vec<_> = (0..sample.len()).step_by(10).collect();
        for &start in pieces
            .iter()
            .rev()
            .step_by(2)
            .chain(pieces.iter().skip(1).step_by(2))
        {
            assert_eq!(reader.client_hello(), Ok(None));
            reader
                .push(
                    at(start),
                    &sample[start..(start + 10).min(sample.len())],
                    GFP_ATOMIC,
                )
                .unwrap();
        }
        // A frame may say nothing.
        reader.push(VarInt::MAX, &[], GFP_ATOMIC).unwrap();
        let expected = ClientHello::parse(&sample);
        assert!(matches!(expected, Ok(Some(_))));
        assert_eq!(reader.client_hello(), expected);
        assert_eq!(reader.ranges[..2], [(0, sample.len() as u16), (0, 0)]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut reader = ClientHelloReader::new();
        for (offset, data) in [
            (MAX_LEN, &[0][..]),
            (MAX_LEN - 1, &[0, 0]),
            (0, &[0; MAX_LEN + 1]),
        ] {
            assert_eq!(
                reader.push(at(offset), data, GFP_ATOMIC),
                Err(ClientHelloError::TooLarge)
            );
        }
        assert_eq!(
            reader.push(VarInt::MAX, &[0], GFP_ATOMIC),
            Err(ClientHelloError::TooLarge)
        );
        assert_eq!(reader.message.len(), 0);
        for piece in 0..MAX_RANGES {
            reader.push(at(piece * 2 + 1), &[0], GFP_ATOMIC).unwrap();
        }
        assert_eq!(
            reader.push(at(1000), &[0], GFP_ATOMIC),
            Err(ClientHelloError::TooLarge)
        );
        assert_eq!(reader.push(at(0), &[1], GFP_ATOMIC), Ok(()), "closes a gap");
        reader.push(at(MAX_LEN - 1), &[0], GFP_ATOMIC).unwrap_err();
        reader.push(at(2), &[0], GFP_ATOMIC).unwrap();
        reader.push(at(MAX_LEN - 1), &[0], GFP_ATOMIC).unwrap();
        assert_eq!(reader.message.len(), MAX_LEN);
    }

    #[test]
    fn failed_allocation_changes_nothing() {
        let sample = sample();
        let mut reader = ClientHelloReader::new();
        reader.push(at(0), &sample[..100], GFP_ATOMIC).unwrap();
        let (result, failed) = fail_nth(0, || reader.push(at(100), &sample[100..], GFP_ATOMIC));
        assert!(failed);
        assert_eq!(result, Err(ClientHelloError::NoMemory));
        assert_eq!(reader.client_hello(), Ok(None));
        reader.push(at(100), &sample[100..], GFP_ATOMIC).unwrap();
        assert!(matches!(reader.client_hello(), Ok(Some(_))));
    }

    proptest! {
        #[test]
        fn any_fragments_give_the_message(
            cuts in proptest::collection::vec((0..241_usize, 0..60_usize), 0..40),
        ) {
            let sample = sample();
            let mut reader = ClientHelloReader::new();
            let mut received = vec![false; sample.len()];
            for (start, len) in cuts {
                let end = (start + len).min(sample.len());
                match reader.push(at(start), &sample[start..end], GFP_ATOMIC) {
                    Ok(()) => received[start..end].fill(true),
                    Err(error) => prop_assert_eq!(error, ClientHelloError::TooLarge),
                }
                // The ranges are exactly the runs of bytes that were received.
                let mut runs = vec![];
                for (position, _) in received.iter().enumerate().filter(|(_, received)| **received) {
                    match runs.last_mut() {
                        Some((_, end)) if *end == position as u16 => *end += 1,
                        _ => runs.push((position as u16, position as u16 + 1)),
                    }
                }
                prop_assert_eq!(&reader.ranges[..runs.len()], &runs[..]);
                prop_assert!(reader.ranges[runs.len()..].iter().all(|range| *range == (0, 0)));
            }
            let whole = received.iter().all(|received| *received);
            prop_assert_eq!(reader.client_hello().unwrap().is_some(), whole);
            reader.push(at(0), &sample, GFP_ATOMIC).unwrap();
            prop_assert_eq!(reader.client_hello(), ClientHello::parse(&sample));
        }

        #[test]
        fn arbitrary_messages_do_not_panic(
            extensions in proptest::collection::vec((prop_oneof![Just(0_u16), Just(16), any::<u16>()],
                proptest::collection::vec(0..4_u8, 0..12)), 0..6),
            cut in 0..8_usize,
            noise in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let list: Vec<u8> = extensions.iter().flat_map(|(id, data)| extension(*id, data)).collect();
            let list = &list[..list.len().saturating_sub(cut)];
            for bytes in [with_extensions(list), message(&[&noise]), noise.clone()] {
                if let Ok(Some(hello)) = ClientHello::parse(&bytes) {
                    prop_assert!(hello.server_name.is_none_or(|name| !name.is_empty()));
                    if let Some(mut names) = hello.alpn {
                        prop_assert!(names.all(|name| !name.is_empty()));
                    }
                }
            }
        }
    }
}
