/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * cpu_state - the state after power-on (SDM, Processor State After Reset; APM, Processor
 * Initialization State).
 */
#include "x86/cpu_state.h"
#include "x86/ioapic.h"
#include "x86/pic.h"
#include "x86/pit.h"

#define EFLAGS_RESET 0x2
#define CR0_RESET    0x60000010 /* CD, NW, ET */
#define DR6_RESET    0xffff0ff0
#define DR7_RESET    0x400
#define APIC_DEFAULT 0xfee00000
#define APIC_ENABLE  (1u << 11)

/* Registers that a reset puts to a value, if the CPU has them. Those of kvmclock and its kin are
 * here too: their memory is not the guest's any more after a reset. */
static const struct x86_msr msr_reset[] = {
	{ 0x174, 0 },				  /* SYSENTER_CS, ESP, EIP */
	{ 0x175, 0 }, { 0x176, 0 }, { 0x1a0, 1 }, /* MISC_ENABLE: fast strings */
	{ 0x1d9, 0 },				  /* DEBUGCTL */
	{ 0x277, 0x0007040600070406 },		  /* PAT */
	{ 0x2ff, 0 },				  /* MTRR default type: off */
	{ 0x6e0, 0 },				  /* TSC deadline */
	{ 0x48, 0 },				  /* SPEC_CTRL */
	{ 0xda0, 0 },				  /* XSS */
	{ 0xc0000081, 0 },			  /* STAR, LSTAR, CSTAR, FMASK */
	{ 0xc0000082, 0 }, { 0xc0000083, 0 }, { 0xc0000084, 0 },
	{ 0xc0000102, 0 },		      /* KERNEL_GS_BASE */
	{ 0xc0000103, 0 },		      /* TSC_AUX */
	{ 0x11, 0 },			      /* kvmclock: old wall clock, old system time */
	{ 0x12, 0 }, { 0x4b564d00, 0 },	      /* kvmclock: wall clock, system time */
	{ 0x4b564d01, 0 }, { 0x4b564d02, 0 }, /* asynchronous page faults */
	{ 0x4b564d03, 0 },		      /* steal time */
	{ 0x4b564d04, 0 },		      /* paravirtual EOI */
	{ 0x4b564d05, 1 },		      /* host-side halt polling allowed */
	{ 0x4b564d06, 0 },		      /* asynchronous page faults: vector */
};

uint64_t x86_msr_reset_value(uint32_t index)
{
	for (size_t i = 0; i < sizeof(msr_reset) / sizeof(msr_reset[0]); i++)
		if (msr_reset[i].index == index)
			return msr_reset[i].value;
	return 0;
}

bool x86_cpu_state_set_msr(struct x86_cpu_state *s, uint32_t index, uint64_t value)
{
	for (uint32_t i = 0; i < s->n_msrs && i < X86_MSR_MAX; i++)
		if (s->msr[i].index == index) {
			s->msr[i].value = value;
			return true;
		}
	if (s->n_msrs >= X86_MSR_MAX)
		return false;
	s->msr[s->n_msrs++] = (struct x86_msr){ index, value };
	return true;
}

static void reset_segments(struct x86_cpu_state *s)
{
	for (int i = 0; i < X86_NSEG; i++)
		s->seg[i] = (struct x86_segment){
			.limit = 0xffff,
			.attr = X86_ATTR_P | X86_ATTR_S | 3, /* data, writable, accessed */
		};
	s->seg[X86_CS] = (struct x86_segment){
		.base = 0xffff0000,
		.limit = 0xffff,
		.attr = X86_ATTR_P | X86_ATTR_S | 0xb, /* code, readable, accessed */
		.selector = 0xf000,
	};
	s->tr = (struct x86_segment){ .limit = 0xffff, .attr = X86_ATTR_P | 0xb };
	s->ldtr = (struct x86_segment){ .limit = 0xffff, .attr = X86_ATTR_P | 2 };
	s->gdtr.limit = s->idtr.limit = 0xffff;
}

static void put32(uint8_t *p, uint32_t x)
{
	memcpy(p, &x, sizeof(x)); /* little-endian, as every CPU this state is for */
}

static void reset_fpu(struct x86_cpu_state *s)
{
	/* SPEC: the x87 control word is 0x40 after power-on. Like KVM we start as FNINIT leaves it
	 * (0x37f); nothing uses the unit without that, and a fresh vCPU needs no set-up. */
	s->xsave[0] = 0x7f;
	s->xsave[1] = 0x03;
	put32(s->xsave + 24, 0x1f80); /* MXCSR */
	s->xcr0 = 1;
}

static void reset_lapic(struct x86_cpu_state *s, uint32_t apic_id, bool bsp)
{
	/* SDM, Local APIC State After Power-Up or Reset. SPEC: LINT0 of the boot processor is
	 * ready for the PIC (ExtINT), as firmware leaves it and as KVM has it: a directly booted
	 * kernel has no firmware before it. */
	put32(s->lapic + 0x20, apic_id << 24);
	put32(s->lapic + 0x30, 0x50014); /* version; the engine says what it really has */
	put32(s->lapic + 0xe0, 0xffffffff);
	put32(s->lapic + 0xf0, 0xff);
	for (unsigned int reg = 0x320; reg <= 0x370; reg += 0x10)
		put32(s->lapic + reg, 0x10000);
	if (bsp)
		put32(s->lapic + 0x350, 0x700);
}

void x86_cpu_state_reset(struct x86_cpu_state *s, uint32_t apic_id, bool bsp)
{
	memset(s, 0, sizeof(*s));
	s->gpr[X86_RDX] = 0x600; /* family 6 */
	s->rip = 0xfff0;
	s->rflags = EFLAGS_RESET;
	reset_segments(s);
	s->cr0 = CR0_RESET;
	s->apic_base = APIC_DEFAULT | APIC_ENABLE | (bsp ? X86_APIC_BASE_BSP : 0);
	s->dr[6] = DR6_RESET;
	s->dr[7] = DR7_RESET;
	reset_fpu(s);
	s->mp_state = bsp ? X86_MP_RUNNABLE : X86_MP_UNINITIALIZED;
	for (size_t i = 0; i < sizeof(msr_reset) / sizeof(msr_reset[0]); i++)
		s->msr[s->n_msrs++] = msr_reset[i];
	reset_lapic(s, apic_id, bsp);
}

void x86_chips_state_reset(struct x86_chips_state *s)
{
	x86_pic_reset(s->pic);
	x86_ioapic_reset(&s->ioapic);
	x86_pit_reset(&s->pit);
}
