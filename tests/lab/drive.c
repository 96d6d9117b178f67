// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * drive - runs a command on a terminal of its own and talks to it by script.
 *
 *	drive [-p] [-q] [-t SECONDS] SCRIPT -- COMMAND [ARG]...
 *	drive [-p] [-q] [-t SECONDS] -e LINE [-e LINE]... -- COMMAND [ARG]...
 *
 * The command's output is copied to stdout as it comes. The script is read and checked as a whole
 * first. Exit status: 0 the script went through, 1 it did not (stderr says where and shows the
 * last output), 2 wrong usage. README.md beside this file has the language.
 *
 * One process, one poll loop: wait_until() is the only place that reads output. What was read and
 * not yet matched stays in `seen`, without carriage returns and zero bytes.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SEEN_MAX  (1u << 20) /* unmatched output kept; the older half goes when it is full */
#define TAIL_MAX  2000	     /* output shown after a failure */
#define STEPS_MAX 4096
#define GRACE_MS  5000 /* from SIGTERM to SIGKILL at the end */

enum verb { EXPECT, MATCH, NEVER, SEND, TIMEOUT, SLEEP, SIGNAL, END, CLOSE, STATUS };

static const struct {
	const char *word;
	bool has_arg;
} verbs[] = {
	[EXPECT] = { "expect", true },
	[MATCH] = { "match", true },
	[NEVER] = { "never", true },
	[SEND] = { "send", true },
	[TIMEOUT] = { "timeout", true },
	[SLEEP] = { "sleep", true },
	[SIGNAL] = { "signal", true },
	[END] = { "eof", false },
	[CLOSE] = { "close", false },
	[STATUS] = { "status", true },
};

struct step {
	enum verb verb;
	const char *source; /* file name or "-e"; borrowed */
	int line;
	char *text; /* the argument as written; owned, as all here, until the process ends */
	char *data; /* its bytes with escapes resolved */
	size_t data_len;
	regex_t regex;
	double number;
	int signo;
};

static struct step steps[STEPS_MAX];
static int n_steps;

static struct {
	bool pipes;
	bool quiet;
	double total_s;
	pid_t pid;
	int in;	 /* to the command; -1 when closed */
	int out; /* from the command; -1 after its end of file */
	bool reaped;
	int status; /* as a shell would say it; valid when reaped */
	double limit_s;
	long long deadline_ms; /* of the whole run; 0: none */
	char seen[SEEN_MAX + 1];
	size_t seen_len;
	char tail[TAIL_MAX];
	size_t tail_len;
	struct step *forbidden[64];
	int n_forbidden;
} d = { .in = -1, .out = -1, .limit_s = 30 };

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

__attribute__((noreturn, format(printf, 1, 2))) static void usage(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "drive: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr,
		"\nusage: drive [-p] [-q] [-t SECONDS] {SCRIPT | -e LINE...} -- COMMAND...\n");
	exit(2);
}

/* ---- the command's end ---- */

static void reap(int flags)
{
	int st;

	if (d.reaped || waitpid(d.pid, &st, flags) != d.pid)
		return;
	d.reaped = true;
	d.status = WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
}

static void end_command(void)
{
	long long limit = now_ms() + GRACE_MS;

	if (!d.pid)
		return;
	reap(WNOHANG);
	if (!d.reaped)
		kill(d.pid, SIGTERM);
	while (!d.reaped && now_ms() < limit) {
		usleep(10000);
		reap(WNOHANG);
	}
	if (!d.reaped)
		kill(d.pid, SIGKILL);
	reap(0);
}

static void show_tail(void)
{
	bool line_start = true;

	for (size_t i = 0; i < d.tail_len; i++) {
		unsigned char c = d.tail[i];

		if (line_start)
			fputs("  | ", stderr);
		line_start = c == '\n';
		if (c == '\n' || c == '\t' || c >= ' ')
			fputc(c, stderr);
		else if (c == 27)
			fputs("\\e", stderr);
	}
	if (!line_start)
		fputc('\n', stderr);
}

__attribute__((noreturn, format(printf, 2, 3))) static void fail(
	const struct step *s, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "\ndrive: %s:%d: %s %s: ", s->source, s->line, verbs[s->verb].word,
		s->text ? s->text : "");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, d.tail_len ? "; the last output:\n" : "; there was no output\n");
	show_tail();
	end_command();
	exit(1);
}

/* ---- reading the script ---- */

