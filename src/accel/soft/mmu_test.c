// SPDX-License-Identifier: GPL-2.0-or-later
/* Guest memory of one vCPU: rights, crossings, contexts, large pages, breakpoints, code words. */
#include "accel/soft/mmu_testing.h"

static uint64_t seed = 1;

#define LIN 0x7f0000123000ull
#define DS  X86_DS

static uint64_t load(struct soft_vcpu *v, uint64_t lin, unsigned int size)
{
	return soft_load(v, DS, lin, size);
}

static void put(struct env *e, uint64_t gpa, uint64_t value)
{
	memcpy(e->ram->host + gpa, &value, 8);
}

static uint64_t get(struct env *e, uint64_t gpa)
{
	uint64_t value;

	memcpy(&value, e->ram->host + gpa, 8);
	return value;
}

static bool cached(struct soft_vcpu *v, uint64_t lin, enum soft_access access)
{
	return soft_tlb_host(v, lin, 1, access, v->mmu_index) != NULL;
}

static void rights(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	uint64_t *pte = map(e, LIN, DATA, 0);

	put(e, DATA, 0x1122334455667788);
	for (int i = 0; i < 2; i++) { /* by a walk, by the TLB */
		fine(v, assert_int_equal(load(v, LIN, 8), 0x1122334455667788));
		fine(v, assert_int_equal(load(v, LIN + 6, 1), 0x22));
	}
	assert_true(*pte & X86_PTE_A && !(*pte & X86_PTE_D));
	faults(v, X86_PF_P | X86_PF_W, LIN + 4, soft_store(v, DS, LIN + 4, 4, 1));
	set_cpl(v, 3);
	faults(v, X86_PF_P | X86_PF_U, LIN, load(v, LIN, 8));
	*pte |= U | W;
	fine(v, load(v, LIN, 8));
	assert_false(cached(v, LIN, SOFT_WRITE)); /* D is clear */
	fine(v, soft_store(v, DS, LIN, 8, 5));
	assert_true(*pte & X86_PTE_D);
	assert_true(cached(v, LIN, SOFT_WRITE));
	assert_int_equal(get(e, DATA), 5);
	/* The CPU's own accesses are the supervisor's. */
	*pte = DATA | P | W;
	soft_tlb_flush_page(v, LIN);
	fine(v, soft_store_sys(v, LIN, 8, 6));
	fine(v, assert_int_equal(soft_load_sys(v, LIN, 8), 6));
	faults(v, X86_PF_P | X86_PF_U | X86_PF_W, LIN, soft_store(v, DS, LIN, 8, 5));
	set_cpl(v, 0);
	v->cr0 &= ~(uint64_t)X86_CR0_WP;
	*pte = DATA | P;
	soft_mode_changed(v);
	fine(v, soft_store(v, DS, LIN, 8, 7));
	v->cr0 |= X86_CR0_WP;
	soft_mode_changed(v);
	faults(v, X86_PF_P | X86_PF_W, LIN, soft_store(v, DS, LIN, 8, 5));
	faults(v, 0, LIN + 0x1000, load(v, LIN + 0x1000, 1));
}

static void smap(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	_Atomic uint32_t *code;
	uint64_t gpa;

	map(e, LIN, DATA, U | W);
	fine(v, load(v, LIN, 1));
	v->cr4 |= X86_CR4_SMAP | X86_CR4_SMEP;
	soft_mode_changed(v);
	faults(v, X86_PF_P, LIN, load(v, LIN, 1));
	faults(v, X86_PF_P | X86_PF_I, LIN, soft_fetch(v, LIN, &gpa, &code));
	v->rflags |= X86_FLAG_AC;
	soft_mode_changed(v);
	fine(v, load(v, LIN, 1));
	faults(v, X86_PF_P, LIN, soft_load_sys(v, LIN, 1)); /* AC is not for these */
	v->rflags &= ~(uint64_t)X86_FLAG_AC;
	soft_mode_changed(v);
	faults(v, X86_PF_P, LIN, load(v, LIN, 1));
}

static void canonical(void **state)
{
	struct soft_vcpu *v = ((struct env *)*state)->v;

	raises(v, X86_EXC_GP, 0, load(v, 0x800000000000, 1));
	raises(v, X86_EXC_SS, 0, soft_load(v, X86_SS, 0x800000000000, 1));
	raises(v, X86_EXC_GP, 0, load(v, 0x7ffffffffffc, 8));
	raises(v, X86_EXC_GP, 0, soft_store(v, DS, 0xffff7fffffffffff, 1, 0));
	faults(v, X86_PF_W, 0xffff800000000000, soft_store(v, DS, 0xffff800000000000, 1, 0));
}

