// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/x86/board.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "base/wire.h"
#include "core/vcpu.h"
#include "hw/legacy/fw_cfg.h"
#include "hw/legacy/legacy.h"
#include "hw/pci/hotplug.h"
#include "hw/pci/pci.h"
#include "machine/x86/boot.h"
#include "machine/x86/tables.h"
#include "mem/gmem.h"
#include "mem/ram.h"

#define LOW_RAM_END	  0xc0000000ull /* 3 GiB: one-GiB pages fit */
#define HIGH_RAM	  0x100000000ull
#define MMIO32_BASE	  0xc0000000ull
#define MMIO32_SIZE	  0x20000000ull
#define ECAM_BASE	  0xe0000000ull
/* One bus, and one a root port: a guest that scans 256 pays an exit for each empty slot. */
#define ECAM_BUSES(ports) (1 + (ports))
#define IO_BASE		  0x1000
#define IO_SIZE		  0xf000
#define IOAPIC_BASE	  0xfec00000ull
#define LAPIC_BASE	  0xfee00000ull

#define MSR_MTRR_DEF_TYPE 0x2ff
#define MTRR_ENABLED	  (1u << 11)
#define MTRR_WRITE_BACK	  6
/* Vectors of the 8259s in a PC: IRQ 0-7 and 8-15. */
#define PIC_VECTORS_LOW	  0x08
#define PIC_VECTORS_HIGH  0x70
#define EBDA_BASE	  0x9fc00ull
#define ACPI_BASE	  0xe0000ull /* where a BIOS area scan looks for the RSDP */
#define SMBIOS_BASE	  0xf0000ull /* and for the SMBIOS entry point */
#define TABLES_END	  0x100000ull
#define MMIO64_SIZE	  (32 * GIB)
#define PVPANIC_PORT	  0x505

struct board {
	struct board_config c;
	struct ram_block *ram;
	struct as_region low, high;
	struct x86_cpuid *cpuid; /* n_vcpus */
	struct boot_mem_map map;
	struct boot_files files;
	struct boot_request request;
	struct boot_result boot;
	struct pci_host_config pci;
	struct device *pm;
	struct x86_cpu_state *reset_state; /* owned; of the boot CPU */
	uint32_t resets;
};

static const struct board_ops pc_ops;

static struct board *board_of(const struct machine *m)
{
	return m->board_data;
}

/* -------- memory -------- */

static uint64_t low_size(const struct board_config *c)
{
	return MIN(c->memory, LOW_RAM_END);
}

static bool map_ram(struct machine *m, struct board *b, struct error *err)
{
	struct ram_config rc = {
		.name = "ram",
		.size = b->c.memory,
		.file = b->c.memory_file,
		.hugepages = b->c.hugepages,
		.alias = m->accel->aliases_ram,
		.prealloc = b->c.prealloc,
		.small_head = 2 * MIB, /* tables, boot structures, the guest's trampolines */
		.host_node = -1,
	};
	uint64_t low = low_size(&b->c), high = b->c.memory - low;
	int rcode;

	b->ram = ram_block_new(&rc, err);
	if (!b->ram)
		return false;
	b->low = (struct as_region){
		.name = "ram-low", .kind = AS_RAM, .priority = -10, .ram = b->ram
	};
	b->high = (struct as_region){
		.name = "ram-high", .kind = AS_RAM, .priority = -10, .ram = b->ram, .ram_off = low
	};
	rcode = as_add(&m->mem, &b->low, 0, low);
	if (!rcode && high)
		rcode = as_add(&m->mem, &b->high, HIGH_RAM, high);
	return !rcode || error_set_errno(err, rcode, "cannot map %llu MiB of guest memory",
				 (unsigned long long)(b->c.memory / MIB));
}

static void map_add(struct boot_mem_map *map, uint64_t start, uint64_t end, uint32_t type)
{
	assert(map->n < BOOT_MEM_MAX);
	if (end <= start)
		return;
	map->e[map->n].start = start;
	map->e[map->n].size = end - start;
	map->e[map->n++].type = type;
}

static void build_map(struct board *b)
{
	uint64_t low = low_size(&b->c);
	struct boot_mem_map *map = &b->map;

	map_add(map, 0, EBDA_BASE, BOOT_MEM_RAM);
	map_add(map, EBDA_BASE, MIB, BOOT_MEM_RESERVED);
	map_add(map, MIB, low, BOOT_MEM_RAM);
	if (b->c.pci)
		map_add(map, ECAM_BASE, ECAM_BASE + ECAM_BUSES(b->c.pci_ports) * MIB,
			BOOT_MEM_RESERVED);
	/* Where engines may keep pages of their own (KVM on Intel: identity map and TSS). */
	map_add(map, 0xfeffc000, 0xff000000, BOOT_MEM_RESERVED);
	map_add(map, HIGH_RAM, HIGH_RAM + b->c.memory - low, BOOT_MEM_RAM);
}

