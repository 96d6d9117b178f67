// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmwatch - runs a VMM and notes when its guest says something.
 *
 *	vmwatch [-c] [-i SECONDS] [-t SECONDS] LAST -- COMMAND...
 *
 * For each line "@@ NAME" of the command's output it prints
 *	@@ NAME t=NS cpu=NS COUNTER=N...
 * with the time and the command's CPU time since its exec, and KVM's counters where debugfs has
 * them; lines "= ..." are passed on. After the line LAST (-c: after the first '@' at all, which is
 * then called "first") the command is killed. -i: before that, once the guest has been idle for
 * two seconds, prints the memory of the command's processes and their wake-ups in so many seconds.
 * Works in the lab and on the host. Exit status: 0 LAST came, 1 it did not.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNTERS      "/sys/kernel/debug/kvm"
#define GUEST_RAM_MIN (100l << 10) /* KiB: a mapping as large as this is the guest's memory */

static int64_t *start_ns; /* shared: the child sets it just before its exec */
static pid_t pid;

static int64_t now_ns(clockid_t clock)
{
	struct timespec t = { 0 };

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void show_counters(void)
{
	DIR *dir = opendir(COUNTERS);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char path[400], value[64];
		ssize_t n;
		int fd;

		snprintf(path, sizeof(path), COUNTERS "/%s", e->d_name);
		if (e->d_type != DT_REG)
			continue;
		fd = open(path, O_RDONLY);
		n = fd < 0 ? -1 : read(fd, value, sizeof(value) - 1);
		close(fd);
		if (n <= 0)
			continue;
		value[strcspn((value[n] = 0, value), "\n")] = 0;
		if (strcmp(value, "0"))
			printf(" %s=%s", e->d_name, value);
	}
	if (dir)
		closedir(dir);
}

static void mark(const char *name, int64_t t)
{
	clockid_t cpu;

	printf("@@ %s t=%lld", name, (long long)(t - *start_ns));
	if (!clock_getcpuclockid(pid, &cpu))
		printf(" cpu=%lld", (long long)now_ns(cpu));
	show_counters();
	printf("\n");
	fflush(stdout);
}

/* ---- idle: memory and wake-ups ---- */

static int is_ours(pid_t p)
{
	/* The command leads a session of its own; its helpers are in it. */
	return getsid(p) == pid;
}

static void each_process(void (*fn)(pid_t p, void *arg), void *arg)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		pid_t p = atoi(e->d_name);

		if (p > 0 && is_ours(p))
			fn(p, arg);
	}
	if (dir)
		closedir(dir);
}

static void add_memory(pid_t p, void *arg)
{
	char path[64], line[512], name[256] = "";
	long *sum = arg; /* private, guest RAM's private; KiB */
	long size = 0, kib;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", p);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %255[^\n]", &from, &to, name) >= 2) {
			if (!strstr(line, "/"))
				name[0] = 0;
			size = (to - from) >> 10;
		} else if (sscanf(line, "Private_%*[^:]: %ld kB", &kib) == 1) {
			int ram = size >= GUEST_RAM_MIN || strstr(name, "/lodge-ram") ||
				  (strstr(name, "/memfd:") && !strstr(name, "lodge-code"));

			sum[ram] += kib;
		}
	}
	if (f)
		fclose(f);
}

static void add_wakeups(pid_t p, void *arg)
{
	char path[300], line[256], name[64] = "";
	long *sum = arg; /* VMM's threads, vCPU threads, threads */
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", p);
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		long n = 0;
		FILE *f;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", p, e->d_name);
		f = fopen(path, "r");
		while (f && fgets(line, sizeof(line), f)) {
			sscanf(line, "Name: %63[^\n]", name);
			sscanf(line, "voluntary_ctxt_switches: %ld", &n);
		}
		if (f)
			fclose(f);
		sum[!!strcasestr(name, "cpu")] += n;
		sum[2]++;
	}
	if (dir)
		closedir(dir);
}

