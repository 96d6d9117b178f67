// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sys_misc - descriptor-table registers, TLB instructions, random numbers, hypercalls, I/O ports
 * (SDM, volume 2; Input/Output, I/O Permission Bit Map).
 */
#include <cpuid.h>
#include <string.h>
#include <sys/random.h>
#include "accel/soft/sys_int.h"
#include "base/types.h"

#define TSS_IO_MAP	      0x66 /* offset of the map's offset, in 32- and 64-bit TSSs */
#define TSS_LIMIT_MIN	      0x67
#define TSS_TYPE_AVAIL	      9
#define TSS_TYPE_BUSY	      11
#define PCID_MAX	      0xfff
#define KVM_EPERM	      1
#define KVM_ENOSYS	      1000
#define KVM_HC_VAPIC_POLL_IRQ 1
#define KVM_HC_KICK_CPU	      5
#define KVM_HC_SEND_IPI	      10
#define KVM_HC_SCHED_YIELD    11

/* -------- GDTR, IDTR -------- */

static struct x86_dtable load_table(struct soft_vcpu *v, const struct x86_insn *i)
{
	unsigned int wide = v->code == X86_CODE_64 ? 8 : 4;
	struct x86_dtable t = { 0 };
	uint8_t b[10];

	soft_need_cpl0(v);
	soft_load_bytes(v, i->seg, soft_ea(v, i), b, 2 + wide);
	memcpy(&t.limit, b, 2);
	memcpy(&t.base, b + 2, wide);
	if (i->opsize == 2 && wide == 4)
		t.base &= 0xffffff;
	if (wide == 8 && !soft_canonical_base(v, t.base))
		soft_gp(v, 0);
	return t;
}

void soft_lgdt(struct soft_vcpu *v, const struct soft_op *o)
{
	v->gdtr = load_table(v, &o->i);
}

void soft_lidt(struct soft_vcpu *v, const struct soft_op *o)
{
	v->idtr = load_table(v, &o->i);
}

/* All 32 bits of the base are stored, whatever the operand size is. */
static void store_table(struct soft_vcpu *v, const struct x86_insn *i, const struct x86_dtable *t)
{
	unsigned int wide = v->code == X86_CODE_64 ? 8 : 4;
	uint8_t b[10];

	if (v->cpl && v->cr4 & X86_CR4_UMIP)
		soft_gp(v, 0);
	memcpy(b, &t->limit, 2);
	memcpy(b + 2, &t->base, wide);
	soft_store_bytes(v, i->seg, soft_ea(v, i), b, 2 + wide);
}

void soft_sgdt(struct soft_vcpu *v, const struct soft_op *o)
{
	store_table(v, &o->i, &v->gdtr);
}

void soft_sidt(struct soft_vcpu *v, const struct soft_op *o)
{
	store_table(v, &o->i, &v->idtr);
}

/* -------- TLB -------- */

void soft_invlpg(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t lin = soft_ea(v, &o->i);

	soft_need_cpl0(v);
	/* No limit, no rights: it is only an address. */
	if (v->code != X86_CODE_64)
		lin = (uint32_t)(lin + v->seg[o->i.seg].base);
	else if (o->i.seg >= X86_FS)
		lin += v->seg[o->i.seg].base;
	if (v->code == X86_CODE_64 && !soft_canonical(v, lin))
		return;
	soft_tlb_flush_page(v, lin);
	v->stop = true;
}

void soft_invpcid(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t type = v->gpr[o->i.operand[0].reg], d[2];
	bool pcide = v->cr4 & X86_CR4_PCIDE;

	soft_need_cpl0(v);
	if (v->code != X86_CODE_64)
		type = (uint32_t)type;
	if (type > 3)
		soft_gp(v, 0);
	soft_load_bytes(v, o->i.seg, soft_ea(v, &o->i), d, sizeof(d));
	if (d[0] > PCID_MAX || (type <= 1 && d[0] && !pcide) ||
		(type == 0 && !soft_canonical_base(v, d[1])))
		soft_gp(v, 0);
	if (type == 0 && (!pcide || d[0] == (v->cr3 & PCID_MAX)))
		soft_tlb_flush_page(v, d[1]);
	else if (type <= 1)
		soft_tlb_flush_pcid(v, d[0], false);
	else
		soft_tlb_flush(v, type == 2);
	v->stop = true;
}

/* -------- random numbers -------- */

/* The host's instruction, which is made for many readers at once; where it has none, or that is out
 * of numbers, the kernel's. False: none at the moment, as the instruction may say too. */
static bool random_number(uint64_t *out)
{
	static _Atomic int have; /* 0: not looked yet, 1: the host has RDRAND, 2: not */
	unsigned int a, b, c = 0, d;
	unsigned char ok = 0;
	int h = atomic_load_explicit(&have, memory_order_relaxed);

	if (!h) {
		h = __get_cpuid(1, &a, &b, &c, &d) && c & BIT(30) ? 1 : 2;
		atomic_store_explicit(&have, h, memory_order_relaxed);
	}
	for (int i = 0; i < 10 && h == 1 && !ok; i++)
		__asm__ volatile("rdrand %0; setc %1" : "=r"(*out), "=qm"(ok) : : "cc");
	return ok || getrandom(out, sizeof(*out), GRND_NONBLOCK) == sizeof(*out);
}

void soft_rdrand(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t x = 0;
	bool ok = random_number(&x);

	soft_put_gpr(v, o->i.operand[0].reg, o->i.opsize, ok ? x : 0);
	v->rflags = (v->rflags & ~(uint64_t)X86_FLAGS_STATUS) | (ok ? X86_FLAG_CF : 0);
}

