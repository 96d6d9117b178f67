// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * diskbench - a guest's init that measures its first virtio disk: O_DIRECT, by Linux's native AIO
 * through raw system calls (no library, the same path for each depth).
 *
 * First loads the modules in /modules in the order of their names. For each phase it prints
 * "@@ NAME", waits (the host side takes its counters), works, prints "@@ NAME-end" and at last
 * "= NAME OPERATIONS NANOSECONDS". The phase "none" does nothing: its exits are the cost of the
 * marks themselves. Time is CLOCK_MONOTONIC; under icount a nanosecond is an instruction of all
 * that runs, of the host side too.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX  32
#define BUFFER_MAX 131072

struct phase {
	const char *name;
	unsigned int depth;
	unsigned int size;
	unsigned int count;
	int opcode;
	int is_random;
	int scattered; /* the buffer's pages lie apart in the guest's memory */
	int sync;      /* fdatasync(2) after each: a flush of the disk's cache */
};

static const struct phase phases[] = {
	{ "none", 1, 4096, 0, IOCB_CMD_PREAD, 1, 0, 0 },
	{ "rand-read-4k-d1", 1, 4096, 500, IOCB_CMD_PREAD, 1, 0, 0 },
	{ "rand-write-4k-d1", 1, 4096, 500, IOCB_CMD_PWRITE, 1, 0, 0 },
	{ "write-sync-4k-d1", 1, 4096, 300, IOCB_CMD_PWRITE, 1, 0, 1 },
	{ "rand-read-4k-d32", 32, 4096, 2000, IOCB_CMD_PREAD, 1, 0, 0 },
	{ "seq-read-128k-d1", 1, 131072, 200, IOCB_CMD_PREAD, 0, 0, 0 },
	{ "seq-read-128k-sg", 1, 131072, 200, IOCB_CMD_PREAD, 0, 1, 0 },
};

static uint64_t seed = 88172645463325252ull;

static uint64_t random64(void) /* xorshift */
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void die(const char *what)
{
	perror(what);
	printf("@@ failed\n");
	fflush(stdout);
	for (;;)
		pause();
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void load_modules(void)
{
	struct dirent **list;
	int n = scandir("/modules", &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char path[300];
		int fd;

		if (list[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/modules/%s", list[i]->d_name);
		fd = open(path, O_RDONLY);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			perror(path);
		close(fd);
	}
}

static int open_disk(void)
{
	int fd = -1;

	for (int tries = 0; fd < 0 && tries < 1000; tries++) {
		fd = open("/dev/vda", O_RDWR | O_DIRECT);
		if (fd < 0)
			usleep(10000);
	}
	if (fd < 0)
		die("/dev/vda");
	return fd;
}

static void mark(const char *name, const char *suffix)
{
	printf("@@ %s%s\n", name, suffix);
	fflush(stdout);
	usleep(50000);
}

/* Memory for the largest operations: in huge pages, or in pages that lie apart. */
static char *get_memory(int scattered)
{
	size_t size = (size_t)BUFFER_MAX * DEPTH_MAX, pages = size / 4096;
	char *m = aligned_alloc(2 << 20, size);

	if (!m || madvise(m, size, scattered ? MADV_NOHUGEPAGE : MADV_HUGEPAGE))
		die("memory");
	for (size_t i = 0; i < pages; i++)
		memset(m + i * 37 % pages * 4096, 0x5a, 4096);
	return m;
}

static void prepare(struct iocb *cb, const struct phase *p, uint64_t blocks, uint64_t i)
{
	cb->aio_offset = (p->is_random ? random64() % blocks : i % blocks) * p->size;
}

static int64_t run_phase(
	aio_context_t ctx, int fd, const struct phase *p, uint64_t disk_size, char *memory)
{
	struct iocb cbs[DEPTH_MAX], *submit[DEPTH_MAX];
	struct io_event events[DEPTH_MAX];
	uint64_t blocks = disk_size / p->size;
	unsigned int started = 0, ended = 0;
	int n_submit = 0;
	int64_t start = now_ns();

	memset(cbs, 0, sizeof(cbs));
	for (unsigned int i = 0; i < p->depth && i < p->count; i++) {
		cbs[i].aio_lio_opcode = p->opcode;
		cbs[i].aio_fildes = fd;
		cbs[i].aio_buf = (uintptr_t)(memory + (size_t)i * p->size);
		cbs[i].aio_nbytes = p->size;
		submit[n_submit++] = &cbs[i];
		prepare(&cbs[i], p, blocks, started++);
	}
	while (ended < p->count) {
		int n;

		if (n_submit && syscall(SYS_io_submit, ctx, n_submit, submit) != n_submit)
			die("io_submit");
		n_submit = 0;
		n = syscall(SYS_io_getevents, ctx, 1, p->depth, events, NULL);
		if (n < 1)
			die("io_getevents");
		if (p->sync && fdatasync(fd))
			die("fdatasync");
		for (int i = 0; i < n; i++) {
			struct iocb *cb = (struct iocb *)(uintptr_t)events[i].obj;

			if (events[i].res != p->size)
				die("short or failed operation");
			ended++;
			if (started < p->count) {
				prepare(cb, p, blocks, started++);
				submit[n_submit++] = cb;
			}
		}
	}
	return now_ns() - start;
}

int main(void)
{
	aio_context_t ctx = 0;
	uint64_t size;
	char *memory[2];
	int fd;

	mount("dev", "/dev", "devtmpfs", 0, NULL);
	if (!freopen("/dev/console", "w", stdout) || !freopen("/dev/console", "w", stderr))
		return 1;
	mark("init", "");
	load_modules();
	fd = open_disk();
	if (ioctl(fd, BLKGETSIZE64, &size))
		die("disk");
	memory[0] = get_memory(0);
	memory[1] = get_memory(1);
	if (syscall(SYS_io_setup, DEPTH_MAX, &ctx))
		die("io_setup");
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		const struct phase *p = &phases[i];
		int64_t ns;

		mark(p->name, "");
		ns = run_phase(ctx, fd, p, size, memory[p->scattered]);
		mark(p->name, "-end");
		printf("= %s %u %lld\n", p->name, p->count, (long long)ns);
	}
	fflush(stdout);
	mark("end", "");
	for (;;)
		pause();
}
