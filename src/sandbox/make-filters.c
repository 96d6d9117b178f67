// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * make-filters - at build time: src/sandbox/calls becomes the seccomp filters as data, so that a VM's
 * start pays for no compiler of filters.
 *
 *   make-filters c CALLS      C source: a filter a role, names of all system calls. Each is compared first with what
 *                             libseccomp makes of the same rules
 *   make-filters table CALLS  the table of docs/sandbox.md
 */
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
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
#include "sandbox/filter-code.h"
#include "sandbox/filter-run.h"
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
	C(SOCK_SEQPACKET),
	C(O_RDONLY),
	C(PROT_EXEC),
	{ "THREAD", CLONE_FLAGS_THREAD },
	{ "PID", SANDBOX_PID },
	{ "ORDINARY", SCHED_OTHER | SCHED_RESET_ON_FORK },
	{ "BATCH", SCHED_BATCH | SCHED_RESET_ON_FORK },
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
	C(TUNSETVNETLE),
	C(TUNGETIFF),
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
	unsigned int n; /* conditions */
	struct scmp_arg_cmp cond[CONDITIONS_MAX];
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
	struct scmp_arg_cmp *c = &r->cond[r->n++];
	char *op = next(rest);

	c->arg = (unsigned int)atoi(argument);
	if (!strcmp(op, "&")) {
		c->op = SCMP_CMP_MASKED_EQ;
		c->datum_a = constant(next(rest));
		op = next(rest);
		if (strcmp(op, "="))
			bad("not =", op);
		c->datum_b = constant(next(rest));
		return;
	}
	if (strcmp(op, "=") && strcmp(op, "!="))
		bad("unknown operator", op);
	c->op = *op == '=' ? SCMP_CMP_EQ : SCMP_CMP_NE;
	c->datum_a = constant(next(rest));
}

/* CONDITION [and CONDITION] [-> ERROR] */
static void parse_rest(struct rule *r, char **rest)
{
	char *word = next(rest);

	while (strcmp(word, "->")) {
		if (r->n == CONDITIONS_MAX)
			bad("too many conditions at", word);
		parse_condition(r, word, rest);
		if (!*rest)
			return;
		word = next(rest);
		if (!strcmp(word, "and"))
			word = next(rest);
		else if (strcmp(word, "->"))
			bad("neither 'and' nor '->':", word);
	}
	r->error = error_number(next(rest));
}

/* False at the end of the file. */
static bool read_rule(FILE *f, struct rule *r)
{
	char buf[LINE_MAX_LEN], *rest, *roles;

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
	parse_rest(r, &rest);
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
	check(seccomp_rule_add_exact_array(ctx, action, nr, r->n, r->cond), r->call);
}

/* -------- libseccomp's filters, to compare with -------- */

static void export(scmp_filter_ctx ctx, struct filter_code *out)
{
	int fd = memfd_create("filter", 0);
	ssize_t n;

	check(fd, "memfd_create");
	check(seccomp_export_bpf(ctx, fd), "seccomp_export_bpf");
	n = pread(fd, out->code, sizeof(out->code), 0);
	if (n <= 0 || n == sizeof(out->code))
		bad("no use:", "libseccomp's filter");
	out->len = (unsigned int)((size_t)n / sizeof(*out->code));
	close(fd);
}

static void reference(int role, struct filter_code *out)
{
	scmp_filter_ctx ctx = seccomp_init(
		role == SANDBOX_FILTER_USER_NET ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_TRAP);
	FILE *f = fopen(file, "r");
	struct rule r;

	if (!ctx || !f)
		bad("cannot open", file);
	check(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "bad arch");
	line = 0;
	while (read_rule(f, &r)) {
		if (r.role[role])
			add_rule(ctx, &r);
	}
	export(ctx, out);
	fclose(f);
	seccomp_release(ctx);
}

/* Values of arguments: all that the rules name, their neighbours, and with bits above. */
static uint64_t values[2048];
static size_t n_values;

static void collect_values(void)
{
	FILE *f = fopen(file, "r");
	struct rule r;

	line = 0;
	values[n_values++] = 0;
	while (f && read_rule(f, &r)) {
		for (unsigned int i = 0; i < r.n; i++) {
			uint64_t v[] = { r.cond[i].datum_a, r.cond[i].datum_b };

			for (int j = 0; j < 2; j++) {
				if (n_values + 5 > sizeof(values) / sizeof(*values))
					bad("too many values in", file);
				values[n_values++] = v[j];
				values[n_values++] = v[j] + 1;
				values[n_values++] = v[j] ^ 0x10000;
				values[n_values++] = v[j] | 1ull << 32;
				values[n_values++] = ~v[j];
			}
		}
	}
	if (f)
		fclose(f);
}

