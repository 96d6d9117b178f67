/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "x86/regs.h"
#include "x86/walk.h"

#define P  X86_PTE_P
#define W  X86_PTE_W
#define U  X86_PTE_U
#define A  X86_PTE_A
#define D  X86_PTE_D
#define PS X86_PTE_PS
#define G  X86_PTE_G
#define NX X86_PTE_NX

#define PG   (X86_CR0_PG | X86_CR0_PE)
#define LONG (X86_EFER_LMA | X86_EFER_NXE)

/* Tables lie in 64 KiB of memory, one a page: page 1 is the top. */
static uint8_t ram[0x10000];
static unsigned int n_cas, fail_cas;
static uint64_t change; /* what fail_cas leaves in the entry, on top */

static uint64_t get(uint64_t gpa, unsigned int size)
{
	uint64_t v = 0;

	memcpy(&v, ram + gpa, size);
	return v;
}

static void set(uint64_t gpa, unsigned int size, uint64_t v)
{
	memcpy(ram + gpa, &v, size);
}

static uint64_t mem_read(void *opaque, uint64_t gpa, unsigned int size)
{
	assert_int_equal(gpa % size, 0);
	return gpa < sizeof(ram) ? get(gpa, size) : size == 4 ? UINT32_MAX : UINT64_MAX;
}

static bool mem_cas(void *opaque, uint64_t gpa, unsigned int size, uint64_t old, uint64_t now)
{
	n_cas++;
	if (fail_cas) {
		fail_cas--;
		set(gpa, size, get(gpa, size) | change);
		return false;
	}
	assert_true(gpa < sizeof(ram));
	if (get(gpa, size) != old)
		return false;
	set(gpa, size, now);
	return true;
}

static const struct x86_walk_mem mem = { mem_read, mem_cas };
static struct x86_paging pg;
static struct x86_walk out;

static void start(uint64_t cr0, uint64_t cr4, uint64_t efer, unsigned int m, unsigned int features)
{
	memset(ram, 0, sizeof(ram));
	n_cas = fail_cas = 0;
	change = 0;
	x86_paging_init(&pg, cr0, cr4, efer, m, features);
	pg.cr3 = 0x1000;
}

/* A chain of @n tables of 8-byte entries for address @lin below @top levels: table i is page 1 + i. */
static void chain(uint64_t lin, int levels, int n, uint64_t bits)
{
	for (int i = 0; i < n; i++) {
		unsigned int idx = lin >> (12 + 9 * (levels - 1 - i)) & 511;

		set(0x1000 * (uint64_t)(i + 1) + 8 * idx, 8, (0x1000 * (uint64_t)(i + 2)) | bits);
	}
}

static uint64_t slot(uint64_t lin, int levels, int i)
{
	return 0x1000 * (uint64_t)(i + 1) + 8 * (lin >> (12 + 9 * (levels - 1 - i)) & 511);
}

static bool walk(uint64_t lin, unsigned int how)
{
	memset(&out, 0, sizeof(out));
	return x86_walk(&pg, &mem, NULL, lin, how, &out);
}

static void expect_fault(uint64_t lin, unsigned int how, uint32_t error)
{
	assert_false(walk(lin, how));
	assert_int_equal(out.error, error);
}

static void paging_off(void **state)
{
	start(X86_CR0_PE, X86_CR4_PAE, 0, 40, 0);
	assert_true(walk(0xfedc1234, X86_WALK_W));
	assert_int_equal(out.gpa, 0xfedc1234);
	assert_int_equal(out.allowed, 7);
	assert_true(out.dirty && !out.global);
}

static void legacy(void **state)
{
	uint32_t lin = 0x12345678;

	start(PG | X86_CR0_WP, 0, 0, 36, 0);
	expect_fault(lin, X86_WALK_R, 0);
	set(0x1000 + 4 * (lin >> 22), 4, 0x2000 | P | W | U | PS); /* no CR4.PSE: PS is nothing */
	expect_fault(lin, X86_WALK_W | X86_WALK_USER, X86_PF_W | X86_PF_U);
	set(0x2000 + 4 * (lin >> 12 & 1023), 4, 0xabcde000u | P | U);
	assert_true(walk(lin, X86_WALK_R | X86_WALK_USER));
	assert_int_equal(out.gpa, 0xabcde678u);
	assert_int_equal(out.allowed, X86_WALK_R | X86_WALK_X);
	assert_false(out.dirty);
	assert_int_equal(get(0x1000 + 4 * (lin >> 22), 4), 0x2000 | P | W | U | PS | A);
	expect_fault(lin, X86_WALK_W, X86_PF_P | X86_PF_W);
	pg.wp = false;
	assert_true(walk(lin, X86_WALK_W));
	assert_true(out.dirty);
	assert_int_equal(get(0x2000 + 4 * (lin >> 12 & 1023), 4), 0xabcde000u | P | U | A | D);
}