static void crossing(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	uint64_t *second;
	uint8_t buf[4096], back[4096];

	map(e, LIN, DATA + 0x5000, W);
	second = map(e, LIN + 0x1000, DATA, W);
	for (unsigned int size = 2; size <= 8; size *= 2) {
		for (unsigned int in = 1; in < size; in++) {
			uint64_t at = LIN + 0x1000 - in,
				 x = test_random(&seed) & (~0ull >> (64 - 8 * size));

			fine(v, soft_store(v, DS, at, size, x));
			fine(v, assert_int_equal(load(v, at, size), x));
			assert_int_equal(e->ram->host[DATA + 0x5000 + 0x1000 - in], x & 0xff);
			assert_int_equal(e->ram->host[DATA], (uint8_t)(x >> (8 * in)));
		}
	}
	for (unsigned int i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)test_random(&seed);
	fine(v, soft_store_bytes(v, DS, LIN + 123, buf, sizeof(buf)));
	fine(v, soft_load_bytes(v, DS, LIN + 123, back, sizeof(back)));
	assert_memory_equal(buf, back, sizeof(buf));
	/* All or nothing. */
	*second = DATA | P;
	soft_tlb_flush_page(v, LIN + 0x1000);
	put(e, DATA + 0x5ff8, 77);
	faults(v, X86_PF_P | X86_PF_W, LIN + 0x1000, soft_store(v, DS, LIN + 0xffc, 8, ~0ull));
	assert_int_equal(get(e, DATA + 0x5ff8), 77);
	faults(v, X86_PF_P | X86_PF_W, LIN + 0x1000, soft_store_bytes(v, DS, LIN + 0xff0, buf, 32));
	faults(v, X86_PF_P | X86_PF_W, LIN + 0x1000,
		soft_probe(v, DS, LIN + 0xfff, 2, SOFT_WRITE, v->mmu_index));
	fine(v, soft_probe(v, DS, LIN + 0xff0, 16, SOFT_WRITE, v->mmu_index));
	fine(v, soft_probe(v, DS, LIN + 0xff0, 32, SOFT_READ, v->mmu_index));
}

static void legacy(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	struct x86_segment flat = { .limit = UINT32_MAX,
		.attr = X86_ATTR_P | X86_ATTR_S | X86_ATTR_DB | X86_ATTR_G | 3 };

	v->cr0 = X86_CR0_PE;
	v->cr4 = 0;
	v->efer = 0;
	for (int s = 0; s < X86_NSEG; s++)
		v->seg[s] = flat;
	v->seg[X86_CS].attr |= 8;
	soft_mode_changed(v);
	/* Wrap at 4 GiB, paging off. */
	put(e, 0, 0x44332211);
	fine(v, assert_int_equal(load(v, 0xfffffffe, 4), 0x2211fffeu));
	assert_int_equal(io_gpa, 0xfffffffe);
	assert_int_equal(io_size, 2);
	/* Limits. */
	v->seg[X86_ES] = (struct x86_segment){
		.base = DATA, .limit = 0xfff, .attr = X86_ATTR_P | X86_ATTR_S | 3
	};
	soft_seg_changed(v, X86_ES);
	fine(v, soft_store(v, X86_ES, 0xffc, 4, 9));
	assert_int_equal(get(e, DATA + 0xffc), 9);
	raises(v, X86_EXC_GP, 0, soft_store(v, X86_ES, 0xffd, 4, 9));
	raises(v, X86_EXC_GP, 0, soft_load(v, X86_ES, 0xffffffff, 4));
	v->seg[X86_ES].attr = X86_ATTR_P | X86_ATTR_S | 1;
	raises(v, X86_EXC_GP, 0, soft_store(v, X86_ES, 0, 4, 9));
	fine(v, soft_load(v, X86_ES, 0, 4));
	v->seg[X86_ES].attr = X86_ATTR_P | X86_ATTR_S | 9; /* execute only */
	raises(v, X86_EXC_GP, 0, soft_load(v, X86_ES, 0, 4));
	v->seg[X86_ES].attr |= X86_ATTR_UNUSABLE;
	raises(v, X86_EXC_GP, 0, soft_load(v, X86_ES, 0, 4));
	/* Expand-down, 16 bits: 0x1000 to 0xffff. */
	v->seg[X86_SS] = (struct x86_segment){
		.base = DATA, .limit = 0xfff, .attr = X86_ATTR_P | X86_ATTR_S | 7
	};
	soft_seg_changed(v, X86_SS);
	raises(v, X86_EXC_SS, 0, soft_load(v, X86_SS, 0xfff, 1));
	fine(v, soft_load(v, X86_SS, 0x1000, 1));
	fine(v, soft_load(v, X86_SS, 0xfffe, 2));
	raises(v, X86_EXC_SS, 0, soft_load(v, X86_SS, 0xffff, 2));
	/* Real mode does not look at types. */
	v->cr0 = 0;
	v->seg[X86_CS] = (struct x86_segment){
		.base = DATA, .limit = 0xffff, .attr = X86_ATTR_P | X86_ATTR_S | 0xb
	};
	soft_mode_changed(v);
	fine(v, soft_store(v, X86_CS, 0xfffe, 2, 9));
	raises(v, X86_EXC_GP, 0, soft_store(v, X86_CS, 0xffff, 2, 9));
}

