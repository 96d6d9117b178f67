// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/qom.h"

#include <stdio.h>
#include <string.h>
#include "chardev/chardev.h"
#include "machine/none.h"

#define NAME_MAX_LEN 160

static const struct {
	enum qom_kind parent, kind;
	const char *name;
} fixed[] = {
	{ QOM_ROOT, QOM_MACHINE, "machine" },
	{ QOM_ROOT, QOM_CHARDEVS, "chardevs" },
	{ QOM_ROOT, QOM_OBJECTS, "objects" },
	{ QOM_MACHINE, QOM_PERIPHERAL, "peripheral" },
	{ QOM_MACHINE, QOM_ANON, "peripheral-anon" },
	{ QOM_MACHINE, QOM_UNATTACHED, "unattached" },
};

const char *qom_type(const struct machine *m, const struct qom_node *n)
{
	switch (n->kind) {
	case QOM_MACHINE:
		return machine_is_none(m) ? "none-machine" : "pc-q35-7.2-machine";
	case QOM_CPU:
		return "host-x86_64-cpu";
	case QOM_DEVICE:
		return n->device->type->name;
	case QOM_BACKEND:
		return "virtio-device";
	case QOM_CHARDEV:
		return "chardev";
	case QOM_IOTHREAD:
		return "iothread";
	default:
		return "container";
	}
}

static bool has_backend(const struct device *d)
{
	return d->type->bus == BUS_PCI && !strncmp(d->type->name, "virtio-", 7);
}

/* Device number @i of those that are at home in @kind. */
static struct device *device_in(struct machine *m, enum qom_kind kind, uint32_t i)
{
	struct device *d;

	list_for_each (d, &m->devices, node) {
		enum qom_kind home = d->id			    ? QOM_PERIPHERAL
				     : d->type->flags & DEVICE_USER ? QOM_ANON
								    : QOM_UNATTACHED;

		if (home == kind && !i--)
			return d;
	}
	return NULL;
}

static bool device_child(struct machine *m, enum qom_kind kind, uint32_t i, struct qom_node *child,
	char *name, size_t size)
{
	char path[NAME_MAX_LEN + 32];

	*child = (struct qom_node){ .kind = QOM_DEVICE, .device = device_in(m, kind, i) };
	if (!child->device)
		return false;
	device_path(child->device, path, sizeof(path));
	snprintf(name, size, "%s", strrchr(path, '/') + 1);
	return true;
}

static bool chardev_child(
	struct machine *m, uint32_t i, struct qom_node *child, char *name, size_t size)
{
	struct map_entry *e;

	map_for_each (e, &m->backends[BACKEND_CHARDEV]) {
		if (i--)
			continue;
		*child = (struct qom_node){ .kind = QOM_CHARDEV, .name = e->key };
		snprintf(name, size, "%s", e->key);
		return true;
	}
	return false;
}

static bool iothread_child(
	struct machine *m, uint32_t i, struct qom_node *child, char *name, size_t size)
{
	for (uint32_t k = 0; k < m->io_loops.len; k++) {
		if (machine_io_loop_is_shared(loop_name(m->io_loops.data[k])) || i--)
			continue;
		*child = (struct qom_node){ .kind = QOM_IOTHREAD, .number = k };
		snprintf(name, size, "%s", loop_name(m->io_loops.data[k]));
		return true;
	}
	return false;
}

bool qom_child(struct machine *m, const struct qom_node *n, uint32_t i, struct qom_node *child,
	char *name, size_t size)
{
	for (size_t k = 0; k < ARRAY_SIZE(fixed); k++) {
		if (fixed[k].parent != n->kind || i--)
			continue;
		*child = (struct qom_node){ .kind = fixed[k].kind };
		snprintf(name, size, "%s", fixed[k].name);
		return true;
	}
	switch (n->kind) {
	case QOM_UNATTACHED:
		if (i < m->n_vcpus) {
			*child = (struct qom_node){ .kind = QOM_CPU, .number = i };
			snprintf(name, size, "device[%u]", i);
			return true;
		}
		return device_child(m, n->kind, i - m->n_vcpus, child, name, size);
	case QOM_PERIPHERAL:
	case QOM_ANON:
		return device_child(m, n->kind, i, child, name, size);
	case QOM_DEVICE:
		*child = (struct qom_node){ .kind = QOM_BACKEND, .device = n->device };
		snprintf(name, size, "virtio-backend");
		return !i && has_backend(n->device);
	case QOM_CHARDEVS:
		return chardev_child(m, i, child, name, size);
	case QOM_OBJECTS:
		return iothread_child(m, i, child, name, size);
	default:
		return false;
	}
}

static bool find_child(struct machine *m, struct qom_node *n, const char *name, size_t len)
{
	char have[NAME_MAX_LEN];
	struct qom_node child;

	for (uint32_t i = 0; qom_child(m, n, i, &child, have, sizeof(have)); i++) {
		if (strlen(have) == len && !memcmp(have, name, len)) {
			*n = child;
			return true;
		}
	}
	return false;
}

/* A path that does not begin at the root: the last part of one that is there only once. How many there are. */
static unsigned int find_partial(struct machine *m, const char *name, struct qom_node *out)
{
	static const enum qom_kind homes[] = { QOM_ROOT, QOM_MACHINE, QOM_PERIPHERAL, QOM_ANON,
		QOM_UNATTACHED, QOM_CHARDEVS, QOM_OBJECTS };
	unsigned int found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(homes); i++) {
		struct qom_node n = { .kind = homes[i] };

		if (!find_child(m, &n, name, strlen(name)))
			continue;
		*out = n;
		found++;
	}
	return found;
}

bool qom_resolve(struct machine *m, const char *path, struct qom_node *out, struct error *err)
{
	const char *p = path;
	bool ok = true;

	*out = (struct qom_node){ .kind = QOM_ROOT };
	if (*path != '/' && !strchr(path, '/')) {
		unsigned int n = *path ? find_partial(m, path, out) : 2;

		if (n > 1)
			return error_usage(err, "Path '%s' is ambiguous", path);
		ok = n;
		p = "";
	}
	while (ok && *p) {
		size_t len;

		p += strspn(p, "/");
		len = strcspn(p, "/");
		ok = !len || find_child(m, out, p, len);
		p += len;
	}
	return ok || error_not_found(err, "Device '%s' not found: nothing is at that path", path);
}

const char *qom_field_type(const struct field *f)
{
	switch (f->type) {
	case FT_BOOL:
		return "bool";
	case FT_U8:
		return "uint8";
	case FT_U16:
		return "uint16";
	case FT_U32:
		return "uint32";
	case FT_U64:
		return "uint64";
	case FT_I64:
		return "int64";
	case FT_SIZE:
		return "size";
	case FT_ARRAY:
	case FT_LIST:
		return "list";
	case FT_STRUCT:
	case FT_UNION:
		return "struct";
	default:
		return "str";
	}
}
