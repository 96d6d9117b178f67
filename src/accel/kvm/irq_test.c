// SPDX-License-Identifier: GPL-2.0-or-later
/* Interrupts into a guest (pins, messages, irqfd), doorbells out of it (ioeventfd), chips' state. */
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include "accel/kvm/guest_testing.h"

#define HANDLER	 0x9000ull
#define PD_HIGH	 0x15000ull
#define VECTOR	 0x41
#define MSI_ADDR 0xfee00000ull

/* Enables its APIC and interrupts, says so, then asks for more until stopped. */
GUEST(waits64, 64,
	"mov $0x1b, %ecx\n rdmsr\n"
	"mov $0xfee000f0, %ebx\n movl $0x1ff, (%rbx)\n"
	"sti\n nop\n"
	"1: out %al, $0x77\n jmp 1b");
/* The handler: tell, end of interrupt, back. */
GUEST(handler64, 64, "out %al, $0x55\n mov $0xfee000b0, %ebx\n movl $0, (%rbx)\n iretq");

/* The APICs' pages, and the handler. */
static void map_apics(struct guest *g)
{
	/* The APIC's page, mapped for the guest through the 4th GiB. */
	guest_put64(g, G_PDPT + 24, PD_HIGH | 7);
	guest_put64(g, PD_HIGH + 8 * 502, 0xfec00000 | 0x97);
	guest_put64(g, PD_HIGH + 8 * 503, 0xfee00000 | 0x97);
	memcpy(g->ram->host + HANDLER, handler64, handler64_end - handler64);
	guest_gate(g, VECTOR, HANDLER);
}

static struct guest *irq_guest(int irqchip, bool pit)
{
	struct guest *g = guest_new_chips(MODE_LONG, irqchip, pit);

	map_apics(g);
	GUEST_LOAD(g, waits64);
	guest_expect_port(g, 0x77, 1, true);
	return g;
}

/* Interrupts are taken within some turns of the guest's loop. */
static bool interrupted(struct guest *g)
{
	for (int i = 0; i < 100; i++) {
		if (guest_next(g) != VCPU_EXIT_PORT)
			return false;
		if (g->e.port.port == 0x55)
			return true;
	}
	return false;
}

static void msi(void **state)
{
	struct guest *g = irq_guest(ACCEL_IRQCHIP_FULL, false);

	assert_false(interrupted(g));
	assert_int_equal(kvm_accel.msi_send(g->vm, MSI_ADDR, VECTOR), 0);
	assert_true(interrupted(g));
	assert_false(interrupted(g));
	guest_free(g);
}

static void irqfd_of_a_route(void **state)
{
	struct guest *g = irq_guest(ACCEL_IRQCHIP_FULL, false);
	struct accel_msi routes[] = { { 30, MSI_ADDR, VECTOR }, { 31, MSI_ADDR, VECTOR } };
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	assert_int_equal(kvm_accel.routes_set(g->vm, routes, 2), 0);
	assert_int_equal(kvm_accel.irqfd(g->vm, 31, fd, true), 0);
	assert_int_equal(eventfd_write(fd, 1), 0);
	assert_true(interrupted(g));
	assert_false(interrupted(g));
	/* The route is gone, or the irqfd: nothing comes. */
	assert_int_equal(kvm_accel.routes_set(g->vm, routes, 1), 0);
	assert_int_equal(eventfd_write(fd, 1), 0);
	assert_false(interrupted(g));
	assert_int_equal(kvm_accel.irqfd(g->vm, 31, fd, false), 0);
	assert_int_equal(kvm_accel.routes_set(g->vm, routes, 2), 0);
	assert_int_equal(eventfd_write(fd, 1), 0);
	assert_false(interrupted(g));
	close(fd);
	guest_free(g);
}

