// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/accel.h"

#include <stdlib.h>
#include <string.h>
#include "base/vec.h"

const struct accel *accel_find(const char *name)
{
	for (const struct accel *const *a = accel_table; *a; a++) {
		if (!strcmp((*a)->name, name))
			return *a;
	}
	return NULL;
}

void accel_options_free(const struct accel *a, void *options)
{
	if (!options)
		return;
	fields_fini(a->config, options);
	free(options);
}

static void *options_new(const struct accel *a, const char *text, struct error *err)
{
	void *o = calloc(1, a->config->struct_size);

	if (!o) {
		error_set(err, "out of memory");
		return NULL;
	}
	if (!fields_init(a->config, o, err) || !fields_parse(a->config, o, text, err)) {
		accel_options_free(a, o);
		return NULL;
	}
	return o;
}

typedef VEC(const struct accel *) accel_list;

static bool unknown_engine(const char *name, struct error *err)
{
	AUTO(str) known = STR_INIT;

	for (const struct accel *const *a = accel_table; *a; a++)
		str_appendf(&known, ", %s", (*a)->name);
	return error_usage(err, "unknown engine '%s'; valid: auto%s", name, str_cstr(&known));
}

/* "kvm:soft" -> candidates in order; "auto" -> all, those with hardware first. */
static bool candidates(char *names, accel_list *out, struct error *err)
{
	char *save = NULL;

	for (char *n = strtok_r(names, ":", &save); n; n = strtok_r(NULL, ":", &save)) {
		const struct accel *a = accel_find(n);

		if (!strcmp(n, "auto")) {
			for (int hw = 1; hw >= 0; hw--) {
				for (const struct accel *const *t = accel_table; *t; t++) {
					if ((*t)->hardware == hw && (*t)->probe &&
						!vec_push(out, *t))
						return error_set(err, "out of memory");
				}
			}
		} else if (!a) {
			return unknown_engine(n, err);
		} else if (!vec_push(out, a)) {
			return error_set(err, "out of memory");
		}
	}
	return out->len || unknown_engine("", err);
}

/* The report names each engine that was looked at. */
static bool probe(const struct accel *a, const void *options, struct str *report)
{
	str_appendf(report, "%s%s: ", report->len ? "; " : "", a->name);
	return (a->evident && a->evident(options, report)) || a->probe(options, report);
}

/* Options that no engine of the list has are a mistake. */
static bool check_options(const accel_list *list, const char *rest, struct error *err)
{
	for (size_t i = 0; rest && i < list->len; i++) {
		if (list->data[i]->config)
			return true;
	}
	return !rest || error_usage(err, "engine '%s' has no options, but '%s' is given",
				list->data[0]->name, rest);
}

static const struct accel *first_working(const accel_list *list, const char *rest, void **options,
	struct str *report, struct error *err)
{
	for (size_t i = 0; i < list->len; i++) {
		const struct accel *a = list->data[i];
		void *o = NULL;

		if (rest && a->config && !(o = options_new(a, rest, err)))
			return NULL;
		/* The only candidate is not probed: the user insists, and its own error says more. */
		if (list->len == 1 || probe(a, o, report)) {
			*options = o;
			return a;
		}
		accel_options_free(a, o);
	}
	error_set(err, "no engine works here: %s",
		report->len ? str_cstr(report) : "none is built in");
	return NULL;
}

const struct accel *accel_select(
	const char *spec, void **options, struct str *report, struct error *err)
{
	const char *comma = strchr(spec, ',');
	AUTO_FREE char *names = strndup(spec, comma ? (size_t)(comma - spec) : strlen(spec));
	const struct accel *a = NULL;
	accel_list list = { 0 };
	bool automatic = !strncmp(spec, "auto", 4);

	*options = NULL;
	if (!names)
		error_set(err, "out of memory");
	else if (candidates(names, &list, err) &&
		 check_options(&list, comma ? comma + 1 : NULL, err)) {
		/* auto must see through an engine that opens and does not work, even if it is alone. */
		if (automatic && list.len == 1 && !probe(list.data[0], NULL, report))
			error_set(err, "no engine works here: %s", str_cstr(report));
		else
			a = first_working(&list, comma ? comma + 1 : NULL, options, report, err);
	}
	vec_fini(&list);
	return a;
}
