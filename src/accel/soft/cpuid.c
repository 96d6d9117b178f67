// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cpuid - what CPUs the engine can be, and CPUID as the guest sees it.
 *
 * A feature is offered when its instructions are carried out here in software, or when they are
 * carried out by the host's CPU (vectors, x87, bit manipulation) and that has them. Everything else
 * about the CPU (vendor, name, caches) is the host's, as in the KVM engine: the models in
 * x86/cpuid.c are made the same way for both, and a saved VM finds the same CPU.
 *
 * Bits that say that the CPU does not suffer from a leak by speculation are software's: a guest's
 * instruction is interpreted and does not speculate, so there is nothing that its kernel could gain
 * by a workaround.
 */
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>
#include "accel/soft/jit.h"
#include "accel/soft/soft_int.h"
#include "base/types.h"

#define VENDOR_AMD   0x68747541 /* ebx of leaf 0 */
#define VENDOR_HYGON 0x6f677948
#define VENDOR_INTEL 0x756e6547

#define PHYS_BITS_MIN 36
#define PHYS_BITS_MAX 46
#define XSAVE_HEADER  (512 + 64)
#define PKRU_OFFSET   2688 /* Intel's */

#define KVM_CLOCKSOURCE	 BIT(0) /* features of leaf 0x40000001 */
#define KVM_NOP_IO_DELAY BIT(1)
#define KVM_CLOCKSOURCE2 BIT(3)
#define KVM_ASYNC_PF	 (BIT(4) | BIT(10) | BIT(14))
#define KVM_STEAL_TIME	 BIT(5)
#define KVM_PV_EOI	 BIT(6)
#define KVM_PV_UNHALT	 BIT(7)
#define KVM_PV_TLB_FLUSH BIT(9)
#define KVM_PV_SEND_IPI	 BIT(11)
#define KVM_POLL_CONTROL BIT(12)
#define KVM_SCHED_YIELD	 BIT(13)
#define KVM_CLOCK_STABLE BIT(24)

enum reg { EAX, EBX, ECX, EDX };

/* The words of features: what is done in software, and what the host's CPU does. */
static const struct word {
	uint32_t leaf, index;
	uint8_t reg;
	enum { ANY, INTEL, AMD } vendor;
	uint32_t software, native;
} words[] = {
	/* fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr
	 * sse sse2 ss */
	{ 1, 0, EDX, ANY, 0x0f8bfbff, 0 },
	/* pcid x2apic tsc_deadline_timer rdrand hypervisor; pni pclmulqdq ssse3 fma cx16 sse4_1
	 * sse4_2 movbe popcnt aes xsave avx f16c */
	{ 1, 0, ECX, ANY, BIT(17) | BIT(21) | BIT(24) | BIT(30) | BIT(31),
		BIT(0) | BIT(1) | BIT(9) | BIT(12) | BIT(13) | BIT(19) | BIT(20) | BIT(22) |
			BIT(23) | BIT(25) | BIT(26) | BIT(28) | BIT(29) },
	{ 6, 0, EAX, ANY, BIT(2), 0 }, /* arat */
	/* fsgsbase tsc_adjust smep erms invpcid rdseed smap clflushopt clwb; bmi1 avx2 bmi2 adx
	 * sha_ni */
	{ 7, 0, EBX, ANY,
		BIT(0) | BIT(1) | BIT(7) | BIT(9) | BIT(10) | BIT(18) | BIT(20) | BIT(23) | BIT(24),
		BIT(3) | BIT(5) | BIT(8) | BIT(19) | BIT(29) },
	/* umip pku la57 rdpid pks; gfni vaes vpclmulqdq */
	{ 7, 0, ECX, ANY, BIT(2) | BIT(3) | BIT(16) | BIT(22) | BIT(31),
		BIT(8) | BIT(9) | BIT(10) },
	{ 7, 0, EDX, ANY, BIT(4), 0 }, /* fsrm */
	/* spec_ctrl intel_stibp flush_l1d arch_capabilities intel_ssbd: see msr.c */
	{ 7, 0, EDX, INTEL, BIT(26) | BIT(27) | BIT(28) | BIT(29) | BIT(31), 0 },
	{ 0xd, 1, EAX, ANY, 0xf, 0 }, /* xsaveopt xsavec xgetbv1 xsaves */
	/* syscall nx pdpe1gb rdtscp lm; mmxext */
	{ 0x80000001, 0, EDX, ANY, BIT(11) | BIT(20) | BIT(26) | BIT(27) | BIT(29), BIT(22) },
	/* lahf_lm 3dnowprefetch; abm sse4a */
	{ 0x80000001, 0, ECX, ANY, BIT(0) | BIT(8), BIT(5) | BIT(6) },
	{ 0x80000001, 0, ECX, AMD, BIT(4) | BIT(22), 0 }, /* cr8_legacy topoext */
	{ 0x80000007, 0, EDX, ANY, BIT(8), 0 },		  /* nonstop_tsc */
	/* wbnoinvd ibpb ibrs stibp ssbd virt_ssbd ssb_no btc_no; KVM has virt_ssbd on all of AMD's CPUs */
	{ 0x80000008, 0, EBX, AMD,
		BIT(9) | BIT(12) | BIT(14) | BIT(15) | BIT(24) | BIT(25) | BIT(26) | BIT(29), 0 },
	/* no_nested_data_bp lfence_rdtsc null_sel_clr_base autoibrs sbpb srso_no
	 * srso_user_kernel_no */
	{ 0x80000021, 0, EAX, AMD, BIT(0) | BIT(2) | BIT(6) | BIT(8) | BIT(27) | BIT(29) | BIT(30),
		0 },
	{ 0x80000021, 0, ECX, AMD, BIT(1) | BIT(2), 0 }, /* tsa_sq_no tsa_l1_no */
};

