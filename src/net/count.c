// SPDX-License-Identifier: GPL-2.0-or-later
/* Counters of frames, a set for each queue and direction. */
#include <string.h>
#include "net/net_int.h"

/* One writer, so no locked instruction. */
static void count(_Atomic uint64_t *c, uint64_t n)
{
	uint64_t was = atomic_load_explicit(c, memory_order_relaxed);

	atomic_store_explicit(c, was + n, memory_order_relaxed);
}

void net_count_sent(struct net_queue *q, const struct net_packet *p, int n)
{
	struct net_counters *c = &q->counters[NET_TX];
	uint64_t frames = 0, bytes = 0, dropped = 0;

	for (int i = 0; i < n; i++) {
		frames++;
		bytes += p[i].len;
		dropped += p[i].lost || !p[i].len;
	}
	count(&c->frames, frames);
	count(&c->bytes, bytes);
	if (dropped)
		count(&c->dropped, dropped);
}

void net_count_received(struct net_queue *q, size_t bytes)
{
	count(&q->counters[NET_RX].frames, 1);
	count(&q->counters[NET_RX].bytes, bytes);
}

void net_rx_dropped(struct net_dev *d, unsigned int queue)
{
	count(&d->queue[queue].counters[NET_RX].dropped, 1);
}

static uint64_t get(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

bool net_get_stats(const struct net_dev *d, struct net_stats *out)
{
	bool known = true;

	memset(out, 0, sizeof(*out));
	if (d->queue[0].vhost_fd >= 0)
		known = net_vhost_stats(d, out);
	for (uint32_t i = 0; i < d->n_queues; i++) {
		for (int k = 0; k < NET_DIRECTIONS; k++) {
			const struct net_counters *c = &d->queue[i].counters[k];

			/* With vhost those that went through us are among the interface's. */
			out->of[k].frames += d->queue[0].vhost_fd < 0 ? get(&c->frames) : 0;
			out->of[k].bytes += d->queue[0].vhost_fd < 0 ? get(&c->bytes) : 0;
			out->of[k].dropped += get(&c->dropped);
		}
	}
	return known;
}
