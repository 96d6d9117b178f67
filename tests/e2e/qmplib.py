# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of QMP share: a client, a VM of lodge's and one of QEMU's, and when their answers are alike."""
import array
import json
import os
import shutil
import socket
import subprocess

import tap
from guestlib import guest_file
from waits import listens_at, until

LODGE = os.path.join(tap.TOP, 'build/lodge')
QEMU = 'qemu-system-x86_64'
# Results' keys that QEMU must have, too (lodge may leave optional ones out).
SHAPES = ['query-version', 'query-kvm', 'query-target', 'query-uuid', 'query-status', 'query-cpus-fast',
          'query-chardev', 'query-block', 'query-named-block-nodes', 'query-blockstats', 'query-fdsets',
          'qom-list', 'qom-list-types', 'device-list-properties', 'query-command-line-options',
          'query-iothreads', 'query-cpu-definitions', 'query-hotpluggable-cpus', 'query-memdev', 'query-memory-size-summary']
OPTIONAL = {'default-value', 'alias', 'abstract', 'qdev_id', 'driver-specific', 'parent', 'description',
            'fd', 'backing'}


class Client:
    def __init__(self, path, negotiate=True):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(120)
        self.sock.connect(path)
        self.buffer = b''
        self.events = []
        self.greeting = self.line()
        if negotiate:
            self.ask('qmp_capabilities')

    def line(self):
        while b'\n' not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            self.buffer += data
        line, self.buffer = self.buffer.split(b'\n', 1)
        return json.loads(line)

    def reply(self):
        while True:
            line = self.line()
            if 'event' not in line:
                return line
            self.events.append(line)

    def raw(self, text):
        self.sock.sendall(text.encode() + b'\n')
        return self.reply()

    def ask(self, command, **arguments):
        return self.raw(json.dumps({'execute': command, 'arguments': arguments}))

    def ask_with_fd(self, command, fd, **arguments):
        text = json.dumps({'execute': command, 'arguments': arguments}).encode()
        self.sock.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd]))])
        return self.reply()

    def event(self, name):
        for e in self.events:
            if e['event'] == name:
                self.events.remove(e)
                return e
        while True:
            line = self.line()
            if line.get('event') == name:
                return line
            self.events.append(line)


class Lodge:
    """A VM with a directory of its own to be found in."""
    def __init__(self, work, *options, name='t', wait='qmp'):
        self.work, self.name = work, name
        self.env = dict(os.environ, XDG_RUNTIME_DIR=work)
        self.folder = os.path.join(work, 'lodge', name)
        self.process = subprocess.Popen(
            [LODGE, 'run', '--name', name, '--accel', 'soft', '--memory', '128M',
             *(() if '-k' in options else ('-k', guest_file('cloud/bzImage'))), *options],
            stdin=subprocess.DEVNULL, env=self.env)
        # Its last one.
        until(lambda: listens_at(self.path('monitor')) or self.process.poll() is not None)
        if not listens_at(self.path('monitor')):
            raise RuntimeError('lodge does not start')

    def path(self, which='qmp'):
        return os.path.join(self.folder, which)

    def run(self, *words, stdin=None):
        return subprocess.run([LODGE, *words], env=self.env, stdout=subprocess.PIPE, input=stdin,
                              stderr=subprocess.PIPE, text=True, timeout=100)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Qemu:
    """QEMU, alike; skips what needs it where it is not there."""
    def __init__(self, work):
        if not shutil.which(QEMU):
            raise tap.Skip('qemu-system-x86_64 is not there')
        disk, self.there = os.path.join(work, 'disk'), os.path.join(work, 'qemu')
        with open(disk, 'wb') as f:
            f.truncate(1 << 20)
        self.process = subprocess.Popen(
            [QEMU, '-S', '-nodefaults', '-display', 'none', '-machine', 'q35,accel=tcg', '-m', '64', '-name', 't',
             '-chardev', 'null,id=busy', '-device', 'isa-serial,chardev=busy', '-object', 'iothread,id=io',
             '-drive', 'file=%s,if=none,id=d,format=raw' % disk, '-device', 'virtio-blk-pci,drive=d,id=vd', '-device', 'pcie-root-port,id=p1',
             '-qmp', 'unix:%s,server=on,wait=off' % self.there])
        if not until(lambda: listens_at(self.there)):
            raise RuntimeError('QEMU does not start')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def verdict(answer):
    """What must be the same."""
    if 'error' in answer:
        return answer['error']['class']
    return 'return', type(answer['return']).__name__


def keys_of(value, prefix=''):
    if isinstance(value, dict):
        found = set()
        for k, v in value.items():
            found |= {(prefix + k, type(v).__name__)} | keys_of(v, prefix + k + '.')
        return found
    if isinstance(value, list):
        return set().union(set(), *[keys_of(v, prefix + '[].') for v in value])
    return set()
