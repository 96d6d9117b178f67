// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * block - decoded instructions, by guest-physical address and code size, a cache for each vCPU.
 *
 * A block is good while its page's word of code (ram.h) is what it was before the bytes were read:
 * every writer of the page, CPU or device, changes it. So nobody tells anybody to drop a block.
 * Blocks lie one behind the other in an arena; when that is full all are dropped. That happens only
 * here, so a block stays in memory while its instructions run.
 *
 * In front of it all is a table by linear address, for what was executed lately. An entry is good as long
 * as the address means the same guest-physical one: its key holds the TLB's context, the privilege and
 * v->fetch_gen, which changes with every invalidation.
 *
 * An instruction that reaches into the next page, or lies where no RAM is, is decoded anew each time.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include "accel/soft/mmu.h"
#include "accel/soft/soft_int.h"

#define ARENA_SIZE (32u << 20)
#define HASH_BITS  14
#define PAGE	   0x1000u

struct soft_blocks {
	struct soft_jump jump[1u << SOFT_JUMP_BITS];
	uint8_t *arena; /* owned mapping; pages that were never used cost nothing */
	size_t used;
	uint32_t hash[1u << HASH_BITS]; /* offset in the arena + 1; 0: empty */
	union {
		struct soft_block lone;
		uint8_t lone_room[sizeof(struct soft_block) + sizeof(struct soft_op)];
	};
};

bool soft_blocks_new(struct soft_vcpu *v)
{
	struct soft_blocks *b = calloc(1, sizeof(*b));

	if (!b)
		return false;
	b->arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (b->arena == MAP_FAILED) {
		free(b);
		return false;
	}
	v->blocks = b;
	v->jump = b->jump;
	return true;
}

void soft_blocks_free(struct soft_vcpu *v)
{
	if (!v->blocks)
		return;
	munmap(v->blocks->arena, ARENA_SIZE);
	free(v->blocks);
	v->blocks = NULL;
}

/* -------- decoding -------- */

static void op_undefined(struct soft_vcpu *v, const struct soft_op *o)
{
	soft_ud(v);
}

static void op_too_long(struct soft_vcpu *v, const struct soft_op *o)
{
	soft_gp(v, 0);
}

/* Encodings of instructions that older CPUs lack and take for another one. */
static void fall_back(struct soft_vcpu *v, struct x86_insn *i)
{
	if (i->op == X86_OP_LZCNT)
		i->op = X86_OP_BSR;
	else if (i->op == X86_OP_TZCNT)
		i->op = X86_OP_BSF;
	else
		return;
	i->cls = X86_CLASS_INT;
	i->feature = X86_FEAT_NONE;
}

static soft_fn *choose(struct soft_vcpu *v, struct soft_op *o)
{
	soft_fn *fn;

	if (o->i.feature != X86_FEAT_NONE && !soft_has(v, o->i.feature)) {
		fall_back(v, &o->i);
		if (o->i.feature != X86_FEAT_NONE)
			return op_undefined;
	}
	/* VEX does not exist in real and virtual-8086 mode, but blocks do not depend on the mode: whoever
	 * carries such an instruction out looks. */
	if (o->i.cls != X86_CLASS_INT) {
		fn = soft_native_fn(v, o);
	} else {
		fn = soft_int_fn(v, o);
		if (!fn)
			fn = soft_far_fn(v, o);
		if (!fn)
			fn = soft_sys_fn(v, o);
	}
	return fn ? fn : op_undefined;
}

bool soft_decode_op(struct soft_vcpu *v, const uint8_t *p, size_t n, struct soft_op *o)
{
	enum x86_decode_result r = x86_decode(p, n, v->code, &o->i);

	o->stub = NULL;
	switch (r) {
	case X86_DECODE_OK:
		o->fn = choose(v, o);
		return true;
	case X86_DECODE_MORE:
		return false;
	default:
		/* It raises: the length counts only for the CS limit and must not be none. */
		o->i.len = 1;
		o->i.flags = X86_I_BRANCH;
		o->fn = r == X86_DECODE_INVALID ? op_undefined : op_too_long;
		return true;
	}
}

