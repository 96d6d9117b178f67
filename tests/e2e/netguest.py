# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests for tests and benches of the network: a kernel with its initrd, whose shell on the serial line is
spoken to from here, and in the initrd iperf3 and a script for udhcpc. More than one at a time, on lodge or QEMU.
"""
import os
import re
import select
import subprocess
import sys
import tempfile
import time

import tap
from guestlib import guest_file
from waits import KERNEL_LINE

sys.path.insert(0, os.path.join(tap.TOP, 'tests/lab'))
from lablib.cpio import Cpio

LODGE = os.path.join(tap.TOP, 'build/lodge')
UDHCPC = b'''#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev $interface
[ -z "$router" ] || ip route add default via $router
echo "nameserver $dns" >/etc/resolv.conf
'''


class Lost(Exception):
    pass


def need_helper():
    if not os.path.exists(os.path.join(os.path.dirname(LODGE), 'lodge-net-user')):
        raise tap.Skip('lodge-net-user is not built (libslirp-dev, libseccomp-dev)')


def libraries(program):
    text = subprocess.run(['ldd', program], stdout=subprocess.PIPE, check=True, text=True).stdout
    return re.findall(r'(/\S+) \(0x', text)


def initrd(folder, programs=(), files=None):
    """The cloud kernel's initrd and `programs` of this machine with their libraries, and scripts `files`, {path: text}.
    Its path."""
    extra = Cpio()
    for name, text in {'udhcpc': UDHCPC, **(files or {})}.items():
        extra.file(name, text, 0o755)
    for program in programs:
        for path in (program, *libraries(program)):
            extra.host_file(os.path.realpath(path), path.replace('/usr/', '/', 1).lstrip('/')
                            if 'lib' not in path else path.lstrip('/'))
    path = os.path.join(folder, 'initrd')
    with open(path, 'wb') as out, open(guest_file('cloud/initrd'), 'rb') as base:
        out.write(base.read())
        out.write(bytes(-out.tell() % 4) + extra.bytes())
    return path


class Guest:
    """A guest with a root shell in its initrd. Used in a with statement; what it prints is kept for failures."""

    def __init__(self, arguments, initrd_path, vmm='lodge', around=(), memory=256, cpus=1, accel='soft',
                 pass_fds=()):
        append = 'console=ttyS0 quiet panic=1'
        kernel = guest_file('cloud/bzImage')
        if vmm == 'lodge':
            command = [LODGE, 'run', '--accel', accel, '--cpus', str(cpus), '--memory', '%dM' % memory,
                       '--kernel', kernel, '--initrd', initrd_path, '--serial', 'stdio', '--append', append]
        else:
            command = ['qemu-system-x86_64', '-accel', 'tcg', '-cpu', 'max', '-m', str(memory), '-smp', str(cpus),
                       '-nodefaults', '-display', 'none', '-no-reboot', '-serial', 'stdio', '-kernel', kernel,
                       # Linux counts ticks for a moment and panics when there are none: QEMU on a busy host.
                       '-initrd', initrd_path, '-append', append + ' no_timer_check']
        self.vmm = vmm
        self.text = self.all = ''
        self.process = subprocess.Popen([*around, *command, *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=pass_fds)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait()

    def expect(self, what, seconds=180, kernel=True):
        """Text up to the regular expression `what`, and the match; without the kernel's messages, if they are no matter."""
        end = time.monotonic() + seconds
        while True:
            if not kernel:
                self.text = KERNEL_LINE.sub('', self.text)
            found = re.search(what, self.text)
            if found:
                before, self.text = self.text[:found.start()], self.text[found.end():]
                return before, found
            ready = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b''
            if not data:
                raise Lost('%s; last seen: %s' % ('ended' if ready else 'no %r in %d s' % (what, seconds),
                                                 self.all[-1500:]))
            self.text += data.decode(errors='replace').replace('\r', '')
            self.all += data.decode(errors='replace').replace('\r', '')

    def shell(self):
        self.expect('here is a shell')
        self.run('stty -echo; PS1=; ip link set lo up')
        self.run('true')
        return self

    def run(self, command, seconds=180, status=0):
        """What `command` printed; its exit status must be `status`, unless that is None."""
        self.process.stdin.write(('%s; echo "[END" $?]\n' % command).encode())
        self.process.stdin.flush()
        text, found = self.expect(r'\[END (\d+)\]\n', seconds, kernel=False)
        if status is not None and int(found.group(1)) != status:
            raise Lost('%r ended with status %s: %s' % (command, found.group(1), text[-800:]))
        return text

    def until(self, condition, seconds=180):
        """Waits until a command of the guest's succeeds."""
        self.run('until %s; do sleep 0.1; done' % condition, seconds)

    def listens(self, port):
        """Waits until somebody in the guest takes TCP connections."""
        self.until('netstat -ltn | grep -q ":%d "' % port)

    def reaches(self, address):
        self.until('ping -c 1 -W 2 %s >/dev/null' % address)

    def carrier(self, value):
        """Waits until the link is up (1) or down (0)."""
        self.until('[ "$(cat /sys/class/net/eth0/carrier)" = %d ]' % value)

    def address(self, text):
        self.run('ip link set eth0 up && ip addr add %s dev eth0' % text)
        return self

    def dhcp(self):
        self.run('ip link set eth0 up && udhcpc -n -q -i eth0 -s /udhcpc -t 10 -T 1')
        return self
