/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/print.h"

#include "common/units.h"

/* ECMA-48 colours that read on dark and light: cyan, green, yellow, magenta, blue. A stream keeps its own. */
static const char *const palette[] = {"\x1b[36m", "\x1b[32m", "\x1b[33m", "\x1b[35m", "\x1b[34m"};
#define DIM   "\x1b[2m"
#define RESET "\x1b[0m"

static void colored(struct cli *c, const char *on, struct str s)
{
	if (c->color) buf_c(&c->out, on);
	buf_str(&c->out, s);
	if (c->color) buf_c(&c->out, RESET);
}

void print_time(struct buf *b, int64_t ns)
{
	struct units_civil t;

	units_civil(ns, &t);
	buf_printf(b, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ", (long long)t.year, t.mon, t.day, t.hour, t.min, t.sec,
		   t.nsec / 1000000);
}

/* C0 and C1 controls could drive the terminal; a log line is not to be trusted with that. */
static void put_shown(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char ch = (unsigned char)s.p[i], next = i + 1 < s.n ? (unsigned char)s.p[i + 1] : 0;

		if ((ch < 0x20 && ch != '\t' && ch != '\n') || ch == 0x7f) {
			buf_printf(b, "\\x%02x", ch);
		} else if (ch == 0xc2 && next >= 0x80 && next < 0xa0) {
			buf_printf(b, "\\x%02x", next);
			i++;
		} else {
			buf_ch(b, (char)ch);
		}
	}
}

void print_labels_json(struct json_out *o, const struct labels *l)
{
	json_open(o, '{');
	for (size_t i = 0; i < l->n; i++) {
		json_key(o, l->v[i].name);
		json_put_str(o, l->v[i].value);
	}
	json_close(o, '}');
}

static void entry_jsonl(struct cli *c, const struct result_entry *entry)
{
	struct buf time = {0};
	struct json_out o;

	units_rfc3339nano_print(&time, entry->ts);
	json_out_init(&o, &c->out, false);
	json_open(&o, '{');
	json_key(&o, STR("labels"));
	print_labels_json(&o, entry->labels);
	json_key(&o, STR("timestamp"));
	json_put_str(&o, buf_view(&time));
	json_key(&o, STR("line"));
	json_put_str(&o, entry->line);
	json_close(&o, '}');
	buf_free(&time);
}

static void entry_default(struct cli *c, const struct result_entry *entry)
{
	struct buf text = {0};

	print_time(&text, entry->ts);
	colored(c, DIM, buf_view(&text));
	buf_ch(&c->out, ' ');
	buf_clear(&text);
	labels_print(&text, entry->labels);
	colored(c, palette[labels_hash(entry->labels) % (sizeof palette / sizeof *palette)], buf_view(&text));
	buf_ch(&c->out, ' ');
	if (c->tty)
		put_shown(&c->out, entry->line);
	else
		buf_str(&c->out, entry->line);
	buf_free(&text);
}

void print_entry(struct cli *c, const struct result_entry *entry)
{
	switch ((enum output)c->o.output) {
	case OUTPUT_DEFAULT: entry_default(c, entry); break;
	case OUTPUT_RAW: buf_str(&c->out, entry->line); break;
	case OUTPUT_JSONL: entry_jsonl(c, entry); break;
	}
	buf_ch(&c->out, '\n');
}

static void sample_jsonl(struct cli *c, const struct result_sample *s)
{
	struct json_out o;

	json_out_init(&o, &c->out, false);
	json_open(&o, '{');
	json_key(&o, STR("metric"));
	print_labels_json(&o, s->labels);
	json_key(&o, STR("timestamp"));
	json_put_f64(&o, (double)(s->ts / UNITS_MS) / 1000);
	json_key(&o, STR("value"));
	json_put_str(&o, s->value);
	json_close(&o, '}');
}

