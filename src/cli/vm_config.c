// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/vm_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/json.h"
#include "base/str.h"
#include "base/types.h"
#include "core/notice.h"
#include "net/net.h"

#define LIST_MAX	64
#define CONFIG_FILE_MAX (1 << 20)

static const struct field cpus_fields[] = {
	FIELD_U32(struct cpus_config, n, "count", .flags = FF_FIRST, .dflt = "1", .min = 1,
		.max = 255, .doc = "number of CPUs"),
	FIELD_U32(struct cpus_config, sockets, "sockets", .max = 255, .doc = "sockets"),
	FIELD_U32(struct cpus_config, cores, "cores", .max = 255, .doc = "cores of a socket"),
	FIELD_U32(struct cpus_config, threads, "threads", .max = 255, .doc = "threads of a core"),
	FIELD_STR(struct cpus_config, pin, "pin", .doc = "host CPU of each, as 0:1:4-7"),
};
static const struct field_table cpus_table = FIELD_TABLE("cpus", struct cpus_config, cpus_fields);

static const struct field memory_fields[] = {
	FIELD_SIZE(struct memory_config, size, "size", .flags = FF_FIRST, .dflt = "512M",
		.doc = "guest memory"),
	FIELD_STR(struct memory_config, file, "file", .doc = "back it with this file (shared)"),
	FIELD_BOOL(struct memory_config, hugepages, "hugepages",
		.doc = "reserved 2 MiB pages of the host"),
	FIELD_BOOL(
		struct memory_config, prealloc, "prealloc", .doc = "take all of it at the start"),
};
static const struct field_table memory_table = FIELD_TABLE(
	"memory", struct memory_config, memory_fields);

static const char *const auto_names[] = { "auto", "on", "off", NULL };
static const char *const irqchip_names[] = { "full", "split", NULL };

static const char *const machine_types[] = { "q35", "none", NULL };

static const struct field machine_fields[] = {
	FIELD_ENUM(struct machine_config, type, "type", machine_types, .flags = FF_FIRST,
		.dflt = "q35", .doc = "a PC, or nothing at all: only to ask by QMP what there is"),
	FIELD_BOOL(struct machine_config, keyboard, "keyboard", .dflt = "off",
		.doc = "tell the guest of the PS/2 controller"),
	FIELD_BOOL(struct machine_config, rtc, "rtc", .dflt = "on",
		.doc = "tell the guest of the CMOS clock"),
	FIELD_ENUM(struct machine_config, pci, "pci", auto_names, .dflt = "auto",
		.doc = "PCI host bridge; auto: when a PCI device is there"),
	FIELD_ENUM(struct machine_config, irqchip, "irqchip", irqchip_names, .dflt = "full",
		.doc = "interrupt chips in the engine, or only the local APICs"),
};
static const struct field_table machine_table = FIELD_TABLE(
	"machine", struct machine_config, machine_fields);

static const struct field sandbox_fields[] = {
	FIELD_BOOL(struct sandbox_config, on, "confine", .flags = FF_FIRST, .dflt = "on",
		.doc = "give up all rights that a running VM does not need"),
	FIELD_LIST(struct sandbox_config, allow, "allow", FT_STR, LIST_MAX,
		.doc = "a file or folder that stays open for reading and writing, for what is "
		       "asked at run time; repeatable"),
	FIELD_BOOL(struct sandbox_config, namespaces, "namespaces", .dflt = "on",
		.doc = "also an empty mount namespace and one without a network, where the host "
		       "permits"),
	FIELD_U32(struct sandbox_config, user_networks, "user-networks", .dflt = "0",
		.max = NET_USER_SPARE_MAX,
		.doc = "how many user networks QMP's netdev_add may make: a process waits for "
		       "each"),
};
static const struct field_table sandbox_table = FIELD_TABLE(
	"sandbox", struct sandbox_config, sandbox_fields);

static const struct field numa_fields[] = {
	FIELD_SIZE(struct numa_config, memory, "memory", .flags = FF_REQUIRED,
		.doc = "memory of the node"),
	FIELD_STR(struct numa_config, cpus, "cpus", .doc = "its CPUs, as 0-3"),
};
static const struct field_table numa_table = FIELD_TABLE("numa", struct numa_config, numa_fields);

