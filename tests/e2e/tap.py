# SPDX-License-Identifier: GPL-2.0-or-later
"""What the end-to-end tests share: cases with names, told as "ok - NAME" lines.

A test program makes a list of (name, function) and calls run(). A function returns None when the
test passed, else a text that says what went wrong; it raises Skip with a reason when it cannot be
made here. Words on the command line choose the cases whose GROUP/NAME contains one of them.
"""
import concurrent.futures
import os
import sys
import time
import traceback

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))


class Skip(Exception):
    pass


def one(name, function):
    """Runs a case and tells its result; False when it failed."""
    start = time.monotonic()
    try:
        fault = function()
    except Skip as reason:
        print('ok - %s # SKIP %s' % (name, reason), flush=True)
        return True
    except Exception as error:          # the other cases can be tried all the same
        sys.stdout.write(''.join('# %s\n' % x for x in traceback.format_exc().splitlines()))
        fault = repr(error)
    print('%s - %s; %s%.1f s' % ('not ok' if fault else 'ok', name, fault + '; ' if fault else '',
                                 time.monotonic() - start), flush=True)
    return not fault


def run(group, cases, jobs=1):
    """`jobs` cases at a time."""
    words = sys.argv[1:]
    chosen = [x for x in cases
              if not words or any(w.rstrip('/') in '%s/%s' % (group, x[0]) for w in words)]
    if jobs == 1:               # in this thread: some cases fork
        good = [one(*x) for x in chosen]
    else:
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            good = list(pool.map(lambda x: one(*x), chosen))
    sys.exit(0 if all(good) else 1)
