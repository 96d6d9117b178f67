// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes tests. What instructions there are it learns from the decoder: gen_init() runs through
 * prefixes, opcodes and ModRM bytes and keeps some encodings of each row as templates. A test is a
 * function of (seed, number): a template with its bytes shaken (and taken when it still decodes to
 * that row), then registers set so that its memory operands mostly lie in the data pages.
 */
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>
#include "base/random.h"
#include "base/wire.h"
#include "gen_int.h"

#define TEMPLATES 12
struct template
{
	uint8_t byte[X86_INSN_MAX];
	uint8_t len;
};
struct row_templates {
	uint32_t seen;
	uint8_t n;
	struct template t[TEMPLATES];
};

struct gen_row *gen_rows;
static struct row_templates *templates[3]; /* by mode, then row */
static uint16_t *pick[3];		   /* rows that can be tested in that mode */
static uint32_t n_pick[3];
static bool have_low;

/* -------- random -------- */
static uint64_t rnd; /* the state; set anew for each test */

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t x = a * 0x9e3779b97f4a7c15ull + b * 0xd1b54a32d192ed03ull + 0x2545f4914f6cdd1dull;

	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	x ^= x >> 32;
	return x ? x : 1;
}
uint64_t gen_r64(void)
{
	return test_random(&rnd) * 0x2545f4914f6cdd1dull;
}
uint32_t gen_below(uint32_t n)
{
	return (uint32_t)((gen_r64() >> 32) * n >> 32);
}

/* -------- what is not tested -------- */
bool gen_takes_mask(const struct x86_insn *i)
{
	return i->op == X86_OP_XSAVE || i->op == X86_OP_XSAVEC || i->op == X86_OP_XSAVEOPT ||
	       i->op == X86_OP_XRSTOR;
}

/* Comes first if at all: the mask in EDX:EAX must stay, and the x87 pointers are better left at 0, because
 * AMD's CPUs save them only with an exception. */
bool gen_alone(const struct x86_insn *i)
{
	return gen_takes_mask(i) || i->op == X86_OP_FXSAVE;
}

static bool uses_gpr(const struct x86_insn *i, uint8_t reg)
{
	return i->base == reg || i->index == reg;
}

/* Whether the kernel has protection keys on, which the guest of these tests has not. */
static bool host_has_keys(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && ecx & bit_OSPKE;
}

const char *gen_op_left_out(const struct x86_insn *i)
{
	if (gen_takes_mask(i) && (uses_gpr(i, X86_RAX) || uses_gpr(i, X86_RDX)))
		return "would need the mask as an address";
	switch (i->op) {
	case X86_OP_SYSCALL:
	case X86_OP_SYSENTER:
		return "enters the kernel";
	case X86_OP_SGDT:
	case X86_OP_SIDT:
	case X86_OP_SLDT:
	case X86_OP_STR:
	case X86_OP_SMSW:
		return "Linux emulates what UMIP stops";
	case X86_OP_LOOPE:
	case X86_OP_LOOPNE:
		/* AMD's CPUs let F2 and F3 choose the condition. */
		return i->rep ? "F2 and F3 are reserved" : NULL;
	case X86_OP_JMPF:
	case X86_OP_CALLF:
		/* The engine does as Intel's on all: see far.c. */
		return i->opsize == 8 ? "AMD's CPUs take 32 bits of offset" : NULL;
	case X86_OP_CPUID:
		return "the guest's CPU model is another";
	case X86_OP_XGETBV:
		return "the guest's XCR0 is another";
	case X86_OP_RDTSC:
	case X86_OP_RDTSCP:
	case X86_OP_RDRAND:
	case X86_OP_RDSEED:
		return "never the same twice";
	case X86_OP_VMCALL:
	case X86_OP_VMMCALL:
		return "calls the host's hypervisor";
	case X86_OP_INT1:
		return "under KVM the return address is the instruction's";
	case X86_OP_RDPKRU:
	case X86_OP_WRPKRU:
		/* They would be about the pages of the native side, and WRPKRU would take them away. */
		return host_has_keys() ? "the guest has no protection keys" : NULL;
	default:
		return NULL;
	}
}

/* -------- finding the rows -------- */
static void keep(enum x86_code mode, const uint8_t *p, const struct x86_insn *i)
{
	struct row_templates *r = &templates[mode][i->row];
	uint32_t slot = r->seen < TEMPLATES ? r->seen : gen_below(r->seen + 1);

	r->seen++;
	if (slot >= TEMPLATES)
		return;
	if (slot >= r->n)
		r->n = (uint8_t)(slot + 1);
	memcpy(r->t[slot].byte, p, i->len);
	r->t[slot].len = i->len;
}

