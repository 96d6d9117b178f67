# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM under test with a shell on its serial line, and with what the host sees of its process."""
import json
import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time

import tap
from guestlib import guest_file
from waits import KERNEL_LINE

LODGE = os.path.join(tap.TOP, 'build/lodge')
PROMPT = r'root@lodge:~# '


class Failed(Exception):
    pass


class Vm:
    """lodge run with a root shell on the serial line; @WORK@ in `extra` is a folder that vanishes."""

    def __init__(self, *extra, flavour='cloud', memory='512M', append='', lodge=LODGE, accel='soft'):
        self.work = tempfile.mkdtemp(dir=os.path.dirname(guest_file('root.img')))
        self.disk = os.path.join(self.work, 'root')
        self.seen = ''
        subprocess.run(['cp', '--sparse=always', guest_file('root.img'), self.disk], check=True)
        command = [lodge, 'run', '--accel', accel, '--memory', memory,
                   '--kernel', guest_file(flavour + '/bzImage'),
                   '--initrd', guest_file(flavour + '/initrd'), '--disk', 'file=' + self.disk,
                   '--serial', 'stdio', '--append',
                   'console=ttyS0 root=/dev/vda rw quiet panic=1 ' + append,
                   *(x.replace('@WORK@', self.work) for x in extra)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)

    def __enter__(self):
        try:
            self.expect(PROMPT, 300)
            self.shell('stty -echo')
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.work, ignore_errors=True)

    def read(self, timeout):
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            return
        data = self.process.stdout.read()
        if data == b'':
            raise Failed('lodge ended; its last output: %s' % self.seen[-400:])
        self.seen += (data or b'').decode(errors='replace').replace('\r', '')

    def expect(self, pattern, timeout=180, trouble=r'Kernel panic|BUG:|Oops|blocked for more than', kernel=True):
        """Waits for a regular expression in the output after what was matched before; without the kernel's messages, which
        may come amid a program's, if they are no matter."""
        end = time.monotonic() + timeout
        while True:
            raw, troubled = self.seen, trouble and re.search(trouble, self.seen)
            if not kernel:
                self.seen = KERNEL_LINE.sub('', self.seen)
            found = re.search(pattern, self.seen)
            if found:
                self.seen = self.seen[found.end():]
                return found
            if troubled:
                raise Failed('the guest has trouble: %s' % raw[-1500:])
            left = end - time.monotonic()
            if left <= 0:
                raise Failed('"%s" did not come; the last output: %s' % (pattern, self.seen[-800:]))
            self.read(min(left, 1))

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def shell(self, command, timeout=180):
        """Runs a command in the guest's shell; its output. The status must be 0."""
        self.type(command + '; echo "status=$?."\n')
        before = self.expect(r'((?:.|\n)*?)status=(\d+)\.\n', timeout, kernel=False)
        self.expect(PROMPT, timeout, kernel=False)
        if before.group(2) != '0':
            raise Failed('"%s" ended with %s: %s' % (command, before.group(2), before.group(1)))
        return before.group(1)

    def rollup(self, name='Rss'):
        """Bytes of the process: Rss, Pss, ... of /proc/PID/smaps_rollup."""
        with open('/proc/%d/smaps_rollup' % self.process.pid) as f:
            return int(re.search(r'^%s:\s+(\d+)' % name, f.read(), re.M).group(1)) << 10

    def mapped(self, name):
        """Bytes (PSS) of the mappings that have @name in theirs."""
        with open('/proc/%d/smaps' % self.process.pid) as f:
            found = re.findall(r'^[0-9a-f]+-\S+ .*%s.*\n(?:\w+:.*\n)*?Pss:\s+(\d+)' % re.escape(name), f.read(), re.M)
        return sum(map(int, found)) << 10

    def descriptors(self):
        return len(os.listdir('/proc/%d/fd' % self.process.pid))

    def heap(self):
        """Bytes of the process's heap that are in use by its main thread's allocations, more or less."""
        with open('/proc/%d/smaps' % self.process.pid) as f:
            found = re.search(r'\[heap\]\n(?:\S+:.*\n)*?Private_Dirty:\s+(\d+)', f.read())
        return int(found.group(1)) << 10 if found else 0

    def threads(self):
        return len(os.listdir('/proc/%d/task' % self.process.pid))

    def until(self, what, condition, timeout=180, pause=0.2):
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise Failed('waited in vain for ' + what)
            self.read(pause)


class Qmp:
    """A QMP client of the VM with `--qmp unix:@WORK@/qmp`."""

    def __init__(self, vm):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(180)
        self.socket.connect(os.path.join(vm.work, 'qmp'))
        self.lines = self.socket.makefile('r')      # 'rw' forgets what it has read ahead at each write
        self.events = []
        json.loads(self.lines.readline())
        self.call('qmp_capabilities')

    def message(self):
        line = self.lines.readline()
        if not line:
            raise Failed('the QMP connection was closed')
        return json.loads(line)

    def ask(self, command, **arguments):
        """The reply: an object with `return` or `error`; `_` in arguments' names is `-`."""
        arguments = {k.replace('_', '-'): v for k, v in arguments.items()}
        self.socket.sendall((json.dumps({'execute': command, 'arguments': arguments}) + '\n').encode())
        while True:
            message = self.message()
            if 'event' not in message:
                return message
            self.events.append(message)

    def getfd(self, name, fd):
        line = json.dumps({'execute': 'getfd', 'arguments': {'fdname': name}}) + '\n'
        socket.send_fds(self.socket, [line.encode()], [fd])
        reply = self.message()
        if 'return' not in reply:
            raise Failed('getfd: %s' % reply)

    def call(self, command, **arguments):
        reply = self.ask(command, **arguments)
        if 'return' not in reply:
            raise Failed('%s %s: %s' % (command, arguments, reply))
        return reply['return']

    def refused(self, error_class, text, command, **arguments):
        error = self.ask(command, **arguments).get('error')
        if not error or error['class'] != error_class or text not in error['desc']:
            raise Failed('%s %s: not refused as it should: %s' % (command, arguments, error))

    def event(self, name, **data):
        """The data of the first event of that name with these members that has not been taken yet."""
        while True:
            for i, e in enumerate(self.events):
                if e['event'] == name and all(e.get('data', {}).get(k) == v for k, v in data.items()):
                    return self.events.pop(i).get('data', {})
            message = self.message()
            if 'event' not in message:
                raise Failed('a reply that nobody asked for: %s' % message)
            self.events.append(message)

    def close(self):
        self.lines.close()
        self.socket.close()


def guarded(function):
    """A case for tap.run() of one that raises Failed."""
    def call():
        try:
            return function()
        except (Failed, OSError) as e:
            return str(e) or repr(e)
    return call
