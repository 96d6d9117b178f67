// SPDX-License-Identifier: GPL-2.0-or-later
/* RAM blocks of every kind, refusals, the dirty log. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fault.h"
#include "base/testing.h"
#include "mem/huge_file.h"
#include "mem/ram.h"

static struct ram_block *make(const struct ram_config *c)
{
	struct error err = ERROR_INIT;
	struct ram_block *b = ram_block_new(c, &err);

	if (!b)
		print_message("%s\n", err.msg);
	assert_non_null(b);
	assert_int_equal(err.kind, ERROR_NONE);
	return b;
}

static void refuse(const struct ram_config *c, const char *says)
{
	struct error err = ERROR_INIT;

	assert_null(ram_block_new(c, &err));
	assert_int_not_equal(err.kind, ERROR_NONE);
	if (!strstr(err.msg, says))
		print_message("'%s' does not say '%s'\n", err.msg, says);
	assert_non_null(strstr(err.msg, says));
	assert_non_null(strstr(err.msg, "'ram0'"));
}

static void test_plain(void **state)
{
	struct ram_config c = { .name = "ram0", .size = 8 * MIB, .host_node = -1 };
	struct ram_block *b = make(&c);

	assert_int_equal((uintptr_t)b->host % (2 * MIB), 0);
	assert_int_equal(b->size, 8 * MIB);
	assert_string_equal(b->name, "ram0");
	for (uint64_t i = 0; i < b->size; i += 4096)
		assert_int_equal(b->host[i], 0);
	memset(b->host, 0x5a, b->size);
	ram_block_unref(ram_block_ref(b));
	assert_int_equal(b->host[b->size - 1], 0x5a);
	ram_block_unref(b);
	ram_block_unref(NULL);
}

/* An overrun of either end is caught. */
static void test_guards(void **state)
{
	struct ram_config c = { .name = "ram0", .size = 64 * KIB, .host_node = -1 };
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	for (int i = 0; i < 6; i++) {
		c.share = i % 2;
		c.size = i < 2 ? 64 * KIB : i < 4 ? 2 * MIB : 6 * MIB;
		struct ram_block *b = make(&c);

		assert_int_equal((uintptr_t)b->host % (c.size < 2 * MIB ? 4096 : 2 * MIB), 0);
		/* the kernel's answer instead of a signal */
		assert_int_equal(read(zero, b->host, 1), 1);
		assert_int_equal(read(zero, b->host + b->size - 1, 1), 1);
		for (int k = 0; k < 16; k++) {
			assert_int_equal(read(zero, b->host - 1 - k * 4096, 1), -1);
			assert_int_equal(read(zero, b->host + b->size + k * 4096, 1), -1);
		}
		ram_block_unref(b);
	}
	close(zero);
}

static void test_small_odd_size(void **state)
{
	struct ram_config c = {
		.name = "rom", .size = 12 * KIB, .readonly = true, .host_node = -1
	};
	struct ram_block *b = make(&c);

	assert_int_equal(b->fd, -1); /* no descriptor for what nobody shares and has no THP */
	b->host[c.size - 1] = 1;     /* the host loads what the guest only reads */
	ram_block_unref(b);
}

static void test_share_is_sealed_memfd(void **state)
{
	struct ram_config c = { .name = "ram0", .size = 64 * KIB, .share = true, .host_node = -1 };
	struct ram_block *b = make(&c);
	char x = 0;

	assert_true(b->fd >= 0);
	assert_int_equal(ftruncate(b->fd, 4096), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(b->fd, 128 * KIB), -1);
	b->host[70] = 42;
	assert_int_equal(pread(b->fd, &x, 1, 70), 1);
	assert_int_equal(x, 42);
	ram_block_unref(b);
}

