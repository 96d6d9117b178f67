// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * saved_bad - streams that are cut, damaged, made by an enemy or by a newer version: refused with a reason,
 * and without harm to the machine that waits.
 *
 * usage: saved_bad [SEED]
 */
#include "tests/state/saved_vm.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/stream.h"

/* Cut anywhere it is refused, and nothing has happened to the machine that waits. */
static void test_truncated(void **state)
{
	AUTO(str) stream = STR_INIT;
	uint64_t rnd = seed;
	struct vm vm;

	make_stream(&stream, MIGRATE_PLAIN);
	vm_wait_incoming(&vm, &usual);
	migrate_params(migrate_of(vm.m))->threads = 1;
	migrate_params(migrate_of(vm.m))->tuned = true;
	for (size_t n = 0; n < stream.len; n += n < 200 ? 1 : 1 + test_random(&rnd) % 4096)
		expect_refused(&vm, stream.s, n, "cut");
	for (size_t off = STREAM_HEAD, n;
		(n = stream_section((uint8_t *)stream.s, stream.len, off)); off += n) {
		expect_refused(&vm, stream.s, off, "cut before a section");
		expect_refused(&vm, stream.s, off + SECTION_HEAD - 1, "cut in a header");
		expect_refused(&vm, stream.s, off + SECTION_HEAD, "cut after a header");
		expect_refused(&vm, stream.s, off + n - 1, "cut at a section's end");
	}
	str_append(&stream, "x");
	expect_refused(&vm, stream.s, stream.len, "a byte too many");
	vm_free(&vm);
}

static void test_flipped(void **state)
{
	AUTO(str) stream = STR_INIT;
	uint64_t rnd = seed;
	struct vm vm;

	make_stream(&stream, migrate_has_zstd() ? MIGRATE_ZSTD : MIGRATE_PLAIN);
	vm_wait_incoming(&vm, &usual);
	for (int i = 0; i < 600; i++) {
		size_t at = i < 128 ? (size_t)i : test_random(&rnd) % stream.len;
		char bit = (char)(1 << test_random(&rnd) % 8);

		stream.s[at] ^= bit;
		/* But for who wrote it, which nobody reads: even that has a checksum. */
		expect_refused(&vm, stream.s, stream.len, "a bit");
		stream.s[at] ^= bit;
	}
	/* Sections lost, twice, or in another order. */
	for (size_t off = STREAM_HEAD, n;
		(n = stream_section((uint8_t *)stream.s, stream.len, off)); off += n) {
		AUTO(str) other = STR_INIT;

		str_append_mem(&other, stream.s, off);
		str_append_mem(&other, stream.s + off + n, stream.len - off - n);
		expect_refused(&vm, other.s, other.len, "a section is lost");
		str_clear(&other);
		str_append_mem(&other, stream.s, off + n);
		str_append_mem(&other, stream.s + off, stream.len - off);
		expect_refused(&vm, other.s, other.len, "a section twice");
	}
	vm_free(&vm);
}

/* What has right checksums is judged by what it means. */
static void test_enemy(void **state)
{
	AUTO(str) stream = STR_INIT;
	uint64_t rnd = seed;
	int loaded = 0;

	make_stream(&stream, migrate_has_zstd() ? MIGRATE_ZSTD : MIGRATE_PLAIN);
	for (int i = 0; i < 250; i++) {
		AUTO(str) bad = STR_INIT;
		struct error err = ERROR_INIT;
		struct vm vm;

		str_append_mem(&bad, stream.s, stream.len);
		for (uint64_t n = 1 + test_random(&rnd) % 3; n; n--) {
			/* Memory is most of it, and the least interesting. */
			size_t at = test_random(&rnd) % bad.len;

			if (i % 2)
				at = bad.len - 1 - test_random(&rnd) % MIN(bad.len, (size_t)12000);
			else if (i % 4)
				at %= 3000;
			bad.s[at] = (char)test_random(&rnd);
		}
		stream_reseal((uint8_t *)bad.s, bad.len);
		vm_wait_incoming(&vm, &usual);
		if (load_bytes(&vm, bad.s, bad.len, &err))
			loaded += machine_resume(vm.m, &err);
		else
			assert_true(err.kind != ERROR_NONE && err.msg[0]);
		vm_free(&vm);
	}
	print_message("%d of 250 were loaded\n", loaded);
}

