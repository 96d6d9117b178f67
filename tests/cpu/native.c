// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests on the real CPU, in a child process.
 *
 * The child lives in its signal handler: each test ends in an exception, hence a signal; the handler
 * takes the frame's registers down as the outcome, puts the memory back, writes the next test's
 * registers into the same frame and returns into it. So a test costs one signal and no system call
 * but sigreturn. FS, GS, DS, ES are not in the frame: the handler saves and loads them itself (no
 * stack protector here, nothing instrumented: FS is the test's until then).
 *
 * What the code under test may do: anything. A seccomp filter stops all system calls but those from
 * difftest_gate; a timer ends loops; should the child die, the test is noted and a new one goes on.
 */
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include "difftest.h"

enum { IDLE, RUN, DONE };

struct shared {
	struct batch batch[2];
	_Atomic uint32_t state[2]; /* futex */
	_Atomic uint32_t current;  /* test at hand; where a new child goes on */
	_Atomic uint32_t which;
	_Atomic uint32_t ready; /* the child runs; 2: it cannot */
	uint32_t tsc_aux;
	bool low;
	const char *why;
};

struct native {
	struct shared *shared; /* owned mapping */
	pid_t child;
	uint64_t deaths;
};

const struct image_page image_page[IMAGE_PAGES] = {
	{ DATA, true },
	{ DATA + PAGE, true },
	{ DATA + 2 * PAGE, true },
	{ DATA + 3 * PAGE, false },
	{ DATA + 5 * PAGE, true },
	{ LOW, true, true },
	{ LOW + PAGE, true, true },
};

const struct ldt_entry ldt_entry[LDT_COUNT] = {
	[LDT_CODE16] = { CODE, 0xffff, 2 },
	[LDT_DATA16] = { DATA, 0xffff, 0 },
	[LDT_SMALL] = { DATA, 0x2fff, 0, .is32 = true },
	[LDT_DOWN] = { DATA, 0x0fff, 1, .is32 = true },
	[LDT_RO] = { DATA, 0xffff, 0, .is32 = true, .readonly = true },
	[LDT_MISSING] = { DATA, 0xffff, 0, .is32 = true, .missing = true },
	[LDT_CODE32] = { 0, 0xfffff, 2, .is32 = true, .pages = true },
};

/* -------- the child -------- */
long difftest_syscall(long nr, long a, long b, long c, long d, long e);
void difftest_restorer(void);
void difftest_entry(int sig, siginfo_t *si, void *uc);
void difftest_handler(int sig, siginfo_t *si, ucontext_t *uc);
extern const char difftest_gate[], difftest_gate_end[];

/* The entry puts away what a test may have left in RFLAGS and the frame does not restore or the
 * handler cannot run with: AC, NT, ID. */
__asm__(".pushsection .text\n"
	".globl difftest_gate, difftest_gate_end\n"
	".globl difftest_syscall, difftest_restorer, difftest_entry\n"
	"difftest_gate:\n"
	"difftest_syscall:\n"
	"	mov %rdi, %rax\n"
	"	mov %rsi, %rdi\n"
	"	mov %rdx, %rsi\n"
	"	mov %rcx, %rdx\n"
	"	mov %r8, %r10\n"
	"	mov %r9, %r8\n"
	"	syscall\n"
	"	ret\n"
	"difftest_restorer:\n"
	"	mov $15, %eax\n"
	"	syscall\n"
	"	ud2\n"
	"difftest_gate_end:\n"
	"difftest_entry:\n"
	"	pushfq\n"
	"	andl $~0x244000, (%rsp)\n"
	"	popfq\n"
	"	jmp difftest_handler\n"
	".popsection\n");

static struct shared *sh;
static uint8_t *code_rw, *image_rw; /* aliases of CODE and the data pages */
static bool running;
static uint32_t seq, seq_at_tick;
static uint64_t own_fs, own_gs;
static gregset_t own_regs;
static uint8_t own_fp[576 + 256];

static const uint8_t greg_of[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI,
	REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

#define GET_SEG(name)                                                 \
	({                                                            \
		uint16_t sel_;                                        \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(sel_)); \
		sel_;                                                 \
	})
#define SET_SEG(name, sel) __asm__ volatile("mov %0, %%" #name ::"r"((uint32_t)(sel)))
#define RD_BASE(x)                                                 \
	({                                                         \
		uint64_t base_;                                    \
		__asm__ volatile("rd" #x "base %0" : "=r"(base_)); \
		base_;                                             \
	})
#define WR_BASE(x, v) __asm__ volatile("wr" #x "base %0" ::"r"((uint64_t)(v)))

static void save_segments(struct state *s)
{
	s->fs_base = RD_BASE(fs);
	s->gs_base = RD_BASE(gs);
	s->sel[X86_ES] = GET_SEG(es);
	s->sel[X86_DS] = GET_SEG(ds);
	s->sel[X86_FS] = GET_SEG(fs);
	s->sel[X86_GS] = GET_SEG(gs);
	SET_SEG(fs, 0);
	SET_SEG(gs, 0);
	WR_BASE(fs, own_fs);
	WR_BASE(gs, own_gs);
}

/* Nothing that needs FS may come after it. */
static void load_segments(const struct state *s, bool bases)
{
	SET_SEG(es, s->sel[X86_ES]);
	SET_SEG(ds, s->sel[X86_DS]);
	SET_SEG(fs, s->sel[X86_FS]);
	SET_SEG(gs, s->sel[X86_GS]);
	if (bases) {
		WR_BASE(fs, s->fs_base);
		WR_BASE(gs, s->gs_base);
	}
}

static void frame_to_state(const ucontext_t *uc, struct state *s)
{
	const greg_t *g = uc->uc_mcontext.gregs;
	const uint8_t *fp = (const uint8_t *)uc->uc_mcontext.fpregs;
	uint64_t bv, cs_ss = (uint64_t)g[REG_CSGSFS];

	for (int i = 0; i < 16; i++)
		s->gpr[i] = (uint64_t)g[greg_of[i]];
	s->rip = (uint64_t)g[REG_RIP];
	s->rflags = (uint64_t)g[REG_EFL];
	s->sel[X86_CS] = (uint16_t)cs_ss;
	s->sel[X86_SS] = (uint16_t)(cs_ss >> 48);
	memcpy(&bv, fp + 512, 8);
	memcpy(s->fx, fp, 416);
	memset(s->fx + 416, 0, 96);
	if (bv & 4)
		memcpy(s->ymmh, fp + 576, 256);
	else
		memset(s->ymmh, 0, 256);
}

static void state_to_frame(const struct state *s, ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;
	uint8_t *fp = (uint8_t *)uc->uc_mcontext.fpregs;
	uint64_t bv;

	for (int i = 0; i < 16; i++)
		g[greg_of[i]] = (greg_t)s->gpr[i];
	g[REG_RIP] = (greg_t)s->rip;
	g[REG_EFL] = (greg_t)s->rflags;
	g[REG_CSGSFS] = (greg_t)(s->sel[X86_CS] | (uint64_t)s->sel[X86_SS] << 48);
	memcpy(&bv, fp + 512, 8);
	bv |= 7;
	memcpy(fp + 512, &bv, 8);
	memcpy(fp, s->fx, 416);
	memcpy(fp + 576, s->ymmh, 256);
	uc->uc_flags |= 6; /* SS is ours, and as it is */
}

static void log_memory(struct batch *b, struct outcome *o)
{
	o->first_line = b->n_lines;
	for (uint32_t page = 0; page < IMAGE_PAGES; page++) {
		const uint8_t *was = b->image + page * PAGE;
		uint8_t *is = image_rw + page * PAGE;

		if (!memcmp(was, is, PAGE))
			continue;
		for (uint32_t at = 0; at < PAGE; at += 64) {
			struct line *line = &b->line[b->n_lines];

			if (!memcmp(was + at, is + at, 64))
				continue;
			line->at = (uint16_t)((page * PAGE + at) / 64);
			memcpy(line->data, is + at, 64);
			memcpy(is + at, was + at, 64);
			b->n_lines++;
		}
	}
	o->n_lines = b->n_lines - o->first_line;
}

static void take_outcome(int sig, const ucontext_t *uc, struct batch *b, struct outcome *o)
{
	const greg_t *g = uc->uc_mcontext.gregs;

	frame_to_state(uc, &o->out);
	o->vector = sig == SIGVTALRM ? END_NONE
		    : sig == SIGSYS  ? END_SYSCALL
				     : (uint8_t)g[REG_TRAPNO];
	o->error = (uint32_t)g[REG_ERR];
	o->has_cr2 = o->vector == X86_EXC_PF;
	o->cr2 = o->has_cr2 ? (uint64_t)g[REG_CR2] : 0;
	log_memory(b, o);
}

static void put_code(const struct test *t, bool clear)
{
	uint8_t *p = code_rw + code_offset(t);

	if (clear)
		memset(p, 0xcc, t->code_len);
	else
		memcpy(p, t->code, t->code_len);
}

void difftest_handler(int sig, siginfo_t *si, ucontext_t *uc)
{
	struct batch *b;
	struct state *out;
	static struct state seg;
	uint32_t i;

	save_segments(&seg);
	b = &sh->batch[sh->which];
	if (sig == SIGVTALRM && (!running || seq != seq_at_tick)) {
		seq_at_tick = seq;
		load_segments(&seg, true);
		return;
	}
	if (!running) { /* start of a batch, from run_batch() */
		memcpy(own_regs, uc->uc_mcontext.gregs, sizeof(own_regs));
		memcpy(own_fp, uc->uc_mcontext.fpregs, sizeof(own_fp));
		running = true;
	} else {
		i = sh->current;
		out = &b->outcome[i].out;
		take_outcome(sig, uc, b, &b->outcome[i]);
		out->fs_base = seg.fs_base;
		out->gs_base = seg.gs_base;
		for (int s = 0; s < X86_NSEG; s++)
			if (s != X86_CS && s != X86_SS)
				out->sel[s] = seg.sel[s];
		put_code(&b->test[i], true);
		sh->current = i + 1;
	}
	seq++;
	i = sh->current;
	if (i < b->n && b->n_lines + IMAGE_SIZE / 64 < LINES) {
		put_code(&b->test[i], false);
		state_to_frame(&b->test[i].in, uc);
		load_segments(&b->test[i].in, b->test[i].mode == X86_CODE_64);
		return;
	}
	running = false;
	memcpy(uc->uc_mcontext.gregs, own_regs, sizeof(own_regs));
	memcpy(uc->uc_mcontext.fpregs, own_fp, sizeof(own_fp));
	uc->uc_mcontext.gregs[REG_RIP] += 2;
	memset(&seg.sel, 0, sizeof(seg.sel));
	seg.fs_base = own_fs;
	seg.gs_base = own_gs;
	load_segments(&seg, true);
}

static void run_batch(struct batch *b)
{
	memcpy(image_rw, b->image, IMAGE_SIZE);
	/* A full log ends a stretch early; what was logged is the parent's only after all. Tests
	 * that would not fit are told so. */
	__asm__ volatile("ud2" ::: "memory");
	for (uint32_t i = sh->current; i < b->n; i++)
		b->outcome[i] = (struct outcome){ .vector = END_NONE };
}

static _Noreturn void child_loop(void)
{
	uint32_t w = sh->which;

	sh->ready = 1;
	for (;; w = !w) {
		uint32_t s;

		while ((s = sh->state[w]) != RUN)
			difftest_syscall(SYS_futex, (long)&sh->state[w], FUTEX_WAIT, (long)s, 0, 0);
		sh->which = w;
		run_batch(&sh->batch[w]);
		sh->current = 0;
		sh->which = !w;
		sh->state[w] = DONE;
		difftest_syscall(SYS_futex, (long)&sh->state[w], FUTEX_WAKE, 1, 0, 0);
	}
}

static bool map_pages(void)
{
	int fd = memfd_create("difftest", MFD_CLOEXEC);
	uint8_t *p;

	if (fd < 0 || ftruncate(fd, IMAGE_SIZE + 2 * CODE_PAGES * PAGE))
		return false;
	p = mmap(NULL, IMAGE_SIZE + 2 * CODE_PAGES * PAGE, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED)
		return false;
	image_rw = p;
	code_rw = p + IMAGE_SIZE;
	memset(code_rw, 0xcc, 2 * CODE_PAGES * PAGE);
	if (mmap((void *)(uintptr_t)CODE, CODE_PAGES * PAGE, PROT_READ | PROT_EXEC,
		    MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, fd, IMAGE_SIZE) == MAP_FAILED)
		return false;
	if (mmap((void *)(uintptr_t)CODE_W, CODE_PAGES * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, fd,
		    IMAGE_SIZE + CODE_PAGES * PAGE) == MAP_FAILED)
		return false;
	sh->low = true;
	for (int i = 0; i < IMAGE_PAGES; i++) {
		const struct image_page *ip = &image_page[i];

		if (mmap((void *)(uintptr_t)ip->at, PAGE,
			    PROT_READ | (ip->writable ? PROT_WRITE : 0),
			    MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, fd,
			    i * (off_t)PAGE) != MAP_FAILED)
			continue;
		if (!ip->low)
			return false;
		sh->low = false;
	}
	if (!sh->low)
		munmap((void *)(uintptr_t)LOW, 2 * PAGE);
	close(fd);
	mlockall(MCL_CURRENT);
	return true;
}

static bool set_ldt(void)
{
	for (uint32_t i = 0; i < LDT_COUNT; i++) {
		const struct ldt_entry *e = &ldt_entry[i];
		struct user_desc d = { .entry_number = i,
			.base_addr = e->base,
			.limit = e->limit,
			.seg_32bit = e->is32,
			.contents = e->contents,
			.read_exec_only = e->readonly,
			.limit_in_pages = e->pages,
			.seg_not_present = e->missing };

		if (syscall(SYS_modify_ldt, 0x11, &d, sizeof(d)))
			return false;
	}
	return true;
}

static bool set_signals(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS,
		SIGVTALRM };
	struct {
		void (*handler)(int, siginfo_t *, void *);
		unsigned long flags;
		void (*restorer)(void);
		uint64_t mask;
	} act = { difftest_entry, SA_SIGINFO | SA_ONSTACK | 0x04000000 /* SA_RESTORER */,
		difftest_restorer, UINT64_MAX };
	size_t size = 1 << 18;
	stack_t ss = { .ss_size = size };

	ss.ss_sp = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (ss.ss_sp == MAP_FAILED || sigaltstack(&ss, NULL))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (syscall(SYS_rt_sigaction, signals[i], &act, NULL, 8))
			return false;
	return true;
}

static bool set_filter(void)
{
	uint64_t from = (uintptr_t)difftest_gate, to = (uintptr_t)difftest_gate_end;
	/* The gate is far from a 4 GiB boundary, or this refuses everything. */
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 6),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			offsetof(struct seccomp_data, instruction_pointer) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(from >> 32), 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			offsetof(struct seccomp_data, instruction_pointer)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)from, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)to, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
	};
	struct sock_fprog prog = { ARRAY_SIZE(f), f };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0);
}

