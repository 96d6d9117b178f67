// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * netbench - a guest's init that measures TCP through its first network card, and the other side, which
 * runs on the host, or in another guest whose environment has SERVE=1.
 *
 * The guest loads the modules in /modules in the order of their names, and gives eth0 the address
 * LOCAL; the other side is at PEER (both from its environment, that is the kernel's command line). For each
 * phase it prints "@@ NAME", waits (the host side takes its counters), works, prints
 * "@@ NAME-end" and at last "= NAME OPERATIONS NANOSECONDS". The phase "none" does nothing: its
 * exits are the cost of the marks themselves. Time is CLOCK_MONOTONIC; under icount a nanosecond is an
 * instruction of all that runs, of the host side too.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PORT 5298
#define SIZE 65536

enum kind { NOTHING, ROUND_TRIP, SEND, RECEIVE };

/* What the guest says first on a connection; both sides have the same byte order. */
struct request {
	uint32_t kind, size, count;
};

/* A count of 0 is COUNT of the environment. Not too many: under icount a guest that has had thousands of interrupts
 * may stop (tests/lab/README.md, Traps). */
static const struct phase {
	const char *name;
	struct request r;
} phases[] = {
	{ "none", { NOTHING, 0, 1 } },
	{ "warm", { SEND, SIZE, 50 } },
	{ "round-trip", { ROUND_TRIP, 1, 0 } },
	{ "send-64k", { SEND, SIZE, 0 } },
	{ "receive-64k", { RECEIVE, SIZE, 0 } },
};

static char buffer[SIZE];

static void die(const char *what)
{
	perror(what);
	printf("@@ failed\n");
	fflush(stdout);
	for (;;)
		pause();
}

static void put(int fd, size_t len)
{
	for (ssize_t n; len; len -= (size_t)n) {
		n = write(fd, buffer, len < SIZE ? len : SIZE);
		if (n <= 0)
			die("write");
	}
}

static void get(int fd, size_t len)
{
	for (ssize_t n; len; len -= (size_t)n) {
		n = read(fd, buffer, len < SIZE ? len : SIZE);
		if (n <= 0)
			die("read");
	}
}

static void no_delay(int fd)
{
	int on = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		die("TCP_NODELAY");
}

/* -------- the host's side -------- */

static void serve(int fd)
{
	struct request r;

	no_delay(fd);
	while (read(fd, &r, sizeof(r)) == (ssize_t)sizeof(r)) {
		size_t all = (size_t)r.size * r.count;

		switch (r.kind) {
		case ROUND_TRIP:
			for (uint32_t i = 0; i < r.count; i++) {
				get(fd, r.size);
				put(fd, r.size);
			}
			break;
		case SEND:
			get(fd, all);
			put(fd, 1);
			break;
		case RECEIVE:
			put(fd, all);
			break;
		}
	}
	close(fd);
}

static int listening(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int s = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(s, (struct sockaddr *)&a, sizeof(a)) || listen(s, 5) ? -1 : s;
}

static int server(int s)
{
	for (;;) {
		int fd = accept(s, NULL, NULL);

		if (fd < 0)
			return 1;
		serve(fd);
	}
}

/* -------- the guest's -------- */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void load_modules(void)
{
	struct dirent **list;
	int n = scandir("/modules", &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char path[300];
		int fd;

		if (list[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/modules/%s", list[i]->d_name);
		fd = open(path, O_RDONLY);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			perror(path);
		close(fd);
	}
}

static struct sockaddr_in address(const char *name)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	const char *text = getenv(name);

	if (!text || inet_pton(AF_INET, text, &a.sin_addr) != 1)
		die(name);
	return a;
}

static void configure(void)
{
	struct sockaddr_in local = address("LOCAL"), mask = { .sin_family = AF_INET };
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq r = { 0 };

	strcpy(r.ifr_name, "eth0");
	for (int i = 0; ioctl(s, SIOCGIFFLAGS, &r); i++) {
		if (i == 1000)
			die("eth0");
		usleep(10000);
	}
	r.ifr_flags |= IFF_UP | IFF_RUNNING;
	if (ioctl(s, SIOCSIFFLAGS, &r))
		die("SIOCSIFFLAGS");
	memcpy(&r.ifr_addr, &local, sizeof(local));
	if (ioctl(s, SIOCSIFADDR, &r))
		die("SIOCSIFADDR");
	mask.sin_addr.s_addr = htonl(0xffffff00);
	memcpy(&r.ifr_netmask, &mask, sizeof(mask));
	if (ioctl(s, SIOCSIFNETMASK, &r))
		die("SIOCSIFNETMASK");
	close(s);
}

static int join(void)
{
	struct sockaddr_in peer = address("PEER");

	for (int i = 0; i < 100; i++) {
		int s = socket(AF_INET, SOCK_STREAM, 0);

		if (!connect(s, (struct sockaddr *)&peer, sizeof(peer))) {
			no_delay(s);
			return s;
		}
		close(s);
		usleep(100000);
	}
	die("connect");
	return -1;
}

static void mark(const char *name, const char *suffix)
{
	printf("@@ %s%s\n", name, suffix);
	fflush(stdout);
	usleep(50000);
}

static int64_t run_phase(int fd, const struct request *r)
{
	size_t all = (size_t)r->size * r->count;
	int64_t start = now_ns();

	if (r->kind != NOTHING && write(fd, r, sizeof(*r)) != (ssize_t)sizeof(*r))
		die("request");
	switch (r->kind) {
	case ROUND_TRIP:
		for (uint32_t i = 0; i < r->count; i++) {
			put(fd, r->size);
			get(fd, r->size);
		}
		break;
	case SEND:
		put(fd, all);
		get(fd, 1);
		break;
	case RECEIVE:
		get(fd, all);
		break;
	}
	return now_ns() - start;
}

int main(int argc, char **argv)
{
	int fd;

	signal(SIGPIPE, SIG_IGN);
	if (getpid() != 1) {
		fd = listening();
		return fd < 0 || daemon(0, 1) || server(fd);
	}
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	if (!freopen("/dev/console", "w", stdout) || !freopen("/dev/console", "w", stderr))
		return 1;
	mark("init", "");
	load_modules();
	configure();
	if (getenv("SERVE")) {
		fd = listening();
		mark("serving", "");
		return server(fd);
	}
	fd = join();
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		const struct phase *p = &phases[i];
		struct request r = p->r;
		int64_t ns;

		if (!r.count)
			r.count = (uint32_t)atoi(getenv("COUNT") ?: "300");
		mark(p->name, "");
		ns = run_phase(fd, &r);
		mark(p->name, "-end");
		printf("= %s %u %lld\n", p->name, r.count, (long long)ns);
	}
	fflush(stdout);
	mark("end", "");
	for (;;)
		pause();
}
