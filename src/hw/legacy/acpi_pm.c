// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * acpi_pm - ACPI fixed hardware: PM1a event and control blocks, the power-management timer, a GPE0
 * block for whom it may concern, the reset register 0xcf9 and the SMI command port.
 *
 * Our tables name no SMI command port: the machine starts in ACPI mode (SCI_EN set). The port is
 * there for firmware that wants to switch.
 *
 * The timer is a function of the host's clock. Its status bit is set when the counter's top bit
 * changes; that is found out on access, and a host timer is armed only while the guest wants an
 * interrupt for it. The counter stands still while the machine is paused.
 *
 * Source: ACPI 6.5, ACPI Hardware Specification, Fixed Hardware Features.
 */
#include "base/clock.h"
#include "base/ovf.h"
#include "base/types.h"
#include "base/wire.h"
#include "core/device.h"
#include "core/io.h"
#include "core/irq.h"
#include "core/machine.h"
#include "hw/legacy/legacy.h"
#include "hw/legacy/timer.h"

#define PM_HZ	     3579545ull
#define TIMER_TOGGLE BIT_ULL(31) /* the top bit of the 32-bit counter changes each so many ticks */

#define PM_SIZE	 12 /* bytes: status 2, enable 2, control 2, reserved 2, timer 4 */
#define GPE_SIZE 4
#define CF8_PORT 0xcf8
#define CF8_SIZE 4
#define CF9_SIZE 1
#define SMI_SIZE 2

#define STS_TMR	   BIT(0)
#define STS_GBL	   BIT(5)
#define STS_PWRBTN BIT(8)
#define STS_SLPBTN BIT(9)
#define STS_RTC	   BIT(10)
#define STS_WAK	   BIT(15)
#define STS_CLEAR  (STS_TMR | BIT(4) | STS_GBL | STS_PWRBTN | STS_SLPBTN | STS_RTC | STS_WAK)
#define STS_SCI	   (STS_TMR | STS_GBL | STS_PWRBTN | STS_SLPBTN | STS_RTC)

#define CNT_SCI_EN	BIT(0)
#define CNT_BM_RLD	BIT(1)
#define CNT_SLP_TYP(v)	(((v) >> 10) & 7)
#define CNT_SLP_TYP_ALL (7u << 10)
#define CNT_SLP_EN	BIT(13)

#define SMI_ACPI_ENABLE	 0xf1
#define SMI_ACPI_DISABLE 0xf0

#define CF9_RESET BIT(2)

struct pm_state {
	uint16_t sts, en, cnt;
	uint8_t gpe[GPE_SIZE]; /* status 2, enable 2 */
	uint8_t cf9, apm[SMI_SIZE];
	uint64_t elapsed_ns;   /* of the timer; set when saved */
	uint64_t toggle_ticks; /* when the status bit is set next */
};

struct pm {
	struct device dev;
	struct pm_state s; /* under dev.lock */
	int64_t base_ns;   /* machine_clock_ns() at counter 0 */
	bool quiet;	   /* paused: no timer is armed */
	struct io_region pm_io, gpe_io, cf9_io, smi_io;
	struct io_region cf8_io; /* nothing: see cf8_ops */
	struct irq_source sci;
	struct dev_timer timer;
};

static const struct field state_fields[] = {
	FIELD_U16(struct pm_state, sts, "pm1-status", .tag = 1),
	FIELD_U16(struct pm_state, en, "pm1-enable", .tag = 2),
	FIELD_U16(struct pm_state, cnt, "pm1-control", .tag = 3),
	FIELD_BYTES(struct pm_state, gpe, "gpe", .tag = 4),
	FIELD_U8(struct pm_state, cf9, "reset-control", .tag = 5),
	FIELD_BYTES(struct pm_state, apm, "apm", .tag = 6),
	FIELD_U64(struct pm_state, elapsed_ns, "elapsed-ns", .tag = 7, .max = INT64_MAX / 4),
	FIELD_U64(struct pm_state, toggle_ticks, "toggle-ticks", .tag = 8),
};
static const struct field_table state_table = FIELD_TABLE("acpi-pm", struct pm_state, state_fields);

/* ---------------------------------------------------------------- timer */

static uint64_t elapsed_ns(const struct pm *p)
{
	return (uint64_t)(machine_clock_ns(p->dev.machine) - p->base_ns);
}

static uint64_t ns_to_ticks(uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * PM_HZ / NS_PER_SEC);
}

/* Rounded up: at that time the tick has come. */
static uint64_t ticks_to_ns(uint64_t ticks)
{
	return (uint64_t)(((unsigned __int128)ticks * NS_PER_SEC + PM_HZ - 1) / PM_HZ);
}

/* Status bits that come with time. */
static void sync_timer(struct pm *p)
{
	if (ns_to_ticks(elapsed_ns(p)) >= p->s.toggle_ticks)
		p->s.sts |= STS_TMR;
}

/* The next toggle counts from now. */
static void restart_toggle(struct pm *p)
{
	p->s.toggle_ticks = (ns_to_ticks(elapsed_ns(p)) / TIMER_TOGGLE + 1) * TIMER_TOGGLE;
}