static void pin(void)
{
	cpu_set_t set, one;

	if (sched_getaffinity(0, sizeof(set), &set))
		return;
	CPU_ZERO(&one);
	for (int i = CPU_SETSIZE - 1; i >= 0; i--)
		if (CPU_ISSET(i, &set)) {
			CPU_SET(i, &one);
			break;
		}
	sched_setaffinity(0, sizeof(one), &one);
}

static void child_main(void)
{
	struct itimerval tick = { { 0, 10000 }, { 0, 10000 } };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin();
	__asm__ volatile("rdtscp" : "=c"(sh->tsc_aux)::"eax", "edx");
	own_fs = RD_BASE(fs);
	own_gs = RD_BASE(gs);
	sh->why = "cannot map the test's pages";
	if (!map_pages())
		return;
	sh->why = "no modify_ldt";
	if (!set_ldt())
		return;
	sh->why = "no signals, timer or seccomp filter";
	if (set_signals() && !setitimer(ITIMER_VIRTUAL, &tick, NULL) && set_filter())
		child_loop();
}

/* -------- the parent -------- */
static bool start_child(struct native *n)
{
	struct timespec ms = { 0, 1000000 };

	n->shared->ready = 0;
	n->child = fork();
	if (n->child < 0)
		return false;
	if (!n->child) {
		sh = n->shared;
		child_main();
		sh->ready = 2;
		_exit(1);
	}
	while (!n->shared->ready && waitpid(n->child, NULL, WNOHANG) == 0)
		nanosleep(&ms, NULL);
	return n->shared->ready == 1;
}

