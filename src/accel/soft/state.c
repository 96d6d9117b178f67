// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * state - a vCPU's state to and from struct x86_cpu_state, INIT and SIPI.
 *
 * The conventions are the KVM engine's, so that a VM saved by one loads into the other. Whatever is
 * set may come from a hostile stream: what no CPU can be in is refused, before anything of that part
 * has changed; what merely has stray bits loses them.
 */
#include <errno.h>
#include <string.h>
#include "base/log.h"
#include "accel/soft/mmu.h"
#include "accel/soft/soft_int.h"

#define CR0_MASK                                                                       \
	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE | \
		X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)
#define SEG_ATTR_MASK 0x1f0ffu
#define DR6_WRITABLE  (0xfull | X86_DR6_BD | X86_DR6_BS | X86_DR6_BT)
#define DR7_WRITABLE  0xffff23ffull
#define XCR0_X87      1u
#define XCR0_SSE      2u
#define XCR0_AVX      4u

/* -------- general registers -------- */

static void regs_get(struct soft_vcpu *v, struct x86_cpu_state *s)
{
	memcpy(s->gpr, v->gpr, sizeof(s->gpr));
	s->rip = v->rip;
	s->rflags = v->rflags;
}

static void regs_set(struct soft_vcpu *v, const struct x86_cpu_state *s)
{
	memcpy(v->gpr, s->gpr, sizeof(s->gpr));
	v->gpr[X86_REG_NONE] = 0;
	v->rip = v->gpr[X86_REG_RIP] = s->rip;
	v->rflags = (s->rflags & X86_FLAGS_ALL) | X86_FLAG_1;
}

/* -------- segments and control registers -------- */

/* A segment that is not present is one that is not usable, and the other way round: KVM tells one, the
 * other, or both. */
static struct x86_segment seg_clean(const struct soft_vcpu *v, struct x86_segment s)
{
	int drop = v->cr4_allowed & X86_CR4_LA57 ? 7 : 16;

	s.attr &= SEG_ATTR_MASK;
	if (s.attr & X86_ATTR_UNUSABLE || !(s.attr & X86_ATTR_P))
		s.attr = (s.attr & ~X86_ATTR_P) | X86_ATTR_UNUSABLE;
	s.base = (uint64_t)((int64_t)(s.base << drop) >> drop);
	return s;
}

static struct x86_dtable table_clean(const struct soft_vcpu *v, struct x86_dtable t)
{
	int drop = v->cr4_allowed & X86_CR4_LA57 ? 7 : 16;

	t.base = (uint64_t)((int64_t)(t.base << drop) >> drop);
	return t;
}

static void sregs_get(struct soft_vcpu *v, struct x86_cpu_state *s)
{
	memcpy(s->seg, v->seg, sizeof(s->seg));
	/* A code segment loaded outside long mode may have it; there it means nothing, and KVM refuses it. */
	if (!soft_long_mode(v))
		s->seg[X86_CS].attr &= ~X86_ATTR_L;
	s->tr = v->tr;
	s->ldtr = v->ldtr;
	s->gdtr = v->gdtr;
	s->idtr = v->idtr;
	s->cr0 = v->cr0;
	s->cr2 = v->cr2;
	s->cr3 = v->cr3;
	s->cr4 = v->cr4;
	s->cr8 = soft_cr8_get(v);
	s->efer = v->efer;
	s->apic_base = soft_apic_base(v);
}

/* The rules that MOV to a control register and WRMSR keep up (SDM, Checks on Guest Control Registers). */
static bool sregs_valid(const struct soft_vcpu *v, const struct x86_cpu_state *s)
{
	bool pg = s->cr0 & X86_CR0_PG, lma = s->efer & X86_EFER_LMA;
	uint32_t cs = s->seg[X86_CS].attr;

	if (s->cr0 >> 32 || (pg && !(s->cr0 & X86_CR0_PE)) ||
		(s->cr0 & X86_CR0_NW && !(s->cr0 & X86_CR0_CD)))
		return false;
	if (s->cr4 & ~v->cr4_allowed || s->efer & ~(v->efer_allowed | X86_EFER_LMA))
		return false;
	if (lma != (pg && s->efer & X86_EFER_LME))
		return false;
	if (!lma)
		return !(cs & X86_ATTR_L) && !(s->cr4 & X86_CR4_PCIDE);
	return s->cr4 & X86_CR4_PAE && !(s->cr3 >> v->phys_bits) &&
	       !(cs & X86_ATTR_L && cs & X86_ATTR_DB);
}