/* ---------------------------------------------------------------- interrupt */

static void update(struct pm *p)
{
	struct pm_state *s = &p->s;
	uint16_t gpe = rd_le16(s->gpe) & rd_le16(s->gpe + 2);
	int64_t deadline = DEV_TIMER_OFF;

	irq_set(&p->sci, (s->cnt & CNT_SCI_EN) && ((s->sts & s->en & STS_SCI) || gpe));
	if ((s->en & STS_TMR) && !(s->sts & STS_TMR) && !p->quiet)
		deadline = clock_mono_ns() +
			   (int64_t)(ticks_to_ns(s->toggle_ticks) - elapsed_ns(p));
	dev_timer_set(&p->timer, deadline);
}

static void on_timer(struct device *d)
{
	struct pm *p = CONTAINER_OF(d, struct pm, dev);

	sync_timer(p);
	update(p);
}

/* ---------------------------------------------------------------- registers */

static uint64_t pm_read(void *opaque, uint64_t off, unsigned int size)
{
	struct pm *p = opaque;
	uint8_t b[16] = { 0 };

	sync_timer(p);
	wr_le16(b, p->s.sts);
	wr_le16(b + 2, p->s.en);
	wr_le16(b + 4, p->s.cnt);
	wr_le32(b + 8, (uint32_t)ns_to_ticks(elapsed_ns(p)));
	return rd_le(b + off, size);
}

static void write_control(struct pm *p, uint16_t v)
{
	/* SCI_EN is switched through the SMI command port only. */
	p->s.cnt = (v & (CNT_BM_RLD | CNT_SLP_TYP_ALL)) | (p->s.cnt & CNT_SCI_EN);
	if ((v & CNT_SLP_EN) && CNT_SLP_TYP(v) == ACPI_PM_SLP_TYP_S5)
		machine_event(p->dev.machine, MACHINE_POWEROFF, 0);
}

static void write_status(struct pm *p, uint16_t clear)
{
	p->s.sts &= ~(clear & STS_CLEAR);
	if (clear & STS_TMR)
		restart_toggle(p);
}

static void write_byte(struct pm *p, uint64_t off, uint8_t v)
{
	uint16_t word = (uint16_t)(v << (8 * (off & 1)));
	uint16_t keep = off & 1 ? 0x00ff : 0xff00;

	switch (off & ~1ull) {
	case 0:
		write_status(p, word);
		break;
	case 2:
		p->s.en = (p->s.en & keep) | word;
		break;
	case 4:
		/* Sleep type and enable share a byte: only that byte may start a sleep. */
		write_control(p, (p->s.cnt & keep) | word);
		break;
	default: /* the timer is read-only */
		break;
	}
}

static void pm_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct pm *p = opaque;

	sync_timer(p);
	for (unsigned int i = 0; i < size; i++)
		write_byte(p, off + i, (uint8_t)(value >> (8 * i)));
	update(p);
}

static uint64_t gpe_read(void *opaque, uint64_t off, unsigned int size)
{
	struct pm *p = opaque;

	return p->s.gpe[off];
}

static void gpe_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct pm *p = opaque;

	if (off < GPE_SIZE / 2)
		p->s.gpe[off] &= (uint8_t)~value;
	else
		p->s.gpe[off] = (uint8_t)value;
	update(p);
}

static uint64_t cf9_read(void *opaque, uint64_t off, unsigned int size)
{
	struct pm *p = opaque;

	return p->s.cf9;
}

static void cf9_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct pm *p = opaque;

	/* The bit's rise resets. */
	if ((value & CF9_RESET) && !(p->s.cf9 & CF9_RESET))
		machine_event(p->dev.machine, MACHINE_RESET, 0);
	p->s.cf9 = value & (BIT(1) | BIT(3));
}

static uint64_t smi_read(void *opaque, uint64_t off, unsigned int size)
{
	struct pm *p = opaque;

	return p->s.apm[off];
}

static void smi_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct pm *p = opaque;

	p->s.apm[off] = (uint8_t)value;
	if (off == 0 && value == SMI_ACPI_ENABLE)
		p->s.cnt |= CNT_SCI_EN;
	else if (off == 0 && value == SMI_ACPI_DISABLE)
		p->s.cnt &= ~CNT_SCI_EN;
	update(p);
}

static const struct io_ops pm_ops = { pm_read, pm_write, 1, 4 };
static const struct io_ops gpe_ops = { gpe_read, gpe_write, 1, 1 };
static const struct io_ops cf9_ops = { cf9_read, cf9_write, 1, 1 };
/* Where the PCI configuration address would be. Without a PCI host, software that looks for one must
 * find nothing there: a dword must not fall apart into bytes of which one resets the machine. */
static const struct io_ops cf8_ops = { NULL, NULL, 1, 4 };
static const struct io_ops smi_ops = { smi_read, smi_write, 1, 1 };

