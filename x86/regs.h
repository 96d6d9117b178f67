/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* regs - bits of the architecture's registers and the numbers of its exceptions (SDM, volume 3). */
#ifndef X86_REGS_H
#define X86_REGS_H

#define X86_FLAG_CF   (1u << 0)
#define X86_FLAG_1    (1u << 1) /* always set */
#define X86_FLAG_PF   (1u << 2)
#define X86_FLAG_AF   (1u << 4)
#define X86_FLAG_ZF   (1u << 6)
#define X86_FLAG_SF   (1u << 7)
#define X86_FLAG_TF   (1u << 8)
#define X86_FLAG_IF   (1u << 9)
#define X86_FLAG_DF   (1u << 10)
#define X86_FLAG_OF   (1u << 11)
#define X86_FLAG_IOPL (3u << 12)
#define X86_FLAG_NT   (1u << 14)
#define X86_FLAG_RF   (1u << 16)
#define X86_FLAG_VM   (1u << 17)
#define X86_FLAG_AC   (1u << 18)
#define X86_FLAG_VIF  (1u << 19)
#define X86_FLAG_VIP  (1u << 20)
#define X86_FLAG_ID   (1u << 21)
#define X86_FLAGS_STATUS \
	(X86_FLAG_CF | X86_FLAG_PF | X86_FLAG_AF | X86_FLAG_ZF | X86_FLAG_SF | X86_FLAG_OF)
#define X86_FLAGS_ALL 0x3f7fd5u /* all that can be set, without bit 1 */

#define X86_CR0_PE (1u << 0)
#define X86_CR0_MP (1u << 1)
#define X86_CR0_EM (1u << 2)
#define X86_CR0_TS (1u << 3)
#define X86_CR0_ET (1u << 4)
#define X86_CR0_NE (1u << 5)
#define X86_CR0_WP (1u << 16)
#define X86_CR0_AM (1u << 18)
#define X86_CR0_NW (1u << 29)
#define X86_CR0_CD (1u << 30)
#define X86_CR0_PG (1u << 31)

#define X86_CR4_VME	   (1u << 0)
#define X86_CR4_PVI	   (1u << 1)
#define X86_CR4_TSD	   (1u << 2)
#define X86_CR4_DE	   (1u << 3)
#define X86_CR4_PSE	   (1u << 4)
#define X86_CR4_PAE	   (1u << 5)
#define X86_CR4_MCE	   (1u << 6)
#define X86_CR4_PGE	   (1u << 7)
#define X86_CR4_PCE	   (1u << 8)
#define X86_CR4_OSFXSR	   (1u << 9)
#define X86_CR4_OSXMMEXCPT (1u << 10)
#define X86_CR4_UMIP	   (1u << 11)
#define X86_CR4_LA57	   (1u << 12)
#define X86_CR4_FSGSBASE   (1u << 16)
#define X86_CR4_PCIDE	   (1u << 17)
#define X86_CR4_OSXSAVE	   (1u << 18)
#define X86_CR4_SMEP	   (1u << 20)
#define X86_CR4_SMAP	   (1u << 21)
#define X86_CR4_PKE	   (1u << 22)
#define X86_CR4_PKS	   (1u << 24)

#define X86_EFER_SCE   (1u << 0)
#define X86_EFER_LME   (1u << 8)
#define X86_EFER_LMA   (1u << 10)
#define X86_EFER_NXE   (1u << 11)
#define X86_EFER_SVME  (1u << 12)
#define X86_EFER_FFXSR (1u << 14)

#define X86_EXC_DE  0
#define X86_EXC_DB  1
#define X86_EXC_NMI 2
#define X86_EXC_BP  3
#define X86_EXC_OF  4
#define X86_EXC_BR  5
#define X86_EXC_UD  6
#define X86_EXC_NM  7
#define X86_EXC_DF  8
#define X86_EXC_TS  10
#define X86_EXC_NP  11
#define X86_EXC_SS  12
#define X86_EXC_GP  13
#define X86_EXC_PF  14
#define X86_EXC_MF  16
#define X86_EXC_AC  17
#define X86_EXC_MC  18
#define X86_EXC_XM  19

/* Page-fault error code */
#define X86_PF_P    (1u << 0)
#define X86_PF_W    (1u << 1)
#define X86_PF_U    (1u << 2)
#define X86_PF_RSVD (1u << 3)
#define X86_PF_I    (1u << 4)
#define X86_PF_PK   (1u << 5)

#define X86_DR6_FIXED 0xffff0ff0ull
#define X86_DR6_BD    (1u << 13)
#define X86_DR6_BS    (1u << 14)
#define X86_DR6_BT    (1u << 15)
#define X86_DR7_FIXED 0x400ull
#define X86_DR7_GD    (1u << 13)

#define X86_APIC_BASE_X2APIC (1u << 10)
#define X86_APIC_BASE_ENABLE (1u << 11)

/* MSRs */
#define X86_MSR_TSC	       0x10
#define X86_MSR_APIC_BASE      0x1b
#define X86_MSR_TSC_ADJUST     0x3b
#define X86_MSR_SYSENTER_CS    0x174
#define X86_MSR_SYSENTER_ESP   0x175
#define X86_MSR_SYSENTER_EIP   0x176
#define X86_MSR_PAT	       0x277
#define X86_MSR_TSC_DEADLINE   0x6e0
#define X86_MSR_PKRS	       0x6e1
#define X86_MSR_X2APIC	       0x800 /* to 0x8ff */
#define X86_MSR_XSS	       0xda0
#define X86_MSR_EFER	       0xc0000080u
#define X86_MSR_STAR	       0xc0000081u
#define X86_MSR_LSTAR	       0xc0000082u
#define X86_MSR_CSTAR	       0xc0000083u
#define X86_MSR_SFMASK	       0xc0000084u
#define X86_MSR_FS_BASE	       0xc0000100u
#define X86_MSR_GS_BASE	       0xc0000101u
#define X86_MSR_KERNEL_GS_BASE 0xc0000102u
#define X86_MSR_TSC_AUX	       0xc0000103u

#endif
