// SPDX-License-Identifier: GPL-2.0-or-later
/* ps, status, stop, kill, reset, pause, resume: running VMs by their names. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/field.h"
#include "base/json.h"
#include "base/types.h"
#include "cli/cli.h"
#include "cli/remote.h"
#include "control/rundir.h"

/* -------- what is known of one -------- */

struct vm {
	char *name, *engine, *state;
	uint64_t pid, vcpus, memory, uptime_s;
};

static const struct field vm_fields[] = {
	FIELD_STR(struct vm, name, "name"),
	FIELD_U64(struct vm, pid, "pid"),
	FIELD_STR(struct vm, engine, "engine"),
	FIELD_STR(struct vm, state, "state"),
	FIELD_U64(struct vm, vcpus, "vcpus"),
	FIELD_U64(struct vm, memory, "memory"),
	FIELD_U64(struct vm, uptime_s, "uptime"),
};
static const struct field_table vm_table = FIELD_TABLE("vm", struct vm, vm_fields);

/* Take over @key of the answer, when it is there and fits. */
static void take(struct vm *v, const struct json_doc *doc, const char *key)
{
	const struct json_token *value = json_member(doc, doc->tokens, key);
	AUTO(str) text = STR_INIT;
	struct error err;

	if (!value)
		return;
	json_text(doc, value, &text);
	if (!fields_set(&vm_table, v, key, str_cstr(&text), &err))
		return;
}

static bool ask_info(struct vm *v, const char *name, int timeout_ms, struct error *err)
{
	static const char *const keys[] = { "engine", "state", "vcpus", "memory" };
	AUTO(remote) r = REMOTE_INIT;
	AUTO(str) info = STR_INIT;
	AUTO(json_doc) doc = JSON_DOC_INIT;

	r.timeout_ms = timeout_ms;
	if (!remote_open(&r, name, RUNDIR_MONITOR, err) ||
		!remote_command(&r, "query-lodge", &info, err) ||
		!json_parse(&doc, str_cstr(&info), info.len, err) ||
		doc.tokens->type != JSON_OBJECT)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		take(v, &doc, keys[i]);
	return true;
}

/* False: it does not run. One that does not answer is shown so. */
static bool vm_fill(struct vm *v, const char *base, const char *name)
{
	struct error err = ERROR_INIT;
	int64_t since = 0, now = time(NULL);
	pid_t pid = rundir_pid(base, name, &since);

	if (!pid)
		rundir_clean(base, name);
	*v = (struct vm){ .name = pid ? strdup(name) : NULL };
	if (!v->name)
		return false;
	v->pid = (uint64_t)pid;
	v->uptime_s = now > since ? (uint64_t)(now - since) : 0;
	if (!ask_info(v, name, 2000, &err)) {
		free(v->state);
		v->state = strdup("silent");
	}
	return true;
}

/* -------- ps, status -------- */

static void print_vm(const struct vm *v)
{
	char memory[32];

	printf("%-20s %8llu  %-6s %-10s %5llu %8s %9llu\n", v->name, (unsigned long long)v->pid,
		v->engine ?: "?", v->state ?: "?", (unsigned long long)v->vcpus,
		str_format_size(v->memory, memory, sizeof(memory)),
		(unsigned long long)v->uptime_s);
}

static void print_header(void)
{
	printf("%-20s %8s  %-6s %-10s %5s %8s %9s\n", "NAME", "PID", "ENGINE", "STATE", "VCPUS",
		"MEMORY", "UPTIME(s)");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void list(const char *base, bool json)
{
	struct dirent **entries = NULL;
	int n = scandir(base, &entries, NULL, by_name);
	AUTO(str) out = STR_INIT;
	const char *sep = "";

	if (!json)
		print_header();
	for (int i = 0; i < n; i++) {
		struct vm v;

		if (rundir_name_possible(entries[i]->d_name) &&
			vm_fill(&v, base, entries[i]->d_name)) {
			if (!json)
				print_vm(&v);
			str_append(&out, sep);
			fields_to_json(&vm_table, &v, &out);
			sep = ", ";
			fields_fini(&vm_table, &v);
		}
		free(entries[i]);
	}
	free(entries);
	if (json)
		printf("[%s]\n", str_cstr(&out));
}

/* `NAME` and perhaps --json; -1, or the exit status when that was not it. */
static int arguments(int argc, char **argv, const struct command *c, const char **name, bool *json)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help")) {
			printf("usage: lodge %s %s\n", c->name, c->args);
			return EXIT_STATUS_OK;
		} else if (json && !strcmp(argv[i], "--json")) {
			*json = true;
		} else if (name && !*name && argv[i][0] != '-') {
			*name = argv[i];
		} else {
			fprintf(stderr, "lodge: %s does not take '%s' (usage: lodge %s %s)\n",
				c->name, argv[i], c->name, c->args);
			return EXIT_STATUS_USAGE;
		}
	}
	if (name && !*name) {
		fprintf(stderr, "lodge: %s wants a name (lodge ps lists the names)\n", c->name);
		return EXIT_STATUS_USAGE;
	}
	return -1;
}