/* -------- CPUs -------- */

static bool split_flags(char *flags, struct x86_cpu_model_request *req, struct error *err)
{
	unsigned int plus = 0, minus = 0;
	char *save = NULL;

	for (char *f = flags ? strtok_r(flags, ",", &save) : NULL; f;
		f = strtok_r(NULL, ",", &save)) {
		const char **list = f[0] == '+' ? &req->plus[plus++] : &req->minus[minus++];

		if (f[0] != '+' && f[0] != '-')
			return error_usage(err, "CPU flag '%s': write +%s or -%s", f, f, f);
		if (!f[1])
			return error_usage(
				err, "CPU flag '%s': a name is wanted, as +avx or -avx", f);
		if (plus == X86_FLAGS_MAX || minus == X86_FLAGS_MAX)
			return error_usage(err, "more than %d CPU flags", X86_FLAGS_MAX - 1);
		*list = f + 1;
	}
	return true;
}

static bool has_64_bits(const struct x86_cpuid *c)
{
	const struct x86_cpuid_leaf *l = x86_cpuid_find(c, 1, 0);
	const struct x86_cpuid_leaf *x = x86_cpuid_find(c, 0x80000001, 0);

	return l && x && l->edx >> 6 & 1 && x->edx >> 29 & 1;
}

static bool build_cpuid(struct machine *m, struct board *b, struct error *err)
{
	AUTO_FREE struct x86_cpuid *supported = malloc(sizeof(*supported));
	AUTO_FREE char *flags = b->c.cpu_flags ? strdup(b->c.cpu_flags) : NULL;
	struct x86_cpu_model_request req = {
		.model = b->c.cpu_model,
		.topology = b->c.topology,
		.tsc_khz = m->vm->tsc_khz,
		.hypervisor_leaf = true,
	};
	char buf[256];

	b->cpuid = malloc(b->c.cpus * sizeof(*b->cpuid)); /* each says how much of it is used */
	if (!supported || !b->cpuid || (b->c.cpu_flags && !flags))
		return error_set(err, "out of memory");
	if (!m->accel->cpuid_supported(m->vm, supported, err) || !split_flags(flags, &req, err))
		return false;
	for (uint32_t i = 0; i < b->c.cpus; i++) {
		struct vcpu *v = &m->vcpus[i];
		const char *problem;

		v->apic_id = x86_apic_id(&b->c.topology, i);
		v->cpuid = &b->cpuid[i];
		v->host_cpu = b->c.pin ? b->c.pin[i] : -1;
		problem = x86_cpuid_build(
			&req, supported, v->apic_id, &b->cpuid[i], buf, sizeof(buf));
		if (problem)
			return error_usage(err, "CPU model '%s': %s", b->c.cpu_model, problem);
		if (!has_64_bits(&b->cpuid[i]))
			return error_usage(err,
				"CPU model '%s': a machine starts in 64-bit mode, which needs "
				"+lm,+pae",
				b->c.cpu_model);
	}
	return true;
}

/* -------- tables -------- */

static void describe_nodes(const struct board *b, struct tables_config *t, uint32_t *cpu_node)
{
	uint64_t at = 0, low = low_size(&b->c);

	t->n_nodes = b->c.n_nodes;
	for (uint32_t n = 0; n < b->c.n_nodes; n++) {
		const struct board_node *node = &b->c.node[n];
		uint64_t below = at < low ? MIN(node->memory, low - at) : 0;

		for (uint32_t i = 0; i < node->n_cpus; i++)
			cpu_node[node->first_cpu + i] = n;
		t->node[n].mem_start = at;
		t->node[n].mem_size = below;
		t->node[n].mem2_start = HIGH_RAM + MAX(at, low) - low;
		t->node[n].mem2_size = node->memory - below;
		at += node->memory;
	}
}

static bool put_tables(struct machine *m, uint64_t base, uint64_t end, const struct str *image,
	const char *what, struct error *err)
{
	int rc;

	if (image->failed || image->len > end - base)
		return error_set(err,
			"%s tables do not fit (%zu bytes): fewer CPUs or nodes are needed", what,
			image->len);
	rc = gmem_write(&m->mem, GPA(base), image->s, image->len);
	return !rc || error_set_errno(err, rc, "cannot write the %s tables", what);
}

