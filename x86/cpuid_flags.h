/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * cpuid_flags - the feature flags that guests may see, in one table: name, place, who gets it.
 * A bit that is not here is never shown to a guest, whatever the engine offers: it may have state
 * that is not saved, or need something of the VMM.
 */
#ifndef X86_CPUID_FLAGS_H
#define X86_CPUID_FLAGS_H

#include "x86/env.h"

/* Feature words: a register of a leaf. */
enum x86_cpuid_word {
	W_1_EDX,
	W_1_ECX,
	W_6_EAX,
	W_7_EBX,
	W_7_ECX,
	W_7_EDX,
	W_7_1_EAX,
	W_7_1_EDX,
	W_D_1_EAX,
	W_X1_EDX, /* 0x80000001 */
	W_X1_ECX,
	W_X7_EDX,  /* 0x80000007 */
	W_X8_EBX,  /* 0x80000008 */
	W_X21_EAX, /* 0x80000021 */
	W_COUNT,
};

enum x86_cpuid_class {
	C_V2,	/* part of every model; an engine without it cannot have any */
	C_V3,	/* part of x86-64-v3; in host and max where offered */
	C_ALSO, /* in every model where offered: speed, security, time-keeping */
	C_HOST, /* in host and max where offered */
	C_MAX,	/* in max where offered */
	C_ASK,	/* only by +flag */
	C_TOPO, /* set by the topology, not by the user */
};

struct x86_cpuid_flag {
	const char *name;
	uint8_t word, bit, cls;
};

