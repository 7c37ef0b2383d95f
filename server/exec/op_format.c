/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/op.h"

#include "pipeline/ansi.h"

/* ---- templates over a row ---- */

struct row_data { /* the labels at the moment when the stage's first template runs */
	const struct row *row;
	struct labels all;
};

static bool data_get(void *ud, struct str name, struct tval *out)
{
	struct row_data *d = ud;
	enum row_kind kind = ROW_STREAM;
	struct str v = d->row ? row_get(d->row, name, &kind) : labels_get(&d->all, name);
	if (kind == ROW_NONE || !v.p) return false;
	*out = (struct tval){.kind = TVAL_STR, .s = v};
	return true;
}

static struct tval_map data_all(void *ud, struct arena *a)
{
	struct row_data *d = ud;
	struct labels all = d->row ? row_all(a, d->row) : d->all;
	struct tval_map m = {arena_alloc(a, all.n * sizeof *m.keys), arena_alloc(a, all.n * sizeof *m.v), all.n};
	for (size_t i = 0; i < all.n; i++) {
		m.keys[i] = all.v[i].name;
		m.v[i] = (struct tval){.kind = TVAL_STR, .s = all.v[i].value};
	}
	return m;
}

/* The result is arena text; on failure the row is marked. */
static bool expand(struct op_local *l, struct exec_batch *b, struct row *r, const struct template *t,
		   struct row_data *d, struct str *out)
{
	struct template_data data = {.ud = d, .get = data_get, .all = data_all, .line = r->line, .ts = r->ts};
	struct err e = ERR_INIT;
	buf_clear(&l->buf);
	if (arena_over(b->arena)) return false; /* the query ends with this batch */
	if (!template_run(t, &data, &l->buf, b->arena, &e)) {
		r->error = STR("TemplateFormatErr");
		r->details = arena_str(b->arena, str_c(e.msg));
		return false;
	}
	*out = arena_str(b->arena, buf_view(&l->buf));
	return true;
}

static void line_format_run(const struct op *o, struct op_local *l, struct exec_batch *b)
{
	for (size_t i = 0; i < b->n_sel; i++) {
		struct row *r = &b->rows[b->sel[i]];
		struct row_data d = {.row = r};
		struct str line;
		if (expand(l, b, r, o->stage->line_template, &d, &line)) r->line = line;
	}
}

static void rename_label(struct exec_batch *b, struct row *r, const struct logql_label_format *f)
{
	enum row_kind kind;
	struct str v = row_get(r, f->src, &kind);
	if (kind == ROW_NONE) return;
	row_set(b->arena, r, f->dst, v);
	row_del(b->arena, r, f->src);
}

static void label_format_row(const struct op *o, struct op_local *l, struct exec_batch *b, struct row *r)
{
	const struct logql_stage *s = o->stage;
	struct row_data d = {0};
	/* One template reads the row itself; with more, all read what the first one saw. */
	if (s->n_formats == 1) d.row = r;
	bool taken = d.row != NULL;
	for (size_t i = 0; i < s->n_formats; i++) {
		const struct logql_label_format *f = &s->formats[i];
		if (f->rename) {
			rename_label(b, r, f);
			continue;
		}
		if (!taken) d.all = row_all(b->arena, r);
		taken = true;
		struct str v;
		if (expand(l, b, r, f->compiled, &d, &v)) row_set(b->arena, r, f->dst, v);
	}
}

static void label_format_run(const struct op *o, struct op_local *l, struct exec_batch *b)
{
	for (size_t i = 0; i < b->n_sel; i++) label_format_row(o, l, b, &b->rows[b->sel[i]]);
}

static void format_close(struct op_local *l) { buf_free(&l->buf); }

/* ---- drop and keep ---- */

static void drop_row(const struct logql_drop *d, struct arena *a, struct row *r)
{
	struct str v = row_get(r, d->name, NULL);
	if (d->has_match && !matcher_match(&d->match, v)) return;
	if (str_eq(d->name, ROW_ERROR))
		r->error = STR("");
	else if (str_eq(d->name, ROW_DETAILS))
		r->details = STR("");
	row_del(a, r, d->name);
}

static void drop_run(const struct op *o, struct op_local *l, struct exec_batch *b)
{
	(void)l;
	for (size_t i = 0; i < b->n_sel; i++)
		for (size_t k = 0; k < o->stage->n_drops; k++)
			drop_row(&o->stage->drops[k], b->arena, &b->rows[b->sel[i]]);
}

static bool kept(const struct logql_stage *s, const struct label *l)
{
	if (str_eq(l->name, ROW_ERROR) || str_eq(l->name, ROW_DETAILS) || str_eq(l->name, ROW_PRESERVE)) return true;
	for (size_t k = 0; k < s->n_drops; k++) {
		const struct logql_drop *d = &s->drops[k];
		if (str_eq(d->name, l->name) && (!d->has_match || matcher_match(&d->match, l->value))) return true;
	}
	return false;
}

static void keep_run(const struct op *o, struct op_local *l, struct exec_batch *b)
{
	(void)l;
	for (size_t i = 0; i < b->n_sel; i++) {
		struct row *r = &b->rows[b->sel[i]];
		struct label *v = arena_alloc(b->arena, row_max(r) * sizeof *v);
		for (enum row_kind kind = ROW_STREAM; kind <= ROW_PARSED; kind++) {
			size_t n = row_labels(r, kind, v);
			for (size_t k = 0; k < n; k++)
				if (!kept(o->stage, &v[k])) row_del(b->arena, r, v[k].name);
		}
	}
}

/* ---- decolorize ---- */

static void decolorize_run(const struct op *o, struct op_local *l, struct exec_batch *b)
{
	(void)o;
	(void)l;
	for (size_t i = 0; i < b->n_sel; i++) {
		struct row *r = &b->rows[b->sel[i]];
		r->line = ansi_strip(b->arena, r->line);
	}
}

const struct op_kind op_format_kinds[] = {
	[LOGQL_STAGE_LINE_FORMAT] = {.run = line_format_run, .close = format_close},
	[LOGQL_STAGE_LABEL_FORMAT] = {.run = label_format_run, .close = format_close},
	[LOGQL_STAGE_DECOLORIZE] = {.run = decolorize_run},
	[LOGQL_STAGE_DROP] = {.run = drop_run},
	[LOGQL_STAGE_KEEP] = {.run = keep_run},
	[LOGQL_STAGE_KINDS] = {0},
};
