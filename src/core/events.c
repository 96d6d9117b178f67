// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * events - what happens to a machine, told by any thread, and what follows: it ends, is reset, is
 * stopped. Also what follows from a watchdog or a crash, which QMP's clients may choose.
 */
#include "core/machine.h"

#include <assert.h>
#include "base/log.h"
#include "core/vcpu.h"

const char *machine_event_name(enum machine_event e)
{
	static const char *const names[] = {
		[MACHINE_POWEROFF] = "guest power-off",
		[MACHINE_RESET] = "guest reset",
		[MACHINE_TRIPLE_FAULT] = "triple fault",
		[MACHINE_PANIC] = "guest panic",
		[MACHINE_DEBUG_EXIT] = "debug exit",
		[MACHINE_ERROR] = "engine error",
		[MACHINE_QUIT] = "host request",
		[MACHINE_WATCHDOG] = "watchdog",
	};

	return names[e];
}

void machine_event(struct machine *m, enum machine_event e, int code)
{
	struct vcpu *v = vcpu_current();

	if (e == MACHINE_DEBUG_EXIT || e == MACHINE_QUIT)
		atomic_store(&m->pending_code, code);
	/* Pairs with the exchange in machine_handle_events: the code is seen with the bit. */
	atomic_fetch_or(&m->pending, 1u << e);
	if (v && v->machine == m)
		atomic_fetch_or(&v->requests, VCPU_REQ_STOP);
	loop_post(m->main_loop, &m->event_defer);
}

/* What the world is told when it ends or resets by @e. */
static void tell(struct machine *m, enum notice_kind kind, enum machine_event e)
{
	static const enum notice_reason reasons[] = {
		[MACHINE_POWEROFF] = REASON_GUEST_SHUTDOWN,
		[MACHINE_RESET] = REASON_GUEST_RESET,
		[MACHINE_TRIPLE_FAULT] = REASON_GUEST_RESET,
		[MACHINE_PANIC] = REASON_GUEST_PANIC,
		[MACHINE_DEBUG_EXIT] = REASON_GUEST_SHUTDOWN,
		[MACHINE_ERROR] = REASON_HOST_ERROR,
		[MACHINE_WATCHDOG] = REASON_GUEST_RESET,
	};
	struct notice n = { .kind = kind, .guest = e != MACHINE_ERROR && e != MACHINE_QUIT };

	n.reason = e == MACHINE_QUIT ? m->quit_reason : (int)reasons[e];
	machine_notice(m, &n);
}

static void stop_for(struct machine *m, enum pause_reason why)
{
	machine_pause(m);
	m->paused_for = why;
	machine_notice(m, &(struct notice){ .kind = NOTICE_STOP });
}

static void end(struct machine *m, enum machine_event e)
{
	machine_pause(m);
	m->state = RUN_SHUTDOWN;
	m->over = true;
	m->end = e;
	m->exit_code = atomic_load(&m->pending_code);
	log_info("machine", "%s ends: %s", m->name, machine_event_name(e));
	tell(m, NOTICE_SHUTDOWN, e);
	loop_stop(m->main_loop);
}

/* The guest has turned itself off. */
static void power_off(struct machine *m, enum machine_event e)
{
	if (!m->shutdown_pauses) {
		end(m, e);
		return;
	}
	log_info("machine", "%s waits: %s", m->name, machine_event_name(e));
	machine_pause(m);
	m->state = RUN_SHUTDOWN;
	m->end = e;
	tell(m, NOTICE_SHUTDOWN, e);
	machine_notice(m, &(struct notice){ .kind = NOTICE_STOP });
}

void machine_quit(struct machine *m, enum notice_reason why, int code)
{
	assert(thread_is(ROLE_MAIN));
	if (m->over)
		return;
	m->quit_reason = why;
	atomic_store(&m->pending_code, code);
	end(m, MACHINE_QUIT);
}

/* -------- what follows -------- */

