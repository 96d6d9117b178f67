# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's kernels, taken from their packages without installing them.

A kernel lives in the cache under the name of the package that was asked for:

    linux-image-amd64/boot/vmlinuz-RELEASE
    linux-image-amd64/lib/modules/RELEASE/...     with depmod's tables
    linux-image-amd64/vmlinux                     the ELF image, unpacked from vmlinuz

What is there stays, so runs can be compared; `lab --refresh` takes the package anew.
"""

import fcntl
import glob
import lzma
import os
import re
import shutil
import struct
import subprocess
import tempfile
import zlib

from . import LabError, cache_dir

# program -> Debian package, for the message that says what is missing
PACKAGES = {
    'qemu-system-x86_64': 'qemu-system-x86', 'busybox': 'busybox-static', 'depmod': 'kmod',
    'apt-get': 'apt', 'dpkg-deb': 'dpkg', 'ldd': 'libc-bin', 'lz4': 'lz4', 'cc': 'gcc libc6-dev',
}


def require(*programs):
    """Paths of programs of the host; one message names every Debian package that is missing."""
    search = os.environ.get('PATH', '') + ':/usr/sbin:/sbin:/usr/bin:/bin'
    found = [shutil.which(p, path=search) for p in programs]
    missing = sorted({PACKAGES.get(p, p) for p, path in zip(programs, found) if not path})
    if missing:
        raise LabError('programs are missing; on Debian: apt-get install ' + ' '.join(missing))
    return found


class Locked:
    """An exclusive lock on something in the cache, for runs side by side."""

    def __init__(self, name):
        self._path = os.path.join(cache_dir(), name + '.lock')

    def __enter__(self):
        self._file = open(self._path, 'w')
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *exc):
        self._file.close()


class Kernel:
    """One unpacked kernel package."""

    def __init__(self, root):
        self.root = root
        self.release = os.path.basename(glob.glob(root + '/lib/modules/*')[0])
        self.vmlinuz = '%s/boot/vmlinuz-%s' % (root, self.release)
        self.modules = '%s/lib/modules/%s' % (root, self.release)

    @property
    def vmlinux(self):
        path = self.root + '/vmlinux'
        if not os.path.exists(path):
            with Locked('vmlinux'):
                if not os.path.exists(path):
                    with open(self.vmlinuz, 'rb') as f:
                        elf = unpack_bzimage(f.read(), self.vmlinuz)
                    with open(path + '.new', 'wb') as f:
                        f.write(elf)
                    os.rename(path + '.new', path)
        return path


def unpack_bzimage(image, name='bzImage'):
    """The ELF kernel inside a bzImage (x86 boot protocol 2.08: payload_offset, payload_length)."""
    if len(image) < 0x250 or image[0x202:0x206] != b'HdrS':
        raise LabError('%s: not a bzImage' % name)
    start, length = struct.unpack_from('<II', image, 0x248)
    start += (image[0x1f1] + 1) * 512
    payload = image[start:start + length]
    if payload[:6] == b'\xfd7zXZ\0':
        elf = lzma.LZMADecompressor().decompress(payload)
    elif payload[:4] == b'\x02\x21\x4c\x18':
        # LZ4's legacy frame; the last four bytes are the kernel's own note of the size
        lz4, = require('lz4')
        elf = subprocess.run([lz4, '-d', '-c'], input=payload[:-4], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, check=True).stdout
    elif payload[:2] == b'\x1f\x8b':
        elf = zlib.decompress(payload, 31)
    else:
        raise LabError('%s: payload of unknown compression %s' % (name, payload[:6].hex()))
    if elf[:4] != b'\x7fELF':
        raise LabError('%s: the payload is no ELF image' % name)
    return elf


def apt_options(arch=None):
    """apt's options for packages of `arch`; None: this machine's own.

    Another architecture gets package lists of its own in the cache, so that the machine's apt need
    not know of it. They are fetched once.
    """
    options = ['-o', 'APT::Sandbox::User=root'] if os.getuid() == 0 else []
    if not arch:
        return options
    root = cache_dir('apt-' + arch)
    for folder in ('lists/partial', 'cache/archives/partial'):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    options += ['-o', 'APT::Architecture=' + arch, '-o', 'APT::Architectures=' + arch,
                '-o', 'Dir::State::lists=%s/lists' % root, '-o', 'Dir::Cache=%s/cache' % root]
    if not glob.glob(root + '/lists/*Packages*'):
        # It complains of archives without this architecture; what matters is whether there are lists.
        done = subprocess.run(['apt-get', '-q', *options, 'update'], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if not glob.glob(root + '/lists/*Packages*'):
            raise LabError("apt cannot get %s's package lists:\n%s" % (arch, done.stdout.strip()))
    return options


def _newest_package(meta, apt):
    """linux-image-amd64 is an empty package that depends on the newest kernel's."""
    require('apt-get')
    out = subprocess.run(['apt-cache', *apt, 'show', '--no-all-versions', meta], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    depends = re.search(r'^Depends:.*?(linux-image-\S+)', out, re.M)
    if not depends:
        raise LabError('apt knows no package %s: run apt-get update' % meta)
    return depends[1]


def _download(meta, root, arch):
    require('apt-get', 'dpkg-deb', 'depmod')
    apt = apt_options(arch)
    package = _newest_package(meta, apt)
    work = tempfile.mkdtemp(prefix='.new-', dir=os.path.dirname(root))
    try:
        # As root, apt would download as user _apt, who cannot write here.
        got = subprocess.run(['apt-get', '-q', *apt, 'download', package],
                             cwd=work, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        debs = glob.glob(work + '/*.deb')
        if got.returncode or not debs:
            raise LabError('apt-get download %s failed (apt-get update?):\n%s'
                           % (package, got.stdout.strip()))
        tree = work + '/tree'
        subprocess.run(['dpkg-deb', '-x', debs[0], tree], check=True)
        release = os.path.basename(glob.glob(tree + '/lib/modules/*')[0])
        subprocess.run(require('depmod') + ['-b', tree, release], check=True)
        shutil.rmtree(root, ignore_errors=True)
        os.rename(tree, root)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def debian_kernel(meta='linux-image-amd64', refresh=False, arch=None):
    """Debian's newest kernel of a flavour, from the cache or from the package mirror."""
    root = os.path.join(cache_dir(), meta)
    with Locked(meta):
        if refresh or not os.path.isdir(root):
            _download(meta, root, arch)
    return Kernel(root)
