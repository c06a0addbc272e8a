// SPDX-License-Identifier: MIT OR Apache-2.0

//! The messages of [`Fixed`](super::Fixed): a ClientHello that anybody can read, and others of the right types and lengths.

use crate::random::Random;

pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;
pub(super) const NEW_SESSION_TICKET: u8 = 4;
pub(super) const ENCRYPTED_EXTENSIONS: u8 = 8;
pub(super) const CERTIFICATE: u8 = 11;
pub(super) const CERTIFICATE_VERIFY: u8 = 15;
pub(super) const FINISHED: u8 = 20;

const SERVER_NAME: u16 = 0;
pub(super) const ALPN: u16 = 16;
const PADDING: u16 = 21;
pub(super) const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;
pub(super) const TRANSPORT_PARAMETERS: u16 = 0x39;

/// What ClientHello and EncryptedExtensions say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Extensions {
    pub(super) alpn: Vec<Vec<u8>>,
    pub(super) parameters: Option<Vec<u8>>,
    pub(super) early_data: bool,
}

/// A message: type, length in three bytes, body.
pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    bytes.extend_from_slice(body);
    bytes
}

/// A message of bytes that say nothing.
pub(super) fn opaque(kind: u8, len: usize, random: &mut Random) -> Vec<u8> {
    let mut body = vec![0; len];
    random.fill(&mut body);
    message(kind, &body)
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let mut it = (bytes.len() as u16).to_be_bytes().to_vec();
    it.extend_from_slice(bytes);
    it
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &with_length(body)].concat()
}

fn extensions(it: &Extensions) -> Vec<u8> {
    let mut bytes = Vec::new();
    if !it.alpn.is_empty() {
        let names = it.alpn.iter().flat_map(|name| {
            let len = [name.len() as u8];
            [&len[..], name].concat()
        });
        let names: Vec<u8> = names.collect();
        bytes.extend(extension(ALPN, &with_length(&names)));
    }
    if let Some(parameters) = &it.parameters {
        bytes.extend(extension(TRANSPORT_PARAMETERS, parameters));
    }
    if it.early_data {
        bytes.extend(extension(EARLY_DATA, &[]));
    }
    bytes
}

/// A ClientHello (RFC 8446 §4.1.2) of `len` bytes, or more if that does not suffice.
pub(super) fn client_hello(
    it: &Extensions,
    name: &str,
    len: usize,
    random: &mut Random,
) -> Vec<u8> {
    let mut bits = [0; 64];
    random.fill(&mut bits);
    let (client_random, share) = bits.split_at(32);
    let mut body = vec![3, 3];
    body.extend_from_slice(client_random);
    // No session ID; three suites; no compression.
    body.extend_from_slice(&[0, 0, 6, 0x13, 1, 0x13, 2, 0x13, 3, 1, 0]);
    let host = [&[0][..], &with_length(name.as_bytes())].concat();
    let x25519 = [&[0, 29][..], &with_length(share)].concat();
    let mut list = [
        extension(SERVER_NAME, &with_length(&host)),
        extension(SUPPORTED_VERSIONS, &[2, 3, 4]),
        extension(KEY_SHARE, &with_length(&x25519)),
        extensions(it),
    ]
    .concat();
    // The header of the message, the length of the list and the header of the padding.
    let missing = len.saturating_sub(4 + body.len() + 2 + list.len() + 4);
    list.extend(extension(PADDING, &vec![0; missing]));
    body.extend(with_length(&list));
    message(CLIENT_HELLO, &body)
}

/// EncryptedExtensions (RFC 8446 §4.3.1).
pub(super) fn encrypted_extensions(it: &Extensions) -> Vec<u8> {
    message(ENCRYPTED_EXTENSIONS, &with_length(&extensions(it)))
}

/// The transport parameters in a ClientHello, if that is what `bytes` begins with and all of it is
/// there: a server has to know them before it declares its own.
pub(crate) fn client_parameters(bytes: &[u8]) -> Option<Vec<u8>> {
    let (header, rest) = bytes.split_first_chunk::<4>()?;
    let len = u32::from_be_bytes(*header) & 0xff_ffff;
    let body = rest.get(..len as usize)?;
    read_client_hello(body)
        .filter(|_| header[0] == CLIENT_HELLO)?
        .parameters
}

/// What the body of a ClientHello says.
pub(super) fn read_client_hello(body: &[u8]) -> Option<Extensions> {
    // Version and random; session ID; suites; compression.
    let rest = body.get(34..)?;
    let rest = rest.get(1 + usize::from(*rest.first()?)..)?;
    let (_, rest) = take(rest)?;
    let rest = rest.get(1 + usize::from(*rest.first()?)..)?;
    read_encrypted_extensions(rest)
}

/// What the body of EncryptedExtensions says.
pub(super) fn read_encrypted_extensions(body: &[u8]) -> Option<Extensions> {
    let (mut list, rest) = take(body)?;
    if !rest.is_empty() {
        return None;
    }
    let mut it = Extensions::default();
    while !list.is_empty() {
        let (kind, rest) = list.split_first_chunk::<2>()?;
        let (content, rest) = take(rest)?;
        list = rest;
        match u16::from_be_bytes(*kind) {
            ALPN => {
                let (mut names, _) = take(content)?;
                while let Some((len, rest)) = names.split_first() {
                    let (name, rest) = rest.split_at_checked(usize::from(*len))?;
                    it.alpn.push(name.to_vec());
                    names = rest;
                }
            }
            TRANSPORT_PARAMETERS => it.parameters = Some(content.to_vec()),
            EARLY_DATA => it.early_data = true,
            _ => {}
        }
    }
    Some(it)
}

/// A length of two bytes and what it measures, and the rest.
fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}
