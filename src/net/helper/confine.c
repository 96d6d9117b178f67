// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Layers, each for itself enough to keep a helper that a guest has taken over from the files:
 * - Landlock: of the file system only /etc/resolv.conf can be read (libslirp looks there for the DNS server);
 * - seccomp: sockets of IPv4 and IPv6, memory, time, and nothing else; no exec, no new processes, no ptrace;
 * - capabilities: none but to listen at ports below 1024, if we had that at all;
 * - limits: no core dumps, no file growth, bounded memory.
 */
#include "net/helper/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/types.h"

#define MEMORY_MAX (4 * GIB)
#define FILES_MAX  16384

/* -------- limits and capabilities -------- */

static void limit(int what, rlim_t max)
{
	struct rlimit r;

	if (getrlimit((__rlimit_resource_t)what, &r) < 0)
		return;
	r.rlim_max = MIN(r.rlim_max, max);
	r.rlim_cur = r.rlim_max;
	setrlimit((__rlimit_resource_t)what, &r);
}

static void limits(void)
{
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_NPROC, 0);
	limit(RLIMIT_NOFILE, FILES_MAX);
	limit(RLIMIT_AS, MEMORY_MAX);
}

static bool capabilities(struct error *err)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) < 0)
		return error_set_errno(err, errno, "capget");
	data[0].permitted &= BIT(CAP_NET_BIND_SERVICE);
	data[0].effective = data[0].permitted;
	data[1].permitted = data[1].effective = 0;
	data[0].inheritable = data[1].inheritable = 0;
	return syscall(SYS_capset, &head, data) == 0 || error_set_errno(err, errno, "capset");
}

/* -------- Landlock: the kernel's structures, which old headers do not have -------- */

struct ruleset_attr {
	uint64_t handled_access_fs;
};
struct path_beneath {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule	    445
#define SYS_landlock_restrict_self  446
#endif
#define LANDLOCK_VERSION 1u
#define LANDLOCK_BENEATH 1
#define ACCESS_READ_FILE BIT_ULL(2)
#define ACCESS_FS_1	 (BIT_ULL(13) - 1)
#define ACCESS_REFER	 BIT_ULL(13)
#define ACCESS_TRUNCATE	 BIT_ULL(14)

static bool landlock(struct error *err)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);
	struct ruleset_attr attr = { ACCESS_FS_1 | (version >= 2 ? ACCESS_REFER : 0) |
				     (version >= 3 ? ACCESS_TRUNCATE : 0) };
	AUTO_FD int rules = -1;
	AUTO_FD int file = -1;

	if (version < 1)
		return true; /* not in this kernel, or turned off: seccomp remains */
	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (rules < 0)
		return error_set_errno(err, errno, "Landlock");
	file = open("/etc/resolv.conf", O_PATH | O_CLOEXEC);
	if (file >= 0) {
		struct path_beneath rule = { ACCESS_READ_FILE, file };

		if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_BENEATH, &rule, 0) < 0)
			return error_set_errno(err, errno, "Landlock");
	}
	return syscall(SYS_landlock_restrict_self, rules, 0) == 0 ||
	       error_set_errno(err, errno, "Landlock");
}

/* -------- seccomp -------- */

static const int allowed[] = { SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(bind), SCMP_SYS(brk),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(close), SCMP_SYS(connect),
	SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(fcntl), SCMP_SYS(fstat), SCMP_SYS(futex),
	SCMP_SYS(getpeername), SCMP_SYS(getpid), SCMP_SYS(getrandom), SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt), SCMP_SYS(gettimeofday), SCMP_SYS(getuid), SCMP_SYS(ioctl),
	SCMP_SYS(listen), SCMP_SYS(lseek), SCMP_SYS(madvise), SCMP_SYS(mremap), SCMP_SYS(munmap),
	SCMP_SYS(nanosleep), SCMP_SYS(newfstatat), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(read),
	SCMP_SYS(readv), SCMP_SYS(recvfrom), SCMP_SYS(recvmmsg), SCMP_SYS(recvmsg),
	SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sched_yield), SCMP_SYS(sendmmsg), SCMP_SYS(sendmsg), SCMP_SYS(sendto),
	SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(stat), SCMP_SYS(time), SCMP_SYS(write),
	SCMP_SYS(writev) };

static int conditional(scmp_filter_ctx c)
{
	static const int families[] = { AF_INET, AF_INET6 };
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(families); i++)
		r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
	/* Files: reading only. Memory: never executable. */
	r = r
		    ?: seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
			       SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC,
				       O_RDONLY));
	r = r
		    ?: seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return r
		       ?: seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static bool system_calls(struct error *err)
{
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = c ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < ARRAY_SIZE(allowed); i++)
		r = seccomp_rule_add(c, SCMP_ACT_ALLOW, allowed[i], 0);
	r = r ?: conditional(c) ?: seccomp_load(c);
	if (c)
		seccomp_release(c);
	return !r || error_set_errno(err, r, "seccomp");
}

bool confine(struct error *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
		chdir("/") < 0)
		return error_set_errno(err, errno, "prctl");
	return landlock(err) && capabilities(err) && (limits(), true) && system_calls(err);
}
