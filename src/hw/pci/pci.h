// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pci - PCI functions on the root bus of a Q35-like host bridge: configuration space with write
 * masks, BARs, capabilities, MSI-X, INTx; reached through ECAM and through ports 0xcf8/0xcfc.
 *
 * A PCI device's instance starts with a struct pci_device. Its realize hook calls
 * pci_device_init(), adds BARs and capabilities, and is then on the bus. Configuration accesses run
 * on vCPU threads under the device's lock.
 *
 * A guest's scan costs a VM exit an access, so all functions but root ports (port.c) are
 * conventional ones: no PCI Express capability (its dozens of reads gain a paravirtual device
 * nothing), no expansion ROM, no multifunction bit unless a second function is there, slots without
 * holes.
 */
#ifndef HW_PCI_PCI_H
#define HW_PCI_PCI_H

#include <stdint.h>
#include "base/error.h"
#include "core/device.h"
#include "core/io.h"
#include "core/irq.h"
#include "core/machine.h"

#define PCI_CONFIG_SIZE 256 /* no function here has an extended capability; beyond: all ones */
#define PCI_BARS	6
#define PCI_MSIX_MAX	256 /* vectors a device may have here (the format's limit is 2048) */
#define PCI_SLOTS	32
#define PCI_PORTS_MAX	31 /* of the root bus; one takes a slot */
#define PCI_UNMAPPED	UINT64_MAX

/* Offsets of the type 0 header, and bits. */
#define PCI_VENDOR_ID	     0x00
#define PCI_DEVICE_ID	     0x02
#define PCI_COMMAND	     0x04
#define PCI_COMMAND_IO	     0x0001u
#define PCI_COMMAND_MEM	     0x0002u
#define PCI_COMMAND_MASTER   0x0004u
#define PCI_COMMAND_INTX_OFF 0x0400u
#define PCI_STATUS	     0x06
#define PCI_STATUS_INTX	     0x0008u
#define PCI_STATUS_CAPS	     0x0010u
#define PCI_REVISION	     0x08
#define PCI_CLASS	     0x09
#define PCI_HEADER_TYPE	     0x0e
#define PCI_MULTIFUNCTION    0x80u
#define PCI_BAR0	     0x10
#define PCI_SUBVENDOR	     0x2c
#define PCI_SUBDEVICE	     0x2e
#define PCI_CAP_PTR	     0x34
#define PCI_INTERRUPT_LINE   0x3c
#define PCI_INTERRUPT_PIN    0x3d
#define PCI_CAP_ID_VENDOR    0x09
#define PCI_CAP_ID_EXP	     0x10
#define PCI_CAP_ID_MSIX	     0x11

/* Layout of the host bridge; the board decides, ACPI tells the guest. */
struct pci_host_config {
	uint64_t ecam_base; /* 1 MiB a bus; only bus 0 .. ecam_buses-1 */
	uint32_t ecam_buses;
	uint32_t n_ports; /* most root ports that there may be: memory is kept for them */
	uint64_t mmio32_base, mmio32_size; /* window for 32-bit BARs */
	uint64_t mmio64_base, mmio64_size; /* window for 64-bit prefetchable BARs */
	uint16_t io_base, io_size;
	uint32_t intx_gsi[4]; /* GSIs of the four swizzled INTx lines */
	bool assign;	      /* give BARs addresses at reset (direct boot: no firmware does it).
				    Decoding stays off: a guest that finds it on turns it off and
				    on again around the sizing of each BAR */
	bool no_ports;	      /* ECAM only: Linux then needs one exit an access, not two */
	bool no_bridge;	      /* no function 00.0: guests that read ACPI do not need it */
};

struct pci_device;
struct pci_port;

struct pci_bar {
	struct io_region region;
	uint64_t size; /* power of two, 0: none */
	bool io, mem64, prefetch;
	uint8_t index;
	struct pci_device *dev;
	uint64_t mapped_at; /* PCI_UNMAPPED: not mapped */
	uint64_t assigned;  /* address it gets at reset (host->assign), PCI_UNMAPPED: none */
	/* What the device gave; region's own ops stand before them where MSI-X shares the BAR. */
	const struct io_ops *ops;
	void *opaque;
	struct io_ops wrapped;
};

struct pci_msix_entry {
	uint64_t addr;
	uint32_t data, control; /* bit 0 of control: masked */
	bool pending;
};

struct pci_msix {
	bool enabled, masked; /* message control */
	uint16_t n;
	uint8_t cap; /* offset in config space, 0: none */
	uint8_t bar;
	uint32_t table_off, pba_off;
	struct pci_msix_entry *table; /* owned, @n entries */
	struct msi_vector *vectors;   /* owned, @n entries */
};

struct pci_info {
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_code; /* 24 bits: class, subclass, prog-if */
	uint8_t revision;
	bool no_intx; /* interrupt pin 0 */
};

/* What is saved, filled by pci_pre_save(). */
struct pci_saved {
	uint8_t config[PCI_CONFIG_SIZE];
	bool intx_level;
	struct {
		struct pci_msix_entry *items;
		size_t len;
	} msix;
};

