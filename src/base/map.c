// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * map - entries lie in an array in insertion order; beside it an open-addressed index of entry
 * numbers. A deleted entry keeps its place (key NULL) and its slot in the index until the array is
 * full; then the array is packed, or grown, and the index is made anew. The index has at least
 * twice as many slots as the array has entries, so that a probe always finds an empty one.
 */
#include "base/map.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include "base/ovf.h"
#include "base/wire.h"

#define MAP_MIN_CAP 8u
#define MAP_MAX_CAP (1u << 28)

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = ROTL(v[1], 13) ^ v[0];
	v[0] = ROTL(v[0], 32);
	v[2] += v[3];
	v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTL(v[1], 17) ^ v[2];
	v[2] = ROTL(v[2], 32);
}

/* SipHash-1-3 (Aumasson and Bernstein). */
static uint64_t sip_hash(const uint8_t key[16], const void *data, size_t len)
{
	uint64_t k0 = rd_le64(key), k1 = rd_le64(key + 8);
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575ull, k1 ^ 0x646f72616e646f6dull,
		k0 ^ 0x6c7967656e657261ull, k1 ^ 0x7465646279746573ull };
	const uint8_t *p = data;
	uint64_t m;

	for (size_t left = len; left >= 8; left -= 8, p += 8) {
		m = rd_le64(p);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	m = rd_le(p, len & 7) | (uint64_t)len << 56;
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The process's key: the 16 random bytes that the kernel hands every program. No system call, and
 * nobody outside sees a hash. */
static uint64_t map_hash(const char *key)
{
	static const uint8_t none[16];
	unsigned long random = getauxval(AT_RANDOM);

	return sip_hash(random ? (const uint8_t *)random : none, key, strlen(key));
}

void map_init(struct map *m)
{
	*m = (struct map){ 0 };
}

void map_fini(struct map *m)
{
	for (size_t i = 0; i < m->len; i++)
		free(m->entries[i].key);
	free(m->entries);
	free(m->index);
	map_init(m);
}

static struct map_entry *map_find(const struct map *m, const char *key, uint64_t hash)
{
	if (!m->live)
		return NULL;
	for (size_t i = hash & (m->index_size - 1); m->index[i];
		i = (i + 1) & (m->index_size - 1)) {
		struct map_entry *e = &m->entries[m->index[i] - 1];

		if (e->key && e->hash == hash && strcmp(e->key, key) == 0)
			return e;
	}
	return NULL;
}

void *map_get(const struct map *m, const char *key)
{
	struct map_entry *e = map_find(m, key, map_hash(key));

	return e ? e->value : NULL;
}

bool map_has(const struct map *m, const char *key)
{
	return map_find(m, key, map_hash(key));
}

static void map_index_add(uint32_t *index, size_t index_size, uint64_t hash, size_t entry)
{
	size_t i = hash & (index_size - 1);

	while (index[i])
		i = (i + 1) & (index_size - 1);
	index[i] = (uint32_t)entry + 1;
}

/* Make room for one more entry: new arrays, without the deleted entries. */
static bool map_make_room(struct map *m)
{
	size_t cap = MAP_MIN_CAP, n = 0;
	struct map_entry *entries;
	uint32_t *index;

	if (m->len < m->cap)
		return true;
	/* At least a quarter stays free, or deleting and adding in turn would pack every time. */
	while (cap - cap / 4 <= m->live)
		cap *= 2;
	if (cap > MAP_MAX_CAP)
		return false;
	entries = calloc(cap, sizeof(*entries));
	index = calloc(2 * cap, sizeof(*index));
	if (!entries || !index) {
		free(entries);
		free(index);
		return false;
	}
	for (size_t i = 0; i < m->len; i++) {
		if (!m->entries[i].key)
			continue;
		entries[n] = m->entries[i];
		map_index_add(index, 2 * cap, entries[n].hash, n);
		n++;
	}
	free(m->entries);
	free(m->index);
	m->entries = entries;
	m->index = index;
	m->len = n;
	m->cap = cap;
	m->index_size = 2 * cap;
	return true;
}

bool map_set(struct map *m, const char *key, void *value)
{
	uint64_t hash = map_hash(key);
	struct map_entry *e = map_find(m, key, hash);
	char *copy;

	if (e) {
		e->value = value;
		return true;
	}
	copy = strdup(key);
	if (!copy)
		return false;
	if (!map_make_room(m)) {
		free(copy);
		return false;
	}
	m->entries[m->len] = (struct map_entry){ .key = copy, .value = value, .hash = hash };
	map_index_add(m->index, m->index_size, hash, m->len);
	m->len++;
	m->live++;
	return true;
}

void *map_del(struct map *m, const char *key)
{
	struct map_entry *e = map_find(m, key, map_hash(key));

	if (!e)
		return NULL;
	free(e->key);
	e->key = NULL;
	m->live--;
	return e->value;
}
