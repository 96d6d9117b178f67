// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qmp_dispatch - one request: the envelope ({"execute": .., "arguments": .., "id": ..}), the command,
 * its arguments against their table, the reply. The id comes back as it was written.
 */
#include "control/qmp_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config.h"
#include "control/version.h"

struct request {
	struct json_doc doc;
	const struct json_token *execute, *arguments, *id;
	bool oob;
};

void qmp_greeting(struct str *out)
{
	str_appendf(out,
		"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": %d, \"minor\": %d, \"major\": %d}, "
		"\"package\": \"%s\"}, \"capabilities\": [%s]}}",
		QMP_VERSION_MICRO, QMP_VERSION_MINOR, QMP_VERSION_MAJOR, QMP_PACKAGE,
		qmp_has_oob() ? "\"oob\"" : "");
}

const struct qmp_command *qmp_command_find(const char *name)
{
	for (const struct qmp_command *const *c = qmp_command_table; *c; c++) {
		if (!strcmp((*c)->name, name))
			return *c;
	}
	return NULL;
}

bool qmp_has_oob(void)
{
	for (const struct qmp_command *const *c = qmp_command_table; *c; c++) {
		if ((*c)->flags & QMP_OOB)
			return true;
	}
	return false;
}

/* -------- replies -------- */

/* The id as it was written, on one line: a line break can only stand between its tokens. */
static void put_id(const struct request *r, struct str *out)
{
	bool text = r->id && r->id->type == JSON_STRING;
	const char *p = r->id ? r->doc.text + r->id->start - text : NULL;

	if (!r->id)
		return;
	str_append(out, ", \"id\": ");
	for (size_t i = 0; i < r->id->len + 2 * text; i++)
		str_append_char(out, (unsigned char)p[i] < 0x20 ? ' ' : p[i]);
}

static void reply_error(
	struct qmp_client *c, const struct request *r, const char *class, const char *desc)
{
	AUTO(str) out = STR_INIT;

	str_appendf(&out, "{\"error\": {\"class\": \"%s\", \"desc\": ", class);
	json_quote(desc, &out);
	str_append(&out, "}");
	put_id(r, &out);
	str_append(&out, "}");
	client_send(c, &out);
}

void dispatch_error(struct qmp_client *c, const char *class, const char *desc)
{
	reply_error(c, &(struct request){ .id = NULL }, class, desc);
}

/* The first member's value out of {"name": value}. */
static void put_value(const struct field_table *t, const void *obj, struct str *out)
{
	AUTO(str) all = STR_INIT;
	size_t skip = strlen("{\"\": ") + strlen(t->fields[0].name);

	fields_to_json(t, obj, &all);
	if (all.len > skip + 1)
		str_append_mem(out, all.s + skip, all.len - skip - 1);
	else
		str_append(out, "\"\""); /* a text that is absent */
	out->failed |= all.failed;
}

static void reply(struct qmp_call *k, const struct request *r)
{
	AUTO(str) out = STR_INIT;

	str_append(&out, "{\"return\": ");
	if (k->cmd->flags & QMP_RAW)
		str_append_mem(&out, str_cstr(k->raw), k->raw->len);
	else if (k->cmd->flags & QMP_VALUE)
		put_value(k->cmd->ret, k->ret, &out);
	else if (k->cmd->ret)
		fields_to_json(k->cmd->ret, k->ret, &out);
	else
		str_append(&out, "{}");
	out.failed |= k->raw->failed;
	put_id(r, &out);
	str_append(&out, "}");
	client_send(k->client, &out);
}

/* -------- the envelope -------- */

static bool take_member(struct request *r, const struct json_token *key, struct error *err)
{
	const struct json_token *value = key + 1;
	AUTO(str) name = STR_INIT;

	if (json_text_is(&r->doc, key, "id")) {
		r->id = value;
		return true;
	}
	if (json_text_is(&r->doc, key, "arguments")) {
		r->arguments = value;
		return value->type == JSON_OBJECT ||
		       error_usage(err, "'arguments' must be an object");
	}
	json_text(&r->doc, key, &name);
	r->oob |= !strcmp(str_cstr(&name), "exec-oob");
	if (strcmp(str_cstr(&name), "execute") && strcmp(str_cstr(&name), "exec-oob"))
		return error_usage(err,
			"unknown member '%s': a request has 'execute', "
			"'arguments' and 'id'",
			str_cstr(&name));
	if (r->execute)
		return error_usage(err, "'execute' and 'exec-oob' exclude each other");
	r->execute = value;
	return value->type == JSON_STRING ||
	       error_usage(err, "'%s' must be a text", str_cstr(&name));
}

static bool take_envelope(struct request *r, struct error *err)
{
	const struct json_token *top = r->doc.tokens, *end = top + top->next, *key;
	struct error first = ERROR_INIT, next;

	if (top->type != JSON_OBJECT)
		return error_usage(err, "a request is a JSON object");
	/* To the end also after a mistake: the id may still follow. */
	for (key = top + 1; key < end; key = r->doc.tokens + key[1].next) {
		if (!take_member(r, key, &next) && first.kind == ERROR_NONE)
			first = next;
	}
	*err = first;
	if (first.kind != ERROR_NONE)
		return false;
	return r->execute || error_usage(err, "the request has no 'execute'");
}

/* -------- carrying out -------- */

