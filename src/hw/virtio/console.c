// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-console (virtio 1.2, 5.3): consoles (hvc0 ...) and named byte streams (vport0p1 ...) on
 * character devices.
 *
 * Ports 0.. are the `console=` options, then the `port=` ones. With one unnamed console the device
 * is just a pair of queues; otherwise it offers MULTIPORT, whose control queues announce the ports
 * and tell of opening and closing. A driver that does not take MULTIPORT has port 0.
 *
 * 1. Home loop is the character devices' loop, main. So room told to a character device, what it
 *    delivers, and the queue that takes it belong to one thread.
 * 2. Input: the next buffer that the driver has offered is looked at (popped and put back), and its
 *    size is the room told. Nothing is buffered here, nothing is lost when the guest does not read.
 * 3. Output: a chain that the character device takes only in part stays in the ring, and `tx_off`
 *    says how much of it has gone; it goes on when there is room again.
 * 4. The size of the terminal is in the configuration space, where a driver without MULTIPORT reads
 *    it. SPEC: no RESIZE message is sent with MULTIPORT: 5.3.6.2 has columns before rows, Linux's
 *    driver reads rows first.
 * 5. Messages to the driver are bits per port, sent in a fixed order when the driver has offered
 *    buffers: their number is bounded, whatever the driver does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/trace.h"
#include "base/wire.h"
#include "chardev/chardev.h"
#include "hw/virtio/virtio.h"

#define PORTS_MAX    31u /* two queues each, two for control: VIRTIO_QUEUES_MAX */
#define NAME_MAX_LEN 64u
#define ROOM_MAX     4096u
#define Q_CONTROL_RX 2u
#define Q_CONTROL_TX 3u

/* Features (5.3.3). */
#define F_SIZE	      0
#define F_MULTIPORT   1
#define F_EMERG_WRITE 2

/* Control events (5.3.6.2). */
enum {
	EV_DEVICE_READY = 0,
	EV_PORT_ADD = 1,
	EV_PORT_READY = 3,
	EV_CONSOLE_PORT = 4,
	EV_PORT_OPEN = 6,
	EV_PORT_NAME = 7,
};

struct control {
	le32 id;
	le16 event, value;
};

/* Device configuration (5.3.4). */
struct config_space {
	le16 cols, rows;
	le32 max_nr_ports;
	le32 emerg_wr;
};
#define EMERG_OFF offsetof(struct config_space, emerg_wr)

/* Messages that wait for a buffer, in the order of sending. */
enum {
	SEND_ADD = 1 << 0,
	SEND_CONSOLE = 1 << 1,
	SEND_NAME = 1 << 2,
	SEND_OPEN = 1 << 3,
	SEND_ALL = (1 << 4) - 1,
};

struct str_list {
	char **items;
	size_t len;
};

struct console_config {
	struct virtio_config virtio;
	struct str_list consoles, ports;
};

struct console;

struct port {
	struct console *s;
	struct chardev *chardev; /* borrowed */
	const char *name;	 /* in the config; NULL: none */
	uint32_t index;
	bool console;
};

struct console {
	struct virtio_device v; /* first */
	struct console_config cfg;
	uint32_t n_ports;
	bool multiport; /* offered */
	struct port port[PORTS_MAX];
	struct iovec *iov; /* owned, VQ_IOV_MAX */
	/* Saved. */
	uint32_t guest_open;	    /* a bit a port: the driver has opened it */
	uint8_t send[PORTS_MAX];    /* SEND_* */
	uint32_t tx_off[PORTS_MAX]; /* bytes of the next chain that have gone out */
};

static struct console *console_of(struct virtio_device *v)
{
	return CONTAINER_OF(v, struct console, v);
}

static unsigned int rx_queue(uint32_t port)
{
	return port ? 2 * port + 2 : 0;
}

static bool talks_control(const struct console *s)
{
	return virtio_has(&s->v, F_MULTIPORT);
}

/* -------- host to guest -------- */

