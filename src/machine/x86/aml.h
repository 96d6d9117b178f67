// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * aml - writes ACPI Machine Language into a struct str. Terms are appended in order; what has a
 * package length is opened with a _begin function and closed with aml_end(). Names are single
 * four-letter segments, or a root-prefixed one.
 *
 * Source: ACPI 6.5, ACPI Machine Language (AML) Specification; Resource Data Types for ACPI.
 */
#ifndef MACHINE_X86_AML_H
#define MACHINE_X86_AML_H

#include <stdint.h>
#include "base/str.h"

/* Each returns the position to give to aml_end(). */
size_t aml_scope_begin(struct str *s, const char *name);
size_t aml_device_begin(struct str *s, const char *name);
/* @args 0..7; not serialized. */
size_t aml_method_begin(struct str *s, const char *name, uint8_t args);
size_t aml_package_begin(struct str *s, uint8_t n);
/* A buffer whose contents are appended as they are (at most 64 KiB). */
size_t aml_buffer_begin(struct str *s);
void aml_end(struct str *s, size_t pos);
/* Closes aml_buffer_begin(). */
void aml_buffer_end(struct str *s, size_t pos);

/* Name(@name, ...): the value is appended next. */
void aml_name(struct str *s, const char *name);
void aml_int(struct str *s, uint64_t v);
void aml_string(struct str *s, const char *text);
/* Name(@name, @v) */
void aml_name_int(struct str *s, const char *name, uint64_t v);
/* Name(@name, EISAID(@id)): @id as "PNP0A08". */
void aml_name_eisaid(struct str *s, const char *name, const char *id);
void aml_name_string(struct str *s, const char *name, const char *text);
/* OperationRegion(@name, SystemIO, @port, @len) and a Field of @n dwords over it, from its start. */
void aml_region_io(struct str *s, const char *name, uint16_t port, uint8_t len);
void aml_fields32(struct str *s, const char *region, const char *const *names, unsigned int n);
/* Store(@name, Local@n), Store(Local@n, @name), @name = @v. */
void aml_load_local(struct str *s, uint8_t n, const char *name);
void aml_store_local(struct str *s, const char *name, uint8_t n);
void aml_store_int(struct str *s, const char *name, uint64_t v);
/* If(And(Local@n, @mask)) { ... }: closed with aml_end(). */
size_t aml_if_local_begin(struct str *s, uint8_t n, uint32_t mask);
/* Notify(^@dev.@child, @v): in a method, beside which @dev is. */
void aml_notify(struct str *s, const char *dev, const char *child, uint8_t v);
/* Calls the method \\@scope.@dev.@method, which takes nothing. */
void aml_call(struct str *s, const char *scope, const char *dev, const char *method);
/* Return (ArgN) */
void aml_return_arg(struct str *s, uint8_t n);

/* Resource templates: Name(_CRS, ResourceTemplate () { ... }). */
size_t aml_crs_begin(struct str *s);
void aml_crs_end(struct str *s, size_t pos);
void aml_res_io(struct str *s, uint16_t port, uint8_t len);
void aml_res_irq(struct str *s, uint8_t irq); /* edge, high, exclusive */
void aml_res_mem32(struct str *s, uint32_t base, uint32_t len);
/* Windows that a bridge passes on. */
void aml_res_bus(struct str *s, uint16_t first, uint16_t count);
void aml_res_window_io(struct str *s, uint16_t base, uint16_t len);
void aml_res_window_mem(struct str *s, uint64_t base, uint64_t len);

#endif
