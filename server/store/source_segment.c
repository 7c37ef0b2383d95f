/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/dedup.h"
#include "server/store/source.h"

#include "common/buf.h"
#include "common/log.h"
#include "common/scan.h"

#include <stdlib.h>

/* ---- the index ---- */

static bool seg_load(struct source *src, struct err *e)
{
	struct segment_root *r = segment_root(src->seg, e);
	if (!r) return false;
	src->nstreams = r->nstreams;
	segment_release(src->seg, r);
	return true;
}

static bool seg_match(const struct source *src, const struct matcher *m, size_t n, uint64_t *bits, struct err *e)
{
	struct segment_root *r = segment_root(src->seg, e);
	bool ok = r && segment_match(src->seg, r, m, n, bits, e);
	segment_release(src->seg, r);
	return ok;
}

static struct source_stream stream_of(const struct segment_page *p, uint32_t i)
{
	struct segment_stream st = segment_stream_get(p, i);
	return (struct source_stream){i, st.first_row, st.rows, st.hash, st.bytes, st.min_ts, st.max_ts, p};
}

static struct labels seg_labels(const struct source_stream *st, struct arena *a)
{
	const struct segment_page *p = st->at;
	struct segment_stream s = segment_stream_get(p, st->i);
	struct labels l = {arena_alloc(a, (s.npairs + 1) * sizeof *l.v), s.npairs};
	segment_labels(p, &s, l.v);
	return l;
}

/* Streams of one page. */
static void each_of(const struct segment_page *p, const uint64_t *bits, int64_t from, int64_t to, source_each_fn *fn,
		    void *ud)
{
	struct source_stream v[256];
	size_t n = 0;
	for (uint32_t i = p->first; i < p->first + p->n; i++) {
		if (!(bits[i / 64] >> (i % 64) & 1)) continue;
		v[n] = stream_of(p, i);
		if (!source_stream_overlaps(&v[n], from, to) || ++n < 256) continue;
		fn(ud, v, n);
		n = 0;
	}
	if (n) fn(ud, v, n);
}

static bool any_of(const uint64_t *bits, uint64_t from, uint64_t to)
{
	for (; from < to && from % 64; from++)
		if (bits[from / 64] >> (from % 64) & 1) return true;
	for (; from < to; from += 64) {
		uint64_t word = bits[from / 64];
		if (to - from < 64) word &= (UINT64_C(1) << (to - from)) - 1;
		if (word) return true;
	}
	return false;
}

static bool seg_each(const struct source *src, const uint64_t *bits, int64_t from, int64_t to, source_each_fn *fn,
		     void *ud, struct err *e)
{
	struct segment_root *r = segment_root(src->seg, e);
	bool ok = r != NULL;
	for (uint32_t k = 0; ok && k < r->npages; k++) {
		const struct segment_page_ref *ref = &r->pages[k];
		uint64_t first = (uint64_t)k * r->page_streams, end = first + r->page_streams;
		if (ref->max_ts < from || ref->min_ts >= to) continue;
		if (!any_of(bits, first, end < r->nstreams ? end : r->nstreams)) continue;
		struct segment_page *p = segment_page(src->seg, r, k, e);
		if ((ok = p != NULL)) each_of(p, bits, from, to, fn, ud);
		segment_release(src->seg, p);
	}
	segment_release(src->seg, r);
	return ok;
}

static bool seg_get(const struct source *src, uint32_t i, struct source_stream *st, struct err *e)
{
	struct segment_root *r = segment_root(src->seg, e);
	struct segment_page *p = r ? segment_page(src->seg, r, segment_page_of(r, i), e) : NULL;
	if (p) *st = stream_of(p, i);
	segment_release(src->seg, p);
	segment_release(src->seg, r);
	return p != NULL;
}

static bool seg_find(const struct source *src, const struct reader_stream *rs, struct source_stream *st, struct err *e)
{
	struct segment_root *r = segment_root(src->seg, e);
	bool ok = r && segment_find(src->seg, r, &rs->labels, &st->i, e);
	segment_release(src->seg, r);
	return ok && (st->i == UINT32_MAX || seg_get(src, st->i, st, e));
}

