// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qmp - the machine protocol that QEMU's clients speak (QEMU 7.2's docs/interop/qmp-spec): JSON
 * objects on a socket, any number of clients. A command is a file in cmd/ that ends in a const
 * struct qmp_command; its arguments and results are field tables, from which come the checks, the
 * schema that clients ask for, and docs/qmp.md.
 *
 * All on main, except qmp_notice(), which any thread calls. A peer is hostile: what it sends is
 * bounded in size, depth and time, what waits for it in size, and one that does not read is cut off.
 */
#ifndef CONTROL_QMP_H
#define CONTROL_QMP_H

#include "base/error.h"
#include "base/field.h"
#include "base/json.h"
#include "base/list.h"
#include "core/notice.h"

struct machine;
struct qmp;
struct qmp_client;

/* What the board and the command line know and commands ask for; borrowed, lives as long as the server. */
struct qmp_info {
	bool named; /* the user gave a name */
	uint8_t uuid[16];
	uint64_t memory;		   /* bytes of guest memory */
	bool memory_prealloc;		   /* taken at the start */
	const char *memory_file;	   /* NULL: it has none */
	uint32_t cores, threads;	   /* of a socket, of a core */
	const char *cpu_model;		   /* "host" */
	const struct field_table *options; /* of the command line; NULL: none */
};

/* The guest's memory, among what QEMU's clients know as memory back ends. */
#define QMP_RAM_ID "pc.ram"

/* One command being carried out. */
struct qmp_call {
	struct qmp *q;
	struct qmp_client *client; /* whose fds getfd and add-fd take */
	struct machine *m;
	const struct qmp_command *cmd;
	void *args;	 /* ->cmd->args' object, checked; NULL when it has none */
	void *ret;	 /* ->cmd->ret's object, with its defaults; NULL when it has none */
	struct str *raw; /* QMP_RAW: the result's JSON is appended here */
	const struct json_doc *doc;   /* the arguments as they came, for what no table can say; */
	const struct json_token *tok; /* NULL: none were given */
	const char *error_class;      /* to be sent in place of the error kind's own; NULL */
};

enum qmp_flag {
	QMP_QUERY = 1 << 0, /* changes nothing: allowed on the read-only socket */
	/* The result is the value of @ret's first member (a list, a text), not an object */
	QMP_VALUE = 1 << 1,
	QMP_RAW = 1 << 2,   /* the result is any JSON (type `any`): appended to ->raw */
	QMP_OOB = 1 << 3,   /* may come out of band (exec-oob) */
	QMP_EARLY = 1 << 4, /* before the capabilities are negotiated, and only then */
	/* Which arguments there may be only run() knows (device_add): it reads them from ->doc. A table names
	 * those that there always are, for the schema and the manual; nothing is put into its object */
	QMP_OPEN = 1 << 5,
};

struct qmp_command {
	const char *name;		      /* "query-status" */
	const char *doc;		      /* one line */
	const struct field_table *args, *ret; /* NULL: none */
	unsigned int flags;		      /* enum qmp_flag */
	/* False and @err: the reply is an error; ERROR_NOT_FOUND is class DeviceNotFound, everything
	 * else GenericError. */
	bool (*run)(struct qmp_call *c, struct error *err);
};

struct qmp_event {
	const char *name; /* "RTC_CHANGE" */
	const char *doc;
	const struct field_table *data; /* NULL: none */
	/* At most one in this many nanoseconds; the newest of those in between is sent at its end. 0:
	 * each at once. QEMU's limits. */
	int64_t interval_ns;
};

/* The generated table of all commands, NULL-terminated, and the events' (event.c). */
extern const struct qmp_command *const qmp_command_table[];
extern const struct qmp_event *const qmp_event_table[];
const struct qmp_command *qmp_command_find(const char *name);

struct qmp *qmp_new(struct machine *m, const struct qmp_info *info, struct error *err) MUST_USE;
/* Sends what waits for the clients (for an instant only) and frees all. Before machine_free(). NULL
 * is fine. */
void qmp_free(struct qmp *q);
/* Serve at `unix:PATH` (a socket file is made, 0600; a dead one is replaced) or `fd:N` (listening or
 * connected). @readonly: only QMP_QUERY commands. */
bool qmp_listen(struct qmp *q, const char *address, bool readonly, struct error *err) MUST_USE;
/* One connected client; @fd is taken over, also on failure. */
bool qmp_serve(struct qmp *q, int fd, bool readonly, struct error *err) MUST_USE;
/* Send an event to all clients that have negotiated; @data an object of the event's table. @key: what
 * the rate limit is for each of (a device's path); NULL: one for all. */
void qmp_emit(struct qmp *q, const struct qmp_event *e, const void *data, const char *key);
/* Something else's own event: @name must be in the events' table. */
const struct qmp_event *qmp_event_find(const char *name);

/* Was the argument @key given at all? */
bool qmp_given(const struct qmp_call *c, const char *key);
/* May something new be called @id? QEMU's rule: a letter, then letters, digits, '-', '.', '_'. */
bool qmp_check_id(const char *id, struct error *err) MUST_USE;
/* Replace a text member of a result. */
bool qmp_set_text(char **member, const char *text, struct error *err) MUST_USE;

const struct qmp_info *qmp_get_info(const struct qmp *q);
/* The machine's UUID, written into @text and returned; its state as query-status names it. */
#define QMP_UUID_LEN 36
char *qmp_uuid_text(const struct qmp *q, char text[QMP_UUID_LEN + 1]);
const char *qmp_status_name(const struct machine *m);
/* Client's descriptor that came with the message at hand; -1: none. The caller owns it. */
int qmp_client_take_fd(struct qmp_client *c);
/* A descriptor that getfd has named; removes it from the names; -1 and @err: there is none. The
 * caller owns it. For netdev_add, migrate fd:NAME and the like. */
int qmp_named_fd_take(struct qmp *q, const char *name, struct error *err) MUST_USE;
/* A duplicate of one of the fds of fdset @set whose access mode is that of @flags (O_RDONLY ...); for
 * file names /dev/fdset/N (base/fdset.h). -1 and @err. The caller owns it. */
int qmp_fdset_dup(struct qmp *q, uint64_t set, int flags, struct error *err) MUST_USE;

#endif
