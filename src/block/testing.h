// SPDX-License-Identifier: GPL-2.0-or-later
/* testing - block devices for tests: loop devices, which want root. */
#ifndef BLOCK_TESTING_H
#define BLOCK_TESTING_H

#include <fcntl.h>
#include <linux/loop.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A loop device with sectors of @sector bytes on the file @path: its number, or -1. */
static inline int make_loop_device(const char *path, uint32_t sector)
{
	struct loop_config lc = { .block_size = sector };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), n = -1, fd = -1;
	char name[32];

	if (control >= 0)
		n = ioctl(control, LOOP_CTL_GET_FREE);
	if (n >= 0) {
		snprintf(name, sizeof(name), "/dev/loop%d", n);
		fd = open(name, O_RDWR | O_CLOEXEC);
	}
	lc.fd = (uint32_t)open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, LOOP_CONFIGURE, &lc) < 0)
		n = -1;
	close((int)lc.fd);
	if (fd >= 0)
		close(fd);
	if (control >= 0)
		close(control);
	return n;
}

static inline void drop_loop_device(int n)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "/dev/loop%d", n);
	fd = open(name, O_RDWR | O_CLOEXEC);
	ioctl(fd, LOOP_CLR_FD);
	close(fd);
}

#endif
