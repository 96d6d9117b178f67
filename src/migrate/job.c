// SPDX-License-Identifier: GPL-2.0-or-later
/* job - what saving and loading share: threads, the stream's bytes, sections, questions to main. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/wire.h"
#include "core/machine.h"
#include "migrate/migrate_int.h"

#define POLL_MS	     100 /* how long a cancel may go unnoticed */
#define WRITEBACK    (8ull << 20)
#define THREADS_AUTO 8u

void job_fail(struct job *j, const struct error *err)
{
	mutex_lock(&j->lock);
	if (!atomic_load(&j->failed))
		j->err = *err;
	atomic_store(&j->failed, true);
	pthread_cond_broadcast(&j->cond);
	mutex_unlock(&j->lock);
}

/* -------- questions to main -------- */

/* On main. */
static void answer_ask(void *opaque)
{
	struct job *j = opaque;
	bool ok, wanted;

	mutex_lock(&j->ask_lock);
	wanted = j->ask == JOB_ASKED;
	if (wanted)
		j->ask = JOB_ANSWERING;
	mutex_unlock(&j->ask_lock);
	if (!wanted)
		return;
	ok = j->ask_fn(j, j->ask_err);
	mutex_lock(&j->ask_lock);
	j->ask_ok = ok;
	j->ask = JOB_ANSWERED;
	pthread_cond_broadcast(&j->ask_cond);
	mutex_unlock(&j->ask_lock);
}

void job_init(struct job *j, struct migrate *g, bool incoming)
{
	j->g = g;
	j->loop = g->m->main_loop;
	j->params = g->params;
	j->incoming = incoming;
	j->ch.fd = j->ch.listen_fd = -1;
	j->ram.pagemap = -1;
	mutex_init(&j->lock);
	pthread_cond_init(&j->cond, NULL);
	mutex_init(&j->ask_lock);
	pthread_cond_init(&j->ask_cond, NULL);
	loop_defer_init(&j->ask_defer, answer_ask, j);
}

bool job_on_main(struct job *j, bool (*fn)(struct job *j, struct error *err), struct error *err)
{
	bool ok;

	mutex_lock(&j->ask_lock);
	j->ask_fn = fn;
	j->ask_err = err;
	j->ask = JOB_ASKED;
	mutex_unlock(&j->ask_lock);
	loop_post(j->loop, &j->ask_defer);
	mutex_lock(&j->ask_lock);
	/* A cancel comes from main, which may be waiting for us: it will not answer then. */
	while (j->ask != JOB_ANSWERED && (j->ask == JOB_ANSWERING || !atomic_load(&j->cancel)))
		pthread_cond_wait(&j->ask_cond, &j->ask_lock.m);
	ok = j->ask == JOB_ANSWERED && j->ask_ok;
	if (j->ask != JOB_ANSWERED)
		error_set(err, "cancelled");
	j->ask = JOB_QUIET;
	mutex_unlock(&j->ask_lock);
	return ok;
}

/* -------- threads -------- */

unsigned int job_thread_count(const struct job *j)
{
	cpu_set_t set; /* sysconf() would open files */
	int cpus = sched_getaffinity(0, sizeof(set), &set) ? 0 : CPU_COUNT(&set);

	if (j->params.tuned)
		return MIN(MAX(j->params.threads, 1u), (uint32_t)MIGRATE_THREADS_MAX);
	return cpus < 1 ? 1 : MIN((unsigned int)cpus, THREADS_AUTO);
}

struct helper {
	struct job *j;
	void (*fn)(struct job *j);
	pthread_t thread;
};

static void *helper_thread(void *arg)
{
	struct helper *h = arg;

	thread_enter(ROLE_WORKER, h->j->incoming ? "load" : "save");
	h->fn(h->j);
	return NULL;
}

void job_threads(struct job *j, unsigned int n, void (*fn)(struct job *j))
{
	struct helper h[MIGRATE_THREADS_MAX];
	unsigned int made = 0;

	/* Fewer threads than wanted do as well. */
	for (; made + 1 < n; made++) {
		h[made] = (struct helper){ .j = j, .fn = fn };
		if (thread_create(&h[made].thread, false, -1, helper_thread, &h[made]))
			break;
	}
	fn(j);
	while (made)
		pthread_join(h[--made].thread, NULL);
}

/* -------- bytes -------- */

/* Move @iov on by @n bytes; returns how many elements are left. */
static int iov_advance(struct iovec **iov, int left, size_t n)
{
	while (left && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		(*iov)++;
		left--;
	}
	if (n) {
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
	return left;
}

/* Wait for @events on a descriptor that may make us wait. False: the job is to end. */
static bool wait_ready(struct job *j, int fd, short events, struct error *err)
{
	struct pollfd p = { .fd = fd, .events = events };
	int r;

	do {
		if (job_stopped(j))
			return error_set(err, "cancelled");
		r = poll(&p, 1, POLL_MS);
	} while (r == 0 || (r < 0 && errno == EINTR));
	return r > 0 || error_set_errno(err, errno, "the stream's descriptor");
}

static ssize_t send_some(struct job *j, struct iovec *iov, int n)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)n };

	return j->ch.socket ? sendmsg(j->ch.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT)
			    : writev(j->ch.fd, iov, n);
}

