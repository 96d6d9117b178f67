// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * probe - does this KVM run guest code, or does it only look so?
 *
 * There are hosts whose /dev/kvm opens, has every capability, and no virtualization hardware
 * beneath: the guest's kernel mode is interpreted, an instruction at a time, by code that was made
 * for the few instructions that touch device registers. A stock kernel dies in it after half a
 * minute. So a tiny guest is run, in long mode, and two things are judged:
 *  1. Speed. A loop of ordinary instructions is timed in the guest and in our own process. Hardware
 *     runs it equally fast (also when this host is itself a guest, or an emulated machine: then
 *     both are slow); an interpreter is slower by three orders of magnitude.
 *  2. Completeness. Instructions that every kernel uses and that an interpreter for device
 *     registers need not know: a breakpoint through the IDT, SSE, x87, an indivisible 16-byte
 *     exchange, string copy.
 * It takes some ioctls and less than a millisecond of guest time on hardware, and a few
 * milliseconds where it fails. A watchdog ends a guest that never comes back.
 */
#include <errno.h>
#include <cpuid.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include "accel/kvm/kvm_int.h"
#include "base/clock.h"

#define CPUID_SVM (1u << 2) /* 0x80000001 ecx */
#define CPUID_VMX (1u << 5) /* 1 ecx */

/* Guest-physical layout: a page each. */
#define P_PML4	0x0000
#define P_PDPT	0x1000
#define P_PD	0x2000
#define P_IDT	0x3000 /* and the GDT in its second half */
#define P_CODE	0x4000
#define P_DATA	0x5000
#define P_STACK 0x7000 /* grows down into page 6 */
#define P_SIZE	0x7000
#define P_GDT	(P_IDT + 0x800)

#define PORT_ANSWER 0x10
#define LOOP_INSNS  2000
#define LOOP_TURNS  400 /* of 5 instructions */
/* Time in the guest over time in our process. Hardware: about 1, more when the clock is coarse or
 * the host busy; an interpreter: several hundred to several thousand. */
#define RATIO_MAX   150
#define ROUNDS	    3
#define WATCHDOG_NS (2 * NS_PER_SEC)
#define AGAIN_NS    (100 * NS_PER_MS)

/* The timed loop, the same bytes for guest and host: LOOP_TURNS in ecx, clobbers eax. */
#define LOOP_ASM "1: add $3, %%eax\n xor %%ecx, %%eax\n rol $5, %%eax\n sub $1, %%ecx\n jnz 1b\n"

/* The guest. al tells how far it came; the answer to a port write is to go on. */
extern const uint8_t probe_guest[], probe_guest_trap[], probe_guest_end[];
__asm__(".pushsection .rodata\n"
	"probe_guest:\n"
	"	out %al, $0x10\n" /* warm: page tables, code */
	"	out %al, $0x10\n" /* warm: the way back in */
	"	out %al, $0x10\n" /* the cost of an exit */
	"	mov $400, %ecx\n"
	"1:	add $3, %eax\n xor %ecx, %eax\n rol $5, %eax\n sub $1, %ecx\n jnz 1b\n"
	"	out %al, $0x10\n" /* the cost of an exit and the loop */
	"	mov $1, %al\n out %al, $0x10\n"
	"	int3\n"
	"	mov $2, %al\n out %al, $0x10\n"
	"	mov $0x5000, %edi\n"
	"	movaps (%rdi), %xmm0\n paddd %xmm0, %xmm0\n mulps %xmm0, %xmm1\n movaps %xmm0, "
	"(%rdi)\n"
	"	mov $3, %al\n out %al, $0x10\n"
	"	fninit\n fld1\n fstpl (%rdi)\n"
	"	mov $4, %al\n out %al, $0x10\n"
	"	xor %eax, %eax\n xor %edx, %edx\n lock cmpxchg16b (%rdi)\n"
	"	mov $5, %al\n out %al, $0x10\n"
	"	lea 64(%rdi), %rsi\n mov $64, %ecx\n rep movsq\n"
	"	mov $6, %al\n out %al, $0x10\n"
	"	hlt\n"
	"probe_guest_trap:\n"
	"	iretq\n"
	"probe_guest_end:\n"
	".popsection\n");

