// SPDX-License-Identifier: GPL-2.0-or-later
/* `lodge run`: make a VM from its configuration, run it in the foreground, tell how it ended. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/removal.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/help.h"
#include "cli/run_int.h"
#include "control/listen.h"
#include "machine/none.h"
#include "mem/huge_file.h"
#include "migrate/migrate.h"
#include "net/net.h"
#include "sandbox/sandbox.h"

/* -------- the sandbox -------- */

/* The first thing, before there are threads. */
static bool make_sandbox(struct run *r, struct error *err)
{
	if (!r->c.sandbox.on)
		return true;
	r->sandbox = sandbox_new(r->c.sandbox.namespaces, err);
	if (r->sandbox)
		listen_set_unknown_uid(sandbox_unknown_uid(r->sandbox));
	return r->sandbox;
}

/* The last thing before the guest runs: all is open that was asked for. */
static bool confine(struct run *r, struct error *err)
{
	struct sandbox *s = r->sandbox;
	bool ok = true;

	huge_file_end();
	if (!s)
		return true;
	for (size_t i = 0; ok && i < r->c.sandbox.allow.len; i++)
		ok = sandbox_allow(s, r->c.sandbox.allow.items[i], SANDBOX_WRITE, err);
	ok = ok && net_user_prepare(r->c.sandbox.user_networks, err);
	ok = ok && sandbox_enter(s, chardev_stdio_restore, err);
	sandbox_free(s);
	r->sandbox = NULL;
	return ok;
}

/* -------- a saved VM -------- */

/* With what was saved the machine is paused; it runs if the saved one did. */
static void load_changed(void *opaque, enum migrate_status s)
{
	struct run *r = opaque;
	struct migrate *g = migrate_of(r->m);
	struct error err = ERROR_INIT;

	if (!migrate_get_info(g)->incoming || (s != MIGRATE_COMPLETED && s != MIGRATE_FAILED))
		return;
	if (s == MIGRATE_FAILED)
		error_set(&err, "%s", migrate_get_info(g)->error);
	else if (!migrate_is_to_run(g) && (r->c.paused || !migrate_was_running(g)))
		return;
	else if (machine_resume(r->m, &err)) {
		machine_notice(r->m, &(struct notice){ .kind = NOTICE_RESUME });
		return;
	}
	error_prefix(&err, r->c.restore ? "--restore %s" : "--incoming %s",
		r->c.restore ?: r->c.incoming);
	r->load_failed = true;
	cli_fail(&err);
	loop_stop(r->loop);
}

/* True: the guest is there. False: it cannot be, which load_changed() has told. */
static bool wait_loaded(struct run *r)
{
	struct error err = ERROR_INIT;

	return migrate_wait(migrate_of(r->m), &err) && !r->load_failed;
}

static bool wait_incoming(struct run *r, struct error *err)
{
	return machine_wait_incoming(r->m, err) && machine_start_threads(r->m, err);
}

/* Start the machine: anew, or with what was saved. */
static bool start_machine(struct run *r, struct error *err)
{
	const char *from = r->c.restore ?: r->c.incoming;
	AUTO_FREE char *uri = NULL;

	if (!from)
		return confine(r, err) &&
		       (r->c.paused ? machine_start_threads(r->m, err) : machine_resume(r->m, err));
	migrate_set_hook(migrate_of(r->m), load_changed, r);
	if (r->c.incoming && !strcmp(r->c.incoming, "defer"))
		return confine(r, err) && wait_incoming(r, err);
	uri = str_printf("%s%s", r->c.restore ? "file:" : "", from);
	if (!uri)
		return error_set(err, "out of memory");
	/* Paths and sockets first, and the bytes of the stream when we are confined. */
	if (!migrate_open_load(r->m, uri, err))
		return error_prefix(err, r->c.restore ? "--restore" : "--incoming");
	if (!confine(r, err) || !wait_incoming(r, err))
		return false;
	return migrate_load(r->m, NULL, err) ||
	       error_prefix(err, r->c.restore ? "--restore" : "--incoming");
}

/* -------- from the start to the end -------- */

static bool make_name(struct run *r, struct error *err)
{
	r->qmp_info.named = r->c.name;
	if (!r->c.name)
		r->c.name = str_printf("lodge-%d", (int)getpid());
	if (!r->c.name)
		return error_set(err, "out of memory");
	return rundir_name_possible(r->c.name) ||
	       error_usage(err,
		       "bad value '%s' for '--name': a word without '/' is wanted, not "
		       "beginning with '.' or '-'",
		       r->c.name);
}

/* The VM's own socket, for `lodge ps` and the like. */
static bool serve_own(struct run *r, const char *file, bool readonly, struct error *err)
{
	AUTO_FREE char *path = rundir_file(r->rundir, file);
	AUTO_FREE char *address = path ? str_printf("unix:%s", path) : NULL;

	return address ? qmp_listen(r->qmp, address, readonly, err)
		       : error_set(err, "out of memory");
}

static bool start_qmp(struct run *r, struct error *err)
{
	r->qmp_info.options = &vm_config_table;
	r->qmp_info.memory = r->board.memory;
	r->qmp_info.memory_prealloc = r->board.prealloc;
	r->qmp_info.memory_file = r->board.memory_file;
	r->qmp_info.cores = r->board.topology.cores;
	r->qmp_info.cpu_model = r->board.cpu_model;
	r->qmp_info.threads = r->board.topology.threads;
	memcpy(r->qmp_info.uuid, r->board.uuid, sizeof(r->qmp_info.uuid));
	r->qmp = qmp_new(r->m, &r->qmp_info, err);
	for (size_t i = 0; r->qmp && i < r->c.qmp.len; i++) {
		if (!qmp_listen(r->qmp, r->c.qmp.items[i], false, err))
			return error_prefix(err, "--qmp");
	}
	return r->qmp;
}

