// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conformance - what every device type must hold, without a line written for it: each type of the
 * generated table is
 *   - made and freed with each of its allocations failing in turn;
 *   - made with random options, good and bad, and freed;
 *   - reset twice, the second reset changing nothing;
 *   - saved, loaded and saved again: the two are equal; and loaded from damaged streams;
 *   - accessed at random in all its registers, and then reset, saved, loaded, freed in that state;
 *   - complete in its saved state, or says why it has none: loaded into a device that is new, it saves
 *     the same, and the guest reads the same from both;
 *   - if it is a virtio device, driven by a driver that lies about everything;
 *   - held to its golden files in tests/state: the shape of its saved state may change only with a
 *     new version, and old versions' streams still load.
 *
 * usage: conformance STATE_DIR [SEED]. LODGE_GOLDEN=write writes golden files that are missing.
 */
#include "base/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "accel/null/null.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/str.h"
#include "base/wire.h"
#include "block/block.h"
#include "chardev/chardev.h"
#include "core/io.h"
#include "hw/virtio/virtio_testing.h"
#include "net/net.h"
#include "testing/machine.h"

#define RAM_SIZE (16 * MIB)

static const char *state_dir;
static uint64_t seed;

struct fixture {
	const struct device_type *type;
	struct test_machine t;
	struct loop *loop; /* the back ends', too */
	struct machine *m; /* t's */
	struct chardev *chardev;
	struct block_dev *disk;
	struct net_dev *net;
	struct device *dev;
};

static void setup(struct fixture *f, const struct device_type *type)
{
	struct pci_host_config pci = { TEST_PCI };
	struct test_machine_config c = { .accel = &null_accel, .ram = RAM_SIZE, .pci = &pci };
	struct error err = ERROR_INIT;

	memset(f, 0, sizeof(*f));
	f->type = type;
	pci.ecam_buses = 2;
	pci.n_ports = 1;
	c.loop = f->loop = loop_new("main", 0, &err);
	if (!f->loop || !test_machine_init(&f->t, &c, &err))
		fail_msg("%s", err.msg);
	f->m = f->t.m;
	f->chardev = chardev_open("null", "test", f->loop, &err);
	f->disk = block_open_test(1 * MIB, &err);
	f->net = net_open_test(&err);
	assert_true(f->chardev && f->disk && f->net);
	assert_true(machine_backend_add(f->m, BACKEND_CHARDEV, "test", f->chardev, &err));
	assert_true(machine_backend_add(f->m, BACKEND_BLOCK, "test", f->disk, &err));
	assert_true(machine_backend_add(f->m, BACKEND_NET, "test", f->net, &err));
}

static void teardown(struct fixture *f)
{
	device_free(f->dev);
	f->dev = NULL;
	test_machine_fini(&f->t);
	block_close(f->disk);
	net_close(f->net);
	chardev_close(f->chardev);
	loop_free(f->loop);
}

static void make(struct fixture *f)
{
	struct error err = ERROR_INIT;

	f->dev = device_create(f->m, f->type->name, f->type->test_options, &err);
	if (!f->dev)
		fail_msg("%s", err.msg);
}

static void reset(struct fixture *f)
{
	if (f->type->quiesce)
		f->type->quiesce(f->dev);
	if (f->type->reset)
		f->type->reset(f->dev);
	if (f->type->resume)
		f->type->resume(f->dev);
}

static void save(struct fixture *f, struct str *out)
{
	struct error err = ERROR_INIT;

	if (f->type->quiesce)
		f->type->quiesce(f->dev);
	if (!device_save(f->dev, out, &err))
		fail_msg("%s", err.msg);
	if (f->type->resume)
		f->type->resume(f->dev);
}

static bool load(struct fixture *f, const void *p, size_t len, struct error *err)
{
	bool ok;

	if (f->type->quiesce)
		f->type->quiesce(f->dev);
	ok = device_load(f->dev, p, len, err);
	if (f->type->resume)
		f->type->resume(f->dev);
	return ok;
}

static void test_tables(void **state)
{
	const struct device_type *t = *state;
	struct error err = ERROR_INIT;

	assert_non_null(t->doc);
	if (t->config && !fields_table_valid(t->config, &err))
		fail_msg("options: %s", err.msg);
	if (t->state && !fields_table_valid(t->state, &err))
		fail_msg("state: %s", err.msg);
}

