// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests on the software engine: a soft_vcpu without a machine, in user mode, with the segments, control
 * registers and pages that a Linux process finds. Exceptions are not delivered: soft_vcpu_steps()
 * hands them out. Generated code does not count its instructions: a thread ends loops there.
 */
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "accel/soft/jit.h"
#include "accel/soft/mmu.h"
#include "accel/soft/soft_int.h"
#include "base/wire.h"
#include "core/vcpu.h"
#include "difftest.h"

#define LA57 (1u << 16) /* leaf 7, ECX */

/* Guest-physical. */
#define RAM_SIZE  (4 * MIB)
#define RAM_IMAGE 0x100000u
#define RAM_CODE  0x200000u
#define RAM_GDT	  0x300000u
#define RAM_LDT	  0x301000u
#define RAM_TSS	  0x302000u
#define RAM_PML4  0x310000u
/* Linear, for the supervisor only: GDT, LDT, TSS. */
#define SYS	  0xffff900000000000u

struct soft_side {
	struct accel_vm *vm;
	struct soft_vcpu *v;
	struct ram_block *ram;
	struct as_range range;
	struct vcpu core;
	const uint8_t *image; /* borrowed: the batch's */
	_Atomic uint32_t *code_word[2 * CODE_PAGES];
	uint32_t next_table;
	bool translate;
	pthread_t watch; /* ends a test that both its ticks have seen */
	_Atomic uint32_t tests;
	_Atomic bool quit;
	uint8_t area[X86_XSAVE_MAX] __attribute__((aligned(64)));
};

/* -------- tables -------- */
static uint64_t *table_at(struct soft_side *s, uint64_t gpa)
{
	return (uint64_t *)(void *)(s->ram->host + gpa);
}

static void map(struct soft_side *s, uint64_t lin, uint64_t gpa, uint64_t flags)
{
	uint64_t table = RAM_PML4;

	for (int shift = 39; shift > 12; shift -= 9) {
		uint64_t *e = &table_at(s, table)[lin >> shift & 511];

		if (!*e) {
			s->next_table += PAGE;
			*e = (RAM_PML4 + s->next_table) | 0x67;
		}
		table = *e & ~0xfffull;
	}
	table_at(s, table)[lin >> 12 & 511] = gpa | flags | 0x61; /* P A D */
}

static void make_pages(struct soft_side *s, bool low)
{
	const uint64_t user = 4, writable = 2, nx = 1ull << 63;

	for (uint32_t i = 0; i < IMAGE_PAGES; i++)
		if (low || !image_page[i].low)
			map(s, image_page[i].at, RAM_IMAGE + i * PAGE,
				user | nx | (image_page[i].writable ? writable : 0));
	for (uint32_t i = 0; i < CODE_PAGES; i++)
		map(s, CODE + i * PAGE, RAM_CODE + i * PAGE, user);
	for (uint32_t i = 0; i < CODE_PAGES; i++)
		map(s, CODE_W + i * PAGE, RAM_CODE + (CODE_PAGES + i) * PAGE, user | writable);
	for (uint32_t i = 0; i < 3; i++)
		map(s, SYS + i * PAGE, RAM_GDT + i * PAGE, writable | nx);
}

static uint64_t descriptor(uint32_t base, uint32_t limit, uint32_t attr)
{
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
	       (uint64_t)(attr & 0xff) << 40 | (uint64_t)(limit >> 16 & 0xf) << 48 |
	       (uint64_t)(attr >> 12 & 0xf) << 52 | (uint64_t)(base >> 24) << 56;
}

static uint32_t ldt_attr(const struct ldt_entry *e)
{
	return (uint32_t)e->contents << 2 | (e->readonly ? 0 : 2) | 1 | X86_ATTR_S | 3 << 5 |
	       (e->missing ? 0 : X86_ATTR_P) | (e->is32 ? X86_ATTR_DB : 0) |
	       (e->pages ? X86_ATTR_G : 0);
}

#define ATTR_CODE32 (X86_ATTR_P | X86_ATTR_S | 3 << 5 | 0xb | X86_ATTR_DB | X86_ATTR_G)
#define ATTR_CODE64 (X86_ATTR_P | X86_ATTR_S | 3 << 5 | 0xb | X86_ATTR_L | X86_ATTR_G)
#define ATTR_DATA   (X86_ATTR_P | X86_ATTR_S | 3 << 5 | 0x3 | X86_ATTR_DB | X86_ATTR_G)

