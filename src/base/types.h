// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * types - address spaces as types. One-member structs: the same machine code as the integer,
 * but a guest-physical address cannot be passed where a guest-virtual one is wanted.
 */
#ifndef BASE_TYPES_H
#define BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
	uint64_t v;
} gpa_t; /* guest-physical address */

typedef struct {
	uint64_t v;
} gva_t; /* guest-virtual (linear) address */

typedef struct {
	uint64_t v;
} iova_t; /* address as a device sees it, before an IOMMU */

#define GPA(x) ((gpa_t){ (x) })
#define GVA(x) ((gva_t){ (x) })

#define ARRAY_SIZE(a)		      (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))
#define MIN(a, b)		      ((a) < (b) ? (a) : (b))
#define MAX(a, b)		      ((a) > (b) ? (a) : (b))
#define BIT(n)			      (1u << (n))
#define BIT_ULL(n)		      (1ull << (n))
/* Round to a power of two. @align and @x of one width; the caller has excluded overflow. */
#define ALIGN_UP(x, align)	      (((x) + ((align)-1)) & ~((align)-1))
#define ALIGN_DOWN(x, align)	      ((x) & ~((align)-1))

#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define GIB (1ull << 30)

#endif
