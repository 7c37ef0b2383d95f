/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/batch.h"

static struct label *find(const struct label *v, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].name.n == name.n && memcmp(v[i].name.p, name.p, name.n) == 0) return (struct label *)&v[i];
	return NULL;
}

static void add_meta(struct label *v, size_t *n, struct str name, struct str value)
{
	struct label *l = find(v, *n, name);
	if (l)
		l->value = value;
	else
		v[(*n)++] = (struct label){name, value};
}

void row_base_meta(struct arena *a, struct row_base *b, const struct labels *meta, bool twice)
{
	struct label *v = arena_alloc(a, (meta->n * 2 + 1) * sizeof *v);
	b->meta = v;
	b->n_meta = 0;
	for (size_t i = 0; i < meta->n; i++) {
		struct str name = meta->v[i].name, value = meta->v[i].value;
		if (value.n == 0) continue;
		if (labels_get(&b->labels, name).p) name = arena_printf(a, "%.*s" ROW_EXTRACTED, STR_ARG(name));
		add_meta(v, &b->n_meta, name, value);
		if (twice) add_meta(v, &b->n_meta, arena_printf(a, "%.*s" ROW_EXTRACTED, STR_ARG(name)), value);
	}
}

static bool is_hidden(const struct row *r, struct str name)
{
	for (uint32_t i = 0; i < r->n_hidden; i++)
		if (str_eq(r->hidden[i], name)) return true;
	return false;
}

struct str row_get(const struct row *r, struct str name, enum row_kind *kind)
{
	enum row_kind none;
	if (!kind) kind = &none;
	const struct label *l = find(r->parsed, r->n_parsed, name);
	if (l) {
		*kind = ROW_PARSED;
		return l->value;
	}
	if (name.n >= 9 && name.p[0] == '_' && name.p[1] == '_' && name.p[2] == 'e') {
		struct str v = str_eq(name, ROW_ERROR) ? r->error : str_eq(name, ROW_DETAILS) ? r->details : STR("");
		if (v.n) {
			*kind = ROW_PARSED;
			return v;
		}
	}
	if (r->n_hidden && is_hidden(r, name)) {
		*kind = ROW_NONE;
		return STR("");
	}
	if ((l = find(r->base->meta, r->base->n_meta, name))) {
		*kind = ROW_META;
		return l->value;
	}
	if ((l = find(r->base->labels.v, r->base->labels.n, name))) {
		*kind = ROW_STREAM;
		return l->value;
	}
	*kind = ROW_NONE;
	return STR("");
}

bool row_base_has(const struct row *r, struct str name)
{
	if (find(r->base->labels.v, r->base->labels.n, name)) return true;
	return find(r->base->meta, r->base->n_meta, name) && !is_hidden(r, name);
}

static void push(struct arena *a, struct row *r, struct str name, struct str value)
{
	size_t cap = r->cap_parsed;
	if (r->n_parsed >= cap) r->parsed = arena_grow(a, r->parsed, r->n_parsed, &cap, sizeof *r->parsed);
	r->cap_parsed = (uint32_t)cap;
	r->parsed[r->n_parsed++] = (struct label){name, value};
}

void row_set(struct arena *a, struct row *r, struct str name, struct str value)
{
	struct label *l = find(r->parsed, r->n_parsed, name);
	if (l)
		l->value = value;
	else
		push(a, r, name, value);
}

struct str row_put(struct arena *a, struct row *r, struct str name, struct str value)
{
	if (row_base_has(r, name)) name = arena_printf(a, "%.*s" ROW_EXTRACTED, STR_ARG(name));
	if (find(r->parsed, r->n_parsed, name)) return STR("");
	push(a, r, name, value);
	return name;
}

void row_del(struct arena *a, struct row *r, struct str name)
{
	struct label *l = find(r->parsed, r->n_parsed, name);
	if (l) {
		size_t i = (size_t)(l - r->parsed);
		memmove(l, l + 1, (r->n_parsed - i - 1) * sizeof *l);
		r->n_parsed--;
	}
	bool base = find(r->base->labels.v, r->base->labels.n, name) || find(r->base->meta, r->base->n_meta, name);
	if (!base || is_hidden(r, name)) return;
	size_t cap = r->cap_hidden;
	if (r->n_hidden >= cap) r->hidden = arena_grow(a, r->hidden, r->n_hidden, &cap, sizeof *r->hidden);
	r->cap_hidden = (uint32_t)cap;
	r->hidden[r->n_hidden++] = name;
}

static size_t base_labels(const struct row *r, const struct label *v, size_t nv, struct label *out)
{
	if (!r->n_parsed && !r->n_hidden) {
		if (nv) memcpy(out, v, nv * sizeof *v);
		return nv;
	}
	size_t n = 0;
	for (size_t i = 0; i < nv; i++)
		if (!is_hidden(r, v[i].name) && !find(r->parsed, r->n_parsed, v[i].name)) out[n++] = v[i];
	return n;
}

size_t row_labels(const struct row *r, enum row_kind kind, struct label *out)
{
	if (kind == ROW_STREAM) return base_labels(r, r->base->labels.v, r->base->labels.n, out);
	if (kind == ROW_META) return base_labels(r, r->base->meta, r->base->n_meta, out);
	size_t n = 0;
	for (uint32_t i = 0; i < r->n_parsed; i++) {
		bool err = (r->error.n && str_eq(r->parsed[i].name, ROW_ERROR)) ||
			   (r->details.n && str_eq(r->parsed[i].name, ROW_DETAILS));
		if (!err) out[n++] = r->parsed[i];
	}
	if (r->error.n) out[n++] = (struct label){ROW_ERROR, r->error};
	if (r->details.n) out[n++] = (struct label){ROW_DETAILS, r->details};
	return n;
}

struct labels row_all(struct arena *a, const struct row *r)
{
	struct labels l = {arena_alloc(a, row_max(r) * sizeof(struct label)), 0};
	for (enum row_kind k = ROW_STREAM; k <= ROW_PARSED; k++) l.n += row_labels(r, k, l.v + l.n);
	struct str dup;
	labels_sort(l.v, l.n, &dup);
	return l;
}