static void registers_and_rom(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	uint8_t buf[20];

	map(e, LIN, REGS, W);
	map(e, LIN + 0x1000, ROM, W);
	memset(e->rom->host, 0x5a, 0x2000);
	fine(v, assert_int_equal(load(v, LIN + 0x10, 4), 0x13121110));
	assert_true(io_gpa == REGS + 0x10 && io_size == 4 && !io_write);
	fine(v, soft_store(v, DS, LIN + 3, 8, 0x1234));
	assert_true(io_gpa == REGS + 3 && io_size == 8 && io_write && io_value == 0x1234);
	io_count = 0;
	fine(v, soft_load_bytes(v, DS, LIN + 6, buf, 20));
	assert_int_equal(io_count, 4); /* 2, 8, 8, 2 */
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(buf[i], 6 + i);
	fine(v, assert_null(soft_rmw_begin(v, DS, LIN, 4)));
	fine(v, assert_int_equal(soft_rmw_load(v, DS, LIN, 4), 0x03020100));
	/* Over the end of registers into ROM, read and written. */
	fine(v, assert_int_equal(load(v, LIN + 0xffe, 4), 0x5a5afffe));
	io_count = 0;
	fine(v, soft_store(v, DS, LIN + 0xffe, 4, 0xabcd1234));
	assert_int_equal(io_count, 2);
	assert_true(io_gpa == ROM && io_size == 2 && io_value == 0xabcd);
	fine(v, assert_int_equal(load(v, LIN + 0x1000, 2), 0x5a5a));
	assert_true(cached(v, LIN + 0x1000, SOFT_READ) && !cached(v, LIN + 0x1000, SOFT_WRITE));
	fine(v, assert_null(soft_rmw_begin(v, DS, LIN + 0x1000, 4)));
}

/* RAM that does not fill its page goes to the machine's register accesses. */
static void part_of_a_page(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	struct ram_block *b = new_block(0x4000);

	ram_add(e, b, 0x8000800, 0x800, 0x1000, false);	 /* no whole page */
	ram_add(e, b, 0x8002800, 0x2800, 0x1800, false); /* one */
	ram_add(e, b, 0x9000000, 0x800, 0x2000, false);	 /* askew */
	soft_mmu_slice(v);
	map(e, LIN, 0x8000000, W);
	map(e, LIN + 0x1000, 0x8003000, W);
	map(e, LIN + 0x2000, 0x9000000, W);
	fine(v, load(v, LIN + 0x800, 4));
	assert_int_equal(io_count, 1);
	fine(v, load(v, LIN + 0x1000, 4));
	assert_int_equal(io_count, 1);
	fine(v, load(v, LIN + 0x2000, 4));
	assert_int_equal(io_count, 2);
	e->vm->slots.len = 2;
	ram_block_unref(b);
}

/* -------- contexts -------- */

#define KERNEL 0xffff888000000000ull

