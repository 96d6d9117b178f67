// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * load - reading a stream into a machine that waits for it. The stream is an enemy's: each section is
 * bounded, has its checksum, and is then checked for what it means; nothing that it brings is used
 * before. Guest memory alone is filled first and judged afterwards: nobody looks at it until then.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>
#include "base/stream.h"
#include "base/wire.h"
#include "core/machine.h"
#include "migrate/migrate_int.h"

static bool read_bytes(struct job *j, void *p, size_t len, struct error *err)
{
	struct iovec iov = { p, len };

	return job_read(j, &iov, 1, err);
}

static bool damaged(const struct section *s, struct error *err)
{
	static const char *const names[] = { "", "description", "memory", "round", "state", "end" };

	return error_set(err, "the saved state is damaged: checksum of its %s",
		s->type < ARRAY_SIZE(names) ? names[s->type] : "unknown part");
}

static bool read_head(struct job *j, struct error *err)
{
	uint8_t head[STREAM_HEAD];
	uint32_t version, flags;

	if (!read_bytes(j, head, sizeof(head), err))
		return false;
	if (memcmp(head, STREAM_MAGIC, 8))
		return error_set(err, "is no saved state of lodge's");
	version = rd_le32(head + 8);
	flags = rd_le32(head + 12);
	if (rd_le32(head + 60) != crc32c(0, head, 60))
		return error_set(err, "the saved state is damaged: its first bytes");
	if (!version || version > STREAM_VERSION || flags & ~STREAM_F_ANSWER)
		return error_set(
			err, "saved by a newer version (form %u, flags %#x)", version, flags);
	if (rd_le32(head + 16) != PAGE)
		return error_set(err, "saved with pages of %u bytes", rd_le32(head + 16));
	for (unsigned int i = 20; i < 60; i++)
		if (head[i])
			return error_set(err, "saved by a newer version (its first bytes)");
	/* Without a way back there is nobody to answer. */
	j->answer = flags & STREAM_F_ANSWER && j->ch.socket;
	return true;
}

/* The next section's header; it counts for the end's sum. Under the lock, as all that reads. */
static bool next_section(struct job *j, struct section *s, struct error *err)
{
	uint8_t head[SECTION_HEAD];

	if (!read_bytes(j, head, sizeof(head), err) || !section_get_head(head, s, err))
		return false;
	if (s->type == SECTION_END)
		return true;
	j->chain = crc32c(j->chain, head, sizeof(head));
	j->sections++;
	j->bytes += sizeof(head) + s->len;
	return true;
}

/* A payload of at most @max bytes; checked. */
static bool read_payload(
	struct job *j, const struct section *s, uint64_t max, struct str *out, struct error *err)
{
	char buf[16384];
	uint32_t crc = 0;

	if (s->len > max)
		return error_set(err, "the saved state is damaged: a part of %llu bytes",
			(unsigned long long)s->len);
	str_clear(out);
	for (uint64_t left = s->len; left;) {
		size_t n = MIN(left, sizeof(buf));

		if (!read_bytes(j, buf, n, err))
			return false;
		crc = crc32c(crc, buf, n);
		str_append_mem(out, buf, n);
		left -= n;
	}
	if (out->failed)
		return error_set(err, "out of memory for %llu bytes of saved state",
			(unsigned long long)s->len);
	return crc == s->crc || damaged(s, err);
}

/* -------- description -------- */

/* Texts of the stream come into messages, and so onto terminals. */
static void clean_text(char *text)
{
	for (; text && *text; text++)
		if ((unsigned char)*text < ' ' || (unsigned char)*text == 0x7f)
			*text = '?';
}

static void clean_desc(struct desc *d)
{
	clean_text(d->version);
	clean_text(d->name);
	clean_text(d->engine);
	for (size_t i = 0; i < d->devices.len; i++) {
		clean_text(d->devices.items[i].type);
		clean_text(d->devices.items[i].id);
		clean_text(d->devices.items[i].place);
	}
	for (size_t i = 0; i < d->blocks.len; i++)
		clean_text(d->blocks.items[i].name);
}

/* On main: the machine as it is now. */
static bool check_and_adopt(struct job *j, struct error *err)
{
	struct migrate *g = j->g;
	struct machine *m = g->m;

	if (m->state != RUN_INCOMING)
		return error_set(err, "the machine does not wait for a state any more");
	if (!desc_check(&j->in, m, err))
		return error_prefix(err, "this machine is not the one that was saved");
	if (!g->cpuids)
		g->cpuids = calloc(m->n_vcpus + 1, sizeof(*g->cpuids));
	if (!g->cpuids)
		return error_set(err, "out of memory");
	return desc_adopt(&j->in, m, g->cpuids, err);
}