static bool start_own_sockets(struct run *r, struct error *err)
{
	AUTO_FREE char *metrics = rundir_file(r->rundir, RUNDIR_METRICS);

	if (!metrics)
		return error_set(err, "out of memory");
	r->metrics = metrics_new(r->m, r->board.memory, metrics, err);
	return r->metrics && serve_own(r, RUNDIR_CONTROL, false, err) &&
	       serve_own(r, RUNDIR_MONITOR, true, err);
}

/* The board and all that is in it. */
static bool make_machine(struct run *r, struct error *err)
{
	if (!run_open_backends(r, err))
		return false;
	if (r->c.machine.type == MACHINE_NONE)
		return none_init(r->m, r->board.accel, r->accel_options, err);
	return board_init(r->m, &r->board, err) && run_add_devices(r, err) &&
	       board_start(r->m, err);
}

static bool start(struct run *r, struct error *err)
{
	/* One heap for all threads: they allocate at the start only, and each heap of its own would
	 * cost memory and system calls. */
	mallopt(M_ARENA_MAX, 1);
	if (!run_set_log(r->c.log, err) || (r->c.daemonize && !run_daemonize(r, err)))
		return false;
	if (!make_sandbox(r, err))
		return false;
	if (!make_name(r, err) || !(r->rundir = rundir_claim(r->c.name, err)))
		return false;
	if (!run_board_config(r, err) || !run_select_engine(r, err))
		return false;
	thread_enter(ROLE_MAIN, "lodge");
	r->loop = loop_new("main", 0, err);
	if (!r->loop || !run_watch_signals(r, err))
		return false;
	r->m = machine_new(r->c.name, r->loop, err);
	if (!r->m)
		return false;
	r->m->no_reboot = r->c.no_reboot;
	r->m->watchdog_action = (enum notice_action)r->c.watchdog_action;
	if (!make_machine(r, err))
		return false;
	if (r->c.pidfile && !run_write_pidfile(r, err))
		return false;
	if (!migrate_new(r->m, err) || !start_qmp(r, err))
		return false;
	if (r->c.gdb && !(r->gdb = gdb_new(r->m, r->c.gdb, err)))
		return false;
	/* Before the sandbox, which makes no sockets. */
	if (!start_own_sockets(r, err) || !start_machine(r, err))
		return false;
	/* A daemon is told to be ready when the guest runs. */
	if (r->c.restore && !wait_loaded(r))
		return true;
	run_tell_parent(r);
	return true;
}

static void finish(struct run *r)
{
	struct migrate *g = r->m ? migrate_of(r->m) : NULL;

	gdb_free(r->gdb);
	if (g)
		migrate_set_hook(g, NULL, NULL);
	qmp_free(r->qmp);
	metrics_free(r->metrics);
	run_take_chardevs(r);
	machine_free(r->m);
	migrate_free(g);
	run_close_backends(r);
	net_user_forget();
	if (r->signals.loop)
		loop_fd_del(&r->signals);
	if (r->signal_fd >= 0)
		close(r->signal_fd);
	loop_free(r->loop);
	if (r->board.accel)
		accel_options_free(r->board.accel, r->accel_options);
	removal_do(r->pidfile);
	if (r->pidfile_fd >= 0)
		close(r->pidfile_fd);
	rundir_release(r->rundir);
	sandbox_free(r->sandbox);
	free(r->pins);
	fields_fini(&vm_config_table, &r->c);
}

static int exit_status(const struct machine *m)
{
	switch (m->end) {
	case MACHINE_POWEROFF:
	case MACHINE_RESET: /* under --no-reboot */
		return EXIT_STATUS_OK;
	case MACHINE_DEBUG_EXIT:
	case MACHINE_QUIT:
		return m->exit_code;
	case MACHINE_TRIPLE_FAULT:
	case MACHINE_PANIC:
	case MACHINE_ERROR:
	case MACHINE_WATCHDOG:
		break;
	}
	fprintf(stderr, "lodge: %s: %s\n", m->name, machine_event_name(m->end));
	return EXIT_STATUS_CRASH;
}

static int run(int argc, char **argv)
{
	struct run r = { .signal_fd = -1, .ready_fd = -1, .null_fd = -1, .pidfile_fd = -1 };
	struct error err = ERROR_INIT;
	bool help = false;
	int status = EXIT_STATUS_OK;

	if (!fields_init(&vm_config_table, &r.c, &err) ||
		!config_parse(&r.c, argc, argv, &help, &err))
		status = cli_fail(&err);
	else if (help)
		help_run();
	else if (help_asked(&r.c, &status))
		;
	else if (!start(&r, &err))
		status = cli_fail(&err);
	else {
		if (!r.load_failed)
			loop_run(r.loop);
		run_report(&r, false);
		status = r.load_failed ? EXIT_STATUS_FAILED : exit_status(r.m);
	}
	finish(&r);
	return status;
}

const struct command run_command = {
	.name = "run",
	.args = "[OPTIONS] [DISK]",
	.doc = "start a VM in the foreground",
	.run = run,
};
