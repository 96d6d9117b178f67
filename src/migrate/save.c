// SPDX-License-Identifier: GPL-2.0-or-later
/* save - writing a stopped machine: description, memory by several threads, state, end. */
#include <stdlib.h>
#include <string.h>
#include "base/wire.h"
#include "migrate/migrate_int.h"

/* One after the other over all blocks. False: there are no more. */
static bool next_chunk(struct job *j, struct chunk *c)
{
	uint64_t i = atomic_fetch_add_explicit(&j->next_chunk, 1, memory_order_relaxed);

	for (uint32_t b = 0; b < j->ram.n; b++) {
		uint64_t pages = j->ram.block[b]->size / PAGE;
		uint64_t chunks = (pages + CHUNK_PAGES - 1) / CHUNK_PAGES;

		if (i < chunks) {
			*c = (struct chunk){ .block = b, .first = i * CHUNK_PAGES };
			c->n = (uint32_t)MIN(pages - c->first, (uint64_t)CHUNK_PAGES);
			return true;
		}
		i -= chunks;
	}
	return false;
}

static bool save_chunk(
	struct job *j, struct chunk *c, struct packer *z, uint8_t *room, struct error *err)
{
	uint8_t head[CHUNK_HEAD];
	struct iovec iov[CHUNK_IOVS + 2];
	uint32_t pages = chunk_scan(&j->ram, c);
	size_t packed = 0;
	int n;

	atomic_fetch_add_explicit(&j->data_pages, pages, memory_order_relaxed);
	atomic_fetch_add_explicit(&j->zero_pages, c->n - pages, memory_order_relaxed);
	atomic_fetch_add_explicit(&j->done_bytes, (uint64_t)c->n * PAGE, memory_order_relaxed);
	if (!pages)
		return true;
	iov[1] = (struct iovec){ head, sizeof(head) };
	n = chunk_iov(&j->ram, c, iov + 2);
	if (z)
		packed = chunk_pack(z, iov + 2, n, (size_t)pages * PAGE, room);
	if (packed) {
		c->encoding = CHUNK_ZSTD;
		iov[2] = (struct iovec){ room, packed };
		n = 1;
	}
	chunk_put_head(c, head);
	return job_put_section(j, SECTION_RAM, SECTION_F_MUST, 0, iov, n + 2, err);
}

static void save_chunks(struct job *j)
{
	bool pack = j->params.tuned && j->params.compress == MIGRATE_ZSTD;
	struct packer *z = pack ? packer_new(&j->params) : NULL;
	AUTO_FREE uint8_t *room = pack ? malloc(CHUNK_MAX) : NULL;
	struct error err = ERROR_INIT;
	struct chunk c;
	bool ok = !pack || (z && room) || error_set(&err, "out of memory for compression");

	while (ok && !job_stopped(j) && next_chunk(j, &c))
		ok = save_chunk(j, &c, z, room, &err);
	if (!ok)
		job_fail(j, &err);
	packer_free(z);
}

static bool save_head(struct job *j, struct error *err)
{
	uint8_t head[STREAM_HEAD] = STREAM_MAGIC;
	struct iovec iov = { head, sizeof(head) };

	wr_le32(head + 8, STREAM_VERSION);
	wr_le32(head + 12, j->answer ? STREAM_F_ANSWER : 0);
	wr_le32(head + 16, PAGE);
	wr_le32(head + 60, crc32c(0, head, 60));
	return job_write(j, &iov, 1, err);
}

static bool save_block(
	struct job *j, enum section_type type, const void *p, size_t len, struct error *err)
{
	struct iovec iov[2] = { { 0 }, { (void *)(uintptr_t)p, len } };

	return job_put_section(j, type, SECTION_F_MUST, 0, iov, 2, err);
}

static bool save_end(struct job *j, struct error *err)
{
	uint8_t end[END_LEN] = { 0 };

	wr_le64(end, j->sections);
	wr_le64(end + 8, j->bytes);
	wr_le32(end + 16, j->chain);
	return save_block(j, SECTION_END, end, sizeof(end), err) && channel_commit(&j->ch, err);
}

/* The reader tells that it has loaded everything. */
static bool save_answer(struct job *j, struct error *err)
{
	char answer[ANSWER_LEN];
	struct iovec iov = { answer, sizeof(answer) };

	if (!j->answer)
		return true;
	if (!job_read(j, &iov, 1, err))
		return error_set(
			err, "the other side has refused the state (it says why), or has gone");
	return !memcmp(answer, ANSWER_LOADED, ANSWER_LEN) ||
	       error_set(err, "the other side's answer is no answer");
}

void save_run(struct job *j)
{
	struct error err = ERROR_INIT;
	bool ok = save_head(j, &err) && save_block(j, SECTION_DESC, j->desc.s, j->desc.len, &err);

	if (ok)
		job_threads(j, job_thread_count(j), save_chunks);
	if (ok && !job_stopped(j) &&
		!(ok = save_block(j, SECTION_STATE, j->state.s, j->state.len, &err) &&
			save_end(j, &err) && save_answer(j, &err)))
		job_fail(j, &err);
	else if (!ok)
		job_fail(j, &err);
}
