// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * migrate_int - the stream's form, and what saving and loading share.
 *
 * A stream is a header and sections. All numbers are little-endian.
 *   header   "LODGE-VM" | version | flags | page size | 0 ... | CRC of what is before it: 64 bytes
 *   section  "SECT" | type | flags | id | CRC of the payload | length (8 bytes) | 0 | CRC of these 28
 *            bytes: 32 bytes, then the payload
 * CRCs are CRC-32C. END's payload has the number of sections before it, their bytes, and the CRC of all
 * their headers one after the other (and so of all that they hold).
 */
#ifndef MIGRATE_MIGRATE_INT_H
#define MIGRATE_MIGRATE_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>
#include "base/field.h"
#include "base/sock_file.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/types.h"
#include "loop/loop.h"
#include "mem/ram.h"
#include "migrate/migrate.h"
#include "x86/cpuid.h"

#define STREAM_MAGIC	"LODGE-VM"
#define STREAM_VERSION	1u
#define STREAM_HEAD	64u
#define STREAM_F_ANSWER 1u	    /* the writer waits for the reader's answer */
#define SECTION_MAGIC	0x54434553u /* "SECT" */
#define SECTION_HEAD	32u
#define SECTION_F_MUST	1u /* who does not know the type must refuse */

enum section_type {
	SECTION_DESC = 1, /* struct desc, as fields */
	SECTION_RAM = 2,
	SECTION_ROUND = 3, /* pages that follow may replace ones from before it; id: its number */
	SECTION_STATE = 4, /* machine_save_devices() */
	SECTION_END = 5,
};

/* Named limits of what is read. */
#define DESC_MAX  (8u << 20)
#define STATE_MAX (64u << 20)
#define OTHER_MAX (64u << 20) /* an unknown section that may be skipped */
#define END_LEN	  24u

#define PAGE 4096u

/* RAM section: block (2) | encoding (2) | pages (4) | first page (8) | bitmap of the pages whose bytes
 * follow (32) | bitmap of pages that are zero (32) | bytes. */
#define CHUNK_PAGES 256u
#define CHUNK_BYTES (CHUNK_PAGES * PAGE)
#define CHUNK_HEAD  80u
#define CHUNK_MAX   (CHUNK_HEAD + CHUNK_BYTES + CHUNK_BYTES / 64) /* zstd may add a little */
#define CHUNK_IOVS  (CHUNK_PAGES / 2 + 2)
enum chunk_encoding { CHUNK_PLAIN, CHUNK_ZSTD };

uint32_t crc32c(uint32_t crc, const void *p, size_t len);

struct section {
	uint16_t type, flags;
	uint32_t id, crc;
	uint64_t len;
};

/* -------- the machine's description -------- */

#define DESC_CPUS_MAX	 4096
#define DESC_DEVICES_MAX 4096
#define DESC_BLOCKS_MAX	 64
#define DESC_RANGES_MAX	 256

struct desc_cpu {
	uint32_t apic_id;
	struct {
		struct x86_cpuid_leaf *items;
		size_t len;
	} leaves;
};
struct desc_device {
	char *type, *id, *place;
	uint32_t instance;
};
struct desc_block {
	char *name;
	uint64_t size;
};
struct desc_range {
	uint64_t start, size, off;
	uint32_t block;
};
struct desc {
	char *version, *name, *engine;
	bool running;
	int irqchip;
	uint32_t tsc_khz;
	struct {
		struct desc_cpu *items;
		size_t len;
	} cpus;
	struct {
		struct desc_device *items;
		size_t len;
	} devices;
	struct {
		struct desc_block *items;
		size_t len;
	} blocks;
	struct {
		struct desc_range *items;
		size_t len;
	} ranges;
};
extern const struct field_table desc_table;

/* Fill @d from the machine. */
bool desc_fill(struct desc *d, struct machine *m, struct error *err) MUST_USE;
/* Can @m go on where the machine of @saved stopped? The error says what is different. */
bool desc_check(const struct desc *saved, struct machine *m, struct error *err) MUST_USE;
/* Give @m's CPUs the features of @saved's. @cpuids: room for all of them, lives as long as @m. */
bool desc_adopt(const struct desc *saved, struct machine *m, struct x86_cpuid *cpuids,
	struct error *err) MUST_USE;

/* -------- guest memory -------- */

/* All blocks of guest memory, in the order of their addresses; referenced. */
struct ram_set {
	uint32_t n;
	struct ram_block *block[DESC_BLOCKS_MAX];
	int pagemap; /* /proc/self/pagemap, borrowed; -1 */
};
bool ram_set_init(struct ram_set *s, struct machine *m, struct error *err) MUST_USE;
void ram_set_fini(struct ram_set *s);
uint64_t ram_set_bytes(const struct ram_set *s);
/* What a fresh VM's memory is: all zero. Only memory that somebody else may have filled is looked at. */
bool ram_set_clear(struct ram_set *s, struct error *err) MUST_USE;

struct chunk {
	uint32_t block, n; /* pages */
	uint64_t first;
	uint16_t encoding;
	uint64_t data[CHUNK_PAGES / 64], zero[CHUNK_PAGES / 64];
};
static inline bool chunk_bit(const uint64_t *map, uint32_t i)
{
	return map[i / 64] >> (i % 64) & 1;
}
/* Find out which pages of the chunk hold anything; returns how many. */
uint32_t chunk_scan(const struct ram_set *s, struct chunk *c);
/* The pages with data as iovecs; returns how many iovecs. */
int chunk_iov(const struct ram_set *s, const struct chunk *c, struct iovec *iov);
uint32_t chunk_data_pages(const struct chunk *c);
void chunk_put_head(const struct chunk *c, uint8_t *buf);
bool chunk_get_head(
	const struct ram_set *s, const uint8_t *buf, struct chunk *c, struct error *err) MUST_USE;
