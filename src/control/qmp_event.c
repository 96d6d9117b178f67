// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qmp_event - events: what a machine notices becomes a line to every client that has negotiated. Notices
 * that other threads give wait in a small ring until main comes; when it is full they are lost, and
 * the log says how many. An event with an interval is sent at once when the last one of its key is
 * long enough ago, else the newest is sent when the interval is over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/log.h"
#include "control/qmp_int.h"
#include "control/socket_addr.h"

#define SECOND 1000000000ll

/* -------- the events -------- */

/* A notice as the tables see it. */
struct event_data {
	bool guest, flag;
	int reason, action, operation;
	int64_t value;
	char *id, *path, *text; /* borrowed */
	char *device;		/* NULL: none */
	char *node;
	bool nospace;
	int io_action, migration;
	struct socket_addr addr;
};

static const char *const reason_names[] = { "none", "host-error", "host-qmp-quit",
	"host-qmp-system-reset", "host-signal", "host-ui", "guest-shutdown", "guest-reset",
	"guest-panic", "subsystem-reset", "snapshot-load", NULL };
/* In the order of enum migrate_status. */
static const char *const migration_names[] = { "none", "setup", "active", "completed", "failed",
	"cancelling", "cancelled", NULL };
static const char *const panic_names[] = { "pause", "poweroff", "run", NULL };
static const char *const operation_names[] = { "read", "write", NULL };
static const char *const io_names[] = { "ignore", "report", "stop", NULL };

#define D struct event_data
static const struct field shutdown_fields[] = {
	FIELD_BOOL(D, guest, "guest", .doc = "the guest did it, not the host"),
	FIELD_ENUM(D, reason, "reason", reason_names, .doc = "why"),
};
static const struct field panic_fields[] = {
	FIELD_ENUM(D, action, "action", panic_names, .doc = "what happens to the machine"),
};
static const struct field migration_fields[] = {
	FIELD_ENUM(D, migration, "status", migration_names, .doc = "how it stands"),
};
static const struct field watchdog_fields[] = {
	FIELD_ENUM(D, action, "action", notice_action_names, .doc = "what happens to the machine"),
};
static const struct field rtc_fields[] = {
	FIELD_I64(D, value, "offset", .doc = "seconds between the guest's clock and the host's"),
	FIELD_STR(D, path, "qom-path", .doc = "the clock"),
};
static const struct field port_fields[] = {
	FIELD_STR(D, id, "id", .doc = "the port"),
	FIELD_BOOL(D, flag, "open", .doc = "the guest has it open"),
};
static const struct field balloon_fields[] = {
	FIELD_I64(D, value, "actual", .doc = "bytes of memory that the guest has"),
};
static const struct field deleted_fields[] = {
	FIELD_STR(D, device, "device", .doc = "its id, if it had one"),
	FIELD_STR(D, path, "path", .doc = "its path"),
};
static const struct field rx_filter_fields[] = {
	FIELD_STR(D, device, "name", .doc = "its id, if it has one"),
	FIELD_STR(D, path, "path", .doc = "its path"),
};
static const struct field connected_fields[] = {
	FIELD_STR(D, id, "netdev-id", .flags = FF_GIVEN, .doc = "the network"),
	FIELD_STRUCT(D, addr, "addr", &socket_addr_table, .flags = FF_GIVEN,
		.doc = "where the other end is"),
};
static const struct field disconnected_fields[] = {
	FIELD_STR(D, id, "netdev-id", .flags = FF_GIVEN, .doc = "the network"),
};
static const struct field io_error_fields[] = {
	FIELD_STR(D, id, "device", .doc = "the disk"),
	FIELD_STR(D, node, "node-name", .doc = "its node"),
	FIELD_ENUM(D, operation, "operation", operation_names, .doc = "what failed"),
	FIELD_ENUM(D, io_action, "action", io_names, .doc = "what the guest is told"),
	FIELD_BOOL(D, nospace, "nospace", .doc = "no space was left"),
	FIELD_STR(D, text, "reason", .doc = "for people"),
};
#undef D
static const struct field_table shutdown_data = FIELD_TABLE(
	"SHUTDOWN", struct event_data, shutdown_fields);
