// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pit - the i8254 with its port 0x61, made when a guest needs it.
 *
 * KVM's PIT costs a kernel thread and some 100,000 instructions to make, and most guests have
 * better timers and never look at it. So at first there is only a struct x86_pit_state of our own; an
 * access to its ports leaves the guest and is carried out on that by x86/pit, in vcpu_run, so that
 * the machine does not see it. As soon as there is something for KVM to count, KVM's PIT is made,
 * takes over the state, and from then on serves the ports without us.
 *
 * 1. Our state is the true one until has_pit, KVM's from then on; both under pit_lock.
 * 2. While a channel is between its control word and the end of its count, KVM cannot take over: it
 *    would begin to count with whatever it is given. Such accesses are few and go on here.
 * 3. Several vCPUs may be on their way here when one makes the PIT: the others' accesses are
 *    carried out on KVM's state by get and set.
 */
#include <string.h>
#include "accel/kvm/kvm_int.h"
#include "base/clock.h"
#include "x86/pit.h"

/* What both structs of a channel have, but for the count. */
#define SAME(c)                                                                      \
	.latched_count = (c)->latched_count, .count_latched = (c)->count_latched,    \
	.status_latched = (c)->status_latched, .status = (c)->status,                \
	.read_state = (c)->read_state, .write_state = (c)->write_state,              \
	.write_latch = (c)->write_latch, .rw_mode = (c)->rw_mode, .mode = (c)->mode, \
	.bcd = (c)->bcd, .gate = (c)->gate, .count_load_time = (c)->count_load_time

static void from_kvm(struct x86_pit_state *o, const struct kvm_pit_state2 *k)
{
	memset(o, 0, sizeof(*o));
	for (int i = 0; i < X86_PIT_CHANNELS; i++) {
		const struct kvm_pit_channel_state *c = &k->channels[i];

		o->channel[i] = (struct x86_pit_channel_state){
			.count = c->count,
			SAME(c),
		};
	}
	o->flags = k->flags;
}

static void to_kvm(struct kvm_pit_state2 *k, const struct x86_pit_state *s)
{
	memset(k, 0, sizeof(*k));
	for (int i = 0; i < X86_PIT_CHANNELS; i++) {
		const struct x86_pit_channel_state *c = &s->channel[i];

		k->channels[i] = (struct kvm_pit_channel_state){
			.count = c->next_count ?: c->count,
			SAME(c),
		};
	}
	k->flags = s->flags;
}

static int get(struct kvm_vm *vm, struct x86_pit_state *out)
{
	struct kvm_pit_state2 k = { 0 };
	int r = kvm_ioctl(vm->fd, KVM_GET_PIT2, &k);

	if (r < 0)
		return r;
	from_kvm(out, &k);
	return 0;
}

/* All channels begin to count anew. */
static int set(struct kvm_vm *vm, const struct x86_pit_state *in)
{
	struct kvm_pit_state2 k;
	int r;

	to_kvm(&k, in);
	r = kvm_ioctl(vm->fd, KVM_SET_PIT2, &k);
	return r < 0 ? r : 0;
}

/* KVM takes over, if it is time. */
static int hand_over(struct kvm_vm *vm) REQUIRES(vm->pit_lock)
{
	/* Lost ticks are delivered late rather than dropped: KVM's default. */
	struct kvm_pit_config c = { .flags = KVM_PIT_SPEAKER_DUMMY };
	int r;

	if (!x86_pit_settled(&vm->pit))
		return 0;
	r = kvm_routes_pins(vm);
	if (r < 0)
		return r;
	r = kvm_ioctl(vm->fd, KVM_CREATE_PIT2, &c);
	if (r < 0)
		return r;
	vm->has_pit = true;
	return set(vm, &vm->pit);
}

bool kvm_pit_takes(const struct kvm_vm *vm, uint16_t port)
{
	return vm->pit_wanted && x86_pit_has_port(port);
}

/* As KVM does it: the port is one byte wide; what is read beyond is zero. */
static void access_state(struct x86_pit_state *s, struct vcpu_exit *exit)
{
	uint8_t *p = exit->port.data;
	int64_t now = clock_mono_ns();

	for (uint32_t i = 0; i < exit->port.count; i++, p += exit->port.size) {
		if (exit->port.write) {
			x86_pit_write(s, exit->port.port, p[0], now);
			continue;
		}
		memset(p, 0, exit->port.size);
		p[0] = x86_pit_read(s, exit->port.port, now);
	}
}

static int access_kvm(struct kvm_vm *vm, struct vcpu_exit *exit)
{
	struct x86_pit_state before, s;
	int r = get(vm, &before);

	if (r < 0)
		return r;
	s = before;
	access_state(&s, exit);
	return memcmp(&s, &before, sizeof(s)) ? set(vm, &s) : 0;
}

int kvm_pit_access(struct kvm_vm *vm, struct vcpu_exit *exit)
{
	int r;

	mutex_lock(&vm->pit_lock);
	if (vm->has_pit) {
		r = access_kvm(vm, exit);
	} else {
		access_state(&vm->pit, exit);
		r = hand_over(vm);
	}
	mutex_unlock(&vm->pit_lock);
	return r;
}

int kvm_pit_get(struct kvm_vm *vm, struct x86_pit_state *out, int64_t clock_off)
{
	int r = 0;

	if (!vm->pit_wanted)
		return 0;
	mutex_lock(&vm->pit_lock);
	if (vm->has_pit)
		r = get(vm, out);
	else
		*out = vm->pit;
	mutex_unlock(&vm->pit_lock);
	/* The reset state has no times. */
	if (!r && !x86_pit_is_reset(out))
		x86_pit_shift(out, clock_off);
	return r;
}

int kvm_pit_set(struct kvm_vm *vm, const struct x86_pit_state *in, int64_t clock_off)
{
	struct x86_pit_state s = *in;
	int r = 0;

	if (!vm->pit_wanted)
		return 0;
	if (!x86_pit_is_reset(&s))
		x86_pit_shift(&s, -clock_off);
	x86_pit_sanitize(&s, clock_mono_ns());
	mutex_lock(&vm->pit_lock);
	if (vm->has_pit) {
		r = set(vm, &s);
	} else {
		vm->pit = s;
		if (!x86_pit_is_reset(&s))
			r = hand_over(vm);
	}
	mutex_unlock(&vm->pit_lock);
	return r;
}
