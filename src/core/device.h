// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * device - what every device is: a type (const, in the generated table) and an instance.
 *
 * A type describes itself with field tables for its options and its saved state; option parsing,
 * help, reset, saving, the conformance suite and the fuzzers come from that. An instance belongs to
 * one machine and one home loop; its lock guards its registers and state. Life: device_new (memory
 * and defaults) -> fields_parse on its config -> device_realize (takes resources, may fail and
 * leaves nothing) -> [reset, accesses] -> device_free (unrealizes first). Made and freed on main.
 */
#ifndef CORE_DEVICE_H
#define CORE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "base/field.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "base/thread.h"

struct machine;
struct loop;
struct device;

enum device_bus {
	BUS_SYSTEM, /* fixed ports and addresses */
	BUS_PCI,
};

enum device_flag {
	DEVICE_USER = 1 << 0,	  /* may be named by --device */
	DEVICE_SINGLE = 1 << 1,	  /* at most one in a machine */
	DEVICE_TICKS = 1 << 3,	  /* what the guest reads follows the time */
	DEVICE_NUMBERED = 1 << 4, /* the guest knows it by its number among its type */
	DEVICE_NO_TEST = 1 << 2,  /* conformance suite: cannot stand alone; say why in the type */
};

/* What control/ can read of a realized device, and perhaps change, besides its options. On main. */
struct device_property {
	const char *name, *type; /* QMP's: "guest-stats", "struct" */
	/* Append the value as JSON. */
	bool (*get)(struct device *d, struct str *json, struct error *err);
	/* @value in text form: a scalar's text, anything else as JSON. NULL: cannot be changed. */
	bool (*set)(struct device *d, const char *value, struct error *err);
};

struct device_type {
	const char *name;  /* "virtio-blk-pci" */
	const char *alias; /* QEMU's other name for it; NULL: none */
	const char *doc;   /* one line */
	enum device_bus bus;
	unsigned int flags;
	size_t size; /* of the instance; its first member is a struct device */
	/* Options: table and offset of the config struct in the instance. May be NULL. */
	const struct field_table *config;
	size_t config_off;
	/* Saved state: table and offset. May be NULL: nothing to save. */
	const struct field_table *state;
	size_t state_off;
	/* Why it has none: every type has a table or this. */
	const char *stateless;
	/* All hooks run on main with no lock held, unless said otherwise; any may be NULL. */
	bool (*realize)(struct device *d, struct error *err);
	void (*unrealize)(struct device *d); /* after a successful realize only */
	/* To power-on state. vCPUs are stopped. Requests in flight are dropped or awaited first. */
	void (*reset)(struct device *d);
	/* Stop touching guest memory and interrupts: returns with no request in flight. vCPUs stopped. */
	void (*quiesce)(struct device *d);
	/* Go on after quiesce (also after a reset or a load). */
	void (*resume)(struct device *d);
	void (*pre_save)(struct device *d); /* fill state members from live ones; quiesced */
	/* After the state members were loaded and range-checked: check relations, rebuild live ones.
	 * Hostile input. */
	bool (*post_load)(struct device *d, struct error *err);
	/* NULL, or ends with a name of NULL. */
	const struct device_property *properties;
	/* Options with which the conformance suite can make one (its machine has the back ends named
	 * `test`: a disk, a chardev). */
	const char *test_options;
};

struct device {
	const struct device_type *type;
	char *id;		 /* owned; NULL: anonymous */
	char *bus;		 /* owned; where the user wants it; NULL: anywhere */
	struct machine *machine; /* borrowed */
	struct mutex lock;	 /* registers and device state; docs/locking.md */
	struct loop *home; /* borrowed: where its queues and callbacks run; main's by default */
	bool realized;
	struct list node;  /* in machine->devices, in order of making */
	uint32_t instance; /* number among its type, for saved state */
	/* Its number in the state that is to be loaded: devices that came and went leave others there than
	 * a machine that is made anew has. Its own, unless who compares the two machines says otherwise. */
	uint32_t saved_instance;
	uint32_t anonymous; /* no id: its number among such, of the user's or of the board's */
	/* Where the guest finds it, where that can be chosen ("PCI 00:03.0", "port 0x3f8"): a saved state
	 * goes only into a machine that has it there. Set by realize. */
	char place[24];
	bool loaded; /* by the machine_load_devices() that is at work */
};

/* The generated table of all types, NULL-terminated. */
extern const struct device_type *const device_type_table[];
const struct device_type *device_type_find(const char *name);

struct device *device_new(struct machine *m, const struct device_type *type, const char *id,
	struct error *err) MUST_USE;
void *device_config(struct device *d);
bool device_realize(struct device *d, struct error *err) MUST_USE;
/* new + parse + realize: `--device TYPE,id=..,bus=..,KEY=VALUE`. @options may be NULL. */
struct device *device_create(
	struct machine *m, const char *type, const char *options, struct error *err) MUST_USE;
/* Unrealize, unlink, free. NULL is fine. */
void device_free(struct device *d);
/* For messages: id or type name. */
const char *device_name(const struct device *d);

#endif
