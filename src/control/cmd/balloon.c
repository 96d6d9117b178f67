// SPDX-License-Identifier: GPL-2.0-or-later
/* balloon, query-balloon: how much memory the guest should have, and has. */
#include "control/qmp.h"
#include "hw/virtio/balloon.h"

/* What clients expect where there is no balloon. */
static struct device *find(struct qmp_call *c, struct error *err)
{
	struct device *d = balloon_find(c->m);

	if (!d) {
		c->error_class = "DeviceNotActive";
		error_set(err, "No balloon device has been activated");
	}
	return d;
}

struct balloon_args {
	int64_t value;
};

static const struct field args_fields[] = {
	FIELD_I64(struct balloon_args, value, "value", .flags = FF_GIVEN,
		.doc = "bytes of memory that the guest should have"),
};
static const struct field_table args = FIELD_TABLE("balloon", struct balloon_args, args_fields);

static bool balloon(struct qmp_call *c, struct error *err)
{
	const struct balloon_args *a = c->args;
	struct device *d = find(c, err);

	if (!d)
		return false;
	if (a->value <= 0)
		return error_usage(err, "Parameter 'target' expects a size");
	balloon_set_target(d, (uint64_t)a->value);
	return true;
}

const struct qmp_command balloon_cmd = {
	.name = "balloon",
	.doc = "ask the guest to get along with so much memory",
	.args = &args,
	.run = balloon,
};

struct balloon_info {
	int64_t actual;
};

static const struct field info_fields[] = {
	FIELD_I64(struct balloon_info, actual, "actual", .flags = FF_GIVEN,
		.doc = "bytes of memory that the guest has"),
};
static const struct field_table info = FIELD_TABLE("BalloonInfo", struct balloon_info, info_fields);

static bool query_balloon(struct qmp_call *c, struct error *err)
{
	struct balloon_info *i = c->ret;
	struct device *d = find(c, err);

	if (!d)
		return false;
	i->actual = (int64_t)balloon_get_actual(d);
	return true;
}

const struct qmp_command query_balloon_cmd = {
	.name = "query-balloon",
	.doc = "how much memory has the guest?",
	.ret = &info,
	.flags = QMP_QUERY,
	.run = query_balloon,
};
