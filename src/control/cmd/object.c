// SPDX-License-Identifier: GPL-2.0-or-later
/* object-add, object-del: I/O threads, the only objects that can come and go here. */
#include <string.h>
#include "base/str.h"
#include "control/qmp.h"
#include "core/machine.h"

#define NAME_LEN_MAX 60

static const char *const kinds[] = { "iothread", NULL };

struct add_args {
	int kind;
	char *id;
	int64_t poll_max;
};
static const struct field add_fields[] = {
	FIELD_ENUM(struct add_args, kind, "qom-type", kinds, .flags = FF_GIVEN,
		.doc = "what: a thread that devices name by their option `iothread`"),
	FIELD_STR(struct add_args, id, "id", .flags = FF_GIVEN, .doc = "its name"),
	FIELD_I64(struct add_args, poll_max, "poll-max-ns",
		.doc = "nanoseconds to spin for: 0, for a thread does not spin"),
};
static const struct field_table add_args = FIELD_TABLE("object-add", struct add_args, add_fields);

static bool object_add(struct qmp_call *c, struct error *err)
{
	const struct add_args *a = c->args;

	/* A ':' stands between names in a device's option. */
	if (!qmp_check_id(a->id, err))
		return false;
	if (strlen(a->id) > NAME_LEN_MAX)
		return error_usage(
			err, "Parameter 'id' expects an identifier of at most %d", NAME_LEN_MAX);
	if (a->poll_max)
		return error_usage(err, "'poll-max-ns' is 0 here: a thread does not spin");
	if (machine_io_loop_is_shared(a->id))
		return error_usage(err, "'%s': threads of that name are the machine's own", a->id);
	if (machine_has_io_loop(c->m, a->id))
		return error_usage(err,
			"attempt to add duplicate property '%s' to object (type 'container')",
			a->id);
	return machine_io_loop(c->m, a->id, err);
}

const struct qmp_command object_add_cmd = {
	.name = "object-add",
	.doc = "make an I/O thread",
	.args = &add_args,
	.run = object_add,
};

static const struct field del_fields[] = {
	FIELD_STR(struct add_args, id, "id", .flags = FF_GIVEN, .doc = "its name"),
};
static const struct field_table del_args = FIELD_TABLE("object-del", struct add_args, del_fields);

static bool object_del(struct qmp_call *c, struct error *err)
{
	const struct add_args *a = c->args;

	if (machine_io_loop_is_shared(a->id) || !machine_has_io_loop(c->m, a->id))
		return error_set(err, "object '%s' not found", a->id);
	return machine_io_loop_del(c->m, a->id) ||
	       error_set(err, "object '%s' is in use, can not be deleted", a->id);
}

const struct qmp_command object_del_cmd = {
	.name = "object-del",
	.doc = "end an I/O thread that no device uses",
	.args = &del_args,
	.run = object_del,
};
