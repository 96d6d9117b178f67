// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clock - the guest's time: TSC and kvmclock.
 *
 * Both are made of one counter, soft_host_tsc(): the host's TSC, where Linux itself trusts it, else
 * CLOCK_MONOTONIC, which then is a TSC of 1 GHz. The guest's TSC is that plus a vCPU's offset. It
 * goes on while the VM is paused, as under KVM; kvmclock stands still.
 *
 * kvmclock: the VM's time is clock_ns at the counter's clock_tsc and goes on from there at the
 * frequency that the guest is told; the host computes it as the guest does, so both always agree. A
 * vCPU's page (its address is MSR 0x4b564d01) has that pair, moved by its TSC's offset: it is written
 * when one of them changes and need not be refreshed. Guests may use one CPU's page on another only
 * where all have the same TSC, which flag 1 tells. A page has a version, odd while it is being
 * written.
 */
#include <cpuid.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include "accel/soft/soft_int.h"
#include "base/clock.h"
#include "core/machine.h"
#include "mem/gmem.h"

#define NS_KHZ	       1000000u /* of a counter of nanoseconds */
#define CALIBRATION_NS (4 * NS_PER_MS)
#define BRACKETS       12
#define CLOCK_SOURCES  "/sys/devices/system/clocksource/clocksource0/available_clocksource"
#define TSC_STABLE     (1u << 0)
#define GUEST_STOPPED  (1u << 1)
#define MSR_WALL_OLD   0x11
#define MSR_SYSTEM_OLD 0x12
#define MSR_WALL       0x4b564d00u
#define MSR_SYSTEM     0x4b564d01u
#define SYSTEM_ENABLE  1ull

/* -------- the host's counter -------- */

static struct {
	bool rdtsc;
	uint32_t khz;
	/* ns = (ticks << shift) * mul >> 32; a negative shift is one to the right */
	uint32_t mul;
	int8_t shift;
} host;
static pthread_once_t host_once = PTHREAD_ONCE_INIT;

static inline uint64_t rdtsc(void)
{
	return __builtin_ia32_rdtsc();
}

/* Linux lists the TSC as a clock source for as long as it trusts it. Where that cannot be read the
 * CPU's promise that it is invariant counts. */
static bool tsc_usable(void)
{
	unsigned int a, b, c, d = 0;
	char buf[256] = "";
	int fd = open(CLOCK_SOURCES, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (fd >= 0)
		close(fd);
	if (n > 0) {
		for (char *p = buf, *word; (word = strtok_r(p, " \n", &p));)
			if (!strcmp(word, "tsc"))
				return true;
		return false;
	}
	return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & 1u << 8);
}

/* What the CPU or the hypervisor that we are in says of the frequency; 0: nothing. */
static uint32_t khz_told(void)
{
	unsigned int a, b, c, d;

	if (__get_cpuid(0x15, &a, &b, &c, &d) && a && b && c)
		return (uint64_t)c * b / a / 1000;
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 31))
		return 0;
	__cpuid(0x40000000, a, b, c, d);
	if (a < 0x40000010 || a > 0x400000ff)
		return 0;
	__cpuid(0x40000010, a, b, c, d);
	return a;
}

struct moment {
	uint64_t tsc;
	int64_t ns;
};

/* Both clocks at once: the reading that was least disturbed of some. */
static struct moment moment(void)
{
	struct moment best = { 0 };
	uint64_t narrow = UINT64_MAX;

	for (int i = 0; i < BRACKETS; i++) {
		uint64_t before = rdtsc(), after;
		int64_t ns = clock_mono_ns();

		after = rdtsc();
		if (after - before < narrow) {
			narrow = after - before;
			best = (struct moment){ before + narrow / 2, ns };
		}
	}
	return best;
}

static uint32_t khz_measured(void)
{
	struct timespec ts = { .tv_nsec = CALIBRATION_NS };
	struct moment a = moment(), b;

	nanosleep(&ts, NULL);
	b = moment();
	if (b.ns <= a.ns || b.tsc <= a.tsc)
		return 0;
	return (unsigned __int128)(b.tsc - a.tsc) * NS_KHZ / (uint64_t)(b.ns - a.ns);
}

