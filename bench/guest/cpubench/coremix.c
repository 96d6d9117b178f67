// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The integer mix: a linked list, a small matrix, a state machine over text, a CRC. Nothing of a
 * library in it: mix32.c builds it for 32 bits as well.
 */
#include <stdint.h>

#define NODES 200
#define SIDE  12

struct node {
	struct node *next;
	int16_t key;
	uint16_t value;
};

struct core {
	struct node nodes[NODES];
	int16_t a[SIDE][SIDE], b[SIDE][SIDE];
	int32_t c[SIDE][SIDE];
	char text[256];
	uint32_t seed;
};

static uint32_t rand32(struct core *s)
{
	return s->seed = s->seed * 1664525u + 1013904223u;
}

static uint16_t crc16(uint32_t value, uint16_t crc)
{
	for (int i = 0; i < 32; i++) {
		uint16_t bit = (crc ^ value) & 1;

		value >>= 1;
		crc >>= 1;
		if (bit)
			crc ^= 0xa001;
	}
	return crc;
}

/* ---- list ---- */

static struct node *list_make(struct core *s)
{
	for (int i = 0; i < NODES; i++) {
		s->nodes[i].next = i + 1 < NODES ? &s->nodes[i + 1] : 0;
		s->nodes[i].key = (int16_t)(rand32(s) >> 16);
		s->nodes[i].value = (uint16_t)(rand32(s) >> 16);
	}
	return s->nodes;
}

static struct node *list_reverse(struct node *list)
{
	struct node *done = 0;

	while (list) {
		struct node *next = list->next;

		list->next = done;
		done = list;
		list = next;
	}
	return done;
}

static struct node *list_merge(struct node *a, struct node *b)
{
	struct node *head = 0, **tail = &head;

	while (a && b) {
		struct node **least = a->key <= b->key ? &a : &b;

		*tail = *least;
		tail = &(*least)->next;
		*least = *tail;
	}
	*tail = a ? a : b;
	return head;
}

/* Bottom up: bins[i] is empty or has 2^i nodes. */
static struct node *list_sort(struct node *list)
{
	struct node *bins[10] = { 0 };

	while (list) {
		struct node *one = list;
		int i = 0;

		list = list->next;
		one->next = 0;
		for (; bins[i]; i++) {
			one = list_merge(bins[i], one);
			bins[i] = 0;
		}
		bins[i] = one;
	}
	for (int i = 0; i < 10; i++)
		list = bins[i] ? list_merge(bins[i], list) : list;
	return list;
}

static uint16_t list_work(struct core *s, uint16_t crc)
{
	struct node *list = list_reverse(list_make(s));

	for (int i = 0; i < 16; i++) {
		int16_t key = (int16_t)(rand32(s) >> 16);
		struct node *n = list;

		while (n && n->key < key)
			n = n->next;
		crc = crc16(n ? n->value : 0, crc);
	}
	list = list_sort(list);
	for (; list; list = list->next)
		crc = (uint16_t)(crc * 31 + list->value + (uint16_t)list->key);
	return crc;
}

/* ---- matrix ---- */

static uint16_t matrix_work(struct core *s, uint16_t crc)
{
	uint32_t sum = 0;

	for (int i = 0; i < SIDE * SIDE; i++) {
		s->a[i / SIDE][i % SIDE] = (int16_t)(rand32(s) >> 20);
		s->b[i / SIDE][i % SIDE] = (int16_t)(rand32(s) >> 20);
	}
	for (int i = 0; i < SIDE; i++)
		for (int j = 0; j < SIDE; j++) {
			uint32_t dot = 0;

			for (int k = 0; k < SIDE; k++)
				dot += (uint32_t)(s->a[i][k] * s->b[k][j]);
			s->c[i][j] = (int32_t)dot;
			sum += (dot >> 2 & 15) * (dot >> 5 & 127);
		}
	return crc16(sum, crc);
}

/* ---- states ---- */

enum state { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, POWER, WRONG, STATES };

static enum state step(enum state state, char c)
{
	int is_digit = c >= '0' && c <= '9';

	switch (state) {
	case START:
		return is_digit ? INTEGER : c == '+' || c == '-' ? SIGN : c == '.' ? POINT : WRONG;
	case SIGN:
		return is_digit ? INTEGER : c == '.' ? POINT : WRONG;
	case INTEGER:
		return is_digit ? INTEGER : c == '.' ? FRACTION : c == 'e' ? EXPONENT : WRONG;
	case POINT:
		return is_digit ? FRACTION : WRONG;
	case FRACTION:
		return is_digit ? FRACTION : c == 'e' ? EXPONENT : WRONG;
	case EXPONENT:
		return is_digit || c == '-' ? POWER : WRONG;
	case POWER:
		return is_digit ? POWER : WRONG;
	default:
		return WRONG;
	}
}

static uint16_t state_work(struct core *s, uint16_t crc)
{
	static const char letters[16] = "0123456789.+-e,,";
	uint32_t counts[STATES] = { 0 };
	enum state state = START;

	for (unsigned int i = 0; i < sizeof(s->text); i++)
		s->text[i] = letters[rand32(s) >> 28];
	for (unsigned int i = 0; i < sizeof(s->text); i++) {
		if (s->text[i] == ',') {
			counts[state]++;
			state = START;
		} else {
			state = step(state, s->text[i]);
		}
	}
	for (int i = 0; i < STATES; i++)
		crc = crc16(counts[i], crc);
	return crc;
}

uint64_t coremix_run(unsigned long n);

uint64_t coremix_run(unsigned long n)
{
	struct core s;
	uint16_t crc = 0xffff;
	uint64_t sum = 0;

	s.seed = 12345;
	for (unsigned long i = 0; i < n; i++) {
		crc = list_work(&s, crc);
		crc = matrix_work(&s, crc);
		crc = state_work(&s, crc);
		sum = (sum << 7 | sum >> 57) ^ crc;
	}
	return sum;
}
