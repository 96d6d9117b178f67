// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gdb - the server: sockets, stopping and going on, and the commands (gdb manual, Remote Protocol).
 *
 * All-stop: either the machine runs and the client waits, or it is paused and commands are answered.
 * A vCPU that hits something writes down what, parks itself before its next instruction, and posts to
 * main, which pauses the others and tells the client. What a second vCPU hits in between is dropped:
 * a breakpoint will be hit again.
 */
#include "control/gdb_int.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "mem/gmem.h"

#define E_NOMEM "E0c"
#define E_FAULT "E0e"
#define E_INVAL "E16"
#define E_NOSPC "E1c"

#define SIGNAL_INT  2
#define SIGNAL_TRAP 5

static void put(struct gdb *g, const char *text)
{
	gdb_put_packet(g, text, strlen(text));
}

static void put_str(struct gdb *g, struct str *s)
{
	const char *text = str_cstr(s);

	gdb_put_packet(g, text, s->len);
}

/* -------- vCPUs -------- */

struct transfer {
	struct x86_cpu_state *s;
	bool set;
	int rc;
};

static void transfer(struct vcpu *v, void *opaque)
{
	struct transfer *t = opaque;
	const struct accel *a = v->machine->accel;

	t->rc = t->set ? a->vcpu_set(v->accel, t->s, GDB_REG_PARTS)
		       : a->vcpu_get(v->accel, t->s, GDB_REG_PARTS);
}

static struct vcpu *current(struct gdb *g)
{
	return &g->m->vcpus[g->thread];
}

/* The state of the thread at hand, or NULL. Free it. */
static struct x86_cpu_state *state_get(struct gdb *g)
{
	struct x86_cpu_state *s = calloc(1, sizeof(*s));
	struct transfer t = { .s = s, .rc = -ENOMEM };

	if (s)
		vcpu_run_on(current(g), transfer, &t);
	if (!t.rc)
		return s;
	free(s);
	return NULL;
}

static bool state_set(struct gdb *g, struct x86_cpu_state *s)
{
	struct transfer t = { .s = s, .set = true };

	vcpu_run_on(current(g), transfer, &t);
	return !t.rc;
}

struct debug_call {
	const struct accel_debug *d;
	int rc;
};

static void debug_call(struct vcpu *v, void *opaque)
{
	struct debug_call *c = opaque;

	c->rc = v->machine->accel->vcpu_debug(v->accel, c->d);
}

static int debug_set(struct gdb *g, uint32_t vcpu, bool step)
{
	struct debug_call c = { .d = &g->debug };

	g->debug.step = step;
	vcpu_run_on(&g->m->vcpus[vcpu], debug_call, &c);
	return c.rc;
}

static int debug_set_all(struct gdb *g)
{
	int rc = 0;

	for (uint32_t i = 0; i < g->m->n_vcpus && !rc; i++)
		rc = debug_set(g, i, false);
	return rc;
}

/* -------- stop and go -------- */

/* On the vCPU's thread. */
static void debug_exit(void *opaque, struct vcpu *v, const struct vcpu_exit *e)
{
	struct gdb *g = opaque;

	mutex_lock(&g->lock);
	if (!g->hit) {
		g->hit = true;
		g->hit_vcpu = v->index;
		g->hit_points = e->debug.points;
	}
	mutex_unlock(&g->lock);
	atomic_fetch_or(&v->requests, VCPU_REQ_STOP);
	loop_post(g->m->main_loop, &g->stop_defer);
}

static void put_stop(struct gdb *g, int signal)
{
	AUTO(str) s = STR_INIT;

	str_appendf(&s, "T%02xthread:%x;", signal, g->thread + 1);
	for (uint32_t i = 0; i < g->debug.n && signal == SIGNAL_TRAP; i++) {
		static const char *const name[] = { "", "", "watch", "rwatch", "awatch" };

		if (g->hit_points >> i & 1 && g->point_type[i] >= 2)
			str_appendf(&s, "%s:%llx;", name[g->point_type[i]],
				(unsigned long long)g->debug.point[i].addr);
	}
	put_str(g, &s);
}

static void pause_all(struct gdb *g)
{
	machine_pause(g->m);
	for (uint32_t i = 0; i < g->m->n_vcpus; i++)
		g->m->vcpus[i].held = false;
	g->running = false;
}

static void flush(struct gdb *g);

