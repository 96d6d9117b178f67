// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * decode-compare random SEED COUNT [16|32|64]   random bytes, biased towards instructions
 * decode-compare file ELF...                    all code sections, one instruction after the other
 *
 * x86/decode.h against Capstone: valid or not, length, operands. Where Capstone 4 is wrong or means
 * something else, exceptions.h says so; those are counted apart. Status 0: no other difference.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
/* Names that both have: Capstone's registers are told by their text here. */
#define x86_insn capstone_x86_insn
#include <capstone/capstone.h>
#undef x86_insn
#include "x86/decode_table.h"
#include "decode-random.h"

#define SHOWN 60 /* differences printed, at most */

/* A Capstone register in our terms. */
struct reg {
	uint8_t kind, reg, size;
};

static struct reg regs[X86_REG_ENDING];
static csh handles[3];
static unsigned long n_same, n_invalid, n_known, n_wrong;

struct comparison {
	const uint8_t *bytes;
	enum x86_code code;
	enum x86_decode_result result;
	struct x86_insn ours;
	const cs_insn *cs; /* NULL: it found none */
};

/* -------- registers by name -------- */
static void numbered(
	const char *name, const char *prefix, uint8_t kind, uint8_t size, struct reg *r)
{
	size_t n = strlen(prefix);
	char *end;
	unsigned long v;

	if (strncmp(name, prefix, n) || !name[n])
		return;
	v = strtoul(name + n, &end, 10);
	if (!*end && v < 32)
		*r = (struct reg){ kind, (uint8_t)v, size };
}

static void listed(const char *name, const char *list, uint8_t kind, uint8_t size, struct reg *r)
{
	char word[8];
	int n;

	for (uint8_t i = 0; sscanf(list, "%7s%n", word, &n) == 1; i++, list += n)
		if (!strcmp(name, word))
			*r = (struct reg){ kind, i, size };
}

static struct reg reg_named(const char *name)
{
	struct reg r = { 0 };
	char r8[8];
	static const char suffix[] = "bwd";

	listed(name, "al cl dl bl spl bpl sil dil", X86_OPND_GPR, 1, &r);
	listed(name, "ah ch dh bh", X86_OPND_GPR_H, 1, &r);
	listed(name, "ax cx dx bx sp bp si di", X86_OPND_GPR, 2, &r);
	listed(name, "eax ecx edx ebx esp ebp esi edi", X86_OPND_GPR, 4, &r);
	listed(name, "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15", X86_OPND_GPR,
		8, &r);
	for (int s = 0; s < 3; s++)
		for (uint8_t i = 8; i < 16; i++) {
			snprintf(r8, sizeof(r8), "r%d%c", i, suffix[s]);
			if (!strcmp(name, r8))
				r = (struct reg){ X86_OPND_GPR, i, (uint8_t)(1 << s) };
		}
	listed(name, "es cs ss ds fs gs", X86_OPND_SEG, 2, &r);
	listed(name, "st(0) st(1) st(2) st(3) st(4) st(5) st(6) st(7)", X86_OPND_ST, 10, &r);
	numbered(name, "cr", X86_OPND_CR, 0, &r);
	numbered(name, "dr", X86_OPND_DR, 0, &r);
	numbered(name, "mm", X86_OPND_MMX, 8, &r);
	numbered(name, "xmm", X86_OPND_VEC, 16, &r);
	numbered(name, "ymm", X86_OPND_VEC, 32, &r);
	if (!strcmp(name, "eiz") || !strcmp(name, "riz"))
		r = (struct reg){ X86_OPND_GPR, 17, 8 };
	if (!strcmp(name, "rip") || !strcmp(name, "eip"))
		r = (struct reg){ X86_OPND_GPR, 16, 8 };
	return r;
}

static bool open_capstone(void)
{
	static const cs_mode modes[] = { CS_MODE_16, CS_MODE_32, CS_MODE_64 };

	for (int i = 0; i < 3; i++)
		if (cs_open(CS_ARCH_X86, modes[i], &handles[i]) ||
			cs_option(handles[i], CS_OPT_DETAIL, CS_OPT_ON))
			return false;
	for (unsigned int i = 1; i < X86_REG_ENDING; i++) {
		const char *name = cs_reg_name(handles[2], i);

		if (name)
			regs[i] = reg_named(name);
	}
	return true;
}

