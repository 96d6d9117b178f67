// SPDX-License-Identifier: GPL-2.0-or-later
/* qmp_capabilities - the first command of each client: leaves negotiation. */
#include "control/qmp_int.h"

static const char *const capability_names[] = { "oob", NULL };

struct args {
	struct {
		int *items;
		size_t len;
	} enable;
};

static const struct field fields[] = {
	FIELD_LIST(struct args, enable, "enable", FT_ENUM, 8, .names = capability_names,
		.doc = "capabilities from the greeting to be used"),
};
static const struct field_table args = FIELD_TABLE("qmp_capabilities", struct args, fields);

static bool run(struct qmp_call *c, struct error *err)
{
	const struct args *a = c->args;

	if (a->enable.len && !qmp_has_oob())
		return error_set(err, "the capability 'oob' is not offered");
	c->client->oob = a->enable.len;
	c->client->negotiated = true;
	return true;
}

const struct qmp_command qmp_capabilities_cmd = {
	.name = "qmp_capabilities",
	.doc = "leave capabilities negotiation",
	.args = &args,
	.flags = QMP_EARLY,
	.run = run,
};