/* On main: a vCPU has hit something. */
static void stopped(void *opaque)
{
	struct gdb *g = opaque;

	if (g->m->state == RUN_SHUTDOWN)
		return;
	pause_all(g);
	mutex_lock(&g->lock);
	if (g->hit)
		g->thread = g->hit_vcpu;
	g->hit = false;
	mutex_unlock(&g->lock);
	if (g->fd < 0)
		return;
	put_stop(g, SIGNAL_TRAP);
	flush(g);
}

static void interrupt(struct gdb *g)
{
	if (!g->running)
		return;
	pause_all(g);
	put_stop(g, SIGNAL_INT);
}

static void go(struct gdb *g)
{
	struct error err = ERROR_INIT;

	g->hit_points = 0;
	g->was_paused = false;
	g->running = true;
	if (machine_resume(g->m, &err))
		return;
	log_err("gdb", "cannot go on: %s", err.msg);
	g->running = false;
	put(g, "X09");
}

/* What each thread does next: 's', 'c' or 0 (stays); then go. */
static void go_with(struct gdb *g, const char *action)
{
	for (uint32_t i = 0; i < g->m->n_vcpus; i++) {
		if (debug_set(g, i, action[i] == 's')) {
			put(g, E_INVAL);
			return;
		}
		g->m->vcpus[i].held = !action[i];
	}
	go(g);
}

/* "vCont;s:1;c": the first action that fits a thread is its. */
static void cmd_vcont(struct gdb *g, const char *p)
{
	AUTO_FREE char *action = calloc(1, g->m->n_vcpus);
	bool any = false;

	while (action && *p == ';') {
		char kind = p[1] == 'S' ? 's' : p[1] == 'C' ? 'c' : p[1];
		uint64_t signal, thread = 0;

		p += 2;
		if (p[-1] == 'S' || p[-1] == 'C')
			gdb_hex_number(&p, &signal);
		if (*p == ':' && p[1] == '-')
			p += 3;
		else if (*p == ':' && (++p, !gdb_hex_number(&p, &thread)))
			break;
		if (kind != 's' && kind != 'c')
			break;
		for (uint32_t i = 0; i < g->m->n_vcpus; i++) {
			if (!action[i] && (!thread || thread == i + 1))
				action[i] = kind;
		}
		any = true;
	}
	if (!action || !any || *p)
		put(g, E_INVAL);
	else
		go_with(g, action);
}

static void cmd_go(struct gdb *g, char kind)
{
	AUTO_FREE char *action = malloc(g->m->n_vcpus);

	if (!action) {
		put(g, E_NOMEM);
		return;
	}
	memset(action, 'c', g->m->n_vcpus);
	if (kind == 's') {
		memset(action, 0, g->m->n_vcpus);
		action[g->step_thread] = 's';
	}
	go_with(g, action);
}

/* -------- registers and memory -------- */

static void cmd_regs_get(struct gdb *g)
{
	AUTO_FREE struct x86_cpu_state *s = state_get(g);
	AUTO(str) out = STR_INIT;
	uint8_t bytes[GDB_REG_MAX];

	if (!s) {
		put(g, E_NOMEM);
		return;
	}
	for (unsigned int i = 0; i < gdb_regs(); i++)
		gdb_to_hex(&out, bytes, gdb_reg_get(s, i, bytes));
	put_str(g, &out);
}

static void cmd_regs_set(struct gdb *g, const char *p, size_t len)
{
	AUTO_FREE struct x86_cpu_state *s = state_get(g);
	uint8_t bytes[GDB_PACKET_MAX / 2];
	int n = gdb_from_hex(p, len, bytes, sizeof(bytes));
	unsigned int at = 0, used = 1;

	for (unsigned int i = 0; s && i < gdb_regs() && (int)at < n && used; i++)
		at += used = gdb_reg_set(s, i, bytes + at, n - at);
	put(g, s && n >= 0 && used && state_set(g, s) ? "OK" : E_INVAL);
}

static void cmd_reg_get(struct gdb *g, const char *p)
{
	AUTO_FREE struct x86_cpu_state *s = state_get(g);
	AUTO(str) out = STR_INIT;
	uint8_t bytes[GDB_REG_MAX];
	uint64_t n;

	if (s && gdb_hex_number(&p, &n) && n < gdb_regs())
		gdb_to_hex(&out, bytes, gdb_reg_get(s, n, bytes));
	if (out.len)
		put_str(g, &out);
	else
		put(g, E_INVAL);
}