#define V struct vm_config
static const struct field vm_fields[] = {
	FIELD_STR(V, name, "name", .max = 63, .doc = "name of the VM; default lodge-PID"),
	FIELD_STRUCT(V, cpus, "cpus", &cpus_table, .doc = "CPUs and their topology"),
	FIELD_STRUCT(V, memory, "memory", &memory_table, .doc = "guest memory"),
	FIELD_STRUCT(V, machine, "machine", &machine_table, .doc = "what the PC has"),
	FIELD_LIST(V, numa, "numa", FT_STRUCT, 16, .sub = &numa_table,
		.doc = "a NUMA node; repeatable"),
	FIELD_STR(V, accel, "accel", .dflt = "auto",
		.doc = "engine: auto, kvm, soft, or a list tried in order, as kvm:soft; "
		       "with options, as kvm,device=/dev/kvm"),
	FIELD_STR(V, cpu_model, "cpu-model", .dflt = "host",
		.doc = "base, x86-64-v2, x86-64-v3, host or max, with ,+flag,-flag"),
	FIELD_STR(V, kernel, "kernel",
		.doc = "bzImage, ELF (PVH or 64-bit entry) or multiboot image"),
	FIELD_STR(V, initrd, "initrd",
		.doc = "initial RAM disk; of a multiboot image its modules: FILE [WORDS],..."),
	FIELD_STR(V, append, "append", .doc = "kernel command line"),
	FIELD_LIST(V, disk, "disk", FT_STR, LIST_MAX,
		.doc = "file=FILE[,...]: a virtio disk (--disk help); repeatable"),
	FIELD_LIST(V, net, "net", FT_STR, LIST_MAX,
		.doc = "user, tap, socket or none, with options: a virtio network card (--net "
		       "help); "
		       "repeatable"),
	FIELD_LIST(V, serial, "serial", FT_STR, 4,
		.doc = "[id=NAME,] stdio, null, pty, file:PATH, append:PATH, unix:PATH[,server], "
		       "tcp:ADDR:PORT[,server][,nodelay], udp:ADDR:PORT[@ADDR:PORT], "
		       "fd:N[,server] or none: COM1..4; repeatable"),
	FIELD_LIST(V, console, "console", FT_STR, LIST_MAX,
		.doc = "a virtio console, same back ends; repeatable"),
	FIELD_LIST(V, device, "device", FT_STR, LIST_MAX,
		.doc = "TYPE[,KEY=VALUE]...: a device (--device help); repeatable"),
	FIELD_STRUCT(V, sandbox, "sandbox", &sandbox_table,
		.doc = "on or off, with ,allow=PATH, ,namespaces=off: confinement of this process "
		       "(docs/sandbox.md)"),
	FIELD_STR(V, restore, "restore",
		.doc = "go on with a saved VM: its file; the other options are as they were then"),
	FIELD_STR(V, incoming, "incoming",
		.doc = "wait for a saved VM: unix:PATH, fd:N, file:PATH, or defer (told later)"),
	FIELD_LIST(V, qmp, "qmp", FT_STR, 16,
		.doc = "unix:PATH or fd:NUMBER: serve QEMU's machine protocol there; repeatable"),
	FIELD_STR(
		V, gdb, "gdb", .doc = "unix:PATH or tcp:ADDR:PORT: let gdb attach (target remote)"),
	FIELD_STR(V, uuid, "uuid", .doc = "UUID of the machine; default random"),
	FIELD_STR(V, pidfile, "pidfile", .doc = "write the process id here"),
	FIELD_STR(V, log, "log", .doc = "LEVEL[,file=PATH]; err, warn, info or debug"),
	FIELD_BOOL(V, daemonize, "daemonize",
		.doc = "go to the background when the guest has started"),
	FIELD_BOOL(V, no_reboot, "no-reboot", .doc = "end instead of resetting"),
	FIELD_ENUM(V, watchdog_action, "watchdog-action", notice_action_names, .dflt = "reset",
		.doc = "what follows when the guest's watchdog (--device i6300esb) expires"),
	FIELD_BOOL(V, paused, "paused", .doc = "do not start the CPUs"),
	FIELD_STR(V, config, "config",
		.doc = "a JSON object of these options; the command line wins"),
};
#undef V
const struct field_table vm_config_table = FIELD_TABLE("lodge run", struct vm_config, vm_fields);

static const struct {
	char c;
	const char *name;
} short_options[] = {
	{ 'n', "name" },
	{ 'c', "cpus" },
	{ 'm', "memory" },
	{ 'a', "accel" },
	{ 'k', "kernel" },
	{ 'i', "initrd" },
	{ 'd', "disk" },
};

static const char *short_name(char c)
{
	for (size_t i = 0; i < ARRAY_SIZE(short_options); i++) {
		if (short_options[i].c == c)
			return short_options[i].name;
	}
	return NULL;
}

static bool list_append(
	struct vm_config *c, const struct field *f, const char *value, struct error *err)
{
	struct field_list *l = (struct field_list *)((char *)c + f->offset);
	char *item;
	void *p;

	if (l->len >= f->count)
		return error_usage(err, "--%s is given more than %u times", f->name, f->count);
	p = realloc(l->items, (l->len + 1) * f->size);
	if (!p)
		return error_set(err, "out of memory");
	l->items = p;
	item = (char *)p + l->len * f->size;
	memset(item, 0, f->size);
	if (f->elem == FT_STR) {
		*(char **)item = strdup(value);
		l->len++;
		return *(char **)item || error_set(err, "out of memory");
	}
	if (!fields_init(f->sub, item, err))
		return false;
	l->len++; /* owned by the list from here on, whole or not */
	return fields_parse(f->sub, item, value, err) || error_prefix(err, "--%s", f->name);
}

static bool set_option(
	struct vm_config *c, const struct field *f, const char *value, struct error *err)
{
	if (f->type == FT_LIST)
		return list_append(c, f, value, err);
	if (f->type == FT_STRUCT)
		return fields_parse(f->sub, (char *)c + f->offset, value, err) ||
		       error_prefix(err, "--%s", f->name);
	return fields_set(&vm_config_table, c, f->name, value, err);
}

