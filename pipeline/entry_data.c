/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/entry_data.h"

static bool text_of(const struct entry_data *d, struct str name, struct str *out)
{
	struct value scratch;
	const struct value *v = entry_get(d->entry, name, &scratch);
	return v && value_text(d->batch->arena, v, out);
}

static bool get(void *ud, struct str name, struct tval *out)
{
	const struct entry_data *d = ud;
	out->kind = TVAL_STR;
	if (d->value.p && str_eqc(name, "Value"))
		out->s = d->value;
	else if (d->has_line && str_eqc(name, "Entry"))
		out->s = d->entry->line;
	else if (!text_of(d, name, &out->s))
		return false;
	return true;
}

static struct tval_map all(void *ud, struct arena *a)
{
	const struct entry_data *d = ud;
	const struct entry *e = d->entry;
	struct label *v = arena_alloc(a, (e->initial.n + e->nextracted + 2) * sizeof *v);
	size_t n = 0;
	for (size_t i = 0; i < e->initial.n; i++) v[n++].name = e->initial.v[i].name;
	for (size_t i = 0; i < e->nextracted; i++) v[n++].name = e->extracted[i].name;
	v[n++].name = STR("Value");
	v[n++].name = STR("Entry");
	struct str dup;
	labels_sort(v, n, &dup);
	struct tval_map m = {.keys = arena_alloc(a, n * sizeof *m.keys), .v = arena_alloc(a, n * sizeof *m.v)};
	for (size_t i = 0; i < n; i++) {
		if (i && str_eq(v[i].name, v[i - 1].name)) continue;
		if (!get(ud, v[i].name, &m.v[m.n])) continue;
		m.keys[m.n++] = v[i].name;
	}
	return m;
}

void entry_data_init(struct entry_data *d, struct batch *b, const struct entry *e)
{
	*d = (struct entry_data){
		.data = {.get = get, .all = all, .line = e->line, .ts = e->ts}, .batch = b, .entry = e};
	d->data.ud = d;
}

void entry_data_reads(const struct template *t, struct reads *r)
{
	const struct str *names;
	size_t n;
	if (!template_fields(t, &names, &n)) {
		r->all = true;
		return;
	}
	for (size_t i = 0; i < n; i++) reads_add(r, names[i]);
}
