// SPDX-License-Identifier: GPL-2.0-or-later
/* query-version - QEMU's version whose protocol this is; `package` says who speaks it. */
#include "control/qmp.h"
#include "control/version.h"

struct triple {
	int64_t major, minor, micro;
};

struct ret {
	struct triple qemu;
	char *package;
};

static const struct field triple_fields[] = {
	FIELD_I64(struct triple, major, "major"),
	FIELD_I64(struct triple, minor, "minor"),
	FIELD_I64(struct triple, micro, "micro"),
};
static const struct field_table triple = FIELD_TABLE("VersionTriple", struct triple, triple_fields);

static const struct field fields[] = {
	FIELD_STRUCT(struct ret, qemu, "qemu", &triple, .doc = "the protocol is that version's"),
	FIELD_STR(struct ret, package, "package", .dflt = QMP_PACKAGE, .flags = FF_GIVEN,
		.doc = "who it is"),
};
static const struct field_table ret = FIELD_TABLE("VersionInfo", struct ret, fields);

static bool run(struct qmp_call *c, struct error *err)
{
	struct ret *r = c->ret;

	r->qemu = (struct triple){ QMP_VERSION_MAJOR, QMP_VERSION_MINOR, QMP_VERSION_MICRO };
	return true;
}

const struct qmp_command query_version_cmd = {
	.name = "query-version",
	.doc = "the version",
	.ret = &ret,
	.flags = QMP_QUERY,
	.run = run,
};