/* What Linux shows a program of its GDT; the rest is as good as empty. */
static void make_descriptors(struct soft_side *s, uint32_t cpu)
{
	uint8_t *gdt = s->ram->host + RAM_GDT, *ldt = s->ram->host + RAM_LDT;

	wr_le64(gdt + (SEL_CODE32 & ~7), descriptor(0, 0xfffff, ATTR_CODE32));
	wr_le64(gdt + (SEL_DATA & ~7), descriptor(0, 0xfffff, ATTR_DATA));
	wr_le64(gdt + (SEL_CODE64 & ~7), descriptor(0, 0xfffff, ATTR_CODE64));
	wr_le64(gdt + 0x78, descriptor(0, cpu, X86_ATTR_P | X86_ATTR_S | 3 << 5 | 5 | X86_ATTR_DB));
	wr_le16(s->ram->host + RAM_TSS + 0x66, 0xffff); /* no map of I/O ports */
	for (int i = 0; i < LDT_COUNT; i++)
		wr_le64(ldt + 8 * i,
			descriptor(ldt_entry[i].base, ldt_entry[i].limit, ldt_attr(&ldt_entry[i])));
}

static struct x86_segment segment(const struct state *in, enum x86_seg seg, enum x86_code mode)
{
	uint16_t sel = in->sel[seg];
	struct x86_segment r = { .selector = sel, .limit = UINT32_MAX };

	if (sel < 4) {
		r.attr = X86_ATTR_UNUSABLE;
		r.limit = 0;
	} else if (sel & 4) {
		const struct ldt_entry *e = &ldt_entry[sel >> 3];

		r.base = e->base;
		r.limit = e->pages ? e->limit << 12 | 0xfff : e->limit;
		r.attr = ldt_attr(e);
	} else {
		r.attr = sel == SEL_CODE64   ? ATTR_CODE64
			 : sel == SEL_CODE32 ? ATTR_CODE32
					     : ATTR_DATA;
	}
	if (mode == X86_CODE_64 && seg == X86_FS)
		r.base = in->fs_base;
	if (mode == X86_CODE_64 && seg == X86_GS)
		r.base = in->gs_base;
	return r;
}

/* -------- making it -------- */
static void no_mem(struct soft_vcpu *v, uint64_t gpa, void *data, unsigned int size, bool write)
{
	if (!write)
		memset(data, 0xff, size);
}
static void no_port(struct soft_vcpu *v, uint16_t port, void *data, unsigned int size, bool write)
{
	if (!write)
		memset(data, 0xff, size);
}
static const struct soft_io no_io = { .mem = no_mem, .port = no_port };

static void fail(const char *what, const struct error *err)
{
	printf("difftest: %s: %s\n", what, err->msg);
	exit(2);
}

static void set_system_state(struct soft_vcpu *v, uint32_t tsc_aux)
{
	v->cr0 = X86_CR0_PE | X86_CR0_MP | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_AM |
		 X86_CR0_PG;
	v->cr3 = RAM_PML4;
	v->cr4 = X86_CR4_PAE | X86_CR4_PGE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT |
		 X86_CR4_FSGSBASE | X86_CR4_OSXSAVE | X86_CR4_UMIP | X86_CR4_SMEP;
	v->efer = X86_EFER_SCE | X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE;
	v->xcr0 = 7;
	v->gdtr = (struct x86_dtable){ .base = SYS, .limit = 0x7f };
	v->ldtr = (struct x86_segment){ .base = SYS + PAGE,
		.limit = 8 * LDT_COUNT - 1,
		.attr = X86_ATTR_P | 2,
		.selector = 0x50 };
	v->tr = (struct x86_segment){
		.base = SYS + 2 * PAGE, .limit = 0x67, .attr = X86_ATTR_P | 0xb, .selector = 0x40
	};
	v->cr4_allowed &= ~(uint64_t)X86_CR4_LA57; /* or bases could be wider than the host takes */
	v->tsc_aux = tsc_aux;
	v->mp_state = X86_MP_RUNNABLE;
}

