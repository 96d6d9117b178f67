// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each role, taken over: what a thread of it tries must not work. Every try runs in a process of its own
 * that confines itself as `lodge run` does, makes a thread of the role, and lets that try.
 */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/removal.h"
#include "base/testing.h"
#include "base/thread.h"
#include "base/types.h"
#include "sandbox/filter.h"
#include "sandbox/filter-run.h"

enum { DENIED = 40, WORKED, BROKEN }; /* exit statuses of a try */

static pid_t victim;
static bool namespaces = true;
static bool already; /* who started us has set no_new_privs, as systemd and containers do */
static char folder[] = "/tmp/lodge-sandbox-XXXXXX", kept[64], other[64], made[64];
static ino_t folder_ino;
static uid_t uid; /* who tries; 0: whoever runs the test */

/* -------- what is tried: true if it worked -------- */

static bool open_file(void)
{
	return open("/etc/passwd", O_RDONLY) >= 0;
}

static bool open_other(void)
{
	return open(other, O_RDWR) >= 0;
}

static bool open_kept(void)
{
	return open(kept, O_RDWR) >= 0;
}

static bool make_file(void)
{
	return open("/tmp/lodge-sandbox-made", O_CREAT | O_WRONLY, 0600) >= 0;
}

/* Landlock has nothing against this one. */
static bool see_file(void)
{
	struct stat st;

	return stat("/etc/passwd", &st) == 0;
}

static bool see_processes(void)
{
	struct stat st;

	return stat("/proc/1", &st) == 0 || stat("/proc/self/status", &st) == 0;
}

static bool see_above(void)
{
	struct stat st;

	/* The folder of what is to be removed: its descriptor is there, what is above it is not. */
	return fstatat(removal_dir(0)->fd, "../..", &st, 0) || st.st_ino != folder_ino;
}

static bool exec_program(void)
{
	char name[] = "true", *const argv[] = { name, NULL };

	execv("/bin/true", argv);
	return false;
}

static bool fork_process(void)
{
	pid_t p = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (!p)
		_exit(0);
	return p > 0;
}

static bool connect_unix(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/tmp/x" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	return fd >= 0 && (!connect(fd, (struct sockaddr *)&a, sizeof(a)) || errno != EACCES);
}

static bool inet_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static bool trace_other(void)
{
	return ptrace(PTRACE_ATTACH, victim, 0, 0) == 0;
}

static bool read_other(void)
{
	char c;
	struct iovec to = { &c, 1 }, from = { &victim, 1 };

	return process_vm_readv(victim, &to, 1, &from, 1, 0) == 1;
}

static bool kill_other(void)
{
	return kill(victim, SIGTERM) == 0;
}

static bool tgkill_other(void)
{
	return syscall(SYS_tgkill, victim, victim, SIGTERM) == 0;
}

static struct removal *own;

static bool remove_own(void)
{
	removal_do(own);
	return false;
}

static bool new_ring(void)
{
	struct io_uring_params p = { 0 };

	return syscall(SYS_io_uring_setup, 4, &p) >= 0;
}

static bool type_for_user(void)
{
	char c = 'x';

	return ioctl(0, TIOCSTI, &c) == 0 || errno == ENOTTY || errno == EIO;
}

static bool take_sigsys(void)
{
	return signal(SIGSYS, SIG_IGN) != SIG_ERR;
}

static bool new_namespace(void)
{
	return unshare(CLONE_NEWUSER) == 0;
}

static bool mount_something(void)
{
	return syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, NULL) == 0;
}

static const struct
try {
	const char *name;
	bool (*fn)(void);
}
tries[] = { { "open a file", open_file }, { "open a file of another VM", open_other },
	{ "make a file", make_file }, { "exec", exec_program }, { "fork", fork_process },
	{ "connect", connect_unix }, { "make a socket", inet_socket },
	{ "trace another process", trace_other }, { "read its memory", read_other },
	{ "kill it", kill_other }, { "signal it", tgkill_other }, { "make an io_uring", new_ring },
	{ "type into the terminal", type_for_user }, { "catch SIGSYS", take_sigsys },
	{ "make a namespace", new_namespace }, { "mount", mount_something } },
	hidden[] = { { "see a file", see_file }, { "see processes", see_processes },
		{ "go up from its folder", see_above } };

/* -------- a process that tries -------- */

struct job {
	enum thread_role role;
	const struct try *try;
	int status;
};

static void *role_thread(void *opaque)
{
	struct job *j = opaque;

	thread_enter(j->role, "role");
	j->status = j->try->fn() ? WORKED : DENIED;
	return NULL;
}

