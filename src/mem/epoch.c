// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * epoch - who is inside a read section, and what waits for them to leave.
 *
 * Each thread has a record in its thread-local storage, linked into one list when the thread first
 * reads and taken out when it ends. Readers touch only their own record; the list and the retired
 * snapshots have one mutex, which is never held while waiting or freeing.
 */
#include <assert.h>
#include <stddef.h>
#include <time.h>
#include "mem/mem_int.h"

/* So many retired snapshots make a writer pause: a guest that moves a BAR in a loop cannot outrun
 * the readers of another vCPU. */
#define RETIRED_MAX 256

struct reader {
	_Atomic uint64_t active; /* epoch of the section, 0: outside. Scanned by oldest_reader() */
	uint32_t nest;
	bool linked;
	struct list node;
};

/* Its own cache line: writers only look at it. */
static _Thread_local struct reader self __attribute__((aligned(64)));

static _Atomic uint64_t epoch = 1;
static struct mutex epoch_lock = MUTEX_INIT;
static struct list readers GUARDED_BY(epoch_lock) = LIST_INIT(readers);
static struct as_snapshot *retired GUARDED_BY(epoch_lock);
static uint32_t n_retired GUARDED_BY(epoch_lock);

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

static void reader_exit(void *p)
{
	struct reader *r = p;

	assert(r->nest == 0);
	mutex_lock(&epoch_lock);
	list_del(&r->node);
	mutex_unlock(&epoch_lock);
	r->linked = false; /* a later destructor of this thread may read again */
}

static void key_make(void)
{
	int rc = pthread_key_create(&key, reader_exit);

	assert(rc == 0);
}

static __attribute__((noinline, cold)) void reader_link(void)
{
	pthread_once(&key_once, key_make);
	/* glibc keeps the first 32 keys in the thread's descriptor: this allocates nothing. */
	pthread_setspecific(key, &self);
	mutex_lock(&epoch_lock);
	list_add_tail(&readers, &self.node);
	mutex_unlock(&epoch_lock);
	self.linked = true;
}

void as_read_begin(void)
{
	uint64_t e;

	if (self.nest++)
		return;
	if (!self.linked)
		reader_link();
	e = atomic_load_explicit(&epoch, memory_order_relaxed);
	/* Pairs with the scan in oldest_reader(): see mem_int.h. An old @e only delays a writer. */
	atomic_store_explicit(&self.active, e, memory_order_seq_cst);
}

void as_read_end(void)
{
	assert(self.nest);
	if (--self.nest == 0)
		atomic_store_explicit(&self.active, 0, memory_order_release);
}

/* The oldest epoch in which a reader is inside; UINT64_MAX: none is. */
static uint64_t oldest_reader(void) REQUIRES(epoch_lock)
{
	uint64_t oldest = UINT64_MAX;
	struct reader *r;

	list_for_each (r, &readers, node) {
		uint64_t e = atomic_load_explicit(&r->active, memory_order_seq_cst);

		if (e && e < oldest)
			oldest = e;
	}
	return oldest;
}

static void pause_us(long us)
{
	struct timespec ts = { .tv_nsec = us * 1000 };

	nanosleep(&ts, NULL);
}

void epoch_reclaim(void)
{
	struct as_snapshot **p, *s, *dead = NULL;
	uint64_t oldest;

	mutex_lock(&epoch_lock);
	oldest = retired ? oldest_reader() : 0;
	for (p = &retired; (s = *p);) {
		if (s->retired_epoch >= oldest) {
			p = &s->next;
			continue;
		}
		*p = s->next;
		n_retired--;
		s->next = dead;
		dead = s;
	}
	mutex_unlock(&epoch_lock);

	while ((s = dead)) {
		dead = s->next;
		as_snapshot_free(s);
	}
}

void epoch_retire(struct as_snapshot *s)
{
	bool many;

	mutex_lock(&epoch_lock);
	s->retired_epoch = atomic_fetch_add_explicit(&epoch, 1, memory_order_seq_cst);
	s->next = retired;
	retired = s;
	many = ++n_retired > RETIRED_MAX;
	mutex_unlock(&epoch_lock);
	epoch_reclaim();
	if (many)
		pause_us(1000);
}

void as_synchronize(void)
{
	uint64_t mine = atomic_fetch_add_explicit(&epoch, 1, memory_order_seq_cst);
	long us = 10;

	assert(self.nest == 0);
	for (;;) {
		uint64_t oldest;

		mutex_lock(&epoch_lock);
		oldest = oldest_reader();
		mutex_unlock(&epoch_lock);
		if (oldest > mine)
			break;
		/* Sections are as short as a register access: no need for the readers to pay for a
		 * wake-up. */
		pause_us(us);
		us = MIN(us * 2, 1000);
	}
	epoch_reclaim();
}