/* From a tmpfs of our own or a memfd, as the host permits. */
static void test_alias_is_mapped_again(void **state)
{
	struct ram_config c = { .name = "ram0", .size = 4 * MIB, .alias = true, .host_node = -1 };
	struct ram_block *b = make(&c);
	uint8_t *again;
	struct stat st;

	assert_true(b->fd >= 0);
	b->host[0] = 1;
	b->host[2 * MIB + 5] = 42;
	again = mremap(b->host + 2 * MIB, 0, 4096, MREMAP_MAYMOVE);
	assert_true(again != MAP_FAILED);
	assert_int_equal(again[5], 42);
	again[6] = 43;
	assert_int_equal(b->host[2 * MIB + 6], 43);
	assert_int_equal(ram_discard(b, 2 * MIB, 2 * MIB), 0);
	assert_int_equal(again[5], 0);
	again[5] = 1;
	munmap(again, 4096);
	assert_int_equal(ram_discard(b, 0, 2 * MIB), 0);
	assert_int_equal(ram_discard(b, 2 * MIB, 2 * MIB), 0);
	assert_int_equal(fstat(b->fd, &st), 0);
	assert_int_equal(st.st_blocks, 0);
	ram_block_unref(b);
}

static void test_huge_files_lie_apart(void **state)
{
	int a = huge_file_new("test"), b = huge_file_new("test");
	struct stat s, t;

	if (a < 0)
		skip(); /* a memfd is as good, or none is permitted */
	assert_true(b >= 0);
	assert_int_equal(fstat(a, &s), 0);
	assert_int_equal(fstat(b, &t), 0);
	assert_int_equal(s.st_dev, t.st_dev);
	assert_int_not_equal(s.st_ino, t.st_ino);
	assert_int_equal(s.st_nlink, 0);
	close(a);
	close(b);
	huge_file_end();
	assert_int_equal(huge_file_new("test"), -1);
}

static void test_prealloc(void **state)
{
	struct ram_config c = {
		.name = "ram0", .size = 4 * MIB, .share = true, .prealloc = true, .host_node = -1
	};
	struct ram_block *b = make(&c);
	struct stat st;

	assert_int_equal(fstat(b->fd, &st), 0);
	assert_int_equal(st.st_blocks * 512, 4 * MIB);
	ram_block_unref(b);
	c.share = false;
	b = make(&c);
	ram_block_unref(b);
}

static void test_host_node(void **state)
{
	struct ram_config c = { .name = "ram0", .size = 2 * MIB, .prealloc = true, .host_node = 0 };

	ram_block_unref(make(&c));
	c.host_node = 777;
	refuse(&c, "node 777");
	c.host_node = 1 << 20;
	refuse(&c, "does not exist");
}

static void test_file(void **state)
{
	char path[] = "/tmp/lodge-ram-test-XXXXXX";
	int fd = mkstemp(path);
	struct ram_config c = { .name = "ram0", .size = 64 * KIB, .file = path, .host_node = -1 };
	struct ram_block *b;
	char x = 0;

	assert_true(fd >= 0);
	b = make(&c); /* empty: extended */
	b->host[12345] = 7;
	assert_int_equal(pread(fd, &x, 1, 12345), 1);
	assert_int_equal(x, 7);
	ram_block_unref(b);
	b = make(&c); /* kept */
	assert_int_equal(b->host[12345], 7);
	ram_block_unref(b);
	c.readonly = true;
	b = make(&c);
	assert_int_equal(b->host[12345], 7);
	ram_block_unref(b);
	c.size = 128 * KIB;
	refuse(&c, "131072 are needed");
	c.readonly = false;
	refuse(&c, "131072 are needed");
	c.file = "/tmp"; /* a directory: a file without name in it */
	ram_block_unref(make(&c));
	c.file = "/dev/null";
	refuse(&c, "not a regular file");
	unlink(path);
	c.file = path;
	refuse(&c, "No such file");
	close(fd);
}

static void test_refusals(void **state)
{
	struct ram_config c = { .name = "ram0", .host_node = -1 };

	refuse(&c, "multiple of 4 KiB");
	c.size = 4095;
	refuse(&c, "multiple of 4 KiB");
	c.size = UINT64_MAX - 4095;
	refuse(&c, "multiple of 4 KiB");
	c.size = 1ull << 50;
	refuse(&c, "more than this host has");
	c.share = true;
	refuse(&c, "more than this host has");
	c.share = false;
	c.hugepages = true;
	c.size = 4096;
	refuse(&c, "multiple of 2 MiB");
	c.size = 2 * MIB;
	c.file = "/tmp";
	refuse(&c, "exclude each other");
}

