// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/help.h"

#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "block/block.h"
#include "core/accel.h"
#include "cli/cli.h"
#include "core/device.h"
#include "net/net.h"

static void print_table(const struct field_table *t, int indent)
{
	AUTO(str) out = STR_INIT;

	fields_help(t, indent, &out);
	fputs(str_cstr(&out), stdout);
}

void help_run(void)
{
	static const char *const short_names[][2] = {
		{ "name", "-n, " },
		{ "cpus", "-c, " },
		{ "memory", "-m, " },
		{ "accel", "-a, " },
		{ "kernel", "-k, " },
		{ "initrd", "-i, " },
		{ "disk", "-d, " },
	};

	printf("usage: lodge run [OPTIONS] [DISK]\n\n");
	for (uint32_t i = 0; i < vm_config_table.n_fields; i++) {
		const struct field *f = &vm_config_table.fields[i];
		const char *s = "    ";

		for (size_t k = 0; k < ARRAY_SIZE(short_names); k++) {
			if (!strcmp(short_names[k][0], f->name))
				s = short_names[k][1];
		}
		printf("  %s--%-12s %s%s%s%s\n", s, f->name, f->doc, f->dflt ? " (default " : "",
			f->dflt ?: "", f->dflt ? ")" : "");
		if (f->sub)
			print_table(f->sub, 24);
	}
	printf("\nSIZE takes K M G T. In KEY=VALUE lists `,,` is a comma. On a terminal Ctrl-] "
	       "asks the\n"
	       "guest to power off, a second time it ends the VM; as do SIGTERM, SIGINT and "
	       "SIGHUP.\n"
	       "SIGUSR1: what the engine has counted, to the log.\n"
	       "\nOptions of --accel, for each engine:\n");
	for (const struct accel *const *a = accel_table; *a; a++) {
		if (!(*a)->config)
			continue;
		printf("  %s\n", (*a)->name);
		print_table((*a)->config, 6);
	}
}

static void help_devices(void)
{
	for (const struct device_type *const *t = device_type_table; *t; t++) {
		if ((*t)->flags & DEVICE_USER)
			printf("  %-22s %s\n", (*t)->name, (*t)->doc);
	}
}

static bool help_device(const char *text, int *status)
{
	char type[64];
	const struct device_type *t;
	const char *comma = strchr(text, ',');

	if (!comma || strcmp(comma + 1, "help") || comma - text >= (int)sizeof(type))
		return false;
	snprintf(type, sizeof(type), "%.*s", (int)(comma - text), text);
	t = device_type_find(type);
	if (!t || !(t->flags & DEVICE_USER)) {
		fprintf(stderr, "lodge: --device: unknown type '%s' (--device help lists them)\n",
			type);
		*status = EXIT_STATUS_USAGE;
		return true;
	}
	printf("%s: %s\n", t->name, t->doc);
	printf("  id=TEXT                     its name\n");
	if (t->bus == BUS_PCI)
		printf("  bus=TEXT                    a pcie-root-port's id; default: the root "
		       "bus\n");
	if (t->config)
		print_table(t->config, 2);
	return true;
}

static void help_net(void)
{
	const struct device_type *t = device_type_find("virtio-net-pci");

	printf("the network:\n");
	print_table(&net_config_table, 2);
	printf("  model=virtio|none           none: no card; a --device's netdev= uses it "
	       "(default virtio)\n");
	printf("the device (virtio-net-pci):\n");
	if (t)
		print_table(t->config, 2);
}

bool help_asked(const struct vm_config *c, int *status)
{
	for (size_t i = 0; i < c->device.len; i++) {
		if (!strcmp(c->device.items[i], "help")) {
			help_devices();
			return true;
		}
		if (help_device(c->device.items[i], status))
			return true;
	}
	for (size_t i = 0; i < c->disk.len; i++) {
		const struct device_type *t = device_type_find("virtio-blk-pci");

		if (strcmp(c->disk.items[i], "help") && strcmp(c->disk.items[i], "file=help"))
			continue;
		printf("the image:\n");
		print_table(&block_config_table, 2);
		printf("  bus=virtio|none             none: no device; a --device's drive= uses it "
		       "(default virtio)\n");
		printf("the device (virtio-blk-pci):\n");
		if (t)
			print_table(t->config, 2);
		return true;
	}
	for (size_t i = 0; i < c->net.len; i++) {
		if (!strcmp(c->net.items[i], "help")) {
			help_net();
			return true;
		}
	}
	return false;
}
