// SPDX-License-Identifier: GPL-2.0-or-later
/* Configuration accesses of all kinds, BARs that move anywhere, INTx, MSI-X, assignment, state. */
#include <errno.h>
#include "core/device.h"
#include "base/wire.h"

extern const struct device_type pci_host_type, toy_type;
#define TEST_DEVICE_TYPES &pci_host_type, &toy_type,
#include "hw/testing.h"

/* A device with a memory BAR (64 bytes of RAM-like registers), a 64-bit one with MSI-X, a port BAR. */
struct toy {
	struct pci_device pci;
	struct {
		char *addr;
		bool no_intx;
		uint64_t big; /* size of a prefetchable 64-bit BAR, 0: none */
	} config;
	uint8_t regs[64];
	uint32_t last_port;
};

static uint64_t regs_read(void *opaque, uint64_t off, unsigned int size)
{
	struct toy *t = opaque;

	assert_true(off + size <= sizeof(t->regs));
	return rd_le(t->regs + off, size);
}

static void regs_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct toy *t = opaque;

	assert_true(off + size <= sizeof(t->regs));
	wr_le(t->regs + off, size, value);
}

static void port_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	((struct toy *)opaque)->last_port = (uint32_t)(off << 16 | value);
}

static const struct io_ops regs_ops = {
	.read = regs_read, .write = regs_write, .min_size = 1, .max_size = 8
};
static const struct io_ops port_ops = { .write = port_write, .min_size = 1, .max_size = 4 };

static bool toy_realize(struct device *d, struct error *err)
{
	struct toy *t = (struct toy *)d;
	struct pci_info info = { .vendor = 0x1234,
		.device = 0x5678,
		.subvendor = 0x9abc,
		.subdevice = 0xdef0,
		.class_code = 0x010203,
		.revision = 7,
		.no_intx = t->config.no_intx };
	uint8_t cap;

	if (!pci_device_init(&t->pci, &info, t->config.addr, err))
		return false;
	if (!pci_add_bar(&t->pci, 0, 64, false, false, false, "toy", &regs_ops, t, err) ||
		!pci_add_bar(&t->pci, 1, 4096, false, true, false, "toy-msix", NULL, NULL, err) ||
		!pci_add_bar(&t->pci, 3, 16, true, false, false, "toy-port", &port_ops, t, err) ||
		(t->config.big && !pci_add_bar(&t->pci, 4, t->config.big, false, true, true,
					  "toy-big", NULL, NULL, err)) ||
		!pci_add_msix(&t->pci, 70, 1, 0, 2048, err)) {
		pci_device_fini(&t->pci);
		return false;
	}
	cap = pci_add_cap(&t->pci, 0x09, 7);
	assert_int_equal(cap, 0x4c);
	t->pci.w1cmask[cap + 3] = 0xf0;
	t->pci.config[cap + 3] = 0xff;
	t->pci.wmask[cap + 4] = 0x3c;
	return true;
}

static void toy_unrealize(struct device *d)
{
	pci_device_fini((struct pci_device *)d);
}

static void toy_reset(struct device *d)
{
	pci_device_reset((struct pci_device *)d);
}

static void toy_pre_save(struct device *d)
{
	pci_pre_save((struct pci_device *)d);
}

static bool toy_post_load(struct device *d, struct error *err)
{
	return pci_post_load((struct pci_device *)d, err);
}

static const struct field toy_fields[] = {
	FIELD_STR(struct toy, config.addr, "addr", .doc = "address"),
	FIELD_BOOL(struct toy, config.no_intx, "no-intx", .doc = "no pin"),
	FIELD_SIZE(struct toy, config.big, "big", .doc = "a big BAR"),
};
static const struct field_table toy_config = FIELD_TABLE("toy", struct toy, toy_fields);