static void test_hugepages(void **state)
{
	struct ram_config c = {
		.name = "ram0", .size = 4 * MIB, .hugepages = true, .host_node = -1
	};
	struct error err = ERROR_INIT;
	struct ram_block *b = ram_block_new(&c, &err);

	if (!b) { /* none reserved on most machines: then it must say so */
		assert_true(strstr(err.msg, "huge pages") != NULL);
		return;
	}
	assert_int_equal(b->page_size, 2 * MIB);
	b->host[0] = 1;
	ram_block_unref(b);
}

static void test_out_of_memory(void **state)
{
	struct ram_config c = { .name = "ram0", .size = 64 * KIB, .host_node = -1 };
	struct fault_sweep sweep = FAULT_SWEEP_INIT;

	while (fault_sweep(&sweep)) {
		struct error err = ERROR_INIT;
		struct ram_block *b = ram_block_new(&c, &err);
		bool ok = b && ram_dirty_start(b, &err);

		fault_stop();
		if (!ok)
			assert_true(fault_hit() && strstr(err.msg, "'ram0'"));
		ram_block_unref(b);
	}
}

/* -------- dirty log -------- */

#define PAGES 200u /* not a multiple of 64 */
#define WORDS ((PAGES + 63) / 64)

static bool bit(const uint64_t *w, uint64_t i)
{
	return w[i / 64] >> (i % 64) & 1;
}

static void test_dirty_off(void **state)
{
	struct ram_config c = { .name = "ram0", .size = PAGES * 4096, .host_node = -1 };
	struct ram_block *b = make(&c);
	uint64_t out[WORDS] = { 1, 2, 3, 4 }, ones[WORDS];

	memset(ones, 0xff, sizeof(ones));
	ram_dirty_mark(b, 0, b->size);
	ram_dirty_merge(b, 0, ones, WORDS);
	ram_dirty_take(b, 0, out, WORDS);
	for (uint32_t i = 0; i < WORDS; i++)
		assert_int_equal(out[i], 0);
	ram_dirty_stop(b);
	ram_block_unref(b);
}

static void test_dirty_against_byte_map(void **state)
{
	struct ram_config c = { .name = "ram0", .size = PAGES * 4096, .host_node = -1 };
	struct ram_block *b = make(&c);
	struct error err = ERROR_INIT;
	bool model[PAGES] = { false };
	uint64_t out[WORDS];

	srand(7);
	assert_true(ram_dirty_start(b, &err));
	for (int round = 0; round < 300; round++) {
		for (int k = rand() % 4; k > 0; k--) {
			uint64_t off = rand() % b->size;
			uint64_t len = rand() % (rand() % 3 ? 9000 : b->size);

			len = MIN(len, b->size - off);
			ram_dirty_mark(b, off, len);
			for (uint64_t i = off; i < off + len; i++)
				model[i / 4096] = true;
		}
		/* a part, then all */
		ram_dirty_take(b, 64, out, 1);
		for (uint64_t i = 0; i < 64; i++) {
			assert_int_equal(bit(out, i), model[64 + i]);
			model[64 + i] = false;
		}
		ram_dirty_take(b, 0, out, WORDS);
		for (uint64_t i = 0; i < PAGES; i++)
			assert_int_equal(bit(out, i), model[i]);
		memset(model, 0, sizeof(model));
	}
	ram_dirty_stop(b);
	ram_block_unref(b);
}

static void test_dirty_merge_and_restart(void **state)
{
	struct ram_config c = { .name = "ram0", .size = PAGES * 4096, .host_node = -1 };
	struct ram_block *b = make(&c);
	struct error err = ERROR_INIT;
	uint64_t in[WORDS + 3], out[WORDS];

	memset(in, 0xff, sizeof(in));
	assert_true(ram_dirty_start(b, &err));
	ram_dirty_merge(b, 64, in, WORDS + 3); /* more than the block has */
	ram_dirty_take(b, 0, out, WORDS);
	assert_int_equal(out[0], 0);
	for (uint64_t i = 64; i < WORDS * 64; i++)
		assert_int_equal(bit(out, i), i < PAGES);
	ram_dirty_mark(b, 5 * 4096, 1);
	assert_true(ram_dirty_start(b, &err)); /* again: all clear */
	ram_dirty_take(b, 0, out, WORDS);
	assert_int_equal(out[0], 0);
	ram_block_unref(b); /* frees the log */
}

/* -------- words of decoded code -------- */