/* The kernel heeds the most restrictive of several filters: ALLOW is the highest number. */
static uint32_t together(uint32_t a, uint32_t b)
{
	return (int32_t)(a & SECCOMP_RET_ACTION_FULL) < (int32_t)(b & SECCOMP_RET_ACTION_FULL) ? a
											       : b;
}

/* Ours heeds the lower halves of arguments only, as the kernel does. */
static void compare_call(const struct seccomp_data *d, const struct filter_code *want,
	const struct filter_code *above, const struct filter_code *f)
{
	uint32_t is = filter_run(f->code, f->len, d);
	struct seccomp_data narrow = *d;

	if (above)
		is = together(is, filter_run(above->code, above->len, d));
	for (int i = 0; i < 3; i++)
		narrow.args[i] = (uint32_t)d->args[i];
	if (is == filter_run(want->code, want->len, &narrow))
		return;
	fprintf(stderr, "%s: call %d(%#llx, %#llx, %#llx): not what libseccomp makes of it\n", file,
		d->nr, (unsigned long long)d->args[0], (unsigned long long)d->args[1],
		(unsigned long long)d->args[2]);
	exit(1);
}

static void compare_number(uint32_t nr, uint32_t arch, const struct filter_code *want,
	const struct filter_code *above, const struct filter_code *f)
{
	struct seccomp_data d = { .nr = (int)nr, .arch = arch };

	for (unsigned int arg = 0; arg < 3; arg++) {
		for (size_t i = 0; i < n_values; i++) {
			memset(d.args, 0, sizeof(d.args));
			d.args[arg] = values[i];
			compare_call(&d, want, above, f);
			d.args[0] = arg ? AF_UNIX : d.args[0];
			compare_call(&d, want, above, f);
		}
	}
}

static void compare(int role, const struct filter_code *above, const struct filter_code *f)
{
	static const uint32_t more[] = { 0x3fffffff, 0x40000000, 0x40000001, 0x7fffffff,
		0xfffffffe };
	struct filter_code want;

	reference(role, &want);
	for (uint32_t nr = 0; nr < SYSCALLS_MAX + 8; nr++)
		compare_number(nr, AUDIT_ARCH_X86_64, &want, above, f);
	for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++)
		compare_number(more[i], AUDIT_ARCH_X86_64, &want, above, f);
	compare_number(1, AUDIT_ARCH_I386, &want, above, f);
}

/* -------- ours -------- */

static void add_alternative(struct policy *p, const struct rule *r)
{
	int nr = seccomp_syscall_resolve_name(r->call);
	struct alternative *a = calloc(1, sizeof(*a)), **end;

	if (!a || nr < 0 || nr >= SYSCALLS_MAX)
		bad("unknown system call", r->call);
	a->n = r->n;
	memcpy(a->cond, r->cond, sizeof(a->cond));
	a->action = r->error ? SECCOMP_RET_ERRNO | (uint32_t)r->error : SECCOMP_RET_ALLOW;
	for (end = &p->call[nr]; *end; end = &(*end)->next)
		;
	*end = a;
}

static void read_policy(int role, struct policy *p)
{
	FILE *f = fopen(file, "r");
	struct rule r;

	if (!f)
		bad("cannot open", file);
	p->otherwise = role == SANDBOX_FILTER_USER_NET ? SECCOMP_RET_ERRNO | EPERM
						       : SECCOMP_RET_TRAP;
	line = 0;
	while (read_rule(f, &r)) {
		if (r.role[role])
			add_alternative(p, &r);
	}
	fclose(f);
}

static void put_filter(int role, const struct filter_code *f)
{
	printf("static const struct sock_filter filter_%c[] = {\n", SANDBOX_ROLE_LETTERS[role]);
	for (unsigned int i = 0; i < f->len; i++)
		printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", f->code[i].code, f->code[i].jt,
			f->code[i].jf, f->code[i].k);
	printf("};\n\n");
}

/* Main's comes first, and goes on top of the other threads': those have main's too. */
static void make_filters(void)
{
	static struct policy policy[SANDBOX_ROLES];
	static struct filter_code code[SANDBOX_ROLES];

	collect_values();
	for (int role = 0; role < SANDBOX_ROLES; role++) {
		bool on_top = role && role < SANDBOX_THREADS;

		read_policy(role, &policy[role]);
		if (!filter_compile(&policy[role], on_top ? &policy[0] : NULL, &code[role]))
			bad("too long a filter for role",
				(char[]){ SANDBOX_ROLE_LETTERS[role], 0 });
		compare(role, on_top ? &code[0] : NULL, &code[role]);
		put_filter(role, &code[role]);
	}
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
	make_filters();
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