static void bad_routes(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct accel_msi r = { .gsi = 3 };

	assert_int_equal(kvm_accel.routes_set(g->vm, &r, 1), -EINVAL);
	r.gsi = IRQ_GSI_MAX;
	assert_int_equal(kvm_accel.routes_set(g->vm, &r, 1), -EINVAL);
	assert_int_equal(kvm_accel.routes_set(g->vm, &r, IRQ_GSI_MAX + 1), -ENOSPC);
	assert_int_equal(kvm_accel.routes_set(g->vm, NULL, 0), 0);
	guest_free(g);
}

/* Every message route that core can hand out, at once. */
static void many_routes(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct accel_msi *r = calloc(IRQ_GSI_MAX, sizeof(*r));
	uint32_t n = 0;

	for (uint32_t i = IRQ_GSI_PINS; i < IRQ_GSI_MAX; i++)
		r[n++] = (struct accel_msi){ i, MSI_ADDR, VECTOR };
	assert_int_equal(kvm_accel.routes_set(g->vm, r, n), 0);
	free(r);
	guest_free(g);
}

/* The PICs have the same pins; their vectors are not set up. */
static void mask_pics(struct x86_chips_state *s)
{
	s->pic[0].imr = s->pic[1].imr = 0xff;
}

static uint64_t redirection(uint8_t vector, bool level)
{
	return vector | (level ? 1u << 15 : 0);
}

static void pins(void **state)
{
	struct guest *g = irq_guest(ACCEL_IRQCHIP_FULL, false);
	struct x86_chips_state s;

	assert_int_equal(kvm_accel.chips_get(g->vm, &s), 0);
	assert_int_equal(s.ioapic.base_address, 0xfec00000);
	mask_pics(&s);
	s.ioapic.redirtbl[10] = redirection(VECTOR, true);
	assert_int_equal(kvm_accel.chips_set(g->vm, &s), 0);
	assert_int_equal(kvm_accel.irq_set(g->vm, 10, true), 0);
	assert_true(interrupted(g));
	/* Still high after the end of interrupt: again. */
	assert_true(interrupted(g));
	assert_int_equal(kvm_accel.irq_set(g->vm, 10, false), 0);
	interrupted(g);
	assert_false(interrupted(g));
	guest_free(g);
}

static void chips_round_trip(void **state)
{
	struct guest *g = guest_new_chips(MODE_LONG, ACCEL_IRQCHIP_FULL, true);
	struct x86_chips_state s, t;

	assert_int_equal(kvm_accel.chips_get(g->vm, &s), 0);
	s.pic[0].irq_base = 0x20;
	s.pic[0].imr = 0xfb;
	s.pic[1].irq_base = 0x28;
	s.pic[1].elcr = 0x0c;
	s.ioapic.id = 3;
	for (int i = 0; i < 24; i++)
		s.ioapic.redirtbl[i] = 0x0100000000010000ull | (0x30 + i);
	s.pit.channel[0] = (struct x86_pit_channel_state){
		.count = 11932, .rw_mode = 3, .mode = 2, .gate = 1
	};
	assert_int_equal(kvm_accel.chips_set(g->vm, &s), 0);
	assert_int_equal(kvm_accel.chips_get(g->vm, &t), 0);
	assert_memory_equal(t.pic, s.pic, sizeof(s.pic));
	assert_memory_equal(&t.ioapic, &s.ioapic, sizeof(s.ioapic));
	assert_int_equal(t.pit.channel[0].count, 11932);
	assert_int_equal(t.pit.channel[0].mode, 2);
	assert_true(t.clock_ns >= s.clock_ns);
	/* Load times are of the VM's clock: the count has just begun. */
	assert_true(t.pit.channel[0].count_load_time <= (int64_t)t.clock_ns);
	assert_true(t.pit.channel[0].count_load_time + 30000000000 > (int64_t)t.clock_ns);
	guest_free(g);
}

