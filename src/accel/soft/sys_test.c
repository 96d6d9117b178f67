// SPDX-License-Identifier: GPL-2.0-or-later
/* System instructions one by one: what they change, and whom they refuse. */
#include "accel/soft/sys_testing.h"

#define GP X86_EXC_GP
#define UD X86_EXC_UD

/* mov cr0/2/3/4/8, rax and back; mov dr, rax and back */
#define TO_CR0	 "\x0f\x22\xc0"
#define TO_CR3	 "\x0f\x22\xd8"
#define TO_CR4	 "\x0f\x22\xe0"
#define TO_CR8	 "\x44\x0f\x22\xc0"
#define FROM_CR8 "\x44\x0f\x20\xc0"
#define TO_DR4	 "\x0f\x23\xe0"
#define FROM_DR4 "\x0f\x21\xe0"
#define TO_DR7	 "\x0f\x23\xf8"
#define TO_DR0	 "\x0f\x23\xc0"

static int with(struct soft_vcpu *v, uint64_t rax, const char *bytes, size_t n)
{
	v->gpr[X86_RAX] = rax;
	return t_exec(v, bytes, n);
}
#define WITH(v, rax, bytes) with(v, rax, bytes, sizeof(bytes) - 1)

static void cr0(void **state)
{
	struct soft_vcpu *v = t_vcpu();

	t_mode(v, 32, 0);
	assert_int_equal(WITH(v, 0x80000000, TO_CR0), GP); /* PG without PE */
	assert_int_equal(WITH(v, 0x20000001, TO_CR0), GP); /* NW without CD */
	assert_int_equal(WITH(v, 0x80000001, TO_CR0), T_NONE);
	assert_int_equal(v->cr0, 0x80000011);
	assert_true(t.flushes && v->stop);
	assert_int_equal(WITH(v, 0x00000001, TO_CR0), T_NONE);
	/* Long mode wants PAE. */
	v->efer = X86_EFER_LME;
	assert_int_equal(WITH(v, 0x80000001, TO_CR0), GP);
	assert_int_equal(v->cr0, 0x11);
	v->cr4 = X86_CR4_PAE;
	assert_int_equal(WITH(v, 0x80000001, TO_CR0), T_NONE);
	assert_int_equal(v->efer, X86_EFER_LME | X86_EFER_LMA);
	assert_int_equal(WITH(v, 0x00000001, TO_CR0), T_NONE);
	assert_int_equal(v->efer, X86_EFER_LME);
	/* PAE paging: the PDPTEs must be good. */
	v->efer = 0;
	t.pdptes_bad = true;
	assert_int_equal(WITH(v, 0x80000001, TO_CR0), GP);
	t.pdptes_bad = false;
	assert_int_equal(WITH(v, 0x80000001, TO_CR0), T_NONE);
	assert_int_equal(v->pdpte[3], 3);
	/* Upper bits exist in 64-bit code only; paging cannot be left there. */
	t_mode(v, 64, 0);
	assert_int_equal(WITH(v, 0x100000000 | v->cr0, TO_CR0), GP);
	assert_int_equal(WITH(v, 0x11, TO_CR0), GP);
	t_free(v);
}

static void cr3(void **state)
{
	struct soft_vcpu *v = t_vcpu();

	t_mode(v, 64, 0);
	assert_int_equal(WITH(v, 1ull << 40, TO_CR3), GP);
	assert_int_equal(WITH(v, 1ull << 63, TO_CR3), GP);
	assert_int_equal(WITH(v, 0x5000, TO_CR3), T_NONE);
	assert_int_equal(v->cr3, 0x5000);
	assert_false(t.kept);
	v->cr4 |= X86_CR4_PCIDE;
	assert_int_equal(WITH(v, 1ull << 63 | 0x6001, TO_CR3), T_NONE);
	assert_int_equal(v->cr3, 0x6001);
	assert_true(t.kept);
	t_mode(v, 32, 0);
	v->cr0 |= X86_CR0_PG;
	v->cr4 = X86_CR4_PAE;
	t.pdptes_bad = true;
	assert_int_equal(WITH(v, 0x7000, TO_CR3), GP);
	assert_int_equal(v->cr3, 0x6001);
	t_free(v);
}

