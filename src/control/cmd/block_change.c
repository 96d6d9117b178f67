// SPDX-License-Identifier: GPL-2.0-or-later
/* block_resize, block_set_io_throttle: a disk changes while the guest uses it. */
#include <string.h>
#include "block/block.h"
#include "control/qmp.h"
#include "core/machine.h"

/* Between saving and loading the image belongs to nobody, or to another process. */
static bool check_ours(const struct machine *m, struct error *err)
{
	if (m->state == RUN_POSTMIGRATE || m->state == RUN_INCOMING)
		return error_set(err, "the disks are not this process's: it waits for a saved "
				      "state, or has been saved");
	return true;
}

/* -------- block_resize -------- */

struct resize_args {
	char *device, *node;
	int64_t size;
};
static const struct field resize_fields[] = {
	FIELD_STR(struct resize_args, device, "device", .doc = "the disk, by its id;"),
	FIELD_STR(struct resize_args, node, "node-name", .doc = "or by its node: one of both"),
	FIELD_I64(struct resize_args, size, "size", .flags = FF_GIVEN,
		.doc = "bytes that it shall have; what is beyond is lost"),
};
static const struct field_table resize_args = FIELD_TABLE(
	"block_resize", struct resize_args, resize_fields);

static bool block_resize_run(struct qmp_call *c, struct error *err)
{
	const struct resize_args *a = c->args;
	const char *name = a->device ?: a->node;
	struct block_dev *b;

	if (!a->device == !a->node)
		return error_usage(err, "one of 'device' and 'node-name' is wanted");
	b = map_get(&c->m->backends[BACKEND_BLOCK], name);
	if (!b)
		return error_set(err, "Cannot find device='%s' nor node-name='%s'", a->device ?: "",
			a->node ?: "");
	if (a->size < 0)
		return error_usage(err, "Parameter 'size' expects a >0 size");
	return check_ours(c->m, err) && block_resize(b, (uint64_t)a->size, err);
}

const struct qmp_command block_resize_cmd = {
	.name = "block_resize",
	.doc = "change a disk's size; a running guest is told",
	.args = &resize_args,
	.run = block_resize_run,
};

/* -------- block_set_io_throttle -------- */

struct throttle_args {
	char *device, *id, *group;
	int64_t rate[BLOCK_LIMITS], burst[BLOCK_LIMITS], seconds[BLOCK_LIMITS], size;
};

#define ARG(i, name, flag, text) \
	FIELD_I64(struct throttle_args, i, name, .flags = (flag), .doc = (text))
#define RATE(i, name)  ARG(rate[i], name, FF_GIVEN, "a second; 0: no limit")
#define BURST(i, name) ARG(burst[i], name "_max", 0, "a second in a burst")
#define LENGTH(i, name)                                                              \
	FIELD_I64(struct throttle_args, seconds[i], name "_max_length", .dflt = "1", \
		.doc = "seconds of a burst")
#define ALL(what)                                                                                \
	what(BLOCK_BPS, "bps"), what(BLOCK_BPS_READ, "bps_rd"), what(BLOCK_BPS_WRITE, "bps_wr"), \
		what(BLOCK_IOPS, "iops"), what(BLOCK_IOPS_READ, "iops_rd"),                      \
		what(BLOCK_IOPS_WRITE, "iops_wr")

static const struct field throttle_fields[] = {
	FIELD_STR(struct throttle_args, device, "device", .doc = "the disk, by its id;"),
	FIELD_STR(struct throttle_args, id, "id",
		.doc = "or its device, by its id or path: one of both"),
	ALL(RATE),
	ALL(BURST),
	ALL(LENGTH),
	ARG(size, "iops_size", 0, "bytes; a longer request counts as several"),
	FIELD_STR(struct throttle_args, group, "group", .max = 63,
		.doc = "disks of one group share its limits"),
};
static const struct field_table throttle_args = FIELD_TABLE(
	"block_set_io_throttle", struct throttle_args, throttle_fields);

/* The disk that device @id uses; NULL: it has none. */
static struct block_dev *disk_of(struct machine *m, struct device *d)
{
	const struct field *f = d->type->config ? fields_find(d->type->config, "drive") : NULL;
	const char *drive = f && f->type == FT_STR
				    ? *(char **)((char *)device_config(d) + f->offset)
				    : NULL;

	return drive ? map_get(&m->backends[BACKEND_BLOCK], drive) : NULL;
}

static struct device *device_by(struct machine *m, const char *id)
{
	struct device *d;
	char path[200];

	list_for_each (d, &m->devices, node) {
		size_t len = strlen(device_path(d, path, sizeof(path)));

		if ((d->id && !strcmp(d->id, id)) ||
			(!strncmp(id, path, len) &&
				(!id[len] || !strcmp(id + len, "/virtio-backend"))))
			return d;
	}
	return NULL;
}

static struct block_dev *find_disk(
	struct machine *m, const struct throttle_args *a, struct error *err)
{
	const char *name = a->device ?: a->id;
	struct block_dev *b = NULL;
	struct device *d;

	if (!a->device == !a->id) {
		error_usage(err, "Need exactly one of 'device' and 'id'");
		return NULL;
	}
	if (a->device) {
		b = map_get(&m->backends[BACKEND_BLOCK], name);
	} else {
		d = device_by(m, name);
		b = d ? disk_of(m, d) : NULL;
		if (d && !b) {
			error_set(err, "device '%s' has no disk", name);
			return NULL;
		}
	}
	if (!b)
		error_not_found(err, "Device '%s' not found", name);
	return b;
}

/* Numbers that no limit can be are refused by what is after this, once they are no longer negative. */
static bool take_limits(const struct throttle_args *a, struct block_limits *l, struct error *err)
{
	for (int i = 0; i < BLOCK_LIMITS; i++) {
		if (a->rate[i] < 0 || a->burst[i] < 0 || a->seconds[i] < 0 || a->size < 0)
			return error_usage(err, "a limit is not negative");
		if (!a->seconds[i])
			return error_usage(err, "a burst lasts at least 1 second");
		l->of[i] = (struct block_limit){ (uint64_t)a->rate[i], (uint64_t)a->burst[i],
			(uint64_t)a->seconds[i] };
	}
	l->request_size = (uint64_t)a->size;
	l->group = a->group;
	return true;
}

static bool throttle_run(struct qmp_call *c, struct error *err)
{
	const struct throttle_args *a = c->args;
	struct block_limits l = { .request_size = 0 };
	struct block_dev *b = find_disk(c->m, a, err);

	return b && take_limits(a, &l, err) && block_set_limits(b, &l, err);
}

const struct qmp_command block_set_io_throttle_cmd = {
	.name = "block_set_io_throttle",
	.doc = "how much a disk may do in a second",
	.args = &throttle_args,
	.run = throttle_run,
};