/* Pop a chain that the device writes. 1, 0 or, with the device broken, -1. */
static int pop_in(struct console *s, struct virtqueue *q, struct vq_chain *c)
{
	int r;

	*c = (struct vq_chain){ .iov = s->iov };
	r = vq_pop(q, c, VQ_IOV_MAX);
	if (r > 0 && c->in_len)
		return 1;
	if (!r)
		return 0;
	virtio_break(
		&s->v, r < 0 ? "queue %u is damaged" : "queue %u: no room in a buffer", q->index);
	return -1;
}

/* Tell the character device how much the driver's next buffer takes (point 2). */
static void rx_room(struct console *s, struct port *p)
{
	struct virtqueue *q = &s->v.vq[rx_queue(p->index)];
	struct vq_chain c;
	size_t room = 0;

	if (!talks_control(s) ? p->index == 0 : s->guest_open >> p->index & 1) {
		if (pop_in(s, q, &c) > 0) {
			room = MIN(c.in_len, ROOM_MAX);
			vq_unpop(q, &c);
		}
	}
	chardev_set_room(p->chardev, room);
}

static void on_receive(void *opaque, const uint8_t *data, size_t n)
{
	struct port *p = opaque;
	struct console *s = p->s;
	struct virtqueue *q = &s->v.vq[rx_queue(p->index)];
	struct vq_chain c;

	mutex_lock(&s->v.pci.dev.lock);
	chardev_set_room(p->chardev, 0); /* the rest of this buffer is not used */
	/* A driver that has changed its buffer since we looked loses what does not fit. */
	if (pop_in(s, q, &c) > 0) {
		n = vq_chain_write(&c, 0, data, n);
		if (vq_push(q, &c, (uint32_t)n) < 0)
			virtio_break(&s->v, "queue %u is damaged", q->index);
		virtio_notify(&s->v, q);
	}
	mutex_unlock(&s->v.pci.dev.lock);
	virtio_kick(&s->v, q->index); /* a turn of the queue: tells the new room */
}

/* -------- guest to host -------- */

/* Write what is left of @c to the port. False: it did not take all (point 3). */
static bool tx_write(struct console *s, struct port *p, const struct vq_chain *c)
{
	uint64_t skip = s->tx_off[p->index];

	for (int i = 0; i < c->n_out; i++) {
		const uint8_t *base = c->iov[i].iov_base;
		size_t len = c->iov[i].iov_len, n;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		n = chardev_write(p->chardev, base + skip, len - skip);
		s->tx_off[p->index] += (uint32_t)n;
		if (n < len - skip)
			return false;
		skip = 0;
	}
	s->tx_off[p->index] = 0;
	return true;
}

static void tx_turn(struct console *s, struct port *p, struct virtqueue *q)
{
	struct vq_chain c = { .iov = s->iov };
	int r;

	while ((r = vq_pop(q, &c, VQ_IOV_MAX)) > 0) {
		if (!tx_write(s, p, &c)) {
			vq_unpop(q, &c);
			break;
		}
		r = vq_push(q, &c, 0);
		if (r < 0)
			break;
	}
	if (r < 0)
		virtio_break(&s->v, "queue %u is damaged", q->index);
	virtio_notify(&s->v, q);
}

static void on_writable(void *opaque)
{
	struct port *p = opaque;

	virtio_kick(&p->s->v, rx_queue(p->index) + 1);
}

/* -------- control -------- */

static void message_fill(
	struct console *s, struct port *p, unsigned int bit, uint8_t *buf, size_t *n)
{
	struct control *m = (struct control *)buf;
	uint16_t event = EV_PORT_OPEN, value = 1;

	*n = sizeof(*m);
	switch (bit) {
	case SEND_ADD:
		event = EV_PORT_ADD;
		break;
	case SEND_CONSOLE:
		event = EV_CONSOLE_PORT;
		break;
	case SEND_NAME:
		event = EV_PORT_NAME;
		memcpy(buf + *n, p->name, strlen(p->name));
		*n += strlen(p->name);
		break;
	default:
		value = chardev_is_open(p->chardev);
		break;
	}
	m->id = le32_of(p->index);
	m->event = le16_of(event);
	m->value = le16_of(value);
}

