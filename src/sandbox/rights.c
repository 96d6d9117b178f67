// SPDX-License-Identifier: GPL-2.0-or-later
#include "sandbox/rights.h"

#include <assert.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/types.h"

#define FILTER_MAX 1024

int rights_drop_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(keep >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	(void)!prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

int rights_load_filter(const struct sandbox_filter *f)
{
	struct sock_filter code[FILTER_MAX];
	struct sock_fprog prog = { .len = (unsigned short)f->len, .filter = code };

	assert(f->len <= ARRAY_SIZE(code));
	memcpy(code, f->code, f->len * sizeof(*code));
	for (unsigned int i = 0; i < f->len; i++) {
		if (BPF_CLASS(code[i].code) == BPF_JMP && code[i].k == SANDBOX_PID)
			code[i].k = (uint32_t)getpid();
	}
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0 ? -errno : 0;
}
