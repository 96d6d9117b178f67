// SPDX-License-Identifier: GPL-2.0-or-later
/* qmp_int - the parts of the QMP server: framing, clients, carrying out commands, events, descriptors. */
#ifndef CONTROL_QMP_INT_H
#define CONTROL_QMP_INT_H

#include <sys/types.h>
#include "base/str.h"
#include "base/thread.h"
#include "base/vec.h"
#include "control/listen.h"
#include "control/qmp.h"
#include "core/machine.h"

/* Named limits of what a peer may make us hold. */
#define QMP_CLIENTS_MAX	  64u
#define QMP_IN_CHUNK	  65536u     /* bytes read before others get their turn */
#define QMP_OUT_BUSY	  65536u     /* more than this waits for the client: no further commands */
#define QMP_OUT_MAX	  (4u << 20) /* more than this: the client is cut off */
#define QMP_REQUEST_NS	  60000000000ll /* from a request's first byte to its last */
#define QMP_FDS_MAX	  16u		/* descriptors in one message */
/* Requests that wait because the client does not read, while those out of band overtake: qmp-spec's
 * number, on which clients rely. */
#define QMP_QUEUE_MAX	  8u
#define QMP_NAMED_FDS_MAX 64u
#define QMP_NOTICES_MAX	  64u /* told by other threads, not yet sent */
#define QMP_THROTTLES_MAX 256u

/* -------- qmp_frame.c: where a request ends -------- */

enum frame_result {
	FRAME_MORE,  /* all was taken, the request goes on */
	FRAME_WHOLE, /* ->text holds a request */
	FRAME_BAD,   /* ->what says why; the rest of it will be skipped */
};

/* What is being read. */
enum frame_lex {
	LEX_START, /* between tokens */
	LEX_RECOVER,
	LEX_SKIP, /* the rest of the line */
	LEX_STRING,
	LEX_ESCAPE,
	LEX_WORD,
	LEX_SIGN,
	LEX_ZERO,
	LEX_DIGITS,
	LEX_POINT,
	LEX_FRACTION,
	LEX_E,
	LEX_E_SIGN,
	LEX_POWER,
};

struct frame {
	struct str text;
	const char *what;
	enum frame_lex lex;
	int braces, brackets; /* open ones */
	char quote;	      /* the string began so */
};

/* Take bytes from @p; returns how many were taken, all of them with FRAME_MORE. A request may also be
 * a bare scalar (which the dispatcher will refuse). Strings in single quotes, which QEMU reads too,
 * are turned into JSON's. The caller clears ->text after FRAME_WHOLE. */
size_t frame_take(struct frame *f, const char *p, size_t n, enum frame_result *out);
/* Nothing of a request is held. */
bool frame_empty(const struct frame *f);
void frame_reset(struct frame *f);
void frame_fini(struct frame *f);

/* -------- clients -------- */

struct qmp_client {
	struct qmp *q;
	struct list node;
	int fd; /* owned */
	struct loop_fd watch;
	struct loop_timer timer; /* armed: a request has begun, or input waits for its turn */
	struct frame frame;
	struct str in; /* read, and held back because too much output waits */
	size_t in_off;
	struct str queue[QMP_QUEUE_MAX]; /* whole requests; only with ->oob */
	unsigned int n_queued;
	struct str out;
	size_t out_off;
	int fds[QMP_FDS_MAX]; /* owned: came with the last message */
	unsigned int n_fds, next_fd;
	bool readonly, negotiated, oob;
	bool eof;  /* sends no more; goes when it has been answered */
	bool dead; /* to be freed when nobody works on it */
	bool busy; /* on the stack */
};

struct named_fd {
	char *name; /* owned */
	int fd;	    /* owned */
};

struct fdset_fd {
	uint64_t set;
	int fd; /* owned */
	char *opaque;
};

struct queued_notice {
	struct notice n;
	char path[NOTICE_ID_MAX + 32];
	struct timespec at;
};

struct key_queue;

struct qmp {
	struct machine *m; /* borrowed */
	const struct qmp_info *info;
	struct list clients;
	unsigned int n_clients;
	VEC(struct listen_sock *) listeners; /* owned */
	VEC(struct named_fd) named_fds;
	VEC(struct fdset_fd) fdsets;
	struct list throttles;
	unsigned int n_throttles;
	uint8_t buttons;	/* of the mouse, held */
	struct key_queue *keys; /* owned; NULL: send-key was never asked for */
	void (*keys_free)(struct key_queue *keys);
	enum notice_reason quit; /* after the reply at hand; none: do not */

	struct notice_listener listener;
	struct loop_defer defer;
	struct mutex lock; /* docs/locking.md: what follows */
	struct queued_notice notices[QMP_NOTICES_MAX];
	unsigned int n_notices, lost_notices;
};

/* qmp_client.c */
struct qmp_client *client_new(struct qmp *q, int fd, bool readonly, struct error *err);
void client_free(struct qmp_client *c);
/* Queue a line (CRLF is added) and try to send. */
void client_send(struct qmp_client *c, struct str *line);
/* Wait an instant for a client to take what waits for it. */
void client_drain(struct qmp_client *c);

/* qmp_dispatch.c: one request's text; the reply is sent. */
void dispatch(struct qmp_client *c, const char *text, size_t len);
/* Does it ask to be executed out of band? */
bool dispatch_is_oob(const char *text, size_t len);
/* {"error": ..} with the id at @tok (NULL: none) */
void dispatch_error(struct qmp_client *c, const char *class, const char *desc);
void qmp_greeting(struct str *out);
bool qmp_has_oob(void);

/* qmp_event.c */
void events_init(struct qmp *q);
void events_fini(struct qmp *q);

/* qmp_fd.c */
void fds_fini(struct qmp *q);

#endif
