// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/fault.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>

static __thread struct {
	bool counting, hit;
	unsigned int at, count;
} fault;

void fault_alloc_after(unsigned int n)
{
	fault.counting = true;
	fault.hit = false;
	fault.at = n;
	fault.count = 0;
}

void fault_stop(void)
{
	fault.counting = false;
}

bool fault_hit(void)
{
	return fault.hit;
}

unsigned int fault_count(void)
{
	return fault.count;
}

bool fault_sweep(struct fault_sweep *s)
{
	bool more = !s->n || fault.hit;

	fault_stop();
	if (!more)
		return false;
	assert(s->n < FAULT_SWEEP_MAX);
	fault_alloc_after(++s->n);
	return true;
}

/* Is this the allocation that fails? */
static bool fault_now(void)
{
	if (!fault.counting || ++fault.count != fault.at)
		return false;
	fault.hit = true;
	errno = ENOMEM;
	return true;
}

/* What the linker's --wrap makes of malloc() and its like: calls come to __wrap_malloc(), and
 * __real_malloc() is the C library's or the sanitizer's. */
#define WRAP(type, name, params, args)     \
	type __real_##name params;         \
	type __wrap_##name params;         \
	type __wrap_##name params          \
	{                                  \
		if (fault_now())           \
			return NULL;       \
		return __real_##name args; \
	}

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *p, size_t size), (p, size))
WRAP(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size))
WRAP(void *, aligned_alloc, (size_t align, size_t size), (align, size))
WRAP(char *, strdup, (const char *s), (s))
WRAP(char *, strndup, (const char *s, size_t n), (s, n))

int __real_posix_memalign(void **out, size_t align, size_t size);
int __wrap_posix_memalign(void **out, size_t align, size_t size);
int __wrap_posix_memalign(void **out, size_t align, size_t size)
{
	if (fault_now())
		return ENOMEM;
	return __real_posix_memalign(out, align, size);
}

int __real_vasprintf(char **out, const char *fmt, va_list ap);
__attribute__((format(printf, 2, 0))) int __wrap_vasprintf(char **out, const char *fmt, va_list ap);
int __wrap_vasprintf(char **out, const char *fmt, va_list ap)
{
	if (fault_now())
		return -1;
	return __real_vasprintf(out, fmt, ap);
}

__attribute__((format(printf, 2, 3))) int __wrap_asprintf(char **out, const char *fmt, ...);
int __wrap_asprintf(char **out, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = __wrap_vasprintf(out, fmt, ap);
	va_end(ap);
	return n;
}
