// SPDX-License-Identifier: MIT OR Apache-2.0

//! System calls as a 32-bit program makes them. On x86-64 any process may, by `int 0x80`.

use super::errno::{Errno, Result};
use super::process::{run_in_child, Ended};
use super::socket::Socket;
use std::os::fd::AsRawFd;

/// Numbers of the i386 table.
const GETPID: u32 = 20;
const SENDMSG: u32 = 370;

/// Memory that 32-bit pointers reach.
struct LowPage(*mut u8);

impl LowPage {
    fn new() -> Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
        // SAFETY: A new mapping, at an address that the kernel chooses, harms nothing.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        Ok(Self(page.cast()))
    }

    /// Copies `bytes` to `offset` and returns their 32-bit address.
    fn put(&self, offset: usize, bytes: &[u8]) -> u32 {
        assert!(offset + bytes.len() <= 4096, "the page is full");
        // SAFETY: The page has that many bytes, by the check above, and nobody else writes to it.
        let start = unsafe {
            let start = self.0.add(offset);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len());
            start
        };
        start as usize as u32
    }
}

/// Makes a 32-bit system call with up to three arguments.
///
/// # Safety
///
/// Pointers among the arguments must be those the call expects.
#[cfg(target_arch = "x86_64")]
unsafe fn call(number: u32, first: u32, second: u32, third: u32) -> Result<u32> {
    let returned: u32;
    // SAFETY: The caller vouches for the arguments. The gate saves every register but eax and,
    // entered from 64-bit code, r8 to r11. The compiler keeps rbx for itself, so it is swapped in
    // and out.
    unsafe {
        core::arch::asm!(
            "xchg rbx, {first}",
            "int 0x80",
            "xchg rbx, {first}",
            first = inout(reg) u64::from(first) => _,
            inlateout("eax") number => returned,
            in("ecx") second,
            in("edx") third,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    match returned as i32 {
        errno @ -4095..=-1 => Err(Errno(-errno)),
        _ => Ok(returned),
    }
}

#[cfg(not(target_arch = "x86_64"))]
unsafe fn call(_number: u32, _first: u32, _second: u32, _third: u32) -> Result<u32> {
    Err(Errno(libc::ENOSYS))
}

/// Whether this kernel runs 32-bit programs. If it does not, trying kills the process, so a child
/// tries.
pub(crate) fn is_available() -> bool {
    if cfg!(not(target_arch = "x86_64")) {
        return false;
    }
    // SAFETY: The call has no arguments.
    let tried = run_in_child(|| i32::from(unsafe { call(GETPID, 0, 0, 0) }.is_err()));
    tried == Ok(Ended::Exited(0))
}

/// `sendmsg()` of a 32-bit program, with one control message.
pub(crate) fn sendmsg(
    socket: &Socket,
    data: &[u8],
    (level, kind, value): (i32, i32, &[u8]),
    flags: i32,
) -> Result<u32> {
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect::<Vec<_>>()
    };
    let page = LowPage::new()?;
    let data_at = page.put(0, data);
    let part_at = page.put(1024, &words(&[data_at, data.len() as u32]));
    // cmsghdr: length, level, type, each of 4 bytes.
    let length = 12 + value.len() as u32;
    let mut control = words(&[length, level as u32, kind as u32]);
    control.extend_from_slice(value);
    let control_at = page.put(2048, &control);
    // msghdr: name and its length, parts and their count, control data and its length, flags.
    let header_at = page.put(3072, &words(&[0, 0, part_at, 1, control_at, length, 0]));
    // SAFETY: The header and what it points to are complete.
    unsafe { call(SENDMSG, socket.as_raw_fd() as u32, header_at, flags as u32) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::address::at;

    #[test]
    fn message_of_a_32_bit_program_arrives() {
        if !is_available() {
            return;
        }
        let udp = || Socket::open(libc::AF_INET, libc::SOCK_DGRAM, 0).unwrap();
        let (ours, theirs) = (udp(), udp());
        theirs.bind(&at("127.0.0.1:0")).unwrap();
        ours.connect(&theirs.name().unwrap()).unwrap();
        // IP_TTL, so that the control message has to be understood.
        let control = (libc::SOL_IP, libc::IP_TTL, 64_i32.to_ne_bytes());
        assert_eq!(
            sendmsg(&ours, b"compat", (control.0, control.1, &control.2), 0),
            Ok(6)
        );
        assert_eq!(theirs.receive_message(16, 0).unwrap().data, b"compat");
        let bad = (libc::SOL_IP, libc::IP_TTL, 1000_i32.to_ne_bytes());
        assert_eq!(
            sendmsg(&ours, b"", (bad.0, bad.1, &bad.2), 0),
            Err(Errno(libc::EINVAL))
        );
    }
}
