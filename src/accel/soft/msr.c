// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * msr - model-specific registers, out of one table.
 *
 * What a system reads to find out about its CPU has a fixed value, what it may set is kept and, where
 * nothing hangs on it in an emulated CPU (caches, speculation), has no effect. Which registers there
 * are, and that some swallow what is written, is as systems find it on the vendors' CPUs and in other
 * virtual machines: a register that is not there is a #GP, which some systems do not survive.
 */
#include <string.h>
#include "accel/soft/pv.h"
#include "accel/soft/sys_int.h"
#include "base/log.h"

#define MC_BANKS 32 /* as KVM has them, for a system that has seen those */

/* Places in v->msr[]. */
enum {
	SLOT_MTRR_VAR = 0, /* 16: base and mask of 8 */
	SLOT_MTRR_FIX = SLOT_MTRR_VAR + 16,
	SLOT_MTRR_DEF = SLOT_MTRR_FIX + 11,
	SLOT_FEAT_CTL,
	SLOT_SPEC_CTRL,
	SLOT_VIRT_SPEC_CTRL,
	SLOT_MCG_STATUS,
	SLOT_MISC_ENABLE,
	SLOT_DEBUGCTL,
	SLOT_POWER_CTL,
	SLOT_MC_BANKS, /* 4 of each */
	SLOT_COUNT = SLOT_MC_BANKS + 4 * MC_BANKS
};
_Static_assert(SLOT_COUNT <= ARRAY_SIZE(((struct soft_vcpu *)0)->msr), "places for MSRs");

enum msr_kind {
	M_STORE, /* v->msr[place], or the field at @place */
	M_FIELD,
	M_CONST,   /* reads @arg; a write is #GP */
	M_IGNORE,  /* reads @arg; a write does nothing */
	M_COMMAND, /* a read is #GP, a write of bits of @arg does nothing */
	M_OWN,	   /* see own_read(), own_write() */
	M_CLOCK,   /* kvmclock's */
	M_PV,	   /* KVM's other ones: pv.c */
	M_APIC,
	M_DROP,	  /* #GP; but in a state that another engine saved it may be set, to no effect */
	M_ABSENT, /* #GP: systems look for it on any CPU */
};

/* What may be written. */
enum msr_check {
	V_MASK,	 /* bits of @arg, others #GP */
	V_LOW32, /* the upper half is dropped */
	V_CANON, /* a canonical address */
	V_PAT,
	V_MTRR_BASE, /* even: base, odd: mask */
	V_MTRR_FIX,
	V_MTRR_DEF,
	V_MC_BANK, /* control, status, address, miscellaneous */
};

#define F_STATE BIT(0) /* saved */
#define F_INTEL BIT(1) /* there on CPUs as Intel's only */
#define F_AMD	BIT(2)

struct msr_row {
	uint32_t first, last;
	uint8_t kind, check, flags;
	uint16_t place; /* v->msr[]'s, or offset in struct soft_vcpu */
	uint64_t arg;
};

#define FIELD(name) offsetof(struct soft_vcpu, name)
#define ALL	    UINT64_MAX

