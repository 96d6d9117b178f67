// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stream_testing - for tests and the fuzzer: walk over a stream in memory, and put all of its checksums
 * right, so that what is wrong otherwise gets past them.
 */
#ifndef MIGRATE_STREAM_TESTING_H
#define MIGRATE_STREAM_TESTING_H

#include <string.h>
#include "base/wire.h"
#include "migrate/migrate_int.h"

/* The section at @off of the stream: its whole length with header, or 0: there is none, whole. */
static inline size_t stream_section(const uint8_t *p, size_t len, size_t off)
{
	uint64_t payload;

	if (off > len || len - off < SECTION_HEAD)
		return 0;
	payload = rd_le64(p + off + 16);
	return payload > len - off - SECTION_HEAD ? 0 : SECTION_HEAD + (size_t)payload;
}

static inline void stream_reseal(uint8_t *p, size_t len)
{
	uint64_t sections = 0, bytes = 0;
	uint32_t chain = 0;

	if (len < STREAM_HEAD)
		return;
	wr_le32(p + 60, crc32c(0, p, 60));
	for (size_t off = STREAM_HEAD, n; (n = stream_section(p, len, off)); off += n) {
		uint8_t *s = p + off;

		if (rd_le16(s + 4) == SECTION_END && n == SECTION_HEAD + END_LEN) {
			wr_le64(s + SECTION_HEAD, sections);
			wr_le64(s + SECTION_HEAD + 8, bytes);
			wr_le32(s + SECTION_HEAD + 16, chain);
		}
		wr_le32(s, SECTION_MAGIC);
		wr_le32(s + 12, crc32c(0, s + SECTION_HEAD, n - SECTION_HEAD));
		wr_le32(s + 28, crc32c(0, s, 28));
		chain = crc32c(chain, s, SECTION_HEAD);
		sections++;
		bytes += n;
	}
}

#endif
