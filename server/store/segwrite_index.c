/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/segwrite_index.h"

#include "common/codec.h"

#include <stdlib.h>

void segwrite_index_init(struct segwrite_index *x, int level)
{
	*x = (struct segwrite_index){.level = level};
	arena_init(&x->arena, 0);
}

void segwrite_index_free(struct segwrite_index *x)
{
	arena_free(&x->arena);
	map_free(&x->by_text);
	void *owned[] = {x->symbols, x->postings, x->pages, x->values, x->texts, x->pairs, x->streams};
	for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) free(owned[i]);
	buf_free(&x->parts);
	buf_free(&x->scratch);
}

bool segwrite_index_part(struct segwrite_index *x, struct str raw, struct segment_part *p, struct err *e)
{
	struct buf *out = &x->parts;
	size_t at = out->n;
	if (raw.n > SEGMENT_PART_MAX)
		return err_set(e, ERR_TOO_LARGE, "a part of a segment's index of %zu bytes exceeds %u", raw.n,
			       SEGMENT_PART_MAX);
	if (!codec_compress(CODEC_ZSTD, x->level, raw, out, e)) return false;
	if (out->n - at >= raw.n) {
		out->n = at;
		buf_str(out, raw);
	}
	struct str stored = str_from(buf_view(out), at);
	*p = (struct segment_part){at, str_hash(stored), (uint32_t)stored.n, (uint32_t)raw.n};
	return true;
}

/* ---- pages of streams ---- */

void segwrite_put_texts(struct buf *b, const struct str *v, size_t n)
{
	uint32_t end = 0;
	buf_le32(b, (uint32_t)n);
	for (size_t i = 0; i < n; i++) buf_le32(b, end += (uint32_t)v[i].n);
	for (size_t i = 0; i < n; i++) buf_str(b, v[i]);
}

static void put_streams(struct segwrite_index *x, struct buf *b)
{
	segwrite_put_texts(b, x->texts, x->ntexts);
	buf_le32(b, (uint32_t)(x->npairs / 2));
	for (size_t i = 0; i < x->npairs; i++) buf_le32(b, x->pairs[i]);
	buf_le32(b, (uint32_t)x->n);
	for (size_t i = 0; i < x->n; i++) {
		const struct segment_stream *s = &x->streams[i];
		buf_le64(b, s->hash);
		buf_le64(b, s->bytes);
		buf_le64(b, (uint64_t)s->min_ts);
		buf_le64(b, (uint64_t)s->max_ts);
		buf_le32(b, s->first_row);
		buf_le32(b, s->rows);
		buf_le32(b, s->first_pair);
		buf_le32(b, s->npairs);
	}
}

static bool page_end(struct segwrite_index *x, struct err *e)
{
	if (x->n == 0) return true;
	struct segwrite_page *p = &x->pages[x->npages - 1];
	for (size_t i = 0; i < x->n; i++) {
		const struct segment_stream *s = &x->streams[i];
		p->rows += s->rows;
		if (s->min_ts < p->min_ts) p->min_ts = s->min_ts;
		if (s->max_ts > p->max_ts) p->max_ts = s->max_ts;
	}
	buf_clear(&x->scratch);
	put_streams(x, &x->scratch);
	x->ntexts = x->npairs = x->n = 0;
	return segwrite_index_part(x, buf_view(&x->scratch), &p->part, e);
}

static void page_begin(struct segwrite_index *x, const struct labels *first)
{
	buf_clear(&x->scratch);
	buf_varint(&x->scratch, first->n);
	for (size_t i = 0; i < first->n; i++) {
		buf_lpstr(&x->scratch, first->v[i].name);
		buf_lpstr(&x->scratch, first->v[i].value);
	}
	MEM_GROW(x->pages, x->npages, x->cap_pages);
	x->pages[x->npages++] = (struct segwrite_page){
		.min_ts = INT64_MAX, .max_ts = INT64_MIN, .first = arena_str(&x->arena, buf_view(&x->scratch))};
}

