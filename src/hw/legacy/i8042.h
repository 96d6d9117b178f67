// SPDX-License-Identifier: GPL-2.0-or-later
/* i8042 - input into the PS/2 controller, from main (displays, QMP, VNC). */
#ifndef HW_LEGACY_I8042_H
#define HW_LEGACY_I8042_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct device;

/* Bytes of scan code set 2 as a keyboard sends them (make "1c", break "f0 1c"). All or nothing:
 * false when the guest has not enabled its keyboard or hasn't read what was sent before. */
bool i8042_put_keys(struct device *d, const uint8_t *p, size_t n);
/* A mouse event: movement (right and up are positive), wheel steps (down is positive), buttons
 * (bit 0 left, 1 right, 2 middle). False: not enabled or the queue is full. */
bool i8042_put_mouse(struct device *d, int dx, int dy, int dz, unsigned int buttons);
/* The code of set 2 that becomes @set1 (below 0x80) where the controller translates; 0: none does. */
uint8_t i8042_set2_of(uint8_t set1);

#endif
