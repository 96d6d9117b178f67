/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * cpuid - builds a guest's CPUID leaves.
 *
 * Features are handled as words (a register of a leaf), apart from the leaves: a model chooses
 * flags, the user adds and removes some, the engine's offer limits them; then leaves are written
 * around the words. The vendor is the host's in every model, since a guest picks its kernel code
 * for system registers by it; x86-64-v2 and -v3 have a fixed family, model and name, so that a
 * saved VM finds the same CPU on another host.
 */
#include "x86/cpuid.h"
#include "x86/cpuid_flags.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

#define VENDOR_AMD   0x68747541 /* "Auth", ebx of leaf 0 */
#define VENDOR_HYGON 0x6f677948
#define VENDOR_INTEL 0x756e6547

enum reg { EAX, EBX, ECX, EDX };

static const struct {
	uint32_t function, index;
	uint8_t reg;
} words[W_COUNT] = {
	[W_1_EDX] = { 1, 0, EDX },
	[W_1_ECX] = { 1, 0, ECX },
	[W_6_EAX] = { 6, 0, EAX },
	[W_7_EBX] = { 7, 0, EBX },
	[W_7_ECX] = { 7, 0, ECX },
	[W_7_EDX] = { 7, 0, EDX },
	[W_7_1_EAX] = { 7, 1, EAX },
	[W_7_1_EDX] = { 7, 1, EDX },
	[W_D_1_EAX] = { 0xd, 1, EAX },
	[W_X1_EDX] = { 0x80000001, 0, EDX },
	[W_X1_ECX] = { 0x80000001, 0, ECX },
	[W_X7_EDX] = { 0x80000007, 0, EDX },
	[W_X8_EBX] = { 0x80000008, 0, EBX },
	[W_X21_EAX] = { 0x80000021, 0, EAX },
	[W_X21_ECX] = { 0x80000021, 0, ECX },
};

/* base: what +flags ask for and nothing else. */
enum model { MODEL_BASE, MODEL_V2, MODEL_V3, MODEL_HOST, MODEL_MAX, MODEL_COUNT };
static const char *const model_names[MODEL_COUNT] = { "base", "x86-64-v2", "x86-64-v3", "host",
	"max" };
static const char *const model_brands[MODEL_COUNT] = {
	"Lodge base CPU",
	"Lodge x86-64-v2 CPU",
	"Lodge x86-64-v3 CPU",
};

/* Features of KVM's paravirtual interface that we carry (Linux, kvm/x86/cpuid.rst): clock and its
 * stability, asynchronous page faults, steal time, EOI, unhalt, TLB flush, IPI, polling, yield.
 * Not: those that need something of the VMM (migration control, hypercall exits, long ids). */
#define KVM_FEATURES 0x01007efb

struct build {
	const struct x86_cpu_model_request *req;
	const struct x86_cpuid *sup;
	struct x86_cpuid *out;
	enum model model;
	uint32_t vendor;
	uint32_t apic_id;
	uint32_t thread_bits, core_bits, per_socket;
	uint32_t offered[W_COUNT]; /* by the engine */
	uint32_t word[W_COUNT];	   /* for the guest */
};

/* -------- small things -------- */

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/* Text into @buf without a C library; cut at the end. */
struct text {
	char *buf;
	size_t size, len;
};

static void put(struct text *t, const char *s)
{
	while (*s && t->len + 1 < t->size)
		t->buf[t->len++] = *s++;
	if (t->size)
		t->buf[t->len] = 0;
}

static const char *say(char *buf, size_t size, const char *a, const char *b, const char *c,
	const char *d, const char *e)
{
	struct text t = { buf, size, 0 };

	put(&t, a);
	put(&t, b);
	put(&t, c);
	put(&t, d);
	put(&t, e);
	return size ? buf : "the CPU model is not possible";
}

static uint32_t bits_for(uint32_t n)
{
	uint32_t b = 0;

	while (b < 31 && (1u << b) < n)
		b++;
	return b;
}