/* The factor from ticks to nanoseconds with as many bits as there are. */
static void set_scale(uint32_t khz)
{
	unsigned __int128 factor = ((unsigned __int128)NS_KHZ << 64) / khz;
	int shift = 0;

	/* factor is of 64 binary digits after the point; mul is to have 32, and its top bit set. */
	while (factor >> 64) {
		factor >>= 1;
		shift++;
	}
	while (!(factor >> 63)) {
		factor <<= 1;
		shift--;
	}
	host.mul = factor >> 32;
	host.shift = shift;
}

/* What is told is exact, if it is true at all. */
static uint32_t tsc_khz(void)
{
	uint32_t told = khz_told(), measured = khz_measured();

	return told > measured - measured / 100 && told < measured + measured / 100 ? told
										    : measured;
}

static void measure(void)
{
	host.rdtsc = tsc_usable();
	host.khz = host.rdtsc ? tsc_khz() : 0;
	/* Below 1 MHz it is no TSC. */
	if (host.khz < 1000) {
		host.rdtsc = false;
		host.khz = NS_KHZ;
	}
	set_scale(host.khz);
}

uint32_t soft_tsc_khz(void)
{
	pthread_once(&host_once, measure);
	return host.khz;
}

uint64_t soft_host_tsc(void)
{
	return host.rdtsc ? rdtsc() : (uint64_t)clock_mono_ns();
}

bool soft_tsc_is_hosts(void)
{
	return host.rdtsc;
}

uint64_t soft_tsc_to_length(uint64_t tsc)
{
	unsigned __int128 t = tsc;

	t = host.shift < 0 ? t >> -host.shift : t << host.shift;
	t = t * host.mul >> 32;
	return t > UINT64_MAX ? UINT64_MAX : t;
}

uint64_t soft_ns_to_tsc(uint64_t ns)
{
	unsigned __int128 t = (unsigned __int128)ns * host.khz / NS_KHZ;

	return t > UINT64_MAX ? UINT64_MAX : t;
}

/* -------- guest memory -------- */

static bool slot_bytes(
	struct soft_vm *vm, uint64_t gpa, unsigned int n, bool write, struct soft_slot *s)
{
	return soft_slot_find(vm, gpa, s) && !(write && s->readonly) && gpa >= s->gpa &&
	       n <= s->size - (gpa - s->gpa);
}

static bool guest_read(struct soft_vm *vm, uint64_t gpa, void *buf, unsigned int n)
{
	struct soft_slot s;

	if (vm->base.machine)
		return !gmem_read(&vm->base.machine->mem, (gpa_t){ gpa }, buf, n);
	if (!slot_bytes(vm, gpa, n, false, &s))
		return false;
	memcpy(buf, s.host + (gpa - s.gpa), n);
	return true;
}

static bool guest_write(struct soft_vm *vm, uint64_t gpa, const void *buf, unsigned int n)
{
	struct soft_slot s;

	if (vm->base.machine)
		return !gmem_write(&vm->base.machine->mem, (gpa_t){ gpa }, buf, n);
	if (!slot_bytes(vm, gpa, n, true, &s))
		return false;
	memcpy(s.host + (gpa - s.gpa), buf, n);
	return true;
}

/* A structure whose first word is its version: odd, the rest, even again. The fences keep the compiler
 * from mixing them; the CPU stores in order. */
static void versioned_write(struct soft_vm *vm, uint64_t gpa, void *buf, unsigned int n)
{
	uint32_t version;

	if (!guest_read(vm, gpa, &version, sizeof(version)))
		return;
	version += 1 + (version & 1);
	if (!guest_write(vm, gpa, &version, sizeof(version)))
		return;
	atomic_signal_fence(memory_order_seq_cst);
	if (!guest_write(vm, gpa + sizeof(version), (uint8_t *)buf + sizeof(version),
		    n - sizeof(version)))
		return;
	atomic_signal_fence(memory_order_seq_cst);
	version++;
	(void)!guest_write(vm, gpa, &version, sizeof(version));
}