static void cr4(void **state)
{
	struct soft_vcpu *v = t_vcpu();

	t_mode(v, 64, 0);
	assert_int_equal(WITH(v, X86_CR4_PAE | 1u << 13, TO_CR4), GP); /* VMXE */
	assert_int_equal(WITH(v, X86_CR4_PAE | 1ull << 32, TO_CR4), GP);
	assert_int_equal(WITH(v, 0, TO_CR4), GP);
	assert_int_equal(WITH(v, X86_CR4_PAE | X86_CR4_LA57, TO_CR4), GP);
	v->cr3 = 0x5001;
	assert_int_equal(WITH(v, X86_CR4_PAE | X86_CR4_PCIDE, TO_CR4), GP);
	v->cr3 = 0x5000;
	assert_int_equal(WITH(v, X86_CR4_PAE | X86_CR4_PCIDE, TO_CR4), T_NONE);
	assert_int_equal(WITH(v, X86_CR4_PAE | X86_CR4_SMEP | X86_CR4_PGE, TO_CR4), T_NONE);
	assert_int_equal(v->cr4, X86_CR4_PAE | X86_CR4_SMEP | X86_CR4_PGE);
	assert_true(t.flushed_global);
	v->cr4_allowed &= ~(uint64_t)X86_CR4_UMIP;
	assert_int_equal(WITH(v, X86_CR4_PAE | X86_CR4_UMIP, TO_CR4), GP);
	t_mode(v, 32, 0);
	assert_int_equal(WITH(v, X86_CR4_PCIDE, TO_CR4), GP);
	t_free(v);
}

static void cr8_and_msw(void **state)
{
	struct soft_vcpu *v = t_vcpu();

	t_mode(v, 64, 0);
	assert_int_equal(WITH(v, 16, TO_CR8), GP);
	assert_int_equal(WITH(v, 9, TO_CR8), T_NONE);
	assert_int_equal(t.cr8, 9);
	assert_int_equal(WITH(v, 0, FROM_CR8), T_NONE);
	assert_int_equal(v->gpr[X86_RAX], 9);
	assert_int_equal(WITH(v, 3, "\xf0\x0f\x22\xc0"), T_NONE); /* lock mov cr0: AMD's */
	assert_int_equal(t.cr8, 3);
	/* LMSW sets PE and never clears it. */
	t_mode(v, 16, 0);
	assert_int_equal(WITH(v, 0x8001, "\x0f\x01\xf0"), T_NONE);
	assert_int_equal(v->cr0, 0x11);
	assert_int_equal(WITH(v, 0x000e, "\x0f\x01\xf0"), T_NONE);
	assert_int_equal(v->cr0, 0x1f);
	assert_int_equal(T(v, "\x0f\x06"), T_NONE); /* clts */
	assert_int_equal(v->cr0, 0x17);
	t_mode(v, 32, 3);
	v->cr0 |= X86_CR0_PG;
	assert_int_equal(WITH(v, 0, "\x0f\x01\xe0"), T_NONE); /* smsw eax */
	assert_int_equal(v->gpr[X86_RAX], 0x80000011);
	assert_int_equal(WITH(v, 0x12340000, "\x66\x0f\x01\xe0"), T_NONE);
	assert_int_equal(v->gpr[X86_RAX], 0x12340011);
	v->cr4 |= X86_CR4_UMIP;
	assert_int_equal(WITH(v, 0, "\x0f\x01\xe0"), GP);
	t_free(v);
}

static void debug_registers(void **state)
{
	struct soft_vcpu *v = t_vcpu();

	t_mode(v, 64, 0);
	assert_int_equal(WITH(v, 0xffff, TO_DR4), T_NONE); /* DR6 */
	assert_int_equal(v->dr[6], 0xffffefff);
	v->cr4 |= X86_CR4_DE;
	assert_int_equal(WITH(v, 0, FROM_DR4), UD);
	assert_int_equal(WITH(v, 1ull << 32, TO_DR7), GP);
	assert_int_equal(WITH(v, 0xffffdfff, TO_DR7), T_NONE);
	assert_int_equal(v->dr[7], 0xffff07ff);
	assert_int_equal(WITH(v, 0xfedcba9876543210, TO_DR0), T_NONE);
	assert_int_equal(v->dr[0], 0xfedcba9876543210);
	assert_int_equal(t.watch, 2);
	v->dr[7] |= X86_DR7_GD;
	assert_int_equal(WITH(v, 0, TO_DR0), X86_EXC_DB);
	assert_int_equal(v->event.dr6, X86_DR6_BD);
	assert_int_equal(v->event.kind, SOFT_EVENT_FAULT);
	assert_int_equal(v->dr[0], 0xfedcba9876543210);
	t_mode(v, 64, 3);
	assert_int_equal(WITH(v, 0, TO_DR0), GP);
	t_free(v);
}

