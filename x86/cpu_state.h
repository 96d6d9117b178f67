/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * cpu_state - an x86-64 vCPU's whole state, engine-neutral. What a guest can observe, and nothing
 * that only one engine knows. Engines translate to and from it; it is what is saved.
 *
 * Numbering follows the architecture: gpr[] in encoding order (rax rcx rdx rbx rsp rbp rsi rdi
 * r8..r15), seg[] in encoding order (es cs ss ds fs gs).
 */
#ifndef X86_CPU_STATE_H
#define X86_CPU_STATE_H

#include "x86/env.h"

enum x86_gpr {
	X86_RAX,
	X86_RCX,
	X86_RDX,
	X86_RBX,
	X86_RSP,
	X86_RBP,
	X86_RSI,
	X86_RDI,
	X86_R8,
	X86_R9,
	X86_R10,
	X86_R11,
	X86_R12,
	X86_R13,
	X86_R14,
	X86_R15,
};

enum x86_seg { X86_ES, X86_CS, X86_SS, X86_DS, X86_FS, X86_GS, X86_NSEG };

/* A segment register with its hidden part. @attr is the descriptor's bytes 5-6 as VMX and SVM keep
 * them: bits 0-3 type, 4 S, 5-6 DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G, 16 unusable. */
struct x86_segment {
	uint64_t base;
	uint32_t limit; /* in bytes, granularity applied */
	uint32_t attr;
	uint16_t selector;
};

#define X86_ATTR_TYPE(a)  ((a)&0xf)
#define X86_ATTR_S	  (1u << 4)
#define X86_ATTR_DPL(a)	  (((a) >> 5) & 3)
#define X86_ATTR_P	  (1u << 7)
#define X86_ATTR_AVL	  (1u << 12)
#define X86_ATTR_L	  (1u << 13)
#define X86_ATTR_DB	  (1u << 14)
#define X86_ATTR_G	  (1u << 15)
#define X86_ATTR_UNUSABLE (1u << 16)

struct x86_dtable {
	uint64_t base;
	uint16_t limit;
};

enum x86_mp_state {
	X86_MP_RUNNABLE,
	X86_MP_UNINITIALIZED,
	X86_MP_INIT_RECEIVED,
	X86_MP_HALTED,
	X86_MP_SIPI_RECEIVED
};

/* Pending and injected events (SDM, Interrupt and Exception Handling; KVM's VCPU_EVENTS). */
struct x86_events {
	uint8_t exception_injected, exception_pending, exception_nr, exception_has_error;
	uint32_t exception_error;
	uint64_t exception_payload;
	uint8_t exception_has_payload;
	uint8_t interrupt_injected, interrupt_nr, interrupt_soft;
	uint8_t interrupt_shadow; /* bit 0: MOV SS, bit 1: STI; both where the hardware does not tell */
	uint8_t nmi_injected, nmi_pending, nmi_masked;
	uint8_t smm, smi_pending, smm_inside_nmi, latched_init;
	uint8_t triple_fault_pending;
	uint32_t sipi_vector;
};

#define X86_MSR_MAX 128
struct x86_msr {
	uint32_t index;
	uint64_t value;
};

#define X86_XSAVE_MAX  4096 /* x87, SSE, AVX, AVX-512, PKRU; AMX is not offered to guests */
#define X86_LAPIC_SIZE 1024

#define X86_APIC_BASE_BSP (1u << 8)

struct x86_cpu_state {
	uint64_t gpr[16];
	uint64_t rip, rflags;
	struct x86_segment seg[X86_NSEG], tr, ldtr;
	struct x86_dtable gdtr, idtr;
	uint64_t cr0, cr2, cr3, cr4, cr8, efer, apic_base;
	uint64_t dr[8]; /* dr0-3, 6, 7; 4 and 5 unused */
	uint64_t xcr0;
	/* XSAVE area, standard (not compacted) format, legacy part first (SDM, XSAVE Area). */
	uint8_t xsave[X86_XSAVE_MAX];
	struct x86_events events;
	int mp_state; /* enum x86_mp_state */
	/* MSRs other than EFER and APIC_BASE: the TSC, SYSENTER, STAR family, MTRRs, PAT, kvmclock ... */
	struct x86_msr msr[X86_MSR_MAX];
	uint32_t n_msrs;
	/* The local APIC's register page, xAPIC layout. In x2APIC mode the ID register holds the 32-bit id. */
	uint8_t lapic[X86_LAPIC_SIZE];
	/* Pending timer of the APIC in TSC-deadline mode is an MSR. */
};

/* What to transfer. */
enum x86_state_part {
	X86_STATE_REGS = 1 << 0,  /* gpr rip rflags */
	X86_STATE_SREGS = 1 << 1, /* segments, tables, control registers, efer, apic_base */
	X86_STATE_FPU = 1 << 2,	  /* xsave, xcr0 */
	X86_STATE_DEBUG = 1 << 3,
	X86_STATE_MSRS = 1 << 4,
	X86_STATE_EVENTS = 1 << 5,
	X86_STATE_MP = 1 << 6,
	X86_STATE_LAPIC = 1 << 7,
	X86_STATE_ALL = 0xff,
};

/* State after power-on of the CPU whose APIC has @apic_id: SDM, Processor State After Reset. With
 * @bsp false it waits for INIT and SIPI. The time stamp counter is not in it: it goes on counting
 * over a reset, so that the CPUs' counters stay together. */
void x86_cpu_state_reset(struct x86_cpu_state *s, uint32_t apic_id, bool bsp);
/* Value after power-on of MSR @index; 0 for any that is not special. */
uint64_t x86_msr_reset_value(uint32_t index);
/* Set MSR @index in @s, replacing or appending; false: no room. */
bool x86_cpu_state_set_msr(struct x86_cpu_state *s, uint32_t index, uint64_t value);

/* Guest interrupt chips (KVM_IRQCHIP_*, PIT2), engine-neutral. */
struct x86_pic_state {
	uint8_t last_irr, irr, imr, isr, priority_add, irq_base, read_reg_select, poll;
	uint8_t special_mask, init_state, auto_eoi, rotate_on_auto_eoi, special_fully_nested_mode;
	uint8_t init4, elcr, elcr_mask;
};
struct x86_ioapic_state {
	uint64_t base_address;
	uint32_t ioregsel, id, irr;
	uint64_t redirtbl[24];
};
struct x86_pit_channel_state {
	uint32_t count; /* can be 65536 */
	uint16_t latched_count;
	uint8_t count_latched, status_latched, status, read_state, write_state, write_latch,
		rw_mode;
	uint8_t mode, bcd, gate;
	int64_t count_load_time; /* ns of the VM's clock */
	/* What KVM's lacks: see x86/pit.c. */
	uint32_t next_count;
	int64_t next_time, gate_time; /* ns of the VM's clock */
};
struct x86_pit_state {
	struct x86_pit_channel_state channel[3];
	uint32_t flags;
};
struct x86_chips_state {
	struct x86_pic_state pic[2];
	struct x86_ioapic_state ioapic;
	struct x86_pit_state pit;
	uint64_t clock_ns; /* kvmclock: nanoseconds since boot of the guest */
};
/* The chips as after power-on; the clock is left as it is. */
void x86_chips_state_reset(struct x86_chips_state *s);

#endif
