// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Instructions from any bytes, in the three code sizes: what comes out is inside its limits and depends
 * on the instruction's own bytes only.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "base/field_fuzz.h"
#include "x86/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_operand(const struct x86_insn *i, const struct x86_operand *o)
{
	static const uint8_t registers[] = {
		[X86_OPND_GPR] = 16,
		[X86_OPND_GPR_H] = 4,
		[X86_OPND_SEG] = X86_NSEG,
		[X86_OPND_CR] = 9,
		[X86_OPND_DR] = 8,
		[X86_OPND_ST] = 8,
		[X86_OPND_MMX] = 8,
		[X86_OPND_VEC] = 16,
	};

	FUZZ_CHECK(o->kind > X86_OPND_NONE && o->kind <= X86_OPND_ONE);
	FUZZ_CHECK(o->access <= (X86_ACC_R | X86_ACC_W) && o->size <= 512);
	if (o->kind < sizeof(registers) && registers[o->kind])
		FUZZ_CHECK(o->reg < registers[o->kind]);
	if (o->kind == X86_OPND_IMM || o->kind == X86_OPND_REL)
		FUZZ_CHECK(i->imm_size && i->imm_off + i->imm_size <= i->len);
}

static void check_insn(const struct x86_insn *i)
{
	FUZZ_CHECK(i->len >= 1 && i->len <= X86_INSN_MAX);
	FUZZ_CHECK(i->op > X86_OP_NONE && i->op < X86_OP_COUNT && i->row < x86_rows());
	FUZZ_CHECK(i->feature < X86_FEAT_COUNT && i->cls <= X86_CLASS_FPST);
	FUZZ_CHECK(i->base <= X86_REG_NONE && i->index <= X86_REG_NONE && i->scale <= 3);
	FUZZ_CHECK(i->index != X86_REG_RIP && i->seg < X86_NSEG);
	FUZZ_CHECK(i->opsize == 2 || i->opsize == 4 || i->opsize == 8);
	FUZZ_CHECK(i->addrsize == 2 || i->addrsize == 4 || i->addrsize == 8);
	FUZZ_CHECK(i->opcode_off < i->len && i->modrm_off < i->len);
	FUZZ_CHECK(i->disp_off + i->disp_size <= i->len && i->imm_off + i->imm_size <= i->len);
	FUZZ_CHECK(i->n_operands <= 4);
	for (int n = 0; n < i->n_operands; n++)
		check_operand(i, &i->operand[n]);
	for (int n = i->n_operands; n < 4; n++)
		FUZZ_CHECK(i->operand[n].kind == X86_OPND_NONE);
}

/* Exactly @n bytes in memory of their own, so that a sanitizer sees a look behind them. */
static enum x86_decode_result decode(
	const uint8_t *p, size_t n, enum x86_code code, struct x86_insn *i)
{
	uint8_t *copy = malloc(n ? n : 1);
	enum x86_decode_result r;

	FUZZ_CHECK(copy);
	memcpy(copy, p, n);
	memset(i, 0xa5, sizeof(*i));
	r = x86_decode(copy, n, code, i);
	free(copy);
	return r;
}

static void check(const uint8_t *p, size_t n, enum x86_code code)
{
	struct x86_insn i, again;
	enum x86_decode_result r = decode(p, n, code, &i);
	size_t max = n < X86_INSN_MAX ? n : X86_INSN_MAX;
	size_t len = r == X86_DECODE_OK || r == X86_DECODE_INVALID ? i.len : max;

	FUZZ_CHECK(r <= X86_DECODE_TOO_LONG && i.len <= max);
	FUZZ_CHECK((r == X86_DECODE_MORE) <= (n < X86_INSN_MAX));
	FUZZ_CHECK(r != X86_DECODE_TOO_LONG || n >= X86_INSN_MAX);
	if (r == X86_DECODE_OK)
		check_insn(&i);
	/* With its own bytes only the same, with fewer none yet. */
	if (r == X86_DECODE_OK || r == X86_DECODE_INVALID)
		FUZZ_CHECK(decode(p, len, code, &again) == r);
	if (r == X86_DECODE_OK)
		FUZZ_CHECK(!memcmp(
			&i, &again, offsetof(struct x86_insn, operand) + sizeof(i.operand)));
	for (size_t k = 0; k < len; k++)
		FUZZ_CHECK(decode(p, k, code, &again) == X86_DECODE_MORE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int code = X86_CODE_16; code <= X86_CODE_64; code++)
		check(data, size < 20 ? size : 20, (enum x86_code)code);
	return 0;
}
