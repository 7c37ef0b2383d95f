/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/dedup.h"
#include "server/store/source.h"

#include <stdlib.h>

static bool head_load(struct source *src, struct err *e)
{
	(void)src, (void)e; /* the number of streams was captured with them */
	return true;
}

static struct source_stream stream_of(const struct source *src, uint32_t i)
{
	const struct head_view *v = &src->views[i];
	const struct head_stream *hs = head_stream(src->head, i);
	return (struct source_stream){.i = i,
				      .rows = (uint32_t)v->n,
				      .hash = hs->hash,
				      .bytes = v->bytes,
				      .min_ts = v->min_ts,
				      .max_ts = v->max_ts,
				      .at = hs};
}

static bool head_get(const struct source *src, uint32_t i, struct source_stream *st, struct err *e)
{
	(void)e;
	*st = stream_of(src, i);
	return true;
}

static struct labels head_labels(const struct source_stream *st, struct arena *a)
{
	(void)a;
	return ((const struct head_stream *)st->at)->labels;
}

static bool head_find(const struct source *src, const struct reader_stream *rs, struct source_stream *st, struct err *e)
{
	(void)e;
	st->i = UINT32_MAX;
	for (uint32_t i = 0; i < src->nstreams; i++) {
		const struct head_stream *hs = head_stream(src->head, i);
		if (hs->hash != rs->hash || !labels_eq(&hs->labels, &rs->labels)) continue;
		*st = stream_of(src, i);
		break;
	}
	return true;
}

static bool head_each(const struct source *src, const uint64_t *bits, int64_t from, int64_t to, source_each_fn *fn,
		      void *ud, struct err *e)
{
	struct source_stream v[256];
	size_t n = 0;
	(void)e;
	for (uint32_t i = 0; i < src->nstreams; i++) {
		if (!(bits[i / 64] >> (i % 64) & 1)) continue;
		v[n] = stream_of(src, i);
		if (!source_stream_overlaps(&v[n], from, to) || ++n < 256) continue;
		fn(ud, v, n);
		n = 0;
	}
	if (n) fn(ud, v, n);
	return true;
}

static bool matches(const struct labels *l, const struct matcher *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct str v = labels_get(l, m[i].name);
		if (!matcher_match(&m[i], v.p ? v : STR(""))) return false;
	}
	return true;
}

static bool head_match(const struct source *src, const struct matcher *m, size_t n, uint64_t *bits, struct err *e)
{
	(void)e;
	for (uint32_t i = 0; i < src->nstreams; i++) {
		if (matches(&head_stream(src->head, i)->labels, m, n)) bits[i / 64] |= UINT64_C(1) << (i % 64);
	}
	return true;
}

/* Of rows that are copies the first stays. */
static void drop_copies(struct scan *sc, struct cursor *c)
{
	struct head_rows *r = &c->rows;
	const struct head *h = c->src->head;
	size_t k = 0;
	for (size_t i = 0; i < r->n; i++) {
		bool prev = i > 0 && r->v[i - 1]->ts == r->v[i]->ts,
		     next = i + 1 < r->n && r->v[i + 1]->ts == r->v[i]->ts;
		if (!prev) dedup_clear(&sc->seen);
		if ((prev || next) &&
		    !dedup_add(&sc->seen, dedup_key(str_of(r->v[i]->line, r->v[i]->len), head_meta(h, r->v[i])))) {
			sc->stats.duplicates++;
			continue;
		}
		/* v[i - 1] is still needed for comparing timestamps; k <= i - 1 holds a row with a timestamp no later
		 */
		r->v[k++] = r->v[i];
	}
	r->n = k;
}

static void head_start(struct scan *sc, struct cursor *c, const struct scan_part *p)
{
	(void)p;
	const struct head_view *v = &c->src->views[c->stream];
	head_collect(head_stream(c->src->head, c->stream), v, sc->o.from, sc->o.to, &c->rows);
	drop_copies(sc, c);
	sc->stats.chunks++;
	sc->stats.head_lines += c->rows.n;
	for (size_t i = 0; i < c->rows.n; i++) sc->stats.head_bytes += c->rows.v[i]->len;
}

static bool is_hidden(const struct cursor *c, const struct head_row *r)
{
	enum mask_verdict v = mask_time(&c->mask, r->ts);
	if (v != MASK_BY_LINE) return v == MASK_HIDDEN;
	return mask_hides(&c->mask, r->ts, str_of(r->line, r->len), head_meta(c->src->head, r));
}

static void head_fill(struct scan *sc, struct cursor *c)
{
	c->n = c->at = 0;
	while (c->pos < c->rows.n && c->n < c->window) {
		size_t i = sc->o.forward ? c->pos : c->rows.n - 1 - c->pos;
		const struct head_row *r = c->rows.v[i];
		if (c->pos++ % 4096 == 4095 && !scan_poll(sc)) return;
		if (sc->o.filters && !linefilters_match(sc->o.filters, str_of(r->line, r->len))) continue;
		if (c->mask.n && is_hidden(c, r)) continue;
		c->ts[c->n] = r->ts;
		c->ref[c->n++] = (uint32_t)i;
	}
}

/* All of it lives as long as the snapshot. */
static size_t head_fetch(struct scan *sc, struct cursor *c, const uint16_t *at, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		size_t i = at[k];
		const struct head_row *r = c->rows.v[sc->ref[i]];
		sc->line[i] = str_of(r->line, r->len);
		sc->len[i] = r->len;
		sc->meta[i] = head_meta(c->src->head, r);
	}
	return n;
}

static bool head_key(struct scan *sc, struct cursor *c, uint32_t ref, struct dedup_key *k)
{
	const struct head_row *r = c->rows.v[ref];
	(void)sc;
	*k = dedup_key(str_of(r->line, r->len), head_meta(c->src->head, r));
	return true;
}

static void head_stop(struct cursor *c) { free(c->rows.v); }

static void head_unload(struct source *src)
{
	head_unref(src->head);
	free(src->views);
}

const struct source_ops source_head_ops = {
	.load = head_load,
	.match = head_match,
	.each = head_each,
	.get = head_get,
	.find = head_find,
	.labels = head_labels,
	.start = head_start,
	.fill = head_fill,
	.fetch = head_fetch,
	.key = head_key,
	.stop = head_stop,
	.unload = head_unload,
};
