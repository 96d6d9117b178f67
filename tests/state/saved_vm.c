// SPDX-License-Identifier: GPL-2.0-or-later
/* saved_vm - machines and streams for the tests of saved state. */
#include "tests/state/saved_vm.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "accel/null/null.h"
#include "base/clock.h"
#include "base/log.h"
#include "block/block.h"
#include "chardev/chardev.h"
#include "core/io.h"
#include "core/vcpu.h"
#include "net/net.h"

uint64_t seed;
char dir[64] = "/tmp/lodge-saved-XXXXXX";
struct loop *loop;

const struct shape usual = { 2 * MIB, 2,
	{ "acpi-pm", "i8042", "mc146818-rtc", "i8254", "isa-serial chardev=serial",
		"virtio-blk-pci drive=disk", "virtio-rng-pci",
		"virtio-console-pci console=console" } };
const struct shape every = { 1 * MIB, 1,
	{ "acpi-pm", "i8042", "mc146818-rtc", "i8254", "isa-serial chardev=serial",
		"virtio-blk-pci drive=disk", "virtio-rng-pci", "virtio-console-pci console=console",
		"virtio-net-pci netdev=net", "virtio-balloon-pci", "pcie-root-port id=rp1",
		"pcie-root-port id=rp2", "acpi-pci-hotplug", "virtio-rng-pci bus=rp2" } };

/* -------- machines -------- */

static void vcpu_reset(struct machine *m, struct vcpu *v)
{
	static _Thread_local struct x86_cpu_state s; /* each CPU's thread resets it */

	x86_cpu_state_reset(&s, v->apic_id, v->index == 0);
	assert_int_equal(m->accel->vcpu_set(v->accel, &s, X86_STATE_ALL), 0);
}

static const struct board_ops board = { .vcpu_reset = vcpu_reset };

static void make_devices(struct vm *vm, const struct shape *s)
{
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(s->devices) && s->devices[i]; i++) {
		AUTO_FREE char *type = strdup(s->devices[i]);
		char *space = strchr(type, ' ');

		if (space)
			*space++ = 0;
		if (!device_create(vm->m, type, space, &err))
			fail_msg("%s", err.msg);
	}
}

void vm_make(struct vm *vm, const struct shape *s)
{
	struct pci_host_config pci = { TEST_PCI };
	struct test_machine_config mc = {
		.accel = &null_accel, .ram = s->ram, .loop = loop, .max_vcpus = s->cpus, .pci = &pci
	};
	struct error err = ERROR_INIT;

	pci.ecam_buses = 3;
	pci.n_ports = 2;
	memset(vm, 0, sizeof(*vm));
	if (!test_machine_init(&vm->t, &mc, &err))
		fail_msg("%s", err.msg);
	vm->m = vm->t.m;
	vm->ram = vm->t.ram;
	vm->m->board = &board;
	vm->net = net_open_test(&err);
	vm->serial = chardev_open("null", "serial", loop, &err);
	vm->console = chardev_open("null", "console", loop, &err);
	vm->disk = block_open_test(1 * MIB, &err);
	assert_true(vm->net && vm->serial && vm->console && vm->disk);
	assert_true(machine_backend_add(vm->m, BACKEND_CHARDEV, "serial", vm->serial, &err));
	assert_true(machine_backend_add(vm->m, BACKEND_CHARDEV, "console", vm->console, &err));
	assert_true(machine_backend_add(vm->m, BACKEND_BLOCK, "disk", vm->disk, &err));
	assert_true(machine_backend_add(vm->m, BACKEND_NET, "net", vm->net, &err));
	assert_true(machine_add_vcpus(vm->m, s->cpus, &err));
	make_devices(vm, s);
	assert_true(machine_init_vcpus(vm->m, &err));
	assert_true(migrate_new(vm->m, &err));
}

void vm_free(struct vm *vm)
{
	struct migrate *g = migrate_of(vm->m);

	test_machine_fini(&vm->t);
	migrate_free(g);
	net_close(vm->net);
	block_close(vm->disk);
	chardev_close(vm->serial);
	chardev_close(vm->console);
}

void vm_wait_incoming(struct vm *vm, const struct shape *s)
{
	struct error err = ERROR_INIT;

	vm_make(vm, s);
	assert_true(machine_wait_incoming(vm->m, &err));
}

