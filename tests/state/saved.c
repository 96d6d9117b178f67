// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * saved - whole saved VMs: a machine with devices and memory is saved and loaded, under an engine that
 * runs nothing; into machines that are different; from streams of an older version (vm.v*.saved in
 * STATE_DIR). What is damaged is saved_bad's, where streams go and come from saved_where's.
 *
 * usage: saved STATE_DIR [SEED]. LODGE_GOLDEN=write writes the golden stream when it is missing.
 */
#include "tests/state/saved_vm.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "core/io.h"
#include "hw/pci/pci.h"

static const char *state_dir;

/* -------- tests -------- */

static void test_crc(void **state)
{
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
}

static void test_tables(void **state)
{
	struct error err = ERROR_INIT;

	if (!fields_table_valid(&desc_table, &err))
		fail_msg("%s", err.msg);
}

static uint64_t resident(const struct ram_block *b)
{
	AUTO_FREE unsigned char *map = malloc(b->size / PAGE);
	uint64_t n = 0;

	assert_int_equal(mincore(b->host, b->size, map), 0);
	for (uint64_t i = 0; i < b->size / PAGE; i++)
		n += map[i] & 1;
	return n;
}

/* Small pages from here on: the kernel would make a large one of 512, of which some are not there, whenever it
 * finds the time. */
static void keep_small(const struct ram_block *b)
{
	(void)!madvise(b->host, b->size, MADV_NOHUGEPAGE);
}

static void round_trip(int compress, uint32_t threads)
{
	AUTO(str) before = STR_INIT;
	AUTO(str) after = STR_INIT;
	struct error err = ERROR_INIT;
	struct shape big = usual;
	uint64_t rnd = seed, pages;
	struct vm a, b;

	big.ram = 64 * MIB;
	vm_make(&a, &usual);
	vm_free(&a);
	vm_make(&a, &big);
	keep_small(a.ram);
	a.ram->size = 2 * MIB; /* the rest stays untouched */
	vm_use(&a, &rnd);
	a.ram->size = big.ram;
	a.ram->host[big.ram - 1] = 0x5a;
	pages = resident(a.ram);
	save_state(&a, &before);
	*migrate_params(migrate_of(a.m)) = (struct migrate_params){
		.compress = compress, .level = 1, .threads = threads, .tuned = true
	};
	if (!vm_save(&a, path_of("vm"), &err))
		fail_msg("%s", err.msg);
	assert_int_equal(a.m->state, RUN_POSTMIGRATE);
	assert_int_equal(resident(a.ram), pages);
	vm_wait_incoming(&b, &big);
	keep_small(b.ram);
	*migrate_params(migrate_of(b.m)) = *migrate_params(migrate_of(a.m));
	if (!vm_load(&b, path_of("vm"), &err))
		fail_msg("%s", err.msg);
	assert_int_equal(b.m->state, RUN_PAUSED);
	assert_false(migrate_was_running(migrate_of(b.m)));
	assert_true(resident(b.ram) <= pages);
	assert_memory_equal(a.ram->host, b.ram->host, big.ram);
	save_state(&b, &after);
	assert_int_equal(before.len, after.len);
	assert_memory_equal(before.s, after.s, before.len);
	assert_true(machine_resume(b.m, &err));
	vm_free(&a);
	vm_free(&b);
}

static void test_round_trip(void **state)
{
	round_trip(MIGRATE_PLAIN, 1);
	round_trip(MIGRATE_PLAIN, 4);
	if (migrate_has_zstd()) {
		round_trip(MIGRATE_ZSTD, 1);
		round_trip(MIGRATE_ZSTD, 4);
	}
}

/* From an engine that has the interval timer into one that has not, and back. */
static void test_whose_timer(void **state)
{
	AUTO(str) before = STR_INIT;
	AUTO(str) after = STR_INIT;
	struct error err = ERROR_INIT;
	struct shape with = usual, without;
	uint64_t rnd = seed;
	struct vm vm;

	/* The same but for the timer, which comes last. */
	memmove(&with.devices[3], &with.devices[4], 4 * sizeof(with.devices[0]));
	with.devices[7] = NULL;
	without = with;
	with.devices[7] = "i8254";
	for (int i = 0; i < 2; i++) {
		const struct shape *from = i ? &without : &with, *to = i ? &with : &without;

		vm_make(&vm, from);
		vm_use(&vm, &rnd);
		if (!vm_save(&vm, path_of("timer"), &err))
			fail_msg("%s", err.msg);
		vm_free(&vm);
		vm_wait_incoming(&vm, to);
		if (!vm_load(&vm, path_of("timer"), &err))
			fail_msg("%s", err.msg);
		save_state(&vm, i ? &after : &before);
		vm_free(&vm);
	}
	assert_true(before.len && after.len);
}