bool job_write(struct job *j, const struct iovec *in, int n, struct error *err)
{
	struct iovec copy[CHUNK_IOVS + 2], *iov = copy;

	memcpy(copy, in, (size_t)n * sizeof(*in));
	n = iov_advance(&iov, n, 0);
	while (n) {
		ssize_t done = send_some(j, iov, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 && errno == EAGAIN) {
			if (!wait_ready(j, j->ch.fd, POLLOUT, err))
				return false;
			continue;
		}
		if (done <= 0)
			return error_set_errno(err, done ? errno : EIO,
				"writing the saved state%s%s", j->ch.path ? " to " : "",
				j->ch.path ?: "");
		n = iov_advance(&iov, n, (size_t)done);
		atomic_fetch_add_explicit(&j->stream_bytes, (uint64_t)done, memory_order_relaxed);
	}
	return true;
}

bool job_read(struct job *j, const struct iovec *in, int n, struct error *err)
{
	struct iovec copy[CHUNK_IOVS + 2], *iov = copy;

	memcpy(copy, in, (size_t)n * sizeof(*in));
	n = iov_advance(&iov, n, 0);
	while (n) {
		ssize_t done;

		if (!j->ch.regular && !wait_ready(j, j->ch.fd, POLLIN, err))
			return false;
		done = readv(j->ch.fd, iov, n);
		if (done < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (done < 0)
			return error_set_errno(err, errno, "reading the saved state");
		if (!done)
			return error_set(err, "the saved state is cut short");
		n = iov_advance(&iov, n, (size_t)done);
		atomic_fetch_add_explicit(&j->stream_bytes, (uint64_t)done, memory_order_relaxed);
	}
	return true;
}

/* -------- sections -------- */

void section_put_head(const struct section *s, uint8_t *buf)
{
	memset(buf, 0, SECTION_HEAD);
	wr_le32(buf, SECTION_MAGIC);
	wr_le16(buf + 4, s->type);
	wr_le16(buf + 6, s->flags);
	wr_le32(buf + 8, s->id);
	wr_le32(buf + 12, s->crc);
	wr_le64(buf + 16, s->len);
	wr_le32(buf + 28, crc32c(0, buf, 28));
}

bool section_get_head(const uint8_t *buf, struct section *s, struct error *err)
{
	if (rd_le32(buf) != SECTION_MAGIC || rd_le32(buf + 28) != crc32c(0, buf, 28))
		return error_set(err, "the saved state is damaged: no section where one should be");
	*s = (struct section){
		.type = rd_le16(buf + 4),
		.flags = rd_le16(buf + 6),
		.id = rd_le32(buf + 8),
		.crc = rd_le32(buf + 12),
		.len = rd_le64(buf + 16),
	};
	if (s->flags & ~SECTION_F_MUST || rd_le32(buf + 24))
		return error_set(
			err, "the saved state has a section that this version does not know");
	return true;
}

/* Not faster than was asked for. Under the lock: all of the job's threads wait. */
static void hold_back(struct job *j)
{
	int64_t due;

	if (!j->params.bandwidth)
		return;
	due = j->g->info.start_ns +
	      (int64_t)((double)j->bytes * NS_PER_SEC / (double)j->params.bandwidth);
	while (!job_stopped(j)) {
		int64_t left = MIN(due - clock_mono_ns(), (int64_t)POLL_MS * NS_PER_MS);

		if (left <= 0)
			return;
		usleep((useconds_t)(left / 1000) + 1);
	}
}

/* So that the disk works while we do, and there is less to wait for in the end. */
static void start_writeback(struct job *j, uint64_t before)
{
	if (j->ch.file && before / WRITEBACK != j->bytes / WRITEBACK)
		(void)!sync_file_range(j->ch.fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

bool job_put_section(struct job *j, enum section_type type, uint16_t flags, uint32_t id,
	struct iovec *iov, int n, struct error *err)
{
	struct section s = { .type = (uint16_t)type, .flags = flags, .id = id };
	uint8_t head[SECTION_HEAD];
	uint64_t before;
	bool ok;

	for (int i = 1; i < n; i++) {
		s.crc = crc32c(s.crc, iov[i].iov_base, iov[i].iov_len);
		s.len += iov[i].iov_len;
	}
	section_put_head(&s, head);
	iov[0] = (struct iovec){ head, sizeof(head) };
	mutex_lock(&j->lock);
	before = j->bytes;
	j->chain = crc32c(j->chain, head, sizeof(head));
	j->sections++;
	j->bytes += sizeof(head) + s.len;
	ok = !atomic_load(&j->failed) && job_write(j, iov, n, err);
	if (ok) {
		start_writeback(j, before);
		hold_back(j);
	}
	mutex_unlock(&j->lock);
	return ok;
}