static void test_allocation_failures(void **state)
{
	struct fault_sweep sweep = FAULT_SWEEP_INIT;
	struct fixture f;

	setup(&f, *state);
	while (fault_sweep(&sweep)) {
		struct error err = ERROR_INIT;

		f.dev = device_create(f.m, f.type->name, f.type->test_options, &err);
		fault_stop();
		if (!f.dev)
			assert_true(fault_hit() && err.kind != ERROR_NONE && err.msg[0]);
		device_free(f.dev);
		f.dev = NULL;
	}
	teardown(&f);
}

static const char *const odd_values[] = { "", "0", "1", "-1", "on", "off", "test", "nonsense",
	"65536", "4294967295", "18446744073709551615", "0x10", "1G", ",,", "=", "a=b", "\xff\xfe",
	"1.2.3" };

static void random_options(const struct device_type *t, uint64_t *rnd, struct str *out)
{
	bool base = test_random(rnd) % 2 && t->test_options;

	if (base)
		str_append(out, t->test_options);
	for (uint64_t n = test_random(rnd) % 4; n; n--) {
		const struct field *f =
			t->config && t->config->n_fields
				? &t->config->fields[test_random(rnd) % t->config->n_fields]
				: NULL;

		str_appendf(out, "%s%s=%s", out->len ? "," : "", f && f->name ? f->name : "id",
			odd_values[test_random(rnd) % ARRAY_SIZE(odd_values)]);
	}
}

static void test_random_options(void **state)
{
	uint64_t rnd = seed;
	struct fixture f;

	setup(&f, *state);
	for (int i = 0; i < 300; i++) {
		struct error err = ERROR_INIT;
		AUTO(str) options = STR_INIT;

		random_options(f.type, &rnd, &options);
		f.dev = device_create(f.m, f.type->name, str_cstr(&options), &err);
		if (!f.dev && !err.msg[0])
			fail_msg("no message for '%s'", str_cstr(&options));
		device_free(f.dev);
		f.dev = NULL;
	}
	teardown(&f);
}

static void test_reset_twice(void **state)
{
	AUTO(str) first = STR_INIT;
	AUTO(str) second = STR_INIT;
	struct fixture f;

	setup(&f, *state);
	make(&f);
	reset(&f);
	save(&f, &first);
	reset(&f);
	save(&f, &second);
	assert_int_equal(first.len, second.len);
	if (first.len)
		assert_memory_equal(first.s, second.s, first.len);
	teardown(&f);
}

static void save_load_save(struct fixture *f)
{
	AUTO(str) first = STR_INIT;
	AUTO(str) second = STR_INIT;
	struct error err = ERROR_INIT;

	save(f, &first);
	if (!load(f, first.s, first.len, &err))
		fail_msg("own state refused: %s", err.msg);
	save(f, &second);
	assert_int_equal(first.len, second.len);
	if (first.len)
		assert_memory_equal(first.s, second.s, first.len);
}

static void damaged_loads(struct fixture *f, uint64_t *rnd)
{
	AUTO(str) good = STR_INIT;

	save(f, &good);
	for (int i = 0; good.len && i < 200; i++) {
		AUTO(str) bad = STR_INIT;
		struct error err = ERROR_INIT;

		str_append_mem(&bad, good.s, good.len);
		for (uint64_t n = 1 + test_random(rnd) % 4; n; n--)
			bad.s[test_random(rnd) % bad.len] = (char)test_random(rnd);
		if (!load(f, bad.s, i % 4 ? bad.len : test_random(rnd) % bad.len, &err))
			assert_true(err.kind != ERROR_NONE && err.msg[0]);
	}
	reset(f);
}

static void test_save_load(void **state)
{
	uint64_t rnd = seed;
	struct fixture f;

	setup(&f, *state);
	make(&f);
	reset(&f);
	save_load_save(&f);
	damaged_loads(&f, &rnd);
	save_load_save(&f);
	teardown(&f);
}

/* One access somewhere in the I/O ranges of @as; what came of it. */
static uint64_t random_access(struct machine *m, struct as *as, uint64_t *rnd)
{
	uint8_t data[8];
	uint64_t addr = 0, pick, count = 0, off;
	const struct as_snapshot *s;

	as_read_begin();
	s = atomic_load(&as->current);
	for (uint32_t i = 0; i < s->n; i++)
		count += s->r[i].kind == AS_IO;
	pick = count ? test_random(rnd) % count : 0;
	for (uint32_t i = 0; i < s->n; i++) {
		if (s->r[i].kind == AS_IO && !pick--) {
			off = test_random(rnd) % s->r[i].size;
			/* Registers cluster at the start. */
			addr = s->r[i].start +
			       (test_random(rnd) % 4 ? off % 256 % s->r[i].size : off);
		}
	}
	as_read_end();
	if (!count)
		return 0;
	wr_le64(data, test_random(rnd) >> (test_random(rnd) % 64));
	if (as == &m->pio)
		io_access_port(
			m, (uint16_t)addr, data, 1u << test_random(rnd) % 3, test_random(rnd) % 2);
	else
		io_access_mem(m, addr, data, 1u << test_random(rnd) % 4, test_random(rnd) % 2);
	return rd_le64(data);
}

