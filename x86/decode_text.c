/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Names, for people. One string each, found by offset: no pointers that a loader would relocate. */
#include "x86/decode_table.h"

static const struct {
#define X86_OP(id, name) char id[sizeof(name)];
#include "x86/decode_ops.h"
#undef X86_OP
} op_names = {
#define X86_OP(id, name) name,
#include "x86/decode_ops.h"
#undef X86_OP
};

static const uint16_t op_name_at[X86_OP_COUNT] = {
#define X86_OP(id, name) [X86_OP_##id] = offsetof(typeof(op_names), id),
#include "x86/decode_ops.h"
#undef X86_OP
};

const char *x86_op_name(enum x86_op op)
{
	if (op == X86_OP_NONE || op >= X86_OP_COUNT)
		return "(none)";
	return (const char *)&op_names + op_name_at[op];
}

unsigned int x86_rows(void)
{
	return x86_n_rows;
}

struct text {
	char *buf;
	size_t size, len;
};

static void put(struct text *t, const char *s)
{
	for (; *s; s++, t->len++)
		if (t->len + 1 < t->size)
			t->buf[t->len] = *s;
}

static void put_hex(struct text *t, unsigned int byte)
{
	const char digits[] = "0123456789abcdef";
	char s[] = { digits[byte >> 4 & 15], digits[byte & 15], ' ', 0 };

	put(t, s);
}

/* The first of the row's opcodes: its place in the index. */
static unsigned int place_of(unsigned int row)
{
	unsigned int i;

	for (i = 0; i < X86_PLACES - 1; i++)
		if (x86_opcodes[i].count && row >= x86_opcodes[i].first &&
			row < x86_opcodes[i].first + x86_opcodes[i].count)
			break;
	return i;
}

static bool wants(const struct x86_row *r, uint32_t mask, uint32_t value)
{
	return (r->match >> 32 & mask) == mask && ((uint32_t)r->match & mask) == value;
}

static void put_conditions(struct text *t, const struct x86_row *r, bool vex)
{
	static const char pp[][4] = { "np ", "66 ", "f3 ", "f2 " };

	if (vex)
		put(t, wants(r, KEY_L, 0)	 ? "vex.128 "
			: wants(r, KEY_L, KEY_L) ? "vex.256 "
						 : "vex ");
	if (wants(r, KEY_CODE64, KEY_CODE64))
		put(t, "64 ");
	if (wants(r, KEY_CODE64, 0))
		put(t, "16/32 ");
	for (unsigned int i = 0; i < 4; i++)
		if (wants(r, KEY_PP, i << KEY_PP_SHIFT))
			put(t, pp[i]);
	if (wants(r, KEY_W, KEY_W) || wants(r, KEY_W64, KEY_W64))
		put(t, "w1 ");
	if (wants(r, KEY_W, 0) || wants(r, KEY_W64, 0))
		put(t, "w0 ");
}

/* A byte, or the range of bytes that have the same rows. */
static void put_range(struct text *t, unsigned int place, unsigned int byte)
{
	unsigned int n = 0;

	while (place + n + 1 < X86_PLACES && x86_opcodes[place + n + 1].count &&
		x86_opcodes[place + n + 1].first == x86_opcodes[place].first)
		n++;
	put_hex(t, byte);
	if (n) {
		t->len--; /* the blank */
		put(t, "-");
		put_hex(t, byte + n);
	}
}

static void put_opcode(struct text *t, unsigned int place)
{
	static const char maps[][7] = { "", "0f ", "0f 38 ", "0f 3a " };

	if (place < X86_X87_PLACE) {
		put(t, maps[place / 256 % X86_MAPS]);
		put_range(t, place, place & 0xff);
		return;
	}
	place -= X86_X87_PLACE;
	put_hex(t, 0xd8 + place / 128);
	if (place & 0x40)
		put_range(t, X86_X87_PLACE + place, 0x80 | (place & 0x7f));
}

static void put_modrm(struct text *t, const struct x86_row *r, unsigned int place)
{
	const char digit[] = { '/', (char)('0' + ((uint32_t)r->match >> 3 & 7)), ' ', 0 };
	const char x87[] = { '/', (char)('0' + (place & 7)), ' ', 0 };

	if (place >= X86_X87_PLACE) {
		if (!(place & 0x40))
			put(t, x87);
	} else if ((r->match >> 32 & 0xff) == 0xff) {
		put_hex(t, (uint32_t)r->match & 0xff);
	} else if (r->match >> 32 & 0x38) {
		put(t, digit);
	} else if (x86_opcodes[place].modrm) {
		put(t, "/r ");
	}
}

size_t x86_row_text(unsigned int i, char *buf, size_t size)
{
	struct text t = { .buf = buf, .size = size };
	const struct x86_row *r = &x86_table[i];
	unsigned int place;

	if (i >= x86_n_rows)
		return 0;
	place = place_of(i);
	put_conditions(&t, r, place >= X86_MAPS * 256 && place < X86_X87_PLACE);
	put_opcode(&t, place);
	put_modrm(&t, r, place);
	put(&t, x86_op_name(r->op));
	for (unsigned int n = 0; n < 4 && r->operand[n]; n++) {
		put(&t, n ? ", " : " ");
		put(&t, x86_opnd_names[r->operand[n] & 0xff]);
	}
	if (size)
		buf[t.len < size ? t.len : size - 1] = 0;
	return t.len;
}