/* All values of the ModRM byte at @at, if the instruction has one: else once. */
static void try_modrm(enum x86_code mode, uint8_t *p, uint32_t at, const bool *feature)
{
	static const uint8_t mods[] = { 0x00, 0x40, 0x80, 0xc0 };

	for (uint32_t m = 0; m < 256; m++) {
		struct x86_insn i;
		const char *out;

		p[at] = (uint8_t)(mods[m >> 6] | (m & 63));
		if (x86_decode(p, X86_INSN_MAX, mode, &i) != X86_DECODE_OK)
			continue;
		out = gen_op_left_out(&i);
		if (!out &&
			(!feature[i.feature] || (i.cls == X86_CLASS_AVX && !feature[X86_FEAT_AVX])))
			out = "the guest's CPU does not have it";
		if (out)
			gen_rows[i.row].left_out = out; /* told when no form of it is tested */
		else
			keep(mode, p, &i);
		if (!(i.flags & X86_I_MODRM) && i.modrm_off == 0 && i.len <= at)
			return;
		if (!(i.flags & X86_I_MODRM))
			return;
	}
}

static void fill(uint8_t *p, uint32_t from)
{
	for (uint32_t i = from; i < X86_INSN_MAX + 1; i++)
		p[i] = (uint8_t)gen_r64();
}

static void find_legacy(enum x86_code mode, const bool *feature)
{
	static const char *const prefixes[] = { "", "\x66", "\xf3", "\xf2", "\x67", "\xf0",
		"\x66\xf2", "\x66\xf3", "\x48", "\xf0\x48", "\x66\x48", "\xf3\x48", "\xf2\x48",
		"\xf3\x67", "\x41", "\x49" };
	static const char *const maps[] = { "", "\x0f", "\x0f\x38", "\x0f\x3a" };
	uint8_t p[X86_INSN_MAX + 1];

	for (uint32_t k = 0; k < ARRAY_SIZE(prefixes); k++)
		for (uint32_t map = 0; map < 4; map++)
			for (uint32_t op = 0; op < 256; op++) {
				uint32_t n = (uint32_t)strlen(prefixes[k]);

				memcpy(p, prefixes[k], n);
				memcpy(p + n, maps[map], strlen(maps[map]));
				n += (uint32_t)strlen(maps[map]);
				p[n++] = (uint8_t)op;
				fill(p, n);
				try_modrm(mode, p, n, feature);
			}
}

static void find_vex(enum x86_code mode, const bool *feature)
{
	uint8_t p[X86_INSN_MAX + 1];

	for (uint32_t map = 1; map <= 3; map++)
		for (uint32_t pp = 0; pp < 4; pp++)
			for (uint32_t lw = 0; lw < 8; lw++)
				for (uint32_t op = 0; op < 256; op++) {
					bool no_vvvv = lw & 4;

					p[0] = 0xc4;
					p[1] = (uint8_t)(0xe0 | map);
					p[2] = (uint8_t)((lw & 1) << 7 | (lw & 2) << 1 | pp |
							 (no_vvvv ? 0x78 : 8 | (gen_r64() & 0x30)));
					p[3] = (uint8_t)op;
					fill(p, 4);
					try_modrm(mode, p, 4, feature);
				}
}

bool gen_init(const bool *feature, bool low)
{
	uint32_t rows = x86_rows();

	have_low = low;
	rnd = 1;
	gen_rows = calloc(rows, sizeof(*gen_rows));
	if (!gen_rows)
		abort();
	for (int mode = 0; mode < 3; mode++) {
		templates[mode] = calloc(rows, sizeof(**templates));
		pick[mode] = calloc(rows, sizeof(**pick));
		if (!templates[mode] || !pick[mode])
			abort();
		find_legacy((enum x86_code)mode, feature);
		find_vex((enum x86_code)mode, feature);
		for (uint32_t i = 0; i < rows; i++) {
			gen_rows[i].found[mode] = templates[mode][i].n;
			if (templates[mode][i].n)
				pick[mode][n_pick[mode]++] = (uint16_t)i;
		}
	}
	return true;
}

bool gen_only_rows(const char *text)
{
	char *end, row[128];
	unsigned long number = strtoul(text, &end, 10);
	bool by_number = *text && !*end, any = false;

	for (int mode = 0; mode < 3; mode++) {
		uint32_t n = 0;

		for (uint32_t i = 0; i < n_pick[mode]; i++) {
			x86_row_text(pick[mode][i], row, sizeof(row));
			if (by_number ? pick[mode][i] == number : !!strstr(row, text))
				pick[mode][n++] = pick[mode][i];
		}
		n_pick[mode] = n;
		any |= n;
	}
	return any;
}

/* -------- values -------- */
static uint32_t random_float(void)
{
	static const uint32_t special[] = { 0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000,
		0xff800000, 0x7fc00000, 0x7f800001, 1, 0x807fffff, 0x00800000, 0x7f7fffff,
		0x4f000000, 0xcf000000, 0x3f000000, 0x5f000000 };

	if (gen_one_in(3))
		return special[gen_below(ARRAY_SIZE(special))];
	return (uint32_t)((gen_r64() & 0x807fffff) | (0x70 + gen_below(0x20)) << 23);
}

static uint64_t random_double(void)
{
	static const uint64_t special[] = { 0, 1ull << 63, 0x3ff0000000000000, 0xbff0000000000000,
		0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001, 1,
		0x800fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff, 0x41e0000000000000,
		0xc3e0000000000000, 0x3fe0000000000000, 0x47efffffe0000000 };

	if (gen_one_in(3))
		return special[gen_below(ARRAY_SIZE(special))];
	return (gen_r64() & 0x800fffffffffffff) | (uint64_t)(0x3e0 + gen_below(0x40)) << 52;
}