/* Send what waits, as far as the driver's buffers go. */
static void control_send(struct console *s)
{
	struct virtqueue *q = &s->v.vq[Q_CONTROL_RX];
	_Alignas(struct control) uint8_t buf[sizeof(struct control) + NAME_MAX_LEN];
	struct vq_chain c;
	size_t n;

	for (uint32_t i = 0; i < s->n_ports; i++) {
		while (s->send[i]) {
			unsigned int bit = s->send[i] & -s->send[i];

			if (pop_in(s, q, &c) <= 0)
				goto out;
			message_fill(s, &s->port[i], bit, buf, &n);
			n = vq_chain_write(&c, 0, buf, n);
			s->send[i] &= (uint8_t)~bit;
			TRACE2(virtio_console, send, i, bit);
			if (vq_push(q, &c, (uint32_t)n) < 0) {
				virtio_break(&s->v, "queue %u is damaged", q->index);
				return;
			}
		}
	}
out:
	virtio_notify(&s->v, q);
}

static bool has_size(const struct port *p)
{
	uint16_t cols, rows;

	return p->console && chardev_size(p->chardev, &cols, &rows);
}

/* QMP's clients know a port by its character device. */
static void tell_open(struct port *p, bool open)
{
	struct notice n = { .kind = NOTICE_VSERPORT_CHANGE, .flag = open };

	snprintf(n.id, sizeof(n.id), "%s", chardev_id(p->chardev));
	machine_notice(p->s->v.pci.dev.machine, &n);
}

static void control_port(struct console *s, struct port *p, uint16_t event, uint16_t value)
{
	switch (event) {
	case EV_PORT_READY:
		if (!value) /* the driver could not make it */
			break;
		s->send[p->index] |= (uint8_t)((p->console ? SEND_CONSOLE : 0) |
					       (p->name ? SEND_NAME : 0) |
					       (chardev_is_open(p->chardev) ? SEND_OPEN : 0));
		break;
	case EV_PORT_OPEN:
		if (!(s->guest_open & BIT(p->index)) != !value)
			tell_open(p, value);
		s->guest_open &= ~BIT(p->index);
		s->guest_open |= value ? BIT(p->index) : 0;
		virtio_kick(&s->v, rx_queue(p->index));
		break;
	default: /* nothing that we know: a newer driver's business */
		break;
	}
}

static void control_receive(struct console *s, struct virtqueue *q)
{
	struct vq_chain c = { .iov = s->iov };
	struct control m;
	int r;

	while ((r = vq_pop(q, &c, VQ_IOV_MAX)) > 0) {
		size_t n = vq_chain_read(&c, 0, &m, sizeof(m));

		r = vq_push(q, &c, 0);
		if (r < 0)
			break;
		if (n < sizeof(m))
			continue;
		if (le16_get(m.event) == EV_DEVICE_READY) {
			for (uint32_t i = 0; i < s->n_ports && le16_get(m.value); i++)
				s->send[i] |= SEND_ADD;
		} else if (le32_get(m.id) < s->n_ports) {
			control_port(
				s, &s->port[le32_get(m.id)], le16_get(m.event), le16_get(m.value));
		}
	}
	if (r < 0)
		virtio_break(&s->v, "queue %u is damaged", q->index);
	virtio_notify(&s->v, q);
	control_send(s);
}

static void on_opened(void *opaque, bool open)
{
	struct port *p = opaque;
	struct console *s = p->s;

	if (!s->multiport)
		return;
	mutex_lock(&s->v.pci.dev.lock);
	if (talks_control(s)) {
		s->send[p->index] |= SEND_OPEN;
		virtio_kick(&s->v, Q_CONTROL_RX);
	}
	mutex_unlock(&s->v.pci.dev.lock);
}

/* -------- the device -------- */

