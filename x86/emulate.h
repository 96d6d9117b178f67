/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * emulate - carries out one instruction whose memory or ports are not plain RAM: device registers
 * (MMIO) and string I/O, for an engine whose hardware runs everything else. Memory and ports are
 * reached through callbacks; registers are the caller's.
 *
 * It knows moves, arithmetic and bit instructions with a memory operand, PUSH and POP, strings, IN and
 * OUT, and plain vector loads and stores; the rest is X86_EMULATE_UNHANDLED. What the hardware looks
 * at before it leaves the guest (CPL, IOPL, permission of ports, features, CR0.TS, LOCK where it is
 * not allowed) is not looked at again. LOCK does not make it atomic: registers of devices are not.
 *
 * Nothing has changed unless the result is DONE; a repeated string however advances unit by unit, in
 * @gpr, and its instruction pointer only when it ends. So after AGAIN or a fault the guest may be run,
 * interrupted or saved as if it had been stopped between two iterations.
 *
 * A callback that cannot answer at once returns AGAIN. Called again, the same state makes the same
 * accesses in the same order; who has got the answers meanwhile gives them then. They belong to one
 * value of @progress, which counts the units of strings that are done: when that has changed, or the
 * result is DONE, they are used up. Freestanding, no state of its own, any thread.
 */
#ifndef X86_EMULATE_H
#define X86_EMULATE_H

#include "x86/decode.h"

enum x86_emulate_result {
	X86_EMULATE_DONE,
	X86_EMULATE_AGAIN,     /* not finished: come back with the same state, at once or later */
	X86_EMULATE_FAULT,     /* e->fault is to be delivered at the instruction */
	X86_EMULATE_UNHANDLED, /* not an instruction for us */
};

struct x86_emulate;

/* The results are as above without UNHANDLED; who returns FAULT fills e->fault. */
struct x86_emulate_ops {
	/* @n bytes (1-32, strings of ports up to 64) at a linear address, which may cross a page. */
	enum x86_emulate_result (*read)(
		struct x86_emulate *e, uint64_t linear, void *buf, unsigned int n);
	enum x86_emulate_result (*write)(
		struct x86_emulate *e, uint64_t linear, const void *buf, unsigned int n);
	/* Would that write fault? Asked before a port is read, whose data would be lost. */
	enum x86_emulate_result (*check_write)(
		struct x86_emulate *e, uint64_t linear, unsigned int n);
	/* @count accesses of @size bytes to one port. */
	enum x86_emulate_result (*port_in)(struct x86_emulate *e, uint16_t port, void *buf,
		unsigned int size, unsigned int count);
	enum x86_emulate_result (*port_out)(struct x86_emulate *e, uint16_t port, const void *buf,
		unsigned int size, unsigned int count);
	/* All of YMM register @reg (without AVX: the upper half is 0 and stays). NULL: no vectors. */
	void (*vec_get)(struct x86_emulate *e, unsigned int reg, uint8_t value[32]);
	void (*vec_set)(struct x86_emulate *e, unsigned int reg, const uint8_t value[32]);
};

struct x86_emulate {
	const struct x86_insn *insn;
	const struct x86_emulate_ops *ops;
	void *ctx;		       /* the caller's */
	uint64_t *gpr;		       /* [16] */
	const struct x86_segment *seg; /* [X86_NSEG] */
	uint64_t rip, rflags;	       /* DONE: rip is the next instruction's */
	uint8_t stack_size;	       /* 2, 4, 8 */
	bool real_mode;		       /* or virtual-8086: segments have no types */
	uint8_t linear_bits;	       /* 48, with CR4.LA57 57 */
	uint32_t max_units;	       /* of a repeated string in one call; at least 1 */
	uint64_t progress;
	struct {
		uint8_t vector;
		bool has_error;
		uint32_t error;
		uint64_t address; /* of #PF: the caller's callbacks fill it */
	} fault;
};

enum x86_emulate_result x86_emulate(struct x86_emulate *e);

#endif
