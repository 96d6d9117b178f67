// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * state - a vCPU's state between KVM's structs and struct x86_cpu_state.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "accel/kvm/kvm_int.h"
#include "base/log.h"

#define MSR_TSC		   0x10
#define MSR_TSC_DEADLINE   0x6e0
#define MSR_LIST_MAX	   512 /* more than any kernel names */
#define MSR_BATCH	   64
#define APIC_X2APIC_ENABLE (1u << 10)
#define LAPIC_ID	   0x20

_Static_assert(sizeof(struct kvm_xsave) == X86_XSAVE_MAX, "xsave area");
_Static_assert(sizeof(struct kvm_lapic_state) == X86_LAPIC_SIZE, "LAPIC page");

/* -------- segments and control registers -------- */

static struct kvm_segment seg_to_kvm(const struct x86_segment *s)
{
	return (struct kvm_segment){
		.base = s->base,
		.limit = s->limit,
		.selector = s->selector,
		.type = X86_ATTR_TYPE(s->attr),
		.s = !!(s->attr & X86_ATTR_S),
		.dpl = X86_ATTR_DPL(s->attr),
		.present = !!(s->attr & X86_ATTR_P),
		.avl = !!(s->attr & X86_ATTR_AVL),
		.l = !!(s->attr & X86_ATTR_L),
		.db = !!(s->attr & X86_ATTR_DB),
		.g = !!(s->attr & X86_ATTR_G),
		.unusable = !!(s->attr & X86_ATTR_UNUSABLE),
	};
}

static struct x86_segment seg_from_kvm(const struct kvm_segment *k)
{
	return (struct x86_segment){
		.base = k->base,
		.limit = k->limit,
		.selector = k->selector,
		.attr = (k->type & 0xf) | (k->s ? X86_ATTR_S : 0) | (k->dpl & 3) << 5 |
			(k->present ? X86_ATTR_P : 0) | (k->avl ? X86_ATTR_AVL : 0) |
			(k->l ? X86_ATTR_L : 0) | (k->db ? X86_ATTR_DB : 0) |
			(k->g ? X86_ATTR_G : 0) | (k->unusable ? X86_ATTR_UNUSABLE : 0),
	};
}

static void sregs_to_kvm(struct kvm_sregs *k, const struct x86_cpu_state *s)
{
	memset(k, 0, sizeof(*k));
	k->es = seg_to_kvm(&s->seg[X86_ES]);
	k->cs = seg_to_kvm(&s->seg[X86_CS]);
	k->ss = seg_to_kvm(&s->seg[X86_SS]);
	k->ds = seg_to_kvm(&s->seg[X86_DS]);
	k->fs = seg_to_kvm(&s->seg[X86_FS]);
	k->gs = seg_to_kvm(&s->seg[X86_GS]);
	k->tr = seg_to_kvm(&s->tr);
	k->ldt = seg_to_kvm(&s->ldtr);
	k->gdt = (struct kvm_dtable){ .base = s->gdtr.base, .limit = s->gdtr.limit };
	k->idt = (struct kvm_dtable){ .base = s->idtr.base, .limit = s->idtr.limit };
	k->cr0 = s->cr0;
	k->cr2 = s->cr2;
	k->cr3 = s->cr3;
	k->cr4 = s->cr4;
	k->cr8 = s->cr8;
	k->efer = s->efer;
	k->apic_base = s->apic_base;
}

static void sregs_from_kvm(struct x86_cpu_state *s, const struct kvm_sregs *k)
{
	s->seg[X86_ES] = seg_from_kvm(&k->es);
	s->seg[X86_CS] = seg_from_kvm(&k->cs);
	s->seg[X86_SS] = seg_from_kvm(&k->ss);
	s->seg[X86_DS] = seg_from_kvm(&k->ds);
	s->seg[X86_FS] = seg_from_kvm(&k->fs);
	s->seg[X86_GS] = seg_from_kvm(&k->gs);
	s->tr = seg_from_kvm(&k->tr);
	s->ldtr = seg_from_kvm(&k->ldt);
	s->gdtr = (struct x86_dtable){ .base = k->gdt.base, .limit = k->gdt.limit };
	s->idtr = (struct x86_dtable){ .base = k->idt.base, .limit = k->idt.limit };
	s->cr0 = k->cr0;
	s->cr2 = k->cr2;
	s->cr3 = k->cr3;
	s->cr4 = k->cr4;
	s->cr8 = k->cr8;
	s->efer = k->efer;
	s->apic_base = k->apic_base;
}