static void pse36(void **state)
{
	uint32_t lin = 0x12345678, at = 0x1000 + 4 * (lin >> 22);

	start(PG, X86_CR4_PSE | X86_CR4_PGE, 0, 36, 0);
	set(at, 4, 0x40000000 | 0xbu << 13 | P | W | PS | G);
	assert_true(walk(lin, X86_WALK_W));
	assert_int_equal(out.gpa, 0xb40345678ull);
	assert_int_equal(out.shift, 22);
	assert_true(out.global);
	assert_int_equal(get(at, 4), 0x40000000 | 0xbu << 13 | P | W | PS | G | A | D);
	set(at, 4, 0x40000000 | 0x1bu << 13 | P | W | PS); /* bit 36 */
	expect_fault(lin, X86_WALK_R, X86_PF_P | X86_PF_RSVD);
	set(at, 4, 0x40000000 | 1u << 21 | P | W | PS);
	expect_fault(lin, X86_WALK_R, X86_PF_P | X86_PF_RSVD);
	start(PG, X86_CR4_PSE, 0, 40, 0);
	set(at, 4, 0x40000000 | 0xffu << 13 | P | W | PS);
	assert_true(walk(lin, X86_WALK_R));
	assert_int_equal(out.gpa, 0xff40345678ull);
}

static void pae(void **state)
{
	uint32_t lin = 0xc0605123;

	start(PG, X86_CR4_PAE, X86_EFER_NXE, 40, X86_PAGING_1G);
	expect_fault(lin, X86_WALK_R, 0);
	pg.pdpte[3] = 0x1000 | P | A;
	chain(lin, 2, 1, P | W | U);
	expect_fault(lin, X86_WALK_X, X86_PF_I);
	set(slot(lin, 2, 1), 8, 0x5555000ull << 12 | P | W | U | NX);
	assert_true(walk(lin, X86_WALK_R));
	assert_int_equal(out.gpa, 0x5555000123ull);
	expect_fault(lin, X86_WALK_X | X86_WALK_USER, X86_PF_P | X86_PF_I | X86_PF_U);
	/* 2 MiB, and reserved bits */
	set(slot(lin, 2, 0), 8, 0x7ffe00000ull | P | PS);
	assert_true(walk(lin, X86_WALK_R));
	assert_int_equal(out.gpa, 0x7ffe05123ull);
	assert_int_equal(out.shift, 21);
	for (unsigned int b = 0; b < 64; b++) {
		bool bad = (b >= 13 && b <= 20) || (b >= 40 && b < 63);

		set(slot(lin, 2, 0), 8, P | PS | 1ull << b);
		if (bad)
			expect_fault(lin, X86_WALK_R, X86_PF_P | X86_PF_RSVD);
		else
			assert_true(walk(lin, X86_WALK_R));
	}
	start(PG, X86_CR4_PAE, 0, 40, 0);
	pg.pdpte[3] = 0x1000 | P;
	set(slot(lin, 2, 0), 8, P | PS | NX);
	expect_fault(lin, X86_WALK_X, X86_PF_P | X86_PF_RSVD);
}

static void pdptes(void **state)
{
	for (unsigned int b = 0; b < 64; b++) {
		uint64_t e[4] = { 0, P | 1ull << b, 0, 0 }, none[4] = { 0, 1ull << b & ~P };
		bool bad = b == 1 || b == 2 || (b >= 6 && b <= 8) || b >= 39;

		assert_int_equal(x86_pdptes_valid(e, 39), !bad);
		assert_true(x86_pdptes_valid(none, 39));
	}
}