static void random_accesses(struct fixture *f, uint64_t *rnd, int n)
{
	for (int i = 0; i < n; i++) {
		random_access(f->m, test_random(rnd) % 2 ? &f->m->pio : &f->m->mem, rnd);
		if (i % 64 == 0)
			loop_run_once(f->loop, 0);
	}
}

static void test_random_registers(void **state)
{
	uint64_t rnd = seed;
	struct fixture f;

	setup(&f, *state);
	for (int round = 0; round < 12; round++) {
		make(&f);
		reset(&f);
		random_accesses(&f, &rnd, 3000);
		save_load_save(&f);
		random_accesses(&f, &rnd, 500);
		reset(&f);
		random_accesses(&f, &rnd, 500);
		device_free(f.dev); /* in whatever state it is */
		f.dev = NULL;
	}
	teardown(&f);
}

/* Whatever the access has set off on the device's loop is over. */
static void settle(struct fixture *f)
{
	if (f->type->quiesce)
		f->type->quiesce(f->dev);
	if (f->type->resume)
		f->type->resume(f->dev);
	loop_run_once(f->loop, 0);
}

/* With the bus that the device is on. */
static void save_all(struct fixture *f, struct str *out)
{
	struct error err = ERROR_INIT;

	if (f->type->quiesce)
		f->type->quiesce(f->dev);
	if (!machine_save_devices(f->m, out, &err))
		fail_msg("%s", err.msg);
	if (f->type->resume)
		f->type->resume(f->dev);
}

static void load_all(struct fixture *f, const struct str *saved)
{
	struct error err = ERROR_INIT;

	if (f->type->quiesce)
		f->type->quiesce(f->dev);
	if (!machine_load_devices(f->m, saved->s, saved->len, &err))
		fail_msg("own state refused: %s", err.msg);
	if (f->type->resume)
		f->type->resume(f->dev);
}

static void expect_same_state(struct fixture *a, struct fixture *b)
{
	AUTO(str) one = STR_INIT;
	AUTO(str) two = STR_INIT;

	save_all(a, &one);
	save_all(b, &two);
	if (one.len != two.len || (one.len && memcmp(one.s, two.s, one.len)))
		fail_msg("a device that was loaded saves something else");
}

/* A copy of a used device is as good as the device. */
static void test_loaded_copy(void **state)
{
	uint64_t rnd = seed;

	for (int round = 0; round < 6; round++) {
		AUTO(str) saved = STR_INIT;
		struct fixture a, b;

		setup(&a, *state);
		setup(&b, *state);
		make(&a);
		make(&b);
		reset(&a);
		reset(&b);
		random_accesses(&a, &rnd, round * 400);
		save_all(&a, &saved);
		if (!a.type->state && !a.type->stateless)
			fail_msg("has neither a state table nor a reason (.stateless)");
		load_all(&b, &saved);
		expect_same_state(&a, &b);
		for (int i = 0; i < 300 && !(a.type->flags & DEVICE_TICKS); i++) {
			uint64_t same = rnd, one, two;

			one = random_access(a.m, i % 2 ? &a.m->pio : &a.m->mem, &rnd);
			two = random_access(b.m, i % 2 ? &b.m->pio : &b.m->mem, &same);
			if (one != two)
				fail_msg("access %d: the device has %#llx, the copy %#llx", i,
					(unsigned long long)one, (unsigned long long)two);
			settle(&a);
			settle(&b);
		}
		if (!(a.type->flags & DEVICE_TICKS))
			expect_same_state(&a, &b);
		teardown(&a);
		teardown(&b);
	}
}

static bool is_virtio(const struct device *d)
{
	const struct pci_device *p = (const struct pci_device *)d;

	return d->type->bus == BUS_PCI && p->info.vendor == 0x1af4 && p->info.device >= 0x1040;
}

