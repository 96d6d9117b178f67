# SPDX-License-Identifier: GPL-2.0-or-later
"""L1: the machine whose /dev/kvm is Linux's real kvm_amd, on SVM that QEMU's TCG emulates.

What makes its boot dependable on a busy host:
- L1 is told the rate of its TSC (tsc_early_khz=, tsc=reliable); its own calibration against the
  PIT goes wrong when the host takes the CPU away in the middle.
- The ELF kernel is entered through PVH; no BIOS, no decompression.
- A virtio console carries the output, a virtio port the exit status: quick and 8-bit clean.
- no_timer_check and i8042.no* spare L1 the loops that depend on timing.
- A boot that dies or hangs before the shell is tried again. The command never runs twice.
- An interrupt from outside comes twice a second (Heartbeat): TCG loses one now and then.
"""

import ctypes
import mmap
import os
import re
import selectors
import signal
import subprocess
import sys
import termios
import time
import tty

from . import EXIT_DIED, EXIT_TIMEOUT
from .kernel import require

CPU = 'EPYC-Rome,+svm,+npt,-xsaves'

KERNEL_ARGS = ('panic=-1 reboot=t nokaslr mitigations=off tsc=reliable no_timer_check '
               'random.trust_cpu=on cryptomgr.notests audit=0 apparmor=0 lsm= nowatchdog numa=off '
               'i8042.nokbd i8042.noaux i8042.noselftest '
               'rcupdate.rcu_expedited=1 raid=noautodetect init_on_alloc=0 '
               'kvm.halt_poll_ns=0')

# QEMU's TCG says this of every CPU model it does not emulate in full.
NOISE = "doesn't support requested feature"


def host_tsc_khz():
    """The rate of the host's TSC, which is L1's too, measured against CLOCK_MONOTONIC_RAW."""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b'\x0f\x31'              # rdtsc
               b'\x48\xc1\xe2\x20'      # shl rdx, 32
               b'\x48\x09\xd0'          # or rax, rdx
               b'\xc3')                 # ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    rdtsc = ctypes.CFUNCTYPE(ctypes.c_uint64)(address)

    def pair():
        """TSC and time of one moment: the closest of many brackets."""
        best = None
        for _ in range(200):
            before = rdtsc()
            ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
            after = rdtsc()
            if best is None or after - before < best[0]:
                best = (after - before, (before + after) / 2, ns)
        return best[1:]

    tsc0, ns0 = pair()
    time.sleep(0.1)
    tsc1, ns1 = pair()
    khz = (tsc1 - tsc0) * 1e6 / (ns1 - ns0)
    round_khz = round(khz / 1e5) * 1e5
    return int(round_khz if abs(khz - round_khz) < 3e-4 * round_khz else khz)


class Settings:
    """How L1 is built; the command line fills it in."""
    memory = '2048'
    cpus = 1
    icount = False
    seed = '1'
    cpu = CPU
    append = ''
    share = None
    disks = ()              # (path, snapshot) pairs
    qemu_args = ()
    kernel_log = None
    tty = False
    timeout = 600.0
    boot_timeout = 90.0
    tries = 3
    verbose = False


class Heartbeat:
    """A byte for L1's second UART now and then, so that an interrupt comes whatever L1 does.

    When QEMU runs or leaves a guest of L1 it changes the CPU's word of pending interrupts without a lock
    (VMRUN and #VMEXIT, the bit VIRQ). What another thread of QEMU sets there at that moment is lost: a
    timer's interrupt waits in the local APIC, and L1 stands still, as its next timer is programmed by the
    handler of this one. The next interrupt of that CPU, from anywhere, brings both: l1-init sends ours to each
    CPU in turn. Under --icount the timers run on the CPU's own thread, and nothing is lost.
    """
    SECONDS = 0.5

    def __init__(self, work):
        self.path = os.path.join(work, 'heartbeat')
        self.next = 0.0
        for end in ('.in', '.out'):
            os.mkfifo(self.path + end)
        self.fd = os.open(self.path + '.in', os.O_RDWR | os.O_NONBLOCK)

    def beat(self):
        now = time.monotonic()
        if now < self.next:
            return
        self.next = now + self.SECONDS
        try:
            os.write(self.fd, b'.')
        except BlockingIOError:         # nobody reads yet: a full pipe is as good
            pass

    def arguments(self):
        return ['-chardev', 'pipe,id=heartbeat,path=' + self.path, '-serial', 'chardev:heartbeat']

    def close(self):
        os.close(self.fd)