static int confined(struct job *j)
{
	struct error err = ERROR_INIT;
	struct sandbox *s;
	pthread_t t;

	if (uid && (setgroups(0, NULL) || setgid(uid) || setuid(uid) ||
			   prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)))
		return BROKEN;
	if (already)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	s = sandbox_new(namespaces, &err);
	thread_enter(ROLE_MAIN, "main");
	own = removal_expect(made);
	if (!s || !sandbox_allow(s, kept, SANDBOX_WRITE, &err) || !sandbox_enter(s, NULL, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return BROKEN;
	}
	if (j->role == ROLE_MAIN)
		return j->try->fn() ? WORKED : DENIED;
	if (thread_create(&t, false, -1, role_thread, j))
		return BROKEN;
	pthread_join(t, NULL);
	return j->status;
}

/* The wait status of a process of its own that tries; its stderr in @said. */
static int outcome(enum thread_role role, const struct try *try, char *said, size_t size)
{
	struct job j = { role, try, BROKEN };
	int p[2], status;
	ssize_t n, all = 0;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(p[1], STDERR_FILENO);
		close(p[0]);
		close(p[1]);
		syscall(SYS_exit_group,
			confined(&j)); /* not a sanitizer's _exit(), which opens files */
	}
	close(p[1]);
	while ((n = read(p[0], said + all, size - 1 - (size_t)all)) > 0)
		all += n;
	said[all] = 0;
	close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void try_one(enum thread_role role, const struct try *try)
{
	static const char *const names[] = { "", "main", "CPU", "io", "worker" };
	char said[512];
	int status = outcome(role, try, said, sizeof(said));
	bool denied = WIFEXITED(status) && WEXITSTATUS(status) == DENIED;
	bool ended = WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGSYS;

	if (!denied && !ended)
		fail_msg("a %s thread could %s: wait status %#x, %s", names[role], try->name,
			status, said);
	if (ended && (!strstr(said, names[role]) || !strstr(said, "may not")))
		fail_msg("no word of who did what: '%s'", said);
}

static void try_all(void)
{
	for (enum thread_role role = ROLE_MAIN; role <= ROLE_WORKER; role++) {
		for (size_t i = 0; i < ARRAY_SIZE(tries); i++)
			try_one(role, &tries[i]);
	}
	assert_int_equal(kill(victim, 0), 0);
}

static void nothing_works(void **state)
{
	try_all();
}

static void nothing_works_without_new_privs(void **state)
{
	already = true;
	try_all();
	already = false;
}

static void nothing_works_without_namespaces(void **state)
{
	namespaces = false;
	try_all();
	namespaces = true;
}

/* -------- namespaces -------- */

static bool can_have_namespaces(void)
{
	AUTO(str) text = STR_INIT;

	sandbox_describe(&text);
	return strstr(str_cstr(&text), ", namespaces");
}

static void check_hidden(void)
{
	const struct try remove = { "", remove_own };
	char said[512];
	int fd = open(made, O_CREAT | O_WRONLY, 0600), status;

	assert_true(fd >= 0);
	close(fd);
	assert_false(uid && chown(made, uid, uid));
	for (enum thread_role role = ROLE_MAIN; role <= ROLE_WORKER; role++) {
		for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
			try_one(role, &hidden[i]);
	}
	/* Even so, what is ours can be removed. */
	status = outcome(ROLE_MAIN, &remove, said, sizeof(said));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), DENIED);
	assert_int_equal(access(made, F_OK), -1);
}

static void nothing_is_seen(void **state)
{
	if (!can_have_namespaces())
		skip();
	check_hidden();
}

/* In a user namespace. */
static void nothing_is_seen_by_users(void **state)
{
	if (geteuid() || !can_have_namespaces())
		skip();
	uid = 64321;
	assert_int_equal(chown(folder, uid, uid), 0);
	check_hidden();
	assert_int_equal(chown(folder, 0, 0), 0);
	uid = 0;
}

static int by_path(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0 ? 0 : -errno;
}

static pthread_barrier_t before, after;

/* A thread that was there before is where main is, too. */
static void *older_thread(void *opaque)
{
	struct job *j = opaque;
	struct stat st;

	thread_enter(ROLE_WORKER, "older");
	pthread_barrier_wait(&before);
	pthread_barrier_wait(&after);
	j->status = !stat("/etc/passwd", &st) || by_path(kept) ? WORKED : DENIED;
	return NULL;
}

