/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * lapic - the local APIC, in xAPIC and x2APIC mode, as pure state: register accesses, messages and
 * time in, effects out. The caller serializes, finds a message's targets (x86_lapic_matches()) and
 * asks x86_lapic_pending() after every call that changes something.
 *
 * The timer counts nanoseconds (a bus of 1 GHz). Times are of any monotonic clock of the caller's, which
 * passes the same one everywhere; the TSC-deadline mode has the guest's TSC instead.
 */
#ifndef X86_LAPIC_H
#define X86_LAPIC_H

#include "x86/cpu_state.h"

#define X86_LAPIC_PAGE		0x1000u /* bytes of the MMIO page */
#define X86_LAPIC_VERSION	0x50014u
/* SPEC: the shortest time between two interrupts of the periodic timer; what a guest asks for below
 * that would be nothing but interrupts. The count itself is exact. */
#define X86_LAPIC_MIN_PERIOD_NS 100000ll
#define X86_LAPIC_NEVER		INT64_MAX

/* Byte offsets of the registers in the page. */
enum x86_lapic_reg {
	X86_LAPIC_ID = 0x20,
	X86_LAPIC_VER = 0x30,
	X86_LAPIC_TPR = 0x80,
	X86_LAPIC_APR = 0x90,
	X86_LAPIC_PPR = 0xa0,
	X86_LAPIC_EOI = 0xb0,
	X86_LAPIC_LDR = 0xd0,
	X86_LAPIC_DFR = 0xe0,
	X86_LAPIC_SVR = 0xf0,
	X86_LAPIC_ISR = 0x100, /* 8 words, 16 bytes apart */
	X86_LAPIC_TMR = 0x180,
	X86_LAPIC_IRR = 0x200,
	X86_LAPIC_ESR = 0x280,
	X86_LAPIC_ICR = 0x300,
	X86_LAPIC_ICR2 = 0x310, /* x2APIC mode: the ICR's upper half */
	X86_LAPIC_LVTT = 0x320,
	X86_LAPIC_LVT_THERMAL = 0x330,
	X86_LAPIC_LVT_PERF = 0x340,
	X86_LAPIC_LVT0 = 0x350,
	X86_LAPIC_LVT1 = 0x360,
	X86_LAPIC_LVT_ERROR = 0x370,
	X86_LAPIC_TMICT = 0x380,
	X86_LAPIC_TMCCT = 0x390,
	X86_LAPIC_TDCR = 0x3e0,
	X86_LAPIC_SELF_IPI = 0x3f0, /* x2APIC mode only */
};

enum x86_lapic_mode { X86_LAPIC_OFF, X86_LAPIC_XAPIC, X86_LAPIC_X2APIC };

/* Delivery modes of messages and LVT entries. */
enum x86_delivery {
	X86_DM_FIXED,
	X86_DM_LOWEST,
	X86_DM_SMI,
	X86_DM_NMI = 4,
	X86_DM_INIT,
	X86_DM_SIPI,
	X86_DM_EXTINT,
};

enum x86_shorthand { X86_SH_NONE, X86_SH_SELF, X86_SH_ALL, X86_SH_OTHERS };

/* What the CPU model has. */
enum x86_lapic_feature {
	X86_LAPIC_HAS_X2APIC = 1 << 0,
	X86_LAPIC_HAS_DEADLINE = 1 << 1,
	X86_LAPIC_HAS_EOI_SUPPRESSION = 1 << 2, /* of the broadcast to I/O APICs */
};

struct x86_lapic {
	/* The register page, as struct x86_cpu_state has it. */
	uint8_t regs[X86_LAPIC_SIZE] __attribute__((aligned(8)));
	uint64_t apic_base;    /* IA32_APIC_BASE */
	uint32_t id;	       /* the CPU's own, 32 bits wide */
	uint32_t features;     /* enum x86_lapic_feature */
	uint32_t errors;       /* seen since the last write of ESR, which shows them */
	uint32_t arbitration;  /* lowest-priority interrupts accepted: they go round */
	bool counting;	       /* the timer, one-shot or periodic */
	int64_t count_start;   /* when this count began, as if it had begun at the initial count */
	int64_t interrupt_at;  /* when the timer's next interrupt is due while counting */
	uint64_t tsc_deadline; /* 0: none */
};

/* An interrupt message: an IPI, an MSI, one of the I/O APIC's. */
struct x86_lapic_msg {
	uint32_t dest;
	uint8_t vector;
	uint8_t mode;	   /* enum x86_delivery */
	uint8_t shorthand; /* enum x86_shorthand; IPIs only */
	bool logical;
	bool wide;     /* dest is of 32 bits: broadcast is all of them */
	bool level;    /* trigger mode */
	bool deassert; /* INIT level de-assert, which does nothing */
};

/* What an access brought about, beside the state. Start from zero. */
struct x86_lapic_effect {
	bool fault; /* #GP: nothing was changed (x2APIC's registers, MSRs) */
	bool send;  /* ->msg */
	bool eoi;   /* a level-triggered interrupt ended: tell the I/O APICs ->eoi_vector */
	bool timer; /* when the timer is due has changed */
	uint8_t eoi_vector;
	struct x86_lapic_msg msg;
};

