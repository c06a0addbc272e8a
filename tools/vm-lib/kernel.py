# SPDX-License-Identifier: MIT OR Apache-2.0
"""A kernel as the VM needs it: an image, an initramfs, a directory of modules.

A kernel directory is what tools/setup makes: `vmlinuz`, `lib/modules/<release>`
and `build`. What is derived from it is cached under build/vm/ by the content it
was made from:

    vmlinux-<hash>      the image without its compression
    initramfs-<hash>    busybox, vm-init and the modules that mount the root
    index-<hash>/       modules.dep and its like, with quic.ko in them
"""

import hashlib
import os
import re
import subprocess
from pathlib import Path

# vm-init mounts its root over virtio-9p and puts an overlay on top.
ROOT_MODULES = ["virtio_pci", "9pnet_virtio", "9p", "overlay"]


class Problem(Exception):
    """Something the user can fix: what is wrong, and how to put it right."""

    def __init__(self, message, fix=None):
        super().__init__(message)
        self.fix = fix


def hash_of(*items):
    """12 hex digits over strings and over the contents of files."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(item.read_bytes() if isinstance(item, Path) else str(item).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:12]


def run(*command, **options):
    """Runs a command; a failure of it is a Problem that quotes its stderr."""
    result = subprocess.run([str(word) for word in command], capture_output=True, **options)
    if result.returncode != 0:
        raise Problem(f"{command[0]} failed: {result.stderr.decode(errors='replace').strip()}")
    return result.stdout


def module_name(path):
    """kernel/net/9p/9pnet.ko.xz -> 9pnet; the kernel takes - and _ for the same."""
    return re.sub(r"\.ko(\.\w+)?$", "", os.path.basename(path)).replace("-", "_")


def copy_index(source, to):
    for file in source.glob("modules.*"):
        (to / file.name).write_bytes(file.read_bytes())


class Kernel:
    LINKS = {"stock": "kernel", "other": "kernel-other", "debug": "kernel-debug"}
    SETUP = {"stock": "make setup", "other": "tools/setup --other", "debug": "tools/setup --debug"}

    def __init__(self, top, which):
        self.top = top
        self.cache = top / "build/vm"
        link = top / "build" / self.LINKS[which] if which in self.LINKS else Path(which)
        self.name = which if which in self.LINKS else link.name
        fix = self.SETUP.get(which, "one of stock, other and debug, or a directory that tools/setup made")
        if not (link / "vmlinuz").exists():
            raise Problem(f"there is no {which} kernel: {link}/vmlinuz is missing", fix)
        self.directory = link.resolve()
        releases = os.listdir(self.directory / "lib/modules")
        if len(releases) != 1:
            raise Problem(f"{self.directory}/lib/modules holds {len(releases)} releases, not one", fix)
        self.release = releases[0]
        self.modules = self.directory / "lib/modules" / self.release
        self.config = set((self.directory / "build/.config").read_text().splitlines())
        self.quic_module = top / f"build/module-{self.release}/net/quic/quic.ko"

    @property
    def is_debug(self):
        """Whether it has the checkers (KASAN, kmemleak ...) that make it slow."""
        return "CONFIG_KASAN=y" in self.config

    @property
    def ticks_per_second(self):
        return next(int(line[10:]) for line in self.config if re.match(r"CONFIG_HZ=\d", line))

    def image(self):
        """What QEMU boots. A kernel with a PVH entry starts without its
        decompressor, which takes a quarter of the boot when it is emulated."""
        packed = self.directory / "vmlinuz"
        extract = self.directory / "src/scripts/extract-vmlinux"
        if "CONFIG_PVH=y" not in self.config or not extract.exists():
            return packed
        return self._cached("vmlinux", hash_of(packed), lambda to: to.write_bytes(run(extract, packed)))

    def initramfs(self):
        init, busybox = self.top / "tools/vm-init", Path("/usr/bin/busybox")
        modules = self._root_modules()

        def make(to):
            tree = Path("/tmp/initramfs")
            run("rm", "-rf", tree)
            for name in ("bin", "modules", "proc", "lower", "upper", "root"):
                (tree / name).mkdir(parents=True)
            run("cp", busybox, tree / "bin/")
            run("cp", init, tree / "init")
            for number, module in enumerate(modules):
                unpacked = run("xz", "-dc", module) if module.suffix == ".xz" else module.read_bytes()
                (tree / "modules" / f"{number}-{module_name(module)}.ko").write_bytes(unpacked)
            names = run("find", ".", cwd=tree)
            to.write_bytes(run("cpio", "--quiet", "-o", "-H", "newc", cwd=tree, input=names))

        return self._cached("initramfs", hash_of(init, busybox, *modules), make)

    def _root_modules(self):
        """The files of ROOT_MODULES that are not built in, dependencies first."""
        builtin = {module_name(line) for line in (self.modules / "modules.builtin").read_text().split()}
        files, needs = {}, {}
        for line in (self.modules / "modules.dep").read_text().splitlines():
            file, dependencies = line.split(":")
            files[module_name(file)] = self.modules / file
            needs[module_name(file)] = [module_name(path) for path in dependencies.split()]
        ordered = []
        for wanted in ROOT_MODULES:
            if wanted in builtin:
                continue
            if wanted not in files:
                raise Problem(f"kernel {self.release} has no {wanted}, neither built in nor as a module")
            # modules.dep names the deepest dependency last.
            for name in [*reversed(needs[wanted]), wanted]:
                if files[name] not in ordered:
                    ordered.append(files[name])
        return ordered

    def module_tree(self, tree):
        """Lays out in `tree` what the guest sees as /lib/modules/<release>: the
        kernel's modules, quic.ko if it is built, and an index over both.

        quic.ko is a link into the checkout, so that a rebuilt module is what
        the next modprobe in a running VM loads."""
        tree.mkdir(parents=True)
        (tree / "kernel").mkdir()
        run("mount", "--bind", self.modules / "kernel", tree / "kernel")
        if self.quic_module.exists():
            (tree / "updates").mkdir()
            (tree / "updates/quic.ko").symlink_to(self.quic_module)
            # Over thousands of compressed modules depmod takes seconds, and what
            # it finds changes only with what quic.ko says about itself.
            about = [run("modinfo", "-F", field, self.quic_module) for field in ("alias", "depends", "softdep")]
            key = hash_of(self.modules / "modules.dep", *about)
            index = self._cached("index", key, lambda to: self._make_index(tree, to))
        else:
            index = self.modules
        copy_index(index, tree)

    def _make_index(self, tree, to):
        copy_index(self.modules, tree)  # for its modules.order and modules.builtin
        run("depmod", "-b", str(tree).removesuffix(f"/lib/modules/{self.release}"), self.release)
        to.mkdir()
        copy_index(tree, to)

    def _cached(self, kind, key, make):
        """build/vm/<kind>-<key>, made whole or not at all. An older one stays
        for the VM that may be running from it; `make clean` removes them."""
        path = self.cache / f"{kind}-{key}"
        if not path.exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            partial = self.cache / f".partial-{os.urandom(4).hex()}"
            try:
                make(partial)
                partial.rename(path)
            except OSError:
                if not path.exists():  # else another run was faster
                    raise
            finally:
                run("rm", "-rf", partial)
        return path
