// SPDX-License-Identifier: GPL-2.0-or-later
/* pci_int - what host.c, pci.c and msix.c share; private to hw/pci. */
#ifndef HW_PCI_PCI_INT_H
#define HW_PCI_PCI_INT_H

#include "hw/pci/pci.h"

/*
 * A root port: a bridge to a bus that has room for one function, 0.0. What decides about accesses to that
 * function is kept beside the registers, for it is read under the function's lock or none, never the
 * port's.
 */
struct pci_port_config {
	char *addr;
	uint32_t slot;
	uint8_t port;
};

struct pci_port {
	struct pci_device pci; /* first */
	struct pci_port_config cfg;
	unsigned int index;		 /* in host->port[] */
	struct pci_device *child;	 /* main; NULL: empty */
	struct pci_device *_Atomic seen; /* the child, once the guest may see it; as host->slot[] */
	_Atomic bool leaving; /* set on main: the guest is asked to let go of the child */
	_Atomic bool known;   /* the guest has set the child up, or has found it at its start */
	uint8_t exp_cap;
	_Atomic uint8_t bus;	 /* behind it; 0: none */
	_Atomic uint64_t window; /* base << 32 | end, exclusive, of memory decoded; 0: none */
	_Atomic bool master;
};

/* The part of memory that the board keeps for port @index. */
#define PCI_PORT_WINDOW (2 * MIB)

/*
 * The host bridge. slot[] is changed on main only; accesses (vCPU threads) read it inside the
 * dispatcher's read section, so after as_synchronize() nobody holds a function that was taken out.
 */
struct pci_host {
	struct pci_device bridge; /* first; function 00.0 unless config.no_bridge */
	struct pci_host_config config;
	struct pci_device *_Atomic slot[256]; /* by devfn */
	struct pci_port *_Atomic port[PCI_PORTS_MAX];
	_Atomic uint32_t address;      /* port 0xcf8 */
	_Atomic uint8_t reset_control; /* port 0xcf9 */
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

/* Root ports. find: by id. attach: the child, unseen; false: is taken. */
struct pci_port *pci_port_find(struct pci_host *h, const char *id);
bool pci_port_attach(struct pci_port *p, struct pci_device *d, const char *addr, struct error *err);
void pci_port_detach(struct pci_port *p, struct pci_device *d);
/* Let the guest see the child, or no longer. hide: any thread; accesses may still be inside. */
void pci_port_show(struct pci_port *p);
void pci_port_hide(struct pci_port *p);
/* The function behind bus @bus, or NULL. Inside a read section. */
struct pci_device *pci_port_lookup(struct pci_host *h, uint8_t bus, uint8_t devfn);
/* The port's registers were written to: what lies behind it follows. With no lock held. */
void pci_port_written(struct pci_device *port);
uint64_t pci_port_window(const struct pci_host *h, unsigned int index);
bool pci_port_decodes(const struct pci_port *p, const struct pci_bar *bar, uint64_t addr);
bool pci_is_port(const struct pci_device *d);
/* BARs follow the registers, and what is in the way of them. Under the function's lock. */
void pci_bars_update(struct pci_device *d);

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
