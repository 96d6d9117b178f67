// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * query-cpu-definitions, query-cpu-model-expansion: the CPU models on this host, under the engine in use, with
 * QEMU's names of the flags.
 *
 * A static expansion is the model `base` and flags: the same CPU, as far as flags go, wherever it is possible at
 * all. A full one also tells what else a guest would read there, which is nothing to be chosen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "control/qmp.h"
#include "core/machine.h"
#include "x86/cpuid.h"

#define TYPE_SUFFIX "-x86_64-cpu"

/* Linux's name to QEMU's; where there is none here, `_` is `-`. */
static const struct {
	const char *ours, *theirs;
} renamed[] = {
	{ "sse4_1", "sse4.1" },
	{ "sse4_2", "sse4.2" },
	{ "tsc_deadline_timer", "tsc-deadline" },
	{ "avx512_vbmi2", "avx512vbmi2" },
	{ "avx512_vnni", "avx512vnni" },
	{ "avx512_bitalg", "avx512bitalg" },
	{ "cr8_legacy", "cr8legacy" },
	{ "nonstop_tsc", "invtsc" },
	{ "intel_stibp", "stibp" },
	{ "intel_ssbd", "ssbd" },
	{ "stibp", "amd-stibp" },
	{ "ssbd", "amd-ssbd" },
	{ "ssb_no", "amd-no-ssb" },
	{ "lfence_rdtsc", "lfence-always-serializing" },
	{ "autoibrs", "auto-ibrs" },
};

static const char *qemu_name(unsigned int flag, char name[32])
{
	const char *ours = x86_cpuid_flag_name(flag);

	for (size_t i = 0; i < ARRAY_SIZE(renamed); i++) {
		if (!strcmp(renamed[i].ours, ours))
			return renamed[i].theirs;
	}
	snprintf(name, 32, "%s", ours);
	for (char *p = name; *p; p++)
		*p = *p == '_' ? '-' : *p;
	return name;
}

/* The flag's number; -1: there is none. */
static int flag_by(const char *theirs)
{
	char name[32];

	for (unsigned int i = 0; x86_cpuid_flag_name(i); i++) {
		if (!strcmp(qemu_name(i, name), theirs))
			return (int)i;
	}
	return -1;
}

static bool is_base(unsigned int model)
{
	return !strcmp(x86_cpuid_model_name(model), "base");
}

/* Does it mean the same on every host? */
static bool model_is_fixed(const char *name)
{
	return strcmp(name, "host") && strcmp(name, "max");
}

static bool is_fixed(unsigned int model)
{
	return model_is_fixed(x86_cpuid_model_name(model));
}

static bool get_offer(struct machine *m, struct x86_cpuid **out, struct error *err)
{
	*out = malloc(sizeof(**out));
	if (!*out)
		return error_set(err, "out of memory");
	return m->accel && m->accel->cpuid_supported ? m->accel->cpuid_supported(m->vm, *out, err)
						     : error_set(err, "there is no engine to ask");
}

/* -------- query-cpu-definitions -------- */

struct texts {
	char **items;
	size_t len;
};
struct definition {
	char *name, *type;
	bool migration_safe, fixed, deprecated;
	struct texts unavailable;
};
static const struct field definition_fields[] = {
	FIELD_STR(struct definition, name, "name", .flags = FF_GIVEN),
	FIELD_STR(struct definition, type, "typename", .flags = FF_GIVEN),
	FIELD_BOOL(struct definition, migration_safe, "migration-safe",
		.doc = "it is the same on every host that has it"),
	FIELD_BOOL(struct definition, fixed, "static", .doc = "so in every version, too"),
	FIELD_LIST(struct definition, unavailable, "unavailable-features", FT_STR, 256,
		.doc = "what keeps it from being possible here"),
	FIELD_BOOL(struct definition, deprecated, "deprecated"),
};
static const struct field_table definition = FIELD_TABLE(
	"CpuDefinitionInfo", struct definition, definition_fields);

struct definitions {
	struct {
		struct definition *items;
		size_t len;
	} list;
};
static const struct field definitions_fields[] = {
	FIELD_LIST(struct definitions, list, "models", FT_STRUCT, 64, .sub = &definition),
};
static const struct field_table definitions = FIELD_TABLE(
	"query-cpu-definitions", struct definitions, definitions_fields);