static void tables(void **state)
{
	struct soft_vcpu *v = t_vcpu();

	v->gpr[X86_RBX] = 0x100;
	memcpy(t.mem + 0x100, "\x34\x12\x78\x56\x34\xf2\x00\x00\x00\x00", 10);
	t_mode(v, 32, 0);
	assert_int_equal(T(v, "\x0f\x01\x13"), T_NONE); /* lgdt [ebx] */
	assert_int_equal(v->gdtr.limit, 0x1234);
	assert_int_equal(v->gdtr.base, 0xf2345678);
	assert_int_equal(T(v, "\x66\x0f\x01\x1b"), T_NONE); /* lidt, 24 bits */
	assert_int_equal(v->idtr.base, 0x345678);
	v->idtr.base = 0xcafe1234;
	assert_int_equal(T(v, "\x66\x0f\x01\x0b"), T_NONE); /* sidt */
	assert_memory_equal(t.mem + 0x100, "\x34\x12\x34\x12\xfe\xca\x00\x00", 8);
	t_mode(v, 64, 0);
	v->cr4_allowed &= ~(uint64_t)X86_CR4_LA57;
	memset(t.mem + 0x100, 0x80, 10);
	assert_int_equal(T(v, "\x0f\x01\x13"), GP); /* not canonical */
	assert_int_equal(v->gdtr.base, 0xf2345678);
	memset(t.mem + 0x107, 0xff, 3);
	assert_int_equal(T(v, "\x0f\x01\x13"), T_NONE);
	assert_int_equal(v->gdtr.base, 0xffffff8080808080);
	t_mode(v, 64, 3);
	assert_int_equal(T(v, "\x0f\x01\x13"), GP);
	assert_int_equal(T(v, "\x0f\x01\x03"), T_NONE); /* sgdt */
	v->cr4 |= X86_CR4_UMIP;
	assert_int_equal(T(v, "\x0f\x01\x03"), GP);
	t_free(v);
}

#define INVPCID "\x66\x0f\x38\x82\x03" /* invpcid eax, [rbx] */

static void translations(void **state)
{
	struct soft_vcpu *v = t_vcpu();
	uint64_t d[2] = { 0, 0x7000 };

	t_mode(v, 64, 0);
	v->gpr[X86_RBX] = 0x100;
	assert_int_equal(T(v, "\x0f\x01\x3b"), T_NONE); /* invlpg [rbx] */
	assert_int_equal(t.flushed_page, 0x100);
	v->seg[X86_FS].base = 0x5000;
	assert_int_equal(T(v, "\x64\x0f\x01\x3b"), T_NONE);
	assert_int_equal(t.flushed_page, 0x5100);
	v->gpr[X86_RBX] = 1ull << 60;
	assert_int_equal(T(v, "\x0f\x01\x3b"), T_NONE);
	assert_int_equal(t.page_flushes, 2);
	v->gpr[X86_RBX] = 0x100;
	memcpy(t.mem + 0x100, d, 16);
	assert_int_equal(WITH(v, 0, INVPCID), T_NONE);
	assert_int_equal(t.flushed_page, 0x7000);
	assert_int_equal(WITH(v, 2, INVPCID), T_NONE);
	assert_true(t.flushed_global);
	assert_int_equal(WITH(v, 3, INVPCID), T_NONE);
	assert_false(t.flushed_global);
	assert_int_equal(WITH(v, 4, INVPCID), GP);
	d[0] = 5;
	memcpy(t.mem + 0x100, d, 16);
	assert_int_equal(WITH(v, 1, INVPCID), GP); /* no PCIDE */
	v->cr4 |= X86_CR4_PCIDE;
	assert_int_equal(WITH(v, 1, INVPCID), T_NONE);
	d[0] = 0x1000;
	memcpy(t.mem + 0x100, d, 16);
	assert_int_equal(WITH(v, 3, INVPCID), GP);
	t_free(v);
}

