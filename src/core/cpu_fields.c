// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/cpu_fields.h"

#include "x86/cpu_state.h"

/* In the order of enum x86_mp_state. */
static const char *const mp_names[] = { "runnable", "uninitialized", "init-received", "halted",
	"sipi-received", NULL };

static const struct field segment_fields_list[] = {
	FIELD_U64(struct x86_segment, base, "base", .tag = 1),
	FIELD_U32(struct x86_segment, limit, "limit", .tag = 2),
	FIELD_U32(struct x86_segment, attr, "attr", .tag = 3),
	FIELD_U16(struct x86_segment, selector, "selector", .tag = 4),
};
static const struct field_table segment_table = FIELD_TABLE(
	"segment", struct x86_segment, segment_fields_list);

static const struct field dtable_fields_list[] = {
	FIELD_U64(struct x86_dtable, base, "base", .tag = 1),
	FIELD_U16(struct x86_dtable, limit, "limit", .tag = 2),
};
static const struct field_table dtable_table = FIELD_TABLE(
	"descriptor-table", struct x86_dtable, dtable_fields_list);

static const struct field msr_fields_list[] = {
	FIELD_U32(struct x86_msr, index, "index", .tag = 1),
	FIELD_U64(struct x86_msr, value, "value", .tag = 2),
};
static const struct field_table msr_table = FIELD_TABLE("msr", struct x86_msr, msr_fields_list);

static const struct field events_fields_list[] = {
	FIELD_U8(struct x86_events, exception_injected, "exception_injected", .tag = 1),
	FIELD_U8(struct x86_events, exception_pending, "exception_pending", .tag = 2),
	FIELD_U8(struct x86_events, exception_nr, "exception_nr", .tag = 3),
	FIELD_U8(struct x86_events, exception_has_error, "exception_has_error", .tag = 4),
	FIELD_U32(struct x86_events, exception_error, "exception_error", .tag = 5),
	FIELD_U64(struct x86_events, exception_payload, "exception_payload", .tag = 6),
	FIELD_U8(struct x86_events, exception_has_payload, "exception_has_payload", .tag = 7),
	FIELD_U8(struct x86_events, interrupt_injected, "interrupt_injected", .tag = 8),
	FIELD_U8(struct x86_events, interrupt_nr, "interrupt_nr", .tag = 9),
	FIELD_U8(struct x86_events, interrupt_soft, "interrupt_soft", .tag = 10),
	FIELD_U8(struct x86_events, interrupt_shadow, "interrupt_shadow", .tag = 11),
	FIELD_U8(struct x86_events, nmi_injected, "nmi_injected", .tag = 12),
	FIELD_U8(struct x86_events, nmi_pending, "nmi_pending", .tag = 13),
	FIELD_U8(struct x86_events, nmi_masked, "nmi_masked", .tag = 14),
	FIELD_U8(struct x86_events, smm, "smm", .tag = 15),
	FIELD_U8(struct x86_events, smi_pending, "smi_pending", .tag = 16),
	FIELD_U8(struct x86_events, smm_inside_nmi, "smm_inside_nmi", .tag = 17),
	FIELD_U8(struct x86_events, latched_init, "latched_init", .tag = 18),
	FIELD_U8(struct x86_events, triple_fault_pending, "triple_fault_pending", .tag = 19),
	FIELD_U32(struct x86_events, sipi_vector, "sipi_vector", .tag = 20),
};
static const struct field_table events_table = FIELD_TABLE(
	"events", struct x86_events, events_fields_list);

static const struct field cpu_fields_list[] = {
	FIELD_ARRAY(struct x86_cpu_state, gpr, "gpr", FT_U64, uint64_t, .tag = 1),
	FIELD_U64(struct x86_cpu_state, rip, "rip", .tag = 2),
	FIELD_U64(struct x86_cpu_state, rflags, "rflags", .tag = 3),
	FIELD_STRUCT_ARRAY(
		struct x86_cpu_state, seg, "seg", &segment_table, struct x86_segment, .tag = 4),
	FIELD_STRUCT(struct x86_cpu_state, tr, "tr", &segment_table, .tag = 5),
	FIELD_STRUCT(struct x86_cpu_state, ldtr, "ldtr", &segment_table, .tag = 6),
	FIELD_STRUCT(struct x86_cpu_state, gdtr, "gdtr", &dtable_table, .tag = 7),
	FIELD_STRUCT(struct x86_cpu_state, idtr, "idtr", &dtable_table, .tag = 8),
	FIELD_U64(struct x86_cpu_state, cr0, "cr0", .tag = 9),
	FIELD_U64(struct x86_cpu_state, cr2, "cr2", .tag = 10),
	FIELD_U64(struct x86_cpu_state, cr3, "cr3", .tag = 11),
	FIELD_U64(struct x86_cpu_state, cr4, "cr4", .tag = 12),
	FIELD_U64(struct x86_cpu_state, cr8, "cr8", .tag = 13),
	FIELD_U64(struct x86_cpu_state, efer, "efer", .tag = 14),
	FIELD_U64(struct x86_cpu_state, apic_base, "apic_base", .tag = 15),
	FIELD_ARRAY(struct x86_cpu_state, dr, "dr", FT_U64, uint64_t, .tag = 16),
	FIELD_U64(struct x86_cpu_state, xcr0, "xcr0", .tag = 17),
	FIELD_BYTES(struct x86_cpu_state, xsave, "xsave", .tag = 18),
	FIELD_STRUCT(struct x86_cpu_state, events, "events", &events_table, .tag = 19),
	FIELD_ENUM(struct x86_cpu_state, mp_state, "mp_state", mp_names, .tag = 20),
	FIELD_STRUCT_ARRAY(struct x86_cpu_state, msr, "msr", &msr_table, struct x86_msr, .tag = 21),
	FIELD_U32(struct x86_cpu_state, n_msrs, "n_msrs", .max = X86_MSR_MAX, .tag = 22),
	FIELD_BYTES(struct x86_cpu_state, lapic, "lapic", .tag = 23),
};
const struct field_table cpu_state_fields = FIELD_TABLE(
	"cpu", struct x86_cpu_state, cpu_fields_list);