static bool is_amd(const struct build *b)
{
	return b->vendor == VENDOR_AMD || b->vendor == VENDOR_HYGON;
}

static uint32_t leaf_reg(const struct x86_cpuid_leaf *l, uint8_t reg)
{
	return reg == EAX ? l->eax : reg == EBX ? l->ebx : reg == ECX ? l->ecx : l->edx;
}

const struct x86_cpuid_leaf *x86_cpuid_find(
	const struct x86_cpuid *c, uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < c->n && i < X86_CPUID_MAX; i++) {
		const struct x86_cpuid_leaf *l = &c->leaf[i];

		if (l->function == function && (!l->indexed || l->index == index))
			return l;
	}
	return NULL;
}

const char *x86_cpuid_flag_name(unsigned int i)
{
	return i < N(flags) ? flags[i].name : NULL;
}

const char *x86_cpuid_model_name(unsigned int i)
{
	return i < MODEL_COUNT ? model_names[i] : NULL;
}

bool x86_cpuid_has(const struct x86_cpuid *c, unsigned int flag)
{
	const struct x86_cpuid_flag *f = &flags[flag];
	const struct x86_cpuid_leaf *l = x86_cpuid_find(
		c, words[f->word].function, words[f->word].index);

	return l && leaf_reg(l, words[f->word].reg) >> f->bit & 1;
}

uint32_t x86_apic_id(const struct x86_topology *t, uint32_t n)
{
	uint32_t tb = bits_for(t->threads), cb = bits_for(t->cores);
	uint32_t thread = n % t->threads, core = n / t->threads % t->cores;
	uint32_t socket = n / t->threads / t->cores;

	return socket << (tb + cb) | core << tb | thread;
}

/* -------- features -------- */

static const struct x86_cpuid_flag *find_flag(const char *name)
{
	for (size_t i = 0; i < N(flags); i++)
		if (same(flags[i].name, name))
			return &flags[i];
	return NULL;
}

static bool has(const uint32_t *word, const struct x86_cpuid_flag *f)
{
	return word[f->word] >> f->bit & 1;
}

static bool guest_has(const struct build *b, enum x86_cpuid_flag_id id)
{
	return has(b->word, &flags[id]);
}

static void set(uint32_t *word, const struct x86_cpuid_flag *f, bool on)
{
	uint32_t bit = 1u << f->bit;

	word[f->word] = on ? word[f->word] | bit : word[f->word] & ~bit;
}

static bool model_wants(enum model m, uint8_t cls)
{
	switch (cls) {
	case C_V2:
	case C_ALSO:
		return m != MODEL_BASE;
	case C_V3:
		return m > MODEL_V2;
	case C_HOST:
		return m == MODEL_HOST || m == MODEL_MAX;
	case C_MAX:
		return m == MODEL_MAX;
	}
	return false;
}

/* The model cannot do without it. */
static bool model_needs(enum model m, uint8_t cls)
{
	return (cls == C_V2 && (m == MODEL_V2 || m == MODEL_V3)) || (cls == C_V3 && m == MODEL_V3);
}

bool x86_cpuid_model_needs(unsigned int model, unsigned int flag)
{
	return flag < N(flags) && model_needs((enum model)model, flags[flag].cls);
}

static bool listed(const char *const *list, const char *name)
{
	for (size_t i = 0; i < X86_FLAGS_MAX && list[i]; i++)
		if (same(list[i], name))
			return true;
	return false;
}

static const char *choose_flags(struct build *b, char *buf, size_t size)
{
	for (size_t i = 0; i < N(flags); i++) {
		const struct x86_cpuid_flag *f = &flags[i];
		bool minus = listed(b->req->minus, f->name);

		if (minus || !model_wants(b->model, f->cls))
			continue;
		if (has(b->offered, f))
			set(b->word, f, true);
		else if (model_needs(b->model, f->cls))
			return say(buf, size, model_names[b->model], " needs '", f->name,
				"', which this host does not offer; ",
				f->cls == C_V3 ? "x86-64-v2 may do" : "host may do");
	}
	return NULL;
}

