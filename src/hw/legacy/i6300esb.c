// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * i6300esb - the watchdog of Intel's 6300ESB: a 35-bit counter of the PCI clock that runs down twice,
 * from preload 1 and then from preload 2, unless the guest reloads it. After the second time the
 * machine's watchdog action follows (MACHINE_WATCHDOG), if the guest has enabled the output. Each write
 * of a preload or of the reload register must be unlocked by two writes before it.
 *
 * The counter stands still while the machine is paused, and is a host timer while it runs down; a
 * watchdog that is not enabled costs nothing.
 *
 * SPEC: the first stage sets its status bit, but neither interrupt nor SMI is delivered: the chip has its
 * interrupt at pin 10 of a second I/O APIC, and its SMI for firmware, and a machine of ours has neither.
 * Drivers switch them off, and QEMU delivers none either. A stage takes a millisecond at least,
 * whatever the guest has asked for.
 *
 * Source: Intel 6300ESB I/O Controller Hub Datasheet, Watch Dog Timer.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/ovf.h"
#include "base/types.h"
#include "base/wire.h"
#include "core/machine.h"
#include "hw/legacy/timer.h"
#include "hw/pci/pci.h"

/* Configuration space. */
#define WDT_CONFIG     0x60
#define CONFIG_FAST    BIT(2) /* 2^5 clocks a step, not 2^15 */
#define CONFIG_NO_TOUT BIT(5) /* nothing follows */
#define CONFIG_MASK    0x27
#define WDT_LOCK       0x68
#define LOCK_LOCKED    BIT(0) /* the register stays as it is until the next reset */
#define LOCK_ENABLE    BIT(1)
#define LOCK_FREE_RUN  BIT(2) /* it begins anew by itself */
#define LOCK_MASK      0x07

/* Registers. */
#define BAR_SIZE     16
#define WDT_PRELOAD1 0x0
#define WDT_PRELOAD2 0x4
#define WDT_STATUS   0x8 /* bit 0: the first stage is over */
#define WDT_RELOAD   0xc
#define RELOAD_NOW   BIT(8)
#define RELOAD_TOUT  BIT(9) /* it has expired since this was cleared; survives a reset */
#define UNLOCK_1     0x80
#define UNLOCK_2     0x86
#define PRELOAD_MAX  0xfffffu

#define PCI_CLOCK_MHZ 33
#define STAGE_MIN_NS  NS_PER_MS
#define STAGE_MAX_NS  ((int64_t)(BIT_ULL(35) * 1000 / PCI_CLOCK_MHZ))

struct esb_config {
	char *addr;
};

struct esb {
	struct pci_device pci; /* first */
	struct esb_config config;
	/* Under the device's lock. */
	uint32_t preload[2];
	uint8_t unlock; /* how many of the two writes have come */
	uint8_t stage;	/* 1 or 2; 0: the counter stands */
	uint8_t lock;	/* the lock register as it was before the guest's last access */
	bool first_over, timed_out;
	uint64_t left_ns; /* of the stage; set when saved */
	int64_t end_ns;	  /* of the stage, by machine_clock_ns() */
	bool quiet;	  /* paused: no timer is armed */
	struct dev_timer timer;
};

static const struct field config_fields[] = {
	FIELD_STR(struct esb_config, addr, "addr", .doc = "PCI address SLOT[.FN], hexadecimal"),
};
static const struct field_table config_table = FIELD_TABLE(
	"i6300esb", struct esb_config, config_fields);

static const struct field state_fields[] = {
	FIELD_STRUCT(struct esb, pci, "pci", &pci_device_state, .tag = 1),
	FIELD_U32(struct esb, preload[0], "preload-1", .tag = 2, .max = PRELOAD_MAX),
	FIELD_U32(struct esb, preload[1], "preload-2", .tag = 3, .max = PRELOAD_MAX),
	FIELD_U8(struct esb, unlock, "unlock", .tag = 4, .max = 2),
	FIELD_U8(struct esb, stage, "stage", .tag = 5, .max = 2),
	FIELD_BOOL(struct esb, first_over, "first-stage-over", .tag = 6),
	FIELD_BOOL(struct esb, timed_out, "timed-out", .tag = 7),
	FIELD_U64(struct esb, left_ns, "left-ns", .tag = 8, .max = STAGE_MAX_NS),
};
static const struct field_table state_table = FIELD_TABLE("i6300esb", struct esb, state_fields);

