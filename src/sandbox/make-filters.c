// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * make-filters - at build time: src/sandbox/calls becomes the seccomp filters as data, so that a VM's
 * start pays for no compiler of filters.
 *
 *   make-filters c CALLS      C source: a filter a role, names of all system calls
 *   make-filters table CALLS  the table of docs/sandbox.md
 */
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/prctl.h>
#include <linux/vhost.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "sandbox/filter.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#endif

/* As glibc starts a thread. */
#define CLONE_FLAGS_THREAD                                                                  \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND | CLONE_THREAD | \
		CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)
#define SYSCALLS_MAX 512
#define LINE_MAX_LEN 256

static const struct {
	const char *name;
	uint64_t value;
} constants[] = {
#define C(x)          \
	{             \
#x, x \
	}
	C(PR_SET_NAME),
	C(PR_SET_VMA),
	C(CLONE_THREAD),
	C(AF_UNIX),
	C(AF_INET),
	C(AF_INET6),
	C(O_RDONLY),
	C(PROT_EXEC),
	{ "THREAD", CLONE_FLAGS_THREAD },
	{ "PID", SANDBOX_PID },
	C(SIGSYS),
	C(ARCH_SET_GS),
	C(F_GETFL),
	C(F_SETFL),
	C(F_GETFD),
	C(F_SETFD),
	C(F_DUPFD_CLOEXEC),
	C(F_OFD_SETLK),
	C(F_OFD_GETLK),
	C(F_GET_SEALS),
	C(F_ADD_SEALS),
	C(TCGETS),
	C(TCSETS),
	C(TCSETSW),
	C(TCSETSF),
	C(TIOCGPGRP),
	C(TIOCGWINSZ),
	C(FIONREAD),
	C(VHOST_GET_FEATURES),
	C(VHOST_SET_OWNER),
	C(VHOST_SET_FEATURES),
	C(VHOST_SET_MEM_TABLE),
	C(VHOST_SET_VRING_NUM),
	C(VHOST_SET_VRING_BASE),
	C(VHOST_GET_VRING_BASE),
	C(VHOST_SET_VRING_ADDR),
	C(VHOST_SET_VRING_KICK),
	C(VHOST_SET_VRING_CALL),
	C(VHOST_SET_VRING_ERR),
	C(VHOST_NET_SET_BACKEND),
	C(FIONBIO),
	C(TUNSETOFFLOAD),
	C(TUNSETQUEUE),
	C(TUNSETVNETHDRSZ),
	C(TUNSETCARRIER),
	C(BLKDISCARD),
	C(BLKZEROOUT),
	C(BLKGETSIZE64),
#undef C
}, errors[] = { { "EPERM", EPERM }, { "EACCES", EACCES }, { "ENOSYS", ENOSYS } };

/* One line of the file. */
struct rule {
	bool role[SANDBOX_ROLES];
	char call[32];
	bool conditional;
	struct scmp_arg_cmp cond;
	int error;		 /* 0: allowed */
	char text[LINE_MAX_LEN]; /* what follows the call, for the table */
};

static const char *file;
static int line;

static void bad(const char *what, const char *word)
{
	fprintf(stderr, "%s:%d: %s '%s'\n", file, line, what, word);
	exit(1);
}

static uint64_t constant(const char *word)
{
	char *end;
	uint64_t v = strtoull(word, &end, 0);

	if (end != word && !*end)
		return v;
	for (size_t i = 0; i < sizeof(constants) / sizeof(*constants); i++) {
		if (!strcmp(constants[i].name, word))
			return constants[i].value;
	}
	bad("unknown constant", word);
	return 0;
}

static int error_number(const char *word)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		if (!strcmp(errors[i].name, word))
			return (int)errors[i].value;
	}
	bad("unknown error", word);
	return 0;
}

static char *next(char **rest)
{
	char *word = strsep(rest, " ");

	if (!word || !*word)
		bad("a word is missing after", word ?: "the last");
	return word;
}

static void parse_condition(struct rule *r, char *argument, char **rest)
{
	char *op = next(rest);

	r->conditional = true;
	r->cond.arg = (unsigned int)atoi(argument);
	if (!strcmp(op, "&")) {
		r->cond.op = SCMP_CMP_MASKED_EQ;
		r->cond.datum_a = constant(next(rest));
		op = next(rest);
		if (strcmp(op, "="))
			bad("not =", op);
		r->cond.datum_b = constant(next(rest));
		return;
	}
	if (strcmp(op, "=") && strcmp(op, "!="))
		bad("unknown operator", op);
	r->cond.op = *op == '=' ? SCMP_CMP_EQ : SCMP_CMP_NE;
	r->cond.datum_a = constant(next(rest));
}