static const char *change_flags(struct build *b, char *buf, size_t size)
{
	for (size_t i = 0; i < X86_FLAGS_MAX && b->req->minus[i]; i++)
		if (!find_flag(b->req->minus[i]))
			return say(buf, size, "unknown flag '", b->req->minus[i], "'", "", "");
	for (size_t i = 0; i < X86_FLAGS_MAX && b->req->plus[i]; i++) {
		const char *name = b->req->plus[i];
		const struct x86_cpuid_flag *f = find_flag(name);

		if (!f)
			return say(buf, size, "unknown flag '", name, "'", "", "");
		if (f->cls == C_TOPO)
			return say(
				buf, size, "flag '", name, "' follows from the topology", "", "");
		if (listed(b->req->minus, name))
			return say(buf, size, "flag '", name, "' is both asked for and refused", "",
				"");
		if (!has(b->offered, f))
			return say(
				buf, size, "flag '", name, "' is not offered by this host", "", "");
		set(b->word, f, true);
	}
	return NULL;
}

/* Drop what has lost its ground, again until nothing changes; then nobody may miss it. */
static const char *settle_flags(struct build *b, char *buf, size_t size)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (size_t i = 0; i < N(flag_needs); i++) {
			const struct x86_cpuid_flag *f = &flags[flag_needs[i].flag];

			if (!has(b->word, f) || guest_has(b, flag_needs[i].needs))
				continue;
			if (listed(b->req->plus, f->name))
				return say(buf, size, "flag '", f->name, "' needs '",
					flags[flag_needs[i].needs].name, "'");
			set(b->word, f, false);
			changed = true;
		}
	}
	return NULL;
}

static void read_offer(struct build *b)
{
	for (int w = 0; w < W_COUNT; w++) {
		const struct x86_cpuid_leaf *l = x86_cpuid_find(
			b->sup, words[w].function, words[w].index);

		b->offered[w] = l ? leaf_reg(l, words[w].reg) : 0;
	}
	/* Guests are told that they are guests, and that the APIC timer never stops. */
	b->offered[W_1_ECX] |= 1u << 31;
	b->offered[W_6_EAX] |= 1u << 2;
	/* Threads of an AMD core are told by leaf 0x8000001e only, whatever the host's CPU has. */
	if (is_amd(b) && b->req->topology.threads > 1)
		b->offered[W_X1_ECX] |= 1u << 22;
}

/* -------- leaves -------- */

static struct x86_cpuid_leaf *add(struct build *b, uint32_t function, uint32_t index, bool indexed)
{
	struct x86_cpuid_leaf *l;

	/* Room: less than 20 single leaves and at most 9 XSAVE, 8 cache and 3 topology ones. */
	if (b->out->n >= X86_CPUID_MAX)
		return &b->out->leaf[X86_CPUID_MAX - 1];
	l = &b->out->leaf[b->out->n++];
	*l = (struct x86_cpuid_leaf){ .function = function, .index = index, .indexed = indexed };
	return l;
}

/* A leaf as the engine offers it; NULL when it does not. */
static struct x86_cpuid_leaf *copy(struct build *b, uint32_t function)
{
	const struct x86_cpuid_leaf *s = x86_cpuid_find(b->sup, function, 0);
	struct x86_cpuid_leaf *l;

	if (!s)
		return NULL;
	l = add(b, function, 0, false);
	l->eax = s->eax;
	l->ebx = s->ebx;
	l->ecx = s->ecx;
	l->edx = s->edx;
	return l;
}

/* Family, model, stepping of leaf 1. */
static uint32_t signature(const struct build *b, uint32_t host)
{
	if (b->model >= MODEL_HOST)
		return host;
	if (b->vendor == VENDOR_AMD)
		return 0x00830f10; /* family 0x17, model 0x31: no younger than any such host */
	if (b->vendor == VENDOR_INTEL)
		return b->model <= MODEL_V2 ? 0x000206c2 : 0x000306f2; /* Westmere, Haswell */
	return host;
}