static const struct x86_cpuid_flag flags[] = {
	{ "fpu", W_1_EDX, 0, C_V2 },
	{ "vme", W_1_EDX, 1, C_ALSO },
	{ "de", W_1_EDX, 2, C_V2 },
	{ "pse", W_1_EDX, 3, C_V2 },
	{ "tsc", W_1_EDX, 4, C_V2 },
	{ "msr", W_1_EDX, 5, C_V2 },
	{ "pae", W_1_EDX, 6, C_V2 },
	{ "mce", W_1_EDX, 7, C_ALSO },
	{ "cx8", W_1_EDX, 8, C_V2 },
	{ "apic", W_1_EDX, 9, C_V2 },
	{ "sep", W_1_EDX, 11, C_ALSO },
	{ "mtrr", W_1_EDX, 12, C_ALSO },
	{ "pge", W_1_EDX, 13, C_V2 },
	{ "mca", W_1_EDX, 14, C_ALSO },
	{ "cmov", W_1_EDX, 15, C_V2 },
	{ "pat", W_1_EDX, 16, C_V2 },
	{ "pse36", W_1_EDX, 17, C_ALSO },
	{ "clflush", W_1_EDX, 19, C_V2 },
	{ "mmx", W_1_EDX, 23, C_V2 },
	{ "fxsr", W_1_EDX, 24, C_V2 },
	{ "sse", W_1_EDX, 25, C_V2 },
	{ "sse2", W_1_EDX, 26, C_V2 },
	{ "ss", W_1_EDX, 27, C_HOST },
	{ "ht", W_1_EDX, 28, C_TOPO },

	{ "pni", W_1_ECX, 0, C_V2 },
	{ "pclmulqdq", W_1_ECX, 1, C_ALSO },
	{ "vmx", W_1_ECX, 5, C_ASK },
	{ "ssse3", W_1_ECX, 9, C_V2 },
	{ "fma", W_1_ECX, 12, C_V3 },
	{ "cx16", W_1_ECX, 13, C_V2 },
	{ "pcid", W_1_ECX, 17, C_ALSO },
	{ "sse4_1", W_1_ECX, 19, C_V2 },
	{ "sse4_2", W_1_ECX, 20, C_V2 },
	{ "x2apic", W_1_ECX, 21, C_ALSO },
	{ "movbe", W_1_ECX, 22, C_V3 },
	{ "popcnt", W_1_ECX, 23, C_V2 },
	{ "tsc_deadline_timer", W_1_ECX, 24, C_ALSO },
	{ "aes", W_1_ECX, 25, C_ALSO },
	{ "xsave", W_1_ECX, 26, C_V3 },
	{ "avx", W_1_ECX, 28, C_V3 },
	{ "f16c", W_1_ECX, 29, C_V3 },
	{ "rdrand", W_1_ECX, 30, C_ALSO },
	{ "hypervisor", W_1_ECX, 31, C_ALSO },

	{ "arat", W_6_EAX, 2, C_ALSO },

	{ "fsgsbase", W_7_EBX, 0, C_ALSO },
	{ "tsc_adjust", W_7_EBX, 1, C_ALSO },
	{ "bmi1", W_7_EBX, 3, C_V3 },
	{ "avx2", W_7_EBX, 5, C_V3 },
	{ "smep", W_7_EBX, 7, C_ALSO },
	{ "bmi2", W_7_EBX, 8, C_V3 },
	{ "erms", W_7_EBX, 9, C_ALSO },
	{ "invpcid", W_7_EBX, 10, C_ALSO },
	{ "avx512f", W_7_EBX, 16, C_HOST },
	{ "avx512dq", W_7_EBX, 17, C_HOST },
	{ "rdseed", W_7_EBX, 18, C_HOST },
	{ "adx", W_7_EBX, 19, C_HOST },
	{ "smap", W_7_EBX, 20, C_ALSO },
	{ "avx512ifma", W_7_EBX, 21, C_HOST },
	{ "clflushopt", W_7_EBX, 23, C_HOST },
	{ "clwb", W_7_EBX, 24, C_HOST },
	{ "avx512pf", W_7_EBX, 26, C_HOST },
	{ "avx512er", W_7_EBX, 27, C_HOST },
	{ "avx512cd", W_7_EBX, 28, C_HOST },
	{ "sha_ni", W_7_EBX, 29, C_HOST },
	{ "avx512bw", W_7_EBX, 30, C_HOST },
	{ "avx512vl", W_7_EBX, 31, C_HOST },

	{ "avx512vbmi", W_7_ECX, 1, C_HOST },
	{ "umip", W_7_ECX, 2, C_HOST },
	{ "pku", W_7_ECX, 3, C_HOST },
	{ "avx512_vbmi2", W_7_ECX, 6, C_HOST },
	{ "gfni", W_7_ECX, 8, C_HOST },
	{ "vaes", W_7_ECX, 9, C_HOST },
	{ "vpclmulqdq", W_7_ECX, 10, C_HOST },
	{ "avx512_vnni", W_7_ECX, 11, C_HOST },
	{ "avx512_bitalg", W_7_ECX, 12, C_HOST },
	{ "avx512_vpopcntdq", W_7_ECX, 14, C_HOST },
	{ "la57", W_7_ECX, 16, C_MAX },
	{ "rdpid", W_7_ECX, 22, C_HOST },
	{ "movdiri", W_7_ECX, 27, C_HOST },
	{ "movdir64b", W_7_ECX, 28, C_HOST },

	{ "avx512_4vnniw", W_7_EDX, 2, C_HOST },
	{ "avx512_4fmaps", W_7_EDX, 3, C_HOST },
	{ "fsrm", W_7_EDX, 4, C_HOST },
	{ "avx512_vp2intersect", W_7_EDX, 8, C_HOST },
	{ "md_clear", W_7_EDX, 10, C_ALSO },
	{ "serialize", W_7_EDX, 14, C_HOST },
	{ "avx512_fp16", W_7_EDX, 23, C_HOST },
	{ "spec_ctrl", W_7_EDX, 26, C_ALSO },
	{ "intel_stibp", W_7_EDX, 27, C_ALSO },
	{ "flush_l1d", W_7_EDX, 28, C_HOST },
	{ "arch_capabilities", W_7_EDX, 29, C_HOST },
	{ "intel_ssbd", W_7_EDX, 31, C_ALSO },

	{ "avx_vnni", W_7_1_EAX, 4, C_HOST },
	{ "avx512_bf16", W_7_1_EAX, 5, C_HOST },
	{ "fzrm", W_7_1_EAX, 10, C_HOST },
	{ "fsrs", W_7_1_EAX, 11, C_HOST },
	{ "fsrc", W_7_1_EAX, 12, C_HOST },
	{ "avx_ifma", W_7_1_EAX, 23, C_HOST },
	{ "avx_vnni_int8", W_7_1_EDX, 4, C_HOST },
	{ "avx_ne_convert", W_7_1_EDX, 5, C_HOST },
	{ "prefetchi", W_7_1_EDX, 14, C_HOST },

	{ "xsaveopt", W_D_1_EAX, 0, C_ALSO },
	{ "xsavec", W_D_1_EAX, 1, C_HOST },
	{ "xgetbv1", W_D_1_EAX, 2, C_HOST },
	{ "xsaves", W_D_1_EAX, 3, C_HOST },

	{ "syscall", W_X1_EDX, 11, C_V2 },
	{ "nx", W_X1_EDX, 20, C_V2 },
	{ "mmxext", W_X1_EDX, 22, C_HOST },
	{ "fxsr_opt", W_X1_EDX, 25, C_HOST },
	{ "pdpe1gb", W_X1_EDX, 26, C_ALSO },
	{ "rdtscp", W_X1_EDX, 27, C_ALSO },
	{ "lm", W_X1_EDX, 29, C_V2 },

	{ "lahf_lm", W_X1_ECX, 0, C_V2 },
	{ "cmp_legacy", W_X1_ECX, 1, C_TOPO },
	{ "svm", W_X1_ECX, 2, C_ASK },
	{ "cr8_legacy", W_X1_ECX, 4, C_ALSO },
	{ "abm", W_X1_ECX, 5, C_V3 },
	{ "sse4a", W_X1_ECX, 6, C_HOST },
	{ "misalignsse", W_X1_ECX, 7, C_HOST },
	{ "3dnowprefetch", W_X1_ECX, 8, C_ALSO },
	{ "xop", W_X1_ECX, 11, C_HOST },
	{ "fma4", W_X1_ECX, 16, C_HOST },
	{ "tbm", W_X1_ECX, 21, C_HOST },
	{ "topoext", W_X1_ECX, 22, C_ALSO },

	{ "nonstop_tsc", W_X7_EDX, 8, C_ALSO },

	{ "clzero", W_X8_EBX, 0, C_HOST },
	{ "xsaveerptr", W_X8_EBX, 2, C_HOST },
	{ "wbnoinvd", W_X8_EBX, 9, C_HOST },
	{ "ibpb", W_X8_EBX, 12, C_ALSO },
	{ "ibrs", W_X8_EBX, 14, C_ALSO },
	{ "stibp", W_X8_EBX, 15, C_ALSO },
	{ "ssbd", W_X8_EBX, 24, C_ALSO },
	{ "virt_ssbd", W_X8_EBX, 25, C_ALSO },
	{ "ssb_no", W_X8_EBX, 26, C_HOST },
	{ "btc_no", W_X8_EBX, 29, C_HOST },

	{ "no_nested_data_bp", W_X21_EAX, 0, C_HOST },
	{ "lfence_rdtsc", W_X21_EAX, 2, C_HOST },
	{ "null_sel_clr_base", W_X21_EAX, 6, C_HOST },
	{ "autoibrs", W_X21_EAX, 8, C_HOST },
	{ "sbpb", W_X21_EAX, 27, C_HOST },
	{ "srso_no", W_X21_EAX, 29, C_HOST },
	{ "srso_user_kernel_no", W_X21_EAX, 30, C_HOST },
};

