// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * migrate, migrate-incoming, migrate_cancel, query-migrate, and the settings: a machine is saved into a
 * stream or loaded from one (docs/saved-state.md). The machine stops first: there is no live migration.
 *
 * Of QEMU's capabilities there are `events` and `multifd`, which here means that compression and the number
 * of threads are the parameters' (our streams always bear several threads). Others may be switched off.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/json.h"
#include "control/qmp_int.h"
#include "migrate/migrate.h"

static const char *const status_names[] = {
	[MIGRATE_NONE] = "none",
	[MIGRATE_SETUP] = "setup",
	[MIGRATE_ACTIVE] = "active",
	[MIGRATE_COMPLETED] = "completed",
	[MIGRATE_FAILED] = "failed",
	[MIGRATE_CANCELLING] = "cancelling",
	[MIGRATE_CANCELLED] = "cancelled",
};

/* -------- starting and ending -------- */

struct uri_args {
	char *uri;
	bool detach, resume, disks, increment;
};

static const struct field migrate_fields[] = {
	FIELD_STR(struct uri_args, uri, "uri", .flags = FF_REQUIRED,
		.doc = "unix:PATH, fd:NAME (of getfd; or the number of one that was open at the "
		       "start), file:PATH"),
	FIELD_BOOL(struct uri_args, detach, "detach", .doc = "always so: the reply comes at once"),
	FIELD_BOOL(struct uri_args, resume, "resume", .doc = "only false: nothing to go on with"),
	FIELD_BOOL(struct uri_args, disks, "blk", .doc = "only false: disks are not copied"),
	FIELD_BOOL(struct uri_args, increment, "inc", .doc = "only false"),
};
static const struct field_table migrate_args = FIELD_TABLE(
	"migrate", struct uri_args, migrate_fields);

static const struct field incoming_fields[] = {
	FIELD_STR(struct uri_args, uri, "uri", .flags = FF_REQUIRED,
		.doc = "unix:PATH, fd:NAME (of getfd), file:PATH"),
};
static const struct field_table incoming_args = FIELD_TABLE(
	"migrate-incoming", struct uri_args, incoming_fields);

/* A number is a descriptor that was open at the start: all of our own are close-on-exec. -1: it is none. */
static int inherited(const char *name)
{
	char *end;
	long n = strtol(name, &end, 10);
	int flags = name[0] >= '0' && name[0] <= '9' && !*end && n <= INT_MAX
			    ? fcntl((int)n, F_GETFD)
			    : -1;

	return flags >= 0 && !(flags & FD_CLOEXEC) ? (int)n : -1;
}

/* fd:NAME is a descriptor that getfd has named. */
static bool start_job(struct qmp_call *c, bool incoming, struct error *err)
{
	const struct uri_args *a = c->args;
	const char *uri = a->uri, *name;
	char buf[32];

	/* The descriptor is the job's from then on. */
	if (!(incoming ? migrate_may_load : migrate_may_save)(c->m, err))
		return false;
	if (str_has_prefix(uri, "fd:", &name)) {
		int fd = inherited(name);

		if (fd < 0 && (fd = qmp_named_fd_take(c->q, name, err)) < 0)
			return false;
		snprintf(buf, sizeof(buf), "fd:%d", fd);
		uri = buf;
	}
	return incoming ? migrate_load(c->m, uri, err) : migrate_save(c->m, uri, err);
}

static bool migrate(struct qmp_call *c, struct error *err)
{
	const struct uri_args *a = c->args;

	if (a->resume)
		return error_usage(err, "'resume': there is no migration that has been paused");
	if (a->disks || a->increment)
		return error_usage(err, "'blk', 'inc': the contents of disks are not copied");
	return start_job(c, false, err);
}

static bool migrate_incoming(struct qmp_call *c, struct error *err)
{
	return start_job(c, true, err);
}

static bool cancel(struct qmp_call *c, struct error *err)
{
	migrate_cancel(migrate_of(c->m));
	return true;
}

/* -------- query-migrate -------- */

#define PAGE_SIZE_TOLD 4096