/* Which CPUID bit brings the instructions of a decoder's feature. */
static const struct {
	uint32_t leaf;
	uint8_t index, reg, bit;
} features[X86_FEAT_COUNT] = {
	[X86_FEAT_MMX] = { 1, 0, EDX, 23 },
	[X86_FEAT_SSE] = { 1, 0, EDX, 25 },
	[X86_FEAT_SSE2] = { 1, 0, EDX, 26 },
	[X86_FEAT_SSE3] = { 1, 0, ECX, 0 },
	[X86_FEAT_SSSE3] = { 1, 0, ECX, 9 },
	[X86_FEAT_SSE4_1] = { 1, 0, ECX, 19 },
	[X86_FEAT_SSE4_2] = { 1, 0, ECX, 20 },
	[X86_FEAT_SSE4A] = { 0x80000001, 0, ECX, 6 },
	[X86_FEAT_POPCNT] = { 1, 0, ECX, 23 },
	[X86_FEAT_LZCNT] = { 0x80000001, 0, ECX, 5 },
	[X86_FEAT_BMI1] = { 7, 0, EBX, 3 },
	[X86_FEAT_BMI2] = { 7, 0, EBX, 8 },
	[X86_FEAT_ADX] = { 7, 0, EBX, 19 },
	[X86_FEAT_MOVBE] = { 1, 0, ECX, 22 },
	[X86_FEAT_AES] = { 1, 0, ECX, 25 },
	[X86_FEAT_PCLMUL] = { 1, 0, ECX, 1 },
	[X86_FEAT_SHA] = { 7, 0, EBX, 29 },
	[X86_FEAT_AVX] = { 1, 0, ECX, 28 },
	[X86_FEAT_AVX2] = { 7, 0, EBX, 5 },
	[X86_FEAT_FMA] = { 1, 0, ECX, 12 },
	[X86_FEAT_F16C] = { 1, 0, ECX, 29 },
	[X86_FEAT_VAES] = { 7, 0, ECX, 9 },
	[X86_FEAT_VPCLMUL] = { 7, 0, ECX, 10 },
	[X86_FEAT_GFNI] = { 7, 0, ECX, 8 },
	[X86_FEAT_FXSR] = { 1, 0, EDX, 24 },
	[X86_FEAT_XSAVE] = { 1, 0, ECX, 26 },
	[X86_FEAT_XSAVEOPT] = { 0xd, 1, EAX, 0 },
	[X86_FEAT_XSAVEC] = { 0xd, 1, EAX, 1 },
	[X86_FEAT_XSAVES] = { 0xd, 1, EAX, 3 },
	[X86_FEAT_CX8] = { 1, 0, EDX, 8 },
	[X86_FEAT_CX16] = { 1, 0, ECX, 13 },
	[X86_FEAT_RDTSCP] = { 0x80000001, 0, EDX, 27 },
	[X86_FEAT_RDRAND] = { 1, 0, ECX, 30 },
	[X86_FEAT_RDSEED] = { 7, 0, EBX, 18 },
	[X86_FEAT_RDPID] = { 7, 0, ECX, 22 },
	[X86_FEAT_FSGSBASE] = { 7, 0, EBX, 0 },
	[X86_FEAT_INVPCID] = { 7, 0, EBX, 10 },
	[X86_FEAT_SMAP] = { 7, 0, EBX, 20 },
	[X86_FEAT_PKU] = { 7, 0, ECX, 3 },
	[X86_FEAT_CLFLUSHOPT] = { 7, 0, EBX, 23 },
	[X86_FEAT_CLWB] = { 7, 0, EBX, 24 },
	[X86_FEAT_MONITOR] = { 1, 0, ECX, 3 },
	[X86_FEAT_SYSCALL] = { 0x80000001, 0, EDX, 11 },
	[X86_FEAT_PREFETCHW] = { 0x80000001, 0, ECX, 8 },
	[X86_FEAT_VMX] = { 1, 0, ECX, 5 },
	[X86_FEAT_SVM] = { 0x80000001, 0, ECX, 2 },
};