static bool write_acpi(struct machine *m, struct board *b, struct error *err)
{
	AUTO(str) image = STR_INIT;
	AUTO_FREE uint32_t *ids = calloc(b->c.cpus, sizeof(*ids));
	AUTO_FREE uint32_t *nodes = calloc(b->c.cpus, sizeof(*nodes));
	struct tables_config t = {
		.n_cpus = b->c.cpus,
		.apic_ids = ids,
		.cpu_node = b->c.n_nodes ? nodes : NULL,
		.lapic_base = LAPIC_BASE,
		.ioapic_base = IOAPIC_BASE,
		.have_i8042 = b->c.keyboard,
		.have_rtc = b->c.rtc,
		.have_pit_pic = true,
		.n_serial = b->c.n_serial,
		.serial = { { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 } },
		.have_fw_cfg = m->fw_cfg,
		.have_power_button = true,
		.pvpanic_port = PVPANIC_PORT,
		/* Kernels that are entered as Linux is have the engine's clock: they would only measure
		 * this one, for milliseconds. */
		.no_pm_timer = b->boot.entry != BOOT_ENTRY_MULTIBOOT,
		.oem_id = "LODGE ",
	};
	struct device *d;

	if (!ids || !nodes)
		return error_set(err, "out of memory");
	for (uint32_t i = 0; i < b->c.cpus; i++)
		ids[i] = m->vcpus[i].apic_id;
	/* A port without a back end does not exist. */
	for (uint32_t i = 0; i < b->c.n_serial; i++) {
		if (!b->c.serial[i])
			t.serial[i].port = 0;
	}
	describe_nodes(b, &t, nodes);
	list_for_each (d, &m->devices, node)
		t.have_pvpanic |= !strcmp(d->type->name, "pvpanic");
	if (m->pci) {
		t.ecam_base = b->pci.ecam_base;
		t.ecam_buses = b->pci.ecam_buses;
		t.mmio32_base = b->pci.mmio32_base;
		t.mmio32_size = b->pci.mmio32_size;
		t.mmio64_base = b->pci.mmio64_base;
		t.mmio64_size = b->pci.mmio64_size;
		t.io_base = b->pci.io_base;
		t.io_size = b->pci.io_size;
		memcpy(t.intx_gsi, b->pci.intx_gsi, sizeof(t.intx_gsi));
		t.n_slots = pci_hotplug_slots(m, t.slot, ARRAY_SIZE(t.slot));
	}
	return acpi_build(&t, ACPI_BASE, &image, err) &&
	       put_tables(m, ACPI_BASE, SMBIOS_BASE, &image, "ACPI", err);
}

static bool write_smbios(struct machine *m, struct board *b, struct error *err)
{
	AUTO(str) image = STR_INIT;
	struct smbios_config s = {
		.manufacturer = "Lodge",
		.product = "Lodge PC",
		.version = "1",
		.ram_size = b->c.memory,
		.sockets = b->c.topology.sockets,
		.cores = b->c.topology.cores,
		.threads = b->c.topology.threads,
	};

	memcpy(s.uuid, b->c.uuid, sizeof(s.uuid));
	return smbios_build(&s, SMBIOS_BASE, &image, err) &&
	       put_tables(m, SMBIOS_BASE, TABLES_END, &image, "SMBIOS", err);
}

/* -------- reset -------- */

/* What is in RAM is the guest's to destroy: put it all back. */
/* What firmware would have left: the 8259s set up, with the vectors that a PC always had. A kernel in real
 * mode may wait for them. With the engine's chips in the kernel this is left out: six system calls at
 * each start for what hardly a kernel looks at, and KVM's ask for service even before they are set up. */
static bool set_up_pics(struct machine *m, struct error *err)
{
	struct x86_chips_state s;
	int rc;

	if (m->vm->irqchip != ACCEL_IRQCHIP_SPLIT || !m->accel->chips_get)
		return true;
	rc = m->accel->chips_get(m->vm, &s);
	if (!rc) {
		s.pic[0].irq_base = PIC_VECTORS_LOW;
		s.pic[1].irq_base = PIC_VECTORS_HIGH;
		rc = m->accel->chips_set(m->vm, &s);
	}
	return !rc || error_set_errno(err, rc, "cannot set up the interrupt controllers");
}

