// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * human-monitor-command - the lines of QEMU's human monitor that tools still send: a few texts for
 * people, in its form, and what are commands of QMP anyway.
 */
#include <string.h>
#include <unistd.h>
#include "block/block.h"
#include "chardev/chardev.h"
#include "control/hostfwd.h"
#include "control/qmp.h"
#include "control/version.h"
#include "core/machine.h"
#include "core/vcpu.h"
#include "hw/pci/pci.h"
#include "hw/virtio/nic.h"
#include "machine/netdev.h"
#include "net/net.h"

struct args {
	char *line;
	int64_t cpu;
};
static const struct field fields[] = {
	FIELD_STR(struct args, line, "command-line", .flags = FF_GIVEN, .max = 1 << 20,
		.doc = "`help` lists what there is"),
	FIELD_I64(struct args, cpu, "cpu-index", .doc = "has no meaning here"),
};
static const struct field_table args = FIELD_TABLE("human-monitor-command", struct args, fields);

struct ret {
	char *text;
};
static const struct field ret_fields[] = {
	FIELD_STR(struct ret, text, "text", .flags = FF_GIVEN),
};
static const struct field_table ret = FIELD_TABLE("text", struct ret, ret_fields);

/* -------- texts -------- */

static void info_version(struct qmp_call *c, struct str *s)
{
	str_appendf(s, "%d.%d.%d (%s)\r\n", QMP_VERSION_MAJOR, QMP_VERSION_MINOR, QMP_VERSION_MICRO,
		QMP_PACKAGE);
}

static void info_status(struct qmp_call *c, struct str *s)
{
	const char *name = qmp_status_name(c->m);

	if (c->m->state == RUN_RUNNING || !strcmp(name, "paused"))
		str_appendf(s, "VM status: %s\r\n", name);
	else
		str_appendf(s, "VM status: paused (%s)\r\n", name);
}

static void info_name(struct qmp_call *c, struct str *s)
{
	str_appendf(s, "%s\r\n", c->m->name);
}

static void info_uuid(struct qmp_call *c, struct str *s)
{
	char text[QMP_UUID_LEN + 1];

	str_appendf(s, "%s\r\n", qmp_uuid_text(c->q, text));
}

static void info_kvm(struct qmp_call *c, struct str *s)
{
	bool kvm = c->m->accel && !strcmp(c->m->accel->name, "kvm");

	str_appendf(s, "kvm support: %s\r\n", kvm ? "enabled" : "disabled");
}

static void info_cpus(struct qmp_call *c, struct str *s)
{
	for (uint32_t i = 0; i < c->m->n_vcpus; i++)
		str_appendf(s, "%c CPU #%u: thread_id=%d\r\n", i ? ' ' : '*', i,
			(int)(c->m->vcpus[i].tid ?: getpid()));
}

static void info_chardev(struct qmp_call *c, struct str *s)
{
	struct map_entry *e;

	map_for_each (e, &c->m->backends[BACKEND_CHARDEV])
		str_appendf(s, "%s: filename=%s\r\n", e->key, chardev_filename(e->value));
}

/* The device whose option @key is @id; NULL. */
static struct device *user_of(struct machine *m, const char *key, const char *id)
{
	struct device *d;

	list_for_each (d, &m->devices, node) {
		AUTO(str) value = STR_INIT;

		if (d->type->config && fields_find(d->type->config, key) &&
			fields_get(d->type->config, device_config(d), key, &value) &&
			!strcmp(str_cstr(&value), id))
			return d;
	}
	return NULL;
}

