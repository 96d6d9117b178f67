// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mmu - guest memory as instructions see it: segment, linear address, page tables, RAM or registers.
 *
 * Fast path inline: one compare with the TLB's tag finds page, permission and context at once. All
 * else is mmu.c's: walk, A and D bits, faults, accesses that cross a page, registers, watchpoints,
 * dirty log, pages that hold decoded code.
 *
 * Every function here may raise, and does so before it changed memory. @size is 1, 2, 4 or 8 unless it
 * says bytes. @off is the effective address, already masked to the address size.
 */
#ifndef ACCEL_SOFT_MMU_H
#define ACCEL_SOFT_MMU_H

#include <string.h>
#include "accel/soft/soft_int.h"
#include "mem/ram.h"

/* -------- slow paths, mmu.c -------- */
/* Raise what an address beyond the segment's limit, or not readable or writable, gives. Returns the
 * linear address when there is nothing wrong. */
uint64_t soft_seg_check(struct soft_vcpu *v, enum x86_seg seg, uint64_t off, unsigned int size,
	enum soft_access access);
/* @seg only tells #SS from #GP for an address that is not canonical. */
uint64_t soft_load_slow(
	struct soft_vcpu *v, enum x86_seg seg, uint64_t lin, unsigned int size, int index);
void soft_store_slow(struct soft_vcpu *v, enum x86_seg seg, uint64_t lin, unsigned int size,
	uint64_t value, int index);
/* @code, a word with bit 0 set, is of a page that @v wrote to: every decoded block of it is void. */
void soft_code_written(struct soft_vcpu *v, _Atomic uint32_t *code);

/* -------- addresses -------- */
/* Effective address of the instruction's memory operand. */
static inline uint64_t soft_ea(const struct soft_vcpu *v, const struct x86_insn *i)
{
	uint64_t a = v->gpr[i->base] + (v->gpr[i->index] << i->scale) + (uint64_t)i->disp;

	return i->addrsize == 8 ? a : i->addrsize == 4 ? (uint32_t)a : (uint16_t)a;
}

/* Linear address of @size bytes at seg:off, limit and type checked. Whether it is canonical the slow
 * path sees. */
static inline uint64_t soft_linear(struct soft_vcpu *v, enum x86_seg seg, uint64_t off,
	unsigned int size, enum soft_access access)
{
	if (v->code == X86_CODE_64)
		return seg >= X86_FS ? off + v->seg[seg].base : off;
	if (__builtin_expect(v->seg_flat >> seg & 1, 1))
		return (uint32_t)(off + v->seg[seg].base);
	return soft_seg_check(v, seg, off, size, access);
}

/* Which of a TLB's entries is @lin's. */
static inline unsigned int soft_tlb_place(uint64_t lin)
{
	return (lin >> 12 ^ lin >> (12 + SOFT_TLB_BITS)) & (SOFT_TLB_SIZE - 1);
}

static inline struct soft_tlb_entry *soft_tlb_at(struct soft_vcpu *v, int index, uint64_t lin)
{
	return &v->tlb[index][soft_tlb_place(lin)];
}

/* Host address of @size bytes at @lin, if the TLB knows it and they lie in one page; NULL: slow. */
static inline void *soft_tlb_host(
	struct soft_vcpu *v, uint64_t lin, unsigned int size, enum soft_access access, int index)
{
	struct soft_tlb_entry *e = soft_tlb_at(v, index, lin);

	if (__builtin_expect(
		    e->tag[access] != ((lin & ~0xfffull) | v->ctx) || (lin & 0xfff) > 0x1000 - size,
		    0))
		return NULL;
	return (void *)(lin + e->addend);
}

/* Guest memory at any address: one access of the host's, which is as atomic as the guest's. */
typedef volatile uint16_t soft_u16 __attribute__((aligned(1), may_alias));
typedef volatile uint32_t soft_u32 __attribute__((aligned(1), may_alias));
typedef volatile uint64_t soft_u64 __attribute__((aligned(1), may_alias));

static inline uint64_t soft_host_load(const void *p, unsigned int size)
{
	switch (size) {
	case 1:
		return *(const volatile uint8_t *)p;
	case 2:
		return *(const soft_u16 *)p;
	case 4:
		return *(const soft_u32 *)p;
	default:
		return *(const soft_u64 *)p;
	}
}

static inline void soft_host_store(void *p, unsigned int size, uint64_t value)
{
	switch (size) {
	case 1:
		*(volatile uint8_t *)p = value;
		break;
	case 2:
		*(soft_u16 *)p = value;
		break;
	case 4:
		*(soft_u32 *)p = value;
		break;
	default:
		*(soft_u64 *)p = value;
	}
}

