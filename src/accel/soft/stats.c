// SPDX-License-Identifier: GPL-2.0-or-later
/* stats - what vCPUs have counted, as a table: each counter's sum and up to eight vCPUs a table. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "accel/soft/jit.h"
#include "base/str.h"

#define COLUMNS 8
#define TOP	20 /* instructions */

struct row {
	const char *text;
	size_t off;
};

#define JIT_ROW(name, text)  { text, offsetof(struct jit_counters, name) },
#define SOFT_ROW(name, text) { text, offsetof(struct soft_counters, name) },
static const struct row jit_rows[] = { JIT_COUNTERS(JIT_ROW) };
static const struct row soft_rows[] = { SOFT_COUNTERS(SOFT_ROW) };

/* Each vCPU's numbers as they were at one moment, more or less. */
struct numbers {
	uint32_t index;
	struct soft_counters soft;
	struct jit_counters jit;
	uint64_t op[X86_OP_COUNT];
};

struct table {
	struct numbers *cpu; /* owned: @n */
	uint32_t n;
	bool jit;
};

static void copy(void *to, const void *from, size_t n)
{
	uint64_t *t = to;
	const uint64_t *f = from;

	for (size_t i = 0; i < n / sizeof(*t); i++)
		t[i] = __atomic_load_n(&f[i], __ATOMIC_RELAXED);
}

static bool take(struct soft_vm *vm, struct table *t)
{
	uint32_t n = atomic_load(&vm->n_vcpus);

	*t = (struct table){ .cpu = calloc(n + 1, sizeof(*t->cpu)), .jit = vm->jit };
	if (!t->cpu)
		return false;
	mutex_lock(&vm->vcpus_lock);
	for (uint32_t i = 0; i < n; i++) {
		const struct soft_vcpu *v = vm->vcpus[i];
		struct numbers *to = &t->cpu[t->n];

		if (!v)
			continue;
		to->index = i;
		copy(&to->soft, &v->count, sizeof(to->soft));
		if (v->jit) {
			copy(&to->jit, &v->jit->count, sizeof(to->jit));
			copy(to->op, v->jit->interp_op, sizeof(to->op));
		}
		t->n++;
	}
	mutex_unlock(&vm->vcpus_lock);
	return true;
}

static uint64_t number(const struct numbers *c, size_t off)
{
	return *(const uint64_t *)(const void *)((const char *)c + off);
}

static uint64_t sum(const struct table *t, size_t off)
{
	uint64_t s = 0;

	for (uint32_t i = 0; i < t->n; i++)
		s += number(&t->cpu[i], off);
	return s;
}

/* What nobody has counted is left out. */
static void put_row(
	const struct table *t, uint32_t first, const char *text, size_t off, struct str *out)
{
	if (!sum(t, off))
		return;
	str_appendf(out, "%-52s %14" PRIu64, text, sum(t, off));
	for (uint32_t i = first; i < MIN(first + COLUMNS, t->n) && t->n > 1; i++)
		str_appendf(out, " %14" PRIu64, number(&t->cpu[i], off));
	str_append(out, "\n");
}

static void put_head(const struct table *t, uint32_t first, struct str *out)
{
	str_appendf(out, "%-52s %14s", "counters since the start", t->n > 1 ? "all CPUs" : "CPU 0");
	for (uint32_t i = first; i < MIN(first + COLUMNS, t->n) && t->n > 1; i++)
		str_appendf(out, " %10s%4" PRIu32, "CPU", t->cpu[i].index);
	str_append(out, "\n");
}

static void put_expansion(const struct table *t, struct str *out)
{
	uint64_t guest = sum(t, offsetof(struct numbers, jit.guest_bytes));
	uint64_t host = sum(t, offsetof(struct numbers, jit.host_bytes));
	uint64_t blocks = sum(t, offsetof(struct numbers, jit.blocks));

	if (!guest || !blocks)
		return;
	str_appendf(out, "%-52s %11" PRIu64 ".%02" PRIu64 "\n", "host bytes for a guest byte",
		host / guest, host % guest * 100 / guest);
	str_appendf(out, "%-52s %12" PRIu64 ".%" PRIu64 "\n", "guest bytes in a block",
		guest / blocks, guest % blocks * 10 / blocks);
}

static size_t op_off(unsigned int op)
{
	return offsetof(struct numbers, op) + op * sizeof(uint64_t);
}

static void put_ops(const struct table *t, uint32_t first, struct str *out)
{
	bool told[X86_OP_COUNT] = { false };

	for (int n = 0; n < TOP; n++) {
		unsigned int best = 0;
		char text[64];

		for (unsigned int op = 0; op < X86_OP_COUNT; op++)
			if (!told[op] && (told[best] || sum(t, op_off(op)) > sum(t, op_off(best))))
				best = op;
		told[best] = true;
		snprintf(text, sizeof(text), "  interpreted: %s", x86_op_name((enum x86_op)best));
		put_row(t, first, text, op_off(best), out);
	}
}

static void put_table(const struct table *t, uint32_t first, struct str *out)
{
	put_head(t, first, out);
	for (size_t i = 0; i < ARRAY_SIZE(jit_rows); i++)
		put_row(t, first, jit_rows[i].text, offsetof(struct numbers, jit) + jit_rows[i].off,
			out);
	put_expansion(t, out);
	put_ops(t, first, out);
	for (size_t i = 0; i < ARRAY_SIZE(soft_rows); i++)
		put_row(t, first, soft_rows[i].text,
			offsetof(struct numbers, soft) + soft_rows[i].off, out);
}

void soft_stats(struct soft_vm *vm, struct str *out)
{
	struct table t;

	if (!take(vm, &t)) {
		out->failed = true;
		return;
	}
	for (uint32_t first = 0; first == 0 || first < t.n; first += COLUMNS)
		put_table(&t, first, out);
	free(t.cpu);
}