static void reset(struct machine *m, enum machine_event e)
{
	struct error err = ERROR_INIT;

	if (m->no_reboot) {
		power_off(m, e);
		return;
	}
	log_info("machine", "%s resets: %s", m->name, machine_event_name(e));
	if (!machine_reset(m, &err)) {
		log_err("machine", "reset failed: %s", err.msg);
		end(m, MACHINE_ERROR);
		return;
	}
	tell(m, NOTICE_RESET, MACHINE_RESET);
}

/* The vCPU that told of an event has stopped itself; nothing follows, so it goes on. */
static void let_go(struct machine *m)
{
	struct error err = ERROR_INIT;

	for (uint32_t i = 0; m->state == RUN_RUNNING && i < m->n_vcpus; i++) {
		if (!m->vcpus[i].held && !vcpu_go(&m->vcpus[i], &err)) {
			log_err("machine", "%s", err.msg);
			end(m, MACHINE_ERROR);
		}
	}
}

static void panicked(struct machine *m)
{
	static const int told[] = {
		[PANIC_PAUSE] = 0, [PANIC_SHUTDOWN] = 1, [PANIC_EXIT] = 1, [PANIC_NONE] = 2
	};
	enum panic_action a = m->panic_action;

	if (a == PANIC_SHUTDOWN && m->shutdown_pauses)
		a = PANIC_PAUSE;
	machine_notice(m, &(struct notice){ .kind = NOTICE_GUEST_PANICKED, .reason = told[a] });
	if (a == PANIC_PAUSE)
		stop_for(m, PAUSED_PANICKED);
	else if (a == PANIC_NONE)
		let_go(m);
	else
		end(m, MACHINE_PANIC);
}

static void watchdog(struct machine *m)
{
	enum notice_action a = m->watchdog_action;

	log_warn("machine", "%s: the watchdog has expired", m->name);
	machine_notice(m, &(struct notice){ .kind = NOTICE_WATCHDOG, .reason = (int)a });
	if (a == ACTION_RESET) {
		reset(m, MACHINE_WATCHDOG);
	} else if (a == ACTION_SHUTDOWN) {
		if (!m->board || !m->board->powerdown || !m->board->powerdown(m))
			log_info("machine", "the guest does not listen to the power button");
		machine_notice(m, &(struct notice){ .kind = NOTICE_POWERDOWN });
	} else if (a == ACTION_POWEROFF) {
		end(m, MACHINE_POWEROFF);
	} else if (a == ACTION_PAUSE) {
		stop_for(m, PAUSED_WATCHDOG);
	} else if (a == ACTION_INJECT_NMI && m->board && m->board->nmi) {
		m->board->nmi(m);
	}
}

/* On main. Where several came at once the one that says most wins. */
static void handle_one(struct machine *m, uint32_t pending)
{
	static const enum machine_event final[] = { MACHINE_ERROR, MACHINE_DEBUG_EXIT,
		MACHINE_QUIT };

	for (unsigned int i = 0; i < ARRAY_SIZE(final); i++) {
		if (pending & 1u << final[i]) {
			end(m, final[i]);
			return;
		}
	}
	if (pending & 1u << MACHINE_PANIC)
		panicked(m);
	else if (pending & 1u << MACHINE_POWEROFF)
		power_off(m, MACHINE_POWEROFF);
	else if (pending & 1u << MACHINE_TRIPLE_FAULT)
		reset(m, MACHINE_TRIPLE_FAULT);
	else if (pending & 1u << MACHINE_RESET)
		reset(m, MACHINE_RESET);
	else if (pending & 1u << MACHINE_WATCHDOG)
		watchdog(m);
}

void machine_handle_events(void *opaque)
{
	struct machine *m = opaque;
	uint32_t pending = atomic_exchange(&m->pending, 0);

	if (m->state != RUN_SHUTDOWN && m->state != RUN_PRELAUNCH)
		handle_one(m, pending);
}