static void make_vcpu(struct soft_side *s)
{
	const struct accel *a = &soft_accel;
	struct accel_vm_config c = {
		.max_vcpus = 1, .max_apic_id = 0, .irqchip = ACCEL_IRQCHIP_SPLIT
	};
	struct ram_config rc = { .name = "difftest", .size = RAM_SIZE, .host_node = -1 };
	struct x86_cpuid *cpuid = calloc(1, sizeof(*cpuid));
	struct accel_vcpu *av;
	struct error err = ERROR_INIT;
	unsigned int eax, ebx, ecx, edx;

	if (!cpuid)
		abort();
	s->ram = ram_block_new(&rc, &err);
	if (!s->ram)
		fail("RAM", &err);
	s->vm = a->vm_new(NULL, &c, &err);
	if (!s->vm)
		fail("VM", &err);
	to_soft_vm(s->vm)->io = &no_io;
	to_soft_vm(s->vm)->jit = true;
	s->range = (struct as_range){
		.start = 0, .size = RAM_SIZE, .kind = AS_RAM, .host = s->ram->host, .ram = s->ram
	};
	if (a->ram_add(s->vm, &s->range))
		fail("RAM", &err);
	av = a->vcpu_new(s->vm, &s->core, &err);
	if (!av)
		fail("vCPU", &err);
	s->v = to_soft_vcpu(av);
	if (!a->cpuid_supported(s->vm, cpuid, &err))
		fail("CPUID", &err);
	/* As wide addresses as the host has: base registers are checked against what there can be. */
	__cpuid_count(7, 0, eax, ebx, ecx, edx);
	for (uint32_t i = 0; i < cpuid->n; i++)
		if (cpuid->leaf[i].function == 7 && cpuid->leaf[i].index == 0 && !(ecx & LA57))
			cpuid->leaf[i].ecx &= ~LA57;
	if (!a->vcpu_set_cpuid(av, cpuid, &err))
		fail("CPUID", &err);
	free(cpuid);
}

static void *watch(void *arg)
{
	struct soft_side *s = arg;
	struct timespec ms = { 0, 3000000 };
	uint32_t seen = UINT32_MAX;

	while (!atomic_load(&s->quit)) {
		uint32_t now = atomic_load(&s->tests);

		if (now == seen)
			soft_notify(s->v, SOFT_POLL_KICK);
		seen = now;
		nanosleep(&ms, NULL);
	}
	return NULL;
}

static void set_state(struct soft_side *s, const struct test *t);

struct soft_side *soft_side_new(const struct native *n, bool *feature)
{
	static struct test plain = { .mode = X86_CODE_64,
		.in = { .rip = CODE,
			.rflags = 0x202,
			.sel = { [X86_CS] = SEL_CODE64, [X86_SS] = SEL_DATA } } };
	struct soft_side *s = calloc(1, sizeof(*s));
	uint64_t gpa;

	if (!s)
		abort();
	make_vcpu(s);
	for (int i = 0; i < X86_FEAT_COUNT; i++)
		feature[i] = i == X86_FEAT_NONE || soft_has(s->v, (enum x86_feature)i);
	make_descriptors(s, native_tsc_aux(n) & 0xfff);
	make_pages(s, native_low(n));
	memset(s->ram->host + RAM_CODE, 0xcc, 2 * CODE_PAGES * PAGE);
	set_system_state(s->v, native_tsc_aux(n));
	wr_le32(plain.in.fx + 24, 0x1f80);
	set_state(s, &plain);
	soft_tlb_flush(s->v, true);
	/* Where to tell that code has changed. */
	if (_setjmp(s->v->raise))
		fail("the code cannot be fetched", &(struct error)ERROR_INIT);
	for (uint32_t i = 0; i < 2 * CODE_PAGES; i++)
		soft_fetch(s->v,
			i < CODE_PAGES ? CODE + i * PAGE : CODE_W + (i - CODE_PAGES) * PAGE, &gpa,
			&s->code_word[i]);
	if (pthread_create(&s->watch, NULL, watch, s))
		abort();
	return s;
}

void soft_side_free(struct soft_side *s)
{
	if (!s)
		return;
	atomic_store(&s->quit, true);
	pthread_join(s->watch, NULL);
	soft_accel.vcpu_free(&s->v->base);
	soft_accel.vm_free(s->vm);
	ram_block_unref(s->ram);
	free(s);
}

void soft_side_translate(struct soft_side *s, bool on)
{
	s->translate = on;
}

/* -------- running a test -------- */
void soft_side_image(struct soft_side *s, const uint8_t *image)
{
	s->image = image;
	memcpy(s->ram->host + RAM_IMAGE, image, IMAGE_SIZE);
}

static void set_state(struct soft_side *s, const struct test *t)
{
	struct soft_vcpu *v = s->v;
	const struct state *in = &t->in;

	memcpy(v->gpr, in->gpr, sizeof(in->gpr));
	v->rip = in->rip;
	v->gpr[X86_REG_RIP] = in->rip;
	v->rflags = in->rflags;
	for (int i = 0; i < X86_NSEG; i++)
		v->seg[i] = segment(in, (enum x86_seg)i, (enum x86_code)t->mode);
	v->shadow = 0;
	v->pending_dr6 = 0;
	v->has_event = v->in_event = v->halted = v->shutdown = false;
	v->cr2 = 0;
	memcpy(s->area, in->fx, 416);
	wr_le64(s->area + 512, 7);
	memcpy(s->area + 576, in->ymmh, 256);
	if (!soft_fpu_set(v, s->area)) {
		printf("difftest: the engine refuses a valid XSAVE area\n");
		exit(1);
	}
	soft_mode_changed(v);
}

