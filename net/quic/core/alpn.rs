// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`AlpnList`]: the application protocols that a socket speaks (RFC 7301), as a program writes them and as TLS does.
//!
//! A program writes `h3,smb`; on the wire and in here it is `\x02h3\x03smb`.

use core::fmt;

/// The longest list that a program may write, in bytes.
pub const MAX_TEXT: usize = 128;
/// A list in its own form is one byte longer than as text: the first name has a length but no
/// comma.
const MAX_BYTES: usize = MAX_TEXT + 1;

/// Protocol names in the order of preference; at most [`MAX_TEXT`] bytes as text.
///
/// # Invariants
///
/// `bytes[..len]` is a sequence of names, each one byte of length, which is not zero, and as many
/// bytes.
#[derive(Copy, Clone)]
pub struct AlpnList {
    bytes: [u8; MAX_BYTES],
    len: u8,
}

/// Why a text is not a list of protocols.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum AlpnError {
    /// No text at all, or more than [`MAX_TEXT`] bytes.
    Length,
    /// A name is empty.
    EmptyName,
}

impl AlpnList {
    /// No protocol: matches peers that do not use ALPN.
    pub const fn new() -> Self {
        // INVARIANT: The empty sequence.
        Self {
            bytes: [0; MAX_BYTES],
            len: 0,
        }
    }

    /// Reads names separated by commas; spaces before a name do not count.
    pub fn parse(text: &[u8]) -> Result<Self, AlpnError> {
        if text.is_empty() || text.len() > MAX_TEXT {
            return Err(AlpnError::Length);
        }
        let mut list = Self::new();
        for name in text.split(|byte| *byte == b',') {
            list.push(name.trim_ascii_start_spaces())?;
        }
        Ok(list)
    }

    fn push(&mut self, name: &[u8]) -> Result<(), AlpnError> {
        let len = u8::try_from(name.len()).map_err(|_| AlpnError::Length)?;
        if len == 0 {
            return Err(AlpnError::EmptyName);
        }
        let rest = self
            .bytes
            .get_mut(usize::from(self.len)..)
            .unwrap_or_default();
        let (length, rest) = rest.split_first_mut().ok_or(AlpnError::Length)?;
        let place = rest.get_mut(..name.len()).ok_or(AlpnError::Length)?;
        *length = len;
        place.copy_from_slice(name);
        // INVARIANT: One more name, and MAX_BYTES fits into eight bits.
        self.len = self.len.saturating_add(len).saturating_add(1);
        Ok(())
    }

    /// Whether there is no protocol.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The list as TLS writes it.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The names in their order.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.as_bytes();
        core::iter::from_fn(move || {
            let (length, tail) = rest.split_first()?;
            let (name, tail) = tail.split_at_checked(usize::from(*length))?;
            rest = tail;
            Some(name)
        })
    }

    /// Whether `name` is in the list.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.names().any(|own| own == name)
    }

    /// Whether both lists have a name in common, or are both empty: a client could then be meant
    /// for either.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self.is_empty(), other.is_empty()) {
            (true, true) => true,
            (false, false) => self.names().any(|name| other.contains(name)),
            _ => false,
        }
    }

    /// Writes the list with commas into `text` and returns how long it is. There is always room.
    pub fn write_text(&self, text: &mut [u8; MAX_TEXT]) -> usize {
        let mut written: usize = 0;
        let mut rest = text.as_mut_slice();
        let mut comma: &[u8] = b"";
        for name in self.names() {
            for part in [core::mem::replace(&mut comma, b","), name] {
                let Some((place, tail)) = rest.split_at_mut_checked(part.len()) else {
                    return written;
                };
                place.copy_from_slice(part);
                written = written.saturating_add(part.len());
                rest = tail;
            }
        }
        written
    }
}

impl Default for AlpnList {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for AlpnList {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for AlpnList {}

impl fmt::Debug for AlpnList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// What the standard library's `trim_ascii_start` does, for spaces alone.
trait TrimSpaces {
    fn trim_ascii_start_spaces(&self) -> &Self;
}

impl TrimSpaces for [u8] {
    fn trim_ascii_start_spaces(&self) -> &[u8] {
        let start = self.iter().position(|byte| *byte != b' ');
        start
            .and_then(|start| self.get(start..))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> AlpnList {
        AlpnList::parse(text.as_bytes()).unwrap()
    }

    fn text(list: &AlpnList) -> String {
        let mut text = [0; MAX_TEXT];
        let len = list.write_text(&mut text);
        String::from_utf8(text[..len].to_vec()).unwrap()
    }

    #[test]
    fn commas_become_lengths_and_back() {
        assert_eq!(list("h3,smb").as_bytes(), b"\x02h3\x03smb");
        assert_eq!(text(&list("h3,  smb , x")), "h3,smb ,x");
        assert_eq!(text(&AlpnList::new()), "");
    }

    #[test]
    fn every_allowed_length_fits() {
        assert_eq!(AlpnList::parse(b""), Err(AlpnError::Length));
        assert_eq!(AlpnList::parse(&[b'a'; 129]), Err(AlpnError::Length));
        assert_eq!(text(&list(&"a".repeat(128))), "a".repeat(128));
        let many = vec!["a"; 64].join(",");
        assert_eq!(text(&list(&many)), many);
    }

    #[test]
    fn an_empty_name_is_refused() {
        for text in [",", "a,", ",a", "a,,b", "a, ,b", " "] {
            assert_eq!(
                AlpnList::parse(text.as_bytes()),
                Err(AlpnError::EmptyName),
                "{text:?}"
            );
        }
    }

    #[test]
    fn lists_overlap_by_name() {
        assert!(list("a,b").overlaps(&list("c,b")));
        assert!(!list("a,b").overlaps(&list("ab,c")));
        assert!(AlpnList::new().overlaps(&AlpnList::new()));
        assert!(!AlpnList::new().overlaps(&list("a")));
        assert!(list("a,b") != list("b,a") && list("a,b") == list("a, b"));
    }
}
