// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * native - instructions carried out by the host's own units: stubs (native_int.h, native_emit.c), who
 * runs them, and what happens when the host raises an exception in one.
 *
 * Vector registers live in v->fpu.ymm and are loaded and stored by each stub: C code in between may use
 * the host's as it likes. x87 and MMX registers, and MXCSR as long as it masks all exceptions, stay in
 * the host's (fpu.h).
 *
 * Stubs are the same for all vCPUs and VMs, and never freed: there is one for each different
 * instruction (after what the stub does not know is dropped: addresses, displacements, prefixes).
 * Should a guest manage to fill the memory, further instructions are assembled each time they run.
 */
#include "accel/soft/native_int.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include "accel/soft/exec_mem.h"
#include "accel/soft/mmu.h"
#include "base/log.h"

#define CODE_SIZE (16 * MIB)

/* -------- stubs: made once, found again -------- */
struct stub_slot {
	uint32_t hash;
	uint32_t at; /* offset in code.rx; 0: free (there is no stub at 0) */
	uint32_t n;  /* bytes */
};

static struct mutex lock = MUTEX_INIT; /* docs/locking.md: soft.native_lock */
static struct exec_mem code; /* written under the lock; rx and size never change once there */
static struct stub_slot *slots GUARDED_BY(lock); /* owned; open addressing */
static uint32_t n_slots GUARDED_BY(lock), n_stubs GUARDED_BY(lock);
static bool ready GUARDED_BY(lock), full GUARDED_BY(lock);
static const uint8_t *recover; /* where a stub goes on that raised an exception */
static const uint8_t *scratch; /* a stub of NATIVE_STUB_MAX bytes that is made anew each time */

static uint32_t hash_bytes(const uint8_t *p, unsigned int n)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (unsigned int i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h ^ h >> 32;
}

static bool slots_grow(void) REQUIRES(lock)
{
	uint32_t size = n_slots ? 2 * n_slots : 1024;
	struct stub_slot *s = calloc(size, sizeof(*s));

	if (!s)
		return false;
	for (uint32_t i = 0; i < n_slots; i++) {
		uint32_t k = slots[i].hash & (size - 1);

		if (!slots[i].at)
			continue;
		while (s[k].at)
			k = (k + 1) & (size - 1);
		s[k] = slots[i];
	}
	free(slots);
	slots = s;
	n_slots = size;
	return true;
}

/* The stub that has these bytes; made if there is none yet. NULL: no room. */
static const uint8_t *stub_find(const struct native_code *c) REQUIRES(lock)
{
	uint32_t hash = hash_bytes(c->b, c->n), k;
	const uint8_t *p;

	if (n_stubs >= n_slots / 4 * 3 && !slots_grow())
		return NULL;
	for (k = hash & (n_slots - 1); slots[k].at; k = (k + 1) & (n_slots - 1)) {
		if (slots[k].hash == hash && slots[k].n == c->n &&
			!memcmp(code.rx + slots[k].at, c->b, c->n))
			return code.rx + slots[k].at;
	}
	p = exec_mem_add(&code, c->b, c->n);
	if (p) {
		slots[k] = (struct stub_slot){ hash, p - code.rx, c->n };
		n_stubs++;
	}
	return p;
}

/* The stub of instructions that found no room. The lock is held while it runs: it cannot fault
 * through us, a trap in it makes it return. */
static uint32_t scratch_stub(struct soft_vcpu *v, void *mem, const struct soft_op *o)
{
	struct native_code c;
	uint32_t status = NATIVE_TRAP + X86_EXC_UD;
	uint32_t a = 0, b, x = 0, d;

	if (!native_emit(&o->i, &c))
		return status;
	mutex_lock(&lock);
	exec_mem_patch(&code, scratch, c.b, c.n);
	/* Serialise: this CPU may have the old bytes at hand. */
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(x), "=d"(d) : : "memory");
	status = ((native_stub *)(uintptr_t)scratch)(v, mem, o);
	mutex_unlock(&lock);
	return status;
}

