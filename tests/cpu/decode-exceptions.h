// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * decode-exceptions - where decode-compare.c does not believe Capstone 4, and why. Included there. What
 * is and what is no instruction was settled by decode-host on a CPU.
 */

static bool mnemonic_is(const struct comparison *c, const char *list)
{
	char word[24];
	int n;

	for (; sscanf(list, "%23s%n", word, &n) == 1; list += n) {
		size_t len = strlen(word);

		if (word[len - 1] == '*' ? !strncmp(c->cs->mnemonic, word, len - 1)
					 : !strcmp(c->cs->mnemonic, word))
			return true;
	}
	return false;
}

static bool prefixed(const struct comparison *c, const char *bytes)
{
	const uint8_t *end = opcode_of(c->bytes, c->code);

	for (const uint8_t *p = c->bytes; p < end; p++)
		if (strchr(bytes, *p))
			return true;
	return false;
}

/* Would the bytes be an instruction without these prefixes? */
static bool valid_without(const struct comparison *c, const char *prefixes)
{
	const uint8_t *end = opcode_of(c->bytes, c->code);
	struct x86_insn i;
	uint8_t p[32];
	size_t n = 0;

	for (const uint8_t *q = c->bytes; q < end; q++)
		if (!strchr(prefixes, *q))
			p[n++] = *q;
	memcpy(p + n, end, 16);
	return x86_decode(p, 15, c->code, &i) == X86_DECODE_OK;
}

static bool valid_with_w(const struct comparison *c, const uint8_t *vex)
{
	struct x86_insn i;
	uint8_t p[16];

	memcpy(p, vex, 15);
	p[2] ^= 0x80;
	return x86_decode(p, 15, c->code, &i) == X86_DECODE_OK;
}

static const char *more_vex(const struct comparison *c, const uint8_t *p)
{
	if (prefixed(c, "\x66\xf0\xf2\xf3") || (p > c->bytes && (p[-1] & 0xf0) == 0x40))
		return "VEX behind a prefix that is not allowed there";
	if (p[0] == 0xc4 && (p[1] & 0x1f) == 3 && p[3] >= 0x48 && p[3] <= 0x7f)
		return "FMA4, VPERMIL2: not here";
	if (mnemonic_is(c, "k*"))
		return "AVX-512: not here";
	if (p[0] == 0xc4 && valid_with_w(c, p))
		return "VEX.W the other way is none";
	if (c->code != X86_CODE_64 && p[0] == 0xc4 && !(p[2] & 0x40))
		return "an unused vvvv with its highest bit clear";
	if (mnemonic_is(c, "vpgather* vgather*"))
		return "gather with the same register twice";
	return NULL;
}

/* Capstone found what is none here. */
static const char *more(const struct comparison *c)
{
	static const char *const sets[] = { "\xf0", "\xf2\xf3", "\x66\xf2\xf3", "\xf0\xf2\xf3",
		"\xf0\x66\xf2\xf3" };
	const uint8_t *p = opcode_of(c->bytes, c->code);

	if (p[0] == 0x62 || p[0] == 0x8f || (p[0] == 0x0f && p[1] == 0x0f))
		return "EVEX, XOP, 3DNow!: not here";
	if ((p[0] & 0xfe) == 0xc4)
		return more_vex(c, p);
	for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++)
		if (prefixed(c, sets[i]) && valid_without(c, sets[i]))
			return "LOCK or mandatory prefix where there is none";
	if (p[0] == 0x0f && prefixed(c, "\x67") && c->cs->detail->x86.rex)
		return "67 and REX hide 66";
	if (c->code != X86_CODE_64 && mnemonic_is(c, "swapgs"))
		return "64-bit code only";
	if (p[0] == 0x8e)
		return "MOV to CS";
	if (mnemonic_is(c, "extrq"))
		return "with another /n than 0";
	if (p[0] == 0x0f && p[1] >= 0x20 && p[1] <= 0x23)
		return "control or debug register that is none";
	if (mnemonic_is(c, "getsec femms vm* inv* encls enclu xtest xend xbegin xabort skinit clgi "
			   "stgi clac monitorx mwaitx clzero bnd* rdssp* jmpe xstore xcrypt* "
			   "xstorerng montmul xsha* loadall syscall"))
		return "not here";
	return NULL;
}

