// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kvm - the engine's table of operations, its options, and the device file.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "accel/kvm/kvm_int.h"

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
	int r;

	do {
		r = ioctl(fd, request, arg);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

int kvm_ioctl_val(int fd, unsigned long request, unsigned long arg)
{
	int r;

	do {
		r = ioctl(fd, request, arg);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

int kvm_enable_cap(int fd, uint32_t cap, uint64_t arg0)
{
	struct kvm_enable_cap c = { .cap = cap, .args = { arg0 } };

	return kvm_ioctl(fd, KVM_ENABLE_CAP, &c);
}

bool kvm_host_is_amd(void)
{
	unsigned int a = 0, b = 0, c = 0, d = 0;

	/* Executed once a process: it traps when we are a guest ourselves. */
	static _Atomic int known;

	if (!known) {
		__cpuid(0, a, b, c, d);
		known = (b == signature_AMD_ebx || b == 0x6f677948 /* HygonGenuine */) ? 1 : 2;
	}
	return known == 1;
}

/* The name of group @gid in /etc/group, in @name. Not getgrgid(): a static program has no NSS. */
static bool group_name(gid_t gid, char *name, size_t size)
{
	FILE *f = fopen("/etc/group", "re");
	struct group *g = NULL;

	while (f && (g = fgetgrent(f)) && g->gr_gid != gid)
		;
	if (g)
		snprintf(name, size, "%s", g->gr_name);
	if (f)
		fclose(f);
	return g;
}

/* Why @path could not be opened, in words that help. Always returns false. */
static bool open_error(const char *path, int errnum, struct error *err)
{
	struct stat st;
	char group[64];

	switch (errnum) {
	case ENOENT:
		return error_set(err,
			"%s does not exist: load the module (modprobe kvm_%s) and see that "
			"virtualization is switched on in the firmware's setup",
			path, kvm_host_is_amd() ? "amd" : "intel");
	case ENODEV:
	case ENXIO:
		return error_set(err,
			"%s has no driver behind it: load the module (modprobe kvm_%s)", path,
			kvm_host_is_amd() ? "amd" : "intel");
	case EACCES:
	case EPERM:
		if (stat(path, &st) == 0 && (st.st_mode & S_IRGRP) &&
			group_name(st.st_gid, group, sizeof(group)))
			return error_set(err,
				"no permission on %s: it is for group '%s' (usermod -aG %s "
				"$USER, then log in again)",
				path, group, group);
		return error_set(err, "no permission on %s: ask its owner (chmod, setfacl)", path);
	default:
		return error_set_errno(err, errnum, "cannot open %s", path);
	}
}

int kvm_open(const char *path, struct error *err)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		open_error(path, errno, err);
	return fd;
}

static const struct field kvm_config_fields[] = {
	FIELD_STR(struct kvm_config, device, "device", .dflt = KVM_DEVICE_DEFAULT,
		.doc = "the KVM device file"),
};

const struct field_table kvm_config_table = FIELD_TABLE(
	"kvm", struct kvm_config, kvm_config_fields);

const struct accel kvm_accel = {
	.name = "kvm",
	.doc = "virtualization hardware, through Linux's KVM",
	.hardware = true,
	.config = &kvm_config_table,
	.probe = kvm_probe,
	.evident = kvm_evident,
	.vm_new = kvm_vm_new,
	.vm_free = kvm_vm_free,
	.ram_add = kvm_ram_add,
	.ram_del = kvm_ram_del,
	.dirty_log = kvm_dirty_log,
	.dirty_sync = kvm_dirty_sync,
	.irq_set = kvm_irq_set,
	.msi_send = kvm_msi_send,
	.irq_open = kvm_irq_open,
	.routes_set = kvm_routes_set,
	.irqfd = kvm_irqfd_set,
	.ioeventfd = kvm_ioeventfd_set,
	.cpuid_supported = kvm_cpuid_supported,
	.chips_get = kvm_chips_get,
	.chips_set = kvm_chips_set,
	.clock_get = kvm_clock_get,
	.clock_set = kvm_clock_set,
	.vcpu_new = kvm_vcpu_new,
	.vcpu_free = kvm_vcpu_free,
	.vcpu_set_cpuid = kvm_vcpu_set_cpuid,
	.vcpu_run = kvm_vcpu_run,
	.vcpu_kick = kvm_vcpu_kick,
	.vcpu_get = kvm_vcpu_get,
	.vcpu_set = kvm_vcpu_set,
	.vcpu_nmi = kvm_vcpu_nmi,
	.vcpu_stalled = kvm_vcpu_stalled,
	.vcpu_debug = kvm_vcpu_debug,
	.vcpu_translate = kvm_vcpu_translate,
};
