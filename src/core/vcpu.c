// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/vcpu.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/log.h"
#include "base/trace.h"
#include "base/wire.h"
#include "core/io.h"
#include "core/machine.h"

static _Thread_local struct vcpu *current;

struct vcpu *vcpu_current(void)
{
	return current;
}

/* Requests are set with release and read with acquire: what main did before asking is seen. */
static unsigned int requests(struct vcpu *v)
{
	return atomic_load_explicit(&v->requests, memory_order_acquire);
}

void vcpu_ask(struct vcpu *v, unsigned int req)
{
	atomic_fetch_or_explicit(&v->requests, req, memory_order_acq_rel);
	if (v->accel)
		v->machine->accel->vcpu_kick(v->accel);
	if (req & (VCPU_REQ_QUIT | VCPU_REQ_NMI | VCPU_REQ_STALLED)) {
		mutex_lock(&v->machine->vcpu_lock);
		pthread_cond_broadcast(&v->machine->vcpu_cond);
		mutex_unlock(&v->machine->vcpu_lock);
	}
}

static void apply_reset(struct vcpu *v)
{
	if (!v->needs_reset)
		return;
	v->needs_reset = false;
	v->machine->board->vcpu_reset(v->machine, v);
}

/* Sleep while stopped, carrying out vcpu_run_on() calls. */
static void park(struct vcpu *v)
{
	struct machine *m = v->machine;

	mutex_lock(&m->vcpu_lock);
	while ((requests(v) & (VCPU_REQ_STOP | VCPU_REQ_QUIT)) == VCPU_REQ_STOP) {
		/* Again after each wake-up: main may have let us go and stopped us in one breath. */
		if (!v->parked) {
			v->parked = true;
			pthread_cond_broadcast(&m->vcpu_parked);
		}
		if (v->call) {
			apply_reset(v);
			v->call(v, v->call_opaque);
			v->call = NULL;
			pthread_cond_broadcast(&m->vcpu_parked);
			continue;
		}
		pthread_cond_wait(&m->vcpu_cond, &m->vcpu_lock.m);
	}
	v->parked = false;
	if (!(requests(v) & VCPU_REQ_QUIT))
		apply_reset(v);
	mutex_unlock(&m->vcpu_lock);
}

static void serve_requests(struct vcpu *v)
{
	unsigned int req = atomic_fetch_and_explicit(&v->requests,
		~(unsigned int)(VCPU_REQ_STALLED | VCPU_REQ_NMI), memory_order_acq_rel);
	const struct accel *a = v->machine->accel;

	if (req & VCPU_REQ_STALLED && a->vcpu_stalled)
		a->vcpu_stalled(v->accel);
	if (req & VCPU_REQ_NMI)
		a->vcpu_nmi(v->accel);
	if (req & VCPU_REQ_STOP)
		park(v);
}

static void exit_port(struct vcpu *v, struct vcpu_exit *e)
{
	uint8_t *p = e->port.data;

	for (uint32_t i = 0; i < e->port.count; i++, p += e->port.size)
		io_access_port(v->machine, e->port.port, p, e->port.size, e->port.write);
}

static void exit_msr(struct vcpu *v, struct vcpu_exit *e)
{
	/* No device claims MSRs: what the engine does not know does not exist. */
	log_guest("vcpu", "CPU %u: access to unknown MSR %#x", v->index, e->msr.index);
	e->msr.fault = true;
}

static void exit_error(struct vcpu *v, const struct vcpu_exit *e)
{
	static struct mutex once = MUTEX_INIT;
	struct x86_cpu_state s = { 0 };
	char bytes[3 * sizeof(e->error.insn) + 1] = "";

	GUARD(&once);
	for (unsigned int i = 0; i < e->error.insn_len; i++)
		snprintf(bytes + 3 * i, 4, "%02x ", e->error.insn[i]);
	log_err("vcpu", "CPU %u: %s; instruction bytes: %s", v->index, e->error.text,
		e->error.insn_len ? bytes : "unknown");
	if (v->machine->accel->vcpu_get(v->accel, &s, X86_STATE_REGS | X86_STATE_SREGS))
		return;
	log_err("vcpu",
		"CPU %u: rip %#llx rflags %#llx cs %#x (base %#llx) cr0 %#llx cr2 %#llx cr3 %#llx "
		"cr4 %#llx efer %#llx",
		v->index, (unsigned long long)s.rip, (unsigned long long)s.rflags,
		s.seg[X86_CS].selector, (unsigned long long)s.seg[X86_CS].base,
		(unsigned long long)s.cr0, (unsigned long long)s.cr2, (unsigned long long)s.cr3,
		(unsigned long long)s.cr4, (unsigned long long)s.efer);
	for (unsigned int i = 0; i < 16; i += 4)
		log_err("vcpu", "CPU %u: gpr%u-%u %016llx %016llx %016llx %016llx", v->index, i,
			i + 3, (unsigned long long)s.gpr[i], (unsigned long long)s.gpr[i + 1],
			(unsigned long long)s.gpr[i + 2], (unsigned long long)s.gpr[i + 3]);
}

