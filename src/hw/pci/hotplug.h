// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hotplug - PCI devices that come and go while the guest runs, in the slots of root ports.
 *
 * The guest is asked through ACPI: a general-purpose event, a few registers (hotplug.c) and, in the DSDT,
 * a method that reads them. A device that shall go leaves when the guest lets it, which may be never.
 * All on main.
 */
#ifndef HW_PCI_HOTPLUG_H
#define HW_PCI_HOTPLUG_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "core/machine.h"

/* Ports of the registers, 32 bits each, a bit a port's index. */
#define PCI_HOTPLUG_PORT  0x630
#define PCI_HOTPLUG_SIZE  16
#define PCI_HOTPLUG_IN	  0 /* a device has come; written: seen */
#define PCI_HOTPLUG_OUT	  4 /* the device shall go; written: seen */
#define PCI_HOTPLUG_EJECT 8 /* written: the device may be taken out */
#define PCI_HOTPLUG_GPE	  1

/* `device_add`: make a device of type @type and put it into a port's slot (@options has bus=ID), or, in a
 * machine that has not run yet, anywhere. */
struct device *pci_hotplug_add(
	struct machine *m, const char *type, const char *options, struct error *err) MUST_USE;
/* `device_del`: ask the guest to let go of @d, again if it was asked before; in a machine that has not run
 * yet it goes at once. False when it stands where devices do not come and go. */
bool pci_hotplug_del(struct device *d, struct error *err) MUST_USE;

/* The root ports there are, by index; for the board's tables. */
struct pci_slot_info {
	uint8_t index;	 /* in the registers */
	uint8_t devfn;	 /* of the port, on the root bus */
	uint32_t number; /* that the guest sees */
};
unsigned int pci_hotplug_slots(struct machine *m, struct pci_slot_info *out, unsigned int max);

#endif