static void console_handle_queue(struct virtio_device *v, unsigned int q)
{
	struct console *s = console_of(v);
	struct port *p = &s->port[q < 2 ? 0 : (q - 2) / 2];

	if (q == Q_CONTROL_RX || q == Q_CONTROL_TX) {
		/* Without MULTIPORT negotiated these queues mean nothing. */
		if (!talks_control(s))
			return;
		if (q == Q_CONTROL_RX)
			control_send(s);
		else
			control_receive(s, &v->vq[q]);
	} else if (q & 1) {
		tx_turn(s, p, &v->vq[q]);
	} else {
		rx_room(s, p);
	}
}

static uint64_t console_features(struct virtio_device *v)
{
	struct console *s = console_of(v);

	return BIT_ULL(F_EMERG_WRITE) | (s->multiport ? BIT_ULL(F_MULTIPORT) : 0) |
	       (has_size(&s->port[0]) ? BIT_ULL(F_SIZE) : 0);
}

static void console_config_write(
	struct virtio_device *v, uint32_t off, const void *data, unsigned int size)
{
	struct console *s = console_of(v);

	/* A character before the queues work, or when nothing else does any more (5.3.4). */
	if (off == EMERG_OFF)
		chardev_write(s->port[0].chardev, data, 1);
}

static void console_class_reset(struct virtio_device *v)
{
	struct console *s = console_of(v);

	s->guest_open = 0;
	memset(s->send, 0, sizeof(s->send));
	memset(s->tx_off, 0, sizeof(s->tx_off));
	for (uint32_t i = 0; i < s->n_ports; i++)
		chardev_set_room(s->port[i].chardev, 0);
}

static const struct virtio_class console_class = {
	.device_id = 3,
	.pci_class = 0x078000, /* communication controller, other */
	.config_size = sizeof(struct config_space),
	.features = console_features,
	.config_write = console_config_write,
	.handle_queue = console_handle_queue,
	.reset = console_class_reset,
};

/* One `console=ID` or `port=ID[:NAME]`. */
static bool port_add(struct console *s, char *spec, bool console, struct error *err)
{
	struct port *p = &s->port[s->n_ports];
	char *colon = strchr(spec, ':');

	if (s->n_ports == PORTS_MAX)
		return error_usage(err, "more than %u ports", PORTS_MAX);
	*p = (struct port){ .s = s, .index = s->n_ports, .console = console };
	if (colon) {
		p->name = colon + 1;
		if (strlen(p->name) > NAME_MAX_LEN)
			return error_usage(err, "port name '%s' is longer than %u bytes", p->name,
				NAME_MAX_LEN);
		*colon = 0;
	}
	p->chardev = machine_backend(s->v.pci.dev.machine, BACKEND_CHARDEV, spec, err);
	if (colon)
		*colon = ':';
	if (!p->chardev)
		return false;
	for (uint32_t i = 0; i < s->n_ports; i++) {
		if (s->port[i].chardev == p->chardev)
			return error_usage(err, "two ports use '%s'", chardev_id(p->chardev));
	}
	if (chardev_has_front(p->chardev))
		return error_usage(err, "'%s' is already used by another device", spec);
	s->n_ports++;
	return true;
}

static bool ports_make(struct console *s, struct error *err)
{
	for (size_t i = 0; i < s->cfg.consoles.len; i++) {
		if (!port_add(s, s->cfg.consoles.items[i], true, err))
			return false;
	}
	for (size_t i = 0; i < s->cfg.ports.len; i++) {
		if (!port_add(s, s->cfg.ports.items[i], false, err))
			return false;
	}
	if (!s->n_ports)
		return error_usage(
			err, "needs at least one console=CHARDEV or port=CHARDEV[:NAME]");
	s->multiport = s->n_ports > 1 || s->port[0].name || !s->port[0].console;
	return true;
}

static void config_fill(struct console *s)
{
	uint16_t cols = 0, rows = 0;
	struct config_space c;

	chardev_size(s->port[0].chardev, &cols, &rows);
	c = (struct config_space){
		.cols = le16_of(cols),
		.rows = le16_of(rows),
		.max_nr_ports = le32_of(s->n_ports),
	};
	memcpy(s->v.config, &c, sizeof(c));
}