/* -------- kvmclock -------- */

/* Linux, Documentation/virt/kvm/x86/msr.rst */
struct system_time {
	uint32_t version, pad;
	uint64_t tsc_timestamp, system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags, pad2[2];
};
struct wall_clock {
	uint32_t version, sec, nsec;
};
_Static_assert(sizeof(struct system_time) == 32 && sizeof(struct wall_clock) == 12, "kvmclock");

static uint64_t clock_now(const struct soft_vm *vm)
{
	return vm->clock_ns + soft_tsc_to_length(soft_host_tsc() - vm->clock_tsc);
}

/* Put the vCPU's page down. @flags: to be set; GUEST_STOPPED stays until the guest clears it. */
static void put_page(struct soft_vm *vm, struct soft_vcpu *v, uint8_t flags)
	REQUIRES(vm->chips_lock)
{
	uint64_t gpa = v->kvmclock_msr & ~SYSTEM_ENABLE;
	struct system_time s;

	if (!(v->kvmclock_msr & SYSTEM_ENABLE) || !guest_read(vm, gpa, &s, sizeof(s)))
		return;
	s = (struct system_time){
		.tsc_timestamp = vm->clock_tsc + (uint64_t)v->tsc_offset,
		.system_time = vm->clock_ns,
		.tsc_to_system_mul = host.mul,
		.tsc_shift = host.shift,
		.flags = flags | (s.flags & GUEST_STOPPED) | (vm->tsc_agree ? TSC_STABLE : 0),
	};
	versioned_write(vm, gpa, &s, sizeof(s));
}

static void put_pages(struct soft_vm *vm) REQUIRES(vm->chips_lock)
{
	uint32_t n = atomic_load_explicit(&vm->n_vcpus, memory_order_relaxed);

	for (uint32_t i = 0; i < n; i++)
		if (vm->vcpus[i])
			put_page(vm, vm->vcpus[i], 0);
}

/* The time of day when the VM's clock was 0. */
static void put_wall_clock(struct soft_vm *vm, uint64_t gpa) REQUIRES(vm->chips_lock)
{
	int64_t boot = clock_wall_ns() - (int64_t)clock_now(vm);
	struct wall_clock w = { .sec = boot / NS_PER_SEC, .nsec = boot % NS_PER_SEC };

	versioned_write(vm, gpa, &w, sizeof(w));
}

bool soft_kvmclock_msr(struct soft_vcpu *v, uint32_t index, uint64_t *value, bool write)
{
	bool system = index == MSR_SYSTEM || index == MSR_SYSTEM_OLD;
	struct soft_vm *vm = v->vm;

	if (!system && index != MSR_WALL && index != MSR_WALL_OLD)
		return false;
	mutex_lock(&vm->chips_lock);
	if (!write) {
		*value = system ? v->kvmclock_msr : vm->wall_clock_msr;
	} else if (system) {
		v->kvmclock_msr = *value;
		put_page(vm, v, 0);
	} else {
		vm->wall_clock_msr = *value;
		if (*value)
			put_wall_clock(vm, *value);
	}
	mutex_unlock(&vm->chips_lock);
	return true;
}

int soft_clock_get(struct accel_vm *avm, uint64_t *ns)
{
	struct soft_vm *vm = to_soft_vm(avm);

	mutex_lock(&vm->chips_lock);
	*ns = clock_now(vm);
	mutex_unlock(&vm->chips_lock);
	return 0;
}

int soft_clock_set(struct accel_vm *avm, uint64_t ns)
{
	struct soft_vm *vm = to_soft_vm(avm);

	mutex_lock(&vm->chips_lock);
	vm->clock_tsc = soft_host_tsc();
	vm->clock_ns = ns;
	put_pages(vm);
	mutex_unlock(&vm->chips_lock);
	return 0;
}

int soft_vcpu_stalled(struct accel_vcpu *av)
{
	struct soft_vcpu *v = to_soft_vcpu(av);

	mutex_lock(&v->vm->chips_lock);
	put_page(v->vm, v, GUEST_STOPPED);
	mutex_unlock(&v->vm->chips_lock);
	return 0;
}

