/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/inspect.h"

#include "common/units.h"

#include <stdio.h>
#include <time.h>

#define GREEN  "\033[32m"
#define RED    "\033[31m"
#define YELLOW "\033[33m"
#define BLUE   "\033[34m"
#define RESET  "\033[0m"

struct diff {
	struct buf *out;
	bool colour, any;
};

static void paint(struct diff *d, const char *colour, char sign, struct str text)
{
	buf_printf(d->out, "\n\t%s%c: %.*s%s", d->colour ? colour : "", sign, STR_ARG(text), d->colour ? RESET : "");
}

/* before or after NULL: not there. */
static void change(struct diff *d, const char *what, struct str name, const struct str *before, const struct str *after)
{
	if (before && after && str_eq(*before, *after)) return;
	d->any = true;
	buf_printf(d->out, "\n%s", what);
	if (name.p) buf_printf(d->out, "[\"%.*s\"]", STR_ARG(name));
	buf_ch(d->out, ':');
	if (before) paint(d, after ? YELLOW : RED, '-', *before);
	if (after) paint(d, before ? YELLOW : GREEN, '+', *after);
}

static void change_labels(struct diff *d, const char *what, const struct labels *before, const struct labels *after)
{
	for (size_t i = 0; i < before->n; i++) {
		struct str now = labels_get(after, before->v[i].name);
		change(d, what, before->v[i].name, &before->v[i].value, now.p ? &now : NULL);
	}
	for (size_t i = 0; i < after->n; i++)
		if (!labels_get(before, after->v[i].name).p)
			change(d, what, after->v[i].name, NULL, &after->v[i].value);
}

static bool text_of(struct arena *a, const struct entry *e, struct str name, struct str *out)
{
	struct value scratch;
	const struct value *v = entry_get(e, name, &scratch);

	if (!v) return false;
	if (!value_text(a, v, out)) *out = STR("null");
	return true;
}

static void change_extracted(struct diff *d, const struct entry *before, const struct entry *after)
{
	struct arena a;
	struct str old, now;

	arena_init(&a, 0);
	for (uint32_t i = 0; i < before->nextracted; i++) {
		struct str name = before->extracted[i].name;
		if (text_of(&a, before, name, &old) && !text_of(&a, after, name, &now))
			change(d, "extracted", name, &old, NULL);
	}
	for (uint32_t i = 0; i < after->nextracted; i++) {
		struct str name = after->extracted[i].name;
		if (!text_of(&a, after, name, &now)) continue;
		bool had = text_of(&a, before, name, &old);
		change(d, "extracted", name, had ? &old : NULL, &now);
	}
	arena_free(&a);
}

void inspect_stage(const char *stage, const struct entry *before, const struct entry *after, bool colour,
		   struct buf *out)
{
	struct diff d = {out, colour, false};
	struct buf old = {0}, now = {0};

	buf_printf(out, "[inspect: %s stage]:", stage);
	units_rfc3339nano_print(&old, before->ts);
	units_rfc3339nano_print(&now, after->ts);
	struct str a = buf_view(&old), b = buf_view(&now);
	change(&d, "timestamp", STR_NULL, &a, &b);
	change(&d, "line", STR_NULL, &before->line, &after->line);
	change_labels(&d, "labels", &before->labels, &after->labels);
	change_labels(&d, "structured_metadata", &before->meta, &after->meta);
	change_extracted(&d, before, after);
	if (!d.any) buf_printf(out, " %snone%s", colour ? RED : "", colour ? RESET : "");
	buf_ch(out, '\n');
	buf_free(&old);
	buf_free(&now);
}

/* 2006-01-02T15:04:05.999999999-0700, local time. */
static void print_time(struct buf *out, int64_t ts)
{
	time_t sec = (time_t)(ts / UNITS_SEC - (ts % UNITS_SEC < 0));
	long nsec = (long)(ts - sec * UNITS_SEC);
	struct tm tm;
	char text[64], fraction[16];

	localtime_r(&sec, &tm);
	buf_add(out, text, strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm));
	if (nsec) {
		size_t n = (size_t)snprintf(fraction, sizeof fraction, ".%09ld", nsec);
		while (fraction[n - 1] == '0') n--;
		buf_add(out, fraction, n);
	}
	buf_add(out, text, strftime(text, sizeof text, "%z", &tm));
}

void inspect_entry(const struct entry *e, bool colour, struct buf *out)
{
	buf_c(out, colour ? BLUE : "");
	print_time(out, e->ts);
	buf_printf(out, "%s\t%s", colour ? RESET : "", colour ? YELLOW : "");
	labels_print(out, &e->labels);
	buf_printf(out, "%s\t%.*s\n", colour ? RESET : "", STR_ARG(e->line));
}
