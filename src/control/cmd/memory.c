// SPDX-License-Identifier: GPL-2.0-or-later
/* query-memdev, query-memory-size-summary: the guest's memory, which is one piece. */
#include "control/qmp.h"

/* -------- query-memdev -------- */

static const char *const policy_names[] = { "default", "preferred", "bind", "interleave", NULL };

struct memdev {
	char *id;
	uint64_t size;
	bool merge, dump, prealloc, share, reserve;
	struct {
		int64_t *items;
		size_t len;
	} nodes;
	int policy;
};
static const struct field memdev_fields[] = {
	FIELD_STR(struct memdev, id, "id", .flags = FF_GIVEN),
	FIELD_U64(struct memdev, size, "size", .doc = "bytes"),
	FIELD_BOOL(struct memdev, merge, "merge", .doc = "the host is asked to share equal pages"),
	FIELD_BOOL(struct memdev, dump, "dump", .doc = "it is in core dumps of the process"),
	FIELD_BOOL(struct memdev, prealloc, "prealloc", .doc = "it was all taken at the start"),
	FIELD_BOOL(struct memdev, share, "share", .doc = "what the guest writes goes to its file"),
	FIELD_BOOL(struct memdev, reserve, "reserve", .doc = "the host has set swap space aside"),
	FIELD_LIST(struct memdev, nodes, "host-nodes", FT_I64, 64,
		.doc = "of the host, to which it is bound"),
	FIELD_ENUM(struct memdev, policy, "policy", policy_names),
};
static const struct field_table memdev = FIELD_TABLE("Memdev", struct memdev, memdev_fields);

struct memdevs {
	struct {
		struct memdev *items;
		size_t len;
	} list;
};
static const struct field memdevs_fields[] = {
	FIELD_LIST(struct memdevs, list, "memdevs", FT_STRUCT, 16, .sub = &memdev),
};
static const struct field_table memdevs = FIELD_TABLE(
	"query-memdev", struct memdevs, memdevs_fields);

static bool query_memdev(struct qmp_call *c, struct error *err)
{
	const struct qmp_info *info = qmp_get_info(c->q);
	struct memdev *d;

	if (!info->memory)
		return true;
	d = fields_list_add(&memdevs, c->ret, "memdevs", err);
	if (!d)
		return false;
	d->size = info->memory;
	d->prealloc = info->memory_prealloc;
	d->share = info->memory_file;
	return qmp_set_text(&d->id, QMP_RAM_ID, err);
}

const struct qmp_command query_memdev_cmd = {
	.name = "query-memdev",
	.doc = "what the guest's memory is made of",
	.ret = &memdevs,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = query_memdev,
};

/* -------- query-memory-size-summary -------- */

struct summary {
	uint64_t base;
};
static const struct field summary_fields[] = {
	FIELD_U64(struct summary, base, "base-memory", .doc = "bytes that were there at the start"),
};
static const struct field_table summary = FIELD_TABLE("MemoryInfo", struct summary, summary_fields);

static bool query_summary(struct qmp_call *c, struct error *err)
{
	((struct summary *)c->ret)->base = qmp_get_info(c->q)->memory;
	return true;
}

const struct qmp_command query_memory_size_summary_cmd = {
	.name = "query-memory-size-summary",
	.doc = "how much memory the machine has (none can be plugged in)",
	.ret = &summary,
	.flags = QMP_QUERY,
	.run = query_summary,
};
