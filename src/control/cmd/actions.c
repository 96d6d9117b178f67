// SPDX-License-Identifier: GPL-2.0-or-later
/* set-action, watchdog-set-action: what follows from what the guest does. */
#include "control/qmp.h"
#include "core/machine.h"

static const char *const reboot_names[] = { "reset", "shutdown", NULL };
static const char *const shutdown_names[] = { "poweroff", "pause", NULL };
static const char *const panic_names[] = { "pause", "shutdown", "exit-failure", "none", NULL };
static const enum panic_action panics[] = { PANIC_PAUSE, PANIC_SHUTDOWN, PANIC_EXIT, PANIC_NONE };

struct args {
	int reboot, shutdown, panic, watchdog;
};

static const struct field fields[] = {
	FIELD_ENUM(struct args, reboot, "reboot", reboot_names,
		.doc = "of a reset: the machine starts anew or ends"),
	FIELD_ENUM(struct args, shutdown, "shutdown", shutdown_names,
		.doc = "of a power-off: the process ends, or the machine stays, off, until it is "
		       "reset"),
	FIELD_ENUM(struct args, panic, "panic", panic_names,
		.doc = "of a crash that the guest tells of; exit-failure ends it whatever "
		       "`shutdown` says"),
	FIELD_ENUM(struct args, watchdog, "watchdog", notice_action_names,
		.doc = "of a watchdog that expires"),
};
static const struct field_table args = FIELD_TABLE("set-action", struct args, fields);

static bool set_action(struct qmp_call *c, struct error *err)
{
	const struct args *a = c->args;

	if (qmp_given(c, "reboot"))
		c->m->no_reboot = a->reboot;
	if (qmp_given(c, "shutdown"))
		c->m->shutdown_pauses = a->shutdown;
	if (qmp_given(c, "panic"))
		c->m->panic_action = panics[a->panic];
	if (qmp_given(c, "watchdog"))
		c->m->watchdog_action = (enum notice_action)a->watchdog;
	return true;
}

static const struct field watchdog_fields[] = {
	FIELD_ENUM(struct args, watchdog, "action", notice_action_names, .flags = FF_GIVEN,
		.doc = "what follows when the watchdog expires"),
};
static const struct field_table watchdog_args = FIELD_TABLE(
	"watchdog-set-action", struct args, watchdog_fields);

static bool watchdog_set_action(struct qmp_call *c, struct error *err)
{
	const struct args *a = c->args;

	c->m->watchdog_action = (enum notice_action)a->watchdog;
	return true;
}

const struct qmp_command set_action_cmd = {
	.name = "set-action",
	.doc = "what follows when the guest powers off, resets, crashes or hangs",
	.args = &args,
	.run = set_action,
};

const struct qmp_command watchdog_set_action_cmd = {
	.name = "watchdog-set-action",
	.doc = "what follows when the watchdog expires",
	.args = &watchdog_args,
	.run = watchdog_set_action,
};
