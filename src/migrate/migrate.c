// SPDX-License-Identifier: GPL-2.0-or-later
/* migrate - starting and ending jobs, on main; the disks. */
#include "migrate/migrate.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/stream.h"
#include "block/block.h"
#include "core/machine.h"
#include "migrate/migrate_int.h"

/* -------- disks -------- */

static bool each_disk(
	struct machine *m, bool (*fn)(struct block_dev *b, struct error *err), struct error *err)
{
	struct map_entry *it;

	map_for_each (it, &m->backends[BACKEND_BLOCK]) {
		if (!fn(it->value, err))
			return false;
	}
	return true;
}

static bool disk_is_kept(struct block_dev *b, struct error *err)
{
	return !block_is_temporary(b) ||
	       error_set(err,
		       "disk '%s' has snapshot=on: what the guest has written would be lost with "
		       "this process",
		       block_id(b));
}

static bool disk_release(struct block_dev *b, struct error *err)
{
	block_release(b);
	return true;
}

bool disks_check(struct machine *m, struct error *err)
{
	return each_disk(m, disk_is_kept, err);
}

bool disks_flush(struct machine *m, struct error *err)
{
	return each_disk(m, block_flush, err);
}

void disks_release(struct machine *m)
{
	struct error err = ERROR_INIT;

	(void)!each_disk(m, disk_release, &err);
}

bool disks_acquire(struct machine *m, struct error *err)
{
	if (each_disk(m, block_acquire, err))
		return true;
	disks_release(m);
	return false;
}

/* -------- life -------- */

/* Before a machine that was saved runs on: its disks again. */
static bool take_back(struct machine *m, struct error *err)
{
	struct migrate *g = m->migrate;

	if (!g->released)
		return true;
	if (!disks_acquire(m, err))
		return error_prefix(err, "the machine was saved and may run elsewhere");
	g->released = false;
	return true;
}

bool migrate_new(struct machine *m, struct error *err)
{
	struct migrate *g = calloc(1, sizeof(*g));

	assert(!m->migrate);
	if (!g)
		return error_set(err, "out of memory");
	g->m = m;
	g->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	g->params = (struct migrate_params){ .level = 1, .threads = 2 };
	m->migrate = g;
	m->before_resume = take_back;
	return true;
}

struct migrate *migrate_of(struct machine *m)
{
	return m->migrate;
}

static void job_free(struct job *j)
{
	if (!j)
		return;
	loop_defer_cancel(j->loop, &j->end);
	loop_defer_cancel(j->loop, &j->ask_defer);
	channel_close(&j->ch);
	ram_set_fini(&j->ram);
	str_fini(&j->desc);
	str_fini(&j->state);
	if (j->have_in)
		fields_fini(&desc_table, &j->in);
	mutex_fini(&j->lock);
	pthread_cond_destroy(&j->cond);
	mutex_fini(&j->ask_lock);
	pthread_cond_destroy(&j->ask_cond);
	free(j);
}

static void job_join(struct job *j)
{
	if (j->thread_started)
		pthread_join(j->thread, NULL);
	j->thread_started = false;
}

static void cancel(struct job *j)
{
	atomic_store(&j->cancel, true);
	mutex_lock(&j->ask_lock);
	pthread_cond_broadcast(&j->ask_cond);
	mutex_unlock(&j->ask_lock);
}

void migrate_free(struct migrate *g)
{
	if (!g)
		return;
	if (g->job) {
		cancel(g->job);
		job_join(g->job);
		job_free(g->job);
	}
	if (g->has_opened)
		channel_close(&g->opened);
	if (g->pagemap >= 0)
		close(g->pagemap);
	free(g->cpuids);
	free(g);
}

struct migrate_params *migrate_params(struct migrate *g)
{
	return &g->params;
}

bool migrate_was_running(const struct migrate *g)
{
	return g->was_running;
}

void migrate_run_after(struct migrate *g)
{
	g->run_after = true;
}

bool migrate_is_to_run(const struct migrate *g)
{
	return g->run_after;
}

void migrate_set_hook(
	struct migrate *g, void (*changed)(void *opaque, enum migrate_status s), void *opaque)
{
	g->changed = changed;
	g->opaque = opaque;
}

static void set_status(struct migrate *g, enum migrate_status s)
{
	g->info.status = s;
	if (g->params.events)
		machine_notice(g->m, &(struct notice){ .kind = NOTICE_MIGRATION, .value = s });
	if (g->changed)
		g->changed(g->opaque, s);
}

