# SPDX-License-Identifier: GPL-2.0-or-later
"""A thread of another process is stopped and made to do system calls, by ptrace(2), as if its code had been
taken over. x86-64."""
import ctypes
import os
import signal
import time

SEIZE, INTERRUPT, GETREGS, SETREGS, SINGLESTEP, DETACH = 0x4206, 0x4207, 12, 13, 9, 17
AT_FDCWD = -100
REGS = ('r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss '
        'fs_base gs_base ds es fs gs').split()
CALLS = {'sendto': 44, 'socket': 41, 'connect': 42, 'socketpair': 53, 'clone': 56, 'execve': 59, 'kill': 62,
         'fchdir': 81, 'ptrace': 101, 'chroot': 161, 'mount': 165, 'umount2': 166, 'tgkill': 234,
         'openat': 257, 'newfstatat': 262, 'unshare': 272, 'setns': 308, 'process_vm_readv': 310,
         'io_uring_setup': 425, 'pidfd_open': 434}
WALL = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


class Regs(ctypes.Structure):
    _fields_ = [(n, ctypes.c_uint64) for n in REGS]


class Text:
    """An argument: bytes that are put into the thread's memory. keep: Taken.kept is their address."""

    def __init__(self, data, keep=False):
        self.data = bytes(data)
        self.keep = keep


class Taken:
    def __init__(self, process, tid):
        self.process, self.tid = process, tid
        self.ended = False
        self.last = None        # the name of the last call
        self.kept = None

    def _ptrace(self, request, addr=0, data=0):
        if libc.ptrace(request, self.tid, addr, data) < 0:
            e = ctypes.get_errno()
            raise OSError(e, 'ptrace %#x: %s' % (request, os.strerror(e)))

    def _wait(self):
        end = time.monotonic() + 120
        while time.monotonic() < end:
            pid, status = os.waitpid(self.tid, WALL | os.WNOHANG)
            if pid:
                return status
            time.sleep(0.0005)
        raise TimeoutError('the thread does not stop (%s)' % self.last)

    def __enter__(self):
        self._ptrace(SEIZE)
        self._ptrace(INTERRUPT)
        self._wait()
        self.memory = open('/proc/%d/mem' % self.process.pid, 'r+b', buffering=0)
        self.saved = Regs()
        self._ptrace(GETREGS, 0, ctypes.addressof(self.saved))
        self.instruction = self._find_syscall()
        return self

    def __exit__(self, *_):
        self.memory.close()
        if self.ended:
            return
        try:
            self._ptrace(SETREGS, 0, ctypes.addressof(self.saved))
            self._ptrace(DETACH)
        except OSError:
            os.kill(self.process.pid, signal.SIGKILL)

    def _find_syscall(self):
        with open('/proc/%d/maps' % self.process.pid) as f:
            for line in f:
                words = line.split()
                if words[1] != 'r-xp' or not words[-1].endswith('lodge'):
                    continue
                start, end = (int(x, 16) for x in words[0].split('-'))
                self.memory.seek(start)
                at = self.memory.read(end - start).find(b'\x0f\x05')
                if at >= 0:
                    return start + at
        raise LookupError('no system call instruction')

    def read(self, address, n):
        self.memory.seek(address)
        return self.memory.read(n)

    def _arguments(self, args):
        at = (self.saved.rsp - 8192) & ~15
        for a in args:
            if not isinstance(a, Text):
                yield a & (1 << 64) - 1
                continue
            self.memory.seek(at)
            self.memory.write(a.data)
            if a.keep:
                self.kept = at
            yield at
            at += (len(a.data) + 15) & ~15

    def call(self, name, *args):
        """The call's result as a signed number; -1 with self.ended: the process has ended."""
        r = Regs.from_buffer_copy(self.saved)
        self.last = name
        for reg, value in zip(('rdi', 'rsi', 'rdx', 'r10', 'r8', 'r9'), self._arguments(args)):
            setattr(r, reg, value)
        r.rax, r.rip, r.orig_rax = CALLS[name], self.instruction, (1 << 64) - 1
        self._ptrace(SETREGS, 0, ctypes.addressof(r))
        while True:
            self._ptrace(SINGLESTEP)
            status = self._wait()
            # A signal of the VM's own to this thread may come before the step, and is dropped.
            if not os.WIFSTOPPED(status) or os.WSTOPSIG(status) in (signal.SIGTRAP, signal.SIGSYS):
                break
        if os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGSYS:
            self._ptrace(DETACH, 0, int(signal.SIGSYS))
            self.ended = True
            return -1
        if not os.WIFSTOPPED(status):
            raise ChildProcessError('status %#x after %s' % (status, name))
        self._ptrace(GETREGS, 0, ctypes.addressof(r))
        return ctypes.c_int64(r.rax).value
