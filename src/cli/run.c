// SPDX-License-Identifier: GPL-2.0-or-later
/* `lodge run`: make a VM from its configuration, run it in the foreground, tell how it ended. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "base/removal.h"
#include "base/str.h"
#include "base/vec.h"
#include "block/block.h"
#include "chardev/chardev.h"
#include "cli/cli.h"
#include "cli/vm_config.h"
#include "cli/help.h"
#include "control/gdb.h"
#include "control/listen.h"
#include "control/metrics.h"
#include "control/qmp.h"
#include "control/rundir.h"
#include "core/machine.h"
#include "hw/pci/pci.h"
#include "loop/loop.h"
#include "machine/netdev.h"
#include "machine/x86/board.h"
#include "migrate/migrate.h"
#include "sandbox/sandbox.h"

/* A device that --disk or --console means. */
struct implied {
	char *options;
	const char *option, *text; /* what the user wrote: --disk and its value */
};

struct run {
	struct vm_config c;
	struct board_config board;
	int *pins;
	void *accel_options;
	struct loop *loop;
	struct machine *m;
	struct gdb *gdb;
	struct rundir *rundir;
	struct metrics *metrics;
	struct qmp *qmp;
	struct qmp_info qmp_info;
	VEC(struct chardev *) chardevs;
	VEC(struct block_dev *) disks;
	VEC(struct implied) devices;
	char *names[8]; /* ids of the serial ports' back ends */
	struct loop_fd signals;
	int signal_fd, asked_signal;
	bool load_failed; /* what --restore or --incoming brought; told already */
	int ready_fd;	  /* --daemonize: the parent waits for a byte; -1 */
	int null_fd;	  /* --daemonize: /dev/null; -1 */
	int pidfile_fd;	  /* locked while we run; -1 */
	struct removal *pidfile;
	struct sandbox *sandbox; /* NULL: off */
};

/* -------- CPUs, memory, NUMA -------- */

static bool topology(struct run *r, struct error *err)
{
	const struct cpus_config *c = &r->c.cpus;
	struct x86_topology *t = &r->board.topology;

	/* What is not given follows from what is: threads 1, cores the rest of one socket. */
	t->threads = c->threads ?: 1;
	t->sockets = c->sockets ?: 1;
	t->cores = c->cores ?: MAX(c->n / (t->threads * t->sockets), 1u);
	if (!c->sockets && c->cores)
		t->sockets = MAX(c->n / (t->cores * t->threads), 1u);
	if ((uint64_t)t->sockets * t->cores * t->threads != c->n)
		return error_usage(err, "--cpus %u: %u sockets x %u cores x %u threads are %llu",
			c->n, t->sockets, t->cores, t->threads,
			(unsigned long long)t->sockets * t->cores * t->threads);
	r->board.cpus = c->n;
	if (!c->pin)
		return true;
	r->pins = calloc(c->n, sizeof(int));
	if (!r->pins)
		return error_set(err, "out of memory");
	if (config_parse_cpu_list(c->pin, r->pins, c->n) != (int)c->n)
		return error_usage(
			err, "--cpus pin=%s: %u host CPUs are wanted, as 0:1:4-7", c->pin, c->n);
	r->board.pin = r->pins;
	return true;
}

static bool numa(struct run *r, struct error *err)
{
	uint32_t next = 0;

	for (size_t i = 0; i < r->c.numa.len; i++) {
		const struct numa_config *n = &r->c.numa.items[i];
		int cpus[BOARD_CPUS_MAX];
		int count = n->cpus ? config_parse_cpu_list(n->cpus, cpus, BOARD_CPUS_MAX) : 0;

		if (count < 0 || (count && (cpus[0] != (int)next ||
						   cpus[count - 1] != (int)next + count - 1)))
			return error_usage(err,
				"--numa cpus=%s: node %zu must hold CPUs from %u on, as %u-%u",
				n->cpus, i, next, next, next);
		r->board.node[i] = (struct board_node){ n->memory, next, count };
		next += count;
	}
	r->board.n_nodes = r->c.numa.len;
	return true;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *p = c ? strchr(digits, c | 0x20) : NULL;

	return p ? (int)(p - digits) : -1;
}