static void test_unknown_sections(void **state)
{
	AUTO(str) stream = STR_INIT;
	AUTO(str) more = STR_INIT;
	AUTO(str) made = STR_INIT;
	struct error err = ERROR_INIT;
	struct vm vm;

	make_stream(&stream, MIGRATE_PLAIN);
	put_section(&more, 77, 0, "whatever", 8);
	insert_sections(&stream, &more, &made);
	vm_wait_incoming(&vm, &usual);
	if (!load_bytes(&vm, made.s, made.len, &err))
		fail_msg("%s", err.msg);
	vm_free(&vm);
	str_clear(&more);
	str_clear(&made);
	put_section(&more, 77, SECTION_F_MUST, "whatever", 8);
	insert_sections(&stream, &more, &made);
	vm_wait_incoming(&vm, &usual);
	expect_refused(&vm, made.s, made.len, "unknown, and must be known");
	/* A newer form. */
	wr_le32(stream.s + 8, STREAM_VERSION + 1);
	stream_reseal((uint8_t *)stream.s, stream.len);
	expect_refused(&vm, stream.s, stream.len, "a newer version");
	vm_free(&vm);
}

/* -------- parts of devices and CPUs -------- */

/* core/state.c's. */
enum { STATE_DEVICE = 1, STATE_VCPU, STATE_CHIPS };
enum { PART_VERSION = 3, PART_FIELDS };

enum edit { DROP, TWICE, NEWER, FIELD, OPTIONAL_FIELD, RECORD, OPTIONAL_RECORD };

static void edit_record(const struct stream_record *r, enum edit e, struct str *out)
{
	struct stream_reader in = { r->p, r->len };
	size_t pos = stream_begin(out, r->tag, r->flags), inner;
	struct error err = ERROR_INIT;
	struct stream_record part;

	while (stream_next(&in, &part, &err)) {
		uint8_t newer[4];

		inner = stream_begin(out, part.tag, part.flags);
		if (part.tag == PART_VERSION && e == NEWER) {
			wr_le32(newer, rd_le32(part.p) + 1);
			str_append_mem(out, newer, 4);
		} else {
			str_append_mem(out, part.p, part.len);
		}
		if (part.tag == PART_FIELDS && (e == FIELD || e == OPTIONAL_FIELD))
			stream_put(out, 0x7ff0, e == FIELD ? STREAM_F_MANDATORY : 0, "new", 3);
		stream_end(out, inner);
	}
	stream_end(out, pos);
}

/* The first record with @tag is changed. */
static void edit_state(const uint8_t *p, size_t len, uint16_t tag, enum edit e, struct str *out)
{
	struct stream_reader in = { p, len };
	struct error err = ERROR_INIT;
	struct stream_record r;
	bool done = false;

	while (stream_next(&in, &r, &err)) {
		bool this = r.tag == tag && !done;

		done |= this;
		if (this && (e == NEWER || e == FIELD || e == OPTIONAL_FIELD))
			edit_record(&r, e, out);
		else if (!this || e != DROP)
			stream_put(out, r.tag, r.flags, r.p, r.len);
		if (this && e == TWICE)
			stream_put(out, r.tag, r.flags, r.p, r.len);
		if (this && (e == RECORD || e == OPTIONAL_RECORD))
			stream_put(out, 99, e == RECORD ? STREAM_F_MANDATORY : 0, "new", 3);
	}
	assert_true(done);
}

