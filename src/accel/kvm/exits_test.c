// SPDX-License-Identifier: GPL-2.0-or-later
/* Port and memory accesses of every size, string I/O, triple fault, internal errors. */
#include "accel/kvm/guest_testing.h"

GUEST(ports16, 16,
	"mov $0x1234, %dx\n mov $0xa5, %al\n out %al, %dx\n"
	"mov $0xbeef, %ax\n out %ax, %dx\n"
	"mov $0xdeadbeef, %eax\n out %eax, %dx\n"
	"in %dx, %al\n out %al, $0x80\n"
	"in %dx, %ax\n out %ax, $0x80\n"
	"in %dx, %eax\n out %eax, $0x80\n"
	"out %al, $0x99\n hlt");

static void ports_real_mode(void **state)
{
	struct guest *g = guest_new(MODE_REAL);
	uint32_t v = 0;

	GUEST_LOAD(g, ports16);
	guest_expect_port(g, 0x1234, 1, true);
	assert_int_equal(g->e.port.data[0], 0xa5);
	guest_expect_port(g, 0x1234, 2, true);
	assert_memory_equal(g->e.port.data, "\xef\xbe", 2);
	guest_expect_port(g, 0x1234, 4, true);
	assert_memory_equal(g->e.port.data, "\xef\xbe\xad\xde", 4);
	for (unsigned int size = 1; size <= 4; size *= 2) {
		uint32_t in = 0x87654321;

		guest_expect_port(g, 0x1234, size, false);
		memcpy(g->e.port.data, &in, size);
		guest_expect_port(g, 0x80, size, true);
		v = 0;
		memcpy(&v, g->e.port.data, size);
		assert_int_equal(v, size == 4 ? in : in & ((1u << 8 * size) - 1));
	}
	guest_expect_done(g);
	guest_free(g);
}

GUEST(strings32, 32,
	"cld\n mov $0x30000, %esi\n mov $16, %ecx\n mov $0x300, %dx\n rep outsb\n"
	"mov $0x30100, %edi\n mov $8, %ecx\n rep insw\n"
	"mov $0x30000, %esi\n mov $4, %ecx\n rep outsl\n"
	"out %al, $0x99\n hlt");

/* Units of a string may come in one exit or in several. */
static void take_string(
	struct guest *g, unsigned int size, bool write, uint8_t *buf, uint32_t count)
{
	for (uint32_t done = 0; done < count; done += g->e.port.count) {
		guest_expect_port(g, 0x300, size, write);
		assert_in_range(g->e.port.count, 1, count - done);
		if (write)
			memcpy(buf + done * size, g->e.port.data, g->e.port.count * size);
		else
			memcpy(g->e.port.data, buf + done * size, g->e.port.count * size);
	}
}

static void string_ports(void **state)
{
	struct guest *g = guest_new(MODE_PROTECTED);
	uint8_t out[16], in[16];

	for (int i = 0; i < 16; i++) {
		g->ram->host[G_DATA + i] = i * 7;
		in[i] = 200 - i;
	}
	GUEST_LOAD(g, strings32);
	take_string(g, 1, true, out, 16);
	assert_memory_equal(out, g->ram->host + G_DATA, 16);
	take_string(g, 2, false, in, 8);
	memset(out, 0, sizeof(out));
	take_string(g, 4, true, out, 4);
	assert_memory_equal(out, g->ram->host + G_DATA, 16);
	guest_expect_done(g);
	assert_memory_equal(in, g->ram->host + 0x30100, 16);
	guest_free(g);
}

GUEST(mmio64, 64,
	"mov $0x3f000000, %rbx\n mov $0x1122334455667788, %rax\n"
	"mov %al, (%rbx)\n mov %ax, 2(%rbx)\n mov %eax, 4(%rbx)\n mov %rax, 8(%rbx)\n"
	"xor %eax, %eax\n"
	"mov 1(%rbx), %al\n mov %rax, 0x30000\n"
	"mov 2(%rbx), %ax\n mov %rax, 0x30008\n"
	"mov 4(%rbx), %eax\n mov %rax, 0x30010\n"
	"mov 8(%rbx), %rax\n mov %rax, 0x30018\n"
	"out %al, $0x99\n hlt");

static void mmio_long_mode(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	static const uint64_t stored = 0x1122334455667788, loaded = 0xfedcba9876543210;
	static const uint64_t offs[] = { 0, 2, 4, 8 };

	GUEST_LOAD(g, mmio64);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(guest_next(g), VCPU_EXIT_MEM);
		assert_true(g->e.mem.write);
		assert_int_equal(g->e.mem.addr, G_MMIO + offs[i]);
		assert_int_equal(g->e.mem.size, 1 << i);
		assert_memory_equal(g->e.mem.data, &stored, 1 << i);
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(guest_next(g), VCPU_EXIT_MEM);
		assert_false(g->e.mem.write);
		assert_int_equal(g->e.mem.addr, G_MMIO + (i ? offs[i] : 1));
		assert_int_equal(g->e.mem.size, 1 << i);
		memcpy(g->e.mem.data, &loaded, 1 << i);
	}
	guest_expect_done(g);
	assert_int_equal(guest_get64(g, G_DATA), 0x10);
	assert_int_equal(guest_get64(g, G_DATA + 8), 0x3210);
	assert_int_equal(guest_get64(g, G_DATA + 16), 0x76543210);
	assert_int_equal(guest_get64(g, G_DATA + 24), loaded);
	guest_free(g);
}

/* A store across the end of RAM: the part in RAM is written, the rest is an exit. */
GUEST(straddle64, 64, "mov $0x1122334455667788, %rax\n mov %rax, 0x3ffffc\n out %al, $0x99\n hlt");

