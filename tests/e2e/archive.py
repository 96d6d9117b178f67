# SPDX-License-Identifier: GPL-2.0-or-later
"""A small archive of Debian packages, for tests in which apt fetches through a network of a guest's.

Real packages, one folder, an index with Release beside it: "deb [trusted=yes] http://HOST:PORT/ ./".
"""
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import time

import tap

sys.path.insert(0, os.path.join(tap.TOP, 'tests/lab'))
from lablib import cache_dir
from lablib.kernel import Locked, apt_options

# The first is to be installed: no Debian has it from the beginning, and it needs libc6 only. The others are bulk.
PACKAGES = ('hello', 'coreutils', 'bash')
SCRIPT = '''#!/bin/sh
# fetch URL: lists and packages from the archive, and nothing else.
export DEBIAN_FRONTEND=noninteractive
echo "deb [trusted=yes] $1 ./" >/etc/apt/sources.list
rm -rf /etc/apt/sources.list.d/* /var/lib/apt/lists/*
apt-get update -q 2>&1 | tee /root/update || exit
! grep -q '^[EW]:\\|Err' /root/update || { echo "lists: failed"; exit 1; }
apt-get install -y -q hello && hello || exit
cd /tmp && apt-get download -q coreutils/lodge bash/lodge && dpkg-deb -x coreutils_*.deb x && dpkg-deb -x bash_*.deb x || exit
x/bin/bash -c "x/usr/bin/sha256sum *.deb"
'''


# What is typed to the guest's root shell, with the archive's URL. It may have no address yet.
COMMAND = 'until ip route | grep default; do sleep 1; done; url=%s; /usr/lib/apt/apt-helper download-file ${url}fetch /tmp/fetch && sh /tmp/fetch $url 2>&1 | cat'


def downloaded():
    """The packages' files, fetched by apt where they are missing."""
    pool = cache_dir('archive')
    have = {name.split('_')[0]: name for name in sorted(os.listdir(pool)) if name.endswith('.deb')}
    missing = [x for x in PACKAGES if x not in have]
    if missing:
        done = subprocess.run(['apt-get', '-q', *apt_options(), 'download', *missing], cwd=pool, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise tap.Skip('apt cannot fetch %s: %s' % (' '.join(missing), done.stdout.strip()[-200:]))
        return downloaded()
    return [os.path.join(pool, have[x]) for x in PACKAGES]


def stanza(path):
    control = subprocess.run(['dpkg-deb', '-f', path], stdout=subprocess.PIPE, check=True, text=True).stdout
    with open(path, 'rb') as f:
        data = f.read()
    return '%s\nFilename: ./%s\nSize: %d\nSHA256: %s\n\n' % (
        control.strip(), os.path.basename(path), len(data), hashlib.sha256(data).hexdigest())


def make(folder):
    """The archive, in a new folder, and the script that the guest is to run: fetch."""
    os.mkdir(folder)
    with Locked('archive'):
        for path in downloaded():
            name = os.path.basename(path).replace('%3a', '.')     # no epoch's colon in an URL
            shutil.copyfile(path, os.path.join(folder, name))
    index = ''.join(stanza(os.path.join(folder, x)) for x in sorted(os.listdir(folder))).encode()
    release = 'Origin: Lodge\nSuite: lodge\nCodename: lodge\nDate: %s\nArchitectures: amd64\nSHA256:\n' % time.strftime(
        '%a, %d %b %Y %H:%M:%S +0000', time.gmtime())
    for name, data in (('Packages', index), ('Packages.gz', gzip.compress(index))):
        release += ' %s %d %s\n' % (hashlib.sha256(data).hexdigest(), len(data), name)
        with open(os.path.join(folder, name), 'wb') as f:
            f.write(data)
    for name, text in (('Release', release), ('fetch', SCRIPT)):
        with open(os.path.join(folder, name), 'w') as f:
            f.write(text)
    return folder


def sums(folder):
    """What `fetch` prints at its end when every byte is right."""
    lines = []
    for name in sorted(os.listdir(folder)):
        if name.endswith('.deb') and not name.startswith('hello'):
            with open(os.path.join(folder, name), 'rb') as f:
                lines.append(hashlib.sha256(f.read()).hexdigest())
    return lines