/* -------- operands -------- */
static uint64_t mask(uint64_t v, unsigned int size)
{
	return size >= 8 ? v : v & ((1ull << size * 8) - 1);
}

static bool same_mem(const struct comparison *c, const struct x86_operand *o, const x86_op_mem *m)
{
	const struct x86_insn *i = &c->ours;
	unsigned int base = i->base, index = i->index;
	int64_t disp = i->disp;

	if (o->implicit) { /* [rsi], [rdi] */
		base = o->reg;
		index = 17;
		disp = 0;
	}
	if (index != 17 && (!m->index || 1 << i->scale != m->scale))
		return false;
	if ((m->index ? regs[m->index].reg : 17) != index) /* (17 is eiz and riz, too) */
		return false;
	if ((m->base ? regs[m->base].reg : 17) != base)
		return false;
	if (mask((uint64_t)disp, i->addrsize) != mask((uint64_t)m->disp, i->addrsize))
		return false;
	/* Capstone names overrides that 64-bit code ignores, and no defaults. */
	if (!m->segment || (c->code == X86_CODE_64 && regs[m->segment].reg < X86_FS))
		return true;
	return regs[m->segment].reg == i->seg || o->implicit;
}

static bool same_imm(const struct comparison *c, const struct x86_operand *o, uint64_t imm)
{
	const struct x86_insn *i = &c->ours;
	unsigned int size = o->size ? o->size : 8;

	switch (o->kind) {
	case X86_OPND_IMM:
		return mask(i->imm, size) == mask(imm, size);
	case X86_OPND_IMM2:
		return i->imm2 == (imm & 0xff);
	case X86_OPND_ONE:
		return imm == 1;
	case X86_OPND_REL:
		return mask(i->imm + i->len, i->opsize) == mask(imm, i->opsize);
	}
	return false;
}

static bool same_operand(
	const struct comparison *c, const struct x86_operand *o, const cs_x86_op *k)
{
	const struct reg *r;

	switch ((int)k->type) {
	case X86_OP_REG:
		r = &regs[k->reg];
		return o->kind == r->kind && o->reg == r->reg &&
		       (r->kind != X86_OPND_GPR || o->size == r->size) &&
		       (r->kind != X86_OPND_VEC || o->size == r->size);
	case X86_OP_IMM:
		return same_imm(c, o, (uint64_t)k->imm);
	case X86_OP_MEM:
		return o->kind == X86_OPND_MEM && same_mem(c, o, &k->mem);
	}
	return false;
}

/* Capstone's list in our order; what is implicit it may leave out. */
static bool same_operands(const struct comparison *c)
{
	const cs_x86 *x = &c->cs->detail->x86;
	int k = 0;

	for (int n = 0; n < c->ours.n_operands; n++) {
		const struct x86_operand *o = &c->ours.operand[n];

		if (o->kind == X86_OPND_FAR && k + 1 < x->op_count &&
			(uint64_t)x->operands[k].imm == c->ours.imm2 &&
			mask((uint64_t)x->operands[k + 1].imm, c->ours.opsize) == c->ours.imm)
			k += 2;
		else if (k < x->op_count && same_operand(c, o, &x->operands[k]))
			k++;
		else if (!o->implicit)
			return false;
	}
	return k == x->op_count;
}

/* -------- one instruction -------- */
/* What follows the prefixes. */
static const uint8_t *opcode_of(const uint8_t *p, enum x86_code code)
{
	const uint8_t *end = p + 14;

	while (p < end && (memchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3", *p, 11) ||
				  (code == X86_CODE_64 && (*p & 0xf0) == 0x40)))
		p++;
	return p;
}

static bool wants(const struct x86_row *r, uint32_t bits)
{
	return (r->match >> 32 & bits) == bits && ((uint32_t)r->match & bits) == bits;
}

#include "decode-exceptions.h"

