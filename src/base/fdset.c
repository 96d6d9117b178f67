// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/fdset.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"

static const char prefix[] = "/dev/fdset/";
static int (*provider)(void *opaque, uint64_t set, int flags, struct error *err);
static void *provider_opaque;

bool fdset_is_path(const char *path)
{
	const char *rest;

	return str_has_prefix(path, prefix, &rest);
}

int fdset_open(const char *path, int flags, struct error *err)
{
	AUTO_FD int fd = -1;
	const char *number;
	uint64_t set;

	if (!str_has_prefix(path, prefix, &number) || !str_parse_u64(number, &set)) {
		error_set(err, "'%s': the number of a set of descriptors is wanted", path);
		return -1;
	}
	if (!provider) {
		error_set(err, "'%s': there are no sets of descriptors", path);
		return -1;
	}
	fd = provider(provider_opaque, set, flags, err);
	if (fd >= 0 && flags & O_DIRECT && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_DIRECT) < 0) {
		error_set_errno(err, errno, "'%s': direct I/O is not possible", path);
		return -1;
	}
	return TAKE_FD(fd);
}

void fdset_provide(
	int (*dup)(void *opaque, uint64_t set, int flags, struct error *err), void *opaque)
{
	provider = dup;
	provider_opaque = opaque;
}