bool qmp_given(const struct qmp_call *c, const char *key)
{
	return c->tok && json_member(c->doc, c->tok, key);
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool qmp_check_id(const char *id, struct error *err)
{
	bool ok = is_letter(id[0]);

	for (const char *p = id; *p && ok; p++)
		ok = is_letter(*p) || (*p >= '0' && *p <= '9') || strchr("-._", *p);
	return ok ||
	       error_usage(err, "Parameter 'id' expects an identifier: a letter, then letters, "
				"digits, '-', '.' and '_'");
}

bool qmp_set_text(char **member, const char *text, struct error *err)
{
	char *copy = strdup(text);

	if (!copy)
		return error_set(err, "out of memory");
	free(*member);
	*member = copy;
	return true;
}

static bool take_arguments(struct qmp_call *k, struct error *err)
{
	static const struct json_token empty = { .type = JSON_OBJECT, .next = 1 };
	static const struct field_table none = { .name = "arguments" };
	const struct field_table *t = k->cmd->args;
	/* No arguments are an empty object. */
	struct json_doc nothing = { .text = "",
		.tokens = (struct json_token *)(uintptr_t)&empty,
		.len = 1,
		.typed = true };

	if (k->cmd->flags & QMP_OPEN)
		return true;
	if (!fields_from_json(
		    t ?: &none, k->args, k->tok ? k->doc : &nothing, k->tok ?: nothing.tokens, err))
		return false;
	return !t || fields_check(t, k->args, err);
}

static bool alloc_object(const struct field_table *t, void **obj, struct error *err)
{
	if (!t)
		return true;
	*obj = calloc(1, t->struct_size);
	if (!*obj)
		return error_set(err, "out of memory");
	return fields_init(t, *obj, err);
}

static void free_object(const struct field_table *t, void *obj)
{
	if (t && obj)
		fields_fini(t, obj);
	free(obj);
}

/* Paths and new sockets are closed to a confined process: say so, and what helps. */
static void explain_refusal(struct error *err)
{
	size_t n = strlen(err->msg);

	if (thread_is_confined() &&
		(strstr(err->msg, strerror(EACCES)) || strstr(err->msg, strerror(ENOENT)) ||
			strstr(err->msg, strerror(EROFS))))
		snprintf(err->msg + n, sizeof(err->msg) - n,
			" (the machine is confined: pass a descriptor, or start it with "
			"--sandbox on,allow=PATH or --sandbox off)");
}

static const char *error_class(const struct qmp_call *k, const struct error *err)
{
	if (k->error_class)
		return k->error_class;
	return err->kind == ERROR_NOT_FOUND ? "DeviceNotFound" : "GenericError";
}

static void carry_out(struct qmp_client *c, const struct request *r, const struct qmp_command *cmd)
{
	AUTO(str) raw = STR_INIT;
	struct error err = ERROR_INIT;
	struct qmp_call k = { .q = c->q,
		.client = c,
		.m = c->q->m,
		.cmd = cmd,
		.raw = &raw,
		.doc = &r->doc,
		.tok = r->arguments };

	if (alloc_object(cmd->args, &k.args, &err) && alloc_object(cmd->ret, &k.ret, &err) &&
		take_arguments(&k, &err) && cmd->run(&k, &err)) {
		reply(&k, r);
	} else {
		explain_refusal(&err);
		reply_error(c, r, error_class(&k, &err), err.msg);
	}
	free_object(cmd->args, k.args);
	free_object(cmd->ret, k.ret);
	if (c->q->quit) {
		machine_quit(c->q->m, c->q->quit, 0);
		c->q->quit = REASON_NONE;
	}
}

static void execute(struct qmp_client *c, const struct request *r)
{
	AUTO(str) name = STR_INIT;
	AUTO(str) why = STR_INIT;
	const struct qmp_command *cmd;
	const char *class = "CommandNotFound";

	json_text(&r->doc, r->execute, &name);
	cmd = strlen(str_cstr(&name)) == name.len ? qmp_command_find(str_cstr(&name)) : NULL;
	if (r->oob && !c->oob) {
		str_append(&why, "'exec-oob' needs the capability 'oob', which is not enabled");
		class = "GenericError";
	} else if (!cmd) {
		str_appendf(&why, "The command %s has not been found (query-commands lists them)",
			str_cstr(&name));
	} else if (!c->negotiated && !(cmd->flags & QMP_EARLY)) {
		str_append(&why, "'qmp_capabilities' must come before all other commands");
	} else if (c->negotiated && cmd->flags & QMP_EARLY) {
		str_append(&why, "the capabilities have been negotiated already");
	} else if (r->oob && !(cmd->flags & QMP_OOB)) {
		str_appendf(&why, "'%s' cannot be executed out of band", cmd->name);
		class = "GenericError";
	} else if (c->readonly && !(cmd->flags & (QMP_QUERY | QMP_EARLY))) {
		str_appendf(&why, "'%s' is not allowed on the read-only socket", cmd->name);
		class = "GenericError";
	}
	if (why.len)
		reply_error(c, r, class, str_cstr(&why));
	else
		carry_out(c, r, cmd);
}

bool dispatch_is_oob(const char *text, size_t len)
{
	AUTO(json_doc) doc = JSON_DOC_INIT;
	struct error err = ERROR_INIT;

	return json_parse(&doc, text, len, &err) && doc.tokens->type == JSON_OBJECT &&
	       json_member(&doc, doc.tokens, "exec-oob");
}

void dispatch(struct qmp_client *c, const char *text, size_t len)
{
	struct request r = { .doc = JSON_DOC_INIT };
	struct error err = ERROR_INIT;

	r.doc.typed = true;
	if (!json_parse(&r.doc, text, len, &err))
		dispatch_error(c, "GenericError", err.msg);
	else if (!take_envelope(&r, &err))
		reply_error(c, &r, "GenericError", err.msg);
	else
		execute(c, &r);
	json_doc_fini(&r.doc);
}
