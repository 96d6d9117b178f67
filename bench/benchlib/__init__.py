# SPDX-License-Identifier: GPL-2.0-or-later
"""What the benches share: the VMMs that are compared, guests' images, runs in the lab, tables.

A bench runs each VMM in a lab of its own (tests/lab, --icount): virtual time there is a count of
instructions, the same on every machine, so figures of different days can be compared.
"""

import argparse
import os
import re
import shlex
import stat
import struct
import subprocess
import sys
import tempfile

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
LAB = os.path.join(SOURCE, 'tests', 'lab')
GUESTS = os.path.join(SOURCE, 'bench', 'guest')
sys.path.insert(0, LAB)

from lablib import LabError                                     # noqa: E402
from lablib.cpio import Cpio                                    # noqa: E402
from lablib.image import module_files                           # noqa: E402
from lablib.kernel import debian_kernel, require                # noqa: E402

APPEND = 'console=ttyS0 quiet reboot=t panic=-1'


class Vmm:
    """A VMM and how it is told things. KERNELS: the forms of a kernel it is measured with."""

    def __init__(self, name, kernels, program=None):
        self.name = name
        self.kernels = kernels
        self.program = program

    def lab_args(self):
        """What the lab must be told to have it in L1."""
        raise NotImplementedError

    def run(self, kernel, initrd, megabytes, disk=None, append=APPEND):
        """The command line that boots a guest with its serial console on stdio."""
        raise NotImplementedError

    def tiny(self, images):
        """Command lines that run a guest of one instruction: of any code, of a kernel."""
        raise NotImplementedError


class Lodge(Vmm):
    def lab_args(self):
        return ['--lodge', self.program]

    def _base(self, megabytes):
        program = 'lodge' if self.in_lab else self.program
        return [program, 'run', '-a', 'kvm', '-c', '1', '-m', '%dM' % megabytes,
                '--serial', 'stdio']

    in_lab = True

    def run(self, kernel, initrd, megabytes, disk=None, append=APPEND):
        line = self._base(megabytes) + ['-k', kernel, '-i', initrd, '--append', append]
        return line + (['--disk', 'file=%s,format=raw,cache=none' % disk] if disk else [])

    def tiny(self, images):
        line = self._base(128) + ['-k', images['pvh']]
        return line, line


class Qemu(Vmm):
    cpu = 'host'

    def __init__(self, name, kernels, machine, bus):
        super().__init__(name, kernels, 'qemu-system-x86_64')
        self.machine = machine
        self.bus = bus

    def lab_args(self):
        return ['--with-qemu']

    def _base(self, megabytes):
        return [self.program, '-M', self.machine, '-accel', 'kvm', '-cpu', self.cpu, '-smp', '1',
                '-m', str(megabytes), '-nodefaults', '-no-user-config', '-display', 'none',
                '-no-reboot', '-serial', 'stdio', '-name', 'bench,debug-threads=on']

    def run(self, kernel, initrd, megabytes, disk=None, append=APPEND):
        line = self._base(megabytes) + ['-kernel', kernel, '-initrd', initrd, '-append', append]
        if disk:
            line += ['-drive', 'if=none,id=d,format=raw,cache=none,aio=io_uring,file=' + disk,
                     '-device', 'virtio-blk-%s,drive=d' % self.bus]
        return line

    def tiny(self, images):
        line = self._base(128)
        return line + ['-bios', images['rom']], line + ['-kernel', images['pvh']]


class Kvmtool(Vmm):
    in_lab = True

    def lab_args(self):
        return ['--add', self.program + ':/bin/lkvm']

    def _base(self, megabytes):
        return ['lkvm' if self.in_lab else self.program, 'run', '--name', 'bench', '-c', '1',
                '-m', str(megabytes), '--network', 'mode=none']

    def run(self, kernel, initrd, megabytes, disk=None, append=APPEND):
        line = self._base(megabytes) + ['-k', kernel, '-i', initrd, '-p', append]
        return line + (['-d', disk + ',direct'] if disk else [])

    def tiny(self, images):
        line = self._base(128) + ['-k', images['flat']]
        return line, line


