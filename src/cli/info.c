// SPDX-License-Identifier: GPL-2.0-or-later
/* `lodge info`: what this host offers - engines probed with reasons, libraries built in. */
#include <stdio.h>
#include <string.h>
#include "base/field.h"
#include "base/str.h"
#include "cli/cli.h"
#include "config.h"
#include "core/accel.h"
#include "loop/loop.h"
#include "sandbox/sandbox.h"

struct engine_info {
	char *name, *doc, *reason;
	bool usable;
};

struct host_info {
	char *version;
	struct {
		struct engine_info *items;
		size_t len;
	} engines;
	bool io_uring, usdt, confines;
	char *sandbox;
};

static const struct field engine_fields[] = {
	FIELD_STR(struct engine_info, name, "name"),
	FIELD_STR(struct engine_info, doc, "description"),
	FIELD_BOOL(struct engine_info, usable, "usable"),
	FIELD_STR(struct engine_info, reason, "reason"),
};
static const struct field_table engine_table = FIELD_TABLE(
	"engine", struct engine_info, engine_fields);

static const struct field host_fields[] = {
	FIELD_STR(struct host_info, version, "version"),
	FIELD_LIST(struct host_info, engines, "engines", FT_STRUCT, 16, .sub = &engine_table),
	FIELD_BOOL(struct host_info, io_uring, "io-uring"),
	FIELD_BOOL(struct host_info, usdt, "usdt"),
	FIELD_BOOL(struct host_info, confines, "confines"),
	FIELD_STR(struct host_info, sandbox, "sandbox"),
};
static const struct field_table host_table = FIELD_TABLE("host", struct host_info, host_fields);

static bool probe_engine(const struct accel *a, struct engine_info *e)
{
	AUTO(str) report = STR_INIT;

	e->usable = a->probe(NULL, &report);
	e->name = strdup(a->name);
	e->doc = strdup(a->doc);
	e->reason = str_take(&report);
	return e->name && e->doc && e->reason;
}

static bool collect(struct host_info *h, struct error *err)
{
	AUTO_PTR(loop) l = loop_new("probe", LOOP_URING, err);
	AUTO(str) sandbox = STR_INIT;

	if (!l)
		return false;
	h->version = strdup(LODGE_VERSION);
	h->io_uring = loop_has_uring(l);
	h->usdt = HAVE_SDT;
	h->confines = sandbox_describe(&sandbox);
	h->sandbox = str_take(&sandbox);
	h->engines.items = calloc(16, sizeof(*h->engines.items));
	if (!h->version || !h->sandbox || !h->engines.items)
		return error_set(err, "out of memory");
	for (const struct accel *const *a = accel_table; *a && h->engines.len < 16; a++) {
		if ((*a)->probe && !probe_engine(*a, &h->engines.items[h->engines.len++]))
			return error_set(err, "out of memory");
	}
	return true;
}

static void print_text(const struct host_info *h)
{
	printf("lodge %s\n", h->version);
	for (size_t i = 0; i < h->engines.len; i++) {
		const struct engine_info *e = &h->engines.items[i];

		printf("engine %s: %s%s%s\n", e->name, e->usable ? "usable" : "not usable",
			e->reason[0] ? ": " : "", e->reason);
	}
	printf("io_uring: %s\n", h->io_uring ? "yes" : "no (disks use threads instead: slower)");
	printf("sandbox: %s: %s\n", h->confines ? "yes" : "no", h->sandbox);
	printf("USDT trace points: %s\n", h->usdt ? "built in" : "not built in");
}

static int info(int argc, char **argv)
{
	struct host_info h = { 0 };
	struct error err = ERROR_INIT;
	bool json = argc == 2 && !strcmp(argv[1], "--json");
	AUTO(str) out = STR_INIT;
	int rc = EXIT_STATUS_OK;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		printf("usage: lodge info [--json]\n");
		return EXIT_STATUS_OK;
	}
	if (argc > 1 && !json) {
		fprintf(stderr, "lodge: info takes only --json, not '%s'\n", argv[argc - 1]);
		return EXIT_STATUS_USAGE;
	}
	if (!collect(&h, &err)) {
		rc = cli_fail(&err);
	} else if (json) {
		fields_to_json(&host_table, &h, &out);
		printf("%s\n", str_cstr(&out));
	} else {
		print_text(&h);
	}
	fields_fini(&host_table, &h);
	return rc;
}

const struct command info_command = {
	.name = "info",
	.args = "[--json]",
	.doc = "what this host offers: engines, with the reason for each",
	.run = info,
};