static bool pc_reset(struct machine *m, struct error *err)
{
	struct board *b = board_of(m);

	b->resets++;
	b->request.ram_zeroed = b->resets == 1 && !b->c.memory_file;
	if (!boot_load(&m->mem, &b->request, &b->boot, err))
		return false;
	if (!write_acpi(m, b, err) || !write_smbios(m, b, err) || !set_up_pics(m, err))
		return false;
	x86_cpu_state_reset(b->reset_state, m->vcpus[0].apic_id, true);
	boot_cpu_state(&b->boot, b->reset_state);
	return true;
}

/* What firmware would have left: memory types on, write-back everywhere. Without it Linux uses
 * neither MTRRs nor PAT. */
static int set_memory_types(struct machine *m, struct vcpu *v)
{
	AUTO_FREE struct x86_cpu_state *s = malloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->n_msrs = 0; /* the rest is not looked at */
	x86_cpu_state_set_msr(s, MSR_MTRR_DEF_TYPE, MTRR_ENABLED | MTRR_WRITE_BACK);
	return m->accel->vcpu_set(v->accel, s, X86_STATE_MSRS);
}

/* A new vCPU of an engine is in its reset state already: the first time only
 * what direct boot changes is set. */
static void pc_vcpu_reset(struct machine *m, struct vcpu *v)
{
	struct board *b = board_of(m);
	struct x86_cpu_state *s = v->index == 0 ? b->reset_state : NULL;
	unsigned int parts = X86_STATE_REGS | X86_STATE_SREGS;
	int rc = 0;

	if (b->resets > 1) {
		parts = X86_STATE_ALL;
		if (!s && (s = calloc(1, sizeof(*s))))
			x86_cpu_state_reset(s, v->apic_id, false);
	}
	if (s)
		rc = m->accel->vcpu_set(v->accel, s, parts);
	else if (b->resets > 1)
		rc = -ENOMEM;
	if (!rc)
		rc = set_memory_types(m, v);
	if (s != b->reset_state)
		free(s);
	if (rc) {
		log_err("board", "CPU %u cannot be reset: %s", v->index, strerror(-rc));
		machine_event(m, MACHINE_ERROR, 0);
	}
}

/* What a first reset would have done has happened elsewhere: the next one is a second, which finds
 * memory and CPUs used. */
static void pc_loaded(struct machine *m)
{
	board_of(m)->resets++;
}

static bool pc_powerdown(struct machine *m)
{
	struct board *b = board_of(m);

	return b->pm && acpi_pm_power_button(b->pm);
}

static bool pc_nmi(struct machine *m)
{
	for (uint32_t i = 0; i < m->n_vcpus; i++)
		vcpu_ask(&m->vcpus[i], VCPU_REQ_NMI);
	return true;
}

static void pc_fini(struct machine *m)
{
	struct board *b = board_of(m);

	if (b->low.mapped)
		as_del(&m->mem, &b->low);
	if (b->high.mapped)
		as_del(&m->mem, &b->high);
	ram_block_unref(b->ram);
	boot_files_close(&b->files);
	free(b->reset_state);
	free(b->cpuid);
	free(b);
	m->board_data = NULL;
}

static const struct board_ops pc_ops = {
	.fini = pc_fini,
	.vcpu_reset = pc_vcpu_reset,
	.reset = pc_reset,
	.loaded = pc_loaded,
	.powerdown = pc_powerdown,
	.nmi = pc_nmi,
};

/* -------- making it -------- */

static bool check_config(const struct board_config *c, struct error *err)
{
	uint64_t node_memory = 0;
	uint32_t node_cpus = 0;

	if (!c->cpus || c->cpus > BOARD_CPUS_MAX)
		return error_usage(err, "%u CPUs: 1..%d are possible", c->cpus, BOARD_CPUS_MAX);
	if ((uint64_t)c->topology.sockets * c->topology.cores * c->topology.threads != c->cpus)
		return error_usage(err, "%u sockets of %u cores of %u threads are not %u CPUs",
			c->topology.sockets, c->topology.cores, c->topology.threads, c->cpus);
	if (c->memory < BOARD_RAM_MIN || c->memory > BOARD_RAM_MAX || c->memory % MIB)
		return error_usage(err,
			"--memory: %llu bytes; whole MiB from 1M to 4T are possible, as 512M",
			(unsigned long long)c->memory);
	for (uint32_t i = 0; i < c->n_nodes; i++) {
		node_memory += c->node[i].memory;
		node_cpus += c->node[i].n_cpus;
	}
	if (c->n_nodes && (node_memory != c->memory || node_cpus != c->cpus))
		return error_usage(err,
			"the NUMA nodes have %llu MiB and %u CPUs, the machine %llu MiB and %u",
			(unsigned long long)(node_memory / MIB), node_cpus,
			(unsigned long long)(c->memory / MIB), c->cpus);
	if (!c->kernel)
		return error_usage(err, "nothing to boot: give a kernel with --kernel FILE");
	return true;
}