static void interrupt_flag(void **state)
{
	struct soft_vcpu *v = t_vcpu();

	t_mode(v, 64, 0);
	assert_int_equal(T(v, "\xfb"), T_NONE);
	assert_int_equal(v->shadow, 2);
	assert_true(v->stop && v->rflags & X86_FLAG_IF);
	v->shadow = 0;
	assert_int_equal(T(v, "\xfb"), T_NONE);
	assert_int_equal(v->shadow, 0); /* it was set already */
	assert_int_equal(T(v, "\xfa"), T_NONE);
	assert_false(v->rflags & X86_FLAG_IF);
	t_mode(v, 32, 3);
	assert_int_equal(T(v, "\xfb"), GP);
	v->rflags |= X86_FLAG_IOPL;
	assert_int_equal(T(v, "\xfb"), T_NONE);
	assert_true(v->rflags & X86_FLAG_IF);
	/* PVI */
	v->rflags &= ~(uint64_t)X86_FLAG_IOPL;
	v->cr4 |= X86_CR4_PVI;
	assert_int_equal(T(v, "\xfa"), T_NONE);
	assert_true(v->rflags & X86_FLAG_IF);
	assert_int_equal(T(v, "\xfb"), T_NONE);
	assert_true(v->rflags & X86_FLAG_VIF);
	v->rflags |= X86_FLAG_VIP;
	assert_int_equal(T(v, "\xfb"), GP);
	/* Virtual-8086 mode has VME's bit. */
	v->rflags |= X86_FLAG_VM;
	soft_mode_changed(v);
	assert_int_equal(T(v, "\xfa"), GP);
	v->cr4 |= X86_CR4_VME;
	assert_int_equal(T(v, "\xfa"), T_NONE);
	assert_false(v->rflags & X86_FLAG_VIF);
	t_free(v);
}

static void ports(void **state)
{
	struct soft_vcpu *v = t_vcpu();

	t_mode(v, 32, 0);
	v->gpr[X86_RDX] = 0xabcd03f8;
	assert_int_equal(WITH(v, 0x12345678, "\xee"), T_NONE); /* out dx, al */
	assert_int_equal(t.port, 0x3f8);
	assert_int_equal(t.port_size, 1);
	assert_int_equal(t.port_data, 0x78);
	t.port_data = 0xcafebabe;
	assert_int_equal(WITH(v, 0x1111222233334444, "\x66\xe5\x70"), T_NONE); /* in ax, 0x70 */
	assert_int_equal(t.port, 0x70);
	assert_int_equal(v->gpr[X86_RAX], 0x111122223333babe);
	assert_int_equal(WITH(v, 0x1111222233334444, "\xed"), T_NONE);
	assert_int_equal(v->gpr[X86_RAX], 0xcafebabe);
	t_mode(v, 32, 3);
	assert_int_equal(T(v, "\xed"), GP); /* TSS without a map */
	v->tr.limit = 0x68 + 0x80;
	t.mem[v->tr.base + 0x66] = 0x68;
	assert_int_equal(T(v, "\xed"), T_NONE);
	t.mem[v->tr.base + 0x68 + 0x7f] = 0x08; /* port 0x3fb */
	assert_int_equal(T(v, "\xed"), GP);
	assert_int_equal(T(v, "\x66\xed"), T_NONE);
	/* The byte behind the last port's is wanted. */
	v->tr.limit = 0x68 + 0x7f;
	assert_int_equal(T(v, "\x66\xed"), GP);
	v->tr.attr = X86_ATTR_P | 3;
	assert_int_equal(T(v, "\x66\xed"), GP);
	v->rflags |= X86_FLAG_IOPL;
	assert_int_equal(T(v, "\x66\xed"), T_NONE);
	/* Breakpoint. */
	v->cr4 |= X86_CR4_DE;
	v->dr[1] = 0x3f8;
	v->dr[7] = 0x400 | 1 << 2 | 2 << 20;
	assert_int_equal(T(v, "\xee"), T_NONE);
	assert_int_equal(v->pending_dr6, 2);
	t_free(v);
}

