// SPDX-License-Identifier: GPL-2.0-or-later
/* gdb_cmd - the commands (gdb manual, Remote Protocol). */
#include <errno.h>
#include <string.h>
#include "control/gdb_int.h"
#include "mem/gmem.h"

/* -------- registers and memory -------- */

static void cmd_regs_get(struct gdb *g)
{
	AUTO_FREE struct x86_cpu_state *s = gdb_state_get(g);
	AUTO(str) out = STR_INIT;
	uint8_t bytes[GDB_REG_MAX];

	if (!s) {
		gdb_put(g, E_NOMEM);
		return;
	}
	for (unsigned int i = 0; i < gdb_regs(); i++)
		gdb_to_hex(&out, bytes, gdb_reg_get(s, i, bytes));
	gdb_put_str(g, &out);
}

static void cmd_regs_set(struct gdb *g, const char *p, size_t len)
{
	AUTO_FREE struct x86_cpu_state *s = gdb_state_get(g);
	uint8_t bytes[GDB_PACKET_MAX / 2];
	int n = gdb_from_hex(p, len, bytes, sizeof(bytes));
	unsigned int at = 0, used = 1;

	for (unsigned int i = 0; s && i < gdb_regs() && (int)at < n && used; i++)
		at += used = gdb_reg_set(s, i, bytes + at, n - at);
	gdb_put(g, s && n >= 0 && used && gdb_state_set(g, s) ? "OK" : E_INVAL);
}

static void cmd_reg_get(struct gdb *g, const char *p)
{
	AUTO_FREE struct x86_cpu_state *s = gdb_state_get(g);
	AUTO(str) out = STR_INIT;
	uint8_t bytes[GDB_REG_MAX];
	uint64_t n;

	if (s && gdb_hex_number(&p, &n) && n < gdb_regs())
		gdb_to_hex(&out, bytes, gdb_reg_get(s, n, bytes));
	if (out.len)
		gdb_put_str(g, &out);
	else
		gdb_put(g, E_INVAL);
}

static void cmd_reg_set(struct gdb *g, const char *p)
{
	AUTO_FREE struct x86_cpu_state *s = gdb_state_get(g);
	uint8_t bytes[GDB_REG_MAX];
	uint64_t n;
	int len = -1;

	if (gdb_hex_number(&p, &n) && *p == '=')
		len = gdb_from_hex(p + 1, strlen(p + 1), bytes, sizeof(bytes));
	gdb_put(g, s && len > 0 && n < gdb_regs() && gdb_reg_set(s, n, bytes, len) &&
				   gdb_state_set(g, s)
			   ? "OK"
			   : E_INVAL);
}

struct translate_call {
	uint64_t linear, gpa;
	int rc;
};

static void translate_call(struct vcpu *v, void *opaque)
{
	struct translate_call *c = opaque;

	c->rc = v->machine->accel->vcpu_translate(v->accel, c->linear, &c->gpa);
}

/* Copies between @buf and guest memory, page by page; how many bytes went. */
static size_t copy_memory(struct gdb *g, uint64_t linear, uint8_t *buf, size_t len, bool write)
{
	size_t done = 0;

	while (done < len) {
		struct translate_call c = { .linear = linear + done };
		size_t n = MIN(len - done, 0x1000 - ((linear + done) & 0xfff));
		gpa_t gpa;

		vcpu_run_on(gdb_vcpu(g), translate_call, &c);
		gpa.v = c.gpa;
		if (c.rc || (write ? gmem_write(&g->m->mem, gpa, buf + done, n)
				   : gmem_read(&g->m->mem, gpa, buf + done, n)))
			break;
		done += n;
	}
	return done;
}

/* "ADDR,LENGTH" */
static bool parse_range(const char **p, uint64_t *addr, uint64_t *len)
{
	return gdb_hex_number(p, addr) && *(*p)++ == ',' && gdb_hex_number(p, len);
}

static void cmd_memory_get(struct gdb *g, const char *p)
{
	AUTO(str) out = STR_INIT;
	uint8_t buf[GDB_PACKET_MAX / 2];
	uint64_t addr, len;
	size_t n;

	if (!parse_range(&p, &addr, &len)) {
		gdb_put(g, E_INVAL);
		return;
	}
	n = copy_memory(g, addr, buf, MIN(len, sizeof(buf)), false);
	gdb_to_hex(&out, buf, n);
	if (n || !len)
		gdb_put_str(g, &out);
	else
		gdb_put(g, E_FAULT);
}

