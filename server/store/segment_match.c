/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which streams of a segment match? Label matchers over its postings, and one stream by its labels (segment.h). */
#include "server/store/segment_impl.h"

#include <stdlib.h>

struct postings {
	struct cache_item item;
	struct buf raw;
};

static void postings_free(struct cache_item *it)
{
	buf_free(&((struct postings *)it)->raw);
	free(it);
}

static struct postings *postings(struct segment *s, const struct segment_name *name, uint32_t page, struct err *e)
{
	uint32_t number = name->first_page + page;
	struct postings *p = segment_cached(s, SEGMENT_KIND_POSTINGS, number);
	if (p) return p;
	p = mem_zalloc(sizeof *p);
	if (segment_part_expand(s, &name->pages[page].part, "postings", &p->raw, e))
		return segment_keep(s, SEGMENT_KIND_POSTINGS, number, &p->item, sizeof *p + p->raw.cap, postings_free);
	postings_free(&p->item);
	return NULL;
}

static void set_bits(uint64_t *bits, uint64_t from, uint64_t n)
{
	for (; n && from % 64; from++, n--) bits[from / 64] |= UINT64_C(1) << (from % 64);
	for (; n >= 64; from += 64, n -= 64) bits[from / 64] = UINT64_MAX;
	if (n) bits[from / 64] |= (UINT64_C(1) << n) - 1;
}

/* The next run of neighbours among a value's streams, from *at on. */
static bool read_run(struct str *in, uint32_t nstreams, uint64_t *at, uint64_t *n)
{
	uint64_t gap, more = 0;
	if (!rd_varint(in, &gap)) return false;
	if (gap & 1 && (!rd_varint(in, &more) || more > nstreams)) return false;
	*n = gap & 1 ? more + 2 : 1;
	return gap / 2 <= nstreams && (*at += gap / 2) + *n <= nstreams;
}

static bool match_page(struct segment_matching *w, struct str in)
{
	uint64_t n;
	struct str value, streams;
	if (!rd_varint(&in, &n)) return false;
	for (uint64_t i = 0; i < n; i++) {
		if (!rd_lpstr(&in, &value) || !rd_lpstr(&in, &streams)) return false;
		bool ok = matcher_match(w->m, value);
		if (!ok && !w->have) continue;
		for (uint64_t at = 0, run; streams.n; at += run) {
			if (!read_run(&streams, w->nstreams, &at, &run)) return false;
			if (ok) set_bits(w->pass, at, run);
			if (w->have) set_bits(w->have, at, run);
		}
	}
	return in.n == 0;
}

/* The last page whose first value is not above the one looked for. */
static uint32_t page_of_value(const struct segment_name *name, struct str value)
{
	uint32_t lo = 0, hi = name->npages;
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (str_cmp(name->pages[mid].first, value) <= 0)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static const struct segment_name *find_name(const struct segment_root *r, struct str name)
{
	uint32_t lo = 0, hi = r->nnames;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = str_cmp(r->names[mid].name, name);
		if (c == 0) return &r->names[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static bool match_name(struct segment *s, const struct segment_root *r, struct segment_matching *w, struct err *e)
{
	const struct segment_name *name = find_name(r, w->m->name);
	if (!name) return true;
	uint32_t from = 0, to = name->npages;
	if (w->m->op == MATCH_EQ && !w->have) {
		from = page_of_value(name, w->m->value);
		to = from + 1;
	}
	for (uint32_t i = from; i < to; i++) {
		struct postings *p = postings(s, name, i, e);
		if (!p) return false;
		bool ok =
			match_page(w, buf_view(&p->raw)) || segment_corrupt(s, name->pages[i].part.off, "postings", e);
		segment_release(s, p);
		if (!ok) return false;
	}
	return true;
}

static bool any(const uint64_t *bits, size_t words)
{
	for (size_t w = 0; w < words; w++)
		if (bits[w]) return true;
	return false;
}

bool segment_match(struct segment *s, const struct segment_root *r, const struct matcher *m, size_t n, uint64_t *bits,
		   struct err *e)
{
	size_t words = ((size_t)r->nstreams + 63) / 64;
	uint64_t *pass = mem_alloc((2 * words + 1) * sizeof *pass), *have = pass + words;
	bool ok = true;
	set_bits(bits, 0, r->nstreams);
	for (size_t i = 0; i < n && ok && any(bits, words); i++) {
		bool empty = matcher_match(&m[i], STR("")); /* a stream without the name has "" */
		struct segment_matching w = {&m[i], r->nstreams, pass, empty || r->version == 1 ? have : NULL};
		memset(pass, 0, 2 * words * sizeof *pass);
		ok = r->version == 1 ? segment_v1_match(s, r, &w, e) : match_name(s, r, &w, e);
		for (size_t k = 0; k < words; k++) bits[k] &= pass[k] | (empty ? ~have[k] : 0);
	}
	free(pass);
	return ok;
}

static bool each_value(struct str in, uint32_t nstreams, segment_values_fn *fn, void *ud)
{
	uint64_t n;
	struct str value, streams;
	if (!rd_varint(&in, &n)) return false;
	for (uint64_t i = 0; i < n; i++) {
		if (!rd_lpstr(&in, &value) || !rd_lpstr(&in, &streams)) return false;
		for (uint64_t at = 0, run; streams.n; at += run) {
			if (!read_run(&streams, nstreams, &at, &run)) return false;
			fn(ud, value, (uint32_t)at, (uint32_t)run);
		}
	}
	return in.n == 0;
}

bool segment_values(struct segment *s, const struct segment_root *r, uint32_t name, segment_values_fn *fn, void *ud,
		    struct err *e)
{
	const struct segment_name *m = &r->names[name];
	for (uint32_t i = 0; i < m->npages; i++) {
		struct postings *p = postings(s, m, i, e);
		if (!p) return false;
		bool ok = each_value(buf_view(&p->raw), r->nstreams, fn, ud) ||
			  segment_corrupt(s, m->pages[i].part.off, "postings", e);
		segment_release(s, p);
		if (!ok) return false;
	}
	return true;
}

/* ---- one stream ---- */

static int compare(const struct segment_page *p, uint32_t i, const struct labels *labels, struct arena *a)
{
	struct segment_stream st = segment_stream_get(p, i);
	struct labels l = {arena_alloc(a, (st.npairs + 1) * sizeof *l.v), st.npairs};
	segment_labels(p, &st, l.v);
	return labels_cmp(&l, labels);
}

static uint32_t find_in_page(const struct segment_page *p, const struct labels *labels)
{
	struct arena a;
	uint32_t lo = p->first, hi = p->first + p->n, found = UINT32_MAX;
	arena_init(&a, 0);
	while (lo < hi && found == UINT32_MAX) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = compare(p, mid, labels, &a);
		if (c == 0)
			found = mid;
		else if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
		arena_reset(&a);
	}
	arena_free(&a);
	return found;
}

bool segment_find(struct segment *s, const struct segment_root *r, const struct labels *labels, uint32_t *stream,
		  struct err *e)
{
	uint32_t lo = 0, hi = r->npages;
	*stream = UINT32_MAX;
	if (hi == 0) return true;
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (labels_cmp(&r->pages[mid].first, labels) <= 0)
			lo = mid;
		else
			hi = mid;
	}
	struct segment_page *p = segment_page(s, r, lo, e);
	if (!p) return false;
	*stream = find_in_page(p, labels);
	segment_release(s, p);
	return true;
}
