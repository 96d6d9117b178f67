// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * exits - what KVM_RUN came back with, as a normalised exit. Every reason has an answer; one that
 * we do not know or cannot serve becomes VCPU_EXIT_ERROR with the instruction's bytes;
 * the caller logs those and the registers. Never a silent loop.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "accel/kvm/kvm_int.h"
#include "base/log.h"
#include "core/vcpu.h"

/* Of newer kernels than the headers we are built with. */
#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39
#endif
#define KVM_HC_ENOSYS 1000

static const char *suberror_name(uint32_t s)
{
	switch (s) {
	case KVM_INTERNAL_ERROR_EMULATION:
		return "emulation failure";
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		return "simultaneous exceptions";
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		return "exit while delivering an event";
	case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
		return "unexpected exit reason";
	}
	return "unknown";
}

static void error_exit(struct vcpu_exit *exit, uint64_t code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void error_exit(struct vcpu_exit *exit, uint64_t code, const char *fmt, ...)
{
	va_list ap;

	exit->kind = VCPU_EXIT_ERROR;
	exit->error.code = code;
	exit->error.insn_len = 0;
	va_start(ap, fmt);
	vsnprintf(exit->error.text, sizeof(exit->error.text), fmt, ap);
	va_end(ap);
}

/* The bytes at the guest's instruction pointer, by a walk of its page tables. */
static void read_insn(struct kvm_vcpu *v, uint64_t linear, struct vcpu_exit *exit)
{
	uint8_t n = 0;

	/* Two steps at most: the instruction may cross a page. */
	while (n < sizeof(exit->error.insn)) {
		struct kvm_translation t = { .linear_address = linear + n };
		size_t want = MIN(sizeof(exit->error.insn) - n, 4096 - ((linear + n) & 4095));
		size_t got;

		if (kvm_ioctl(v->fd, KVM_TRANSLATE, &t) < 0 || !t.valid)
			break;
		got = kvm_slots_read(v->vm, t.physical_address, exit->error.insn + n, want);
		n += got;
		if (got < want)
			break;
	}
	exit->error.insn_len = n;
}

/* What the caller cannot find out later: it logs the registers. */
static void add_insn(struct kvm_vcpu *v, struct vcpu_exit *exit)
{
	struct kvm_regs r;
	struct kvm_sregs s;

	if (!exit->error.insn_len && kvm_ioctl(v->fd, KVM_GET_REGS, &r) >= 0 &&
		kvm_ioctl(v->fd, KVM_GET_SREGS, &s) >= 0)
		read_insn(v, s.cs.base + r.rip, exit);
}

static void internal_error(struct kvm_vcpu *v, struct vcpu_exit *exit)
{
	const struct kvm_run *run = v->run;
	uint32_t sub = run->internal.suberror;

	error_exit(exit, sub, "KVM internal error %u (%s)", sub, suberror_name(sub));
	if (sub == KVM_INTERNAL_ERROR_EMULATION) {
		if (run->emulation_failure.ndata >= 3 &&
			(run->emulation_failure.flags &
				KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
			exit->error.insn_len = MIN(
				run->emulation_failure.insn_size, sizeof(exit->error.insn));
			memcpy(exit->error.insn, run->emulation_failure.insn_bytes,
				exit->error.insn_len);
		}
	} else {
		for (uint32_t i = 0; i < MIN(run->internal.ndata, ARRAY_SIZE(run->internal.data));
			i++)
			log_debug(
				"kvm", "internal error data[%u] %016llx", i, run->internal.data[i]);
	}
	add_insn(v, exit);
}

static void system_event(struct kvm_vcpu *v, struct vcpu_exit *exit)
{
	switch (v->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		exit->kind = VCPU_EXIT_SHUTDOWN;
		return;
	case KVM_SYSTEM_EVENT_RESET:
		exit->kind = VCPU_EXIT_RESET;
		return;
	case KVM_SYSTEM_EVENT_CRASH:
		exit->kind = VCPU_EXIT_CRASH;
		return;
	}
	error_exit(exit, v->run->exit_reason, "KVM system event %u", v->run->system_event.type);
	add_insn(v, exit);
}

static void port_exit(struct kvm_vcpu *v, struct vcpu_exit *exit)
{
	struct kvm_run *run = v->run;

	exit->kind = VCPU_EXIT_PORT;
	exit->port.port = run->io.port;
	exit->port.size = run->io.size;
	exit->port.write = run->io.direction == KVM_EXIT_IO_OUT;
	exit->port.count = run->io.count;
	exit->port.data = (uint8_t *)run + run->io.data_offset;
	v->unfinished = true;
}

static void mem_exit(struct kvm_vcpu *v, struct vcpu_exit *exit)
{
	struct kvm_run *run = v->run;

	exit->kind = VCPU_EXIT_MEM;
	exit->mem.addr = run->mmio.phys_addr;
	exit->mem.size = MIN(run->mmio.len, sizeof(run->mmio.data));
	exit->mem.write = run->mmio.is_write;
	exit->mem.data = run->mmio.data;
	v->unfinished = true;
}

static void msr_exit(struct kvm_vcpu *v, struct vcpu_exit *exit)
{
	struct kvm_run *run = v->run;

	exit->kind = run->exit_reason == KVM_EXIT_X86_RDMSR ? VCPU_EXIT_RDMSR : VCPU_EXIT_WRMSR;
	exit->msr.index = run->msr.index;
	exit->msr.value = run->msr.data;
	exit->msr.fault = false;
	v->answer = exit;
	v->unfinished = true;
}

void kvm_msr_answer(struct kvm_vcpu *v)
{
	if (!v->answer)
		return;
	v->run->msr.data = v->answer->msr.value;
	v->run->msr.error = v->answer->msr.fault;
	v->answer = NULL;
}

static void error_reason(struct kvm_vcpu *v, struct vcpu_exit *exit)
{
	const struct kvm_run *run = v->run;

	switch (run->exit_reason) {
	case KVM_EXIT_UNKNOWN:
		error_exit(exit, run->hw.hardware_exit_reason, "unknown hardware exit %llx",
			run->hw.hardware_exit_reason);
		break;
	case KVM_EXIT_EXCEPTION:
		error_exit(exit, run->ex.exception, "exception %u (error code %x)",
			run->ex.exception, run->ex.error_code);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		error_exit(exit, run->fail_entry.hardware_entry_failure_reason,
			"the hardware refused to enter guest mode: reason %llx on host CPU %u",
			run->fail_entry.hardware_entry_failure_reason, run->fail_entry.cpu);
		break;
	default:
		error_exit(
			exit, run->exit_reason, "KVM exit %u is not known here", run->exit_reason);
	}
	add_insn(v, exit);
}

void kvm_exit_translate(struct kvm_vcpu *v, struct vcpu_exit *exit)
{
	struct kvm_run *run = v->run;

	v->unfinished = false;
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		port_exit(v, exit);
		return;
	case KVM_EXIT_MMIO:
		mem_exit(v, exit);
		return;
	case KVM_EXIT_HLT:
		exit->kind = VCPU_EXIT_HLT;
		return;
	case KVM_EXIT_SHUTDOWN:
		exit->kind = VCPU_EXIT_SHUTDOWN;
		return;
	case KVM_EXIT_SYSTEM_EVENT:
		system_event(v, exit);
		return;
	case KVM_EXIT_IOAPIC_EOI:
		exit->kind = VCPU_EXIT_EOI;
		exit->eoi.vector = run->eoi.vector;
		return;
	case KVM_EXIT_DEBUG:
		exit->kind = VCPU_EXIT_DEBUG;
		exit->debug.pc = run->debug.arch.pc;
		exit->debug.points = run->debug.arch.dr6 & 0xf;
		return;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		msr_exit(v, exit);
		return;
	case KVM_EXIT_INTERNAL_ERROR:
		internal_error(v, exit);
		return;
	case KVM_EXIT_HYPERCALL:
		/* We ask for none of them; an answer costs nothing and keeps the guest alive. */
		run->hypercall.ret = -(uint64_t)KVM_HC_ENOSYS;
		exit->kind = VCPU_EXIT_NONE;
		return;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_SET_TPR:
	case KVM_EXIT_TPR_ACCESS:
	case KVM_EXIT_NMI:
	case KVM_EXIT_DIRTY_RING_FULL:
	case KVM_EXIT_X86_BUS_LOCK:
		exit->kind = VCPU_EXIT_NONE;
		return;
	case KVM_EXIT_NOTIFY:
		if (!(run->notify.flags & KVM_NOTIFY_CONTEXT_INVALID)) {
			exit->kind = VCPU_EXIT_NONE;
			return;
		}
		break;
	}
	error_reason(v, exit);
}

void kvm_exit_failed(struct kvm_vcpu *v, int errnum, struct vcpu_exit *exit)
{
	if (v->run->exit_reason == KVM_EXIT_MEMORY_FAULT || errnum == EFAULT)
		error_exit(exit, errnum, "KVM_RUN: guest memory cannot be reached: %s",
			strerror(errnum));
	else
		error_exit(exit, errnum, "KVM_RUN: %s", strerror(errnum));
	add_insn(v, exit);
}