/* Numbers of Intel's and of both vendors' ("Architectural MSRs"). */
static const struct msr_row rows[] = {
	{ 0x0, 0x1, M_CONST },		   /* P5_MC_ADDR, P5_MC_TYPE */
	{ 0x10, 0x10, M_OWN, 0, F_STATE }, /* TSC */
	{ 0x11, 0x12, M_CLOCK, 0, F_STATE },
	{ 0x17, 0x17, M_CONST, 0, F_INTEL }, /* PLATFORM_ID */
	{ 0x1b, 0x1b, M_APIC },
	{ 0x2a, 0x2a, M_CONST, 0, F_INTEL },		  /* EBL_CR_POWERON */
	{ 0x33, 0x33, M_ABSENT },			  /* TEST_CTRL */
	{ 0x34, 0x34, M_CONST, 0, F_INTEL },		  /* SMI_COUNT */
	{ 0x3a, 0x3a, M_STORE, V_MASK, F_STATE | F_INTEL, /* FEATURE_CONTROL */
		SLOT_FEAT_CTL, 0x17ff07 },
	{ 0x3b, 0x3b, M_OWN, 0, F_STATE }, /* TSC_ADJUST */
	{ 0x48, 0x48, M_STORE, V_MASK, F_STATE, SLOT_SPEC_CTRL, 0x5f7 },
	{ 0x49, 0x49, M_COMMAND, .arg = 0x81 }, /* PRED_CMD */
	{ 0x4e, 0x4f, M_ABSENT },		/* PPIN */
	{ 0x79, 0x79, M_COMMAND, .arg = ALL },	/* microcode update */
	{ 0x8b, 0x8b, M_OWN },			/* microcode revision */
	{ 0x9e, 0x9e, M_DROP },			/* SMBASE */
	{ 0xce, 0xce, M_CONST, 0, F_INTEL },	/* PLATFORM_INFO */
	{ 0xe1, 0xe1, M_DROP },			/* UMWAIT_CONTROL */
	{ 0xe7, 0xe8, M_ABSENT },		/* MPERF, APERF */
	{ 0xfe, 0xfe, M_CONST, .arg = 0x508 },	/* MTRRCAP: 8 variable, fixed, write-combining */
	{ 0x10a, 0x10a, M_OWN },		/* ARCH_CAPABILITIES */
	{ 0x10b, 0x10b, M_COMMAND, .arg = 1 },	/* FLUSH_CMD */
	{ 0x122, 0x122, M_DROP },		/* TSX_CTRL */
	{ 0x140, 0x140, M_IGNORE, 0, F_INTEL }, /* MISC_FEATURES_ENABLES */
	{ 0x174, 0x174, M_FIELD, V_LOW32, F_STATE, FIELD(sysenter_cs) },
	{ 0x175, 0x175, M_FIELD, V_CANON, F_STATE, FIELD(sysenter_esp) },
	{ 0x176, 0x176, M_FIELD, V_CANON, F_STATE, FIELD(sysenter_eip) },
	{ 0x179, 0x179, M_CONST, .arg = MC_BANKS }, /* MCG_CAP */
	{ 0x17a, 0x17a, M_STORE, V_MASK, F_STATE, SLOT_MCG_STATUS, 0xf },
	{ 0x17b, 0x17b, M_DROP },		/* MCG_CTL */
	{ 0x198, 0x199, M_IGNORE, 0, F_INTEL }, /* PERF_STATUS, PERF_CTL */
	{ 0x1a0, 0x1a0, M_STORE, V_MASK, F_STATE, SLOT_MISC_ENABLE, ALL },
	{ 0x1a2, 0x1a7, M_ABSENT },
	{ 0x1ad, 0x1b2, M_ABSENT },
	{ 0x1c4, 0x1c5, M_DROP }, /* XFD */
	{ 0x1d9, 0x1d9, M_STORE, V_MASK, F_STATE, SLOT_DEBUGCTL, 3 },
	{ 0x1db, 0x1de, M_CONST }, /* last branches */
	{ 0x1fc, 0x1fc, M_STORE, V_MASK, F_STATE | F_INTEL, SLOT_POWER_CTL, ALL },
	{ 0x200, 0x20f, M_STORE, V_MTRR_BASE, F_STATE, SLOT_MTRR_VAR },
	{ 0x250, 0x250, M_STORE, V_MTRR_FIX, F_STATE, SLOT_MTRR_FIX },
	{ 0x258, 0x259, M_STORE, V_MTRR_FIX, F_STATE, SLOT_MTRR_FIX + 1 },
	{ 0x268, 0x26f, M_STORE, V_MTRR_FIX, F_STATE, SLOT_MTRR_FIX + 3 },
	{ 0x277, 0x277, M_FIELD, V_PAT, F_STATE, FIELD(pat) },
	{ 0x2ff, 0x2ff, M_STORE, V_MTRR_DEF, F_STATE, SLOT_MTRR_DEF },
	{ 0x345, 0x345, M_ABSENT }, /* PERF_CAPABILITIES */
	{ 0x3f0, 0x3ff, M_ABSENT },
	{ 0x400, 0x400 + 4 * MC_BANKS - 1, M_STORE, V_MC_BANK, 0, SLOT_MC_BANKS },
	{ 0x480, 0x491, M_ABSENT },
	{ 0x600, 0x6bf, M_ABSENT }, /* power and residency */
	{ 0x6e0, 0x6e0, M_APIC, 0, F_STATE },
	{ X86_MSR_PKRS, X86_MSR_PKRS, M_OWN, 0, F_STATE },
	{ 0x800, 0x8ff, M_APIC },
	{ 0xd90, 0xd90, M_DROP }, /* BNDCFGS */
	{ 0xda0, 0xda0, M_OWN, 0, F_STATE },
	{ 0x4b564d00, 0x4b564d01, M_CLOCK, 0, F_STATE },
	{ MSR_KVM_ASYNC_PF, MSR_KVM_POLL_CONTROL, M_PV, 0, F_STATE },
	{ MSR_KVM_ASYNC_PF_INT, MSR_KVM_ASYNC_PF_INT, M_PV, 0, F_STATE },
	{ MSR_KVM_ASYNC_PF_ACK, MSR_KVM_ASYNC_PF_ACK, M_PV },
	{ 0xc0000080, 0xc0000080, M_OWN }, /* EFER */
	{ 0xc0000081, 0xc0000081, M_FIELD, V_MASK, F_STATE, FIELD(star), ALL },
	{ 0xc0000082, 0xc0000082, M_FIELD, V_CANON, F_STATE, FIELD(lstar) },
	{ 0xc0000083, 0xc0000083, M_FIELD, V_CANON, F_STATE, FIELD(cstar) },
	{ 0xc0000084, 0xc0000084, M_FIELD, V_LOW32, F_STATE, FIELD(sfmask) },
	{ 0xc0000100, 0xc0000101, M_OWN }, /* FS, GS base: saved with the segments */
	{ 0xc0000102, 0xc0000102, M_FIELD, V_CANON, F_STATE, FIELD(kernel_gs_base) },
	{ 0xc0000103, 0xc0000103, M_FIELD, V_LOW32, F_STATE, FIELD(tsc_aux) },
	{ 0xc0000104, 0xc0000104, M_DROP },		/* TSC_RATIO */
	{ 0xc0010000, 0xc0010007, M_IGNORE, 0, F_AMD }, /* performance counters */
	{ 0xc0010010, 0xc0010010, M_IGNORE, 0, F_AMD }, /* SYSCFG */
	{ 0xc0010015, 0xc0010015, M_IGNORE, 0, F_AMD,	/* HWCR: TscFreqSel */
		.arg = BIT(24) },
	{ 0xc0010016, 0xc001001a, M_IGNORE, 0, F_AMD },		     /* IORRs, TOP_MEM */
	{ 0xc001001d, 0xc001001d, M_IGNORE, 0, F_AMD },		     /* TOP_MEM2 */
	{ 0xc001001f, 0xc001001f, M_IGNORE, 0, F_AMD },		     /* NB_CFG */
	{ 0xc0010020, 0xc0010020, M_COMMAND, 0, F_AMD, .arg = ALL }, /* microcode update */
	{ 0xc0010055, 0xc0010055, M_IGNORE, 0, F_AMD },		     /* interrupt pending message */
	{ 0xc0010058, 0xc0010058, M_IGNORE, 0, F_AMD },		     /* MMIO configuration base */
	{ 0xc0010061, 0xc001006b, M_ABSENT, 0, F_AMD },		     /* P-states */
	{ 0xc0010111, 0xc0010113, M_IGNORE, 0, F_AMD },		     /* SMM base, TSEG */
	{ 0xc0010114, 0xc0010114, M_CONST, 0, F_AMD, .arg = BIT(4) }, /* VM_CR: SVM is off */
	{ 0xc0010117, 0xc0010117, M_DROP },			      /* VM_HSAVE_PA */
	{ 0xc001011f, 0xc001011f, M_STORE, V_MASK, F_STATE | F_AMD,   /* VIRT_SPEC_CTRL: SSBD */
		SLOT_VIRT_SPEC_CTRL, BIT(2) },
	{ 0xc0010140, 0xc0010141, M_CONST, 0, F_AMD },	/* OSVW */
	{ 0xc0010200, 0xc001020b, M_IGNORE, 0, F_AMD }, /* performance counters */
	{ 0xc0010290, 0xc00102ff, M_ABSENT, 0, F_AMD },
	{ 0xc0011004, 0xc0011005, M_ABSENT, 0, F_AMD },
	{ 0xc0011020, 0xc0011020, M_ABSENT, 0, F_AMD }, /* LS_CFG */
	{ 0xc0011021, 0xc0011023, M_IGNORE, 0, F_AMD }, /* IC, DC, BU_CFG */
	{ 0xc0011029, 0xc0011029, M_IGNORE, 0, F_AMD,	/* DE_CFG: LFENCE is serializing */
		.arg = BIT(1) },
	{ 0xc001102a, 0xc001102a, M_IGNORE, 0, F_AMD }, /* BU_CFG2 */
	{ 0xc00110e2, 0xc00110e3, M_ABSENT, 0, F_AMD },
};