/* @n bytes (0: many) from @off on were written to a page whose word's bit 0 is set. */
static inline void soft_code_stored(
	struct soft_vcpu *v, _Atomic uint32_t *code, unsigned int off, unsigned int n)
{
	if (!n || ++v->code_misses % SOFT_CODE_MISSES == 0 ||
		ram_code_hit(code, ram_code_lines(off, n)))
		soft_code_written(v, code);
}

/* After a store through a host pointer of @n bytes, which lie in one page (0: many of them): the page may
 * hold decoded code. */
static inline void soft_stored(struct soft_vcpu *v, uint64_t lin, unsigned int n, int index)
{
	_Atomic uint32_t *code = soft_tlb_at(v, index, lin)->code;

	/* The store comes first: for the CPU, mark_code() in mmu.c sees to it. */
	atomic_signal_fence(memory_order_seq_cst);

	if (__builtin_expect(atomic_load_explicit(code, memory_order_relaxed) & 1, 0))
		soft_code_stored(v, code, lin & 0xfff, n);
}

static inline uint64_t soft_load_lin(
	struct soft_vcpu *v, enum x86_seg seg, uint64_t lin, unsigned int size, int index)
{
	void *p = soft_tlb_host(v, lin, size, SOFT_READ, index);

	return p ? soft_host_load(p, size) : soft_load_slow(v, seg, lin, size, index);
}

static inline void soft_store_lin(struct soft_vcpu *v, enum x86_seg seg, uint64_t lin,
	unsigned int size, uint64_t value, int index)
{
	void *p = soft_tlb_host(v, lin, size, SOFT_WRITE, index);

	if (__builtin_expect(!p, 0)) {
		soft_store_slow(v, seg, lin, size, value, index);
		return;
	}
	soft_host_store(p, size, value);
	soft_stored(v, lin, size, index);
}

/* -------- what instructions use -------- */
static inline uint64_t soft_load(
	struct soft_vcpu *v, enum x86_seg seg, uint64_t off, unsigned int size)
{
	return soft_load_lin(v, seg, soft_linear(v, seg, off, size, SOFT_READ), size, v->mmu_index);
}

static inline void soft_store(
	struct soft_vcpu *v, enum x86_seg seg, uint64_t off, unsigned int size, uint64_t value)
{
	soft_store_lin(
		v, seg, soft_linear(v, seg, off, size, SOFT_WRITE), size, value, v->mmu_index);
}

/* Accesses that the CPU makes for itself (descriptor tables, TSS, frames on a new inner stack): by
 * linear address, as supervisor whatever CPL is. */
static inline uint64_t soft_load_sys(struct soft_vcpu *v, uint64_t lin, unsigned int size)
{
	return soft_load_lin(v, X86_DS, lin, size, SOFT_MMU_KERNEL);
}
static inline void soft_store_sys(
	struct soft_vcpu *v, uint64_t lin, unsigned int size, uint64_t value)
{
	soft_store_lin(v, X86_DS, lin, size, value, SOFT_MMU_KERNEL);
}

/* @n bytes (1 to 4096, any), all or nothing: both pages are checked before the first is written. */
void soft_load_bytes(
	struct soft_vcpu *v, enum x86_seg seg, uint64_t off, void *buf, unsigned int n);
void soft_store_bytes(
	struct soft_vcpu *v, enum x86_seg seg, uint64_t off, const void *buf, unsigned int n);
/* Would a store of @n bytes (1 to 4096) raise? For instructions that have more than one. @index:
 * SOFT_MMU_*, normally v->mmu_index. */
void soft_probe(struct soft_vcpu *v, enum x86_seg seg, uint64_t off, unsigned int n,
	enum soft_access access, int index);

/* Read-modify-write. begin: host address of @size bytes (1-16) of RAM in one page that may be read and
 * written, for one host instruction (a locked one if the guest's is, or more than one vCPU runs);
 * then end. NULL: the bytes are registers or cross a page; then the caller loads, computes, stores
 * between soft_exclusive_begin and _end (raising inside is allowed: run.c gives it up), with
 * soft_rmw_load and soft_store: the load checks that a store is allowed too. */
void *soft_rmw_begin(struct soft_vcpu *v, enum x86_seg seg, uint64_t off, unsigned int size);
static inline void soft_rmw_end(
	struct soft_vcpu *v, enum x86_seg seg, uint64_t off, unsigned int size)
{
	soft_stored(v, soft_linear(v, seg, off, size, SOFT_WRITE), size, v->mmu_index);
}
uint64_t soft_rmw_load(struct soft_vcpu *v, enum x86_seg seg, uint64_t off, unsigned int size);
void soft_exclusive_begin(struct soft_vcpu *v);
void soft_exclusive_end(struct soft_vcpu *v);