/* What comes after the answer of that number. */
static const char *const step_names[] = { "the first step", "int3", "SSE", "x87", "cmpxchg16b",
	"rep movs" };
#define STEPS 6

struct probe {
	int dev_fd, vm_fd, vcpu_fd;
	uint8_t *ram;
	struct kvm_run *run;
	size_t run_size;
	timer_t timer;
	bool have_timer;
	int64_t guest_ns, native_ns;
	char trouble[80]; /* what the guest could not do, or empty */
};

/*
 * Linux's own hardware modules do not load on a CPU without virtualization hardware, and no other
 * module runs guests by interpreting them on a CPU that has it. So the CPU's feature bit and the
 * module together are proof, and starting a VM need not pay for a test guest.
 */
bool kvm_evident(const void *options, struct str *report)
{
	const struct kvm_config *c = options;
	unsigned int a = 0, b = 0, cx = 0, d = 0;
	bool amd = kvm_host_is_amd();

	if ((c && c->device && strcmp(c->device, KVM_DEVICE_DEFAULT)) ||
		access(KVM_DEVICE_DEFAULT, R_OK | W_OK))
		return false;
	if (amd ? !__get_cpuid(0x80000001, &a, &b, &cx, &d) || !(cx & CPUID_SVM)
		: !__get_cpuid(1, &a, &b, &cx, &d) || !(cx & CPUID_VMX))
		return false;
	if (access(amd ? "/sys/module/kvm_amd" : "/sys/module/kvm_intel", F_OK))
		return false;
	str_appendf(report, "the CPU has %s, and its module is loaded", amd ? "SVM" : "VT-x");
	return true;
}