uint64_t gen_integer(void)
{
	switch (gen_below(8)) {
	case 0:
		return gen_below(64);
	case 1:
		return -(uint64_t)gen_below(64);
	case 2:
		return 1ull << gen_below(64);
	case 3:
		return (1ull << gen_below(64)) - 1;
	case 4:
		return gen_r64() >> gen_below(64);
	case 5:
		return DATA + gen_below(DATA_SPAN);
	case 6:
		return (uint64_t)(int64_t)(int32_t)gen_r64();
	default:
		return gen_r64();
	}
}

/* Eight bytes of data: also of the kinds that vectors and far pointers are made of. */
static uint64_t random_data(void)
{
	static const uint16_t sels[] = { SEL_DATA, SEL_CODE32, SEL_CODE64, 0, 3,
		LDT_SEL(LDT_DATA16), LDT_SEL(LDT_CODE32), LDT_SEL(LDT_CODE16), LDT_SEL(LDT_RO),
		LDT_SEL(LDT_MISSING) };

	switch (gen_below(12)) {
	case 0:
	case 1:
		return random_double();
	case 2:
	case 3:
		return random_float() | (uint64_t)random_float() << 32;
	case 4:
		return CODE + gen_below(CODE_PAGES * PAGE);
	case 5:
		return sels[gen_below(ARRAY_SIZE(sels))];
	case 6:
		return sels[gen_below(ARRAY_SIZE(sels))] |
		       (uint64_t)(CODE + gen_below(PAGE)) << 16 |
		       (uint64_t)sels[gen_below(ARRAY_SIZE(sels))] << 48;
	case 7:
		return (CODE + gen_below(PAGE)) | (uint64_t)sels[gen_below(ARRAY_SIZE(sels))] << 32;
	case 8:
	case 9:
		return gen_integer();
	default:
		return gen_r64();
	}
}

static uint32_t random_mxcsr(void)
{
	uint32_t v = gen_one_in(4) ? (uint32_t)gen_r64() & 0x1f80 : 0x1f80;

	v |= (uint32_t)gen_below(4) << 13;
	if (gen_one_in(4))
		v |= (uint32_t)gen_r64() & 0x3f; /* flags */
	if (gen_one_in(8))
		v |= 0x8000; /* FZ */
	if (gen_one_in(8))
		v |= 0x40; /* DAZ */
	return v;
}

static void random_st(uint8_t *p)
{
	static const uint64_t mantissa[] = { 1ull << 63, 0, 3ull << 62, (1ull << 63) | 1, 1 };
	uint16_t exponent;
	uint64_t m = gen_one_in(4) ? mantissa[gen_below(ARRAY_SIZE(mantissa))]
				   : gen_r64() | 1ull << 63;

	switch (gen_below(8)) {
	case 0:
		exponent = 0;
		if (gen_one_in(2))
			m &= ~(1ull << 63);
		break;
	case 1:
		exponent = 0x7fff;
		break;
	case 2:
		exponent = (uint16_t)(gen_r64() & 0x7fff);
		break;
	default:
		exponent = (uint16_t)(0x3fff - 20 + gen_below(90));
	}
	if (gen_one_in(32))
		m = gen_r64();
	wr_le64(p, m);
	wr_le16(p + 8, (uint16_t)(exponent | (gen_r64() & 0x8000)));
}

static void random_x87(uint8_t *fx)
{
	uint16_t fcw = gen_one_in(3) ? (uint16_t)(gen_r64() & 0x1f7f) | 0x40 : 0x37f;
	uint16_t fsw = (uint16_t)(gen_r64() & 0x7f00), flags = (uint16_t)(gen_r64() & 0x7f);

	if (gen_one_in(2))
		fcw = (uint16_t)((fcw & ~0xf00) | gen_below(16) << 8);
	if (gen_one_in(3))
		fsw = (uint16_t)(fsw & ~0x3800); /* TOP 0 */
	if (gen_one_in(4) && (gen_one_in(6) || !(flags & ~fcw & 0x3f)))
		fsw |= flags;
	if (fsw & ~fcw & 0x3f)
		fsw |= 0x8080;
	wr_le16(fx, fcw);
	wr_le16(fx + 2, fsw);
	fx[4] = gen_one_in(2) ? 0xff : gen_one_in(2) ? 0 : (uint8_t)gen_r64();
	for (int i = 0; i < 8; i++) {
		if (gen_one_in(4)) { /* an MMX register */
			wr_le64(fx + 32 + 16 * i, random_data());
			wr_le16(fx + 40 + 16 * i, 0xffff);
		} else {
			random_st(fx + 32 + 16 * i);
		}
	}
}

