// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gdb - the server: its sockets and its client. gdb_cmd.c has the commands, gdb_run.c the vCPUs.
 *
 * All-stop: either the machine runs and the client waits, or it is paused and commands are answered.
 * A vCPU that hits something writes down what, parks itself before its next instruction, and posts to
 * main, which pauses the others and tells the client. What a second vCPU hits in between is dropped:
 * a breakpoint will be hit again.
 */
#include "control/gdb_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "base/sock_inet.h"

/* -------- the client -------- */

void gdb_flush(struct gdb *g)
{
	while (g->fd >= 0 && g->out.len) {
		ssize_t n = send(g->fd, g->out.s, g->out.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			gdb_disconnect(g);
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
		gdb_disconnect(g);
}

static void serve(struct gdb *g)
{
	char text[GDB_PACKET_MAX + 1];
	bool interrupted = false;
	int n = -1;

	while (g->fd >= 0 && (n = gdb_take_packet(g, text, &interrupted)) >= 0) {
		/* A client that does not wait for the stop: stop, then. */
		if (g->running)
			gdb_pause_all(g);
		gdb_command(g, text, n);
	}
	if (g->fd >= 0 && n == -2) {
		gdb_disconnect(g);
		return;
	}
	if (interrupted)
		gdb_interrupt(g);
	gdb_flush(g);
}

static void readable(void *opaque, unsigned int events)
{
	struct gdb *g = opaque;
	ssize_t n = recv(g->fd, g->in + g->in_len, sizeof(g->in) - g->in_len, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		gdb_flush(g);
		return;
	}
	if (n <= 0) {
		gdb_disconnect(g);
		return;
	}
	g->in_len += n;
	serve(g);
}

void gdb_disconnect(struct gdb *g)
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
		gdb_pause_all(g);
	g->debug.n = 0;
	gdb_debug_set_all(g);
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
	gdb_pause_all(g);
	g->m->debug_opaque = g;
	g->m->debug_exit = gdb_debug_exit;
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
	struct sock_inet a;

	g->listen_fd = sock_inet_parse(&a, text, 1, err) ? sock_inet_listen(&a, false, err) : -1;
	return g->listen_fd >= 0 || error_prefix(err, "--gdb tcp:%s", text);
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
	loop_defer_init(&g->stop_defer, gdb_stopped, g);
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
		gdb_put(g, "W00");
		gdb_flush(g);
	}
	if (g->watch.loop)
		loop_fd_del(&g->watch);
	if (g->fd >= 0)
		close(g->fd);
	if (g->listen_watch.loop)
		loop_fd_del(&g->listen_watch);
	if (g->listen_fd >= 0)
		close(g->listen_fd);
	removal_do(g->file);
	str_fini(&g->out);
	mutex_fini(&g->lock);
	free(g);
}