static int sregs_set(struct soft_vcpu *v, const struct x86_cpu_state *s)
{
	if (!sregs_valid(v, s))
		return -EINVAL;
	v->cr0 = (s->cr0 & CR0_MASK) | X86_CR0_ET;
	v->cr2 = s->cr2;
	v->efer = s->efer;
	v->cr3 = soft_long_mode(v) ? s->cr3 : (uint32_t)s->cr3;
	v->cr4 = s->cr4;
	for (int i = 0; i < X86_NSEG; i++)
		v->seg[i] = seg_clean(v, s->seg[i]);
	v->tr = seg_clean(v, s->tr);
	v->ldtr = seg_clean(v, s->ldtr);
	v->gdtr = table_clean(v, s->gdtr);
	v->idtr = table_clean(v, s->idtr);
	soft_apic_base_restore(v, s->apic_base);
	soft_cr8_set(v, s->cr8 & 0xf);
	return 0;
}

/* -------- x87, SSE, AVX, protection keys -------- */

static int fpu_set(struct soft_vcpu *v, const struct x86_cpu_state *s)
{
	if (s->xcr0 & ~v->xcr0_allowed || !(s->xcr0 & XCR0_X87) ||
		(s->xcr0 & XCR0_AVX && !(s->xcr0 & XCR0_SSE)))
		return -EINVAL;
	if (!soft_fpu_set(v, s->xsave))
		return -EINVAL;
	v->xcr0 = s->xcr0;
	return 0;
}

/* -------- debug registers -------- */

static void debug_get(struct soft_vcpu *v, struct x86_cpu_state *s)
{
	memcpy(s->dr, v->dr, sizeof(s->dr));
	s->dr[4] = s->dr[5] = 0;
}

static int debug_set(struct soft_vcpu *v, const struct x86_cpu_state *s)
{
	if (s->dr[6] >> 32 || s->dr[7] >> 32)
		return -EINVAL;
	memcpy(v->dr, s->dr, 4 * sizeof(v->dr[0]));
	v->dr[6] = (s->dr[6] & DR6_WRITABLE) | X86_DR6_FIXED;
	v->dr[7] = (s->dr[7] & DR7_WRITABLE) | X86_DR7_FIXED;
	soft_watch_changed(v);
	return 0;
}

/* -------- MSRs -------- */

static int msrs_get(struct soft_vcpu *v, struct x86_cpu_state *s)
{
	uint64_t value;
	uint32_t index;

	s->n_msrs = 0;
	for (unsigned int i = 0; soft_msr_state(v, i, &index); i++) {
		if (!soft_msr_read(v, index, &value))
			continue; /* this CPU model does not have it */
		if (s->n_msrs == X86_MSR_MAX)
			return -ENOSPC;
		s->msr[s->n_msrs++] = (struct x86_msr){ index, value };
	}
	return 0;
}

/* One that this CPU does not have may be in the state if nothing is lost with it. @deadline: the
 * deadline timer only, which is set after the APIC is in that mode; or the rest. */
static int msrs_set(struct soft_vcpu *v, const struct x86_cpu_state *s, bool deadline)
{
	if (s->n_msrs > X86_MSR_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < s->n_msrs; i++) {
		const struct x86_msr *m = &s->msr[i];

		if ((m->index == X86_MSR_TSC_DEADLINE) != deadline)
			continue;
		if (!soft_msr_restore(v, m->index, m->value) &&
			m->value != x86_msr_reset_value(m->index)) {
			log_err("soft", "CPU %u has no MSR %#x, which the state has with %#llx",
				v->index, m->index, (unsigned long long)m->value);
			return -EINVAL;
		}
	}
	return 0;
}

/* -------- events -------- */

/* An event that the next instruction waits for. The INT instructions are not told: rIP is still theirs
 * and they are carried out again. */
static void event_get(const struct soft_vcpu *v, struct x86_events *e)
{
	const struct soft_event *q = &v->event;

	if (!v->has_event) {
		if (!v->pending_dr6)
			return;
		e->exception_pending = e->exception_has_payload = 1;
		e->exception_nr = X86_EXC_DB;
		e->exception_payload = v->pending_dr6;
		return;
	}
	switch (q->kind) {
	case SOFT_EVENT_SOFT_INT:
	case SOFT_EVENT_INT1:
		break;
	case SOFT_EVENT_EXTERNAL:
		if (q->vector == X86_EXC_NMI) {
			e->nmi_injected = 1;
			break;
		}
		e->interrupt_injected = 1;
		e->interrupt_nr = q->vector;
		break;
	case SOFT_EVENT_FAULT:
	case SOFT_EVENT_TRAP:
		e->exception_pending = 1;
		e->exception_nr = q->vector;
		e->exception_has_error = q->has_error;
		e->exception_error = q->error;
		e->exception_has_payload = q->vector == X86_EXC_PF || q->vector == X86_EXC_DB;
		if (e->exception_has_payload)
			e->exception_payload = q->vector == X86_EXC_PF ? q->cr2 : q->dr6;
		break;
	}
}

