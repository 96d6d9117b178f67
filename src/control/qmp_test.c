// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>
#include "base/log.h"
#include "control/qmp_int.h"
#include "core/device.h"

const struct device_type *const device_type_table[] = { NULL };

/* -------- commands of the test's own -------- */

struct args {
	int64_t number;
	uint64_t big;
	bool flag;
	char *text, *any;
};
static const struct field args_fields[] = {
	FIELD_I64(struct args, number, "number", .flags = FF_GIVEN),
	FIELD_U64(struct args, big, "big"),
	FIELD_BOOL(struct args, flag, "flag"),
	FIELD_STR(struct args, text, "text"),
	FIELD_STR(struct args, any, "any", .flags = FF_ANY),
};
static const struct field_table args = FIELD_TABLE("echo", struct args, args_fields);

static bool echo(struct qmp_call *c, struct error *err)
{
	const struct args *a = c->args;

	if (a->number == 13)
		return error_not_found(err, "there is no 13");
	fields_to_json(&args, a, c->raw);
	return true;
}

static unsigned int overtakings;

static bool overtake(struct qmp_call *c, struct error *err)
{
	overtakings++;
	return true;
}

static bool take_fd(struct qmp_call *c, struct error *err)
{
	int fd = qmp_client_take_fd(c->client);

	if (fd < 0)
		return error_set(err, "no descriptor");
	close(fd);
	return true;
}

static bool chatter(struct qmp_call *c, struct error *err)
{
	AUTO_FREE char *much = malloc(100000);

	assert_non_null(much);
	memset(much, 'x', 99999);
	much[99999] = 0;
	json_quote(much, c->raw);
	return true;
}

static bool negotiate(struct qmp_call *c, struct error *err)
{
	c->client->oob = c->tok;
	return c->client->negotiated = true;
}

static const struct qmp_command commands[] = {
	{ .name = "qmp_capabilities", .flags = QMP_EARLY | QMP_OPEN, .run = negotiate },
	{ .name = "echo", .args = &args, .flags = QMP_RAW | QMP_QUERY, .run = echo },
	{ .name = "take-fd", .run = take_fd },
	{ .name = "chatter", .flags = QMP_RAW, .run = chatter },
	{ .name = "overtake", .flags = QMP_OOB, .run = overtake },
};
const struct qmp_command *const qmp_command_table[] = { &commands[0], &commands[1], &commands[2],
	&commands[3], &commands[4], NULL };

/* -------- framing -------- */

/* Feed @text in pieces of @step bytes; what was framed, '|' after each, '!' for an error. */
static void frames(const char *text, size_t step, struct str *out)
{
	struct frame f = { .what = NULL };
	size_t len = strlen(text), at = 0;

	str_clear(out);
	while (at < len) {
		enum frame_result r;
		size_t n = len - at < step ? len - at : step;

		at += frame_take(&f, text + at, n, &r);
		if (r == FRAME_WHOLE) {
			str_appendf(out, "%s|", str_cstr(&f.text));
			frame_reset(&f);
		} else if (r == FRAME_BAD) {
			str_append(out, "!");
		}
	}
	if (!frame_empty(&f))
		str_append(out, "...");
	frame_fini(&f);
}

