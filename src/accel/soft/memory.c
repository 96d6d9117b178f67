// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memory - RAM and ROM as the machine maps it, and the dirty log.
 *
 * Where something lies vCPUs look up in the machine's address map itself; slots serve VMs without a
 * machine (tests), and what is known only here: each block gets its words of decoded code before a
 * vCPU can see it.
 *
 * Dirty log. Stores take no notice of it. Instead a vCPU may have a write tag for a page only while
 * the page's bit is set here: whoever makes the tag sets the bit. dirty_sync takes the bits in three
 * steps, and the order is what it is about:
 *   1. exchange the bits for zeroes: from here on a new write tag sets a bit for the next time;
 *   2. have every vCPU drop its write tags, and wait until it has: old tags, whose bits we now
 *      hold, may be written through until then, but no longer;
 *   3. merge what was taken into the blocks' logs, for whoever copies the pages.
 * Were 3 before 2, a page could be copied and then written to by an old tag, with no bit anywhere.
 * Were 2 before 1, a tag made in between would live on with its bit taken.
 *
 * The bits belong to blocks, not slots: a block that is cut in two by a BAR keeps them.
 */
#include <errno.h>
#include <stdlib.h>
#include "accel/soft/mmu_int.h"
#include "base/ovf.h"

/* -------- slots -------- */

/* The range's whole pages. False: there are none, or they are not pages of the block. */
static bool slot_from_range(struct soft_slot *s, const struct as_range *r)
{
	uint64_t start, end;

	if ((r->kind != AS_RAM && r->kind != AS_ROM) || !r->host || r->start > INT64_MAX ||
		ovf_add(r->start, r->size, &end))
		return false;
	start = ALIGN_UP(r->start, (uint64_t)PAGE_SIZE);
	end = ALIGN_DOWN(end, (uint64_t)PAGE_SIZE);
	if (end <= start || ((r->start ^ r->ram_off) & PAGE_OFF))
		return false;
	*s = (struct soft_slot){
		.gpa = start,
		.size = end - start,
		.host = r->host + (start - r->start),
		.ram = r->ram,
		.ram_off = r->ram_off + (start - r->start),
		.readonly = r->kind == AS_ROM,
	};
	return true;
}

static struct soft_dirty *dirty_find(struct soft_vm *vm, const struct ram_block *ram)
	REQUIRES(vm->slots_lock)
{
	struct soft_dirty *d;

	vec_for_each (d, &vm->dirty) {
		if (d->ram == ram)
			return d;
	}
	return NULL;
}

static int dirty_add(struct soft_vm *vm, struct ram_block *ram) REQUIRES(vm->slots_lock)
{
	struct soft_dirty d = { .ram = ram, .words = (ram->size / PAGE_SIZE + 63) / 64 };

	if (dirty_find(vm, ram))
		return 0;
	d.bits = calloc(d.words, sizeof(*d.bits));
	if (!d.bits || !vec_push(&vm->dirty, d)) {
		free(d.bits);
		return -ENOMEM;
	}
	ram_block_ref(ram);
	return 0;
}

int soft_ram_add(struct accel_vm *avm, const struct as_range *r)
{
	struct soft_vm *vm = to_soft_vm(avm);
	struct soft_slot s;
	int rc = 0;

	if (!slot_from_range(&s, r))
		return 0; /* the machine's register accesses serve it */
	if (!ram_code_words(s.ram))
		return -ENOMEM;
	mutex_lock(&vm->slots_lock);
	if (atomic_load(&vm->dirty_on) && !s.readonly)
		rc = dirty_add(vm, s.ram);
	if (rc == 0 && !vec_push(&vm->slots, s))
		rc = -ENOMEM;
	if (rc == 0)
		atomic_fetch_add(&vm->slots_version, 1);
	mutex_unlock(&vm->slots_lock);
	return rc;
}

void soft_ram_del(struct accel_vm *avm, const struct as_range *r)
{
	struct soft_vm *vm = to_soft_vm(avm);
	struct soft_slot gone;

	if (!slot_from_range(&gone, r))
		return;
	mutex_lock(&vm->slots_lock);
	for (size_t i = 0; i < vm->slots.len; i++) {
		const struct soft_slot *s = &vm->slots.data[i];

		if (s->gpa == gone.gpa && s->size == gone.size) {
			vec_remove(&vm->slots, i);
			break;
		}
	}
	atomic_fetch_add(&vm->slots_version, 1);
	mutex_unlock(&vm->slots_lock);
}

