# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes into L1: an initramfs of two archives.

The base (busybox, kernel modules) is made once and cached under a hash of what it is made from.
The second archive is this run's: the init script, the command, the user's programs and files.
"""

import glob
import hashlib
import os
import re
import shutil
import stat
import subprocess

from . import LabError, cache_dir
from .cpio import Cpio
from .kernel import Locked, debian_kernel, require

# Modules that L1 can load, with all that they need.
MODULES = '''
    kvm kvm-amd kvm-intel
    virtio_pci virtio_console virtio_blk virtio_net virtio_rng
    9p 9pnet_virtio overlay squashfs ext4 crc32c_generic crc32c_intel
    tun tap macvtap vhost vhost_net vhost_vsock bridge veth dummy
    loop brd zram null_blk scsi_debug nbd
    vfio vfio-pci vfio_iommu_type1 msr cpuid
'''.split()

LIBEXEC = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def _module_name(path):
    return os.path.basename(path)[:-len('.ko')].replace('-', '_')


def module_files(kernel, names):
    """Module files of a kernel below its folder, each behind all that it needs.

    Names that are built in, or not of this kernel, are left out.
    """
    depends = {}
    with open(kernel.modules + '/modules.dep') as f:
        for line in f:
            path, _, needs = line.partition(':')
            depends[_module_name(path)] = needs.split()[::-1] + [path]
    files = []
    for name in names:
        for path in depends.get(name.replace('-', '_'), []):
            if path not in files:
                files.append(path)
    return files


def _add_modules(archive, kernel):
    """Modules with their dependencies, and the parts of depmod's tables that speak of them."""
    files = module_files(kernel, MODULES)
    wanted = {_module_name(path) for path in files}
    top = 'lib/modules/%s/' % kernel.release
    for path in files:
        archive.host_file(kernel.modules + '/' + path, top + path)
    with open(kernel.modules + '/modules.dep') as f:
        table = ''.join(l for l in f if l.partition(':')[0] in files)
    archive.file(top + 'modules.dep', table.encode())
    with open(kernel.modules + '/modules.alias') as f:
        table = ''.join(l for l in f if l.split()[-1].replace('-', '_') in wanted)
    archive.file(top + 'modules.alias', table.encode())
    archive.host_file(kernel.modules + '/modules.builtin', top + 'modules.builtin')


def _base(kernel):
    """The base archive from the cache, opened: a run with other contents may remove its name."""
    busybox, = require('busybox')
    with open(busybox, 'rb') as f:
        program = f.read()
    if b'/lib64/ld-linux' in program[:4096]:
        raise LabError('%s is not static; on Debian: apt-get install busybox-static' % busybox)
    key = hashlib.sha256()
    for part in (program, kernel.release.encode(), ' '.join(MODULES).encode(),
                 str(os.stat(kernel.vmlinuz).st_mtime_ns).encode(), open(__file__, 'rb').read()):
        key.update(part + b'\0')
    path = os.path.join(cache_dir(), 'base-%s.cpio' % key.hexdigest()[:16])
    with Locked('base'):
        if not os.path.exists(path):
            for old in glob.glob(cache_dir() + '/base-*.cpio'):
                os.unlink(old)
            archive = Cpio()
            for d in 'dev proc sys tmp root run etc mnt usr/bin var/tmp lab'.split():
                archive.dir(d)
            archive.node('dev/console', stat.S_IFCHR | 0o600, 5, 1)
            archive.node('dev/null', stat.S_IFCHR | 0o666, 1, 3)
            archive.file('bin/busybox', program, 0o755)
            for applet in subprocess.run([busybox, '--list'], text=True, check=True,
                                         stdout=subprocess.PIPE).stdout.split():
                archive.link('bin/' + applet, 'busybox')
            archive.link('sbin', 'bin')
            archive.file('etc/passwd', b'root::0:0:root:/root:/bin/sh\n')
            archive.file('etc/group', b'root:x:0:\nkvm:x:104:\n')
            _add_modules(archive, kernel)
            with open(path + '.new', 'wb') as f:
                f.write(archive.bytes())
            os.rename(path + '.new', path)
        return open(path, 'rb')


def _is_program(path):
    """An ELF executable or shared library (not a .ko, not a .o)."""
    with open(path, 'rb') as f:
        head = f.read(18)
    return head[:4] == b'\x7fELF' and head[4:5] == b'\x02' and head[16:17] in (b'\x02', b'\x03')