/* -------- the counter -------- */

static void arm(struct esb *e)
{
	int64_t deadline = DEV_TIMER_OFF;

	if (e->stage && !e->quiet)
		deadline = clock_mono_ns() + e->end_ns - machine_clock_ns(e->pci.dev.machine);
	dev_timer_set(&e->timer, deadline);
}

/* Begin @stage; 0: stand. */
static void start(struct esb *e, uint8_t stage)
{
	unsigned int shift = e->pci.config[WDT_CONFIG] & CONFIG_FAST ? 5 : 15;
	int64_t ns = 0;

	if (stage)
		ns = (int64_t)(((uint64_t)e->preload[stage - 1] << shift) * 1000 / PCI_CLOCK_MHZ);
	e->stage = stage;
	e->end_ns = machine_clock_ns(e->pci.dev.machine) + MAX(ns, STAGE_MIN_NS);
	arm(e);
}

static void stage_over(struct device *d)
{
	struct esb *e = (struct esb *)d;

	if (!e->stage || e->quiet)
		return;
	if (machine_clock_ns(d->machine) < e->end_ns) {
		arm(e); /* the machine was paused meanwhile */
		return;
	}
	if (e->stage == 1) {
		e->first_over = true;
		start(e, 2);
		return;
	}
	e->timed_out = true;
	start(e, e->lock & LOCK_FREE_RUN ? 1 : 0);
	if (!(e->pci.config[WDT_CONFIG] & CONFIG_NO_TOUT))
		machine_event(d->machine, MACHINE_WATCHDOG, 0);
}

/* -------- registers -------- */

static uint64_t esb_read(void *opaque, uint64_t off, unsigned int size)
{
	const struct esb *e = opaque;
	uint8_t b[BAR_SIZE];

	wr_le32(b + WDT_PRELOAD1, e->preload[0]);
	wr_le32(b + WDT_PRELOAD2, e->preload[1]);
	wr_le32(b + WDT_STATUS, e->first_over);
	wr_le32(b + WDT_RELOAD, e->timed_out ? RELOAD_TOUT : 0);
	return rd_le(b + off, size);
}

static void write_reload(struct esb *e, uint32_t v)
{
	if (v & RELOAD_TOUT)
		e->timed_out = false;
	if (v & RELOAD_NOW && e->lock & LOCK_ENABLE)
		start(e, 1);
}

static void write_unlocked(struct esb *e, uint64_t off, uint64_t value, unsigned int size)
{
	uint8_t b[8]; /* what reaches beyond the register is dropped */

	if (off >= WDT_RELOAD) {
		write_reload(e, (uint32_t)(value << 8 * (off - WDT_RELOAD)));
		return;
	}
	wr_le32(b, e->preload[off / 4]);
	wr_le(b + off % 4, size, value);
	e->preload[off / 4] = rd_le32(b) & PRELOAD_MAX;
}

static void esb_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct esb *e = opaque;
	bool open = e->unlock == 2;

	if (off >= WDT_STATUS && off < WDT_RELOAD) {
		if (off == WDT_STATUS && value & 1)
			e->first_over = false;
		return;
	}
	if (!open && off == WDT_RELOAD && value == (e->unlock ? UNLOCK_2 : UNLOCK_1)) {
		e->unlock++;
		return;
	}
	e->unlock = off == WDT_RELOAD && value == UNLOCK_1;
	if (open && !e->unlock)
		write_unlocked(e, off, value, size);
}