/* Leaves 0x15 and 0x16 are Intel's; systems look there on no other CPU. */
static bool has_frequency_leaves(const struct build *b)
{
	return b->req->tsc_khz && !is_amd(b);
}

static void leaf_0_1(struct build *b)
{
	const struct x86_cpuid_leaf *s = x86_cpuid_find(b->sup, 0, 0);
	const struct x86_cpuid_leaf *s1 = x86_cpuid_find(b->sup, 1, 0);
	struct x86_cpuid_leaf *l = add(b, 0, 0, false);
	uint32_t count = 1u << (b->thread_bits + b->core_bits);

	/* No higher than needed: a booting Linux reads what it is told to be there, an exit each. */
	l->eax = has_frequency_leaves(b) ? 0x16 : 0xd;
	if (s) {
		l->ebx = s->ebx;
		l->ecx = s->ecx;
		l->edx = s->edx;
	}
	l = add(b, 1, 0, false);
	l->eax = signature(b, s1 ? s1->eax : 0x600);
	l->ebx = b->apic_id << 24 | (count > 255 ? 255 : count) << 16 | 8 << 8; /* 64-byte lines */
	l->ecx = b->word[W_1_ECX];
	l->edx = b->word[W_1_EDX];
}

/* Deterministic cache parameters (leaf 4, AMD 0x8000001D): the host's caches, shared as our
 * topology says. */
static void leaf_caches(struct build *b, uint32_t function)
{
	uint32_t core = (1u << b->thread_bits) - 1;
	uint32_t socket = (1u << (b->thread_bits + b->core_bits)) - 1;
	uint32_t cores = (1u << b->core_bits) - 1;

	for (uint32_t i = 0; i < 8; i++) {
		const struct x86_cpuid_leaf *s = x86_cpuid_find(b->sup, function, i);
		struct x86_cpuid_leaf *l;
		uint32_t level, sharing;

		if (!s || !s->indexed || !(s->eax & 0x1f))
			break;
		l = add(b, function, i, true);
		level = s->eax >> 5 & 7;
		sharing = level >= 3 ? socket : core;
		l->eax = (s->eax & 0x3fff) | (sharing > 0xfff ? 0xfff : sharing) << 14;
		if (function == 4)
			l->eax |= (cores > 63 ? 63 : cores) << 26;
		l->ebx = s->ebx;
		l->ecx = s->ecx;
		l->edx = s->edx;
	}
}

static void leaf_6_7(struct build *b)
{
	struct x86_cpuid_leaf *l = add(b, 6, 0, false);
	bool sub1 = b->word[W_7_1_EAX] || b->word[W_7_1_EDX];

	l->eax = b->word[W_6_EAX];
	l = add(b, 7, 0, true);
	l->eax = sub1;
	l->ebx = b->word[W_7_EBX];
	l->ecx = b->word[W_7_ECX];
	l->edx = b->word[W_7_EDX];
	if (sub1) {
		l = add(b, 7, 1, true);
		l->eax = b->word[W_7_1_EAX];
		l->edx = b->word[W_7_1_EDX];
	}
}

/* SDM, Extended Topology Enumeration Leaf. */
static void leaf_topology(struct build *b)
{
	const struct x86_topology *t = &b->req->topology;
	struct x86_cpuid_leaf *l = add(b, 0xb, 0, true);

	l->eax = b->thread_bits;
	l->ebx = t->threads;
	l->ecx = 1 << 8 | 0;
	l->edx = b->apic_id;
	l = add(b, 0xb, 1, true);
	l->eax = b->thread_bits + b->core_bits;
	l->ebx = b->per_socket;
	l->ecx = 2 << 8 | 1;
	l->edx = b->apic_id;
	l = add(b, 0xb, 2, true);
	l->ecx = 2;
	l->edx = b->apic_id;
}

