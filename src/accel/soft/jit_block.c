// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_block - a block of guest instructions: which those are, which flags are needed where, how it is
 * entered and how it ends.
 */
#include "accel/soft/jit_tr.h"

/* -------- a block -------- */
/* Decode the instruction at offset @off of the page, which has @n bytes at most there: from here on the
 * translation depends on them. Others may write to them meanwhile, so the decoder gets a copy. */
static enum x86_decode_result decode_at(
	const struct jit_tr *t, uint32_t off, uint32_t n, struct x86_insn *i)
{
	const struct jit_block *bl = &t->j->block[t->block];
	uint8_t copy[X86_INSN_MAX];
	uint32_t here = MIN(JIT_PAGE - off, X86_INSN_MAX);

	n = MIN(n, X86_INSN_MAX);
	ram_code_take(t->j->page[bl->page].word, ram_code_lines(off, MIN(n, here)));
	if (n > here)
		ram_code_take(t->j->page[bl->page2].word, ram_code_lines(0, n - here));
	memcpy(copy, t->host + off, MIN(n, here));
	if (n > here)
		memcpy(copy + here, t->host2, n - here);
	return x86_decode(copy, n, t->wide ? X86_CODE_64 : X86_CODE_32, i);
}

/* Instructions up to a branch that is always taken, the end of the page or of what a block may have. */
static bool decode_block(struct jit_tr *t)
{
	uint32_t off = t->start, end = t->host2 ? JIT_PAGE + X86_INSN_MAX : JIT_PAGE;
	unsigned int jccs = 0;

	while (t->n < JIT_INSNS && off < JIT_PAGE) {
		struct x86_insn *i = &t->insn[t->n];
		enum x86_decode_result r = decode_at(t, off, end - off, i);

		if (r == X86_DECODE_MORE || (r != X86_DECODE_OK && (t->n || t->spans)))
			break;
		if (r != X86_DECODE_OK) /* the interpreter knows what to raise */
			*i = (struct x86_insn){ .len = 1, .flags = X86_I_BRANCH, .op = X86_OP_UD2 };
		t->off[t->n++] = (uint16_t)off;
		off += i->len;
		if (i->flags & X86_I_BRANCH && (i->op != X86_OP_JCC || ++jccs == 4))
			break;
	}
	t->off[t->n] = (uint16_t)off;
	return t->n > 0;
}

/* The block's first instruction ends in the next page: get that, too. May raise its page fault. */
static bool decode_span(struct jit_tr *t, struct jit_block *bl)
{
	bl->page2 = jit_next_page(t->v);
	if (bl->page2 == JIT_NONE)
		return false;
	t->host2 = t->j->page[bl->page2].host;
	t->spans = true;
	return decode_block(t);
}

/* Is the next page the one that was there then? A word in the code has its context and address as they
 * were when it was looked at last. */
static void emit_span(struct jit_tr *t)
{
	struct jit_buf *b = &t->b;

	if (t->live[0])
		jit_save_flags(t);
	j_rm(b, true, OP_LOAD, R_10, R_SP, F_PAGE);
	JCODE(b, "\x49\xc1\xe2"); /* shl r10, */
	jb(b, JIT_SPAN_SHIFT);
	j_rm(b, true, 0x03, R_10, R_SP, F_ID);
	JCODE(b, "\x4c\x3b\x15"); /* cmp r10, [rip + ..] */
	t->span_word = b->p;
	j32(b, 0);
	t->span_jne = j_ahead(b, 0x0f85);
	t->span_back = b->p;
}

static void emit_span_miss(struct jit_tr *t)
{
	struct jit_site s = jit_site_of(t, 0);

	j_here(&t->b, t->span_jne);
	s.flags_saved = t->live[0] != 0;
	jit_call_stub(t, t->j->stub.span);
	s.retry = (int32_t)(t->span_back - t->b.p);
	jit_put_site(t, &s);
	j_here(&t->b, t->span_word);
	t->j->block[t->block].span = (uint32_t)(t->b.p - t->j->code.rw);
	j64(&t->b, 0);
}

/* Are the flags written before anybody reads them, from @off of the page on? */
static bool flags_dead_at(const struct jit_tr *t, int64_t off)
{
	uint16_t left = JIT_ALL_FLAGS;

	for (int n = 0; n < 6 && off >= 0 && off < JIT_PAGE; n++) {
		struct x86_insn i;
		struct jit_flags f;

		if (decode_at(t, (uint32_t)off, (uint32_t)(JIT_PAGE - off), &i) != X86_DECODE_OK)
			return false;
		f = jit_flags_of(&i);
		if (f.reads & left)
			return false;
		left &= (uint16_t)~f.writes;
		if (!left)
			return true;
		if (i.flags & X86_I_BRANCH)
			return false;
		off += i.len;
	}
	return false;
}

/* Where branch @k leads. With another operand size that is elsewhere. */
static bool flags_dead_behind(const struct jit_tr *t, unsigned int k)
{
	return jit_branch_ok(t, &t->insn[k]) && flags_dead_at(t, jit_target_of(t, k));
}

