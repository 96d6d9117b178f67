// SPDX-License-Identifier: GPL-2.0-or-later
#include "sandbox/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "base/removal.h"
#include "base/thread.h"
#include "base/types.h"
#include "base/vec.h"
#include "sandbox/filter.h"
#include "sandbox/landlock.h"
#include "sandbox/namespaces.h"
#include "sandbox/rights.h"

/* sandbox_filters[] is in this order. */
_Static_assert(ROLE_MAIN == 1 && ROLE_VCPU == 2 && ROLE_IO == 3 && ROLE_WORKER == 4, "roles");

struct sandbox {
	int ruleset; /* Landlock's; -1: the kernel has none */
	bool namespaces;
	VEC(struct kept_path) keep;
	VEC(int) inherited; /* descriptors that were open at the start */
	bool inherited_failed;
};

/* Directories of sockets: sandbox_reach(). Main. */
static VEC(struct kept_path) reached;

/* Of the process, read by its threads: written before thread_set_confinement(). */
static struct {
	int ruleset;
	void (*on_violation)(void);
} confined;

static const char *const role_names[] = { "thread of no role", "main thread", "CPU thread",
	"io thread", "worker thread" };

/* -------- a call that is not allowed -------- */

/* Not _exit(): a sanitizer's has paths to open first. */
static void end_process(int status)
{
	for (;;)
		syscall(SYS_exit_group, status);
}

/* The signal comes at a system call's instruction, never inside the formatting or a lock of it. The
 * thread's filter holds for what is called here, too. */
static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	unsigned int nr = (unsigned int)info->si_syscall;
	const char *name;

	if (info->si_code == SI_TKILL) { /* thread_confine_all() */
		int e = errno;
		sigset_t own;

		/* Once it is confined it tells what it may not, also before this handler has returned. */
		sigemptyset(&own);
		sigaddset(&own, SIGSYS);
		pthread_sigmask(SIG_UNBLOCK, &own, NULL);
		thread_confine();
		errno = e;
		return;
	}
	name = nr < sandbox_call_names_count ? sandbox_call_names[nr] : NULL;
	log_err("sandbox", "the %s called %s (number %u), which it may not: the VM ends",
		role_names[thread_role()], name ?: "a system call without a name", nr);
	if (confined.on_violation)
		confined.on_violation();
	end_process(128 + SIGSYS);
}

/* -------- a thread's confinement -------- */

/* The name of what failed, or NULL: all is done. @inherited: all but its own filter is there already, and the
 * maker's filter does not let the thread ask. (That no_new_privs is set says nothing: who started us
 * may have set it.) */
static const char *confine(enum thread_role role, bool inherited, int *error)
{
	if (!inherited) {
		*error = role == ROLE_MAIN ? 0 : -namespaces_join();
		if (*error)
			return "joining the namespaces";
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
			*error = errno;
			return "no_new_privs";
		}
		*error = confined.ruleset < 0 ? 0 : -landlock_restrict(confined.ruleset);
		if (*error)
			return "Landlock";
		*error = -rights_drop_capabilities(0);
		if (*error)
			return "dropping capabilities";
	}
	/* Whoever inherits has main's filter already. */
	*error = inherited ? 0 : -rights_load_filter(&sandbox_filters[0]);
	if (!*error && role != ROLE_MAIN)
		*error = -rights_load_filter(&sandbox_filters[role - ROLE_MAIN]);
	return *error ? "seccomp" : NULL;
}

static void confine_thread(enum thread_role role, bool inherited)
{
	int error;
	const char *what = confine(role == ROLE_NONE ? ROLE_WORKER : role, inherited, &error);

	if (!what)
		return;
	/* It worked for main: a thread must not go on with more rights than it should have. */
	log_err("sandbox", "cannot confine a %s: %s: %s", role_names[role], what, strerror(error));
	end_process(1);
}

/* -------- the process -------- */

/* What whoever started us has left open: it is noted at the start, while there is little else to look at. */
static void note_inherited(struct sandbox *s)
{
	AUTO_FD int dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_Alignas(struct dirent64) char buf[4096];
	ssize_t n;

	while (dir >= 0 && (n = getdents64(dir, buf, sizeof(buf))) > 0) {
		const struct dirent64 *e;

		for (ssize_t at = 0; at < n; at += e->d_reclen) {
			e = (const void *)(buf + at);
			if (*e->d_name != '.' && atoi(e->d_name) > STDERR_FILENO &&
				atoi(e->d_name) != dir && !vec_push(&s->inherited, atoi(e->d_name)))
				s->inherited_failed = true;
		}
	}
}

/* Of that, what is open by mistake: all that we open is close-on-exec, and what an option names (fd=N) is made so
 * when it is taken. */
static bool close_inherited(struct sandbox *s, struct error *err)
{
	const int *fd;

	if (s->inherited_failed)
		return error_set(err, "out of memory");
	vec_for_each (fd, &s->inherited) {
		int flags = fcntl(*fd, F_GETFD);

		if (flags < 0 || flags & FD_CLOEXEC)
			continue;
		log_info("sandbox", "descriptor %d, which was open at the start, is closed", *fd);
		close(*fd);
	}
	return true;
}

