// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/stream.h"

#include <assert.h>
#include "base/wire.h"

#define RECORD_HEAD 8

static void put_head(struct str *out, uint16_t tag, uint16_t flags, uint32_t len)
{
	uint8_t head[RECORD_HEAD];

	wr_le16(head, tag);
	wr_le16(head + 2, flags);
	wr_le32(head + 4, len);
	str_append_mem(out, head, sizeof(head));
}

void stream_put(struct str *out, uint16_t tag, uint16_t flags, const void *p, size_t len)
{
	if (len > UINT32_MAX) {
		out->failed = true;
		return;
	}
	put_head(out, tag, flags, (uint32_t)len);
	str_append_mem(out, p, len);
}

size_t stream_begin(struct str *out, uint16_t tag, uint16_t flags)
{
	size_t pos = out->len;

	put_head(out, tag, flags, 0);
	return pos;
}

void stream_end(struct str *out, size_t pos)
{
	size_t len;

	if (out->failed)
		return;
	assert(pos + RECORD_HEAD <= out->len);
	len = out->len - pos - RECORD_HEAD;
	if (len > UINT32_MAX)
		out->failed = true;
	else
		wr_le32(out->s + pos + 4, (uint32_t)len);
}

bool stream_next(struct stream_reader *r, struct stream_record *rec, struct error *err)
{
	uint16_t tag, flags;
	uint32_t len;

	if (!r->len)
		return false;
	if (r->len < RECORD_HEAD)
		return error_set(err, "%zu stray bytes at the end", r->len);
	tag = rd_le16(r->p);
	flags = rd_le16(r->p + 2);
	len = rd_le32(r->p + 4);
	if (flags & ~STREAM_F_MANDATORY)
		return error_set(err, "record %u has unknown flags 0x%x", tag, flags);
	if (len > r->len - RECORD_HEAD)
		return error_set(err,
			"record %u is cut short: %u bytes are announced, %zu are there", tag, len,
			r->len - RECORD_HEAD);
	*rec = (struct stream_record){ tag, flags, r->p + RECORD_HEAD, len };
	r->p += RECORD_HEAD + len;
	r->len -= RECORD_HEAD + len;
	return true;
}
