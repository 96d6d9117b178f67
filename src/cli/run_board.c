// SPDX-License-Identifier: GPL-2.0-or-later
/* run_board - CPUs, memory, NUMA nodes, UUID and engine, as the configuration has them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/log.h"
#include "base/str.h"
#include "base/types.h"
#include "cli/run_int.h"

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

/* What only a machine that has something can have. */
static bool check_none(const struct vm_config *c, struct error *err)
{
	const struct {
		bool given;
		const char *name;
	} wrong[] = {
		{ c->kernel, "--kernel" },
		{ c->initrd, "--initrd" },
		{ c->append, "--append" },
		{ c->disk.len, "--disk" },
		{ c->net.len, "--net" },
		{ c->serial.len, "--serial" },
		{ c->console.len, "--console" },
		{ c->device.len, "--device" },
		{ c->numa.len, "--numa" },
		{ c->gdb, "--gdb" },
		{ c->incoming, "--incoming" },
		{ c->restore, "--restore" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		if (wrong[i].given)
			return error_usage(
				err, "%s: a machine of the type 'none' has nothing", wrong[i].name);
	}
	return true;
}

bool run_board_config(struct run *r, struct error *err)
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
	if (r->c.machine.type == MACHINE_NONE) {
		b->memory = 0;
		if (!check_none(&r->c, err))
			return false;
	}
	if (r->c.restore && r->c.incoming)
		return error_usage(err, "--restore and --incoming exclude each other");
	return topology(r, err) && numa(r, err) && uuid(r, err) && run_needs_pci(r, &b->pci, err);
}

bool run_select_engine(struct run *r, struct error *err)
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