/* Capstone does not know it. */
static const char *unknown(const struct comparison *c)
{
	switch (c->ours.op) {
	case X86_OP_NOP:
	case X86_OP_PREFETCH:
	case X86_OP_UD0:
	case X86_OP_UD1:
		return "hint or invalid on purpose: not all forms";
	case X86_OP_MOV_TO_SEG:
	case X86_OP_MOV_FROM_SEG:
		return "with REX.R";
	case X86_OP_LFENCE:
	case X86_OP_MFENCE:
	case X86_OP_SFENCE:
		return "ModRM.rm other than 0";
	case X86_OP_MOV_FROM_CR:
	case X86_OP_MOV_TO_CR:
		return c->ours.lock ? "AMD's CR8" : NULL;
	case X86_OP_RET:
		return "REX.W and 66";
	case X86_OP_RDPKRU:
	case X86_OP_WRPKRU:
	case X86_OP_RDPID:
	case X86_OP_CLWB:
	case X86_OP_VBROADCASTI128:
		return "new";
	}
	if (c->ours.feature == X86_FEAT_VAES || c->ours.feature == X86_FEAT_VPCLMUL ||
		c->ours.feature == X86_FEAT_GFNI)
		return "new";
	return NULL;
}

static const char *operands_differ(const struct comparison *c)
{
	const struct x86_insn *i = &c->ours;

	switch (i->op) {
	case X86_OP_NOP:
	case X86_OP_UD0:
	case X86_OP_UD1:
		return "operands without meaning";
	case X86_OP_XCHG:
		return i->operand[1].implicit ? "the other order" : NULL;
	case X86_OP_MOVSXD:
		return i->rex & 8 ? NULL : "64 bits without REX.W, 16 from 32";
	case X86_OP_CMPPS:
	case X86_OP_CMPPD:
	case X86_OP_CMPSS:
	case X86_OP_CMPSD:
		return i->imm < 32 ? "predicate in the name" : NULL;
	case X86_OP_SCAS:
	case X86_OP_LODS:
	case X86_OP_STOS:
	case X86_OP_MOVS:
	case X86_OP_CMPS:
		return i->rep && i->opsize == 2 ? "66 and REP" : NULL;
	case X86_OP_IN:
	case X86_OP_OUT:
		return i->rex & 8 ? "REX.W makes it 16 bits there" : NULL;
	case X86_OP_LAR:
	case X86_OP_LSL:
		return "source's size";
	case X86_OP_MOVQ:
		return i->rex & 8 ? "MMX with REX.W there" : NULL;
	case X86_OP_PUSH:
		return i->rex & 8 ? "66 or 67, and REX.W" : NULL;
	case X86_OP_CALL:
	case X86_OP_JMP:
	case X86_OP_JCC:
	case X86_OP_LOOP:
	case X86_OP_LOOPE:
	case X86_OP_LOOPNE:
	case X86_OP_JCXZ:
		if (c->code == X86_CODE_64)
			return i->has_66 || i->rex & 8 ? "AMD's 16-bit branches" : NULL;
		return i->has_66 || prefixed(c, "\x67") ? "66 or 67" : NULL;
	case X86_OP_AAM:
	case X86_OP_AAD:
		return i->imm == 10 ? "the default base" : NULL;
	case X86_OP_PAUSE:
		return i->rex ? "REX.W" : NULL;
	case X86_OP_RDPID:
		return "new";
	case X86_OP_MOV_TO_SEG:
		return "source's size";
	}
	if (i->cls == X86_CLASS_MMX && i->rex && i->addrsize == 4)
		return "67 and REX make it XMM there";
	if (c->code != X86_CODE_64 && i->n_operands == 4 && i->operand[3].kind == X86_OPND_VEC &&
		c->bytes[i->len - 1] & 0x80)
		return "highest bit of the fourth register";
	if (i->cls == X86_CLASS_X87 && i->modrm >= 0xc0)
		return "ST named or not";
	return NULL;
}

static const char *known_exception(const struct comparison *c)
{
	const struct x86_row *r = &x86_table[c->ours.row];

	if (c->code == X86_CODE_16 && c->result == X86_DECODE_OK && r->match >> 32 & KEY_PP &&
		(uint32_t)r->match & KEY_PP && !c->ours.vex)
		return "mandatory prefixes are not seen in 16-bit code";
	if (c->result != X86_DECODE_OK)
		return more(c);
	if (!c->cs)
		return unknown(c);
	if (c->cs->size != c->ours.len) {
		if (c->ours.op == X86_OP_UD0 || c->ours.op == X86_OP_UD1)
			return "UD0, UD1 without ModRM there";
		if (c->ours.rex & 8 && c->ours.flags & X86_I_BRANCH)
			return "67 and REX.W make it 16 bits there";
		return NULL;
	}
	return operands_differ(c);
}