const struct device_type toy_type = {
	.name = "toy",
	.doc = "for tests",
	.bus = BUS_PCI,
	.size = sizeof(struct toy),
	.config = &toy_config,
	.state = &pci_device_state,
	.realize = toy_realize,
	.unrealize = toy_unrealize,
	.reset = toy_reset,
	.pre_save = toy_pre_save,
	.post_load = toy_post_load,
};

static struct test_machine *f;

static int setup(void **state)
{
	f = fixture_new(&test_pci);
	return 0;
}

static int teardown(void **state)
{
	fixture_free(f);
	return 0;
}

static struct toy *make(const char *options)
{
	struct error err = ERROR_INIT;
	struct device *d = device_create(f->m, "toy", options, &err);

	if (!d)
		fail_msg("%s", err.msg);
	toy_reset(d);
	return (struct toy *)d;
}

static uint32_t cfg(uint8_t devfn, uint16_t off, unsigned int size)
{
	return pci_config_read(f->host, 0, devfn, off, size);
}

static void cfg_set(uint8_t devfn, uint16_t off, unsigned int size, uint32_t v)
{
	pci_config_write(f->host, 0, devfn, off, v, size);
}

static uint64_t mem(uint64_t addr, unsigned int size)
{
	uint8_t b[8] = { 0 };

	io_access_mem(f->m, addr, b, size, false);
	return rd_le64(b);
}

static void mem_set(uint64_t addr, unsigned int size, uint64_t v)
{
	uint8_t b[8];

	wr_le64(b, v);
	io_access_mem(f->m, addr, b, size, true);
}

static uint32_t port(uint16_t addr, unsigned int size)
{
	uint8_t b[8] = { 0 };

	io_access_port(f->m, addr, b, size, false);
	return rd_le32(b);
}

static void port_set(uint16_t addr, unsigned int size, uint32_t v)
{
	uint8_t b[8];

	wr_le64(b, v);
	io_access_port(f->m, addr, b, size, true);
}