/* The other vendor's are looked for too. */
static const struct msr_row absent = { .kind = M_ABSENT };

static const struct msr_row *find(const struct soft_vcpu *v, uint32_t index)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (index <= rows[i].last && index >= rows[i].first) {
			uint8_t f = rows[i].flags;

			if ((f & F_AMD && !v->amd) || (f & F_INTEL && v->amd))
				return &absent;
			return &rows[i];
		}
	return NULL;
}

enum reg { EAX, EBX, ECX, EDX };

static bool cpuid_bit(const struct soft_vcpu *v, uint32_t leaf, enum reg reg, unsigned int bit)
{
	const struct x86_cpuid_leaf *l = v->cpuid ? x86_cpuid_find(v->cpuid, leaf, 0) : NULL;

	if (!v->cpuid)
		return true;
	return l && (&l->eax)[reg] >> bit & 1;
}

static uint64_t *place(struct soft_vcpu *v, const struct msr_row *r, uint32_t index)
{
	if (r->kind == M_FIELD)
		return (uint64_t *)((char *)v + r->place);
	return &v->msr[r->place + (index - r->first)];
}

/* Registers that go with a CPUID bit. */
static bool offered(const struct soft_vcpu *v, uint32_t index)
{
	switch (index) {
	case 0x48: /* SPEC_CTRL: IBRS, STIBP, SSBD of either vendor */
		return cpuid_bit(v, 7, EDX, 26) || cpuid_bit(v, 7, EDX, 27) ||
		       cpuid_bit(v, 7, EDX, 31) || cpuid_bit(v, 0x80000008, EBX, 14) ||
		       cpuid_bit(v, 0x80000008, EBX, 15) || cpuid_bit(v, 0x80000008, EBX, 24);
	case 0xc001011f: /* VIRT_SPEC_CTRL */
		return cpuid_bit(v, 0x80000008, EBX, 25);
	case 0x49: /* PRED_CMD */
		return cpuid_bit(v, 7, EDX, 26) || cpuid_bit(v, 0x80000008, EBX, 12);
	case 0x10a: /* ARCH_CAPABILITIES */
		return cpuid_bit(v, 7, EDX, 29);
	case 0x10b: /* FLUSH_CMD */
		return cpuid_bit(v, 7, EDX, 28);
	case X86_MSR_TSC_ADJUST:
		return cpuid_bit(v, 7, EBX, 1);
	case X86_MSR_PKRS:
		return cpuid_bit(v, 7, ECX, 31);
	case X86_MSR_TSC_AUX:
		return soft_has(v, X86_FEAT_RDTSCP) || soft_has(v, X86_FEAT_RDPID);
	case X86_MSR_XSS:
		return soft_has(v, X86_FEAT_XSAVES);
	}
	return soft_pv_offered(v, index);
}

