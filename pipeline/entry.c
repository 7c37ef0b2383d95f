/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/entry.h"

#include "common/units.h"

#include <math.h>
#include <stdlib.h>

struct entry *batch_push(struct batch *b)
{
	b->v = arena_grow(b->arena, b->v, b->n, &b->cap, sizeof *b->v);
	struct entry *e = &b->v[b->n++];
	memset(e, 0, sizeof *e);
	return e;
}

void batch_compact(struct batch *b)
{
	size_t k = 0;
	for (size_t i = 0; i < b->n; i++) {
		if (b->v[i].dropped) continue;
		if (k != i) b->v[k] = b->v[i];
		k++;
	}
	b->n = k;
}

void batch_append(struct batch *b, const struct batch *from)
{
	for (size_t i = 0; i < from->n; i++) *batch_push(b) = from->v[i];
}

/* ---- labels ---- */

static size_t find(const struct labels *l, struct str name)
{
	size_t i = 0;
	while (i < l->n && !str_eq(l->v[i].name, name)) i++;
	return i;
}

/* A copy with room for one more. */
static void own(struct batch *b, struct labels *l)
{
	struct label *v = arena_alloc(b->arena, (l->n + 1) * sizeof *v);
	if (l->n) memcpy(v, l->v, l->n * sizeof *v);
	l->v = v;
}

void entry_label_set(struct batch *b, struct entry *e, struct str name, struct str value)
{
	size_t at = find(&e->labels, name), n = e->labels.n;
	if (at < n && str_eq(e->labels.v[at].value, value)) return;
	if (!e->labels_own || at == n) own(b, &e->labels);
	e->labels_own = true;
	if (at == n) {
		for (at = 0; at < n && str_cmp(e->labels.v[at].name, name) < 0;) at++;
		memmove(&e->labels.v[at + 1], &e->labels.v[at], (n - at) * sizeof *e->labels.v);
		e->labels.n++;
	}
	e->labels.v[at] = (struct label){name, value};
}

bool entry_label_del(struct batch *b, struct entry *e, struct str name)
{
	size_t at = find(&e->labels, name);
	if (at == e->labels.n) return false;
	if (!e->labels_own) own(b, &e->labels);
	e->labels_own = true;
	e->labels.n--;
	memmove(&e->labels.v[at], &e->labels.v[at + 1], (e->labels.n - at) * sizeof *e->labels.v);
	return true;
}

void entry_meta_add(struct batch *b, struct entry *e, struct str name, struct str value)
{
	own(b, &e->meta);
	e->meta_own = true;
	e->meta.v[e->meta.n++] = (struct label){name, value};
}

void entry_meta_set(struct batch *b, struct entry *e, struct str name, struct str value)
{
	size_t at = find(&e->meta, name);
	if (at == e->meta.n) {
		entry_meta_add(b, e, name, value);
		return;
	}
	if (!e->meta_own) own(b, &e->meta);
	e->meta_own = true;
	e->meta.v[at].value = value;
}

void entry_meta_del(struct batch *b, struct entry *e, struct str name)
{
	if (find(&e->meta, name) == e->meta.n) return;
	if (!e->meta_own) own(b, &e->meta);
	e->meta_own = true;
	size_t k = 0;
	for (size_t i = 0; i < e->meta.n; i++)
		if (!str_eq(e->meta.v[i].name, name)) e->meta.v[k++] = e->meta.v[i];
	e->meta.n = k;
}

/* ---- extracted values ---- */

static struct field *field_of(const struct entry *e, struct str name)
{
	for (uint32_t i = 0; i < e->nextracted; i++)
		if (str_eq(e->extracted[i].name, name)) return &e->extracted[i];
	return NULL;
}

const struct value *entry_get(const struct entry *e, struct str name, struct value *scratch)
{
	const struct field *f = field_of(e, name);
	if (f) return f->value.kind == VALUE_GONE ? NULL : &f->value;
	size_t at = find(&e->initial, name);
	if (at == e->initial.n) return NULL;
	*scratch = (struct value){.kind = VALUE_STR, .s = e->initial.v[at].value};
	return scratch;
}

void entry_set(struct batch *b, struct entry *e, struct str name, struct value v)
{
	struct field *f = field_of(e, name);
	if (!f) {
		size_t cap = e->cap_extracted;
		e->extracted = arena_grow(b->arena, e->extracted, e->nextracted, &cap, sizeof *e->extracted);
		e->cap_extracted = (uint32_t)cap;
		f = &e->extracted[e->nextracted++];
		f->name = name;
	}
	f->value = v;
}