static void cmd_reg_set(struct gdb *g, const char *p)
{
	AUTO_FREE struct x86_cpu_state *s = state_get(g);
	uint8_t bytes[GDB_REG_MAX];
	uint64_t n;
	int len = -1;

	if (gdb_hex_number(&p, &n) && *p == '=')
		len = gdb_from_hex(p + 1, strlen(p + 1), bytes, sizeof(bytes));
	put(g, s && len > 0 && n < gdb_regs() && gdb_reg_set(s, n, bytes, len) && state_set(g, s)
			? "OK"
			: E_INVAL);
}

struct translate_call {
	uint64_t linear, gpa;
	int rc;
};

static void translate_call(struct vcpu *v, void *opaque)
{
	struct translate_call *c = opaque;

	c->rc = v->machine->accel->vcpu_translate(v->accel, c->linear, &c->gpa);
}

/* Copies between @buf and guest memory, page by page; how many bytes went. */
static size_t copy_memory(struct gdb *g, uint64_t linear, uint8_t *buf, size_t len, bool write)
{
	size_t done = 0;

	while (done < len) {
		struct translate_call c = { .linear = linear + done };
		size_t n = MIN(len - done, 0x1000 - ((linear + done) & 0xfff));
		gpa_t gpa;

		vcpu_run_on(current(g), translate_call, &c);
		gpa.v = c.gpa;
		if (c.rc || (write ? gmem_write(&g->m->mem, gpa, buf + done, n)
				   : gmem_read(&g->m->mem, gpa, buf + done, n)))
			break;
		done += n;
	}
	return done;
}

/* "ADDR,LENGTH" */
static bool parse_range(const char **p, uint64_t *addr, uint64_t *len)
{
	return gdb_hex_number(p, addr) && *(*p)++ == ',' && gdb_hex_number(p, len);
}

static void cmd_memory_get(struct gdb *g, const char *p)
{
	AUTO(str) out = STR_INIT;
	uint8_t buf[GDB_PACKET_MAX / 2];
	uint64_t addr, len;
	size_t n;

	if (!parse_range(&p, &addr, &len)) {
		put(g, E_INVAL);
		return;
	}
	n = copy_memory(g, addr, buf, MIN(len, sizeof(buf)), false);
	gdb_to_hex(&out, buf, n);
	if (n || !len)
		put_str(g, &out);
	else
		put(g, E_FAULT);
}

/* M: hexadecimal digits behind the colon, X: bytes. */
static void cmd_memory_set(struct gdb *g, const char *text, size_t len, bool binary)
{
	const char *p = text;
	uint8_t buf[GDB_PACKET_MAX];
	uint64_t addr, n;
	int got = -1;

	if (parse_range(&p, &addr, &n) && *p == ':') {
		size_t rest = len - (size_t)(++p - text);

		if (binary && rest <= sizeof(buf))
			memcpy(buf, p, got = (int)rest);
		else if (!binary)
			got = gdb_from_hex(p, rest, buf, sizeof(buf));
	}
	if (got < 0 || (uint64_t)got != n)
		put(g, E_INVAL);
	else
		put(g, copy_memory(g, addr, buf, n, true) == n ? "OK" : E_FAULT);
}

/* -------- points -------- */

static int point_find(const struct gdb *g, unsigned int type, uint64_t addr, uint64_t len)
{
	for (uint32_t i = 0; i < g->debug.n; i++) {
		const struct accel_debug_point *p = &g->debug.point[i];

		if (g->point_type[i] == type && p->addr == addr && p->len == len)
			return (int)i;
	}
	return -1;
}

static void point_remove(struct gdb *g, uint32_t i)
{
	g->debug.n--;
	memmove(&g->debug.point[i], &g->debug.point[i + 1],
		(g->debug.n - i) * sizeof(g->debug.point[0]));
	memmove(&g->point_type[i], &g->point_type[i + 1], g->debug.n - i);
}

/* "Z0,ADDR,KIND": types 0 and 1 break, 2 write, 3 read, 4 access. x86 hardware has no read-only
 * watchpoint: 3 reports writes too, as gdb is told by the manual to expect. */