bool soft_slot_find(struct soft_vm *vm, uint64_t gpa, struct soft_slot *out)
{
	struct soft_slot *s;
	bool found = false;

	mutex_lock(&vm->slots_lock);
	vec_for_each (s, &vm->slots) {
		if (gpa - s->gpa < s->size) {
			*out = *s;
			found = true;
			break;
		}
	}
	mutex_unlock(&vm->slots_lock);
	return found;
}

/* -------- dirty log -------- */

bool soft_dirty_page(struct soft_vm *vm, struct ram_block *ram, uint64_t page, bool written)
{
	struct soft_dirty *d;
	bool set = true; /* a block that is not logged: the log is just being turned off */

	mutex_lock(&vm->slots_lock);
	d = dirty_find(vm, ram);
	if (d && written)
		d->bits[page / 64] |= BIT_ULL(page % 64);
	if (d)
		set = d->bits[page / 64] >> (page % 64) & 1;
	mutex_unlock(&vm->slots_lock);
	return set;
}

static void dirty_free(struct soft_vm *vm) REQUIRES(vm->slots_lock)
{
	struct soft_dirty *d;

	vec_for_each (d, &vm->dirty) {
		ram_block_unref(d->ram);
		free(d->bits);
	}
	vec_fini(&vm->dirty);
}

static int dirty_start(struct soft_vm *vm)
{
	struct soft_slot *s;
	int rc = 0;

	mutex_lock(&vm->slots_lock);
	vec_for_each (s, &vm->slots) {
		if (rc == 0 && !s->readonly)
			rc = dirty_add(vm, s->ram);
	}
	if (rc == 0)
		atomic_store(&vm->dirty_on, true);
	else
		dirty_free(vm);
	mutex_unlock(&vm->slots_lock);
	/* Tags from before have no bits. */
	if (rc == 0)
		soft_mmu_drop_writes(vm);
	return rc;
}

int soft_dirty_log(struct accel_vm *avm, bool on)
{
	struct soft_vm *vm = to_soft_vm(avm);

	if (on == atomic_load(&vm->dirty_on))
		return 0;
	if (on)
		return dirty_start(vm);
	mutex_lock(&vm->slots_lock);
	atomic_store(&vm->dirty_on, false);
	dirty_free(vm);
	mutex_unlock(&vm->slots_lock);
	return 0;
}

/* Step 1 for one block: its bits into *@out, whose block is counted. False: no memory. */
static bool dirty_take(struct soft_dirty *d, struct soft_dirty *out)
{
	uint64_t *fresh = calloc(d->words, sizeof(*fresh));

	if (!fresh)
		return false;
	*out = *d;
	ram_block_ref(out->ram);
	d->bits = fresh;
	return true;
}

int soft_dirty_sync(struct accel_vm *avm)
{
	struct soft_vm *vm = to_soft_vm(avm);
	VEC(struct soft_dirty) taken = { 0 };
	struct soft_dirty *d, t;
	int rc = 0;

	mutex_lock(&vm->slots_lock); /* 1 */
	if (!vec_reserve(&taken, vm->dirty.len))
		rc = -ENOMEM;
	vec_for_each (d, &vm->dirty) {
		if (rc == 0 && !dirty_take(d, &t))
			rc = -ENOMEM;
		else if (rc == 0)
			taken.data[taken.len++] = t; /* there is room */
	}
	mutex_unlock(&vm->slots_lock);
	if (taken.len)
		soft_mmu_drop_writes(vm); /* 2 */
	vec_for_each (d, &taken) {	  /* 3; also of what was taken before memory ran out */
		ram_dirty_merge(d->ram, 0, d->bits, d->words);
		ram_block_unref(d->ram);
		free(d->bits);
	}
	vec_fini(&taken);
	return rc;
}

void soft_memory_fini(struct soft_vm *vm)
{
	mutex_lock(&vm->slots_lock);
	vec_fini(&vm->slots);
	dirty_free(vm);
	mutex_unlock(&vm->slots_lock);
}
