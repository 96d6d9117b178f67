// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * run_int - the parts of `lodge run`: what the configuration says of the board (run_board.c), back ends and
 * devices (run_devices.c), the process and its signals (run_process.c), and the order of it all (run.c).
 */
#ifndef CLI_RUN_INT_H
#define CLI_RUN_INT_H

#include "base/vec.h"
#include "block/block.h"
#include "chardev/chardev.h"
#include "cli/vm_config.h"
#include "control/gdb.h"
#include "control/metrics.h"
#include "control/qmp.h"
#include "control/rundir.h"
#include "core/machine.h"
#include "loop/loop.h"
#include "machine/x86/board.h"

/* A device that --disk or --console means. */
struct implied {
	char *options;
	const char *option, *text; /* what the user wrote: --disk and its value */
};

struct run {
	struct vm_config c;
	struct board_config board;
	int *pins;
	void *accel_options;
	struct loop *loop;
	struct machine *m;
	struct gdb *gdb;
	struct rundir *rundir;
	struct metrics *metrics;
	struct qmp *qmp;
	struct qmp_info qmp_info;
	VEC(struct chardev *) chardevs;
	VEC(struct block_dev *) disks;
	VEC(struct implied) devices;
	char *names[8]; /* ids of the serial ports' back ends */
	struct loop_fd signals;
	int signal_fd, asked_signal;
	bool load_failed; /* what --restore or --incoming brought; told already */
	int ready_fd;	  /* --daemonize: the parent waits for a byte; -1 */
	int null_fd;	  /* --daemonize: /dev/null; -1 */
	int pidfile_fd;	  /* locked while we run; -1 */
	struct removal *pidfile;
	struct sandbox *sandbox; /* NULL: off */
};

/* -------- run_board.c -------- */
/* Fill @r->board from @r->c. */
bool run_board_config(struct run *r, struct error *err) MUST_USE;
bool run_select_engine(struct run *r, struct error *err) MUST_USE;

/* -------- run_devices.c -------- */
/* Does anything that is asked for need a PCI bus? Counts its root ports into @r->board. */
bool run_needs_pci(struct run *r, bool *pci, struct error *err) MUST_USE;
/* Open the back ends of serial ports, consoles, disks and networks, before the board is made; then make
 * the devices that they imply, and those of --device. */
bool run_open_backends(struct run *r, struct error *err) MUST_USE;
bool run_add_devices(struct run *r, struct error *err) MUST_USE;
/* All chardevs that there are now, those that QMP's clients made too: run_close_backends() closes them, when
 * no device uses them any more. */
void run_take_chardevs(struct run *r);
void run_close_backends(struct run *r);

/* -------- run_process.c -------- */
bool run_set_log(char *spec, struct error *err) MUST_USE;
/* Before any thread is made: all inherit the mask, and only the descriptor gets the signals. */
bool run_watch_signals(struct run *r, struct error *err) MUST_USE;
/* What the engine has counted, to the log; @asked: whatever its level. */
void run_report(struct run *r, bool asked);
/* The child goes on; the parent waits until run_tell_parent() and exits with the outcome. */
bool run_daemonize(struct run *r, struct error *err) MUST_USE;
void run_tell_parent(struct run *r);
bool run_write_pidfile(struct run *r, struct error *err) MUST_USE;

#endif