static void requests_are_framed(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"a\": 1}\n", "{\"a\": 1}|" },
		{ "{} [1, {\"b\": \"}]\\\"\"}]\r\n5 \"x\" true\n",
			"{}|[1, {\"b\": \"}]\\\"\"}]|5|\"x\"|true|" },
		{ "{'a': 'b\"c', \"d\": \"e\\'f\"}", "{\"a\": \"b\\\"c\", \"d\": \"e'f\"}|" },
		{ "{\"a\":\n\n 1}", "{\"a\":   1}|" },
		{ "{\"a\": [}]} x\n{}", "{\"a\": [}]|}|x|{}|" }, /* the parser refuses it */
		{ "}} {}\n{}", "}|}|{}|{}|" },
		{ "{]{}", "{]|{}|" },
		{ "\001{}\n[]", "!{}|[]|" },
		{ "{\"a\xfd\": 1}", "{\"a\xfd\": 1}|" },
		{ "{\"a\xff\": 1}[]", "!:|1|}|[]|" },
		{ "{\"a\n{}", "!{}|" },
		{ "\xff{}", "!{}|" },
		{ "\xff\xff{}", "!!{}|" },
		{ "\xef\xbb\xbf{}", "!{}|" },
		{ "{\"a\": \xff\n{}", "!{}|" },
		{ "# a comment \"here\"\n{}", "!{}|" },
		{ "// a\tcomment\n{}", "!{}|" },
		{ "/* a comment */ {}", "!{}|" },
		{ "{} // after\n{}", "{}|!{}|" },
		{ "{\"a\"", "..." },
		{ "12{}", "12|{}|" },
		{ "[01, 2]{}", "!,|2|]|{}|" },
		{ "[-0.5e+1, 0, 12, 1E9, -1.25]", "[-0.5e+1, 0, 12, 1E9, -1.25]|" },
		{ "[.5]", "!]|" },
		{ "[5.]", "!" },
		{ "[1e]", "!" },
		{ "[1e+]", "!" },
		{ "[-]", "!" },
		{ "[-a]", "!]|" },
		{ "1x \"y\"'z'nul{}", "1|x|\"y\"|\"z\"|nul|{}|" },
		{ ", {}\n{}", ",|{}|{}|" },
		{ "Null {}", "!{}|" },
	};
	AUTO(str) out = STR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (size_t step = 1; step < 40; step++) {
			frames(cases[i][0], step, &out);
			assert_string_equal(str_cstr(&out), cases[i][1]);
		}
	}
}

static void requests_are_bounded(void **state)
{
	AUTO_FREE char *much = malloc(JSON_TEXT_MAX + 64);
	AUTO(str) out = STR_INIT;

	assert_non_null(much);
	memset(much, '[', JSON_DEPTH_MAX + 1);
	strcpy(much + JSON_DEPTH_MAX + 1, "\n{}");
	frames(much, 7, &out);
	assert_string_equal(str_cstr(&out), "!{}|");
	memset(much, ' ', JSON_TEXT_MAX + 8);
	much[0] = '{';
	strcpy(much + JSON_TEXT_MAX + 8, "\n{}");
	frames(much, 4096, &out);
	assert_string_equal(str_cstr(&out), "!{}|");
}

/* -------- the server -------- */

struct rig {
	struct loop *loop;
	struct machine *m;
	struct qmp *q;
	int fd;
	struct str got;
};

static void rig_client(struct rig *r, bool readonly)
{
	struct error err = ERROR_INIT;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_true(qmp_serve(r->q, fds[1], readonly, &err));
	r->fd = fds[0];
}

static struct rig *rig_new(bool readonly)
{
	static const struct qmp_info info = { .memory = 1 };
	struct rig *r = calloc(1, sizeof(*r));
	struct error err = ERROR_INIT;

	assert_non_null(r);
	r->loop = loop_new("main", 0, &err);
	r->m = machine_new("test", r->loop, &err);
	r->q = qmp_new(r->m, &info, &err);
	assert_non_null(r->q);
	rig_client(r, readonly);
	return r;
}

static void rig_free(struct rig *r)
{
	qmp_free(r->q);
	machine_free(r->m);
	loop_free(r->loop);
	if (r->fd >= 0)
		close(r->fd);
	str_fini(&r->got);
	free(r);
}

/* Send, let the server work, and return all that came back. */
static const char *say(struct rig *r, const char *text)
{
	char buf[4096];
	ssize_t n;

	str_clear(&r->got);
	assert_int_equal(send(r->fd, text, strlen(text), 0), strlen(text));
	for (int i = 0; i < 20; i++)
		loop_run_once(r->loop, 0);
	while ((n = recv(r->fd, buf, sizeof(buf), 0)) > 0)
		str_append_mem(&r->got, buf, (size_t)n);
	if (!n)
		str_append(&r->got, "<end>");
	return str_cstr(&r->got);
}

static void assert_says(struct rig *r, const char *text, const char *wanted)
{
	const char *got = say(r, text);

	if (!strstr(got, wanted))
		fail_msg("%s: '%s', not '%s'", text, got, wanted);
}

static void negotiation_comes_first(void **state)
{
	struct rig *r = rig_new(false);

	assert_says(r, "{\"execute\": \"echo\"}",
		"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, "
		"\"minor\": 2, \"major\": 7}");
	assert_non_null(strstr(str_cstr(&r->got), "\"class\": \"CommandNotFound\""));
	assert_says(r, "{\"execute\": \"qmp_capabilities\"}", "{\"return\": {}}\r\n");
	assert_says(r, "{\"execute\": \"qmp_capabilities\"}", "CommandNotFound");
	rig_free(r);
}