static void handle_exit(struct vcpu *v, struct vcpu_exit *e)
{
	struct machine *m = v->machine;

	TRACE2(vcpu, exit, v->index, (int)e->kind);
	switch (e->kind) {
	case VCPU_EXIT_NONE:
	case VCPU_EXIT_HLT:
	case VCPU_EXIT_EOI:
		break;
	case VCPU_EXIT_DEBUG:
		if (m->debug_exit)
			m->debug_exit(m->debug_opaque, v, e);
		break;
	case VCPU_EXIT_PORT:
		exit_port(v, e);
		break;
	case VCPU_EXIT_MEM:
		io_access_mem(m, e->mem.addr, e->mem.data, e->mem.size, e->mem.write);
		break;
	case VCPU_EXIT_RDMSR:
	case VCPU_EXIT_WRMSR:
		exit_msr(v, e);
		break;
	case VCPU_EXIT_SHUTDOWN:
		machine_event(m, MACHINE_TRIPLE_FAULT, 0);
		break;
	case VCPU_EXIT_RESET:
		machine_event(m, MACHINE_RESET, 0);
		break;
	case VCPU_EXIT_CRASH:
		machine_event(m, MACHINE_PANIC, 0);
		break;
	case VCPU_EXIT_ERROR:
		exit_error(v, e);
		machine_event(m, MACHINE_ERROR, 0);
		break;
	}
}

static void run(struct vcpu *v)
{
	const struct accel *a = v->machine->accel;
	struct vcpu_exit e;

	for (;;) {
		unsigned int req = requests(v);
		int rc;

		if (req & VCPU_REQ_QUIT)
			return;
		if (req) {
			serve_requests(v);
			continue;
		}
		e.kind = VCPU_EXIT_NONE;
		rc = a->vcpu_run(v->accel, &e);
		atomic_store_explicit(&v->exits, v->exits + 1, memory_order_relaxed);
		if (rc < 0 && rc != -EINTR && rc != -EAGAIN) {
			e.kind = VCPU_EXIT_ERROR;
			e.error.insn_len = 0;
			snprintf(e.error.text, sizeof(e.error.text), "the %s engine failed: %s",
				a->name, strerror(-rc));
		}
		handle_exit(v, &e);
	}
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *v = arg;
	char name[32];

	snprintf(name, sizeof(name), "CPU %u/%s", v->index, v->machine->name);
	thread_enter(ROLE_VCPU, name);
	current = v;
	v->tid = (int)syscall(SYS_gettid);
	if (!(requests(v) & VCPU_REQ_STOP))
		apply_reset(v);
	run(v);
	return NULL;
}

bool vcpu_init(struct vcpu *v, struct error *err)
{
	const struct accel *a = v->machine->accel;

	assert(thread_is(ROLE_MAIN));
	v->accel = a->vcpu_new(v->machine->vm, v, err);
	if (!v->accel)
		return false;
	atomic_store(&v->requests, VCPU_REQ_STOP);
	v->needs_reset = true;
	v->parked = true;
	return !v->cpuid || a->vcpu_set_cpuid(v->accel, v->cpuid, err);
}

/* @park: it stops before anything else. */
static bool start_thread(struct vcpu *v, bool park, struct error *err)
{
	int rc;

	/* Nobody else looks at these yet: there is no thread. */
	if (!park)
		atomic_fetch_and(&v->requests, ~(unsigned int)VCPU_REQ_STOP);
	v->parked = false;
	rc = thread_create(&v->thread, false, v->host_cpu, vcpu_thread, v);
	if (!rc) {
		v->thread_started = true;
		return true;
	}
	atomic_fetch_or(&v->requests, VCPU_REQ_STOP);
	v->parked = true;
	if (v->host_cpu >= 0)
		return error_set_errno(err, rc, "cannot start the thread of CPU %u on host CPU %d",
			v->index, v->host_cpu);
	return error_set_errno(err, rc, "cannot start the thread of CPU %u", v->index);
}

bool vcpu_start_parked(struct vcpu *v, struct error *err)
{
	struct machine *m = v->machine;

	assert(thread_is(ROLE_MAIN) && v->accel && v->parked);
	if (v->thread_started)
		return true;
	if (!start_thread(v, true, err))
		return false;
	mutex_lock(&m->vcpu_lock);
	while (!v->parked)
		pthread_cond_wait(&m->vcpu_parked, &m->vcpu_lock.m);
	mutex_unlock(&m->vcpu_lock);
	return true;
}

bool vcpu_go(struct vcpu *v, struct error *err)
{
	struct machine *m = v->machine;

	assert(thread_is(ROLE_MAIN) && v->accel);
	if (!v->thread_started)
		return start_thread(v, false, err);
	mutex_lock(&m->vcpu_lock);
	atomic_fetch_and_explicit(&v->requests, ~(unsigned int)VCPU_REQ_STOP, memory_order_acq_rel);
	v->parked = false;
	pthread_cond_broadcast(&m->vcpu_cond);
	mutex_unlock(&m->vcpu_lock);
	return true;
}

void vcpu_fini(struct vcpu *v)
{
	assert(thread_is(ROLE_MAIN));
	if (v->thread_started) {
		vcpu_ask(v, VCPU_REQ_QUIT);
		pthread_join(v->thread, NULL);
		v->thread_started = false;
	}
	/* Here, not on its thread: a kick may come until the thread is gone. */
	if (v->accel)
		v->machine->accel->vcpu_free(v->accel);
	v->accel = NULL;
}

void vcpu_run_on(struct vcpu *v, void (*fn)(struct vcpu *v, void *opaque), void *opaque)
{
	struct machine *m = v->machine;

	assert(thread_is(ROLE_MAIN));
	if (!v->thread_started) {
		apply_reset(v);
		fn(v, opaque);
		return;
	}
	mutex_lock(&m->vcpu_lock);
	assert(v->parked && !v->call);
	v->call = fn;
	v->call_opaque = opaque;
	pthread_cond_broadcast(&m->vcpu_cond);
	while (v->call)
		pthread_cond_wait(&m->vcpu_parked, &m->vcpu_lock.m);
	mutex_unlock(&m->vcpu_lock);
}
