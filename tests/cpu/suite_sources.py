# SPDX-License-Identifier: GPL-2.0-or-later
"""Other projects' tests of an x86 CPU: fetched from Debian's source packages, built, and listed.

Nothing of them is kept in this repository. In the cache (${LODGE_CACHE:-~/.cache/lodge}/suites):

    src/linux   tools/testing/selftests/x86, with the headers it needs, of Debian's kernel
    src/qemu    tests/tcg of Debian's QEMU
    bin         the programs; bin/.recipe says what they were built by

A program is called SUITE/NAME_BITS, as selftests/sigreturn_32 or tcg/test-i386_32.
"""
import concurrent.futures
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

from lablib import LabError, cache_dir
from lablib.kernel import Locked, apt_options, require

CACHE = cache_dir('suites')
BIN = os.path.join(CACHE, 'bin')
X86 = 'tools/testing/selftests/x86'
# The folders unpacked; the rest of both sources is a thousand times as much.
LINUX_PARTS = [X86, 'tools/testing/selftests/*.h', 'arch/x86/include/asm/desc_defs.h']
QEMU_PARTS = ['tests/tcg']


class NoSources(LabError):
    """The sources cannot be had here: a reason to skip, not a fault."""


def say(text):
    print('# ' + text, flush=True)


# ---- fetching ----