static void show_idle(double seconds)
{
	long before[3] = { 0 }, after[3] = { 0 }, memory[2] = { 0 };

	sleep(2);
	each_process(add_memory, memory);
	each_process(add_wakeups, before);
	usleep(seconds * 1e6);
	each_process(add_wakeups, after);
	printf("@@ idle private_kib=%ld ram_kib=%ld threads=%ld wakeups=%.2f vcpu_wakeups=%.2f\n",
		memory[0], memory[1], after[2], (after[0] - before[0]) / seconds,
		(after[1] - before[1]) / seconds);
	fflush(stdout);
}

/* ---- the command ---- */

static struct {
	const char *last;
	int first_byte;
	double idle;
	double limit;
	char line[1024];
	size_t len;
} w = { .limit = 600 };

static void exec_command(char **argv, const int *in, const int *out)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	dup2(in[0], 0);
	dup2(out[1], 1);
	close(in[0]);
	close(in[1]);
	close(out[0]);
	close(out[1]);
	*start_ns = now_ns(CLOCK_MONOTONIC);
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

/* Returns where to read its output. Its input stays open: a VMM may take its end as a wish to end. */
static int start(char **argv)
{
	int in[2], out[2];

	start_ns = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (start_ns == MAP_FAILED || pipe(in) || pipe(out) || (pid = fork()) < 0) {
		perror("vmwatch");
		exit(1);
	}
	if (!pid)
		exec_command(argv, in, out);
	close(in[0]);
	close(out[1]);
	return out[0];
}

static void end(int status)
{
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	exit(status);
}

static void take_line(int64_t t)
{
	w.line[w.len] = 0;
	w.line[strcspn(w.line, "\r")] = 0;
	w.len = 0;
	if (!strncmp(w.line, "= ", 2)) {
		printf("%s\n", w.line);
		return;
	}
	if (strncmp(w.line, "@@ ", 3)) {
		fprintf(stderr, "%s\n", w.line);
		return;
	}
	mark(w.line + 3, t);
	if (!strcmp(w.line + 3, w.last)) {
		if (w.idle > 0)
			show_idle(w.idle);
		end(0);
	}
	if (!strcmp(w.line + 3, "failed"))
		end(1);
}

static void take(const char *buf, ssize_t n, int64_t t)
{
	for (ssize_t i = 0; i < n; i++) {
		if (w.first_byte && buf[i] == '@') {
			mark("first", t);
			end(0);
		}
		if (buf[i] == '\n')
			take_line(t);
		else if (w.len < sizeof(w.line) - 1)
			w.line[w.len++] = buf[i];
	}
}

static void watch(int fd)
{
	int64_t give_up = now_ns(CLOCK_MONOTONIC) + (int64_t)(w.limit * 1e9);

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = give_up - now_ns(CLOCK_MONOTONIC);
		char buf[4096];
		ssize_t n;

		if (left <= 0 || poll(&p, 1, left / 1000000 + 1) == 0)
			return;
		n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			return;
		take(buf, n, now_ns(CLOCK_MONOTONIC));
	}
}

int main(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "+ci:t:")) != -1) {
		if (opt == 'c')
			w.first_byte = 1;
		else if (opt == 'i')
			w.idle = atof(optarg);
		else if (opt == 't')
			w.limit = atof(optarg);
		else
			return 2;
	}
	if (argc < optind + 3 || strcmp(argv[optind + 1], "--")) {
		fprintf(stderr,
			"usage: vmwatch [-c] [-i SECONDS] [-t SECONDS] LAST -- COMMAND...\n");
		return 2;
	}
	w.last = argv[optind];
	watch(start(argv + optind + 2));
	fprintf(stderr, "vmwatch: \"@@ %s\" did not come; the last: %.*s\n", w.last, (int)w.len,
		w.line);
	end(1);
}
