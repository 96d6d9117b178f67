# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of the lab: a Linux with a real, nested KVM inside QEMU.

cpio      writes the initrd's archive format
kernel    gets Debian's kernels by themselves (package, modules, vmlinux)
image     what goes into L1: busybox, modules, programs with their libraries
machine   L1 itself: QEMU's arguments, one boot, retries, the exit status
"""

import os

# What `lab` ends with when it is not the command's own status (README.md, "Exit statuses").
EXIT_SETUP = 123
EXIT_TIMEOUT = 124
EXIT_DIED = 125


class LabError(Exception):
    """The lab cannot be set up: wrong usage, a missing package, an unreadable file."""


def cache_dir(part='lab'):
    """A folder in Lodge's cache, the lab's own by default; made when it is not there."""
    top = os.environ.get('LODGE_CACHE') or os.path.join(
        os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'lodge')
    path = os.path.join(top, part)
    os.makedirs(path, exist_ok=True)
    return path
