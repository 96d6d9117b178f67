# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests that boot guests share: pieces of scripts for drive (tests/lab/README.md) and the
guests' files."""
import functools
import os
import subprocess

import tap

GUEST = os.path.join(tap.TOP, 'tests/guests/guest')

LOGIN = r'''
expect lodge login:
send root\n
expect Password:
send lodge\n
expect root@lodge:~#
'''
WORK = r'''
send echo $((6 * 7)) and $(uname -s) on $(nproc) CPUs\n
expect 42 and Linux on %(cpus)d CPUs
expect root@lodge:~#
send cat /proc/mounts\n
expect /dev/vda / ext4 rw
expect root@lodge:~#
send lodge-selftest %(mib)d\n
expect lodge-selftest: OK: %(mib)d MiB
expect root@lodge:~#
'''
REBOOT = r'''
send echo kept >/root/file; sync; reboot\n
expect reboot: Restarting system
''' + LOGIN + r'''
send cat /root/file\n
expect kept
expect root@lodge:~#
'''
POWER_OFF = r'''
send poweroff\n
expect reboot: Power down
status 0
'''
POWER_BUTTON = r'''
send until [ -e /run/acpid.pid ]; do sleep 0.1; done; echo somebody list""ens to it\n
expect somebody listens
expect root@lodge:~#
signal TERM
expect reboot: Power down
status 0
'''
STOP_AND_CONTINUE = r'''
never stall
never unstable
signal STOP
sleep 3
signal CONT
send echo $((7 * 6)) again\n
expect 42 again
expect root@lodge:~#
'''
END_BY_REBOOT = r'''
send reboot\n
expect reboot: Restarting system
status 0
'''
PANIC = r'''
send echo c >/proc/sysrq-trigger\n
expect Kernel panic
status 3
'''
CONSOLE_AND_RNG = r'''
send cat /sys/class/misc/hw_random/rng_current\n
expect virtio_rng
send echo all-$(head -c 100000 /dev/hwrng | wc -c)\n
expect all-100000
send (seq 2000; echo the end) >/dev/hvc0; poweroff\n
expect reboot: Power down
expect 2000\nthe end
status 0
'''
NO_PANIC = 'never Kernel panic\n'
HEAD = '''timeout 150
never lodge: error
never BUG:
'''


@functools.cache
def guest_file(name):
    done = subprocess.run([GUEST, name], stdout=subprocess.PIPE, check=True, text=True)
    return done.stdout.strip()