static void contexts(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	uint64_t other = 0x100000, *global;

	map(e, LIN, DATA, W);
	map_in(e, other, LIN, DATA + 0x1000, W);
	global = map(e, KERNEL, DATA + 0x2000, W | G);
	map_in(e, other, KERNEL, DATA + 0x2000, W | G);
	put(e, DATA, 1);
	put(e, DATA + 0x1000, 2);
	put(e, DATA + 0x2000, 3);
	fine(v, load(v, KERNEL, 8));
	*global = 0; /* found in the TLB from here on */
	*map_in(e, other, KERNEL, 0, 0) = 0;
	for (int i = 0; i < 10000; i++) { /* contexts run out on the way */
		v->cr3 = i & 1 ? other : TOP;
		soft_mmu_cr3(v, false);
		fine(v, assert_int_equal(load(v, LIN, 8), i & 1 ? 2 : 1));
		fine(v, assert_int_equal(load(v, KERNEL, 8), 3));
	}
	soft_tlb_flush(v, false);
	fine(v, assert_int_equal(load(v, KERNEL, 8), 3));
	soft_tlb_flush(v, true);
	faults(v, 0, KERNEL, load(v, KERNEL, 8));
	*global = (DATA + 0x2000) | P | W | G;
	v->cr3 = TOP;
	soft_mmu_cr3(v, false);
	fine(v, load(v, KERNEL, 8));
	*global = 0;
	v->cr3 = other;
	soft_mmu_cr3(v, false);
	soft_tlb_flush_page(v, KERNEL + 5); /* global or not */
	faults(v, 0, KERNEL, load(v, KERNEL, 8));
	/* Without CR4.PGE bit 8 means nothing. */
	v->cr4 &= ~(uint64_t)X86_CR4_PGE;
	soft_mode_changed(v);
	map_in(e, other, KERNEL, DATA, G);
	fine(v, load(v, KERNEL, 8));
	*map_in(e, other, KERNEL, 0, 0) = 0;
	soft_mmu_cr3(v, false);
	faults(v, 0, KERNEL, load(v, KERNEL, 8));
}

static void pcids(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	uint64_t other = 0x100000, *a, *b;

	v->cr4 |= X86_CR4_PCIDE;
	soft_mode_changed(v);
	a = map(e, LIN, DATA, W);
	b = map_in(e, other, LIN + 0x1000, DATA + 0x1000, W);
	v->cr3 = TOP | 1;
	soft_mmu_cr3(v, false);
	fine(v, load(v, LIN, 8));
	v->cr3 = other | 2;
	soft_mmu_cr3(v, false);
	fine(v, load(v, LIN + 0x1000, 8));
	*a = *b = 0;
	/* Kept: both are found again. */
	v->cr3 = TOP | 1;
	soft_mmu_cr3(v, true);
	fine(v, load(v, LIN, 8));
	v->cr3 = other | 2;
	soft_mmu_cr3(v, true);
	fine(v, load(v, LIN + 0x1000, 8));
	/* One is flushed: the other stays. */
	soft_tlb_flush_pcid(v, 1, false);
	fine(v, load(v, LIN + 0x1000, 8));
	v->cr3 = TOP | 1;
	soft_mmu_cr3(v, true);
	faults(v, 0, LIN, load(v, LIN, 8));
	v->cr3 = other | 2;
	soft_mmu_cr3(v, true);
	fine(v, load(v, LIN + 0x1000, 8));
	soft_mmu_cr3(v, false);
	faults(v, 0, LIN + 0x1000, load(v, LIN + 0x1000, 8));
	/* All. */
	*a = DATA | P;
	v->cr3 = TOP | 1;
	soft_mmu_cr3(v, true);
	fine(v, load(v, LIN, 8));
	*a = 0;
	v->cr3 = other | 2;
	soft_mmu_cr3(v, true);
	soft_tlb_flush(v, false);
	v->cr3 = TOP | 1;
	soft_mmu_cr3(v, true);
	faults(v, 0, LIN, load(v, LIN, 8));
}

