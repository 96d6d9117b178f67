// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Transfers as guests make them: decoded, through page tables, with everything else of the engine. The
 * guests tell of each step by a word that they write to a port.
 */
#include "accel/soft/soft_testing.h"

#define G_TSS	0x15000ull
#define G_TSS_B 0x15400ull
#define G_LDT	0x15800ull

static void gdt(struct guest *g, unsigned int selector, uint64_t desc)
{
	guest_put64(g, G_GDT + (selector & ~7u), desc);
}

static void expect(struct guest *g, uint32_t word)
{
	uint32_t got = 0;

	assert_int_equal(guest_next(g), VCPU_EXIT_PORT);
	memcpy(&got, g->e.port.data, 4);
	assert_int_equal(got, word);
}

/* -------- long mode -------- */

#define ADDR(label) "(0x8000 + " label " - long_guest)"
#define OUT(value)  "mov $" value ", %eax\n out %eax, $0x99\n"

/* clang-format off */
GUEST(long_guest, 64,
	"mov $0x40, %eax\n ltr %ax\n"
	"xor %eax, %eax\n mov %eax, %ss\n"		/* a null SS is good enough here */
	"mov %eax, %ds\n mov %eax, %es\n mov %eax, %fs\n mov %eax, %gs\n"
	"mov $0xc0000081, %ecx\n xor %eax, %eax\n mov $0x00230008, %edx\n wrmsr\n"
	"inc %ecx\n mov $" ADDR("4f") ", %eax\n xor %edx, %edx\n wrmsr\n"
	"mov $0xc0000084, %ecx\n mov $0x200, %eax\n wrmsr\n"
	"mov $0xc0000080, %ecx\n rdmsr\n or $1, %eax\n wrmsr\n"
	OUT("1")
	/* To user mode. */
	"push $0x2b\n push $0x28000\n push $0x202\n push $0x33\n lea 1f(%rip), %rax\n push %rax\n"
	"iretq\n"
	"1: mov %cs, %ebx\n mov %ss, %edx\n shl $16, %edx\n or %edx, %ebx\n"
	"mov $0x1234, %edi\n syscall\n"
	/* Back in user mode: to compatibility mode, by a far return. */
	"push $0x23\n lea 2f(%rip), %rax\n push %rax\n lretq\n"
	".code32\n"
	"2: mov %cs, %eax\n push $0x2b\n pop %ds\n"
	"mov $0x11111111, %ebx\n int $0x80\n"
	"lar %eax, %ecx\n jnz 9f\n mov %ecx, %ebx\n int $0x80\n"
	"lcall $0x33, $" ADDR("3f") "\n"
	"mov $0x22222222, %ebx\n int $0x80\n"
	"mov $8, %eax\n mov %eax, %ds\n"		/* #GP(8), whose handler leaves by IST */
	"9: hlt\n"
	".code64\n"
	"3: mov %cs, %ebx\n int $0x80\n lret\n"
	/* SYSCALL's entry: still the user's stack. */
	"4: mov %rsp, %r8\n mov $0x1f000, %esp\n"
	"mov %ebx, %eax\n out %eax, $0x99\n mov %cs, %eax\n shl $16, %eax\n mov %ss, %ebx\n or %ebx, %eax\n"
	"out %eax, $0x99\n mov %r11, %rax\n out %eax, $0x99\n mov %r8, %rsp\n sysretq\n"
	/* INT 0x80: EBX, and the level it came from. */
	".org long_guest + 0x400\n"
	"mov %ebx, %eax\n out %eax, $0x99\n mov 8(%rsp), %eax\n out %eax, $0x99\n iretq\n"
	/* #GP: error code, where it happened; then a #PF on its own stack, while the tables are broken. */
	".org long_guest + 0x500\n"
	"pop %rax\n out %eax, $0x99\n mov 8(%rsp), %eax\n out %eax, $0x99\n mov %rsp, %rax\n out %eax, $0x99\n"
	"movabs $0xffff900000000000, %rsp\n push %rax\n hlt\n"
	/* #DF by IST; then a triple fault. */
	".org long_guest + 0x600\n"
	"pop %rax\n out %eax, $0x99\n mov %rsp, %rax\n out %eax, $0x99\n"
	"lidt 1f(%rip)\n ud2\n"
	"1: .word 0\n .quad 0\n");
/* clang-format on */

static void gate64(struct guest *g, uint8_t vector, uint64_t handler, uint8_t type, uint8_t ist)
{
	guest_gate(g, vector, handler);
	g->ram->host[G_IDT + 16 * vector + 4] = ist;
	g->ram->host[G_IDT + 16 * vector + 5] = type;
}

