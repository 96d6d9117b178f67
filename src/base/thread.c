// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/thread.h"

#include <assert.h>
#include <string.h>
#include <sys/prctl.h>

struct role role_main, role_vcpu, role_io, role_worker;

static __thread enum thread_role current_role;

void thread_enter(enum thread_role role, const char *name)
{
	char comm[16] = "";

	current_role = role;
	memcpy(comm, name, strnlen(name, sizeof(comm) - 1));
	prctl(PR_SET_NAME, comm, 0, 0, 0);
}

enum thread_role thread_role(void)
{
	return current_role;
}

bool thread_is(enum thread_role role)
{
	return current_role == ROLE_NONE || current_role == role;
}

void thread_assert_main(void)
{
	assert(thread_is(ROLE_MAIN));
}
