// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest moved between kvm and soft while it runs. It goes round through real mode, 16- and 32-bit
 * protected mode, compatibility and long mode, computes a checksum in each with general, x87 and SSE
 * registers and strings, and takes timer interrupts. A thread kicks the vCPU now and then; each time
 * all its state goes from one engine into the other, which goes on over the same memory. The checksum
 * must be the one that each engine comes to alone.
 */
#include <stdatomic.h>
#include <unistd.h>
#include "accel/kvm/guest_testing.h"
#include "accel/soft/soft_testing.h"

#define ROUNDS	   400
#define MOVES_MIN  20 /* each way */
#define D_SUM	   (G_DATA + 0x00)
#define D_ROUNDS   (G_DATA + 0x10)
#define D_TICKS	   (G_DATA + 0x18)
#define D_BUFFER   (G_DATA + 0x100)
#define TIMER_GATE 0x40
#define ADDR(l)	   "0x8000 + " l " - handover_guest"

/* clang-format off */
GUEST(handover_guest, 64,
	/* x2APIC, and a periodic timer of 50 us (a tick is 1 ns) at vector 0x40. */
	"mov $0x1b, %ecx; rdmsr; or $0xc00, %eax; wrmsr\n"
	"mov $0x80f, %ecx; mov $0x1ff, %eax; xor %edx, %edx; wrmsr\n"
	"mov $0x83e, %ecx; mov $0xb, %eax; wrmsr\n"
	"mov $0x832, %ecx; mov $0x20040, %eax; wrmsr\n"
	"mov $0x838, %ecx; mov $50000, %eax; wrmsr\n"
	"fninit; fld1\n"
	"mov $0x9e3779b9, %eax; movd %eax, %xmm7; pshufd $0, %xmm7, %xmm7\n"
	"again64:\n"
	"sti\n"
	"mov $0x30000, %ebx; mov $3000, %r9d; mov (%rbx), %rax\n"
	"movabs $6364136223846793005, %r10\n"
	"1: imul %r10, %rax; inc %rax; mov %rax, %rdx; rol $17, %rdx; xor %rdx, %rax\n"
	"paddd %xmm7, %xmm7; pxor %xmm7, %xmm6; movq %rax, %xmm5; paddq %xmm5, %xmm6\n"
	"fld1; faddp; adc $0, %rax; bswap %rax; dec %r9d; jnz 1b\n"
	"movq %xmm6, %rdx; xor %rdx, %rax; mov %rax, (%rbx)\n"
	"fld %st(0); fistpll 8(%rbx); mov 8(%rbx), %rdx; add %rdx, (%rbx)\n"
	"lea 0x100(%rbx), %rdi; mov $0x100, %ecx; rep stosb\n"
	"lea 0x100(%rbx), %rsi; lea 0x108(%rbx), %rdi; mov $0xf0, %ecx; rep movsb\n"
	"cli\n"
	"pushq $0x28; pushq $" ADDR("compat") "; lretq\n"
	".code32\n"
	"compat:\n"
	"mov $0x10, %ax; mov %ax, %ds; mov %ax, %es; mov %ax, %ss\n"
	"mov $500, %ecx; mov 0x30000, %eax\n"
	"2: lea 7(%eax,%eax,4), %eax; bt $3, %eax; rcl $1, %eax; xor %ecx, %eax; loop 2b\n"
	"mov %eax, 0x30000\n"
	"mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0\n"
	"mov $0xc0000080, %ecx; rdmsr; and $~0x100, %eax; wrmsr\n"
	"mov $500, %ecx; mov 0x30004, %eax\n"
	"3: imul $69069, %eax, %eax; aaa; daa; sbb %edx, %edx; add %edx, %eax; loop 3b\n"
	"mov %eax, 0x30004\n"
	"ljmp $0x30, $" ADDR("protected16") "\n"
	".code16\n"
	"protected16:\n"
	"mov $0x38, %ax; mov %ax, %ds; mov %ax, %es; mov %ax, %ss\n"
	"mov %cr0, %eax; and $~1, %eax; mov %eax, %cr0\n"
	"ljmp $0, $" ADDR("real") "\n"
	"real:\n"
	"mov $0x3000, %ax; mov %ax, %ds; mov %ax, %es; xor %ax, %ax; mov %ax, %ss\n"
	"mov $500, %cx; mov 0, %ax; mov 2, %dx\n"
	"4: mul %dx; inc %ax; xor %cx, %dx; ror $3, %ax; aam; loop 4b\n"
	"xor %ax, 0; add %dx, 2; mov $0x100, %si; mov $0x200, %di; mov $0x80, %cx; rep movsw\n"
	"mov %cr0, %eax; or $1, %eax; mov %eax, %cr0\n"
	"ljmpl $0x28, $" ADDR("protected32") "\n"
	".code32\n"
	"protected32:\n"
	"mov $0x10, %ax; mov %ax, %ds; mov %ax, %es; mov %ax, %ss\n"
	"mov $0xc0000080, %ecx; rdmsr; or $0x100, %eax; wrmsr\n"
	"mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0\n"
	"ljmp $8, $" ADDR("long") "\n"
	".code64\n"
	"long: mov $0x20000, %esp; mov $0x30000, %ebx\n"
	"decq 0x10(%rbx); jnz again64\n"
	"xor %eax, %eax; out %al, $0x99\n"
	"5: jmp 5b\n"
	"handover_tick:\n"
	"push %rax; push %rcx; push %rdx\n"
	"incq 0x30018\n"
	"mov $0x80b, %ecx; xor %eax, %eax; xor %edx, %edx; wrmsr\n"
	"pop %rdx; pop %rcx; pop %rax; iretq\n");