static void tell_failure(struct migrate *g, const struct error *err)
{
	g->info.end_ns = clock_mono_ns();
	memcpy(g->info.error, err->msg, sizeof(g->info.error));
	set_status(g, MIGRATE_FAILED);
}

static void update_info(struct migrate *g)
{
	const struct job *j = g->job;
	struct migrate_info *i = &g->info;

	if (!j)
		return;
	i->ram_bytes = ram_set_bytes(&j->ram);
	i->done_bytes = atomic_load(&j->done_bytes);
	i->data_pages = atomic_load(&j->data_pages);
	i->zero_pages = atomic_load(&j->zero_pages);
	i->stream_bytes = atomic_load(&j->stream_bytes);
}

const struct migrate_info *migrate_get_info(struct migrate *g)
{
	update_info(g);
	return &g->info;
}

void migrate_cancel(struct migrate *g)
{
	if (!g->job || g->info.status == MIGRATE_CANCELLING)
		return;
	set_status(g, MIGRATE_CANCELLING);
	cancel(g->job);
}

bool migrate_wait(struct migrate *g, struct error *err)
{
	while (g->job)
		loop_run_once(g->m->main_loop, -1);
	if (g->info.status == MIGRATE_COMPLETED)
		return true;
	return error_set(
		err, "%s", g->info.status == MIGRATE_CANCELLED ? "cancelled" : g->info.error);
}

/* -------- the end of a job -------- */

static bool finish_save(struct migrate *g, struct job *j, struct error *err)
{
	struct iovec go = { (char *)(uintptr_t)ANSWER_GO, ANSWER_LEN };

	disks_release(g->m);
	g->released = true;
	g->m->state = RUN_POSTMIGRATE;
	/* Whoever does not get this does not run, and says so. The machine can be told to go on here. */
	return !j->answer || job_write(j, &go, 1, err);
}

static bool finish_load(struct migrate *g, struct job *j, struct error *err)
{
	if (!disks_acquire(g->m, err))
		return false;
	g->was_running = j->in.running;
	machine_loaded(g->m);
	return true;
}

/* Nothing came of saving: the guest has lost time, no more. */
static void run_on(struct job *j)
{
	struct machine *m = j->g->m;
	struct error err = ERROR_INIT;

	if (j->incoming || !j->was_running || m->state != RUN_PAUSED)
		return;
	if (machine_resume(m, &err))
		machine_notice(m, &(struct notice){ .kind = NOTICE_RESUME });
	else
		log_err("migrate", "the machine cannot run on: %s", err.msg);
}

static void log_end(const struct migrate *g)
{
	const struct migrate_info *i = &g->info;

	log_info("migrate", "%s %llu MiB of memory (%llu MiB not zero), %llu bytes, in %lld ms",
		i->incoming ? "loaded" : "saved", (unsigned long long)(i->ram_bytes / MIB),
		(unsigned long long)(i->data_pages * PAGE / MIB),
		(unsigned long long)i->stream_bytes,
		(long long)((i->end_ns - i->start_ns) / NS_PER_MS));
}

/* On main: the job's thread has nothing more to do. */
static void job_ended(void *opaque)
{
	struct job *j = opaque;
	struct migrate *g = j->g;
	struct error err = ERROR_INIT;
	bool ok;

	job_join(j);
	ok = !job_stopped(j);
	if (!ok)
		err = j->err;
	else
		ok = j->incoming ? finish_load(g, j, &err) : finish_save(g, j, &err);
	update_info(g);
	g->info.end_ns = clock_mono_ns();
	g->job = NULL;
	if (ok) {
		log_end(g);
		set_status(g, MIGRATE_COMPLETED);
	} else if (atomic_load(&j->cancel)) {
		set_status(g, MIGRATE_CANCELLED);
	} else {
		tell_failure(g, &err);
	}
	if (!ok)
		run_on(j);
	job_free(j);
}

static void *job_thread(void *arg)
{
	struct job *j = arg;

	thread_enter(ROLE_WORKER, j->incoming ? "load" : "save");
	(j->incoming ? load_run : save_run)(j);
	loop_post(j->loop, &j->end);
	return NULL;
}

/* -------- the start -------- */

static bool is_idle(const struct migrate *g, struct error *err)
{
	return !g->job || error_set(err, "the machine is being %s already",
				  g->job->incoming ? "loaded" : "saved");
}