/* For string instructions: how many bytes of whole units of @size from seg:off on lie in the same page
 * and within the segment's limit, and can be reached at *@host directly. 0: go unit by unit. @down: from
 * that unit downwards; *@host is the address of the first one in either case. May raise what the first
 * unit would. The caller minds that the address register wraps, and calls soft_stored() with the linear
 * address of the first unit after it wrote. */
unsigned int soft_span(struct soft_vcpu *v, enum x86_seg seg, uint64_t off, unsigned int size,
	bool down, enum soft_access access, void **host);

/* -------- TLB -------- */
bool soft_mmu_new(struct soft_vcpu *v) MUST_USE;
void soft_mmu_free(struct soft_vcpu *v);
/* All contexts. @global: entries of global pages go too. Takes up what has changed in CR0, CR3, CR4,
 * EFER, PKRU, PDPTEs and the CPU model. */
void soft_tlb_flush(struct soft_vcpu *v, bool global);
/* INVLPG, and INVPCID of one address: in every context, global or not. */
void soft_tlb_flush_page(struct soft_vcpu *v, uint64_t lin);
/* INVPCID of one PCID. */
void soft_tlb_flush_pcid(struct soft_vcpu *v, uint16_t pcid, bool global);
/* MOV to CR3: takes up @cr3 (already checked, bit 63 told by @keep). */
void soft_mmu_cr3(struct soft_vcpu *v, bool keep);
/* PAE paging: load v->pdpte from v->cr3. False: a reserved bit is set (#GP). */
bool soft_mmu_load_pdptes(struct soft_vcpu *v);
/* CR0, CR4, EFER, RFLAGS.AC or CPL changed. Flushes if need be. */
void soft_mmu_mode_changed(struct soft_vcpu *v);
/* DR0-3, DR7 or the debugger's points changed. */
void soft_watch_changed(struct soft_vcpu *v);
/* SOFT_POLL_FLUSH was set: do it and tell who waits. The vCPU's thread, between instructions. */
void soft_mmu_serve_flush(struct soft_vcpu *v);
/* At the start of each slice, after v->in_guest was set (seq_cst), inside the read section: waits
 * while another vCPU is exclusive, serves flushes, and looks whether the address map has changed.
 * True: it has, the TLB was flushed, and pointers to code words that were kept may be dead. */
bool soft_mmu_slice(struct soft_vcpu *v);
/* Code fetch: host address of the byte at linear @lin, how many follow in its page (to the page's
 * end), its page's guest-physical address and code word (bit 0 gets set: stores will be noticed from
 * here on). Raises #PF. NULL: not RAM or ROM: fetch with soft_fetch_byte. */
const uint8_t *soft_fetch(
	struct soft_vcpu *v, uint64_t lin, uint64_t *gpa, _Atomic uint32_t **code);
/* Likewise for who calls ram_code_take() for what it reads. (soft_fetch() does, for all of the page.) */
const uint8_t *soft_fetch_some(
	struct soft_vcpu *v, uint64_t lin, uint64_t *gpa, _Atomic uint32_t **code);
/* After soft_fetch(): is the page global? */
bool soft_fetch_global(struct soft_vcpu *v, uint64_t lin);
uint8_t soft_fetch_byte(struct soft_vcpu *v, uint64_t lin);
/* The entry that an access to the page of @lin finds, filled in; NULL: no whole page of RAM. May raise. */
const struct soft_tlb_entry *soft_tlb_entry_for(
	struct soft_vcpu *v, uint64_t lin, enum soft_access access);
/* Debugger: linear to guest-physical without faults, A and D bits. False: not mapped. */
bool soft_translate(struct soft_vcpu *v, uint64_t lin, uint64_t *gpa);
/* Likewise the byte there, whose page is RAM or ROM; NULL: it is not. Inside a read section. */
const uint8_t *soft_peek(struct soft_vcpu *v, uint64_t lin);
/* Linear addresses of 64-bit mode: 48 or 57 bits by CR4.LA57. */
static inline bool soft_canonical(const struct soft_vcpu *v, uint64_t a)
{
	int bits = v->cr4 & X86_CR4_LA57 ? 7 : 16;

	return (uint64_t)((int64_t)(a << bits) >> bits) == a;
}
/* What a base register takes: any address that the CPU can come to have, LA57 on or off. */
static inline bool soft_canonical_base(const struct soft_vcpu *v, uint64_t a)
{
	int bits = v->cr4_allowed & X86_CR4_LA57 ? 7 : 16;

	return (uint64_t)((int64_t)(a << bits) >> bits) == a;
}

#endif
