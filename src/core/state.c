// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Saved state of devices and vCPUs, in records (base/stream.h):
 *   STATE_DEVICE { NAME, INSTANCE, VERSION, FIELDS }   one a device that has a state table
 *   STATE_VCPU   { INSTANCE, FIELDS }                  one a vCPU
 *   STATE_CHIPS  { FIELDS }                            the engine's interrupt chips and clock
 * The interval timer is always a device in the stream (named MACHINE_PIT), also where the engine has it
 * among its chips: so a state goes from an engine with one into an engine without, and back.
 * The reader has made the same machine; every record must find its device and every device its
 * record, by type and number (device.saved_instance). Nothing of a stream is believed: fields are range-checked by their tables, relations by
 * each device's post_load.
 */
#include <stdlib.h>
#include <string.h>
#include "base/stream.h"
#include "base/wire.h"
#include "core/cpu_fields.h"
#include "core/machine.h"
#include "core/vcpu.h"
#include "x86/pit.h"

enum state_tag { STATE_DEVICE = 1, STATE_VCPU, STATE_CHIPS };
enum part_tag { PART_NAME = 1, PART_INSTANCE, PART_VERSION, PART_FIELDS };

static void put_u32(struct str *out, uint16_t tag, uint32_t v)
{
	uint8_t b[4];

	wr_le32(b, v);
	stream_put(out, tag, STREAM_F_MANDATORY, b, sizeof(b));
}

static void put_fields(struct str *out, const struct field_table *t, const void *obj)
{
	size_t pos = stream_begin(out, PART_FIELDS, STREAM_F_MANDATORY);

	fields_save(t, obj, out);
	stream_end(out, pos);
}

static void *device_state(struct device *d)
{
	return (char *)d + d->type->state_off;
}

bool device_save(struct device *d, struct str *out, struct error *err)
{
	const struct device_type *t = d->type;
	size_t pos;

	if (!t->state)
		return true;
	if (t->pre_save)
		t->pre_save(d);
	pos = stream_begin(out, STATE_DEVICE, STREAM_F_MANDATORY);
	stream_put(out, PART_NAME, STREAM_F_MANDATORY, t->name, strlen(t->name));
	put_u32(out, PART_INSTANCE, d->instance);
	put_u32(out, PART_VERSION, t->state->version);
	put_fields(out, t->state, device_state(d));
	stream_end(out, pos);
	return !out->failed || error_set(err, "%s: out of memory", device_name(d));
}

/* The parts of one STATE_* record. */
struct parts {
	char name[64];
	uint32_t instance, version;
	const uint8_t *fields;
	uint32_t fields_len;
};

static bool read_u32(const struct stream_record *r, uint32_t *out, struct error *err)
{
	if (r->len != 4)
		return error_set(err, "saved state is damaged: a number of %u bytes", r->len);
	*out = rd_le32(r->p);
	return true;
}

static bool read_part(const struct stream_record *r, struct parts *p, struct error *err)
{
	switch (r->tag) {
	case PART_NAME:
		if (r->len >= sizeof(p->name) || memchr(r->p, 0, r->len))
			return error_set(err, "saved state is damaged: bad device name");
		memcpy(p->name, r->p, r->len);
		p->name[r->len] = 0;
		return true;
	case PART_INSTANCE:
		return read_u32(r, &p->instance, err);
	case PART_VERSION:
		return read_u32(r, &p->version, err);
	case PART_FIELDS:
		p->fields = r->p;
		p->fields_len = r->len;
		return true;
	}
	if (r->flags & STREAM_F_MANDATORY)
		return error_set(err,
			"saved state holds a part (%u) that this version does not know", r->tag);
	return true;
}

static bool read_parts(const void *data, size_t len, struct parts *p, struct error *err)
{
	struct stream_reader r = { data, len };
	struct stream_record rec;
	uint32_t seen = 0;

	memset(p, 0, sizeof(*p));
	while (stream_next(&r, &rec, err)) {
		uint32_t bit = 1u << MIN(rec.tag, 31);

		if (seen & bit)
			return error_set(
				err, "saved state is damaged: part %u comes twice", rec.tag);
		seen |= bit;
		if (!read_part(&rec, p, err))
			return false;
	}
	if (err->kind != ERROR_NONE)
		return false;
	return p->fields || error_set(err, "saved state is damaged: a record without fields");
}

/* Load into a scratch copy first, so that a bad stream leaves the live object alone. What the stream
 * lacks takes its default, not what was there. */
static bool load_fields(
	const struct field_table *t, void *live, const struct parts *p, struct error *err)
{
	void *scratch = calloc(1, t->struct_size);
	bool ok = scratch && fields_init(t, scratch, err) &&
		  fields_load(t, scratch, p->fields, p->fields_len, err);

	if (!scratch)
		error_set(err, "out of memory");
	else
		fields_fini(t, scratch);
	free(scratch);
	if (!ok)
		return false;
	fields_fini(t, live);
	return fields_init(t, live, err) && fields_load(t, live, p->fields, p->fields_len, err);
}

