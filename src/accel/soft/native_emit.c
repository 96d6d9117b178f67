// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * native_emit - stubs: host code for one guest instruction (native_int.h).
 *
 * In a stub rdi is the vCPU and rsi the memory operand. Vector and MMX registers keep their guest
 * numbers; general registers that the ModRM byte or VEX.vvvv name are r8 (reg), r9 (rm) and r10 (vvvv),
 * those that an opcode implies (rax, rcx, rdx) are themselves. rax and rcx are scratch at the end.
 */
#include "accel/soft/native_int.h"

#include <string.h>

/* Host registers by encoding. */
enum { RAX = 0, RCX = 1, RDX = 2, RSI = 6, RDI = 7 };
enum { FIELD_REG = NATIVE_REG, FIELD_RM = NATIVE_RM, FIELD_VVVV = NATIVE_VVVV };

/* What of an instruction is a general register, by the field that names it. */
#define GPR_REG	 1u
#define GPR_RM	 2u
#define GPR_VVVV 4u

static void byte(struct native_code *c, unsigned int b)
{
	if (c->n < sizeof(c->b))
		c->b[c->n] = b;
	c->n++; /* native_emit() looks whether all had room */
}

static void bytes(struct native_code *c, const char *s, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		byte(c, (uint8_t)s[i]);
}
#define CODE(c, s) bytes(c, s, sizeof(s) - 1)

/* ModRM of register @reg and [rdi + @off]. */
static void at_vcpu(struct native_code *c, unsigned int reg, size_t off)
{
	uint32_t disp = off;

	byte(c, 0x80 | (reg & 7) << 3 | RDI);
	for (int i = 0; i < 4; i++)
		byte(c, disp >> 8 * i & 0xff);
}

/* A 64-bit move between host register @reg and the vCPU; @op 8B: load, 89: store. */
static void gpr_move(struct native_code *c, unsigned int op, unsigned int reg, size_t off)
{
	byte(c, 0x48 | (reg >> 3) << 2);
	byte(c, op);
	at_vcpu(c, reg, off);
}

static size_t gpr_off(unsigned int guest)
{
	return offsetof(struct soft_vcpu, gpr) + 8 * (guest & 15);
}

/* VMOVUPS or MOVUPS; @op 10: load, 11: store. */
static void vec_move(struct native_code *c, unsigned int op, unsigned int reg, bool vex, bool l)
{
	if (vex) {
		byte(c, 0xc5);
		byte(c, (reg & 8 ? 0 : 0x80) | 0x78 | l << 2);
	} else {
		if (reg & 8)
			byte(c, 0x44);
		byte(c, 0x0f);
	}
	byte(c, op);
	at_vcpu(c, reg, offsetof(struct soft_vcpu, fpu.ymm) + 32 * (reg & 15));
}

/* -------- what an instruction is like -------- */
static bool op_at(const struct x86_insn *i, unsigned int map, unsigned int opcode)
{
	return i->map == map && i->opcode == opcode;
}

/* SSE and AVX instructions with a general register: which field names it. @mem forms too: there W
 * selects the memory operand's size as it would the register's. */
static unsigned int vec_gpr_fields(const struct x86_insn *i)
{
	if (i->map == 1) {
		switch (i->opcode) {
		case 0x2c: /* CVTT, CVT to an integer */
		case 0x2d:
			return i->rep ? GPR_REG : 0;
		case 0x50: /* MOVMSK */
		case 0xc5: /* PEXTRW */
		case 0xd7: /* PMOVMSKB */
			return GPR_REG;
		case 0x2a: /* CVTSI2SS, CVTSI2SD */
			return i->rep ? GPR_RM : 0;
		case 0x7e: /* MOVD, MOVQ */
			return i->rep ? 0 : GPR_RM;
		case 0x6e:
		case 0xc4: /* PINSRW */
			return GPR_RM;
		}
	} else if (i->map == 3) {
		switch (i->opcode) {
		case 0x14: /* PEXTRB, PEXTRW, PEXTRD, EXTRACTPS */
		case 0x15:
		case 0x16:
		case 0x17:
		case 0x20: /* PINSRB, PINSRD */
		case 0x22:
			return GPR_RM;
		}
	}
	return 0;
}

static unsigned int gpr_fields(const struct x86_insn *i)
{
	switch (i->cls) {
	case X86_CLASS_GPR:
		if (op_at(i, 2, 0xf3)) /* BLSR and its group: reg is part of the opcode */
			return GPR_RM | GPR_VVVV;
		return GPR_REG | GPR_RM | (i->vex ? GPR_VVVV : 0);
	case X86_CLASS_MMX:
	case X86_CLASS_SSE:
	case X86_CLASS_AVX:
		return vec_gpr_fields(i);
	default:
		return 0;
	}
}

