// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A QMP client that sends what it likes, to the real commands of a machine that has a PCI bus and
 * nothing else. The first byte says in which pieces the rest is sent. What opens files by name is
 * left out: the fuzzer would write to them.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "control/qmp_int.h"
#include "fuzz/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool no(struct machine *m)
{
	return false;
}

static bool opens_files(const uint8_t *data, size_t size)
{
	static const char *const words[] = { "chardev-add", "migrate", "blockdev", "netdev",
		"device_add", "\\u" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (memmem(data, size, words[i], strlen(words[i])))
			return true;
	}
	return false;
}

/* Every line that came back is JSON. */
static void check_replies(int fd)
{
	static char buf[1 << 16];
	static struct str all;
	ssize_t n;
	char *end;

	str_clear(&all);
	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		str_append_mem(&all, buf, (size_t)n);
	for (char *p = all.len ? all.s : NULL; p && (end = strstr(p, "\r\n")); p = end + 2) {
		AUTO(json_doc) doc = JSON_DOC_INIT;
		struct error err = ERROR_INIT;
		bool ok = json_parse(&doc, p, (size_t)(end - p), &err);

		assert(ok);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct board_ops board = { .powerdown = no, .nmi = no };
	static const struct qmp_info info = { .named = true };
	static struct machine *m;
	struct error err = ERROR_INIT;
	struct qmp *q;
	int fds[2];
	size_t step;

	if (!m) {
		thread_enter(ROLE_MAIN, "fuzz");
		m = fuzz_machine();
		m->board = &board;
	}
	if (!size || opens_files(data, size))
		return 0;
	m->state = RUN_PRELAUNCH;
	q = qmp_new(m, &info, &err);
	assert(q && !socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds));
	bool ok = qmp_serve(q, fds[1], data[0] & 0x80, &err);

	assert(ok);
	list_first(&q->clients, struct qmp_client, node)->negotiated = data[0] & 0x40;
	step = (data[0] & 0x3f) + 1;
	for (size_t i = 1; i < size; i += step) {
		if (send(fds[0], data + i, MIN(step, size - i), MSG_NOSIGNAL) < 0)
			break;
		loop_run_once(m->main_loop, 0);
	}
	for (int i = 0; i < 3; i++)
		loop_run_once(m->main_loop, 0);
	check_replies(fds[0]);
	qmp_free(q);
	/* What object-add has made. */
	while (m->io_loops.len && machine_io_loop_del(m, loop_name(m->io_loops.data[0])))
		;
	close(fds[0]);
	return 0;
}