static bool load_desc(struct job *j, struct error *err)
{
	AUTO(str) payload = STR_INIT;
	struct section s;

	if (!next_section(j, &s, err))
		return false;
	if (s.type != SECTION_DESC)
		return error_set(
			err, "the saved state is damaged: it does not begin with a description");
	if (!read_payload(j, &s, DESC_MAX, &payload, err) || !fields_init(&desc_table, &j->in, err))
		return false;
	j->have_in = true;
	if (!fields_load(&desc_table, &j->in, payload.s, payload.len, err))
		return error_prefix(err, "the saved state's description");
	clean_desc(&j->in);
	return job_on_main(j, check_and_adopt, err) && ram_set_clear(&j->ram, err);
}

/* -------- memory -------- */

/* What a thread that loads has: room for a chunk as it comes. */
struct loader {
	struct packer *z;
	uint8_t *room; /* CHUNK_MAX */
};

static bool make_packer(struct job *j, struct loader *l, struct error *err)
{
	if (!migrate_has_zstd())
		return error_set(err, "the saved state is compressed with zstd, which this lodge "
				      "is built without");
	if (!l->z)
		l->z = packer_new(&j->params);
	return l->z || error_set(err, "out of memory");
}

/* Under the lock: read the section's bytes, plain ones where they belong. @rest: bytes of the payload in
 * the room, behind the head; -1: plain. */
static bool read_chunk(struct job *j, const struct section *s, struct loader *l, struct chunk *c,
	struct iovec *iov, int *n, struct error *err)
{
	uint64_t want;

	if (s->len < CHUNK_HEAD || s->len > CHUNK_MAX)
		return error_set(err, "the saved state is damaged: %llu bytes of memory",
			(unsigned long long)s->len);
	if (!read_bytes(j, l->room, CHUNK_HEAD, err) || !chunk_get_head(&j->ram, l->room, c, err))
		return false;
	*n = chunk_iov(&j->ram, c, iov);
	want = (uint64_t)chunk_data_pages(c) * PAGE;
	if (c->encoding == CHUNK_ZSTD)
		return read_bytes(j, l->room + CHUNK_HEAD, s->len - CHUNK_HEAD, err);
	if (s->len - CHUNK_HEAD != want)
		return error_set(err,
			"the saved state is damaged: %llu bytes of memory where %llu are "
			"wanted",
			(unsigned long long)(s->len - CHUNK_HEAD), (unsigned long long)want);
	return job_read(j, iov, *n, err);
}

/* Without the lock. */
static bool finish_chunk(struct job *j, const struct section *s, struct loader *l,
	const struct chunk *c, const struct iovec *iov, int n, struct error *err)
{
	size_t len = s->len - CHUNK_HEAD;
	uint32_t pages = chunk_data_pages(c), crc;

	crc = crc32c(0, l->room, CHUNK_HEAD);
	if (c->encoding == CHUNK_ZSTD) {
		if (crc32c(crc, l->room + CHUNK_HEAD, len) != s->crc)
			return damaged(s, err);
		if (!make_packer(j, l, err))
			return false;
		if (!chunk_unpack(l->z, l->room + CHUNK_HEAD, len, iov, n, (size_t)pages * PAGE))
			return error_set(
				err, "the saved state is damaged: memory that does not unpack");
	} else {
		for (int i = 0; i < n; i++)
			crc = crc32c(crc, iov[i].iov_base, iov[i].iov_len);
		if (crc != s->crc)
			return damaged(s, err);
	}
	chunk_clear(&j->ram, c);
	atomic_fetch_add_explicit(&j->data_pages, pages, memory_order_relaxed);
	atomic_fetch_add_explicit(&j->done_bytes, (uint64_t)pages * PAGE, memory_order_relaxed);
	return true;
}

/* -------- the other sections -------- */

static bool read_end(struct job *j, const struct section *s, struct error *err)
{
	AUTO(str) p = STR_INIT;

	if (!read_payload(j, s, END_LEN, &p, err))
		return false;
	if (p.len != END_LEN || rd_le64(p.s) != j->sections || rd_le64(p.s + 8) != j->bytes ||
		rd_le32(p.s + 16) != j->chain || rd_le32(p.s + 20))
		return error_set(err, "the saved state is damaged: parts are missing or changed");
	if (!j->have_state)
		return error_set(
			err, "the saved state is damaged: it ends without devices and CPUs");
	j->ended = true;
	return true;
}

/* Wait until the others have nothing in hand: what comes may replace what they are putting down. */
static void wait_others(struct job *j) REQUIRES(j->lock)
{
	while (j->busy && !atomic_load(&j->failed))
		pthread_cond_wait(&j->cond, &j->lock.m);
}