static void in_long_mode(void **state)
{
	struct guest *g = soft_guest_new(MODE_LONG);

	g->s.gdtr.limit = 0x7f;
	gdt(g, 0x20, 0x00cffb000000ffff);
	gdt(g, 0x28, 0x00cff3000000ffff);
	gdt(g, 0x30, 0x00affb000000ffff);
	gdt(g, 0x40, 0x0000890000000067 | G_TSS << 16);
	guest_put64(g, G_TSS + 4, 0x20000);
	guest_put64(g, G_TSS + 0x24, 0x21008);
	guest_put64(g, G_TSS + 0x2c, 0x22000);
	gate64(g, 0x80, G_CODE + 0x400, 0xee, 0);
	gate64(g, 13, G_CODE + 0x500, 0x8e, 1);
	gate64(g, 8, G_CODE + 0x600, 0x8e, 2);
	GUEST_LOAD(g, long_guest);
	expect(g, 1);
	expect(g, 0x2b0033);
	expect(g, 0x80010);
	expect(g, 0x206); /* IF, and what OR left */
	expect(g, 0x11111111);
	expect(g, 0x23);
	expect(g, 0xcffb00);
	expect(g, 0x23);
	expect(g, 0x33);
	expect(g, 0x33);
	expect(g, 0x22222222);
	expect(g, 0x23);
	expect(g, 8);
	expect(g, 0x23);
	expect(g, 0x21000 - 40);
	/* There is no gate for #PF: a double fault. */
	expect(g, 0);
	expect(g, 0x22000 - 40);
	assert_int_equal(guest_next(g), VCPU_EXIT_SHUTDOWN);
	assert_int_equal(soft_of(g)->tr.attr, 0x8b);
	assert_int_equal(guest_get64(g, G_GDT + 0x40) >> 40 & 0xff, 0x8b);
	guest_free(g);
}

/* -------- protected mode -------- */

/* clang-format off */
GUEST(protected_guest, 32,
	"mov $0x40, %eax\n ltr %ax\n mov $0x50, %eax\n lldt %ax\n"
	"lcall $0x48, $0\n"				/* task B */
	"str %eax\n out %eax, $0x99\n"
	/* Through a call gate from level 3. */
	"push $0x2b\n push $0x28000\n push $0x23\n push $(0x8000 + 1f - protected_guest)\n lret\n"
	"1: push $0x77777777\n lcall $0x58, $0\n"
	"mov %cs, %ebx\n int $0x80\n"
	"mov %esp, %ebx\n int $0x81\n"
	/* Task B: IRET returns, and begins there the next time. */
	".org protected_guest + 0x300\n"
	"str %eax\n out %eax, $0x99\n pushf\n pop %eax\n out %eax, $0x99\n iret\n"
	"mov $0xb, %eax\n out %eax, $0x99\n iret\n"
	/* INT 0x80: EBX. */
	".org protected_guest + 0x400\n"
	"mov %ebx, %eax\n out %eax, $0x99\n iret\n"
	/* The call gate: its parameter. */
	".org protected_guest + 0x500\n"
	"mov %cs, %eax\n out %eax, $0x99\n mov 8(%esp), %eax\n out %eax, $0x99\n lret $4\n"
	/* INT 0x81: to VM86 mode, IOPL 3. */
	".org protected_guest + 0x600\n"
	"mov %ebx, %eax\n out %eax, $0x99\n"
	"push $0x1111\n push $0x2222\n push $0x3333\n push $0x4444\n"
	"push $0x2000\n push $0x8000\n push $0x23202\n push $0x800\n push $0x700\n iret\n"
	/* VM86 code at 0x800:0x700. */
	".org protected_guest + 0x700\n"
	".code16\n"
	"mov %ds, %bx\n int $0x80\n mov $0x3000, %ax\n mov %ax, %es\n movl $0x12345678, %es:4\n"
	"lds %es:4, %bx\n mov %ds, %bx\n int $0x80\n"
	"pushf\n cli\n pushf\n pop %bx\n popf\n int $0x80\n"
	"lcall $0x7f0, $0x850\n int $0x82\n"
	".org protected_guest + 0x750\n"		/* 0x7f0:0x850 */
	"mov %cs, %bx\n int $0x80\n lret\n"
	".code32\n"
	/* INT 0x82 from VM86: the frame's selectors; then a #GP by a task gate. */
	".org protected_guest + 0x800\n"
	"mov 4(%esp), %eax\n out %eax, $0x99\n mov 8(%esp), %eax\n out %eax, $0x99\n mov 20(%esp), %eax\n out %eax, $0x99\n"
	"mov %ds, %eax\n out %eax, $0x99\n"
	"mov $0x1000, %eax\n mov %eax, %ds\n"
	/* In task C, whose stack has the error code. */
	".org protected_guest + 0x900\n"
	"pop %eax\n out %eax, $0x99\n sub %eax, %eax\n mov %eax, %ss\n");
/* clang-format on */

static void gate32(struct guest *g, uint8_t vector, uint32_t handler, uint8_t type)
{
	guest_put64(g, G_IDT + 8 * vector,
		(handler & 0xffff) | 8 << 16 | (uint64_t)type << 40 |
			(uint64_t)(handler >> 16) << 48);
}

static void put32(struct guest *g, uint64_t at, uint32_t value)
{
	memcpy(g->ram->host + at, &value, 4);
}

static void task32(struct guest *g, uint64_t tss, uint32_t eip, uint32_t esp)
{
	put32(g, tss + 0x20, eip);
	put32(g, tss + 0x24, 2);
	put32(g, tss + 0x38, esp);
	for (unsigned int i = 0; i < 6; i++)
		put32(g, tss + 0x48 + 4 * i, i == X86_CS ? 8 : 0x10);
}

