// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qom - the machine as QEMU's clients walk through it: paths. There is no object model behind it; a
 * path is resolved to what is there:
 *
 *   /  /machine  /machine/peripheral[/ID]  /machine/peripheral-anon[/device[N]]
 *   /machine/unattached[/device[N]] (the CPUs, then the board's devices)
 *   /machine/.../virtio-backend (of a virtio device)  /chardevs[/ID]  /objects[/ID] (I/O threads)
 */
#ifndef CONTROL_QOM_H
#define CONTROL_QOM_H

#include "core/machine.h"

enum qom_kind {
	QOM_ROOT,
	QOM_MACHINE,
	QOM_PERIPHERAL,
	QOM_ANON,
	QOM_UNATTACHED,
	QOM_CHARDEVS,
	QOM_OBJECTS,
	QOM_CPU,     /* number */
	QOM_DEVICE,  /* device */
	QOM_BACKEND, /* device: its virtio-backend */
	QOM_CHARDEV, /* name */
	QOM_IOTHREAD,
};

struct qom_node {
	enum qom_kind kind;
	uint32_t number;
	struct device *device; /* borrowed */
	const char *name;      /* borrowed from the back end */
};

/* False (ERROR_NOT_FOUND) when nothing is there. */
bool qom_resolve(
	struct machine *m, const char *path, struct qom_node *out, struct error *err) MUST_USE;
/* Its type's name. */
const char *qom_type(const struct machine *m, const struct qom_node *n);
/* Its children, one after the other: @i from 0; false at the end. @name gets the child's. */
bool qom_child(struct machine *m, const struct qom_node *n, uint32_t i, struct qom_node *child,
	char *name, size_t size);
/* The QOM name of a field's type. */
const char *qom_field_type(const struct field *f);

#endif