static int older(void)
{
	struct job j = { ROLE_WORKER, NULL, BROKEN };
	struct error err = ERROR_INIT;
	struct sandbox *s;
	pthread_t t;

	if (uid && (setgroups(0, NULL) || setgid(uid) || setuid(uid) ||
			   prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)))
		return BROKEN;
	s = sandbox_new(true, &err);
	pthread_barrier_init(&before, NULL, 2);
	pthread_barrier_init(&after, NULL, 2);
	thread_enter(ROLE_MAIN, "main");
	if (!s || thread_create(&t, false, -1, older_thread, &j))
		return BROKEN;
	pthread_barrier_wait(&before);
	if (!sandbox_allow(s, folder, SANDBOX_WRITE, &err) || !sandbox_enter(s, NULL, &err))
		return BROKEN;
	pthread_barrier_wait(&after);
	pthread_join(t, NULL);
	return j.status;
}

static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		syscall(SYS_exit_group, fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : BROKEN;
}

static void older_threads_join(void **state)
{
	if (!can_have_namespaces())
		skip();
	assert_int_equal(in_child(older), DENIED);
	if (geteuid())
		return;
	uid = 64321;
	assert_int_equal(chmod(folder, 0777), 0);
	assert_int_equal(chmod(kept, 0666), 0);
	assert_int_equal(in_child(older), DENIED);
	uid = 0;
}

/* What is allowed is found by the name that was given, by its real one and from the old directory. */
static int names(void)
{
	struct error err = ERROR_INIT;
	struct sandbox *s = sandbox_new(true, &err);
	char real[96], link[96], there[128];

	snprintf(real, sizeof(real), "%s/real", folder);
	snprintf(link, sizeof(link), "%s/link", folder);
	snprintf(there, sizeof(there), "%s/file", real);
	thread_enter(ROLE_MAIN, "main");
	if (!s || chdir(folder) || mkdir("real", 0700) || symlink(real, link) ||
		(creat(there, 0600)) < 0)
		return BROKEN;
	if (!sandbox_allow(s, "link/../real", SANDBOX_WRITE, &err) ||
		!sandbox_allow(s, there, SANDBOX_WRITE, &err) ||
		!sandbox_allow(s, "link", SANDBOX_WRITE, &err) || !sandbox_enter(s, NULL, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return BROKEN;
	}
	if (by_path(there) || by_path("link/file") || by_path("real/file"))
		return BROKEN;
	if (open("real/other", O_CREAT | O_WRONLY, 0600) < 0 || rename("real/other", "link/third"))
		return BROKEN;
	if (!by_path(kept) || open("fourth", O_CREAT | O_WRONLY, 0600) >= 0)
		return WORKED;
	return DENIED;
}

static void allowed_by_any_name(void **state)
{
	char cmd[96];

	if (!can_have_namespaces())
		skip();
	assert_int_equal(in_child(names), DENIED);
	snprintf(cmd, sizeof(cmd), "rm -r %s/real %s/link", folder, folder);
	assert_int_equal(system(cmd), 0);
}

/* And what was left open is. */
static void kept_is_open(void **state)
{
	const struct try t = { "open", open_kept };
	char said[512];
	int status = outcome(ROLE_MAIN, &t, said, sizeof(said));

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), WORKED);
}

/* -------- the filters as they are -------- */

static void other_architectures_end(void **state)
{
	struct seccomp_data d = { .nr = 1, .arch = AUDIT_ARCH_I386 };
	struct seccomp_data x32 = { .nr = 0x40000001, .arch = AUDIT_ARCH_X86_64 };

	for (int role = 0; role < SANDBOX_ROLES; role++) {
		/* Other threads' go on top of main's. */
		const struct sandbox_filter *f =
			&sandbox_filters[role < SANDBOX_THREADS ? 0 : role];

		assert_int_equal(filter_run(f->code, f->len, &d), SECCOMP_RET_KILL_PROCESS);
		assert_int_equal(filter_run(f->code, f->len, &x32), SECCOMP_RET_KILL_PROCESS);
	}
}

static int setup(void **state)
{
	struct stat st;
	int fd;

	if (!mkdtemp(folder))
		return -1;
	snprintf(kept, sizeof(kept), "%s/kept", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	snprintf(made, sizeof(made), "%s/made", folder);
	if (stat(folder, &st))
		return -1;
	folder_ino = st.st_ino;
	for (int i = 0; i < 2; i++) {
		fd = open(i ? kept : other, O_CREAT | O_WRONLY, 0600);
		if (fd < 0)
			return -1;
		close(fd);
	}
	victim = fork();
	if (!victim) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return victim < 0;
}

static int teardown(void **state)
{
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	unlink(kept);
	unlink(other);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_works),
		cmocka_unit_test(nothing_works_without_new_privs),
		cmocka_unit_test(nothing_works_without_namespaces),
		cmocka_unit_test(nothing_is_seen),
		cmocka_unit_test(nothing_is_seen_by_users),
		cmocka_unit_test(older_threads_join),
		cmocka_unit_test(allowed_by_any_name),
		cmocka_unit_test(kept_is_open),
		cmocka_unit_test(other_architectures_end),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
