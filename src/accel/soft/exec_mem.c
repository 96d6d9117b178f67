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

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

/* Kernels before 6.3 do not know MFD_EXEC, later ones may insist on it (vm.memfd_noexec). */
static int code_file(void)
{
	int fd = memfd_create("lodge-code", MFD_CLOEXEC | MFD_EXEC);

	return fd >= 0 || errno != EINVAL ? fd : memfd_create("lodge-code", MFD_CLOEXEC);
}

bool exec_mem_init(struct exec_mem *m, size_t size, struct error *err)
{
	AUTO_FD int fd = code_file();
	void *rw, *rx;

	*m = (struct exec_mem){ 0 };
	if (fd < 0)
		return error_set_errno(err, errno, "cannot make memory for code: memfd_create");
	if (ftruncate(fd, size))
		return error_set_errno(err, errno, "cannot make memory for code: ftruncate");
	rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (rw == MAP_FAILED)
		return error_set_errno(err, errno, "cannot make memory for code: mmap");
	rx = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	if (rx == MAP_FAILED) {
		int e = errno;

		munmap(rw, size);
		return error_set_errno(err, e,
			"cannot make memory for code: the host forbids executable mappings");
	}
	*m = (struct exec_mem){ .rw = rw, .rx = rx, .size = size };
	return true;
}

/* mremap(2) of shared memory with an old size of 0 makes a second mapping of it. */
bool exec_mem_init_anonymous(struct exec_mem *m, size_t size, struct error *err)
{
	void *rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	void *rx = rw == MAP_FAILED ? MAP_FAILED : mremap(rw, 0, size, MREMAP_MAYMOVE);
	int e = errno;

	*m = (struct exec_mem){ 0 };
	if (rx == MAP_FAILED || mprotect(rx, size, PROT_READ | PROT_EXEC)) {
		e = rx == MAP_FAILED ? e : errno;
		if (rw != MAP_FAILED)
			munmap(rw, size);
		if (rx != MAP_FAILED)
			munmap(rx, size);
		return error_set_errno(err, e, "cannot make memory for code without a name");
	}
	*m = (struct exec_mem){ .rw = rw, .rx = rx, .size = size };
	return true;
}

void exec_mem_fini(struct exec_mem *m)
{
	if (m->rw)
		munmap(m->rw, m->size);
	if (m->rx)
		munmap(m->rx, m->size);
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