/* -------- general registers -------- */

static int regs_set(struct kvm_vcpu *v, const struct x86_cpu_state *s)
{
	const uint64_t *g = s->gpr;
	struct kvm_regs k = {
		.rax = g[X86_RAX],
		.rbx = g[X86_RBX],
		.rcx = g[X86_RCX],
		.rdx = g[X86_RDX],
		.rsi = g[X86_RSI],
		.rdi = g[X86_RDI],
		.rsp = g[X86_RSP],
		.rbp = g[X86_RBP],
		.r8 = g[X86_R8],
		.r9 = g[X86_R9],
		.r10 = g[X86_R10],
		.r11 = g[X86_R11],
		.r12 = g[X86_R12],
		.r13 = g[X86_R13],
		.r14 = g[X86_R14],
		.r15 = g[X86_R15],
		.rip = s->rip,
		.rflags = s->rflags,
	};

	return kvm_ioctl(v->fd, KVM_SET_REGS, &k);
}

static int regs_get(struct kvm_vcpu *v, struct x86_cpu_state *s)
{
	struct kvm_regs k;
	int r = kvm_ioctl(v->fd, KVM_GET_REGS, &k);

	if (r < 0)
		return r;
	s->gpr[X86_RAX] = k.rax;
	s->gpr[X86_RBX] = k.rbx;
	s->gpr[X86_RCX] = k.rcx;
	s->gpr[X86_RDX] = k.rdx;
	s->gpr[X86_RSI] = k.rsi;
	s->gpr[X86_RDI] = k.rdi;
	s->gpr[X86_RSP] = k.rsp;
	s->gpr[X86_RBP] = k.rbp;
	s->gpr[X86_R8] = k.r8;
	s->gpr[X86_R9] = k.r9;
	s->gpr[X86_R10] = k.r10;
	s->gpr[X86_R11] = k.r11;
	s->gpr[X86_R12] = k.r12;
	s->gpr[X86_R13] = k.r13;
	s->gpr[X86_R14] = k.r14;
	s->gpr[X86_R15] = k.r15;
	s->rip = k.rip;
	s->rflags = k.rflags;
	return 0;
}

static int sregs_set(struct kvm_vcpu *v, const struct x86_cpu_state *s)
{
	struct kvm_sregs k;

	sregs_to_kvm(&k, s);
	return kvm_ioctl(v->fd, KVM_SET_SREGS, &k);
}

/* -------- x87, SSE, AVX ... -------- */

/* KVM_GET_XSAVE suffices: an area above 4 KiB (KVM_CAP_XSAVE2) exists only after arch_prctl() has
 * asked for AMX, which guests are not offered. */
static int fpu_set(struct kvm_vcpu *v, const struct x86_cpu_state *s)
{
	struct kvm_xcrs x = { .nr_xcrs = 1 };
	struct kvm_xsave a;
	int r;

	memcpy(&a, s->xsave, sizeof(a));
	r = kvm_ioctl(v->fd, KVM_SET_XSAVE, &a);
	if (r < 0)
		return r;
	x.xcrs[0].value = s->xcr0;
	r = kvm_ioctl(v->fd, KVM_SET_XCRS, &x);
	/* A host or CPU model without XSAVE: there is nothing to set. */
	return r == -EINVAL && s->xcr0 == 1 ? 0 : r;
}

static int fpu_get(struct kvm_vcpu *v, struct x86_cpu_state *s)
{
	struct kvm_xcrs x = { 0 };
	struct kvm_xsave a;
	int r = kvm_ioctl(v->fd, KVM_GET_XSAVE, &a);

	if (r < 0)
		return r;
	memcpy(s->xsave, &a, sizeof(a));
	s->xcr0 = 1;
	r = kvm_ioctl(v->fd, KVM_GET_XCRS, &x);
	for (uint32_t i = 0; r >= 0 && i < x.nr_xcrs && i < KVM_MAX_XCRS; i++)
		if (x.xcrs[i].xcr == 0)
			s->xcr0 = x.xcrs[i].value;
	return 0;
}

/* -------- debug registers -------- */