static bool add_pci(struct machine *m, struct board *b, struct error *err)
{
	uint64_t top = HIGH_RAM + b->c.memory - low_size(&b->c);

	b->pci = (struct pci_host_config){
		.ecam_base = ECAM_BASE,
		.ecam_buses = ECAM_BUSES(b->c.pci_ports),
		.n_ports = b->c.pci_ports,
		.mmio32_base = MMIO32_BASE,
		.mmio32_size = MMIO32_SIZE,
		.mmio64_base = ALIGN_UP(top, GIB),
		.mmio64_size = MMIO64_SIZE,
		.io_base = IO_BASE,
		.io_size = IO_SIZE,
		.intx_gsi = { 16, 17, 18, 19 },
		.assign = true,
	};
	return pci_host_new(m, &b->pci, err) &&
	       (!b->c.pci_ports || device_create(m, "acpi-pci-hotplug", NULL, err));
}

static bool add_serial(struct machine *m, const struct board_config *c, struct error *err)
{
	for (uint32_t i = 0; i < c->n_serial; i++) {
		AUTO_FREE char *options = NULL;

		if (!c->serial[i])
			continue;
		options = str_printf("index=%u,chardev=%s", i, c->serial[i]);
		if (!options)
			return error_set(err, "out of memory");
		if (!device_create(m, "isa-serial", options, err))
			return false;
	}
	return true;
}

static bool add_devices(struct machine *m, struct board *b, struct error *err)
{
	b->pm = device_create(m, "acpi-pm", NULL, err);
	if (!b->pm)
		return false;
	/* Both answer even when the guest is not told of them: software that pokes at the ports of an
	 * absent one waits for seconds. */
	if (!device_create(m, "i8042", NULL, err) || !device_create(m, "mc146818-rtc", NULL, err))
		return false;
	/* The engine has one only together with all of the other chips. */
	if (m->vm->irqchip == ACCEL_IRQCHIP_SPLIT && !device_create(m, "i8254", NULL, err))
		return false;
	return add_serial(m, &b->c, err) && (!b->c.pci || add_pci(m, b, err));
}

bool board_init(struct machine *m, const struct board_config *c, struct error *err)
{
	struct accel_vm_config vc = {
		.max_vcpus = c->cpus,
		.max_apic_id = c->cpus ? x86_apic_id(&c->topology, c->cpus - 1) : 0,
		.irqchip = c->irqchip,
		.pit = c->irqchip == ACCEL_IRQCHIP_FULL,
		.options = c->accel_options,
	};
	struct board *b;

	if (!check_config(c, err))
		return false;
	b = calloc(1, sizeof(*b));
	if (!b || !(b->reset_state = malloc(sizeof(*b->reset_state)))) {
		free(b);
		return error_set(err, "out of memory");
	}
	b->c = *c;
	m->board = &pc_ops;
	m->board_data = b;
	if (!machine_set_accel(m, c->accel, &vc, err) || !map_ram(m, b, err))
		return false;
	return machine_add_vcpus(m, c->cpus, err) && build_cpuid(m, b, err) &&
	       add_devices(m, b, err);
}

/* What software without another way to know asks fw_cfg for. */
static bool fill_fw_cfg(struct machine *m, const struct board *b, struct error *err)
{
	uint8_t size[8], cpus[2];

	wr_le64(size, b->c.memory);
	wr_le16(cpus, (uint16_t)b->c.cpus);
	return fw_cfg_add_item(m->fw_cfg, FW_CFG_RAM_SIZE, size, sizeof(size), err) &&
	       fw_cfg_add_item(m->fw_cfg, FW_CFG_CPUS, cpus, sizeof(cpus), err) &&
	       fw_cfg_add_item(m->fw_cfg, FW_CFG_MAX_CPUS, cpus, sizeof(cpus), err);
}

bool board_start(struct machine *m, struct error *err)
{
	struct board *b = board_of(m);

	if (m->fw_cfg && !fill_fw_cfg(m, b, err))
		return false;
	build_map(b);
	b->request = (struct boot_request){
		.kernel = b->c.kernel,
		.initrd = b->c.initrd,
		.files = &b->files,
		.cmdline = b->c.cmdline ?: "",
		.map = &b->map,
		.ram_below_4g = low_size(&b->c),
		.acpi_rsdp = ACPI_BASE,
	};
	return boot_files_open(&b->files, b->c.kernel, b->c.initrd, err) &&
	       machine_init_vcpus(m, err);
}
