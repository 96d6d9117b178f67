// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The format of jitdump files is Linux' tools/perf/Documentation/jitdump-specification.txt. perf finds the
 * file by a mapping of it with PROT_EXEC, which it has in its records. Times are CLOCK_MONOTONIC's (perf
 * record -k 1).
 */
#include "accel/soft/perf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "accel/soft/ksyms.h"
#include "accel/soft/soft_int.h"
#include "base/clock.h"
#include "base/log.h"

#define NAME_SIZE    192
#define MAPPING_SIZE 4096

struct file_header {
	uint32_t magic, version, size, machine, pad, pid;
	uint64_t time, flags;
};
enum { CODE_LOAD = 0, CODE_CLOSE = 3 };
struct record {
	uint32_t id, size;
	uint64_t time;
};
struct code_load {
	struct record r;
	uint32_t pid, tid;
	uint64_t vma, address, size, index;
	/* the name with its 0, the code */
};
_Static_assert(sizeof(struct file_header) == 40 && sizeof(struct code_load) == 56, "jitdump");

struct soft_perf {
	enum soft_perf_kind kind;
	struct ksyms *symbols; /* owned, or NULL */
	int fd;		       /* owned; append only */
	void *mapping;	       /* owned: what perf finds the file by; or NULL */
	uint32_t pid;
	_Atomic uint64_t next_index;
	_Atomic bool failed;
};

/* -------- writing -------- */
/* The file may be used up to what is in it: what cannot be written whole ends it. */
static void put(struct soft_perf *p, struct iovec *iov, int n)
{
	size_t size = 0;
	ssize_t r;

	if (atomic_load_explicit(&p->failed, memory_order_relaxed))
		return;
	for (int i = 0; i < n; i++)
		size += iov[i].iov_len;
	do {
		r = writev(p->fd, iov, n);
	} while (r < 0 && errno == EINTR);
	if (r == (ssize_t)size || atomic_exchange(&p->failed, true))
		return;
	log_warn("soft", "perf: cannot write any more: %s",
		r < 0 ? strerror(errno) : "no space left");
}

static void put_map(struct soft_perf *p, const char *name, const uint8_t *code, size_t n)
{
	char line[NAME_SIZE + 48];
	int len = snprintf(line, sizeof(line), "%" PRIxPTR " %zx %s\n", (uintptr_t)code, n, name);

	put(p, &(struct iovec){ line, (size_t)MIN(len, (int)sizeof(line) - 1) }, 1);
}

static void put_load(struct soft_perf *p, const char *name, const uint8_t *code, size_t n)
{
	size_t len = strlen(name) + 1;
	struct code_load l = {
		.r = { CODE_LOAD, (uint32_t)(sizeof(l) + len + n), (uint64_t)clock_mono_ns() },
		.pid = p->pid,
		.tid = (uint32_t)syscall(SYS_gettid),
		.vma = (uintptr_t)code,
		.address = (uintptr_t)code,
		.size = n,
		.index = atomic_fetch_add(&p->next_index, 1),
	};
	struct iovec iov[] = { { &l, sizeof(l) }, { (void *)(uintptr_t)name, len },
		{ (void *)(uintptr_t)code, n } };

	put(p, iov, 3);
}

void soft_perf_code(struct soft_perf *p, const char *name, const uint8_t *code, size_t n)
{
	if (p->kind == SOFT_PERF_MAP)
		put_map(p, name, code, n);
	else
		put_load(p, name, code, n);
}

/* guest:k64:ffffffff81000010:_stext+0x10 - privilege, width, where the guest has it, and in what. */
void soft_perf_block(
	struct soft_perf *p, const struct soft_vcpu *v, uint64_t lin, const uint8_t *code, size_t n)
{
	char name[NAME_SIZE];
	uint32_t off = 0;
	const char *symbol = p->symbols && v->cpl < 3 ? ksyms_find(p->symbols, lin, v->lstar, &off)
						      : NULL;
	int len = snprintf(name, sizeof(name), "guest:%c%d:%016" PRIx64, v->cpl == 3 ? 'u' : 'k',
		v->code == X86_CODE_64 ? 64 : 32, lin);

	if (symbol)
		snprintf(name + len, sizeof(name) - (size_t)len, ":%s+%#x", symbol, off);
	soft_perf_code(p, name, code, n);
}

/* -------- the file -------- */
/* A new one: what another process has left there under our number is no use, and may be a trap. */
static bool open_file(struct soft_perf *p, const char *dir, struct error *err)
{
	AUTO_FREE char *path = p->kind == SOFT_PERF_MAP
				       ? str_printf(
						 "%s/perf-%" PRIu32 ".map", dir ?: "/tmp", p->pid)
				       : str_printf("%s/jit-%" PRIu32 ".dump", dir ?: ".", p->pid);

	if (!path)
		return error_set(err, "out of memory");
	if (unlink(path) < 0 && errno != ENOENT)
		return error_set_errno(err, errno, "perf: cannot remove '%s'", path);
	p->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	return p->fd >= 0 || error_set_errno(err, errno, "perf: cannot make '%s'", path);
}

static bool begin_dump(struct soft_perf *p, struct error *err)
{
	struct file_header h = { .magic = 0x4a695444,
		.version = 1,
		.size = sizeof(h),
		.machine = EM_X86_64,
		.pid = p->pid,
		.time = (uint64_t)clock_mono_ns() };

	put(p, &(struct iovec){ &h, sizeof(h) }, 1);
	p->mapping = mmap(NULL, MAPPING_SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, p->fd, 0);
	if (p->mapping != MAP_FAILED)
		return true;
	p->mapping = NULL;
	return error_set_errno(err, errno,
		"perf: cannot map the jitdump file as code, by which perf finds it (is the file "
		"system mounted noexec?)");
}

struct soft_perf *soft_perf_new(
	enum soft_perf_kind kind, const char *symbols, const char *dir, struct error *err)
{
	struct soft_perf *p = calloc(1, sizeof(*p));

	if (!p) {
		error_set(err, "out of memory");
		return NULL;
	}
	p->kind = kind;
	p->fd = -1;
	p->pid = (uint32_t)getpid();
	if ((symbols && !(p->symbols = ksyms_load(symbols, err))) || !open_file(p, dir, err) ||
		(kind == SOFT_PERF_JITDUMP && !begin_dump(p, err))) {
		soft_perf_free(p);
		return NULL;
	}
	return p;
}

void soft_perf_free(struct soft_perf *p)
{
	struct record close_record = { CODE_CLOSE, sizeof(close_record), 0 };

	if (!p)
		return;
	if (p->mapping) {
		close_record.time = (uint64_t)clock_mono_ns();
		put(p, &(struct iovec){ &close_record, sizeof(close_record) }, 1);
		munmap(p->mapping, MAPPING_SIZE);
	}
	if (p->fd >= 0)
		close(p->fd);
	ksyms_free(p->symbols);
	free(p);
}