static int debug_set(struct kvm_vcpu *v, const struct x86_cpu_state *s)
{
	struct kvm_debugregs k = { .dr6 = s->dr[6], .dr7 = s->dr[7] };

	memcpy(k.db, s->dr, sizeof(k.db));
	return kvm_ioctl(v->fd, KVM_SET_DEBUGREGS, &k);
}

static int debug_get(struct kvm_vcpu *v, struct x86_cpu_state *s)
{
	struct kvm_debugregs k;
	int r = kvm_ioctl(v->fd, KVM_GET_DEBUGREGS, &k);

	if (r < 0)
		return r;
	memcpy(s->dr, k.db, sizeof(k.db));
	s->dr[4] = s->dr[5] = 0;
	s->dr[6] = k.dr6;
	s->dr[7] = k.dr7;
	return 0;
}

/* -------- pending events -------- */

/* Payloads of pending exceptions and pending triple faults are told only when asked for. Two
 * ioctls that a VM needs only when its state is looked at. */
static void want_event_caps(struct kvm_vm *vm)
{
	if (atomic_exchange(&vm->event_caps, true))
		return;
	kvm_enable_cap(vm->fd, KVM_CAP_EXCEPTION_PAYLOAD, 1);
	kvm_enable_cap(vm->fd, KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1);
}

static int events_get(struct kvm_vcpu *v, struct x86_cpu_state *s)
{
	struct kvm_vcpu_events k;
	int r;

	want_event_caps(v->vm);
	r = kvm_ioctl(v->fd, KVM_GET_VCPU_EVENTS, &k);
	if (r < 0)
		return r;
	s->events = (struct x86_events){
		.exception_injected = k.exception.injected,
		.exception_pending = k.flags & KVM_VCPUEVENT_VALID_PAYLOAD ? k.exception.pending
									   : 0,
		.exception_nr = k.exception.nr,
		.exception_has_error = k.exception.has_error_code,
		.exception_error = k.exception.error_code,
		.exception_payload = k.exception_payload,
		.exception_has_payload = k.exception_has_payload,
		.interrupt_injected = k.interrupt.injected,
		.interrupt_nr = k.interrupt.nr,
		.interrupt_soft = k.interrupt.soft,
		.interrupt_shadow = k.interrupt.shadow,
		.nmi_injected = k.nmi.injected,
		.nmi_pending = k.nmi.pending,
		.nmi_masked = k.nmi.masked,
		.smm = k.smi.smm,
		.smi_pending = k.smi.pending,
		.smm_inside_nmi = k.smi.smm_inside_nmi,
		.latched_init = k.smi.latched_init,
		.triple_fault_pending =
			k.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT ? k.triple_fault.pending : 0,
		.sipi_vector = k.sipi_vector,
	};
	return 0;
}

static int events_set(struct kvm_vcpu *v, const struct x86_cpu_state *s)
{
	const struct x86_events *e = &s->events;
	struct kvm_vcpu_events k = {
		.exception = { .injected = e->exception_injected,
			.pending = e->exception_pending,
			.nr = e->exception_nr,
			.has_error_code = e->exception_has_error,
			.error_code = e->exception_error },
		.exception_has_payload = e->exception_has_payload,
		.exception_payload = e->exception_payload,
		.interrupt = { .injected = e->interrupt_injected,
			.nr = e->interrupt_nr,
			.soft = e->interrupt_soft,
			.shadow = e->interrupt_shadow },
		.nmi = { .injected = e->nmi_injected,
			.pending = e->nmi_pending,
			.masked = e->nmi_masked },
		.smi = { .smm = e->smm,
			.pending = e->smi_pending,
			.smm_inside_nmi = e->smm_inside_nmi,
			.latched_init = e->latched_init },
		.triple_fault = { .pending = e->triple_fault_pending },
		.sipi_vector = e->sipi_vector,
		.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW |
			 KVM_VCPUEVENT_VALID_SIPI_VECTOR | KVM_VCPUEVENT_VALID_SMM,
	};

	if (e->exception_pending || e->triple_fault_pending)
		want_event_caps(v->vm);
	if (e->exception_pending)
		k.flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	if (e->triple_fault_pending)
		k.flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	return kvm_ioctl(v->fd, KVM_SET_VCPU_EVENTS, &k);
}

/* -------- run state -------- */