def fetch(command, work):
    done = subprocess.run(command, cwd=work, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode:
        raise NoSources('%s failed: %s' % (' '.join((command[0], *command[-2:])),
                                           (done.stdout.strip().splitlines() or ['?'])[-1]))


def unpack(stream, parts, out):
    """Unpacks a tar.xz from `stream`; the first component of its names is dropped."""
    os.makedirs(out)
    subprocess.run(['tar', '-xJ', '-C', out, '--strip-components=1', '--wildcards',
                    *('*/' + x for x in parts)], stdin=stream, check=True)


def fetch_linux(work, out):
    """From the package linux-source-X.Y, which has the kernel as a tar.xz inside."""
    apt = apt_options()
    shown = subprocess.run(['apt-cache', *apt, 'show', '--no-all-versions', 'linux-source'],
                           text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    depends = re.search(r'^Depends:.*?(linux-source-\S+)', shown, re.M)
    if not depends:
        raise NoSources('apt knows no package linux-source (is "apt-get update" due?)')
    fetch(['apt-get', '-q', *apt, 'download', depends[1]], work)
    deb, = glob.glob(work + '/*.deb')
    with subprocess.Popen(['dpkg-deb', '--fsys-tarfile', deb], stdout=subprocess.PIPE) as outer, \
            subprocess.Popen(['tar', '-xO', '--wildcards', './usr/src/linux-source-*.tar.xz'],
                             stdin=outer.stdout, stdout=subprocess.PIPE) as inner:
        unpack(inner.stdout, LINUX_PARTS, out)


def archives():
    """The machine's own entries for Debian's archive, as (URI, suite, signed-by or None)."""
    with open('/etc/os-release') as f:
        codename = re.search(r'^VERSION_CODENAME=(\S+)', f.read(), re.M)[1]
    found = []
    for path in ['/etc/apt/sources.list', *glob.glob('/etc/apt/sources.list.d/*.list')]:
        if os.path.exists(path):
            for line in open(path):
                entry = re.match(r'deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+.*\bmain\b', line)
                if entry:
                    signed = re.search(r'signed-by=(\S+)', entry[1] or '')
                    found.append((entry[2], entry[3], signed and signed[1]))
    for path in glob.glob('/etc/apt/sources.list.d/*.sources'):
        for stanza in re.split(r'\n\s*\n', open(path).read()):
            field = dict(re.findall(r'^([A-Za-z-]+):[ \t]*(.*)$', stanza, re.M))
            if 'deb' in field.get('Types', '').split():
                found += [(uri, suite, field.get('Signed-By')) for uri in field['URIs'].split()
                          for suite in field['Suites'].split()]
    return [x for x in found if x[1].startswith((codename, 'stable'))]


def source_options(refresh):
    """apt's options for source packages: lists of its own, so the machine's apt stays as it is."""
    root = os.path.join(CACHE, 'apt')
    if refresh:
        shutil.rmtree(root, ignore_errors=True)
    for folder in ('lists/partial', 'cache/archives/partial'):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    sources = root + '/sources.list'
    with open(sources, 'w') as f:
        for uri, suite, signed in archives():
            f.write('deb-src %s%s %s main\n' % ('[signed-by=%s] ' % signed if signed else '',
                                                uri, suite))
    options = [*apt_options(), '-o', 'Dir::Etc::sourcelist=' + sources,
               '-o', 'Dir::Etc::sourceparts=/dev/null',
               '-o', 'Dir::State::lists=%s/lists' % root, '-o', 'Dir::Cache=%s/cache' % root]
    if not glob.glob(root + '/lists/*Sources*'):
        fetch(['apt-get', '-q', *options, 'update'], root)
    return options


def fetch_qemu(work, out):
    for refresh in (False, True):
        try:
            options = source_options(refresh)
            fetch(['apt-get', '-q', *options, 'source', '--download-only', 'qemu'], work)
            break
        except NoSources:
            if refresh:
                raise
    tarball, = glob.glob(work + '/*.orig.tar.xz')
    with open(tarball) as f:
        unpack(f, QEMU_PARTS, out)


def sources():
    top = os.path.join(CACHE, 'src')
    os.makedirs(top, exist_ok=True)
    for name, get in (('linux', fetch_linux), ('qemu', fetch_qemu)):
        out = os.path.join(top, name)
        if not os.path.isdir(out):
            say('fetching the sources of %s (once)' % name)
            with tempfile.TemporaryDirectory(dir=CACHE) as work:
                get(work, work + '/tree')
                os.rename(work + '/tree', out)
    return os.path.join(top, 'linux'), os.path.join(top, 'qemu')


# ---- building ----

# Linux' selftests, as their Makefile divides them. Not here: amx, lam (CPUs that are not shown to
# a guest).
BOTH = '''single_step_syscall sysret_ss_attrs syscall_nt test_mremap_vdso check_initial_reg_state
    sigreturn iopl ioperm test_vsyscall mov_ss_trap sigtrap_loop syscall_arg_fault fsgsbase_restore
    sigaltstack ldt_gdt ptrace_syscall'''.split()
ONLY_32 = '''entry_from_vm86 test_syscall_vdso unwind_vdso test_FCMOV test_FCOMI test_FISTTP
    vdso_restorer'''.split()
ONLY_64 = 'fsgsbase sysret_rip syscall_numbering corrupt_xstate_header'.split()
MORE_64 = {'sysret_ss_attrs': ['thunks.S']}
MORE_32 = {'ptrace_syscall': ['raw_syscall_helper_32.S'], 'test_syscall_vdso': ['thunks_32.S']}


def selftests(linux):
    """(name, compiler's arguments) of each."""
    top = os.path.join(linux, X86)
    common = '-O2 -g -std=gnu99 -pthread -w -no-pie -DCAN_BUILD_32 -DCAN_BUILD_64'.split()
    for bits, names, more in ((64, BOTH + ONLY_64, MORE_64), (32, BOTH + ONLY_32, MORE_32)):
        for name in names:
            files = [os.path.join(top, x) for x in (name + '.c', *more.get(name, []))]
            if not all(os.path.exists(x) for x in files):
                continue        # another kernel's source
            extra = ['-Wl,-ereal_start', '-static'] if name == 'check_initial_reg_state' else []
            yield ('selftests/%s_%d' % (name, bits),
                   ['-m%d' % bits, *common, *extra, *files, '-lrt', '-ldl', '-lm'])


TCG_FLAGS = {
    'test-i386-sse-exceptions': '-msse4.1 -mfpmath=sse', 'test-i386-pcmpistri': '-msse4.2',
    'test-i386-bmi2': '-O2', 'hello-i386': '-ffreestanding -nostdlib', 'test-i386': '-fno-pie',
    'sha512-sse': '-msse4.1 -O3', 'test-mmx': '-masm=intel -O', 'test-avx': '-mavx -masm=intel -O',
    'test-x86_64': '-fno-pie -no-pie'}
# i386's programs that make sense in 64 bits.
TCG_64 = ['test-i386-bmi2', 'test-i386-ssse3', 'test-avx', 'test-mmx']
NOT_TCG = ['test-3dnow']        # no CPU of today has 3DNow!


def tcg(qemu, generated):
    """(name, compiler's arguments) of each; what is generated goes to a folder of its own."""
    top = os.path.join(qemu, 'tests/tcg')
    i386, multi = top + '/i386', top + '/multiarch'
    for script, out, sets in (('test-mmx.py', 'test-mmx.h', 'MMX SSE SSE2 SSE3 SSSE3'.split()),
                              ('test-avx.py', 'test-avx.h', [])):
        subprocess.run([sys.executable, os.path.join(i386, script), i386 + '/x86.csv',
                        os.path.join(generated, out), *sets], check=True,
                       stdout=subprocess.DEVNULL)
    programs = []
    for path in sorted(glob.glob(multi + '/*.c') + glob.glob(multi + '/linux/*.c')):
        name = os.path.basename(path)[:-2]
        more = [multi + '/libs/float_helpers.c'] if name.startswith('float_') else []
        programs += [(name, bits, [path, *more]) for bits in (64, 32)]
        if name == 'sha512':
            programs += [('sha512-sse', bits, [path]) for bits in (64, 32)]
    for path in sorted(glob.glob(i386 + '/*.c')):
        name = os.path.basename(path)[:-2]
        more = [i386 + x for x in ('/test-i386-code16.S', '/test-i386-vm86.S')
                if name == 'test-i386']
        if name in NOT_TCG:
            continue
        if name not in TCG_64 or name == 'test-i386-bmi2':
            programs.append((name, 32, [path, *more]))
        if name in TCG_64:
            programs.append((name, 64, [path]))
    programs.append(('test-x86_64', 64, [i386 + '/test-i386.c']))
    programs += [(os.path.basename(x)[:-2], 64, [x]) for x in sorted(glob.glob(top + '/x86_64/*.c'))]
    for name, bits, files in programs:
        flags = '-O0 -g -w -fno-strict-aliasing -static -pthread'.split()
        yield ('tcg/%s_%d' % (name, bits),
               ['-m%d' % bits, *flags, *TCG_FLAGS.get(name, '').split(), '-I' + generated, '-I' + multi,
                *files, '-lm', '-lrt'])


def build_one(item, out):
    name, arguments = item
    path = os.path.join(out, name)
    done = subprocess.run(['gcc', *arguments, '-o', path], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode:
        with open(path + '.failed', 'w') as f:
            f.write(done.stdout)


def recipe():
    with open(__file__, 'rb') as f:
        return hashlib.sha256(f.read()).hexdigest()


def build(linux, qemu):
    stamp = BIN + '/.recipe'
    if os.path.exists(stamp) and open(stamp).read() == recipe():
        return
    say('building the programs (once)')
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        out = work + '/bin'
        for folder in ('selftests', 'tcg'):
            os.makedirs(os.path.join(out, folder))
        todo = [*tcg(qemu, work), *selftests(linux)]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda x: build_one(x, out), todo))
        with open(out + '/.recipe', 'w') as f:
            f.write(recipe())
        shutil.rmtree(BIN, ignore_errors=True)
        os.rename(out, BIN)


def programs():
    """Names of all programs below BIN, made when they are not there; NAME.failed is the compiler's
    complaint of one that does not build."""
    require('apt-get', 'dpkg-deb', 'gcc', 'xz')
    with Locked('suites'):
        build(*sources())
    return sorted(os.path.relpath(x, BIN) for x in glob.glob(BIN + '/*/*'))
