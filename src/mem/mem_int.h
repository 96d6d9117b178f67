/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mem_int - what is private to mem/, above all epochs, shared by as.c (snapshots) and ram.c (dirty logs).
 *
 * A reader publishes the epoch in which its section began. A writer unlinks an object, then raises
 * the epoch: a section that shows the old epoch may hold the object, one that shows a later epoch
 * or none cannot, because its look-up comes after the unlinking. All four accesses are seq_cst;
 * that ordering (the reader's store before its look-up, the writer's unlinking before its scan) is
 * the whole proof.
 */
#ifndef MEM_MEM_INT_H
#define MEM_MEM_INT_H

#include "mem/as.h"

/* Hand over a snapshot that no new reader can find; it is freed, with its references to RAM, when
 * no old reader can hold it. Any thread, also inside a read section. */
void epoch_retire(struct as_snapshot *s);
/* Free what can be freed now. */
void epoch_reclaim(void);
/* Free a snapshot at once: as.c, before it was published. */
void as_snapshot_free(struct as_snapshot *s);

/* ram.c: the beginning of the file, a text, to @buf. False: there is nothing; then @buf is empty. */
bool mem_read_small_file(const char *path, char *buf, size_t size);

#endif