static bool parse_uuid(const char *text, uint8_t *out, struct error *err)
{
	unsigned int n = 0;

	for (const char *p = text; *p; p++) {
		if (*p == '-')
			continue;
		if (n == 32 || hex_digit(*p) < 0) {
			n = 0;
			break;
		}
		out[n / 2] = n & 1 ? out[n / 2] | hex_digit(*p) : hex_digit(*p) << 4;
		n++;
	}
	return n == 32 || error_usage(err,
				  "--uuid '%s': 32 hexadecimal digits are wanted, as "
				  "123e4567-e89b-12d3-a456-426614174000",
				  text);
}

static bool uuid(struct run *r, struct error *err)
{
	uint8_t *u = r->board.uuid;

	if (r->c.uuid)
		return parse_uuid(r->c.uuid, u, err);
	if (getrandom(u, 16, 0) != 16)
		return error_set_errno(err, errno, "cannot make a UUID");
	u[6] = (u[6] & 0x0f) | 0x40; /* RFC 4122: version 4, random */
	u[8] = (u[8] & 0x3f) | 0x80;
	return true;
}

/* "host,+avx,-aes": the model and its flags. */
static void cpu_model(struct run *r)
{
	char *comma = strchr(r->c.cpu_model, ',');

	if (comma)
		*comma = 0;
	r->board.cpu_model = r->c.cpu_model;
	r->board.cpu_flags = comma ? comma + 1 : NULL;
}

/* -------- back ends -------- */

static bool add_chardev(struct run *r, const char *spec, const char *id, struct error *err)
{
	struct chardev *c;

	if (r->c.daemonize && !strcmp(spec, "stdio"))
		return error_usage(err, "'stdio' does not go with --daemonize");
	c = chardev_open(spec, id, r->loop, err);
	if (!c)
		return false;
	if (!machine_backend_add(r->m, BACKEND_CHARDEV, id, c, err)) {
		chardev_close(c);
		return false;
	}
	if (!strncmp(chardev_filename(c), "pty:", 4))
		fprintf(stderr, "lodge: %s is %s\n", id, chardev_filename(c) + 4);
	return true;
}

static bool open_serials(struct run *r, struct error *err)
{
	bool automatic = !r->c.serial.len && (isatty(STDIN_FILENO) || r->c.kernel);
	size_t n = automatic ? 1 : r->c.serial.len;
	AUTO_FREE char *path = rundir_file(r->rundir, RUNDIR_CONSOLE);
	AUTO(str) own_console = STR_INIT;

	str_append(&own_console, "unix:");
	fields_put_token(path ?: "", &own_console);
	str_append(&own_console, ",server");
	if (!path || own_console.failed)
		return error_set(err, "out of memory");
	for (size_t i = 0; i < n; i++) {
		const char *spec = automatic ? "stdio" : r->c.serial.items[i];

		if (automatic && r->c.daemonize)
			spec = str_cstr(&own_console);
		if (!strcmp(spec, "none"))
			continue;
		r->names[i] = str_printf("serial%zu", i);
		if (!r->names[i])
			return error_set(err, "out of memory");
		if (!add_chardev(r, spec, r->names[i], err))
			return error_prefix(err, "--serial");
		r->board.serial[i] = r->names[i];
	}
	r->board.n_serial = n;
	return true;
}

static bool want_device(
	struct run *r, char *options, const char *option, const char *text, struct error *err)
{
	if (options && vec_push(&r->devices, ((struct implied){ options, option, text })))
		return true;
	free(options);
	return error_set(err, "out of memory");
}

static bool open_consoles(struct run *r, struct error *err)
{
	AUTO(str) options = STR_INIT;

	if (!r->c.console.len)
		return true;
	str_append(&options, "virtio-console-pci");
	for (size_t i = 0; i < r->c.console.len; i++) {
		char id[32];

		snprintf(id, sizeof(id), "console%zu", i);
		if (!add_chardev(r, r->c.console.items[i], id, err))
			return error_prefix(err, "--console");
		str_appendf(&options, ",console=%s", id);
	}
	return want_device(r, str_take(&options), "--console", r->c.console.items[0], err);
}