static void mistakes_have_their_classes(void **state)
{
	static const char *const cases[][2] = {
		{ "[1]", "GenericError" },
		{ "{}", "GenericError" },
		{ "{\"execute\": 1}", "GenericError" },
		{ "{\"execute\": \"echo\", \"what\": 1, \"id\": 7}", "\"id\": 7" },
		{ "{\"execute\": \"none\", \"id\": \"x\\u0041\"}", "\"id\": \"x\\u0041\"" },
		{ "{\"execute\": \"none\"}", "CommandNotFound" },
		{ "{\"execute\": \"no\\u0000ne\"}", "CommandNotFound" },
		{ "{\"exec-oob\": \"echo\"}", "GenericError" },
		{ "{\"execute\": \"echo\"}", "Parameter 'number' is missing" },
		{ "{\"execute\": \"echo\", \"arguments\": 1}", "GenericError" },
		{ "{\"execute\": \"echo\", \"arguments\": {\"number\": \"1\"}}",
			"Invalid parameter type for 'number', expected: integer" },
		{ "{\"execute\": \"echo\", \"arguments\": {\"number\": 1.5}}",
			"Invalid parameter type for 'number', expected: integer" },
		{ "{\"execute\": \"echo\", \"arguments\": {\"number\": 1, \"flag\": \"on\"}}",
			"GenericError" },
		{ "{\"execute\": \"echo\", \"arguments\": {\"number\": 1, \"text\": null}}",
			"GenericError" },
		{ "{\"execute\": \"echo\", \"arguments\": {\"number\": 1, \"more\": 2}}",
			"Parameter 'more' is unexpected" },
		{ "{\"execute\": \"take-fd\", \"arguments\": {\"more\": 2}}", "GenericError" },
		{ "{\"execute\": \"echo\", \"arguments\": {\"number\": 13}}", "DeviceNotFound" },
		{ "{\"execute\": \"echo\", \"execute\": \"echo\"}", "twice" },
	};
	struct rig *r = rig_new(false);

	say(r, "{\"execute\": \"qmp_capabilities\"}");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(str) line = STR_INIT;

		str_appendf(&line, "%s\n", cases[i][0]);
		assert_says(r, str_cstr(&line), cases[i][1]);
		assert_non_null(strstr(str_cstr(&r->got), "\"error\""));
	}
	rig_free(r);
}

static void numbers_stay_exact(void **state)
{
	struct rig *r = rig_new(false);

	say(r, "{\"execute\": \"qmp_capabilities\"}");
	assert_says(r,
		"{\"execute\": \"echo\", \"id\": {\"a\":\n 18446744073709551615.10}, "
		"\"arguments\": "
		"{\"number\": -9223372036854775808, \"big\": 18446744073709551615, \"flag\": true, "
		"\"text\": \"t\", \"any\": {\"x\": [1]}}}",
		"{\"return\": {\"number\": -9223372036854775808, \"big\": 18446744073709551615, "
		"\"flag\": true, \"text\": \"t\", \"any\": {\"x\": [1]}}, "
		"\"id\": {\"a\":  18446744073709551615.10}}\r\n");
	rig_free(r);
}

static void the_readonly_socket_changes_nothing(void **state)
{
	struct rig *r = rig_new(true);

	say(r, "{\"execute\": \"qmp_capabilities\"}");
	assert_says(r, "{\"execute\": \"echo\", \"arguments\": {\"number\": 1}}", "\"return\"");
	assert_says(r, "{\"execute\": \"take-fd\"}", "read-only");
	rig_free(r);
}