bool acpi_pm_power_button(struct device *d)
{
	struct pm *p = CONTAINER_OF(d, struct pm, dev);
	bool heard;

	mutex_lock(&d->lock);
	heard = (p->s.en & STS_PWRBTN) && (p->s.cnt & CNT_SCI_EN);
	if (heard) {
		p->s.sts |= STS_PWRBTN;
		update(p);
	}
	mutex_unlock(&d->lock);
	return heard;
}

void acpi_pm_raise_gpe(struct device *d, unsigned int bit)
{
	struct pm *p = CONTAINER_OF(d, struct pm, dev);

	mutex_lock(&d->lock);
	p->s.gpe[bit / 8] |= (uint8_t)BIT(bit % 8);
	update(p);
	mutex_unlock(&d->lock);
}

/* ---------------------------------------------------------------- device */

static void pm_reset(struct device *d)
{
	struct pm *p = CONTAINER_OF(d, struct pm, dev);

	mutex_lock(&d->lock);
	p->s = (struct pm_state){ .cnt = CNT_SCI_EN };
	p->base_ns = machine_clock_ns(d->machine);
	restart_toggle(p);
	update(p);
	mutex_unlock(&d->lock);
}

static void set_quiet(struct device *d, bool quiet)
{
	struct pm *p = CONTAINER_OF(d, struct pm, dev);

	mutex_lock(&d->lock);
	p->quiet = quiet;
	sync_timer(p);
	update(p);
	mutex_unlock(&d->lock);
}

static void pm_quiesce(struct device *d)
{
	set_quiet(d, true);
}

static void pm_resume(struct device *d)
{
	set_quiet(d, false);
}

static void pm_pre_save(struct device *d)
{
	struct pm *p = CONTAINER_OF(d, struct pm, dev);

	p->s.elapsed_ns = elapsed_ns(p);
}

static bool pm_post_load(struct device *d, struct error *err)
{
	struct pm *p = CONTAINER_OF(d, struct pm, dev);
	uint64_t now = ns_to_ticks(p->s.elapsed_ns);

	if (p->s.toggle_ticks > now + 2 * TIMER_TOGGLE)
		return error_set(err, "acpi-pm: the timer's next toggle is too far away");
	mutex_lock(&d->lock);
	p->base_ns = machine_clock_ns(d->machine) - (int64_t)p->s.elapsed_ns;
	update(p);
	mutex_unlock(&d->lock);
	return true;
}

static bool map(struct pm *p, struct io_region *r, const char *name, const struct io_ops *ops,
	uint16_t port, uint16_t size, struct error *err)
{
	int rc;

	io_region_init(r, name, ops, p, &p->dev.lock);
	/* 0xcf9 lies inside the PCI configuration address register and wins for byte accesses. */
	r->as.priority = port == ACPI_RESET_PORT ? 10 : port == CF8_PORT ? -10 : 0;
	rc = io_region_map(p->dev.machine, r, true, port, size);
	return !rc || error_set_errno(err, rc, "cannot take port 0x%x", port);
}

static void pm_unrealize(struct device *d)
{
	struct pm *p = CONTAINER_OF(d, struct pm, dev);

	io_region_unmap(&p->pm_io);
	io_region_unmap(&p->gpe_io);
	io_region_unmap(&p->cf9_io);
	io_region_unmap(&p->cf8_io);
	io_region_unmap(&p->smi_io);
	dev_timer_fini(&p->timer);
	irq_set(&p->sci, false);
}

static bool pm_realize(struct device *d, struct error *err)
{
	struct pm *p = CONTAINER_OF(d, struct pm, dev);

	irq_source_init(&p->sci, d->machine, ACPI_PM_SCI_GSI);
	dev_timer_init(&p->timer, d, on_timer);
	if (!map(p, &p->pm_io, "acpi-pm", &pm_ops, ACPI_PM_BASE, PM_SIZE, err) ||
		!map(p, &p->gpe_io, "acpi-gpe", &gpe_ops, ACPI_PM_GPE0, GPE_SIZE, err) ||
		!map(p, &p->cf9_io, "reset-register", &cf9_ops, ACPI_RESET_PORT, CF9_SIZE, err) ||
		!map(p, &p->cf8_io, "no-pci", &cf8_ops, CF8_PORT, CF8_SIZE, err) ||
		!map(p, &p->smi_io, "smi-command", &smi_ops, ACPI_SMI_CMD, SMI_SIZE, err)) {
		pm_unrealize(d);
		return false;
	}
	pm_reset(d);
	return true;
}

const struct device_type acpi_pm_type = {
	.name = "acpi-pm",
	.doc = "ACPI fixed hardware: power button, power-off, PM timer, reset register",
	.bus = BUS_SYSTEM,
	.flags = DEVICE_SINGLE | DEVICE_TICKS,
	.size = sizeof(struct pm),
	.state = &state_table,
	.state_off = offsetof(struct pm, s),
	.realize = pm_realize,
	.unrealize = pm_unrealize,
	.reset = pm_reset,
	.quiesce = pm_quiesce,
	.resume = pm_resume,
	.pre_save = pm_pre_save,
	.post_load = pm_post_load,
};