def _libraries(path):
    """The shared libraries a program needs, as the host's loader finds them."""
    ldd, = require('ldd')
    out = subprocess.run([ldd, path], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    missing = re.findall(r'(\S+) => not found', out.stdout)
    if missing:
        raise LabError('%s needs libraries that are not here: %s' % (path, ' '.join(missing)))
    return re.findall(r'(?:=> )?(/\S+) \(0x', out.stdout) if out.returncode == 0 else []


class Image:
    """The run's own archive."""

    def __init__(self):
        self._archive = Cpio()

    def text(self, name, data, mode=0o644):
        self._archive.file(name, data.encode(), mode)

    def add(self, src, dst=None):
        """A file, or a folder with all in it; programs bring their libraries."""
        dst = dst or os.path.abspath(src)
        if os.path.isdir(src):
            self._archive.dir(dst)
            for entry in sorted(os.listdir(src)):
                self.add(os.path.join(src, entry), os.path.join(dst, entry))
        elif os.path.isfile(src):
            self._archive.host_file(src, dst)
            if _is_program(src):
                for lib in _libraries(src):
                    self._archive.host_file(lib, lib)
        elif os.path.islink(src):
            self._archive.link(dst, os.readlink(src))
        else:
            raise LabError('no such file: %s' % src)

    def program(self, name, dst=None):
        """A program of the host's PATH, to /bin."""
        path = shutil.which(name)
        if not path:
            raise LabError('no program %s in PATH' % name)
        self.add(os.path.realpath(path), dst or '/usr/local/bin/' + os.path.basename(name))

    def qemu(self):
        """The host's QEMU with its firmware: the peer in comparisons."""
        # QEMU looks for its firmware from where it lies itself.
        self.program('qemu-system-x86_64', '/usr/bin/qemu-system-x86_64')
        roms = ('/usr/share/qemu/*.bin', '/usr/share/qemu/*.rom', '/usr/share/seabios/*.bin',
                '/usr/lib/ipxe/qemu/efi-virtio.rom', '/usr/lib/ipxe/qemu/efi-e1000.rom')
        for rom in [r for pattern in roms for r in sorted(glob.glob(pattern))]:
            if os.path.isfile(rom) and 'edk2' not in rom:
                self._archive.host_file(rom, '/usr/share/qemu/' + os.path.basename(rom))
        for module in glob.glob('/usr/lib/x86_64-linux-gnu/qemu/accel-*.so'):
            self.add(module)

    def guest(self, flavour):
        """A Debian kernel as guest: /guest/FLAVOUR.bzImage, .vmlinux; /guest/initrd: a shell."""
        kernel = debian_kernel('linux-image-%s' % flavour)
        self._archive.host_file(kernel.vmlinuz, '/guest/%s.bzImage' % flavour)
        self._archive.host_file(kernel.vmlinux, '/guest/%s.vmlinux' % flavour)
        self._archive.file('/guest/initrd', guest_initrd())

    def write(self, kernel, path):
        """The whole initramfs into a file."""
        self._archive.host_file(os.path.join(LIBEXEC, 'l1-init'), 'init')
        with open(path, 'wb') as out, _base(kernel) as base:
            shutil.copyfileobj(base, out)
            out.write(self._archive.bytes())


GUEST_INIT = '''#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
echo "guest: init runs"
exec setsid -c sh </dev/ttyS0 >/dev/ttyS0 2>&1
'''


def guest_initrd(init=GUEST_INIT, files=()):
    """A guest's initramfs: busybox and an init. FILES: pairs of host path and guest path."""
    busybox, = require('busybox')
    archive = Cpio()
    for d in 'dev proc sys tmp root mnt'.split():
        archive.dir(d)
    archive.node('dev/console', stat.S_IFCHR | 0o600, 5, 1)
    archive.host_file(busybox, 'bin/busybox')
    for applet in subprocess.run([busybox, '--list'], text=True, check=True,
                                 stdout=subprocess.PIPE).stdout.split():
        archive.link('bin/' + applet, 'busybox')
    archive.link('sbin', 'bin')
    for src, dst in files:
        archive.host_file(src, dst)
    archive.file('init', init.encode(), 0o755)
    return archive.bytes()