static void registers(void **state)
{
	struct soft_vcpu *v = t_vcpu();

	t_mode(v, 64, 0);
	v->seg[X86_GS].base = 1;
	v->kernel_gs_base = 2;
	assert_int_equal(T(v, "\x0f\x01\xf8"), T_NONE); /* swapgs */
	assert_int_equal(v->seg[X86_GS].base, 2);
	assert_int_equal(v->kernel_gs_base, 1);
	assert_int_equal(T(v, "\xf3\x48\x0f\xae\xd0"), UD); /* wrfsbase rax */
	v->cr4 |= X86_CR4_FSGSBASE;
	assert_int_equal(WITH(v, 1ull << 60, "\xf3\x48\x0f\xae\xd0"), GP);
	assert_int_equal(WITH(v, 0x123456789000, "\xf3\x48\x0f\xae\xd0"), T_NONE);
	assert_int_equal(v->seg[X86_FS].base, 0x123456789000);
	assert_int_equal(T(v, "\xf3\x0f\xae\xc0"), T_NONE); /* rdfsbase eax */
	assert_int_equal(v->gpr[X86_RAX], 0x56789000);
	/* RDPKRU, WRPKRU */
	v->gpr[X86_RCX] = v->gpr[X86_RDX] = 0;
	assert_int_equal(T(v, "\x0f\x01\xee"), UD);
	v->cr4 |= X86_CR4_PKE;
	assert_int_equal(WITH(v, 0x55555554, "\x0f\x01\xef"), T_NONE);
	assert_int_equal(WITH(v, 0, "\x0f\x01\xee"), T_NONE);
	assert_int_equal(v->gpr[X86_RAX], 0x55555554);
	v->gpr[X86_RCX] = 1;
	assert_int_equal(T(v, "\x0f\x01\xee"), GP);
	/* XSETBV, XGETBV */
	v->gpr[X86_RCX] = v->gpr[X86_RDX] = 0;
	assert_int_equal(WITH(v, 7, "\x0f\x01\xd1"), UD);
	v->cr4 |= X86_CR4_OSXSAVE;
	assert_int_equal(WITH(v, 6, "\x0f\x01\xd1"), GP);
	assert_int_equal(WITH(v, 5, "\x0f\x01\xd1"), GP);
	assert_int_equal(WITH(v, 0xe7, "\x0f\x01\xd1"), GP);
	assert_int_equal(WITH(v, 7, "\x0f\x01\xd1"), T_NONE);
	assert_int_equal(WITH(v, 0, "\x0f\x01\xd0"), T_NONE);
	assert_int_equal(v->gpr[X86_RAX], 7);
	v->gpr[X86_RCX] = 1;
	assert_int_equal(WITH(v, 0, "\x0f\x01\xd0"), T_NONE);
	assert_int_equal(v->gpr[X86_RAX], 3); /* in use */
	v->gpr[X86_RCX] = 2;
	assert_int_equal(WITH(v, 0, "\x0f\x01\xd0"), GP);
	/* STAC, CLAC */
	assert_int_equal(T(v, "\x0f\x01\xcb"), T_NONE);
	assert_true(v->rflags & X86_FLAG_AC);
	assert_int_equal(T(v, "\x0f\x01\xca"), T_NONE);
	assert_false(v->rflags & X86_FLAG_AC);
	t_mode(v, 64, 3);
	assert_int_equal(T(v, "\x0f\x01\xcb"), UD);
	t_free(v);
}