/* The bit of CR4 that a feature lets the guest set; PCE is there without one. */
static const struct {
	uint32_t leaf;
	uint8_t reg, bit;
	uint32_t cr4;
} cr4_bits[] = {
	{ 1, EDX, 1, X86_CR4_VME | X86_CR4_PVI },
	{ 1, EDX, 2, X86_CR4_DE },
	{ 1, EDX, 3, X86_CR4_PSE },
	{ 1, EDX, 4, X86_CR4_TSD },
	{ 1, EDX, 6, X86_CR4_PAE },
	{ 1, EDX, 7, X86_CR4_MCE },
	{ 1, EDX, 13, X86_CR4_PGE },
	{ 1, EDX, 24, X86_CR4_OSFXSR },
	{ 1, EDX, 25, X86_CR4_OSXMMEXCPT },
	{ 1, ECX, 17, X86_CR4_PCIDE },
	{ 1, ECX, 26, X86_CR4_OSXSAVE },
	{ 7, EBX, 0, X86_CR4_FSGSBASE },
	{ 7, EBX, 7, X86_CR4_SMEP },
	{ 7, EBX, 20, X86_CR4_SMAP },
	{ 7, ECX, 2, X86_CR4_UMIP },
	{ 7, ECX, 3, X86_CR4_PKE },
	{ 7, ECX, 16, X86_CR4_LA57 },
	{ 7, ECX, 31, X86_CR4_PKS },
};

static uint32_t *reg_of(struct x86_cpuid_leaf *l, uint8_t reg)
{
	return reg == EAX ? &l->eax : reg == EBX ? &l->ebx : reg == ECX ? &l->ecx : &l->edx;
}

/* The register of a leaf in @c, 0 when there is no such leaf. */
static uint32_t reg_in(const struct x86_cpuid *c, uint32_t leaf, uint32_t index, uint8_t reg)
{
	const struct x86_cpuid_leaf *l = x86_cpuid_find(c, leaf, index);

	return !l ? 0 : reg == EAX ? l->eax : reg == EBX ? l->ebx : reg == ECX ? l->ecx : l->edx;
}

static bool is_amd(uint32_t vendor)
{
	return vendor == VENDOR_AMD || vendor == VENDOR_HYGON;
}

/* -------- what is offered -------- */

static uint32_t host_max(uint32_t leaf)
{
	return __get_cpuid_max(leaf & 0x80000000, NULL);
}

/* The host's leaf; zeros when it has none. */
static struct x86_cpuid_leaf host_leaf(uint32_t leaf, uint32_t index, bool indexed)
{
	struct x86_cpuid_leaf l = { .function = leaf, .index = index, .indexed = indexed };
	uint32_t r[4];

	soft_host_cpuid(leaf, index, r);
	l.eax = r[EAX];
	l.ebx = r[EBX];
	l.ecx = r[ECX];
	l.edx = r[EDX];
	return l;
}

static struct x86_cpuid_leaf *add(struct x86_cpuid *c, struct x86_cpuid_leaf l)
{
	c->leaf[c->n] = l;
	return &c->leaf[c->n++];
}

static void add_host(struct x86_cpuid *c, uint32_t leaf)
{
	if (leaf <= host_max(leaf))
		add(c, host_leaf(leaf, 0, false));
}