static void test_header(void **state)
{
	struct toy *t = make("");

	assert_int_equal(t->pci.devfn, 1 << 3);
	assert_int_equal(cfg(8, 0, 4), 0x56781234);
	assert_int_equal(cfg(8, PCI_REVISION, 4), 0x01020307);
	assert_int_equal(cfg(8, PCI_SUBVENDOR, 4), 0xdef09abc);
	assert_int_equal(cfg(8, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(cfg(8, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(cfg(8, PCI_INTERRUPT_LINE, 1), 17);
	assert_int_equal(cfg(8, PCI_STATUS, 2), PCI_STATUS_CAPS);
	assert_int_equal(cfg(8, PCI_CAP_PTR, 1), 0x40);
	assert_int_equal(cfg(8, 0x40, 4), 69 << 16 | 0x4c00 | PCI_CAP_ID_MSIX);
	assert_int_equal(cfg(8, 0x44, 4), 1);
	assert_int_equal(cfg(8, 0x48, 4), 2049);
	assert_int_equal(cfg(8, 0x4d, 1), 0); /* the last */
	/* Read-only. */
	for (uint16_t off = 0; off < 256; off += 4)
		if (off != PCI_COMMAND)
			cfg_set(8, off, 4, 0);
	assert_int_equal(cfg(8, 0, 4), 0x56781234);
	assert_int_equal(cfg(8, 0x44, 4), 1);
	/* Write masks and write-one-to-clear. */
	cfg_set(8, 0x50, 1, 0xff);
	assert_int_equal(cfg(8, 0x50, 1), 0x3c);
	cfg_set(8, 0x4f, 1, 0x5f);
	assert_int_equal(cfg(8, 0x4f, 1), 0x0f); /* reset cleared the w1c bits */
}

/* Nobody there, beyond conventional space, other buses. */
static void test_nobody(void **state)
{
	make("");
	assert_int_equal(cfg(0x10, 0, 4), 0xffffffff);
	assert_int_equal(cfg(0x10, 0, 2), 0xffff);
	assert_int_equal(cfg(9, 0, 1), 0xff);
	assert_int_equal(pci_config_read(f->host, 1, 8, 0, 4), 0xffffffff);
	assert_int_equal(cfg(8, 0x100, 4), 0xffffffff);
	assert_int_equal(cfg(8, 0xfff, 1), 0xff);
	assert_int_equal(cfg(8, 0xfe, 4), 0xffffffff);
	cfg_set(8, 0x100, 4, 1);
	cfg_set(0x10, 0, 4, 1);
}

static void test_bridge(void **state)
{
	struct pci_host_config c = test_pci;

	assert_int_equal(cfg(0, 0, 4), 0x29c08086);
	assert_int_equal(cfg(0, 0x0a, 2), 0x0600);
	assert_int_equal(cfg(0, 0x60, 4), 0xe0000005);
	fixture_free(f);
	c.no_bridge = c.no_ports = true;
	f = fixture_new(&c);
	make("");
	assert_int_equal(cfg(0, 0, 4), 0xffffffff);
	assert_int_equal(cfg(8, 0, 4), 0x56781234);
	port_set(0xcf8, 4, 0x80000800);
	assert_int_equal(port(0xcf8, 4), 0xffffffff);
	assert_int_equal(port(0xcfc, 4), 0xffffffff);
	assert_int_equal(mem(0xe0008000, 4), 0x56781234);
}

static void test_ecam(void **state)
{
	struct toy *t = make("");

	assert_int_equal(mem(0xe0008000, 4), 0x56781234);
	assert_int_equal(mem(0xe0008001, 1), 0x12);
	assert_int_equal(mem(0xe0008002, 2), 0x5678);
	assert_int_equal(mem(0xe0008000, 8), (uint64_t)PCI_STATUS_CAPS << 48 | 0x56781234);
	assert_int_equal(mem(0xe0008001, 2), 0x7812);
	assert_int_equal(mem(0xe0010000, 8), UINT64_MAX);
	mem_set(0xe000803c, 1, 0x55);
	assert_int_equal(t->pci.config[PCI_INTERRUPT_LINE], 0x55);
}

static void test_ports(void **state)
{
	make("");
	port_set(0xcf8, 4, 0x80000800);
	assert_int_equal(port(0xcf8, 4), 0x80000800);
	assert_int_equal(port(0xcfc, 4), 0x56781234);
	assert_int_equal(port(0xcfd, 1), 0x12);
	assert_int_equal(port(0xcfe, 2), 0x5678);
	port_set(0xcf8, 4, 0xff00083f); /* reserved bits, register 0x3c */
	assert_int_equal(port(0xcf8, 4), 0x8000083c);
	port_set(0xcfc, 1, 0x77);
	assert_int_equal(cfg(8, PCI_INTERRUPT_LINE, 1), 0x77);
	/* Linux's probe. */
	port_set(0xcfb, 1, 1);
	assert_int_equal(port(0xcf8, 4), 0x8000083c);
	port_set(0xcf8, 2, 0);
	assert_int_equal(port(0xcf8, 4), 0x8000083c);
	/* Not enabled; another bus. */
	port_set(0xcf8, 4, 0x00000800);
	assert_int_equal(port(0xcfc, 4), 0xffffffff);
	port_set(0xcfc, 4, 0);
	port_set(0xcf8, 4, 0x80010800);
	assert_int_equal(port(0xcfc, 4), 0xffffffff);
	/* The reset register inside. */
	port_set(0xcf9, 1, 2);
	assert_int_equal(port(0xcf9, 1), 2);
	assert_int_equal(f->m->pending, 0);
	port_set(0xcf9, 1, 6);
	assert_int_equal(f->m->pending, 1 << MACHINE_RESET);
	f->m->pending = 0;
}

static void test_slots(void **state)
{
	struct error err = ERROR_INIT;
	struct toy *a = make(""), *b = make("addr=3"), *c = make("addr=3.1"), *d = make(""),
		   *e = make("");

	assert_int_equal(a->pci.devfn, 8);
	assert_int_equal(b->pci.devfn, 0x18);
	assert_int_equal(c->pci.devfn, 0x19);
	assert_int_equal(d->pci.devfn, 0x10);
	assert_int_equal(e->pci.devfn, 0x20);
	assert_int_equal(cfg(0x18, PCI_HEADER_TYPE, 1), 0x80);
	assert_int_equal(cfg(8, PCI_HEADER_TYPE, 1), 0);
	device_free(&c->pci.dev);
	assert_int_equal(cfg(0x18, PCI_HEADER_TYPE, 1), 0);
	static const char *const bad[] = { "addr=3", "addr=0", "addr=20", "addr=1.8", "addr=x",
		"addr=", "addr=1.", "addr=-1", "addr=1.0.0", "addr=1 " };

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		assert_null(device_create(f->m, "toy", bad[i], &err));
	for (int i = 5; i < 32; i++)
		make("");
	assert_null(device_create(f->m, "toy", "", &err));
	assert_contains(err.msg, "slots are taken");
}

static void test_sizing(void **state)
{
	make("");
	/* As assigned, and not decoded. */
	assert_int_equal(cfg(8, PCI_COMMAND, 2), 0);
	assert_int_equal(cfg(8, 0x10, 4), 0xc0000000);
	assert_int_equal(cfg(8, 0x14, 4), 0xc0001004);
	assert_int_equal(cfg(8, 0x18, 4), 0);
	assert_int_equal(cfg(8, 0x1c, 4), 0x1001);
	for (uint16_t off = 0x10; off < 0x28; off += 4)
		cfg_set(8, off, 4, 0xffffffff);
	assert_int_equal(cfg(8, 0x10, 4), 0xffffffc0);
	assert_int_equal(cfg(8, 0x14, 4), 0xfffff004);
	assert_int_equal(cfg(8, 0x18, 4), 0xffffffff);
	assert_int_equal(cfg(8, 0x1c, 4), 0xfffffff1);
	assert_int_equal(cfg(8, 0x20, 4), 0);
	cfg_set(8, 0x30, 4, 0xffffffff);
	assert_int_equal(cfg(8, 0x30, 4), 0); /* no ROM */
}

static void test_assign(void **state)
{
	struct toy *a = make(""), *b = make("big=64M"), *c = make("big=64M");
	struct error err = ERROR_INIT;

	for (int i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *x = &a->pci.bar[i], *y = &b->pci.bar[i], *z = &c->pci.bar[i];

		assert_int_equal(
			x->assigned & (x->size - 1), x->size ? 0 : x->assigned & (x->size - 1));
		if (x->size)
			assert_true(x->assigned != y->assigned && y->assigned != z->assigned);
	}
	assert_int_equal(b->pci.bar[4].assigned, 0x100000000);
	assert_int_equal(c->pci.bar[4].assigned, 0x104000000);
	device_free(&b->pci.dev);
	b = make("big=32M"); /* the gap is used again */
	assert_int_equal(b->pci.bar[4].assigned, 0x100000000);
	assert_null(device_create(f->m, "toy", "big=8G", &err));
	assert_contains(err.msg, "no room");
}

static void test_decode(void **state)
{
	struct toy *t = make("");

	assert_int_equal(mem(0xc0000000, 4), 0xffffffff);
	cfg_set(8, PCI_COMMAND, 2, PCI_COMMAND_MEM);
	mem_set(0xc0000000, 4, 0x11223344);
	assert_int_equal(t->regs[3], 0x11);
	assert_int_equal(mem(0xc0000001, 2), 0x2233);
	port_set(0x1000, 2, 5);
	assert_int_equal(t->last_port, 0);
	cfg_set(8, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_IO);
	port_set(0x1004, 2, 5);
	assert_int_equal(t->last_port, 4 << 16 | 5);
	/* Move. */
	cfg_set(8, 0x10, 4, 0xd0000000);
	assert_int_equal(mem(0xd0000000, 4), 0x11223344);
	assert_int_equal(mem(0xc0000000, 4), 0xffffffff);
	cfg_set(8, 0x1c, 4, 0x2000);
	port_set(0x2000, 1, 9);
	assert_int_equal(t->last_port, 9);
	/* A 64-bit BAR moves in two halves. */
	cfg_set(8, 0x14, 4, 0x20000000);
	assert_int_equal(t->pci.bar[1].mapped_at, PCI_UNMAPPED);
	cfg_set(8, 0x18, 4, 1);
	assert_int_equal(t->pci.bar[1].mapped_at, 0x120000000);
	assert_int_equal(mem(0x120000000 + 12, 4), 1);
	cfg_set(8, PCI_COMMAND, 2, 0);
	assert_int_equal(mem(0xd0000000, 4), 0xffffffff);
	assert_int_equal(t->pci.bar[1].mapped_at, PCI_UNMAPPED);
}

/* BARs over RAM, ECAM, another BAR, nowhere: nothing breaks, RAM stays RAM. */
static void test_hostile_bars(void **state)
{
	static const uint32_t where[] = { 0, 0x1000, TEST_RAM - 64, 0xbfffffc0, 0xc0000000,
		0xdfffffc0, 0xe0000000, 0xe0008000, 0xfec00000, 0xfee00000, 0xffffffc0,
		0xffffffff };
	struct toy *a = make(""), *b = make("");
	uint64_t seed = 7;

	cfg_set(8, PCI_COMMAND, 2, 7);
	cfg_set(16, PCI_COMMAND, 2, 7);
	f->ram->host[0x1000] = 0x5a;
	for (unsigned int i = 0; i < ARRAY_SIZE(where); i++) {
		cfg_set(8, 0x10, 4, where[i]);
		assert_int_equal(mem(0x1000, 1), 0x5a);
		assert_int_equal(mem(0xe0008000, 4), 0x56781234);
	}
	/* Both at one place: one of them answers, and when it leaves the other does. */
	cfg_set(8, 0x10, 4, 0xd0000000);
	cfg_set(16, 0x10, 4, 0xd0000000);
	a->regs[0] = 1;
	b->regs[0] = 2;
	assert_true(mem(0xd0000000, 1) == 1 || mem(0xd0000000, 1) == 2);
	cfg_set(16, PCI_COMMAND, 2, 0);
	assert_int_equal(mem(0xd0000000, 1), 1);
	/* Its own BARs on one another. */
	cfg_set(8, 0x14, 4, 0xd0000000);
	cfg_set(8, 0x18, 4, 0);
	mem_set(0xd0000000, 8, UINT64_MAX);
	for (int i = 0; i < 20000; i++) {
		uint64_t r = test_random(&seed);
		static const uint8_t sizes[] = { 1, 2, 4 };
		unsigned int size = sizes[r % 3];

		cfg_set(r & 8, (uint16_t)(r >> 8 & (r & 1 << 20 ? 0x3f : 0xff) & ~(size - 1)), size,
			(uint32_t)(r >> 32));
		mem((uint32_t)test_random(&seed), 4);
	}
	device_free(&a->pci.dev);
	assert_int_equal(cfg(8, 0, 4), 0xffffffff);
	make("");
}

static void test_intx(void **state)
{
	struct toy *a = make(""), *b = make("addr=5"), *c = make("no-intx=on");

	/* Slots 1 and 5 share a line. */
	pci_intx_set(&a->pci, true);
	assert_true(test_irq_level[17]);
	assert_int_equal(cfg(8, PCI_STATUS, 2) & PCI_STATUS_INTX, PCI_STATUS_INTX);
	pci_intx_set(&b->pci, true);
	pci_intx_set(&a->pci, false);
	assert_true(test_irq_level[17]);
	/* Interrupt Disable: the pin falls, the status stays. */
	cfg_set(5 << 3, PCI_COMMAND, 2, PCI_COMMAND_INTX_OFF);
	assert_false(test_irq_level[17]);
	assert_int_equal(cfg(5 << 3, PCI_STATUS, 2) & PCI_STATUS_INTX, PCI_STATUS_INTX);
	cfg_set(5 << 3, PCI_COMMAND, 2, 0);
	assert_true(test_irq_level[17]);
	toy_reset(&b->pci.dev);
	assert_false(test_irq_level[17]);
	/* With MSI-X on the pin is not used; its level comes back with it. */
	pci_intx_set(&a->pci, true);
	cfg_set(8, 0x42, 2, 0x8000);
	assert_false(test_irq_level[17]);
	cfg_set(8, 0x42, 2, 0);
	assert_true(test_irq_level[17]);
	pci_intx_set(&a->pci, false);
	/* A device without a pin. */
	assert_int_equal(cfg(c->pci.devfn, PCI_INTERRUPT_PIN, 1), 0);
	pci_intx_set(&c->pci, true);
	pci_intx_set(&b->pci, true);
	assert_int_equal(test_irq_rises[17], 5);
	device_free(&b->pci.dev); /* takes its level along */
	assert_false(test_irq_level[17]);
}

#define TABLE 0xc0001000ull
#define PBA   (TABLE + 2048)

static void fire(struct toy *t, uint16_t v)
{
	mutex_lock(&t->pci.dev.lock);
	pci_msix_fire(&t->pci, v, NULL);
	mutex_unlock(&t->pci.dev.lock);
}

static void test_msix(void **state)
{
	struct toy *t = make("");

	cfg_set(8, PCI_COMMAND, 2, PCI_COMMAND_MEM);
	assert_int_equal(mem(TABLE + 12, 4), 1); /* masked after reset */
	fire(t, 0);
	assert_int_equal(mem(PBA, 8), 0); /* off: nothing is kept */
	cfg_set(8, 0x42, 2, 0xc000);	  /* enable, function masked */
	mem_set(TABLE + 16 * 65, 4, 0xfee01003);
	mem_set(TABLE + 16 * 65 + 4, 4, 0);
	mem_set(TABLE + 16 * 65 + 8, 4, 0x4041);
	mem_set(TABLE + 16 * 65 + 12, 4, 0xfffffffe);
	assert_int_equal(mem(TABLE + 16 * 65, 8), 0xfee01000);
	assert_int_equal(mem(TABLE + 16 * 65 + 8, 8), 0x4041);
	fire(t, 65);
	assert_int_equal(test_msis, 0);
	assert_int_equal(mem(PBA + 8, 8), 2);
	assert_int_equal(mem(PBA + 8, 1), 2);
	assert_int_equal(mem(PBA, 8), 0);
	mem_set(PBA + 8, 8, 0); /* read-only */
	cfg_set(8, 0x42, 2, 0x8000);
	assert_int_equal(test_msis, 1);
	assert_int_equal(test_msi_addr, 0xfee01000);
	assert_int_equal(test_msi_data, 0x4041);
	assert_int_equal(mem(PBA + 8, 8), 0);
	fire(t, 65);
	assert_int_equal(test_msis, 2);
	/* Masked by its own bit; the message changes meanwhile. */
	mem_set(TABLE + 16 * 65 + 12, 4, 1);
	fire(t, 65);
	fire(t, 65);
	assert_int_equal(test_msis, 2);
	mem_set(TABLE + 16 * 65 + 8, 4, 0x4042);
	mem_set(TABLE + 16 * 65 + 12, 4, 0);
	assert_int_equal(test_msis, 3);
	assert_int_equal(test_msi_data, 0x4042);
	fire(t, 70); /* no such vector */
	fire(t, 0xffff);
	assert_int_equal(test_msis, 3);
	/* Between table and PBA there is nothing. */
	assert_int_equal(mem(TABLE + 16 * 70, 8), 0);
	mem_set(TABLE + 16 * 70, 8, 1);
	cfg_set(8, 0x42, 2, 0);
	fire(t, 65);
	assert_int_equal(test_msis, 3);
}

static struct accel_msi last_routes[8];
static uint32_t n_last_routes;

/* As KVM with 32-bit APIC ids: a message with bits there refuses the whole table. */
static int routes_set(struct accel_vm *vm, const struct accel_msi *r, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (r[i].addr >> 32 & 0xff)
			return -EINVAL;
	}
	memcpy(last_routes, r, n * sizeof(*r));
	n_last_routes = n;
	return 0;
}

static int irqfd(struct accel_vm *vm, uint32_t gsi, int fd, bool add)
{
	return 0;
}

/* A message that the engine refuses does not spoil the others. */
static void test_bad_route(void **state)
{
	struct accel routed = test_accel;
	struct toy *t;

	routed.routes_set = routes_set;
	routed.irqfd = irqfd;
	f->m->accel = &routed;
	t = make("");
	cfg_set(8, PCI_COMMAND, 2, PCI_COMMAND_MEM);
	cfg_set(8, 0x42, 2, 0x8000);
	mem_set(TABLE, 8, 0xfee01000);
	mem_set(TABLE + 12, 4, 0);
	assert_int_equal(n_last_routes, 1);
	mem_set(TABLE + 12, 4, 1);
	mem_set(TABLE, 8, 0x1fee01000);
	mem_set(TABLE + 12, 4, 0);
	assert_false(t->pci.msix.vectors[0].active);
	mem_set(TABLE + 16, 8, 0xfee02000);
	mem_set(TABLE + 16 + 12, 4, 0);
	assert_int_equal(n_last_routes, 2);
	assert_true(t->pci.msix.vectors[1].gsi >= 0);
	mem_set(TABLE, 8, 0xfee03000); /* mended */
	assert_true(t->pci.msix.vectors[0].active);
	assert_int_equal(last_routes[0].addr, 0xfee03000);
	device_free(&t->pci.dev);
	f->m->accel = &test_accel;
}

static void save(struct toy *t, struct str *out)
{
	struct error err = ERROR_INIT;

	str_clear(out);
	assert_true(device_save(&t->pci.dev, out, &err));
}

static void test_state(void **state)
{
	struct toy *t = make("");
	AUTO(str) saved = STR_INIT;
	AUTO(str) again = STR_INIT;
	struct error err = ERROR_INIT;

	cfg_set(8, PCI_COMMAND, 2, 7);
	cfg_set(8, 0x10, 4, 0xd0000000);
	cfg_set(8, 0x42, 2, 0x8000);
	mem_set(TABLE, 4, 0xfee00000);
	mem_set(TABLE + 8, 4, 0x30);
	mem_set(TABLE + 16 + 8, 4, 0x31);
	mem_set(TABLE + 12, 4, 0);
	fire(t, 1);
	pci_intx_set(&t->pci, true);
	save(t, &saved);
	toy_reset(&t->pci.dev);
	assert_false(test_irq_level[17]);
	assert_true(device_load(&t->pci.dev, saved.s, saved.len, &err));
	save(t, &again);
	assert_int_equal(saved.len, again.len);
	assert_memory_equal(saved.s, again.s, saved.len);
	assert_int_equal(t->pci.bar[0].mapped_at, 0xd0000000);
	assert_true(t->pci.intx_level);
	assert_false(test_irq_level[17]); /* MSI-X is on */
	fire(t, 0);
	assert_int_equal(test_msi_data, 0x30);
	assert_int_equal(mem(PBA, 1), 2);
	mem_set(TABLE + 16 + 12, 4, 0);
	assert_int_equal(test_msi_data, 0x31);
	/* Another device's. */
	t->pci.config[0] ^= 1;
	assert_false(device_load(&t->pci.dev, saved.s, saved.len, &err));
	assert_contains(err.msg, "different device");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_header, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bridge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ecam, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slots, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sizing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_assign, setup, teardown),
		cmocka_unit_test_setup_teardown(test_decode, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_bars, setup, teardown),
		cmocka_unit_test_setup_teardown(test_intx, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_route, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
