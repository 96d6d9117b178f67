// SPDX-License-Identifier: GPL-2.0-or-later
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mremap */
#endif
#include "accel/soft/exec_mem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/types.h"
#include "mem/huge_file.h"

#define HUGE_PAGE ((size_t)2 << 20)

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

/* Kernels before 6.3 do not know MFD_EXEC, later ones may insist on it (vm.memfd_noexec). */
static int code_file(bool huge)
{
	int fd = huge ? huge_file_new("code") : -1;

	if (fd >= 0)
		return fd;
	fd = memfd_create("lodge-code", MFD_CLOEXEC | MFD_EXEC);
	return fd >= 0 || errno != EINVAL ? fd : memfd_create("lodge-code", MFD_CLOEXEC);
}

/* Address space of @size bytes whose first lies at the beginning of what can be a huge page. NULL: errno. */
static uint8_t *reserve(size_t size)
{
	uint8_t *p = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *at = (uint8_t *)ALIGN_UP((uintptr_t)p, (uintptr_t)HUGE_PAGE);

	if (p == MAP_FAILED)
		return NULL;
	if (at > p)
		munmap(p, at - p);
	munmap(at + size, p + HUGE_PAGE - at);
	return at;
}

/* Code of @fd, and @more bytes behind it. NULL: errno says why. */
static uint8_t *map_code(int fd, size_t size, size_t more, bool huge, int prot)
{
	uint8_t *p = reserve(size + more);
	int e;

	if (!p)
		return NULL;
	if (mmap(p, size, prot, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED) {
		if (huge)
			(void)!madvise(p, size + more, MADV_HUGEPAGE); /* advice */
		return p;
	}
	e = errno;
	munmap(p, size + more);
	errno = e;
	return NULL;
}

bool exec_mem_init(struct exec_mem *m, size_t size, size_t data_size, bool huge, struct error *err)
{
	AUTO_FD int fd = code_file(huge);
	uint8_t *rw, *rx;

	*m = (struct exec_mem){ 0 };
	if (fd < 0)
		return error_set_errno(err, errno, "cannot make memory for code: memfd_create");
	if (ftruncate(fd, size))
		return error_set_errno(err, errno, "cannot make memory for code: ftruncate");
	rw = map_code(fd, size, 0, huge, PROT_READ | PROT_WRITE);
	if (!rw)
		return error_set_errno(err, errno, "cannot make memory for code: mmap");
	rx = map_code(fd, size, data_size, huge, PROT_READ | PROT_EXEC);
	if (!rx) {
		int e = errno;

		munmap(rw, size);
		return error_set_errno(err, e,
			"cannot make memory for code: the host forbids executable mappings");
	}
	*m = (struct exec_mem){
		.rw = rw, .rx = rx, .data = rx + size, .size = size, .data_size = data_size
	};
	return true;
}

/* mremap(2) of shared memory with an old size of 0 makes a second mapping of it. */
bool exec_mem_init_anonymous(struct exec_mem *m, size_t size, size_t data_size, struct error *err)
{
	uint8_t *rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint8_t *rx = mmap(NULL, size + data_size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int e;

	*m = (struct exec_mem){ 0 };
	if (rw == MAP_FAILED || rx == MAP_FAILED ||
		mremap(rw, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, rx) == MAP_FAILED ||
		mprotect(rx, size, PROT_READ | PROT_EXEC)) {
		e = errno;
		if (rw != MAP_FAILED)
			munmap(rw, size);
		if (rx != MAP_FAILED)
			munmap(rx, size + data_size);
		return error_set_errno(err, e, "cannot make memory for code without a name");
	}
	*m = (struct exec_mem){
		.rw = rw, .rx = rx, .data = rx + size, .size = size, .data_size = data_size
	};
	return true;
}

void exec_mem_fini(struct exec_mem *m)
{
	if (m->rw)
		munmap(m->rw, m->size);
	if (m->rx)
		munmap(m->rx, m->size + m->data_size);
	*m = (struct exec_mem){ 0 };
}

const uint8_t *exec_mem_add(struct exec_mem *m, const uint8_t *code, size_t n)
{
	size_t room = ALIGN_UP(n, (size_t)EXEC_MEM_ALIGN);
	size_t at = m->used;

	if (room < n || room > m->size - at)
		return NULL;
	memcpy(m->rw + at, code, n);
	memset(m->rw + at + n, 0xcc, room - n); /* INT3 */
	m->used = at + room;
	return m->rx + at;
}

void exec_mem_patch(struct exec_mem *m, const uint8_t *at, const uint8_t *code, size_t n)
{
	memcpy(m->rw + (at - m->rx), code, n);
}