static const struct field pic_fields_list[] = {
	FIELD_U8(struct x86_pic_state, last_irr, "last_irr", .tag = 1),
	FIELD_U8(struct x86_pic_state, irr, "irr", .tag = 2),
	FIELD_U8(struct x86_pic_state, imr, "imr", .tag = 3),
	FIELD_U8(struct x86_pic_state, isr, "isr", .tag = 4),
	FIELD_U8(struct x86_pic_state, priority_add, "priority_add", .tag = 5),
	FIELD_U8(struct x86_pic_state, irq_base, "irq_base", .tag = 6),
	FIELD_U8(struct x86_pic_state, read_reg_select, "read_reg_select", .tag = 7),
	FIELD_U8(struct x86_pic_state, poll, "poll", .tag = 8),
	FIELD_U8(struct x86_pic_state, special_mask, "special_mask", .tag = 9),
	FIELD_U8(struct x86_pic_state, init_state, "init_state", .tag = 10),
	FIELD_U8(struct x86_pic_state, auto_eoi, "auto_eoi", .tag = 11),
	FIELD_U8(struct x86_pic_state, rotate_on_auto_eoi, "rotate_on_auto_eoi", .tag = 12),
	FIELD_U8(struct x86_pic_state, special_fully_nested_mode, "special_fully_nested_mode",
		.tag = 13),
	FIELD_U8(struct x86_pic_state, init4, "init4", .tag = 14),
	FIELD_U8(struct x86_pic_state, elcr, "elcr", .tag = 15),
	FIELD_U8(struct x86_pic_state, elcr_mask, "elcr_mask", .tag = 16),
};
static const struct field_table pic_table = FIELD_TABLE(
	"pic", struct x86_pic_state, pic_fields_list);

static const struct field ioapic_fields_list[] = {
	FIELD_U64(struct x86_ioapic_state, base_address, "base_address", .tag = 1),
	FIELD_U32(struct x86_ioapic_state, ioregsel, "ioregsel", .tag = 2),
	FIELD_U32(struct x86_ioapic_state, id, "id", .tag = 3),
	FIELD_U32(struct x86_ioapic_state, irr, "irr", .tag = 4),
	FIELD_ARRAY(struct x86_ioapic_state, redirtbl, "redirtbl", FT_U64, uint64_t, .tag = 5),
};
static const struct field_table ioapic_table = FIELD_TABLE(
	"ioapic", struct x86_ioapic_state, ioapic_fields_list);

static const struct field pit_channel_fields_list[] = {
	FIELD_U32(struct x86_pit_channel_state, count, "count", .max = 65536, .tag = 1),
	FIELD_U16(struct x86_pit_channel_state, latched_count, "latched_count", .tag = 2),
	FIELD_U8(struct x86_pit_channel_state, count_latched, "count_latched", .tag = 3),
	FIELD_U8(struct x86_pit_channel_state, status_latched, "status_latched", .tag = 4),
	FIELD_U8(struct x86_pit_channel_state, status, "status", .tag = 5),
	FIELD_U8(struct x86_pit_channel_state, read_state, "read_state", .tag = 6),
	FIELD_U8(struct x86_pit_channel_state, write_state, "write_state", .tag = 7),
	FIELD_U8(struct x86_pit_channel_state, write_latch, "write_latch", .tag = 8),
	FIELD_U8(struct x86_pit_channel_state, rw_mode, "rw_mode", .tag = 9),
	FIELD_U8(struct x86_pit_channel_state, mode, "mode", .tag = 10),
	FIELD_U8(struct x86_pit_channel_state, bcd, "bcd", .tag = 11),
	FIELD_U8(struct x86_pit_channel_state, gate, "gate", .tag = 12),
	FIELD_I64(struct x86_pit_channel_state, count_load_time, "count_load_time", .tag = 13),
	FIELD_U32(struct x86_pit_channel_state, next_count, "next_count", .max = 65536, .tag = 14),
	FIELD_I64(struct x86_pit_channel_state, next_time, "next_time", .tag = 15),
	FIELD_I64(struct x86_pit_channel_state, gate_time, "gate_time", .tag = 16),
};
static const struct field_table pit_channel_table = FIELD_TABLE(
	"pit-channel", struct x86_pit_channel_state, pit_channel_fields_list);

static const struct field pit_fields_list[] = {
	FIELD_STRUCT_ARRAY(struct x86_pit_state, channel, "channel", &pit_channel_table,
		struct x86_pit_channel_state, .tag = 1),
	FIELD_U32(struct x86_pit_state, flags, "flags", .tag = 2),
};
const struct field_table pit_state_fields = FIELD_TABLE(
	"pit", struct x86_pit_state, pit_fields_list);

static const struct field chips_fields_list[] = {
	FIELD_STRUCT_ARRAY(
		struct x86_chips_state, pic, "pic", &pic_table, struct x86_pic_state, .tag = 1),
	FIELD_STRUCT(struct x86_chips_state, ioapic, "ioapic", &ioapic_table, .tag = 2),
	FIELD_STRUCT(struct x86_chips_state, pit, "pit", &pit_state_fields, .tag = 3),
	FIELD_U64(struct x86_chips_state, clock_ns, "clock_ns", .tag = 4),
};
const struct field_table chips_state_fields = FIELD_TABLE(
	"chips", struct x86_chips_state, chips_fields_list);