/* The text's number among all, and in the open page. */
static uint32_t symbol(struct segwrite_index *x, struct str text, uint32_t *local)
{
	uintptr_t id = (uintptr_t)map_get(&x->by_text, text);
	if (!id) {
		MEM_GROW(x->symbols, x->nsymbols, x->cap_symbols);
		text = arena_str(&x->arena, text);
		x->symbols[x->nsymbols] = (struct segwrite_symbol){.text = text};
		id = ++x->nsymbols;
		map_put(&x->by_text, text, (void *)id);
	}
	struct segwrite_symbol *s = &x->symbols[id - 1];
	if (s->page != x->npages) {
		MEM_GROW(x->texts, x->ntexts, x->cap_texts);
		s->page = (uint32_t)x->npages;
		s->local = (uint32_t)x->ntexts;
		x->texts[x->ntexts++] = s->text;
	}
	*local = s->local;
	return (uint32_t)id - 1;
}

bool segwrite_index_add(struct segwrite_index *x, const struct labels *labels, const struct segment_stream *st,
			struct err *e)
{
	if (x->n == SEGMENT_PAGE && !page_end(x, e)) return false;
	if (x->n == 0) page_begin(x, labels);
	MEM_GROW(x->streams, x->n, x->cap);
	struct segment_stream *s = &x->streams[x->n++];
	*s = *st;
	s->first_pair = (uint32_t)(x->npairs / 2);
	s->npairs = (uint32_t)labels->n;
	for (size_t i = 0; i < labels->n; i++) {
		struct segwrite_posting p = {.stream = (uint32_t)x->nstreams};
		MEM_GROW(x->pairs, x->npairs + 1, x->cap_pairs);
		p.name = symbol(x, labels->v[i].name, &x->pairs[x->npairs++]);
		p.value = symbol(x, labels->v[i].value, &x->pairs[x->npairs++]);
		MEM_GROW(x->postings, x->npostings, x->cap_postings);
		x->postings[x->npostings++] = p;
	}
	x->nstreams++;
	return true;
}

/* ---- postings ---- */

static int by_text(const void *a, const void *b)
{
	return str_cmp((*(struct segwrite_symbol *const *)a)->text, (*(struct segwrite_symbol *const *)b)->text);
}

static int by_ranks(const void *a, const void *b)
{
	const struct segwrite_posting *x = a, *y = b;
	if (x->name != y->name) return x->name < y->name ? -1 : 1;
	if (x->value != y->value) return x->value < y->value ? -1 : 1;
	return (x->stream > y->stream) - (x->stream < y->stream);
}

/* Sorts the postings by the texts of names and values; *v are the symbols in that order. */
static struct segwrite_symbol **rank(struct segwrite_index *x)
{
	struct segwrite_symbol **v = mem_alloc((x->nsymbols + 1) * sizeof *v);
	for (size_t i = 0; i < x->nsymbols; i++) v[i] = &x->symbols[i];
	if (x->nsymbols) qsort(v, x->nsymbols, sizeof *v, by_text);
	for (size_t i = 0; i < x->nsymbols; i++) v[i]->rank = (uint32_t)i;
	for (size_t i = 0; i < x->npostings; i++) {
		struct segwrite_posting *p = &x->postings[i];
		p->name = x->symbols[p->name].rank;
		p->value = x->symbols[p->value].rank;
	}
	if (x->npostings) qsort(x->postings, x->npostings, sizeof *x->postings, by_ranks);
	return v;
}

static void put_runs(struct buf *b, const struct segwrite_posting *p, size_t n)
{
	uint64_t at = 0;
	for (size_t i = 0; i < n;) {
		size_t k = i + 1;
		while (k < n && p[k].stream == p[k - 1].stream + 1) k++;
		buf_varint(b, (p[i].stream - at) << 1 | (k - i > 1));
		if (k - i > 1) buf_varint(b, k - i - 2);
		at = (uint64_t)p[k - 1].stream + 1;
		i = k;
	}
}

