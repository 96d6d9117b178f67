// SPDX-License-Identifier: GPL-2.0-or-later
/* query-name, query-uuid, query-target, query-kvm, query-machines, query-lodge: what this is. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "config.h"
#include "control/qmp.h"
#include "core/machine.h"
#include "core/vcpu.h"
#include "machine/x86/board.h"
#include "mem/ram.h"

struct name_info {
	char *name;
};

static const struct field name_fields[] = {
	FIELD_STR(struct name_info, name, "name", .doc = "as given by --name"),
};
static const struct field_table name_info = FIELD_TABLE("NameInfo", struct name_info, name_fields);

static bool query_name(struct qmp_call *c, struct error *err)
{
	struct name_info *r = c->ret;

	return !qmp_get_info(c->q)->named || qmp_set_text(&r->name, c->m->name, err);
}

const struct qmp_command query_name_cmd = {
	.name = "query-name",
	.doc = "the machine's name, where the user gave one",
	.ret = &name_info,
	.flags = QMP_QUERY,
	.run = query_name,
};

struct uuid_info {
	char *uuid;
};

static const struct field uuid_fields[] = {
	FIELD_STR(struct uuid_info, uuid, "UUID", .flags = FF_GIVEN, .doc = "as the guest sees it"),
};
static const struct field_table uuid_info = FIELD_TABLE("UuidInfo", struct uuid_info, uuid_fields);

char *qmp_uuid_text(const struct qmp *q, char text[QMP_UUID_LEN + 1])
{
	const uint8_t *u = qmp_get_info(q)->uuid;

	snprintf(text, QMP_UUID_LEN + 1,
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
		u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
		u[15]);
	return text;
}

static bool query_uuid(struct qmp_call *c, struct error *err)
{
	struct uuid_info *r = c->ret;
	char text[QMP_UUID_LEN + 1];

	return qmp_set_text(&r->uuid, qmp_uuid_text(c->q, text), err);
}

const struct qmp_command query_uuid_cmd = {
	.name = "query-uuid",
	.doc = "the machine's UUID",
	.ret = &uuid_info,
	.flags = QMP_QUERY,
	.run = query_uuid,
};

struct target_info {
	char *arch;
};

static const struct field target_fields[] = {
	FIELD_STR(struct target_info, arch, "arch", .flags = FF_GIVEN, .dflt = "x86_64",
		.doc = "the guest's CPU"),
};
static const struct field_table target_info = FIELD_TABLE(
	"TargetInfo", struct target_info, target_fields);

static bool nothing_to_do(struct qmp_call *c, struct error *err)
{
	return true; /* the table's defaults are the answer */
}

const struct qmp_command query_target_cmd = {
	.name = "query-target",
	.doc = "the architecture",
	.ret = &target_info,
	.flags = QMP_QUERY,
	.run = nothing_to_do,
};

struct kvm_info {
	bool enabled, present;
};

static const struct field kvm_fields[] = {
	FIELD_BOOL(struct kvm_info, enabled, "enabled", .doc = "KVM runs this machine"),
	FIELD_BOOL(struct kvm_info, present, "present", .doc = "there is a KVM engine"),
};
static const struct field_table kvm_info = FIELD_TABLE("KvmInfo", struct kvm_info, kvm_fields);

static bool query_kvm(struct qmp_call *c, struct error *err)
{
	struct kvm_info *r = c->ret;

	r->present = true;
	r->enabled = !strcmp(c->m->accel->name, "kvm");
	return true;
}

const struct qmp_command query_kvm_cmd = {
	.name = "query-kvm",
	.doc = "does KVM run the machine?",
	.ret = &kvm_info,
	.flags = QMP_QUERY,
	.run = query_kvm,
};

struct machine_info {
	char *name, *alias, *cpu_type, *ram_id;
	bool is_default, hotpluggable, numa_mem, deprecated;
	int64_t cpu_max;
};

static const struct field machine_fields[] = {
	FIELD_STR(struct machine_info, name, "name", .flags = FF_GIVEN),
	FIELD_STR(struct machine_info, alias, "alias"),
	FIELD_BOOL(struct machine_info, is_default, "is-default", .flags = FF_OMIT_ZERO),
	FIELD_I64(struct machine_info, cpu_max, "cpu-max", .doc = "most CPUs"),
	FIELD_BOOL(struct machine_info, hotpluggable, "hotpluggable-cpus",
		.doc = "CPUs can be added to a running machine"),
	FIELD_BOOL(struct machine_info, numa_mem, "numa-mem-supported",
		.doc = "a NUMA node takes its memory as a size"),
	FIELD_BOOL(struct machine_info, deprecated, "deprecated"),
	FIELD_STR(struct machine_info, cpu_type, "default-cpu-type"),
	FIELD_STR(struct machine_info, ram_id, "default-ram-id"),
};
static const struct field_table machine_info = FIELD_TABLE(
	"MachineInfo", struct machine_info, machine_fields);

