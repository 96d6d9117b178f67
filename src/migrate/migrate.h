// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * migrate - a whole VM as a stream: saved into a file, a descriptor or a unix socket, and loaded into a
 * machine of the same make, under whichever engine. docs/saved-state.md has the format and its rules.
 *
 * A job runs on threads of its own; main, where all of this is called, stays free. One job at a time a
 * machine. URIs: `file:PATH` or a bare path (written under another name, and renamed when it is whole
 * and durable), `unix:PATH` (saving connects, loading listens), `fd:N` (a socket, a pipe, a file).
 *
 * Over a socket the reader answers: only when it has loaded everything the writer gives up its disks, and
 * only then the reader takes them. Should anything fail before, the writer's VM runs on.
 */
#ifndef MIGRATE_MIGRATE_H
#define MIGRATE_MIGRATE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

struct machine;
struct migrate;

enum migrate_status {
	MIGRATE_NONE,
	MIGRATE_SETUP,
	MIGRATE_ACTIVE,
	MIGRATE_COMPLETED,
	MIGRATE_FAILED,
	MIGRATE_CANCELLING,
	MIGRATE_CANCELLED,
};

enum migrate_compress { MIGRATE_PLAIN, MIGRATE_ZSTD };

struct migrate_params {
	int compress;	  /* enum migrate_compress */
	uint32_t level;	  /* of zstd: 1..19 */
	uint32_t threads; /* 1..MIGRATE_THREADS_MAX */
	bool tuned;  /* the three above count; else: plain, as many threads as CPUs, at most 8 */
	bool events; /* tell each status to who listens to the machine (NOTICE_MIGRATION) */
	uint64_t bandwidth; /* bytes a second that are written; 0: no limit */
};
#define MIGRATE_THREADS_MAX 64

struct migrate_info {
	enum migrate_status status;
	bool incoming;
	uint64_t ram_bytes;		 /* of guest memory */
	uint64_t done_bytes;		 /* of it, looked at or loaded */
	uint64_t data_pages, zero_pages; /* of 4 KiB; zero ones include those never touched */
	uint64_t stream_bytes;
	int64_t start_ns, end_ns;  /* CLOCK_MONOTONIC; end: 0 while it runs */
	char error[ERROR_MSG_MAX]; /* FAILED */
};

/* Give @m what saves and loads it; freed by migrate_free(), after machine_free(). */
bool migrate_new(struct machine *m, struct error *err) MUST_USE;
/* Ends the job that is at work. NULL is fine. */
void migrate_free(struct migrate *g);
struct migrate *migrate_of(struct machine *m);

/* Can this program read and write zstd? */
bool migrate_has_zstd(void);
struct migrate_params *migrate_params(struct migrate *g);

/* Could it be saved, or loaded, at all, now? For those who give something away with the URI. */
bool migrate_may_save(struct machine *m, struct error *err) MUST_USE;
bool migrate_may_load(struct machine *m, struct error *err) MUST_USE;
/* Stop the machine and save it. True: the job runs, and its end comes through the hook. When it has
 * ended well the machine is RUN_POSTMIGRATE and its disks are free; otherwise it runs on if it ran. */
bool migrate_save(struct machine *m, const char *uri, struct error *err) MUST_USE;
/* The file of a saved VM at @path: what is there stays until all is written and durable. For those who have
 * paths when the VM's process has none (`lodge save`): it gets the descriptor. */
struct migrate_file;
struct migrate_file *migrate_file_new(const char *path, struct error *err) MUST_USE;
int migrate_file_fd(const struct migrate_file *f); /* borrowed */
bool migrate_file_commit(struct migrate_file *f, struct error *err) MUST_USE;
void migrate_file_free(struct migrate_file *f);
/* Load into a machine that waits (machine_wait_incoming). When it has ended well the machine is
 * RUN_PAUSED with disks of its own; migrate_was_running() tells whether the saved one ran. After a
 * failure the machine is of no more use. */
/* Open @uri for a migrate_load() to come, whose @uri is NULL then: the last moment for paths and sockets
 * is before the sandbox, the first one for the stream's bytes after it. */
bool migrate_open_load(struct machine *m, const char *uri, struct error *err) MUST_USE;
bool migrate_load(struct machine *m, const char *uri, struct error *err) MUST_USE;
bool migrate_was_running(const struct migrate *g);
/* The machine that is being loaded is to run then, however the saved one was. */
void migrate_run_after(struct migrate *g);
bool migrate_is_to_run(const struct migrate *g);
void migrate_cancel(struct migrate *g);
/* Run the main loop until the job has ended. False: it failed, and why. */
bool migrate_wait(struct migrate *g, struct error *err) MUST_USE;
const struct migrate_info *migrate_get_info(struct migrate *g);
/* @changed is called on main with each new status. */
void migrate_set_hook(
	struct migrate *g, void (*changed)(void *opaque, enum migrate_status s), void *opaque);
#endif
