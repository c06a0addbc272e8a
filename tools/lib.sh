# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What the scripts in this directory share: where things are cached, how a
# step is announced, how a failure is worded. Sourced, never run.

set -Eeuo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
QUIC_CACHE=${QUIC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/quic}
QUIC_MIRROR=${QUIC_MIRROR:-http://deb.debian.org}
JOBS=${JOBS:-$(($(nproc) + 1))} # one more than processors, for one waits for the disk
export JOBS

# Everything costly lives under $QUIC_CACHE in a directory whose name ends in a
# hash of what it was made from. A file `.done` marks it complete; without it
# the directory is the remains of a killed run and is made again.
CARGO_CACHE=$QUIC_CACHE/cargo

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }

# die MESSAGE [FIX]: what went wrong, and what to do about it.
die() {
    printf 'error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf '  fix: %s\n' "$2" >&2
    exit 1
}

# hash_of FILE-OR-STRING...: 12 hex digits over the contents of the files and
# the strings themselves.
hash_of() {
    local item
    for item in "$@"; do
        if [ -f "$item" ]; then cat -- "$item"; else printf '%s\n' "$item"; fi
    done | sha256sum | cut -c1-12
}

need_root() {
    [ "$(id -u)" = 0 ] || die "this needs root (it makes a chroot and mounts)" "run it with sudo"
}

# step "TITLE" COMMAND...: run COMMAND with its output in a log, show a running
# clock on a terminal, and the end of the log if it fails.
step() {
    local title=$1 log start job clock='' rc=0
    shift
    mkdir -p "$QUIC_CACHE/log"
    log=$QUIC_CACHE/log/$(printf '%s' "$title" | tr -cs 'A-Za-z0-9.+' -).log
    start=$SECONDS
    if [ -t 1 ]; then
        (while sleep 1; do printf '\r  %-58s %4ds ' "$title" $((SECONDS - start)); done) &
        clock=$!
    fi
    # The command gets a process group, so that all of it ends with us, whatever
    # ends us. KILL, for process 1 of a namespace hears nothing else.
    set -m
    (set -e; "$@") >"$log" 2>&1 </dev/null &
    job=$!
    set +m
    # shellcheck disable=SC2064 # of this job
    trap "kill -KILL -- -$job $clock 2>/dev/null || true" EXIT
    wait $job || rc=$?
    trap - EXIT
    if [ -n "$clock" ]; then
        kill "$clock" 2>/dev/null || true
        wait "$clock" 2>/dev/null || true
        printf '\r'
    fi
    if [ $rc = 0 ]; then
        printf '  %-58s %4ds ok\n' "$title" $((SECONDS - start))
        return
    fi
    printf '  %-58s %4ds FAILED\n' "$title" $((SECONDS - start))
    tail -n 25 "$log" | sed 's/^/    /' >&2
    die "$title failed; the whole log is $log"
}

# once DIR "TITLE" COMMAND...: make DIR by COMMAND unless it is complete already.
once() {
    local dir=$1 title=$2
    shift 2
    if [ -e "$dir/.done" ]; then
        printf '  %-58s cached\n' "$title"
        return
    fi
    step "$title" "$@"
    touch "$dir/.done"
}

# in_lock COMMAND...: two clones may set up the same cache at once; the second
# waits for the first and then finds it warm.
in_lock() {
    mkdir -p "$QUIC_CACHE"
    exec 9>"$QUIC_CACHE/.lock"
    if ! flock -n 9; then
        say "  waiting for another set-up that uses $QUIC_CACHE"
        flock 9
    fi
    "$@"
    flock -u 9
}

root_packages() { grep -v '^#' "$TOP/tools/packages.trixie" | xargs; }

# The trixie root of this checkout: its name changes with the package list.
root_dir() { printf '%s/root-%s' "$QUIC_CACHE" "$(hash_of "$TOP/tools/packages.trixie" "$QUIC_MIRROR")"; }

# What cargo has made of the crates that others wrote, for a clone that has made nothing yet.
compiled_crates() { printf '%s/crates-%s' "$QUIC_CACHE" "$(hash_of "$TOP/Cargo.lock" "$(basename "$(root_dir)")")"; }