/* What a flag is good for only together with another. */
static const struct {
	const char *flag, *needs;
} flag_needs[] = {
	{ "avx", "xsave" },
	{ "xsaveopt", "xsave" },
	{ "xsavec", "xsave" },
	{ "xgetbv1", "xsave" },
	{ "xsaves", "xsavec" },
	{ "xsaves", "xsave" },
	{ "pku", "xsave" },
	{ "avx2", "avx" },
	{ "fma", "avx" },
	{ "f16c", "avx" },
	{ "xop", "avx" },
	{ "fma4", "avx" },
	{ "vaes", "avx" },
	{ "vpclmulqdq", "avx" },
	{ "avx_vnni", "avx2" },
	{ "avx_ifma", "avx2" },
	{ "avx_vnni_int8", "avx2" },
	{ "avx_ne_convert", "avx2" },
	{ "avx512f", "avx2" },
	{ "avx512dq", "avx512f" },
	{ "avx512ifma", "avx512f" },
	{ "avx512pf", "avx512f" },
	{ "avx512er", "avx512f" },
	{ "avx512cd", "avx512f" },
	{ "avx512bw", "avx512f" },
	{ "avx512vl", "avx512f" },
	{ "avx512vbmi", "avx512bw" },
	{ "avx512_vbmi2", "avx512bw" },
	{ "avx512_vnni", "avx512f" },
	{ "avx512_bitalg", "avx512bw" },
	{ "avx512_vpopcntdq", "avx512f" },
	{ "avx512_4vnniw", "avx512f" },
	{ "avx512_4fmaps", "avx512f" },
	{ "avx512_vp2intersect", "avx512f" },
	{ "avx512_fp16", "avx512bw" },
	{ "avx512_bf16", "avx512bw" },
	{ "invpcid", "pcid" },
	{ "tsc_deadline_timer", "apic" },
	{ "x2apic", "apic" },
};

#endif
