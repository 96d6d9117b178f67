// SPDX-License-Identifier: GPL-2.0-or-later
/* `lodge save`: a running VM into a file; then its process ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/json.h"
#include "cli/cli.h"
#include "cli/remote.h"
#include "control/rundir.h"
#include "migrate/migrate.h"

#define POLL_US 20000

static bool ask(struct remote *r, const char *request, struct str *result, struct error *err)
{
	AUTO(str) reply = STR_INIT;

	return remote_ask(r, request, &reply, NULL, err) && remote_result(&reply, result, err);
}

static bool compress(struct remote *r, struct error *err)
{
	AUTO(str) request = STR_INIT;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	str_appendf(&request,
		"{\"execute\": \"migrate-set-parameters\", \"arguments\": "
		"{\"multifd-compression\": \"zstd\", \"multifd-channels\": %ld}}",
		cpus < 1   ? 1
		: cpus > 8 ? 8
			   : cpus);
	return ask(r, str_cstr(&request), NULL, err) &&
	       ask(r,
		       "{\"execute\": \"migrate-set-capabilities\", \"arguments\": "
		       "{\"capabilities\": "
		       "[{\"capability\": \"multifd\", \"state\": true}]}}",
		       NULL, err);
}

/* 1: it has ended well, 0: not yet, -1: it has not, or cannot be asked. */
static int progress(struct remote *r, struct error *err)
{
	AUTO(str) result = STR_INIT;
	AUTO(str) status = STR_INIT;
	AUTO(str) why = STR_INIT;
	AUTO(json_doc) doc = JSON_DOC_INIT;
	const struct json_token *t;

	if (!remote_command(r, "query-migrate", &result, err) ||
		!json_parse(&doc, str_cstr(&result), result.len, err))
		return -1;
	if (doc.tokens->type != JSON_OBJECT) {
		error_set(err, "the VM's answer is no answer");
		return -1;
	}
	t = json_member(&doc, doc.tokens, "status");
	if (t)
		json_text(&doc, t, &status);
	t = json_member(&doc, doc.tokens, "error-desc");
	if (t)
		json_text(&doc, t, &why);
	if (!strcmp(str_cstr(&status), "completed"))
		return 1;
	if (!strcmp(str_cstr(&status), "setup") || !strcmp(str_cstr(&status), "active"))
		return 0;
	error_set(err, "%s", why.len ? str_cstr(&why) : "saving was cancelled");
	return -1;
}

static bool save_into(struct remote *r, int fd, struct error *err)
{
	int done;

	r->send_fd = fd;
	if (!ask(r, "{\"execute\": \"getfd\", \"arguments\": {\"fdname\": \"lodge-save\"}}", NULL,
		    err))
		return false;
	/* It stops and flushes its disks before it answers. */
	r->timeout_ms = 120000;
	if (!ask(r, "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"fd:lodge-save\"}}", NULL,
		    err))
		return false;
	while (!(done = progress(r, err)))
		usleep(POLL_US);
	return done > 0;
}

static bool is_running(struct remote *r, bool *running, struct error *err)
{
	AUTO(str) result = STR_INIT;

	if (!remote_command(r, "query-status", &result, err))
		return false;
	*running = strstr(str_cstr(&result), "\"running\": true");
	return true;
}

/* The stream is whole, but the file does not get its name: nothing came of it, as after other failures. */
static void run_on(struct remote *r, struct error *err)
{
	struct error second = ERROR_INIT;

	if (!remote_command(r, "cont", NULL, &second))
		error_prefix(err, "it stands still (%s); why it is not saved", second.msg);
}

static bool save_vm(const char *name, const char *path, bool zstd, struct error *err)
{
	AUTO(remote) r = REMOTE_INIT;
	struct migrate_file *f;
	bool running = false, ok;

	if (!remote_open(&r, name, RUNDIR_CONTROL, err) || (zstd && !compress(&r, err)) ||
		!is_running(&r, &running, err))
		return false;
	/* The VM's process is confined and has no paths: the file is made here. */
	f = migrate_file_new(path, err);
	if (!f)
		return false;
	ok = save_into(&r, migrate_file_fd(f), err);
	if (ok) {
		ok = migrate_file_commit(f, err);
		if (ok)
			ok = remote_command(&r, "quit", NULL, err);
		else if (running)
			run_on(&r, err);
	}
	migrate_file_free(f);
	return ok;
}

static int save(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	const char *name = NULL, *path = NULL;
	bool zstd = false, wrong = false;

	for (int i = 1; i < argc && !wrong; i++) {
		if (!strcmp(argv[i], "--help")) {
			printf("usage: lodge save %s\n\nStops the VM, saves it into PATH, and ends "
			       "its "
			       "process. `lodge run ... --restore PATH`, with\nthe options that it "
			       "was "
			       "started with, goes on with it.\n  --zstd  compress\n",
				save_command.args);
			return EXIT_STATUS_OK;
		}
		if (!strcmp(argv[i], "--zstd"))
			zstd = true;
		else if (argv[i][0] != '-' && !name)
			name = argv[i];
		else if (argv[i][0] != '-' && !path)
			path = argv[i];
		else
			wrong = true;
	}
	if (wrong || !name || !path || !*path) {
		fprintf(stderr, "lodge: usage: lodge save %s\n", save_command.args);
		return EXIT_STATUS_USAGE;
	}
	if (save_vm(name, path, zstd, &err))
		return EXIT_STATUS_OK;
	error_prefix(&err, "VM '%s' is not saved", name);
	return cli_fail(&err);
}

const struct command save_command = {
	.name = "save",
	.args = "NAME PATH [--zstd]",
	.doc = "save a running VM into a file, and end it",
	.run = save,
};