/* Reserved bits of 4-level paging, entry by entry. */
static void reserved(void **state)
{
	uint64_t lin = 0xffff8123456789abull;

	for (unsigned int f = 0; f < 4; f++) {
		for (int i = 0; i < 4; i++) {
			for (unsigned int b = 1; b < 64; b++) {
				bool bad = b >= 44 && b < 52;

				start(PG, X86_CR4_PAE, LONG, 44, f);
				chain(lin, 4, 4, P);
				set(slot(lin, 4, i), 8, get(slot(lin, 4, i), 8) | 1ull << b);
				if (b == 7 && i == 0)
					bad = true;
				if (b == 7 && i == 1) /* 0x3000 is no address of a 1 GiB page */
					bad = true;
				if (b == 7 && i == 2)
					bad = true; /* 0x4000 */
				if (b == 8 && i < 2)
					bad = f & X86_PAGING_AMD;
				if (b >= 16 && b < 44 && i < 3)
					continue; /* another table */
				if (b >= 12 && b < 16 && i < 3)
					continue;
				if (bad)
					expect_fault(lin, X86_WALK_R, X86_PF_P | X86_PF_RSVD);
				else
					assert_true(walk(lin, X86_WALK_R));
			}
		}
	}
	start(PG, X86_CR4_PAE, X86_EFER_LMA, 44, 0);
	chain(lin, 4, 4, P);
	set(slot(lin, 4, 0), 8, 0x2000 | P | NX);
	expect_fault(lin, X86_WALK_R, X86_PF_P | X86_PF_RSVD);
}

static void large(void **state)
{
	uint64_t lin = 0x00007123456789abull;

	start(PG, X86_CR4_PAE, LONG, 46, X86_PAGING_1G);
	chain(lin, 4, 1, P | W);
	set(slot(lin, 4, 1), 8, 0x3fc0000000ull | P | W | PS);
	assert_true(walk(lin, X86_WALK_W));
	assert_int_equal(out.gpa, 0x3fc0000000ull | (lin & 0x3fffffff));
	assert_int_equal(out.shift, 30);
	assert_int_equal(get(slot(lin, 4, 1), 8), 0x3fc0000000ull | P | W | PS | A | D);
	set(slot(lin, 4, 1), 8, 0x3fe0000000ull | P | W | PS);
	expect_fault(lin, X86_WALK_R, X86_PF_P | X86_PF_RSVD);
	start(PG, X86_CR4_PAE, LONG, 46, 0);
	chain(lin, 4, 1, P | W);
	set(slot(lin, 4, 1), 8, 0x3fc0000000ull | P | W | PS);
	expect_fault(lin, X86_WALK_R, X86_PF_P | X86_PF_RSVD);
	chain(lin, 4, 2, P | W);
	set(slot(lin, 4, 2), 8, 0x3fffe00000ull | P | W | PS | 1ull << 12); /* PAT */
	assert_true(walk(lin, X86_WALK_R));
	assert_int_equal(out.gpa, 0x3fffe00000ull | (lin & 0x1fffff));
}

static void five_levels(void **state)
{
	uint64_t lin = 0x00f1234567890abcull;

	start(PG, X86_CR4_PAE | X86_CR4_LA57, LONG, 52, 0);
	chain(lin, 5, 4, P | W);
	set(slot(lin, 5, 4), 8, 0xffffffffff000ull | P | W);
	assert_true(walk(lin, X86_WALK_R));
	assert_int_equal(out.gpa, 0xffffffffffabcull);
	set(slot(lin, 5, 0), 8, 0x2000 | P | W | PS);
	expect_fault(lin, X86_WALK_R, X86_PF_P | X86_PF_RSVD);
}

/* What the SDM's Access Rights say, once more and plainly. */
static bool may(
	bool user, bool u, bool w, bool nx, unsigned int how, unsigned int cfg, uint32_t key)
{
	bool wp = cfg & 1, smep = cfg & 2, smap = cfg & 4, ac = cfg & 8;
	bool keys = cfg & (u ? 16 : 32);

	if (user && !u)
		return false;
	if (how == X86_WALK_X)
		return !nx && !(smep && !user && u);
	if (!user && u && smap && !ac)
		return false;
	if (keys && key & 1)
		return false;
	if (how == X86_WALK_R)
		return true;
	if (keys && key & 2 && (user || wp))
		return false;
	return w || (!user && !wp);
}