bool migrate_may_save(struct machine *m, struct error *err)
{
	if (m->state == RUN_INCOMING)
		return error_set(err, "the machine waits for its own saved state");
	if (m->state == RUN_POSTMIGRATE)
		return error_set(err, "the machine has been saved, and given up its disks");
	return is_idle(m->migrate, err) && disks_check(m, err);
}

bool migrate_may_load(struct machine *m, struct error *err)
{
	if (m->state != RUN_INCOMING)
		return error_set(
			err, "'-incoming' was not specified: the machine waits for no saved state");
	return is_idle(m->migrate, err);
}

static struct job *job_new(struct migrate *g, bool incoming, struct error *err)
{
	struct job *j;

	assert(thread_is(ROLE_MAIN));
	j = calloc(1, sizeof(*j));
	if (!j) {
		error_set(err, "out of memory");
		return NULL;
	}
	job_init(j, g, incoming);
	loop_defer_init(&j->end, job_ended, j);
	return j;
}

/* Before the machine stops, as clients of QEMU's see it. */
static void tell_start(struct migrate *g, const struct job *j)
{
	g->info = (struct migrate_info){ .incoming = j->incoming, .start_ns = clock_mono_ns() };
	set_status(g, MIGRATE_SETUP);
	if (!j->incoming)
		set_status(g, MIGRATE_ACTIVE);
}

/* On main: the other side has come, or there is none. */
bool job_active(struct job *j, struct error *err)
{
	set_status(j->g, MIGRATE_ACTIVE);
	return true;
}

static bool start(struct migrate *g, struct job *j, struct error *err)
{
	struct stat st;
	int rc;

	j->ch.regular = j->ch.fd >= 0 && !fstat(j->ch.fd, &st) && S_ISREG(st.st_mode);
	rc = thread_create(&j->thread, false, -1, job_thread, j);
	if (rc)
		return error_set_errno(
			err, rc, "no thread to %s the machine", j->incoming ? "load" : "save");
	j->thread_started = true;
	g->job = j;
	return true;
}

/* Everything but memory, now that it stands still. */
static bool take_state(struct job *j, struct error *err)
{
	struct machine *m = j->g->m;
	struct desc d = { 0 };
	bool ok = desc_fill(&d, m, err);

	d.running = j->was_running;
	if (ok)
		fields_save(&desc_table, &d, &j->desc);
	fields_fini(&desc_table, &d);
	ok = ok && machine_save_devices(m, &j->state, err) && ram_set_init(&j->ram, m, err);
	if (ok && (j->desc.failed || j->state.failed))
		ok = error_set(err, "out of memory");
	if (ok && (j->desc.len > DESC_MAX || j->state.len > STATE_MAX))
		ok = error_set(err, "the machine is too large to be saved");
	return ok;
}

static bool stop_and_take(struct job *j, struct error *err)
{
	struct machine *m = j->g->m;

	/* What was asked for before does not count as running: the guest sees to itself. */
	j->was_running = m->state == RUN_RUNNING;
	if (!machine_stop_to_save(m, err))
		return false;
	if (j->was_running)
		machine_notice(m, &(struct notice){ .kind = NOTICE_STOP });
	return disks_flush(m, err) && take_state(j, err);
}

bool migrate_save(struct machine *m, const char *uri, struct error *err)
{
	struct migrate *g = m->migrate;
	struct job *j;

	if (!migrate_may_save(m, err) || !(j = job_new(g, false, err)))
		return false;
	if (channel_open_save(&j->ch, uri, err)) {
		j->answer = j->ch.socket;
		tell_start(g, j);
		if (stop_and_take(j, err) && start(g, j, err))
			return true;
		tell_failure(g, err);
		run_on(j);
	}
	job_free(j);
	return false;
}

bool migrate_open_load(struct machine *m, const char *uri, struct error *err)
{
	struct migrate *g = m->migrate;

	assert(!g->has_opened);
	g->has_opened = channel_open_load(&g->opened, uri, err);
	return g->has_opened;
}

bool migrate_load(struct machine *m, const char *uri, struct error *err)
{
	struct migrate *g = m->migrate;
	struct job *j;

	if (!migrate_may_load(m, err) || !(j = job_new(g, true, err)))
		return false;
	if (uri) {
		if (!channel_open_load(&j->ch, uri, err)) {
			job_free(j);
			return false;
		}
	} else {
		assert(g->has_opened);
		j->ch = g->opened;
		g->has_opened = false;
	}
	tell_start(g, j);
	if (ram_set_init(&j->ram, m, err) && start(g, j, err))
		return true;
	tell_failure(g, err);
	job_free(j);
	return false;
}