static const struct field_table panic_data = FIELD_TABLE(
	"GUEST_PANICKED", struct event_data, panic_fields);
static const struct field_table migration_data = FIELD_TABLE(
	"MIGRATION", struct event_data, migration_fields);
static const struct field_table watchdog_data = FIELD_TABLE(
	"WATCHDOG", struct event_data, watchdog_fields);
static const struct field_table rtc_data = FIELD_TABLE("RTC_CHANGE", struct event_data, rtc_fields);
static const struct field_table port_data = FIELD_TABLE(
	"VSERPORT_CHANGE", struct event_data, port_fields);
static const struct field_table balloon_data = FIELD_TABLE(
	"BALLOON_CHANGE", struct event_data, balloon_fields);
static const struct field_table deleted_data = FIELD_TABLE(
	"DEVICE_DELETED", struct event_data, deleted_fields);
static const struct field_table rx_filter_data = FIELD_TABLE(
	"NIC_RX_FILTER_CHANGED", struct event_data, rx_filter_fields);
static const struct field_table connected_data = FIELD_TABLE(
	"NETDEV_STREAM_CONNECTED", struct event_data, connected_fields);
static const struct field_table disconnected_data = FIELD_TABLE(
	"NETDEV_STREAM_DISCONNECTED", struct event_data, disconnected_fields);
static const struct field_table io_error_data = FIELD_TABLE(
	"BLOCK_IO_ERROR", struct event_data, io_error_fields);

static const struct qmp_event notice_events[NOTICE_KINDS] = {
	[NOTICE_SHUTDOWN] = { "SHUTDOWN", "the machine has ended", &shutdown_data },
	[NOTICE_POWERDOWN] = { "POWERDOWN", "the guest was asked to power off" },
	[NOTICE_RESET] = { "RESET", "the machine was reset", &shutdown_data },
	[NOTICE_STOP] = { "STOP", "the CPUs were stopped" },
	[NOTICE_RESUME] = { "RESUME", "the CPUs run" },
	[NOTICE_MIGRATION] = { "MIGRATION", "saving or loading the machine goes on",
		&migration_data },
	[NOTICE_GUEST_PANICKED] = { "GUEST_PANICKED", "the guest says that it crashed",
		&panic_data },
	[NOTICE_WATCHDOG] = { "WATCHDOG", "the watchdog has expired", &watchdog_data, SECOND },
	[NOTICE_RTC_CHANGE] = { "RTC_CHANGE", "the guest has set its clock", &rtc_data, SECOND },
	[NOTICE_VSERPORT_CHANGE] = { "VSERPORT_CHANGE", "the guest has opened or closed a port",
		&port_data, SECOND },
	[NOTICE_BALLOON_CHANGE] = { "BALLOON_CHANGE", "the guest's memory has changed",
		&balloon_data, SECOND },
	[NOTICE_DEVICE_DELETED] = { "DEVICE_DELETED", "a device has gone", &deleted_data },
	[NOTICE_NIC_RX_FILTER_CHANGED] = { "NIC_RX_FILTER_CHANGED",
		"the guest wants other frames than when query-rx-filter was asked",
		&rx_filter_data },
	[NOTICE_STREAM_CONNECTED] = { "NETDEV_STREAM_CONNECTED",
		"a network over a byte stream has another end now", &connected_data },
	[NOTICE_STREAM_DISCONNECTED] = { "NETDEV_STREAM_DISCONNECTED",
		"the other end of a network over a byte stream has gone", &disconnected_data },
	[NOTICE_BLOCK_IO_ERROR] = { "BLOCK_IO_ERROR", "a disk has failed", &io_error_data },
};

/* Events that no notice makes: a command's or a module's own struct qmp_event, one line each. */
const struct qmp_event *const qmp_event_table[] = {
	&notice_events[NOTICE_SHUTDOWN],
	&notice_events[NOTICE_POWERDOWN],
	&notice_events[NOTICE_RESET],
	&notice_events[NOTICE_STOP],
	&notice_events[NOTICE_RESUME],
	&notice_events[NOTICE_MIGRATION],
	&notice_events[NOTICE_GUEST_PANICKED],
	&notice_events[NOTICE_WATCHDOG],
	&notice_events[NOTICE_RTC_CHANGE],
	&notice_events[NOTICE_VSERPORT_CHANGE],
	&notice_events[NOTICE_BALLOON_CHANGE],
	&notice_events[NOTICE_DEVICE_DELETED],
	&notice_events[NOTICE_BLOCK_IO_ERROR],
	&notice_events[NOTICE_NIC_RX_FILTER_CHANGED],
	&notice_events[NOTICE_STREAM_CONNECTED],
	&notice_events[NOTICE_STREAM_DISCONNECTED],
	NULL,
};

