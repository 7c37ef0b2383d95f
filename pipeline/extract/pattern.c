/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/extract/pattern.h"

#include "common/scan.h"

#include <stdlib.h>

struct part {
	bool capture;
	struct str text; /* literal, or name of the capture ("_": unnamed); borrows from pattern.source */
};

struct pattern {
	struct str source; /* own copy */
	struct part *v;
	size_t n, cap;
	size_t named;
};

static bool is_unnamed(const struct part *p) { return str_eq(p->text, STR("_")); }

static bool is_alpha(char c) { return c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

/* Bytes of "<name>" at i, or 0. */
static size_t capture_at(struct str s, size_t i)
{
	size_t k = i + 1;
	if (s.p[i] != '<' || k >= s.n || !is_alpha(s.p[k])) return 0;
	while (k < s.n && (is_alpha(s.p[k]) || (s.p[k] >= '0' && s.p[k] <= '9'))) k++;
	return k < s.n && s.p[k] == '>' ? k + 1 - i : 0;
}

static void add(struct pattern *p, bool capture, struct str text)
{
	MEM_GROW(p->v, p->n, p->cap);
	p->v[p->n++] = (struct part){capture, text};
	if (capture && !str_eq(text, STR("_"))) p->named++;
}

static struct pattern *split(struct str text)
{
	struct pattern *p = mem_zalloc(sizeof *p);
	struct str s = p->source = mem_str(text);
	size_t from = 0;
	for (size_t i = 0; i < s.n;) {
		size_t n = capture_at(s, i);
		if (!n) {
			i++;
			continue;
		}
		if (i > from) add(p, false, str_sub(s, from, i));
		add(p, true, str_sub(s, i + 1, i + n - 1));
		from = i += n;
	}
	if (s.n > from) add(p, false, str_from(s, from));
	return p;
}

static bool no_neighbours(const struct pattern *p, struct err *e)
{
	for (size_t i = 0; i + 1 < p->n; i++)
		if (p->v[i].capture && p->v[i + 1].capture)
			return err_set(e, ERR_INVALID, "found consecutive capture '<%.*s><%.*s>': invalid expression",
				       STR_ARG(p->v[i].text), STR_ARG(p->v[i + 1].text));
	return true;
}

static bool no_duplicates(const struct pattern *p, struct err *e)
{
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < i && p->v[i].capture && !is_unnamed(&p->v[i]); k++)
			if (p->v[k].capture && str_eq(p->v[k].text, p->v[i].text))
				return err_set(e, ERR_INVALID, "duplicate capture name (%.*s): invalid expression",
					       STR_ARG(p->v[i].text));
	return true;
}

static struct pattern *keep_if(struct pattern *p, bool ok)
{
	if (ok) return p;
	pattern_free(p);
	return NULL;
}

struct pattern *pattern_new(struct str text, struct err *e)
{
	struct pattern *p = split(text);
	if (p->n == 0)
		return keep_if(p, err_set(e, ERR_INVALID,
					  "parse error at line 1, col 1: syntax error: unexpected $end, expecting "
					  "IDENTIFIER or LITERAL"));
	if (p->named == 0) return keep_if(p, err_set(e, ERR_INVALID, "at least one capture is required"));
	return keep_if(p, no_neighbours(p, e) && no_duplicates(p, e));
}

struct pattern *pattern_new_filter(struct str text, struct err *e)
{
	struct pattern *p = split(text);
	if (!no_neighbours(p, e)) return keep_if(p, false);
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].capture && !is_unnamed(&p->v[i]))
			return keep_if(p, err_set(e, ERR_INVALID, "named captures are not allowed: found '<%.*s>'",
						  STR_ARG(p->v[i].text)));
	return p;
}

void pattern_free(struct pattern *p)
{
	if (!p) return;
	free((char *)p->source.p);
	free(p->v);
	free(p);
}

void extract_pattern(const struct pattern *p, struct str line, struct extract *x)
{
	size_t i = 0;
	if (line.n == 0) return;
	if (!p->v[0].capture) {
		if (!str_starts(line, p->v[0].text)) return;
		line = str_from(line, p->v[0].text.n);
		i = 1;
	}
	/* Captures and literals alternate from here; what a missing literal would end goes on to the end. */
	for (; i < p->n; i += 2) {
		ssize_t end = i + 1 < p->n ? scan_find(line, p->v[i + 1].text) : -1;
		struct str value = end < 0 ? line : str_sub(line, 0, (size_t)end);
		if (!is_unnamed(&p->v[i]) && !extract_put(x, p->v[i].text, value)) return;
		if (end < 0) return;
		line = str_from(line, (size_t)end + p->v[i + 1].text.n);
	}
}

bool pattern_match(const struct pattern *p, struct str line)
{
	size_t at = 0;
	if (line.n == 0 || p->n == 0) return line.n == 0 && p->n == 0;
	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i].capture) continue;
		ssize_t k = scan_find(str_from(line, at), p->v[i].text);
		/* A capture before a literal may not be empty. A literal at the start is searched as well, as in Loki.
		 */
		if (k < 0 || (k == 0 && i > 0)) return false;
		at += (size_t)k + p->v[i].text.n;
	}
	return p->v[p->n - 1].capture == (at < line.n);
}

struct str pattern_needle(const struct pattern *p)
{
	struct str best = STR_NULL;
	for (size_t i = 0; i < p->n; i++)
		if (!p->v[i].capture && p->v[i].text.n > best.n) best = p->v[i].text;
	return best;
}