/* -------- those with a mind of their own -------- */

/* An interpreter leaks nothing by speculation of the guest's own code: not by the loads of a faulting
 * instruction (RDCL, MDS, TAA, PSCHANGE, SBDR, FBSDP, PSDP, GDS, RFDS), not past a store (SSB), not by
 * branches (IBRS_ALL, BHI, PBRSB, ITS). */
#define ARCH_CAPABILITIES                                                                     \
	(1ull << 0 | 1ull << 1 | 1ull << 3 | 1ull << 4 | 1ull << 5 | 1ull << 6 | 1ull << 8 |  \
		1ull << 13 | 1ull << 14 | 1ull << 15 | 1ull << 20 | 1ull << 24 | 1ull << 26 | \
		1ull << 27 | 1ull << 62)

static bool own_read(struct soft_vcpu *v, uint32_t index, uint64_t *value)
{
	switch (index) {
	case X86_MSR_TSC:
		*value = soft_tsc_read(v);
		return true;
	case X86_MSR_TSC_ADJUST:
		*value = v->tsc_adjust;
		return true;
	case 0x8b:
		*value = v->amd ? 0x01000065 : 1ull << 32;
		return true;
	case 0x10a:
		*value = ARCH_CAPABILITIES;
		return true;
	case X86_MSR_XSS:
		*value = 0;
		return true;
	case X86_MSR_PKRS:
		*value = v->pkrs;
		return true;
	case X86_MSR_EFER:
		*value = v->efer;
		return true;
	case X86_MSR_FS_BASE:
	case X86_MSR_GS_BASE:
		*value = v->seg[X86_FS + (index - X86_MSR_FS_BASE)].base;
		return true;
	}
	return false;
}