static void edit_stream(const struct str *stream, uint16_t tag, enum edit e, struct str *out)
{
	const uint8_t *p = (const uint8_t *)stream->s;

	str_append_mem(out, stream->s, STREAM_HEAD);
	for (size_t off = STREAM_HEAD, n; (n = stream_section(p, stream->len, off)); off += n) {
		AUTO(str) payload = STR_INIT;
		uint16_t type = rd_le16(p + off + 4);

		if (type == SECTION_STATE)
			edit_state(p + off + SECTION_HEAD, n - SECTION_HEAD, tag, e, &payload);
		else
			str_append_mem(&payload, stream->s + off + SECTION_HEAD, n - SECTION_HEAD);
		put_section(out, type, SECTION_F_MUST, payload.s, payload.len);
	}
	stream_reseal((uint8_t *)out->s, out->len);
}

/* What a newer version may add, and what no version leaves out. */
static void test_parts(void **state)
{
	static const struct {
		uint16_t tag;
		enum edit edit;
		const char *words; /* NULL: it is loaded */
	} cases[] = {
		{ STATE_DEVICE, DROP, "nothing of" },
		{ STATE_DEVICE, TWICE, "twice" },
		{ STATE_DEVICE, NEWER, "newer version" },
		{ STATE_DEVICE, FIELD, "newer version" },
		{ STATE_DEVICE, OPTIONAL_FIELD, NULL },
		{ STATE_VCPU, DROP, "nothing of CPU 0" },
		{ STATE_VCPU, TWICE, "CPU 0 twice" },
		{ STATE_VCPU, FIELD, "newer version" },
		{ STATE_VCPU, OPTIONAL_FIELD, NULL },
		{ STATE_DEVICE, RECORD, "does not know" },
		{ STATE_DEVICE, OPTIONAL_RECORD, NULL },
	};
	AUTO(str) stream = STR_INIT;

	make_stream_of(&every, &stream, MIGRATE_PLAIN);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(str) made = STR_INIT;
		struct error err = ERROR_INIT;
		struct vm vm;
		bool loaded;

		edit_stream(&stream, cases[i].tag, cases[i].edit, &made);
		vm_wait_incoming(&vm, &every);
		loaded = load_bytes(&vm, made.s, made.len, &err);
		if (loaded != !cases[i].words || (!loaded && !strstr(err.msg, cases[i].words)))
			fail_msg("case %zu: '%s'", i, loaded ? "loaded" : err.msg);
		vm_free(&vm);
	}
}

/* Each byte of a machine with every kind of device, but for most of its memory's. */
static void test_each_byte(void **state)
{
	AUTO(str) stream = STR_INIT;
	struct vm vm;
	size_t skipped = 0;

	make_stream_of(&every, &stream, migrate_has_zstd() ? MIGRATE_ZSTD : MIGRATE_PLAIN);
	vm_wait_incoming(&vm, &every);
	for (size_t at = 0, end = 0, ram = 0; at < stream.len; at++) {
		if (at >= STREAM_HEAD && at >= end) {
			uint16_t type = rd_le16(stream.s + at + 4);

			end = at + stream_section((uint8_t *)stream.s, stream.len, at);
			ram = type == SECTION_RAM ? at + SECTION_HEAD + CHUNK_HEAD + 16 : end;
		}
		if (at >= STREAM_HEAD && at >= ram && at + 16 < end) {
			skipped++;
			continue;
		}
		stream.s[at] ^= (char)(1 << at % 8);
		expect_refused(&vm, stream.s, stream.len, "a bit");
		stream.s[at] ^= (char)(1 << at % 8);
	}
	print_message("%zu of %zu bytes changed\n", stream.len - skipped, stream.len);
	vm_free(&vm);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_each_byte),
		cmocka_unit_test(test_enemy),
		cmocka_unit_test(test_unknown_sections),
		cmocka_unit_test(test_parts),
	};

	saved_begin(argc > 1 ? argv[1] : NULL);
	return saved_end(cmocka_run_group_tests(tests, NULL, NULL));
}