static void random_vectors(struct state *s)
{
	for (int i = 0; i < 16; i++) {
		uint64_t lane[4];
		uint32_t kind = gen_below(5);

		for (int k = 0; k < 4; k++)
			lane[k] = kind == 0   ? random_double()
				  : kind == 1 ? random_float() | (uint64_t)random_float() << 32
				  : kind == 2 ? gen_r64()
				  : kind == 3 ? gen_r64() & 0x8080808080808080
					      : random_data();
		for (int k = 0; k < 2; k++) {
			wr_le64(s->fx + 160 + 16 * i + 8 * k, lane[k]);
			wr_le64(s->ymmh[i] + 8 * k, lane[2 + k]);
		}
	}
	if (gen_one_in(16))
		memset(s->ymmh, 0, sizeof(s->ymmh));
}

static void put_area(uint8_t *image, uint32_t at)
{
	uint8_t *p = image + (at - DATA);

	memset(p, 0, 576);
	random_x87(p);
	wr_le32(p + 24, random_mxcsr());
	for (int i = 160; i < 416; i += 8)
		wr_le64(p + i, random_data());
}

/* rIP, CS, flags, rSP, SS as IRET pops them; a far return takes the first two. */
static void put_frames(uint8_t *image)
{
	uint8_t *p = image + (AREA_FRAMES - DATA);

	for (int size = 8; size >= 2; size /= 2, p += 0x40) {
		uint64_t frame[5] = { CODE + gen_below(2 * PAGE),
			size == 2	? LDT_SEL(LDT_CODE16)
			: gen_one_in(2) ? SEL_CODE32
			: gen_one_in(2) ? SEL_CODE64
					: LDT_SEL(LDT_CODE16),
			gen_r64() & 0x3f7fd7, DATA + gen_below(3 * PAGE), SEL_DATA };

		if (gen_one_in(8))
			frame[gen_below(5)] = gen_r64();
		for (int i = 0; i < 5; i++)
			memcpy(p + i * size, &frame[i], (size_t)size);
	}
}

static void random_image(uint8_t *image)
{
	for (uint32_t i = 0; i < IMAGE_SIZE; i += 8)
		wr_le64(image + i, random_data());
	put_area(image, AREA_FX);
	put_area(image, AREA_XSAVE);
	wr_le64(image + (AREA_XSAVE - DATA) + 512, gen_r64() & 7);
	put_area(image, AREA_COMPACT);
	wr_le64(image + (AREA_COMPACT - DATA) + 512, gen_r64() & 7);
	wr_le64(image + (AREA_COMPACT - DATA) + 520, 1ull << 63 | 7);
	if (gen_one_in(4))
		image[AREA_COMPACT - DATA + 512 + gen_below(64)] ^= (uint8_t)gen_r64();
	put_frames(image);
}

/* -------- the machine's state -------- */
uint64_t segment_base(const struct state *s, enum x86_seg seg, enum x86_code mode)
{
	uint16_t sel = s->sel[seg];

	if (mode == X86_CODE_64)
		return seg == X86_FS ? s->fs_base : seg == X86_GS ? s->gs_base : 0;
	return sel & 4 && sel >> 3 < LDT_COUNT ? ldt_entry[sel >> 3].base : 0;
}

static uint16_t random_data_sel(enum x86_code mode)
{
	static const uint16_t sels[] = { SEL_DATA, LDT_SEL(LDT_DATA16), LDT_SEL(LDT_SMALL),
		LDT_SEL(LDT_DOWN), LDT_SEL(LDT_RO), SEL_CODE32, 0 };

	if (mode == X86_CODE_16)
		return gen_one_in(8) ? sels[gen_below(ARRAY_SIZE(sels))] : LDT_SEL(LDT_DATA16);
	return gen_one_in(5) ? sels[gen_below(ARRAY_SIZE(sels))] : SEL_DATA;
}

static void random_segments(struct state *s, enum x86_code mode)
{
	static const uint16_t code[] = { LDT_SEL(LDT_CODE16), SEL_CODE32, SEL_CODE64 };

	for (int i = 0; i < X86_NSEG; i++)
		s->sel[i] = mode == X86_CODE_64 ? (gen_one_in(4) ? SEL_DATA : 0)
						: random_data_sel(mode);
	s->sel[X86_CS] = code[mode];
	if (mode == X86_CODE_32 && gen_one_in(8))
		s->sel[X86_CS] = LDT_SEL(LDT_CODE32);
	s->sel[X86_SS] = SEL_DATA;
	if (mode != X86_CODE_64 && gen_one_in(mode == X86_CODE_16 ? 1 : 8))
		s->sel[X86_SS] = gen_one_in(4) ? LDT_SEL(LDT_SMALL) : LDT_SEL(LDT_DATA16);
	s->fs_base = mode == X86_CODE_64 ? (gen_one_in(2) ? 0 : DATA + gen_below(DATA_SPAN)) : 0;
	s->gs_base = mode == X86_CODE_64 ? gen_integer() & 0x7fffffffffff : 0;
}