static void descriptors_come_with_their_message(void **state)
{
	struct rig *r = rig_new(false);
	const char text[] = "{\"execute\": \"take-fd\"}";
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .align = { .cmsg_len = CMSG_LEN(sizeof(int)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };

	say(r, "{\"execute\": \"qmp_capabilities\"}");
	assert_says(r, text, "no descriptor");
	memcpy(CMSG_DATA(&control.align), &r->fd, sizeof(int));
	assert_true(sendmsg(r->fd, &m, 0) > 0);
	assert_says(r, " ", "\"return\"");
	/* One that nobody takes is closed when the next comes, or with the client. */
	iov.iov_len = 1;
	assert_true(sendmsg(r->fd, &m, 0) > 0);
	assert_true(sendmsg(r->fd, &m, 0) > 0);
	say(r, " ");
	rig_free(r);
}

static void events_are_limited(void **state)
{
	struct notice n = { .kind = NOTICE_BALLOON_CHANGE };
	struct rig *r = rig_new(false);
	const char *got;

	machine_notice(r->m, &n); /* before the negotiation: nobody hears it */
	say(r, "{\"execute\": \"qmp_capabilities\"}");
	for (n.value = 1; n.value < 50; n.value++) {
		machine_notice(r->m, &n);
		loop_run_once(r->loop, 0);
	}
	got = say(r, "\n");
	/* The first one at once, if not the unheard one took that place; the newest a second later. */
	assert_null(strstr(got, "\"actual\": 2}"));
	usleep(1100000);
	got = say(r, "\n");
	assert_non_null(strstr(got, "\"event\": \"BALLOON_CHANGE\", \"data\": {\"actual\": 49}"));
	assert_null(strstr(got, "\"actual\": 48}"));
	/* Others have no limit, and come in their order. */
	machine_notice(r->m, &(struct notice){ .kind = NOTICE_STOP });
	machine_notice(r->m, &(struct notice){ .kind = NOTICE_RESUME });
	got = say(r, "\n");
	assert_non_null(strstr(got, "\"STOP\""));
	assert_non_null(strstr(strstr(got, "\"STOP\""), "\"RESUME\""));
	rig_free(r);
}

/* The other end of a network, whose address may be anything that a file can be called. */
static void peers_are_told(void **state)
{
	static const char *const peers[][2] = {
		{ "127.0.0.1:40000",
			"\"type\": \"inet\", \"host\": \"127.0.0.1\", \"port\": \"40000\", "
			"\"ipv4\": true}}}" },
		{ "[fe80::1]:7",
			"\"type\": \"inet\", \"host\": \"fe80::1\", \"port\": \"7\", \"ipv6\": "
			"true}}}" },
		{ "unix:/a:b/\"c", "\"type\": \"unix\", \"path\": \"/a:b/\\\"c\"}}}" },
		{ "unix:", "\"type\": \"unix\", \"path\": \"\"}}}" },
		{ "", "\"type\": \"inet\", \"host\": \"\", \"port\": \"\"" },
	};
	struct notice n = { .kind = NOTICE_STREAM_CONNECTED, .id = "n0" };
	struct rig *r = rig_new(false);

	say(r, "{\"execute\": \"qmp_capabilities\"}");
	for (size_t i = 0; i < ARRAY_SIZE(peers); i++) {
		snprintf(n.text, sizeof(n.text), "%s", peers[i][0]);
		machine_notice(r->m, &n);
		loop_run_once(r->loop, 0);
		assert_says(r, "\n", peers[i][1]);
		assert_non_null(strstr(str_cstr(&r->got),
			"\"event\": \"NETDEV_STREAM_CONNECTED\", \"data\": {\"netdev-id\": \"n0\", "
			"\"addr\": {"));
	}
	n.kind = NOTICE_STREAM_DISCONNECTED;
	machine_notice(r->m, &n);
	loop_run_once(r->loop, 0);
	assert_says(r, "\n",
		"\"event\": \"NETDEV_STREAM_DISCONNECTED\", \"data\": {\"netdev-id\": \"n0\"}}");
	rig_free(r);
}

static void who_does_not_read_is_cut_off(void **state)
{
	struct rig *r = rig_new(false);
	const char *request = "{\"execute\": \"chatter\"}\n";
	char buf[4096];
	ssize_t n;

	say(r, "{\"execute\": \"qmp_capabilities\"}");
	for (int i = 0; i < 100; i++)
		assert_true(send(r->fd, request, strlen(request), 0) > 0);
	for (int i = 0; i < 100; i++)
		loop_run_once(r->loop, 0);
	/* Its commands wait, so no more than one answer does. */
	assert_int_equal(r->q->n_clients, 1);
	assert_true(list_first(&r->q->clients, struct qmp_client, node)->out.len < 300000);
	for (int i = 0; i < 100000 && r->q->n_clients; i++)
		machine_notice(r->m, &(struct notice){ .kind = NOTICE_STOP });
	assert_int_equal(r->q->n_clients, 0);
	while ((n = recv(r->fd, buf, sizeof(buf), 0)) > 0)
		;
	assert_int_equal(n, 0);
	rig_free(r);
}

static void some_commands_overtake(void **state)
{
	static const char jam[] = "{\"execute\": \"chatter\", \"id\": 1} ",
			  next[] = "{\"execute\": \"overtake\", \"id\": 2} ",
			  oob[] = "{\"exec-oob\": \"overtake\", \"id\": 3} ";
	struct rig *r = rig_new(false);
	AUTO(str) all = STR_INIT;

	assert_says(r, oob, "'oob', which is not enabled");
	assert_non_null(strstr(str_cstr(&r->got), "\"capabilities\": [\"oob\"]"));
	say(r, "{\"execute\": \"qmp_capabilities\", \"arguments\": {}}");
	assert_says(r, "{\"exec-oob\": \"echo\"}", "cannot be executed out of band");
	assert_says(r, "{\"exec-oob\": \"none\", \"id\": []}", "CommandNotFound");
	assert_says(r, oob, "{\"return\": {}, \"id\": 3}");
	overtakings = 0;
	/* The replies to the first few fill the socket; what follows waits, at most so many. */
	for (int i = 0; i < 6; i++)
		assert_true(send(r->fd, jam, strlen(jam), 0) > 0);
	assert_true(send(r->fd, next, strlen(next), 0) > 0);
	assert_true(send(r->fd, oob, strlen(oob), 0) > 0);
	for (int i = 0; i < 50; i++)
		loop_run_once(r->loop, 0);
	assert_int_equal(overtakings, 1);
	for (int i = 0; i < 20; i++)
		assert_true(send(r->fd, next, strlen(next), 0) > 0);
	assert_true(send(r->fd, oob, strlen(oob), 0) > 0);
	for (int i = 0; i < 50; i++)
		loop_run_once(r->loop, 0);
	assert_int_equal(overtakings, 1);
	assert_int_equal(
		list_first(&r->q->clients, struct qmp_client, node)->n_queued, QMP_QUEUE_MAX);
	/* When it reads everything is done, in order. */
	for (int i = 0; i < 100; i++)
		str_append(&all, say(r, " "));
	assert_int_equal(overtakings, 23);
	assert_non_null(strstr(str_cstr(&all), "\"id\": 2"));
	rig_free(r);
}

static void many_clients_come_and_go(void **state)
{
	struct rig *r = rig_new(false);
	int fds[QMP_CLIENTS_MAX];

	for (unsigned int i = 1; i < QMP_CLIENTS_MAX; i++) {
		fds[i] = r->fd;
		rig_client(r, false);
	}
	assert_int_equal(r->q->n_clients, QMP_CLIENTS_MAX);
	assert_says(r, "{\"execute\": \"qmp_capabilities\"} {\"execute\": \"take-fd\"}", "no desc");
	for (unsigned int i = 1; i < QMP_CLIENTS_MAX; i++)
		close(fds[i]);
	say(r, "\n");
	assert_int_equal(r->q->n_clients, 1);
	/* One that sends and leaves at once is served, too. */
	send(r->fd, "{\"execute\": \"take-fd\"}", 22, 0);
	shutdown(r->fd, SHUT_WR);
	for (int i = 0; i < 10; i++)
		loop_run_once(r->loop, 0);
	assert_int_equal(r->q->n_clients, 0);
	rig_free(r);
}

static void tables_are_sound(void **state)
{
	struct error err = ERROR_INIT;

	for (const struct qmp_event *const *e = qmp_event_table; *e; e++)
		assert_true(!(*e)->data || fields_table_valid((*e)->data, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_framed),
		cmocka_unit_test(requests_are_bounded),
		cmocka_unit_test(negotiation_comes_first),
		cmocka_unit_test(mistakes_have_their_classes),
		cmocka_unit_test(numbers_stay_exact),
		cmocka_unit_test(the_readonly_socket_changes_nothing),
		cmocka_unit_test(descriptors_come_with_their_message),
		cmocka_unit_test(events_are_limited),
		cmocka_unit_test(peers_are_told),
		cmocka_unit_test(who_does_not_read_is_cut_off),
		cmocka_unit_test(some_commands_overtake),
		cmocka_unit_test(many_clients_come_and_go),
		cmocka_unit_test(tables_are_sound),
	};

	thread_enter(ROLE_MAIN, "test");
	log_level = LOG_ERR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
