# SPDX-License-Identifier: GPL-2.0-or-later
"""Taking Debian's kernels apart: the ELF inside a bzImage, and which modules need which."""
import lzma
import os
import re
import struct
import subprocess

LZ4_LEGACY = b'\x02\x21\x4c\x18'
XZ = b'\xfd7zXZ\0'


def vmlinux(bzimage):
    """The ELF image packed into the bzImage `bzimage` (bytes to bytes).

    The setup header says where the payload is (Linux, Documentation/arch/x86/boot.rst, payload_offset). The
    payload's last four bytes are the unpacked size; they are no part of the compressed stream.
    """
    if bzimage[0x202:0x206] != b'HdrS':
        raise ValueError('not a bzImage')
    setup_sects = bzimage[0x1f1] or 4
    offset, length = struct.unpack_from('<II', bzimage, 0x248)
    start = (setup_sects + 1) * 512 + offset
    payload, size = bzimage[start:start + length - 4], bzimage[start + length - 4:start + length]
    if payload.startswith(XZ):
        elf = lzma.LZMADecompressor().decompress(payload)
    elif payload.startswith(LZ4_LEGACY):
        elf = subprocess.run(['lz4', '-dc'], input=payload, stdout=subprocess.PIPE, check=True).stdout
    else:
        raise ValueError('payload is neither xz nor LZ4')
    if not elf.startswith(b'\x7fELF') or len(elf) != struct.unpack('<I', size)[0]:
        raise ValueError('payload does not unpack to an ELF file of the size promised')
    return elf


class Modules:
    """The modules of one unpacked kernel package, under lib/modules/RELEASE."""

    def __init__(self, directory):
        self.path = {}
        for folder, _, names in os.walk(directory):
            for name in names:
                if name.endswith('.ko'):
                    self.path[name[:-3].replace('-', '_')] = os.path.join(folder, name)

    def info(self, name, key):
        """Values of `key` in the module's .modinfo section: NUL-terminated KEY=VALUE strings."""
        with open(self.path[name], 'rb') as f:
            found = re.findall(rb'\0%s=([^\0]*)' % key.encode(), b'\0' + f.read())
        return [x.decode() for x in found]

    def closure(self, wanted):
        """Paths of the modules `wanted` and of what they need, in an order in which insmod takes them.

        A name that has no module file is built into this kernel and is left out.
        """
        order = []

        def visit(name):
            name = name.replace('-', '_')
            if name not in self.path or name in order:
                return
            for deps in self.info(name, 'depends'):
                for dep in filter(None, deps.split(',')):
                    visit(dep)
            order.append(name)

        for name in wanted:
            visit(name)
        return [self.path[name] for name in order]
