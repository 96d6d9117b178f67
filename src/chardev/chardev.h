// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * chardev - byte streams for serial ports and consoles. The front end (a device) sets callbacks; input is
 * offered when the front end says it has room, so a slow guest never makes us buffer without bound. Lives on
 * one loop (main).
 *
 * stdio, null, pty; file:PATH (emptied first), append:PATH: also /dev/fdset/N (base/fdset.h).
 * unix:PATH, tcp:[ADDR]:PORT: a client's connection, or with `,server` one client after the other; more of
 * tcp's options: nodelay, to=PORT (a server's port is the first free one up to that), ipv4=off, ipv6=off.
 * fd:N[,server]: such a socket that is open already. `wait=off` and `nowait`, which QEMU's users write, mean
 * nothing: nobody waits for a client. udp:[ADDR]:PORT[@[ADDR]:PORT]: datagrams to the first and from it, received at
 * the second. Addresses are numeric (base/sock_inet.h), none is 127.0.0.1; a server's port 0 is any.
 */
#ifndef CHARDEV_CHARDEV_H
#define CHARDEV_CHARDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "loop/loop.h"

struct chardev;

/* @spec: as above; @id for messages and QMP. NULL and @err: no descriptor is closed, fd:N's is the caller's. */
struct chardev *chardev_open(
	const char *spec, const char *id, struct loop *l, struct error *err) MUST_USE;
/* Writes out what is buffered (bounded wait of 1 s), restores the terminal. */
void chardev_close(struct chardev *c);
const char *chardev_id(const struct chardev *c);
/* As QEMU writes it: `pty:/dev/pts/3`, `disconnected:unix:/x,server=on`, `tcp:ADDR:PORT <-> ADDR:PORT` (ours, the
 * peer's), `udp` ... Main; good until the loop runs. */
const char *chardev_filename(const struct chardev *c);

struct chardev_front {
	void (*receive)(void *opaque, const uint8_t *p, size_t n); /* n <= the room last told */
	void (*opened)(void *opaque, bool open); /* peer came or went; may be NULL */
	void (*writable)(void *opaque);		 /* room again after a short write */
	void *opaque;
};
/* Join a device; one at a time; NULL leaves. On the loop's thread or before it runs. Callbacks run
 * on the loop's thread with no lock held. */
void chardev_set_front(struct chardev *c, const struct chardev_front *f);
bool chardev_has_front(const struct chardev *c);
/* How many bytes the front end can take now; 0 stops input. Any thread. What receive() is given is
 * taken off; the front end tells anew when it has room again, under the lock that guards its own
 * buffer (so that what is told last is the newest). */
void chardev_set_room(struct chardev *c, size_t room);
/* Write @n bytes; returns how many were taken (a bounded buffer may be full; never blocks). Any
 * thread: a vCPU writes the UART's bytes straight from its exit. With no peer all is taken and
 * dropped. After a short count writable() is called when half of the buffer is free. */
size_t chardev_write(struct chardev *c, const uint8_t *p, size_t n);
bool chardev_is_open(const struct chardev *c);
/* Does it stand on connections that can be broken off? */
bool chardev_is_socket(const struct chardev *c);
/* Break the connection off, if there is one, without waiting for anything; a server then takes the next
 * client. Loop's thread. */
void chardev_break(struct chardev *c);
/* The size of the terminal behind it, in characters; false (and zeroes) when there is none. */
bool chardev_size(const struct chardev *c, uint16_t *cols, uint16_t *rows);

/* Terminal of stdio: raw while a VM runs, restored by chardev_close, at exit and on fatal signals.
 * In raw mode Ctrl-] (0x1d) is not passed on: @escape is called instead. */
void chardev_stdio_set_escape(void (*escape)(void *opaque), void *opaque);
/* The same at once, for a signal's handler. */
void chardev_stdio_restore(void);
/* After SIGCONT: the shell has put its own terminal modes back; make it raw again. */
void chardev_stdio_resume(void);

#endif