static const struct {
	uint8_t x86, kvm;
} mp_states[] = {
	{ X86_MP_RUNNABLE, KVM_MP_STATE_RUNNABLE },
	{ X86_MP_UNINITIALIZED, KVM_MP_STATE_UNINITIALIZED },
	{ X86_MP_INIT_RECEIVED, KVM_MP_STATE_INIT_RECEIVED },
	{ X86_MP_HALTED, KVM_MP_STATE_HALTED },
	{ X86_MP_SIPI_RECEIVED, KVM_MP_STATE_SIPI_RECEIVED },
};

static int mp_set(struct kvm_vcpu *v, const struct x86_cpu_state *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(mp_states); i++)
		if (mp_states[i].x86 == s->mp_state) {
			struct kvm_mp_state k = { .mp_state = mp_states[i].kvm };

			return kvm_ioctl(v->fd, KVM_SET_MP_STATE, &k);
		}
	return -EINVAL;
}

static int mp_get(struct kvm_vcpu *v, struct x86_cpu_state *s)
{
	struct kvm_mp_state k;
	int r = kvm_ioctl(v->fd, KVM_GET_MP_STATE, &k);

	if (r < 0)
		return r;
	/* Anything else (AP_RESET_HOLD of encrypted guests) does not occur here. */
	s->mp_state = X86_MP_RUNNABLE;
	for (size_t i = 0; i < ARRAY_SIZE(mp_states); i++)
		if (mp_states[i].kvm == k.mp_state)
			s->mp_state = mp_states[i].x86;
	return 0;
}

/* -------- local APIC -------- */

/* Without KVM_CAP_X2APIC_API the page has the x2APIC id in its upper byte, like an xAPIC's. */
static bool id_is_shifted(struct kvm_vcpu *v, uint64_t apic_base)
{
	return !v->vm->apic_id32 && (apic_base & APIC_X2APIC_ENABLE);
}

static int lapic_set(struct kvm_vcpu *v, const struct x86_cpu_state *s, uint64_t apic_base)
{
	struct kvm_lapic_state k;
	uint32_t id;

	memcpy(&k, s->lapic, sizeof(k));
	if (id_is_shifted(v, apic_base)) {
		memcpy(&id, s->lapic + LAPIC_ID, 4);
		id <<= 24;
		memcpy(k.regs + LAPIC_ID, &id, 4);
	}
	return kvm_ioctl(v->fd, KVM_SET_LAPIC, &k);
}

static int lapic_get(struct kvm_vcpu *v, struct x86_cpu_state *s, uint64_t apic_base)
{
	struct kvm_lapic_state k;
	uint32_t id;
	int r = kvm_ioctl(v->fd, KVM_GET_LAPIC, &k);

	if (r < 0)
		return r;
	memcpy(s->lapic, &k, sizeof(k));
	if (id_is_shifted(v, apic_base)) {
		memcpy(&id, s->lapic + LAPIC_ID, 4);
		id >>= 24;
		memcpy(s->lapic + LAPIC_ID, &id, 4);
	}
	return 0;
}

/* -------- MSRs -------- */

/* Names a register that guests of ours have no business with, or that is no state: the PMU
 * (not offered), capability registers, Hyper-V's and Xen's. */
static bool msr_is_state(uint32_t i)
{
	static const struct {
		uint32_t first, last;
	} not_state[] = {
		{ 0x8b, 0x8b },		    /* microcode revision */
		{ 0xc1, 0xc8 },		    /* PMU counters */
		{ 0xce, 0xce },		    /* PLATFORM_INFO */
		{ 0x10a, 0x10a },	    /* ARCH_CAPABILITIES */
		{ 0x186, 0x18d },	    /* PMU event selects */
		{ 0x309, 0x30b },	    /* PMU fixed counters */
		{ 0x345, 0x345 },	    /* PERF_CAPABILITIES */
		{ 0x38d, 0x390 },	    /* PMU control */
		{ 0x3f1, 0x3f2 },	    /* PEBS */
		{ 0x480, 0x4d0 },	    /* VMX capabilities, wide PMU counters */
		{ 0x560, 0x58f },	    /* processor trace */
		{ 0x600, 0x600 },	    /* DS_AREA */
		{ 0x40000000, 0x400001ff }, /* Hyper-V */
		{ 0xc0000300, 0xc0000303 }, /* AMD PMU control */
		{ 0xc0010000, 0xc0010007 }, /* AMD PMU */
		{ 0xc0010015, 0xc0010015 }, /* HWCR: what KVM lets through is not state */
		{ 0xc0010200, 0xc001020b }, /* AMD PMU */
		{ 0xc0011029, 0xc0011029 }, /* DE_CFG */
	};

	for (size_t k = 0; k < ARRAY_SIZE(not_state); k++)
		if (i >= not_state[k].first && i <= not_state[k].last)
			return false;
	return true;
}