static void info_block(struct qmp_call *c, struct str *s)
{
	static const char *const modes[] = { [BLOCK_CACHE_NONE] = "writeback, direct",
		[BLOCK_CACHE_WRITEBACK] = "writeback",
		[BLOCK_CACHE_WRITETHROUGH] = "writethrough",
		[BLOCK_CACHE_UNSAFE] = "writeback, ignore flushes" };
	struct map_entry *e;
	char path[200];

	map_for_each (e, &c->m->backends[BACKEND_BLOCK]) {
		const struct block_dev *b = e->value;
		struct device *d = user_of(c->m, "drive", e->key);

		str_appendf(s, "%s (%s): %s (%s%s)\r\n", e->key, block_id(b), block_filename(b),
			block_format_name(b), block_get_info(b)->readonly ? ", read-only" : "");
		if (d)
			str_appendf(s, "    Attached to:      %s/virtio-backend\r\n",
				device_path(d, path, sizeof(path)));
		str_appendf(s, "    Cache mode:       %s\r\n", modes[block_cache_mode(b)]);
	}
}

static void put_card(struct device *d, struct str *s)
{
	AUTO(str) mac = STR_INIT;

	if (fields_get(d->type->config, device_config(d), "mac", &mac))
		str_appendf(s, "%s: index=0,type=nic,model=%s,macaddr=%s\r\n", device_name(d),
			d->type->name, str_cstr(&mac));
}

/* Cards with their networks, then networks without a card. */
static void info_network(struct qmp_call *c, struct str *s)
{
	struct map_entry *e;
	struct device *d;

	list_for_each (d, &c->m->devices, node) {
		const struct net_dev *n = nic_is(d) ? nic_network(d) : NULL;

		if (!n)
			continue;
		put_card(d, s);
		if (!net_is_cut(n))
			str_appendf(s, " \\ %s: index=0,type=%s\r\n", net_id(n), net_type_name(n));
	}
	map_for_each (e, &c->m->backends[BACKEND_NET]) {
		if (!net_has_front(e->value))
			str_appendf(s, "%s: index=0,type=%s\r\n", e->key, net_type_name(e->value));
	}
}

static void put_function(const struct pci_device *d, unsigned int bus, struct str *s)
{
	str_appendf(s,
		"  Bus %2u, device %3u, function %u:\r\n    Class %04x: PCI device %04x:%04x\r\n"
		"      PCI subsystem %04x:%04x\r\n      id \"%s\"\r\n",
		bus, d->devfn >> 3, d->devfn & 7u, d->info.class_code >> 8, d->info.vendor,
		d->info.device, d->info.subvendor, d->info.subdevice, d->dev.id ?: "");
}

static void info_pci(struct qmp_call *c, struct str *s)
{
	struct pci_device *d = NULL;
	struct pci_port_info port;

	while (c->m->pci && (d = pci_next(c->m->pci, d))) {
		put_function(d, 0, s);
		if (pci_port_get_info(d, &port) && port.child)
			put_function(port.child, port.secondary, s);
	}
}

/* The user networks' connections and forwarded ports, as libslirp tells of them. */
static void info_usernet(struct qmp_call *c, struct str *s)
{
	struct map_entry *e;

	map_for_each (e, &c->m->backends[BACKEND_NET]) {
		struct error err = ERROR_INIT;
		AUTO(str) text = STR_INIT;

		if (!net_forwards(e->value))
			continue;
		str_appendf(s, "Hub -1 (%s):\r\n", e->key);
		if (!net_describe(e->value, &text, &err))
			str_appendf(s, "Error: %s\r\n", err.msg);
		for (size_t i = 0; i < text.len; i++) {
			if (text.s[i] == '\n')
				str_append_char(s, '\r');
			str_append_char(s, text.s[i]);
		}
	}
}

/* -------- forwarded ports -------- */

/* The network that `[ID] RULE` is about, or the first that forwards ports; *@rule begins behind ID. */
static struct net_dev *forwarding(struct qmp_call *c, const char **rule, struct str *s)
{
	const char *blank = strchr(*rule, ' ');
	struct error none = ERROR_INIT;
	struct net_dev *d = NULL;
	struct map_entry *e;

