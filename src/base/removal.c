// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/removal.h"

#include <stdlib.h>
#include <string.h>
#include "base/vec.h"

static VEC(char *) paths;

void removal_expect(const char *path)
{
	char *copy = strdup(path);

	if (copy && !vec_push(&paths, copy))
		free(copy);
}

const char *removal_path(size_t i)
{
	return i < paths.len ? paths.data[i] : NULL;
}
