// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * map - hash map from string to pointer, insertion order kept for iteration. Keys are copied.
 * Values are the caller's. Hash is keyed (SipHash-like seed per process) because keys may come
 * from a peer. Control path only; not thread-safe.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_entry {
	char *key;   /* owned; NULL: deleted */
	void *value; /* the caller's */
	uint64_t hash;
};

struct map {
	struct map_entry *entries; /* in insertion order */
	size_t len, cap;	   /* entries used (deleted ones included) and allocated */
	size_t live;		   /* entries not deleted */
	uint32_t *index;	   /* open addressing; entry number + 1, 0 empty */
	size_t index_size;	   /* power of two */
};

void map_init(struct map *m);
void map_fini(struct map *m);
void *map_get(const struct map *m, const char *key);
bool map_has(const struct map *m, const char *key);
/* Insert or replace. False: out of memory, nothing changed. */
bool map_set(struct map *m, const char *key, void *value);
/* Remove; returns the value or NULL. */
void *map_del(struct map *m, const char *key);

#define map_for_each(it, m)                                               \
	for (it = (m)->entries; it && it < (m)->entries + (m)->len; it++) \
		if (it->key)

#endif
