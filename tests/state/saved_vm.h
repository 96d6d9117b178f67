// SPDX-License-Identifier: GPL-2.0-or-later
/* saved_vm - machines under an engine that runs nothing, and streams of them, for the tests of saved state. */
#ifndef TESTS_STATE_SAVED_VM_H
#define TESTS_STATE_SAVED_VM_H

#include "base/testing.h"

#include "base/str.h"
#include "migrate/stream_testing.h"
#include "testing/machine.h"

extern uint64_t seed;
extern char dir[64]; /* a folder that vanishes with the test */
extern struct loop *loop;

struct shape {
	uint64_t ram;
	uint32_t cpus;
	const char *devices[16];
};
extern const struct shape usual;
extern const struct shape every; /* one of each kind of device */

struct vm {
	struct test_machine t;
	struct machine *m; /* its own, both */
	struct ram_block *ram;
	struct chardev *serial, *console;
	struct block_dev *disk;
	struct net_dev *net;
};

void vm_make(struct vm *vm, const struct shape *s);
void vm_free(struct vm *vm);
void vm_wait_incoming(struct vm *vm, const struct shape *s);
/* It has run, touched its devices, and its memory has pages of all kinds. */
void vm_use(struct vm *vm, uint64_t *rnd);
void save_state(struct vm *vm, struct str *out);
bool vm_save(struct vm *vm, const char *uri, struct error *err);
bool vm_load(struct vm *vm, const char *uri, struct error *err);

/* In @dir; until the next call. */
const char *path_of(const char *name);
void read_file(const char *path, struct str *out);
bool load_bytes(struct vm *vm, const void *p, size_t len, struct error *err);
/* A used machine's stream; the machine is gone. */
void make_stream(struct str *out, int compress);
void make_stream_of(const struct shape *s, struct str *out, int compress);
/* It is not loaded, with a reason, and the machine waits on. */
void expect_refused(struct vm *vm, const void *p, size_t len, const char *why);
/* A section at the end of @out. */
void put_section(struct str *out, uint16_t type, uint16_t flags, const void *p, size_t len);
/* @stream with more sections behind the first one. */
void insert_sections(const struct str *stream, const struct str *more, struct str *out);

/* Around the tests: what they all need. @seed_text: NULL: a new one. */
void saved_begin(const char *seed_text);
int saved_end(int failed);

#endif
