// SPDX-License-Identifier: GPL-2.0-or-later
/* gmem - guest-physical addresses to bytes. One walker, next_piece(), does all the checking. */
#include <errno.h>
#include <string.h>
#include "mem/gmem.h"

struct walk {
	struct as *as;
	uint64_t addr, len; /* what is left */
	bool write;
	/* the piece at hand */
	const struct as_range *r;
	uint8_t *host;
	uint64_t n; /* bytes of it */
};

/* The next piece of RAM (or, for reading, ROM). 1, 0 at the end, or -EFAULT. Inside a section. */
static inline int next_piece(struct walk *w)
{
	const struct as_range *r;
	uint64_t off;

	if (!w->len)
		return 0;
	r = as_find(w->as, w->addr);
	if (!r || !(r->kind == AS_RAM || (r->kind == AS_ROM && !w->write)))
		return -EFAULT;
	off = w->addr - r->start;
	w->r = r;
	w->host = r->host + off;
	w->n = MIN(w->len, r->size - off);
	w->addr += w->n; /* cannot wrap: a space ends below 2^64 */
	w->len -= w->n;
	return 1;
}

static inline void piece_dirty(const struct walk *w)
{
	if (ram_dirty_wanted(w->r->ram))
		ram_dirty_mark(w->r->ram, (uint64_t)(w->host - w->r->ram->host), w->n);
}

int gmem_read(struct as *as, gpa_t addr, void *buf, size_t len)
{
	struct walk w = { .as = as, .addr = addr.v, .len = len };
	uint8_t *to = buf;
	int rc;

	as_read_begin();
	while ((rc = next_piece(&w)) > 0) {
		memcpy(to, w.host, w.n);
		to += w.n;
	}
	as_read_end();
	return rc;
}

int gmem_write(struct as *as, gpa_t addr, const void *buf, size_t len)
{
	struct walk w = { .as = as, .addr = addr.v, .len = len, .write = true };
	const uint8_t *from = buf;
	int rc;

	as_read_begin();
	while ((rc = next_piece(&w)) > 0) {
		memcpy(w.host, from, w.n);
		piece_dirty(&w);
		from += w.n;
	}
	as_read_end();
	return rc;
}

int gmem_fill(struct as *as, gpa_t addr, uint8_t byte, uint64_t len)
{
	struct walk w = { .as = as, .addr = addr.v, .len = len, .write = true };
	int rc;

	as_read_begin();
	while ((rc = next_piece(&w)) > 0) {
		memset(w.host, byte, w.n);
		piece_dirty(&w);
	}
	as_read_end();
	return rc;
}

int gmem_read_str(struct as *as, gpa_t addr, char *buf, size_t size)
{
	struct walk w = { .as = as, .addr = addr.v, .len = size ? size : 0 };
	char *to = buf;
	int rc;

	as_read_begin();
	while ((rc = next_piece(&w)) > 0) {
		memcpy(to, w.host, w.n);
		if (memchr(to, 0, w.n)) /* in our copy: the guest may change its own meanwhile */
			break;
		to += w.n;
	}
	as_read_end();
	return rc > 0 ? 0 : rc < 0 ? rc : -E2BIG;
}

int gmem_iov(
	struct as *as, gpa_t addr, uint64_t len, bool write, struct iovec *iov, int *n, int max)
{
	struct walk w = { .as = as, .addr = addr.v, .len = len, .write = write };
	int k = *n, rc;

	as_read_begin();
	while ((rc = next_piece(&w)) > 0) {
		if (k > *n && (uint8_t *)iov[k - 1].iov_base + iov[k - 1].iov_len == w.host) {
			iov[k - 1].iov_len += w.n;
			continue;
		}
		if (k >= max) {
			rc = -E2BIG;
			break;
		}
		iov[k].iov_base = w.host;
		iov[k].iov_len = w.n;
		k++;
	}
	as_read_end();
	if (rc == 0)
		*n = k;
	return rc;
}

void gmem_mark_dirty(struct as *as, gpa_t addr, uint64_t len)
{
	struct walk w = { .as = as, .addr = addr.v, .len = len, .write = true };

	as_read_begin();
	/* The map may have changed since the iovecs were made; what is no RAM now ends it. */
	while (next_piece(&w) > 0)
		piece_dirty(&w);
	as_read_end();
}

void *gmem_map(struct as *as, gpa_t addr, uint64_t len, bool write, struct ram_block **ram,
	uint64_t *ram_off)
{
	struct walk w = { .as = as, .addr = addr.v, .len = len, .write = write };
	struct ram_block *b = NULL;
	uint8_t *base = NULL, *end = NULL;
	int rc;

	as_read_begin();
	while ((rc = next_piece(&w)) > 0) {
		if (!b) {
			b = w.r->ram;
			base = w.host;
		} else if (w.r->ram != b || w.host != end) {
			break;
		}
		end = w.host + w.n;
	}
	if (rc == 0 && b) {
		*ram = ram_block_ref(b); /* inside the section: the snapshot's reference holds it */
		*ram_off = (uint64_t)(base - b->host);
	}
	as_read_end();
	return rc == 0 ? base : NULL;
}