/* State components of XCR0 that the guest's flags go with. AMX is not among them. */
static uint64_t xcr0_mask(const struct build *b)
{
	uint64_t m = 3;

	if (guest_has(b, F_avx))
		m |= 1u << 2;
	if (guest_has(b, F_avx512f))
		m |= 7u << 5;
	if (guest_has(b, F_pku))
		m |= 1u << 9;
	return m;
}

static void leaf_xsave(struct build *b)
{
	uint64_t mask = xcr0_mask(b);
	struct x86_cpuid_leaf *l0;
	uint32_t size = 512 + 64;

	if (!guest_has(b, F_xsave))
		return;
	l0 = add(b, 0xd, 0, true);
	add(b, 0xd, 1, true)->eax = b->word[W_D_1_EAX];
	for (uint32_t i = 2; i < 32; i++) {
		const struct x86_cpuid_leaf *s = x86_cpuid_find(b->sup, 0xd, i);
		struct x86_cpuid_leaf *l;

		if (!(mask >> i & 1))
			continue;
		if (!s || !s->eax) { /* the engine has the flag and not its state */
			mask &= ~(1ull << i);
			continue;
		}
		l = add(b, 0xd, i, true);
		l->eax = s->eax;
		l->ebx = s->ebx;
		l->ecx = s->ecx;
		if (s->ebx + s->eax > size)
			size = s->ebx + s->eax;
	}
	l0->eax = mask;
	l0->ebx = 512 + 64; /* with XCR0 as after reset; the engine follows changes */
	l0->ecx = size;
}

/* TSC frequency. The "crystal" of leaf 0x15 is what the APIC timer counts with: 1 GHz under KVM. */
static void leaf_frequency(struct build *b)
{
	struct x86_cpuid_leaf *l;
	uint32_t mhz = b->req->tsc_khz / 1000;

	if (!has_frequency_leaves(b))
		return;
	l = add(b, 0x15, 0, false);
	l->eax = 1000000;
	l->ebx = b->req->tsc_khz;
	l->ecx = 1000000000;
	l = add(b, 0x16, 0, false);
	l->eax = mhz;
	l->ebx = mhz;
	l->ecx = 100;
}

static void leaf_hypervisor(struct build *b)
{
	const struct x86_cpuid_leaf *s = x86_cpuid_find(b->sup, 0x40000000, 0);
	const struct x86_cpuid_leaf *s1 = x86_cpuid_find(b->sup, 0x40000001, 0);
	struct x86_cpuid_leaf *l;

	if (!b->req->hypervisor_leaf || !s || !s1)
		return;
	l = add(b, 0x40000000, 0, false);
	l->eax = b->req->tsc_khz ? 0x40000010 : 0x40000001;
	l->ebx = s->ebx;
	l->ecx = s->ecx;
	l->edx = s->edx;
	l = add(b, 0x40000001, 0, false);
	l->eax = s1->eax & KVM_FEATURES;
	if (!b->req->tsc_khz)
		return;
	l = add(b, 0x40000010, 0, false);
	l->eax = b->req->tsc_khz;
	l->ebx = 1000000; /* kHz of the APIC timer */
}

static void leaf_brand(struct build *b)
{
	char name[48] = { 0 };
	struct text t = { name, sizeof(name), 0 };

	if (b->model >= MODEL_HOST) {
		for (uint32_t f = 0x80000002; f <= 0x80000004; f++)
			copy(b, f);
		return;
	}
	put(&t, model_brands[b->model]);
	for (uint32_t i = 0; i < 3; i++) {
		struct x86_cpuid_leaf *l = add(b, 0x80000002 + i, 0, false);

		memcpy(&l->eax, name + 16 * i, 4);
		memcpy(&l->ebx, name + 16 * i + 4, 4);
		memcpy(&l->ecx, name + 16 * i + 8, 4);
		memcpy(&l->edx, name + 16 * i + 12, 4);
	}
}