/* As good a source as we have, too. */
void soft_rdseed(struct soft_vcpu *v, const struct soft_op *o)
{
	soft_rdrand(v, o);
}

/* -------- hypercalls -------- */

static int64_t send_ipi(struct soft_vcpu *v, bool wide)
{
	uint64_t mask = wide ? UINT64_MAX : UINT32_MAX;
	uint64_t bits[2] = { v->gpr[X86_RBX] & mask, v->gpr[X86_RCX] & mask };

	return soft_pv_ipi(v, bits, wide ? 64 : 32, v->gpr[X86_RDX] & mask, v->gpr[X86_RSI] & mask);
}

/* Who waits in HLT for a lock is woken by who gave it up. */
static int64_t kick_cpu(struct soft_vcpu *v, uint32_t apic_id)
{
	struct soft_vcpu *to = NULL;
	struct soft_vm *vm = v->vm;

	mutex_lock(&vm->chips_lock);
	for (uint32_t i = 0; i < atomic_load(&vm->n_vcpus); i++)
		if (vm->vcpus[i] && vm->vcpus[i]->apic_id == apic_id)
			to = vm->vcpus[i];
	mutex_unlock(&vm->chips_lock);
	/* vCPUs stay while one runs. */
	if (to)
		soft_notify(to, SOFT_POLL_UNHALT);
	return 0;
}

/* To another CPU, which may want this one's processor. */
static int64_t yield_to(struct soft_vcpu *v)
{
	v->yield = v->stop = true;
	return 0;
}

/* KVM's, which is what the hypervisor's CPUID leaves say we are. Those that would do something are not
 * announced there. */
void soft_hypercall(struct soft_vcpu *v, const struct soft_op *o)
{
	bool wide = v->code == X86_CODE_64;
	uint64_t nr = wide ? v->gpr[X86_RAX] : (uint32_t)v->gpr[X86_RAX];
	int64_t r = -KVM_ENOSYS;

	if (v->cpl)
		r = -KVM_EPERM;
	else if (nr == KVM_HC_VAPIC_POLL_IRQ)
		r = 0;
	else if (nr == KVM_HC_KICK_CPU)
		r = kick_cpu(v, v->gpr[X86_RCX]);
	else if (nr == KVM_HC_SCHED_YIELD)
		r = yield_to(v);
	else if (nr == KVM_HC_SEND_IPI)
		r = send_ipi(v, wide);
	soft_put_gpr(v, X86_RAX, wide ? 8 : 4, (uint64_t)r);
}

/* -------- I/O ports -------- */

static void io_bitmap(struct soft_vcpu *v, uint16_t port, unsigned int size)
{
	uint32_t type = X86_ATTR_TYPE(v->tr.attr), map, bits;
	uint64_t mask = soft_long_mode(v) ? ~0ull : UINT32_MAX;

	if (v->tr.attr & X86_ATTR_UNUSABLE || !(v->tr.attr & X86_ATTR_P) ||
		(type != TSS_TYPE_AVAIL && type != TSS_TYPE_BUSY) || v->tr.limit < TSS_LIMIT_MIN)
		soft_gp(v, 0);
	map = soft_load_sys(v, (v->tr.base + TSS_IO_MAP) & mask, 2);
	map += port / 8;
	/* Two bytes are read always: there must be one behind the last port's. */
	if (map + 1 > v->tr.limit)
		soft_gp(v, 0);
	bits = soft_load_sys(v, (v->tr.base + map) & mask, 2);
	if (bits >> (port & 7) & ((1u << size) - 1))
		soft_gp(v, 0);
}

/* Breakpoints of type 2 (CR4.DE), which trap after the instruction. */
static void io_watch(struct soft_vcpu *v, uint16_t port, unsigned int size)
{
	for (unsigned int n = 0; n < 4; n++) {
		uint32_t c = v->dr[7] >> (16 + 4 * n) & 0xf;
		uint64_t len = (c >> 2) + 1, at = v->dr[n] & ~(len - 1);

		if ((c & 3) != 2 || !(v->dr[7] >> (2 * n) & 3) || len == 3)
			continue;
		if (at < (uint64_t)port + size && port < at + len) {
			v->pending_dr6 |= 1ull << n;
			v->stop = true;
		}
	}
}

void soft_check_io(struct soft_vcpu *v, uint16_t port, unsigned int size)
{
	unsigned int iopl = (v->rflags & X86_FLAG_IOPL) >> 12;

	if (!soft_real_mode(v) && (v->cpl > iopl || soft_vm86(v)))
		io_bitmap(v, port, size);
	if (v->cr4 & X86_CR4_DE && v->dr[7] & 0xff)
		io_watch(v, port, size);
}

static uint16_t port_of(const struct soft_vcpu *v, const struct x86_insn *i, unsigned int n)
{
	return i->operand[n].kind == X86_OPND_IMM ? (uint8_t)i->imm : (uint16_t)v->gpr[X86_RDX];
}

void soft_in(struct soft_vcpu *v, const struct soft_op *o)
{
	uint16_t port = port_of(v, &o->i, 1);
	unsigned int size = o->i.operand[0].size;
	uint32_t data = 0;

	soft_check_io(v, port, size);
	soft_port(v, port, &data, size, false);
	soft_put_gpr(v, X86_RAX, size, data);
}

void soft_out(struct soft_vcpu *v, const struct soft_op *o)
{
	uint16_t port = port_of(v, &o->i, 0);
	unsigned int size = o->i.operand[1].size;
	uint32_t data = v->gpr[X86_RAX];

	soft_check_io(v, port, size);
	soft_port(v, port, &data, size, true);
}