static void add_caches(struct x86_cpuid *c, uint32_t leaf)
{
	for (uint32_t i = 0; i < 8; i++) {
		struct x86_cpuid_leaf l = host_leaf(leaf, i, true);

		if (!(l.eax & 0x1f))
			break;
		add(c, l);
	}
}

uint32_t soft_xsave_offset(unsigned int component)
{
	uint32_t ebx = host_leaf(0xd, component, true).ebx;

	if (component == 2)
		return XSAVE_HEADER;
	/* A host without protection keys, or not laid out for our area: the common place. */
	return ebx >= XSAVE_HEADER + 256 && ebx <= X86_XSAVE_MAX - 8 ? ebx : PKRU_OFFSET;
}

static void add_xsave(struct x86_cpuid *c, bool avx)
{
	struct x86_cpuid_leaf l = { .function = 0xd, .indexed = true };

	l.eax = BIT(0) | BIT(1) | (avx ? BIT(2) : 0) | BIT(9);
	l.ecx = soft_xsave_offset(9) + 8;
	l.ebx = XSAVE_HEADER;
	add(c, l);
	l = (struct x86_cpuid_leaf){ .function = 0xd, .index = 1, .indexed = true };
	add(c, l);
	l.index = 2;
	l.eax = 256;
	l.ebx = soft_xsave_offset(2);
	if (avx)
		add(c, l);
	l.index = 9;
	l.eax = 8;
	l.ebx = soft_xsave_offset(9);
	add(c, l);
}

static void add_basic(struct x86_cpuid *c, bool amd)
{
	struct x86_cpuid_leaf l = host_leaf(0, 0, false);

	l.eax = 0x16;
	add(c, l);
	l = host_leaf(1, 0, false);
	l.ebx = 8 << 8;
	l.ecx = l.edx = 0;
	add(c, l);
	if (!amd) {
		add_host(c, 2);
		add_caches(c, 4);
	}
	add(c, (struct x86_cpuid_leaf){ .function = 6 });
	add(c, (struct x86_cpuid_leaf){ .function = 7, .indexed = true });
}

static void add_hypervisor(struct x86_cpuid *c)
{
	add(c, (struct x86_cpuid_leaf){ .function = 0x40000000,
		       .eax = 0x40000001,
		       .ebx = 0x4b4d564b, /* KVMKVMKVM */
		       .ecx = 0x564b4d56,
		       .edx = 0x4d });
	add(c, (struct x86_cpuid_leaf){ .function = 0x40000001,
		       .eax = KVM_CLOCKSOURCE | KVM_NOP_IO_DELAY | KVM_CLOCKSOURCE2 | KVM_ASYNC_PF |
			      KVM_STEAL_TIME | KVM_PV_EOI | KVM_PV_UNHALT | KVM_PV_TLB_FLUSH |
			      KVM_PV_SEND_IPI | KVM_POLL_CONTROL | KVM_SCHED_YIELD |
			      KVM_CLOCK_STABLE });
}

static void add_extended(struct x86_cpuid *c, bool amd)
{
	struct x86_cpuid_leaf l = host_leaf(0x80000000, 0, false);
	uint32_t phys;

	l.eax = amd ? 0x80000021 : 0x80000008;
	add(c, l);
	l = host_leaf(0x80000001, 0, false);
	l.ebx = l.ecx = l.edx = 0;
	add(c, l);
	for (uint32_t f = 0x80000002; f <= 0x80000004; f++)
		add_host(c, f);
	if (amd)
		add_host(c, 0x80000005);
	add_host(c, 0x80000006);
	add(c, (struct x86_cpuid_leaf){ .function = 0x80000007 });
	phys = host_leaf(0x80000008, 0, false).eax & 0xff;
	phys = MIN(MAX(phys, PHYS_BITS_MIN), PHYS_BITS_MAX);
	add(c, (struct x86_cpuid_leaf){ .function = 0x80000008, .eax = 48 << 8 | phys });
	if (!amd)
		return;
	add_host(c, 0x80000019);
	add_host(c, 0x8000001a);
	add_caches(c, 0x8000001d);
	add(c, (struct x86_cpuid_leaf){ .function = 0x80000021 });
}

static void add_features(struct x86_cpuid *c, bool amd)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const struct word *w = &words[i];
		struct x86_cpuid_leaf host;

		if (w->vendor != ANY && amd != (w->vendor == AMD))
			continue;
		host = host_leaf(w->leaf, w->index, true);
		for (uint32_t k = 0; k < c->n; k++)
			if (c->leaf[k].function == w->leaf && c->leaf[k].index == w->index)
				*reg_of(&c->leaf[k], w->reg) |=
					w->software | (*reg_of(&host, w->reg) & w->native);
	}
}

