// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop-io - what a disk request costs the event loop: a thread in the guest's place kicks an eventfd,
 * the loop reads a block and signals another eventfd, and the thread waits for that.
 *
 *	loop-io FILE epoll|uring [COUNT [DEPTH [SIZE]]]
 *
 * Prints nanoseconds a request (under the lab's --icount: instructions, kernel's included). For
 * system calls: strace -f -c. The thread itself makes three a batch: write, poll, read.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include "base/clock.h"
#include "loop/loop.h"

#define DEPTH_MAX 256u

struct slot {
	struct bench *b;
	struct loop_io io;
	struct iovec iov;
	struct slot *next; /* free */
};

struct bench {
	struct loop *loop;
	struct loop_event kick;
	int fd, irq;
	uint64_t blocks;
	uint32_t depth, size;
	struct slot slot[DEPTH_MAX], *free;
	/* the "ring" */
	_Atomic uint64_t asked, done;
	uint64_t begun;
	uint64_t seed;
};

static void read_done(struct loop_io *io, int64_t res)
{
	struct slot *s = io->opaque;

	if (res != (int64_t)s->b->size) {
		fprintf(stderr, "loop-io: read: %s\n", strerror(res < 0 ? (int)-res : EIO));
		exit(1);
	}
	s->next = s->b->free;
	s->b->free = s;
	atomic_fetch_add(&s->b->done, 1);
	loop_eventfd_signal(s->b->loop, s->b->irq);
}

static void kicked(void *opaque)
{
	struct bench *b = opaque;

	while (b->begun < atomic_load(&b->asked)) {
		struct slot *s = b->free;

		b->begun++;
		b->free = s->next;
		b->seed = b->seed * 6364136223846793005ull + 1442695040888963407ull;
		s->io.offset = (b->seed >> 20) % b->blocks * b->size;
		loop_io_submit(b->loop, &s->io);
	}
}

/* The guest: keeps @depth requests going, one kick for all that it adds at a time. */
static void guest(struct bench *b, uint64_t count)
{
	uint64_t asked = 0, done = 0, v;
	struct pollfd p = { .fd = b->irq, .events = POLLIN };

	while (done < count) {
		uint64_t more = MIN(b->depth - (asked - done), count - asked);

		if (more) {
			asked += more;
			atomic_store(&b->asked, asked);
			loop_event_kick(&b->kick);
		}
		poll(&p, 1, -1);
		(void)!read(b->irq, &v, sizeof(v));
		done = atomic_load(&b->done);
	}
	b->asked = b->done = 0;
}

static void begin(void *opaque)
{
	struct bench *b = opaque;

	b->begun = 0;
	if (!b->kick.watch.loop && loop_event_add(b->loop, &b->kick) != 0)
		exit(1);
}

static bool open_file(struct bench *b, const char *path)
{
	b->fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (b->fd < 0) {
		b->fd = open(path, O_RDONLY | O_CLOEXEC);
		fprintf(stderr, "loop-io: no O_DIRECT: through the page cache\n");
	}
	if (b->fd < 0) {
		fprintf(stderr, "loop-io: %s: %s\n", path, strerror(errno));
		return false;
	}
	b->blocks = (uint64_t)lseek(b->fd, 0, SEEK_END) / b->size;
	return b->blocks > 0;
}

static void slots_init(struct bench *b)
{
	for (uint32_t i = 0; i < b->depth; i++) {
		struct slot *s = &b->slot[i];

		s->b = b;
		s->next = b->free;
		b->free = s;
		s->iov.iov_base = aligned_alloc(4096, ALIGN_UP(b->size, 4096u));
		s->iov.iov_len = b->size;
		s->io = (struct loop_io){ .kind = LOOP_IO_READV,
			.fd = b->fd,
			.iov = &s->iov,
			.n_iov = 1,
			.done = read_done,
			.opaque = s };
	}
}

static uint64_t arg(int argc, char **argv, int i, uint64_t otherwise)
{
	return argc > i ? strtoull(argv[i], NULL, 0) : otherwise;
}

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	struct bench *b = calloc(1, sizeof(*b));
	uint64_t count = arg(argc, argv, 3, 20000);
	bool uring;
	int64_t t;

	if (argc < 3 || !b) {
		fprintf(stderr, "usage: loop-io FILE epoll|uring [COUNT [DEPTH [SIZE]]]\n");
		return 2;
	}
	uring = !strcmp(argv[2], "uring");
	b->depth = (uint32_t)MIN(MAX(arg(argc, argv, 4, 1), 1), DEPTH_MAX);
	b->size = (uint32_t)arg(argc, argv, 5, 4096);
	b->irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!open_file(b, argv[1]) || b->irq < 0 || loop_event_init(&b->kick, kicked, b) < 0)
		return 1;
	slots_init(b);
	b->loop = loop_thread_start("loop-io", ROLE_IO, uring ? LOOP_URING : 0, &err);
	if (!b->loop) {
		fprintf(stderr, "loop-io: %s\n", err.msg);
		return 1;
	}
	loop_call(b->loop, begin, b);
	guest(b, count / 10 + 1); /* to warm up */
	loop_call(b->loop, begin, b);
	t = clock_mono_ns();
	guest(b, count);
	t = clock_mono_ns() - t;
	printf("%s depth %u size %u: %lld ns a request\n",
		loop_has_uring(b->loop) ? "io_uring" : "epoll", b->depth, b->size,
		(long long)(t / (int64_t)count));
	loop_thread_stop(b->loop);
	loop_event_fini(&b->kick);
	return 0;
}