/* The PIT's ticks arrive through pin 2, as on every PC. */
static void pit_ticks(void **state)
{
	struct guest *g = irq_guest(ACCEL_IRQCHIP_FULL, true);
	struct x86_chips_state s;
	bool came = false;

	assert_int_equal(kvm_accel.chips_get(g->vm, &s), 0);
	mask_pics(&s);
	s.ioapic.redirtbl[2] = redirection(VECTOR, false);
	s.pit.channel[0] = (struct x86_pit_channel_state){
		.count = 1193, .rw_mode = 3, .mode = 2, .gate = 1
	}; /* 1 ms */
	assert_int_equal(kvm_accel.chips_set(g->vm, &s), 0);
	for (int i = 0; i < 100 && !came; i++) {
		usleep(1000);
		came = interrupted(g);
	}
	assert_true(came);
	guest_free(g);
}

static void no_pit(void **state)
{
	struct guest *g = guest_new_chips(MODE_LONG, ACCEL_IRQCHIP_FULL, false);
	struct x86_chips_state s;

	assert_int_equal(kvm_accel.chips_get(g->vm, &s), 0);
	assert_int_equal(s.pit.channel[0].count, 0);
	assert_int_equal(kvm_accel.chips_set(g->vm, &s), 0);
	guest_free(g);
}

/* Split: the same, with our I/O APIC; a guest that programs it and acknowledges. */
GUEST(split64, 64,
	"mov $0xfee000f0, %ebx\n movl $0x1ff, (%rbx)\n"
	"mov $0xfec00000, %ebx\n"
	"movl $0x25, (%rbx)\n movl $0, 0x10(%rbx)\n"
	"movl $0x24, (%rbx)\n movl $0x8041, 0x10(%rbx)\n"
	"mov 0x10(%rbx), %eax\n out %eax, $0x77\n"
	"sti\n nop\n"
	"1: out %al, $0x77\n jmp 1b");

static void split(void **state)
{
	struct guest *g = guest_new_chips(MODE_LONG, ACCEL_IRQCHIP_SPLIT, true);
	struct accel_msi r = { 40, MSI_ADDR, 0x42 };
	struct x86_chips_state s;

	assert_int_equal(g->vm->irqchip, ACCEL_IRQCHIP_SPLIT);
	assert_int_equal(kvm_accel.routes_set(g->vm, &r, 1), 0);
	map_apics(g);
	GUEST_LOAD(g, split64);
	guest_expect_port(g, 0x77, 4, true);
	assert_memory_equal(g->e.port.data, "\x41\x80\x00\x00", 4);
	assert_int_equal(kvm_accel.irq_set(g->vm, 10, true), 0);
	assert_true(interrupted(g));
	/* Still high after the end of interrupt: again. */
	assert_true(interrupted(g));
	assert_int_equal(kvm_accel.irq_set(g->vm, 10, false), 0);
	interrupted(g);
	assert_false(interrupted(g));
	assert_int_equal(kvm_accel.irq_set(g->vm, 24, true), -EINVAL);

	/* The state moves to the kernel's chips and back. */
	assert_int_equal(kvm_accel.chips_get(g->vm, &s), 0);
	assert_int_equal(s.ioapic.redirtbl[10], redirection(VECTOR, true));
	assert_int_equal(s.pic[0].irq_base, 0);
	x86_chips_state_reset(&s);
	assert_int_equal(kvm_accel.chips_set(g->vm, &s), 0);
	assert_int_equal(kvm_accel.irq_set(g->vm, 10, true), 0);
	assert_false(interrupted(g));
	guest_free(g);
}

static void chips_reset(void **state)
{
	struct guest *g = guest_new_chips(MODE_LONG, ACCEL_IRQCHIP_FULL, true);
	struct x86_chips_state fresh, s;

	assert_int_equal(kvm_accel.chips_get(g->vm, &fresh), 0);
	s = fresh;
	x86_chips_state_reset(&s);
	/* What we call power-on is what KVM does. */
	assert_memory_equal(s.pic, fresh.pic, sizeof(s.pic));
	assert_memory_equal(&s.ioapic, &fresh.ioapic, sizeof(s.ioapic));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(s.pit.channel[i].mode, fresh.pit.channel[i].mode);
		assert_int_equal(s.pit.channel[i].gate, fresh.pit.channel[i].gate);
	}
	assert_int_equal(kvm_accel.chips_set(g->vm, &s), 0);
	guest_free(g);
}

