// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bootinit - the init of the boot and memory benches' guests: says that it runs, then waits for
 * input like a shell at its prompt, without end.
 */
#include <fcntl.h>
#include <unistd.h>

int main(void)
{
	static const char line[] = "\n@@ init\n";
	int fd = open("/dev/console", O_RDWR);
	char c;

	if (fd < 0)
		return 1;
	if (write(fd, line, sizeof(line) - 1) < 0)
		return 1;
	for (;;)
		if (read(fd, &c, 1) <= 0)
			pause();
}