static bool write_efer(struct soft_vcpu *v, uint64_t value)
{
	uint64_t changed;

	if (value & ~(v->efer_allowed | X86_EFER_LMA))
		return false;
	value = (value & ~(uint64_t)X86_EFER_LMA) | (v->efer & X86_EFER_LMA);
	changed = v->efer ^ value;
	if (changed & X86_EFER_LME && v->cr0 & X86_CR0_PG)
		return false;
	v->efer = value;
	if (changed & X86_EFER_NXE)
		soft_tlb_flush(v, true);
	if (changed)
		soft_mode_changed(v);
	return true;
}

/* A guest that sets its counter moves TSC_ADJUST by the same, and the other way round (SDM, Invariant
 * Time-Keeping: IA32_TSC_ADJUST). A state that is restored says both. */
static bool write_tsc(struct soft_vcpu *v, uint64_t value, bool restore)
{
	int64_t offset = v->tsc_offset;
	uint64_t adjust = v->tsc_adjust;

	soft_tsc_write(v, value);
	v->tsc_adjust = restore ? adjust : adjust + (uint64_t)v->tsc_offset - (uint64_t)offset;
	return true;
}

static bool write_tsc_adjust(struct soft_vcpu *v, uint64_t value, bool restore)
{
	if (!restore)
		soft_tsc_offset_set(v, (int64_t)((uint64_t)v->tsc_offset + value - v->tsc_adjust));
	v->tsc_adjust = value;
	return true;
}

static bool own_write(struct soft_vcpu *v, uint32_t index, uint64_t value, bool restore)
{
	switch (index) {
	case X86_MSR_TSC:
		return write_tsc(v, value, restore);
	case X86_MSR_TSC_ADJUST:
		return write_tsc_adjust(v, value, restore);
	case 0x8b: /* written before it is read (SDM, Determining the Signature) */
		return !restore;
	case X86_MSR_XSS:
		return !value;
	case X86_MSR_PKRS:
		if (value >> 32)
			return false;
		v->pkrs = value;
		soft_tlb_flush(v, true); /* its entries know what the keys allowed */
		return true;
	case X86_MSR_EFER:
		return write_efer(v, value);
	case X86_MSR_FS_BASE:
	case X86_MSR_GS_BASE: {
		enum x86_seg s = X86_FS + (index - X86_MSR_FS_BASE);

		if (!soft_canonical_base(v, value))
			return false;
		v->seg[s].base = value;
		soft_seg_changed(v, s);
		return true;
	}
	}
	return false;
}

/* -------- values -------- */

static bool memory_type(uint8_t t) /* UC WC WT WP WB */
{
	return t == 0 || t == 1 || (t >= 4 && t <= 6);
}