/* `--disk` holds the keys of the back end and of the device: sort them. */
static bool split_disk(
	const char *text, struct block_config *b, struct str *device, struct error *err)
{
	AUTO(str) token = STR_INIT;

	for (bool first = true; fields_next_token(&text, &token); first = false) {
		AUTO_FREE char *key = strdup(str_cstr(&token));
		char *eq = key ? strchr(key, '=') : NULL;

		if (!key)
			return error_set(err, "out of memory");
		if (eq)
			*eq = 0;
		if (!eq && first) {
			if (!fields_set(&block_config_table, b, "file", key, err))
				return false;
		} else if (!strcmp(key, "bus")) {
			if (!eq || strcmp(eq + 1, "virtio"))
				return error_usage(err, "bad value '%s' for 'bus'; valid: virtio",
					eq ? eq + 1 : "");
		} else if (fields_find(&block_config_table, key)) {
			if (!fields_set(&block_config_table, b, key, eq ? eq + 1 : "on", err))
				return false;
		} else {
			str_append(device, ",");
			fields_put_token(str_cstr(&token), device);
		}
	}
	if (token.failed || device->failed)
		return error_set(err, "out of memory");
	return true;
}

static bool open_disk(struct run *r, size_t i, struct error *err)
{
	struct block_config b = { 0 };
	AUTO(str) options = STR_INIT; /* the device's own, each with its comma */
	AUTO(str) device = STR_INIT;
	struct block_dev *dev = NULL;
	char id[32];
	bool ok;

	snprintf(id, sizeof(id), "disk%zu", i);
	ok = fields_init(&block_config_table, &b, err);
	b.unlocked = r->c.restore || r->c.incoming;
	ok = ok && split_disk(r->c.disk.items[i], &b, &options, err);
	if (ok && !b.id)
		ok = fields_set(&block_config_table, &b, "id", id, err);
	if (ok)
		ok = fields_check(&block_config_table, &b, err) && (dev = block_open(&b, err));
	if (dev && !vec_push(&r->disks, dev)) {
		block_close(dev);
		ok = error_set(err, "out of memory");
	}
	if (ok) {
		str_append(&device, "virtio-blk-pci,drive=");
		fields_put_token(b.id, &device);
		str_append(&device, str_cstr(&options));
		ok = machine_backend_add(r->m, BACKEND_BLOCK, b.id, dev, err) &&
		     want_device(r, str_take(&device), "--disk", r->c.disk.items[i], err);
	}
	fields_fini(&block_config_table, &b);
	return ok;
}

static bool open_disks(struct run *r, struct error *err)
{
	for (size_t i = 0; i < r->c.disk.len; i++) {
		if (!open_disk(r, i, err))
			return error_prefix(err, "--disk %s", r->c.disk.items[i]);
	}
	return true;
}

/* `--net` too. The first word is the type, which decides what other keys there are. */
static bool split_net(
	const char *text, struct net_config *n, struct str *device, bool *card, struct error *err)
{
	AUTO(str) token = STR_INIT;

	for (bool first = true; fields_next_token(&text, &token); first = false) {
		AUTO_FREE char *key = strdup(str_cstr(&token));
		char *eq = key ? strchr(key, '=') : NULL;

		if (!key)
			return error_set(err, "out of memory");
		if (eq)
			*eq = 0;
		if (!eq && first) {
			if (!fields_set(&net_config_table, n, "type", key, err))
				return false;
		} else if (!strcmp(key, "model")) {
			*card = !eq || strcmp(eq + 1, "none");
			if (*card && (!eq || strcmp(eq + 1, "virtio")))
				return error_usage(err,
					"bad value '%s' for 'model'; valid: virtio, none (a "
					"--device "
					"uses the network)",
					eq ? eq + 1 : "");
		} else if (net_config_has(key)) {
			if (!fields_set(&net_config_table, n, key, eq ? eq + 1 : "on", err))
				return false;
		} else {
			str_append(device, ",");
			fields_put_token(str_cstr(&token), device);
		}
	}
	if (token.failed || device->failed)
		return error_set(err, "out of memory");
	return true;
}