static bool load_device(struct device *d, const struct parts *p, struct error *err)
{
	const struct device_type *t = d->type;

	if (p->version > t->state->version)
		return error_set(err, "saved by a newer version (%u, this one reads up to %u)",
			p->version, t->state->version);
	return load_fields(t->state, device_state(d), p, err) &&
	       (!t->post_load || t->post_load(d, err));
}

bool device_load(struct device *d, const void *data, size_t len, struct error *err)
{
	struct stream_reader r = { data, len };
	struct stream_record rec;
	struct parts p;

	if (!d->type->state)
		return len == 0 || error_set(err, "%s has no state to load", device_name(d));
	if (!stream_next(&r, &rec, err) || rec.tag != STATE_DEVICE)
		return err->kind != ERROR_NONE ? false : error_set(err, "no device record");
	if (!read_parts(rec.p, rec.len, &p, err) || !load_device(d, &p, err))
		return error_prefix(err, "%s", device_name(d));
	return true;
}

struct vcpu_transfer {
	struct x86_cpu_state *s;
	bool set;
	int rc;
};

static void transfer_vcpu(struct vcpu *v, void *opaque)
{
	struct vcpu_transfer *t = opaque;
	const struct accel *a = v->machine->accel;

	t->rc = t->set ? a->vcpu_set(v->accel, t->s, X86_STATE_ALL)
		       : a->vcpu_get(v->accel, t->s, X86_STATE_ALL);
}

static bool save_vcpu(struct vcpu *v, struct x86_cpu_state *s, struct str *out, struct error *err)
{
	struct vcpu_transfer t = { .s = s };
	size_t pos;

	vcpu_run_on(v, transfer_vcpu, &t);
	if (t.rc)
		return error_set_errno(err, t.rc, "cannot read the state of CPU %u", v->index);
	pos = stream_begin(out, STATE_VCPU, STREAM_F_MANDATORY);
	put_u32(out, PART_INSTANCE, v->index);
	put_fields(out, &cpu_state_fields, s);
	stream_end(out, pos);
	return true;
}

/* -------- the interval timer of an engine's -------- */

static bool engine_has_pit(const struct machine *m)
{
	const struct device *d;

	if (!m->vm || !m->accel->chips_get || m->vm->irqchip != ACCEL_IRQCHIP_FULL)
		return false;
	list_for_each (d, &m->devices, node) {
		if (!strcmp(d->type->name, MACHINE_PIT))
			return false;
	}
	return true;
}

bool machine_pit_is_engines(const struct machine *m)
{
	return engine_has_pit(m);
}

/* As the device saves itself: times are distances from now, which the VM's clock shows. */
static void save_pit(const struct x86_chips_state *chips, struct str *out)
{
	struct x86_pit_state pit = chips->pit;
	size_t pos;

	if (!x86_pit_is_reset(&pit))
		x86_pit_shift(&pit, -(int64_t)chips->clock_ns);
	pos = stream_begin(out, STATE_DEVICE, STREAM_F_MANDATORY);
	stream_put(out, PART_NAME, STREAM_F_MANDATORY, MACHINE_PIT, strlen(MACHINE_PIT));
	put_u32(out, PART_INSTANCE, 0);
	put_u32(out, PART_VERSION, pit_state_fields.version);
	put_fields(out, &pit_state_fields, &pit);
	stream_end(out, pos);
}

static bool save_cpus(struct machine *m, struct str *out, struct error *err)
{
	struct x86_cpu_state *s = calloc(1, sizeof(*s));
	struct x86_chips_state chips = { 0 };
	bool ok = s || error_set(err, "out of memory");

	for (uint32_t i = 0; ok && i < m->n_vcpus; i++)
		ok = save_vcpu(&m->vcpus[i], s, out, err);
	free(s);
	if (ok && m->accel && m->accel->chips_get) {
		int rc = m->accel->chips_get(m->vm, &chips);
		size_t pos;

		if (rc)
			return error_set_errno(err, rc, "cannot read the interrupt chips");
		if (engine_has_pit(m))
			save_pit(&chips, out);
		pos = stream_begin(out, STATE_CHIPS, STREAM_F_MANDATORY);
		put_fields(out, &chips_state_fields, &chips);
		stream_end(out, pos);
	}
	return ok;
}

bool machine_save_devices(struct machine *m, struct str *out, struct error *err)
{
	struct device *d;

	list_for_each (d, &m->devices, node) {
		if (!device_save(d, out, err))
			return false;
	}
	if (!save_cpus(m, out, err))
		return false;
	return !out->failed || error_set(err, "out of memory");
}

/* What machine_load_devices() has loaded so far, besides the devices. */
struct loaded {
	bool *cpus; /* owned, n_vcpus */
	bool chips;
	bool have_pit; /* the engine's; it goes in with the other chips */
	struct x86_pit_state pit;
};

static bool load_vcpu(
	struct machine *m, const struct parts *p, struct loaded *done, struct error *err)
{
	struct x86_cpu_state *s;
	struct vcpu_transfer t = { .set = true };
	bool ok;

