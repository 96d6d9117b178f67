// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * desc - what the machine that loads must be like: its memory, CPUs, devices and where they are. The
 * state itself is checked again by whoever takes it; this is for a reason that a user understands, and
 * for what no device would notice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "config.h"
#include "core/machine.h"
#include "core/vcpu.h"
#include "migrate/migrate_int.h"

#define TSC_TOLERANCE_PPM 250u

static const char *const irqchip_names[] = { "full", "split", NULL };

static const struct field leaf_fields[] = {
	FIELD_U32(struct x86_cpuid_leaf, function, "function", .tag = 1),
	FIELD_U32(struct x86_cpuid_leaf, index, "index", .tag = 2),
	FIELD_BOOL(struct x86_cpuid_leaf, indexed, "indexed", .tag = 3),
	FIELD_U32(struct x86_cpuid_leaf, eax, "eax", .tag = 4),
	FIELD_U32(struct x86_cpuid_leaf, ebx, "ebx", .tag = 5),
	FIELD_U32(struct x86_cpuid_leaf, ecx, "ecx", .tag = 6),
	FIELD_U32(struct x86_cpuid_leaf, edx, "edx", .tag = 7),
};
static const struct field_table leaf_table = FIELD_TABLE(
	"leaf", struct x86_cpuid_leaf, leaf_fields);

static const struct field cpu_fields[] = {
	FIELD_U32(struct desc_cpu, apic_id, "apic-id", .tag = 1),
	FIELD_LIST(struct desc_cpu, leaves, "leaves", FT_STRUCT, X86_CPUID_MAX, .sub = &leaf_table,
		.tag = 2),
};
static const struct field_table cpu_table = FIELD_TABLE("cpu", struct desc_cpu, cpu_fields);

static const struct field device_fields[] = {
	FIELD_STR(struct desc_device, type, "type", .max = 63, .tag = 1),
	FIELD_STR(struct desc_device, id, "id", .max = 255, .tag = 2),
	FIELD_STR(struct desc_device, place, "place", .max = 63, .tag = 3),
	FIELD_U32(struct desc_device, instance, "instance", .tag = 4),
};
static const struct field_table device_table = FIELD_TABLE(
	"device", struct desc_device, device_fields);

static const struct field block_fields[] = {
	FIELD_STR(struct desc_block, name, "name", .max = 255, .tag = 1),
	FIELD_U64(struct desc_block, size, "size", .tag = 2),
};
static const struct field_table block_table = FIELD_TABLE("ram", struct desc_block, block_fields);

static const struct field range_fields[] = {
	FIELD_U64(struct desc_range, start, "start", .tag = 1),
	FIELD_U64(struct desc_range, size, "size", .tag = 2),
	FIELD_U64(struct desc_range, off, "offset", .tag = 3),
	FIELD_U32(struct desc_range, block, "block", .tag = 4),
};
static const struct field_table range_table = FIELD_TABLE("range", struct desc_range, range_fields);

static const struct field desc_fields[] = {
	FIELD_STR(
		struct desc, version, "version", .max = 255, .tag = 1, .flags = FF_OPTIONAL_STATE),
	FIELD_STR(struct desc, name, "name", .max = 255, .tag = 2, .flags = FF_OPTIONAL_STATE),
	FIELD_STR(struct desc, engine, "engine", .max = 255, .tag = 3, .flags = FF_OPTIONAL_STATE),
	FIELD_BOOL(struct desc, running, "running", .tag = 4),
	/* For people: the state is the same. */
	FIELD_ENUM(struct desc, irqchip, "irqchip", irqchip_names, .tag = 5),
	FIELD_U32(struct desc, tsc_khz, "tsc-khz", .tag = 6),
	FIELD_LIST(
		struct desc, cpus, "cpus", FT_STRUCT, DESC_CPUS_MAX, .sub = &cpu_table, .tag = 7),
	FIELD_LIST(struct desc, devices, "devices", FT_STRUCT, DESC_DEVICES_MAX,
		.sub = &device_table, .tag = 8),
	FIELD_LIST(struct desc, blocks, "memory", FT_STRUCT, DESC_BLOCKS_MAX, .sub = &block_table,
		.tag = 9),
	FIELD_LIST(struct desc, ranges, "map", FT_STRUCT, DESC_RANGES_MAX, .sub = &range_table,
		.tag = 10),
};
const struct field_table desc_table = FIELD_TABLE("machine", struct desc, desc_fields);