static void large_pages(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	uint64_t lin = 0xffff888040200000ull;
	uint64_t *pde = map(e, lin, DATA, W | PS | G), *pte = map(e, LIN, DATA, W);

	for (int round = 0; round < 2; round++) {
		fine(v, load(v, LIN, 1));
		for (uint64_t at = 0; at < 0x200000; at += 0x1000)
			fine(v, load(v, lin + at, 1));
		*pde = *pte = 0;
		fine(v, load(v, lin + 0x3000, 1));
		soft_tlb_flush_page(v, lin + 0x1ff123);
		for (uint64_t at = 0; at < 0x200000; at += 0x1000)
			faults(v, 0, lin + at, load(v, lin + at, 1));
		if (round == 0)
			fine(v, load(v, LIN, 1)); /* the neighbour stays */
		*pde = DATA | P | W | PS | (round ? 0 : G);
		*pte = DATA | P;
	}
	/* 1 GiB */
	*entry_at(e, *entry_at(e, TOP + 8 * 273) & ~0xfffull) = P | W | PS; /* KERNEL */
	for (uint64_t at = 0; at < RAM_SIZE; at += 0x3f000)
		fine(v, load(v, KERNEL + at, 1));
	*entry_at(e, *entry_at(e, TOP + 8 * 273) & ~0xfffull) = 0;
	soft_tlb_flush_page(v, KERNEL + 0x30000000);
	for (uint64_t at = 0; at < RAM_SIZE; at += 0x3f000)
		faults(v, 0, KERNEL + at, load(v, KERNEL + at, 1));
}

/* A large page that is split is large no longer: flushes of its small pages leave all others alone. (After a
 * fork a kernel may do so 512 times in each.) */
static void split_pages(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	uint64_t lin = 0xffff888040200000ull, gen;
	uint64_t *pde = map(e, lin, DATA, W | PS), *pte;

	map(e, LIN, DATA, W);
	for (int round = 0; round < 2; round++) {
		fine(v, load(v, lin + 0x3000, 1));
		*pde = 0;
		pte = map(e, lin + 0x3000, DATA + 0x3000, W);
		map(e, lin + 0x4000, DATA + 0x4000, W);
		soft_tlb_flush_page(v, lin + 0x3000);
		gen = v->fetch_gen;
		fine(v, load(v, LIN, 1));
		fine(v, load(v, lin + 0x4000, 1));
		fine(v, load(v, lin + 0x3000, 1));
		*pte = 0;
		soft_tlb_flush_page(v, lin + 0x3000);
		faults(v, 0, lin + 0x3000, load(v, lin + 0x3000, 1));
		assert_int_equal(v->fetch_gen, gen);
		assert_true(cached(v, LIN, SOFT_READ) && cached(v, lin + 0x4000, SOFT_READ));
		/* Large again, and known as that again. */
		*pde = DATA | P | W | PS;
		soft_tlb_flush_page(v, lin + 0x4000);
		fine(v, load(v, lin + 0x5000, 1));
		fine(v, load(v, lin + 0x6000, 1));
		soft_tlb_flush_page(v, lin + 0x5000);
		assert_true(v->fetch_gen != gen && !cached(v, lin + 0x6000, SOFT_READ));
	}
}

/* Of more large pages than can be told apart, too, nothing stays behind, and small pages are quick again. */
static void many_large_pages(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	const uint64_t lin = 0xffff888000000000ull, n = 8 * LARGE_SETS;
	uint64_t *pde, gen;

	for (uint64_t i = 0; i < n; i++) {
		map(e, lin + (i << 21), DATA, W | PS);
		fine(v, load(v, lin + (i << 21) + 0x1000 * (i % 512), 1));
	}
	for (uint64_t i = 0; i < n; i += 97) {
		fine(v, load(v, lin + (i << 21) + 0x3000, 1));
		pde = map(e, lin + (i << 21), DATA, W | PS);
		*pde = 0;
		soft_tlb_flush_page(v, lin + (i << 21) + 0x5000);
		faults(v, 0, lin + (i << 21) + 0x3000, load(v, lin + (i << 21) + 0x3000, 1));
	}
	gen = v->fetch_gen;
	for (uint64_t i = 0; i < n; i++)
		soft_tlb_flush_page(v, lin + (i << 21));
	assert_int_equal(v->fetch_gen, gen);
}

static void pae(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;

	v->efer = 0;
	set_cpl(v, 0);
	put(e, 0x2020, 0x3000 | P | X86_PTE_A); /* set by an outer pager: tolerated */
	put(e, 0x2028, 1ull << 52 | P);
	put(e, 0x2030, 0);
	put(e, 0x2038, 0);
	v->cr3 = 0x2020;
	v->phys_bits = 40;
	assert_false(soft_mmu_load_pdptes(v));
	put(e, 0x2028, 1ull << 52);
	assert_true(soft_mmu_load_pdptes(v));
	put(e, 0x3000, DATA | P | W | PS);
	put(e, 0x2020, 0); /* loaded is loaded */
	soft_mmu_cr3(v, false);
	put(e, DATA + 0x1234, 99);
	fine(v, assert_int_equal(load(v, 0x1234, 8), 99));
}