static inline uint32_t x86_lapic_get32(const struct x86_lapic *l, uint32_t reg)
{
	uint32_t v;

	__builtin_memcpy(&v, l->regs + reg, sizeof(v));
	return v;
}

static inline enum x86_lapic_mode x86_lapic_mode(const struct x86_lapic *l)
{
	if (!(l->apic_base & (1u << 11)))
		return X86_LAPIC_OFF;
	return l->apic_base & (1u << 10) ? X86_LAPIC_X2APIC : X86_LAPIC_XAPIC;
}

/* Power-on. @bsp: the boot processor's. Sets all but ->features. */
void x86_lapic_power_on(struct x86_lapic *l, uint32_t id, bool bsp);
/* INIT: the registers anew; mode, base and id stay. */
void x86_lapic_init_signal(struct x86_lapic *l);

/* -------- registers -------- */
/* 32 bits at byte @off (a multiple of 16) of the page, in xAPIC mode. What is no register reads as 0
 * and is an error that ESR tells. */
uint32_t x86_lapic_read(struct x86_lapic *l, uint32_t off, int64_t now);
struct x86_lapic_effect x86_lapic_write(
	struct x86_lapic *l, uint32_t off, uint32_t value, int64_t now);
/* MSR 0x800 + @n in x2APIC mode. False and effect.fault: #GP, also in any other mode. */
bool x86_lapic_msr_read(struct x86_lapic *l, uint32_t n, uint64_t *value, int64_t now);
struct x86_lapic_effect x86_lapic_msr_write(
	struct x86_lapic *l, uint32_t n, uint64_t value, int64_t now);
/* IA32_APIC_BASE. @phys_bits: the CPU's. False: #GP. */
bool x86_lapic_set_base(struct x86_lapic *l, uint64_t value, unsigned int phys_bits);
/* The same for a saved state: any mode after any other; what cannot be is made disabled. */
void x86_lapic_restore_base(struct x86_lapic *l, uint64_t value);
/* TPR as CR8 has it (bits 7-4), in every mode. */
static inline uint8_t x86_lapic_cr8(const struct x86_lapic *l)
{
	return x86_lapic_get32(l, X86_LAPIC_TPR) >> 4 & 0xf;
}
void x86_lapic_set_cr8(struct x86_lapic *l, uint8_t value);

/* -------- interrupts -------- */
/* Is the APIC, in whatever state, one of @m's destinations? @from: who sent it by IPI, NULL: a
 * device. Lowest priority: one of the candidates. */
bool x86_lapic_matches(
	const struct x86_lapic *l, const struct x86_lapic_msg *m, const struct x86_lapic *from);
/* Take a fixed interrupt. False: the APIC is disabled, or the vector is none. */
bool x86_lapic_accept(struct x86_lapic *l, uint8_t vector, bool level);
/* Does it take fixed interrupts? */
bool x86_lapic_enabled(const struct x86_lapic *l);
/* Is @a the better choice for a lowest-priority interrupt? */
bool x86_lapic_prefer(const struct x86_lapic *a, const struct x86_lapic *b);
/* The vector to deliver to the CPU now, -1: none above the processor's priority. */
int x86_lapic_pending(const struct x86_lapic *l);
/* The CPU takes the vector that x86_lapic_pending() told: it is in service now. */
int x86_lapic_ack(struct x86_lapic *l);
uint8_t x86_lapic_ppr(const struct x86_lapic *l);
/* An LVT entry's delivery mode; -1: masked. @reg: X86_LAPIC_LVT0 ... */
int x86_lapic_lvt_mode(const struct x86_lapic *l, uint32_t reg);
/* An MSI's address and data as a message. False: it is none. Bits 40-63 of the address are bits 8-31
 * of a destination wider than the architecture's. */
bool x86_lapic_msi(uint64_t addr, uint32_t data, struct x86_lapic_msg *out);

/* -------- timer -------- */
/* IA32_TSC_DEADLINE. The caller looks whether it has passed (x86_lapic_expire()) before it reads. */
uint64_t x86_lapic_tsc_deadline(const struct x86_lapic *l);
void x86_lapic_set_tsc_deadline(struct x86_lapic *l, uint64_t value);
/* When the timer interrupts next, one-shot or periodic; X86_LAPIC_NEVER. */
int64_t x86_lapic_timer_next(const struct x86_lapic *l);
/* Deliver what is due: one interrupt at most, however many periods have passed. */
void x86_lapic_expire(struct x86_lapic *l, int64_t now, uint64_t tsc);

/* -------- saved state -------- */
/* The page as of @now. */
void x86_lapic_get(struct x86_lapic *l, uint8_t page[X86_LAPIC_SIZE], int64_t now);
/* Take a page up, of whatever contents; base and id are as they are. */
void x86_lapic_set(struct x86_lapic *l, const uint8_t page[X86_LAPIC_SIZE], int64_t now);

#endif
