// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vcpu - a KVM vCPU: making it, running it, and getting it out of guest mode.
 *
 * The kick, and why none is lost. run->immediate_exit is a byte that KVM_RUN reads after it has
 * completed the previous exit's access and before it enters the guest: set, KVM_RUN fails with
 * EINTR. A kick sets the byte first and then sends a signal to the vCPU's thread.
 *  1. The byte is set before KVM_RUN reads it: KVM_RUN returns at once.
 *  2. It is set later: the signal comes later still, is pending when the thread is in or on its
 *     way into guest mode, and ends KVM_RUN.
 *  3. Only this thread clears the byte, and only when KVM_RUN has ended with EINTR, that is when
 *     vcpu_run is about to return VCPU_EXIT_NONE. So after every kick there is a return of
 *     vcpu_run, and the caller that looks for requests after VCPU_EXIT_NONE sees all requests
 *     posted before any kick that this clearing may have covered: the exchange (acquire) pairs
 *     with the kick's store (release).
 *  4. The thread is known from its first run on. A kick that finds none sends no signal: its byte
 *     was set before it looked, and the thread writes its id before KVM_RUN reads the byte (all
 *     sequentially consistent), so this is case 1.
 * A signal that arrives outside of KVM_RUN does nothing: the handler is empty.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "accel/kvm/kvm_int.h"
#include "base/log.h"
#include "core/vcpu.h"

static void on_kick(int sig)
{
}

static void kick_install(void)
{
	struct sigaction sa = { .sa_handler = on_kick, .sa_flags = SA_RESTART };

	sigemptyset(&sa.sa_mask);
	sigaction(KVM_KICK_SIGNAL, &sa, NULL);
}

