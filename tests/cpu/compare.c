// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Judges. All is compared; what may differ, and why, stands in ignored() and nowhere else.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include "base/wire.h"
#include "difftest.h"

static const char gpr_name[16][4] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
	"r9", "r10", "r11", "r12", "r13", "r14", "r15" };
static const char seg_name[X86_NSEG][3] = { "es", "cs", "ss", "ds", "fs", "gs" };

/* What a comparison leaves out. */
struct ignored {
	bool all;
	bool x87_pointers;
	bool cr2_present; /* bit 0 of a page fault's error code */
	uint64_t flags;
	uint64_t gpr_mask;
};

static struct ignored ignored(
	const struct test *t, const struct outcome *n, const struct outcome *s)
{
	struct ignored g = { .flags = X86_FLAG_RF, .gpr_mask = UINT64_MAX };

	/* Loops, system calls, and what killed the child: nothing to compare with. */
	if (n->vector >= END_DIED || s->vector >= END_DIED)
		g.all = true;
	/* AMD's CPUs do not save them without a pending exception, Intel's do. */
	g.x87_pointers = true;
	/* Linux says "present" for every address of its own. */
	g.cr2_present = n->has_cr2 && n->cr2 >> 63;
	/* Upper halves in 16- and 32-bit code: undefined (SDM, Basic Program Execution Registers). */
	if (t->mode != X86_CODE_64)
		g.gpr_mask = UINT32_MAX;
	return g;
}

struct diff {
	char text[4096];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void differ(struct diff *d, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(d->text + d->len, sizeof(d->text) - d->len, fmt, ap);
	va_end(ap);
	if (n > 0 && d->len + (size_t)n < sizeof(d->text))
		d->len += (size_t)n;
}

static void differ_u64(struct diff *d, const char *name, uint64_t n, uint64_t s)
{
	if (n != s)
		differ(d, "  %-8s native %016" PRIx64 "  soft %016" PRIx64 "\n", name, n, s);
}

static void differ_bytes(
	struct diff *d, const char *name, int i, const uint8_t *n, const uint8_t *s, size_t size)
{
	if (!memcmp(n, s, size))
		return;
	differ(d, "  %s%d native ", name, i);
	for (size_t k = size; k-- > 0;)
		differ(d, "%02x", n[k]);
	differ(d, "\n  %*s soft   ", (int)strlen(name) + 1, "");
	for (size_t k = size; k-- > 0;)
		differ(d, "%02x", s[k]);
	differ(d, "\n");
}

static void compare_end(
	struct diff *d, const struct ignored *g, const struct outcome *n, const struct outcome *s)
{
	uint32_t error = g->cr2_present ? n->error & ~(n->error ^ s->error) : n->error;