/* -------- what the inline check must not find -------- */

static void alignment(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;

	map(e, LIN, DATA, W | U);
	set_cpl(v, 3);
	fine(v, load(v, LIN + 1, 8));
	v->cr0 |= X86_CR0_AM;
	v->rflags |= X86_FLAG_AC;
	soft_mode_changed(v);
	raises(v, X86_EXC_AC, 0, load(v, LIN + 1, 8));
	raises(v, X86_EXC_AC, 0, soft_store(v, DS, LIN + 2, 4, 0));
	raises(v, X86_EXC_AC, 0, soft_rmw_begin(v, DS, LIN + 2, 4));
	fine(v, load(v, LIN + 3, 1));
	fine(v, soft_store(v, DS, LIN + 4, 4, 0));
	fine(v, soft_load_sys(v, LIN + 1, 8));
	/* Not at CPL 0, and the TLB has not been lost. */
	set_cpl(v, 0);
	fine(v, load(v, LIN + 1, 8));
	set_cpl(v, 3);
	v->rflags &= ~(uint64_t)X86_FLAG_AC;
	soft_mode_changed(v);
	assert_true(cached(v, LIN, SOFT_READ));
	fine(v, load(v, LIN + 1, 8));
}

static void expect_hit(struct soft_vcpu *v, uint64_t dr6)
{
	assert_int_equal(v->pending_dr6, dr6);
	if (dr6)
		assert_true(v->stop);
	v->pending_dr6 = 0;
	v->stop = false;
}

static void breakpoints(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	void *host;

	map(e, LIN, DATA, W);
	map(e, LIN + 0x1000, DATA + 0x1000, W);
	fine(v, soft_store(v, DS, LIN, 8, 0));
	v->dr[1] = LIN + 0x14;	 /* writes, 4 bytes */
	v->dr[2] = LIN + 0x1003; /* accesses, 8 bytes, on by G: 0x1000 */
	v->dr[7] = 1 << 2 | 2 << 4 | 0xdull << 20 | 0xbull << 24;
	soft_watch_changed(v);
	v->stop = false;
	for (int i = 0; i < 2; i++) {
		fine(v, soft_store(v, DS, LIN + 0x10, 4, 1));
		expect_hit(v, 0);
		fine(v, soft_store(v, DS, LIN + 0x10, 8, 1));
		expect_hit(v, 2);
		fine(v, soft_store(v, DS, LIN + 0x17, 1, 1));
		expect_hit(v, 2);
		fine(v, soft_store(v, DS, LIN + 0x18, 1, 1));
		expect_hit(v, 0);
		fine(v, load(v, LIN + 0x14, 4));
		expect_hit(v, 0);
		fine(v, load(v, LIN + 0x1007, 1));
		expect_hit(v, 4);
		fine(v, load(v, LIN + 0x1008, 1));
		expect_hit(v, 0);
		fine(v, load(v, LIN + 0xffd, 4));
		expect_hit(v, 4);
		fine(v, soft_rmw_begin(v, DS, LIN + 0x15, 1));
		expect_hit(v, 2);
		fine(v, soft_rmw_end(v, DS, LIN + 0x15, 1));
		fine(v, assert_int_equal(
				soft_span(v, DS, LIN + 0x800, 8, false, SOFT_READ, &host), 0));
	}
	assert_false(cached(v, LIN, SOFT_WRITE) || cached(v, LIN + 0x1000, SOFT_READ));
	v->dr[7] = 0;
	soft_watch_changed(v);
	fine(v, soft_store(v, DS, LIN + 0x14, 4, 1));
	expect_hit(v, 0);
	assert_true(cached(v, LIN, SOFT_WRITE));
	v->debug = (struct accel_debug){
		.n = 2,
		.point = { { LIN, 1, ACCEL_DEBUG_EXEC }, { LIN + 8, 8, ACCEL_DEBUG_WRITE } },
	};
	soft_watch_changed(v);
	fine(v, soft_store(v, DS, LIN, 1, 1));
	assert_int_equal(v->debug_hits, 0);
	fine(v, soft_store(v, DS, LIN + 15, 1, 1));
	assert_int_equal(v->debug_hits, 2);
	v->debug.n = 0;
	soft_watch_changed(v);
}