static bool fill_unavailable(
	struct definition *d, unsigned int model, const struct x86_cpuid *offer, struct error *err)
{
	char name[32];

	for (unsigned int i = 0; x86_cpuid_flag_name(i); i++) {
		char **text;

		if (!x86_cpuid_model_needs(model, i) || x86_cpuid_has(offer, i))
			continue;
		text = fields_list_add(&definition, d, "unavailable-features", err);
		if (!text || !qmp_set_text(text, qemu_name(i, name), err))
			return false;
	}
	return true;
}

static bool query_definitions(struct qmp_call *c, struct error *err)
{
	AUTO_FREE struct x86_cpuid *offer = NULL;

	if (!get_offer(c->m, &offer, err))
		return false;
	for (unsigned int i = 0; x86_cpuid_model_name(i); i++) {
		struct definition *d = fields_list_add(&definitions, c->ret, "models", err);
		const char *name = x86_cpuid_model_name(i);
		char type[64];

		snprintf(type, sizeof(type), "%s" TYPE_SUFFIX, name);
		if (!d || !qmp_set_text(&d->name, name, err) ||
			!qmp_set_text(&d->type, type, err) || !fill_unavailable(d, i, offer, err))
			return false;
		d->migration_safe = is_fixed(i);
		d->fixed = is_base(i);
	}
	return true;
}

const struct qmp_command query_cpu_definitions_cmd = {
	.name = "query-cpu-definitions",
	.doc = "the CPU models, and what this host lacks for each",
	.ret = &definitions,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = query_definitions,
};

/* -------- query-cpu-model-expansion -------- */

static const char *const type_names[] = { "static", "full", NULL };
enum { TYPE_STATIC, TYPE_FULL };

struct model_info {
	char *name, *props;
};
static const struct field model_fields[] = {
	FIELD_STR(struct model_info, name, "name", .flags = FF_GIVEN),
	FIELD_STR(struct model_info, props, "props", .flags = FF_ANY,
		.doc = "an object: flags, each true or false"),
};
static const struct field_table model_table = FIELD_TABLE(
	"CpuModelInfo", struct model_info, model_fields);

struct expansion_args {
	int type;
	struct model_info model;
};
static const struct field args_fields[] = {
	FIELD_ENUM(struct expansion_args, type, "type", type_names, .flags = FF_GIVEN,
		.doc = "static: `base` and flags; full: all that a guest would see"),
	FIELD_STRUCT(struct expansion_args, model, "model", &model_table, .flags = FF_GIVEN),
};
static const struct field_table args = FIELD_TABLE(
	"query-cpu-model-expansion", struct expansion_args, args_fields);

struct expansion {
	struct model_info model;
};
static const struct field ret_fields[] = {
	FIELD_STRUCT(struct expansion, model, "model", &model_table),
};
static const struct field_table ret = FIELD_TABLE(
	"CpuModelExpansionInfo", struct expansion, ret_fields);

static bool take_prop(const struct qmp_call *c, const struct json_token *key,
	struct x86_cpu_model_request *req, struct error *err)
{
	AUTO(str) name = STR_INIT;
	const char *flag, **list;
	bool on = json_text_is(c->doc, key + 1, "true");
	size_t n = 0;
	int i;

	json_text(c->doc, key, &name);
	i = flag_by(str_cstr(&name));
	/* Of what the host has, only what it can take elsewhere: no clock whose rate is the host's. */
	if (!strcmp(str_cstr(&name), "migratable") && !model_is_fixed(req->model)) {
		if (on)
			i = flag_by("invtsc");
		else if (key[1].type == JSON_BOOL)
			return true;
		on = false;
	}
	if (i < 0)
		return error_set(err, "Property '%s" TYPE_SUFFIX ".%s' not found", req->model,
			str_cstr(&name));
	if (key[1].type != JSON_BOOL)
		return error_usage(
			err, "Invalid parameter type for '%s', expected: boolean", str_cstr(&name));
	flag = x86_cpuid_flag_name((unsigned int)i);
	for (list = on ? req->plus : req->minus; list[n];)
		n++;
	/* No more than there are flags: JSON has no key twice. */
	if (n < X86_FLAGS_MAX - 1)
		list[n] = flag;
	return true;
}

