// SPDX-License-Identifier: GPL-2.0-or-later
#include "sandbox/connector.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/thread.h"
#include "sandbox/helper.h"

struct connector {
	pid_t pid;
	int pidfd; /* -1: none */
	int fd;	   /* a byte is a question, a struct reply with a descriptor the answer */
	bool asked;
};

/* Also the first word: whether it could confine itself. */
struct reply {
	int error; /* 0: a descriptor comes with it */
};

/* -------- the process -------- */

#define CHILD_FD 0

static void reply(int error, int fd)
{
	struct reply r = { error };
	struct iovec iov = { &r, sizeof(r) };
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c;

		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	(void)!sendmsg(CHILD_FD, &m, MSG_NOSIGNAL);
}

static void connect_once(const struct sockaddr *addr, socklen_t len)
{
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;

	if (fd < 0 || connect(fd, addr, len) < 0)
		error = errno;
	reply(error, error ? -1 : fd);
	if (fd >= 0)
		close(fd);
}

static uint16_t port_of(const struct sockaddr *addr)
{
	if (addr->sa_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)(const void *)addr)->sin_port);
	if (addr->sa_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)(const void *)addr)->sin6_port);
	return 0;
}

/* Only what a copy of a process with threads may call. A relative path of the address goes from where we are. */
static void __attribute__((noreturn))
child(int fd, pid_t parent, const struct sockaddr *addr, socklen_t len)
{
	const struct helper_rules rules = {
		.kind = HELPER_CONNECTOR, .port = port_of(addr), .descriptors = 8
	};
	struct error err = ERROR_INIT;
	char byte;

	dup2(fd, CHILD_FD);
	syscall(SYS_close_range, CHILD_FD + 1, ~0u, 0);
	setsid(); /* the terminal's signals are not for us */
	prctl(PR_SET_NAME, "lodge-connect", 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		syscall(SYS_exit_group, 1);
	errno = 0;
	if (!sandbox_helper_confine(&rules, &err)) {
		reply(errno ?: EPERM, -1);
		syscall(SYS_exit_group, 1);
	}
	reply(0, -1);
	while (recv(CHILD_FD, &byte, 1, 0) == 1)
		connect_once(addr, len);
	for (;;)
		syscall(SYS_exit_group, 0);
}

/* -------- its user -------- */

struct connector *connector_new(const struct sockaddr *addr, socklen_t len, struct error *err)
{
	struct connector *c = calloc(1, sizeof(*c));
	pid_t parent = getpid();
	struct reply ready;
	int fd[2] = { -1, -1 };

	if (!c || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0) {
		error_set_errno(err, c ? errno : ENOMEM, "a process for connections");
		free(c);
		return NULL;
	}
	*c = (struct connector){ .pid = fork(), .pidfd = -1, .fd = fd[0] };
	if (!c->pid)
		child(fd[1], parent, addr, len);
	if (c->pid < 0 && thread_is_confined())
		error_set(err, "connections are made by a process of their own, which a confined "
			       "machine cannot start: give it at the start, or --sandbox off");
	else if (c->pid < 0)
		error_set_errno(err, errno, "a process for connections");
	close(fd[1]);
	if (c->pid > 0) {
		c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
		if (recv(c->fd, &ready, sizeof(ready), 0) == sizeof(ready) && !ready.error)
			return c;
		error_set(err, "the process for connections cannot confine itself");
	}
	connector_free(c);
	return NULL;
}

void connector_free(struct connector *c)
{
	if (!c)
		return;
	close(c->fd);
	if (c->pid > 0) { /* it may be in the middle of a connect() */
		if (c->pidfd >= 0)
			(void)!syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
		waitpid(c->pid, NULL, 0);
	}
	if (c->pidfd >= 0)
		close(c->pidfd);
	free(c);
}

int connector_fd(const struct connector *c)
{
	return c->fd;
}

int connector_ask(struct connector *c)
{
	if (c->asked)
		return 0;
	if (send(c->fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
		return -errno;
	c->asked = true;
	return 0;
}

static int taken_fd(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
		c->cmsg_len != CMSG_LEN(sizeof(int)))
		return -EPROTO;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int connector_take(struct connector *c)
{
	struct reply r = { 0 };
	struct iovec iov = { &r, sizeof(r) };
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	if (n < 0 && errno != ECONNRESET)
		return errno == EINTR ? -EAGAIN : -errno;
	c->asked = false;
	if (n != sizeof(r)) /* it is gone, maybe with a question that it had not read */
		return -EPIPE;
	fd = r.error ? -r.error : taken_fd(&m);
	if (fd >= 0)
		fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
	return fd;
}