	if (n->vector != s->vector)
		differ(d, "  vector   native %u (error %x)  soft %u (error %x)\n", n->vector,
			n->error, s->vector, s->error);
	else if (s->has_error && (error ^ s->error) & ~(g->cr2_present ? 1u : 0u))
		differ(d, "  error    native %x  soft %x\n", n->error, s->error);
	if (n->vector == s->vector && n->has_cr2)
		differ_u64(d, "cr2", n->cr2, s->cr2);
}

static void compare_integer(struct diff *d, const struct ignored *g, const struct test *t,
	const struct state *n, const struct state *s)
{
	for (int i = 0; i < 16; i++)
		differ_u64(d, gpr_name[i], n->gpr[i] & g->gpr_mask, s->gpr[i] & g->gpr_mask);
	differ_u64(d, "rip", n->rip, s->rip);
	differ_u64(d, "rflags", n->rflags & ~g->flags, s->rflags & ~g->flags);
	for (int i = 0; i < X86_NSEG; i++)
		differ_u64(d, seg_name[i], n->sel[i], s->sel[i]);
	if (t->mode == X86_CODE_64) {
		differ_u64(d, "fs base", n->fs_base, s->fs_base);
		differ_u64(d, "gs base", n->gs_base, s->gs_base);
	}
}

static void compare_fpu(
	struct diff *d, const struct ignored *g, const struct state *n, const struct state *s)
{
	differ_u64(d, "fcw", rd_le16(n->fx), rd_le16(s->fx));
	differ_u64(d, "fsw", rd_le16(n->fx + 2), rd_le16(s->fx + 2));
	differ_u64(d, "ftw", n->fx[4], s->fx[4]);
	if (!g->x87_pointers) {
		differ_u64(d, "fop", rd_le16(n->fx + 6), rd_le16(s->fx + 6));
		differ_u64(d, "fip", rd_le64(n->fx + 8), rd_le64(s->fx + 8));
		differ_u64(d, "fdp", rd_le64(n->fx + 16), rd_le64(s->fx + 16));
	}
	differ_u64(d, "mxcsr", rd_le32(n->fx + 24), rd_le32(s->fx + 24));
	for (int i = 0; i < 8; i++)
		differ_bytes(d, "st", i, n->fx + 32 + 16 * i, s->fx + 32 + 16 * i, 10);
	for (int i = 0; i < 16; i++) {
		differ_bytes(d, "xmm", i, n->fx + 160 + 16 * i, s->fx + 160 + 16 * i, 16);
		differ_bytes(d, "ymmh", i, n->ymmh[i], s->ymmh[i], 16);
	}
}

static uint32_t line_linear(uint32_t at)
{
	return image_page[at / 64].at + at % 64 * 64;
}

/* The line at @at as a run left it. */
static const uint8_t *line_of(const struct batch *b, const struct line *l, uint32_t n, uint32_t at)
{
	for (uint32_t i = 0; i < n; i++)
		if (l[i].at == at)
			return l[i].data;
	return b->image + at * 64;
}

static void compare_memory(struct diff *d, const struct batch *b, const struct outcome *n,
	const struct outcome *s, const struct line *soft_lines)
{
	const struct line *native_lines = b->line + n->first_line;

	if (n->n_lines == s->n_lines) {
		uint32_t i = 0;

		while (i < n->n_lines && native_lines[i].at == soft_lines[i].at &&
			!memcmp(native_lines[i].data, soft_lines[i].data, 64))
			i++;
		if (i == n->n_lines)
			return;
	}
	for (uint32_t at = 0; at < IMAGE_SIZE / 64; at++) {
		const uint8_t *x = line_of(b, native_lines, n->n_lines, at);
		const uint8_t *y = line_of(b, soft_lines, s->n_lines, at);

		for (int k = 0; k < 64; k++)
			if (x[k] != y[k])
				differ(d, "  [%x] was %02x native %02x soft %02x\n",
					line_linear(at) + k, b->image[at * 64 + k], x[k], y[k]);
	}
}

/* -------- printing -------- */
static void print_code(const struct test *t)
{
	static const char *const mode[] = { "16-bit", "32-bit", "64-bit" };
	char text[128];

	printf("  %s code at %" PRIx64 ":\n", mode[t->mode], t->in.rip);
	for (int i = 0; i < t->n_insns; i++) {
		uint32_t from = t->off[i], to = t->off[i + 1];

		if (to > t->code_len)
			to = t->code_len;
		printf("   ");
		for (uint32_t k = from; k < to; k++)
			printf(" %02x", t->code[k]);
		if (t->row[i] == ROW_NONE) {
			printf("   (no instruction)\n");
			continue;
		}
		x86_row_text(t->row[i], text, sizeof(text));
		printf("   row %u: %s\n", t->row[i], text);
	}
}

static void print_state(const char *name, const struct state *s)
{
	printf("  %s:\n   ", name);
	for (int i = 0; i < 16; i++)
		printf(" %-3s %016" PRIx64 "%s", gpr_name[i], s->gpr[i], i % 4 == 3 ? "\n   " : "");
	printf(" rip %016" PRIx64 " rflags %" PRIx64 "\n    ", s->rip, s->rflags);
	for (int i = 0; i < X86_NSEG; i++)
		printf("%s %x  ", seg_name[i], s->sel[i]);
	printf("fs base %" PRIx64 " gs base %" PRIx64 "\n", s->fs_base, s->gs_base);
	printf("    fcw %04x fsw %04x ftw %02x mxcsr %04x\n", rd_le16(s->fx), rd_le16(s->fx + 2),
		s->fx[4], rd_le32(s->fx + 24));
	for (int i = 0; i < 8; i++)
		printf("    st%d %04x:%016" PRIx64 "%s", i, rd_le16(s->fx + 40 + 16 * i),
			rd_le64(s->fx + 32 + 16 * i), i % 4 == 3 ? "\n" : "");
	for (int i = 0; i < 16; i++)
		printf("    ymm%-2d %016" PRIx64 "%016" PRIx64 ":%016" PRIx64 "%016" PRIx64 "%s", i,
			rd_le64(s->ymmh[i] + 8), rd_le64(s->ymmh[i]), rd_le64(s->fx + 168 + 16 * i),
			rd_le64(s->fx + 160 + 16 * i), i % 2 ? "\n" : "");
}

bool compare(const struct batch *b, uint32_t i, const struct outcome *soft,
	const struct line *soft_lines, uint64_t seed, bool always_print)
{
	static struct diff d;
	const struct test *t = &b->test[i];
	const struct outcome *native = &b->outcome[i];
	struct ignored g = ignored(t, native, soft);

	d.len = 0;
	d.text[0] = 0;
	if (!g.all) {
		compare_end(&d, &g, native, soft);
		compare_integer(&d, &g, t, &native->out, &soft->out);
		compare_fpu(&d, &g, &native->out, &soft->out);
		compare_memory(&d, b, native, soft, soft_lines);
	}
	if (!d.len && !always_print)
		return true;
	printf("%s: difftest --seed %" PRIu64 " --only %" PRIu64 "\n",
		d.len	? "difference"
		: g.all ? "not comparable"
			: "same",
		seed, b->first + i);
	print_code(t);
	printf("%s", d.text);
	printf("  ends: native %u error %x cr2 %" PRIx64 ", soft %u error %x cr2 %" PRIx64 "\n",
		native->vector, native->error, native->cr2, soft->vector, soft->error, soft->cr2);
	if (always_print) {
		print_state("before", &t->in);
		print_state("native", &native->out);
		print_state("soft", &soft->out);
	}
	return !d.len;
}