static void rights_case(unsigned int cfg, unsigned int page, bool upper, uint32_t key)
{
	bool u = page & 1, w = page & 2, nx = page & 4;
	uint64_t lin = 0x123456789000ull, bits = (u ? U : 0) | (w ? W : 0) | (nx ? NX : 0);

	start(PG | (cfg & 1 ? X86_CR0_WP : 0),
		X86_CR4_PAE | (cfg & 2 ? X86_CR4_SMEP : 0) | (cfg & 4 ? X86_CR4_SMAP : 0) |
			(cfg & 16 ? X86_CR4_PKE : 0) | (cfg & 32 ? X86_CR4_PKS : 0),
		LONG, 40, 0);
	pg.pkru = (u ? key : ~key) << 10;
	pg.pkrs = (u ? ~key : key) << 10;
	chain(lin, 4, 4, P | U | W);
	set(slot(lin, 4, 3), 8, 0x9000 | P | 5ull << 59 | (upper ? U | W : bits));
	if (upper)
		set(slot(lin, 4, 1), 8, 0x3000 | P | bits);
	for (unsigned int i = 0; i < 6; i++) {
		unsigned int how = 1u << i / 2;
		bool user = i & 1, ok = may(user, u, w, nx, how, cfg, key);
		uint32_t error = X86_PF_P | (how == X86_WALK_W ? X86_PF_W : 0) |
				 (user ? X86_PF_U : 0) | (how == X86_WALK_X ? X86_PF_I : 0);
		bool wp_or_user = cfg & 1 || user;

		if (cfg & (u ? 16 : 32) && how != X86_WALK_X &&
			(key & 1 || (key & 2 && how == X86_WALK_W && wp_or_user)))
			error |= X86_PF_PK;
		set(slot(lin, 4, 3), 8, get(slot(lin, 4, 3), 8) & ~(A | D));
		assert_int_equal(walk(lin, how | (user ? X86_WALK_USER : 0) |
						   (cfg & 8 && !user ? X86_WALK_AC : 0)),
			ok);
		if (!ok)
			assert_int_equal(out.error, error);
		for (unsigned int k = 0; ok && k < 3; k++)
			assert_int_equal(
				!!(out.allowed & 1u << k), may(user, u, w, nx, 1u << k, cfg, key));
		/* The page's bits tell of accesses that were made, the tables' of the walk. */
		assert_int_equal(get(slot(lin, 4, 3), 8) & (A | D), !ok			? 0
								    : how == X86_WALK_W ? A | D
											: A);
		assert_true(get(slot(lin, 4, 2), 8) & A);
	}
}

static void rights(void **state)
{
	for (unsigned int cfg = 0; cfg < 64; cfg++)
		for (unsigned int page = 0; page < 8; page++)
			for (uint32_t key = 0; key < 4; key++) {
				rights_case(cfg, page, false, key);
				rights_case(cfg, page, true, key);
			}
}

static void no_memory(void **state)
{
	start(PG, X86_CR4_PAE, LONG, 40, 0);
	pg.cr3 = 0x8000000000ull;
	expect_fault(0x1234, X86_WALK_R, X86_PF_P | X86_PF_RSVD);
}

static void peek(void **state)
{
	uint64_t lin = 0x123456789000ull;

	start(PG, X86_CR4_PAE | X86_CR4_SMEP, LONG, 40, 0);
	chain(lin, 4, 4, P | NX);
	assert_true(walk(lin, X86_WALK_R | X86_WALK_USER | X86_WALK_PEEK));
	assert_int_equal(out.gpa, 0x5000);
	assert_int_equal(n_cas, 0);
	assert_false(walk(lin + 0x1000, X86_WALK_R | X86_WALK_PEEK));
}

/* Entries that others change between read and swap. */
static void races(void **state)
{
	uint64_t lin = 0x123456789000ull;

	start(PG, X86_CR4_PAE, LONG, 40, 0);
	chain(lin, 4, 4, P | W);
	fail_cas = 3;
	assert_true(walk(lin, X86_WALK_W));
	assert_int_equal(n_cas, 7);
	assert_int_equal(get(slot(lin, 4, 3), 8), 0x5000 | P | W | A | D);
	/* Without end: bounded. */
	start(PG, X86_CR4_PAE, LONG, 40, 0);
	chain(lin, 4, 4, P | W);
	fail_cas = UINT32_MAX;
	assert_false(walk(lin, X86_WALK_W));
	assert_true(n_cas < 1000);
	/* The value that is there now decides. */
	start(PG, X86_CR4_PAE, LONG, 40, 0);
	chain(lin, 4, 4, P | W);
	fail_cas = 1;
	change = 1ull << 45;
	expect_fault(lin, X86_WALK_R, X86_PF_P | X86_PF_RSVD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paging_off),
		cmocka_unit_test(legacy),
		cmocka_unit_test(pse36),
		cmocka_unit_test(pae),
		cmocka_unit_test(pdptes),
		cmocka_unit_test(reserved),
		cmocka_unit_test(large),
		cmocka_unit_test(five_levels),
		cmocka_unit_test(rights),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(peek),
		cmocka_unit_test(races),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