static void in_protected_mode(void **state)
{
	struct guest *g = soft_guest_new(MODE_PROTECTED);

	g->s.gdtr.limit = 0x7f;
	gdt(g, 0x20, 0x00cffb000000ffff);
	gdt(g, 0x28, 0x00cff3000000ffff);
	gdt(g, 0x40, 0x0000890000000067 | G_TSS << 16);
	gdt(g, 0x48, 0x0000890000000067 | G_TSS_B << 16);
	gdt(g, 0x50, 0x00008200000000ff | G_LDT << 16);
	gdt(g, 0x58, 0x0000ec0100080000 | (G_CODE + 0x500)); /* call gate, one parameter */
	gdt(g, 0x60, 0x0000890000000067 | (G_TSS_B + 0x100) << 16);
	guest_put64(g, G_TSS + 4, 0x1000020000);
	task32(g, G_TSS_B, G_CODE + 0x300, 0x24000);
	task32(g, G_TSS_B + 0x100, G_CODE + 0x900, 0x25000);
	gate32(g, 0x80, G_CODE + 0x400, 0xee);
	gate32(g, 0x81, G_CODE + 0x600, 0xee);
	gate32(g, 0x82, G_CODE + 0x800, 0xee);
	guest_put64(g, G_IDT + 8 * 13, 0x0000850000600000);
	GUEST_LOAD(g, protected_guest);
	expect(g, 0x48);
	expect(g, 0x4002); /* NT */
	expect(g, 0x40);
	expect(g, 8); /* call gate */
	expect(g, 0x77777777);
	expect(g, 0x23);
	expect(g, 0x28000);
	expect(g, 0x23333); /* VM86: BX is DS, the upper half is the stack's of before */
	expect(g, 0x21234);
	expect(g, 0x23002); /* CLI with IOPL 3 */
	expect(g, 0x207f0);
	expect(g, 0x800);
	expect(g, 0x23202);
	expect(g, 0x3000);
	expect(g, 0);
	expect(g, 0x1000);
	/* And the null SS there has no handler that would not need it. */
	assert_int_equal(guest_next(g), VCPU_EXIT_SHUTDOWN);
	guest_free(g);
}

/* -------- real mode -------- */

/* clang-format off */
GUEST(real_guest, 16,
	"xor %ax, %ax\n mov %ax, %ds\n mov %ax, %ss\n mov $0x7000, %sp\n"
	"movw $(0x8000 + 1f - real_guest), 0x84\n movw $0, 0x86\n"
	"int $0x21\n out %eax, $0x99\n"
	"pushl $0x12340\n push $0x5678\n popfw\n pop %bx\n pop %cx\n"
	"mov %bx, %ax\n out %eax, $0x99\n"
	/* To protected mode and back; DS keeps its limit. */
	"lgdtl (0x8000 + 8f - real_guest)\n"
	"mov %cr0, %eax\n or $1, %al\n mov %eax, %cr0\n"
	"ljmpl $8, $(0x8000 + 2f - real_guest)\n"
	".code32\n"
	"2: mov $0x10, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %cs, %eax\n out %eax, $0x99\n"
	"ljmp $0x18, $(0x8000 + 3f - real_guest)\n"
	".code16\n"
	"3: mov %cr0, %eax\n and $0xfe, %al\n mov %eax, %cr0\n"
	"ljmp $0x700, $(0x1000 + 4f - real_guest)\n"
	"4: mov %cs, %ax\n movzx %ax, %eax\n out %eax, $0x99\n"
	"xor %ax, %ax\n mov %ax, %ds\n mov $0x200000, %ebx\n movl $0xabcdef, (%ebx)\n"
	"mov (%ebx), %eax\n out %eax, $0x99\n"
	"movw $0x55aa, %cs:0x10\n"			/* CS may be written */
	"lcall $0x600, $(0x2000 + 5f - real_guest)\n"
	"movzx %sp, %eax\n out %eax, $0x99\n"
	"lidtl (0x8000 + 9f - real_guest)\n int $3\n"
	"5: lret $0\n"
	"1: mov $0x2121, %eax\n iret\n"
	"8: .word 0x1f\n .long 0x8000 + 7f - real_guest\n"
	"9: .word 0\n .long 0\n"
	"7: .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00009b000000ffff\n");
/* clang-format on */

static void in_real_mode(void **state)
{
	struct guest *g = soft_guest_new(MODE_REAL);

	GUEST_LOAD(g, real_guest);
	expect(g, 0x2121);
	expect(g, 0x2340);
	expect(g, 8);
	expect(g, 0x700);
	expect(g, 0xabcdef);
	expect(g, 0x7000);
	assert_int_equal(guest_next(g), VCPU_EXIT_SHUTDOWN);
	assert_int_equal(guest_get64(g, 0x7010) & 0xffff, 0x55aa);
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_long_mode),
		cmocka_unit_test(in_protected_mode),
		cmocka_unit_test(in_real_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