static bool is_pcmpstr(const struct x86_insn *i)
{
	return i->map == 3 && (i->opcode & ~3) == 0x60;
}

static bool is_vblendv(const struct x86_insn *i)
{
	return i->vex && i->map == 3 && i->opcode >= 0x4a && i->opcode <= 0x4c;
}

static bool is_fcmov(const struct x86_insn *i)
{
	return i->cls == X86_CLASS_X87 && (i->opcode & ~1) == 0xda && i->modrm >= 0xc0 &&
	       i->modrm < 0xe0;
}

static bool is_fcomi(const struct x86_insn *i)
{
	return i->cls == X86_CLASS_X87 && (i->opcode & ~4) == 0xdb && i->modrm >= 0xe8 &&
	       i->modrm < 0xf8;
}

int native_flags_use(const struct x86_insn *i)
{
	/* FCOMI does not write them when it raises an unmasked exception. */
	if (is_fcmov(i) || is_fcomi(i))
		return 2;
	switch (i->op) {
	case X86_OP_CRC32:
	case X86_OP_MULX:
	case X86_OP_PDEP:
	case X86_OP_PEXT:
	case X86_OP_RORX:
	case X86_OP_SARX:
	case X86_OP_SHLX:
	case X86_OP_SHRX:
		return 0;
	}
	if (i->cls == X86_CLASS_GPR)
		return 2;
	if (i->cls != X86_CLASS_SSE && i->cls != X86_CLASS_AVX)
		return 0;
	if (op_at(i, 1, 0x2e) || op_at(i, 1, 0x2f) || op_at(i, 2, 0x17) || is_pcmpstr(i))
		return 1;
	return i->vex && (op_at(i, 2, 0x0e) || op_at(i, 2, 0x0f)); /* VTESTPS, VTESTPD */
}

static bool vex_w(const struct x86_insn *i, unsigned int gpr)
{
	if (i->cls == X86_CLASS_GPR)
		return i->operand[0].size == 8;
	/* W means nothing for general registers outside 64-bit code, where the host takes it. */
	return i->vex_w && (i->code == X86_CODE_64 || !(gpr || is_pcmpstr(i)));
}

struct native_form native_form_of(const struct x86_insn *i)
{
	unsigned int gpr = gpr_fields(i);
	struct native_form f = { .mem = native_has_mem(i) };

	f.reg = gpr & GPR_REG ? FIELD_REG : (i->modrm >> 3 & 7) | (i->rex & 4) << 1;
	f.rm = gpr & GPR_RM ? FIELD_RM : (i->modrm & 7) | (i->rex & 1) << 3;
	if (f.mem)
		f.rm = RSI;
	f.vvvv = gpr & GPR_VVVV ? FIELD_VVVV : i->vex_v;
	if (op_at(i, 3, 0xf0)) /* RORX: vvvv names nothing */
		f.vvvv = 0;
	if (i->vex)
		f.w = vex_w(i, gpr);
	else
		f.w = i->cls == X86_CLASS_GPR ? i->operand[0].size == 8 : i->rex >> 3 & 1;
	return f;
}

/* -------- the instruction -------- */
static void emit_modrm(struct native_code *c, const struct x86_insn *i, const struct native_form *f)
{
	unsigned int n = f->disp == 0 ? 0 : f->disp == (int8_t)f->disp ? 1 : 4;

	byte(c, (f->mem ? (n + 1) / 2 << 6 : 0xc0) | (f->reg & 7) << 3 | (f->rm & 7));
	for (unsigned int k = 0; k < n; k++)
		byte(c, (uint32_t)f->disp >> 8 * k & 0xff);
}

/* 66, F3 or F2 that belongs to the opcode, as VEX's pp numbers them. */
static unsigned int pp(const struct x86_insn *i)
{
	return i->rep == 0xf3 ? 2 : i->rep == 0xf2 ? 3 : i->has_66 ? 1 : 0;
}

static void emit_vex(struct native_code *c, const struct x86_insn *i, const struct native_form *f)
{
	byte(c, 0xc4);
	byte(c, (f->reg & 8 ? 0 : 0x80) | 0x40 | (f->rm & 8 ? 0 : 0x20) | i->map);
	byte(c, f->w << 7 | (~f->vvvv & 15) << 3 | (i->vex_l ? 4 : 0) | pp(i));
	byte(c, i->opcode);
	emit_modrm(c, i, f);
}

