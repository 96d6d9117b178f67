// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kvmprobe - says whether /dev/kvm runs a guest: a real-mode one of a few bytes, which adds two
 * numbers, writes the sum to a port and halts. Prints the API version and the monotonic clock, so
 * that two runs under `lab --icount` can be compared. Exit status: 0 it does, 1 it does not.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#define GUEST_AT 0x1000
#define PORT	 0x3f8

static const unsigned char guest[] = {
	0xba, 0xf8, 0x03, /* mov dx, PORT */
	0x00, 0xd8,	  /* add al, bl */
	0xee,		  /* out dx, al */
	0xf4,		  /* hlt */
};

static int check(int result, const char *what)
{
	if (result >= 0)
		return result;
	perror(what);
	exit(1);
}

static struct kvm_run *make_guest(int vm, int vcpu, int run_size)
{
	void *ram = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region slot = {
		.guest_phys_addr = GUEST_AT,
		.memory_size = 4096,
		.userspace_addr = (unsigned long)ram,
	};
	struct kvm_regs regs = { .rip = GUEST_AT, .rax = 2, .rbx = 3, .rflags = 2 };
	struct kvm_sregs sregs;
	void *run;

	check(ram == MAP_FAILED ? -1 : 0, "mmap");
	memcpy(ram, guest, sizeof(guest));
	check(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot), "KVM_SET_USER_MEMORY_REGION");
	check(ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	check(ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	check(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
	run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	check(run == MAP_FAILED ? -1 : 0, "mmap of the vCPU");
	return run;
}

int main(void)
{
	int kvm = check(open("/dev/kvm", O_RDWR), "/dev/kvm");
	int version = check(ioctl(kvm, KVM_GET_API_VERSION, 0), "KVM_GET_API_VERSION");
	int vm = check(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	int vcpu = check(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	int run_size = check(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
	struct kvm_run *run = make_guest(vm, vcpu, run_size);
	struct timespec now;

	check(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
	if (run->exit_reason != KVM_EXIT_IO || run->io.port != PORT ||
		((unsigned char *)run)[run->io.data_offset] != 5) {
		fprintf(stderr, "the guest ended in exit %u, not with its sum\n", run->exit_reason);
		return 1;
	}
	check(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("KVM API %d, guest ran, halted: %s, clock %lld.%09ld\n", version,
		run->exit_reason == KVM_EXIT_HLT ? "yes" : "no", (long long)now.tv_sec,
		now.tv_nsec);
	return run->exit_reason == KVM_EXIT_HLT ? 0 : 1;
}