	if (p->instance >= m->n_vcpus)
		return error_set(err, "saved state is of CPU %u, the machine has %u CPUs",
			p->instance, m->n_vcpus);
	if (done->cpus[p->instance])
		return error_set(err, "saved state has CPU %u twice", p->instance);
	done->cpus[p->instance] = true;
	s = t.s = calloc(1, sizeof(*s));
	ok = s ? load_fields(&cpu_state_fields, s, p, err) : error_set(err, "out of memory");
	if (ok && s->n_msrs > X86_MSR_MAX)
		ok = error_set(err, "saved state is damaged: %u MSRs", s->n_msrs);
	if (ok) {
		vcpu_run_on(&m->vcpus[p->instance], transfer_vcpu, &t);
		ok = !t.rc || error_set_errno(err, t.rc, "CPU %u does not take the saved state",
				      p->instance);
	}
	free(s);
	return ok;
}

static bool load_chips(
	struct machine *m, const struct parts *p, struct loaded *done, struct error *err)
{
	struct x86_chips_state chips = { 0 };
	int rc;

	if (done->chips)
		return error_set(err, "saved state has the interrupt chips twice");
	done->chips = true;
	if (!m->accel || !m->accel->chips_set)
		return error_set(err, "the engine has no interrupt chips to load");
	if (!load_fields(&chips_state_fields, &chips, p, err))
		return false;
	if (done->have_pit) {
		chips.pit = done->pit;
		x86_pit_sanitize(&chips.pit, 0);
		if (!x86_pit_is_reset(&chips.pit))
			x86_pit_shift(&chips.pit, (int64_t)MIN(chips.clock_ns, INT64_MAX));
	}
	rc = m->accel->chips_set(m->vm, &chips);
	return !rc || error_set_errno(err, rc, "the interrupt chips do not take the saved state");
}

static bool load_pit(const struct parts *p, struct loaded *done, struct error *err)
{
	if (done->have_pit || done->chips)
		return error_set(err, "saved state has the interval timer twice, or too late");
	if (p->version > pit_state_fields.version)
		return error_set(err, MACHINE_PIT ": saved by a newer version (%u)", p->version);
	done->have_pit = true;
	return load_fields(&pit_state_fields, &done->pit, p, err);
}

static bool load_named(
	struct machine *m, const struct parts *p, struct loaded *done, struct error *err)
{
	struct device *d;

	list_for_each (d, &m->devices, node) {
		if (!d->type->state || d->saved_instance != p->instance ||
			strcmp(d->type->name, p->name))
			continue;
		if (d->loaded)
			return error_set(err, "saved state has %s twice", device_name(d));
		d->loaded = true;
		return load_device(d, p, err) || error_prefix(err, "%s", device_name(d));
	}
	if (!p->instance && !strcmp(p->name, MACHINE_PIT) && engine_has_pit(m))
		return load_pit(p, done, err);
	return error_set(err, "saved state has a %s (number %u) that this machine has not", p->name,
		p->instance);
}

static bool load_record(
	struct machine *m, const struct stream_record *rec, struct loaded *done, struct error *err)
{
	struct parts p;

	if (rec->tag < STATE_DEVICE || rec->tag > STATE_CHIPS)
		return !(rec->flags & STREAM_F_MANDATORY) ||
		       error_set(err,
			       "saved state holds a record (%u) that this version does not know",
			       rec->tag);
	if (!read_parts(rec->p, rec->len, &p, err))
		return false;
	switch (rec->tag) {
	case STATE_DEVICE:
		return load_named(m, &p, done, err);
	case STATE_VCPU:
		return load_vcpu(m, &p, done, err);
	}
	return load_chips(m, &p, done, err);
}

static bool check_complete(struct machine *m, const struct loaded *done, struct error *err)
{
	struct device *d;

	list_for_each (d, &m->devices, node) {
		if (d->type->state && !d->loaded)
			return error_set(err, "saved state has nothing of %s (a %s)",
				device_name(d), d->type->name);
	}
	for (uint32_t i = 0; i < m->n_vcpus; i++) {
		if (!done->cpus[i])
			return error_set(err, "saved state has nothing of CPU %u", i);
	}
	return done->chips || !m->accel || !m->accel->chips_get ||
	       error_set(err, "saved state has nothing of the interrupt chips");
}

bool machine_load_devices(struct machine *m, const void *data, size_t len, struct error *err)
{
	struct stream_reader r = { data, len };
	struct loaded done = { .cpus = calloc(m->n_vcpus + 1, sizeof(bool)) };
	AUTO_FREE void *cpus = done.cpus;
	struct stream_record rec;
	struct device *d;

	if (!cpus)
		return error_set(err, "out of memory");
	list_for_each (d, &m->devices, node)
		d->loaded = false;
	while (stream_next(&r, &rec, err)) {
		if (!load_record(m, &rec, &done, err))
			return false;
	}
	return err->kind == ERROR_NONE && check_complete(m, &done, err);
}