static void put_ram(const struct migrate_info *i, struct str *out)
{
	int64_t ns = (i->end_ns ?: clock_mono_ns()) - i->start_ns;
	uint64_t left = i->end_ns ? 0 : i->ram_bytes - MIN(i->done_bytes, i->ram_bytes);

	str_appendf(out,
		", \"ram\": {\"transferred\": %llu, \"remaining\": %llu, \"total\": %llu, "
		"\"duplicate\": %llu, \"skipped\": 0, \"normal\": %llu, \"normal-bytes\": %llu, "
		"\"dirty-pages-rate\": 0, \"mbps\": %.3f, \"dirty-sync-count\": 1, "
		"\"postcopy-requests\": 0, \"page-size\": %d, \"multifd-bytes\": 0, "
		"\"pages-per-second\": 0, \"precopy-bytes\": 0, \"downtime-bytes\": %llu, "
		"\"postcopy-bytes\": 0, \"dirty-sync-missed-zero-copy\": 0}",
		(unsigned long long)i->stream_bytes, (unsigned long long)left,
		(unsigned long long)i->ram_bytes, (unsigned long long)i->zero_pages,
		(unsigned long long)i->data_pages,
		(unsigned long long)i->data_pages * PAGE_SIZE_TOLD,
		ns > 0 ? (double)i->stream_bytes * 8000 / (double)ns : 0.0, PAGE_SIZE_TOLD,
		(unsigned long long)i->stream_bytes);
}

static bool query_migrate(struct qmp_call *c, struct error *err)
{
	const struct migrate_info *i = migrate_get_info(migrate_of(c->m));
	int64_t ms = ((i->end_ns ?: clock_mono_ns()) - i->start_ns) / NS_PER_MS;

	if (i->status == MIGRATE_NONE) {
		str_append(c->raw, "{}");
		return true;
	}
	str_appendf(c->raw, "{\"status\": \"%s\"", status_names[i->status]);
	if (i->status == MIGRATE_FAILED) {
		str_append(c->raw, ", \"error-desc\": ");
		json_quote(i->error, c->raw);
	}
	if (!i->incoming) {
		str_appendf(c->raw, ", \"total-time\": %lld, \"setup-time\": 0", (long long)ms);
		/* The machine has stood still all the time. */
		if (i->status == MIGRATE_COMPLETED)
			str_appendf(c->raw, ", \"downtime\": %lld", (long long)ms);
		put_ram(i, c->raw);
	}
	str_append(c->raw, "}");
	return true;
}

/* -------- capabilities -------- */

static const char *const capability_names[] = { "xbzrle", "rdma-pin-all", "auto-converge",
	"zero-blocks", "compress", "events", "postcopy-ram", "x-colo", "release-ram", "block",
	"return-path", "pause-before-switchover", "multifd", "dirty-bitmaps", "postcopy-blocktime",
	"late-block-activate", "x-ignore-shared", "validate-uuid", "background-snapshot",
	"zero-copy-send", "postcopy-preempt", NULL };
enum { CAPABILITY_EVENTS = 5, CAPABILITY_MULTIFD = 12 };

struct capability {
	int capability;
	bool state;
};
struct capability_list {
	struct {
		struct capability *items;
		size_t len;
	} capabilities;
};

static const struct field capability_fields[] = {
	FIELD_ENUM(struct capability, capability, "capability", capability_names, .flags = FF_GIVEN,
		.doc = "its name"),
	FIELD_BOOL(struct capability, state, "state", .flags = FF_GIVEN, .doc = "on or off"),
};
static const struct field_table capability_table = FIELD_TABLE(
	"MigrationCapabilityStatus", struct capability, capability_fields);

static const struct field capabilities_fields[] = {
	FIELD_LIST(struct capability_list, capabilities, "capabilities", FT_STRUCT, 64,
		.sub = &capability_table, .flags = FF_GIVEN, .doc = "those to be changed"),
};
static const struct field_table capabilities_table = FIELD_TABLE(
	"migrate-set-capabilities", struct capability_list, capabilities_fields);

static bool set_capabilities(struct qmp_call *c, struct error *err)
{
	const struct capability_list *a = c->args;
	struct migrate_params *p = migrate_params(migrate_of(c->m));

	for (size_t i = 0; i < a->capabilities.len; i++) {
		const struct capability *k = &a->capabilities.items[i];

		if (k->state && k->capability != CAPABILITY_EVENTS &&
			k->capability != CAPABILITY_MULTIFD)
			return error_set(err, "the capability '%s' is not offered",
				capability_names[k->capability]);
	}
	for (size_t i = 0; i < a->capabilities.len; i++) {
		const struct capability *k = &a->capabilities.items[i];

		if (k->capability == CAPABILITY_EVENTS)
			p->events = k->state;
		else if (k->capability == CAPABILITY_MULTIFD)
			p->tuned = k->state;
	}
	return true;
}