/* Made once: CPUID is an exit, and slow, where the host is itself a guest. */
static struct x86_cpuid offer;
static pthread_once_t offer_once = PTHREAD_ONCE_INIT;

static void make_offer(void)
{
	bool amd = is_amd(host_leaf(0, 0, false).ebx);
	bool avx = soft_host_has_avx();

	add_basic(&offer, amd);
	add_xsave(&offer, avx);
	add_hypervisor(&offer);
	add_extended(&offer, amd);
	add_features(&offer, amd);
}

static const struct x86_cpuid *get_offer(void)
{
	pthread_once(&offer_once, make_offer);
	return &offer;
}

bool soft_cpuid_supported(struct accel_vm *vm, struct x86_cpuid *out, struct error *err)
{
	*out = *get_offer();
	return true;
}

/* -------- a vCPU's -------- */

void soft_vcpu_allow_all(struct soft_vcpu *v)
{
	memset(v->feature, 0xff, sizeof(v->feature));
	v->feature[X86_FEAT_VMX / 64] &= ~(1ull << X86_FEAT_VMX % 64);
	v->feature[X86_FEAT_SVM / 64] &= ~(1ull << X86_FEAT_SVM % 64);
	v->cr4_allowed = X86_CR4_PCE;
	for (size_t i = 0; i < ARRAY_SIZE(cr4_bits); i++)
		v->cr4_allowed |= cr4_bits[i].cr4;
	v->efer_allowed = X86_EFER_SCE | X86_EFER_LME | X86_EFER_NXE;
	v->xcr0_allowed = BIT(0) | BIT(1) | BIT(2) | BIT(9);
	v->phys_bits = 40;
	v->amd = is_amd(get_offer()->leaf[0].ebx);
}

/* Every feature that is done here must be one that can be: the models see to it, others may not. */
static bool possible(const struct x86_cpuid *c, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const struct word *w = &words[i];
		uint32_t bits = reg_in(c, w->leaf, w->index, w->reg) & w->native;
		uint32_t missing = bits & ~reg_in(get_offer(), w->leaf, w->index, w->reg);

		if (missing)
			return error_set(err,
				"the CPU model has features (CPUID %#x:%u, bits %#x) that this "
				"host's CPU has not",
				w->leaf, w->index, missing);
	}
	return true;
}

static void set_limits(struct soft_vcpu *v, const struct x86_cpuid *c)
{
	uint32_t edx = reg_in(c, 0x80000001, 0, EDX), phys;

	v->cr4_allowed = X86_CR4_PCE;
	for (size_t i = 0; i < ARRAY_SIZE(cr4_bits); i++)
		if (reg_in(c, cr4_bits[i].leaf, 0, cr4_bits[i].reg) >> cr4_bits[i].bit & 1)
			v->cr4_allowed |= cr4_bits[i].cr4;
	v->efer_allowed = (edx & BIT(11) ? X86_EFER_SCE : 0) | (edx & BIT(20) ? X86_EFER_NXE : 0) |
			  (edx & BIT(29) ? X86_EFER_LME : 0);
	if (reg_in(c, 0x80000021, 0, EAX) & BIT(8))
		v->efer_allowed |= BIT(21); /* AIBRSE: kept, without effect */
	v->xcr0_allowed = reg_in(c, 0xd, 0, EAX) & reg_in(get_offer(), 0xd, 0, EAX);
	v->xcr0_allowed |= BIT(0);
	phys = reg_in(c, 0x80000008, 0, EAX) & 0xff;
	v->phys_bits = phys < 32 ? PHYS_BITS_MIN : MIN(phys, 52);
}

bool soft_vcpu_set_cpuid(struct accel_vcpu *av, const struct x86_cpuid *c, struct error *err)
{
	struct soft_vcpu *v = to_soft_vcpu(av);
	bool amd = is_amd(reg_in(c, 0, 0, EBX));
	struct x86_cpuid *copy;

	if (c->n > X86_CPUID_MAX)
		return error_set(err, "the CPU model has too many CPUID leaves");
	if (!possible(c, err))
		return false;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return error_set(err, "out of memory");
	*copy = *c;
	free(v->cpuid);
	v->cpuid = copy;
	v->amd = amd;
	memset(v->feature, 0, sizeof(v->feature));
	for (unsigned int f = 1; f < X86_FEAT_VMX; f++)
		if (reg_in(c, features[f].leaf, features[f].index, features[f].reg) >>
				features[f].bit &
			1)
			v->feature[f / 64] |= 1ull << (f % 64);
	set_limits(v, c);
	soft_lapic_features(v);
	if (v->jit)
		v->jit->stale = true;
	return true;
}