static int64_t cpu_ns(void)
{
	return clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void put64(struct probe *p, uint64_t at, uint64_t v)
{
	memcpy(p->ram + at, &v, 8);
}

static void fill_memory(struct probe *p)
{
	uint64_t trap = P_CODE + (probe_guest_trap - probe_guest);

	put64(p, P_PML4, P_PDPT | 7);
	put64(p, P_PDPT, P_PD | 7);
	put64(p, P_PD, 0x87); /* 2 MiB */
	put64(p, P_GDT + 8, 0x00af9b000000ffff);
	put64(p, P_GDT + 16, 0x00cf93000000ffff);
	for (int i = 0; i < 32; i++)
		put64(p, P_IDT + 16 * i, (trap & 0xffff) | 8 << 16 | 0x8e00ull << 32);
	memcpy(p->ram + P_CODE, probe_guest, probe_guest_end - probe_guest);
}

static int set_registers(struct probe *p)
{
	struct kvm_sregs s;
	struct kvm_regs r = { .rip = P_CODE, .rsp = P_STACK, .rflags = 2 };
	struct kvm_segment data = { .limit = 0xffffffff,
		.selector = 16,
		.type = 3,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1 };
	int ret = kvm_ioctl(p->vcpu_fd, KVM_GET_SREGS, &s);

	if (ret < 0)
		return ret;
	s.ds = s.es = s.fs = s.gs = s.ss = s.cs = data;
	s.cs.selector = 8;
	s.cs.type = 0xb;
	s.cs.db = 0;
	s.cs.l = 1;
	s.gdt = (struct kvm_dtable){ .base = P_GDT, .limit = 23 };
	s.idt = (struct kvm_dtable){ .base = P_IDT, .limit = 32 * 16 - 1 };
	s.cr0 = 0x80000033;
	s.cr3 = P_PML4;
	s.cr4 = 0x620;	/* PAE OSFXSR OSXMMEXCPT */
	s.efer = 0x500; /* LME LMA */
	ret = kvm_ioctl(p->vcpu_fd, KVM_SET_SREGS, &s);
	return ret < 0 ? ret : kvm_ioctl(p->vcpu_fd, KVM_SET_REGS, &r);
}

static bool make(struct probe *p, const char *path, struct error *err)
{
	struct kvm_userspace_memory_region slot = { .memory_size = P_SIZE };
	int r;

	p->dev_fd = kvm_open(path, err);
	if (p->dev_fd < 0)
		return false;
	r = kvm_ioctl_val(p->dev_fd, KVM_GET_API_VERSION, 0);
	if (r < 0)
		return error_set(err, "%s is not a KVM device", path);
	if (r != KVM_API_VERSION)
		return error_set(err, "%s speaks API version %d, not %d", path, r, KVM_API_VERSION);
	r = p->vm_fd = kvm_ioctl_val(p->dev_fd, KVM_CREATE_VM, 0);
	if (r < 0)
		return error_set_errno(err, r, "cannot create a VM");
	p->ram = mmap(NULL, P_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->ram == MAP_FAILED)
		return error_set_errno(err, errno, "no memory for the test guest");
	fill_memory(p);
	slot.userspace_addr = (uintptr_t)p->ram;
	r = kvm_ioctl(p->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot);
	if (r < 0)
		return error_set_errno(err, r, "cannot give memory to a VM");
	r = p->vcpu_fd = kvm_ioctl_val(p->vm_fd, KVM_CREATE_VCPU, 0);
	if (r < 0)
		return error_set_errno(err, r, "cannot create a vCPU");
	r = kvm_ioctl_val(p->dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (r < (int)sizeof(*p->run))
		return error_set(err, "vCPU mapping of %d bytes is too small", r);
	p->run_size = r;
	p->run = mmap(NULL, p->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, p->vcpu_fd, 0);
	if (p->run == MAP_FAILED)
		return error_set_errno(err, errno, "cannot map a vCPU");
	r = set_registers(p);
	if (r < 0)
		return error_set_errno(err, r, "cannot set a vCPU's registers");
	return true;
}

static void unmake(struct probe *p)
{
	if (p->have_timer)
		timer_delete(p->timer);
	if (p->run != MAP_FAILED)
		munmap(p->run, p->run_size);
	if (p->ram != MAP_FAILED)
		munmap(p->ram, P_SIZE);
	if (p->vcpu_fd >= 0)
		close(p->vcpu_fd);
	if (p->vm_fd >= 0)
		close(p->vm_fd);
	if (p->dev_fd >= 0)
		close(p->dev_fd);
}

/* The kick signal for this thread after a while, and again in case it came between two runs. */
static void watchdog(struct probe *p)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = KVM_KICK_SIGNAL };
	struct itimerspec t = {
		.it_value = { .tv_sec = WATCHDOG_NS / NS_PER_SEC },
		.it_interval = { .tv_nsec = AGAIN_NS },
	};

	kvm_kick_enable();
	ev._sigev_un._tid = gettid();
	p->have_timer = timer_create(CLOCK_MONOTONIC, &ev, &p->timer) == 0;
	if (p->have_timer)
		timer_settime(p->timer, 0, &t, NULL);
}

/* To the guest's next answer. False: it is not one; @p->trouble says what came instead. */
static bool run_step(struct probe *p, uint8_t *answer)
{
	struct kvm_run *run = p->run;

	if (ioctl(p->vcpu_fd, KVM_RUN, 0) < 0) {
		if (errno == EINTR)
			snprintf(p->trouble, sizeof(p->trouble), "does not come back");
		else
			snprintf(p->trouble, sizeof(p->trouble), "ends in an error (%s)",
				strerror(errno));
		return false;
	}
	if (run->exit_reason == KVM_EXIT_IO && run->io.port == PORT_ANSWER) {
		*answer = *((uint8_t *)run + run->io.data_offset);
		return true;
	}
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		snprintf(p->trouble, sizeof(p->trouble), "ends in KVM internal error %u",
			run->internal.suberror);
	else
		snprintf(p->trouble, sizeof(p->trouble), "ends in KVM exit %u", run->exit_reason);
	return false;
}

