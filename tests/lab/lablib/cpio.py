# SPDX-License-Identifier: GPL-2.0-or-later
"""A writer of cpio "newc" archives, the format of Linux's initramfs.

Everything is made in memory and is the same, byte for byte, for the same input: no times, no
owners, inode numbers in order. An initramfs may be several such archives one behind the other.
"""

import os
import stat


class Cpio:
    def __init__(self):
        self._parts = []
        self._names = set()

    def __contains__(self, name):
        return name.strip('/') in self._names

    def _entry(self, name, mode, data=b'', rdev=(0, 0)):
        path = name.encode() + b'\0'
        fields = (len(self._parts) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1],
                  len(path), 0)
        head = b'070701' + b''.join(b'%08X' % f for f in fields) + path
        self._parts.append(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))

    def _claim(self, name):
        """Makes the folders above a name. False when the name is taken: the first one stays."""
        name = name.strip('/')
        if not name or name in self._names:
            return None
        parent = os.path.dirname(name)
        if parent and parent not in self._names:
            self.dir(parent)
        self._names.add(name)
        return name

    def dir(self, name):
        name = self._claim(name)
        if name:
            self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o644):
        name = self._claim(name)
        if name:
            self._entry(name, stat.S_IFREG | mode, data)

    def link(self, name, target):
        name = self._claim(name)
        if name:
            self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def node(self, name, mode, major, minor):
        name = self._claim(name)
        if name:
            self._entry(name, mode, rdev=(major, minor))

    def host_file(self, src, name):
        """A file of the host, with its permission bits."""
        with open(src, 'rb') as f:
            self.file(name, f.read(), stat.S_IMODE(os.fstat(f.fileno()).st_mode))

    def bytes(self):
        tail = Cpio()
        tail._entry('TRAILER!!!', 0)
        data = b''.join(self._parts + tail._parts)
        return data + bytes(-len(data) % 512)
