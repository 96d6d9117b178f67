// SPDX-License-Identifier: GPL-2.0-or-later
/* run_devices - back ends, and the devices that use them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/str.h"
#include "base/types.h"
#include "cli/run_int.h"
#include "hw/pci/pci.h"
#include "machine/netdev.h"

/* -------- serial ports and consoles -------- */

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

/* The name of port @i's back end: `id=NAME,` before the rest of *@spec, which is taken off, or serialN. */
static char *serial_id(const char **spec, size_t i, struct error *err)
{
	const char *name;
	size_t n = str_has_prefix(*spec, "id=", &name) ? strcspn(name, ",") : 0;
	char *id = n ? strndup(name, n) : str_printf("serial%zu", i);

	if (n && !name[n]) {
		error_usage(err, "'%s': a back end is missing, as id=NAME,pty", *spec);
		free(id);
		return NULL;
	}
	if (n)
		*spec = name + n + 1;
	if (!id)
		error_set(err, "out of memory");
	return id;
}

static bool open_serials(struct run *r, struct error *err)
{
	bool automatic = !r->c.serial.len && r->c.machine.type != MACHINE_NONE &&
			 (isatty(STDIN_FILENO) || r->c.kernel);
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
		r->names[i] = serial_id(&spec, i, err);
		if (!r->names[i] || !add_chardev(r, spec, r->names[i], err))
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

/* -------- disks and networks -------- */

/* `--disk` and `--net` hold the keys of the back end and of the device in one text. */
struct mixed {
	const struct field_table *table; /* the back end's */
	const char *first;		 /* what a bare first word is */
	bool (*has)(const char *key);	 /* is it the back end's? */
	const char *model;		 /* the key that says which device; only virtio, or none */
	const char *none;		 /* the help for that */
};

static bool disk_has(const char *key)
{
	return fields_find(&block_config_table, key);
}

static const struct mixed disk_mixed = {
	.table = &block_config_table,
	.first = "file",
	.has = disk_has,
	.model = "bus",
	.none = ", none (a --device uses the disk)",
};

/* The first word is the type, which decides what other keys there are. */
static const struct mixed net_mixed = {
	.table = &net_config_table,
	.first = "type",
	.has = net_config_has,
	.model = "model",
	.none = ", none (a --device uses the network)",
};

static bool pick_model(const struct mixed *m, const char *value, bool *device, struct error *err)
{
	*device = strcmp(value, "none");
	return !*device || !strcmp(value, "virtio") ||
	       error_usage(
		       err, "bad value '%s' for '%s'; valid: virtio%s", value, m->model, m->none);
}

/* The back end's keys into @config (of m->table), the others into @options, each with its comma. */
static bool split(const struct mixed *m, const char *text, void *config, struct str *options,
	bool *device, struct error *err)
{
	AUTO(str) token = STR_INIT;
	bool ok = true;

	*device = true;
	for (bool first = true; ok && fields_next_token(&text, &token); first = false) {
		AUTO_FREE char *key = strdup(str_cstr(&token));
		char *eq = key ? strchr(key, '=') : NULL;

		if (!key)
			return error_set(err, "out of memory");
		if (eq)
			*eq = 0;
		if (!eq && first) {
			ok = fields_set(m->table, config, m->first, key, err);
		} else if (!strcmp(key, m->model)) {
			ok = pick_model(m, eq ? eq + 1 : "", device, err);
		} else if (m->has(key)) {
			ok = fields_set(m->table, config, key, eq ? eq + 1 : "on", err);
		} else {
			str_append(options, ",");
			fields_put_token(str_cstr(&token), options);
		}
	}
	if (ok && (token.failed || options->failed))
		return error_set(err, "out of memory");
	if (ok && !*device && options->len)
		return error_usage(err, "unknown key '%s' with %s=none", options->s + 1, m->model);
	return ok;
}

static void close_disk(void *disk)
{
	block_close(disk);
}

/* A disk without a device is the machine's, as one of blockdev-add: blockdev-del may close it. */
static bool keep_disk(
	struct run *r, struct block_dev *dev, const char *id, bool is_used, struct error *err)
{
	bool ok = is_used ? vec_push(&r->disks, dev)
			  : machine_backend_own(
				    r->m, BACKEND_BLOCK, id, dev, close_disk, NULL, err);

	if (!ok)
		block_close(dev);
	if (!ok && is_used)
		error_set(err, "out of memory");
	return ok && (!is_used || machine_backend_add(r->m, BACKEND_BLOCK, id, dev, err));
}

static bool open_disk(struct run *r, size_t i, struct error *err)
{
	struct block_config b = { 0 };
	AUTO(str) options = STR_INIT; /* the device's own, each with its comma */
	AUTO(str) device = STR_INIT;
	struct block_dev *dev = NULL;
	char id[32];
	bool ok, is_used;

	snprintf(id, sizeof(id), "disk%zu", i);
	ok = fields_init(&block_config_table, &b, err);
	b.unlocked = r->c.restore || r->c.incoming;
	ok = ok && split(&disk_mixed, r->c.disk.items[i], &b, &options, &is_used, err);
	if (ok && !b.id)
		ok = fields_set(&block_config_table, &b, "id", id, err);
	ok = ok && fields_check(&block_config_table, &b, err) && (dev = block_open(&b, err)) &&
	     keep_disk(r, dev, b.id, is_used, err);
	if (ok && is_used) {
		str_append(&device, "virtio-blk-pci,drive=");
		fields_put_token(b.id, &device);
		str_append(&device, str_cstr(&options));
		ok = want_device(r, str_take(&device), "--disk", r->c.disk.items[i], err);
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

static bool open_net(struct run *r, size_t i, struct error *err)
{
	struct net_config n = { 0 };
	AUTO(str) options = STR_INIT;
	AUTO(str) device = STR_INIT;
	bool ok, card;
	char id[32];

	snprintf(id, sizeof(id), "net%zu", i);
	ok = fields_init(&net_config_table, &n, err) &&
	     split(&net_mixed, r->c.net.items[i], &n, &options, &card, err);
	if (ok && n.type == NET_NONE && !options.len && !n.id) { /* no card at all */
		fields_fini(&net_config_table, &n);
		return true;
	}
	if (ok && !n.id)
		ok = fields_set(&net_config_table, &n, "id", id, err);
	if (ok)
		ok = fields_check(&net_config_table, &n, err) && machine_net_add(r->m, &n, err);
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

bool run_open_backends(struct run *r, struct error *err)
{
	return open_serials(r, err) && open_consoles(r, err) && open_disks(r, err) &&
	       open_nets(r, err);
}

/* -------- devices -------- */

/* "TYPE,OPTIONS": the type, the caller's, and the options or NULL. */
static char *split_type(const char *text, const char **options)
{
	const char *comma = strchr(text, ',');

	*options = comma ? comma + 1 : NULL;
	return strndup(text, comma ? (size_t)(comma - text) : strlen(text));
}

static bool add_device(struct run *r, const char *text, struct error *err)
{
	const char *options;
	AUTO_FREE char *type = split_type(text, &options);

	if (!type)
		return error_set(err, "out of memory");
	return device_create(r->m, type, options, err);
}

static bool is_user_device(const char *text, const struct device_type **out, struct error *err)
{
	const char *options;
	AUTO_FREE char *type = split_type(text, &options);
	const struct device_type *t = type ? device_type_find(type) : NULL;

	if (!t || !(t->flags & DEVICE_USER))
		return error_usage(err, "--device: unknown type '%s' (--device help lists them)",
			type ?: text);
	*out = t;
	return true;
}

bool run_needs_pci(struct run *r, bool *pci, struct error *err)
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

bool run_add_devices(struct run *r, struct error *err)
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

/* -------- the end -------- */

void run_take_chardevs(struct run *r)
{
	struct map_entry *e;

	if (!r->m)
		return;
	map_for_each (e, &r->m->backends[BACKEND_CHARDEV]) {
		if (!vec_push(&r->chardevs, e->value))
			log_err("run", "out of memory: '%s' is not closed", e->key);
	}
}

void run_close_backends(struct run *r)
{
	struct chardev **c;
	struct block_dev **d;
	struct implied *i;

	vec_for_each (c, &r->chardevs)
		chardev_close(*c);
	vec_for_each (d, &r->disks)
		block_close(*d);
	vec_for_each (i, &r->devices)
		free(i->options);
	vec_fini(&r->chardevs);
	vec_fini(&r->disks);
	vec_fini(&r->devices);
	for (size_t i = 0; i < ARRAY_SIZE(r->names); i++)
		free(r->names[i]);
}