void kvm_kick_enable(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	sigset_t set;

	pthread_once(&once, kick_install);
	sigemptyset(&set);
	sigaddset(&set, KVM_KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static bool make_error(struct kvm_vm *vm, uint32_t apic_id, int r, struct error *err)
{
	int max = kvm_ioctl_val(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	int max_id = kvm_ioctl_val(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID);

	return error_set_errno(err, r,
		"kvm: cannot create the vCPU with APIC id %u (this host allows %d vCPUs and ids "
		"below %d)",
		apic_id, max, max_id);
}

struct kvm_vcpu *kvm_vcpu_make(struct kvm_vm *vm, uint32_t apic_id, struct error *err)
{
	struct kvm_vcpu *v = calloc(1, sizeof(*v));
	int r;

	if (!v) {
		error_set_errno(err, ENOMEM, "kvm");
		return NULL;
	}
	v->base.vm = &vm->base;
	v->vm = vm;
	v->run = MAP_FAILED;
	r = v->fd = kvm_ioctl_val(vm->fd, KVM_CREATE_VCPU, apic_id);
	if (r < 0) {
		make_error(vm, apic_id, r, err);
		goto fail;
	}
	v->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		error_set_errno(err, errno, "kvm: cannot map vCPU %u", apic_id);
		goto fail;
	}
	if (vm->split)
		kvm_split_vcpu(v, apic_id, true);
	return v;
fail:
	kvm_vcpu_free(&v->base);
	return NULL;
}

struct accel_vcpu *kvm_vcpu_new(struct accel_vm *vm, struct vcpu *vcpu, struct error *err)
{
	struct kvm_vcpu *v = kvm_vcpu_make(to_kvm_vm(vm), vcpu->apic_id, err);

	if (!v)
		return NULL;
	v->base.vcpu = vcpu;
	return &v->base;
}

void kvm_vcpu_free(struct accel_vcpu *av)
{
	struct kvm_vcpu *v;

	if (!av)
		return;
	v = to_kvm_vcpu(av);
	if (v->vm->split)
		kvm_split_vcpu(v, 0, false);
	if (v->run != MAP_FAILED)
		munmap(v->run, v->vm->run_size);
	if (v->fd >= 0)
		close(v->fd);
	free(v);
}

bool kvm_vcpu_set_cpuid(struct accel_vcpu *av, const struct x86_cpuid *c, struct error *err)
{
	union kvm_cpuid_buf k;
	int r;

	assert(c->n <= X86_CPUID_MAX);
	memset(&k.head, 0, sizeof(k.head));
	k.head.nent = c->n;
	for (uint32_t i = 0; i < c->n; i++) {
		const struct x86_cpuid_leaf *l = &c->leaf[i];

		k.head.entries[i] = (struct kvm_cpuid_entry2){
			.function = l->function,
			.index = l->index,
			.flags = l->indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
			.eax = l->eax,
			.ebx = l->ebx,
			.ecx = l->ecx,
			.edx = l->edx,
		};
	}
	r = kvm_ioctl(to_kvm_vcpu(av)->fd, KVM_SET_CPUID2, &k);
	if (r < 0)
		return error_set_errno(err, r, "kvm: the CPU model was refused");
	return true;
}

static uint8_t immediate_exit_take(struct kvm_vcpu *v)
{
	return __atomic_exchange_n(&v->run->immediate_exit, 0, __ATOMIC_ACQ_REL);
}

/* KVM_RUN: true: an exit waits in the run page. */
static bool enter(struct kvm_vcpu *v, struct vcpu_exit *exit)
{
	if (v->held) {
		v->held = false;
		return true;
	}
	if (!v->tid) {
		kvm_kick_enable();
		v->tid = gettid();
	}
	kvm_msr_answer(v);
	if (v->vm->split)
		kvm_split_extint(v);
	/* Not kvm_ioctl(): an interrupted run is an answer. */
	if (ioctl(v->fd, KVM_RUN, 0) == 0)
		return true;
	v->unfinished = false;
	/* EAGAIN: this vCPU waited for its start-up IPI and was woken: go on waiting. */
	if (errno == EINTR || errno == EAGAIN) {
		if (errno == EINTR)
			immediate_exit_take(v);
		exit->kind = VCPU_EXIT_NONE;
		return false;
	}
	kvm_exit_failed(v, errno, exit);
	return false;
}

/* True: the exit was the chips' that the engine plays itself, and is dealt with. */
static bool own_exit(struct kvm_vcpu *v, struct vcpu_exit *exit, int *r)
{
	if (v->vm->split)
		return kvm_split_exit(v->vm, exit);
	if (exit->kind != VCPU_EXIT_PORT || !kvm_pit_takes(v->vm, exit->port.port))
		return false;
	*r = kvm_pit_access(v->vm, exit);
	return true;
}

int kvm_vcpu_run(struct accel_vcpu *av, struct vcpu_exit *exit)
{
	struct kvm_vcpu *v = to_kvm_vcpu(av);
	int r = 0;

	while (!r && enter(v, exit)) {
		kvm_exit_translate(v, exit);
		/* Into the guest again then, which also completes the access. */
		if (!own_exit(v, exit, &r))
			break;
	}
	return r;
}

static int finish_piece(struct kvm_vcpu *v)
{
	if (!v->unfinished)
		return 0;
	kvm_msr_answer(v);
	/* KVM_RUN completes the access, sees the flag and returns. The flag stays set: the next
	 * vcpu_run returns VCPU_EXIT_NONE for nothing, but a kick that comes in now is not lost. */
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_RELEASE);
	if (ioctl(v->fd, KVM_RUN, 0) == 0) {
		/* An access of several pieces: the next one is up, and kept for vcpu_run. */
		v->held = true;
		return 0;
	}
	v->held = v->unfinished = false;
	return errno == EINTR ? 0 : -errno;
}

int kvm_vcpu_finish(struct kvm_vcpu *v)
{
	return v->held ? 0 : finish_piece(v);
}

void kvm_vcpu_abandon(struct kvm_vcpu *v)
{
	/* Inside of one instruction KVM comes out 1024 times at most (a string instruction). What
	 * its pieces read does not matter any more; what they write is dropped. */
	for (int i = 0; i < 2048 && v->unfinished; i++)
		finish_piece(v);
	v->held = v->unfinished = false;
}

void kvm_vcpu_kick(struct accel_vcpu *av)
{
	struct kvm_vcpu *v = to_kvm_vcpu(av);

	pid_t tid;

	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	tid = v->tid;
	if (tid && tid != gettid())
		syscall(SYS_tgkill, getpid(), tid, KVM_KICK_SIGNAL);
}

int kvm_vcpu_nmi(struct accel_vcpu *av)
{
	int r = kvm_ioctl_val(to_kvm_vcpu(av)->fd, KVM_NMI, 0);

	return r < 0 ? r : 0;
}

int kvm_vcpu_stalled(struct accel_vcpu *av)
{
	int r = kvm_ioctl_val(to_kvm_vcpu(av)->fd, KVM_KVMCLOCK_CTRL, 0);

	/* EINVAL: the guest does not use kvmclock, so there is nobody to tell. */
	return r < 0 && r != -EINVAL ? r : 0;
}