void soft_clock_init(struct soft_vm *vm)
{
	soft_tsc_khz();
	vm->clock_tsc = soft_host_tsc();
	vm->clock_ns = 0;
	vm->tsc_agree = true;
	vm->tsc_writer = NULL;
	/* The guest's counter is 0 now. */
	vm->tsc_offset = -(int64_t)vm->clock_tsc;
}

/* -------- the guest's TSC -------- */

void soft_clock_vcpu(struct soft_vcpu *v)
{
	v->tsc_offset = v->vm->tsc_offset;
}

uint64_t soft_tsc_read(struct soft_vcpu *v)
{
	return soft_host_tsc() + (uint64_t)v->tsc_offset;
}

static bool all_agree(struct soft_vm *vm) REQUIRES(vm->chips_lock)
{
	uint32_t n = atomic_load_explicit(&vm->n_vcpus, memory_order_relaxed);
	const struct soft_vcpu *first = NULL;

	for (uint32_t i = 0; i < n; i++) {
		const struct soft_vcpu *v = vm->vcpus[i];

		if (v && first && v->tsc_offset != first->tsc_offset)
			return false;
		if (v)
			first = v;
	}
	return true;
}

static void put_offset(struct soft_vm *vm, struct soft_vcpu *v, int64_t offset)
	REQUIRES(vm->chips_lock)
{
	bool agreed = vm->tsc_agree;

	v->tsc_offset = offset;
	vm->tsc_agree = all_agree(vm);
	if (vm->tsc_agree != agreed)
		put_pages(vm);
	else
		put_page(vm, v, 0);
	soft_timer_rearm(v);
}

void soft_tsc_offset_set(struct soft_vcpu *v, int64_t offset)
{
	mutex_lock(&v->vm->chips_lock);
	put_offset(v->vm, v, offset);
	mutex_unlock(&v->vm->chips_lock);
}

void soft_clock_lose(struct soft_vm *vm, uint64_t ticks)
{
	uint32_t n = atomic_load(&vm->n_vcpus);

	mutex_lock(&vm->chips_lock);
	for (uint32_t i = 0; i < n; i++)
		if (vm->vcpus[i])
			vm->vcpus[i]->tsc_offset -= (int64_t)ticks;
	vm->tsc_offset -= (int64_t)ticks;
	vm->tsc_written_at += ticks;
	vm->clock_tsc += ticks; /* so the vCPU's page stays right */
	mutex_unlock(&vm->chips_lock);
}

/* Is @value, now, what the counter of the vCPU that was last set shows, give or take a second? */
static bool is_near(const struct soft_vm *vm, uint64_t value, uint64_t now)
{
	int64_t off = (int64_t)(value - (vm->tsc_written + (now - vm->tsc_written_at)));
	int64_t second = (int64_t)host.khz * 1000;

	return off > -second && off < second;
}

void soft_tsc_write(struct soft_vcpu *v, uint64_t value)
{
	struct soft_vm *vm = v->vm;
	uint64_t now;

	mutex_lock(&vm->chips_lock);
	now = soft_host_tsc();
	if (!vm->tsc_writer || vm->tsc_writer == v || !is_near(vm, value, now)) {
		vm->tsc_writer = v;
		vm->tsc_written = value;
		vm->tsc_written_at = now;
		vm->tsc_offset = (int64_t)(value - now);
	}
	put_offset(vm, v, vm->tsc_offset);
	mutex_unlock(&vm->chips_lock);
}

int64_t soft_tsc_to_ns(struct soft_vcpu *v, uint64_t guest_tsc)
{
	int64_t now = clock_mono_ns();
	uint64_t tsc = soft_tsc_read(v), left;

	if (guest_tsc <= tsc)
		return now;
	left = soft_tsc_to_length(guest_tsc - tsc);
	return left < (uint64_t)(INT64_MAX - now) ? now + (int64_t)left : INT64_MAX;
}
