// SPDX-License-Identifier: GPL-2.0-or-later
/* query-cpus-fast, query-hotpluggable-cpus, query-iothreads: CPUs and threads. */
#include <stdio.h>
#include <unistd.h>
#include "control/qmp.h"
#include "core/machine.h"
#include "core/vcpu.h"

struct props {
	int64_t node, socket, core, thread;
};

static const struct field props_fields[] = {
	FIELD_I64(struct props, socket, "socket-id"),
	FIELD_I64(struct props, core, "core-id"),
	FIELD_I64(struct props, thread, "thread-id"),
};
static const struct field_table props = FIELD_TABLE(
	"CpuInstanceProperties", struct props, props_fields);

struct cpu {
	int64_t index, tid;
	char *path, *target;
	struct props props;
};

static const struct field cpu_fields[] = {
	FIELD_I64(struct cpu, index, "cpu-index"),
	FIELD_STR(struct cpu, path, "qom-path", .flags = FF_GIVEN),
	FIELD_I64(struct cpu, tid, "thread-id",
		.doc = "its thread; the process's id as long as it has none of its own"),
	FIELD_STRUCT(struct cpu, props, "props", &props, .doc = "where it is in the topology"),
	FIELD_STR(struct cpu, target, "target", .flags = FF_GIVEN, .dflt = "x86_64"),
};
static const struct field_table cpu = FIELD_TABLE("CpuInfoFast", struct cpu, cpu_fields);

struct cpus {
	struct {
		struct cpu *items;
		size_t len;
	} cpus;
};

static const struct field cpus_fields[] = {
	FIELD_LIST(struct cpus, cpus, "cpus", FT_STRUCT, 4096, .sub = &cpu),
};
static const struct field_table cpus = FIELD_TABLE("query-cpus-fast", struct cpus, cpus_fields);

static struct props place_of(const struct qmp_info *info, uint32_t i)
{
	uint32_t threads = info->threads ?: 1, cores = info->cores ?: 1;

	return (struct props){
		.thread = i % threads, .core = i / threads % cores, .socket = i / (threads * cores)
	};
}

static bool query_cpus(struct qmp_call *c, struct error *err)
{
	const struct qmp_info *info = qmp_get_info(c->q);

	for (uint32_t i = 0; i < c->m->n_vcpus; i++) {
		struct cpu *r = fields_list_add(&cpus, c->ret, "cpus", err);
		char path[64];

		snprintf(path, sizeof(path), "/machine/unattached/device[%u]", i);
		if (!r || !qmp_set_text(&r->path, path, err))
			return false;
		r->index = i;
		/* A vCPU's thread is made when it first runs. */
		r->tid = c->m->vcpus[i].tid ?: getpid();
		r->props = place_of(info, i);
	}
	return true;
}

const struct qmp_command query_cpus_fast_cmd = {
	.name = "query-cpus-fast",
	.doc = "the CPUs and their threads",
	.ret = &cpus,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = query_cpus,
};

/* -------- query-hotpluggable-cpus -------- */

struct place {
	char *type, *path;
	int64_t count;
	struct props props;
};

static const struct field place_fields[] = {
	FIELD_STR(struct place, type, "type", .flags = FF_GIVEN),
	FIELD_I64(struct place, count, "vcpus-count"),
	FIELD_STRUCT(struct place, props, "props", &props, .doc = "where it is in the topology"),
	FIELD_STR(struct place, path, "qom-path", .flags = FF_GIVEN),
};
static const struct field_table place = FIELD_TABLE("HotpluggableCPU", struct place, place_fields);

struct places {
	struct {
		struct place *items;
		size_t len;
	} places;
};

static const struct field places_fields[] = {
	FIELD_LIST(struct places, places, "cpus", FT_STRUCT, 4096, .sub = &place),
};
static const struct field_table places = FIELD_TABLE(
	"query-hotpluggable-cpus", struct places, places_fields);

/* No more than there are at the start: the last first, as QEMU lists them. */
static bool query_hotpluggable(struct qmp_call *c, struct error *err)
{
	const struct qmp_info *info = qmp_get_info(c->q);

	for (uint32_t i = c->m->n_vcpus; i--;) {
		struct place *r = fields_list_add(&places, c->ret, "cpus", err);
		char path[64], type[64];

		snprintf(path, sizeof(path), "/machine/unattached/device[%u]", i);
		snprintf(type, sizeof(type), "%s-x86_64-cpu", info->cpu_model ?: "host");
		if (!r || !qmp_set_text(&r->path, path, err) || !qmp_set_text(&r->type, type, err))
			return false;
		r->count = 1;
		r->props = place_of(info, i);
	}
	return true;
}

const struct qmp_command query_hotpluggable_cpus_cmd = {
	.name = "query-hotpluggable-cpus",
	.doc = "the places for CPUs, all of them taken: none can be added",
	.ret = &places,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = query_hotpluggable,
};

/* -------- query-iothreads -------- */

struct iothread {
	char *id;
	int64_t tid, poll_max, poll_grow, poll_shrink, batch;
};

static const struct field iothread_fields[] = {
	FIELD_STR(struct iothread, id, "id", .flags = FF_GIVEN),
	FIELD_I64(struct iothread, tid, "thread-id"),
	FIELD_I64(struct iothread, poll_max, "poll-max-ns", .doc = "0: a thread does not spin"),
	FIELD_I64(struct iothread, poll_grow, "poll-grow"),
	FIELD_I64(struct iothread, poll_shrink, "poll-shrink"),
	FIELD_I64(struct iothread, batch, "aio-max-batch"),
};
static const struct field_table iothread = FIELD_TABLE(
	"IOThreadInfo", struct iothread, iothread_fields);

struct iothreads {
	struct {
		struct iothread *items;
		size_t len;
	} threads;
};

static const struct field iothreads_fields[] = {
	FIELD_LIST(struct iothreads, threads, "threads", FT_STRUCT, 4096, .sub = &iothread),
};
static const struct field_table iothreads = FIELD_TABLE(
	"query-iothreads", struct iothreads, iothreads_fields);

static bool query_iothreads(struct qmp_call *c, struct error *err)
{
	struct loop **l;

	vec_for_each (l, &c->m->io_loops) {
		struct iothread *r;

		/* QEMU's clients count on having named them all (query-lodge has the others). */
		if (machine_io_loop_is_shared(loop_name(*l)))
			continue;
		r = fields_list_add(&iothreads, c->ret, "threads", err);
		if (!r || !qmp_set_text(&r->id, loop_name(*l), err))
			return false;
		r->tid = loop_tid(*l);
	}
	return true;
}

const struct qmp_command query_iothreads_cmd = {
	.name = "query-iothreads",
	.doc = "the threads that work for devices and were named by the user",
	.ret = &iothreads,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = query_iothreads,
};
