// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stream - saved state on the wire. A stream is a run of records; a record is
 *     le16 tag | le16 flags (bit 0: a reader that does not know the tag must refuse) | le32 length
 *     | length bytes
 * A field table's struct is a run of records, one a field with a tag, in any order:
 *   integers         in their own width, little-endian; bool 1 byte, enum 4 (the index)
 *   bytes, MAC       as they are
 *   string           the text and its NUL; no bytes at all: absent (NULL)
 *   struct, union    the run of its own records (an empty arm has no record)
 *   array, list      elements of fixed size one after the other; strings and structs as records
 *                    with tag 1
 * Writer: into memory, the owner sends it on. Reader: over memory, everything hostile - lengths
 * are checked, depth is limited, duplicates and trailing bytes refused.
 */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/field.h"
#include "base/str.h"

#define STREAM_DEPTH_MAX   8
#define STREAM_F_MANDATORY 1u

struct stream_reader {
	const uint8_t *p; /* borrowed */
	size_t len;
};

struct stream_record {
	uint16_t tag, flags;
	const uint8_t *p; /* inside the reader's memory */
	uint32_t len;
};

/* Writing appends to a struct str; check ->failed once at the end. */
void stream_put(struct str *out, uint16_t tag, uint16_t flags, const void *p, size_t len);
/* Open a record whose length is not known yet; close it with the returned position. */
size_t stream_begin(struct str *out, uint16_t tag, uint16_t flags);
void stream_end(struct str *out, size_t pos);
/* Next record; false at the end (err untouched, kind ERROR_NONE) or on damage (err set). */
bool stream_next(struct stream_reader *r, struct stream_record *rec, struct error *err) MUST_USE;

/* Write all members with a tag. */
void fields_save(const struct field_table *t, const void *obj, struct str *out);
/* Read over an object that fields_init() has prepared: unknown mandatory tags refuse, missing tags
 * keep their default, every value is checked against its limits. On failure @obj may be half
 * loaded; the caller discards it. */
bool fields_load(const struct field_table *t, void *obj, const void *p, size_t len,
	struct error *err) MUST_USE;

#endif