static bool query_capabilities(struct qmp_call *c, struct error *err)
{
	const struct migrate_params *p = migrate_params(migrate_of(c->m));
	const struct capability have[] = {
		{ CAPABILITY_EVENTS, p->events },
		{ CAPABILITY_MULTIFD, p->tuned },
	};

	for (size_t i = 0; i < ARRAY_SIZE(have); i++) {
		struct capability *k = fields_list_add(
			&capabilities_table, c->ret, "capabilities", err);

		if (!k)
			return false;
		*k = have[i];
	}
	return true;
}

/* -------- parameters -------- */

static const char *const compression_names[] = { "none", "zlib", "zstd", NULL };
enum { COMPRESSION_NONE, COMPRESSION_ZLIB, COMPRESSION_ZSTD };

struct parameters {
	uint64_t bandwidth;
	uint32_t channels, level;
	int compression;
};

static const struct field parameter_fields[] = {
	FIELD_U64(struct parameters, bandwidth, "max-bandwidth",
		.doc = "bytes a second; 0: no limit"),
	FIELD_U32(struct parameters, channels, "multifd-channels", .min = 1,
		.max = MIGRATE_THREADS_MAX, .dflt = "2", .doc = "threads"),
	FIELD_ENUM(struct parameters, compression, "multifd-compression", compression_names,
		.doc = "of memory"),
	FIELD_U32(struct parameters, level, "multifd-zstd-level", .min = 1, .max = 19, .dflt = "1",
		.doc = "the higher, the smaller and slower"),
};
static const struct field_table parameter_table = FIELD_TABLE(
	"migrate-set-parameters", struct parameters, parameter_fields);

static bool set_parameters(struct qmp_call *c, struct error *err)
{
	const struct parameters *a = c->args;
	struct migrate_params *p = migrate_params(migrate_of(c->m));

	if (qmp_given(c, "multifd-compression")) {
		if (a->compression == COMPRESSION_ZLIB)
			return error_set(
				err, "'multifd-compression': zlib is not offered; zstd is");
		if (a->compression == COMPRESSION_ZSTD && !migrate_has_zstd())
			return error_set(
				err, "'multifd-compression': this lodge is built without zstd");
		p->compress = a->compression == COMPRESSION_ZSTD ? MIGRATE_ZSTD : MIGRATE_PLAIN;
	}
	if (qmp_given(c, "max-bandwidth"))
		p->bandwidth = a->bandwidth;
	if (qmp_given(c, "multifd-channels"))
		p->threads = a->channels;
	if (qmp_given(c, "multifd-zstd-level"))
		p->level = a->level;
	return true;
}

static bool query_parameters(struct qmp_call *c, struct error *err)
{
	const struct migrate_params *p = migrate_params(migrate_of(c->m));

	*(struct parameters *)c->ret = (struct parameters){
		.bandwidth = p->bandwidth,
		.channels = p->threads,
		.level = p->level,
		.compression = p->compress == MIGRATE_ZSTD ? COMPRESSION_ZSTD : COMPRESSION_NONE,
	};
	return true;
}

/* -------- the commands -------- */

const struct qmp_command migrate_cmd = {
	.name = "migrate",
	.doc = "stop the machine and save it",
	.args = &migrate_args,
	.run = migrate,
};

const struct qmp_command migrate_incoming_cmd = {
	.name = "migrate-incoming",
	.doc = "load a saved machine (after --incoming defer)",
	.args = &incoming_args,
	.run = migrate_incoming,
};

const struct qmp_command migrate_cancel_cmd = {
	.name = "migrate_cancel",
	.doc = "give up saving; the machine runs on",
	.run = cancel,
};

const struct qmp_command query_migrate_cmd = {
	.name = "query-migrate",
	.doc = "how far saving or loading is",
	.flags = QMP_QUERY | QMP_RAW,
	.run = query_migrate,
};

const struct qmp_command migrate_set_capabilities_cmd = {
	.name = "migrate-set-capabilities",
	.doc = "switch capabilities of saving and loading",
	.args = &capabilities_table,
	.run = set_capabilities,
};

const struct qmp_command query_migrate_capabilities_cmd = {
	.name = "query-migrate-capabilities",
	.doc = "which there are, and are on",
	.ret = &capabilities_table,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = query_capabilities,
};

const struct qmp_command migrate_set_parameters_cmd = {
	.name = "migrate-set-parameters",
	.doc = "change parameters of saving",
	.args = &parameter_table,
	.run = set_parameters,
};

const struct qmp_command query_migrate_parameters_cmd = {
	.name = "query-migrate-parameters",
	.doc = "the parameters of saving",
	.ret = &parameter_table,
	.flags = QMP_QUERY,
	.run = query_parameters,
};