static int64_t native_loop(void)
{
	int64_t t = cpu_ns();
	uint32_t turns = LOOP_TURNS, x = 0;

	__asm__ volatile(LOOP_ASM : "+c"(turns), "+a"(x) : : "cc");
	return cpu_ns() - t;
}

/* Time of the loop alone: with an exit, less an exit. */
static bool time_guest(struct probe *p)
{
	uint8_t a;
	int64_t t0, t1, t2;

	if (!run_step(p, &a) || !run_step(p, &a))
		return false;
	t0 = cpu_ns();
	if (!run_step(p, &a))
		return false;
	t1 = cpu_ns();
	if (!run_step(p, &a))
		return false;
	t2 = cpu_ns();
	p->guest_ns = MAX(t2 - t1 - (t1 - t0), 0);
	return true;
}

/* Judge the speed: the best of some rounds, since a busy host can only make it look slower. */
static bool fast_enough(struct probe *p)
{
	int64_t best = INT64_MAX, native = 0;

	for (int i = 0; i < ROUNDS; i++) {
		int64_t n = native_loop();

		if (i && set_registers(p) < 0)
			break;
		if (!time_guest(p))
			break;
		/* The slowest native run is the fairest to compare with. */
		native = MAX(native, n);
		best = MIN(best, p->guest_ns);
		if (best <= RATIO_MAX * native)
			break;
	}
	p->guest_ns = best;
	p->native_ns = native;
	return best != INT64_MAX && best <= RATIO_MAX * native;
}

/* Whether the guest gets through all steps; *@failed names the one that it did not. */
static bool all_steps(struct probe *p, const char **failed)
{
	uint8_t a = 0;

	while (a < STEPS) {
		uint8_t before = a;

		if (run_step(p, &a) && a == before + 1)
			continue;
		if (!p->trouble[0])
			snprintf(p->trouble, sizeof(p->trouble), "goes astray");
		*failed = step_names[before];
		return false;
	}
	return true;
}

static void judge(struct probe *p, bool fast, const char *failed, struct str *report)
{
	double guest = p->guest_ns / 1e3, native = p->native_ns / 1e3;

	if (p->guest_ns == INT64_MAX) {
		str_appendf(report, "a test guest %s", p->trouble);
		return;
	}
	if (!fast)
		str_appendf(report,
			"guest code is emulated, not run: there is no virtualization hardware "
			"beneath (%d instructions took %.2f ms, natively %.1f us)",
			LOOP_INSNS, guest / 1e3, native);
	if (failed)
		str_appendf(report, "%s%s %s", fast ? "guest code does not run: " : "; ", failed,
			p->trouble);
	if (fast && !failed)
		str_append(report, "guest code runs on the CPU");
}

bool kvm_probe(const void *options, struct str *report)
{
	const struct kvm_config *c = options;
	const char *failed = NULL;
	struct probe p = {
		.dev_fd = -1, .vm_fd = -1, .vcpu_fd = -1, .ram = MAP_FAILED, .run = MAP_FAILED
	};
	struct error err = ERROR_INIT;
	bool ok = make(&p, c && c->device ? c->device : KVM_DEVICE_DEFAULT, &err), fast;

	if (!ok) {
		str_append(report, err.msg);
	} else {
		watchdog(&p);
		fast = fast_enough(&p);
		ok = p.guest_ns != INT64_MAX && all_steps(&p, &failed) && fast;
		judge(&p, fast, failed, report);
	}
	unmake(&p);
	return ok;
}