def vmms(a):
    """The VMMs to compare: those that are there, as the options say."""
    found = []
    if os.path.exists(a.lodge):
        found.append(Lodge('lodge', ['vmlinux', 'bzImage'], a.lodge))
    else:
        print('bench: no %s: lodge is not measured' % a.lodge, file=sys.stderr)
    found += [
        Qemu('qemu-pc', ['vmlinux'], 'pc', 'pci'),
        Qemu('qemu-q35', ['vmlinux'], 'q35', 'pci'),
        # rtc=on: without one Linux waits a second for port 0x71 to change, in 40,000 exits.
        Qemu('qemu-microvm', ['bzImage'], 'microvm,rtc=on,pit=off,pic=off,x-option-roms=off',
             'device'),
        Qemu('qemu-microvm-default', ['bzImage'], 'microvm', 'device'),
    ]
    if a.kvmtool:
        found.append(Kvmtool('kvmtool', ['bzImage'], a.kvmtool))
    names = [v.name for v in found]
    wrong = [n for n in a.only if n not in names]
    if wrong:
        sys.exit('bench: no VMM %s here; there are %s' % (', '.join(wrong), ', '.join(names)))
    return [v for v in found if not a.only or v.name in a.only]


def arguments(doc):
    """A parser with the options that all benches have."""
    p = argparse.ArgumentParser(description=doc,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--lodge', default=os.path.join(SOURCE, 'build', 'lodge'), metavar='PATH')
    p.add_argument('--kvmtool', metavar='PATH', help='an lkvm; no Debian package has it')
    p.add_argument('--only', action='append', default=[], metavar='VMM')
    p.add_argument('-v', '--verbose', action='store_true', help='show the commands')
    return p


# ---- guests ----

def compile_guest(name, work):
    """One of bench/guest's programs, static: it runs in L1, in L2 and on the host."""
    cc, = require('cc')
    out = os.path.join(work, name)
    subprocess.run([cc, '-O2', '-static', '-o', out, os.path.join(GUESTS, name + '.c')],
                   check=True)
    return out


def compile_cpubench(work):
    """The program of bench/cpu, static, with its 32-bit part inside."""
    cc, = require('cc')
    folder = os.path.join(GUESTS, 'cpubench')
    out, part32 = os.path.join(work, 'cpubench'), os.path.join(work, 'mix32')
    flags = ['-O2', '-std=gnu11', '-static', '-I/usr/include/lua5.4']
    parts = ['main', 'coremix', 'integer', 'apps', 'memory', 'vector', 'system', 'code', 'threads']
    commands = (
        [cc, '-m32', *flags, '-ffreestanding', '-fno-pie', '-no-pie', '-nostdlib',
         '-fno-stack-protector', '-o', part32, os.path.join(folder, 'mix32.c')],
        [cc, *flags, '-pthread', '-DMIX32="%s"' % part32, '-o', out,
         *(os.path.join(folder, p + '.c') for p in parts), '-llua5.4', '-lsqlite3', '-lz', '-lm'])
    for command in commands:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:         # else warnings about dlopen in static programs
            raise LabError('cannot compile cpubench (tests/tools/packages bench):\n' + done.stdout)
    return out


def guest_initrd(work, program, modules=()):
    """An initramfs with a static program as init and kernel modules in loading order."""
    kernel = debian_kernel('linux-image-cloud-amd64')
    archive = Cpio()
    archive.node('dev/console', stat.S_IFCHR | 0o600, 5, 1)
    archive.dir('proc')
    archive.dir('sys')
    archive.host_file(compile_guest(program, work), 'init')
    for i, path in enumerate(module_files(kernel, modules)):
        archive.host_file(os.path.join(kernel.modules, path), 'modules/%02d.ko' % i)
    out = os.path.join(work, program + '.initrd')
    with open(out, 'wb') as f:
        f.write(archive.bytes())
    return out


def tiny_images(work):
    """Guests whose first instructions write '@' to COM1, for each way in; then they halt.

    pvh   an ELF kernel with a PVH note, entered in 32-bit mode
    rom   64 KiB for the reset vector, in real mode
    flat  real mode, for kvmtool's loader of last resort
    """
    tail = b'\xb0\x40\xee\xf4\xeb\xfd'                  # mov al, '@'; out dx, al; 1: hlt; jmp 1b
    real = b'\xba\xf8\x03' + tail                       # mov dx, 0x3f8
    protected = b'\x66' + real
    load = 0x100000
    note = struct.pack('<III4sI', 4, 4, 18, b'Xen\0', load)     # XEN_ELFNOTE_PHYS32_ENTRY
    text_at, note_at = 0x1000, 0x1000 + len(protected) + (-len(protected) % 4)
    text = protected + bytes(note_at - text_at - len(protected)) + note
    head = struct.pack('<16sHHIQQQIHHHHHH', b'\x7fELF\x02\x01\x01', 2, 62, 1, load, 64, 0, 0,
                       64, 56, 2, 0, 0, 0)
    head += struct.pack('<IIQQQQQQ', 1, 7, text_at, load, load, len(text), len(text), 0x1000)
    head += struct.pack('<IIQQQQQQ', 4, 4, note_at, load + note_at - text_at,
                        load + note_at - text_at, len(note), len(note), 4)
    images = {
        'pvh': head + bytes(text_at - len(head)) + text,
        'rom': bytes(65536 - 16) + real + bytes(16 - len(real)),
        'flat': real + bytes(4096 - len(real)),
    }
    paths = {}
    for name, data in images.items():
        paths[name] = os.path.join(work, 'tiny.' + name)
        with open(paths[name], 'wb') as f:
            f.write(data)
    return paths


# ---- runs ----

class Result:
    """What vmwatch printed: marks with time and counters, values, the idle line."""

    def __init__(self, text):
        self.marks = {}             # the last of each name
        self.all_marks = []         # (name, counters) in order
        self.values = {}
        for line in text.splitlines():
            words = line.split()
            if line.startswith('@@ '):
                pairs = [w.partition('=') for w in words[2:]]
                self.marks[words[1]] = {k: float(v) for k, _, v in pairs}
                self.all_marks.append((words[1], self.marks[words[1]]))
            elif line.startswith('= ') and len(words) == 4:
                self.values[words[1]] = (int(words[2]), int(words[3]))

    def get(self, mark, counter):
        """A counter at a mark, or None; vmwatch leaves out counters that are 0."""
        return self.marks[mark].get(counter, 0) if mark in self.marks else None


def output_of(line, verbose):
    """A command's output, shown as it comes if VERBOSE, and its status."""
    text = ''
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace') as process:
        for part in process.stdout:
            text += part
            if verbose:
                print(part, end='', file=sys.stderr, flush=True)
    return text, process.returncode


def in_lab(vmm, work, script, files, icount=True, timeout=60, memory=2048, verbose=False,
           append='', tries=3):
    """Runs a shell script in a lab that has the VMM, vmwatch and FILES (host path, L1 path).

    Under --icount a guest may get an interrupt twice and stop or crash (tests/lab/README.md,
    Traps), so what fails is tried again.
    """
    watch = os.path.join(work, 'vmwatch')
    if not os.path.exists(watch):
        compile_guest('vmwatch', work)
    line = [os.path.join(LAB, 'lab'), '--timeout', str(timeout), '--mem', str(memory),
            '--append', append, '--add', watch + ':/bin/vmwatch'] + vmm.lab_args()
    if icount:
        line += ['--icount']
    for src, dst in files:
        line += ['--add', '%s:%s' % (src, dst)]
    if verbose:
        print('bench: %s: %s' % (vmm.name, script), file=sys.stderr)
    for _ in range(tries):
        text, status = output_of(line + ['--', script], verbose)
        if status == 0:
            break
    if status and not verbose:
        print('bench: %s: status %d; the end of its output:\n%s' % (vmm.name, status, text[-1500:]),
              file=sys.stderr)
    return Result(text)


def watched(mark, command, options=''):
    return 'vmwatch %s %s -- %s' % (options, mark, shlex.join(command))


# ---- tables ----

def number(value, form='%d', scale=1):
    return '-' if value is None else form % (value * scale)


def print_table(title, head, rows):
    """A table that reads well in a terminal and in Markdown."""
    rows = [head] + [[str(c) for c in r] for r in rows]
    widths = [max(len(r[i]) for r in rows) for i in range(len(head))]

    def line(cells):
        texts = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths))]
        return '| ' + ' | '.join(texts) + ' |'
    print('\n%s\n' % title)
    print(line(rows[0]))
    print('|' + '|'.join('-' * (w + 1) + ('-' if i == 0 else ':') for i, w in
                         enumerate(widths)) + '|')
    for row in rows[1:]:
        print(line(row))
    sys.stdout.flush()


def main(doc, add_options, bench):
    """The frame of a bench program: BENCH(arguments, vmms, work folder)."""
    p = arguments(doc)
    add_options(p)
    a = p.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix='lodge-bench-') as work:
            return bench(a, vmms(a), work)
    except LabError as e:
        sys.exit('bench: %s' % e)
    except KeyboardInterrupt:
        return 130