static void test_hostile_queues(void **state)
{
	uint64_t rnd = seed;
	struct fixture f;

	setup(&f, *state);
	make(&f);
	for (int i = 0; i < 8 && is_virtio(f.dev); i++) {
		reset(&f);
		virtio_hostile_test((struct virtio_device *)f.dev, test_random(&rnd));
	}
	teardown(&f);
}

/* -------- golden files -------- */

static void describe(const struct field_table *t, int depth, struct str *out)
{
	for (uint32_t i = 0; i < t->n_fields; i++) {
		const struct field *f = &t->fields[i];

		if (!f->tag && f->name && f->name[0])
			continue;
		str_appendf(out, "%*s%u %s type %d elem %d count %u size %u flags %u\n", depth * 2,
			"", f->tag, f->name ?: "", f->type, f->elem, f->count,
			f->type == FT_STRUCT || f->type == FT_UNION || f->sub ? 0 : f->size,
			f->flags & FF_OPTIONAL_STATE);
		if (f->sub && depth < 8)
			describe(f->sub, depth + 1, out);
	}
}

static bool read_file(const char *path, struct str *out)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[4096];
	ssize_t n;

	if (fd < 0)
		return false;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		str_append_mem(out, buf, n);
	return n == 0;
}

static void write_file(const char *path, const struct str *data)
{
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	assert_true(fd >= 0 && write(fd, data->s, data->len) == (ssize_t)data->len);
	print_message("wrote %s\n", path);
}

/* True when @path exists; otherwise written, or the test fails. */
static bool golden(const char *path, const struct str *now)
{
	const char *mode = getenv("LODGE_GOLDEN");

	if (access(path, R_OK) == 0)
		return true;
	if (!mode || strcmp(mode, "write"))
		fail_msg("%s is missing: run with LODGE_GOLDEN=write, and commit it", path);
	write_file(path, now);
	return false;
}

static void test_golden(void **state)
{
	AUTO(str) shape = STR_INIT;
	AUTO(str) stream = STR_INIT;
	AUTO(str) old = STR_INIT;
	struct fixture f;
	char path[4096];

	setup(&f, *state);
	if (!f.type->state) {
		teardown(&f);
		return;
	}
	make(&f);
	reset(&f);
	save(&f, &stream);
	describe(f.type->state, 0, &shape);
	snprintf(path, sizeof(path), "%s/%s.v%u.fields", state_dir, f.type->name,
		f.type->state->version);
	if (golden(path, &shape)) {
		assert_true(read_file(path, &old));
		if (strcmp(str_cstr(&old), str_cstr(&shape)))
			fail_msg(
				"the saved state changed its shape: raise the table's version (%s)",
				path);
	}
	for (uint32_t v = 1; v <= f.type->state->version; v++) {
		AUTO(str) saved = STR_INIT;
		struct error err = ERROR_INIT;

		snprintf(path, sizeof(path), "%s/%s.v%u.state", state_dir, f.type->name, v);
		if (golden(path, &stream) &&
			(!read_file(path, &saved) || !load(&f, saved.s, saved.len, &err)))
			fail_msg("%s does not load: %s", path, err.msg);
	}
	teardown(&f);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		CMUnitTestFunction fn;
	} checks[] = {
		{ "tables", test_tables },
		{ "allocation failures", test_allocation_failures },
		{ "random options", test_random_options },
		{ "reset twice", test_reset_twice },
		{ "save-load-save", test_save_load },
		{ "random registers", test_random_registers },
		{ "loaded copy", test_loaded_copy },
		{ "hostile queues", test_hostile_queues },
		{ "golden state", test_golden },
	};
	static struct CMUnitTest tests[1024];
	static char names[1024][96];
	size_t n = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: conformance STATE_DIR [SEED]\n");
		return 2;
	}
	state_dir = argv[1];
	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)clock_wall_ns() | 1;
	printf("seed %llu\n", (unsigned long long)seed);
	log_level = LOG_ERR;
	for (const struct device_type *const *t = device_type_table; *t; t++) {
		for (size_t i = 0; i < ARRAY_SIZE(checks) && !((*t)->flags & DEVICE_NO_TEST);
			i++, n++) {
			snprintf(names[n], sizeof(names[n]), "%s: %s", (*t)->name, checks[i].name);
			tests[n] = (struct CMUnitTest){ .name = names[n],
				.test_func = checks[i].fn };
			memcpy(&tests[n].initial_state, t, sizeof(*t));
		}
	}
	return _cmocka_run_group_tests("conformance", tests, n, NULL, NULL);
}