void entry_unset(struct batch *b, struct entry *e, struct str name)
{
	entry_set(b, e, name, (struct value){.kind = VALUE_GONE});
}

void entry_begin(struct batch *b, struct entry *e, bool nested)
{
	if (!nested) {
		e->initial = e->labels;
		e->labels_own = false; /* initial keeps the array: the first change copies it */
		return;
	}
	if (e->labels.v == e->initial.v && !e->nextracted) return; /* nothing differs yet */
	for (size_t i = 0; i < e->labels.n; i++)
		entry_set(b, e, e->labels.v[i].name, (struct value){.kind = VALUE_STR, .s = e->labels.v[i].value});
}

/* Whole numbers, which most are, need no buffer. */
static struct str number_text(struct arena *a, double v)
{
	char text[24], *p = text + sizeof text;
	if (v != trunc(v) || fabs(v) >= 0x1p53 || (v == 0 && signbit(v))) {
		struct buf b = {0};
		buf_f64(&b, v);
		struct str s = arena_str(a, buf_view(&b));
		buf_free(&b);
		return s;
	}
	uint64_t u = (uint64_t)fabs(v);
	do *--p = (char)('0' + u % 10);
	while (u /= 10);
	if (v < 0) *--p = '-';
	return arena_str(a, str_of(p, (size_t)(text + sizeof text - p)));
}

bool value_text(struct arena *a, const struct value *v, struct str *out)
{
	switch (v->kind) {
	case VALUE_STR: *out = v->s; return true;
	case VALUE_BOOL: *out = v->num != 0 ? STR("true") : STR("false"); return true;
	case VALUE_NUM: *out = v->s.n ? v->s : number_text(a, v->num); return true;
	case VALUE_NULL:
	case VALUE_GONE: break;
	}
	return false;
}

bool value_number(const struct value *v, double *out)
{
	struct err e = ERR_INIT;
	int64_t ns;
	if (v->kind == VALUE_BOOL || (v->kind == VALUE_NUM && !v->s.n)) {
		*out = v->num;
		return true;
	}
	if (v->kind == VALUE_NULL || v->kind == VALUE_GONE) return false;
	if (str_to_f64(v->s, out)) return true;
	if (!units_dur_go(v->s, &ns, &e)) return false;
	*out = (double)ns / UNITS_SEC;
	return true;
}

/* ---- entries that outlive their batch ---- */

static void copy_fields(struct arena *a, struct entry *to, const struct entry *from)
{
	to->extracted = arena_alloc(a, from->nextracted * sizeof *to->extracted);
	to->cap_extracted = from->nextracted;
	for (uint32_t i = 0; i < from->nextracted; i++) {
		to->extracted[i] = (struct field){arena_str(a, from->extracted[i].name), from->extracted[i].value};
		struct value *v = &to->extracted[i].value;
		if (v->kind == VALUE_STR || v->s.n) v->s = arena_str(a, v->s);
	}
}

static void copy_entry(struct arena *a, struct entry *to, const struct entry *from)
{
	*to = *from;
	to->line = arena_str(a, from->line);
	to->labels = labels_copy(a, &from->labels);
	to->meta = labels_copy(a, &from->meta);
	to->initial = labels_copy(a, &from->initial);
	copy_fields(a, to, from);
	to->origins = arena_alloc(a, from->norigins * sizeof *to->origins);
	if (from->norigins) memcpy(to->origins, from->origins, from->norigins * sizeof *to->origins);
	to->cap_origins = from->norigins;
	to->labels_own = to->meta_own = true;
	to->dropped = false;
}

void entry_join(struct arena *a, struct entry *to, struct entry *from)
{
	size_t cap = to->cap_origins;
	for (uint32_t i = 0; i < from->norigins; i++) {
		to->origins = arena_grow(a, to->origins, to->norigins, &cap, sizeof *to->origins);
		to->origins[to->norigins++] = from->origins[i];
	}
	to->cap_origins = (uint32_t)cap;
	from->norigins = 0;
	from->dropped = true;
}

struct kept *entry_keep(struct entry *e)
{
	struct kept *k = mem_zalloc(sizeof *k);
	arena_init(&k->arena, 0);
	copy_entry(&k->arena, &k->e, e);
	e->norigins = 0;
	e->dropped = true;
	return k;
}

void kept_free(struct kept *k)
{
	if (!k) return;
	arena_free(&k->arena);
	free(k);
}

struct entry *kept_emit(struct kept *k, struct batch *b)
{
	struct entry *e = batch_push(b);
	copy_entry(b->arena, e, &k->e);
	k->e.norigins = 0;
	return e;
}
