// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A disk with several loops, each on a thread of its own and busy all the time: requests come back on the loop that
 * they came from, with the right bytes, also those that go over to the home loop for a bounce buffer (O_DIRECT with
 * misaligned memory) or for the worker (BLKDISCARD).
 */
#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdlib.h>
#include "base/testing.h"
#include "block/block_int.h"
#include "block/testing.h"

/* The generated table is not linked into unit tests. */
const struct block_format *const block_format_table[] = { &raw_format, NULL };

#define LANES 3
#define DEPTH 4
#define SLOTS 32 /* a lane's: each is read and written as a whole */
#define SLOT  (12 * KIB)

/* What a slot holds: the byte it begins with, the others count on. */
#define ZEROES	  (-1)
#define UNDEFINED (-2)

struct lane;

struct slot_req {
	struct block_req r;
	struct iovec iov[2];
	struct lane *lane;
	uint8_t *mem, *data;
	int slot, value;
};

struct lane {
	struct block_dev *b;
	struct loop *loop;
	uint32_t index, seed;
	int holds[SLOTS];
	bool busy[SLOTS];
	struct slot_req req[DEPTH];
	int begun, ended, all;
	_Atomic bool over;
};

static uint32_t rnd(struct lane *l, uint32_t below)
{
	l->seed ^= l->seed << 13;
	l->seed ^= l->seed >> 17;
	l->seed ^= l->seed << 5;
	return l->seed % below;
}

static uint8_t byte_of(int value, uint32_t i)
{
	return value == ZEROES ? 0 : (uint8_t)(value + (int)(i * 7) + (int)(i >> 9));
}

/* Slots of the lanes take turns. */
static uint64_t place(const struct lane *l, int slot)
{
	return ((uint64_t)slot * LANES + l->index) * SLOT;
}

static void start(struct slot_req *t);

static void check_data(struct lane *l, const struct slot_req *t)
{
	for (uint32_t i = 0; i < SLOT; i++) {
		if (t->data[i] != byte_of(l->holds[t->slot], i))
			fail_msg("lane %u, slot %d: byte %u is wrong", l->index, t->slot, i);
	}
}

static void on_done(struct block_req *r, int res)
{
	struct slot_req *t = r->opaque;
	struct lane *l = t->lane;

	assert_true(loop_in_thread(l->loop));
	assert_int_equal(res, 0);
	if (r->op == BLOCK_READ && l->holds[t->slot] != UNDEFINED)
		check_data(l, t);
	else if (r->op == BLOCK_WRITE)
		l->holds[t->slot] = t->value;
	else if (r->op == BLOCK_WRITE_ZEROES)
		l->holds[t->slot] = ZEROES;
	else if (r->op == BLOCK_DISCARD)
		l->holds[t->slot] = UNDEFINED;
	l->busy[t->slot] = false;
	l->ended++;
	if (l->begun < l->all)
		start(t);
	else if (l->ended == l->begun)
		l->over = true;
}

static void start(struct slot_req *t)
{
	static const enum block_op ops[] = { BLOCK_READ, BLOCK_READ, BLOCK_READ, BLOCK_WRITE,
		BLOCK_WRITE, BLOCK_WRITE, BLOCK_WRITE_ZEROES, BLOCK_DISCARD, BLOCK_FLUSH };
	struct lane *l = t->lane;
	uint32_t cut = rnd(l, 2) ? 512 * (1 + rnd(l, SLOT / 512 - 1)) : 1 + rnd(l, SLOT - 1);

	do {
		t->slot = (int)rnd(l, SLOTS);
	} while (l->busy[t->slot]);
	l->busy[t->slot] = true;
	l->begun++;
	t->value = (int)rnd(l, 256);
	t->data = t->mem + (rnd(l, 2) ? 0 : 1 + rnd(l, 511));
	t->iov[0] = (struct iovec){ t->data, cut };
	t->iov[1] = (struct iovec){ t->data + cut, SLOT - cut };
	t->r = (struct block_req){
		.op = ops[rnd(l, ARRAY_SIZE(ops) - (rnd(l, 16) > 0))], /* few flushes */
		.offset = place(l, t->slot),
		.len = SLOT,
		.iov = t->iov,
		.n_iov = 2,
		.lane = (uint8_t)l->index,
		.done = on_done,
		.opaque = t
	};
	if (t->r.op == BLOCK_FLUSH)
		t->r.offset = t->r.len = 0;
	for (uint32_t i = 0; t->r.op == BLOCK_WRITE && i < SLOT; i++)
		t->data[i] = byte_of(t->value, i);
	block_submit(l->b, &t->r);
}

