/* SPDX-License-Identifier: GPL-2.0-or-later */
/* filter-run - a seccomp filter's answer to a call: for who makes the filters, and for tests. */
#ifndef SANDBOX_FILTER_RUN_H
#define SANDBOX_FILTER_RUN_H

#include <assert.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* What @code of @len instructions says to @d (SECCOMP_RET_*). Classic BPF, as far as filters use it. */
static inline uint32_t filter_run(
	const struct sock_filter *code, unsigned int len, const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (unsigned int pc = 0; pc < len; pc++) {
		const struct sock_filter *i = &code[pc];
		bool yes;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&a, (const char *)d + i->k, sizeof(a));
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			continue;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			yes = a > i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= i->k;
			break;
		default:
			assert(!"an instruction that no filter has had so far");
		}
		pc += yes ? i->jt : i->jf;
	}
	assert(!"a filter without an end");
	return 0;
}

#endif