static bool eight_types(uint64_t value, bool pat)
{
	for (int i = 0; i < 64; i += 8) {
		uint8_t t = value >> i;

		if (!memory_type(t) && !(pat && t == 7)) /* UC- */
			return false;
	}
	return true;
}

/* May @value be written? It may get changed on the way. */
static bool check(
	const struct soft_vcpu *v, const struct msr_row *r, uint32_t index, uint64_t *value)
{
	uint64_t x = *value, beyond = v->phys_bits < 64 ? ~0ull << v->phys_bits : 0;

	switch ((enum msr_check)r->check) {
	case V_MASK:
		return !(x & ~r->arg);
	case V_LOW32:
		*value = (uint32_t)x;
		return true;
	case V_CANON:
		return soft_canonical_base(v, x);
	case V_PAT:
		return eight_types(x, true);
	case V_MTRR_BASE:
		if (index & 1)
			return !(x & (beyond | 0x7ff));
		return !(x & (beyond | 0xf00)) && memory_type(x);
	case V_MTRR_FIX:
		return eight_types(x, false);
	case V_MTRR_DEF:
		return !(x & ~0xcffull) && memory_type(x);
	case V_MC_BANK:
		if ((index & 3) == 0)
			return x == 0 || x == ALL;
		return (index & 3) != 1 || x == 0;
	}
	return false;
}

/* -------- all of it -------- */

bool soft_msr_read(struct soft_vcpu *v, uint32_t index, uint64_t *value)
{
	const struct msr_row *r = find(v, index);

	if (r && !offered(v, index))
		return false;
	if (!r) {
		log_guest("soft", "CPU %u reads unknown MSR %#x", v->index, index);
		return false;
	}
	switch ((enum msr_kind)r->kind) {
	case M_STORE:
	case M_FIELD:
		*value = *place(v, r, index);
		return true;
	case M_CONST:
	case M_IGNORE:
		*value = r->arg;
		return true;
	case M_OWN:
		return own_read(v, index, value);
	case M_CLOCK:
		return soft_kvmclock_msr(v, index, value, false);
	case M_PV:
		return soft_pv_read(v, index, value);
	case M_APIC:
		return soft_apic_msr(v, index, value, false);
	case M_COMMAND:
	case M_DROP:
	case M_ABSENT:
		break;
	}
	return false;
}

static bool write_msr(
	struct soft_vcpu *v, const struct msr_row *r, uint32_t index, uint64_t value, bool restore)
{
	switch ((enum msr_kind)r->kind) {
	case M_STORE:
	case M_FIELD:
		if (!check(v, r, index, &value))
			return false;
		*place(v, r, index) = value;
		return true;
	case M_CONST:
		return restore && value == r->arg;
	case M_IGNORE:
		return true;
	case M_COMMAND:
		return !restore && !(value & ~r->arg);
	case M_OWN:
		return own_write(v, index, value, restore);
	case M_CLOCK:
		return soft_kvmclock_msr(v, index, &value, true);
	case M_PV:
		return soft_pv_write(v, index, value, restore);
	case M_APIC:
		return soft_apic_msr(v, index, &value, true);
	case M_DROP:
		return restore;
	case M_ABSENT:
		break;
	}
	return false;
}

bool soft_msr_write(struct soft_vcpu *v, uint32_t index, uint64_t value)
{
	const struct msr_row *r = find(v, index);

	if (r)
		return offered(v, index) && write_msr(v, r, index, value, false);
	log_guest("soft", "CPU %u writes unknown MSR %#x", v->index, index);
	return false;
}

bool soft_msr_restore(struct soft_vcpu *v, uint32_t index, uint64_t value)
{
	const struct msr_row *r = find(v, index);

	return r && offered(v, index) && write_msr(v, r, index, value, true);
}

bool soft_msr_state(struct soft_vcpu *v, unsigned int i, uint32_t *index)
{
	for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
		uint32_t n = rows[k].last - rows[k].first + 1;

		if (!(rows[k].flags & F_STATE) || find(v, rows[k].first) != &rows[k])
			continue;
		if (i < n) {
			*index = rows[k].first + i;
			return true;
		}
		i -= n;
	}
	return false;
}
