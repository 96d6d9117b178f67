// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * chardev_int - what the kinds (stdio.c, pty.c, stream.c, udp.c, chardev.c's file and null) share.
 *
 * A kind opens its descriptors and says what to do at end of input and when output fails; buffering,
 * watches and flow control are chardev.c's. Output state is under ->lock because any thread
 * writes; input state belongs to the loop's thread.
 */
#ifndef CHARDEV_CHARDEV_INT_H
#define CHARDEV_CHARDEV_INT_H

#include <stdatomic.h>
#include <sys/types.h>
#include "base/thread.h"
#include "chardev/chardev.h"

/* Most output held for a slow reader; after that chardev_write() takes less than it is given. */
#define CHARDEV_OUT_MAX 65536u
/* Most input taken in one go. */
#define CHARDEV_IN_MAX	4096u

struct chardev_kind {
	const char *name;
	const struct field_table *options; /* what may follow the address; NULL: nothing */
	/* @arg: what follows `name:` in the spec, NULL when nothing does. Sets filename, descriptors. */
	bool (*open)(struct chardev *c, const char *arg, struct error *err);
	void (*close)(struct chardev *c);
	/* Loop's thread: input has ended (end of file or error); NULL: just stop reading. */
	void (*input_end)(struct chardev *c);
	/* Loop's thread: the peer is gone (hang-up or failed write); NULL: drop output from now on. */
	void (*hangup)(struct chardev *c);
	/* Loop's thread: the peer is gone, but has left input for which there is no room yet; hangup()
	 * follows when it has been read. May be NULL. */
	void (*lingers)(struct chardev *c);
	/* Loop's thread: break the connection off; its end is then noticed as any other. NULL: no socket. */
	void (*cut)(struct chardev *c);
	/* Loop's thread: take out of @n input bytes what is not the guest's; returns what is left. */
	size_t (*filter)(struct chardev *c, uint8_t *p, size_t n);
	/* Kinds of messages, which have no end: there is no hang-up, and an error is that of one message.
	 * Both have their descriptor and say what happened as send(2) and recv(2) do, but -errno; NULL: a
	 * stream. Under ->lock: send so much of @n bytes as one message holds, or -EAGAIN; what is
	 * lost on the way was sent. */
	ssize_t (*send)(struct chardev *c, const uint8_t *p, size_t n);
	/* Loop's thread: at most @n bytes, or -EAGAIN. ->in_more: there are more of that message. */
	ssize_t (*recv)(struct chardev *c, uint8_t *p, size_t n);
};

struct chardev {
	char *id, *filename; /* owned */
	const struct chardev_kind *kind;
	struct loop *loop; /* borrowed */
	void *data;	   /* the kind's own */

	struct mutex lock; /* everything down to the blank line */
	int out_fd;	   /* borrowed from the kind; -1: output is dropped */
	bool out_sock;	 /* send() without SIGPIPE and blocking, whatever the descriptor's flags */
	bool out_failed; /* a write failed: the loop's thread tells the kind */
	bool want_writable; /* a write was cut short: tell the front end when there is room */
	uint8_t *out;	    /* owned ring of CHARDEV_OUT_MAX bytes */
	size_t out_head, out_len;

	/* Loop's thread only. */
	int in_fd; /* borrowed from the kind; -1: no input */
	bool in_sock, in_ended;
	bool in_always; /* cannot be polled (a regular file): always readable */
	bool hup;	/* hang-up seen, input not yet read to its end */
	bool in_fin;	/* the peer sends no more: the kind watches for its hang-up */
	bool in_more;	/* the kind has input that it has read from the descriptor already */
	struct loop_fd in_watch, out_watch;
	struct chardev_front front; /* all NULL: none */

	/* Any thread. */
	_Atomic size_t room;
	_Atomic bool open;
	struct loop_defer update;
};

/* Loop's thread: watch what is wanted now. Call after changing descriptors. */
void chardev_update(struct chardev *c);
/* Loop's thread: use @fd both ways (-1: none), drop buffered output, tell the front end. */
void chardev_connect(struct chardev *c, int fd, bool sock);
void chardev_disconnect(struct chardev *c);
/* Loop's thread: the kind has seen the hang-up of a connection whose input has not ended yet. */
void chardev_hung_up(struct chardev *c);

extern const struct chardev_kind chardev_stdio, chardev_pty, chardev_unix, chardev_tcp, chardev_fd,
	chardev_udp;
/* All of them, NULL-terminated. */
extern const struct chardev_kind *const chardev_kinds[];

#endif
