// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memory - guest RAM and ROM as KVM memory slots, and the dirty log.
 *
 * One range of the address space is one slot; numbers are reused. KVM maps whole pages, so a range
 * that begins or ends inside a page is trimmed: what is cut off reaches the machine as ordinary
 * memory exits. Large second-level mappings need nothing from us but RAM whose host and guest
 * addresses agree modulo 2 MiB, which mem/ram.h sees to.
 */
#include <errno.h>
#include <string.h>
#include "accel/kvm/kvm_int.h"
#include "base/ovf.h"

#define PAGE 4096ull

static int slot_put(struct kvm_vm *vm, size_t i, const struct kvm_slot *s, bool log)
{
	struct kvm_userspace_memory_region r = {
		.slot = i,
		.flags = (s->readonly ? KVM_MEM_READONLY : 0) | (log ? KVM_MEM_LOG_DIRTY_PAGES : 0),
		.guest_phys_addr = s->gpa,
		.memory_size = s->size,
		.userspace_addr = (uintptr_t)s->host,
	};
	int ret = kvm_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r);

	return ret < 0 ? ret : 0;
}

/* The range's whole pages. False: there are none. */
static bool slot_from_range(struct kvm_slot *s, const struct as_range *r)
{
	uint64_t start, end;

	if ((r->kind != AS_RAM && r->kind != AS_ROM) || !r->host || r->start > UINT64_MAX - PAGE ||
		ovf_add(r->start, r->size, &end))
		return false;
	start = ALIGN_UP(r->start, PAGE);
	end = ALIGN_DOWN(end, PAGE);
	/* The host side has to be page-aligned at the same place. */
	if (end <= start || (uintptr_t)(r->host + (start - r->start)) % PAGE)
		return false;
	*s = (struct kvm_slot){
		.gpa = start,
		.size = end - start,
		.range_start = r->start,
		.range_size = r->size,
		.host = r->host + (start - r->start),
		.ram = r->ram,
		.ram_off = r->ram_off + (start - r->start),
		.readonly = r->kind == AS_ROM,
	};
	return true;
}

static int dirty_reserve(struct kvm_vm *vm, const struct kvm_slot *s) REQUIRES(vm->slots_lock)
{
	size_t words = (s->size / PAGE + 63) / 64 + 1;
	uint64_t *p;

	if (words <= vm->dirty_words)
		return 0;
	p = realloc(vm->dirty_buf, words * sizeof(*p));
	if (!p)
		return -ENOMEM;
	vm->dirty_buf = p;
	vm->dirty_words = words;
	return 0;
}

static int slot_add(struct kvm_vm *vm, struct kvm_slot *s) REQUIRES(vm->slots_lock)
{
	bool log = vm->dirty_on && !s->readonly;
	size_t i;
	int r;

	for (i = 0; i < vm->slots.len && vm->slots.data[i].size; i++)
		;
	if (i == vm->slots.len) {
		if (i >= KVM_SLOTS_LIMIT)
			return -ENOSPC;
		if (!vec_push(&vm->slots, (struct kvm_slot){ 0 }))
			return -ENOMEM;
	}
	if (log && dirty_reserve(vm, s) < 0)
		return -ENOMEM;
	r = slot_put(vm, i, s, log);
	if (r < 0)
		return r;
	s->logged = log;
	vm->slots.data[i] = *s;
	return 0;
}

int kvm_ram_add(struct accel_vm *avm, const struct as_range *range)
{
	struct kvm_vm *vm = to_kvm_vm(avm);
	struct kvm_slot s;
	int r;

	if (!slot_from_range(&s, range))
		return 0;
	mutex_lock(&vm->slots_lock);
	r = slot_add(vm, &s);
	mutex_unlock(&vm->slots_lock);
	return r;
}

/* Merge one slot's log into its block. The block's bitmap counts from the block's start, in
 * words, so a slot that does not begin on a multiple of 64 pages is shifted. */
