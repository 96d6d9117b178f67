// SPDX-License-Identifier: GPL-2.0-or-later
/* limit - rate limits of a network, one for each direction, shared by its queues. */
#ifndef NET_LIMIT_H
#define NET_LIMIT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Any thread. Tokens below zero: lent before they were there. */
struct net_bucket {
	uint64_t rate; /* a second; 0: no limit */
	int64_t max, piece;
	_Atomic int64_t tokens, at_ns;
};

/* A queue's own part; its loop's. Below zero: a frame whose size was not known is paid afterwards. */
struct net_share {
	int64_t tokens, ready_ns;
};

struct net_limit {
	struct net_bucket bytes, frames;
};

struct net_limit_share {
	struct net_share bytes, frames;
};

/* A bucket of @rate tokens a second that holds at least @min; it is full. */
void net_bucket_init(struct net_bucket *b, uint64_t rate, uint64_t min, int64_t now);
/* Nanoseconds until the queue may use a token; 0: now. */
int64_t net_share_wait(struct net_bucket *b, struct net_share *s, int64_t now);

/* The same for a frame. */
int64_t net_limit_wait(struct net_limit *l, struct net_limit_share *s);
void net_limit_take(struct net_limit_share *s, size_t bytes);
/* It did not go after all. */
void net_limit_give_back(struct net_limit_share *s, size_t bytes);

#endif