/* clang-format on */
extern const uint8_t handover_tick[];

static void prepare(struct guest *g)
{
	guest_put64(g, G_GDT + 0x28, 0x00cf9b000000ffff); /* 32-bit code */
	guest_put64(g, G_GDT + 0x30, 0x00009b000000ffff); /* 16-bit code */
	guest_put64(g, G_GDT + 0x38, 0x000093000000ffff); /* 16-bit data */
	g->s.gdtr.limit = 0x3f;
	guest_gate(g, TIMER_GATE, G_CODE + (handover_tick - handover_guest));
	guest_put64(g, D_SUM, 1);
	guest_put64(g, D_ROUNDS, ROUNDS);
	GUEST_LOAD(g, handover_guest);
}

/* Run to the end on one engine; the checksum. */
static uint64_t alone(struct guest *g)
{
	prepare(g);
	guest_expect_done(g);
	assert_int_equal(guest_get64(g, D_ROUNDS), 0);
	assert_true(guest_get64(g, D_TICKS) > 0);
	return guest_get64(g, D_SUM);
}

struct kicker {
	struct guest *g[2];
	_Atomic bool end;
};

static void *kick(void *opaque)
{
	struct kicker *k = opaque;
	unsigned int seed = 1;

	while (!atomic_load(&k->end)) {
		usleep(200 + rand_r(&seed) % 3000);
		for (int i = 0; i < 2; i++)
			k->g[i]->accel->vcpu_kick(k->g[i]->vcpu);
	}
	return NULL;
}

/* All of @from's state into @to. */
static void move(struct guest *from, struct guest *to)
{
	struct x86_chips_state chips = { 0 };

	assert_int_equal(from->accel->vcpu_get(from->vcpu, &from->s, X86_STATE_ALL), 0);
	assert_int_equal(from->accel->chips_get(from->vm, &chips), 0);
	assert_int_equal(to->accel->chips_set(to->vm, &chips), 0);
	for (unsigned int part = 1; part < X86_STATE_ALL; part <<= 1)
		if (to->accel->vcpu_set(to->vcpu, &from->s, part))
			fail_msg("%s does not take part %#x of the state that %s gave",
				to->accel->name, part, from->accel->name);
	assert_int_equal(to->accel->vcpu_set(to->vcpu, &from->s, X86_STATE_ALL), 0);
}

/* Both machines see the same memory. */
static void share_memory(struct guest *a, struct guest *b)
{
	b->accel->ram_del(b->vm, &b->range);
	ram_block_unref(b->ram);
	b->ram = ram_block_ref(a->ram);
	b->range = a->range;
	assert_int_equal(b->accel->ram_add(b->vm, &b->range), 0);
}

static void moved_between_engines(void **state)
{
	struct guest *g[2] = { guest_new(MODE_LONG), soft_guest_new(MODE_LONG) };
	uint64_t wanted[2] = { alone(g[0]), alone(g[1]) };
	struct kicker k;
	pthread_t thread;
	int at = 0, moves = 0;

	assert_int_equal(wanted[0], wanted[1]);
	for (int i = 0; i < 2; i++)
		guest_free(g[i]);
	g[0] = guest_new(MODE_LONG);
	g[1] = soft_guest_new(MODE_LONG);
	share_memory(g[0], g[1]);
	prepare(g[0]);
	k = (struct kicker){ .g = { g[0], g[1] } };
	assert_int_equal(pthread_create(&thread, NULL, kick, &k), 0);
	for (;;) {
		guest_run(g[at]);
		if (g[at]->e.kind != VCPU_EXIT_NONE)
			break;
		move(g[at], g[!at]);
		at = !at;
		moves++;
	}
	atomic_store(&k.end, true);
	pthread_join(thread, NULL);
	print_message("%d moves, %llu ticks of the timer\n", moves,
		(unsigned long long)guest_get64(g[0], D_TICKS));
	assert_int_equal(g[at]->e.kind, VCPU_EXIT_PORT);
	assert_int_equal(g[at]->e.port.port, G_DONE);
	assert_int_equal(guest_get64(g[0], D_SUM), wanted[0]);
	assert_true(moves >= 2 * MOVES_MIN);
	for (int i = 0; i < 2; i++)
		guest_free(g[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(moved_between_engines) };

	AUTO(str) report = STR_INIT;

	/* A KVM without hardware beneath knows too few instructions. tests/lab/handover runs this where
	 * there is one. */
	if (!kvm_accel.probe(NULL, &report)) {
		printf("skipped: kvm: %s\n", str_cstr(&report));
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
