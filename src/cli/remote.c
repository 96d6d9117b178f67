// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/remote.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include "base/json.h"
#include "base/sock_file.h"
#include "control/rundir.h"

#define LINE_MAX_LEN (16u << 20)

void remote_fini(struct remote *r)
{
	if (r->fd >= 0)
		close(r->fd);
	free(r->dir);
	str_fini(&r->in);
	*r = (struct remote)REMOTE_INIT;
}

bool remote_find(struct remote *r, const char *name, struct error *err)
{
	AUTO(str) base = STR_INIT;

	if (!rundir_name_possible(name))
		return error_usage(err, "'%s' cannot be the name of a virtual machine", name);
	if (!rundir_base(&base, err))
		return false;
	r->pid = rundir_pid(str_cstr(&base), name, NULL);
	if (!r->pid)
		return error_not_found(err,
			"no virtual machine named '%s' runs (lodge ps lists those that do)", name);
	r->dir = str_printf("%s/%s", str_cstr(&base), name);
	return r->dir || error_set(err, "out of memory");
}

bool remote_line(struct remote *r, struct str *line)
{
	char *end = r->in.len ? memchr(r->in.s, '\n', r->in.len) : NULL;
	size_t n = end ? (size_t)(end - r->in.s) : 0;

	if (!end)
		return false;
	str_clear(line);
	str_append_mem(line, r->in.s, n && end[-1] == '\r' ? n - 1 : n);
	r->in.len -= n + 1;
	memmove(r->in.s, end + 1, r->in.len + 1);
	return true;
}

bool remote_receive(struct remote *r, struct error *err)
{
	struct pollfd p = { .fd = r->fd, .events = POLLIN };
	char buf[65536];
	ssize_t n;

	do {
		n = poll(&p, 1, r->timeout_ms);
		if (!n)
			return error_set(err, "the virtual machine (process %d) does not answer",
				(int)r->pid);
		n = n < 0 ? n : recv(r->fd, buf, sizeof(buf), 0);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return error_set(err, "the virtual machine has gone");
	str_append_mem(&r->in, buf, (size_t)n);
	return (!r->in.failed && r->in.len < LINE_MAX_LEN) ||
	       error_set(err, "the answer is too long");
}

bool remote_is_event(const char *line)
{
	AUTO(json_doc) doc = JSON_DOC_INIT;
	struct error err;

	return json_parse(&doc, line, strlen(line), &err) && doc.tokens->type == JSON_OBJECT &&
	       json_member(&doc, doc.tokens, "event");
}

/* Send what there is to be sent, with the descriptor that goes with it. */
static ssize_t send_some(struct remote *r, const char *p, size_t n)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)p, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t sent;

	if (r->send_fd >= 0) {
		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &r->send_fd, sizeof(int));
	}
	sent = sendmsg(r->fd, &m, MSG_NOSIGNAL);
	if (sent > 0)
		r->send_fd = -1;
	return sent;
}

bool remote_ask(struct remote *r, const char *request, struct str *reply,
	void (*event)(const char *line), struct error *err)
{
	AUTO(str) line = STR_INIT;
	size_t sent = 0;

	str_append(&line, request);
	str_append(&line, "\n");
	while (sent < line.len) {
		ssize_t n = send_some(r, line.s + sent, line.len - sent);

		if (n < 0 && errno != EINTR)
			return error_set(err, "the virtual machine has gone");
		sent += n > 0 ? (size_t)n : 0;
	}
	for (;;) {
		while (!remote_line(r, reply)) {
			if (!remote_receive(r, err))
				return false;
		}
		if (!remote_is_event(str_cstr(reply)))
			return true;
		if (event)
			event(str_cstr(reply));
	}
}

bool remote_result(const struct str *reply, struct str *result, struct error *err)
{
	AUTO(json_doc) doc = JSON_DOC_INIT;
	const struct json_token *value, *desc;
	AUTO(str) text = STR_INIT;

	if (!json_parse(&doc, reply->s ?: "", reply->len, err))
		return error_prefix(err, "the virtual machine's answer");
	if (doc.tokens->type != JSON_OBJECT)
		return error_set(err, "the virtual machine's answer is no object");
	value = json_member(&doc, doc.tokens, "return");
	if (value) {
		bool quoted = value->type == JSON_STRING;

		if (result)
			str_append_mem(result, doc.text + value->start - quoted,
				value->len + 2 * (size_t)quoted);
		return true;
	}
	value = json_member(&doc, doc.tokens, "error");
	desc = value && value->type == JSON_OBJECT ? json_member(&doc, value, "desc") : NULL;
	if (desc)
		json_text(&doc, desc, &text);
	return error_set(err, "%s", desc ? str_cstr(&text) : "the answer is not understood");
}

bool remote_command(struct remote *r, const char *command, struct str *result, struct error *err)
{
	AUTO(str) request = STR_INIT;
	AUTO(str) reply = STR_INIT;

	str_append(&request, "{\"execute\": ");
	json_quote(command, &request);
	str_append(&request, "}");
	return remote_ask(r, str_cstr(&request), &reply, NULL, err) &&
	       remote_result(&reply, result, err);
}

static bool greet(struct remote *r, struct error *err)
{
	AUTO(str) line = STR_INIT;

	while (!remote_line(r, &line)) {
		if (!remote_receive(r, err))
			return false;
	}
	return remote_command(r, "qmp_capabilities", NULL, err);
}

bool remote_open(struct remote *r, const char *name, const char *file, struct error *err)
{
	AUTO_FREE char *path = NULL;

	if (!remote_find(r, name, err))
		return false;
	path = str_printf("%s/%s", r->dir, file);
	if (!path)
		return error_set(err, "out of memory");
	r->fd = sock_connect(path, 0);
	if (r->fd < 0)
		return error_set_errno(err, r->fd, "virtual machine '%s' (process %d): '%s'", name,
			(int)r->pid, path);
	return greet(r, err) || error_prefix(err, "virtual machine '%s'", name);
}