/* M: hexadecimal digits behind the colon, X: bytes. */
static void cmd_memory_set(struct gdb *g, const char *text, size_t len, bool binary)
{
	const char *p = text;
	uint8_t buf[GDB_PACKET_MAX];
	uint64_t addr, n;
	int got = -1;

	if (parse_range(&p, &addr, &n) && *p == ':') {
		size_t rest = len - (size_t)(++p - text);

		if (binary && rest <= sizeof(buf))
			memcpy(buf, p, got = (int)rest);
		else if (!binary)
			got = gdb_from_hex(p, rest, buf, sizeof(buf));
	}
	if (got < 0 || (uint64_t)got != n)
		gdb_put(g, E_INVAL);
	else
		gdb_put(g, copy_memory(g, addr, buf, n, true) == n ? "OK" : E_FAULT);
}

/* -------- points -------- */

static int point_find(const struct gdb *g, unsigned int type, uint64_t addr, uint64_t len)
{
	for (uint32_t i = 0; i < g->debug.n; i++) {
		const struct accel_debug_point *p = &g->debug.point[i];

		if (g->point_type[i] == type && p->addr == addr && p->len == len)
			return (int)i;
	}
	return -1;
}

static void point_remove(struct gdb *g, uint32_t i)
{
	g->debug.n--;
	memmove(&g->debug.point[i], &g->debug.point[i + 1],
		(g->debug.n - i) * sizeof(g->debug.point[0]));
	memmove(&g->point_type[i], &g->point_type[i + 1], g->debug.n - i);
}

/* "Z0,ADDR,KIND": types 0 and 1 break, 2 write, 3 read, 4 access. x86 hardware has no read-only
 * watchpoint: 3 reports writes too, as gdb is told by the manual to expect. */
static void cmd_point(struct gdb *g, const char *p, bool insert)
{
	static const uint8_t kinds[] = { ACCEL_DEBUG_EXEC, ACCEL_DEBUG_EXEC, ACCEL_DEBUG_WRITE,
		ACCEL_DEBUG_ACCESS, ACCEL_DEBUG_ACCESS };
	unsigned int type = (unsigned char)*p - '0';
	uint64_t addr, len;
	int i, rc = 0;

	if (type > 4 || p[1] != ',' || (p += 2, !parse_range(&p, &addr, &len))) {
		gdb_put(g, "");
		return;
	}
	if (type < 2)
		len = 1;
	if ((len != 1 && len != 2 && len != 4 && len != 8) || addr % len) {
		gdb_put(g, E_INVAL);
		return;
	}
	i = point_find(g, type, addr, len);
	if (!insert && i >= 0) {
		point_remove(g, i);
		rc = gdb_debug_set_all(g);
	} else if (insert && i < 0) {
		if (g->debug.n == ACCEL_DEBUG_POINTS) {
			gdb_put(g, E_NOSPC);
			return;
		}
		g->point_type[g->debug.n] = type;
		g->debug.point[g->debug.n++] =
			(struct accel_debug_point){ .addr = addr, .len = len, .kind = kinds[type] };
		rc = gdb_debug_set_all(g);
		if (rc) {
			g->debug.n--;
			gdb_debug_set_all(g);
		}
	}
	gdb_put(g, !rc ? "OK" : rc == -ENOSPC ? E_NOSPC : E_INVAL);
}

/* -------- queries -------- */

/* "qXfer:features:read:target.xml:OFFSET,LENGTH" */
static void cmd_features(struct gdb *g, const char *p)
{
	AUTO(str) out = STR_INIT;
	size_t size = strlen(gdb_target_xml);
	uint64_t off, len;

	if (!str_has_prefix(p, "target.xml:", &p) || !parse_range(&p, &off, &len)) {
		gdb_put(g, "E00");
		return;
	}
	off = MIN(off, size);
	len = MIN(MIN(len, size - off), (uint64_t)GDB_PACKET_MAX / 2);
	str_append_char(&out, off + len < size ? 'm' : 'l');
	str_append_mem(&out, gdb_target_xml + off, len);
	gdb_put_str(g, &out);
}

