// SPDX-License-Identifier: GPL-2.0-or-later
/* query-command-line-options - the options of `lodge run`. */
#include <string.h>
#include "control/qmp.h"

static const char *const type_names[] = { "string", "boolean", "number", "size", NULL };
enum { TYPE_STRING, TYPE_BOOLEAN, TYPE_NUMBER, TYPE_SIZE };

struct parameter {
	char *name, *help, *dflt;
	int type;
};
static const struct field parameter_fields[] = {
	FIELD_STR(struct parameter, name, "name", .flags = FF_GIVEN),
	FIELD_ENUM(struct parameter, type, "type", type_names),
	FIELD_STR(struct parameter, help, "help"),
	FIELD_STR(struct parameter, dflt, "default"),
};
static const struct field_table parameter = FIELD_TABLE(
	"CommandLineParameterInfo", struct parameter, parameter_fields);

struct option {
	char *name;
	struct {
		struct parameter *items;
		size_t len;
	} parameters;
};
static const struct field option_fields[] = {
	FIELD_STR(struct option, name, "option", .flags = FF_GIVEN),
	FIELD_LIST(struct option, parameters, "parameters", FT_STRUCT, 256, .sub = &parameter),
};
static const struct field_table option = FIELD_TABLE(
	"CommandLineOptionInfo", struct option, option_fields);

struct options {
	struct {
		struct option *items;
		size_t len;
	} list;
};
static const struct field options_fields[] = {
	FIELD_LIST(struct options, list, "options", FT_STRUCT, 256, .sub = &option),
};
static const struct field_table options = FIELD_TABLE(
	"query-command-line-options", struct options, options_fields);

struct args {
	char *option;
};
static const struct field args_fields[] = {
	FIELD_STR(struct args, option, "option", .doc = "only this one"),
};
static const struct field_table args = FIELD_TABLE(
	"query-command-line-options", struct args, args_fields);

static int type_of(const struct field *f)
{
	switch (f->type) {
	case FT_BOOL:
		return TYPE_BOOLEAN;
	case FT_SIZE:
		return TYPE_SIZE;
	case FT_U8:
	case FT_U16:
	case FT_U32:
	case FT_U64:
	case FT_I64:
		return TYPE_NUMBER;
	default:
		return TYPE_STRING;
	}
}

static bool add_parameter(struct option *o, const struct field *f, struct error *err)
{
	struct parameter *p = fields_list_add(&option, o, "parameters", err);

	if (!p || !qmp_set_text(&p->name, f->name, err))
		return false;
	p->type = type_of(f);
	return (!f->doc || qmp_set_text(&p->help, f->doc, err)) &&
	       (!f->dflt || qmp_set_text(&p->dflt, f->dflt, err));
}

static bool add_option(struct qmp_call *c, const struct field *f, struct error *err)
{
	struct option *o = fields_list_add(&options, c->ret, "options", err);

	if (!o || !qmp_set_text(&o->name, f->name, err))
		return false;
	for (uint32_t i = 0; f->sub && i < f->sub->n_fields; i++) {
		if (!add_parameter(o, &f->sub->fields[i], err))
			return false;
	}
	return f->sub || add_parameter(o, f, err);
}

static bool run(struct qmp_call *c, struct error *err)
{
	const struct field_table *t = qmp_get_info(c->q)->options;
	const struct args *a = c->args;
	bool found = !a->option;

	for (uint32_t i = 0; t && i < t->n_fields; i++) {
		if (a->option && strcmp(a->option, t->fields[i].name))
			continue;
		found = true;
		if (!add_option(c, &t->fields[i], err))
			return false;
	}
	return found || error_set(err, "invalid option name: %s", a->option);
}

const struct qmp_command query_command_line_options_cmd = {
	.name = "query-command-line-options",
	.doc = "the options of `lodge run`",
	.args = &args,
	.ret = &options,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = run,
};
