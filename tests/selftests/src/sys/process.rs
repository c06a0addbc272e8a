// SPDX-License-Identifier: MIT OR Apache-2.0

//! Child processes whose end can be polled for, and resource limits.

use super::errno::{check, check_length, Errno, Result};
use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A child, in a process group of its own, with a pipe from its stdout and stderr.
pub(crate) struct Child {
    pub(crate) pid: libc::pid_t,
    /// Readable when the child has ended.
    pub(crate) end: OwnedFd,
    /// `None` once it has been read to its end.
    pub(crate) output: Option<OwnedFd>,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    Exited(i32),
    Killed(i32),
}

impl Child {
    /// Runs `life` in a child, whose exit status it returns. This process must have no other
    /// threads.
    pub(crate) fn fork(life: impl FnOnce() -> i32) -> Result<Self> {
        let (reader, writer) = pipe()?;
        // SAFETY: There are no other threads, so every lock is free in the child.
        let pid = check(unsafe { libc::fork() })?;
        if pid == 0 {
            drop(reader);
            let status = match become_child(&writer) {
                Ok(()) => life(),
                Err(_) => 1,
            };
            // SAFETY: Ends the process; nothing of the parent's is flushed or dropped a second
            // time.
            unsafe { libc::_exit(status) };
        }
        // Both sides do it, so that it is done before either relies on it. It fails if the child
        // has ended already. SAFETY: Takes numbers only.
        unsafe { libc::setpgid(pid, pid) };
        let end = pidfd_open(pid)?;
        Ok(Self {
            pid,
            end,
            output: Some(reader),
        })
    }

    /// Appends what the child has printed since the last call.
    pub(crate) fn read_output(&mut self, said: &mut Vec<u8>) -> Result<()> {
        let mut buffer = [0; 4096];
        while let Some(output) = &self.output {
            // SAFETY: The buffer is as long as said.
            let read =
                unsafe { libc::read(output.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
            match check_length(read) {
                Ok(0) => self.output = None,
                Ok(length) => said.extend_from_slice(&buffer[..length]),
                Err(Errno(libc::EAGAIN)) => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// How the child ended, if it has.
    pub(crate) fn try_wait(&self) -> Result<Option<Ended>> {
        let mut status = 0;
        // SAFETY: `status` may be written to.
        if check(unsafe { libc::waitpid(self.pid, &mut status, libc::WNOHANG) })? == 0 {
            return Ok(None);
        }
        Ok(Some(ended(status)))
    }

    /// Kills the child and what it has started, as far as it still runs.
    pub(crate) fn kill_group(&self) {
        // SAFETY: Takes numbers only. The group is gone if this fails, which is what is wanted.
        unsafe { libc::kill(-self.pid, libc::SIGKILL) };
    }
}

fn ended(status: libc::c_int) -> Ended {
    if libc::WIFEXITED(status) {
        Ended::Exited(libc::WEXITSTATUS(status))
    } else {
        Ended::Killed(libc::WTERMSIG(status))
    }
}

fn become_child(output: &OwnedFd) -> Result<()> {
    // SAFETY: These take numbers only.
    unsafe {
        check(libc::setpgid(0, 0))?;
        check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
        check(libc::dup2(output.as_raw_fd(), libc::STDOUT_FILENO))?;
        check(libc::dup2(output.as_raw_fd(), libc::STDERR_FILENO))?;
    }
    Ok(())
}

/// A pipe: reading end, which does not block, and writing end.
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for both descriptors, which are new and ours.
    let (reader, writer) = unsafe {
        check(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC))?;
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    };
    // SAFETY: Takes numbers only.
    check(unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) })?;
    Ok((reader, writer))
}

fn pidfd_open(pid: libc::pid_t) -> Result<OwnedFd> {
    // SAFETY: Takes numbers only.
    let returned = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let descriptor = check(libc::c_int::try_from(returned).unwrap_or(-1))?;
    // SAFETY: The descriptor is new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Runs `life` in a child of a case and waits for its end. The case must have no other threads
/// then.
pub(crate) fn run_in_child(life: impl FnOnce() -> i32) -> Result<Ended> {
    // SAFETY: There are no other threads, so every lock is free in the child.
    let pid = check(unsafe { libc::fork() })?;
    if pid == 0 {
        let status = life();
        // SAFETY: Ends the process; nothing of the parent's is flushed or dropped a second time.
        unsafe { libc::_exit(status) };
    }
    let mut status = 0;
    // SAFETY: `status` may be written to.
    check(unsafe { libc::waitpid(pid, &mut status, 0) })?;
    Ok(ended(status))
}

/// What a case may leave behind in this process: open files, threads, children, privileges, signal
/// handlers, limits. `None` if that cannot be told.
pub(crate) fn belongings() -> Option<impl PartialEq> {
    const OF_STATUS: [&str; 8] = [
        "Uid",
        "Gid",
        "Groups",
        "Threads",
        "Sig",
        "Cap",
        "NoNewPrivs",
        "Seccomp",
    ];
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let status: String = status
        .lines()
        .filter(|line| OF_STATUS.iter().any(|name| line.starts_with(name)))
        .filter(|line| !line.starts_with("SigQ")) // counts those of all processes
        .collect();
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let files = fs::read_dir("/proc/self/fd").ok()?.count();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: A zeroed structure is valid, and it may be written to.
    let waited = check(unsafe { libc::waitid(libc::P_ALL, 0, &mut std::mem::zeroed(), options) });
    let has_children = waited != Err(Errno(libc::ECHILD));
    Some((status, limits, files, has_children))
}

/// Allows this process to have `count` open files. Needs root if that is more than the hard limit.
pub(crate) fn allow_open_files(count: u64) -> Result<()> {
    let limit = libc::rlimit {
        rlim_cur: count,
        rlim_max: count,
    };
    // SAFETY: `limit` is a valid structure.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })?;
    Ok(())
}

/// Unloads a kernel module. Fails with EAGAIN if it is in use.
pub(crate) fn unload_module(name: &CStr) -> Result<()> {
    // SAFETY: The name is a string that ends with NUL.
    let returned =
        unsafe { libc::syscall(libc::SYS_delete_module, name.as_ptr(), libc::O_NONBLOCK) };
    check(libc::c_int::try_from(returned).unwrap_or(-1)).map(drop)
}

/// Bytes of a page of memory.
pub(crate) fn page_size() -> u64 {
    // SAFETY: Takes numbers only.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as u64 }
}

/// A file without a name that holds `content`, to be read from its start.
pub(crate) fn file_with(content: &[u8]) -> Result<File> {
    use io::{Seek, Write};
    // SAFETY: The name is a string that ends with NUL.
    let returned = unsafe { libc::memfd_create(c"selftest".as_ptr(), libc::MFD_CLOEXEC) };
    // SAFETY: The descriptor is new and ours.
    let mut file = unsafe { File::from_raw_fd(check(returned)?) };
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn file_is_read_from_its_start() {
        let mut content = String::new();
        file_with(b"abc")
            .unwrap()
            .read_to_string(&mut content)
            .unwrap();
        assert_eq!(content, "abc");
    }

    #[test]
    fn statuses_are_told_apart() {
        assert_eq!(ended(3 << 8), Ended::Exited(3));
        assert_eq!(ended(libc::SIGSEGV), Ended::Killed(libc::SIGSEGV));
    }
}
