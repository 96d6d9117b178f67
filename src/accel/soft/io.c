// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * io - register accesses of instructions: to the engine's own interrupt chips, or the machine's devices.
 *
 * The APICs' registers are 32 bits wide and 16 bytes apart. SPEC: of accesses of another shape reads
 * give what lies there, zeroes beside the registers; writes to a local APIC do nothing, as KVM has it,
 * those to the I/O APIC are cut or filled up with zeroes.
 */
#include <string.h>
#include "accel/soft/lockstep.h"
#include "accel/soft/soft_int.h"
#include "base/types.h"
#include "core/io.h"

static void lapic_access(
	struct soft_vcpu *v, uint32_t off, uint8_t *data, unsigned int size, bool write)
{
	uint32_t value, in = off & 0xf;

	if (write) {
		if (size == 4 && in == 0) {
			memcpy(&value, data, 4);
			soft_lapic_write(v, off, value);
		}
		return;
	}
	memset(data, 0, size);
	if (in < 4) {
		value = soft_lapic_read(v, off - in) >> (8 * in);
		memcpy(data, &value, MIN(size, 4 - in));
	}
}

static void ioapic_access(
	struct soft_vm *vm, uint32_t off, uint8_t *data, unsigned int size, bool write)
{
	uint32_t value = 0;

	if (write) {
		memcpy(&value, data, MIN(size, 4u));
		soft_ioapic_write(vm, off, value);
	} else {
		value = soft_ioapic_read(vm, off);
		memset(data, 0, size);
		memcpy(data, &value, MIN(size, 4u));
	}
}

void soft_mmio(struct soft_vcpu *v, uint64_t gpa, void *data, unsigned int size, bool write)
{
	struct soft_vm *vm = v->vm;
	uint64_t page;

	soft_lockstep_outside(v);
	v->count.mem_io++;
	if (soft_lapic_page(v, &page) && gpa - page < X86_LAPIC_PAGE)
		lapic_access(v, gpa - page, data, size, write);
	else if (gpa - X86_IOAPIC_BASE < X86_IOAPIC_SIZE)
		ioapic_access(vm, gpa - X86_IOAPIC_BASE, data, size, write);
	else
		vm->io->mem(v, gpa, data, size, write);
}

/* Ports one byte wide, two side by side. */
void soft_port(struct soft_vcpu *v, uint16_t port, void *data, unsigned int size, bool write)
{
	struct soft_vm *vm = v->vm;
	uint8_t *p = data;

	v->count.port_io++;
	if (!x86_pic_has_port(port)) {
		vm->io->port(v, port, data, size, write);
		return;
	}
	for (unsigned int i = 0; i < size; i++, port++) {
		if (!x86_pic_has_port(port)) {
			if (!write)
				p[i] = 0xff;
		} else if (write) {
			soft_pic_write(vm, port, p[i]);
		} else {
			p[i] = soft_pic_read(vm, port);
		}
	}
}

static void machine_mem(
	struct soft_vcpu *v, uint64_t gpa, void *data, unsigned int size, bool write)
{
	if (v->vm->base.machine)
		io_access_mem(v->vm->base.machine, gpa, data, size, write);
	else if (!write)
		memset(data, 0xff, size);
}

static void machine_port(
	struct soft_vcpu *v, uint16_t port, void *data, unsigned int size, bool write)
{
	if (v->vm->base.machine)
		io_access_port(v->vm->base.machine, port, data, size, write);
	else if (!write)
		memset(data, 0xff, size);
}

const struct soft_io soft_machine_io = { .mem = machine_mem, .port = machine_port };
