# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The front door. `make help` says what there is.

MAKEFLAGS += --no-print-directory
KDIR ?=
DESTDIR ?=
PREFIX ?= /usr

.DEFAULT_GOAL := all
.PHONY: help all module userspace setup check check-host check-vm check-debug bench-core \
	demo vm install uninstall clean

help:
	@echo 'make setup        everything a bare Debian machine needs, once (root; below 8 minutes)'
	@echo 'make              the module and the userspace'
	@echo 'make demo         a QUIC socket on the stock kernel in a VM, from nothing'
	@echo 'make check        all tests, from nothing (root): check-host, check-vm, check-debug'
	@echo 'make bench-core   what the protocol costs, in instructions and bytes, against its limits'
	@echo 'make vm           a shell in the VM, with the module loaded'
	@echo 'make install      the module and its header, on a machine with a Rust-enabled kernel'
	@echo 'make uninstall    removes what make install has put there'
	@echo 'make clean        remove what was built here (not the cache)'
	@echo
	@echo 'KDIR=DIR          build for the kernel prepared in DIR; else for the running one if it'
	@echo '                  has Rust metadata, else for the stock kernel of make setup'
	@echo 'DESTDIR=DIR       where to install instead of /, for packagers; PREFIX=DIR [/usr]'
	@echo 'QUIC_CACHE=DIR    where make setup keeps what is costly [~/.cache/quic]'

all: module userspace

setup:
	@tools/setup

module:
	@tools/build-module $(KDIR)

# Only where there is something to build it with: `make` on a user's machine is about the module.
userspace:
	@if [ -e build/root/.done ]; then tools/in-root cargo build --locked --release --workspace; fi

check:
	@tools/check

check-host check-vm check-debug:
	@tools/check $(@:check-%=%)

bench-core:
	@tools/setup
	@tools/bench-core

demo:
	@tools/setup
	@tools/demo

vm:
	@tools/setup
	@tools/build-module build/kernel/build
	@tools/vm

install: module
	@tools/build-module --install $(KDIR)
	install -D -m 644 include/uapi/linux/quic.h $(DESTDIR)$(PREFIX)/include/linux/quic.h

uninstall:
	@tools/build-module --uninstall $(KDIR)
	rm -f $(DESTDIR)$(PREFIX)/include/linux/quic.h

clean:
	rm -rf build/bench-core build/module-* build/test-modules-* build/clippy-* build/userspace build/log build/vm build/check