static void random_state(struct state *s, enum x86_code mode)
{
	memset(s, 0, sizeof(*s));
	for (int i = 0; i < 16; i++)
		s->gpr[i] = gen_integer();
	if (!gen_one_in(8))
		s->gpr[X86_RSP] = DATA + (gen_one_in(2) ? 8 * gen_below(3 * PAGE / 8)
							: gen_below(3 * PAGE));
	if (mode == X86_CODE_16 || (s->sel[X86_SS] & 4))
		s->gpr[X86_RSP] &= 0xffff;
	if (mode != X86_CODE_64)
		for (int i = 0; i < 16; i++)
			s->gpr[i] &= i < 8 ? 0xffffffff : 0;
	s->rflags = X86_FLAG_1 | X86_FLAG_IF | (gen_r64() & X86_FLAGS_STATUS);
	if (gen_one_in(3))
		s->rflags |= X86_FLAG_DF;
	if (gen_one_in(64))
		s->rflags |= X86_FLAG_TF;
	if (gen_one_in(64))
		s->rflags |= X86_FLAG_AC;
	random_x87(s->fx);
	wr_le32(s->fx + 24, random_mxcsr());
	random_vectors(s);
	random_segments(s, mode);
	if (mode != X86_CODE_64 && (s->sel[X86_SS] & 4))
		s->gpr[X86_RSP] &= 0xffff;
}

/* -------- bytes -------- */
static void random_prefixes(uint8_t *p, uint32_t *n, enum x86_code mode)
{
	static const uint8_t prefix[] = { 0x66, 0x67, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0xf2,
		0xf3, 0xf0 };

	while (gen_one_in(4) && *n < 4)
		p[(*n)++] = prefix[gen_below(ARRAY_SIZE(prefix))];
	if (mode == X86_CODE_64 && gen_one_in(3))
		p[(*n)++] = (uint8_t)(0x40 | gen_below(16));
}

/* Shake a template: prefixes before it, a bit here and there, new operands. */
static uint32_t shake(const struct template *t, const struct x86_insn *was, uint8_t *p,
	enum x86_code mode, bool wild)
{
	uint32_t n = 0, from;
	bool has_rex = was->rex;

	if (!was->vex)
		random_prefixes(p, &n, mode);
	if (n && has_rex && (p[n - 1] & 0xf0) == 0x40)
		n--;
	from = n;
	memcpy(p + n, t->byte, t->len);
	n += t->len;
	if (has_rex && was->opcode_off) {
		uint32_t at = from + was->opcode_off - 1u - (was->map ? was->map > 1 ? 2 : 1 : 0);

		if ((p[at] & 0xf0) == 0x40)
			p[at] = (uint8_t)((p[at] & 0x48) | (gen_r64() & 7));
	}
	if (was->vex)
		p[from + 1] ^= (uint8_t)(gen_r64() & (was->vex == 0xc4 ? 0xe0 : 0xfc));
	if (was->vex == 0xc4 && gen_one_in(2))
		p[from + 2] ^= (uint8_t)(gen_r64() & 0x78);
	if (was->vex == 0xc4 && gen_one_in(4))
		p[from + 2] ^= (uint8_t)(gen_r64() & 0x84);
	if (was->modrm_off) /* keeps what may be part of the opcode, mostly */
		p[from + was->modrm_off] ^= (uint8_t)(gen_r64() & (gen_one_in(3) ? 0xff : 0xc7));
	for (uint32_t i = (was->modrm_off ? was->modrm_off : was->opcode_off) + 1u;
		i < X86_INSN_MAX; i++)
		p[from + i] = (uint8_t)(gen_one_in(4) ? gen_below(4) : gen_r64());
	if (wild)
		p[gen_below(from + 4u)] = (uint8_t)gen_r64();
	return n;
}

/* One instruction of @row at @p: its length. */
static uint32_t make_insn(enum x86_code mode, uint16_t row, uint8_t *p, struct x86_insn *i)
{
	const struct row_templates *r = &templates[mode][row];
	uint8_t bytes[2 * X86_INSN_MAX + 8];

	for (int tries = 0; tries < 24; tries++) {
		const struct template *t = &r->t[gen_below(r->n)];
		struct x86_insn was;

		if (x86_decode(t->byte, t->len, mode, &was) != X86_DECODE_OK)
			continue;
		memset(bytes, 0, sizeof(bytes));
		shake(t, &was, bytes, mode, false);
		if (x86_decode(bytes, X86_INSN_MAX, mode, i) != X86_DECODE_OK || i->row != row ||
			gen_op_left_out(i))
			continue;
		memcpy(p, bytes, i->len);
		return i->len;
	}
	memcpy(p, r->t[0].byte, r->t[0].len);
	return x86_decode(p, r->t[0].len, mode, i) == X86_DECODE_OK ? i->len : 0;
}

uint32_t gen_insn_of(
	enum x86_code mode, bool (*fits)(const struct x86_insn *i), uint8_t *p, struct x86_insn *i)
{
	for (int tries = 0; tries < 100; tries++) {
		uint16_t row = pick[mode][gen_below(n_pick[mode])];
		const struct template *t = &templates[mode][row].t[0];

		if (x86_decode(t->byte, t->len, mode, i) == X86_DECODE_OK && fits(i))
			return make_insn(mode, row, p, i);
	}
	return 0;
}