/* False at the end of the file. */
static bool read_rule(FILE *f, struct rule *r)
{
	char buf[LINE_MAX_LEN], *rest, *roles, *word;

	do {
		if (!fgets(buf, sizeof(buf), f))
			return false;
		line++;
		buf[strcspn(buf, "\n")] = 0;
	} while (!*buf || *buf == '#');
	memset(r, 0, sizeof(*r));
	rest = buf;
	roles = next(&rest);
	if (strlen(roles) != SANDBOX_ROLES)
		bad("not one letter or - for each role:", roles);
	for (int i = 0; i < SANDBOX_ROLES; i++) {
		if (roles[i] != '-' && roles[i] != SANDBOX_ROLE_LETTERS[i])
			bad("unknown role in", roles);
		r->role[i] = roles[i] != '-';
	}
	snprintf(r->call, sizeof(r->call), "%s", next(&rest));
	if (!rest)
		return true;
	snprintf(r->text, sizeof(r->text), "%s", rest);
	word = next(&rest);
	if (strcmp(word, "->")) {
		parse_condition(r, word, &rest);
		if (!rest)
			return true;
		word = next(&rest);
	}
	if (strcmp(word, "->"))
		bad("not ->", word);
	r->error = error_number(next(&rest));
	return true;
}

static void check(int rc, const char *what)
{
	if (rc < 0) {
		fprintf(stderr, "%s:%d: %s: %s\n", file, line, what, strerror(-rc));
		exit(1);
	}
}

static void add_rule(scmp_filter_ctx ctx, const struct rule *r)
{
	int nr = seccomp_syscall_resolve_name(r->call);
	uint32_t action = r->error ? SCMP_ACT_ERRNO(r->error) : SCMP_ACT_ALLOW;

	if (nr < 0)
		bad("unknown system call", r->call);
	check(seccomp_rule_add_exact_array(ctx, action, nr, r->conditional, &r->cond), r->call);
}

static void put_filter(scmp_filter_ctx ctx, int role)
{
	int fd = memfd_create("filter", 0);
	struct sock_filter f;

	check(fd, "memfd_create");
	check(seccomp_export_bpf(ctx, fd), "seccomp_export_bpf");
	lseek(fd, 0, SEEK_SET);
	printf("static const struct sock_filter filter_%c[] = {\n", SANDBOX_ROLE_LETTERS[role]);
	while (read(fd, &f, sizeof(f)) == sizeof(f))
		printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", f.code, f.jt, f.jf, f.k);
	printf("};\n\n");
	close(fd);
}

static void make_filter(int role)
{
	scmp_filter_ctx ctx = seccomp_init(
		role == SANDBOX_FILTER_USER_NET ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_TRAP);
	FILE *f = fopen(file, "r");
	struct rule r;

	if (!ctx || !f)
		bad("cannot open", file);
	check(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "bad arch");
	check(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimize");
	line = 0;
	while (read_rule(f, &r)) {
		if (r.role[role])
			add_rule(ctx, &r);
	}
	put_filter(ctx, role);
	fclose(f);
	seccomp_release(ctx);
}

static void put_names(void)
{
	printf("const char *const sandbox_call_names[%d] = {\n", SYSCALLS_MAX);
	for (int nr = 0; nr < SYSCALLS_MAX; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);

		if (name)
			printf("\t[%d] = \"%s\",\n", nr, name);
		free(name);
	}
	printf("};\nconst unsigned int sandbox_call_names_count = %d;\n", SYSCALLS_MAX);
}

static void make_c(void)
{
	printf("/* Made by make-filters from src/sandbox/calls. */\n"
	       "#include \"base/types.h\"\n#include \"sandbox/filter.h\"\n\n");
	for (int role = 0; role < SANDBOX_ROLES; role++)
		make_filter(role);
	printf("const struct sandbox_filter sandbox_filters[SANDBOX_ROLES] = {\n");
	for (int role = 0; role < SANDBOX_ROLES; role++) {
		char c = SANDBOX_ROLE_LETTERS[role];

		printf("\t{ filter_%c, ARRAY_SIZE(filter_%c) },\n", c, c);
	}
	printf("};\n\n");
	put_names();
}

static void make_table(void)
{
	FILE *f = fopen(file, "r");
	struct rule r;

	if (!f)
		bad("cannot open", file);
	printf("| call | main | CPU | io | worker | connector | user network | only if, or refused "
	       "with |\n|---|---|---|---|---|---|---|---|\n");
	line = 0;
	while (read_rule(f, &r)) {
		printf("| %s |", r.call);
		for (int i = 0; i < SANDBOX_ROLES; i++)
			printf(" %s |", r.role[i] ? (r.error ? "error" : "yes") : "");
		printf(" %s |\n", r.text);
	}
	fclose(f);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: make-filters c|table CALLS\n");
		return 1;
	}
	file = argv[2];
	if (!strcmp(argv[1], "c"))
		make_c();
	else
		make_table();
	return 0;
}
