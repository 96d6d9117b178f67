// SPDX-License-Identifier: GPL-2.0-or-later
/* keys - QEMU's names of keys (QKeyCode), and what a PC's keyboard sends for them. */
#ifndef CONTROL_KEYS_H
#define CONTROL_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_BYTES_MAX 8u

/* NULL-terminated. */
extern const char *const key_names[];
/* What is sent in scan code set 2 when key @key (of key_names) is pressed or let go; the number of bytes. 0: no PC's
 * keyboard has the key, or, letting go, it is one that does not tell. */
size_t key_bytes(int key, bool down, uint8_t out[KEY_BYTES_MAX]);
/* The same for a scan code of set 1, with bit 7 set where 0xe0 goes before it. */
size_t key_number_bytes(uint32_t number, bool down, uint8_t out[KEY_BYTES_MAX]);

#endif
