# SPDX-License-Identifier: GPL-2.0-or-later
"""What the end-to-end tests wait for, and which ports they take: nothing that another process can take away."""
import os
import random
import re
import socket
import time

# Seconds for what takes one or two on an idle host.
PATIENCE = 180
# A record of the kernel's on a console. Each comes whole, but may come amid a program's line.
KERNEL_LINE = re.compile(r'\[ *\d+\.\d{6}\] [^\n]*\n')
CLAIMS = []


def until(condition, seconds=PATIENCE):
    """What `condition` gives as soon as that is true, or what it gave last when the time is over."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def claim(port):
    """An abstract socket (of the network namespace, as the port is) stands for it among all tests."""
    s = socket.socket(socket.AF_UNIX)
    try:
        s.bind('\0lodge-test-port-%d' % port)
    except OSError:
        s.close()
        return False
    CLAIMS.append(s)
    return True


def is_free(port):
    for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
        with socket.socket(socket.AF_INET, kind) as s:
            try:
                s.bind(('', port))
            except OSError:
                return False
    return True


def free_port():
    """A port, of TCP and of UDP, that nobody has, and that is this process's as long as it lives: it is none of those that
    the kernel gives to whoever binds or connects without naming one, and no other test takes it."""
    with open('/proc/sys/net/ipv4/ip_local_port_range') as f:
        first, last = map(int, f.read().split())
    ports = [x for x in range(10000, 65536) if not first <= x <= last]
    random.SystemRandom().shuffle(ports)
    return next(x for x in ports if claim(x) and is_free(x))


def listens(port):
    """Does somebody here listen at this TCP port? Asked without connecting: some serve one client only."""
    lines = []
    for name in 'tcp', 'tcp6':
        if os.path.exists('/proc/net/' + name):
            with open('/proc/net/' + name) as f:
                lines += [x.split() for x in f.readlines()[1:]]
    return any(x[3] == '0A' and x[1].endswith(':%04X' % port) for x in lines)


def listens_at(path):
    """Does somebody listen at this UNIX socket? It is in its folder before one does. Asked without connecting, too."""
    with open('/proc/net/unix', errors='replace') as f:
        lines = [x.split(maxsplit=7) for x in f]
    return any(len(x) == 8 and x[3] == '00010000' and x[7].rstrip() == path for x in lines)


def has_ended(pid):
    """A process is not there, or only for its parent to be told."""
    try:
        with open('/proc/%d/stat' % pid) as f:
            return ') Z ' in f.read()
    except (FileNotFoundError, ProcessLookupError):
        return True
