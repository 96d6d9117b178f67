// SPDX-License-Identifier: GPL-2.0-or-later
/* query-status, stop, cont, system_reset, system_powerdown, inject-nmi, quit: the machine's run state. */
#include "base/log.h"
#include "control/qmp_int.h"
#include "migrate/migrate.h"

/* QEMU's names, in its order. */
static const char *const status_names[] = { "debug", "inmigrate", "internal-error", "io-error",
	"paused", "postmigrate", "prelaunch", "finish-migrate", "restore-vm", "running", "save-vm",
	"shutdown", "suspended", "watchdog", "guest-panicked", "colo", NULL };
enum {
	STATUS_INMIGRATE = 1,
	STATUS_PAUSED = 4,
	STATUS_POSTMIGRATE = 5,
	STATUS_PRELAUNCH = 6,
	STATUS_RUNNING = 9,
	STATUS_SHUTDOWN = 11,
	STATUS_WATCHDOG = 13,
	STATUS_PANICKED = 14,
};

struct status {
	bool running, singlestep;
	int status;
};

static const struct field status_fields[] = {
	FIELD_BOOL(struct status, running, "running", .doc = "the CPUs run"),
	FIELD_BOOL(struct status, singlestep, "singlestep", .doc = "always false"),
	FIELD_ENUM(struct status, status, "status", status_names, .doc = "the state's name"),
};
static const struct field_table status = FIELD_TABLE("StatusInfo", struct status, status_fields);

static int status_of(const struct machine *m)
{
	static const int names[] = {
		[RUN_PRELAUNCH] = STATUS_PRELAUNCH,
		[RUN_RUNNING] = STATUS_RUNNING,
		[RUN_SHUTDOWN] = STATUS_SHUTDOWN,
		[RUN_INCOMING] = STATUS_INMIGRATE,
		[RUN_POSTMIGRATE] = STATUS_POSTMIGRATE,
	};
	static const int paused[] = {
		[PAUSED_USER] = STATUS_PAUSED,
		[PAUSED_RESET] = STATUS_PRELAUNCH,
		[PAUSED_WATCHDOG] = STATUS_WATCHDOG,
		[PAUSED_PANICKED] = STATUS_PANICKED,
	};

	return m->state == RUN_PAUSED ? paused[m->paused_for] : names[m->state];
}

const char *qmp_status_name(const struct machine *m)
{
	return status_names[status_of(m)];
}

static bool query_status(struct qmp_call *c, struct error *err)
{
	struct status *s = c->ret;

	s->running = c->m->state == RUN_RUNNING;
	s->status = status_of(c->m);
	return true;
}

static bool stop(struct qmp_call *c, struct error *err)
{
	if (c->m->state != RUN_RUNNING)
		return true;
	machine_pause(c->m);
	machine_notice(c->m, &(struct notice){ .kind = NOTICE_STOP });
	return true;
}

static bool cont(struct qmp_call *c, struct error *err)
{
	if (c->m->state == RUN_RUNNING)
		return true;
	/* It is to run when what it waits for has come. */
	if (c->m->state == RUN_INCOMING) {
		migrate_run_after(migrate_of(c->m));
		return true;
	}
	if (!machine_resume(c->m, err))
		return false;
	machine_notice(c->m, &(struct notice){ .kind = NOTICE_RESUME });
	return true;
}

static bool system_reset(struct qmp_call *c, struct error *err)
{
	if (c->m->no_reboot) {
		c->q->quit = REASON_HOST_QMP_SYSTEM_RESET;
		return true;
	}
	if (!machine_reset(c->m, err))
		return false;
	machine_notice(c->m,
		&(struct notice){ .kind = NOTICE_RESET, .reason = REASON_HOST_QMP_SYSTEM_RESET });
	return true;
}

static bool system_powerdown(struct qmp_call *c, struct error *err)
{
	/* A guest that does not listen to the button is no error: nobody can tell it from one that thinks. */
	if (!c->m->board->powerdown(c->m))
		log_info("qmp", "the guest does not listen to the power button");
	machine_notice(c->m, &(struct notice){ .kind = NOTICE_POWERDOWN });
	return true;
}

static bool inject_nmi(struct qmp_call *c, struct error *err)
{
	return c->m->board->nmi(c->m) || error_set(err, "the machine takes no NMI now");
}

static bool quit(struct qmp_call *c, struct error *err)
{
	c->q->quit = REASON_HOST_QMP_QUIT; /* after the reply */
	return true;
}

const struct qmp_command query_status_cmd = {
	.name = "query-status",
	.doc = "does the machine run?",
	.ret = &status,
	.flags = QMP_QUERY,
	.run = query_status,
};

const struct qmp_command stop_cmd = {
	.name = "stop",
	.doc = "stop the CPUs",
	.run = stop,
};

const struct qmp_command cont_cmd = {
	.name = "cont",
	.doc = "let the CPUs run",
	.run = cont,
};

const struct qmp_command system_reset_cmd = {
	.name = "system_reset",
	.doc = "reset the machine",
	.run = system_reset,
};

const struct qmp_command system_powerdown_cmd = {
	.name = "system_powerdown",
	.doc = "ask the guest to power off (the ACPI button)",
	.run = system_powerdown,
};

const struct qmp_command inject_nmi_cmd = {
	.name = "inject-nmi",
	.doc = "a non-maskable interrupt for all CPUs",
	.run = inject_nmi,
};

const struct qmp_command quit_cmd = {
	.name = "quit",
	.doc = "end the machine and the process",
	.run = quit,
};