static const void *stub_get(const struct x86_insn *i)
{
	struct native_code c;
	const void *p;

	if (!native_emit(i, &c))
		return NULL;
	mutex_lock(&lock);
	p = stub_find(&c);
	if (!p && !full) {
		full = true;
		log_debug("soft", "no more room for native code");
	}
	mutex_unlock(&lock);
	return p ? p : (const void *)(uintptr_t)scratch_stub;
}

/* -------- host exceptions in stubs -------- */
static struct sigaction old_action[4];
static const int trap_signals[4] = { SIGFPE, SIGSEGV, SIGBUS, SIGILL };

/* Not ours: what would have happened without us. */
static void pass_on(int n, int sig, siginfo_t *info, void *context)
{
	const struct sigaction *old = &old_action[n];

	if (old->sa_flags & SA_SIGINFO) {
		old->sa_sigaction(sig, info, context);
	} else if (old->sa_handler == SIG_DFL || old->sa_handler == SIG_IGN) {
		/* The instruction comes again and dies of it; a signal that was sent is sent again. */
		signal(sig, old->sa_handler == SIG_IGN && info->si_code <= 0 ? SIG_IGN : SIG_DFL);
		if (info->si_code <= 0)
			raise(sig);
	} else {
		old->sa_handler(sig);
	}
}

const uint8_t *(*soft_fault_hook)(const uint8_t *pc, const uint8_t **site);

static void trap_handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	greg_t *r = uc->uc_mcontext.gregs;
	const uint8_t *site, *to;
	int n = 0;

	if (info->si_code > 0 && soft_fault_hook &&
		(to = soft_fault_hook((const uint8_t *)(uintptr_t)r[REG_RIP], &site))) {
		r[REG_R10] = (greg_t)(uintptr_t)site;
		r[REG_RIP] = (greg_t)(uintptr_t)to;
		return;
	}
	if (info->si_code > 0 && exec_mem_has(&code, r[REG_RIP])) {
		r[REG_RAX] = NATIVE_TRAP + (r[REG_TRAPNO] & 0xff);
		r[REG_RIP] = (greg_t)(uintptr_t)recover;
		return;
	}
	while (trap_signals[n] != sig)
		n++;
	pass_on(n, sig, info, context);
}