/* One option of argv: its field and value, with the index moved past it. */
struct arg {
	const struct field *field; /* NULL: it was the -- that ends the options */
	const char *value;
	bool positional;
	bool no_more_options; /* kept from one to the next */
};

static bool long_option(char **argv, int argc, int *i, struct arg *a, struct error *err)
{
	const char *name = argv[*i] + 2, *eq = strchr(name, '=');
	AUTO_FREE char *key = strndup(name, eq ? (size_t)(eq - name) : strlen(name));

	a->field = key ? fields_find(&vm_config_table, key) : NULL;
	if (!a->field)
		return error_usage(
			err, "unknown option '--%s' (lodge run --help lists them)", key ?: name);
	if (a->field->type == FT_BOOL) {
		a->value = eq ? eq + 1 : "on";
		return true;
	}
	a->value = eq ? eq + 1 : *i + 1 < argc ? argv[++*i] : NULL;
	return a->value || error_usage(err, "--%s wants a value", a->field->name);
}

static bool short_option(char **argv, int argc, int *i, struct arg *a, struct error *err)
{
	const char *text = argv[*i] + 1, *name = short_name(text[0]);

	if (!name)
		return error_usage(
			err, "unknown option '-%c' (lodge run --help lists them)", text[0]);
	a->field = fields_find(&vm_config_table, name);
	a->value = text[1] ? text + 1 : *i + 1 < argc ? argv[++*i] : NULL;
	return a->value || error_usage(err, "-%c wants a value", text[0]);
}

static bool next_arg(char **argv, int argc, int *i, struct arg *a, struct error *err)
{
	a->field = NULL;
	a->positional = a->no_more_options || argv[*i][0] != '-' || !argv[*i][1];
	if (!a->positional && !strcmp(argv[*i], "--")) {
		a->no_more_options = true;
		return true;
	}
	if (!a->positional && argv[*i][1] == '-')
		return long_option(argv, argc, i, a, err);
	if (!a->positional)
		return short_option(argv, argc, i, a, err);
	a->field = fields_find(&vm_config_table, "disk");
	a->value = argv[*i];
	return true;
}

static bool read_config_file(struct vm_config *c, const char *path, struct error *err)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_FREE char *text = malloc(CONFIG_FILE_MAX + 1);
	ssize_t n, len = 0;

	if (fd < 0)
		return error_set_errno(err, errno, "config file '%s'", path);
	if (!text)
		return error_set(err, "out of memory");
	while (len <= CONFIG_FILE_MAX && (n = read(fd, text + len, CONFIG_FILE_MAX + 1 - len)) > 0)
		len += n;
	if (len > CONFIG_FILE_MAX)
		return error_set(err, "config file '%s' is larger than 1 MiB", path);
	if (n < 0)
		return error_set_errno(err, errno, "config file '%s'", path);
	if (!fields_from_json_text(&vm_config_table, c, text, len, err))
		return error_prefix(err, "config file '%s'", path);
	return true;
}

/* A bare word is a disk's file name, whatever commas are in it. */
static bool set_positional(
	struct vm_config *c, const struct field *f, const char *file, struct error *err)
{
	AUTO(str) text = STR_INIT;

	str_append(&text, "file=");
	fields_put_token(file, &text);
	if (text.failed)
		return error_set(err, "out of memory");
	return set_option(c, f, str_cstr(&text), err);
}

/* The files first: the command line wins. */
static bool read_config_files(
	struct vm_config *c, int argc, char **argv, bool *help, struct error *err)
{
	struct arg a = { 0 };

	for (int i = 1; i < argc; i++) {
		if (!a.no_more_options && (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))) {
			*help = true;
			return true;
		}
		if (!next_arg(argv, argc, &i, &a, err))
			return false;
		if (a.field && !strcmp(a.field->name, "config") &&
			!read_config_file(c, a.value, err))
			return false;
	}
	return true;
}

bool config_parse(struct vm_config *c, int argc, char **argv, bool *help, struct error *err)
{
	struct arg a = { 0 };

	*help = false;
	if (!read_config_files(c, argc, argv, help, err))
		return false;
	for (int i = 1; i < argc && !*help; i++) {
		if (!next_arg(argv, argc, &i, &a, err))
			return false;
		if (a.field &&
			!(a.positional ? set_positional : set_option)(c, a.field, a.value, err))
			return false;
	}
	return true;
}

int config_parse_cpu_list(const char *text, int *out, int max)
{
	int n = 0;

	while (*text) {
		char *end;
		long first = strtol(text, &end, 10), last = first;

		if (end == text || first < 0)
			return -1;
		if (*end == '-') {
			text = end + 1;
			last = strtol(text, &end, 10);
			if (end == text)
				return -1;
		}
		if (last < first || last > 4095 || (*end && *end != ':'))
			return -1;
		for (; first <= last; first++) {
			if (n == max)
				return -1;
			out[n++] = (int)first;
		}
		text = *end ? end + 1 : end;
	}
	return n;
}