static void sample_row(struct cli *c, const struct result_sample *s, int width)
{
	struct buf text = {0};

	print_time(&text, s->ts);
	colored(c, DIM, buf_view(&text));
	buf_printf(&c->out, "  %*.*s  ", width, STR_ARG(s->value));
	buf_clear(&text);
	labels_print(&text, s->labels);
	colored(c, palette[labels_hash(s->labels) % (sizeof palette / sizeof *palette)], buf_view(&text));
	buf_free(&text);
}

void print_samples(struct cli *c, const struct result_sample *v, size_t n)
{
	int width = (int)strlen("VALUE");

	for (size_t i = 0; i < n; i++)
		if (v[i].value.n > (size_t)width && v[i].value.n < 64) width = (int)v[i].value.n;
	if (n && c->o.output == OUTPUT_DEFAULT && !c->o.quiet)
		buf_printf(&c->out, "%-24s  %*s  SERIES\n", "TIME", width, "VALUE");
	for (size_t i = 0; i < n; i++) {
		switch ((enum output)c->o.output) {
		case OUTPUT_DEFAULT: sample_row(c, &v[i], width); break;
		case OUTPUT_RAW: buf_str(&c->out, v[i].value); break;
		case OUTPUT_JSONL: sample_jsonl(c, &v[i]); break;
		}
		buf_ch(&c->out, '\n');
	}
}

void print_string(struct cli *c, struct str s)
{
	if (c->o.output == OUTPUT_JSONL)
		json_quote(&c->out, s, false);
	else if (c->tty && c->o.output == OUTPUT_DEFAULT)
		put_shown(&c->out, s);
	else
		buf_str(&c->out, s);
	buf_ch(&c->out, '\n');
}

void print_labels(struct cli *c, const struct labels *l)
{
	if (c->o.output == OUTPUT_JSONL) {
		struct json_out o;

		json_out_init(&o, &c->out, false);
		print_labels_json(&o, l);
	} else {
		labels_print(&c->out, l);
	}
	buf_ch(&c->out, '\n');
}

static void put_field(struct json_out *o, const char *key, struct str value)
{
	json_key(o, str_c(key));
	json_put_str(o, value);
}

static void put_time_field(struct json_out *o, const char *key, int64_t ns)
{
	struct buf text = {0};

	units_rfc3339nano_print(&text, ns);
	put_field(o, key, buf_view(&text));
	buf_free(&text);
}

static void delete_jsonl(struct cli *c, const struct result_delete *r)
{
	struct json_out o;

	json_out_init(&o, &c->out, false);
	json_open(&o, '{');
	put_field(&o, "id", r->id);
	put_field(&o, "status", r->status);
	put_time_field(&o, "created", r->created);
	put_time_field(&o, "from", r->start);
	put_time_field(&o, "to", r->end);
	put_field(&o, "query", r->query);
	json_close(&o, '}');
}

static void delete_row(struct cli *c, const struct result_delete *r)
{
	struct buf text = {0};

	put_shown(&text, r->id);
	buf_printf(&c->out, "%-16s  ", buf_cstr(&text));
	buf_clear(&text);
	put_shown(&text, r->status);
	buf_printf(&c->out, "%-12s  ", buf_cstr(&text));
	print_time(&c->out, r->created);
	buf_c(&c->out, "  ");
	print_time(&c->out, r->start);
	buf_c(&c->out, "  ");
	print_time(&c->out, r->end);
	buf_c(&c->out, "  ");
	put_shown(&c->out, r->query);
	buf_free(&text);
}

void print_deletes(struct cli *c, const struct result_delete *v, size_t n)
{
	if (n && c->o.output == OUTPUT_DEFAULT && !c->o.quiet)
		buf_printf(&c->out, "%-16s  %-12s  %-24s  %-24s  %-24s  QUERY\n", "ID", "STATUS", "CREATED", "FROM",
			   "TO");
	for (size_t i = 0; i < n; i++) {
		switch ((enum output)c->o.output) {
		case OUTPUT_DEFAULT: delete_row(c, &v[i]); break;
		case OUTPUT_RAW: buf_str(&c->out, v[i].id); break;
		case OUTPUT_JSONL: delete_jsonl(c, &v[i]); break;
		}
		buf_ch(&c->out, '\n');
	}
}
