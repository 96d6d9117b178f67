# SPDX-License-Identifier: GPL-2.0-or-later
"""What the end-to-end tests share: cases with names, told as "ok - NAME" lines.

A test program makes a list of (name, function) and calls run(). A function returns None when the
test passed, else a text that says what went wrong; it raises Skip with a reason when it cannot be
made here. Words on the command line choose the cases whose GROUP/NAME contains one of them.
"""
import os
import sys
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))


class Skip(Exception):
    pass


def run(group, cases):
    words = sys.argv[1:]
    failed = False
    for name, function in cases:
        if words and not any(word.rstrip('/') in '%s/%s' % (group, name) for word in words):
            continue
        start = time.monotonic()
        try:
            fault = function()
        except Skip as reason:
            print('ok - %s # SKIP %s' % (name, reason), flush=True)
            continue
        failed = failed or bool(fault)
        seconds = time.monotonic() - start
        print('%s - %s; %s%.1f s' % ('not ok' if fault else 'ok', name,
                                     fault + '; ' if fault else '', seconds), flush=True)
    sys.exit(1 if failed else 0)
