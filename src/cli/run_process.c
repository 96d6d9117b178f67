// SPDX-License-Identifier: GPL-2.0-or-later
/* run_process - the process that a VM is: its log, signals, pid file, and what `--daemonize` does. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/patience.h"
#include "base/log.h"
#include "base/removal.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/run_int.h"

/* -------- signals -------- */

static void ask_poweroff(struct run *r, int signal)
{
	if (!r->asked_signal && r->m->state == RUN_RUNNING && r->m->board->powerdown(r->m)) {
		r->asked_signal = signal;
		machine_notice(r->m, &(struct notice){ .kind = NOTICE_POWERDOWN });
		log_info("run", "asked the guest to power off; a second signal ends it");
		return;
	}
	machine_quit(r->m, REASON_HOST_SIGNAL, 128 + signal);
}

void run_report(struct run *r, bool asked)
{
	const struct accel *a = r->m ? r->m->accel : NULL;
	AUTO(str) text = STR_INIT;
	char *save = NULL;

	if (asked && a && !a->report)
		log_write(LOG_INFO, a->name, "this engine counts nothing");
	if (!a || !a->report || !r->m->vm || !a->report(r->m->vm, asked, &text) || text.failed)
		return;
	for (char *line = strtok_r(text.s, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		log_write(LOG_INFO, a->name, "%s", line);
}

static void signal_ready(void *opaque, unsigned int events)
{
	struct run *r = opaque;
	struct signalfd_siginfo si;

	while (read(r->signal_fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCONT) {
			chardev_stdio_resume(); /* the shell had the terminal */
			machine_stalled(r->m);
		} else if (si.ssi_signo == SIGUSR1) {
			run_report(r, true);
		} else {
			ask_poweroff(r, (int)si.ssi_signo);
		}
	}
}

static void escape_key(void *opaque)
{
	ask_poweroff(opaque, SIGINT);
}

bool run_watch_signals(struct run *r, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCONT);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes is an error like a full disk */
	r->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r->signal_fd < 0)
		return error_set_errno(err, errno, "signalfd");
	loop_fd_init(&r->signals, r->signal_fd, LOOP_IN, signal_ready, r);
	if (loop_fd_add(r->loop, &r->signals))
		return error_set(err, "cannot watch signals");
	chardev_stdio_set_escape(escape_key, r);
	return true;
}

/* -------- the process -------- */

/* In the parent: a byte comes when the guest runs; else the child has ended and said why. */
static int child_outcome(int fd, pid_t pid)
{
	ssize_t n;
	pid_t ended;
	char byte;
	int status;

	do {
		n = read(fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 1)
		return EXIT_STATUS_OK;
	do {
		ended = waitpid(pid, &status, 0);
	} while (ended < 0 && errno == EINTR);
	if (ended != pid)
		return EXIT_STATUS_FAILED;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool run_daemonize(struct run *r, struct error *err)
{
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return error_set_errno(err, errno, "pipe");
	pid = fork();
	if (pid < 0)
		return error_set_errno(err, errno, "fork");
	if (pid) {
		close(p[1]);
		_exit(child_outcome(p[0], pid));
	}
	close(p[0]);
	r->ready_fd = p[1];
	r->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	setsid();
	fcntl(STDERR_FILENO, F_SETFD, FD_CLOEXEC); /* ours for a while, but no helper's */
	return r->null_fd >= 0 || error_set_errno(err, errno, "/dev/null");
}

void run_tell_parent(struct run *r)
{
	if (r->ready_fd < 0)
		return;
	dup2(r->null_fd, STDIN_FILENO);
	dup2(r->null_fd, STDOUT_FILENO);
	dup2(r->null_fd, STDERR_FILENO);
	close(r->null_fd);
	if (write(r->ready_fd, "", 1) < 0)
		log_debug("run", "the parent is gone");
	close(r->ready_fd);
	r->ready_fd = -1;
}

bool run_write_pidfile(struct run *r, struct error *err)
{
	const char *path = r->c.pidfile;
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	for (unsigned int waited = 0;
		fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;)
		if (!patience_wait(&waited))
			return error_set(err, "pid file '%s' is another virtual machine's", path);
	if (fd < 0 || ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
		return error_set_errno(err, errno, "pid file '%s'", path);
	r->pidfile_fd = fd;
	fd = -1;
	r->pidfile = removal_expect(path);
	return true;
}

bool run_set_log(char *spec, struct error *err)
{
	char *file = spec ? strstr(spec, ",file=") : NULL;

	if (!spec)
		return true;
	if (file)
		*file = 0;
	if (!log_set_level(spec, err) || (file && !log_set_file(file + strlen(",file="), err)))
		return error_prefix(err, "--log");
	return true;
}