/* One example of a row and Capstone's instruction is enough. */
static bool first_of_kind(const struct comparison *c)
{
	static uint32_t seen[SHOWN];
	static unsigned int n;
	uint32_t key = (c->result == X86_DECODE_OK ? c->ours.row + 1u : 0) << 16 |
		       (c->cs ? c->cs->id : 0);

	for (unsigned int i = 0; i < n; i++)
		if (seen[i] == key)
			return false;
	if (n == SHOWN)
		return false;
	seen[n++] = key;
	return true;
}

static void show(const struct comparison *c, const char *what)
{
	unsigned int n = c->result == X86_DECODE_OK ? c->ours.len : c->cs ? c->cs->size : 15;
	char text[128] = "-";
	static const int bits[] = { 16, 32, 64 };

	n_wrong++;
	if (!first_of_kind(c))
		return;
	if (c->result == X86_DECODE_OK)
		x86_row_text(c->ours.row, text, sizeof(text));
	printf("%s: %d:", what, bits[c->code]);
	for (unsigned int i = 0; i < n; i++)
		printf(" %02x", c->bytes[i]);
	printf("\n    ours (%d): %s\n    capstone (%d): %s %s\n",
		c->result == X86_DECODE_OK ? c->ours.len : -(int)c->result, text,
		c->cs ? c->cs->size : 0, c->cs ? c->cs->mnemonic : "-", c->cs ? c->cs->op_str : "");
}

static const char *difference(const struct comparison *c)
{
	if (c->result != X86_DECODE_OK)
		return c->cs ? "invalid here" : NULL;
	if (!c->cs)
		return "valid here";
	if (c->cs->size != c->ours.len)
		return "length";
	return same_operands(c) ? NULL : "operands";
}

static unsigned int compare(const uint8_t *p, size_t n, enum x86_code code)
{
	struct comparison c = { .bytes = p, .code = code };
	cs_insn *insn = NULL;
	const char *what;

	c.result = x86_decode(p, n, code, &c.ours);
	if (cs_disasm(handles[code], p, n < 15 ? n : 15, 0, 1, &insn))
		c.cs = insn;
	what = difference(&c);
	if (!what && c.cs)
		n_same++;
	else if (!what)
		n_invalid++;
	else if (known_exception(&c))
		n_known++;
	else
		show(&c, what);
	if (insn)
		cs_free(insn, 1);
	return c.result == X86_DECODE_OK ? c.ours.len : 1;
}

/* The same instruction with those prefixes only that mean something, once and in the usual order:
 * others confuse Capstone (and decode-host knows better). Returns the length. */