static void find_live(struct jit_tr *t)
{
	uint16_t live = JIT_ALL_FLAGS;
	const struct x86_insn *last = &t->insn[t->n - 1];

	if (last->op == X86_OP_JCC || !(last->flags & X86_I_BRANCH))
		t->end_dead = flags_dead_at(t, t->off[t->n]);
	if (t->end_dead)
		live = 0;
	for (unsigned int k = t->n; k-- > 0;) {
		const struct x86_insn *i = &t->insn[k];
		struct jit_flags f = jit_flags_of(i);

		if ((i->op == X86_OP_JCC || i->op == X86_OP_JMP || i->op == X86_OP_CALL) &&
			i->operand[0].kind == X86_OPND_REL)
			t->dead[k] = flags_dead_behind(t, k);
		if (i->op == X86_OP_JCC && !t->dead[k])
			live = JIT_ALL_FLAGS;
		if (i->op != X86_OP_JCC && t->dead[k])
			live = f.reads = 0;
		live = f.reads | (live & (uint16_t)~f.writes);
		t->live[k] = live;
	}
}

static void emit_end(struct jit_tr *t)
{
	struct jit_miss *m;

	if (t->off[t->n] < JIT_PAGE) {
		if (!t->end_dead)
			jit_restore_flags(t);
		jit_emit_link(t, t->off[t->n], NULL);
		return;
	}
	if (!t->end_dead && !t->flags_saved)
		jit_save_flags(t);
	if (jit_far_ok(t, t->off[t->n])) {
		jit_emit_far(t, t->n - 1, t->off[t->n]);
		return;
	}
	jit_lea_page(t, R_9, t->off[t->n]);
	m = jit_compare_goto(t, t->n - 1);
	m->go = true;
	m->off = t->off[t->n];
	jit_jump_host(t);
}

static void emit_rest(struct jit_tr *t)
{
	if (!t->ended)
		emit_end(t);
	for (unsigned int n = 0; n < t->n_side; n++)
		jit_emit_side(t, &t->side[n]);
}

/* What seldom runs lies elsewhere: the host's caches are full of code as it is. No instruction that the host
 * may fault at is here, because those are sorted by address. */
static void emit_cold(struct jit_tr *t)
{
	for (unsigned int n = 0; n < t->n_slow; n++)
		jit_emit_slow(t, &t->slow[n]);
	if (t->spans)
		emit_span_miss(t);
	for (unsigned int n = 0; n < t->n_miss; n++)
		jit_emit_miss(t, &t->miss[n]);
	for (unsigned int n = 0; n < t->n_fault; n++)
		jit_emit_fault(t, &t->fault[n]);
}

/* What the block needs it has from its beginning on: then who has it goes on behind that. */
static void emit_entry(struct jit_tr *t, struct jit_block *bl)
{
	bl->needs = 0;
	for (unsigned int k = 0; k < t->n; k++)
		bl->needs |= jit_needs(t, &t->insn[k]);
	bl->entry = bl->have_entry = (uint32_t)(t->b.p - t->j->code.rw);
	if (!bl->needs)
		return;
	jit_ensure(t, bl->needs);
	while (t->b.p - t->j->code.rw < bl->entry + JIT_DEAD_SIZE)
		jb(&t->b, 0x90);
	bl->have_entry = (uint32_t)(t->b.p - t->j->code.rw);
}

bool jit_translate(struct soft_vcpu *v, uint32_t block)
{
	struct soft_jit *j = v->jit;
	struct jit_block *bl = &j->block[block];
	struct jit_tr tr, *t = &tr;
	uint8_t *start = j->code.rw + j->code.used, *cold = j->code.rw + j->cold;

	memset(t, 0, offsetof(struct jit_tr, miss));
	memset(t->end, 0, sizeof(t->end));
	memset(t->dead, 0, sizeof(t->dead));
	memset(t->same, 0, sizeof(t->same));
	t->b = (struct jit_buf){ start, j->code.rx - j->code.rw };
	t->v = v;
	t->j = j;
	t->block = block;
	t->host = j->page[bl->page].host;
	t->start = bl->off;
	t->wide = v->code == X86_CODE_64;
	t->clean = !t->wide && bl->mode & JIT_MODE_CLEAN;
	t->apart = bl->mode & JIT_MODE_APART;
	t->hot = jit_is_hot(j, bl->page, bl->off);
	if (!decode_block(t) && !decode_span(t, bl))
		return false;
	find_live(t);
	jit_share_find(t);
	bl->ind = (uint32_t)(t->b.p - j->code.rw);
	j_lea(&t->b, true, R_10, R_9, -(int32_t)bl->off);
	j_rm(&t->b, true, 0x2b, R_10, R_SP, F_ID); /* sub */
	j_rm(&t->b, true, OP_STORE, R_10, R_SP, F_PAGE);
	bl->page_entry = (uint32_t)(t->b.p - j->code.rw);
	t->flags_saved = t->live[0];
	jit_restore_flags(t);
	while (t->b.p - j->code.rw < bl->page_entry + JIT_DEAD_SIZE)
		JCODE(&t->b, "\x66\x0f\x1f\x84\0\0\0\0\0"); /* nop */
	emit_entry(t, bl);
	jit_region_forget(t);
	if (t->spans)
		emit_span(t);
	for (unsigned int k = 0; k < t->n && !t->ended; k++)
		jit_emit_insn(t, k);
	emit_rest(t);
	j->count.guest_bytes += t->off[t->n] - t->start;
	j->count.host_bytes += (uint64_t)(t->b.p - start);
	j->code.used = ALIGN_UP((size_t)(t->b.p - j->code.rw), (size_t)16);
	t->b.p = cold;
	emit_cold(t);
	j->count.host_bytes += (uint64_t)(t->b.p - cold);
	j->cold = (size_t)(t->b.p - j->code.rw);
	return true;
}