static bool load_other(struct job *j, const struct section *s, struct error *err) REQUIRES(j->lock)
{
	AUTO(str) skipped = STR_INIT;

	switch (s->type) {
	case SECTION_ROUND:
		wait_others(j);
		return read_payload(j, s, OTHER_MAX, &skipped, err);
	case SECTION_STATE:
		if (j->have_state)
			return error_set(err, "the saved state is damaged: devices and CPUs twice");
		j->have_state = true;
		return read_payload(j, s, STATE_MAX, &j->state, err);
	case SECTION_END:
		return read_end(j, s, err);
	case SECTION_DESC:
		return error_set(err, "the saved state is damaged: a second description");
	}
	if (s->flags & SECTION_F_MUST)
		return error_set(err, "saved by a newer version (a part %u)", s->type);
	return read_payload(j, s, OTHER_MAX, &skipped, err);
}

/* One section. */
static bool load_section(struct job *j, struct loader *l, struct error *err)
{
	struct iovec iov[CHUNK_IOVS];
	struct section s = { 0 };
	struct chunk c;
	bool ok, ram = false;
	int n = 0;

	mutex_lock(&j->lock);
	ok = j->ended || job_stopped(j) || next_section(j, &s, err);
	if (ok && !j->ended && !job_stopped(j)) {
		ram = s.type == SECTION_RAM;
		ok = ram ? read_chunk(j, &s, l, &c, iov, &n, err) : load_other(j, &s, err);
	}
	ram = ram && ok;
	j->busy += ram;
	mutex_unlock(&j->lock);
	if (!ram)
		return ok;
	ok = finish_chunk(j, &s, l, &c, iov, n, err);
	mutex_lock(&j->lock);
	j->busy--;
	pthread_cond_broadcast(&j->cond);
	mutex_unlock(&j->lock);
	return ok;
}

static bool at_end(struct job *j)
{
	bool end;

	mutex_lock(&j->lock);
	end = j->ended;
	mutex_unlock(&j->lock);
	return end;
}

static void load_sections(struct job *j)
{
	struct loader l = { .room = malloc(CHUNK_MAX) };
	struct error err = ERROR_INIT;
	bool ok = l.room || error_set(&err, "out of memory");

	while (ok && !job_stopped(j) && !at_end(j))
		ok = load_section(j, &l, &err);
	if (!ok)
		job_fail(j, &err);
	packer_free(l.z);
	free(l.room);
}

/* -------- all of it -------- */

static bool load_state(struct job *j, struct error *err)
{
	struct machine *m = j->g->m;

	if (m->state != RUN_INCOMING)
		return error_set(err, "the machine does not wait for a state any more");
	return machine_load_devices(m, j->state.s, j->state.len, err);
}

/* Somebody has come: who connects to our socket, or whose bytes are there. (A FIFO that nobody has opened to write
 * yet has neither bytes nor an end.) */
static bool accept_peer(struct job *j, struct error *err)
{
	bool listens = j->ch.listen_fd >= 0;
	struct pollfd p = { .fd = listens ? j->ch.listen_fd : j->ch.fd, .events = POLLIN };

	if (j->ch.regular)
		return true;
	while (poll(&p, 1, 100) <= 0)
		if (job_stopped(j))
			return error_set(err, "cancelled");
	if (!listens)
		return true;
	j->ch.fd = accept4(j->ch.listen_fd, NULL, NULL, SOCK_CLOEXEC);
	return j->ch.fd >= 0 || error_set_errno(err, errno, "nobody connects");
}

/* Nothing may follow in a file. */
static bool check_rest(struct job *j, struct error *err)
{
	char byte;

	return !j->ch.regular || read(j->ch.fd, &byte, 1) == 0 ||
	       error_set(err, "the saved state is damaged: bytes after its end");
}

static bool answer(struct job *j, struct error *err)
{
	char word[ANSWER_LEN];
	struct iovec iov = { (char *)(uintptr_t)ANSWER_LOADED, ANSWER_LEN };

	if (!j->answer)
		return true;
	if (!job_write(j, &iov, 1, err) || !read_bytes(j, word, sizeof(word), err))
		return error_prefix(err, "the side that saves");
	return !memcmp(word, ANSWER_GO, ANSWER_LEN) ||
	       error_set(err, "the side that saves does not give the machine up");
}

void load_run(struct job *j)
{
	struct error err = ERROR_INIT;
	bool ok = accept_peer(j, &err) && job_on_main(j, job_active, &err) && read_head(j, &err) &&
		  load_desc(j, &err);

	if (ok)
		job_threads(j, job_thread_count(j), load_sections);
	if (job_stopped(j))
		return;
	ok = ok && check_rest(j, &err) && job_on_main(j, load_state, &err) && answer(j, &err);
	if (!ok)
		job_fail(j, &err);
}