static bool have_msr(const uint32_t *list, uint32_t n, uint32_t index)
{
	for (uint32_t i = 0; i < n; i++)
		if (list[i] == index)
			return true;
	return false;
}

/* MTRRs are state that Linux before 6.3 leaves out of its list. */
static uint32_t add_mtrrs(uint32_t *list, uint32_t n, uint32_t max)
{
	static const uint32_t fixed[] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c,
		0x26d, 0x26e, 0x26f, 0x2ff };

	for (size_t i = 0; i < ARRAY_SIZE(fixed) && n < max; i++)
		if (!have_msr(list, n, fixed[i]))
			list[n++] = fixed[i];
	for (uint32_t i = 0x200; i <= 0x20f && n < max; i++)
		if (!have_msr(list, n, i))
			list[n++] = i;
	return n;
}

/* Ask KVM which MSRs there are and keep those that are state. */
static int msrs_list(struct kvm_vm *vm) REQUIRES(vm->msrs_lock)
{
	struct kvm_msr_list *l;
	uint32_t *list, n = 0;
	int r;

	if (vm->msrs)
		return 0;
	l = calloc(1, sizeof(*l) + MSR_LIST_MAX * sizeof(l->indices[0]));
	list = calloc(X86_MSR_MAX, sizeof(*list));
	r = l && list ? 0 : -ENOMEM;
	if (r == 0) {
		l->nmsrs = MSR_LIST_MAX;
		r = kvm_ioctl(vm->dev_fd, KVM_GET_MSR_INDEX_LIST, l);
	}
	if (r >= 0) {
		for (uint32_t i = 0; i < l->nmsrs && n < X86_MSR_MAX; i++)
			if (msr_is_state(l->indices[i]))
				list[n++] = l->indices[i];
		vm->n_msrs = add_mtrrs(list, n, X86_MSR_MAX);
		vm->msrs = TAKE(list);
		r = 0;
	}
	free(l);
	free(list);
	return r;
}

union msr_batch {
	struct kvm_msrs head;
	uint8_t room[sizeof(struct kvm_msrs) + MSR_BATCH * sizeof(struct kvm_msr_entry)];
};

/* Read the listed MSRs into @s. KVM stops at one that this CPU model does not have: that one is
 * struck from the list for good. */
static int msrs_read(struct kvm_vcpu *v, struct x86_cpu_state *s) REQUIRES(v->vm->msrs_lock)
{
	struct kvm_vm *vm = v->vm;
	union msr_batch b;
	uint32_t i = 0;

	s->n_msrs = 0;
	while (i < vm->n_msrs) {
		uint32_t n = MIN(vm->n_msrs - i, MSR_BATCH);
		int done;

		memset(&b, 0, sizeof(b));
		b.head.nmsrs = n;
		for (uint32_t k = 0; k < n; k++)
			b.head.entries[k].index = vm->msrs[i + k];
		done = kvm_ioctl(v->fd, KVM_GET_MSRS, &b);
		if (done < 0)
			return done;
		for (int k = 0; k < done; k++)
			s->msr[s->n_msrs++] = (struct x86_msr){ b.head.entries[k].index,
				b.head.entries[k].data };
		i += done;
		if ((uint32_t)done < n) {
			vm->n_msrs--;
			memmove(&vm->msrs[i], &vm->msrs[i + 1],
				(vm->n_msrs - i) * sizeof(vm->msrs[0]));
		}
	}
	return 0;
}

static int msrs_get(struct kvm_vcpu *v, struct x86_cpu_state *s)
{
	int r;

	mutex_lock(&v->vm->msrs_lock);
	r = msrs_list(v->vm);
	if (r == 0)
		r = msrs_read(v, s);
	mutex_unlock(&v->vm->msrs_lock);
	return r;
}

/* Write @n entries. One that KVM refuses may be missing from this CPU: it has no state to lose if
 * it is to hold its reset value; anything else is an error. */