static void cmd_point(struct gdb *g, const char *p, bool insert)
{
	static const uint8_t kinds[] = { ACCEL_DEBUG_EXEC, ACCEL_DEBUG_EXEC, ACCEL_DEBUG_WRITE,
		ACCEL_DEBUG_ACCESS, ACCEL_DEBUG_ACCESS };
	unsigned int type = (unsigned char)*p - '0';
	uint64_t addr, len;
	int i, rc = 0;

	if (type > 4 || p[1] != ',' || (p += 2, !parse_range(&p, &addr, &len))) {
		put(g, "");
		return;
	}
	if (type < 2)
		len = 1;
	if ((len != 1 && len != 2 && len != 4 && len != 8) || addr % len) {
		put(g, E_INVAL);
		return;
	}
	i = point_find(g, type, addr, len);
	if (!insert && i >= 0) {
		point_remove(g, i);
		rc = debug_set_all(g);
	} else if (insert && i < 0) {
		if (g->debug.n == ACCEL_DEBUG_POINTS) {
			put(g, E_NOSPC);
			return;
		}
		g->point_type[g->debug.n] = type;
		g->debug.point[g->debug.n++] =
			(struct accel_debug_point){ .addr = addr, .len = len, .kind = kinds[type] };
		rc = debug_set_all(g);
		if (rc) {
			g->debug.n--;
			debug_set_all(g);
		}
	}
	put(g, !rc ? "OK" : rc == -ENOSPC ? E_NOSPC : E_INVAL);
}

/* -------- queries -------- */

/* "qXfer:features:read:target.xml:OFFSET,LENGTH" */
static void cmd_features(struct gdb *g, const char *p)
{
	AUTO(str) out = STR_INIT;
	size_t size = strlen(gdb_target_xml);
	uint64_t off, len;

	if (!str_has_prefix(p, "target.xml:", &p) || !parse_range(&p, &off, &len)) {
		put(g, "E00");
		return;
	}
	off = MIN(off, size);
	len = MIN(MIN(len, size - off), (uint64_t)GDB_PACKET_MAX / 2);
	str_append_char(&out, off + len < size ? 'm' : 'l');
	str_append_mem(&out, gdb_target_xml + off, len);
	put_str(g, &out);
}

static void cmd_threads(struct gdb *g)
{
	AUTO(str) out = STR_INIT;

	for (uint32_t i = 0; i < g->m->n_vcpus; i++)
		str_appendf(&out, "%c%x", i ? ',' : 'm', i + 1);
	put_str(g, &out);
}

static void cmd_thread_info(struct gdb *g, const char *p)
{
	AUTO(str) text = STR_INIT, out = STR_INIT;
	uint64_t n;

	if (!gdb_hex_number(&p, &n) || n - 1 >= g->m->n_vcpus) {
		put(g, E_INVAL);
		return;
	}
	str_appendf(&text, "CPU %llu", (unsigned long long)n - 1);
	gdb_to_hex(&out, text.s, text.len);
	put_str(g, &out);
}

static void cmd_query(struct gdb *g, const char *p)
{
	AUTO(str) out = STR_INIT;

	if (str_has_prefix(p, "Supported", &p)) {
		str_appendf(&out,
			"PacketSize=%x;qXfer:features:read+;vContSupported+;"
			"QStartNoAckMode+",
			GDB_PACKET_MAX);
		put_str(g, &out);
	} else if (str_has_prefix(p, "Xfer:features:read:", &p)) {
		cmd_features(g, p);
	} else if (!strcmp(p, "fThreadInfo")) {
		cmd_threads(g);
	} else if (!strcmp(p, "sThreadInfo")) {
		put(g, "l");
	} else if (str_has_prefix(p, "ThreadExtraInfo,", &p)) {
		cmd_thread_info(g, p);
	} else if (!strcmp(p, "C")) {
		str_appendf(&out, "QC%x", g->thread + 1);
		put_str(g, &out);
	} else {
		put(g, !strncmp(p, "Attached", 8) ? "1" : "");
	}
}

/* "Hg2", "Hc-1": 0 and -1 are any thread. */
static void cmd_thread(struct gdb *g, const char *p)
{
	char what = *p++;
	uint64_t n = 0;

	if (*p != '-' && !gdb_hex_number(&p, &n))
		n = UINT64_MAX;
	if (n > g->m->n_vcpus) {
		put(g, E_INVAL);
		return;
	}
	if (what == 'g' && n)
		g->thread = n - 1;
	else if (what == 'c')
		g->step_thread = n ? n - 1 : g->thread;
	put(g, "OK");
}

/* -------- the client -------- */

static void disconnect(struct gdb *g);