static void seg_unload(struct source *src) { segment_unref(src->seg); }

/* ---- columns at a row; each keeps its part until a row outside it is asked for ---- */

/* An error is too large to be made anew for each row. */
static struct err *damage(struct scan *sc)
{
	sc->damage.code = ERR_NONE;
	return &sc->damage;
}

static const int64_t *times_at(struct scan *sc, struct cursor *c, uint32_t row)
{
	const int64_t *ts = columns_ts(&c->cols, row, damage(sc));
	if (!ts) scan_damaged(sc, &sc->damage);
	return ts;
}

static bool len_at(struct scan *sc, struct cursor *c, uint32_t row, uint32_t *len)
{
	bool ok = columns_len(&c->cols, row, len, damage(sc));
	if (!ok) scan_damaged(sc, &sc->damage);
	return ok;
}

/* A line within a frame's bytes. */
static bool line_in(struct scan *sc, struct cursor *c, const struct segment_frame *f, struct str raw, uint32_t row,
		    struct str *line)
{
	bool ok = columns_line_in(&c->cols, f, raw, row, line, damage(sc));
	if (!ok) scan_damaged(sc, &sc->damage);
	return ok;
}

static bool line_at(struct scan *sc, struct cursor *c, uint32_t row, struct str *line)
{
	bool had = columns_has_line(&c->cols, row), ok = columns_line(&c->cols, row, line, damage(sc));
	if (!had && c->cols.lines) sc->stats.compressed_bytes += c->blocks->frames[c->cols.frame].part.len;
	if (!ok) scan_damaged(sc, &sc->damage);
	return ok;
}

static const struct labels *meta_at(struct scan *sc, struct cursor *c, uint32_t row)
{
	bool had = columns_has_meta(&c->cols, row);
	const struct labels *m = columns_meta(&c->cols, row, damage(sc));
	if (!had && m) sc->stats.meta_bytes += c->cols.metas->item.bytes;
	if (!m) scan_damaged(sc, &sc->damage);
	return m;
}

/* ---- walking ---- */

/* First row of [lo, hi) whose timestamp is >= t, or hi. Where a granule cannot be read the answer errs to the side
 * that keeps more rows (`early`: rows from the answer on are kept) and every row is checked later. */
