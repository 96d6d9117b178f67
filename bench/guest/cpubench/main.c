// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cpubench - fixed work for a CPU, in rows; bench/cpu runs it in guests and on the host.
 *
 *	cpubench --list			name, class, CPUs wanted
 *	cpubench NAME [PERCENT]		one row: "NAME CHECKSUM"
 *	cpubench --ask NAME PERCENT	"@@ ready NAME", waits for a line, works,
 *					"@@ end NAME CHECKSUM CPU_NS NOTE" or "@@ skip NAME WHY"
 *	cpubench --probe		for each CPU how long it takes for a piece of work that wants all
 *					of a core's units, best of three, ns: "CPU NS"
 *
 * As a guest's init it takes lines "NAME PERCENT" from its console, each in a process of its own.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cpubench.h"

static const struct bench *const groups[] = { integer_benches, app_benches, memory_benches,
	vector_benches, system_benches, code_benches, thread_benches };
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

const char *bench_note;

void die(const char *what)
{
	perror(what);
	exit(1);
}

void *get_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	madvise(p, size, MADV_NOHUGEPAGE);
	memset(p, 0, size);
	return p;
}

static const struct bench *find(const char *name)
{
	for (size_t g = 0; g < GROUPS; g++)
		for (const struct bench *b = groups[g]; b->name; b++)
			if (!strcmp(b->name, name))
				return b;
	return NULL;
}

static void list(void)
{
	for (size_t g = 0; g < GROUPS; g++)
		for (const struct bench *b = groups[g]; b->name; b++)
			printf("%s %s %u\n", b->name, b->class, b->cpus);
}

/* What of the row's needs the CPU lacks, or NULL. */
static const char *lacks(const struct bench *b)
{
	__builtin_cpu_init();
	if (b->needs & NEEDS_AVX2 && !__builtin_cpu_supports("avx2"))
		return "AVX2";
	if (b->needs & NEEDS_AES &&
		(!__builtin_cpu_supports("aes") || !__builtin_cpu_supports("pclmul")))
		return "AES or PCLMULQDQ";
	return NULL;
}

static long long cpu_ns_of(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000ll +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000ll;
}

static long long cpu_ns(void)
{
	return cpu_ns_of(RUSAGE_SELF) + cpu_ns_of(RUSAGE_CHILDREN);
}

/* One line without its end; false when there is no more input. */
static int get_line(char *line, size_t size)
{
	size_t n = 0;
	char c;

	for (;;) {
		if (read(0, &c, 1) <= 0)
			return 0;
		if (c == '\n' || c == '\r') {
			line[n] = 0;
			return 1;
		}
		if (n < size - 1)
			line[n++] = c;
	}
}

static int run(const char *name, const char *percent, int ask)
{
	const struct bench *b = find(name);
	const char *missing = b ? lacks(b) : NULL;
	unsigned long n = b ? b->work * strtoull(percent, NULL, 10) / 100 : 0;
	long long start;
	char line[16];
	uint64_t sum;

	if (!b || missing) {
		printf("@@ skip %s %s\n", name, b ? missing : "no such row");
		return 0;
	}
	n = n ? n : 1;
	if (b->setup)
		b->setup(n);
	if (ask) {
		printf("@@ ready %s\n", name);
		fflush(stdout);
		get_line(line, sizeof(line));
	}
	start = cpu_ns();
	sum = b->run(n);
	if (ask)
		printf("@@ end %s %016llx %lld %s\n", name, (unsigned long long)sum,
			cpu_ns() - start, bench_note ? bench_note : "");
	else
		printf("%s %016llx\n", name, (unsigned long long)sum);
	return 0;
}

/* ---- is a core shared? ---- */

/* Eight independent additions and exclusive ors a turn: four execution units are busy, so that it takes
 * nearly twice as long while the core's other thread runs, whoever's that is. */
static long long probe_once(void)
{
	unsigned long a = 1, b = 2, c = 3, d = 4;
	struct timespec from, to;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	for (unsigned int i = 0; i < 1000000; i++)
		asm volatile("add $1, %0\n\tadd $1, %1\n\tadd $1, %2\n\tadd $1, %3\n\t"
			     "xor $5, %0\n\txor $5, %1\n\txor $5, %2\n\txor $5, %3"
			     : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	return (to.tv_sec - from.tv_sec) * 1000000000ll + to.tv_nsec - from.tv_nsec;
}

static int probe(void)
{
	cpu_set_t all, one;

	if (sched_getaffinity(0, sizeof(all), &all))
		die("sched_getaffinity");
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		long long best = 0;

		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one))
			die("sched_setaffinity");
		for (int n = 0; n < 3; n++) {
			long long ns = probe_once();

			best = !best || ns < best ? ns : best;
		}
		printf("%d %lld\n", cpu, best);
	}
	return 0;
}

/* ---- as init ---- */

static void set_up_console(void)
{
	struct termios t;

	mkdir("/dev/shm", 0777);
	if (mount("proc", "/proc", "proc", 0, NULL) || mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL))
		perror("mount");
	if (tcgetattr(0, &t))
		return;
	cfmakeraw(&t);
	tcsetattr(0, TCSANOW, &t);
}

static void serve(void)
{
	char name[128];
	int status;

	set_up_console();
	printf("\n@@ init\n");
	fflush(stdout);
	while (get_line(name, sizeof(name))) {
		char *percent = strchr(name, ' ');
		pid_t pid;

		if (!percent)
			continue;
		*percent++ = 0;
		pid = fork();
		if (!pid) {
			execl("/proc/self/exe", "cpubench", "--ask", name, percent, NULL);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
			printf("@@ failed %s\n", name);
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	if (getpid() == 1) {
		serve();
		for (;;)
			pause();
	}
	if (argc == 2 && !strcmp(argv[1], "--list")) {
		list();
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "--probe"))
		return probe();
	if (argc == 2 && !strcmp(argv[1], "--nothing")) /* what the row exec runs */
		return 0;
	if (argc == 4 && !strcmp(argv[1], "--ask"))
		return run(argv[2], argv[3], 1);
	if ((argc == 2 || argc == 3) && argv[1][0] != '-')
		return run(argv[1], argc == 3 ? argv[2] : "100", 0);
	fprintf(stderr, "usage: cpubench --list | --probe | [--ask] NAME [PERCENT]\n");
	return 2;
}
