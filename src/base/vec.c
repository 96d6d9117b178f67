// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/vec.h"

#include "base/ovf.h"

bool vec_grow(void **data, size_t *cap, size_t len, size_t n, size_t size)
{
	size_t need, want, bytes;
	void *p;

	if (ovf_add(len, n, &need))
		return false;
	if (need <= *cap)
		return true;
	/* Half as much again, so that pushing n elements copies O(n). */
	if (ovf_add(*cap, *cap / 2, &want) || want < need)
		want = need;
	if (want < 4)
		want = 4;
	if (ovf_mul(want, size, &bytes))
		return false;
	p = realloc(*data, bytes);
	if (!p)
		return false;
	*data = p;
	*cap = want;
	return true;
}