/* Virtual wire: LINT0 takes the PICs' interrupts; the master at 0x40, with automatic EOI. */
GUEST(pic64, 64,
	"mov $0x1b, %ecx\n rdmsr\n"
	"mov $0xfee000f0, %ebx\n movl $0x1ff, (%rbx)\n"
	"mov $0xfee00350, %ebx\n movl $0x700, (%rbx)\n"
	"mov $0x11, %al\n out %al, $0x20\n mov $0x40, %al\n out %al, $0x21\n"
	"mov $4, %al\n out %al, $0x21\n mov $3, %al\n out %al, $0x21\n"
	"mov $0xfd, %al\n out %al, $0x21\n in $0x21, %al\n out %al, $0x66\n"
	"sti\n nop\n"
	"1: out %al, $0x77\n jmp 1b");
GUEST(pic_idle64, 64, "sti\n hlt\n out %al, $0x66\n hlt");

static void *pulse_later(void *arg)
{
	struct guest *g = arg;

	usleep(50000);
	kvm_accel.irq_set(g->vm, 1, true);
	kvm_accel.irq_set(g->vm, 1, false);
	return NULL;
}

static void split_pics(void **state)
{
	struct guest *g = guest_new_chips(MODE_LONG, ACCEL_IRQCHIP_SPLIT, true);
	struct x86_chips_state s;
	pthread_t thread;

	map_apics(g);
	GUEST_LOAD(g, pic64);
	guest_expect_port(g, 0x66, 1, true);
	assert_int_equal(g->e.port.data[0], 0xfd);
	assert_true(kvm_accel.irq_open(g->vm, 1));
	assert_false(kvm_accel.irq_open(g->vm, 3));
	assert_false(interrupted(g));
	/* Masked, then not. */
	assert_int_equal(kvm_accel.irq_set(g->vm, 3, true), 0);
	assert_false(interrupted(g));
	assert_int_equal(kvm_accel.irq_set(g->vm, 1, true), 0);
	assert_true(interrupted(g));
	assert_false(interrupted(g));
	assert_int_equal(kvm_accel.irq_set(g->vm, 1, false), 0);
	assert_int_equal(kvm_accel.irq_set(g->vm, 1, true), 0);
	assert_true(interrupted(g));
	assert_int_equal(kvm_accel.irq_set(g->vm, 1, false), 0);

	/* The state goes round. */
	assert_int_equal(kvm_accel.chips_get(g->vm, &s), 0);
	assert_int_equal(s.pic[0].irq_base, 0x40);
	assert_int_equal(s.pic[0].irr, 1 << 3);
	s.pic[0].imr = 0xf7;
	s.pic[0].irq_base = 0x41 - 1;
	assert_int_equal(kvm_accel.chips_set(g->vm, &s), 0);
	guest_gate(g, 0x43, HANDLER);
	assert_true(interrupted(g));

	/* A halted CPU is woken. */
	s.pic[0].imr = 0xfd;
	s.pic[0].irr = s.pic[0].last_irr = 0;
	assert_int_equal(kvm_accel.chips_set(g->vm, &s), 0);
	GUEST_LOAD(g, pic_idle64);
	assert_int_equal(pthread_create(&thread, NULL, pulse_later, g), 0);
	guest_expect_port(g, 0x55, 1, true);
	guest_expect_port(g, 0x66, 1, true);
	pthread_join(thread, NULL);
	guest_free(g);
}

static void nmi(void **state)
{
	struct guest *g = irq_guest(ACCEL_IRQCHIP_FULL, false);

	guest_gate(g, 2, HANDLER);
	assert_int_equal(kvm_accel.vcpu_nmi(g->vcpu), 0);
	assert_true(interrupted(g));
	guest_free(g);
}