static size_t tidied(const uint8_t *bytes, const struct x86_insn *i, uint8_t *p)
{
	static const uint8_t segs[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
	const struct x86_row *r = &x86_table[i->row];
	const uint8_t *rest = opcode_of(bytes, i->code);
	size_t n = 0, len = i->len - (size_t)(rest - bytes);
	bool wants_rep = wants(r, 2u << KEY_PP_SHIFT), wants_66 = wants(r, 1u << KEY_PP_SHIFT);

	if (memchr(bytes, segs[i->seg], (size_t)(rest - bytes)) &&
		(i->code != X86_CODE_64 || i->seg >= X86_FS))
		p[n++] = segs[i->seg];
	if (i->addrsize != (i->code == X86_CODE_64 ? 8 : i->code == X86_CODE_32 ? 4 : 2))
		p[n++] = 0x67;
	if (i->lock)
		p[n++] = 0xf0;
	if (i->has_66 && !i->vex && (!(r->flags & ROW_NO66) || (wants_66 && !wants_rep)))
		p[n++] = 0x66;
	if (i->rep && !i->vex && (wants_rep || i->flags & X86_I_STRING))
		p[n++] = i->rep;
	if (i->rex && !i->vex)
		p[n++] = i->rex;
	memcpy(p + n, rest, len);
	return n + len;
}

/* -------- random bytes -------- */
static int compare_random(unsigned long seed, unsigned long count, int bits)
{
	printf("seed %lu\n", seed);
	random_seed(seed);
	for (unsigned long i = 0; i < count; i++) {
		uint8_t bytes[32], tidy[32];
		struct x86_insn insn;
		enum x86_code code = bits == 16	  ? X86_CODE_16
				     : bits == 32 ? X86_CODE_32
				     : bits == 64 ? X86_CODE_64
						  : (enum x86_code)(i % 3);

		random_bytes(bytes, code);
		if (x86_decode(bytes, sizeof(bytes), code, &insn) == X86_DECODE_OK)
			compare(tidy, tidied(bytes, &insn, tidy), code);
		else
			compare(bytes, sizeof(bytes), code);
	}
	return 0;
}

/* -------- ELF files -------- */
static void sweep(const uint8_t *p, size_t n, enum x86_code code)
{
	for (size_t at = 0; at < n;)
		at += compare(p + at, n - at, code);
}

static bool sweep_elf64(const uint8_t *p, size_t n)
{
	const Elf64_Ehdr *h = (const void *)p;
	const Elf64_Shdr *s = (const void *)(p + h->e_shoff);

	if (h->e_shoff > n || h->e_shnum * sizeof(*s) > n - h->e_shoff)
		return false;
	for (int i = 0; i < h->e_shnum; i++, s++)
		if (s->sh_type == SHT_PROGBITS && (s->sh_flags & SHF_EXECINSTR) &&
			s->sh_offset <= n && s->sh_size <= n - s->sh_offset)
			sweep(p + s->sh_offset, s->sh_size, X86_CODE_64);
	return true;
}

static bool sweep_elf32(const uint8_t *p, size_t n)
{
	const Elf32_Ehdr *h = (const void *)p;
	const Elf32_Shdr *s = (const void *)(p + h->e_shoff);

	if (h->e_shoff > n || h->e_shnum * sizeof(*s) > n - h->e_shoff)
		return false;
	for (int i = 0; i < h->e_shnum; i++, s++)
		if (s->sh_type == SHT_PROGBITS && (s->sh_flags & SHF_EXECINSTR) &&
			s->sh_offset <= n && s->sh_size <= n - s->sh_offset)
			sweep(p + s->sh_offset, s->sh_size, X86_CODE_32);
	return true;
}

static bool compare_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const uint8_t *p = MAP_FAILED;
	struct stat st;
	bool ok = false;

	if (fd >= 0 && !fstat(fd, &st) && st.st_size >= (off_t)sizeof(Elf64_Ehdr))
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (fd >= 0)
		close(fd);
	if (p == MAP_FAILED)
		return false;
	if (!memcmp(p, ELFMAG, SELFMAG))
		ok = p[EI_CLASS] == ELFCLASS64 ? sweep_elf64(p, (size_t)st.st_size)
					       : sweep_elf32(p, (size_t)st.st_size);
	munmap((void *)(uintptr_t)p, (size_t)st.st_size);
	return ok;
}

int main(int argc, char **argv)
{
	bool ok = false;

	if (!open_capstone()) {
		fprintf(stderr, "decode-compare: Capstone does not start\n");
		return 77;
	}
	if (argc >= 4 && !strcmp(argv[1], "random")) {
		unsigned long seed = strtoul(argv[2], NULL, 0);

		if (!seed)
			seed = (unsigned long)getpid() * 2654435761u + (unsigned long)time(NULL);
		compare_random(seed, strtoul(argv[3], NULL, 0), argc > 4 ? atoi(argv[4]) : 0);
		ok = true;
	} else if (argc >= 3 && !strcmp(argv[1], "file")) {
		ok = true;
		for (int i = 2; i < argc; i++)
			if (!compare_file(argv[i])) {
				fprintf(stderr, "decode-compare: cannot read '%s' as ELF\n",
					argv[i]);
				ok = false;
			}
	} else {
		fprintf(stderr, "usage: decode-compare random SEED COUNT [16|32|64]\n"
				"       decode-compare file ELF...\n");
	}
	if (ok)
		printf("same %lu, invalid for both %lu, known exceptions %lu, different %lu\n",
			n_same, n_invalid, n_known, n_wrong);
	return !ok ? 2 : n_wrong != 0;
}
