# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole Debian on the software engine, whose apt fetches lists and installs a package through the user network."""
import functools
import http.server
import os
import re
import socket
import subprocess
import tempfile
import threading

import archive
import tap
from guestlib import guest_file
from netguest import Guest, Lost, need_helper


class Debian:
    """A copy of a whole Debian, on the user network, with a root shell."""

    def __enter__(self):
        need_helper()
        disk = guest_file('work.img')
        self.copy = os.path.join(os.path.dirname(disk), 'net-%d.img' % os.getpid())
        subprocess.run(['cp', '--sparse=always', disk, self.copy], check=True)
        self.guest = Guest(['--net', 'user', '--disk', 'file=' + self.copy, '--append',
                            'console=ttyS0 root=/dev/vda rw quiet lodge.login=ask panic=1'],
                           guest_file('cloud/initrd'), memory=1024, cpus=2)
        try:
            for prompt, answer in (('login:', b'root\n'), ('assword:', b'lodge\n')):
                self.guest.expect(prompt, 300)
                self.guest.process.stdin.write(answer)
                self.guest.process.stdin.flush()
            self.guest.expect('# ', 100)
            self.guest.run('stty -echo; bind "set enable-bracketed-paste off"', status=None)
        except Lost:
            self.__exit__()
            raise
        return self.guest

    def __exit__(self, *unused):
        self.guest.__exit__()
        os.unlink(self.copy)


def told_lines(text):
    print('# ' + re.sub(r'\n?$', '', text.replace('\r', '\n')).replace('\n', '\n# '), flush=True)


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *unused):
        pass


def apt_own():
    with tempfile.TemporaryDirectory() as work, Debian() as g:
        folder = archive.make(work + '/archive')
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Files, directory=folder))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            url = 'http://10.0.2.2:%d/' % server.server_port
            text = g.run(archive.COMMAND % url, 600, None)
        finally:
            server.shutdown()
            server.server_close()
        told_lines(text)
        missing = [x for x in ['Hello, world!'] + archive.sums(folder) if x not in text]
    return 'it did not print %s' % missing if missing else None


def apt_debian():
    try:
        socket.gethostbyname('deb.debian.org')
    except OSError:
        raise tap.Skip('this machine has no DNS server')
    with Debian() as g:
        g.until('ip route | grep -q default')
        told_lines(g.run('cat /etc/resolv.conf; apt-get update -q >/tmp/out 2>&1; s=$?; cat /tmp/out; [ $s = 0 ]', 600))
        text = g.run('apt-get install -y -q hello >/tmp/out 2>&1; cat /tmp/out; hello', 600)
        told_lines(text)
    return None if 'Hello, world!' in text else 'the installed program does not greet'