/* Resolves \n \r \t \e \\ \xHH \^X into out, which has room for strlen(text). False: bad escape. */
static bool unescape(const char *text, char *out, size_t *len)
{
	char *o = out;

	for (const char *p = text; *p; p++) {
		char hex[3] = "";

		if (*p != '\\') {
			*o++ = *p;
			continue;
		}
		switch (*++p) {
		case 'n':
			*o++ = '\n';
			break;
		case 'r':
			*o++ = '\r';
			break;
		case 't':
			*o++ = '\t';
			break;
		case 'e':
			*o++ = 27;
			break;
		case 's':
			*o++ = ' ';
			break;
		case '\\':
			*o++ = '\\';
			break;
		case '^':
			if (!*++p)
				return false;
			*o++ = *p & 0x1f;
			break;
		case 'x':
			if (!isxdigit((unsigned char)p[1]) || !isxdigit((unsigned char)p[2]))
				return false;
			memcpy(hex, p + 1, 2);
			*o++ = (char)strtol(hex, NULL, 16);
			p += 2;
			break;
		default:
			return false;
		}
	}
	*len = o - out;
	return true;
}

static int signal_number(const char *name)
{
	if (!strncmp(name, "SIG", 3))
		name += 3;
	for (int i = 1; i < NSIG; i++) {
		const char *abbrev = sigabbrev_np(i);

		if (abbrev && !strcmp(abbrev, name))
			return i;
	}
	return 0;
}

static double parse_number(const char *text, const char *what)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= 0 && v < 1e6))
		usage("%s: not a number: %s", what, text);
	return v;
}

static void parse_arg(struct step *s)
{
	char errbuf[100];
	char where[200];
	int rc;

	snprintf(where, sizeof(where), "%s:%d", s->source, s->line);
	switch (s->verb) {
	case EXPECT:
	case NEVER:
	case SEND:
		s->data = calloc(1, strlen(s->text) + 1);
		if (!s->data || !unescape(s->text, s->data, &s->data_len))
			usage("%s: bad escape in: %s", where, s->text);
		break;
	case MATCH:
		rc = regcomp(&s->regex, s->text, REG_EXTENDED | REG_NEWLINE);
		if (rc) {
			regerror(rc, &s->regex, errbuf, sizeof(errbuf));
			usage("%s: bad expression: %s: %s", where, s->text, errbuf);
		}
		break;
	case SIGNAL:
		s->signo = signal_number(s->text);
		if (!s->signo)
			usage("%s: no such signal: %s", where, s->text);
		break;
	case TIMEOUT:
	case SLEEP:
	case STATUS:
		s->number = parse_number(s->text, where);
		break;
	case END:
	case CLOSE:
		break;
	}
}

static void parse_line(char *line, const char *source, int number)
{
	struct step *s = &steps[n_steps];
	char *arg;
	size_t word;

	line += strspn(line, " \t");
	line[strcspn(line, "\n")] = 0;
	if (!*line || *line == '#')
		return;
	if (n_steps == STEPS_MAX)
		usage("%s: more than %d steps", source, STEPS_MAX);
	word = strcspn(line, " \t");
	arg = line + word + strspn(line + word, " \t");
	s->source = source;
	s->line = number;
	for (size_t v = 0; v < sizeof(verbs) / sizeof(verbs[0]); v++) {
		if (strlen(verbs[v].word) != word || strncmp(verbs[v].word, line, word))
			continue;
		if (verbs[v].has_arg != (*arg != 0))
			usage("%s:%d: %s takes %s argument", source, number, verbs[v].word,
				verbs[v].has_arg ? "an" : "no");
		s->verb = v;
		s->text = verbs[v].has_arg ? strdup(arg) : NULL;
		parse_arg(s);
		n_steps++;
		return;
	}
	usage("%s:%d: no such verb: %.*s", source, number, (int)word, line);
}

static void parse_file(const char *path)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "r") : stdin;
	char *line = NULL;
	size_t size = 0;
	int number = 0;

	if (!f)
		usage("cannot read %s: %s", path, strerror(errno));
	while (getline(&line, &size, f) >= 0)
		parse_line(line, path, ++number);
	free(line);
	if (f != stdin)
		fclose(f);
}

/* ---- the command's output ---- */

static void keep_tail(const char *buf, size_t n)
{
	if (n > TAIL_MAX) {
		buf += n - TAIL_MAX;
		n = TAIL_MAX;
	}
	if (d.tail_len + n > TAIL_MAX) {
		size_t drop = d.tail_len + n - TAIL_MAX;

		memmove(d.tail, d.tail + drop, d.tail_len - drop);
		d.tail_len -= drop;
	}
	memcpy(d.tail + d.tail_len, buf, n);
	d.tail_len += n;
}

