// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "block/block.h"
#include "config.h"
#include "control/listen.h"
#include "core/machine.h"
#include "core/vcpu.h"
#include "net/net.h"

#define CLIENTS_MAX 8u
#define WAIT_NS	    5000000000ll /* for a client's question */

struct asker {
	struct metrics *s;
	struct list node;
	int fd; /* owned */
	struct loop_fd watch;
	struct loop_timer timer;
};

struct metrics {
	struct machine *m; /* borrowed */
	uint64_t memory;
	int statm;		      /* owned */
	struct listen_sock *listener; /* owned */
	struct list askers;
	unsigned int n;
};

/* -------- the text -------- */

/* A label's value: backslash, quote and line break are escaped. */
static void put_label(const char *text, struct str *out)
{
	for (; *text; text++) {
		if (*text == '\n')
			str_append(out, "\\n");
		else if (*text == '"' || *text == '\\')
			str_appendf(out, "\\%c", *text);
		else
			str_append_char(out, *text);
	}
}

static void head(struct str *out, const char *name, const char *type, const char *help)
{
	str_appendf(out, "# HELP lodge_%s %s\n# TYPE lodge_%s %s\n", name, help, name, type);
}

static double seconds(const struct timespec *t)
{
	return (double)t->tv_sec + (double)t->tv_nsec / 1e9;
}

static void vcpus(struct machine *m, struct str *out)
{
	head(out, "vcpu_exits_total", "counter", "Times that a CPU left guest mode for the host");
	for (uint32_t i = 0; i < m->n_vcpus; i++)
		str_appendf(out, "lodge_vcpu_exits_total{vcpu=\"%u\"} %llu\n", i,
			(unsigned long long)atomic_load_explicit(
				&m->vcpus[i].exits, memory_order_relaxed));
	head(out, "vcpu_cpu_seconds_total", "counter", "Host CPU time of a CPU's thread");
	for (uint32_t i = 0; i < m->n_vcpus; i++) {
		struct timespec t = { 0 };
		clockid_t clock;

		if (m->vcpus[i].thread_started &&
			!pthread_getcpuclockid(m->vcpus[i].thread, &clock))
			clock_gettime(clock, &t);
		str_appendf(
			out, "lodge_vcpu_cpu_seconds_total{vcpu=\"%u\"} %.6f\n", i, seconds(&t));
	}
}

static uint64_t block_value(const struct block_stats *s, int what, int op)
{
	return what == 0 ? s->of[op].ops : what == 1 ? s->of[op].bytes : s->of[op].failed;
}

static void block_counter(struct machine *m, int what, const char *name, struct str *out)
{
	static const char *const ops[] = { "read", "write", "flush", "discard" };
	struct block_stats s;
	struct map_entry *e;

	map_for_each (e, &m->backends[BACKEND_BLOCK]) {
		block_get_stats(e->value, &s);
		for (int i = 0; i < BLOCK_STATS; i++) {
			str_appendf(out, "lodge_%s{disk=\"", name);
			put_label(e->key, out);
			str_appendf(out, "\",op=\"%s\"} %llu\n", ops[i],
				(unsigned long long)block_value(&s, what, i));
		}
	}
}

static void disks(struct machine *m, struct str *out)
{
	static const char *const ops[] = { "read", "write", "flush", "discard" };
	struct block_stats s;
	struct map_entry *e;

	head(out, "block_requests_total", "counter", "Requests that a disk has done");
	block_counter(m, 0, "block_requests_total", out);
	head(out, "block_bytes_total", "counter", "Bytes of these requests");
	block_counter(m, 1, "block_bytes_total", out);
	head(out, "block_errors_total", "counter", "Requests that the host has failed");
	block_counter(m, 2, "block_errors_total", out);
	head(out, "block_seconds_total", "counter", "Time from asking to done, summed");
	map_for_each (e, &m->backends[BACKEND_BLOCK]) {
		block_get_stats(e->value, &s);
		for (int i = 0; i < BLOCK_STATS; i++) {
			str_append(out, "lodge_block_seconds_total{disk=\"");
			put_label(e->key, out);
			str_appendf(out, "\",op=\"%s\"} %.9f\n", ops[i], (double)s.of[i].ns / 1e9);
		}
	}
}

static void net_counter(struct machine *m, int what, const char *name, struct str *out)
{
	static const char *const directions[] = { "rx", "tx" };
	struct net_stats s;
	struct map_entry *e;

	map_for_each (e, &m->backends[BACKEND_NET]) {
		if (!net_get_stats(e->value, &s))
			continue;
		for (int i = 0; i < NET_DIRECTIONS; i++) {
			const struct net_counts *c = &s.of[i];
			uint64_t n = what == 0 ? c->frames : what == 1 ? c->bytes : c->dropped;

			str_appendf(out, "lodge_%s{net=\"", name);
			put_label(e->key, out);
			str_appendf(out, "\",direction=\"%s\"} %llu\n", directions[i],
				(unsigned long long)n);
		}
	}
}

