// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vec - growable array of any type: VEC(struct foo) v = {0}; vec_push(&v, x). `data`, `len` may be
 * read directly. Control path only. Allocation failure: push returns false and changes nothing.
 */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define VEC(type)                \
	struct {                 \
		type *data;      \
		size_t len, cap; \
	}

/* Make room for @n more elements of @size bytes; true on success. */
bool vec_grow(void **data, size_t *cap, size_t len, size_t n, size_t size);

#define vec_reserve(v, n) \
	vec_grow((void **)&(v)->data, &(v)->cap, (v)->len, (n), sizeof(*(v)->data))
#define vec_push(v, x) (vec_reserve(v, 1) ? ((v)->data[(v)->len++] = (x), true) : false)
#define vec_remove(v, i)                                           \
	do {                                                       \
		size_t i_ = (i);                                   \
		memmove(&(v)->data[i_], &(v)->data[i_ + 1],        \
			((v)->len - i_ - 1) * sizeof(*(v)->data)); \
		(v)->len--;                                        \
	} while (0)
#define vec_clear(v) ((v)->len = 0)
#define vec_fini(v)                      \
	do {                             \
		free((v)->data);         \
		(v)->data = NULL;        \
		(v)->len = (v)->cap = 0; \
	} while (0)
#define vec_for_each(it, v) for (it = (v)->data; it && it < (v)->data + (v)->len; it++)

#endif