struct sandbox *sandbox_new(bool namespaces, struct error *err)
{
	struct sandbox *s = calloc(1, sizeof(*s));
	int r;

	if (!s) {
		error_set(err, "out of memory");
		return NULL;
	}
	s->ruleset = landlock_new(true);
	if (s->ruleset < 0 && s->ruleset != -ENOSYS && s->ruleset != -EOPNOTSUPP) {
		error_set_errno(err, -s->ruleset, "sandbox: Landlock");
		free(s);
		return NULL;
	}
	if (s->ruleset < 0)
		log_warn("sandbox", "paths are not confined: this kernel has no Landlock");
	note_inherited(s);
	s->namespaces = namespaces;
	r = namespaces ? namespaces_user() : 0;
	if (r) {
		log_info("sandbox", "no namespaces: a user namespace: %s", strerror(-r));
		s->namespaces = false;
	}
	if (s->namespaces)
		namespaces_begin();
	return s;
}

uid_t sandbox_unknown_uid(const struct sandbox *s)
{
	return s && namespaces_have_user() ? UID_UNKNOWN : (uid_t)-1;
}

void sandbox_free(struct sandbox *s)
{
	struct kept_path *k;

	if (!s)
		return;
	namespaces_forget();
	if (s->ruleset >= 0)
		close(s->ruleset);
	vec_for_each (k, &s->keep) {
		free(k->given);
		free(k->real);
	}
	vec_fini(&s->keep);
	vec_fini(&s->inherited);
	free(s);
}

static char *absolute(const char *path)
{
	AUTO_FREE char *cwd = *path == '/' ? NULL : getcwd(NULL, 0);

	return *path == '/' ? strdup(path) : cwd ? str_printf("%s/%s", cwd, path) : NULL;
}

bool sandbox_allow(
	struct sandbox *s, const char *path, enum sandbox_access access, struct error *err)
{
	struct kept_path k = { absolute(path), realpath(path, NULL) };
	int rc = k.real && k.given ? 0 : -errno;

	if (!rc && s->ruleset >= 0)
		rc = landlock_allow(s->ruleset, path, access);
	if (!rc && vec_push(&s->keep, k))
		return true;
	free(k.given);
	free(k.real);
	return error_set_errno(err, rc ?: -ENOMEM, "sandbox: '%s'", path);
}

bool sandbox_reach(const char *path)
{
	AUTO_FREE char *dir = absolute(path);
	struct kept_path k = { 0 };
	bool there;

	if (!dir)
		return false;
	strrchr(dir, '/')[1] = 0;
	k.real = realpath(dir, NULL);
	there = k.real;
	if (there) {
		k.given = strdup(dir);
		if (k.given && vec_push(&reached, k))
			return true;
	}
	free(k.real);
	free(k.given);
	return !there;
}

/* -------- the process gives up -------- */

static bool make_namespaces(struct sandbox *s, struct error *err)
{
	struct kept_path *k;

	if (!s->namespaces)
		return true;
	vec_for_each (k, &reached) {
		if (!vec_push(&s->keep, *k))
			return error_set(err, "out of memory");
	}
	reached.len = 0; /* they are s->keep's */
	if (!namespaces_make(s->keep.data, s->keep.len, err))
		return false;
	if (namespaces_made())
		log_info("sandbox", "namespaces of our own: %s", namespaces_made());
	else
		log_info("sandbox", "no namespaces: this host or user may not make them");
	return true;
}

static bool keep_removal(struct sandbox *s, struct error *err)
{
	const struct removal_dir *d;

	for (size_t i = 0; s->ruleset >= 0 && (d = removal_dir(i)); i++) {
		int rc = landlock_allow_removal(s->ruleset, d->fd, d->files, d->folders);

		if (rc)
			return error_set_errno(err, rc, "sandbox: '%s'", d->path);
	}
	return true;
}

bool sandbox_enter(struct sandbox *s, void (*on_violation)(void), struct error *err)
{
	struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	const char *what;
	int error;

	if (!close_inherited(s, err) || !make_namespaces(s, err) || !keep_removal(s, err))
		return false;
	confined.ruleset = s->ruleset;
	confined.on_violation = on_violation;
	s->ruleset = -1; /* later threads need it: it stays open as long as the process */
	sigfillset(&sa.sa_mask);
	sigaction(SIGSYS, &sa, NULL);
	what = confine(ROLE_MAIN, false, &error);
	if (what)
		return error_set_errno(
			err, error, "sandbox: %s failed; --sandbox off goes without", what);
	thread_set_confinement(confine_thread);
	thread_confine_all();
	return true;
}

bool sandbox_describe(struct str *out)
{
	uint32_t action = SECCOMP_RET_TRAP;
	bool seccomp = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
	int abi = landlock_abi();

	str_append(out, seccomp ? "seccomp" : "no seccomp (CONFIG_SECCOMP_FILTER)");
	if (abi > 0)
		str_appendf(out, ", Landlock ABI %d", abi);
	else
		str_append(out, ", no Landlock (Linux 5.13, lsm=landlock)");
	str_append(out, namespaces_possible() ? ", namespaces" : ", no namespaces for this user");
	return seccomp;
}