/* Bytes that may be anything. What the host has and the decoder does not is left out: EVEX, mask
 * registers, XOP and 3DNow!. */
static bool unknown_here(const uint8_t *p, enum x86_code mode)
{
	uint32_t n = 0;

	while (n < X86_INSN_MAX &&
		(p[n] == 0x66 || p[n] == 0x67 || p[n] == 0xf2 || p[n] == 0xf3 || p[n] == 0xf0 ||
			(p[n] & 0xe7) == 0x26 || (p[n] & 0xfe) == 0x64 ||
			(mode == X86_CODE_64 && (p[n] & 0xf0) == 0x40)))
		n++;
	if (p[n] == 0x62 || p[n] == 0x8f || p[n] == 0xc4 || p[n] == 0xc5)
		return true;
	return p[n] == 0x0f && (p[n + 1] == 0x01 || p[n + 1] == 0x0f || p[n + 1] == 0x18 ||
				       p[n + 1] == 0x1c || p[n + 1] == 0x1e || p[n + 1] == 0xae ||
				       p[n + 1] == 0xc7 || p[n + 1] == 0x38 || p[n + 1] == 0x3a ||
				       p[n + 1] == 0x09 || p[n + 1] == 0x05 || p[n + 1] == 0x34);
}

static uint32_t make_wild(enum x86_code mode, uint8_t *p, struct x86_insn *i)
{
	uint8_t bytes[2 * X86_INSN_MAX + 8];

	for (int tries = 0; tries < 24; tries++) {
		const struct row_templates *r =
			&templates[mode][pick[mode][gen_below(n_pick[mode])]];
		const struct template *t = &r->t[gen_below(r->n)];

		if (x86_decode(t->byte, t->len, mode, i) != X86_DECODE_OK)
			continue;
		memset(bytes, 0, sizeof(bytes));
		shake(t, i, bytes, mode, true);
		if (unknown_here(bytes, mode))
			continue;
		memcpy(p, bytes, X86_INSN_MAX);
		if (x86_decode(bytes, X86_INSN_MAX, mode, i) == X86_DECODE_OK)
			continue;
		i->row = ROW_NONE;
		return X86_INSN_MAX;
	}
	return 0;
}

/* -------- operands -------- */
uint64_t gen_target(uint32_t size, bool aligned)
{
	uint64_t a = DATA + gen_below(3 * PAGE - 512), edge = 0;

	switch (gen_below(16)) {
	case 0:
	case 1:
		edge = DATA + PAGE;
		break;
	case 2:
		edge = DATA + 3 * PAGE; /* writable, read-only */
		break;
	case 3:
		edge = DATA + 4 * PAGE; /* read-only, missing */
		break;
	case 4:
		edge = DATA + (gen_one_in(2) ? 5 * PAGE : 6 * PAGE);
		break;
	case 5:
		edge = gen_one_in(8) ? 0x7ffffffff000 : gen_one_in(4) ? 0xffffffff81000000 : DATA;
		break;
	case 6:
		return gen_one_in(4) ? gen_r64() : DATA + 3 * PAGE + gen_below(PAGE);
	}
	if (edge)
		a = edge - gen_below(size ? 2 * size : 16);
	if (aligned && !gen_one_in(8) && size)
		a &= ~(uint64_t)((size >= 64 ? 64 : size >= 32 ? 32 : 16) - 1);
	else if (gen_one_in(2))
		a &= ~7ull;
	return a;
}

static uint64_t special_target(const struct x86_insn *i, uint32_t size)
{
	static const uint32_t areas[] = { AREA_FX, AREA_XSAVE, AREA_COMPACT };

	switch (i->op) {
	case X86_OP_FXRSTOR:
	case X86_OP_XRSTOR:
		if (!gen_one_in(6))
			return areas[i->op == X86_OP_FXRSTOR ? 0 : 1 + gen_below(2)];
		break;
	case X86_OP_LDMXCSR:
		if (gen_one_in(2))
			return areas[gen_below(3)] + 24;
		break;
	case X86_OP_FXSAVE:
	case X86_OP_XSAVE:
	case X86_OP_XSAVEC:
	case X86_OP_XSAVEOPT:
		return gen_target(gen_one_in(4) ? 832 : 64, true);
	}
	return gen_target(size, i->flags & X86_I_ALIGN);
}

static void set_gpr(struct test *t, uint32_t reg, uint64_t v)
{
	t->in.gpr[reg] = t->mode == X86_CODE_64 ? v : (uint32_t)v;
}

static void put_disp(struct test *t, uint32_t at, struct x86_insn *i, uint64_t v)
{
	uint8_t *p = t->code + at + i->disp_off;

	i->disp = i->disp_size == 1 ? (int8_t)v : i->disp_size == 2 ? (int16_t)v : (int32_t)v;
	for (uint32_t k = 0; k < i->disp_size; k++)
		p[k] = (uint8_t)(v >> 8 * k);
}

static uint64_t code_linear(const struct test *t)
{
	return t->in.rip + (t->mode == X86_CODE_16 ? CODE : 0);
}

