/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/kept.h"

static struct label *copy_labels(struct label *at, char **bytes, struct labels *to, const struct label *v, size_t n)
{
	*to = (struct labels){at, n};
	for (size_t i = 0; i < n; i++) {
		struct str *parts[] = {&at[i].name, &at[i].value};
		const struct str *from[] = {&v[i].name, &v[i].value};
		for (size_t k = 0; k < 2; k++) {
			if (from[k]->n) memcpy(*bytes, from[k]->p, from[k]->n);
			*parts[k] = str_of(*bytes, from[k]->n);
			*bytes += from[k]->n;
		}
	}
	struct str dup;
	labels_sort(at, n, &dup);
	return at + n;
}

struct kept *kept_new(struct arena *a, const struct row *r, bool apart)
{
	struct label *v = arena_alloc(a, row_max(r) * sizeof *v);
	size_t stream = row_labels(r, ROW_STREAM, v), meta = row_labels(r, ROW_META, v + stream);
	size_t parsed = row_labels(r, ROW_PARSED, v + stream + meta), n = stream + meta + parsed, bytes = r->line.n;
	for (size_t i = 0; i < n; i++) bytes += v[i].name.n + v[i].value.n;
	bytes += sizeof(struct kept) + n * sizeof *v;
	struct kept *k = mem_alloc(bytes);
	*k = (struct kept){.ts = r->ts, .stream = r->base->stream, .bytes = bytes};
	struct label *at = (struct label *)(k + 1);
	char *p = (char *)(at + n);
	if (r->line.n) memcpy(p, r->line.p, r->line.n);
	k->line = str_of(p, r->line.n);
	p += r->line.n;
	at = copy_labels(at, &p, &k->labels, v, apart ? stream : n);
	if (!apart) return k;
	at = copy_labels(at, &p, &k->meta, v + stream, meta);
	copy_labels(at, &p, &k->parsed, v + stream + meta, parsed);
	return k;
}

int kept_order(const struct kept *a, const struct kept *b, bool forward)
{
	if (a->ts != b->ts) return (a->ts < b->ts) == forward ? -1 : 1;
	int c = a->stream == b->stream ? 0 : labels_cmp(&a->stream->labels, &b->stream->labels);
	if (c) return c;
	if (a->task != b->task) return a->task < b->task ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

struct str kept_label(const struct kept *k, struct str name)
{
	const struct labels *const kinds[] = {&k->parsed, &k->meta, &k->labels};
	for (size_t i = 0; i < 3; i++) {
		struct str v = labels_get(kinds[i], name);
		if (v.p) return v;
	}
	return STR_NULL;
}