/* -------- filling -------- */

static bool fill_cpus(struct desc *d, struct machine *m)
{
	d->cpus.items = calloc(MAX(m->n_vcpus, 1u), sizeof(*d->cpus.items));
	if (!d->cpus.items)
		return false;
	for (uint32_t i = 0; i < m->n_vcpus; i++) {
		const struct x86_cpuid *c = m->vcpus[i].cpuid;
		struct desc_cpu *o = &d->cpus.items[d->cpus.len++];

		o->apic_id = m->vcpus[i].apic_id;
		if (!c)
			continue;
		o->leaves.items = calloc(MAX(c->n, 1u), sizeof(*o->leaves.items));
		if (!o->leaves.items)
			return false;
		memcpy(o->leaves.items, c->leaf, c->n * sizeof(*c->leaf));
		o->leaves.len = c->n;
	}
	return true;
}

static bool copy_text(char **out, const char *text)
{
	*out = text ? strdup(text) : NULL;
	return *out || !text;
}

static bool fill_devices(struct desc *d, struct machine *m)
{
	struct device *dev;
	size_t n = 0;

	list_for_each (dev, &m->devices, node)
		n++;
	d->devices.items = calloc(n + 1, sizeof(*d->devices.items));
	if (!d->devices.items)
		return false;
	list_for_each (dev, &m->devices, node) {
		struct desc_device *o = &d->devices.items[d->devices.len++];

		o->instance = dev->instance;
		if (!copy_text(&o->type, dev->type->name) || !copy_text(&o->id, dev->id) ||
			!copy_text(&o->place, dev->place[0] ? dev->place : NULL))
			return false;
	}
	/* Whose it is makes no difference to the guest. */
	return !machine_pit_is_engines(m) ||
	       copy_text(&d->devices.items[d->devices.len++].type, MACHINE_PIT);
}

static bool fill_memory(struct desc *d, struct machine *m, const struct ram_set *s)
{
	const struct as_snapshot *snap;
	bool ok = true;

	d->blocks.items = calloc(MAX(s->n, 1u), sizeof(*d->blocks.items));
	d->ranges.items = calloc(DESC_RANGES_MAX, sizeof(*d->ranges.items));
	if (!d->blocks.items || !d->ranges.items)
		return false;
	for (uint32_t i = 0; ok && i < s->n; i++) {
		ok = copy_text(&d->blocks.items[i].name, s->block[i]->name);
		d->blocks.items[i].size = s->block[i]->size;
		d->blocks.len++;
	}
	as_read_begin();
	snap = atomic_load(&m->mem.current);
	for (uint32_t i = 0; i < snap->n && d->ranges.len < DESC_RANGES_MAX; i++) {
		const struct as_range *r = &snap->r[i];

		if (r->kind != AS_RAM)
			continue;
		for (uint32_t b = 0; b < s->n; b++)
			if (s->block[b] == r->ram)
				d->ranges.items[d->ranges.len++] = (struct desc_range){ r->start,
					r->size, r->ram_off, b };
	}
	as_read_end();
	return ok;
}

bool desc_fill(struct desc *d, struct machine *m, struct error *err)
{
	struct ram_set s;
	bool ok;

	if (!fields_init(&desc_table, d, err) || !ram_set_init(&s, m, err))
		return false;
	d->irqchip = m->vm ? m->vm->irqchip : 0;
	d->tsc_khz = m->vm ? m->vm->tsc_khz : 0;
	ok = copy_text(&d->version, LODGE_VERSION) && copy_text(&d->name, m->name) &&
	     copy_text(&d->engine, m->accel ? m->accel->name : NULL) && fill_cpus(d, m) &&
	     fill_devices(d, m) && fill_memory(d, m, &s);
	ram_set_fini(&s);
	return ok || error_set(err, "out of memory");
}