static bool take_props(
	const struct qmp_call *c, struct x86_cpu_model_request *req, struct error *err)
{
	const struct json_token *model = json_member(c->doc, c->tok, "model");
	const struct json_token *props = json_member(c->doc, model, "props"), *key, *end;

	if (!props)
		return true;
	if (props->type != JSON_OBJECT)
		return error_usage(err, "Invalid parameter type for 'props', expected: object");
	end = c->doc->tokens + props->next;
	for (key = props + 1; key < end; key = c->doc->tokens + key[1].next) {
		if (!take_prop(c, key, req, err))
			return false;
	}
	return true;
}

/* What a guest reads besides flags (SDM, CPUID: leaves 0, 1 and 0x80000002 on). */
static void put_identity(const struct x86_cpuid *c, struct str *out)
{
	const struct x86_cpuid_leaf *l = x86_cpuid_find(c, 0, 0);
	uint32_t sig = x86_cpuid_find(c, 1, 0)->eax, family = sig >> 8 & 0xf;
	char vendor[13] = { 0 }, brand[49] = { 0 };

	memcpy(vendor, &l->ebx, 4);
	memcpy(vendor + 4, &l->edx, 4);
	memcpy(vendor + 8, &l->ecx, 4);
	for (uint32_t i = 0; i < 3; i++) {
		l = x86_cpuid_find(c, 0x80000002 + i, 0);
		if (l)
			memcpy(brand + 16 * (size_t)i, &l->eax, 16);
	}
	str_append(out, "\"vendor\": ");
	json_quote(vendor, out);
	str_append(out, ", \"model-id\": ");
	json_quote(brand, out);
	str_appendf(out, ", \"family\": %u, \"model\": %u, \"stepping\": %u, ",
		family == 0xf ? family + (sig >> 20 & 0xff) : family,
		(sig >> 4 & 0xf) | (sig >> 12 & 0xf0), sig & 0xf);
}

static void put_flags(const struct x86_cpuid *c, struct str *out)
{
	char name[32];

	for (unsigned int i = 0; x86_cpuid_flag_name(i); i++) {
		str_append(out, i ? ", " : "");
		json_quote(qemu_name(i, name), out);
		str_append(out, x86_cpuid_has(c, i) ? ": true" : ": false");
	}
}

static bool has_model(const char *name)
{
	for (unsigned int i = 0; x86_cpuid_model_name(i); i++) {
		if (!strcmp(x86_cpuid_model_name(i), name))
			return true;
	}
	return false;
}

static bool expand(struct qmp_call *c, struct error *err)
{
	const struct expansion_args *a = c->args;
	struct expansion *r = c->ret;
	struct x86_cpu_model_request req = {
		.model = a->model.name, .topology = { 1, 1, 1 }, .hypervisor_leaf = true
	};
	AUTO_FREE struct x86_cpuid *offer = NULL;
	AUTO_FREE struct x86_cpuid *cpu = malloc(sizeof(*cpu));
	AUTO(str) props = STR_INIT;
	const char *problem;
	char buf[256];

	if (!has_model(a->model.name))
		return error_set(err, "CPU model '%s' not found", a->model.name);
	if (!cpu || !take_props(c, &req, err) || !get_offer(c->m, &offer, err))
		return cpu ? false : error_set(err, "out of memory");
	problem = x86_cpuid_build(&req, offer, 0, cpu, buf, sizeof(buf));
	if (problem)
		return error_set(err, "CPU model '%s': %s", a->model.name, problem);
	str_append(&props, "{");
	if (a->type == TYPE_FULL)
		put_identity(cpu, &props);
	put_flags(cpu, &props);
	str_append(&props, "}");
	return !props.failed ? qmp_set_text(&r->model.props, str_cstr(&props), err) &&
				       qmp_set_text(&r->model.name,
					       a->type == TYPE_STATIC ? "base" : a->model.name, err)
			     : error_set(err, "out of memory");
}

const struct qmp_command query_cpu_model_expansion_cmd = {
	.name = "query-cpu-model-expansion",
	.doc = "what a CPU model, with flags, comes to on this host",
	.args = &args,
	.ret = &ret,
	.flags = QMP_QUERY,
	.run = expand,
};
