// SPDX-License-Identifier: GPL-2.0-or-later
#include "sandbox/filter-code.h"

#include <assert.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>

#define X32_BIT	    0x40000000u
#define RUNS_MAX    (SYSCALLS_MAX + 1)
#define REACH	    255 /* of a conditional jump */
#define ACTIONS_MAX 8
#define NUMBERS	    470 /* system calls that a kernel has, more or less */
/* Seen in instructions of the kernel: to compile a comparison, and to walk over it with one number, of which it tries all. */
#define COST_NODE   1100
#define COST_BOTH   400 /* more, if neither branch is the next instruction */
#define COST_STEP   28

/* What becomes of a system call: an action, or alternatives by its arguments. */
struct fate {
	const struct alternative *by_args; /* NULL: the action */
	uint32_t action;
	bool any; /* the filter above ends it: whatever is shorter */
};

/* System calls from @first up to the next run's. */
struct run {
	uint32_t first;
	struct fate fate;
};

/* Jumps lead forward only, so the code is made from its end to its beginning, and each target is there when it is
 * wanted. A label is a place counted from the end. */
struct maker {
	struct sock_filter code[FILTER_MAX];
	unsigned int len;
	struct {
		uint32_t action;
		unsigned int label;
	} returned[ACTIONS_MAX];
	unsigned int n_returned;
	uint32_t otherwise;
	struct run runs[RUNS_MAX];
	unsigned int n_runs;
	struct best {
		uint32_t
			cost; /* of the best tree for the runs from [first index] up to [second], */
		unsigned int
			mid; /* which is split here; 0: compared one after the other, or one run */
	} best[RUNS_MAX + 1][RUNS_MAX + 1];
};

/* -------- instructions, from the last to the first -------- */

static unsigned int put(struct maker *m, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (m->len < FILTER_MAX)
		m->code[m->len] = (struct sock_filter){ code, jt, jf, k };
	return m->len++;
}

static unsigned int put_return(struct maker *m, uint32_t action)
{
	unsigned int i;

	for (i = 0; i < m->n_returned && m->returned[i].action != action; i++)
		;
	if (i < m->n_returned && m->len - m->returned[i].label < REACH - 2)
		return m->returned[i].label;
	assert(i < ACTIONS_MAX);
	if (i == m->n_returned)
		m->returned[m->n_returned++].action = action;
	m->returned[i].label = put(m, BPF_RET | BPF_K, 0, 0, action);
	return m->returned[i].label;
}

/* A label that a conditional jump reaches, even after one more instruction. */
static unsigned int near(struct maker *m, unsigned int label)
{
	unsigned int distance = m->len - label - 1;

	return distance < REACH - 2 ? label : put(m, BPF_JMP | BPF_JA, 0, 0, distance);
}

static unsigned int put_jump(
	struct maker *m, uint16_t op, uint32_t k, unsigned int yes, unsigned int no)
{
	if (yes == no)
		return yes;
	yes = near(m, yes);
	no = near(m, no);
	return put(m, BPF_JMP | op | BPF_K, (uint8_t)(m->len - yes - 1), (uint8_t)(m->len - no - 1),
		k);
}