/* Again and again: a library that the process uses (a test framework) may have put its own there. */
static bool install_handlers(struct error *err) REQUIRES(lock)
{
	struct sigaction sa = { .sa_sigaction = trap_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct sigaction old;

	sigemptyset(&sa.sa_mask);
	for (unsigned int n = 0; n < ARRAY_SIZE(trap_signals); n++) {
		if (sigaction(trap_signals[n], NULL, &old) ||
			(old.sa_sigaction != trap_handler && sigaction(trap_signals[n], &sa, NULL)))
			return error_set_errno(
				err, errno, "soft: cannot handle signal %d", trap_signals[n]);
		if (old.sa_sigaction != trap_handler)
			old_action[n] = old;
	}
	return true;
}

static bool start(struct error *err) REQUIRES(lock)
{
	/* vzeroupper; ret - without AVX there is nothing to zero */
	const uint8_t avx[] = { 0xc5, 0xf8, 0x77, 0xc3 };
	const uint8_t none[NATIVE_STUB_MAX] = { 0xcc };
	bool has_avx = soft_host_has_avx();

	if (!exec_mem_init(&code, CODE_SIZE, 0, false, err))
		return false;
	recover = exec_mem_add(&code, has_avx ? avx : avx + 3, has_avx ? 4 : 1);
	scratch = exec_mem_add(&code, none, sizeof(none));
	ready = true;
	return true;
}

bool soft_native_init(struct error *err)
{
	bool ok;

	mutex_lock(&lock);
	ok = (ready || start(err)) && install_handlers(err);
	mutex_unlock(&lock);
	return ok;
}

void soft_native_thread(void)
{
	static __thread bool done;
	sigset_t set;

	if (done)
		return;
	sigemptyset(&set);
	for (unsigned int n = 0; n < ARRAY_SIZE(trap_signals); n++)
		sigaddset(&set, trap_signals[n]);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	done = true;
}

void native_trap(struct soft_vcpu *v, const struct soft_op *o, uint32_t status)
{
	switch (status - NATIVE_TRAP) {
	case X86_EXC_MF:
		/* SPEC: without CR0.NE it should be IRQ 13 by way of FERR#. */
		soft_raise(v, X86_EXC_MF);
	case X86_EXC_XM:
		soft_raise(v, v->cr4 & X86_CR4_OSXMMEXCPT ? X86_EXC_XM : X86_EXC_UD);
	case X86_EXC_GP:
		soft_gp(v, 0);
	case X86_EXC_UD: /* the host lacks it */
		soft_ud(v);
	default: /* guest RAM that is no more (a truncated file), or a bug of ours */
		log_guest("soft", "host exception %u in instruction '%s'", status - NATIVE_TRAP,
			x86_op_name(o->i.op));
		soft_ud(v);
	}
}

/* -------- running a stub -------- */
/* What must be enabled. */
enum enabled { ALWAYS, VEX_GPR, X87, X87_NOWAIT, MMX, MMX_SSE, SSE, AVX };
enum mem_use { NONE, READ, WRITE };

#define INLINE	    static inline __attribute__((always_inline))
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

INLINE bool uses_x87(enum enabled e)
{
	return e == X87 || e == X87_NOWAIT || e == MMX || e == MMX_SSE;
}

INLINE void check(struct soft_vcpu *v, enum enabled e)
{
	switch (e) {
	case ALWAYS:
		break;
	case VEX_GPR:
		if (UNLIKELY(!native_vex_mode(v)))
			soft_ud(v);
		break;
	case X87:
	case X87_NOWAIT:
		native_check_x87(v);
		break;
	case MMX:
		if (UNLIKELY(v->cr0 & (X86_CR0_EM | X86_CR0_TS)))
			soft_raise(v, v->cr0 & X86_CR0_EM ? X86_EXC_UD : X86_EXC_NM);
		break;
	case MMX_SSE:
	case SSE:
		native_check_sse(v);
		break;
	case AVX:
		native_check_avx(v);
		break;
	}
	if (uses_x87(e) && UNLIKELY(!v->fpu.resident))
		native_fpu_load(v);
}

INLINE uint32_t run_stub(struct soft_vcpu *v, const struct soft_op *o, void *mem)
{
	return ((native_stub *)(uintptr_t)o->stub)(v, mem, o);
}

/* MXCSR with unmasked exceptions: for this instruction alone, because C code could trip over it. */
static __attribute__((noinline)) uint32_t run_unmasked(
	struct soft_vcpu *v, const struct soft_op *o, void *mem)
{
	uint32_t status;

	native_set_host_mxcsr(v->fpu.mxcsr);
	status = run_stub(v, o, mem);
	v->fpu.mxcsr = native_host_mxcsr();
	native_set_host_mxcsr(NATIVE_MXCSR_DEFAULT);
	return status;
}

INLINE uint32_t run_fp(struct soft_vcpu *v, const struct soft_op *o, void *mem)
{
	if (UNLIKELY(!v->fpu.mx_resident)) {
		if ((v->fpu.mxcsr & NATIVE_MXCSR_MASKS) != NATIVE_MXCSR_MASKS)
			return run_unmasked(v, o, mem);
		native_mxcsr_load(v);
	}
	return run_stub(v, o, mem);
}

/* Pending x87 exceptions come before a fault of the operand. */
INLINE void check_pending(struct soft_vcpu *v, const struct soft_op *o, enum enabled e)
{
	if (e == MMX_SSE && o->i.opcode == 0x2a) /* CVTPI2PS, CVTPI2PD of memory: no MMX register */
		return;
	if ((e == X87 || e == MMX || e == MMX_SSE) && native_fpu_pending(v))
		soft_raise(v, X86_EXC_MF);
}

INLINE bool limited(const struct soft_vcpu *v, const struct soft_op *o)
{
	return v->code != X86_CODE_64 && !(v->seg_flat >> o->i.seg & 1);
}

static void load_operand(struct soft_vcpu *v, const struct soft_op *o, uint64_t ea, uint64_t lin)
{
	unsigned int n = o->mem_size;
	uint64_t x;

	if (n <= 8 && !(n & (n - 1))) {
		x = soft_load_lin(v, o->i.seg, lin, n, v->mmu_index);
		memcpy(v->fpu.buf, &x, 8);
	} else {
		soft_load_bytes(v, o->i.seg, ea, v->fpu.buf, n);
	}
}

/* #AC comes before a page fault. The x87's ten bytes are to be aligned to eight, 32 to 16. */
static void check_operand_alignment(struct soft_vcpu *v, const struct soft_op *o, uint64_t lin)
{
	unsigned int align = o->mem_size == 10 ? 8 : MIN(o->mem_size, 16);

	/* An operand that ends beyond the canonical addresses is #GP. */
	if (v->code != X86_CODE_64 || soft_canonical(v, lin + o->mem_size - 1))
		native_check_alignment(v, lin, align);
}

static void store_operand(struct soft_vcpu *v, const struct soft_op *o, uint64_t ea, uint64_t lin)
{
	unsigned int n = o->mem_size;
	uint64_t x;

	if (n <= 8 && !(n & (n - 1))) {
		memcpy(&x, v->fpu.buf, 8);
		soft_store_lin(v, o->i.seg, lin, n, x, v->mmu_index);
	} else {
		soft_store_bytes(v, o->i.seg, ea, v->fpu.buf, n);
	}
}

INLINE void run(
	struct soft_vcpu *v, const struct soft_op *o, enum enabled e, enum mem_use use, bool fp)
{
	enum soft_access access = use == WRITE ? SOFT_WRITE : SOFT_READ;
	uint64_t ea = 0, lin = 0;
	void *mem = NULL, *host = NULL;
	uint32_t status;

	check(v, e);
	if (use != NONE) {
		ea = soft_ea(v, &o->i);
		if (UNLIKELY(limited(v, o))) { /* before the limit is looked at */
			check_pending(v, o, e);
			if ((v->seg[o->i.seg].base + ea) & o->mem_mask)
				soft_gp(v, 0);
		}
		lin = soft_linear(v, o->i.seg, ea, o->mem_size, access);
		if (UNLIKELY(lin & o->mem_mask)) {
			check_pending(v, o, e);
			soft_gp(v, 0);
		}
		mem = host = soft_tlb_host(v, lin, o->mem_size, access, v->mmu_index);
		if (UNLIKELY(!host)) {
			check_pending(v, o, e);
			check_operand_alignment(v, o, lin);
			mem = v->fpu.buf;
			if (use == READ)
				load_operand(v, o, ea, lin);
			else
				soft_probe(v, o->i.seg, ea, o->mem_size, SOFT_WRITE, v->mmu_index);
		}
	}
	status = fp ? run_fp(v, o, mem) : run_stub(v, o, mem);
	if (UNLIKELY(status))
		native_trap(v, o, status);
	if (use == WRITE) {
		if (UNLIKELY(!host)) {
			if (e != X87 || !native_fpu_suppressed())
				store_operand(v, o, ea, lin);
		} else {
			soft_stored(v, lin, o->mem_size, v->mmu_index);
		}
	}
	if ((e == X87 || e == X87_NOWAIT) && !(o->i.flags & X86_I_X87_CTRL)) {
		v->fpu.fip = v->rip;
		v->fpu.fcs = v->seg[X86_CS].selector;
		v->fpu.fop = (o->i.opcode & 7) << 8 | o->i.modrm;
		if (use != NONE) {
			v->fpu.fdp = ea;
			v->fpu.fds = v->seg[o->i.seg].selector;
		}
	}
}

/* fn_E_USE_FP for each combination. */
#define FN(e, use, fp)                                                                  \
	static void fn_##e##_##use##_##fp(struct soft_vcpu *v, const struct soft_op *o) \
	{                                                                               \
		run(v, o, e, use, fp);                                                  \
	}
#define FNS(e, fp) FN(e, NONE, fp) FN(e, READ, fp) FN(e, WRITE, fp)
FNS(ALWAYS, 0)
FNS(VEX_GPR, 0)
FNS(X87, 0)
FNS(X87_NOWAIT, 0)
FNS(MMX, 0)
FNS(MMX_SSE, 0)
FNS(SSE, 0)
FNS(AVX, 0)
FNS(MMX_SSE, 1)
FNS(SSE, 1)
FNS(AVX, 1)

/* clang-format off */
#define ROW(e, fp) { fn_##e##_NONE_##fp, fn_##e##_READ_##fp, fn_##e##_WRITE_##fp }
static soft_fn *const fns[][2][3] = {
	[ALWAYS] = { ROW(ALWAYS, 0) },
	[VEX_GPR] = { ROW(VEX_GPR, 0) },
	[X87] = { ROW(X87, 0) },
	[X87_NOWAIT] = { ROW(X87_NOWAIT, 0) },
	[MMX] = { ROW(MMX, 0) },
	[MMX_SSE] = { ROW(MMX_SSE, 0), ROW(MMX_SSE, 1) },
	[SSE] = { ROW(SSE, 0), ROW(SSE, 1) },
	[AVX] = { ROW(AVX, 0), ROW(AVX, 1) },
};
/* clang-format on */

static void undefined(struct soft_vcpu *v, const struct soft_op *o)
{
	soft_ud(v);
}

/* -------- choosing -------- */
static enum enabled needs(const struct x86_insn *i)
{
	switch (i->cls) {
	case X86_CLASS_X87:
		return i->flags & X86_I_X87_NOWAIT ? X87_NOWAIT : X87;
	case X86_CLASS_MMX:
		for (int k = 0; k < i->n_operands; k++)
			if (i->operand[k].kind == X86_OPND_VEC)
				return MMX_SSE;
		return i->flags & X86_I_FPEXC ? MMX_SSE : MMX;
	case X86_CLASS_SSE:
		return SSE;
	case X86_CLASS_AVX:
		return AVX;
	default:
		return i->vex ? VEX_GPR : ALWAYS;
	}
}

/* SPEC: SHA's operands must be aligned, but AMD's CPUs do not look. */
static bool is_sha(const struct x86_insn *i)
{
	return (i->map == 2 && i->opcode >= 0xc8 && i->opcode <= 0xcd) ||
	       (i->map == 3 && i->opcode == 0xcc);
}

/* Fill in what is told of the memory operand; how it is used. */
static enum mem_use mem_operand(const struct soft_vcpu *v, struct soft_op *o)
{
	const struct x86_operand *p = native_mem(&o->i);

	o->mem_size = 0;
	o->mem_mask = 0;
	if (!p)
		return NONE;
	o->mem_size = p->size;
	if (o->i.flags & X86_I_ALIGN && !(v->amd && is_sha(&o->i)))
		o->mem_mask = p->size - 1;
	return p->access & X86_ACC_W ? WRITE : READ;
}

soft_fn *soft_native_fn(struct soft_vcpu *v, struct soft_op *o)
{
	enum mem_use use;
	soft_fn *fn;

	if (o->i.cls == X86_CLASS_INT)
		return NULL;
	if (native_needs_64(&o->i) && v->code != X86_CODE_64)
		return undefined;
	use = mem_operand(v, o);
	fn = native_fpst_fn(&o->i);
	if (!fn)
		fn = native_x87_fn(&o->i);
	if (!fn)
		fn = native_mem_fn(&o->i);
	if (fn)
		return fn;
	if (o->mem_size > sizeof(v->fpu.buf))
		return undefined; /* none is that wide: a row of the table that we do not know */
	o->stub = stub_get(&o->i);
	if (!o->stub)
		return undefined;
	return fns[needs(&o->i)][!!(o->i.flags & X86_I_FPEXC)][use];
}
