// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_flags - which status flags an instruction uses. What is not known to be written for certain is let
 * through, so flags that it leaves undefined come out as the CPU leaves them.
 */
#include "accel/soft/jit.h"
#include "accel/soft/native_int.h"

#define ALL X86_FLAGS_STATUS
#define CF  X86_FLAG_CF

static const uint16_t condition_flags[8] = { X86_FLAG_OF, CF, X86_FLAG_ZF, CF | X86_FLAG_ZF,
	X86_FLAG_SF, X86_FLAG_PF, X86_FLAG_SF | X86_FLAG_OF,
	X86_FLAG_ZF | X86_FLAG_SF | X86_FLAG_OF };

static struct jit_flags shift_flags(const struct x86_insn *i)
{
	unsigned int mask = i->operand[0].size == 8 ? 63 : 31;
	const struct x86_operand *count = &i->operand[i->n_operands - 1];
	bool one = count->kind == X86_OPND_ONE, rotate = i->op <= X86_OP_RCR;

	if (!one && (count->kind != X86_OPND_IMM || !(i->imm & mask)))
		return (struct jit_flags){ ALL, 0 }; /* by CL, or by nothing */
	if (rotate)
		return (struct jit_flags){ i->op >= X86_OP_RCL ? CF : 0, CF };
	return (struct jit_flags){ 0, ALL };
}

/* Vector, MMX and x87 instructions, those of BMI that are not in the list below. */
static struct jit_flags other_flags(const struct x86_insn *i)
{
	switch (i->cls) {
	case X86_CLASS_GPR:
	case X86_CLASS_X87:
	case X86_CLASS_MMX:
	case X86_CLASS_SSE:
	case X86_CLASS_AVX:
	case X86_CLASS_FPST:
		break;
	default:
		return (struct jit_flags){ ALL, 0 };
	}
	switch (native_flags_use(i)) {
	case 0:
		return (struct jit_flags){ 0, 0 };
	case 1:
		return (struct jit_flags){ 0, ALL };
	default:
		return (struct jit_flags){ ALL, 0 };
	}
}

struct jit_flags jit_flags_of(const struct x86_insn *i)
{
	switch (i->op) {
	case X86_OP_ADD:
	case X86_OP_OR:
	case X86_OP_AND:
	case X86_OP_SUB:
	case X86_OP_XOR:
	case X86_OP_CMP:
	case X86_OP_TEST:
	case X86_OP_NEG:
	case X86_OP_XADD:
	case X86_OP_CMPXCHG:
	case X86_OP_POPCNT:
		return (struct jit_flags){ 0, ALL };
	case X86_OP_MUL:
	case X86_OP_IMUL1:
	case X86_OP_IMUL:
		return (struct jit_flags){ 0, CF | X86_FLAG_OF };
	case X86_OP_ADC:
	case X86_OP_SBB:
		return (struct jit_flags){ CF, ALL };
	case X86_OP_INC:
	case X86_OP_DEC:
		return (struct jit_flags){ 0, ALL & ~CF };
	case X86_OP_ROL ... X86_OP_SHRD:
		return shift_flags(i);
	case X86_OP_SETCC:
	case X86_OP_CMOVCC:
	case X86_OP_JCC:
		return (struct jit_flags){ condition_flags[i->opcode >> 1 & 7], 0 };
	case X86_OP_BT:
	case X86_OP_BTS:
	case X86_OP_BTR:
	case X86_OP_BTC:
	case X86_OP_CLC:
	case X86_OP_STC:
		return (struct jit_flags){ 0, CF };
	case X86_OP_CMC:
		return (struct jit_flags){ CF, CF };
	case X86_OP_LAHF:
		return (struct jit_flags){ ALL & ~X86_FLAG_OF, 0 };
	case X86_OP_SAHF:
		return (struct jit_flags){ 0, ALL & ~X86_FLAG_OF };
	case X86_OP_NOT:
	case X86_OP_MOV:
	case X86_OP_MOVZX:
	case X86_OP_MOVSX:
	case X86_OP_MOVSXD:
	case X86_OP_MOVBE:
	case X86_OP_MOVNTI:
	case X86_OP_LEA:
	case X86_OP_PUSH:
	case X86_OP_POP:
	case X86_OP_LEAVE:
	case X86_OP_CBW:
	case X86_OP_CWD:
	case X86_OP_BSWAP:
	case X86_OP_XCHG:
	case X86_OP_NOP:
	case X86_OP_PREFETCH:
	case X86_OP_LFENCE:
	case X86_OP_MFENCE:
	case X86_OP_SFENCE:
	case X86_OP_CLI:
	case X86_OP_STI:
	case X86_OP_CLD:
	case X86_OP_STD:
	case X86_OP_CLAC:
	case X86_OP_STAC:
	case X86_OP_SWAPGS:
	case X86_OP_RDFSBASE:
	case X86_OP_RDGSBASE:
	case X86_OP_WRFSBASE:
	case X86_OP_WRGSBASE:
	case X86_OP_MOV_FROM_SEG:
	case X86_OP_MOV_FROM_CR:
	case X86_OP_RDTSC:
	case X86_OP_RDTSCP:
	case X86_OP_RDPID:
	case X86_OP_RDPKRU:
	case X86_OP_WRPKRU:
	case X86_OP_MOVS:
	case X86_OP_STOS:
	case X86_OP_LODS:
		return (struct jit_flags){ 0, 0 };
	case X86_OP_CMPS:
	case X86_OP_SCAS:
		return (struct jit_flags){ 0, i->rep ? 0 : ALL };
	case X86_OP_CMPXCHG16B:
		return (struct jit_flags){ 0, X86_FLAG_ZF };
	default:
		return other_flags(i);
	}
}
