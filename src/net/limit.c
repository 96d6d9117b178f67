// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * limit - rate limits: token buckets that the queues of a network share.
 *
 * 1. A bucket holds a tenth of a second. A frame goes when its queue has a token, and takes as many as it has bytes:
 *    so a queue may owe, and on average the rate is kept for any frame size.
 * 2. A queue has tokens of its own, borrowed from the bucket by the piece, so queues on different threads seldom meet
 *    in it. A borrower gets its piece at once, but may use it only when the bucket has made up for what was borrowed
 *    before: who asks first has his turn first, and none is left out. Who owes for a large frame pays by the piece.
 * 3. The bucket is lock-free: whoever moves `at_ns` on has that time's tokens to put in. It may be filled a little
 *    late, never twice.
 */
#include <string.h>
#include "base/clock.h"
#include "base/types.h"
#include "net/limit.h"

#define BURST_DIVISOR 10
#define PIECES	      16

void net_bucket_init(struct net_bucket *b, uint64_t rate, uint64_t min, int64_t now)
{
	b->rate = MIN(rate, INT64_MAX / NS_PER_SEC);
	b->max = (int64_t)MAX(b->rate / BURST_DIVISOR, min);
	b->piece = MAX(b->max / PIECES, 1);
	b->tokens = b->max;
	b->at_ns = now;
}

static int64_t time_for(const struct net_bucket *b, int64_t tokens)
{
	return (int64_t)((double)tokens * (double)NS_PER_SEC / (double)b->rate);
}

static void fill(struct net_bucket *b, int64_t now)
{
	int64_t at = atomic_load_explicit(&b->at_ns, memory_order_relaxed), next = now, gained, t;
	double exact;

	if (now <= at)
		return;
	exact = (double)(now - at) * (double)b->rate / (double)NS_PER_SEC;
	t = atomic_load_explicit(&b->tokens, memory_order_relaxed);
	if (exact < (double)(b->max - t)) {
		gained = (int64_t)exact;
		next = MIN(at + time_for(b, gained),
			now); /* what is not a whole token yet counts later */
	} else {
		gained = b->max - t;
	}
	if (gained <= 0 || !atomic_compare_exchange_strong(&b->at_ns, &at, next))
		return;
	while (!atomic_compare_exchange_weak(&b->tokens, &t, MIN(t + gained, b->max)))
		;
}

int64_t net_share_wait(struct net_bucket *b, struct net_share *s, int64_t now)
{
	int64_t before;

	if (!b->rate)
		return 0;
	while (s->ready_ns <= now && s->tokens <= 0) {
		fill(b, now);
		before = atomic_fetch_sub(&b->tokens, b->piece);
		s->tokens += b->piece;
		s->ready_ns = before > 0 ? now : now + time_for(b, 1 - before) + 1;
	}
	return MAX(s->ready_ns - now, 0);
}

int64_t net_limit_wait(struct net_limit *l, struct net_limit_share *s)
{
	int64_t now = clock_mono_ns();
	int64_t bytes = net_share_wait(&l->bytes, &s->bytes, now);
	int64_t frames = net_share_wait(&l->frames, &s->frames, now);

	return MAX(bytes, frames);
}

void net_limit_take(struct net_limit_share *s, size_t bytes)
{
	s->bytes.tokens -= (int64_t)bytes;
	s->frames.tokens--;
}

void net_limit_give_back(struct net_limit_share *s, size_t bytes)
{
	s->bytes.tokens += (int64_t)bytes;
	s->frames.tokens++;
}
