/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/extract/regexp.h"

#include "common/regex.h"

#include <stdlib.h>

struct extract_re {
	struct regex *re;
	size_t last; /* the last named group; those behind need not be captured */
};

static bool check_names(const struct regex *re, size_t *last, struct err *e)
{
	for (size_t i = 1; i <= regex_groups(re); i++) {
		struct str name = regex_group_name(re, i);
		if (name.n == 0) continue;
		if (!labels_name_valid(name))
			return err_set(e, ERR_INVALID, "invalid extracted label name '%.*s'", STR_ARG(name));
		if (regex_group_index(re, name) != (ssize_t)i)
			return err_set(e, ERR_INVALID, "duplicate extracted label name '%.*s'", STR_ARG(name));
		*last = i;
	}
	return *last > 0 || err_set(e, ERR_INVALID, "at least one named capture must be supplied");
}

struct extract_re *extract_re_new(struct str pattern, struct err *e)
{
	struct extract_re *r = mem_zalloc(sizeof *r);
	r->re = regex_new(pattern, 0, e);
	if (r->re && check_names(r->re, &r->last, e)) return r;
	extract_re_free(r);
	return NULL;
}

void extract_re_free(struct extract_re *r)
{
	if (!r) return;
	regex_free(r->re);
	free(r);
}

void extract_regexp(const struct extract_re *r, struct str line, struct extract *x)
{
	struct regex_span few[32], *spans = r->last < 32 ? few : mem_alloc((r->last + 1) * sizeof *spans);
	bool more = regex_exec(r->re, line, 0, spans, r->last + 1);
	for (size_t i = 1; more && i <= r->last; i++) {
		struct str name = regex_group_name(r->re, i);
		if (name.n == 0) continue;
		struct regex_span s = spans[i];
		more = extract_put(x, name, s.from < 0 ? STR("") : str_sub(line, (size_t)s.from, (size_t)s.to));
	}
	if (spans != few) free(spans);
}