const struct qmp_event *qmp_event_find(const char *name)
{
	for (const struct qmp_event *const *e = qmp_event_table; *e; e++) {
		if (!strcmp((*e)->name, name))
			return *e;
	}
	return NULL;
}

/* -------- sending -------- */

static void broadcast(struct qmp *q, struct str *line)
{
	struct qmp_client *c, *tmp;

	log_debug("qmp", "%s", str_cstr(line));
	list_for_each_safe (c, tmp, &q->clients, node) {
		AUTO(str) copy = STR_INIT;

		if (!c->negotiated)
			continue;
		str_append_mem(&copy, str_cstr(line), line->len);
		client_send(c, &copy);
		if (c->dead && !c->busy)
			client_free(c);
	}
}

static void format(
	const struct qmp_event *e, const void *data, const struct timespec *at, struct str *out)
{
	str_appendf(out,
		"{\"timestamp\": {\"seconds\": %lld, \"microseconds\": %ld}, \"event\": \"%s\"",
		(long long)at->tv_sec, at->tv_nsec / 1000, e->name);
	if (e->data) {
		str_append(out, ", \"data\": ");
		fields_to_json(e->data, data, out);
	}
	str_append(out, "}");
}

/* -------- at most one in an interval -------- */

struct throttle {
	struct list node;
	struct qmp *q;
	const struct qmp_event *event;
	char *key;	    /* owned; NULL: none */
	struct str pending; /* the newest, not sent yet; empty: none */
	struct loop_timer timer;
};

static void throttle_free(struct throttle *t)
{
	list_del(&t->node);
	t->q->n_throttles--;
	loop_timer_fini(&t->timer);
	str_fini(&t->pending);
	free(t->key);
	free(t);
}

static void interval_over(void *opaque)
{
	struct throttle *t = opaque;

	if (!t->pending.len) {
		throttle_free(t);
		return;
	}
	broadcast(t->q, &t->pending);
	str_clear(&t->pending);
	loop_timer_arm(&t->timer, clock_mono_ns() + t->event->interval_ns);
}

static struct throttle *throttle_find(struct qmp *q, const struct qmp_event *e, const char *key)
{
	struct throttle *t;

	list_for_each (t, &q->throttles, node) {
		if (t->event == e && !strcmp(t->key ?: "", key ?: ""))
			return t;
	}
	return NULL;
}

/* The first of an interval: false when it cannot be noted, which only costs the limit. */
static bool throttle_new(struct qmp *q, const struct qmp_event *e, const char *key)
{
	struct throttle *t = q->n_throttles < QMP_THROTTLES_MAX ? calloc(1, sizeof(*t)) : NULL;

	if (!t)
		return false;
	t->q = q;
	t->event = e;
	t->key = key ? strdup(key) : NULL;
	loop_timer_init(&t->timer, q->m->main_loop, interval_over, t);
	list_add_tail(&q->throttles, &t->node);
	q->n_throttles++;
	loop_timer_arm(&t->timer, clock_mono_ns() + e->interval_ns);
	return true;
}

static void emit_at(struct qmp *q, const struct qmp_event *e, const void *data, const char *key,
	const struct timespec *at)
{
	struct throttle *t = e->interval_ns ? throttle_find(q, e, key) : NULL;
	AUTO(str) line = STR_INIT;

	if (list_empty(&q->clients))
		return;
	format(e, data, at, &line);
	if (line.failed) {
		log_err("qmp", "out of memory: an event is lost");
		return;
	}
	if (t) {
		str_fini(&t->pending);
		t->pending = line;
		line = (struct str)STR_INIT;
		return;
	}
	if (e->interval_ns && !throttle_new(q, e, key))
		log_debug("qmp", "%s is not limited", e->name);
	broadcast(q, &line);
}