struct machines {
	struct {
		struct machine_info *items;
		size_t len;
	} machines;
};

static const struct field machines_fields[] = {
	FIELD_LIST(struct machines, machines, "machines", FT_STRUCT, 16, .sub = &machine_info),
};
static const struct field_table machines = FIELD_TABLE(
	"query-machines", struct machines, machines_fields);

static bool add_none(struct qmp_call *c, struct error *err)
{
	struct machine_info *i = fields_list_add(&machines, c->ret, "machines", err);

	if (!i)
		return false;
	i->cpu_max = 1;
	return qmp_set_text(&i->name, "none", err);
}

static bool query_machines(struct qmp_call *c, struct error *err)
{
	struct machine_info *i;

	if (!add_none(c, err) || !(i = fields_list_add(&machines, c->ret, "machines", err)))
		return false;
	i->is_default = true;
	i->cpu_max = BOARD_CPUS_MAX;
	i->numa_mem = true;
	/* For QEMU's clients `host` goes with KVM alone, where it is the real CPU. */
	if (!strcmp(c->m->accel->name, "kvm") &&
		!qmp_set_text(&i->cpu_type, "host-x86_64-cpu", err))
		return false;
	return qmp_set_text(&i->name, "pc-q35-7.2", err) && qmp_set_text(&i->alias, "q35", err) &&
	       qmp_set_text(&i->ram_id, QMP_RAM_ID, err);
}

const struct qmp_command query_machines_cmd = {
	.name = "query-machines",
	.doc = "the kinds of machine that there are",
	.ret = &machines,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = query_machines,
};

/* -------- Lodge's own -------- */

static const char *const state_names[] = { "prelaunch", "running", "paused", "shutdown",
	"inmigrate", "postmigrate", NULL };

struct io_thread {
	char *name;
	int64_t tid;
};
static const struct field io_thread_fields[] = {
	FIELD_STR(struct io_thread, name, "id", .flags = FF_GIVEN),
	FIELD_I64(struct io_thread, tid, "thread-id"),
};
static const struct field_table io_thread = FIELD_TABLE(
	"LodgeIOThread", struct io_thread, io_thread_fields);

struct lodge_info {
	char *name, *version, *engine;
	struct {
		struct io_thread *items;
		size_t len;
	} io_threads;
	int state;
	int64_t pid, cpus, uptime_ns;
	uint64_t memory;
};

static const struct field lodge_fields[] = {
	FIELD_STR(struct lodge_info, name, "name", .flags = FF_GIVEN),
	FIELD_I64(struct lodge_info, pid, "pid", .doc = "the process"),
	FIELD_STR(struct lodge_info, engine, "engine", .flags = FF_GIVEN, .doc = "kvm or soft"),
	FIELD_ENUM(struct lodge_info, state, "state", state_names),
	FIELD_I64(struct lodge_info, cpus, "vcpus"),
	FIELD_U64(struct lodge_info, memory, "memory", .doc = "bytes of guest memory"),
	FIELD_I64(struct lodge_info, uptime_ns, "guest-ns",
		.doc = "nanoseconds that the guest has been running"),
	FIELD_LIST(struct lodge_info, io_threads, "io-threads", FT_STRUCT, 4096, .sub = &io_thread,
		.doc = "all that work for devices, those that nobody named, too"),
	FIELD_STR(struct lodge_info, version, "version", .flags = FF_GIVEN, .dflt = LODGE_VERSION,
		.doc = "Lodge's"),
};
static const struct field_table lodge_info = FIELD_TABLE(
	"LodgeInfo", struct lodge_info, lodge_fields);

static bool query_lodge(struct qmp_call *c, struct error *err)
{
	struct lodge_info *r = c->ret;
	struct loop **l;

	vec_for_each (l, &c->m->io_loops) {
		struct io_thread *t = fields_list_add(&lodge_info, r, "io-threads", err);

		if (!t || !qmp_set_text(&t->name, loop_name(*l), err))
			return false;
		t->tid = loop_tid(*l);
	}

	r->pid = getpid();
	r->state = (int)c->m->state;
	r->cpus = c->m->n_vcpus;
	r->memory = qmp_get_info(c->q)->memory;
	r->uptime_ns = machine_clock_ns(c->m);
	return qmp_set_text(&r->name, c->m->name, err) &&
	       qmp_set_text(&r->engine, c->m->accel->name, err);
}

const struct qmp_command query_lodge_cmd = {
	.name = "query-lodge",
	.doc = "what `lodge ps` shows (Lodge's own command)",
	.ret = &lodge_info,
	.flags = QMP_QUERY,
	.run = query_lodge,
};