/* VSIB: base in the data, small indexes. */
static void aim_gather(struct test *t, struct x86_insn *i)
{
	uint8_t *lo = t->in.fx + 160 + 16 * (i->index & 15), *hi = t->in.ymmh[i->index & 15];

	for (int k = 0; k < 4; k++) {
		uint64_t v = (uint64_t)gen_below(0x200);

		if (gen_one_in(16))
			v = gen_r64();
		else if (gen_one_in(2))
			v |= (uint64_t)gen_below(0x200) << 32;
		wr_le64(k < 2 ? lo + 8 * k : hi + 8 * (k - 2), v);
	}
	if (i->base < 16)
		set_gpr(t, i->base, DATA + gen_below(2 * PAGE) - (uint64_t)i->disp);
}

static void aim_memory(struct test *t, uint32_t at, struct x86_insn *i, uint32_t size)
{
	uint64_t base = segment_base(&t->in, (enum x86_seg)i->seg, (enum x86_code)t->mode);
	uint64_t want = special_target(i, size), off;

	if (i->addrsize == 2 && base != DATA)
		want = have_low ? LOW + (want & (2 * PAGE - 1)) : want;
	off = want - base;
	if (i->base == X86_REG_NONE && i->index == X86_REG_NONE) {
		if (i->disp_size == 4 || i->disp_size == 2)
			put_disp(t, at, i, off);
	} else if (i->base == X86_REG_RIP) {
		put_disp(t, at, i, off - (code_linear(t) + at + i->len));
	} else if (i->base == X86_REG_NONE) {
		set_gpr(t, i->index, (off - (uint64_t)i->disp) >> i->scale);
	} else if (i->base == i->index) {
		set_gpr(t, i->base, (off - (uint64_t)i->disp) / (1 + (1u << i->scale)));
	} else {
		uint64_t index = i->index == X86_REG_NONE ? 0 : t->in.gpr[i->index] << i->scale;
		uint64_t v = off - (uint64_t)i->disp - index;

		if (i->addrsize == 2 && gen_one_in(2))
			v &= 0xffff;
		set_gpr(t, i->base, v);
	}
}

uint64_t gen_string_to(uint64_t from, uint32_t size)
{
	if (gen_one_in(4)) /* overlapping */
		return from + gen_below(200) - 100;
	return gen_target(size, false);
}

uint64_t gen_string_count(void)
{
	return gen_one_in(8) ? gen_below(3 * PAGE) : gen_below(40);
}

static void aim_string(struct test *t, struct x86_insn *i)
{
	uint32_t size = i->operand[0].size ? i->operand[0].size : 1;
	uint64_t si = segment_base(&t->in, (enum x86_seg)i->seg, (enum x86_code)t->mode);
	uint64_t di = segment_base(&t->in, X86_ES, (enum x86_code)t->mode);

	uint64_t from = gen_target(size, false), to = gen_string_to(from, size);

	set_gpr(t, X86_RSI, from - si);
	set_gpr(t, X86_RDI, to - di);
	if (i->rep && !gen_one_in(16))
		set_gpr(t, X86_RCX, gen_string_count());
}

uint64_t gen_peek(const struct batch *b, uint64_t at, uint32_t size)
{
	uint64_t v = 0;

	if (at >= DATA && at + size <= DATA + 3 * PAGE)
		memcpy(&v, b->image + (at - DATA), size);
	return v;
}

static void aim_cmpxchg(struct test *t, const struct batch *b, const struct x86_insn *i)
{
	uint64_t at = (i->base < 16 ? t->in.gpr[i->base] : 0) +
		      (i->index < 16 ? t->in.gpr[i->index] << i->scale : 0) + (uint64_t)i->disp +
		      segment_base(&t->in, (enum x86_seg)i->seg, (enum x86_code)t->mode);
	uint32_t size = i->op == X86_OP_CMPXCHG	    ? MIN(i->operand[0].size, 8)
			: i->op == X86_OP_CMPXCHG8B ? 4
						    : 8;

	if (i->base >= 16 || !gen_one_in(2))
		return;
	set_gpr(t, X86_RAX, gen_peek(b, at, size));
	if (i->op != X86_OP_CMPXCHG)
		set_gpr(t, X86_RDX, gen_peek(b, at + size, size));
}

static void aim_special(struct test *t, const struct batch *b, struct x86_insn *i)
{
	switch (i->op) {
	case X86_OP_DIV:
	case X86_OP_IDIV:
		if (!gen_one_in(4))
			set_gpr(t, X86_RDX, gen_one_in(4) ? UINT64_MAX : gen_below(2));
		break;
	case X86_OP_BT:
	case X86_OP_BTS:
	case X86_OP_BTR:
	case X86_OP_BTC:
		if (i->operand[0].kind == X86_OPND_MEM && i->operand[1].kind == X86_OPND_GPR &&
			i->operand[1].reg != i->base && i->operand[1].reg != i->index)
			set_gpr(t, i->operand[1].reg, (uint64_t)gen_below(0x2000) - 0x1000);
		break;
	case X86_OP_CMPXCHG:
	case X86_OP_CMPXCHG8B:
	case X86_OP_CMPXCHG16B:
		aim_cmpxchg(t, b, i);
		break;
	case X86_OP_ENTER:
	case X86_OP_LEAVE:
		set_gpr(t, X86_RBP,
			DATA + gen_below(3 * PAGE) -
				segment_base(&t->in, X86_SS, (enum x86_code)t->mode));
		break;
	case X86_OP_IRET:
	case X86_OP_RETF:
		if (!gen_one_in(4))
			set_gpr(t, X86_RSP,
				AREA_FRAMES +
					(i->opsize == 8		 ? 0
						: i->opsize == 4 ? 0x40
								 : 0x80) -
					segment_base(&t->in, X86_SS, (enum x86_code)t->mode));
		break;
	}
}