static void command(struct gdb *g, const char *p, size_t len)
{
	uint64_t n;

	switch (*p++) {
	case '?':
		put_stop(g, SIGNAL_TRAP);
		return;
	case 'g':
		cmd_regs_get(g);
		return;
	case 'G':
		cmd_regs_set(g, p, len - 1);
		return;
	case 'p':
		cmd_reg_get(g, p);
		return;
	case 'P':
		cmd_reg_set(g, p);
		return;
	case 'm':
		cmd_memory_get(g, p);
		return;
	case 'M':
	case 'X':
		cmd_memory_set(g, p, len - 1, p[-1] == 'X');
		return;
	case 'Z':
	case 'z':
		cmd_point(g, p, p[-1] == 'Z');
		return;
	case 'c':
	case 's':
		cmd_go(g, p[-1]);
		return;
	case 'q':
		cmd_query(g, p);
		return;
	case 'H':
		cmd_thread(g, p);
		return;
	case 'T':
		put(g, gdb_hex_number(&p, &n) && n - 1 < g->m->n_vcpus ? "OK" : E_INVAL);
		return;
	case 'D':
		put(g, "OK");
		flush(g);
		disconnect(g);
		return;
	case 'k':
		disconnect(g);
		machine_event(g->m, MACHINE_QUIT, 0);
		return;
	}
	p--;
	if (!strcmp(p, "QStartNoAckMode")) {
		put(g, "OK");
		g->no_ack = true;
	} else if (!strcmp(p, "vCont?")) {
		put(g, "vCont;c;C;s;S");
	} else if (str_has_prefix(p, "vCont", &p)) {
		cmd_vcont(g, p);
	} else {
		put(g, "");
	}
}

/* Write what there is; what the socket does not take now waits for it. */
static void flush(struct gdb *g)
{
	while (g->fd >= 0 && g->out.len) {
		ssize_t n = send(g->fd, g->out.s, g->out.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			disconnect(g);
			return;
		}
		if (n < 0)
			break;
		memmove(g->out.s, g->out.s + n, g->out.len - n);
		g->out.len -= n;
	}
	if (g->fd < 0)
		return;
	if (g->out.failed || g->out.len > GDB_OUTPUT_MAX ||
		loop_fd_modify(&g->watch, LOOP_IN | (g->out.len ? LOOP_OUT : 0)))
		disconnect(g);
}

static void serve(struct gdb *g)
{
	char text[GDB_PACKET_MAX + 1];
	bool interrupted = false;
	int n = -1;

	while (g->fd >= 0 && (n = gdb_take_packet(g, text, &interrupted)) >= 0) {
		/* A client that does not wait for the stop: stop, then. */
		if (g->running)
			pause_all(g);
		command(g, text, n);
	}
	if (g->fd >= 0 && n == -2) {
		disconnect(g);
		return;
	}
	if (interrupted)
		interrupt(g);
	flush(g);
}

static void readable(void *opaque, unsigned int events)
{
	struct gdb *g = opaque;
	ssize_t n = recv(g->fd, g->in + g->in_len, sizeof(g->in) - g->in_len, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		flush(g);
		return;
	}
	if (n <= 0) {
		disconnect(g);
		return;
	}
	g->in_len += n;
	serve(g);
}

/* Without a client the machine runs on, as if there had been none. */
static void disconnect(struct gdb *g)
{
	struct error err = ERROR_INIT;

	if (g->fd < 0)
		return;
	loop_fd_del(&g->watch);
	close(g->fd);
	g->fd = -1;
	if (g->m->state == RUN_SHUTDOWN)
		return;
	if (g->running)
		pause_all(g);
	g->debug.n = 0;
	debug_set_all(g);
	g->m->debug_exit = NULL;
	if (!g->was_paused && !machine_resume(g->m, &err))
		log_err("gdb", "cannot go on: %s", err.msg);
	if (loop_fd_add(g->m->main_loop, &g->listen_watch))
		log_err("gdb", "no further client can be served");
}

/* A machine that has not run has neither its kernel in memory nor registers to show: start it with all
 * vCPUs held. */
static void prepare(struct gdb *g)
{
	struct error err = ERROR_INIT;

	if (g->m->state != RUN_PRELAUNCH)
		return;
	for (uint32_t i = 0; i < g->m->n_vcpus; i++)
		g->m->vcpus[i].held = true;
	if (!machine_resume(g->m, &err))
		log_err("gdb", "%s", err.msg);
}