static int slot_sync(struct kvm_vm *vm, size_t i) REQUIRES(vm->slots_lock)
{
	const struct kvm_slot *s = &vm->slots.data[i];
	struct kvm_dirty_log log = { .slot = i, .dirty_bitmap = vm->dirty_buf };
	uint64_t pages = s->size / PAGE, first = s->ram_off / PAGE, *w = vm->dirty_buf;
	size_t n = (pages + 63) / 64;
	unsigned int shift = first % 64;
	int r = kvm_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log);

	if (r < 0)
		return r;
	if (pages % 64)
		w[n - 1] &= (1ull << pages % 64) - 1;
	if (shift) {
		w[n] = 0;
		for (size_t k = n; k > 0; k--)
			w[k] = w[k] << shift | w[k - 1] >> (64 - shift);
		w[0] <<= shift;
		/* The last word may lie behind the block's bitmap: then it is empty. */
		n = (shift + pages + 63) / 64;
	}
	ram_dirty_merge(s->ram, first - shift, w, n);
	return 0;
}

void kvm_ram_del(struct accel_vm *avm, const struct as_range *range)
{
	struct kvm_vm *vm = to_kvm_vm(avm);

	mutex_lock(&vm->slots_lock);
	for (size_t i = 0; i < vm->slots.len; i++) {
		struct kvm_slot *s = &vm->slots.data[i], gone = { 0 };

		if (!s->size || s->range_start != range->start || s->range_size != range->size)
			continue;
		/* What the guest wrote until now must not be forgotten with the slot. */
		if (s->logged)
			slot_sync(vm, i);
		gone.gpa = s->gpa;
		slot_put(vm, i, &gone, false);
		s->size = 0;
		break;
	}
	mutex_unlock(&vm->slots_lock);
}

static int dirty_switch(struct kvm_vm *vm, bool on) REQUIRES(vm->slots_lock)
{
	int r = 0;

	for (size_t i = 0; i < vm->slots.len && r == 0; i++) {
		struct kvm_slot *s = &vm->slots.data[i];

		if (!s->size || s->readonly || s->logged == on)
			continue;
		if (on)
			r = dirty_reserve(vm, s);
		if (r == 0)
			r = slot_put(vm, i, s, on);
		if (r == 0)
			s->logged = on;
	}
	return r;
}

int kvm_dirty_log(struct accel_vm *avm, bool on)
{
	struct kvm_vm *vm = to_kvm_vm(avm);
	int r;

	mutex_lock(&vm->slots_lock);
	r = dirty_switch(vm, on);
	if (r < 0 && on)
		dirty_switch(vm, false);
	vm->dirty_on = on && r == 0;
	if (!vm->dirty_on) {
		free(vm->dirty_buf);
		vm->dirty_buf = NULL;
		vm->dirty_words = 0;
	}
	mutex_unlock(&vm->slots_lock);
	return r;
}

int kvm_dirty_sync(struct accel_vm *avm)
{
	struct kvm_vm *vm = to_kvm_vm(avm);
	int r = 0;

	mutex_lock(&vm->slots_lock);
	for (size_t i = 0; i < vm->slots.len && r == 0; i++)
		if (vm->slots.data[i].size && vm->slots.data[i].logged)
			r = slot_sync(vm, i);
	mutex_unlock(&vm->slots_lock);
	return r;
}

size_t kvm_slots_read(struct kvm_vm *vm, uint64_t gpa, void *buf, size_t len)
{
	size_t n = 0;

	mutex_lock(&vm->slots_lock);
	for (size_t i = 0; i < vm->slots.len; i++) {
		const struct kvm_slot *s = &vm->slots.data[i];

		if (s->size && gpa >= s->gpa && gpa - s->gpa < s->size) {
			n = MIN(len, s->size - (gpa - s->gpa));
			memcpy(buf, s->host + (gpa - s->gpa), n);
			break;
		}
	}
	mutex_unlock(&vm->slots_lock);
	return n;
}

void kvm_slots_fini(struct kvm_vm *vm)
{
	mutex_lock(&vm->slots_lock);
	vec_fini(&vm->slots);
	free(vm->dirty_buf);
	vm->dirty_buf = NULL;
	mutex_unlock(&vm->slots_lock);
}