/* Leaves flags undefined that C code computes: nothing may come after it. */
static bool is_decimal(const struct x86_insn *i)
{
	return i->op == X86_OP_AAA || i->op == X86_OP_AAS || i->op == X86_OP_AAM ||
	       i->op == X86_OP_AAD || i->op == X86_OP_DAA || i->op == X86_OP_DAS;
}

static void aim(struct test *t, const struct batch *b, uint32_t at, struct x86_insn *i)
{
	if (gen_takes_mask(
		    i)) { /* x87, SSE, AVX: the host may have more components than the guest */
		t->in.gpr[X86_RAX] &= 7;
		t->in.gpr[X86_RDX] = 0;
	}
	if (gen_one_in(16))
		return;
	if (i->flags & X86_I_STRING) {
		aim_string(t, i);
		return;
	}
	for (uint32_t k = 0; k < i->n_operands; k++) {
		const struct x86_operand *o = &i->operand[k];

		if (o->kind == X86_OPND_MEM && (i->flags & X86_I_VSIB))
			aim_gather(t, i);
		else if (o->kind == X86_OPND_MEM)
			aim_memory(t, at, i, o->size);
		else if (o->kind == X86_OPND_REL && i->imm_size > 1 && gen_one_in(2))
			for (uint32_t n = 0; n < i->imm_size; n++)
				t->code[at + i->imm_off + n] = (uint8_t)(n ? 0 : gen_below(16));
		else
			continue;
		break;
	}
	aim_special(t, b, i);
}

static void place_code(struct test *t)
{
	uint32_t at = 0x100 + gen_below(0xc00);

	if (gen_one_in(16)) /* across the pages' border */
		at = PAGE - gen_below(16);
	else if (gen_one_in(64)) /* to the end of what is mapped */
		at = CODE_PAGES * PAGE - 1 - gen_below(20);
	t->in.rip = at + (t->mode == X86_CODE_16 ? 0 : CODE);
}

static void trim_code(struct test *t)
{
	uint32_t room = CODE_PAGES * PAGE - (uint32_t)(code_linear(t) - CODE);

	t->code_len = (uint16_t)MIN(t->code_len, room);
}

static void gen_test(uint64_t seed, uint64_t number, const struct batch *b, struct test *t)
{
	struct x86_insn insn[MAX_INSNS];
	uint32_t n = 0, want, mode;

	rnd = mix(seed, number);
	do
		mode = gen_one_in(8) ? X86_CODE_16 : gen_one_in(3) ? X86_CODE_32 : X86_CODE_64;
	while (!n_pick[mode]);
	memset(t, 0, offsetof(struct test, code));
	memset(t->code, 0xcc, sizeof(t->code));
	t->mode = (uint8_t)mode;
	random_state(&t->in, (enum x86_code)mode);
	place_code(t);
	/* Every other batch. */
	if (mode != X86_CODE_16 && number / BATCH % 2) {
		program_make(t, b);
		if (t->in.rip < CODE_W)
			trim_code(t);
		return;
	}
	for (want = gen_one_in(3) ? 2 + gen_below(3) : 1; n < want; n++) {
		uint8_t *p = t->code + t->code_len;
		uint32_t len = gen_one_in(20) ? make_wild((enum x86_code)mode, p, &insn[n]) : 0;

		if (!len)
			len = make_insn((enum x86_code)mode, pick[mode][gen_below(n_pick[mode])], p,
				&insn[n]);
		if (n && gen_alone(&insn[n]))
			break;
		t->row[n] = insn[n].row;
		t->off[n] = t->code_len;
		t->code_len = (uint16_t)(t->code_len + len);
		if (insn[n].row == ROW_NONE || gen_alone(&insn[n]) || is_decimal(&insn[n]))
			want = n + 1;
	}
	t->n_insns = (uint8_t)n;
	t->off[n] = t->code_len;
	for (uint32_t i = n; i-- > 0;)
		if (t->row[i] != ROW_NONE)
			aim(t, b, t->off[i], &insn[i]);
	trim_code(t);
}

void gen_batch(uint64_t seed, uint64_t first, uint32_t n, struct batch *b)
{
	b->first = first;
	b->n = n;
	rnd = mix(seed ^ 0x5eed, first);
	random_image(b->image);
	for (uint32_t i = 0; i < n; i++)
		gen_test(seed, first + i, b, &b->test[i]);
}