static void legacy_prefixes(struct native_code *c, const struct x86_insn *i)
{
	if (i->cls != X86_CLASS_GPR) {
		if (i->rep)
			byte(c, i->rep);
		else if (i->has_66)
			byte(c, 0x66);
		return;
	}
	switch (i->op) {
	case X86_OP_ADCX:
		byte(c, 0x66);
		break;
	case X86_OP_ADOX:
		byte(c, 0xf3);
		break;
	case X86_OP_CRC32:
		if (i->operand[1].size == 2)
			byte(c, 0x66);
		byte(c, 0xf2);
		break;
	default:
		if (i->operand[0].size == 2)
			byte(c, 0x66);
		if (i->op == X86_OP_LZCNT || i->op == X86_OP_TZCNT || i->op == X86_OP_POPCNT)
			byte(c, 0xf3);
	}
}

static void emit_legacy(
	struct native_code *c, const struct x86_insn *i, const struct native_form *f)
{
	unsigned int rex = f->w << 3 | (f->reg & 8) >> 1 | (f->rm & 8) >> 3;

	legacy_prefixes(c, i);
	if (rex)
		byte(c, 0x40 | rex);
	byte(c, 0x0f);
	if (i->map == 2)
		byte(c, 0x38);
	if (i->map == 3)
		byte(c, 0x3a);
	byte(c, i->opcode);
	emit_modrm(c, i, f);
}

static void emit_x87(struct native_code *c, const struct x86_insn *i, const struct native_form *f)
{
	if (f->mem && f->rm & 8)
		byte(c, 0x41);
	byte(c, i->opcode);
	byte(c, f->mem ? (i->modrm & 0x38) | (f->rm & 7) : i->modrm);
}

void native_encode(struct native_code *c, const struct x86_insn *i, const struct native_form *f)
{
	if (i->cls == X86_CLASS_X87) {
		emit_x87(c, i, f);
		return;
	}
	if (i->vex) {
		emit_vex(c, i, f);
	} else {
		emit_legacy(c, i, f);
		if (op_at(i, 1, 0x77)) /* EMMS has no ModRM byte */
			c->n--;
	}
	if (i->imm_size) /* bit 7 is of a register's number in VBLENDV, where there are but eight */
		byte(c, i->imm & (is_vblendv(i) && i->code != X86_CODE_64 ? 0x7f : 0xff));
	for (int k = 0; k < i->n_operands; k++)
		if (i->operand[k].kind == X86_OPND_IMM2) /* EXTRQ, INSERTQ */
			byte(c, i->imm2 & 0xff);
}

/* -------- operands -------- */
/* The fields of the explicit general registers, in the order of the operands: Intel's order is the
 * destination first, and where it lies differs. */
static unsigned int gpr_order(const struct x86_insn *i, uint8_t order[3])
{
	unsigned int n = 0, gpr = gpr_fields(i);

	if (i->cls != X86_CLASS_GPR) {
		order[n++] = gpr & GPR_REG ? FIELD_REG : FIELD_RM;
		return n;
	}
	switch (i->op) {
	case X86_OP_BLSI:
	case X86_OP_BLSMSK:
	case X86_OP_BLSR:
		order[n++] = FIELD_VVVV;
		order[n++] = FIELD_RM;
		return n;
	case X86_OP_BEXTR:
	case X86_OP_BZHI:
	case X86_OP_SARX:
	case X86_OP_SHLX:
	case X86_OP_SHRX:
		order[n++] = FIELD_REG;
		order[n++] = FIELD_RM;
		order[n++] = FIELD_VVVV;
		return n;
	case X86_OP_ANDN:
	case X86_OP_MULX:
	case X86_OP_PDEP:
	case X86_OP_PEXT:
		order[n++] = FIELD_REG;
		order[n++] = FIELD_VVVV;
		order[n++] = FIELD_RM;
		return n;
	default: /* MOVBE to memory has its operands the other way round */
		if (i->operand[0].kind == X86_OPND_MEM) {
			order[n++] = FIELD_RM;
			order[n++] = FIELD_REG;
			return n;
		}
		order[n++] = FIELD_REG;
		order[n++] = FIELD_RM;
		return n;
	}
}

static void implied_gprs(const struct x86_insn *i, struct native_gpr *u, unsigned int *n)
{
	if (i->op == X86_OP_MULX) {
		u[(*n)++] = (struct native_gpr){ RDX, RDX, false, false };
	} else if (is_pcmpstr(i)) {
		if (!(i->opcode & 2)) { /* PCMPESTRM, PCMPESTRI: lengths */
			u[(*n)++] = (struct native_gpr){ RAX, RAX, false, false };
			u[(*n)++] = (struct native_gpr){ RDX, RDX, false, false };
		}
		if (i->opcode & 1) /* index */
			u[(*n)++] = (struct native_gpr){ RCX, RCX, true, false };
	} else if (i->cls == X86_CLASS_X87 && i->opcode == 0xdf && i->modrm == 0xe0) {
		u[(*n)++] = (struct native_gpr){ RAX, RAX, true, false }; /* FNSTSW AX */
	}
}