struct pci_device {
	struct device dev; /* first */
	struct pci_host *host;
	struct pci_port *port; /* behind this root port; NULL: on the root bus */
	uint8_t devfn;
	struct pci_info info;
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t wmask[PCI_CONFIG_SIZE]; /* bits the guest may write; they are 0 after reset */
	uint8_t w1cmask[PCI_CONFIG_SIZE];
	uint16_t next_cap; /* where the next capability goes */
	uint8_t last_cap;
	struct pci_bar bar[PCI_BARS];
	struct pci_msix msix;
	struct irq_source intx;
	bool intx_level; /* what the device asserts, before Interrupt Disable */
	struct pci_saved saved;
	/* Device hooks around config accesses; under the device's lock. May be NULL. After the generic
	 * write has been applied to @config. */
	void (*config_write)(struct pci_device *d, uint16_t off, uint32_t value, unsigned int size);
	/* Called before a read so that a device can refresh live bytes. */
	void (*config_read)(struct pci_device *d, uint16_t off, unsigned int size);
	/* MSI-X was turned on or off, or a vector has got a route: pci_msix_lend() may say something else
	 * now. Under the device's lock. */
	void (*msix_changed)(struct pci_device *d);
	/* Have other threads that look at the registers without the device's lock stand still (@on), or go on.
	 * Around each change of them; under the device's lock. Nests. */
	void (*hold)(struct pci_device *d, bool on);
};

/* The host bridge: makes ECAM and port access, itself function 00.0. Sets machine->pci. It is one of
 * the machine's devices and is freed with them, last. */
struct pci_host *pci_host_new(
	struct machine *m, const struct pci_host_config *c, struct error *err) MUST_USE;
const struct pci_host_config *pci_host_get_config(const struct pci_host *h);

/* Does @bus, which may be NULL, name the root bus? Otherwise it is a root port's id. */
bool pci_bus_is_root(const char *bus);
/* From a realize hook: take a slot of the device's bus (@addr "SLOT[.FN]" in hex, or NULL: the next free
 * one) and fill the header. The function is seen by the guest at once, but nothing is decoded yet; in a
 * machine that has run it is seen when it is plugged (hotplug.h). */
bool pci_device_init(struct pci_device *d, const struct pci_info *info, const char *addr,
	struct error *err) MUST_USE;
/* From unrealize, and when realize fails later on: leave the bus, unmap all, give vectors back. When
 * it returns no access to the device's registers is running or will come. Main. */
void pci_device_fini(struct pci_device *d);
/* To be called first in the device's reset. */
void pci_device_reset(struct pci_device *d);
/* @size: a power of two, at least 16 bytes (memory) or 4 (@io, at most 256). A @mem64 BAR takes
 * @index and the next. @ops may be NULL for one that holds only MSI-X. Accesses come under the
 * device's lock. */
bool pci_add_bar(struct pci_device *d, uint8_t index, uint64_t size, bool io, bool mem64,
	bool prefetch, const char *name, const struct io_ops *ops, void *opaque,
	struct error *err) MUST_USE;
/* Add a capability of @len bytes with @id; returns its offset. Body (from byte 2) is zero. */
uint8_t pci_add_cap(struct pci_device *d, uint8_t id, uint8_t len);
/* MSI-X with @n vectors; table and PBA in BAR @bar at @table_off / @pba_off (multiples of 8), which
 * the caller's BAR handler does not see. After pci_add_bar. */
bool pci_add_msix(struct pci_device *d, uint16_t n, uint8_t bar, uint32_t table_off,
	uint32_t pba_off, struct error *err) MUST_USE;
/* Vector @v's message, or its pending bit when masked; nothing when MSI-X is off or there is no such
 * vector. Any thread, under the device's lock or where ->hold() waits for it; @loop as in msi_vector_fire. */
void pci_msix_fire(struct pci_device *d, uint16_t v, struct loop *loop);
bool pci_msix_enabled(const struct pci_device *d);
/* As msi_vector_lend() and msi_vector_release() for vector @v: -1: MSI-X is off, no such vector, or it has no
 * message yet. Under the device's lock. */
int pci_msix_lend(struct pci_device *d, uint16_t v);
void pci_msix_release(struct pci_device *d, uint16_t v);
/* The INTx pin; respects Interrupt Disable. Under the device's lock. */
void pci_intx_set(struct pci_device *d, bool level);
/* Registers as the guest would access them (ECAM, fuzzers, tests). @size 1, 2 or 4, aligned. Nobody
 * there: all ones; dropped. Takes the device's lock. */
uint32_t pci_config_read(
	struct pci_host *h, uint8_t bus, uint8_t devfn, uint16_t off, unsigned int size);
void pci_config_write(struct pci_host *h, uint8_t bus, uint8_t devfn, uint16_t off, uint32_t value,
	unsigned int size);
/* Bus mastering is on: the device may touch guest memory. */
bool pci_bus_master(const struct pci_device *d);
/* Saved state of the generic part: struct field for a FIELD_STRUCT in the device's state table; the
 * device's hooks call pre_save and post_load. post_load restores mappings and interrupts. */
extern const struct field_table pci_device_state;
void pci_pre_save(struct pci_device *d);
bool pci_post_load(struct pci_device *d, struct error *err);
/* A root port's numbers of the bus behind it and the memory that it passes on, as the guest has set them, and
 * what is plugged there (NULL: nothing that the guest sees). False: @d is none. Main. */
struct pci_port_info {
	uint8_t secondary, subordinate;
	uint32_t base, limit; /* inclusive; base above limit: none */
	struct pci_device *child;
};
bool pci_port_get_info(struct pci_device *d, struct pci_port_info *out);
/* Walk: next function after @prev in devfn order, NULL at the end. Main. */
struct pci_device *pci_next(struct pci_host *h, struct pci_device *prev);

#endif