static void drop_seen(size_t n)
{
	memmove(d.seen, d.seen + n, d.seen_len - n);
	d.seen_len -= n;
	d.seen[d.seen_len] = 0;
}

static void take_output(void)
{
	char buf[8192];
	ssize_t n = read(d.out, buf, sizeof(buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) { /* a terminal without its other side says EIO */
		if (d.in == d.out)
			d.in = -1;
		close(d.out);
		d.out = -1;
		return;
	}
	if (!d.quiet) {
		fwrite(buf, 1, n, stdout);
		fflush(stdout);
	}
	keep_tail(buf, n);
	if (d.seen_len + n > SEEN_MAX)
		drop_seen(d.seen_len > SEEN_MAX / 2 ? SEEN_MAX / 2 : d.seen_len);
	for (ssize_t i = 0; i < n; i++)
		if (buf[i] && buf[i] != '\r')
			d.seen[d.seen_len++] = buf[i];
	d.seen[d.seen_len] = 0;
}

static void check_forbidden(void)
{
	for (int i = 0; i < d.n_forbidden; i++) {
		const struct step *s = d.forbidden[i];

		if (memmem(d.seen, d.seen_len, s->data, s->data_len))
			fail(s, "it came");
	}
}

/*
 * Polls until done(s) is true, s's limit is over or nothing more can come. What done() matches it
 * takes out of `seen` itself. Returns whether done() was true. A limit of the whole run that is
 * over ends the program.
 */
static bool wait_until(struct step *s, bool (*done)(struct step *s), double limit_s)
{
	long long limit = now_ms() + (long long)(limit_s * 1000);

	for (;;) {
		struct pollfd p = { .fd = d.out, .events = POLLIN };
		long long left;

		check_forbidden();
		if (done && done(s))
			return true;
		left = limit - now_ms();
		if (d.deadline_ms && now_ms() >= d.deadline_ms)
			fail(s, "the time limit of %g s for the whole script is over", d.total_s);
		if (left <= 0)
			return false;
		if (d.out < 0) {
			reap(WNOHANG);
			if (d.reaped && done)
				return done(s);
			usleep(left < 10 ? left * 1000 : 10000);
			continue;
		}
		if (d.deadline_ms && d.deadline_ms - now_ms() < left)
			left = d.deadline_ms - now_ms() + 1;
		if (poll(&p, 1, left > 0 ? (int)left : 0) > 0)
			take_output();
	}
}

static bool seen_text(struct step *s)
{
	char *at = memmem(d.seen, d.seen_len, s->data, s->data_len);

	if (at)
		drop_seen(at - d.seen + s->data_len);
	return at;
}

static bool seen_match(struct step *s)
{
	regmatch_t m;

	if (regexec(&s->regex, d.seen, 1, &m, 0))
		return false;
	drop_seen(m.rm_eo);
	return true;
}

static bool seen_end(struct step *s)
{
	(void)s;
	return d.out < 0;
}

static bool has_ended(struct step *s)
{
	(void)s;
	reap(WNOHANG);
	return d.reaped;
}

/* What an ended command has left in the terminal or pipe, which a child of it may hold open. */
static void drain(void)
{
	struct pollfd p = { .fd = d.out, .events = POLLIN };

	while (d.out >= 0 && poll(&p, 1, 0) > 0)
		take_output();
	check_forbidden();
}

/* ---- running the script ---- */

static void do_expect(struct step *s, bool (*done)(struct step *s))
{
	if (wait_until(s, done, d.limit_s))
		return;
	if (d.out < 0 && d.reaped)
		fail(s, "not seen before the command ended with status %d", d.status);
	fail(s, "not seen in %g s", d.limit_s);
}

/* Writes all; reads meanwhile, for the other side may block in its own output. */
static void do_send(struct step *s)
{
	long long limit = now_ms() + (long long)(d.limit_s * 1000);
	size_t done = 0;

	while (done < s->data_len) {
		struct pollfd p[2] = { { .fd = d.in, .events = POLLOUT },
			{ .fd = d.in == d.out ? -1 : d.out, .events = POLLIN } };
		ssize_t n;

		if (d.in < 0)
			fail(s, "the command's input is closed");
		if (d.in == d.out)
			p[0].events |= POLLIN;
		if (now_ms() >= limit)
			fail(s, "the command took no input for %g s", d.limit_s);
		if (poll(p, 2, 100) <= 0)
			continue;
		if ((p[0].revents & (POLLIN | POLLHUP) && d.in == d.out) ||
			p[1].revents & (POLLIN | POLLHUP))
			take_output();
		if (d.in < 0 || !(p[0].revents & (POLLOUT | POLLERR)))
			continue;
		n = write(d.in, s->data + done, s->data_len - done);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			fail(s, "%s", strerror(errno));
		done += n > 0 ? n : 0;
	}
}

static void do_close(struct step *s)
{
	if (d.in < 0)
		fail(s, "the command's input is closed already");
	if (d.in == d.out) {
		if (write(d.in, "\4", 1) != 1) /* a terminal's end of file */
			fail(s, "%s", strerror(errno));
		return;
	}
	close(d.in);
	d.in = -1;
}

static void run_step(struct step *s)
{
	switch (s->verb) {
	case EXPECT:
		do_expect(s, seen_text);
		break;
	case MATCH:
		do_expect(s, seen_match);
		break;
	case NEVER:
		if (d.n_forbidden == sizeof(d.forbidden) / sizeof(d.forbidden[0]))
			fail(s, "too many of these");
		d.forbidden[d.n_forbidden++] = s;
		check_forbidden();
		break;
	case SEND:
		do_send(s);
		break;
	case TIMEOUT:
		d.limit_s = s->number;
		break;
	case SLEEP:
		wait_until(s, NULL, s->number);
		break;
	case SIGNAL:
		reap(WNOHANG);
		if (d.reaped || kill(d.pid, s->signo))
			fail(s, "the command has ended");
		break;
	case END:
		if (!wait_until(s, seen_end, d.limit_s))
			fail(s, "the output did not end in %g s", d.limit_s);
		break;
	case CLOSE:
		do_close(s);
		break;
	case STATUS:
		if (!wait_until(s, has_ended, d.limit_s))
			fail(s, "the command did not end in %g s", d.limit_s);
		drain();
		if (d.status != (int)s->number)
			fail(s, "the command ended with status %d", d.status);
		break;
	}
}

static void exec_command(char **argv)
{
	execvp(argv[0], argv);
	fprintf(stderr, "drive: cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static void start_on_pipes(char **argv)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		usage("pipe: %s", strerror(errno));
	d.pid = fork();
	if (d.pid < 0)
		usage("fork: %s", strerror(errno));
	if (!d.pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(out[1], 2);
		signal(SIGPIPE, SIG_DFL);
		exec_command(argv);
	}
	close(in[0]);
	close(out[1]);
	d.in = in[1];
	d.out = out[0];
	fcntl(d.in, F_SETFL, O_NONBLOCK);
}

static void start_on_terminal(char **argv)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	int fd;

	d.pid = forkpty(&fd, NULL, NULL, &size);
	if (d.pid < 0)
		usage("forkpty: %s", strerror(errno));
	if (!d.pid) {
		signal(SIGPIPE, SIG_DFL);
		exec_command(argv);
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	d.in = d.out = fd;
}

static void on_term(int signo)
{
	if (d.pid)
		kill(d.pid, SIGKILL);
	_exit(128 + signo);
}

int main(int argc, char **argv)
{
	int n_inline = 0;
	int opt;

	while ((opt = getopt(argc, argv, "+pqt:e:")) != -1) {
		if (opt == 'p')
			d.pipes = true;
		else if (opt == 'q')
			d.quiet = true;
		else if (opt == 't')
			d.total_s = parse_number(optarg, "-t");
		else if (opt == 'e')
			parse_line(optarg, "-e", ++n_inline);
		else
			usage("wrong option");
	}
	/* getopt has eaten a "--" that follows the options at once */
	if (!n_inline && optind < argc && strcmp(argv[optind - 1], "--"))
		parse_file(argv[optind++]);
	else if (!n_inline)
		usage("no script");
	if (optind < argc && !strcmp(argv[optind], "--"))
		optind++;
	else if (strcmp(argv[optind - 1], "--"))
		usage("no -- before the command");
	if (optind == argc)
		usage("no command");

	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_term);
	signal(SIGINT, on_term);
	signal(SIGHUP, on_term);
	d.deadline_ms = d.total_s ? now_ms() + (long long)(d.total_s * 1000) : 0;
	if (d.pipes)
		start_on_pipes(argv + optind);
	else
		start_on_terminal(argv + optind);
	for (int i = 0; i < n_steps; i++)
		run_step(&steps[i]);
	end_command();
	return 0;
}