static void cmd_threads(struct gdb *g)
{
	AUTO(str) out = STR_INIT;

	for (uint32_t i = 0; i < g->m->n_vcpus; i++)
		str_appendf(&out, "%c%x", i ? ',' : 'm', i + 1);
	gdb_put_str(g, &out);
}

static void cmd_thread_info(struct gdb *g, const char *p)
{
	AUTO(str) text = STR_INIT, out = STR_INIT;
	uint64_t n;

	if (!gdb_hex_number(&p, &n) || n - 1 >= g->m->n_vcpus) {
		gdb_put(g, E_INVAL);
		return;
	}
	str_appendf(&text, "CPU %llu", (unsigned long long)n - 1);
	gdb_to_hex(&out, text.s, text.len);
	gdb_put_str(g, &out);
}

static void cmd_query(struct gdb *g, const char *p)
{
	AUTO(str) out = STR_INIT;

	if (str_has_prefix(p, "Supported", &p)) {
		str_appendf(&out,
			"PacketSize=%x;qXfer:features:read+;vContSupported+;"
			"QStartNoAckMode+",
			GDB_PACKET_MAX);
		gdb_put_str(g, &out);
	} else if (str_has_prefix(p, "Xfer:features:read:", &p)) {
		cmd_features(g, p);
	} else if (!strcmp(p, "fThreadInfo")) {
		cmd_threads(g);
	} else if (!strcmp(p, "sThreadInfo")) {
		gdb_put(g, "l");
	} else if (str_has_prefix(p, "ThreadExtraInfo,", &p)) {
		cmd_thread_info(g, p);
	} else if (!strcmp(p, "C")) {
		str_appendf(&out, "QC%x", g->thread + 1);
		gdb_put_str(g, &out);
	} else {
		gdb_put(g, !strncmp(p, "Attached", 8) ? "1" : "");
	}
}

/* "Hg2", "Hc-1": 0 and -1 are any thread. */
static void cmd_thread(struct gdb *g, const char *p)
{
	char what = *p++;
	uint64_t n = 0;

	if (*p != '-' && !gdb_hex_number(&p, &n))
		n = UINT64_MAX;
	if (n > g->m->n_vcpus) {
		gdb_put(g, E_INVAL);
		return;
	}
	if (what == 'g' && n)
		g->thread = n - 1;
	else if (what == 'c')
		g->step_thread = n ? n - 1 : g->thread;
	gdb_put(g, "OK");
}

/* -------- all of them -------- */

/* Those that are words. */
static void command_word(struct gdb *g, const char *p)
{
	if (!strcmp(p, "QStartNoAckMode")) {
		gdb_put(g, "OK");
		g->no_ack = true;
	} else if (!strcmp(p, "vCont?")) {
		gdb_put(g, "vCont;c;C;s;S");
	} else if (str_has_prefix(p, "vCont", &p)) {
		gdb_vcont(g, p);
	} else {
		gdb_put(g, "");
	}
}

void gdb_command(struct gdb *g, const char *p, size_t len)
{
	uint64_t n;

	switch (*p++) {
	case '?':
		gdb_put_stop(g, SIGNAL_TRAP);
		return;
	case 'g':
		cmd_regs_get(g);
		return;
	case 'G':
		cmd_regs_set(g, p, len - 1);
		return;
	case 'p':
		cmd_reg_get(g, p);
		return;
	case 'P':
		cmd_reg_set(g, p);
		return;
	case 'm':
		cmd_memory_get(g, p);
		return;
	case 'M':
	case 'X':
		cmd_memory_set(g, p, len - 1, p[-1] == 'X');
		return;
	case 'Z':
	case 'z':
		cmd_point(g, p, p[-1] == 'Z');
		return;
	case 'c':
	case 's':
		gdb_go(g, p[-1]);
		return;
	case 'q':
		cmd_query(g, p);
		return;
	case 'H':
		cmd_thread(g, p);
		return;
	case 'T':
		gdb_put(g, gdb_hex_number(&p, &n) && n - 1 < g->m->n_vcpus ? "OK" : E_INVAL);
		return;
	case 'D':
		gdb_put(g, "OK");
		gdb_flush(g);
		gdb_disconnect(g);
		return;
	case 'k':
		gdb_disconnect(g);
		machine_event(g->m, MACHINE_QUIT, 0);
		return;
	}
	command_word(g, p - 1);
}
