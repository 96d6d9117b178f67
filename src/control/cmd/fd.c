// SPDX-License-Identifier: GPL-2.0-or-later
/* getfd, closefd, add-fd, remove-fd, query-fdsets: descriptors that come with SCM_RIGHTS in the message
 * of the command. */
#include "control/qmp_fd.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"

/* The descriptor of the message at hand, or -1 and @err. */
static int message_fd(struct qmp_call *c, struct error *err)
{
	int fd = qmp_client_take_fd(c->client);

	if (fd < 0)
		error_set(err, "no descriptor came with the command (SCM_RIGHTS)");
	return fd;
}

/* -------- by name -------- */

struct name_args {
	char *fdname;
};

static const struct field name_fields[] = {
	FIELD_STR(struct name_args, fdname, "fdname", .flags = FF_GIVEN, .max = 255,
		.doc = "the name; not beginning with a digit"),
};
static const struct field_table name_args = FIELD_TABLE("getfd", struct name_args, name_fields);

static bool getfd(struct qmp_call *c, struct error *err)
{
	const struct name_args *a = c->args;
	AUTO_FD int fd = message_fd(c, err);

	if (fd < 0)
		return false;
	if (a->fdname[0] >= '0' && a->fdname[0] <= '9')
		return error_set(err, "'fdname': a name does not begin with a digit");
	return qmp_fd_name(c->q, a->fdname, TAKE_FD(fd), err);
}

static bool closefd(struct qmp_call *c, struct error *err)
{
	const struct name_args *a = c->args;
	AUTO_FD int fd = qmp_named_fd_take(c->q, a->fdname, err);

	return fd >= 0;
}

const struct qmp_command getfd_cmd = {
	.name = "getfd",
	.doc = "name the descriptor that comes with the message",
	.args = &name_args,
	.run = getfd,
};

const struct qmp_command closefd_cmd = {
	.name = "closefd",
	.doc = "close a descriptor by its name",
	.args = &name_args,
	.run = closefd,
};

/* -------- sets -------- */

struct add_args {
	int64_t set;
	char *opaque;
};

static const struct field add_fields[] = {
	FIELD_I64(struct add_args, set, "fdset-id", .dflt = "-1",
		.doc = "the set; without it a new one is made"),
	FIELD_STR(struct add_args, opaque, "opaque", .max = 4096, .doc = "told by query-fdsets"),
};
static const struct field_table add_args = FIELD_TABLE("add-fd", struct add_args, add_fields);

struct added {
	int64_t set, fd;
};

static const struct field added_fields[] = {
	FIELD_I64(struct added, set, "fdset-id", .doc = "the set"),
	FIELD_I64(struct added, fd, "fd", .doc = "the descriptor's number here"),
};
static const struct field_table added = FIELD_TABLE("AddfdInfo", struct added, added_fields);

static bool add_fd(struct qmp_call *c, struct error *err)
{
	const struct add_args *a = c->args;
	struct added *r = c->ret;
	int fd = message_fd(c, err);

	if (fd < 0)
		return false;
	r->set = a->set;
	r->fd = fd;
	if (qmp_given(c, "fdset-id") && a->set < 0) {
		close(fd);
		return error_set(err, "'fdset-id': not a negative number");
	}
	return qmp_fdset_add(c->q, &r->set, a->opaque, fd, err);
}

struct remove_args {
	uint64_t set;
	int64_t fd;
};

static const struct field remove_fields[] = {
	FIELD_U64(struct remove_args, set, "fdset-id", .flags = FF_GIVEN, .doc = "the set"),
	FIELD_I64(struct remove_args, fd, "fd", .dflt = "-1", .doc = "only this one of it"),
};
static const struct field_table remove_args = FIELD_TABLE(
	"remove-fd", struct remove_args, remove_fields);

static bool remove_fd(struct qmp_call *c, struct error *err)
{
	const struct remove_args *a = c->args;

	if (qmp_given(c, "fd") && a->fd < 0)
		return error_set(err, "'fd': not a negative number");
	return qmp_fdset_remove(c->q, a->set, a->fd) ||
	       error_set(err, "File descriptor named 'fdset-id:%llu' not found",
		       (unsigned long long)a->set);
}

const struct qmp_command add_fd_cmd = {
	.name = "add-fd",
	.doc = "put the descriptor that comes with the message into a set (/dev/fdset/N)",
	.args = &add_args,
	.ret = &added,
	.run = add_fd,
};

const struct qmp_command remove_fd_cmd = {
	.name = "remove-fd",
	.doc = "close a set's descriptors",
	.args = &remove_args,
	.run = remove_fd,
};

struct member {
	int64_t fd;
	char *opaque;
};

struct fdset {
	uint64_t set;
	struct {
		struct member *items;
		size_t len;
	} fds;
};

struct fdsets {
	struct {
		struct fdset *items;
		size_t len;
	} sets;
};

static const struct field member_fields[] = {
	FIELD_I64(struct member, fd, "fd"),
	FIELD_STR(struct member, opaque, "opaque"),
};
static const struct field_table member = FIELD_TABLE("FdsetFdInfo", struct member, member_fields);
static const struct field fdset_fields[] = {
	FIELD_U64(struct fdset, set, "fdset-id"),
	FIELD_LIST(struct fdset, fds, "fds", FT_STRUCT, 4096, .sub = &member),
};
static const struct field_table fdset = FIELD_TABLE("FdsetInfo", struct fdset, fdset_fields);
static const struct field fdsets_fields[] = {
	FIELD_LIST(struct fdsets, sets, "sets", FT_STRUCT, 4096, .sub = &fdset),
};
static const struct field_table fdsets = FIELD_TABLE("query-fdsets", struct fdsets, fdsets_fields);

static struct fdset *set_of(struct fdsets *r, uint64_t set, struct error *err)
{
	struct fdset *s;

	for (size_t i = 0; i < r->sets.len; i++) {
		if (r->sets.items[i].set == set)
			return &r->sets.items[i];
	}
	s = fields_list_add(&fdsets, r, "sets", err);
	if (s)
		s->set = set;
	return s;
}

static bool query_fdsets(struct qmp_call *c, struct error *err)
{
	const char *opaque = NULL;
	uint64_t set = 0;
	int fd = -1;

	for (size_t i = 0; i < qmp_fdset_at(c->q, i, &set, &fd, &opaque); i++) {
		struct fdset *s = set_of(c->ret, set, err);
		struct member *m = s ? fields_list_add(&fdset, s, "fds", err) : NULL;

		if (!m)
			return false;
		m->fd = fd;
		if (opaque && !qmp_set_text(&m->opaque, opaque, err))
			return false;
	}
	return true;
}

const struct qmp_command query_fdsets_cmd = {
	.name = "query-fdsets",
	.doc = "the sets of descriptors",
	.ret = &fdsets,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = query_fdsets,
};