/* -------- code -------- */

/* INVLPG has code looked up anew where some was fetched: on a global page by all contexts, else by this one. */
static void flushes_of_code(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	_Atomic uint32_t *code;
	uint64_t gpa, gen, ctx;

	v->cr4 |= X86_CR4_PGE;
	soft_mode_changed(v);
	map(e, LIN, DATA, W);
	map(e, LIN + 0x1000, DATA + 0x1000, W | G);
	for (int round = 0; round < 3; round++) {
		fine(v, soft_fetch(v, LIN, &gpa, &code));
		fine(v, soft_fetch(v, LIN + 0x1000, &gpa, &code));
		gen = v->fetch_gen;
		ctx = v->ctx;
		for (uint64_t i = 2; i < 1000000; i++)
			if (i % 512 < 2 || i < 10000)
				soft_tlb_flush_page(v, LIN + 0x1000 * i);
		assert_true(v->fetch_gen == gen && v->ctx == ctx);
		soft_tlb_flush_page(v, LIN);
		assert_true(v->fetch_gen == gen && v->ctx != ctx);
		ctx = v->ctx;
		soft_tlb_flush_page(v, LIN + 0x1000);
		assert_true(v->fetch_gen != gen && v->ctx == ctx);
		gen = v->fetch_gen;
		soft_tlb_flush_page(v, LIN + 0x1000);
		assert_true(v->fetch_gen == gen && v->ctx == ctx);
	}
	/* Too much to be remembered. */
	for (uint64_t i = 0; i < 512; i++)
		map(e, LIN + 0x1000 * i, DATA + 0x1000 * (i % 8), W | G);
	for (uint64_t n = 0; n < 40; n++) {
		map(e, LIN + 0x200000 * n, DATA, W | G);
		map(e, LIN + 0x200000 * n + 0x5000, DATA, W | G);
		fine(v, soft_fetch(v, LIN + 0x200000 * n, &gpa, &code));
		fine(v, soft_fetch(v, LIN + 0x200000 * n + 0x5000, &gpa, &code));
	}
	for (uint64_t i = 0; i < 512; i++)
		fine(v, soft_fetch(v, LIN + 0x1000 * i, &gpa, &code));
	for (uint64_t i = 0; i < 512; i++) {
		gen = v->fetch_gen;
		soft_tlb_flush_page(v, LIN + 0x1000 * i);
		assert_true(v->fetch_gen != gen);
		for (uint64_t k = i + 1; k < 512; k++)
			fine(v, soft_fetch(v, LIN + 0x1000 * k, &gpa, &code));
	}
}

static void code_words(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	_Atomic uint32_t *code, *word = ram_code_words(e->ram) + RAM_CODE_WORDS * (DATA / 0x1000);
	const uint8_t *p;
	uint64_t gpa;
	void *host;

	map(e, LIN, DATA, W);
	map(e, LIN + 0x1000, DATA + 0x1000, W);
	fine(v, p = soft_fetch(v, LIN + 0x123, &gpa, &code));
	assert_ptr_equal(p, e->ram->host + DATA + 0x123);
	assert_int_equal(gpa, DATA + 0x123);
	assert_ptr_equal(code, word);
	assert_int_equal(*word, 1);
	v->stop = false;
	fine(v, soft_store(v, DS, LIN + 0x1000, 8, 0));
	assert_true(!v->stop && *word == 1);
	for (int i = 0; i < 6; i++) {
		word[0] = 1;
		word[1] = 0;
		v->stop = false;
		if (i == 0)
			fine(v, soft_store(v, DS, LIN, 8, 0));
		if (i == 1)
			fine(v, soft_store(v, DS, LIN + 0xffe, 4, 0));
		if (i == 2)
			fine(v, soft_store_bytes(v, DS, LIN, "abc", 3));
		if (i == 3) {
			fine(v, host = soft_rmw_begin(v, DS, LIN + 8, 8));
			assert_ptr_equal(host, e->ram->host + DATA + 8);
			fine(v, soft_rmw_end(v, DS, LIN + 8, 8));
		}
		if (i == 4) {
			fine(v, assert_int_equal(
					soft_span(v, DS, LIN + 4, 4, false, SOFT_WRITE, &host),
					0xffc));
			fine(v, soft_stored(v, LIN + 4, 0, v->mmu_index));
		}
		if (i == 5)
			ram_dirty_mark(e->ram, DATA + 5, 1);
		assert_int_equal(*word, 2);
		assert_true(i == 5 || v->stop);
	}
	fine(v, soft_fetch(v, LIN, &gpa, &code));
	assert_int_equal(*word, 3);
	/* Registers have no code word; ROM has. */
	map(e, LIN, REGS, 0);
	map(e, LIN + 0x2000, ROM, 0);
	soft_tlb_flush_page(v, LIN);
	fine(v, assert_null(soft_fetch(v, LIN, &gpa, &code)));
	fine(v, assert_int_equal(soft_fetch_byte(v, LIN + 7), 7));
	fine(v, assert_non_null(soft_fetch(v, LIN + 0x2000, &gpa, &code)));
	faults(v, X86_PF_I, LIN + 0x5000, soft_fetch(v, LIN + 0x5000, &gpa, &code));
}