/* AMD's topology: number of threads and the APIC id's shape. */
static void leaf_amd_topology(struct build *b)
{
	const struct x86_topology *t = &b->req->topology;
	struct x86_cpuid_leaf *l;

	if (!guest_has(b, F_topoext))
		return;
	leaf_caches(b, 0x8000001d);
	l = add(b, 0x8000001e, 0, false);
	l->eax = b->apic_id;
	l->ebx = (b->apic_id >> b->thread_bits & ((1u << b->core_bits) - 1) & 0xff) |
		 (t->threads - 1) << 8;
	l->ecx = b->apic_id >> (b->thread_bits + b->core_bits) & 0xff;
}

static void leaf_extended(struct build *b)
{
	const struct x86_cpuid_leaf *s8 = x86_cpuid_find(b->sup, 0x80000008, 0);
	struct x86_cpuid_leaf *l = add(b, 0x80000000, 0, false);
	uint32_t n = b->per_socket - 1;

	l->eax = is_amd(b) ? 0x80000021 : 0x80000008;
	if (is_amd(b)) {
		const struct x86_cpuid_leaf *s = x86_cpuid_find(b->sup, 0, 0);

		l->ebx = s->ebx;
		l->ecx = s->ecx;
		l->edx = s->edx;
	}
	l = add(b, 0x80000001, 0, false);
	l->ecx = b->word[W_X1_ECX];
	l->edx = b->word[W_X1_EDX];
	if (is_amd(b)) {
		/* The same signature again, and copies of leaf 1's flags. */
		l->eax = x86_cpuid_find(b->out, 1, 0)->eax;
		l->edx |= b->word[W_1_EDX] & 0x0183f3ff;
	}
	leaf_brand(b);
	if (is_amd(b))
		copy(b, 0x80000005);
	copy(b, 0x80000006);
	add(b, 0x80000007, 0, false)->edx = b->word[W_X7_EDX];
	l = add(b, 0x80000008, 0, false);
	l->eax = s8 ? s8->eax : 0x3028; /* 40 physical, 48 linear bits */
	l->ebx = b->word[W_X8_EBX];
	if (!is_amd(b))
		return;
	l->ecx = (n > 255 ? 255 : n) | (b->thread_bits + b->core_bits) << 12;
	if (guest_has(b, F_svm))
		copy(b, 0x8000000a);
	copy(b, 0x80000019);
	copy(b, 0x8000001a);
	leaf_amd_topology(b);
	l = add(b, 0x80000021, 0, false);
	l->eax = b->word[W_X21_EAX];
	l->ecx = b->word[W_X21_ECX];
}

static void write_leaves(struct build *b)
{
	b->out->n = 0;
	leaf_0_1(b);
	if (!is_amd(b)) {
		copy(b, 2);
		leaf_caches(b, 4);
	}
	leaf_6_7(b);
	leaf_topology(b);
	leaf_xsave(b);
	leaf_frequency(b);
	leaf_hypervisor(b);
	leaf_extended(b);
}

/* -------- all of it -------- */

static const char *check_topology(struct build *b, char *buf, size_t size)
{
	const struct x86_topology *t = &b->req->topology;

	if (!t->sockets || !t->cores || !t->threads || t->threads > 256 || t->cores > 4096 ||
		t->sockets > 4096)
		return say(buf, size, "the topology is not possible", "", "", "", "");
	b->thread_bits = bits_for(t->threads);
	b->core_bits = bits_for(t->cores);
	b->per_socket = t->threads * t->cores;
	set(b->word, &flags[F_ht], b->per_socket > 1);
	set(b->word, &flags[F_cmp_legacy], b->per_socket > 1 && is_amd(b));
	return NULL;
}

