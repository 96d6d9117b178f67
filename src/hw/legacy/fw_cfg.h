// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fw_cfg - QEMU's firmware configuration device (ports 0x510-0x51b, DMA interface): named blobs
 * that firmware and Linux's qemu_fw_cfg read. Source: QEMU, docs/specs/fw_cfg.
 */
#ifndef HW_LEGACY_FW_CFG_H
#define HW_LEGACY_FW_CFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct machine;
struct fw_cfg;

/* Keys of items that are not files; little-endian numbers. */
#define FW_CFG_RAM_SIZE 0x0003 /* bytes, 64 bits */
#define FW_CFG_CPUS	0x0005 /* 16 bits */
#define FW_CFG_MAX_CPUS 0x000f /* 16 bits */

/* Items and files may be added until the guest first runs. Data is copied. False: table full or out
 * of memory. The machine must have a fw_cfg device (device_create(m, "fw_cfg", ...)): its
 * machine->fw_cfg points at it. */
bool fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, size_t len,
	struct error *err) MUST_USE;
bool fw_cfg_add_item(
	struct fw_cfg *f, uint16_t key, const void *data, size_t len, struct error *err) MUST_USE;

#endif