struct native *native_new(void)
{
	struct native *n;

	if (!(getauxval(AT_HWCAP2) & 2)) {
		printf("difftest: the kernel does not let programs set FS and GS (FSGSBASE)\n");
		return NULL;
	}
	n = calloc(1, sizeof(*n));
	if (!n)
		abort();
	n->shared = mmap(NULL, sizeof(*n->shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (n->shared == MAP_FAILED)
		abort();
	if (start_child(n))
		return n;
	printf("difftest: %s\n", n->shared->why ? n->shared->why : "the child did not start");
	native_free(n);
	return NULL;
}

void native_free(struct native *n)
{
	if (!n)
		return;
	if (n->child > 0) {
		kill(n->child, SIGKILL);
		waitpid(n->child, NULL, 0);
	}
	munmap(n->shared, sizeof(*n->shared));
	free(n);
}

struct batch *native_batch(struct native *n, int which)
{
	return &n->shared->batch[which];
}

void native_start(struct native *n, int which)
{
	struct shared *s = n->shared;

	s->batch[which].n_lines = 0;
	s->state[which] = RUN;
	syscall(SYS_futex, &s->state[which], FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* The child died in a test: note it, go on behind it with a new one. */
static void child_died(struct native *n)
{
	struct shared *s = n->shared;
	struct batch *b = &s->batch[s->which];

	n->deaths++;
	if (s->current < b->n)
		b->outcome[s->current] = (struct outcome){ .vector = END_DIED };
	s->current++;
	if (n->deaths > 100000 || !start_child(n)) {
		printf("difftest: the child cannot be started again\n");
		exit(1);
	}
}

void native_wait(struct native *n, int which)
{
	struct shared *s = n->shared;
	struct timespec timeout = { 0, 50000000 };

	while (s->state[which] == RUN) {
		syscall(SYS_futex, &s->state[which], FUTEX_WAIT, RUN, &timeout, NULL, 0);
		if (s->state[which] == RUN && waitpid(n->child, NULL, WNOHANG) > 0)
			child_died(n);
	}
}

bool native_low(const struct native *n)
{
	return n->shared->low;
}

uint32_t native_tsc_aux(const struct native *n)
{
	return n->shared->tsc_aux;
}

uint64_t native_deaths(const struct native *n)
{
	return n->deaths;
}