void qmp_emit(struct qmp *q, const struct qmp_event *e, const void *data, const char *key)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	emit_at(q, e, data, key, &now);
}

/* -------- notices -------- */

static void emit_notice(struct qmp *q, struct queued_notice *n)
{
	const struct qmp_event *e = &notice_events[n->n.kind];
	struct event_data d = {
		.guest = n->n.guest,
		.flag = n->n.flag,
		.reason = n->n.reason,
		.action = n->n.reason,
		.operation = n->n.flag,
		.io_action = 1, /* report: all that a disk does here */
		.value = n->n.value,
		.migration = n->n.kind == NOTICE_MIGRATION ? (int)n->n.value : 0,
		.id = n->n.id,
		.node = n->n.id,
		.path = n->path,
	};

	if (n->n.kind == NOTICE_NIC_RX_FILTER_CHANGED ||
		(n->n.kind == NOTICE_DEVICE_DELETED && n->n.flag))
		strncat(n->path, "/virtio-backend", sizeof(n->path) - strlen(n->path) - 1);
	if (n->n.id[0] && (n->n.kind == NOTICE_NIC_RX_FILTER_CHANGED ||
				  (n->n.kind == NOTICE_DEVICE_DELETED && !n->n.flag)))
		d.device = n->n.id;
	if (n->n.kind == NOTICE_STREAM_CONNECTED)
		socket_addr_cut(n->n.text, &d.addr);
	if (n->n.kind == NOTICE_BLOCK_IO_ERROR) {
		d.text = strerror((int)n->n.value);
		d.nospace = n->n.value == ENOSPC;
	}
	emit_at(q, e, &d, n->n.kind == NOTICE_VSERPORT_CHANGE ? n->n.id : NULL, &n->at);
}

static void emit_queued(void *opaque)
{
	struct qmp *q = opaque;
	struct queued_notice n;

	for (;;) {
		unsigned int lost;
		bool any;

		mutex_lock(&q->lock);
		any = q->n_notices > 0;
		lost = q->lost_notices;
		q->lost_notices = 0;
		if (any) {
			n = q->notices[0];
			memmove(q->notices, q->notices + 1, --q->n_notices * sizeof(n));
		}
		mutex_unlock(&q->lock);
		if (lost)
			log_warn("qmp", "%u events came too fast and are lost", lost);
		if (!any)
			return;
		emit_notice(q, &n);
	}
}

static void notice(struct notice_listener *l, const struct notice *in)
{
	struct qmp *q = CONTAINER_OF(l, struct qmp, listener);
	struct queued_notice n = { .n = *in };

	clock_gettime(CLOCK_REALTIME, &n.at);
	n.n.id[sizeof(n.n.id) - 1] = n.n.text[sizeof(n.n.text) - 1] = 0;
	if (in->device)
		device_path(in->device, n.path, sizeof(n.path));
	n.n.device = NULL;
	mutex_lock(&q->lock);
	if (q->n_notices < QMP_NOTICES_MAX)
		q->notices[q->n_notices++] = n;
	else
		q->lost_notices++;
	mutex_unlock(&q->lock);
	/* Of the machine itself, on main and with no lock held: at once, so that an event comes before
	 * the reply to the command that made it. */
	if (!in->device && thread_is(ROLE_MAIN) && in->kind <= NOTICE_MIGRATION)
		emit_queued(q);
	else
		loop_post(q->m->main_loop, &q->defer);
}

void events_init(struct qmp *q)
{
	list_init(&q->throttles);
	mutex_init(&q->lock);
	loop_defer_init(&q->defer, emit_queued, q);
	q->listener.notice = notice;
	atomic_store(&q->m->notice, &q->listener);
}

void events_fini(struct qmp *q)
{
	struct throttle *t, *tmp;

	atomic_store(&q->m->notice, NULL);
	emit_queued(q);
	loop_defer_cancel(q->m->main_loop, &q->defer);
	list_for_each_safe (t, tmp, &q->throttles, node) {
		if (t->pending.len)
			broadcast(q, &t->pending);
		throttle_free(t);
	}
	mutex_fini(&q->lock);
}
