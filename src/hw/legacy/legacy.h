// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * legacy - what the board needs to know of the classic PC devices: each is a device type of the
 * generated table ("isa-serial", "mc146818-rtc", "i8042", "acpi-pm", "fw_cfg", "pvpanic",
 * "isa-debug-exit", "isa-debugcon", "pc-testdev"), made by device_create().
 */
#ifndef HW_LEGACY_LEGACY_H
#define HW_LEGACY_LEGACY_H

#include <stdbool.h>
#include <stdint.h>

struct device;

/* Ports of the ACPI fixed hardware ("acpi-pm"), as the FADT tells them. */
#define ACPI_PM_BASE	0x600 /* PM1 event block: 4 bytes; control: base + 4; timer: base + 8 */
#define ACPI_PM_GPE0	0x620 /* GPE0 block: 4 bytes (2 status, 2 enable) */
#define ACPI_PM_SCI_GSI 9
#define ACPI_RESET_PORT 0xcf9 /* reset register, value 6 */
#define ACPI_SMI_CMD	0xb2
/* Press the power button: PM1 status bit and SCI. False: the guest has not enabled the event. */
bool acpi_pm_power_button(struct device *pm);
/* General-purpose event @bit (0..15) has come. Any thread, no device's lock held. */
void acpi_pm_raise_gpe(struct device *pm, unsigned int bit);
/* S5's SLP_TYP value, told in the DSDT. */
#define ACPI_PM_SLP_TYP_S5 0

#endif
