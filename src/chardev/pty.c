// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pty - a pseudo terminal whose other side anybody may open (screen, minicom, cat).
 *
 * A master with no slave open reports a hang-up without end, and nothing tells that somebody has
 * opened the slave. So after a hang-up the master isn't watched; an inotify watch on the slave's
 * node wakes us when it is opened: no polling while nobody listens. Output is dropped meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <termios.h>
#include <unistd.h>
#include "base/str.h"
#include "chardev/chardev_int.h"

struct pty {
	struct chardev *c;
	int master, inotify;  /* owned */
	struct loop_fd watch; /* of inotify */
};

static void pty_opened(void *opaque, unsigned int events)
{
	struct pty *p = opaque;
	char buf[1024];

	while (read(p->inotify, buf, sizeof(buf)) > 0)
		;
	if (p->c->in_fd < 0 || p->c->hup)
		chardev_connect(p->c, p->master, false);
}

static void pty_close(struct chardev *c)
{
	struct pty *p = c->data;

	if (p->watch.loop)
		loop_fd_del(&p->watch);
	if (p->inotify >= 0)
		close(p->inotify);
	if (p->master >= 0)
		close(p->master);
	free(p);
}

/* Make the pair, raw and not blocking. */
static bool pty_make(struct pty *p, char *name, size_t size, struct error *err)
{
	struct termios t;
	int slave;

	p->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (p->master < 0 || grantpt(p->master) < 0 || unlockpt(p->master) < 0 ||
		ptsname_r(p->master, name, size) != 0)
		return error_set_errno(err, errno, "chardev '%s': cannot make a pty", p->c->id);
	/* Opened and closed once: from now on the master reports whether somebody is there. */
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return error_set_errno(
			err, errno, "chardev '%s': cannot open '%s'", p->c->id, name);
	if (!tcgetattr(slave, &t)) {
		cfmakeraw(&t);
		tcsetattr(slave, TCSANOW, &t);
	}
	close(slave);
	p->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (p->inotify < 0 || inotify_add_watch(p->inotify, name, IN_OPEN) < 0)
		return error_set_errno(
			err, errno, "chardev '%s': cannot watch '%s'", p->c->id, name);
	return true;
}

static bool pty_open(struct chardev *c, const char *arg, struct error *err)
{
	char name[64];
	struct pty *p;
	int r;

	if (arg)
		return error_usage(err, "chardev '%s': pty takes no argument", c->id);
	p = calloc(1, sizeof(*p));
	if (!p)
		return error_set(err, "chardev '%s': out of memory", c->id);
	p->c = c;
	p->master = p->inotify = -1;
	loop_fd_init(&p->watch, -1, LOOP_IN, pty_opened, p);
	c->data = p;
	if (!pty_make(p, name, sizeof(name), err)) {
		pty_close(c);
		return false;
	}
	p->watch.fd = p->inotify;
	r = loop_fd_add(c->loop, &p->watch);
	if (r < 0) {
		pty_close(c);
		return error_set_errno(err, r, "chardev '%s': cannot watch pty", c->id);
	}
	c->filename = str_printf("pty:%s", name);
	return true;
}

const struct chardev_kind chardev_pty = {
	.name = "pty",
	.open = pty_open,
	.close = pty_close,
	.input_end = chardev_disconnect,
	.hangup = chardev_disconnect,
};
