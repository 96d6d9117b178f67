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
	W_X21_ECX,
	W_COUNT,
};

enum x86_cpuid_class {
	C_V2,	/* part of every model but base; an engine without it cannot have any */
	C_V3,	/* part of x86-64-v3; in host and max where offered */
	C_ALSO, /* in every model but base where offered: speed, security, time-keeping */
	C_HOST, /* in host and max where offered */
	C_MAX,	/* in max where offered */
	C_ASK,	/* only by +flag */
	C_TOPO, /* set by the topology, not by the user */
};

/* Name (Linux's /proc/cpuinfo spelling), word, bit, class. */
/* clang-format off */
#define X86_CPUID_FLAGS(X)				\
	X(fpu, W_1_EDX, 0, C_V2)			\
	X(vme, W_1_EDX, 1, C_ALSO)			\
	X(de, W_1_EDX, 2, C_V2)				\
	X(pse, W_1_EDX, 3, C_V2)			\
	X(tsc, W_1_EDX, 4, C_V2)			\
	X(msr, W_1_EDX, 5, C_V2)			\
	X(pae, W_1_EDX, 6, C_V2)			\
	X(mce, W_1_EDX, 7, C_ALSO)			\
	X(cx8, W_1_EDX, 8, C_V2)			\
	X(apic, W_1_EDX, 9, C_V2)			\
	X(sep, W_1_EDX, 11, C_ALSO)			\
	X(mtrr, W_1_EDX, 12, C_ALSO)			\
	X(pge, W_1_EDX, 13, C_V2)			\
	X(mca, W_1_EDX, 14, C_ALSO)			\
	X(cmov, W_1_EDX, 15, C_V2)			\
	X(pat, W_1_EDX, 16, C_V2)			\
	X(pse36, W_1_EDX, 17, C_ALSO)			\
	X(clflush, W_1_EDX, 19, C_V2)			\
	X(mmx, W_1_EDX, 23, C_V2)			\
	X(fxsr, W_1_EDX, 24, C_V2)			\
	X(sse, W_1_EDX, 25, C_V2)			\
	X(sse2, W_1_EDX, 26, C_V2)			\
	X(ss, W_1_EDX, 27, C_HOST)			\
	X(ht, W_1_EDX, 28, C_TOPO)			\
							\
	X(pni, W_1_ECX, 0, C_V2)			\
	X(pclmulqdq, W_1_ECX, 1, C_ALSO)		\
	X(vmx, W_1_ECX, 5, C_ASK)			\
	X(ssse3, W_1_ECX, 9, C_V2)			\
	X(fma, W_1_ECX, 12, C_V3)			\
	X(cx16, W_1_ECX, 13, C_V2)			\
	X(pcid, W_1_ECX, 17, C_ALSO)			\
	X(sse4_1, W_1_ECX, 19, C_V2)			\
	X(sse4_2, W_1_ECX, 20, C_V2)			\
	X(x2apic, W_1_ECX, 21, C_ALSO)			\
	X(movbe, W_1_ECX, 22, C_V3)			\
	X(popcnt, W_1_ECX, 23, C_V2)			\
	X(tsc_deadline_timer, W_1_ECX, 24, C_ALSO)	\
	X(aes, W_1_ECX, 25, C_ALSO)			\
	X(xsave, W_1_ECX, 26, C_V3)			\
	X(avx, W_1_ECX, 28, C_V3)			\
	X(f16c, W_1_ECX, 29, C_V3)			\
	X(rdrand, W_1_ECX, 30, C_ALSO)			\
	X(hypervisor, W_1_ECX, 31, C_ALSO)		\
							\
	X(arat, W_6_EAX, 2, C_ALSO)			\
							\
	X(fsgsbase, W_7_EBX, 0, C_ALSO)			\
	X(tsc_adjust, W_7_EBX, 1, C_ALSO)		\
	X(bmi1, W_7_EBX, 3, C_V3)			\
	X(avx2, W_7_EBX, 5, C_V3)			\
	X(smep, W_7_EBX, 7, C_ALSO)			\
	X(bmi2, W_7_EBX, 8, C_V3)			\
	X(erms, W_7_EBX, 9, C_ALSO)			\
	X(invpcid, W_7_EBX, 10, C_ALSO)			\
	X(avx512f, W_7_EBX, 16, C_HOST)			\
	X(avx512dq, W_7_EBX, 17, C_HOST)		\
	X(rdseed, W_7_EBX, 18, C_HOST)			\
	X(adx, W_7_EBX, 19, C_HOST)			\
	X(smap, W_7_EBX, 20, C_ALSO)			\
	X(avx512ifma, W_7_EBX, 21, C_HOST)		\
	X(clflushopt, W_7_EBX, 23, C_HOST)		\
	X(clwb, W_7_EBX, 24, C_HOST)			\
	X(avx512pf, W_7_EBX, 26, C_HOST)		\
	X(avx512er, W_7_EBX, 27, C_HOST)		\
	X(avx512cd, W_7_EBX, 28, C_HOST)		\
	X(sha_ni, W_7_EBX, 29, C_HOST)			\
	X(avx512bw, W_7_EBX, 30, C_HOST)		\
	X(avx512vl, W_7_EBX, 31, C_HOST)		\
							\
	X(avx512vbmi, W_7_ECX, 1, C_HOST)		\
	X(umip, W_7_ECX, 2, C_HOST)			\
	X(pku, W_7_ECX, 3, C_HOST)			\
	X(avx512_vbmi2, W_7_ECX, 6, C_HOST)		\
	X(gfni, W_7_ECX, 8, C_HOST)			\
	X(vaes, W_7_ECX, 9, C_HOST)			\
	X(vpclmulqdq, W_7_ECX, 10, C_HOST)		\
	X(avx512_vnni, W_7_ECX, 11, C_HOST)		\
	X(avx512_bitalg, W_7_ECX, 12, C_HOST)		\
	X(avx512_vpopcntdq, W_7_ECX, 14, C_HOST)	\
	X(la57, W_7_ECX, 16, C_MAX)			\
	X(rdpid, W_7_ECX, 22, C_HOST)			\
	X(movdiri, W_7_ECX, 27, C_HOST)			\
	X(movdir64b, W_7_ECX, 28, C_HOST)		\
	X(pks, W_7_ECX, 31, C_MAX)			\
							\
	X(avx512_4vnniw, W_7_EDX, 2, C_HOST)		\
	X(avx512_4fmaps, W_7_EDX, 3, C_HOST)		\
	X(fsrm, W_7_EDX, 4, C_HOST)			\
	X(avx512_vp2intersect, W_7_EDX, 8, C_HOST)	\
	X(md_clear, W_7_EDX, 10, C_ALSO)		\
	X(serialize, W_7_EDX, 14, C_HOST)		\
	X(avx512_fp16, W_7_EDX, 23, C_HOST)		\
	X(spec_ctrl, W_7_EDX, 26, C_ALSO)		\
	X(intel_stibp, W_7_EDX, 27, C_ALSO)		\
	X(flush_l1d, W_7_EDX, 28, C_HOST)		\
	X(arch_capabilities, W_7_EDX, 29, C_HOST)	\
	X(intel_ssbd, W_7_EDX, 31, C_ALSO)		\
							\
	X(avx_vnni, W_7_1_EAX, 4, C_HOST)		\
	X(avx512_bf16, W_7_1_EAX, 5, C_HOST)		\
	X(fzrm, W_7_1_EAX, 10, C_HOST)			\
	X(fsrs, W_7_1_EAX, 11, C_HOST)			\
	X(fsrc, W_7_1_EAX, 12, C_HOST)			\
	X(avx_ifma, W_7_1_EAX, 23, C_HOST)		\
	X(avx_vnni_int8, W_7_1_EDX, 4, C_HOST)		\
	X(avx_ne_convert, W_7_1_EDX, 5, C_HOST)		\
	X(prefetchi, W_7_1_EDX, 14, C_HOST)		\
							\
	X(xsaveopt, W_D_1_EAX, 0, C_ALSO)		\
	X(xsavec, W_D_1_EAX, 1, C_HOST)			\
	X(xgetbv1, W_D_1_EAX, 2, C_HOST)		\
	X(xsaves, W_D_1_EAX, 3, C_HOST)			\
							\
	X(syscall, W_X1_EDX, 11, C_V2)			\
	X(nx, W_X1_EDX, 20, C_V2)			\
	X(mmxext, W_X1_EDX, 22, C_HOST)			\
	X(fxsr_opt, W_X1_EDX, 25, C_HOST)		\
	X(pdpe1gb, W_X1_EDX, 26, C_ALSO)		\
	X(rdtscp, W_X1_EDX, 27, C_ALSO)			\
	X(lm, W_X1_EDX, 29, C_V2)			\
							\
	X(lahf_lm, W_X1_ECX, 0, C_V2)			\
	X(cmp_legacy, W_X1_ECX, 1, C_TOPO)		\
	X(svm, W_X1_ECX, 2, C_ASK)			\
	X(cr8_legacy, W_X1_ECX, 4, C_ALSO)		\
	X(abm, W_X1_ECX, 5, C_V3)			\
	X(sse4a, W_X1_ECX, 6, C_HOST)			\
	X(misalignsse, W_X1_ECX, 7, C_HOST)		\
	X(3dnowprefetch, W_X1_ECX, 8, C_ALSO)		\
	X(xop, W_X1_ECX, 11, C_HOST)			\
	X(fma4, W_X1_ECX, 16, C_HOST)			\
	X(tbm, W_X1_ECX, 21, C_HOST)			\
	X(topoext, W_X1_ECX, 22, C_ALSO)		\
							\
	X(nonstop_tsc, W_X7_EDX, 8, C_ALSO)		\
							\
	X(clzero, W_X8_EBX, 0, C_HOST)			\
	X(xsaveerptr, W_X8_EBX, 2, C_HOST)		\
	X(wbnoinvd, W_X8_EBX, 9, C_HOST)		\
	X(ibpb, W_X8_EBX, 12, C_ALSO)			\
	X(ibrs, W_X8_EBX, 14, C_ALSO)			\
	X(stibp, W_X8_EBX, 15, C_ALSO)			\
	X(ssbd, W_X8_EBX, 24, C_ALSO)			\
	X(virt_ssbd, W_X8_EBX, 25, C_ALSO)		\
	X(ssb_no, W_X8_EBX, 26, C_HOST)			\
	X(btc_no, W_X8_EBX, 29, C_HOST)			\
							\
	X(no_nested_data_bp, W_X21_EAX, 0, C_HOST)	\
	X(lfence_rdtsc, W_X21_EAX, 2, C_HOST)		\
	X(null_sel_clr_base, W_X21_EAX, 6, C_HOST)	\
	X(autoibrs, W_X21_EAX, 8, C_HOST)		\
	X(sbpb, W_X21_EAX, 27, C_HOST)			\
	X(srso_no, W_X21_EAX, 29, C_HOST)		\
	X(srso_user_kernel_no, W_X21_EAX, 30, C_HOST)	\
	X(tsa_sq_no, W_X21_ECX, 1, C_HOST)		\
	X(tsa_l1_no, W_X21_ECX, 2, C_HOST)

