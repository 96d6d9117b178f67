// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * notice - what a machine and its devices tell the world outside: that it stopped, that its clock was
 * set, that a disk failed. Whoever wants to know (control/qmp) sets machine->notice; with nobody
 * listening a notice costs one load.
 *
 * A notice is a small value: any thread gives one, also with a device's lock held, and the listener
 * only copies it. Each kind is an event of QMP and uses the members that its comment names.
 */
#ifndef CORE_NOTICE_H
#define CORE_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

struct machine;
struct device;

enum notice_kind {
	NOTICE_SHUTDOWN,	      /* guest, reason */
	NOTICE_POWERDOWN,	      /* - */
	NOTICE_RESET,		      /* guest, reason */
	NOTICE_STOP,		      /* - */
	NOTICE_RESUME,		      /* - */
	NOTICE_MIGRATION,	      /* value: enum migrate_status */
	NOTICE_GUEST_PANICKED,	      /* reason: 0 it is paused, 1 it ends, 2 it runs on */
	NOTICE_WATCHDOG,	      /* reason: enum notice_action */
	NOTICE_RTC_CHANGE,	      /* device, value: seconds from the host's clock */
	NOTICE_VSERPORT_CHANGE,	      /* id: the port's, flag: open */
	NOTICE_BALLOON_CHANGE,	      /* value: bytes that the guest has */
	NOTICE_DEVICE_DELETED,	      /* device, id: its own, flag: its virtio part only */
	NOTICE_BLOCK_IO_ERROR,	      /* device, id: the disk's, flag: a write, value: errno */
	NOTICE_NIC_RX_FILTER_CHANGED, /* device, id: its own */
	NOTICE_STREAM_CONNECTED, /* id: the network's, text: the peer's address as --net has them */
	NOTICE_STREAM_DISCONNECTED, /* id: the network's */
	NOTICE_KINDS,
};

/* SHUTDOWN and RESET: why. The names are QMP's. */
enum notice_reason {
	REASON_NONE,
	REASON_HOST_ERROR,
	REASON_HOST_QMP_QUIT,
	REASON_HOST_QMP_SYSTEM_RESET,
	REASON_HOST_SIGNAL,
	REASON_HOST_UI,
	REASON_GUEST_SHUTDOWN,
	REASON_GUEST_RESET,
	REASON_GUEST_PANIC,
	REASON_SUBSYSTEM_RESET,
	REASON_SNAPSHOT_LOAD,
};

/* WATCHDOG: what follows. */
enum notice_action {
	ACTION_RESET,
	ACTION_SHUTDOWN,
	ACTION_POWEROFF,
	ACTION_PAUSE,
	ACTION_DEBUG,
	ACTION_NONE,
	ACTION_INJECT_NMI,
};
extern const char *const notice_action_names[]; /* QMP's */

#define NOTICE_ID_MAX	128
#define NOTICE_TEXT_MAX 128

struct notice {
	enum notice_kind kind;
	bool guest, flag;
	int reason; /* enum notice_reason or notice_action */
	int64_t value;
	const struct device *device; /* valid during the call only; NULL: none */
	char id[NOTICE_ID_MAX];	     /* cut when longer */
	char text[NOTICE_TEXT_MAX];  /* the same */
};

/* Set into machine->notice on main while no vCPU runs; taken out again when devices are quiet. */
struct notice_listener {
	/* Any thread, perhaps with a device's lock held: copies, does not wait. */
	void (*notice)(struct notice_listener *l, const struct notice *n);
};

/* Tell the listener, if any. Any thread. */
void machine_notice(struct machine *m, const struct notice *n);
/* The path by which QMP's clients know a device: /machine/peripheral/ID, .../peripheral-anon/device[N]
 * for one without an id, /machine/unattached/device[N] for the board's own. Any thread, as long as the
 * device lives. Returns @buf. */
char *device_path(const struct device *d, char *buf, unsigned int size);

#endif