/* The CPU's own writes to page tables are writes, too. */
static void code_in_page_table(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	uint64_t *pte = map(e, LIN, DATA, W);
	_Atomic uint32_t *word = ram_code_words(e->ram) +
				 RAM_CODE_WORDS *
					 ((size_t)((uint8_t *)pte - e->ram->host) / 0x1000);

	*word = 1;
	fine(v, load(v, LIN, 1));
	assert_int_equal(*word, 2);
	word[0] = 5;
	word[1] = 0;
	fine(v, load(v, LIN, 1));
	assert_int_equal(*word, 5);
	fine(v, soft_store(v, DS, LIN, 1, 1));
	assert_int_equal(*word, 6);
}

static void spans(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	void *host;

	map(e, LIN, DATA, W);
	fine(v, assert_int_equal(soft_span(v, DS, LIN + 5, 1, false, SOFT_WRITE, &host), 0xffb));
	assert_ptr_equal(host, e->ram->host + DATA + 5);
	fine(v, assert_int_equal(soft_span(v, DS, LIN + 5, 8, false, SOFT_READ, &host), 0xff8));
	fine(v, assert_int_equal(soft_span(v, DS, LIN + 5, 4, true, SOFT_READ, &host), 8));
	assert_ptr_equal(host, e->ram->host + DATA + 5);
	fine(v, assert_int_equal(soft_span(v, DS, LIN, 8, true, SOFT_READ, &host), 8));
	faults(v, 0, LIN + 0x1000,
		soft_span(v, DS, LIN + 0xffd, 4, false, SOFT_READ, &host)
			?: soft_load(v, DS, LIN + 0xffd, 4));
	/* A segment's limit. */
	v->cr0 = X86_CR0_PE;
	v->efer = 0;
	v->cr4 = 0;
	set_cpl(v, 0);
	v->seg[X86_ES] = (struct x86_segment){
		.base = DATA, .limit = 0x80f, .attr = X86_ATTR_P | X86_ATTR_S | 3
	};
	soft_seg_changed(v, X86_ES);
	fine(v, assert_int_equal(soft_span(v, X86_ES, 0x801, 2, false, SOFT_WRITE, &host), 14));
	fine(v, assert_int_equal(soft_span(v, X86_ES, 0x801, 2, true, SOFT_WRITE, &host), 0x802));
	raises(v, X86_EXC_GP, 0, soft_span(v, X86_ES, 0x80f, 2, false, SOFT_WRITE, &host));
}

static void translate(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	uint64_t gpa = 0, *pte = map(e, LIN, DATA, 0);

	assert_true(soft_translate(v, LIN + 0x77, &gpa));
	assert_int_equal(gpa, DATA + 0x77);
	assert_int_equal(*pte, DATA | P);
	assert_false(soft_translate(v, LIN + 0x1000, &gpa));
	assert_false(soft_translate(v, 1ull << 47, &gpa));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(rights),
		T(smap),
		T(canonical),
		T(crossing),
		T(legacy),
		T(registers_and_rom),
		T(part_of_a_page),
		T(contexts),
		T(pcids),
		T(large_pages),
		T(split_pages),
		T(many_large_pages),
		T(pae),
		T(alignment),
		T(breakpoints),
		T(flushes_of_code),
		T(code_words),
		T(code_in_page_table),
		T(spans),
		T(translate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