static bool console_realize(struct device *d, struct error *err)
{
	struct console *s = CONTAINER_OF(d, struct console, v.pci.dev);

	s->n_ports = 0;
	if (!ports_make(s, err))
		return false;
	if (s->cfg.virtio.iothread)
		return error_usage(err, "consoles run on the main loop: no iothread");
	s->iov = calloc(VQ_IOV_MAX, sizeof(*s->iov));
	if (!s->iov)
		return error_set(err, "out of memory");
	if (!virtio_init(&s->v, &console_class, &s->cfg.virtio,
		    s->multiport ? 2 * s->n_ports + 2 : 2, err)) {
		free(s->iov);
		return false;
	}
	config_fill(s);
	for (uint32_t i = 0; i < s->n_ports; i++) {
		struct chardev_front f = { on_receive, on_opened, on_writable, &s->port[i] };

		chardev_set_front(s->port[i].chardev, &f);
	}
	return true;
}

static void console_unrealize(struct device *d)
{
	struct console *s = CONTAINER_OF(d, struct console, v.pci.dev);

	for (uint32_t i = 0; i < s->n_ports; i++)
		chardev_set_front(s->port[i].chardev, NULL);
	virtio_fini(&s->v);
	free(s->iov);
}

/* No input while stopped: it stays where it is. */
static void console_quiesce(struct device *d)
{
	struct console *s = CONTAINER_OF(d, struct console, v.pci.dev);

	virtio_quiesce(d);
	for (uint32_t i = 0; i < s->n_ports; i++)
		chardev_set_room(s->port[i].chardev, 0);
}

static void console_resume(struct device *d)
{
	struct console *s = CONTAINER_OF(d, struct console, v.pci.dev);

	virtio_resume(d);
	for (uint32_t q = 0; q < s->v.n_queues; q++)
		virtio_kick(&s->v, q);
}

static bool console_post_load(struct device *d, struct error *err)
{
	struct console *s = CONTAINER_OF(d, struct console, v.pci.dev);

	for (uint32_t i = 0; i < PORTS_MAX; i++) {
		uint8_t ok = i < s->n_ports ? SEND_ALL & ~(s->port[i].name ? 0 : SEND_NAME) : 0;

		s->send[i] &= ok;
	}
	s->guest_open &= BIT(s->n_ports) - 1;
	return virtio_post_load(d, err);
}

static const struct field console_config_fields[] = {
	FIELD_LIST(struct console_config, consoles, "console", FT_STR, PORTS_MAX,
		.doc = "character device that becomes hvc0, hvc1 ..."),
	FIELD_LIST(struct console_config, ports, "port", FT_STR, PORTS_MAX,
		.doc = "CHARDEV[:NAME]: a byte stream, /dev/virtio-ports/NAME"),
	VIRTIO_FIELDS(struct console_config, virtio),
};
static const struct field_table console_config_table = FIELD_TABLE(
	"virtio-console-pci", struct console_config, console_config_fields);

static const struct field console_state_fields[] = {
	FIELD_STRUCT(struct console, v, "virtio", &virtio_device_state, .tag = 1),
	FIELD_U32(struct console, guest_open, "guest-open", .tag = 2),
	FIELD_ARRAY(struct console, send, "send", FT_U8, uint8_t, .tag = 3),
	FIELD_ARRAY(struct console, tx_off, "tx-off", FT_U32, uint32_t, .tag = 4),
};
static const struct field_table console_state_table = FIELD_TABLE(
	"virtio-console-pci", struct console, console_state_fields);

const struct device_type virtio_console_pci_type = {
	.name = "virtio-console-pci",
	.doc = "virtio consoles and named ports",
	.bus = BUS_PCI,
	.flags = DEVICE_USER,
	.size = sizeof(struct console),
	.config = &console_config_table,
	.config_off = offsetof(struct console, cfg),
	.state = &console_state_table,
	.realize = console_realize,
	.unrealize = console_unrealize,
	.reset = virtio_reset,
	.quiesce = console_quiesce,
	.resume = console_resume,
	.pre_save = virtio_pre_save,
	.post_load = console_post_load,
	.test_options = "console=test",
};