/* It has run, touched its devices, and its memory has pages of all kinds. */
void vm_use(struct vm *vm, uint64_t *rnd)
{
	struct error err = ERROR_INIT;

	assert_true(machine_resume(vm->m, &err));
	for (int i = 0; i < 200; i++) {
		static const uint16_t ports[] = { 0x3f8, 0x3f9, 0x3fb, 0x40, 0x43, 0x70, 0x71,
			0x60 };
		uint8_t data[4] = { (uint8_t)test_random(rnd) };

		io_access_port(vm->m, ports[test_random(rnd) % ARRAY_SIZE(ports)], data, 1,
			test_random(rnd) % 2);
	}
	machine_pause(vm->m);
	for (uint64_t p = 0; p < vm->ram->size / PAGE; p++) {
		uint8_t *page = vm->ram->host + p * PAGE;

		if (p % 7 == 3)
			memset(page, 0, PAGE); /* touched, and zero */
		for (uint32_t i = 0; p % 5 == 1 && i < PAGE; i += 8)
			wr_le64(page + i, i % 64 ? p : test_random(rnd));
	}
}

void save_state(struct vm *vm, struct str *out)
{
	struct error err = ERROR_INIT;

	if (!machine_save_devices(vm->m, out, &err))
		fail_msg("%s", err.msg);
}

/* -------- streams -------- */

const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

bool vm_save(struct vm *vm, const char *uri, struct error *err)
{
	return migrate_save(vm->m, uri, err) && migrate_wait(migrate_of(vm->m), err);
}

bool vm_load(struct vm *vm, const char *uri, struct error *err)
{
	return migrate_load(vm->m, uri, err) && migrate_wait(migrate_of(vm->m), err);
}

void read_file(const char *path, struct str *out)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[65536];
	ssize_t n;

	assert_true(fd >= 0);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		str_append_mem(out, buf, (size_t)n);
	assert_true(n == 0 && !out->failed);
}

/* A stream in memory as a file of its own, as fd:N: the job closes it. */
bool load_bytes(struct vm *vm, const void *p, size_t len, struct error *err)
{
	char uri[32];
	int fd = memfd_create("stream", MFD_CLOEXEC);

	assert_true(fd >= 0 && write(fd, p, len) == (ssize_t)len && lseek(fd, 0, SEEK_SET) == 0);
	snprintf(uri, sizeof(uri), "fd:%d", fd);
	return vm_load(vm, uri, err);
}

/* A used machine's stream; the machine is gone. */
void make_stream(struct str *out, int compress)
{
	make_stream_of(&usual, out, compress);
}

void make_stream_of(const struct shape *s, struct str *out, int compress)
{
	struct error err = ERROR_INIT;
	uint64_t rnd = seed;
	struct vm vm;

	vm_make(&vm, s);
	vm_use(&vm, &rnd);
	migrate_params(migrate_of(vm.m))->compress = compress;
	migrate_params(migrate_of(vm.m))->tuned = true;
	if (!vm_save(&vm, path_of("stream"), &err))
		fail_msg("%s", err.msg);
	read_file(path_of("stream"), out);
	vm_free(&vm);
}

void expect_refused(struct vm *vm, const void *p, size_t len, const char *why)
{
	struct error err = ERROR_INIT;

	if (load_bytes(vm, p, len, &err))
		fail_msg("was loaded: %s", why);
	assert_true(err.kind != ERROR_NONE && err.msg[0]);
	assert_int_equal(vm->m->state, RUN_INCOMING);
}

/* -------- changing streams -------- */

void put_section(struct str *out, uint16_t type, uint16_t flags, const void *p, size_t len)
{
	struct section s = { .type = type, .flags = flags, .len = len, .crc = crc32c(0, p, len) };
	uint8_t head[SECTION_HEAD];

	section_put_head(&s, head);
	str_append_mem(out, head, sizeof(head));
	str_append_mem(out, p, len);
}

/* @stream with more sections behind the first one. */
void insert_sections(const struct str *stream, const struct str *more, struct str *out)
{
	size_t n = STREAM_HEAD +
		   stream_section((const uint8_t *)stream->s, stream->len, STREAM_HEAD);

	str_append_mem(out, stream->s, n);
	str_append_mem(out, more->s, more->len);
	str_append_mem(out, stream->s + n, stream->len - n);
	stream_reseal((uint8_t *)out->s, out->len);
}

/* -------- the program -------- */

void saved_begin(const char *seed_text)
{
	struct error err = ERROR_INIT;

	seed = seed_text ? strtoull(seed_text, NULL, 0) : (uint64_t)clock_wall_ns() | 1;
	printf("seed %llu\n", (unsigned long long)seed);
	log_level = LOG_ERR;
	loop = loop_new("main", 0, &err);
	if (!loop || !mkdtemp(dir))
		exit(1);
}

int saved_end(int failed)
{
	AUTO_FREE char *clean = str_printf("rm -rf %s", dir);

	loop_free(loop);
	return failed || (clean && system(clean));
}