static bool open_net(struct run *r, size_t i, struct error *err)
{
	struct net_config n = { 0 };
	AUTO(str) options = STR_INIT;
	AUTO(str) device = STR_INIT;
	bool ok, card = true;
	char id[32];

	snprintf(id, sizeof(id), "net%zu", i);
	ok = fields_init(&net_config_table, &n, err) &&
	     split_net(r->c.net.items[i], &n, &options, &card, err);
	if (ok && n.type == NET_NONE && !options.len && !n.id) { /* no card at all */
		fields_fini(&net_config_table, &n);
		return true;
	}
	if (ok && !n.id)
		ok = fields_set(&net_config_table, &n, "id", id, err);
	if (ok)
		ok = fields_check(&net_config_table, &n, err) && machine_net_add(r->m, &n, err);
	if (ok && !card && options.len)
		ok = error_usage(err, "unknown key '%s' with model=none", str_cstr(&options) + 1);
	if (ok && card) {
		str_append(&device, "virtio-net-pci,netdev=");
		fields_put_token(n.id, &device);
		str_append(&device, str_cstr(&options));
		ok = want_device(r, str_take(&device), "--net", r->c.net.items[i], err);
	}
	fields_fini(&net_config_table, &n);
	return ok;
}

static bool open_nets(struct run *r, struct error *err)
{
	for (size_t i = 0; i < r->c.net.len; i++) {
		if (!open_net(r, i, err))
			return error_prefix(err, "--net %s", r->c.net.items[i]);
	}
	return true;
}

/* A chardev that only a --device names: `--device isa-debugcon,chardev=stdio` opens it. */
static bool add_device(struct run *r, const char *text, struct error *err)
{
	const char *comma = strchr(text, ',');
	AUTO_FREE char *type = strndup(text, comma ? (size_t)(comma - text) : strlen(text));

	if (!type)
		return error_set(err, "out of memory");
	return device_create(r->m, type, comma ? comma + 1 : NULL, err);
}

static bool is_user_device(const char *text, const struct device_type **out, struct error *err)
{
	const char *comma = strchr(text, ',');
	AUTO_FREE char *type = strndup(text, comma ? (size_t)(comma - text) : strlen(text));
	const struct device_type *t = type ? device_type_find(type) : NULL;

	if (!t || !(t->flags & DEVICE_USER))
		return error_usage(err, "--device: unknown type '%s' (--device help lists them)",
			type ?: text);
	*out = t;
	return true;
}

static bool needs_pci(struct run *r, bool *pci, struct error *err)
{
	*pci = r->c.machine.pci == 1 || r->c.disk.len || r->c.net.len || r->c.console.len;
	for (size_t i = 0; i < r->c.device.len; i++) {
		const struct device_type *t = NULL;

		if (!is_user_device(r->c.device.items[i], &t, err))
			return false;
		*pci |= t->bus == BUS_PCI;
		r->board.pci_ports += !strcmp(t->name, "pcie-root-port");
	}
	if (r->board.pci_ports > PCI_PORTS_MAX)
		return error_usage(err, "--device pcie-root-port: at most %u", PCI_PORTS_MAX);
	if (*pci && r->c.machine.pci == 2)
		return error_usage(err, "--machine pci=off, but a PCI device is asked for");
	return true;
}

static bool add_devices(struct run *r, struct error *err)
{
	struct implied *d;

	vec_for_each (d, &r->devices) {
		if (!add_device(r, d->options, err))
			return error_prefix(err, "%s %s", d->option, d->text);
	}
	for (size_t i = 0; i < r->c.device.len; i++) {
		if (!add_device(r, r->c.device.items[i], err))
			return error_prefix(err, "--device %s", r->c.device.items[i]);
	}
	return true;
}

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

/* What the engine has counted, to the log, whatever its level. */
static void report(struct run *r, bool asked)
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
			report(r, true);
		} else {
			ask_poweroff(r, (int)si.ssi_signo);
		}
	}
}

static void escape_key(void *opaque)
{
	ask_poweroff(opaque, SIGINT);
}

/* Before any thread is made: all inherit the mask, and only the descriptor gets the signals. */
static bool watch_signals(struct run *r, struct error *err)
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