/* One page of values from postings[*at] on, all of one name. */
static bool put_values(struct segwrite_index *x, struct segwrite_symbol **texts, size_t *at, struct err *e)
{
	struct buf values = {0}, runs = {0};
	size_t n = 0, i = *at;
	const struct segwrite_posting *p = x->postings;
	MEM_GROW(x->values, x->nvalues, x->cap_values);
	struct segwrite_values *v = &x->values[x->nvalues++];
	*v = (struct segwrite_values){.name = texts[p[i].name]->text, .first = texts[p[i].value]->text};
	for (; i < x->npostings && p[i].name == p[*at].name && values.n < SEGMENT_POSTINGS; n++) {
		size_t from = i;
		while (i < x->npostings && p[i].name == p[from].name && p[i].value == p[from].value) i++;
		buf_clear(&runs);
		put_runs(&runs, p + from, i - from);
		buf_lpstr(&values, texts[p[from].value]->text);
		buf_lpstr(&values, buf_view(&runs));
	}
	*at = i;
	buf_clear(&x->scratch);
	buf_varint(&x->scratch, n);
	buf_str(&x->scratch, buf_view(&values));
	buf_free(&values);
	buf_free(&runs);
	return segwrite_index_part(x, buf_view(&x->scratch), &v->part, e);
}

bool segwrite_index_end(struct segwrite_index *x, struct err *e)
{
	if (!page_end(x, e)) return false;
	struct segwrite_symbol **texts = rank(x);
	bool ok = true;
	for (size_t i = 0; i < x->npostings && ok;) ok = put_values(x, texts, &i, e);
	free(texts);
	return ok;
}

/* ---- root and trailer ---- */

static void put_part(struct buf *b, const struct segment_part *p, uint64_t base)
{
	buf_varint(b, base + p->off);
	buf_varint(b, p->len);
	buf_le64(b, p->sum);
	buf_varint(b, p->raw);
}

static void put_pages(const struct segwrite_index *x, uint64_t base, struct buf *b)
{
	buf_varint(b, x->nstreams);
	buf_varint(b, SEGMENT_PAGE);
	for (size_t i = 0; i < x->npages; i++) {
		const struct segwrite_page *p = &x->pages[i];
		put_part(b, &p->part, base);
		buf_varint(b, p->rows);
		buf_zigzag(b, p->min_ts);
		buf_varint(b, (uint64_t)p->max_ts - (uint64_t)p->min_ts);
		buf_str(b, p->first);
	}
}

static void put_names(const struct segwrite_index *x, uint64_t base, struct buf *b)
{
	size_t names = 0;
	const struct segwrite_values *v = x->values;
	for (size_t i = 0; i < x->nvalues; i++) names += i == 0 || !str_eq(v[i].name, v[i - 1].name);
	buf_varint(b, names);
	for (size_t i = 0, k; i < x->nvalues; i = k) {
		for (k = i + 1; k < x->nvalues && str_eq(v[k].name, v[i].name);) k++;
		buf_lpstr(b, v[i].name);
		buf_varint(b, k - i);
		for (size_t p = i; p < k; p++) {
			buf_lpstr(b, v[p].first);
			put_part(b, &v[p].part, base);
		}
	}
}

static void put_root(const struct segwrite_index *x, const struct segwrite_root *r, uint64_t base, struct buf *b)
{
	buf_lpstr(b, r->tenant);
	buf_le64(b, r->rows);
	buf_le64(b, r->bytes);
	buf_varint(b, r->ncovers);
	for (size_t i = 0; i < r->ncovers; i++) {
		buf_le64(b, r->covers[i].writer);
		buf_le64(b, r->covers[i].lo);
		buf_le64(b, r->covers[i].hi);
	}
	put_part(b, &r->blocks, base);
	put_pages(x, base, b);
	put_names(x, base, b);
}

static void put_trailer(const struct segment_part *root, uint64_t base, struct buf *b)
{
	size_t from = b->n;
	buf_le64(b, base + root->off);
	buf_le32(b, root->len);
	buf_le32(b, root->raw);
	buf_le64(b, root->sum);
	buf_le32(b, SEGMENT_VERSION);
	buf_le32(b, (uint32_t)str_hash(str_from(buf_view(b), from)));
	buf_add(b, segment_end_magic, 8);
}

bool segwrite_index_put(struct segwrite_index *x, const struct segwrite_root *r, uint64_t at, struct buf *out,
			struct err *e)
{
	struct buf raw = {0};
	struct segment_part root;
	put_root(x, r, at, &raw);
	bool ok = segwrite_index_part(x, buf_view(&raw), &root, e);
	buf_free(&raw);
	if (!ok) return false;
	buf_str(out, buf_view(&x->parts));
	put_trailer(&root, at, out);
	return true;
}