static void counters(void **state)
{
	struct soft_vcpu *v = t_vcpu();

	t_mode(v, 64, 3);
	v->tsc_aux = 77;
	v->tsc_offset = 4;
	assert_int_equal(T(v, "\x0f\x01\xf9"), T_NONE); /* rdtscp */
	assert_int_equal(v->gpr[X86_RCX], 77);
	assert_int_equal(v->gpr[X86_RDX] << 32 | v->gpr[X86_RAX], T_HOST_TSC + 4);
	v->cr4 |= X86_CR4_TSD;
	assert_int_equal(T(v, "\x0f\x31"), GP);
	assert_int_equal(T(v, "\xf3\x0f\xc7\xf9"), T_NONE); /* rdpid rcx */
	assert_int_equal(v->gpr[X86_RCX], 77);
	assert_int_equal(T(v, "\x0f\x33"), GP);		      /* rdpmc */
	assert_int_equal(WITH(v, 5, "\x0f\x01\xc1"), T_NONE); /* vmcall */
	assert_int_equal((int64_t)v->gpr[X86_RAX], -1);
	t_mode(v, 64, 0);
	assert_int_equal(WITH(v, 9, "\x0f\x01\xd9"), T_NONE); /* vmmcall */
	assert_int_equal((int64_t)v->gpr[X86_RAX], -1000);
	assert_int_equal(WITH(v, 1, "\x0f\x01\xc1"), T_NONE);
	assert_int_equal(v->gpr[X86_RAX], 0);
	v->gpr[X86_RCX] = v->apic_id; /* a lock's holder wakes who waits for it */
	assert_int_equal(WITH(v, 5, "\x0f\x01\xc1"), T_NONE);
	assert_int_equal(v->gpr[X86_RAX], 0);
	assert_int_equal(atomic_load(&v->poll), SOFT_POLL_UNHALT);
	v->unhalted = true;
	assert_int_equal(T(v, "\xf4"), T_NONE);
	assert_false(v->halted || v->unhalted);
	v->rflags = X86_FLAG_1 | X86_FLAG_OF | X86_FLAG_ZF | X86_FLAG_IF;
	assert_int_equal(WITH(v, ~0ull, "\x0f\xc7\xf0"), T_NONE); /* rdrand eax */
	assert_int_equal(v->gpr[X86_RAX] >> 32, 0);
	assert_int_equal(v->rflags, X86_FLAG_1 | X86_FLAG_CF | X86_FLAG_IF);
	assert_int_equal(WITH(v, ~0ull, "\x66\x0f\xc7\xf8"), T_NONE); /* rdseed ax */
	assert_int_equal(v->gpr[X86_RAX] >> 16, 0xffffffffffff);
	assert_int_equal(T(v, "\x0f\x0b"), UD);
	assert_int_equal(T(v, "\xf4"), T_NONE); /* hlt */
	assert_true(v->halted && v->stop);
	assert_int_equal(v->mp_state, X86_MP_HALTED);
	t_free(v);
}

static void privileged(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} insns[] = {
#define I(b) { b, sizeof(b) - 1 }
		I("\xf4"),
		I("\x0f\x06"),
		I("\x0f\x08"),
		I("\x0f\x09"),
		I("\x0f\x30"),
		I("\x0f\x32"),
		I("\x0f\x20\xc0"),
		I(TO_CR0),
		I(TO_CR3),
		I(TO_CR4),
		I("\x0f\x21\xc0"),
		I(TO_DR0),
		I("\x0f\x01\xf0"),
		I("\x0f\x01\x13"),
		I("\x0f\x01\x1b"),
		I("\x0f\x01\x3b"),
		I("\x66\x0f\x38\x82\x03"),
	};
	struct soft_vcpu *v = t_vcpu();

	v->gpr[X86_RBX] = 0x100;
	for (unsigned int bits = 32; bits <= 64; bits += 32)
		for (unsigned int cpl = 1; cpl <= 3; cpl++)
			for (size_t i = 0; i < ARRAY_SIZE(insns); i++) {
				t_mode(v, bits, cpl);
				assert_int_equal(t_exec(v, insns[i].bytes, insns[i].n), GP);
				assert_int_equal(v->event.error, 0);
				assert_false(v->halted);
			}
	t_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cr0),
		cmocka_unit_test(cr3),
		cmocka_unit_test(cr4),
		cmocka_unit_test(cr8_and_msw),
		cmocka_unit_test(debug_registers),
		cmocka_unit_test(tables),
		cmocka_unit_test(translations),
		cmocka_unit_test(interrupt_flag),
		cmocka_unit_test(ports),
		cmocka_unit_test(registers),
		cmocka_unit_test(counters),
		cmocka_unit_test(privileged),
	};

	return cmocka_run_group_tests_name("soft system instructions", tests, NULL, NULL);
}
