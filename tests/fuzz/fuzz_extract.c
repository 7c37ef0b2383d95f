/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One byte that names a parser, its argument up to a NUL, the line. Found names are label names; a parser that wants
 * only some of the labels finds the same values for them. */
#include "common/buf.h"
#include "common/json.h"
#include "pipeline/extract/json.h"
#include "pipeline/extract/logfmt.h"
#include "pipeline/extract/pattern.h"
#include "pipeline/extract/regexp.h"
#include "pipeline/ipfilter.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Names borrow from the parser that is freed next. */
static void keep_names(struct extract *x)
{
	for (size_t i = 0; i < x->n; i++) x->v[i].name = arena_str(x->a, x->v[i].name);
}

static void with_pattern(struct str arg, struct str line, struct extract *x)
{
	struct err e = ERR_INIT;
	struct pattern *p = pattern_new(arg, &e);
	if (p) extract_pattern(p, line, x);
	keep_names(x);
	pattern_free(p);
	p = pattern_new_filter(arg, &e);
	if (p) pattern_match(p, line);
	pattern_free(p);
}

static void with_path(struct str arg, struct str line, struct extract *x)
{
	struct err e = ERR_INIT;
	struct extract_expr v[] = {{STR("a"), arg}, {STR("b"), STR("a[0].b")}};
	struct json_paths *p = json_paths_new(v, 2, &e);
	if (p) extract_json_paths(p, line, x);
	keep_names(x);
	json_paths_free(p);
}

static void with_keys(struct str arg, struct str line, struct extract *x)
{
	struct err e = ERR_INIT;
	struct extract_expr v[] = {{STR("a"), arg}, {STR("b"), STR("c")}};
	if (logfmt_expr(arg, &v[0].expr, &e)) extract_logfmt_keys(v, 2, line, LOGFMT_STRICT, x);
}

static void with_regexp(struct str arg, struct str line, struct extract *x)
{
	struct err e = ERR_INIT;
	struct extract_re *r = str_chr(arg, '{') < 0 ? extract_re_new(arg, &e) : NULL;
	if (r) extract_regexp(r, line, x);
	keep_names(x);
	extract_re_free(r);
}

static void with_ip(struct str arg, struct str line)
{
	struct err e = ERR_INIT;
	struct ipfilter f;
	if (ipfilter_init(&f, arg, &e)) ipfilter_line(&f, line);
}

static void run(unsigned kind, struct str arg, struct str line, struct extract *x)
{
	struct str entry;
	switch (kind % 8) {
	case 0: extract_json(line, x); break;
	case 1: with_path(arg, line, x); break;
	case 2: extract_unpack(line, x, &entry); break;
	case 3: extract_logfmt(line, kind / 8, x); break;
	case 4: with_keys(arg, line, x); break;
	case 5: with_pattern(arg, line, x); break;
	case 6: with_regexp(arg, line, x); break;
	default: with_ip(arg, line);
	}
}

/* In a broken object, what is skipped and what is read may end at different brackets. */
static bool is_json(struct str line)
{
	struct err e = ERR_INIT;
	struct json j;
	json_init(&j, line, &e);
	return json_skip(&j);
}

/* The first pair of the first run must be found again when only it is wanted. */
static void again(unsigned kind, struct str arg, struct str line, const struct extract *x, struct arena *a)
{
	struct extract y;
	struct str want = x->v[0].name;
	extract_init(&y, a, &want, 1);
	extract_reset(&y);
	run(kind, arg, line, &y);
	if (kind % 8 != 4 && (y.n != 1 || !str_eq(y.v[0].value, x->v[0].value))) abort();
	extract_free(&y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena a;
	struct extract x;
	if (n == 0 || n > 4096) return 0;
	struct str line = str_of((const char *)data + 1, n - 1), arg;
	if (!str_cut(&line, '\0', &arg)) {
		line = arg;
		arg = STR("");
	}
	arena_init(&a, 0);
	extract_init(&x, &a, NULL, 0);
	extract_reset(&x);
	run(data[0], arg, line, &x);
	for (size_t i = 0; i < x.n; i++)
		if (!labels_name_valid(x.v[i].name)) abort();
	if (x.n && !x.error && (data[0] % 8 || is_json(line))) again(data[0], arg, line, &x, &a);
	extract_free(&x);
	arena_free(&a);
	return 0;
}