static void events_get(struct soft_vcpu *v, struct x86_cpu_state *s)
{
	uint32_t poll = atomic_load(&v->poll);

	s->events = (struct x86_events){
		.interrupt_shadow = v->shadow,
		.nmi_pending = MIN(2u, v->nmi_wanted + atomic_load(&v->nmis)),
		.nmi_masked = v->nmi_masked,
		.latched_init = !!(poll & SOFT_POLL_INIT),
		.triple_fault_pending = v->shutdown,
		.sipi_vector = v->sipi_vector,
	};
	event_get(v, &s->events);
}

static void exception_set(struct soft_vcpu *v, const struct x86_events *e)
{
	bool step = e->exception_payload & X86_DR6_BS;

	v->event = (struct soft_event){
		.vector = e->exception_nr,
		.has_error = e->exception_has_error,
		.error = e->exception_error,
		.cr2 = v->cr2,
	};
	if (e->exception_has_payload && e->exception_nr == X86_EXC_PF)
		v->event.cr2 = e->exception_payload;
	if (e->exception_nr == X86_EXC_DB) {
		if (e->exception_has_payload)
			v->event.dr6 = e->exception_payload & DR6_WRITABLE;
		v->event.kind = step ? SOFT_EVENT_TRAP : SOFT_EVENT_FAULT;
	}
	/* INT3 and INTO: rIP is theirs, they come again. */
	v->has_event = !(e->exception_injected &&
			 (e->exception_nr == X86_EXC_BP || e->exception_nr == X86_EXC_OF));
}

static int events_set(struct soft_vcpu *v, const struct x86_cpu_state *s)
{
	const struct x86_events *e = &s->events;
	bool exception = e->exception_injected || e->exception_pending;

	if (e->smm || (exception && (e->exception_nr > 31 || e->exception_nr == X86_EXC_NMI)))
		return -EINVAL;
	v->has_event = v->in_event = v->unhalted = false;
	v->pending_dr6 = v->debug_hits = 0;
	v->shadow = e->interrupt_shadow & 3;
	v->nmi_wanted = MIN(2, e->nmi_pending + !!e->nmi_injected);
	atomic_store(&v->nmis, 0);
	v->nmi_masked = e->nmi_masked && !e->nmi_injected;
	v->sipi_vector = e->sipi_vector;
	v->shutdown = e->triple_fault_pending;
	atomic_fetch_and(&v->poll,
		~(uint32_t)(SOFT_POLL_NMI | SOFT_POLL_INIT | SOFT_POLL_SIPI | SOFT_POLL_UNHALT));
	if (e->latched_init)
		atomic_fetch_or(&v->poll, SOFT_POLL_INIT);
	if (exception) {
		exception_set(v, e);
	} else if (e->interrupt_injected && !e->interrupt_soft) {
		v->event = (struct soft_event){ .vector = e->interrupt_nr,
			.kind = SOFT_EVENT_EXTERNAL };
		v->has_event = true;
	}
	return 0;
}

/* -------- run state -------- */

static void mp_get(struct soft_vcpu *v, struct x86_cpu_state *s)
{
	s->mp_state = v->mp_state;
	if (v->mp_state == X86_MP_INIT_RECEIVED && atomic_load(&v->poll) & SOFT_POLL_SIPI)
		s->mp_state = X86_MP_SIPI_RECEIVED;
	if (v->mp_state == X86_MP_HALTED && atomic_load(&v->poll) & SOFT_POLL_UNHALT)
		s->mp_state = X86_MP_RUNNABLE;
}

static int mp_set(struct soft_vcpu *v, const struct x86_cpu_state *s)
{
	if (s->mp_state < X86_MP_RUNNABLE || s->mp_state > X86_MP_SIPI_RECEIVED)
		return -EINVAL;
	v->mp_state = s->mp_state;
	v->halted = s->mp_state == X86_MP_HALTED;
	if (s->mp_state == X86_MP_SIPI_RECEIVED) {
		v->mp_state = X86_MP_INIT_RECEIVED;
		atomic_fetch_or(&v->poll, SOFT_POLL_SIPI);
	}
	return 0;
}

/* -------- all of it -------- */