	if (blank) {
		AUTO_FREE char *id = strndup(*rule, (size_t)(blank - *rule));

		*rule = blank + 1;
		d = id ? machine_net(c->m, id, &none) : NULL;
		if (!d)
			str_appendf(s, "unrecognized netdev id '%s'\r\n", id ?: "");
		return d;
	}
	map_for_each (e, &c->m->backends[BACKEND_NET]) {
		if (!d && net_forwards(e->value))
			d = e->value;
	}
	if (!d)
		str_append(s, "user mode network stack not in use\r\n");
	return d;
}

static void hostfwd_add(struct qmp_call *c, const char *rule, struct str *s)
{
	struct net_dev *d = forwarding(c, &rule, s);
	struct error err = ERROR_INIT;
	AUTO_FREE char *spec = d ? hostfwd_spec(rule, true, &err) : NULL;

	if (spec && !net_forward_add(d, spec, &err))
		str_appendf(
			s, "Could not set up host forwarding rule '%.100s': %s\r\n", rule, err.msg);
	else if (d && !spec)
		str_appendf(s, "%s\r\n", err.msg);
}

static void hostfwd_remove(struct qmp_call *c, const char *rule, struct str *s)
{
	struct net_dev *d = forwarding(c, &rule, s);
	struct error err = ERROR_INIT;
	AUTO_FREE char *spec = d ? hostfwd_spec(rule, false, &err) : NULL;

	if (spec && net_forward_remove(d, spec, &err))
		str_appendf(s, "host forwarding rule for %.100s removed\r\n", rule);
	else if (spec && err.kind == ERROR_NOT_FOUND)
		str_appendf(s, "host forwarding rule for %.100s not found\r\n", rule);
	else if (d)
		str_appendf(s, "invalid format: %s\r\n", err.msg);
}

/* -------- lines -------- */

static void help(struct qmp_call *c, struct str *s);
static void info_all(struct qmp_call *c, struct str *s);

static const struct line {
	const char *words, *alias;
	void (*text)(struct qmp_call *c, struct str *s);
	const char *command; /* or this command of QMP, which has neither arguments nor result */
	const char *doc;     /* NULL: not in the list */
	/* Or with the words that follow, from 1 to @max of them. */
	void (*rest)(struct qmp_call *c, const char *rest, struct str *s);
	unsigned int max;
	const char *usage;
} lines[] = {
	{ "cont", "c", NULL, "cont", "resume emulation" },
	{ "help", "?", help, NULL, "show this" },
	{ "hostfwd_add", NULL, NULL, NULL, "forward a port of the host to the guest (user network)",
		hostfwd_add, 2, "[netdev_id] [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport" },
	{ "hostfwd_remove", NULL, NULL, NULL, "take such a forward away", hostfwd_remove, 2,
		"[netdev_id] [tcp|udp]:[hostaddr]:hostport" },
	{ "info", NULL, info_all, NULL, NULL },
	{ "info block", NULL, info_block, NULL, "the disks" },
	{ "info chardev", NULL, info_chardev, NULL, "the character devices" },
	{ "info cpus", NULL, info_cpus, NULL, "the CPUs and their threads" },
	{ "info kvm", NULL, info_kvm, NULL, "is KVM the engine?" },
	{ "info name", NULL, info_name, NULL, "the machine's name" },
	{ "info network", NULL, info_network, NULL, "the networks" },
	{ "info pci", NULL, info_pci, NULL, "the functions on the PCI bus" },
	{ "info status", NULL, info_status, NULL, "does the machine run?" },
	{ "info usernet", NULL, info_usernet, NULL,
		"forwarded ports and connections of user networks" },
	{ "info uuid", NULL, info_uuid, NULL, "the machine's UUID" },
	{ "info version", NULL, info_version, NULL, "what this is" },
	{ "nmi", NULL, NULL, "inject-nmi", "a non-maskable interrupt" },
	{ "quit", "q", NULL, "quit", "end the machine" },
	{ "stop", "s", NULL, "stop", "stop the CPUs" },
	{ "system_powerdown", NULL, NULL, "system_powerdown", "the power button" },
	{ "system_reset", NULL, NULL, "system_reset", "reset the machine" },
};

