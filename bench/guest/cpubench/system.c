// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's work: system calls, processes, memory maps, signals, files; and 32-bit code. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpubench.h"

/* Waits for a child and makes sure that it ended well. */
static void reap(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("child");
	if (status) {
		fprintf(stderr, "child: status %d\n", status);
		exit(1);
	}
}

static uint64_t getppid_run(unsigned long n)
{
	long first = syscall(SYS_getppid), same = 0;

	for (unsigned long i = 0; i < n; i++)
		same += syscall(SYS_getppid) == first;
	return (uint64_t)same;
}

static uint64_t fork_run(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		reap(pid);
	}
	return n;
}

static uint64_t exec_run(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (!pid) {
			execl("/proc/self/exe", "cpubench", "--nothing", NULL);
			_exit(1);
		}
		reap(pid);
	}
	return n;
}

static uint64_t pipe_run(unsigned long n)
{
	int there[2], back[2];
	uint64_t sum = 0;
	uint8_t c = 0;
	pid_t pid;

	if (pipe(there) || pipe(back) || (pid = fork()) < 0)
		die("pipe");
	if (!pid) {
		close(there[1]);
		while (read(there[0], &c, 1) == 1) {
			c = (uint8_t)(c * 5 + 1);
			if (write(back[1], &c, 1) != 1)
				_exit(1);
		}
		_exit(0);
	}
	for (unsigned long i = 0; i < n; i++) {
		if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
			die("pipe");
		sum = mix(sum, c);
	}
	close(there[1]);
	reap(pid);
	return sum;
}

#define PAGE	    4096u
#define FAULT_BYTES (8u << 20)

static uint64_t page_faults_run(unsigned long n)
{
	uint64_t sum = 0;

	for (unsigned long i = 0; i < n; i++) {
		uint8_t *p = mmap(NULL, FAULT_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED || madvise(p, FAULT_BYTES, MADV_NOHUGEPAGE))
			die("mmap");
		for (size_t at = 0; at < FAULT_BYTES; at += PAGE)
			p[at] = (uint8_t)(sum += p[at] + 1u);
		munmap(p, FAULT_BYTES);
	}
	return sum;
}

static uint64_t mmap_run(unsigned long n)
{
	uint64_t sum = 0;

	for (unsigned long i = 0; i < n; i++) {
		size_t size = (1 + i % 7) * PAGE;
		uint8_t *p = mmap(
			NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			die("mmap");
		p[i % PAGE] = (uint8_t)i;
		if (mprotect(p, PAGE, PROT_READ))
			die("mprotect");
		sum += p[i % PAGE];
		munmap(p, size);
	}
	return sum;
}

/* ---- signals: one by kill(2), one by a write to a page that may not be written ---- */

static volatile uint64_t signal_sum;
static uint8_t *closed;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	signal_sum += (uint64_t)number;
	if (number == SIGSEGV && mprotect(closed, PAGE, PROT_READ | PROT_WRITE))
		_exit(1);
}

static void signals_setup(unsigned long n)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	(void)n;
	closed = get_memory(PAGE);
	if (sigaction(SIGUSR1, &action, NULL) || sigaction(SIGSEGV, &action, NULL))
		die("sigaction");
}

static uint64_t signals_run(unsigned long n)
{
	pid_t pid = getpid();

	for (unsigned long i = 0; i < n; i++) {
		kill(pid, SIGUSR1);
		if (i & 3)
			continue;
		if (mprotect(closed, PAGE, PROT_READ))
			die("mprotect");
		*(volatile uint8_t *)closed = (uint8_t)i;
	}
	return signal_sum;
}

/* ---- files in a tmpfs ---- */

static char folder[64];

static void files_setup(unsigned long n)
{
	(void)n;
	snprintf(folder, sizeof(folder), "/dev/shm/cpubench-%d", getpid());
	if (mkdir(folder, 0700) || chdir(folder))
		die(folder);
}

static uint64_t one_file(unsigned long i)
{
	uint8_t data[8192];
	struct stat s;
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "file-%lu", i % 100);
	memset(data, (int)i, sizeof(data));
	fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || write(fd, data, sizeof(data)) != sizeof(data) ||
		pwrite(fd, "x", 1, (off_t)(i % 9000)) != 1 || fstat(fd, &s))
		die(name);
	memset(data, 0, sizeof(data));
	if (pread(fd, data, sizeof(data), 1000) != s.st_size - 1000)
		die(name);
	close(fd);
	if (stat(name, &s) || unlink(name))
		die(name);
	return mix_memory(data, 512) + (uint64_t)s.st_size;
}

static uint64_t files_run(unsigned long n)
{
	uint64_t sum = 0;

	for (unsigned long i = 0; i < n; i++)
		sum = mix(sum, one_file(i));
	if (chdir("/") || rmdir(folder))
		die(folder);
	return sum;
}

/* ---- the integer mix in 32-bit code: a program of its own, MIX32 is its path ---- */

__asm__("	.section .rodata\n"
	"mix32_image:\n"
	"	.incbin \"" MIX32 "\"\n"
	"mix32_end:\n"
	"	.previous\n");
extern const uint8_t mix32_image[], mix32_end[];

static uint64_t coremix32_run(unsigned long n)
{
	size_t size = (size_t)(mix32_end - mix32_image);
	int fd = memfd_create("mix32", MFD_CLOEXEC), out[2];
	char count[24], *argv[] = { "mix32", count, NULL };
	uint64_t sum;
	pid_t pid;

	snprintf(count, sizeof(count), "%lu", n);
	if (fd < 0 || write(fd, mix32_image, size) != (ssize_t)size || pipe(out) ||
		(pid = fork()) < 0)
		die("mix32");
	if (!pid) {
		dup2(out[1], 1);
		fexecve(fd, argv, (char *[]){ NULL });
		_exit(1);
	}
	reap(pid);
	if (read(out[0], &sum, sizeof(sum)) != sizeof(sum))
		die("mix32");
	return sum;
}

const struct bench system_benches[] = {
	{ "coremix-32bit", "integer", 1, 0, 60000, NULL, coremix32_run },
	{ "getppid", "syscalls", 1, 0, 5000000, NULL, getppid_run },
	{ "fork", "system", 1, 0, 2500, NULL, fork_run },
	{ "exec", "system", 1, 0, 600, NULL, exec_run },
	{ "pipe", "system", 1, 0, 5000, NULL, pipe_run },
	{ "page-faults", "system", 1, 0, 80, NULL, page_faults_run },
	{ "mmap", "system", 1, 0, 12000, NULL, mmap_run },
	{ "signals", "system", 1, 0, 40000, signals_setup, signals_run },
	{ "files", "system", 1, 0, 8000, files_setup, files_run },
	{ 0 },
};