/* A saved machine may be told to go on after all: its disks are taken back first. */
static void test_goes_on(void **state)
{
	struct error err = ERROR_INIT;
	struct vm a;

	vm_make(&a, &usual);
	assert_true(machine_resume(a.m, &err));
	assert_true(vm_save(&a, path_of("vm"), &err));
	assert_int_equal(a.m->state, RUN_POSTMIGRATE);
	assert_false(vm_save(&a, path_of("vm"), &err));
	assert_true(machine_resume(a.m, &err));
	assert_int_equal(a.m->state, RUN_RUNNING);
	assert_true(vm_save(&a, path_of("vm"), &err));
	vm_free(&a);
	vm_wait_incoming(&a, &usual);
	assert_true(vm_load(&a, path_of("vm"), &err));
	assert_true(migrate_was_running(migrate_of(a.m)));
	vm_free(&a);
}

static void refused_by(const struct shape *s, const struct str *stream, const char *word)
{
	struct error err = ERROR_INIT;
	struct vm vm;

	vm_wait_incoming(&vm, s);
	assert_false(load_bytes(&vm, stream->s, stream->len, &err));
	if (!strstr(err.msg, word))
		fail_msg("'%s' does not tell of '%s'", err.msg, word);
	vm_free(&vm);
}

static void test_other_machines(void **state)
{
	AUTO(str) stream = STR_INIT;
	struct shape s = usual;

	make_stream(&stream, MIGRATE_PLAIN);
	s.ram = 4 * MIB;
	refused_by(&s, &stream, "2 MiB");
	s = usual;
	s.cpus = 1;
	refused_by(&s, &stream, "2 CPUs");
	s = usual;
	s.devices[7] = NULL;
	refused_by(&s, &stream, "virtio-console-pci");
	s.devices[6] = "virtio-rng-pci addr=9";
	refused_by(&s, &stream, "PCI 00:09.0");
	s = usual;
	s.devices[4] = "isa-serial chardev=serial,index=1";
	refused_by(&s, &stream, "0x2f8");
	s = usual;
	s = usual;
	s.devices[5] = "virtio-blk-pci drive=disk,num-queues=7";
	refused_by(&s, &stream, "2 queues, the device has 7");
	s = usual;
	s.devices[6] = NULL;
	refused_by(&s, &stream, "virtio-rng-pci at PCI 00:02.0");
	s.devices[6] = "virtio-balloon-pci";
	refused_by(&s, &stream, "this one a virtio-balloon-pci");
	s = usual;
	s.devices[3] = "pvpanic"; /* the timer is the engine's then, which is all the same */
	refused_by(&s, &stream, "pvpanic");
}

static uint8_t interrupt_line(struct vm *vm, uint32_t slot, const uint8_t *set)
{
	uint8_t address[4], line = set ? *set : 0;

	wr_le32(address, 0x80000000 | slot << 11 | PCI_INTERRUPT_LINE);
	io_access_port(vm->m, 0xcf8, address, 4, true);
	io_access_port(vm->m, 0xcfc, &line, 1, set);
	return line;
}

static struct device *device_of(struct vm *vm, const char *id)
{
	struct device *d;

	list_for_each (d, &vm->m->devices, node) {
		if (d->id && !strcmp(d->id, id))
			return d;
	}
	fail_msg("no device '%s'", id);
	return NULL;
}

/* Devices that came and went have other numbers than those of a machine that is made anew: what counts is
 * where they are. */
static void test_other_numbers(void **state)
{
	static const uint8_t lines[] = { 55, 99 };
	static const struct shape made = { 2 * MIB, 1,
		{ "virtio-rng-pci id=first,addr=4", "virtio-rng-pci id=a,addr=5" } };
	static const struct shape like = { 2 * MIB, 1,
		{ "virtio-rng-pci id=a,addr=5", "virtio-rng-pci id=b,addr=9" } };
	static const struct shape mixed = { 2 * MIB, 1,
		{ "virtio-rng-pci id=b,addr=5", "virtio-rng-pci id=a,addr=9" } };
	AUTO(str) stream = STR_INIT;
	struct error err = ERROR_INIT;
	struct vm vm;

	vm_make(&vm, &made);
	device_free(device_of(&vm, "first"));
	assert_non_null(device_create(vm.m, "virtio-rng-pci", "id=b,addr=9", &err));
	assert_int_equal(device_of(&vm, "b")->instance, 0);
	assert_true(machine_resume(vm.m, &err));
	machine_pause(vm.m);
	interrupt_line(&vm, 5, &lines[0]);
	interrupt_line(&vm, 9, &lines[1]);
	assert_true(vm_save(&vm, path_of("numbers"), &err));
	vm_free(&vm);
	read_file(path_of("numbers"), &stream);
	for (int i = 0; i < 2; i++) { /* and what is made of that can be saved, too */
		vm_wait_incoming(&vm, &like);
		if (!vm_load(&vm, path_of("numbers"), &err))
			fail_msg("%s", err.msg);
		assert_int_equal(interrupt_line(&vm, 5, NULL), lines[0]);
		assert_int_equal(interrupt_line(&vm, 9, NULL), lines[1]);
		assert_true(vm_save(&vm, path_of("numbers"), &err));
		vm_free(&vm);
	}
	refused_by(&mixed, &stream, "is 'b'");
}

