// SPDX-License-Identifier: GPL-2.0-or-later
/* jit_run.h - what generated code calls, for jit_stubs.c, and what these functions share. */
#ifndef ACCEL_SOFT_JIT_RUN_H
#define ACCEL_SOFT_JIT_RUN_H

#include "accel/soft/jit.h"

static inline const uint8_t *jit_code_at(const struct soft_jit *j, uint32_t off)
{
	return j->code.rx + off;
}

/* -------- jit_run.c -------- */
/* v->rflags and v->rip at the site, as the interpreter would have them; only the former. */
void jit_at_site(struct soft_vcpu *v, const struct jit_site *s);
void jit_flags_take(struct soft_vcpu *v, const struct jit_site *s);
/* STI's shadow, for who leaves before the instruction of the site: in generated code there is none. */
void jit_cast_shadow(struct soft_vcpu *v, const struct jit_site *s);
/* The block at v->rip, maybe that of JIT_MODE_APART, if nothing else is due; or JIT_NONE. */
uint32_t jit_find_here(struct soft_vcpu *v, bool apart);
/* Where to go on: from @host on, as who has its address in r9 enters the block at v->rip; nowhere; at
 * v->rip; there when one instruction was interpreted. */
const uint8_t *jit_enter_block(struct soft_vcpu *v, const uint8_t *host);
const uint8_t *jit_leave(struct soft_vcpu *v);
const uint8_t *jit_go_on(struct soft_vcpu *v);
const uint8_t *jit_interpret_anew(struct soft_vcpu *v);

/* What stubs call: with what follows the stub's call and what is in r9. */
const uint8_t *jit_on_interp(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin);
const uint8_t *jit_on_slow(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin);
const uint8_t *jit_on_slow_stack(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin);
const uint8_t *jit_on_string(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin);
const uint8_t *jit_on_again(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin);
const uint8_t *jit_on_share(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin);
const uint8_t *jit_on_share_again(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin);
const uint8_t *jit_on_go(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin);

/* -------- jit_link.c -------- */
const uint8_t *jit_on_link(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin);
const uint8_t *jit_on_link_apart(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin);
const uint8_t *jit_on_far_link(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin);
const uint8_t *jit_on_span(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin);
const uint8_t *jit_on_stray(struct soft_vcpu *v, const void *nothing, uint64_t lin);
const uint8_t *jit_on_stale(struct soft_vcpu *v, const uint8_t *after_call, uint64_t lin);
const uint8_t *jit_on_stale_saved(struct soft_vcpu *v, const uint8_t *after_call, uint64_t lin);

#endif