/* From @p, which is at offset @off of the page whose word is @word, to the page's end. */
static void decode_block(struct soft_vcpu *v, struct soft_block *b, const uint8_t *p, uint32_t off,
	_Atomic uint32_t *word)
{
	size_t n = PAGE - off;

	b->n = 0;
	b->bytes = 0;
	while (b->n < SOFT_BLOCK_MAX && b->bytes < n) {
		struct soft_op *o = &b->op[b->n];
		uint32_t most = (uint32_t)MIN(n - b->bytes, (size_t)X86_INSN_MAX);

		ram_code_take(word, ram_code_lines(off + b->bytes, most));
		if (!soft_decode_op(v, p + b->bytes, n - b->bytes, o))
			break;
		b->n++;
		b->bytes += o->i.len;
		if (o->i.flags & X86_I_BRANCH)
			break;
	}
}

/* -------- look-up -------- */

/* The one instruction at @lin, which reaches over the end of its page or is not in RAM. */
static const struct soft_block *decode_lone(struct soft_vcpu *v, uint64_t lin)
{
	struct soft_block *b = &v->blocks->lone;
	uint8_t bytes[X86_INSN_MAX];
	unsigned int n = 0;

	b->n = 0;
	while (n < X86_INSN_MAX) {
		uint64_t at = lin + n;

		bytes[n++] = soft_fetch_byte(v, v->addr_wrap ? (uint32_t)at : at);
		if (soft_decode_op(v, bytes, n, &b->op[0])) {
			b->n = 1;
			b->bytes = b->op[0].i.len;
			return b;
		}
	}
	soft_gp(v, 0);
}

static uint32_t hash(uint64_t gpa, enum x86_code code)
{
	return (gpa * 4 + code) * 0x9e3779b97f4a7c15ull >> (64 - HASH_BITS);
}

static struct soft_block *new_block(struct soft_blocks *c)
{
	size_t most = sizeof(struct soft_block) + SOFT_BLOCK_MAX * sizeof(struct soft_op);

	if (ARENA_SIZE - c->used < most) {
		memset(c->hash, 0, sizeof(c->hash));
		memset(c->jump, 0, sizeof(c->jump));
		c->used = 0;
	}
	return (struct soft_block *)(c->arena + c->used);
}

/* By guest-physical address; decoded if it is not there. */
static const struct soft_block *find_block(struct soft_vcpu *v, uint64_t lin)
{
	struct soft_blocks *c = v->blocks;
	_Atomic uint32_t *word;
	struct soft_block *b;
	uint32_t h, value;
	uint64_t gpa;
	/* Marks the page as holding code before its bytes are read. */
	const uint8_t *p = soft_fetch_some(v, lin, &gpa, &word);

	if (!p)
		return decode_lone(v, lin);
	h = hash(gpa, v->code);
	b = c->hash[h] ? (struct soft_block *)(c->arena + c->hash[h] - 1) : NULL;
	/* acquire: pairs with the writer's change of the word after its store. */
	value = atomic_load_explicit(word, memory_order_acquire);
	if (b && b->gpa == gpa && b->code == v->code && b->code_word == word && b->word == value)
		return b;
	b = new_block(c);
	decode_block(v, b, p, lin & 0xfff, word);
	if (!b->n)
		return decode_lone(v, lin);
	b->gpa = gpa;
	b->code = v->code;
	b->code_word = word;
	/* If a writer came in between, bit 0 is clear and nobody tells of the next: the block is good for
	 * this once, and gets the word of before. (This generation's would be good again when another
	 * block sets the bit, with writes in between that nobody heard of.) */
	b->word = (value - 1) | 1;
	c->hash[h] = c->used + 1;
	c->used += (sizeof(*b) + b->n * sizeof(struct soft_op) + 63) & ~(size_t)63;
	return b;
}

const struct soft_block *soft_block_find(struct soft_vcpu *v, uint64_t lin)
{
	const struct soft_block *b = find_block(v, lin);

	/* Where all accesses go slow, the context is not the address space's own. */
	if (b != &v->blocks->lone && !v->mmu_slow)
		*soft_jump_at(v, lin) = (struct soft_jump){ lin, soft_fetch_key(v), b };
	return b;
}
