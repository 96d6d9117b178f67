// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A whole saved VM, loaded into a machine that waits for it. The input's checksums are put right first:
 * an enemy can compute them, too. What loads must be able to save again.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/field_fuzz.h"
#include "core/vcpu.h"
#include "machine.h"
#include "migrate/stream_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void vcpu_reset(struct machine *m, struct vcpu *v)
{
}

static struct machine *make(void)
{
	static const struct board_ops board = { .vcpu_reset = vcpu_reset };
	static const char *const types[] = { "acpi-pm", "i8042", "mc146818-rtc", "i8254" };
	struct machine *m = fuzz_machine();
	struct error err = ERROR_INIT;

	m->board = &board;
	FUZZ_CHECK(machine_add_vcpus(m, 1, &err));
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		FUZZ_CHECK(device_create(m, types[i], NULL, &err));
	/* The corpus was made by machines that had their doorbells there. */
	FUZZ_CHECK(device_create(m, "virtio-rng-pci", "notify=mmio", &err));
	FUZZ_CHECK(machine_init_vcpus(m, &err) && migrate_new(m, &err) &&
		   machine_wait_incoming(m, &err));
	migrate_params(migrate_of(m))->threads = 1;
	migrate_params(migrate_of(m))->tuned = true;
	return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct machine *m;
	AUTO(str) copy = STR_INIT;
	AUTO(str) again = STR_INIT;
	struct error err = ERROR_INIT;
	char uri[32];
	int fd = memfd_create("stream", MFD_CLOEXEC);

	m = m ?: make();
	str_append_mem(&copy, data, size);
	stream_reseal((uint8_t *)copy.s, copy.len);
	FUZZ_CHECK(fd >= 0 && write(fd, copy.s, copy.len) == (ssize_t)copy.len &&
		   lseek(fd, 0, SEEK_SET) == 0);
	snprintf(uri, sizeof(uri), "fd:%d", fd);
	FUZZ_CHECK(migrate_load(m, uri, &err));
	if (migrate_wait(migrate_of(m), &err)) {
		FUZZ_CHECK(m->state == RUN_PAUSED && machine_save_devices(m, &again, &err));
		m->state = RUN_INCOMING;
	} else {
		fuzz_check_error(&err);
	}
	return 0;
}