unsigned int native_gprs(const struct x86_insn *i, struct native_gpr *u)
{
	uint8_t order[3] = { 0 };
	unsigned int n = 0, place = 0;
	unsigned int places = gpr_fields(i) ? gpr_order(i, order) : 0;

	for (int k = 0; k < i->n_operands && place < places; k++) {
		const struct x86_operand *p = &i->operand[k];

		if (p->implicit || p->kind == X86_OPND_IMM)
			continue;
		if (p->kind == X86_OPND_GPR || p->kind == X86_OPND_GPR_H)
			u[n++] = (struct native_gpr){ order[place], p->reg,
				!!(p->access & X86_ACC_W), p->kind == X86_OPND_GPR_H };
		if (i->cls == X86_CLASS_GPR)
			place++; /* memory takes the place of rm */
	}
	implied_gprs(i, u, &n);
	return n;
}

static void emit_loads(struct native_code *c, const struct x86_insn *i, const struct native_gpr *u,
	unsigned int uses)
{
	for (unsigned int k = 0; k < uses; k++) {
		if (u[k].high) { /* movzx r32, byte */
			byte(c, 0x40 | (u[k].host & 8) >> 1);
			CODE(c, "\x0f\xb6");
			at_vcpu(c, u[k].host, gpr_off(u[k].guest) + 1);
		} else {
			gpr_move(c, 0x8b, u[k].host, gpr_off(u[k].guest));
		}
	}
	for (int k = 0; k < i->n_operands; k++)
		if (i->operand[k].kind == X86_OPND_VEC)
			vec_move(c, 0x10, i->operand[k].reg, i->vex, i->vex_l);
}

/* A whole YMM register after VEX: the upper half is zero when the instruction had 128 bits. The
 * destination of MULX that counts when both are one register is the first: stored last. */
static void emit_stores(struct native_code *c, const struct x86_insn *i, const struct native_gpr *u,
	unsigned int uses)
{
	for (unsigned int k = uses; k-- > 0;)
		if (u[k].write)
			gpr_move(c, 0x89, u[k].host, gpr_off(u[k].guest));
	for (int k = 0; k < i->n_operands; k++)
		if (i->operand[k].kind == X86_OPND_VEC && i->operand[k].access & X86_ACC_W)
			vec_move(c, 0x11, i->operand[k].reg, i->vex, true);
	if (is_pcmpstr(i) && !(i->opcode & 1)) /* PCMPxSTRM: the mask */
		vec_move(c, 0x11, 0, i->vex, true);
}

/* The six status flags from v->rflags into the host's. POPF would take ten times as long. rax and rcx
 * are lost, so before the loads. */
static void emit_flags_in(struct native_code *c)
{
	gpr_move(c, 0x8b, RCX, offsetof(struct soft_vcpu, rflags));
	CODE(c, "\x31\xc0"	   /* xor eax, eax */
		"\x0f\xba\xe1\x0b" /* bt ecx, 11 */
		"\x0f\x92\xc0"	   /* setc al */
		"\x88\xcc"	   /* mov ah, cl */
		"\x04\x7f"	   /* add al, 0x7f: OF if al was 1 */
		"\x9e");	   /* sahf */
}

static void emit_flags_out(struct native_code *c)
{
	CODE(c, "\x9c\x58" /* pushfq; pop rax */
		"\x25");   /* and eax, */
	for (int k = 0; k < 4; k++)
		byte(c, X86_FLAGS_STATUS >> 8 * k & 0xff);
	gpr_move(c, 0x8b, RCX, offsetof(struct soft_vcpu, rflags));
	CODE(c, "\x81\xe1"); /* and ecx, */
	for (int k = 0; k < 4; k++)
		byte(c, ~X86_FLAGS_STATUS >> 8 * k & 0xff);
	CODE(c, "\x09\xc8"); /* or eax, ecx */
	gpr_move(c, 0x89, RAX, offsetof(struct soft_vcpu, rflags));
}

bool native_emit(const struct x86_insn *i, struct native_code *c)
{
	struct native_form f = native_form_of(i);
	struct native_gpr u[NATIVE_GPRS];
	unsigned int uses = native_gprs(i, u);
	int flags = native_flags_use(i);

	c->n = 0;
	if (i->cls == X86_CLASS_INT || i->cls == X86_CLASS_FPST)
		return false;
	if (flags == 2)
		emit_flags_in(c);
	emit_loads(c, i, u, uses);
	native_encode(c, i, &f);
	emit_stores(c, i, u, uses);
	if (flags)
		emit_flags_out(c);
	if (i->vex && i->vex_l)
		CODE(c, "\xc5\xf8\x77"); /* vzeroupper: what the compiler's SSE code wants */
	CODE(c, "\x31\xc0\xc3");	 /* xor eax, eax; ret */
	return c->n <= sizeof(c->b);
}