static int ps(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	AUTO(str) base = STR_INIT;
	bool json = false;
	int rc = arguments(argc, argv, &ps_command, NULL, &json);

	if (rc >= 0)
		return rc;
	if (!rundir_base(&base, &err))
		return cli_fail(&err);
	list(str_cstr(&base), json);
	return EXIT_STATUS_OK;
}

static int status(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	AUTO(remote) r = REMOTE_INIT;
	AUTO(str) base = STR_INIT;
	AUTO(str) out = STR_INIT;
	const char *name = NULL;
	bool json = false;
	struct vm v;
	int rc = arguments(argc, argv, &status_command, &name, &json);

	if (rc >= 0)
		return rc;
	if (!remote_find(&r, name, &err) || !rundir_base(&base, &err))
		return cli_fail(&err);
	if (!vm_fill(&v, str_cstr(&base), name)) {
		error_set(&err, "'%s' has just ended", name);
		return cli_fail(&err);
	}
	fields_to_json(&vm_table, &v, &out);
	if (json) {
		printf("%s\n", str_cstr(&out));
	} else {
		print_header();
		print_vm(&v);
	}
	fields_fini(&vm_table, &v);
	return EXIT_STATUS_OK;
}

const struct command ps_command = {
	.name = "ps",
	.args = "[--json]",
	.doc = "the running VMs",
	.run = ps,
};

const struct command status_command = {
	.name = "status",
	.args = "NAME [--json]",
	.doc = "one running VM",
	.run = status,
};

/* -------- commands to one -------- */

static bool still_there(const struct remote *r, const char *name)
{
	AUTO(str) base = STR_INIT;
	struct error err;

	return rundir_base(&base, &err) && rundir_pid(str_cstr(&base), name, NULL) == r->pid;
}

/* Until the process has ended, at most @timeout_ms. */
static bool wait_end(const struct remote *r, const char *name, int timeout_ms)
{
	int64_t end = clock_mono_ns() + timeout_ms * 1000000ll;

	while (still_there(r, name)) {
		if (clock_mono_ns() > end)
			return false;
		usleep(20000);
	}
	return true;
}

static int simple(int argc, char **argv, const struct command *c, const char *qmp)
{
	struct error err = ERROR_INIT;
	AUTO(remote) r = REMOTE_INIT;
	const char *name = NULL;
	int rc = arguments(argc, argv, c, &name, NULL);

	if (rc >= 0)
		return rc;
	if (!remote_open(&r, name, RUNDIR_CONTROL, &err) || !remote_command(&r, qmp, NULL, &err))
		return cli_fail(&err);
	return EXIT_STATUS_OK;
}

static int reset(int argc, char **argv)
{
	return simple(argc, argv, &reset_command, "system_reset");
}

static int pause_vm(int argc, char **argv)
{
	return simple(argc, argv, &pause_command, "stop");
}

static int resume(int argc, char **argv)
{
	return simple(argc, argv, &resume_command, "cont");
}

static int stop(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	AUTO(remote) r = REMOTE_INIT;
	const char *name = NULL;
	int rc = arguments(argc, argv, &stop_command, &name, NULL);

	if (rc >= 0)
		return rc;
	if (!remote_open(&r, name, RUNDIR_CONTROL, &err) ||
		!remote_command(&r, "system_powerdown", NULL, &err))
		return cli_fail(&err);
	if (wait_end(&r, name, 60000))
		return EXIT_STATUS_OK;
	error_set(&err,
		"'%s' was asked to power off and still runs after 60 s (lodge kill %s ends it)",
		name, name);
	return cli_fail(&err);
}

/* Politely, and when it does not answer with a signal: the lock says that the process is its own. */
static int kill_vm(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	AUTO(remote) found = REMOTE_INIT;
	AUTO(remote) r = REMOTE_INIT;
	const char *name = NULL;
	int rc = arguments(argc, argv, &kill_command, &name, NULL);

	if (rc >= 0)
		return rc;
	if (!remote_find(&found, name, &err))
		return cli_fail(&err);
	r.timeout_ms = 3000;
	if (remote_open(&r, name, RUNDIR_CONTROL, &err) && remote_command(&r, "quit", NULL, &err) &&
		wait_end(&found, name, 5000))
		return EXIT_STATUS_OK;
	if (still_there(&found, name) && kill(found.pid, SIGKILL) < 0)
		error_set_errno(&err, errno, "process %d", (int)found.pid);
	else if (wait_end(&found, name, 5000))
		return EXIT_STATUS_OK;
	return cli_fail(&err);
}

const struct command stop_command = {
	.name = "stop",
	.args = "NAME",
	.doc = "ask the guest to power off and wait for that",
	.run = stop,
};

const struct command kill_command = {
	.name = "kill",
	.args = "NAME",
	.doc = "end a VM at once",
	.run = kill_vm,
};

const struct command reset_command = {
	.name = "reset",
	.args = "NAME",
	.doc = "press the reset button",
	.run = reset,
};

const struct command pause_command = {
	.name = "pause",
	.args = "NAME",
	.doc = "stop the CPUs",
	.run = pause_vm,
};

const struct command resume_command = {
	.name = "resume",
	.args = "NAME",
	.doc = "let the CPUs run again",
	.run = resume,
};
