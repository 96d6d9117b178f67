// SPDX-License-Identifier: GPL-2.0-or-later
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "difftest.h"

static const char help[] =
	"difftest - random instructions on the real CPU and on the software engine, compared\n"
	"\n"
	"  --seed S       begin of the random numbers (the time)\n"
	"  --count N      this many tests\n"
	"  --seconds T    for this long (10)\n"
	"  --row TEXT     only instructions whose row contains TEXT, or row number TEXT\n"
	"  --rows         at the end, each row: how often it was tested or why not\n"
	"  --only N       test number N alone, with all registers\n"
	"  --differences N  stop after this many (20)\n"
	"  --each N       of instructions that differ show N each and go on\n"
	"  --engine E     jit, interp, or both by turns (both)\n"
	"  --native       the real CPU alone, nothing compared: what it costs\n"
	"  --quiet        no report of rows\n"
	"\n"
	"Exit status: 0 no difference, 1 differences, 77 this host cannot.\n";

struct options {
	uint64_t seed, count, only, differences, each;
	double seconds;
	const char *row;
	bool rows, has_only, native, quiet, jit, interp;
};

static void parse_engine(struct options *o, const char *word)
{
	o->jit = strcmp(word, "interp") != 0;
	o->interp = strcmp(word, "jit") != 0;
	if (o->jit && o->interp && strcmp(word, "both")) {
		fprintf(stderr, "difftest: --engine is jit, interp or both\n");
		exit(2);
	}
}

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option list[] = { { "seed", 1, NULL, 's' }, { "count", 1, NULL, 'c' },
		{ "seconds", 1, NULL, 't' }, { "row", 1, NULL, 'r' }, { "rows", 0, NULL, 'R' },
		{ "only", 1, NULL, 'o' }, { "differences", 1, NULL, 'd' },
		{ "native", 0, NULL, 'n' }, { "each", 1, NULL, 'e' }, { "quiet", 0, NULL, 'q' },
		{ "engine", 1, NULL, 'E' }, { "help", 0, NULL, 'h' }, { 0 } };
	int c;

	*o = (struct options){ .seed = (uint64_t)time(NULL),
		.seconds = 10,
		.differences = 20,
		.count = UINT64_MAX,
		.jit = true,
		.interp = true };
	while ((c = getopt_long(argc, argv, "h", list, NULL)) != -1) {
		switch (c) {
		case 's':
			o->seed = strtoull(optarg, NULL, 0);
			break;
		case 'c':
			o->count = strtoull(optarg, NULL, 0);
			o->seconds = 1e9;
			break;
		case 't':
			o->seconds = atof(optarg);
			break;
		case 'r':
			o->row = optarg;
			break;
		case 'R':
			o->rows = true;
			break;
		case 'o':
			o->only = strtoull(optarg, NULL, 0);
			o->has_only = true;
			break;
		case 'd':
			o->differences = strtoull(optarg, NULL, 0);
			break;
		case 'e':
			o->each = strtoull(optarg, NULL, 0);
			break;
		case 'E':
			parse_engine(o, optarg);
			break;
		case 'n':
			o->native = true;
			break;
		case 'q':
			o->quiet = true;
			break;
		default:
			fputs(help, c == 'h' ? stdout : stderr);
			exit(c == 'h' ? 0 : 2);
		}
	}
}

struct counts {
	uint64_t tests, faults, differences, loops, syscalls, died, lost;
};