/* Without a table of its own it is the CPU that is offered. */
static const struct x86_cpuid *table(const struct soft_vcpu *v)
{
	return v->cpuid ? v->cpuid : get_offer();
}

bool soft_kvm_feature(const struct soft_vcpu *v, unsigned int bit)
{
	return reg_in(table(v), 0x40000001, 0, EAX) >> bit & 1;
}

/* Bytes of an XSAVE area with components @mask; in the compacted format if @compact. */
static uint32_t area_size(const struct x86_cpuid *c, uint64_t mask, bool compact)
{
	uint32_t size = XSAVE_HEADER;

	for (uint32_t i = 2; i < 32; i++) {
		const struct x86_cpuid_leaf *l = x86_cpuid_find(c, 0xd, i);

		if (!(mask >> i & 1) || !l)
			continue;
		if (compact)
			size = (l->ecx & 2 ? ALIGN_UP(size, 64) : size) + l->eax;
		else
			size = MAX(size, l->ebx + l->eax);
	}
	return size;
}

/* What changes while the guest runs. */
static void dynamic(struct soft_vcpu *v, uint32_t leaf, uint32_t index, uint32_t out[4])
{
	if ((leaf == 1 || (leaf == 0x80000001 && v->amd)) &&
		!(soft_apic_base(v) & X86_APIC_BASE_ENABLE))
		out[EDX] &= ~BIT(9);
	if (leaf == 1) {
		out[ECX] &= ~BIT(27);
		out[ECX] |= v->cr4 & X86_CR4_OSXSAVE ? BIT(27) : 0;
	} else if (leaf == 7 && index == 0) {
		out[ECX] &= ~BIT(4);
		out[ECX] |= v->cr4 & X86_CR4_PKE ? BIT(4) : 0;
	} else if (leaf == 0xd && index == 0 && out[EAX]) {
		out[EBX] = area_size(table(v), v->xcr0, false);
	} else if (leaf == 0xd && index == 1 && out[EAX] & (BIT(1) | BIT(3))) {
		out[EBX] = area_size(table(v), v->xcr0, true);
	} else if (leaf == 0x80000008) {
		out[EAX] = (out[EAX] & ~0xff00u) | (v->cr4_allowed & X86_CR4_LA57 ? 57 : 48) << 8;
	}
}

/* A leaf that is not there. AMD's CPUs have zeros; Intel's, beyond the highest of the range, what is
 * in the highest basic one (SDM, CPUID). */
static const struct x86_cpuid_leaf *beyond(
	const struct soft_vcpu *v, uint32_t *leaf, uint32_t index)
{
	uint32_t range = *leaf >= 0x40000000 && *leaf < 0x50000000 ? *leaf & 0xffffff00
								   : *leaf & 0x80000000;
	const struct x86_cpuid_leaf *first = x86_cpuid_find(table(v), range, 0);

	if (v->amd || (first && *leaf <= first->eax))
		return NULL;
	*leaf = reg_in(table(v), 0, 0, EAX);
	return x86_cpuid_find(table(v), *leaf, index);
}

void soft_cpuid(struct soft_vcpu *v, uint32_t leaf, uint32_t index, uint32_t out[4])
{
	const struct x86_cpuid_leaf *l;

	memset(out, 0, 4 * sizeof(out[0]));
	l = x86_cpuid_find(table(v), leaf, index);
	if (!l && (leaf == 0xb || leaf == 0x1f) && x86_cpuid_find(table(v), leaf, 1)) {
		out[ECX] = index & 0xff;
		out[EDX] = reg_in(table(v), leaf, 1, EDX);
		return;
	}
	if (!l)
		l = beyond(v, &leaf, index);
	if (!l)
		return;
	out[EAX] = l->eax;
	out[EBX] = l->ebx;
	out[ECX] = l->ecx;
	out[EDX] = l->edx;
	dynamic(v, leaf, index, out);
}