static unsigned int put_load(struct maker *m, size_t offset)
{
	return put(m, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

/* -------- a call's arguments -------- */

/* Their lower halves: the kernel takes none of those that rules are about as wider, and an upper half that made a
 * difference here could make a call look like another. */

static size_t low(const struct scmp_arg_cmp *c)
{
	return offsetof(struct seccomp_data, args) + c->arg * sizeof(uint64_t);
}

static unsigned int put_condition(
	struct maker *m, const struct scmp_arg_cmp *c, unsigned int yes, unsigned int no)
{
	bool masked = c->op == SCMP_CMP_MASKED_EQ;
	uint32_t value = (uint32_t)(masked ? c->datum_b : c->datum_a);

	if (yes == no)
		return yes;
	if (c->op == SCMP_CMP_NE)
		put_jump(m, BPF_JEQ, value, no, yes);
	else
		put_jump(m, BPF_JEQ, value, yes, no);
	if (masked)
		put(m, BPF_ALU | BPF_AND | BPF_K, 0, 0, (uint32_t)c->datum_a);
	return put_load(m, low(c));
}

/* One of those that compare the same argument: it is loaded once for all. */
static bool is_simple(const struct alternative *a, const struct alternative *like)
{
	return a && a->n == 1 && a->cond[0].op == SCMP_CMP_EQ &&
	       a->cond[0].arg == like->cond[0].arg;
}

static unsigned int put_alternatives(struct maker *m, const struct alternative *a)
{
	const struct alternative *group[SYSCALLS_MAX];
	unsigned int label, no, n = 0;

	if (!a)
		return put_return(m, m->otherwise);
	for (const struct alternative *b = a; is_simple(b, a) && n < SYSCALLS_MAX; b = b->next)
		group[n++] = b;
	no = put_alternatives(m, n ? group[n - 1]->next : a->next);
	label = n ? no : put_return(m, a->action);
	if (n) {
		for (unsigned int i = n; i--;)
			label = put_jump(m, BPF_JEQ, (uint32_t)group[i]->cond[0].datum_a,
				put_return(m, group[i]->action), label);
		assert(label == m->len - 1);
		return put_load(m, low(&a->cond[0]));
	}
	for (unsigned int i = a->n; i--;)
		label = put_condition(m, &a->cond[i], label, no);
	return label;
}

/* -------- what becomes of each number -------- */

static bool same_alternatives(const struct alternative *a, const struct alternative *b)
{
	for (; a && b; a = a->next, b = b->next) {
		if (a->n != b->n || a->action != b->action)
			return false;
		for (unsigned int i = 0; i < a->n; i++) {
			const struct scmp_arg_cmp *x = &a->cond[i], *y = &b->cond[i];

			if (x->arg != y->arg || x->op != y->op || x->datum_a != y->datum_a ||
				x->datum_b != y->datum_b)
				return false;
		}
	}
	return a == b;
}

static struct fate fate_of(const struct policy *p, const struct policy *above, unsigned int nr)
{
	const struct alternative *a = p->call[nr];

	if (above && !above->call[nr] && above->otherwise == p->otherwise)
		return (struct fate){ .any = true };
	if (above && a && same_alternatives(a, above->call[nr]))
		return (struct fate){ .action = SECCOMP_RET_ALLOW };
	if (!a)
		return (struct fate){ .action = p->otherwise };
	return a->n ? (struct fate){ .by_args = a } : (struct fate){ .action = a->action };
}

static bool same_fate(const struct fate *a, const struct fate *b)
{
	return a->by_args == b->by_args && a->action == b->action;
}

static void add_run(struct maker *m, uint32_t first, struct fate f)
{
	struct run *last = m->n_runs ? &m->runs[m->n_runs - 1] : NULL;

	if (last && (f.any || same_fate(&f, &last->fate)))
		return;
	if (last && last->fate.any)
		last->fate = f;
	else
		m->runs[m->n_runs++] = (struct run){ first, f };
}

static void make_runs(struct maker *m, const struct policy *p, const struct policy *above)
{
	for (unsigned int nr = 0; nr < SYSCALLS_MAX; nr++)
		add_run(m, nr, fate_of(p, above, nr));
	if (above)
		return; /* that filter ends all other numbers */
	add_run(m, SYSCALLS_MAX, (struct fate){ .action = p->otherwise });
	m->runs[m->n_runs++] = (struct run){ X32_BIT, { .action = SECCOMP_RET_KILL_PROCESS } };
}

/* -------- the tree -------- */

static unsigned int put_fate(struct maker *m, const struct fate *f)
{
	return f->by_args ? put_alternatives(m, f->by_args) : put_return(m, f->action);
}

/* How many of the numbers in use are in the runs from @a up to @b. */
static uint32_t width(const struct maker *m, unsigned int a, unsigned int b)
{
	uint32_t from = m->runs[a].first, to = b < m->n_runs ? m->runs[b].first : NUMBERS;

	return (to < NUMBERS ? to : NUMBERS) - (from < NUMBERS ? from : NUMBERS);
}

/* Runs from @a up to @b are single numbers in a run of another fate: how many; 0: they are not. */
static unsigned int singles(const struct maker *m, unsigned int a, unsigned int b)
{
	unsigned int n = 0;

	for (unsigned int i = a; i < b; i++) {
		if (same_fate(&m->runs[i].fate, &m->runs[a].fate))
			continue;
		if (i + 1 >= b || m->runs[i + 1].first != m->runs[i].first + 1)
			return 0;
		n++;
	}
	return n;
}

static void find_best(struct maker *m, unsigned int a, unsigned int b)
{
	uint32_t step = COST_STEP * width(m, a, b), n = singles(m, a, b);
	struct best *best = &m->best[a][b];

	if (b - a == 1)
		return;
	*best = (struct best){ n ? n * (COST_NODE + step) + COST_BOTH : UINT32_MAX, 0 };
	for (unsigned int mid = a + 1; mid < b; mid++) {
		uint32_t cost = COST_NODE + step + (b - a == 2 ? COST_BOTH : 0) +
				m->best[a][mid].cost + m->best[mid][b].cost;

		if (cost < best->cost)
			*best = (struct best){ cost, mid };
	}
}

static unsigned int put_tree(struct maker *m, unsigned int a, unsigned int b)
{
	unsigned int mid = m->best[a][b].mid, label, right;

	if (mid) {
		right = put_tree(m, mid, b);
		label = put_tree(m, a, mid);
		return put_jump(m, BPF_JGE, m->runs[mid].first, right, label);
	}
	label = put_fate(m, &m->runs[a].fate);
	for (unsigned int i = b - 1; i > a; i--) {
		if (!same_fate(&m->runs[i].fate, &m->runs[a].fate))
			label = put_jump(
				m, BPF_JEQ, m->runs[i].first, put_fate(m, &m->runs[i].fate), label);
	}
	return label;
}

static unsigned int put_best_tree(struct maker *m)
{
	for (unsigned int n = 1; n <= m->n_runs; n++) {
		for (unsigned int a = 0; a + n <= m->n_runs; a++)
			find_best(m, a, a + n);
	}
	return put_tree(m, 0, m->n_runs);
}

bool filter_compile(const struct policy *p, const struct policy *above, struct filter_code *out)
{
	static struct maker m;
	unsigned int label, kill;

	m = (struct maker){ .otherwise = p->otherwise };
	make_runs(&m, p, above);
	label = put_best_tree(&m);
	assert(label == m.len - 1);
	label = put_load(&m, offsetof(struct seccomp_data, nr));
	if (!above) { /* else it has looked */
		kill = put_return(&m, SECCOMP_RET_KILL_PROCESS);
		assert(label == m.len - 1);
		put_jump(&m, BPF_JEQ, AUDIT_ARCH_X86_64, label, kill);
		put_load(&m, offsetof(struct seccomp_data, arch));
	}
	out->len = m.len;
	for (unsigned int i = 0; i < m.len && m.len <= FILTER_MAX; i++)
		out->code[i] = m.code[m.len - 1 - i];
	return m.len <= FILTER_MAX;
}