static void networks(struct machine *m, struct str *out)
{
	head(out, "net_frames_total", "counter", "Frames to the guest (rx) and from it (tx)");
	net_counter(m, 0, "net_frames_total", out);
	head(out, "net_bytes_total", "counter", "Bytes of these frames");
	net_counter(m, 1, "net_bytes_total", out);
	head(out, "net_dropped_total", "counter", "Those of these frames that were lost");
	net_counter(m, 2, "net_dropped_total", out);
}

/* @statm: /proc/self/statm, open: the sandbox leaves no paths. */
static uint64_t resident_bytes(int statm)
{
	unsigned long long pages = 0;
	char text[128] = "";

	if (pread(statm, text, sizeof(text) - 1, 0) <= 0 || sscanf(text, "%*u %llu", &pages) != 1)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void metrics_text(struct machine *m, uint64_t memory, int statm, struct str *out)
{
	struct timespec t = { 0 };

	head(out, "info", "gauge", "Which virtual machine this is");
	str_append(out, "lodge_info{name=\"");
	put_label(m->name, out);
	str_appendf(out, "\",engine=\"%s\",version=\"" LODGE_VERSION "\"} 1\n",
		m->accel ? m->accel->name : "");
	head(out, "running", "gauge", "1 while the CPUs run");
	str_appendf(out, "lodge_running %d\n", m->state == RUN_RUNNING);
	head(out, "guest_seconds_total", "counter", "Time that the guest has been running");
	str_appendf(out, "lodge_guest_seconds_total %.6f\n", (double)machine_clock_ns(m) / 1e9);
	head(out, "memory_bytes", "gauge", "Memory of the guest");
	str_appendf(out, "lodge_memory_bytes %llu\n", (unsigned long long)memory);
	head(out, "resident_bytes", "gauge", "Memory that the process takes of the host's");
	str_appendf(out, "lodge_resident_bytes %llu\n", (unsigned long long)resident_bytes(statm));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	head(out, "cpu_seconds_total", "counter", "Host CPU time of the process");
	str_appendf(out, "lodge_cpu_seconds_total %.6f\n", seconds(&t));
	vcpus(m, out);
	disks(m, out);
	networks(m, out);
}

/* -------- the socket -------- */

static void asker_free(struct asker *a)
{
	loop_fd_del(&a->watch);
	loop_timer_fini(&a->timer);
	list_del(&a->node);
	a->s->n--;
	close(a->fd);
	free(a);
}

static void too_slow(void *opaque)
{
	asker_free(opaque);
}

/* Whatever the question is: the answer is small enough for the socket's buffer, and not waited for. */
static void asked(void *opaque, unsigned int events)
{
	struct asker *a = opaque;
	AUTO(str) text = STR_INIT;
	AUTO(str) out = STR_INIT;
	char question[4096];

	if (recv(a->fd, question, sizeof(question), MSG_DONTWAIT) >= 0) {
		metrics_text(a->s->m, a->s->memory, a->s->statm, &text);
		str_appendf(&out,
			"HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
			"Content-Length: %zu\r\n\r\n",
			text.len);
		str_append_mem(&out, str_cstr(&text), text.len);
		if (send(a->fd, str_cstr(&out), out.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			log_debug("metrics", "nobody waits for the answer: %s", strerror(errno));
		shutdown(a->fd, SHUT_WR);
	}
	asker_free(a);
}

static void accepted(void *opaque, int fd)
{
	struct metrics *s = opaque;
	struct asker *a = s->n < CLIENTS_MAX ? calloc(1, sizeof(*a)) : NULL;

	if (!a) {
		close(fd);
		return;
	}
	a->s = s;
	a->fd = fd;
	loop_timer_init(&a->timer, s->m->main_loop, too_slow, a);
	loop_fd_init(&a->watch, fd, LOOP_IN, asked, a);
	list_add_tail(&s->askers, &a->node);
	s->n++;
	if (loop_fd_add(s->m->main_loop, &a->watch))
		asker_free(a);
	else
		loop_timer_arm(&a->timer, clock_mono_ns() + WAIT_NS);
}

struct metrics *metrics_new(struct machine *m, uint64_t memory, const char *path, struct error *err)
{
	struct metrics *s = calloc(1, sizeof(*s));

	if (!s) {
		error_set(err, "out of memory");
		return NULL;
	}
	s->m = m;
	s->memory = memory;
	s->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	list_init(&s->askers);
	s->listener = listen_unix(m->main_loop, path, accepted, s, err);
	if (s->listener)
		return s;
	if (s->statm >= 0)
		close(s->statm);
	free(s);
	return NULL;
}

void metrics_free(struct metrics *s)
{
	if (!s)
		return;
	listen_free(s->listener);
	while (!list_empty(&s->askers))
		asker_free(list_first(&s->askers, struct asker, node));
	if (s->statm >= 0)
		close(s->statm);
	free(s);
}