static void get_state(struct soft_side *s, struct state *out)
{
	const struct soft_vcpu *v = s->v;
	uint64_t bv;

	memcpy(out->gpr, v->gpr, sizeof(out->gpr));
	out->rip = v->rip;
	out->rflags = v->rflags;
	out->fs_base = v->seg[X86_FS].base;
	out->gs_base = v->seg[X86_GS].base;
	for (int i = 0; i < X86_NSEG; i++)
		out->sel[i] = v->seg[i].selector;
	soft_fpu_get(v, s->area);
	bv = rd_le64(s->area + 512);
	memcpy(out->fx, s->area, 416);
	memset(out->fx + 416, 0, 96);
	if (!(bv & 1)) { /* x87 as it begins */
		memset(out->fx, 0, 24);
		memset(out->fx + 32, 0, 128);
		wr_le16(out->fx, 0x37f);
	}
	if (!(bv & 2))
		memset(out->fx + 160, 0, 256);
	if (bv & 4)
		memcpy(out->ymmh, s->area + 576, 256);
	else
		memset(out->ymmh, 0, 256);
}

static void put_code(struct soft_side *s, const struct test *t, bool clear)
{
	uint32_t at = code_offset(t);
	uint8_t *p = s->ram->host + RAM_CODE + at;

	if (clear)
		memset(p, 0xcc, t->code_len);
	else
		memcpy(p, t->code, t->code_len);
	for (uint32_t i = at / PAGE; i <= (at + t->code_len - 1) / PAGE; i++)
		soft_code_written(s->v, s->code_word[i]);
}

/* Changed lines out, memory back to what it was. */
static void take_memory(struct soft_side *s, struct outcome *o, struct line *lines)
{
	uint8_t *ram = s->ram->host + RAM_IMAGE;

	o->n_lines = 0;
	for (uint32_t page = 0; page < IMAGE_SIZE; page += PAGE) {
		if (!memcmp(ram + page, s->image + page, PAGE))
			continue;
		for (uint32_t at = page; at < page + PAGE; at += 64) {
			if (!memcmp(ram + at, s->image + at, 64))
				continue;
			lines[o->n_lines].at = (uint16_t)(at / 64);
			memcpy(lines[o->n_lines++].data, ram + at, 64);
			memcpy(ram + at, s->image + at, 64);
		}
	}
}

/* What the kernel's IDT makes of INT n: only 3, 4 and 0x80 are for programs. */
static void take_event(struct soft_side *s, const struct soft_event *e, struct outcome *o)
{
	o->vector = e->vector;
	o->has_error = e->has_error;
	o->error = e->error;
	o->has_cr2 = e->vector == X86_EXC_PF;
	o->cr2 = e->cr2;
	if (e->kind == SOFT_EVENT_SOFT_INT && e->vector != X86_EXC_BP && e->vector != X86_EXC_OF) {
		o->vector = e->vector == 0x80 ? END_SYSCALL : X86_EXC_GP;
		o->has_error = true;
		o->error = e->vector * 8u + 2;
		o->has_cr2 = false;
	} else if (e->kind == SOFT_EVENT_SOFT_INT || e->kind == SOFT_EVENT_INT1) {
		o->out.rip = s->v->gpr[X86_REG_RIP];
	}
}

/* Sometimes with the small TLB empty, sometimes as code that runs often: look-ups come all ways. */
static void run_translated(struct soft_side *s, struct soft_event *e)
{
	atomic_store(&s->v->poll, 0);
	soft_jit_serve_code(s->v);
	if (atomic_load(&s->tests) % 4 == 0)
		jit_l1_clear(s->v);
	s->v->jit->hot_all = atomic_load(&s->tests) % 2;
	soft_vcpu_turns(s->v, MAX_STEPS * 1000, e);
}

void soft_side_run(struct soft_side *s, const struct batch *b, uint32_t i, struct outcome *o,
	struct line *lines)
{
	const struct test *t = &b->test[i];
	struct soft_event e = { .vector = 255 };

	set_state(s, t);
	put_code(s, t, false);
	atomic_fetch_add(&s->tests, 1);
	if (s->translate)
		run_translated(s, &e);
	else
		soft_vcpu_steps(s->v, MAX_STEPS, &e);
	get_state(s, &o->out);
	if (e.vector == 255)
		o->vector = END_NONE;
	else
		take_event(s, &e, o);
	take_memory(s, o, lines);
	put_code(s, t, true);
}