/* The child goes on; the parent waits until the guest runs and exits with the outcome. */
static bool daemonize(struct run *r, struct error *err)
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
	return r->null_fd >= 0 || error_set_errno(err, errno, "/dev/null");
}

static void tell_parent(struct run *r)
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

static bool write_pidfile(struct run *r, struct error *err)
{
	const char *path = r->c.pidfile;
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return error_set(err, "pid file '%s' is another virtual machine's", path);
	if (fd < 0 || ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
		return error_set_errno(err, errno, "pid file '%s'", path);
	r->pidfile_fd = fd;
	fd = -1;
	r->pidfile = removal_expect(path);
	return true;
}

static bool set_log(char *spec, struct error *err)
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

static bool select_engine(struct run *r, struct error *err)
{
	AUTO(str) report = STR_INIT;

	r->board.accel = accel_select(r->c.accel, &r->accel_options, &report, err);
	if (!r->board.accel)
		return false;
	r->board.accel_options = r->accel_options;
	log_info("run", "engine %s%s%s", r->board.accel->name, report.len ? "; " : "",
		str_cstr(&report));
	return true;
}

static bool make_name(struct run *r, struct error *err)
{
	r->qmp_info.named = r->c.name;
	if (!r->c.name)
		r->c.name = str_printf("lodge-%d", (int)getpid());
	if (!r->c.name)
		return error_set(err, "out of memory");
	return rundir_name_possible(r->c.name) ||
	       error_usage(err,
		       "bad value '%s' for '--name': a word without '/' is wanted, not "
		       "beginning with '.' or '-'",
		       r->c.name);
}

static bool make_board_config(struct run *r, struct error *err)
{
	struct board_config *b = &r->board;

	b->memory = r->c.memory.size;
	b->memory_file = r->c.memory.file;
	b->hugepages = r->c.memory.hugepages;
	b->prealloc = r->c.memory.prealloc;
	b->kernel = r->c.kernel;
	b->initrd = r->c.initrd;
	b->cmdline = r->c.append;
	b->keyboard = r->c.machine.keyboard;
	b->rtc = r->c.machine.rtc;
	b->irqchip = r->c.machine.irqchip ? ACCEL_IRQCHIP_SPLIT : ACCEL_IRQCHIP_FULL;
	cpu_model(r);
	if (r->c.restore && r->c.incoming)
		return error_usage(err, "--restore and --incoming exclude each other");
	return topology(r, err) && numa(r, err) && uuid(r, err) && needs_pci(r, &b->pci, err);
}

/* -------- the sandbox -------- */

/* The last thing before the guest runs: all is open that was asked for. */
static bool confine(struct run *r, struct error *err)
{
	struct sandbox *s = r->sandbox;
	bool ok = true;

	if (!s)
		return true;
	for (size_t i = 0; ok && i < r->c.sandbox.allow.len; i++)
		ok = sandbox_allow(s, r->c.sandbox.allow.items[i], SANDBOX_WRITE, err);
	ok = ok && sandbox_enter(s, chardev_stdio_restore, err);
	sandbox_free(s);
	r->sandbox = NULL;
	return ok;
}

/* The VM's own socket, for `lodge ps` and the like. */
static bool serve_own(struct run *r, const char *file, bool readonly, struct error *err)
{
	AUTO_FREE char *path = rundir_file(r->rundir, file);
	AUTO_FREE char *address = path ? str_printf("unix:%s", path) : NULL;

	return address ? qmp_listen(r->qmp, address, readonly, err)
		       : error_set(err, "out of memory");
}

/* -------- a saved VM -------- */

/* With what was saved the machine is paused; it runs if the saved one did. */
static void load_changed(void *opaque, enum migrate_status s)
{
	struct run *r = opaque;
	struct migrate *g = migrate_of(r->m);
	struct error err = ERROR_INIT;

	if (!migrate_get_info(g)->incoming || (s != MIGRATE_COMPLETED && s != MIGRATE_FAILED))
		return;
	if (s == MIGRATE_FAILED)
		error_set(&err, "%s", migrate_get_info(g)->error);
	else if (!migrate_is_to_run(g) && (r->c.paused || !migrate_was_running(g)))
		return;
	else if (machine_resume(r->m, &err)) {
		machine_notice(r->m, &(struct notice){ .kind = NOTICE_RESUME });
		return;
	}
	error_prefix(&err, r->c.restore ? "--restore %s" : "--incoming %s",
		r->c.restore ?: r->c.incoming);
	r->load_failed = true;
	cli_fail(&err);
	loop_stop(r->loop);
}

/* True: the guest is there. False: it cannot be, which load_changed() has told. */
static bool wait_loaded(struct run *r)
{
	struct error err = ERROR_INIT;

	return migrate_wait(migrate_of(r->m), &err) && !r->load_failed;
}

/* Start the machine: anew, or with what was saved. */
static bool start_machine(struct run *r, struct error *err)
{
	const char *from = r->c.restore ?: r->c.incoming;
	AUTO_FREE char *uri = NULL;

	if (!from)
		return confine(r, err) && (r->c.paused || machine_resume(r->m, err));
	migrate_set_hook(migrate_of(r->m), load_changed, r);
	if (r->c.incoming && !strcmp(r->c.incoming, "defer"))
		return confine(r, err) && machine_wait_incoming(r->m, err);
	uri = str_printf("%s%s", r->c.restore ? "file:" : "", from);
	if (!uri)
		return error_set(err, "out of memory");
	/* Paths and sockets first, and the bytes of the stream when we are confined. */
	if (!migrate_open_load(r->m, uri, err))
		return error_prefix(err, r->c.restore ? "--restore" : "--incoming");
	if (!confine(r, err) || !machine_wait_incoming(r->m, err))
		return false;
	return migrate_load(r->m, NULL, err) ||
	       error_prefix(err, r->c.restore ? "--restore" : "--incoming");
}

static bool start_qmp(struct run *r, struct error *err)
{
	r->qmp_info.options = &vm_config_table;
	r->qmp_info.memory = r->board.memory;
	r->qmp_info.cores = r->board.topology.cores;
	r->qmp_info.threads = r->board.topology.threads;
	memcpy(r->qmp_info.uuid, r->board.uuid, sizeof(r->qmp_info.uuid));
	r->qmp = qmp_new(r->m, &r->qmp_info, err);
	for (size_t i = 0; r->qmp && i < r->c.qmp.len; i++) {
		if (!qmp_listen(r->qmp, r->c.qmp.items[i], false, err))
			return error_prefix(err, "--qmp");
	}
	return r->qmp;
}

static bool start_own_sockets(struct run *r, struct error *err)
{
	AUTO_FREE char *metrics = rundir_file(r->rundir, RUNDIR_METRICS);

	if (!metrics)
		return error_set(err, "out of memory");
	r->metrics = metrics_new(r->m, r->board.memory, metrics, err);
	return r->metrics && serve_own(r, RUNDIR_CONTROL, false, err) &&
	       serve_own(r, RUNDIR_MONITOR, true, err);
}

static bool start(struct run *r, struct error *err)
{
	/* One heap for all threads: they allocate at the start only, and each heap of its own would
	 * cost memory and system calls. */
	mallopt(M_ARENA_MAX, 1);
	if (!set_log(r->c.log, err) || (r->c.daemonize && !daemonize(r, err)))
		return false;
	if (r->c.sandbox.on) {
		r->sandbox = sandbox_new(r->c.sandbox.namespaces, err);
		if (!r->sandbox)
			return false;
		listen_set_unknown_uid(sandbox_unknown_uid(r->sandbox));
	}
	if (!make_name(r, err) || !(r->rundir = rundir_claim(r->c.name, err)))
		return false;
	if (!make_board_config(r, err) || !select_engine(r, err))
		return false;
	thread_enter(ROLE_MAIN, "lodge");
	r->loop = loop_new("main", 0, err);
	if (!r->loop || !watch_signals(r, err))
		return false;
	r->m = machine_new(r->c.name, r->loop, err);
	if (!r->m)
		return false;
	r->m->no_reboot = r->c.no_reboot;
	if (!open_serials(r, err) || !open_consoles(r, err) || !open_disks(r, err) ||
		!open_nets(r, err))
		return false;
	if (!board_init(r->m, &r->board, err) || !add_devices(r, err) || !board_start(r->m, err))
		return false;
	if (r->c.pidfile && !write_pidfile(r, err))
		return false;
	if (!migrate_new(r->m, err) || !start_qmp(r, err))
		return false;
	if (r->c.gdb && !(r->gdb = gdb_new(r->m, r->c.gdb, err)))
		return false;
	/* Before the sandbox, which makes no sockets. */
	if (!start_own_sockets(r, err) || !start_machine(r, err))
		return false;
	/* A daemon is told to be ready when the guest runs. */
	if (r->c.restore && !wait_loaded(r))
		return true;
	tell_parent(r);
	return true;
}

/* All that there are now, those that QMP's clients made too: closed when no device uses them any more. */
static void take_chardevs(struct run *r)
{
	struct map_entry *e;

	if (!r->m)
		return;
	map_for_each (e, &r->m->backends[BACKEND_CHARDEV]) {
		if (!vec_push(&r->chardevs, e->value))
			log_err("run", "out of memory: '%s' is not closed", e->key);
	}
}

static void finish(struct run *r)
{
	struct chardev **c;
	struct block_dev **d;
	struct implied *i;
	struct migrate *g = r->m ? migrate_of(r->m) : NULL;

	gdb_free(r->gdb);
	if (g)
		migrate_set_hook(g, NULL, NULL);
	qmp_free(r->qmp);
	metrics_free(r->metrics);
	take_chardevs(r);
	machine_free(r->m);
	migrate_free(g);
	vec_for_each (c, &r->chardevs)
		chardev_close(*c);
	vec_for_each (d, &r->disks)
		block_close(*d);
	vec_for_each (i, &r->devices)
		free(i->options);
	if (r->signals.loop)
		loop_fd_del(&r->signals);
	if (r->signal_fd >= 0)
		close(r->signal_fd);
	loop_free(r->loop);
	vec_fini(&r->chardevs);
	vec_fini(&r->disks);
	vec_fini(&r->devices);
	for (size_t i = 0; i < ARRAY_SIZE(r->names); i++)
		free(r->names[i]);
	if (r->board.accel)
		accel_options_free(r->board.accel, r->accel_options);
	removal_do(r->pidfile);
	if (r->pidfile_fd >= 0)
		close(r->pidfile_fd);
	rundir_release(r->rundir);
	sandbox_free(r->sandbox);
	free(r->pins);
	fields_fini(&vm_config_table, &r->c);
}

static int exit_status(const struct machine *m)
{
	switch (m->end) {
	case MACHINE_POWEROFF:
	case MACHINE_RESET: /* under --no-reboot */
		return EXIT_STATUS_OK;
	case MACHINE_DEBUG_EXIT:
	case MACHINE_QUIT:
		return m->exit_code;
	case MACHINE_TRIPLE_FAULT:
	case MACHINE_PANIC:
	case MACHINE_ERROR:
		break;
	}
	fprintf(stderr, "lodge: %s: %s\n", m->name, machine_event_name(m->end));
	return EXIT_STATUS_CRASH;
}

static int run(int argc, char **argv)
{
	struct run r = { .signal_fd = -1, .ready_fd = -1, .null_fd = -1, .pidfile_fd = -1 };
	struct error err = ERROR_INIT;
	bool help = false;
	int status = EXIT_STATUS_OK;

	if (!fields_init(&vm_config_table, &r.c, &err) ||
		!config_parse(&r.c, argc, argv, &help, &err))
		status = cli_fail(&err);
	else if (help)
		help_run();
	else if (help_asked(&r.c, &status))
		;
	else if (!start(&r, &err))
		status = cli_fail(&err);
	else {
		if (!r.load_failed)
			loop_run(r.loop);
		report(&r, false);
		status = r.load_failed ? EXIT_STATUS_FAILED : exit_status(r.m);
	}
	finish(&r);
	return status;
}

const struct command run_command = {
	.name = "run",
	.args = "[OPTIONS] [DISK]",
	.doc = "start a VM in the foreground",
	.run = run,
};