static int msrs_write(struct kvm_vcpu *v, union msr_batch *b, uint32_t n)
{
	while (n) {
		int done;

		b->head.nmsrs = n;
		done = kvm_ioctl(v->fd, KVM_SET_MSRS, b);
		if (done < 0)
			return done;
		if ((uint32_t)done >= n)
			return 0;
		if (b->head.entries[done].data !=
			x86_msr_reset_value(b->head.entries[done].index)) {
			log_debug("kvm", "MSR %x refuses value %llx", b->head.entries[done].index,
				b->head.entries[done].data);
			return -EINVAL;
		}
		n -= done + 1;
		memmove(&b->head.entries[0], &b->head.entries[done + 1],
			n * sizeof(b->head.entries[0]));
	}
	return 0;
}

/* @deadline: the deadline timer only, which is set after the APIC is in that mode; or the rest. */
static int msrs_set(struct kvm_vcpu *v, const struct x86_cpu_state *s, bool deadline)
{
	union msr_batch b;
	uint32_t n = 0;
	int r = 0;

	if (s->n_msrs > X86_MSR_MAX)
		return -EINVAL;
	memset(&b, 0, sizeof(b));
	for (uint32_t i = 0; i < s->n_msrs && r >= 0; i++) {
		const struct x86_msr *m = &s->msr[i];

		if ((m->index == MSR_TSC_DEADLINE) != deadline)
			continue;
		b.head.entries[n++] = (struct kvm_msr_entry){ .index = m->index, .data = m->value };
		if (n == MSR_BATCH) {
			r = msrs_write(v, &b, n);
			n = 0;
		}
	}
	return r >= 0 && n ? msrs_write(v, &b, n) : r;
}

/* -------- all of it -------- */

int kvm_vcpu_get(struct accel_vcpu *av, struct x86_cpu_state *s, unsigned int parts)
{
	struct kvm_vcpu *v = to_kvm_vcpu(av);
	int r = kvm_vcpu_finish(v);

	if (r >= 0 && (parts & X86_STATE_REGS))
		r = regs_get(v, s);
	if (r >= 0 && (parts & (X86_STATE_SREGS | X86_STATE_LAPIC))) {
		struct kvm_sregs k;

		/* The APIC's mode is in sregs; the ID register's meaning hangs on it. */
		r = kvm_ioctl(v->fd, KVM_GET_SREGS, &k);
		if (r >= 0 && (parts & X86_STATE_SREGS))
			sregs_from_kvm(s, &k);
		if (r >= 0 && (parts & X86_STATE_LAPIC))
			r = lapic_get(v, s, k.apic_base);
	}
	if (r >= 0 && (parts & X86_STATE_FPU))
		r = fpu_get(v, s);
	if (r >= 0 && (parts & X86_STATE_DEBUG))
		r = debug_get(v, s);
	if (r >= 0 && (parts & X86_STATE_MSRS))
		r = msrs_get(v, s);
	if (r >= 0 && (parts & X86_STATE_EVENTS))
		r = events_get(v, s);
	if (r >= 0 && (parts & X86_STATE_MP))
		r = mp_get(v, s);
	return r < 0 ? r : 0;
}

int kvm_vcpu_set(struct accel_vcpu *av, const struct x86_cpu_state *s, unsigned int parts)
{
	struct kvm_vcpu *v = to_kvm_vcpu(av);
	int r = 0;

	kvm_vcpu_abandon(v);
	if (r >= 0 && (parts & X86_STATE_REGS))
		r = regs_set(v, s);
	if (r >= 0 && (parts & X86_STATE_SREGS))
		r = sregs_set(v, s);
	if (r >= 0 && (parts & X86_STATE_FPU))
		r = fpu_set(v, s);
	if (r >= 0 && (parts & X86_STATE_DEBUG))
		r = debug_set(v, s);
	if (r >= 0 && (parts & X86_STATE_MSRS))
		r = msrs_set(v, s, false);
	if (r >= 0 && (parts & X86_STATE_LAPIC))
		r = lapic_set(v, s, s->apic_base);
	if (r >= 0 && (parts & X86_STATE_MSRS))
		r = msrs_set(v, s, true);
	if (r >= 0 && (parts & X86_STATE_EVENTS))
		r = events_set(v, s);
	if (r >= 0 && (parts & X86_STATE_MP))
		r = mp_set(v, s);
	return r < 0 ? r : 0;
}