/* Those that are @words, or begin with it; all of them for "". */
static void put_help(const char *words, struct str *s)
{
	size_t len = strlen(words);

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		const struct line *l = &lines[i];

		if (!l->doc)
			continue;
		if (!len || !strcmp(l->alias ?: " ", words) ||
			(!strncmp(l->words, words, len) &&
				(!l->words[len] || l->words[len] == ' ')))
			str_appendf(s, "%s%s%s%s%s  -- %s\r\n", l->words, l->alias ? "|" : "",
				l->alias ?: "", l->usage ? " " : "", l->usage ?: "", l->doc);
	}
}

static void help(struct qmp_call *c, struct str *s)
{
	put_help("", s);
}

static void info_all(struct qmp_call *c, struct str *s)
{
	put_help("info", s);
}

/* Words with one blank between them. */
static void normalize(const char *line, struct str *out)
{
	while (*(line += strspn(line, " \t\r\n"))) {
		size_t n = strcspn(line, " \t\r\n");

		str_append(out, out->len ? " " : "");
		str_append_mem(out, line, n);
		line += n;
	}
}

static void run_command(struct qmp_call *c, const char *name, struct str *s)
{
	struct qmp_call k = { .q = c->q,
		.client = c->client,
		.m = c->m,
		.cmd = qmp_command_find(name),
		.raw = c->raw };
	struct error err = ERROR_INIT;

	if (!k.cmd->run(&k, &err))
		str_appendf(s, "Error: %s\r\n", err.msg);
}

/* The line that @wanted is, or begins with if it takes more words; *@rest: those. */
static const struct line *find_line(const char *wanted, const char **rest)
{
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		const struct line *l = &lines[i];
		const char *more;

		*rest = "";
		if (!strcmp(l->words, wanted) || !strcmp(l->alias ?: " ", wanted))
			return l;
		if (l->rest && str_has_prefix(wanted, l->words, &more) && *more == ' ') {
			*rest = more + 1;
			return l;
		}
	}
	return NULL;
}

static void run_with_words(
	struct qmp_call *c, const struct line *l, const char *rest, struct str *s)
{
	unsigned int n = *rest != 0;

	for (const char *p = rest; *p; p++)
		n += *p == ' ';
	if (n && n <= l->max)
		l->rest(c, rest, s);
	else
		str_appendf(s, "%s: %s\r\nTry \"help %s\" for more information\r\n", l->words,
			n ? "extraneous characters at the end of line" : "string expected",
			l->words);
}

static bool run(struct qmp_call *c, struct error *err)
{
	const struct args *a = c->args;
	struct ret *r = c->ret;
	const struct line *l = NULL;
	const char *topic;
	AUTO(str) wanted = STR_INIT;
	AUTO(str) s = STR_INIT;

	if (qmp_given(c, "cpu-index") && (a->cpu < 0 || a->cpu >= c->m->n_vcpus))
		return error_set(err, "'cpu-index': there is no such CPU");
	normalize(a->line, &wanted);
	l = find_line(str_cstr(&wanted), &topic);
	if (l && l->rest)
		run_with_words(c, l, topic, &s);
	else if (l && l->text)
		l->text(c, &s);
	else if (str_has_prefix(str_cstr(&wanted), "help ", &topic) ||
		 str_has_prefix(str_cstr(&wanted), "? ", &topic))
		put_help(topic, &s);
	else if (l)
		run_command(c, l->command, &s);
	else if (wanted.len)
		str_appendf(&s, "unknown command: '%s'\r\n", str_cstr(&wanted));
	return (!s.failed && !wanted.failed && qmp_set_text(&r->text, str_cstr(&s), err)) ||
	       error_set(err, "out of memory");
}

const struct qmp_command human_monitor_command_cmd = {
	.name = "human-monitor-command",
	.doc = "a few lines of QEMU's human monitor",
	.args = &args,
	.ret = &ret,
	.flags = QMP_VALUE,
	.run = run,
};
