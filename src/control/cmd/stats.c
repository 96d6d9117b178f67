// SPDX-License-Identifier: GPL-2.0-or-later
/* query-stats, query-stats-schemas: what the engine in use has counted; it is the one provider. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "control/qmp.h"
#include "core/machine.h"
#include "core/vcpu.h"

static const char *const provider_names[] = { "kvm", "soft", NULL };
static const char *const target_names[] = { "vm", "vcpu", NULL };
enum { TARGET_VM, TARGET_VCPU, TARGETS };
static const char *const type_names[] = { "cumulative", NULL };
static const char *const unit_names[] = { "", "seconds", NULL };

/* -------- the counters -------- */

struct counter {
	const char *name;
	bool seconds; /* in nanoseconds */
	uint64_t (*get)(const struct machine *m, const struct vcpu *v);
};

static uint64_t get_running(const struct machine *m, const struct vcpu *v)
{
	return (uint64_t)machine_clock_ns(m);
}

static uint64_t ns_of(clockid_t clock)
{
	struct timespec t = { 0 };

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

static uint64_t get_process_time(const struct machine *m, const struct vcpu *v)
{
	return ns_of(CLOCK_PROCESS_CPUTIME_ID);
}

static uint64_t get_thread_time(const struct machine *m, const struct vcpu *v)
{
	clockid_t clock;

	return v->thread_started && !pthread_getcpuclockid(v->thread, &clock) ? ns_of(clock) : 0;
}

static uint64_t get_exits(const struct machine *m, const struct vcpu *v)
{
	return atomic_load_explicit(&v->exits, memory_order_relaxed);
}

static const struct counter vm_counters[] = {
	{ "running-time", true, get_running },
	{ "host-cpu-time", true, get_process_time },
	{ .name = NULL },
};
static const struct counter vcpu_counters[] = {
	{ "host-exits", false, get_exits },
	{ "host-cpu-time", true, get_thread_time },
	{ .name = NULL },
};
static const struct counter *const counters[TARGETS] = { vm_counters, vcpu_counters };

/* The engine's place in provider_names; -1: it is none of them. */
static int provider_of(const struct machine *m)
{
	for (int i = 0; m->accel && provider_names[i]; i++) {
		if (!strcmp(provider_names[i], m->accel->name))
			return i;
	}
	return -1;
}

/* -------- query-stats-schemas -------- */

struct schema_value {
	char *name;
	int type, unit;
	int64_t base, exponent;
};
struct schema {
	int provider, target;
	struct {
		struct schema_value *items;
		size_t len;
	} stats;
};
struct schemas {
	struct {
		struct schema *items;
		size_t len;
	} list;
};
struct schemas_args {
	int provider;
};

static const struct field schema_value_fields[] = {
	FIELD_STR(struct schema_value, name, "name", .flags = FF_GIVEN),
	FIELD_ENUM(struct schema_value, type, "type", type_names),
	FIELD_ENUM(struct schema_value, unit, "unit", unit_names, .flags = FF_OMIT_ZERO,
		.doc = "none: it is a number of times"),
	FIELD_I64(struct schema_value, base, "base", .flags = FF_OMIT_ZERO),
	FIELD_I64(struct schema_value, exponent, "exponent", .doc = "of the base"),
};
static const struct field_table schema_value = FIELD_TABLE(
	"StatsSchemaValue", struct schema_value, schema_value_fields);
static const struct field schema_fields[] = {
	FIELD_ENUM(struct schema, provider, "provider", provider_names, .doc = "the engine"),
	FIELD_ENUM(struct schema, target, "target", target_names),
	FIELD_LIST(struct schema, stats, "stats", FT_STRUCT, 64, .sub = &schema_value),
};
static const struct field_table schema = FIELD_TABLE("StatsSchema", struct schema, schema_fields);
static const struct field schemas_fields[] = {
	FIELD_LIST(struct schemas, list, "schemas", FT_STRUCT, 8, .sub = &schema),
};
static const struct field_table schemas = FIELD_TABLE(
	"query-stats-schemas", struct schemas, schemas_fields);
static const struct field schemas_args_fields[] = {
	FIELD_ENUM(struct schemas_args, provider, "provider", provider_names,
		.doc = "only this one's; one that is not in use has none"),
};
static const struct field_table schemas_args = FIELD_TABLE(
	"query-stats-schemas", struct schemas_args, schemas_args_fields);

static bool add_schema(struct schema *s, const struct counter *c, struct error *err)
{
	struct schema_value *v = fields_list_add(&schema, s, "stats", err);

	if (!v || !qmp_set_text(&v->name, c->name, err))
		return false;
	v->unit = c->seconds;
	v->base = c->seconds ? 10 : 0;
	v->exponent = c->seconds ? -9 : 0;
	return true;
}

static bool query_schemas(struct qmp_call *c, struct error *err)
{
	const struct schemas_args *a = c->args;
	int provider = provider_of(c->m);

	if (provider < 0 || (qmp_given(c, "provider") && a->provider != provider))
		return true;
	for (int t = 0; t < TARGETS; t++) {
		struct schema *s = fields_list_add(&schemas, c->ret, "schemas", err);

		if (!s)
			return false;
		s->provider = provider;
		s->target = t;
		for (const struct counter *k = counters[t]; k->name; k++) {
			if (!add_schema(s, k, err))
				return false;
		}
	}
	return true;
}

const struct qmp_command query_stats_schemas_cmd = {
	.name = "query-stats-schemas",
	.doc = "which counters query-stats has",
	.args = &schemas_args,
	.ret = &schemas,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = query_schemas,
};

/* -------- query-stats -------- */

struct texts {
	char **items;
	size_t len;
};
struct request {
	int provider;
	struct texts names;
};
struct vcpu_filter {
	struct texts vcpus;
};
struct args {
	int target;
	union {
		struct vcpu_filter vcpu;
	} u;
	struct {
		struct request *items;
		size_t len;
	} providers;
};
struct stat {
	char *name;
	uint64_t value;
};
struct result {
	int provider;
	char *path;
	struct {
		struct stat *items;
		size_t len;
	} stats;
};
struct results {
	struct {
		struct result *items;
		size_t len;
	} list;
};

static const struct field request_fields[] = {
	FIELD_ENUM(struct request, provider, "provider", provider_names, .flags = FF_GIVEN),
	FIELD_LIST(struct request, names, "names", FT_STR, 64, .doc = "only these counters"),
};
static const struct field_table request = FIELD_TABLE(
	"StatsRequest", struct request, request_fields);
static const struct field filter_fields[] = {
	FIELD_LIST(struct vcpu_filter, vcpus, "vcpus", FT_STR, 4096,
		.doc = "only these CPUs, by their paths"),
};
static const struct field_table vcpu_filter = FIELD_TABLE(
	"StatsVCPUFilter", struct vcpu_filter, filter_fields);
static const struct field_table *const filters[] = { NULL, &vcpu_filter };
static const struct field args_fields[] = {
	FIELD_ENUM(struct args, target, "target", target_names, .flags = FF_GIVEN,
		.doc = "whose counters"),
	FIELD_UNION(struct args, u, "", target, filters),
	FIELD_LIST(struct args, providers, "providers", FT_STRUCT, 16, .sub = &request,
		.doc = "only these providers' counters"),
};
static const struct field_table args = FIELD_TABLE("query-stats", struct args, args_fields);
static const struct field stat_fields[] = {
	FIELD_STR(struct stat, name, "name", .flags = FF_GIVEN),
	FIELD_U64(struct stat, value, "value"),
};
static const struct field_table stat_table = FIELD_TABLE("Stats", struct stat, stat_fields);
static const struct field result_fields[] = {
	FIELD_ENUM(struct result, provider, "provider", provider_names),
	FIELD_STR(struct result, path, "qom-path", .doc = "the CPU"),
	FIELD_LIST(struct result, stats, "stats", FT_STRUCT, 64, .sub = &stat_table),
};
static const struct field_table result = FIELD_TABLE("StatsResult", struct result, result_fields);
static const struct field results_fields[] = {
	FIELD_LIST(struct results, list, "results", FT_STRUCT, 4096, .sub = &result),
};
static const struct field_table results = FIELD_TABLE(
	"query-stats", struct results, results_fields);

static bool has_text(const struct texts *t, const char *text)
{
	for (size_t i = 0; i < t->len; i++) {
		if (!strcmp(t->items[i], text))
			return true;
	}
	return false;
}

/* Is counter @name asked for? NULL: is any? */
static bool is_wanted(const struct qmp_call *c, int provider, const char *name)
{
	const struct args *a = c->args;

	for (size_t i = 0; i < a->providers.len; i++) {
		const struct request *r = &a->providers.items[i];

		if (r->provider == provider &&
			(!name || !r->names.len || has_text(&r->names, name)))
			return true;
	}
	return !qmp_given(c, "providers");
}

static bool add_result(
	struct qmp_call *c, const struct vcpu *v, const char *path, struct error *err)
{
	const struct args *a = c->args;
	int provider = provider_of(c->m);
	struct result *r = fields_list_add(&results, c->ret, "results", err);

	if (!r || (path && !qmp_set_text(&r->path, path, err)))
		return false;
	r->provider = provider;
	for (const struct counter *k = counters[a->target]; k->name; k++) {
		struct stat *s;

		if (!is_wanted(c, provider, k->name))
			continue;
		s = fields_list_add(&result, r, "stats", err);
		if (!s || !qmp_set_text(&s->name, k->name, err))
			return false;
		s->value = k->get(c->m, v);
	}
	return true;
}

static bool query_stats(struct qmp_call *c, struct error *err)
{
	const struct args *a = c->args;
	int provider = provider_of(c->m);

	if (provider < 0 || !is_wanted(c, provider, NULL))
		return true;
	if (a->target == TARGET_VM)
		return add_result(c, NULL, NULL, err);
	for (uint32_t i = 0; i < c->m->n_vcpus; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/machine/unattached/device[%u]", i);
		if (qmp_given(c, "vcpus") && !has_text(&a->u.vcpu.vcpus, path))
			continue;
		if (!add_result(c, &c->m->vcpus[i], path, err))
			return false;
	}
	return true;
}

const struct qmp_command query_stats_cmd = {
	.name = "query-stats",
	.doc = "what the engine has counted",
	.args = &args,
	.ret = &results,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = query_stats,
};