static const struct io_ops esb_ops = {
	.read = esb_read, .write = esb_write, .min_size = 1, .max_size = 4
};

static void config_write(struct pci_device *d, uint16_t off, uint32_t value, unsigned int size)
{
	struct esb *e = (struct esb *)d;
	uint8_t was = e->lock;

	if (!range_overlaps(off, size, WDT_LOCK, 1))
		return;
	if (was & LOCK_LOCKED)
		d->config[WDT_LOCK] = was;
	e->lock = d->config[WDT_LOCK];
	if ((e->lock ^ was) & LOCK_ENABLE)
		start(e, e->lock & LOCK_ENABLE ? 1 : 0);
}

/* -------- device -------- */

static void esb_reset(struct device *d)
{
	struct esb *e = (struct esb *)d;

	pci_device_reset(&e->pci);
	mutex_lock(&d->lock);
	e->preload[0] = e->preload[1] = PRELOAD_MAX;
	e->unlock = e->lock = 0;
	e->first_over = false;
	start(e, 0);
	mutex_unlock(&d->lock);
}

static void set_quiet(struct device *d, bool quiet)
{
	struct esb *e = (struct esb *)d;

	mutex_lock(&d->lock);
	e->quiet = quiet;
	arm(e);
	mutex_unlock(&d->lock);
}

static void esb_quiesce(struct device *d)
{
	set_quiet(d, true);
}

static void esb_resume(struct device *d)
{
	set_quiet(d, false);
}

static void esb_pre_save(struct device *d)
{
	struct esb *e = (struct esb *)d;
	int64_t left = e->stage ? e->end_ns - machine_clock_ns(d->machine) : 0;

	pci_pre_save(&e->pci);
	e->left_ns = (uint64_t)MAX(left, 0);
}

static bool esb_post_load(struct device *d, struct error *err)
{
	struct esb *e = (struct esb *)d;

	if (!pci_post_load(&e->pci, err))
		return false;
	e->lock = e->pci.config[WDT_LOCK];
	if (e->stage && !(e->lock & LOCK_ENABLE))
		return error_set(err, "i6300esb: it runs without being enabled");
	mutex_lock(&d->lock);
	e->end_ns = machine_clock_ns(d->machine) + (int64_t)e->left_ns;
	arm(e);
	mutex_unlock(&d->lock);
	return true;
}

static bool esb_realize(struct device *d, struct error *err)
{
	static const struct pci_info info = {
		.vendor = 0x8086, .device = 0x25ab, .class_code = 0x088000, .no_intx = true
	};
	struct esb *e = (struct esb *)d;

	if (!pci_device_init(&e->pci, &info, e->config.addr, err))
		return false;
	if (!pci_add_bar(&e->pci, 0, BAR_SIZE, false, false, false, "i6300esb", &esb_ops, e, err)) {
		pci_device_fini(&e->pci);
		return false;
	}
	e->pci.wmask[WDT_CONFIG] = CONFIG_MASK;
	e->pci.wmask[WDT_LOCK] = LOCK_MASK;
	e->pci.config_write = config_write;
	dev_timer_init(&e->timer, d, stage_over);
	return true;
}

static void esb_unrealize(struct device *d)
{
	struct esb *e = (struct esb *)d;

	pci_device_fini(&e->pci);
	dev_timer_fini(&e->timer);
}

const struct device_type i6300esb_type = {
	.name = "i6300esb",
	.doc = "watchdog: --watchdog-action follows when the guest leaves it alone",
	.bus = BUS_PCI,
	.flags = DEVICE_USER,
	.size = sizeof(struct esb),
	.config = &config_table,
	.config_off = offsetof(struct esb, config),
	.state = &state_table,
	.realize = esb_realize,
	.unrealize = esb_unrealize,
	.reset = esb_reset,
	.quiesce = esb_quiesce,
	.resume = esb_resume,
	.pre_save = esb_pre_save,
	.post_load = esb_post_load,
	.test_options = "",
};
