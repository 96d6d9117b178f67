// SPDX-License-Identifier: GPL-2.0-or-later
/* human-monitor-command - the few texts of QEMU's human monitor that tools still ask for. */
#include <string.h>
#include "base/str.h"
#include "control/qmp.h"
#include "control/version.h"
#include "core/machine.h"

struct args {
	char *line;
	int64_t cpu;
};
static const struct field fields[] = {
	FIELD_STR(struct args, line, "command-line", .flags = FF_GIVEN,
		.doc = "`info version`, `info status`, `info name`"),
	FIELD_I64(struct args, cpu, "cpu-index", .doc = "has no meaning here"),
};
static const struct field_table args = FIELD_TABLE("human-monitor-command", struct args, fields);

struct ret {
	char *text;
};
static const struct field ret_fields[] = {
	FIELD_STR(struct ret, text, "text", .flags = FF_GIVEN),
};
static const struct field_table ret = FIELD_TABLE("text", struct ret, ret_fields);

static const char *status(const struct machine *m)
{
	switch (m->state) {
	case RUN_RUNNING:
		return "running";
	case RUN_PRELAUNCH:
		return "paused (prelaunch)";
	case RUN_SHUTDOWN:
		return "paused (shutdown)";
	default:
		return "paused";
	}
}

static bool run(struct qmp_call *c, struct error *err)
{
	const struct args *a = c->args;
	struct ret *r = c->ret;
	AUTO(str) s = STR_INIT;

	if (qmp_given(c, "cpu-index") && (a->cpu < 0 || a->cpu >= c->m->n_vcpus))
		return error_set(err, "'cpu-index': there is no such CPU");
	if (!strcmp(a->line, "info version"))
		str_appendf(&s, "%d.%d.%d (%s)\r\n", QMP_VERSION_MAJOR, QMP_VERSION_MINOR,
			QMP_VERSION_MICRO, QMP_PACKAGE);
	else if (!strcmp(a->line, "info status"))
		str_appendf(&s, "VM status: %s\r\n", status(c->m));
	else if (!strcmp(a->line, "info name"))
		str_appendf(&s, "%s\r\n", c->m->name);
	else
		str_appendf(&s,
			"unknown command: '%s' (this machine has no human monitor: "
			"info version, info status, info name)\r\n",
			a->line);
	return qmp_set_text(&r->text, str_cstr(&s), err);
}

const struct qmp_command human_monitor_command_cmd = {
	.name = "human-monitor-command",
	.doc = "a few lines of QEMU's human monitor",
	.args = &args,
	.ret = &ret,
	.flags = QMP_VALUE,
	.run = run,
};