/* A bump frees all lines; who decodes takes some, and a store tells whether it hit them. */
static void test_code_lines(void **state)
{
	_Atomic uint32_t word[RAM_CODE_WORDS] = { 1, 0 };

	assert_int_equal(ram_code_lines(0, 1), 1);
	assert_int_equal(ram_code_lines(127, 2), 3);
	assert_int_equal(ram_code_lines(0xfff, 1), 1u << 31);
	assert_int_equal(ram_code_lines(0, 4096), UINT32_MAX);
	/* Nothing is known before the first change. */
	assert_true(ram_code_hit(word, ram_code_lines(0x800, 1)));
	assert_true(ram_code_bump(word));
	assert_false(ram_code_bump(word));
	assert_int_equal(word[0], 2);
	assert_false(ram_code_hit(word, UINT32_MAX));
	word[0] |= 1;
	ram_code_take(word, ram_code_lines(0x7f, 2));
	assert_true(ram_code_hit(word, ram_code_lines(0x7c, 4)));
	assert_true(ram_code_hit(word, ram_code_lines(0xff, 8)));
	assert_false(ram_code_hit(word, ram_code_lines(0x100, 0xf00)));
	assert_true(ram_code_bump(word));
	assert_false(ram_code_hit(word, UINT32_MAX));
}

static void test_code_words(void **state)
{
	struct ram_config c = { .name = "ram0", .size = PAGES * 4096, .host_node = -1 };
	struct ram_block *b = make(&c);
	_Atomic uint32_t *code;
	struct error err = ERROR_INIT;
	uint64_t out[WORDS];

	assert_false(ram_dirty_wanted(b));
	code = ram_code_words(b);
	assert_non_null(code);
	assert_true(ram_dirty_wanted(b));
	assert_ptr_equal(ram_code_words(b), code);
	for (uint32_t i = 0; i < PAGES; i++)
		assert_int_equal(code[RAM_CODE_WORDS * i], 0);
	/* Only words with bit 0 change, and only those of the range. */
	code[RAM_CODE_WORDS * 3] = 7;
	code[RAM_CODE_WORDS * 4] = 9;
	code[RAM_CODE_WORDS * 5] = 9;
	code[RAM_CODE_WORDS * 6] = 9;
	ram_dirty_mark(b, 3 * 4096, 0);
	ram_dirty_mark(b, 4 * 4096 - 1, 1);
	ram_dirty_mark(b, 5 * 4096 - 1, 2);
	assert_int_equal(code[RAM_CODE_WORDS * 2], 0);
	assert_int_equal(code[RAM_CODE_WORDS * 3], 8);
	assert_int_equal(code[RAM_CODE_WORDS * 4], 10);
	assert_int_equal(code[RAM_CODE_WORDS * 5], 10);
	assert_int_equal(code[RAM_CODE_WORDS * 6], 9);
	ram_dirty_mark(b, 0, b->size);
	assert_int_equal(code[RAM_CODE_WORDS * 3], 8); /* nobody had looked */
	assert_int_equal(code[RAM_CODE_WORDS * 6], 10);
	/* It wraps, and the dirty log goes on beside it. */
	code[RAM_CODE_WORDS * (PAGES - 1)] = UINT32_MAX;
	assert_true(ram_dirty_start(b, &err));
	ram_dirty_mark(b, (PAGES - 1) * 4096, 4096);
	assert_int_equal(code[RAM_CODE_WORDS * (PAGES - 1)], 0);
	ram_dirty_take(b, 0, out, WORDS);
	assert_true(bit(out, PAGES - 1));
	ram_block_unref(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain), cmocka_unit_test(test_guards),
		cmocka_unit_test(test_small_odd_size), cmocka_unit_test(test_share_is_sealed_memfd),
		cmocka_unit_test(test_alias_is_mapped_again), cmocka_unit_test(test_prealloc),
		cmocka_unit_test(test_host_node), cmocka_unit_test(test_file),
		cmocka_unit_test(test_refusals), cmocka_unit_test(test_hugepages),
		cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_dirty_off),
		cmocka_unit_test(test_dirty_against_byte_map),
		cmocka_unit_test(test_dirty_merge_and_restart), cmocka_unit_test(test_code_words),
		cmocka_unit_test(test_code_lines),
		cmocka_unit_test(test_huge_files_lie_apart), /* the last: it ends them */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