int soft_vcpu_get(struct accel_vcpu *av, struct x86_cpu_state *s, unsigned int parts)
{
	struct soft_vcpu *v = to_soft_vcpu(av);
	int r = 0;

	if (parts & X86_STATE_REGS)
		regs_get(v, s);
	if (parts & X86_STATE_SREGS)
		sregs_get(v, s);
	if (parts & X86_STATE_FPU) {
		s->xcr0 = v->xcr0;
		soft_fpu_get(v, s->xsave);
	}
	if (parts & X86_STATE_DEBUG)
		debug_get(v, s);
	if (parts & X86_STATE_MSRS)
		r = msrs_get(v, s);
	if (parts & X86_STATE_EVENTS)
		events_get(v, s);
	if (parts & X86_STATE_MP)
		mp_get(v, s);
	if (parts & X86_STATE_LAPIC)
		soft_lapic_get(v, s->lapic);
	return r;
}

/* What goes with the registers, whichever of them have changed. */
static void settle(struct soft_vcpu *v)
{
	if (soft_long_mode(v))
		v->rflags &= ~(uint64_t)X86_FLAG_VM;
	soft_mode_changed(v);
	if (v->code != X86_CODE_64)
		v->rip = v->gpr[X86_REG_RIP] = (uint32_t)v->rip;
	soft_tlb_flush(v, true);
	if (v->cr0 & X86_CR0_PG && v->cr4 & X86_CR4_PAE && !soft_long_mode(v)) {
		as_read_begin();
		/* KVM saves none either. Without valid ones the guest faults. */
		if (!soft_mmu_load_pdptes(v))
			memset(v->pdpte, 0, sizeof(v->pdpte));
		as_read_end();
	}
	atomic_fetch_or(&v->poll, SOFT_POLL_IRQ | SOFT_POLL_TIMER);
}

int soft_vcpu_set(struct accel_vcpu *av, const struct x86_cpu_state *s, unsigned int parts)
{
	struct soft_vcpu *v = to_soft_vcpu(av);
	int r = 0;

	if (!v->phys_bits)
		soft_vcpu_allow_all(v);
	if (parts & X86_STATE_REGS)
		regs_set(v, s);
	if (parts & X86_STATE_SREGS)
		r = sregs_set(v, s);
	if (!r && parts & X86_STATE_FPU)
		r = fpu_set(v, s);
	if (!r && parts & X86_STATE_DEBUG)
		r = debug_set(v, s);
	if (!r && parts & X86_STATE_MSRS)
		r = msrs_set(v, s, false);
	if (!r && parts & X86_STATE_LAPIC)
		soft_lapic_set(v, s->lapic);
	if (!r && parts & X86_STATE_MSRS)
		r = msrs_set(v, s, true);
	if (!r && parts & X86_STATE_EVENTS)
		r = events_set(v, s);
	if (!r && parts & X86_STATE_MP)
		r = mp_set(v, s);
	settle(v);
	return r;
}

/* -------- INIT, SIPI -------- */

static void init_registers(struct soft_vcpu *v)
{
	struct x86_cpu_state s;
	uint32_t id[4];

	x86_cpu_state_reset(&s, v->apic_id, true);
	regs_set(v, &s);
	soft_cpuid(v, 1, 0, id);
	if (id[0])
		v->gpr[X86_RDX] = id[0];
	memcpy(v->seg, s.seg, sizeof(v->seg));
	v->tr = s.tr;
	v->ldtr = s.ldtr;
	v->gdtr = s.gdtr;
	v->idtr = s.idtr;
	v->cr0 = X86_CR0_ET | (v->cr0 & (X86_CR0_CD | X86_CR0_NW));
	v->cr2 = v->cr3 = v->cr4 = v->efer = 0;
	memcpy(v->dr, s.dr, sizeof(v->dr));
}

/* SDM, Processor State After Reset: INIT leaves x87, vectors, XCR0, the MSRs, the TSC and the bits of
 * CR0 that are the caches' as they are. */
void soft_vcpu_init_signal(struct soft_vcpu *v)
{
	init_registers(v);
	v->has_event = v->in_event = v->halted = v->unhalted = false;
	v->nmi_wanted = 0;
	v->nmi_masked = false;
	v->pending_dr6 = v->debug_hits = 0;
	v->shadow = 0;
	v->mp_state = soft_apic_base(v) & X86_APIC_BASE_BSP ? X86_MP_RUNNABLE
							    : X86_MP_INIT_RECEIVED;
	soft_lapic_init_signal(v);
	soft_watch_changed(v);
	settle(v);
}

void soft_vcpu_sipi(struct soft_vcpu *v, uint8_t vector)
{
	if (v->mp_state != X86_MP_INIT_RECEIVED)
		return;
	v->seg[X86_CS].selector = vector << 8;
	v->seg[X86_CS].base = (uint32_t)vector << 12;
	v->rip = v->gpr[X86_REG_RIP] = 0;
	v->mp_state = X86_MP_RUNNABLE;
	soft_mode_changed(v);
}
