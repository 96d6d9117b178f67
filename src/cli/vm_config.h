// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vm_config - what the user asked of `lodge run`: one field table, from which come the options, their
 * help and the config file's keys (the same names; `--config FILE` holds them as a JSON object).
 */
#ifndef CLI_VM_CONFIG_H
#define CLI_VM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/field.h"

struct cpus_config {
	uint32_t n, sockets, cores, threads; /* 0: derived */
	char *pin;			     /* host CPUs, "0:2:4-7" */
};

struct memory_config {
	uint64_t size;
	char *file;
	bool hugepages, prealloc;
};

enum machine_type { MACHINE_Q35, MACHINE_NONE };

struct machine_config {
	int type; /* enum machine_type */
	bool keyboard, rtc;
	int pci;     /* auto, on, off */
	int irqchip; /* full, split */
};

struct sandbox_config {
	bool on, namespaces;
	uint32_t user_networks;
	struct {
		char **items;
		size_t len;
	} allow;
};

struct numa_config {
	uint64_t memory;
	char *cpus; /* "0-3" */
};

struct vm_config {
	char *name;
	struct cpus_config cpus;
	struct memory_config memory;
	struct machine_config machine;
	struct {
		struct numa_config *items;
		size_t len;
	} numa;
	char *accel, *cpu_model;
	char *kernel, *initrd, *append;
	struct {
		char **items;
		size_t len;
	} disk, net, serial, console, device, qmp;
	struct sandbox_config sandbox;
	char *incoming, *restore;
	char *gdb, *uuid;
	char *pidfile, *log;
	bool daemonize, no_reboot, paused;
	int watchdog_action; /* enum notice_action */
	char *config;
};

extern const struct field_table vm_config_table;

/* Parse argv[1..] over an initialised @c; a config file named in it is read first. False with
 * ERROR_USAGE (or ERROR_FAILED for an unreadable config file). *@help: help was asked for. */
bool config_parse(
	struct vm_config *c, int argc, char **argv, bool *help, struct error *err) MUST_USE;
/* "0:2:4-7" -> host CPU numbers; @max entries. Returns how many, -1 on nonsense. */
int config_parse_cpu_list(const char *text, int *out, int max);

#endif