/* -------- checking -------- */

static bool check_memory(const struct desc *saved, const struct desc *own, struct error *err)
{
	uint64_t have = 0, want = 0;

	for (size_t i = 0; i < own->blocks.len; i++)
		have += own->blocks.items[i].size;
	for (size_t i = 0; i < saved->blocks.len; i++)
		want += saved->blocks.items[i].size;
	if (have != want)
		return error_set(err, "memory: the saved machine has %llu MiB, this one %llu MiB",
			(unsigned long long)(want / MIB), (unsigned long long)(have / MIB));
	if (saved->blocks.len != own->blocks.len || saved->ranges.len != own->ranges.len)
		return error_set(err, "memory: the saved machine has it in other pieces");
	for (size_t i = 0; i < own->blocks.len; i++) {
		if (saved->blocks.items[i].size != own->blocks.items[i].size)
			return error_set(err, "memory '%s': saved with %llu MiB, here of %llu MiB",
				own->blocks.items[i].name,
				(unsigned long long)(saved->blocks.items[i].size / MIB),
				(unsigned long long)(own->blocks.items[i].size / MIB));
	}
	for (size_t i = 0; i < own->ranges.len; i++) {
		const struct desc_range *a = &saved->ranges.items[i], *b = &own->ranges.items[i];

		if (a->start != b->start || a->size != b->size || a->off != b->off ||
			a->block != b->block)
			return error_set(err,
				"memory: at %#llx the saved machine has %#llx bytes, "
				"this one at %#llx %#llx",
				(unsigned long long)a->start, (unsigned long long)a->size,
				(unsigned long long)b->start, (unsigned long long)b->size);
	}
	return true;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* Do both say where they are? Then that is what tells them apart, and numbers mean nothing: those of a
 * machine whose devices came and went are not the ones of a machine that was made like it. */
static bool have_places(const struct desc_device *a, const struct desc_device *b)
{
	return a->place && b->place;
}

/* The device of @d that is to @like what it is in its machine; NULL. */
static const struct desc_device *find_device(const struct desc *d, const struct desc_device *like)
{
	for (size_t i = 0; i < d->devices.len; i++) {
		const struct desc_device *o = &d->devices.items[i];

		if (same_text(o->type, like->type) &&
			(have_places(o, like) ? !strcmp(o->place, like->place)
					      : o->instance == like->instance))
			return o;
	}
	return NULL;
}

static const struct desc_device *find_place(const struct desc *d, const char *place)
{
	for (size_t i = 0; place && i < d->devices.len; i++) {
		if (same_text(d->devices.items[i].place, place))
			return &d->devices.items[i];
	}
	return NULL;
}

/* The one of @d that was meant to be @like, but is elsewhere; NULL. */
static const struct desc_device *find_moved(
	const struct desc *d, const struct desc *in, const struct desc_device *like)
{
	for (size_t i = 0; like->place && i < d->devices.len; i++) {
		const struct desc_device *o = &d->devices.items[i];

		if (same_text(o->type, like->type) && o->place && !find_device(in, o) &&
			(o->id && like->id ? !strcmp(o->id, like->id) : !o->id && !like->id))
			return o;
	}
	return NULL;
}

/* " at PCI 00:03.0", " number 1" */
static const char *where(const struct desc_device *d, char *buf, size_t size)
{
	if (d->place)
		snprintf(buf, size, " at %s", d->place);
	else
		snprintf(buf, size, " number %u", d->instance);
	return buf;
}

/* What to say for @a: ", give --device virtio-blk-pci,bus=rp1", if that is known. */
static const char *remedy(const struct desc *d, const struct desc_device *a, char *buf, size_t size)
{
	const char *slash = a->place ? strchr(a->place, '/') : NULL;
	AUTO_FREE char *port = slash ? strndup(a->place, (size_t)(slash - a->place)) : NULL;
	const struct desc_device *p = find_place(d, port);
	const struct device_type *t = a->type ? device_type_find(a->type) : NULL;

	buf[0] = 0;
	if (t && t->flags & DEVICE_USER)
		snprintf(buf, size, " (--device %s%s%s, ...)", a->type, p && p->id ? ",bus=" : "",
			p && p->id ? p->id : "");
	return buf;
}

static bool lacks(const struct desc *saved, const struct desc *own, const struct desc_device *a,
	struct error *err)
{
	const struct desc_device *o = find_moved(own, saved, a);
	const char *name = a->id ?: a->type ?: "", *type = a->type ?: "device without type";
	char at[96], how[384];

	if (o)
		return error_set(err, "device '%s': it was at %s, here it is at %s", name, a->place,
			o->place);
	o = find_place(own, a->place);
	if (o)
		return error_set(err,
			"device '%s': at %s the saved machine has a %s, this one a %s", name,
			a->place, type, o->type);
	return error_set(err, "device '%s': the saved machine has a %s%s, this one has not%s", name,
		type, where(a, at, sizeof(at)), remedy(saved, a, how, sizeof(how)));
}

static bool check_device(
	const struct desc_device *a, const struct desc_device *b, struct error *err)
{
	const struct device_type *t = device_type_find(a->type);
	const char *name = a->id ?: a->type;

	if (!same_text(a->place, b->place))
		return error_set(err, "device '%s': it was at %s, here it is at %s", name,
			a->place ?: "its usual place", b->place ?: "its usual place");
	if (a->id && b->id && strcmp(a->id, b->id))
		return error_set(
			err, "device '%s': here the %s at its place is '%s'", name, a->type, b->id);
	if (t && t->flags & DEVICE_NUMBERED && a->instance != b->instance)
		return error_set(err,
			"device '%s': it was %s number %u, here it is number %u: give them in the "
			"saved machine's order",
			name, a->type, a->instance, b->instance);
	return true;
}

/* Each of the one is exactly one of the other. */
static bool check_devices(const struct desc *saved, const struct desc *own, struct error *err)
{
	AUTO_FREE bool *taken = calloc(own->devices.len + 1, sizeof(*taken));
	char at[96];

	if (!taken)
		return error_set(err, "out of memory");
	for (size_t i = 0; i < saved->devices.len; i++) {
		const struct desc_device *a = &saved->devices.items[i], *b = find_device(own, a);

		if (!b)
			return lacks(saved, own, a, err);
		if (taken[b - own->devices.items])
			return error_set(err, "the saved state is damaged: device '%s' twice",
				a->id ?: a->type);
		taken[b - own->devices.items] = true;
		if (!check_device(a, b, err))
			return false;
	}
	for (size_t i = 0; i < own->devices.len; i++) {
		const struct desc_device *b = &own->devices.items[i];

		if (!taken[i])
			return error_set(err,
				"device '%s': the saved machine has no %s%s, this one has",
				b->id ?: b->type, b->type, where(b, at, sizeof(at)));
	}
	return true;
}

/* Tell each device under which number the state has it. @own: of the same devices, in the same order. */
static void number_devices(const struct desc *saved, const struct desc *own, struct machine *m)
{
	struct device *d;
	size_t i = 0;

	list_for_each (d, &m->devices, node)
		d->saved_instance = find_device(saved, &own->devices.items[i++])->instance;
}

static void to_cpuid(const struct desc_cpu *c, struct x86_cpuid *out)
{
	out->n = (uint32_t)MIN(c->leaves.len, (size_t)X86_CPUID_MAX);
	if (out->n)
		memcpy(out->leaf, c->leaves.items, out->n * sizeof(*out->leaf));
}

/* What the guest uses must be there: in the engine, and in the model that the user has chosen for this
 * machine, or a restart would take it away. */
static bool check_cpu_features(uint32_t i, const struct x86_cpuid *want,
	const struct x86_cpuid *supported, struct machine *m, struct error *err)
{
	const struct x86_cpuid *own = m->vcpus[i].cpuid;
	const char *missing;
	char buf[256];

	if (!want->n != !own)
		return error_set(err, "CPU %u: saved %s CPUID", i, want->n ? "with" : "without");
	if (!own)
		return true;
	missing = x86_cpuid_missing(want, supported, own, buf, sizeof(buf));
	if (missing)
		return error_set(err,
			"CPU %u: the guest was given features that the engine %s has not here: %s",
			i, m->accel->name, missing);
	missing = x86_cpuid_lacks(own, want, buf, sizeof(buf));
	return !missing ||
	       error_set(err,
		       "CPU %u: the guest was given features that this machine's --cpu-model has "
		       "not: %s",
		       i, missing);
}

static bool check_features(const struct desc *saved, struct machine *m, struct error *err)
{
	AUTO_FREE struct x86_cpuid *supported = calloc(1, sizeof(*supported));
	AUTO_FREE struct x86_cpuid *want = calloc(1, sizeof(*want));

	if (!supported || !want)
		return error_set(err, "out of memory");
	if (!m->accel->cpuid_supported)
		return true;
	if (!m->accel->cpuid_supported(m->vm, supported, err))
		return false;
	for (uint32_t i = 0; i < m->n_vcpus; i++) {
		to_cpuid(&saved->cpus.items[i], want);
		if (!check_cpu_features(i, want, supported, m, err))
			return false;
	}
	return true;
}

static bool check_cpus(const struct desc *saved, struct machine *m, struct error *err)
{
	if (saved->cpus.len != m->n_vcpus)
		return error_set(err, "the saved machine has %zu CPUs, this one %u",
			saved->cpus.len, m->n_vcpus);
	for (uint32_t i = 0; i < m->n_vcpus; i++) {
		if (saved->cpus.items[i].apic_id != m->vcpus[i].apic_id)
			return error_set(err,
				"CPU %u has APIC id %u there and %u here: another topology of "
				"sockets, cores and threads",
				i, saved->cpus.items[i].apic_id, m->vcpus[i].apic_id);
	}
	return check_features(saved, m, err);
}

/* kvmclock is told anew; a guest that counts the TSC itself runs at another pace. */
static void check_tsc(const struct desc *saved, const struct desc *own)
{
	uint64_t a = saved->tsc_khz, b = own->tsc_khz, diff = a > b ? a - b : b - a;

	if (a && b && diff * 1000000 > a * TSC_TOLERANCE_PPM)
		log_warn("migrate",
			"the guest's TSC ran at %llu kHz and runs at %llu kHz here: its clock is "
			"right with kvmclock only",
			(unsigned long long)a, (unsigned long long)b);
}

bool desc_check(const struct desc *saved, struct machine *m, struct error *err)
{
	struct desc own = { 0 };
	bool ok = desc_fill(&own, m, err);

	ok = ok && check_memory(saved, &own, err) && check_devices(saved, &own, err) &&
	     check_cpus(saved, m, err);
	if (ok) {
		number_devices(saved, &own, m);
		check_tsc(saved, &own);
	}
	fields_fini(&desc_table, &own);
	return ok;
}

/* The engines' tables differ in what is no feature (caches, the frequency): the guest keeps what it
 * was told. */
bool desc_adopt(
	const struct desc *saved, struct machine *m, struct x86_cpuid *cpuids, struct error *err)
{
	for (uint32_t i = 0; i < m->n_vcpus; i++) {
		struct vcpu *v = &m->vcpus[i];

		if (!saved->cpus.items[i].leaves.len || !m->accel->vcpu_set_cpuid)
			continue;
		to_cpuid(&saved->cpus.items[i], &cpuids[i]);
		if (!m->accel->vcpu_set_cpuid(v->accel, &cpuids[i], err))
			return error_prefix(err, "CPU %u", i);
		v->cpuid = &cpuids[i];
	}
	return true;
}
