// SPDX-License-Identifier: GPL-2.0-or-later
/* gdb_int - the parts of the gdb server: packets and their framing, registers, vCPUs, commands, the server. */
#ifndef CONTROL_GDB_INT_H
#define CONTROL_GDB_INT_H

#include <stdatomic.h>
#include "base/sock_file.h"
#include "base/str.h"
#include "control/gdb.h"
#include "core/machine.h"
#include "core/vcpu.h"

#define GDB_PACKET_MAX 0x4000 /* bytes between $ and #, told in qSupported */
#define GDB_OUTPUT_MAX (1 << 20)

struct gdb {
	struct machine *m;    /* borrowed */
	int listen_fd, fd;    /* owned; -1 */
	struct removal *file; /* of the socket, if it has one */
	struct loop_fd listen_watch, watch;
	struct loop_defer stop_defer;
	/* Of the client */
	char in[GDB_PACKET_MAX + 8];
	size_t in_len;
	struct str out;
	bool no_ack, ack_off_next;
	bool running;	 /* the client waits for a stop reply */
	bool was_paused; /* the machine was not running when the client came */
	uint32_t thread; /* of register and memory commands: a vCPU's index */
	uint32_t step_thread;
	struct accel_debug debug; /* points of all vCPUs; step is set for one at a time */
	uint8_t point_type[ACCEL_DEBUG_POINTS]; /* of the Z packet */
	/* The last VCPU_EXIT_DEBUG: the vCPU's thread writes, main reads after the stop. */
	struct mutex lock;
	bool hit;
	uint32_t hit_vcpu;
	uint64_t hit_points;
};

/* gdb_packet.c: framing. Append a packet with @text (binary bytes escaped) to the output. */
void gdb_put_packet(struct gdb *g, const char *text, size_t len);
void gdb_put(struct gdb *g, const char *text);
void gdb_put_str(struct gdb *g, struct str *s);
/* Take a whole packet's text out of the input; its length, -1: none yet, -2: the client breaks the
 * rules. Interrupt bytes are told in *@interrupts. @text of GDB_PACKET_MAX + 1 bytes. */
int gdb_take_packet(struct gdb *g, char *text, bool *interrupt);
int gdb_hex_digit(char c);
/* "1f" -> bytes: how many, or -1 at something else than hexadecimal pairs or too many. */
int gdb_from_hex(const char *text, size_t len, uint8_t *out, size_t max);
void gdb_to_hex(struct str *out, const void *bytes, size_t n);
/* A hexadecimal number at *@p, which is moved behind it. False: there is none. */
bool gdb_hex_number(const char **p, uint64_t *out);

/* gdb_regs.c */
extern const char gdb_target_xml[];
unsigned int gdb_regs(void);
/* Register @n of @s as bytes in target order; their number. */
unsigned int gdb_reg_get(const struct x86_cpu_state *s, unsigned int n, uint8_t *out);
/* Change it; how many bytes it takes, 0 when it has fewer or may not be changed. */
unsigned int gdb_reg_set(struct x86_cpu_state *s, unsigned int n, const uint8_t *in, size_t len);
#define GDB_REG_MAX   16 /* bytes of the longest */
#define GDB_REG_PARTS (X86_STATE_REGS | X86_STATE_SREGS | X86_STATE_FPU)

/* gdb_run.c: the vCPU of the thread at hand, and its state: NULL, or the caller's to free. */
struct vcpu *gdb_vcpu(struct gdb *g);
struct x86_cpu_state *gdb_state_get(struct gdb *g);
bool gdb_state_set(struct gdb *g, struct x86_cpu_state *s);
/* Tell all vCPUs of g->debug; 0 or a negative errno. */
int gdb_debug_set_all(struct gdb *g);
/* For machine.debug_exit: on the vCPU's thread; and what follows on main. */
void gdb_debug_exit(void *opaque, struct vcpu *v, const struct vcpu_exit *e);
void gdb_stopped(void *opaque);
void gdb_pause_all(struct gdb *g);
void gdb_put_stop(struct gdb *g, int signal);
/* The client asks for a stop, if the machine runs. */
void gdb_interrupt(struct gdb *g);
/* "vCont;s:1;c", from the first ';' on: the first action that fits a thread is its. */
void gdb_vcont(struct gdb *g, const char *p);
/* 's' or 'c' */
void gdb_go(struct gdb *g, char kind);

/* gdb_cmd.c: carry out the packet @p of @len bytes, a NUL behind it. */
void gdb_command(struct gdb *g, const char *p, size_t len);

/* gdb.c. Write what there is; what the socket does not take now waits for it. */
void gdb_flush(struct gdb *g);
/* Without a client the machine runs on, as if there had been none. */
void gdb_disconnect(struct gdb *g);

/* Replies and signals of the protocol. */
#define E_NOMEM	    "E0c"
#define E_FAULT	    "E0e"
#define E_INVAL	    "E16"
#define E_NOSPC	    "E1c"
#define SIGNAL_INT  2
#define SIGNAL_TRAP 5

#endif