static void accepted(void *opaque, unsigned int events)
{
	struct gdb *g = opaque;
	int fd = accept4(g->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;

	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* fails on a unix socket */
	loop_fd_init(&g->watch, fd, LOOP_IN, readable, g);
	if (loop_fd_add(g->m->main_loop, &g->watch)) {
		close(fd);
		return;
	}
	/* One at a time: the next waits in the listening socket. */
	loop_fd_del(&g->listen_watch);
	g->fd = fd;
	g->in_len = 0;
	str_clear(&g->out);
	g->no_ack = g->running = g->hit = false;
	g->hit_points = 0;
	g->thread = g->step_thread = 0;
	g->was_paused = g->m->state != RUN_RUNNING;
	prepare(g);
	pause_all(g);
	g->m->debug_opaque = g;
	g->m->debug_exit = debug_exit;
}

/* -------- the server -------- */

static bool listen_unix(struct gdb *g, const char *path, struct error *err)
{
	g->listen_fd = sock_file_make(&g->file, path, SOCK_STREAM | SOCK_NONBLOCK, 1, err);
	return g->listen_fd >= 0 || error_prefix(err, "--gdb unix:%s", path);
}

/* "127.0.0.1:1234", "[::1]:1234" */
static bool listen_tcp(struct gdb *g, const char *text, struct error *err)
{
	AUTO_FREE char *host = strdup(text);
	char *colon = host ? strrchr(host, ':') : NULL;
	struct sockaddr_in a4 = { .sin_family = AF_INET };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6 };
	bool is6 = host && *host == '[';
	uint64_t port = 0;
	int one = 1, rc;

	if (colon)
		*colon = 0;
	if (!colon || !str_parse_u64(colon + 1, &port) || !port || port > 65535)
		return error_usage(err,
			"--gdb tcp:%s: an address and a port are wanted, as "
			"tcp:127.0.0.1:1234",
			text);
	if (is6 && colon[-1] == ']')
		colon[-1] = 0;
	if (!(is6 ? inet_pton(AF_INET6, host + 1, &a6.sin6_addr)
		  : inet_pton(AF_INET, host, &a4.sin_addr)))
		return error_usage(err, "--gdb tcp:%s: '%s' is no numeric address", text, host);
	a4.sin_port = a6.sin6_port = htons(port);
	g->listen_fd = socket(
		is6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (g->listen_fd < 0)
		return error_set_errno(err, errno, "--gdb");
	setsockopt(g->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	rc = is6 ? bind(g->listen_fd, (const struct sockaddr *)&a6, sizeof(a6))
		 : bind(g->listen_fd, (const struct sockaddr *)&a4, sizeof(a4));
	return (!rc && !listen(g->listen_fd, 1)) ||
	       error_set_errno(err, errno, "--gdb tcp:%s: cannot listen there", text);
}

static bool start(struct gdb *g, const char *address, struct error *err)
{
	const char *rest;
	bool ok;

	if (!g->m->accel->vcpu_debug || !g->m->accel->vcpu_translate)
		return error_set(err, "--gdb: the engine %s cannot be debugged", g->m->accel->name);
	if (str_has_prefix(address, "unix:", &rest))
		ok = listen_unix(g, rest, err);
	else if (str_has_prefix(address, "tcp:", &rest))
		ok = listen_tcp(g, rest, err);
	else
		ok = error_usage(err, "bad value '%s' for '--gdb'; valid: unix:PATH, tcp:ADDR:PORT",
			address);
	if (!ok)
		return false;
	loop_fd_init(&g->listen_watch, g->listen_fd, LOOP_IN, accepted, g);
	return !loop_fd_add(g->m->main_loop, &g->listen_watch) ||
	       error_set(err, "--gdb: cannot watch the socket");
}

struct gdb *gdb_new(struct machine *m, const char *address, struct error *err)
{
	struct gdb *g = calloc(1, sizeof(*g));

	if (!g) {
		error_set(err, "out of memory");
		return NULL;
	}
	g->m = m;
	g->listen_fd = g->fd = -1;
	mutex_init(&g->lock);
	str_init(&g->out);
	loop_defer_init(&g->stop_defer, stopped, g);
	if (start(g, address, err))
		return g;
	gdb_free(g);
	return NULL;
}

void gdb_free(struct gdb *g)
{
	if (!g)
		return;
	machine_pause(g->m);
	g->m->debug_exit = NULL;
	loop_defer_cancel(g->m->main_loop, &g->stop_defer);
	if (g->fd >= 0) {
		put(g, "W00");
		flush(g);
	}
	if (g->watch.loop)
		loop_fd_del(&g->watch);
	if (g->fd >= 0)
		close(g->fd);
	if (g->listen_watch.loop)
		loop_fd_del(&g->listen_watch);
	if (g->listen_fd >= 0)
		close(g->listen_fd);
	sock_file_remove(&g->file);
	str_fini(&g->out);
	mutex_fini(&g->lock);
	free(g);
}