static uint32_t seek(struct scan *sc, struct cursor *c, uint32_t lo, uint32_t hi, int64_t t, bool early)
{
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const int64_t *ts = times_at(sc, c, mid);
		if (!ts) c->check = true;
		if (ts ? *ts >= t : early)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static void seg_start(struct scan *sc, struct cursor *c, const struct scan_part *p)
{
	const struct source_stream *st = &p->st;
	struct segment *seg = c->src->seg;
	struct err e = ERR_INIT;
	struct segment_root *r = segment_root(seg, &e);
	if (r) c->blocks = segment_blocks(seg, r, &e);
	segment_release(seg, r);
	if (!c->blocks) {
		scan_damaged(sc, &e);
		return;
	}
	c->cols = (struct columns){.seg = seg, .blocks = c->blocks};
	c->lo = st->first_row;
	c->hi = st->first_row + st->rows;
	if (st->min_ts < sc->o.from) c->lo = seek(sc, c, c->lo, c->hi, sc->o.from, true);
	if (st->max_ts >= sc->o.to) c->hi = seek(sc, c, c->lo, c->hi, sc->o.to, false);
	if (c->lo < c->hi)
		sc->stats.chunks += 1 + segment_block_of(c->blocks, c->hi - 1) - segment_block_of(c->blocks, c->lo);
}

/* Where the line decides and cannot be read, the row is as good as hidden. */
static bool is_hidden(struct scan *sc, struct cursor *c, uint32_t row, int64_t ts)
{
	enum mask_verdict v = mask_time(&c->mask, ts);
	const struct labels *meta = NULL;
	struct str line;
	if (v != MASK_BY_LINE) return v == MASK_HIDDEN;
	if (!line_at(sc, c, row, &line) || (c->mask.meta && !(meta = meta_at(sc, c, row)))) return true;
	return mask_hides(&c->mask, ts, line, meta);
}

static void add_row(struct scan *sc, struct cursor *c, uint32_t row, int64_t ts)
{
	if (c->check && (ts < sc->o.from || ts >= sc->o.to)) return;
	if (c->mask.n && is_hidden(sc, c, row, ts)) return;
	c->ts[c->n] = ts;
	c->ref[c->n++] = row;
}

/* The rows of the granule around a row that are still to be walked, at most `room` of them from the near end. */
static void granule_span(const struct scan *sc, const struct cursor *c, uint32_t row, uint32_t room, uint32_t *from,
			 uint32_t *to, uint32_t *first, uint32_t *end)
{
	const struct segment_block *b = &c->blocks->blocks[segment_block_of(c->blocks, row)];
	*first = b->first_row + (row - b->first_row) / SEGMENT_GRANULE * SEGMENT_GRANULE;
	*end = b->first_row + b->rows - *first > SEGMENT_GRANULE ? *first + SEGMENT_GRANULE : b->first_row + b->rows;
	*from = *first > c->lo ? *first : c->lo;
	*to = *end < c->hi ? *end : c->hi;
	if (*to - *from <= room) return;
	if (sc->o.forward)
		*to = *from + room;
	else
		*from = *to - room;
}

/* Rows of one granule at a time; those of a damaged one are lost. */
static void fill_plain(struct scan *sc, struct cursor *c)
{
	bool fwd = sc->o.forward;
	while (c->n < c->window && c->lo < c->hi) {
		if (c->mask.n && !scan_poll(sc)) return; /* a window may take long where nearly all is hidden */
		uint32_t from, to, first, end, row = fwd ? c->lo : c->hi - 1;
		granule_span(sc, c, row, c->window - c->n, &from, &to, &first, &end);
		const int64_t *ts = times_at(sc, c, from);
		if (!ts) {
			if (fwd)
				c->lo = end < c->hi ? end : c->hi;
			else
				c->hi = first > c->lo ? first : c->lo;
			continue;
		}
		sc->stats.segment_lines += to - from;
		for (uint32_t k = 0; k < to - from; k++) {
			uint32_t i = fwd ? k : to - from - 1 - k;
			add_row(sc, c, from + i, ts[i]);
		}
		if (fwd)
			c->lo = to;
		else
			c->hi = from;
	}
}

static void add_hit(struct cursor *c, uint32_t row)
{
	MEM_GROW(c->hits, c->nhits, c->cap_hits);
	c->hits[c->nhits++] = row;
}

static const char *find(const char *from, const char *end, struct str needle)
{
	ssize_t at = scan_find(str_of(from, (size_t)(end - from)), needle);
	return at < 0 ? NULL : from + at;
}

/* Streams share frames: one without the needle need not be expanded for the next. */
static uint64_t *barren(struct scan *sc, const struct cursor *c, uint32_t frame)
{
	uint64_t **bits = &sc->barren[c->src - sc->snap->src];
	if (!*bits) *bits = mem_zalloc((c->blocks->nframes / 64 + 1) * sizeof **bits);
	return &(*bits)[frame / 64];
}

static uint64_t barren_bit(uint32_t frame) { return UINT64_C(1) << (frame % 64); }

/* Rows [from, to) of a frame that pass. With a needle, lines are looked at only from one occurrence to the next;
 * an occurrence across the border of two lines is none. */
static void filter_rows(struct scan *sc, struct cursor *c, const struct segment_frame *f, struct str raw, uint32_t from,
			uint32_t to)
{
	struct str needle = linefilters_needle(sc->o.filters), line;
	const char *hit = raw.p, *end = raw.p + raw.n;
	if (needle.n && !(hit = find(hit, end, needle))) {
		uint32_t frame = (uint32_t)(f - c->blocks->frames);
		*barren(sc, c, frame) |= barren_bit(frame);
		return;
	}
	for (uint32_t row = from; row < to; row++) {
		if (!line_in(sc, c, f, raw, row, &line)) continue;
		if (needle.n) {
			if (hit < line.p) hit = find(line.p, end, needle);
			if (!hit) return;
			if ((size_t)(line.p + line.n - hit) < needle.n || hit > line.p + line.n) continue;
		}
		if (linefilters_match(sc->o.filters, line)) add_hit(c, row);
	}
}

/* Does the frame's filter say that no line passes? */
static bool filter_denies(struct scan *sc, const struct cursor *c, uint32_t frame)
{
	struct err e = ERR_INIT;
	if (!sc->needles || c->blocks->frames[frame].filter.len == 0) return false;
	struct segment_filter *f = segment_filter(c->src->seg, c->blocks, frame, &e);
	if (!f) { /* the lines are still there */
		log_error("a damaged filter of the store is not used", kv_err(&e));
		return false;
	}
	bool denies = !segment_filter_may(f, sc->needles);
	segment_release(c->src->seg, f);
	return denies;
}

/* The frame's lines: cached (*held), or in the scan's scratch, where the stream before may have left them. */
static bool frame_lines(struct scan *sc, const struct cursor *c, uint32_t frame, struct segment_lines **held)
{
	struct segment *seg = c->src->seg;
	struct err e = ERR_INIT;
	*held = NULL;
	if (sc->scratch_seg == seg && sc->scratch_frame == frame) return true;
	sc->scratch_seg = NULL;
	if (!segment_lines_scratch(seg, c->blocks, frame, &sc->scratch, held, &e)) {
		scan_damaged(sc, &e);
		return false;
	}
	if (*held) return true;
	sc->scratch_seg = seg;
	sc->scratch_frame = frame;
	sc->stats.compressed_bytes += c->blocks->frames[frame].part.len;
	return true;
}

/* Rows [from, to) of a frame that pass go to c->hits. */
static void look_at_frame(struct scan *sc, struct cursor *c, uint32_t frame, uint32_t from, uint32_t to)
{
	const struct segment_frame *f = &c->blocks->frames[frame];
	struct segment_lines *held;
	if (*barren(sc, c, frame) & barren_bit(frame)) return; /* a stream that shares the frame has looked */
	if (filter_denies(sc, c, frame)) {
		*barren(sc, c, frame) |= barren_bit(frame);
		return;
	}
	if (!frame_lines(sc, c, frame, &held)) return;
	filter_rows(sc, c, f, buf_view(held ? &held->raw : &sc->scratch), from, to);
	sc->stats.segment_lines += to - from;
	sc->stats.segment_bytes += f->part.raw;
	if (!held && c->nhits && (sc->o.want & SCAN_LINE || c->mask.n)) {
		held = segment_lines_adopt(c->src->seg, frame, &sc->scratch);
		sc->scratch_seg = NULL;
	}
	segment_release(c->src->seg, held);
}

/* Runs the filter over the next frame; leaves what passed in c->hits in walking order. */
static void filter_frame(struct scan *sc, struct cursor *c)
{
	uint32_t frame = segment_frame_of(c->blocks, sc->o.forward ? c->lo : c->hi - 1);
	const struct segment_frame *f = &c->blocks->frames[frame];
	uint32_t from = f->first_row > c->lo ? f->first_row : c->lo;
	uint32_t to = f->first_row + f->rows < c->hi ? f->first_row + f->rows : c->hi;
	c->nhits = c->hit = 0;
	look_at_frame(sc, c, frame, from, to);
	if (sc->o.forward) {
		c->lo = to;
		return;
	}
	c->hi = from;
	for (uint32_t i = 0; i < c->nhits / 2; i++) {
		uint32_t swap = c->hits[i];
		c->hits[i] = c->hits[c->nhits - 1 - i];
		c->hits[c->nhits - 1 - i] = swap;
	}
}

static void fill_filtered(struct scan *sc, struct cursor *c)
{
	bool eager = sc->o.order == SCAN_BY_TIME; /* other streams' rows may come before those of the next frame */
	for (;;) {
		while (c->hit < c->nhits && c->n < c->window) {
			uint32_t row = c->hits[c->hit++];
			const int64_t *ts = times_at(sc, c, row);
			if (ts) add_row(sc, c, row, *ts);
		}
		if (c->n == c->window || (eager && c->n)) return;
		if (c->lo >= c->hi || !scan_poll(sc)) return;
		filter_frame(sc, c);
	}
}

static void seg_fill(struct scan *sc, struct cursor *c)
{
	c->n = c->at = 0;
	if (sc->o.filters)
		fill_filtered(sc, c);
	else
		fill_plain(sc, c);
	if (scan_is_crowded(sc)) columns_release(&c->cols);
}

/* ---- fetching ---- */

/* The batch holds on to an item that its rows borrow from; false: it holds too many already. */
static bool pin(struct scan *sc, struct cursor *c, void **item)
{
	if (!*item) return true;
	if (sc->npins == SCAN_PINS) return false;
	sc->pins[sc->npins++] = (struct scan_pin){c->src->seg, *item};
	*item = NULL;
	return true;
}

/* Before a row that needs another frame or granule is read, the batch takes over the one its rows borrow from. */
static bool pin_before(struct scan *sc, struct cursor *c, uint32_t row)
{
	if (!(sc->o.want & (SCAN_LINE | SCAN_META))) return true;
	struct columns *k = &c->cols;
	if (!columns_has_line(k, row) && !pin(sc, c, (void **)&k->lines)) return false;
	return columns_has_meta(k, row) || pin(sc, c, (void **)&k->metas);
}

static bool fetch_row(struct scan *sc, struct cursor *c, size_t i, bool copy)
{
	uint32_t row = sc->ref[i];
	if (sc->o.want & SCAN_LEN && !len_at(sc, c, row, &sc->len[i])) return false;
	if (sc->o.want & SCAN_LINE) {
		if (!line_at(sc, c, row, &sc->line[i])) return false;
		if (copy) sc->line[i] = arena_str(&sc->batch, sc->line[i]);
		sc->stats.segment_bytes += sc->o.filters ? 0 : sc->line[i].n;
	}
	if (!(sc->o.want & SCAN_META)) return true;
	const struct labels *m = meta_at(sc, c, row);
	if (!m) return false;
	if (copy) {
		struct labels *own = arena_zalloc(&sc->batch, sizeof *own);
		if (m->n) *own = labels_copy(&sc->batch, m);
		m = own;
	}
	sc->meta[i] = m;
	return true;
}

/* One stream after the other, rows borrow from frames that the batch holds on to; in time order over many streams
 * a batch may touch a frame per row, so lines are copied and frames let go. */
static size_t seg_fetch(struct scan *sc, struct cursor *c, const uint16_t *at, size_t n)
{
	bool copy = sc->o.order == SCAN_BY_TIME;
	for (size_t k = 0; k < n; k++) {
		if (!copy && !pin_before(sc, c, sc->ref[at[k]])) return k;
		if (!sc->lost[at[k]] && !fetch_row(sc, c, at[k], copy)) sc->lost[at[k]] = true;
	}
	if (scan_is_crowded(sc)) columns_release(&c->cols);
	return n;
}

static bool seg_key(struct scan *sc, struct cursor *c, uint32_t ref, struct dedup_key *k)
{
	struct str line;
	const struct labels *m;
	if (!line_at(sc, c, ref, &line) || !(m = meta_at(sc, c, ref))) return false;
	*k = dedup_key(line, m);
	return true;
}

static void seg_stop(struct cursor *c)
{
	columns_release(&c->cols);
	segment_release(c->src->seg, c->blocks);
	free(c->hits);
}

const struct source_ops source_segment_ops = {
	.load = seg_load,
	.match = seg_match,
	.each = seg_each,
	.get = seg_get,
	.find = seg_find,
	.labels = seg_labels,
	.start = seg_start,
	.fill = seg_fill,
	.fetch = seg_fetch,
	.key = seg_key,
	.stop = seg_stop,
	.unload = seg_unload,
};
