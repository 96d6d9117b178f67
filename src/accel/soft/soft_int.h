// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * soft_int - the soft engine's own declarations: an x86-64 CPU in software behind core/accel.h.
 *
 * One thread a vCPU runs guest code: blocks of decoded instructions (block.c), each carried out by
 * one function (struct soft_op's fn). An instruction that faults leaves its function by
 * soft_raise(), which does not return: a longjmp to the run loop (run.c), which delivers the event.
 * So everything an instruction changes it changes after its last possible fault; nothing may be held
 * (lock, read section, allocation) across a call that can raise.
 *
 * Guest RAM is reached by host pointers out of the TLB (mmu.h). They are good for the instruction at
 * hand only: the run loop works in slices, each inside one as_read_begin/end section, and looks
 * between slices whether the address map has changed.
 *
 * While an instruction runs, v->rip is its own address and v->gpr[X86_REG_RIP] that of the next; a
 * branch changes the latter. v->stop makes the loop look up from its block after the instruction.
 */
#ifndef ACCEL_SOFT_SOFT_INT_H
#define ACCEL_SOFT_SOFT_INT_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "accel/soft/fpu.h"
#include "accel/soft/stats.h"
#include "base/thread.h"
#include "base/types.h"
#include "base/vec.h"
#include "core/accel.h"
#include "x86/decode.h"
#include "x86/ioapic.h"
#include "x86/lapic.h"
#include "x86/pic.h"
#include "x86/regs.h"

struct soft_vm;
struct soft_vcpu;
struct soft_op;
struct soft_blocks;
struct soft_jump;
struct soft_jit;
struct soft_perf;
struct soft_turns;
struct jit_l1;

/* Carries one instruction out. */
typedef void soft_fn(struct soft_vcpu *v, const struct soft_op *o);

/* A decoded instruction in a block. */
struct soft_op {
	soft_fn *fn;
	struct x86_insn i;
	const void *stub;  /* native.c: host code for it, or NULL */
	uint16_t mem_size; /* native.c: bytes of the memory operand */
	uint16_t mem_mask; /* native.c: bits that its linear address must not have */
};

/* Exceptions and interrupts on their way into the guest. */
struct soft_event {
	uint8_t vector;
	enum soft_event_kind {
		SOFT_EVENT_FAULT,    /* an exception; rip is the instruction's */
		SOFT_EVENT_TRAP,     /* an exception after the instruction (#DB) */
		SOFT_EVENT_SOFT_INT, /* INT n, INT3, INTO: rip is the next; DPL of the gate counts */
		SOFT_EVENT_INT1,     /* ICEBP: as a hardware exception */
		SOFT_EVENT_EXTERNAL, /* external interrupt, NMI */
	} kind;
	bool has_error;
	uint32_t error;
	uint64_t cr2; /* #PF: written to CR2 on delivery */
	uint64_t dr6; /* #DB: bits to set in DR6 */
};

/* v->poll: why the vCPU should look up. Set by anybody with soft_notify(). */
enum soft_poll {
	SOFT_POLL_KICK = 1 << 0, /* leave vcpu_run with VCPU_EXIT_NONE */
	SOFT_POLL_IRQ = 1 << 1,	 /* an interrupt may be deliverable: soft_irq_ack() tells */
	SOFT_POLL_NMI = 1 << 2,
	SOFT_POLL_INIT = 1 << 3,
	SOFT_POLL_SIPI = 1 << 4,  /* v->sipi_vector */
	SOFT_POLL_FLUSH = 1 << 5, /* flush the TLB, then say so: mmu.c */
	SOFT_POLL_SMI = 1 << 6,
	SOFT_POLL_UNHALT = 1 << 8, /* KVM's hypercall: end the HLT, or the next one */
	SOFT_POLL_TIMER =
		1 << 7, /* the timer's deadline was changed by another thread, or time has passed */
	SOFT_POLL_CODE = 1 << 9, /* translated code was written to: jit.c */
};

enum soft_mmu_index { SOFT_MMU_KERNEL, SOFT_MMU_KERNEL_AC, SOFT_MMU_USER, SOFT_MMU_INDEXES };

/* Each so many stores beside code the page is told of all the same: if it is data by now they are slow. */
#define SOFT_CODE_MISSES 512

#define SOFT_TLB_BITS 10
#define SOFT_TLB_SIZE (1u << SOFT_TLB_BITS)
#define SOFT_TLB_NONE UINT64_MAX

/* A tag is the linear page address (bits 12-63) that may be accessed that way through this entry; its
 * low bits are the context's number, see mmu.c. SOFT_TLB_NONE never matches. */
struct soft_tlb_entry {
	uint64_t tag[3];	/* enum soft_access */
	uintptr_t addend;	/* host address - linear address */
	uint64_t gpa;		/* of the page */
	_Atomic uint32_t *code; /* the page's word in ram_block.code; never NULL */
	uint64_t page;		/* the linear page itself, whatever of it is in the tags */
	uint32_t global;	/* generation of global pages it belongs to; 0: not global */
	uint32_t noted;		/* lockstep.c's */
};

enum soft_access { SOFT_READ, SOFT_WRITE, SOFT_FETCH };

#define SOFT_GOTO_BITS 17
#define SOFT_GOTOS     (1u << SOFT_GOTO_BITS)
#define SOFT_ID_POLL   SOFT_GOTOS

/* A page that may be read and written: jit_tlb.c. */
struct soft_stack_page {
	uint64_t tag;	/* linear address */
	uint64_t delta; /* from there to the host's */
};

/* A context of generated code: what makes it one, and its number. */
struct soft_context {
	uint64_t key, id;
};

#define SOFT_SHADOW_STI 2 /* of x86_events.interrupt_shadow */

struct soft_vcpu {
	/* gpr[X86_REG_RIP]: address of the next instruction; gpr[X86_REG_NONE] is 0. */
	uint64_t gpr[18];
	uint64_t rip;	 /* of the instruction at hand; masked to the code size */
	uint64_t rflags; /* all bits, always current */
	bool stop;	 /* leave the block after this instruction */
	/* Derived from the state by soft_mode_changed(). */
	uint8_t cpl;
	uint8_t code;	    /* enum x86_code of CS */
	uint8_t addr_wrap;  /* 1: linear addresses are 32 bits wide */
	uint8_t stack_size; /* 2, 4, 8: width of rSP in stack operations */
	uint8_t mmu_index;  /* enum soft_mmu_index of the instruction's own accesses */
	uint8_t seg_flat;   /* bit n: seg[n] has no limit that could be exceeded, writable and
			      readable; in 64-bit mode all are */
	uint8_t seg_zero;   /* bit n: seg[n]'s base is 0 for addressing */
	uint8_t shadow;	    /* enum x86_events.interrupt_shadow: set by MOV SS, POP SS, STI for the
			      next instruction */
	bool halted;
	bool unhalted;	    /* the next HLT does not wait: SOFT_POLL_UNHALT */
	bool irq_wanted;    /* POLL_IRQ was seen and not served yet */
	uint8_t nmi_wanted; /* NMIs that are due: 2 at most, 1 while they are masked */
	bool nmi_masked;
	bool in_event;	       /* soft_event_deliver() is at work (for double faults) */
	bool has_event;	       /* ->event is to be delivered: run.c */
	bool leaving;	       /* soft_vcpu_run() is to return with ->exit */
	bool shutdown;	       /* triple fault: nothing runs until the state is set anew */
	bool cs_limited;       /* CS has a limit that code could run into */
	bool syscall_tf;       /* is there a single-step trap after SYSCALL? far.c */
	bool debugged;	       /* ->debug wants something before or after instructions */
	bool yield;	       /* after this slice others may have the processor */
	uint8_t spins;	       /* PAUSEs one after the other: soft_spin() */
	bool exclusive;	       /* between soft_exclusive_begin() and _end() */
	_Atomic uint32_t poll; /* enum soft_poll */
	_Atomic uint32_t nmis; /* sent since SOFT_POLL_NMI was last looked at */
	uint64_t ctx;	       /* context bits of TLB tags, see mmu.c */
	bool mmu_slow;	       /* ctx stands for no address space: no access finds the TLB */
	uint64_t fetch_gen; /* changes when where code was fetched from may mean something else */

	struct soft_vm *vm; /* borrowed */
	uint32_t index, apic_id;
	struct x86_segment seg[X86_NSEG], tr, ldtr;
	struct x86_dtable gdtr, idtr;
	uint64_t cr0, cr2, cr3, cr4, efer;
	uint64_t dr[8]; /* 0-3, 6, 7 */
	uint64_t xcr0;
	uint32_t pkru, pkrs;
	uint64_t pdpte[4];    /* PAE paging: loaded with CR3 */
	uint64_t pending_dr6; /* DR6 bits of data and I/O breakpoints hit by this instruction */
	int mp_state;	      /* enum x86_mp_state */
	uint8_t sipi_vector;
	struct soft_fpu fpu;

	/* Exceptions: where soft_raise goes, and what happened. */
	jmp_buf raise;
	struct soft_event event;
	struct soft_event delivering; /* valid while in_event */

	/* MSRs that are just storage, by their place in msr.c's table. */
	uint64_t msr[192];
	int64_t tsc_offset; /* guest TSC - soft_host_tsc(); changed by clock.c only */
	uint64_t tsc_adjust, tsc_aux;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp,
		sysenter_eip, pat;
	uint64_t kvmclock_msr; /* MSR_KVM_SYSTEM_TIME_NEW */
	struct {	       /* KVM's other MSRs: pv.c */
		uint64_t apf, steal, eoi;
		uint8_t apf_vector;
		bool no_poll;
		bool apf_wake; /* tasks of the guest may wait for pages that will not be reported */
		int64_t since, cpu,
			slept; /* steal time: from when on; CPU time then; asleep since */
	} pv;

	struct x86_lapic lapic; /* under vm->chips_lock */
	/* What soft_irq_ack() would give, or 0; written under chips_lock: irqchip.c. */
	_Atomic uint32_t irq_ready;
	_Atomic uint64_t timer_tsc; /* soft_host_tsc() when the APIC's timer is to be looked at */
	struct x86_cpuid *cpuid;    /* owned copy; NULL: none was set */
	uint64_t feature[(X86_FEAT_COUNT + 63) / 64]; /* bit n: X86_FEAT_n is offered */
	/* What the CPU model allows, set with @cpuid. Bits that can be set: */
	uint64_t cr4_allowed, efer_allowed, xcr0_allowed;
	uint8_t phys_bits; /* width of guest-physical addresses */
	bool amd;	   /* the vendor is AMD or Hygon, else as Intel's */

	struct soft_mmu *mmu;			     /* owned: mmu.c */
	struct soft_tlb_entry (*tlb)[SOFT_TLB_SIZE]; /* in *mmu; [SOFT_MMU_INDEXES] */
	struct soft_jump *jump;			     /* of *blocks */
	struct soft_blocks *blocks;		     /* owned: block.c */
	uint32_t code_misses;			     /* stores beside code: soft_code_stored() */
	uint64_t map_version; /* of the address map that the TLB was filled from */

	struct soft_jit *jit; /* owned: jit.c; NULL: there is no translator */
	bool translating;     /* this slice may run generated code */
	struct jit_l1 *l1;    /* the small TLB for address space and privilege at hand: one of */
	struct jit_l1 *l1_of[SOFT_MMU_INDEXES]; /* the address space's */
	struct {				/* generated code's: jit_run.c */
		uint64_t self;			/* the vCPU's address */
		uint64_t page;	  /* linear address of the page that the block lies in */
		uint64_t id, key; /* of the context; soft_fetch_key() that it stands for: jit.c */
		struct soft_context side[2]; /* level 0's and level 3's; id 0: not known */
		_Atomic uint64_t id_poll;    /* the same, or SOFT_ID_POLL: look up */
		uint64_t save;		     /* rax for a moment */
		uint64_t site;		     /* where a stub was called from, for a moment */
		uint64_t save_cx;	     /* rcx for a moment */
		int32_t misses;		     /* left until one is entered into the small TLB */
		uint64_t drops;	    /* changes when anything leaves the small TLB because it must */
		uint64_t goal, r9;  /* a branch's target; what is in r9 when C code is left */
		const void *target; /* where to go on then */
		const void *called; /* where a call goes on when it has pushed */
		uint64_t delta[2];  /* F_DELTA, while C code runs */
		struct soft_stack_page stack;	  /* the one that the stack pointer is in, */
		struct soft_stack_page *stack_at; /* and where it is kept */
		int32_t far_left; /* branches to other pages that look into the table until one is linked */
		uint16_t flags, flags2; /* status flags as LAHF and SETO give them */
		bool vec;		/* vector registers are in the host's: jit_res.c */
		bool vec_was; /* C code was called while they were, and goes back to where they are */
		const void *ensure[2]; /* what makes them be there; x87 registers */
		const void *x87_to[2]; /* ensure[JIT_X87] by v->fpu.resident */
		/* The last x87 instruction, not in v->fpu yet (JIT_LAST_*), and its page; where the last
		 * memory operand's segment is: enum x86_seg + 1, or 0. */
		uint32_t x87_last;
		uint8_t x87_seg;
		uint64_t x87_page;
	} g;

	struct accel_vcpu base;
	struct accel_debug debug; /* the debugger's; its watchpoints are mmu.c's business too */
	uint64_t debug_hits;	  /* watchpoints of it that this instruction hit */
	struct vcpu_exit exit;	  /* what vcpu_run returns next, if kind is not NONE */
	_Atomic uint32_t waiting; /* 1: asleep, or about to be; the futex it sleeps on: wait.c */
	struct { /* its thread's: does it pay to look for a moment before it sleeps? */
		int8_t luck;
		uint8_t skip,
			skipped; /* so many sleeps to come without; how many it was the last time */
		bool was_short;	 /* the last sleep */
	} look;
	_Atomic bool in_guest; /* inside a slice: host pointers out of the TLB may be in use */
	int64_t budget;	       /* instructions left of the slice */
	int64_t spun_at;       /* ->budget at the last PAUSE */
	uint64_t instructions; /* interpreted so far; the thread's own */
	struct soft_counters count;
	/* Where branches to linear addresses go; the index are the low bits: jit.c. Pages that are never
	 * used cost nothing. */
	struct soft_goto {
		uint64_t tag;
		const void *host;
	} go[SOFT_GOTOS];
};

/* Register accesses: the machine's (io_access_*), or a test's. */
struct soft_io {
	void (*mem)(struct soft_vcpu *v, uint64_t gpa, void *data, unsigned int size, bool write);
	void (*port)(struct soft_vcpu *v, uint16_t port, void *data, unsigned int size, bool write);
};

struct soft_slot { /* RAM or ROM as ram_add told it */
	uint64_t gpa, size;
	uint8_t *host;
	struct ram_block *ram;
	uint64_t ram_off;
	bool readonly;
};

/* Pages of a block that may have been written since the last dirty_sync: memory.c. */
struct soft_dirty {
	struct ram_block *ram; /* counted */
	uint64_t *bits;	       /* owned; ->words of them */
	uint64_t words;
};

extern const struct accel soft_accel;

struct soft_vm {
	struct accel_vm base;
	const struct soft_io *io; /* static */
	struct soft_vcpu *
		*vcpus; /* owned array by index; entries owned by core; under vcpus_lock */
	uint32_t max_vcpus;
	_Atomic uint32_t n_vcpus; /* highest index + 1 */
	struct mutex vcpus_lock;  /* vcpus[]: against coming and going */
	/* lapic of all vCPUs, and the members up to the next lock; vcpus[] for reading */
	struct mutex chips_lock;
	struct x86_ioapic_state ioapic;
	struct x86_pic_state pic[2];
	bool pic_out;	  /* the PICs' output: LINT0 of the CPU with APIC id 0 */
	bool ids_changed; /* a guest has given an APIC another id: more than one may have the same */
	struct soft_vcpu *to_wake; /* who gives the lock up wakes it: irqchip.c */
	/* clock.c */
	uint64_t clock_tsc, clock_ns; /* kvmclock was clock_ns at this soft_host_tsc() */
	uint64_t wall_clock_msr;
	bool tsc_agree;			    /* the guest's TSCs are all the same */
	const struct soft_vcpu *tsc_writer; /* the last soft_tsc_write(): whose, what, when */
	uint64_t tsc_written, tsc_written_at;
	int64_t tsc_offset;	 /* after it; of vCPUs that come */
	struct mutex slots_lock; /* memory.c */
	VEC(struct soft_slot) slots;
	VEC(struct soft_dirty) dirty;	/* under slots_lock */
	_Atomic uint64_t slots_version; /* changes with slots */
	_Atomic bool dirty_on;
	bool jit;			     /* translate */
	bool lockstep;			     /* and hold it against the interpreter */
	struct soft_turns *turns;	     /* owned: lockstep.c; NULL: vCPUs run side by side */
	struct soft_perf *perf;		     /* owned: perf.c; NULL: off */
	bool stats;			     /* tell what was counted at the end */
	struct soft_ticker *ticker;	     /* owned: ticker.c; NULL: none */
	struct mutex exclusive_lock;	     /* split locks and the like: soft_exclusive_begin() */
	struct soft_vcpu *_Atomic exclusive; /* who holds it and wants the others to stand still */
};

#define to_soft_vm(p)	CONTAINER_OF(p, struct soft_vm, base)
#define to_soft_vcpu(p) CONTAINER_OF(p, struct soft_vcpu, base)

/* Where branches to linear address @lin go. */
static inline struct soft_goto *soft_goto_at(struct soft_vcpu *v, uint64_t lin)
{
	return &v->go[lin & (SOFT_GOTOS - 1)];
}

static inline bool soft_has(const struct soft_vcpu *v, enum x86_feature f)
{
	return v->feature[f / 64] >> (f % 64) & 1;
}
static inline bool soft_long_mode(const struct soft_vcpu *v) /* EFER.LMA */
{
	return v->efer & X86_EFER_LMA;
}
static inline bool soft_real_mode(const struct soft_vcpu *v)
{
	return !(v->cr0 & X86_CR0_PE);
}
static inline bool soft_vm86(const struct soft_vcpu *v)
{
	return v->rflags & X86_FLAG_VM;
}

/* ---- soft.c ---- */
/* A vCPU of @vm, in the state of power-on, without CPUID; core's @vcpu may be NULL (tests). */
struct soft_vcpu *soft_vcpu_make(struct soft_vm *vm, struct vcpu *vcpu, uint32_t index,
	uint32_t apic_id, struct error *err) MUST_USE;

/* ---- run.c: the loop, and leaving an instruction ---- */
/* Give the instruction up with an exception. */
_Noreturn void soft_raise(struct soft_vcpu *v, uint8_t vector);
_Noreturn void soft_raise_error(struct soft_vcpu *v, uint8_t vector, uint32_t error);
_Noreturn void soft_raise_event(struct soft_vcpu *v, const struct soft_event *e);
#define soft_ud(v)	 soft_raise(v, X86_EXC_UD)
#define soft_gp(v, code) soft_raise_error(v, X86_EXC_GP, code)
/* After CR0, CR4, EFER, CS, SS, RFLAGS.VM, RFLAGS.AC or CPL have changed: recompute what is derived,
 * and stop the block. Segments other than CS and SS: soft_seg_changed(). */
void soft_mode_changed(struct soft_vcpu *v);
/* Likewise, when ES, DS, FS and GS are as they were. */
void soft_level_changed(struct soft_vcpu *v);
void soft_seg_changed(struct soft_vcpu *v, enum x86_seg seg);
/* Interpret the instruction at v->rip, without what may come between two. May raise. */
void soft_step(struct soft_vcpu *v);
/* The same, when @o is known to be the instruction and CS to have no limit. */
void soft_step_op(struct soft_vcpu *v, const struct soft_op *o);
int soft_vcpu_run(struct accel_vcpu *v, struct vcpu_exit *exit);
void soft_vcpu_kick(struct accel_vcpu *v);
int soft_vcpu_nmi(struct accel_vcpu *v);
int soft_vcpu_debug(struct accel_vcpu *v, const struct accel_debug *d);
int soft_vcpu_translate(struct accel_vcpu *v, uint64_t linear, uint64_t *gpa);
/* Run at most @n instructions without chips or clock: tests. Returns how many; an exception is
 * delivered unless @event is given, which then gets it (vector 255: none). */
uint64_t soft_vcpu_steps(struct soft_vcpu *v, uint64_t n, struct soft_event *event);
/* The same with generated code, where there is a translator: until somebody sets a bit of v->poll other
 * than SOFT_POLL_CODE, which it serves. @n bounds only how often generated code is left. */
uint64_t soft_vcpu_turns(struct soft_vcpu *v, uint64_t n, struct soft_event *event);

/* ---- block.c: decoded instructions ---- */
#define SOFT_BLOCK_MAX 32 /* instructions */
struct soft_block {
	uint64_t gpa;		     /* of its first byte */
	_Atomic uint32_t *code_word; /* its page's: the block is good while it is as ->word */
	uint32_t word;
	uint8_t code; /* enum x86_code */
	uint8_t n;
	uint16_t bytes;
	struct soft_op op[];
};
bool soft_blocks_new(struct soft_vcpu *v) MUST_USE;
void soft_blocks_free(struct soft_vcpu *v);
/* What was executed lately, by linear address; the key is soft_fetch_key() then. */
#define SOFT_JUMP_BITS 12
struct soft_jump {
	uint64_t lin, key;
	const struct soft_block *b;
};
static inline uint64_t soft_code_linear(const struct soft_vcpu *v)
{
	return v->code == X86_CODE_64 ? v->rip : (uint32_t)(v->rip + v->seg[X86_CS].base);
}
#define SOFT_KEY_USER	(1ull << 3)
#define SOFT_KEY_GLOBAL (~(0xfffull << 6)) /* what of a key counts for global pages */
/* What a linear address of code means: it is another one when it may mean something else. Never 0. */
static inline uint64_t soft_fetch_key(const struct soft_vcpu *v)
{
	return v->fetch_gen << 18 | v->ctx << 6 |
	       (v->mmu_index == SOFT_MMU_USER ? SOFT_KEY_USER : 0) | v->code << 1 | 1;
}
/* The same of a global page's address, which means the same in every context. */
static inline uint64_t soft_fetch_key_global(const struct soft_vcpu *v)
{
	return soft_fetch_key(v) & SOFT_KEY_GLOBAL;
}
static inline struct soft_jump *soft_jump_at(const struct soft_vcpu *v, uint64_t lin)
{
	return &v->jump[(lin ^ lin >> SOFT_JUMP_BITS) & ((1u << SOFT_JUMP_BITS) - 1)];
}
const struct soft_block *soft_block_find(struct soft_vcpu *v, uint64_t lin);
/* The block at v->rip, one instruction at least; raises what fetching that one gives. What cannot be
 * decoded is an instruction that raises. */
static inline const struct soft_block *soft_block_get(struct soft_vcpu *v)
{
	uint64_t lin = soft_code_linear(v);
	const struct soft_jump *j = soft_jump_at(v, lin);
	const struct soft_block *b = j->b;

	/* acquire: pairs with the writer's change of the word after its store. */
	if (__builtin_expect(j->lin == lin && j->key == soft_fetch_key(v), 1) &&
		__builtin_expect(
			atomic_load_explicit(b->code_word, memory_order_acquire) == b->word, 1))
		return b;
	return soft_block_find(v, lin);
}
/* Decode the instruction at @p. False: the @n bytes end before it does. */
bool soft_decode_op(struct soft_vcpu *v, const uint8_t *p, size_t n, struct soft_op *o);
/* Which function carries @o out (o->i is decoded): the first of these that knows its op. NULL: not
 * theirs. */
soft_fn *soft_int_fn(struct soft_vcpu *v, struct soft_op *o);	 /* int_*.c */
soft_fn *soft_far_fn(struct soft_vcpu *v, struct soft_op *o);	 /* far.c */
soft_fn *soft_sys_fn(struct soft_vcpu *v, struct soft_op *o);	 /* sys.c */
soft_fn *soft_native_fn(struct soft_vcpu *v, struct soft_op *o); /* native.c, fpu.c */

/* ---- jit.c: the translator ---- */
/* The page of @word, whose bit 0 was set, was written to: tell all vCPUs. Any thread, any lock may be held
 * but soft.code_lock. */
void soft_jit_code_written(_Atomic uint32_t *word);

/* ---- stats.c ---- */
/* What the vCPUs have counted, as lines of a table. Any thread. */
void soft_stats(struct soft_vm *vm, struct str *out);

/* ---- ticker.c: generated code does not look at clocks: somebody has to ---- */
bool soft_ticker_start(struct soft_vm *vm, struct error *err) MUST_USE;
void soft_ticker_stop(struct soft_vm *vm);
/* A vCPU has entered guest code. */
void soft_ticker_wake(struct soft_vm *vm);

/* ---- event.c: delivery of exceptions and interrupts ---- */
/* Into the guest's handler: pushes the frame, changes CS:rIP. v->rip is the return address for every
 * kind but SOFT_INT (there v->gpr[X86_REG_RIP]); afterwards v->rip is the handler's. May raise:
 * the run loop then calls again with that event and double and triple faults are made of it (v->in_event).
 * False: triple fault. */
bool soft_event_deliver(struct soft_vcpu *v, const struct soft_event *e);

/* ---- seg.c, far.c, task.c ---- */
/* Load a data segment register (not CS) with all checks, as MOV to it does. May raise. */
void soft_seg_load(struct soft_vcpu *v, enum x86_seg seg, uint16_t selector);
/* reason: for the NT flag, busy bits and back link */
enum soft_task_reason { SOFT_TASK_JMP, SOFT_TASK_CALL, SOFT_TASK_IRET, SOFT_TASK_GATE };
void soft_task_switch(struct soft_vcpu *v, uint16_t tss_selector, enum soft_task_reason reason,
	bool has_error, uint32_t error);

/* ---- sys.c, msr.c, cpuid.c, state.c ---- */
/* Set CR0, CR3, CR4, EFER with all checks and consequences (TLB, mode). They raise #GP. */
void soft_set_cr0(struct soft_vcpu *v, uint64_t value);
void soft_set_cr3(struct soft_vcpu *v, uint64_t value);
void soft_set_cr4(struct soft_vcpu *v, uint64_t value);
/* False: #GP. No exits, no lock needed; the vCPU's thread or main while it is stopped. */
bool soft_msr_read(struct soft_vcpu *v, uint32_t index, uint64_t *value);
bool soft_msr_write(struct soft_vcpu *v, uint32_t index, uint64_t value);
/* Likewise, without checks that only apply to the guest's own writes: setting a saved state. */
bool soft_msr_restore(struct soft_vcpu *v, uint32_t index, uint64_t value);
bool soft_cpuid_supported(struct accel_vm *vm, struct x86_cpuid *out, struct error *err);
bool soft_vcpu_set_cpuid(struct accel_vcpu *v, const struct x86_cpuid *c, struct error *err);
void soft_cpuid(struct soft_vcpu *v, uint32_t leaf, uint32_t index, uint32_t out[4]);
/* ---- host.c: the host's CPU. Not fast ---- */
/* A leaf; zeros when it has none. */
void soft_host_cpuid(uint32_t leaf, uint32_t index, uint32_t out[4]);
/* What generated code and stubs may use. */
bool soft_host_has_avx(void);
bool soft_host_has_bmi2(void);
/* Bit of leaf 0x40000001. */
bool soft_kvm_feature(const struct soft_vcpu *v, unsigned int bit);
/* Offset of an XSAVE component (2: AVX, 9: PKRU) in the standard format: as the host's CPU and so KVM
 * has it. */
uint32_t soft_xsave_offset(unsigned int component);
/* May the program use @size ports from @port? IOPL, TSS bitmap: raises #GP. Tells I/O breakpoints too. */
void soft_check_io(struct soft_vcpu *v, uint16_t port, unsigned int size);
/* State of a new vCPU that has no CPUID table yet: everything is allowed. */
void soft_vcpu_allow_all(struct soft_vcpu *v);
/* The MSRs that are state: the @i-th's index, or false. */
bool soft_msr_state(struct soft_vcpu *v, unsigned int i, uint32_t *index);
int soft_vcpu_get(struct accel_vcpu *v, struct x86_cpu_state *s, unsigned int parts);
int soft_vcpu_set(struct accel_vcpu *v, const struct x86_cpu_state *s, unsigned int parts);
/* INIT: registers as INIT leaves them, waiting for SIPI (the BSP runs on at the reset vector). */
void soft_vcpu_init_signal(struct soft_vcpu *v);
void soft_vcpu_sipi(struct soft_vcpu *v, uint8_t vector);

/* ---- lapic.c: local APICs; irqchip.c: I/O APIC, PICs, messages; io.c: register accesses ---- */
void soft_chips_init(struct soft_vm *vm);
/* Power-on; the vCPU is not among vm->vcpus yet, or stopped. */
void soft_lapic_init(struct soft_vcpu *v);
/* The CPU was sent INIT: its APIC's registers anew; mode, base and id stay. */
void soft_lapic_init_signal(struct soft_vcpu *v);
/* The state's page; IA32_APIC_BASE is put in before it, the deadline's MSR after it. */
void soft_lapic_get(struct soft_vcpu *v, uint8_t page[X86_LAPIC_SIZE]);
void soft_lapic_set(struct soft_vcpu *v, const uint8_t page[X86_LAPIC_SIZE]);
void soft_apic_base_restore(struct soft_vcpu *v, uint64_t value);
/* An edge at the vCPU's own APIC. */
void soft_irq_self(struct soft_vcpu *v, uint8_t vector);
/* After v->cpuid was set: what the APIC has. */
void soft_lapic_features(struct soft_vcpu *v);
/* Where the APIC's page answers; false: nowhere (x2APIC mode, disabled). */
bool soft_lapic_page(const struct soft_vcpu *v, uint64_t *gpa);
/* 32 bits at byte @off of the page, a multiple of 16; io.c has the widths. */
uint32_t soft_lapic_read(struct soft_vcpu *v, uint32_t off);
void soft_lapic_write(struct soft_vcpu *v, uint32_t off, uint32_t value);
uint32_t soft_ioapic_read(struct soft_vm *vm, uint32_t off);
void soft_ioapic_write(struct soft_vm *vm, uint32_t off, uint32_t value);
uint8_t soft_pic_read(struct soft_vm *vm, uint16_t port);
void soft_pic_write(struct soft_vm *vm, uint16_t port, uint8_t value);
int soft_irq_set(struct accel_vm *vm, uint32_t gsi, bool level);
int soft_msi_send(struct accel_vm *vm, uint64_t addr, uint32_t data);
/* KVM's hypercall of that name: to the CPUs whose APIC ids are bits of the map, which begins with id
 * @first and has two words of @width bits; vector and delivery mode as in @icr. How many took it, or
 * what the guest is to get. */
int64_t soft_pv_ipi(struct soft_vcpu *from, const uint64_t bits[2], unsigned int width,
	uint64_t first, uint64_t icr);
bool soft_irq_open(struct accel_vm *vm, uint32_t gsi);
int soft_chips_get(struct accel_vm *vm, struct x86_chips_state *out);
int soft_chips_set(struct accel_vm *vm, const struct x86_chips_state *in);
/* The CPU can take an interrupt (IF, no shadow): its vector, or -1 when there is none now. */
int soft_irq_ack(struct soft_vcpu *v);
/* Is there one that it would take if IF were set? (HLT, POLL_IRQ) */
bool soft_irq_pending(struct soft_vcpu *v);
/* TPR as CR8 shows it (bits 7-4). */
uint64_t soft_cr8_get(struct soft_vcpu *v);
void soft_cr8_set(struct soft_vcpu *v, uint64_t value);
/* IA32_APIC_BASE, x2APIC registers 0x800-0x8ff, TSC deadline. False: #GP. */
bool soft_apic_msr(struct soft_vcpu *v, uint32_t index, uint64_t *value, bool write);
uint64_t soft_apic_base(const struct soft_vcpu *v);
/* The APIC's timer: deliver what is due; ns (CLOCK_MONOTONIC) of the next, INT64_MAX: none. */
void soft_timer_run(struct soft_vcpu *v);
int64_t soft_timer_next(struct soft_vcpu *v);
/* Under chips_lock: the vCPU's TSC was changed. */
void soft_timer_rearm(struct soft_vcpu *v);
extern const struct soft_io soft_machine_io;
/* A register access at guest-physical @gpa that is not RAM (or a write to ROM), 1-8 bytes. */
void soft_mmio(struct soft_vcpu *v, uint64_t gpa, void *data, unsigned int size, bool write);
void soft_port(struct soft_vcpu *v, uint16_t port, void *data, unsigned int size, bool write);

/* ---- clock.c ---- */
uint32_t soft_tsc_khz(void); /* the host's, measured once */
/* The host's counter: its TSC, or CLOCK_MONOTONIC (soft_tsc_khz() is a million then). */
uint64_t soft_host_tsc(void);
bool soft_tsc_is_hosts(void);	      /* it is what RDTSC gives */
uint64_t soft_ns_to_tsc(uint64_t ns); /* lengths of time; the longest there is when too long */
uint64_t soft_tsc_to_length(uint64_t tsc);
void soft_clock_init(struct soft_vm *vm);
/* Under chips_lock: a vCPU that comes gets the others' TSC. */
void soft_clock_vcpu(struct soft_vcpu *v);
uint64_t soft_tsc_read(struct soft_vcpu *v);
/* Set the counter by its offset; TSC_ADJUST is the caller's business. Near to what another vCPU's was
 * set to, it is made the same: who writes one after the other wants them together. */
void soft_tsc_write(struct soft_vcpu *v, uint64_t value);
void soft_tsc_offset_set(struct soft_vcpu *v, int64_t offset);
/* All vCPUs' TSCs, their deadlines and kvmclock fall back by @ticks, which have just passed and which
 * the guest has not seen: its vCPUs, but the caller's, are not in guest code. Timers are looked at too early,
 * then, not too late. */
void soft_clock_lose(struct soft_vm *vm, uint64_t ticks);
int64_t soft_tsc_to_ns(struct soft_vcpu *v, uint64_t guest_tsc); /* CLOCK_MONOTONIC then */
int soft_clock_get(struct accel_vm *vm, uint64_t *ns);
int soft_clock_set(struct accel_vm *vm, uint64_t ns);
int soft_vcpu_stalled(struct accel_vcpu *v);
/* kvmclock's MSRs (old and new numbers): write the guest's structures. */
bool soft_kvmclock_msr(struct soft_vcpu *v, uint32_t index, uint64_t *value, bool write);

/* ---- wait.c: waking and sleeping ---- */
/* Set bits of v->poll and wake the vCPU if it sleeps. Any thread, any lock may be held. */
void soft_notify(struct soft_vcpu *v, uint32_t poll);
/* The same in two parts. True: the caller must call soft_wake() soon, as nobody else will; by then the vCPU
 * may be no more. */
bool soft_ask(struct soft_vcpu *v, uint32_t poll) MUST_USE;
void soft_wake(struct soft_vcpu *v);
/* The vCPU's thread: until a bit of v->poll is set, or CLOCK_MONOTONIC is @until_ns (INT64_MAX: never). */
void soft_sleep(struct soft_vcpu *v, int64_t until_ns);

/* ---- run.c ---- */
/* The vCPU waits for another in a loop: PAUSE. */
void soft_spin(struct soft_vcpu *v);
void soft_nmi(struct soft_vcpu *v); /* soft_notify() with SOFT_POLL_NMI: one more of them */

/* ---- memory.c: RAM as the machine maps it, dirty log ---- */
int soft_ram_add(struct accel_vm *vm, const struct as_range *r);
void soft_ram_del(struct accel_vm *vm, const struct as_range *r);
int soft_dirty_log(struct accel_vm *vm, bool on);
int soft_dirty_sync(struct accel_vm *vm);
/* The slot of @gpa copied to @out; false: no RAM or ROM there. */
bool soft_slot_find(struct soft_vm *vm, uint64_t gpa, struct soft_slot *out);
/* While the log is on: page @page of @ram will be written (true), or has it been said so already? */
bool soft_dirty_page(struct soft_vm *vm, struct ram_block *ram, uint64_t page, bool written);
/* Slots and log of a VM whose vCPUs are gone. */
void soft_memory_fini(struct soft_vm *vm);

/* ---- native.c, fpu.c: see fpu.h ---- */
/* Once a process: signal handlers that turn a SIGFPE in a native stub into #XM or #MF. */
bool soft_native_init(struct error *err) MUST_USE;
/* Who else has code that may raise one; set before there is any. Where to go on with *@site in r10, or
 * NULL. Called in the signal's handler. */
extern const uint8_t *(*soft_fault_hook)(const uint8_t *pc, const uint8_t **site);
/* Let those signals through on the calling thread, which runs guest code from now on. */
void soft_native_thread(void);

#endif