enum x86_cpuid_flag_id {
#define X(name, word, bit, cls) F_##name,
	X86_CPUID_FLAGS(X)
#undef X
	F_COUNT,
};

struct x86_cpuid_flag {
	char name[24]; /* not a pointer: nothing to relocate at start-up */
	uint8_t word, bit, cls;
};

static const struct x86_cpuid_flag flags[F_COUNT] = {
#define X(name, word, bit, cls) { #name, word, bit, cls },
	X86_CPUID_FLAGS(X)
#undef X
};
/* clang-format on */

/* What a flag is good for only together with another. */
static const struct {
	uint8_t flag, needs; /* enum x86_cpuid_flag_id */
} flag_needs[] = {
	{ F_avx, F_xsave },
	{ F_xsaveopt, F_xsave },
	{ F_xsavec, F_xsave },
	{ F_xgetbv1, F_xsave },
	{ F_xsaves, F_xsavec },
	{ F_xsaves, F_xsave },
	{ F_pku, F_xsave },
	{ F_avx2, F_avx },
	{ F_fma, F_avx },
	{ F_f16c, F_avx },
	{ F_xop, F_avx },
	{ F_fma4, F_avx },
	{ F_vaes, F_avx },
	{ F_vpclmulqdq, F_avx },
	{ F_avx_vnni, F_avx2 },
	{ F_avx_ifma, F_avx2 },
	{ F_avx_vnni_int8, F_avx2 },
	{ F_avx_ne_convert, F_avx2 },
	{ F_avx512f, F_avx2 },
	{ F_avx512dq, F_avx512f },
	{ F_avx512ifma, F_avx512f },
	{ F_avx512pf, F_avx512f },
	{ F_avx512er, F_avx512f },
	{ F_avx512cd, F_avx512f },
	{ F_avx512bw, F_avx512f },
	{ F_avx512vl, F_avx512f },
	{ F_avx512vbmi, F_avx512bw },
	{ F_avx512_vbmi2, F_avx512bw },
	{ F_avx512_vnni, F_avx512f },
	{ F_avx512_bitalg, F_avx512bw },
	{ F_avx512_vpopcntdq, F_avx512f },
	{ F_avx512_4vnniw, F_avx512f },
	{ F_avx512_4fmaps, F_avx512f },
	{ F_avx512_vp2intersect, F_avx512f },
	{ F_avx512_fp16, F_avx512bw },
	{ F_avx512_bf16, F_avx512bw },
	{ F_tsc_deadline_timer, F_apic },
	{ F_x2apic, F_apic },
};

#endif
