// SPDX-License-Identifier: GPL-2.0-or-later
#include "sandbox/helper.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/types.h"
#include "sandbox/landlock.h"
#include "sandbox/rights.h"

static void limit(int what, rlim_t max)
{
	struct rlimit r;

	if (getrlimit((__rlimit_resource_t)what, &r) < 0)
		return;
	r.rlim_max = MIN(r.rlim_max, max);
	r.rlim_cur = r.rlim_max;
	setrlimit((__rlimit_resource_t)what, &r);
}

static void limits(const struct helper_rules *r)
{
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_NPROC, 0);
	limit(RLIMIT_NOFILE, r->descriptors);
	if (r->memory)
		limit(RLIMIT_AS, r->memory);
}

/* 0 or -errno. */
static int paths(const struct helper_rules *r)
{
	AUTO_FD int rules = landlock_new(r->kind == HELPER_CONNECTOR);
	int rc = 0;

	if (rules == -ENOSYS || rules == -EOPNOTSUPP)
		return 0; /* not in this kernel, or turned off: seccomp remains */
	if (rules < 0)
		return rules;
	if (r->readable && !access(r->readable, F_OK))
		rc = landlock_allow(rules, r->readable, SANDBOX_READ);
	if (!rc && r->port)
		rc = landlock_allow_connect(rules, r->port);
	return rc ?: landlock_restrict(rules);
}

bool sandbox_helper_confine(const struct helper_rules *r, struct error *err)
{
	static const int filters[] = { [HELPER_CONNECTOR] = SANDBOX_FILTER_CONNECTOR,
		[HELPER_USER_NET] = SANDBOX_FILTER_USER_NET };
	int rc;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_set_errno(err, errno, "prctl");
	rc = paths(r);
	if (rc)
		return error_set_errno(err, rc, "Landlock");
	rc = rights_drop_capabilities(r->capabilities);
	if (rc)
		return error_set_errno(err, rc, "capabilities");
	limits(r);
	rc = rights_load_filter(&sandbox_filters[filters[r->kind]]);
	return !rc || error_set_errno(err, rc, "seccomp");
}