/* -------- doorbells -------- */

GUEST(bells64, 64,
	"mov $0x3f000000, %rbx\n"
	"out %al, $0x60\n" /* port, any length */
	"out %ax, $0x60\n"
	"mov $7, %eax\n out %eax, $0x64\n" /* port, 4 bytes, 7 */
	"mov $8, %eax\n out %eax, $0x64\n"
	"mov %al, (%rbx)\n" /* memory, any length */
	"mov %rax, (%rbx)\n"
	"mov $5, %ax\n mov %ax, 16(%rbx)\n" /* memory, 2 bytes, 5 */
	"mov $6, %ax\n mov %ax, 16(%rbx)\n"
	"mov 16(%rbx), %ax\n"
	"out %al, $0x99\n hlt");

static uint64_t rung(int fd)
{
	uint64_t n = 0;

	return eventfd_read(fd, &n) == 0 ? n : 0;
}

static void doorbells(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	int fd[4];

	for (int i = 0; i < 4; i++)
		fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(kvm_accel.ioeventfd(g->vm, true, 0x60, 0, false, 0, fd[0], true), 0);
	assert_int_equal(kvm_accel.ioeventfd(g->vm, true, 0x64, 4, true, 7, fd[1], true), 0);
	assert_int_equal(kvm_accel.ioeventfd(g->vm, false, G_MMIO, 0, false, 0, fd[2], true), 0);
	assert_int_equal(
		kvm_accel.ioeventfd(g->vm, false, G_MMIO + 16, 2, true, 5, fd[3], true), 0);
	/* Two of the same are refused. */
	assert_int_equal(
		kvm_accel.ioeventfd(g->vm, false, G_MMIO + 16, 2, true, 5, fd[2], true), -EEXIST);
	GUEST_LOAD(g, bells64);
	guest_expect_port(g, 0x64, 4, true); /* 8 is not the doorbell's */
	assert_int_equal(rung(fd[0]), 2);
	assert_int_equal(rung(fd[1]), 1);
	assert_int_equal(guest_next(g), VCPU_EXIT_MEM);
	assert_true(g->e.mem.write);
	assert_int_equal(g->e.mem.addr, G_MMIO + 16);
	assert_int_equal(g->e.mem.data[0], 6);
	assert_int_equal(rung(fd[2]), 2);
	assert_int_equal(rung(fd[3]), 1);
	assert_int_equal(guest_next(g), VCPU_EXIT_MEM);
	assert_false(g->e.mem.write); /* reads are the device's */
	guest_expect_done(g);
	assert_int_equal(kvm_accel.ioeventfd(g->vm, true, 0x60, 0, false, 0, fd[0], false), 0);
	assert_int_equal(kvm_accel.ioeventfd(g->vm, true, 0x64, 4, true, 7, fd[1], false), 0);
	assert_int_equal(kvm_accel.ioeventfd(g->vm, true, 0x64, 4, true, 7, fd[1], false), -ENOENT);
	GUEST_LOAD(g, bells64);
	guest_expect_port(g, 0x60, 1, true);
	for (int i = 0; i < 4; i++)
		close(fd[i]);
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(msi),
		cmocka_unit_test(irqfd_of_a_route),
		cmocka_unit_test(bad_routes),
		cmocka_unit_test(many_routes),
		cmocka_unit_test(pins),
		cmocka_unit_test(chips_round_trip),
		cmocka_unit_test(pit_ticks),
		cmocka_unit_test(no_pit),
		cmocka_unit_test(split),
		cmocka_unit_test(split_pics),
		cmocka_unit_test(chips_reset),
		cmocka_unit_test(nmi),
		cmocka_unit_test(doorbells),
	};

	return guest_testing_skip() ?: cmocka_run_group_tests(tests, NULL, NULL);
}