/* -------- forms that this version does not write yet -------- */

/* Live migration's: pages come again in later rounds, and some have become zero. */
static void test_rounds(void **state)
{
	AUTO(str) stream = STR_INIT;
	AUTO(str) more = STR_INIT;
	AUTO(str) made = STR_INIT;
	uint8_t chunk[CHUNK_HEAD + 2 * PAGE];
	struct chunk c = { .n = 8, .first = 8, .data = { 0x3 } };
	struct error err = ERROR_INIT;
	struct vm vm;

	make_stream(&stream, MIGRATE_PLAIN);
	/* Pages 8 and 9 before the rest: 8 is not in the rest (8 % 5), so it stays. 16, too. */
	memset(chunk, 0xee, sizeof(chunk));
	chunk_put_head(&c, chunk);
	put_section(&more, SECTION_RAM, SECTION_F_MUST, chunk, sizeof(chunk));
	put_section(&more, SECTION_ROUND, 0, "", 0);
	c = (struct chunk){ .n = 8, .first = 8, .zero = { 0x2 } };
	chunk_put_head(&c, chunk);
	put_section(&more, SECTION_RAM, SECTION_F_MUST, chunk, CHUNK_HEAD);
	put_section(&more, SECTION_ROUND, 0, "", 0);
	insert_sections(&stream, &more, &made);
	vm_wait_incoming(&vm, &usual);
	if (!load_bytes(&vm, made.s, made.len, &err))
		fail_msg("%s", err.msg);
	for (uint32_t i = 0; i < PAGE; i++) {
		assert_int_equal(vm.ram->host[8 * PAGE + i], 0xee);
		assert_int_equal(vm.ram->host[9 * PAGE + i], 0);
	}
	vm_free(&vm);
}

/* A load that is given up leaves nothing in memory for the next one. */
static void test_second_try(void **state)
{
	AUTO(str) half = STR_INIT, whole = STR_INIT;
	struct error err = ERROR_INIT;
	struct vm a, b;

	make_stream(&half, MIGRATE_PLAIN);
	vm_make(&a, &usual);
	a.ram->host[0] = 1;
	assert_true(vm_save(&a, path_of("stream"), &err));
	read_file(path_of("stream"), &whole);
	vm_wait_incoming(&b, &usual);
	expect_refused(&b, half.s, half.len / 2, "half of a machine");
	if (!load_bytes(&b, whole.s, whole.len, &err))
		fail_msg("%s", err.msg);
	assert_memory_equal(a.ram->host, b.ram->host, usual.ram);
	vm_free(&a);
	vm_free(&b);
}

/* -------- golden streams -------- */

static void write_golden(const char *path)
{
	const char *mode = getenv("LODGE_GOLDEN");
	AUTO(str) stream = STR_INIT;
	AUTO_FD int fd = -1;

	if (!mode || strcmp(mode, "write"))
		fail_msg("%s is missing: run with LODGE_GOLDEN=write, and commit it", path);
	make_stream(&stream, MIGRATE_ZSTD);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	assert_true(fd >= 0 && write(fd, stream.s, stream.len) == (ssize_t)stream.len);
}

static void test_golden(void **state)
{
	if (!migrate_has_zstd()) {
		print_message(
			"the golden streams are compressed, and this is built without zstd\n");
		skip();
	}
	for (uint32_t v = 1; v <= STREAM_VERSION; v++) {
		AUTO(str) stream = STR_INIT;
		struct error err = ERROR_INIT;
		uint64_t sum = 0;
		char path[4096];
		struct vm vm;

		snprintf(path, sizeof(path), "%s/vm.v%u.saved", state_dir, v);
		if (access(path, R_OK))
			write_golden(path);
		read_file(path, &stream);
		vm_wait_incoming(&vm, &usual);
		if (!load_bytes(&vm, stream.s, stream.len, &err))
			fail_msg("%s does not load: %s", path, err.msg);
		for (uint64_t p = 1; p < vm.ram->size / PAGE; p += 5)
			sum += rd_le64(vm.ram->host + p * PAGE + 8) == p || p % 7 == 3;
		assert_int_equal(sum, (vm.ram->size / PAGE + 3) / 5);
		vm_free(&vm);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_whose_timer),
		cmocka_unit_test(test_goes_on),
		cmocka_unit_test(test_other_machines),
		cmocka_unit_test(test_other_numbers),
		cmocka_unit_test(test_rounds),
		cmocka_unit_test(test_second_try),
		cmocka_unit_test(test_golden),
	};

	if (argc < 2) {
		fprintf(stderr, "usage: saved STATE_DIR [SEED]\n");
		return 2;
	}
	state_dir = argv[1];
	saved_begin(argc > 2 ? argv[2] : NULL);
	return saved_end(cmocka_run_group_tests(tests, NULL, NULL));
}