class L1:
    def __init__(self, settings, kernel, initrd, work):
        """WORK: a folder of this run for QEMU's logs."""
        self.s = settings
        self.qemu, = require('qemu-system-x86_64')
        self.kernel = kernel
        self.initrd = initrd
        self.status_file = os.path.join(work, 'status')
        self.error_file = os.path.join(work, 'qemu-stderr')
        self.kernel_log = settings.kernel_log or os.path.join(work, 'kernel-log')
        self.heartbeat = None if settings.icount else Heartbeat(work)
        self.process = None
        self.saved_terminal = None
        self.at_line_start = True

    def _kernel_args(self):
        args = 'console=ttyS0 8250.nr_uarts=%d ' % (2 if self.heartbeat else 1) + KERNEL_ARGS
        if self.s.icount:
            args += ' tsc_early_khz=1000000 lpj=4000000'
        else:
            args += ' tsc_early_khz=%d' % host_tsc_khz()
        args += ' ignore_loglevel LAB_KERNEL_LOG=1' if self.s.kernel_log else ' quiet'
        return (args + ' ' + self.s.append).strip()

    def command(self):
        s = self.s
        threads = 'single' if s.icount or s.cpus == 1 else 'multi'
        q = [self.qemu, '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
             '-M', 'pc', '-accel', 'tcg,thread=' + threads, '-cpu', s.cpu,
             '-m', s.memory, '-smp', str(s.cpus)]
        if s.icount:
            # One instruction is one nanosecond; an idle CPU's time jumps to its next timer.
            q += ['-icount', 'shift=0,sleep=off', '-rtc', 'base=2026-01-01,clock=vm',
                  '-seed', s.seed]
        q += ['-kernel', self.kernel.vmlinux, '-initrd', self.initrd,
              '-append', self._kernel_args(), '-serial', 'file:' + self.kernel_log]
        if self.heartbeat:
            q += self.heartbeat.arguments()
        q += ['-chardev', 'stdio,id=console,signal=off',
              '-chardev', 'file,id=status,path=' + self.status_file,
              '-device', 'virtio-serial-pci,max_ports=4',
              '-device', 'virtconsole,chardev=console',
              '-device', 'virtserialport,chardev=status,name=status,nr=1']
        if s.share:
            q += ['-fsdev', 'local,id=share,security_model=none,multidevs=remap,path=' + s.share,
                  '-device', 'virtio-9p-pci,fsdev=share,mount_tag=share']
        for i, (path, snapshot) in enumerate(s.disks):
            q += ['-drive', 'if=none,id=disk%d,format=raw,cache=unsafe,snapshot=%s,file=%s' % (
                      i, 'on' if snapshot else 'off', path.replace(',', ',,')),
                  '-device', 'virtio-blk-pci,drive=disk%d' % i]
        return q + list(s.qemu_args)

    def _read_status(self):
        """What L1 has reported: None, 'up', or the command's status as a number."""
        try:
            with open(self.status_file) as f:
                text = f.read()
        except OSError:
            return None
        rc = re.search(r'^rc (\d+)$', text, re.M)
        return int(rc[1]) if rc else 'up' if 'up\n' in text else None

    def _pump_input(self, poll):
        """Passes stdin on. A terminal's end of file goes to L1 as its terminal's (^D)."""
        data = os.read(sys.stdin.fileno(), 4096)
        if not data:
            poll.unregister(sys.stdin)
            # In the middle of a line the first one only ends the line.
            data = b'\4' if self.at_line_start else b'\4\4'
        self.at_line_start = data.endswith(b'\n')
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def _stream(self, out):
        """Copies L1's output until QEMU ends or a time limit is over. True: it was the limit.

        Input starts when the command does: before, L1's terminal would throw it away.
        """
        s = self.s
        limit = time.monotonic() + s.boot_timeout
        is_up = False
        poll = selectors.PollSelector()         # epoll refuses files and /dev/null
        poll.register(self.process.stdout, selectors.EVENT_READ)
        while True:
            if not is_up and self._read_status() is not None:
                is_up = True
                limit = time.monotonic() + s.timeout
                if s.tty:
                    self._raw_terminal()
                    poll.register(sys.stdin, selectors.EVENT_READ)
            left = limit - time.monotonic()
            if left <= 0:
                self.process.kill()
                return True
            if self.heartbeat:
                self.heartbeat.beat()
            for key, _ in poll.select(min(left, Heartbeat.SECONDS if is_up else 0.2)):
                if key.fileobj is sys.stdin:
                    self._pump_input(poll)
                    continue
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    return False
                out.write(data)
                out.flush()

    def _raw_terminal(self):
        if sys.stdin.isatty() and not self.saved_terminal:
            self.saved_terminal = termios.tcgetattr(sys.stdin)
            tty.setraw(sys.stdin)

    def _boot(self, command, out):
        """One boot. Returns (status or None, reached the shell, why it ended)."""
        for path in (self.status_file, self.kernel_log):
            if os.path.exists(path):
                os.unlink(path)
        libc = ctypes.CDLL(None)
        with open(self.error_file, 'w') as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE if self.s.tty else subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=errors,
                preexec_fn=lambda: libc.prctl(1, signal.SIGKILL))      # PR_SET_PDEATHSIG
        timed_out = self._stream(out)
        code = self.process.wait()
        with open(self.error_file, errors='replace') as f:
            sys.stderr.write(''.join(l for l in f if NOISE not in l))
        status = self._read_status()
        if isinstance(status, int):
            return status, True, ''
        if timed_out:
            return (EXIT_TIMEOUT if status else None), bool(status), 'time limit'
        return None, bool(status), 'QEMU ended with status %d' % code

    def run(self, out):
        """Boots, runs the command, copies its output to OUT; returns the exit status."""
        command = self.command()
        if self.s.verbose:
            print('lab:', ' '.join("'%s'" % c if ' ' in c else c for c in command),
                  file=sys.stderr)
        for attempt in range(1, self.s.tries + 1):
            status, was_up, why = self._boot(command, out)
            if status == EXIT_TIMEOUT and why:
                print('lab: the command took longer than %g s' % self.s.timeout, file=sys.stderr)
            if status is not None:
                return status
            if was_up:
                break
            print('lab: L1 did not reach its shell (%s; try %d of %d)' % (
                why, attempt, self.s.tries), file=sys.stderr)
        print('lab: L1 died: %s' % why, file=sys.stderr)
        if os.path.exists(self.kernel_log):
            with open(self.kernel_log, errors='replace') as f:
                print('lab: the end of its kernel log:\n' + f.read()[-3000:], file=sys.stderr)
        return EXIT_DIED

    def close(self):
        """Ends what is left of a run and gives the terminal back; may be called at any time."""
        if self.saved_terminal:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self.saved_terminal)
            self.saved_terminal = None
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.heartbeat:
            self.heartbeat.close()
            self.heartbeat = None