static void count_test(struct counts *c, const struct test *t, const struct outcome *n)
{
	c->tests++;
	c->loops += n->vector == END_NONE;
	c->syscalls += n->vector == END_SYSCALL;
	c->died += n->vector == END_DIED;
	c->faults += n->vector != X86_EXC_BP;
	for (int i = 0; i < t->n_insns; i++)
		if (t->row[i] != ROW_NONE && n->vector < END_DIED)
			gen_rows[t->row[i]].tested[t->mode]++;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void report(const struct options *o, const struct counts *c, double seconds)
{
	uint32_t rows = x86_rows(), tested = 0, left_out = 0;
	uint64_t *count = calloc(rows + 1, sizeof(*count));
	char text[128];

	if (!count)
		abort();
	for (uint32_t i = 0; i < rows; i++) {
		const struct gen_row *r = &gen_rows[i];
		uint64_t n = r->tested[0] + r->tested[1] + r->tested[2];
		bool found = r->found[0] || r->found[1] || r->found[2];

		x86_row_text(i, text, sizeof(text));
		if (n)
			count[tested++] = n;
		else if (r->left_out && !found)
			left_out++;
		if (o->rows || (!n && !o->row && !(r->left_out && !found)))
			printf("row %4u %8" PRIu64 " %s%s%s%s\n", i, n, text,
				n || !(r->left_out && !found) ? "" : "  left out: ",
				n || !(r->left_out && !found) ? "" : r->left_out,
				!n && !(r->left_out && !found) ? found ? "  not hit" : "  not found"
							       : "");
	}
	qsort(count, tested, sizeof(*count), compare_u64);
	printf("%u rows: %u tested (least %" PRIu64 ", median %" PRIu64
	       " times), %u left out (--rows tells why), %u not hit\n",
		rows, tested, tested ? count[0] : 0, tested ? count[tested / 2] : 0, left_out,
		rows - tested - left_out);
	printf("%" PRIu64 " tests in %.1f s (%.0f/s), %" PRIu64 " ended in a fault\n", c->tests,
		seconds, (double)c->tests / seconds, c->faults);
	printf("not compared: %" PRIu64 ", of which %" PRIu64 " loops, %" PRIu64
	       " system calls, %" PRIu64 " that ended the child\n",
		compare_ignored, c->loops, c->syscalls, c->died);
	free(count);
}

static double now(void)
{
	return (double)clock_mono_ns() / 1e9;
}

static void note_difference(const struct test *t)
{
	for (int i = 0; i < t->n_insns; i++)
		if (t->row[i] != ROW_NONE && t->n_insns == 1)
			gen_rows[t->row[i]].differences++;
}

/* With --each: has enough been shown of one of its instructions? */
static bool shown(const struct options *o, const struct test *t)
{
	for (int i = 0; o->each && i < t->n_insns; i++)
		if (t->row[i] != ROW_NONE && gen_rows[t->row[i]].differences >= o->each)
			return true;
	return false;
}

/* For a debugger, when a test kills. */
uint64_t difftest_number;

/* Batch @w has been run natively: the same on the engine. */
static void run_soft(const struct options *o, struct soft_side *soft, const struct batch *b,
	uint32_t only, struct counts *c)
{
	static struct outcome out;
	static struct line lines[IMAGE_SIZE / 64];

	/* Which instructions come does not depend on it: a test's number is enough to tell of it. */
	bool translate = o->jit && (!o->interp || b->first / BATCH / 2 % 2 == 0);

	if (!o->native) {
		soft_side_image(soft, b->image);
		soft_side_translate(soft, translate);
	}
	for (uint32_t i = 0; i < b->n && c->differences < o->differences; i++) {
		if (o->has_only && i != only)
			continue;
		count_test(c, &b->test[i], &b->outcome[i]);
		if (o->native)
			continue;
		out = (struct outcome){ 0 };
		difftest_number = b->first + i;
		soft_side_run(soft, b, i, &out, lines);
		if (shown(o, &b->test[i]))
			continue;
		if (!compare(b, i, &out, lines, o->seed, o->has_only, translate)) {
			c->differences++;
			note_difference(&b->test[i]);
			fflush(stdout);
		}
	}
}

int main(int argc, char **argv)
{
	struct options o;
	struct counts c = { 0 };
	bool feature[X86_FEAT_COUNT];
	struct native *native;
	struct soft_side *soft = NULL;
	double start;
	uint64_t next, end;
	int w = 0;

	parse(argc, argv, &o);
	native = native_new();
	if (!native)
		return 77;
	memset(feature, 1, sizeof(feature));
	if (!o.native)
		soft = soft_side_new(native, feature);
	gen_init(feature, native_low(native));
	if (o.row && !gen_only_rows(o.row)) {
		printf("difftest: no row that can be tested is like that\n");
		return 2;
	}
	if (!o.quiet)
		printf("difftest: seed %" PRIu64 "\n", o.seed);
	fflush(stdout);
	next = o.has_only ? o.only / BATCH * BATCH : 0;
	end = o.has_only ? next + BATCH : o.count;
	start = now();
	gen_batch(o.seed, next, BATCH, native_batch(native, w));
	native_start(native, w);
	for (; c.differences < o.differences; w = !w) {
		bool more;

		next += BATCH;
		more = next < end && now() - start < o.seconds;
		if (more) {
			gen_batch(o.seed, next, BATCH, native_batch(native, !w));
			native_start(native, !w);
		}
		native_wait(native, w);
		run_soft(&o, soft, native_batch(native, w), (uint32_t)(o.only % BATCH), &c);
		if (!more)
			break;
	}
	if (!o.quiet && !o.has_only)
		report(&o, &c, now() - start);
	native_free(native);
	soft_side_free(soft);
	if (c.differences)
		printf("%" PRIu64 " differences\n", c.differences);
	return c.differences ? 1 : 0;
}