/* Zero what the chunk says is zero. */
void chunk_clear(const struct ram_set *s, const struct chunk *c);

/* Compression; a context a thread. NULL: out of memory, or built without. */
struct packer;
struct packer *packer_new(const struct migrate_params *p);
void packer_free(struct packer *z);
/* Into @out of CHUNK_MAX bytes. Bytes, or 0: it does not get smaller. */
size_t chunk_pack(struct packer *z, const struct iovec *iov, int n, size_t len, uint8_t *out);
bool chunk_unpack(struct packer *z, const uint8_t *p, size_t len, const struct iovec *iov, int n,
	size_t want);

/* -------- jobs -------- */

struct channel {
	int fd;	       /* owned; -1 */
	int listen_fd; /* owned; loading from unix:, until somebody has connected */
	struct removal *listen_file;
	char *path;	/* owned: file: what it will be called */
	char *tmp_path; /* owned: file: what it is called now */
	bool socket, file;
	bool nameless; /* the file has no name yet */
	bool regular;  /* a regular file: never waits */
};
bool channel_open_save(struct channel *c, const char *uri, struct error *err) MUST_USE;
bool channel_open_load(struct channel *c, const char *uri, struct error *err) MUST_USE;
/* Make the file durable and give it its name; @err on failure, and the old file is untouched. */
bool channel_commit(struct channel *c, struct error *err) MUST_USE;
void channel_close(struct channel *c);

struct migrate {
	struct machine *m; /* borrowed */
	struct migrate_params params;
	struct migrate_info info;
	struct job *job;	  /* owned; NULL: none */
	struct x86_cpuid *cpuids; /* owned: what the loaded CPUs were given */
	bool was_running, run_after;
	int pagemap;	       /* owned: later the path may be closed to us (sandbox/); -1 */
	struct channel opened; /* by migrate_open_load() */
	bool has_opened;
	bool released; /* the disks are: somebody else may use them */
	void (*changed)(void *opaque, enum migrate_status s);
	void *opaque;
};

#define ANSWER_LEN    8u
#define ANSWER_LOADED "LOADED\r\n" /* the reader has everything; the writer's disks are wanted */
#define ANSWER_GO     "GO-NOW\r\n" /* the writer has given them up */

/* A question to main. */
enum job_ask { JOB_QUIET, JOB_ASKED, JOB_ANSWERING, JOB_ANSWERED };

struct job {
	struct migrate *g;
	struct loop *loop; /* main's */
	struct migrate_params params;
	struct channel ch;
	struct ram_set ram;
	pthread_t thread;
	bool thread_started, incoming;
	bool answer; /* the two sides talk in the end */
	_Atomic bool cancel;
	_Atomic bool failed;   /* some thread has failed: the others end */
	struct loop_defer end; /* on main: all threads are done */
	_Atomic uint64_t data_pages, zero_pages, done_bytes, stream_bytes;
	struct mutex lock; /* the order of the stream's bytes, and: */
	struct error err;  /* of whoever failed first */
	uint64_t sections, bytes;
	uint32_t chain;
	uint32_t busy; /* loading: threads with a chunk in hand */
	bool have_state, ended;
	pthread_cond_t cond; /* busy, failed */
	/* Saving. */
	_Atomic uint64_t next_chunk;
	struct str desc, state; /* loading: state alone */
	bool was_running;
	/* Loading: read before there are threads. */
	struct desc in;
	bool have_in;
	/* job_on_main() */
	struct mutex ask_lock; /* the next two; main's, too: nobody waits for bytes with it */
	enum job_ask ask;
	bool ask_ok;
	pthread_cond_t ask_cond; /* ask, cancel */
	struct loop_defer ask_defer;
	bool (*ask_fn)(struct job *j, struct error *err);
	struct error *ask_err;
};
void job_init(struct job *j, struct migrate *g, bool incoming);

/* Does this job have to end early? */
static inline bool job_stopped(struct job *j)
{
	return atomic_load_explicit(&j->cancel, memory_order_relaxed) ||
	       atomic_load_explicit(&j->failed, memory_order_relaxed);
}
/* The first failure counts. */
void job_fail(struct job *j, const struct error *err);
/* Run @fn on main and wait for it. False also when the job was cancelled meanwhile. */
bool job_on_main(struct job *j, bool (*fn)(struct job *j, struct error *err), struct error *err);
/* Run @fn on @n threads, one of them the caller's. */
void job_threads(struct job *j, unsigned int n, void (*fn)(struct job *j));
unsigned int job_thread_count(const struct job *j);

/* Whole reads and writes; they look at cancel while they wait. Errors name the stream. */
bool job_write(struct job *j, const struct iovec *iov, int n, struct error *err) MUST_USE;
bool job_read(struct job *j, const struct iovec *iov, int n, struct error *err) MUST_USE;
/* A section: the CRC and the chain are made here. @iov[0] is the caller's empty place for the header.
 * Any thread of the job. */
bool job_put_section(struct job *j, enum section_type type, uint16_t flags, uint32_t id,
	struct iovec *iov, int n, struct error *err) MUST_USE;
void section_put_head(const struct section *s, uint8_t *buf);
bool section_get_head(const uint8_t *buf, struct section *s, struct error *err) MUST_USE;

void save_run(struct job *j);
void load_run(struct job *j);
bool disks_check(struct machine *m, struct error *err) MUST_USE;
bool disks_flush(struct machine *m, struct error *err) MUST_USE;
void disks_release(struct machine *m);
bool disks_acquire(struct machine *m, struct error *err) MUST_USE;

#endif
