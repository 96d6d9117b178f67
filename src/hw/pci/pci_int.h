// SPDX-License-Identifier: GPL-2.0-or-later
/* pci_int - what host.c, pci.c and msix.c share; private to hw/pci. */
#ifndef HW_PCI_PCI_INT_H
#define HW_PCI_PCI_INT_H

#include "hw/pci/pci.h"

/*
 * The host bridge. slot[] is changed on main only; accesses (vCPU threads) read it inside the
 * dispatcher's read section, so after as_synchronize() nobody holds a function that was taken out.
 */
struct pci_host {
	struct pci_device bridge; /* first; function 00.0 unless config.no_bridge */
	struct pci_host_config config;
	struct pci_device *_Atomic slot[256]; /* by devfn */
	_Atomic uint32_t address;	      /* port 0xcf8 */
	_Atomic uint8_t reset_control;	      /* port 0xcf9 */
	struct io_region ecam, address_port, data_port;
	uint32_t saved_address;
	uint8_t saved_reset_control;
};

extern const struct device_type pci_host_type;

/* Take @addr or the next free slot; sets @d->devfn and ->host. */
bool pci_host_attach(struct pci_host *h, struct pci_device *d, const char *addr, struct error *err);
/* No access finds it when this returns. */
void pci_host_detach(struct pci_host *h, struct pci_device *d);
/* A free range for @bar in its window; PCI_UNMAPPED when there is none. */
uint64_t pci_host_alloc(struct pci_host *h, const struct pci_bar *bar);
/* Does the bridge forward these addresses? */
bool pci_host_decodes(const struct pci_host *h, const struct pci_bar *bar, uint64_t addr);

/* The part of an access that is the function's; under its lock. */
uint32_t pci_device_config_read(struct pci_device *d, uint16_t off, unsigned int size);
void pci_device_config_write(struct pci_device *d, uint16_t off, uint32_t value, unsigned int size);

/* MSI-X. All under the device's lock. */
void pci_msix_control_written(struct pci_device *d);
/* Bring the interrupt pin in line with the registers. */
void pci_intx_update(struct pci_device *d);
void pci_msix_reset(struct pci_device *d);
void pci_msix_fini(struct pci_device *d);
/* Is @off of BAR @bar in the table or the PBA? Then the access is done. */
bool pci_msix_read(
	struct pci_device *d, uint8_t bar, uint64_t off, unsigned int size, uint64_t *value);
bool pci_msix_write(
	struct pci_device *d, uint8_t bar, uint64_t off, unsigned int size, uint64_t value);
bool pci_msix_save(struct pci_device *d);
bool pci_msix_load(struct pci_device *d, struct error *err);
extern const struct field_table pci_msix_entry_state;

#endif