static void mmio_straddles_ram(void **state)
{
	struct guest *g = guest_new(MODE_LONG);

	GUEST_LOAD(g, straddle64);
	assert_int_equal(guest_next(g), VCPU_EXIT_MEM);
	assert_int_equal(g->e.mem.addr, G_RAM);
	assert_int_equal(g->e.mem.size, 4);
	assert_memory_equal(g->e.mem.data, "\x44\x33\x22\x11", 4);
	guest_expect_done(g);
	assert_memory_equal(g->ram->host + G_RAM - 4, "\x88\x77\x66\x55", 4);
	guest_free(g);
}

/* An undefined instruction and no valid IDT. */
GUEST(crash64, 64, "ud2");

static void triple_fault(void **state)
{
	struct guest *g = guest_new(MODE_LONG);

	g->s.idtr.limit = 0;
	GUEST_LOAD(g, crash64);
	assert_int_equal(guest_next(g), VCPU_EXIT_SHUTDOWN);
	guest_free(g);
}

/* Code that runs from where no memory is cannot be fetched by anybody. */
GUEST(jump64, 64, "mov $0x3f000000, %rax\n jmp *%rax");

static void internal_error(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct x86_cpu_state s;

	GUEST_LOAD(g, jump64);
	assert_int_equal(guest_next(g), VCPU_EXIT_ERROR);
	assert_true(strlen(g->e.error.text) > 0);
	assert_int_equal(kvm_accel.vcpu_get(g->vcpu, &s, X86_STATE_REGS), 0);
	assert_int_equal(s.rip, G_MMIO);
	guest_free(g);
}

/* What KVM's emulator has to do because of the operand and cannot: its bytes are told. */
GUEST(unemulated64, 64, "mov $0x3f000000, %rbx\n vpaddb (%rbx), %ymm0, %ymm1\n hlt");

static void error_has_bytes(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	static const uint8_t insn[] = { 0xc5, 0xfd, 0xfc, 0x0b };

	if (!__builtin_cpu_supports("avx2")) {
		print_message("no AVX2 here\n");
		guest_free(g);
		skip();
	}
	g->s.cr4 |= 1u << 18;
	g->s.xcr0 = 7;
	GUEST_LOAD(g, unemulated64);
	assert_int_equal(kvm_accel.vcpu_set(g->vcpu, &g->s, X86_STATE_FPU), 0);
	assert_int_equal(guest_next(g), VCPU_EXIT_ERROR);
	assert_true(g->e.error.insn_len >= sizeof(insn));
	assert_memory_equal(g->e.error.insn, insn, sizeof(insn));
	guest_free(g);
}

/* The same by translation only: no bytes came from KVM. */
static void bytes_by_translation(void **state)
{
	struct guest *g = guest_new(MODE_LONG);

	GUEST_LOAD(g, crash64);
	memset(&g->e, 0, sizeof(g->e));
	kvm_exit_failed(to_kvm_vcpu(g->vcpu), EFAULT, &g->e);
	assert_int_equal(g->e.kind, VCPU_EXIT_ERROR);
	assert_int_equal(g->e.error.insn_len, 15);
	assert_memory_equal(g->e.error.insn, "\x0f\x0b", 2);
	guest_free(g);
}

/* Every number that KVM could give has an answer. */
static void all_reasons(void **state)
{
	struct guest *g = guest_new(MODE_LONG);

	GUEST_LOAD(g, crash64);
	for (uint32_t reason = 0; reason < 64; reason++) {
		to_kvm_vcpu(g->vcpu)->run->exit_reason = reason;
		memset(&to_kvm_vcpu(g->vcpu)->run->padding, 0,
			sizeof(to_kvm_vcpu(g->vcpu)->run->padding));
		g->e.kind = -1;
		kvm_exit_translate(to_kvm_vcpu(g->vcpu), &g->e);
		assert_in_range(g->e.kind, 0, VCPU_EXIT_ERROR);
		if (g->e.kind == VCPU_EXIT_ERROR)
			assert_true(strlen(g->e.error.text) > 0);
	}
	to_kvm_vcpu(g->vcpu)->unfinished = false;
	to_kvm_vcpu(g->vcpu)->answer = NULL;
	guest_free(g);
}

static void msr_answers(void **state)
{
	struct guest *g = guest_new(MODE_LONG);

	to_kvm_vcpu(g->vcpu)->run->exit_reason = KVM_EXIT_X86_RDMSR;
	to_kvm_vcpu(g->vcpu)->run->msr.index = 0x1234;
	kvm_exit_translate(to_kvm_vcpu(g->vcpu), &g->e);
	assert_int_equal(g->e.kind, VCPU_EXIT_RDMSR);
	assert_int_equal(g->e.msr.index, 0x1234);
	g->e.msr.value = 77;
	g->e.msr.fault = true;
	kvm_msr_answer(to_kvm_vcpu(g->vcpu));
	assert_int_equal(to_kvm_vcpu(g->vcpu)->run->msr.data, 77);
	assert_int_equal(to_kvm_vcpu(g->vcpu)->run->msr.error, 1);
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_real_mode),
		cmocka_unit_test(string_ports),
		cmocka_unit_test(mmio_long_mode),
		cmocka_unit_test(mmio_straddles_ram),
		cmocka_unit_test(triple_fault),
		cmocka_unit_test(internal_error),
		cmocka_unit_test(error_has_bytes),
		cmocka_unit_test(bytes_by_translation),
		cmocka_unit_test(all_reasons),
		cmocka_unit_test(msr_answers),
	};

	return guest_testing_skip() ?: cmocka_run_group_tests(tests, NULL, NULL);
}