const char *x86_cpuid_build(const struct x86_cpu_model_request *req,
	const struct x86_cpuid *supported, uint32_t apic_id, struct x86_cpuid *out, char *buf,
	size_t buf_size)
{
	const struct x86_cpuid_leaf *l = x86_cpuid_find(supported, 0, 0);
	struct build b = { .req = req, .sup = supported, .out = out, .apic_id = apic_id };
	const char *e;

	while (b.model < MODEL_COUNT && !same(model_names[b.model], req->model))
		b.model++;
	if (b.model == MODEL_COUNT)
		return say(buf, buf_size, "unknown model '", req->model,
			"' (base, x86-64-v2, x86-64-v3, host, max)", "", "");
	if (!l)
		return say(buf, buf_size, "the engine offers no CPU at all", "", "", "", "");
	b.vendor = l->ebx;
	read_offer(&b);
	e = choose_flags(&b, buf, buf_size);
	if (!e)
		e = change_flags(&b, buf, buf_size);
	if (!e)
		e = settle_flags(&b, buf, buf_size);
	if (!e)
		e = check_topology(&b, buf, buf_size);
	if (e)
		return e;
	write_leaves(&b);
	return NULL;
}

/* -------- a saved guest's -------- */

static uint32_t reg_of(const struct x86_cpuid *c, uint32_t function, uint32_t index, uint8_t reg)
{
	const struct x86_cpuid_leaf *l = x86_cpuid_find(c, function, index);

	return l ? leaf_reg(l, reg) : 0;
}

static const char *const kvm_names[32] = {
	[0] = "kvmclock-old",
	[1] = "nopiodelay",
	[3] = "kvmclock",
	[4] = "asyncpf",
	[5] = "steal-time",
	[6] = "pv-eoi",
	[7] = "pv-unhalt",
	[9] = "pv-tlb-flush",
	[10] = "asyncpf-vmexit",
	[11] = "pv-ipi",
	[12] = "poll-control",
	[13] = "pv-sched-yield",
	[14] = "asyncpf-int",
	[24] = "kvmclock-stable",
};

static void put_name(struct text *t, const char *name)
{
	if (t->len)
		put(t, ", ");
	put(t, name);
}

static void put_missing(struct text *t, unsigned int word, uint32_t bits)
{
	for (size_t i = 0; i < N(flags); i++) {
		if (flags[i].word == word && bits >> flags[i].bit & 1) {
			put_name(t, flags[i].name);
			bits &= ~(1u << flags[i].bit);
		}
	}
	if (bits)
		put_name(t, "a feature without a name");
}

const char *x86_cpuid_lacks(
	const struct x86_cpuid *model, const struct x86_cpuid *saved, char *buf, size_t buf_size)
{
	struct text t = { buf, buf_size, 0 };

	for (unsigned int w = 0; w < W_COUNT; w++) {
		uint32_t f = words[w].function, i = words[w].index;
		uint8_t r = words[w].reg;
		uint32_t bits = reg_of(saved, f, i, r) & ~reg_of(model, f, i, r);

		if (bits)
			put_missing(&t, w, bits);
	}
	return t.len ? buf : NULL;
}

const char *x86_cpuid_missing(const struct x86_cpuid *saved, const struct x86_cpuid *supported,
	const struct x86_cpuid *built, char *buf, size_t buf_size)
{
	struct text t = { buf, buf_size, 0 };
	uint32_t bits;

	for (unsigned int w = 0; w < W_COUNT; w++) {
		uint32_t f = words[w].function, i = words[w].index;
		uint8_t r = words[w].reg;

		bits = reg_of(saved, f, i, r) & ~reg_of(supported, f, i, r) &
		       ~reg_of(built, f, i, r);
		if (bits)
			put_missing(&t, w, bits);
	}
	bits = reg_of(saved, 0x40000001, 0, EAX) & ~reg_of(supported, 0x40000001, 0, EAX) &
	       ~reg_of(built, 0x40000001, 0, EAX);
	for (unsigned int i = 0; i < 32; i++)
		if (bits >> i & 1)
			put_name(&t, kvm_names[i] ? kvm_names[i] : "a feature of KVM's");
	if (reg_of(saved, 0xd, 0, EAX) & ~reg_of(supported, 0xd, 0, EAX))
		put_name(&t, "a part of the XSAVE area");
	if ((reg_of(saved, 0x80000008, 0, EAX) & 0xff) >
		(reg_of(supported, 0x80000008, 0, EAX) & 0xff))
		put_name(&t, "as many bits of physical addresses");
	return t.len ? buf : NULL;
}