static void begin(void *opaque)
{
	struct lane *l = opaque;

	for (int i = 0; i < DEPTH; i++)
		start(&l->req[i]);
}

static void lane_make(
	struct lane *l, struct block_dev *b, struct loop *loop, uint32_t index, int all)
{
	*l = (struct lane){ .b = b, .loop = loop, .index = index, .seed = 77 + index, .all = all };
	for (int i = 0; i < SLOTS; i++)
		l->holds[i] = ZEROES;
	for (int i = 0; i < DEPTH; i++) {
		l->req[i].lane = l;
		l->req[i].mem = aligned_alloc(4096, SLOT + 4096);
	}
}

static void compare(struct lane *l, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	for (int i = 0; i < SLOTS; i++) {
		struct slot_req t = { .slot = i, .data = l->req[0].mem };

		assert_int_equal(pread(fd, t.data, SLOT, (off_t)place(l, i)), SLOT);
		if (l->holds[i] != UNDEFINED)
			check_data(l, &t);
	}
	close(fd);
}

static void work(struct block_dev *b, unsigned int flags, const char *path, int requests)
{
	struct error err = ERROR_INIT;
	struct loop *loops[LANES];
	struct lane *lanes = calloc(LANES, sizeof(*lanes));

	assert_true(block_max_lanes(b) >= LANES);
	for (uint32_t i = 0; i < LANES; i++) {
		loops[i] = loop_thread_start("lane", ROLE_IO, flags, &err);
		assert_non_null(loops[i]);
		lane_make(&lanes[i], b, loops[i], i, requests);
	}
	assert_true(block_attach(b, loops, LANES, &err));
	for (uint32_t i = 0; i < LANES; i++)
		loop_call(loops[i], begin, &lanes[i]);
	for (uint32_t i = 0; i < LANES; i++) {
		while (!lanes[i].over)
			usleep(1000);
	}
	assert_int_equal(block_in_flight(b), 0);
	block_detach(b);
	for (uint32_t i = 0; i < LANES; i++)
		loop_thread_stop(loops[i]);
	block_close(b);
	for (uint32_t i = 0; i < LANES; i++) {
		compare(&lanes[i], path);
		for (int k = 0; k < DEPTH; k++)
			free(lanes[i].req[k].mem);
	}
	free(lanes);
}

static void make_file(char *path)
{
	int fd;

	snprintf(path, PATH_MAX, "./lanes-test-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)LANES * SLOTS * SLOT), 0);
	close(fd);
}

/* In each cache mode, on each back end of the loop; so many requests of each lane. */
static void all_modes(char *path, int requests)
{
	for (int v = 0; v < 4; v++) {
		struct block_config c = { .file = path,
			.id = (char *)(uintptr_t) "d0",
			.discard = 1,
			.cache = v & 1 ? BLOCK_CACHE_NONE : 0 };
		struct error err = ERROR_INIT;
		struct block_dev *b = block_open(&c, &err);
		int fd;

		if (!b) {
			print_message("skipped: %s\n", err.msg);
			assert_true(c.cache == BLOCK_CACHE_NONE);
			continue;
		}
		work(b, v & 2 ? LOOP_URING : LOOP_NO_URING, path, requests);
		/* All zeroes again. */
		fd = open(path, O_WRONLY | O_CLOEXEC);
		for (int i = 0; i < LANES * SLOTS; i++)
			assert_int_equal(
				pwrite(fd, (uint8_t[SLOT]){ 0 }, SLOT, (off_t)i * SLOT), SLOT);
		close(fd);
	}
}

static void test_file(void **state)
{
	char path[PATH_MAX];

	make_file(path);
	all_modes(path, 100);
	unlink(path);
}

/* Needs root. */
static void test_block_device(void **state)
{
	char file[PATH_MAX], device[32];
	int n;

	make_file(file);
	n = make_loop_device(file, 512);
	if (n < 0) {
		unlink(file);
		skip();
	}
	snprintf(device, sizeof(device), "/dev/loop%d", n);
	all_modes(device, 25); /* on a busy host each discard takes half a second */
	drop_loop_device(n);
	unlink(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_block_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
