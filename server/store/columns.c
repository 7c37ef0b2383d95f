/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/columns.h"

const int64_t *columns_ts(struct columns *c, uint32_t row, struct err *e)
{
	if (!c->times || row < c->times_first || row - c->times_first >= c->times->n) {
		segment_release(c->seg, c->times);
		c->times = segment_times(c->seg, c->blocks, segment_granule_of(c->blocks, row, &c->times_first), e);
		if (!c->times) return NULL;
	}
	return &c->times->v[row - c->times_first];
}

static bool lens_at(struct columns *c, uint32_t row, struct err *e)
{
	if (c->lens && row >= c->lens_first && row - c->lens_first < c->lens->n) return true;
	segment_release(c->seg, c->lens);
	c->lens = segment_lens(c->seg, c->blocks, segment_granule_of(c->blocks, row, &c->lens_first), e);
	return c->lens != NULL;
}

bool columns_len(struct columns *c, uint32_t row, uint32_t *len, struct err *e)
{
	if (!lens_at(c, row, e)) return false;
	*len = c->lens->len[row - c->lens_first];
	return true;
}

static bool lines_at(struct columns *c, uint32_t row, struct err *e)
{
	if (columns_has_line(c, row)) return true;
	segment_release(c->seg, c->lines);
	c->frame = segment_frame_of(c->blocks, row);
	const struct segment_frame *f = &c->blocks->frames[c->frame];
	c->lines_first = f->first_row;
	c->lines_end = f->first_row + f->rows;
	c->lines = segment_lines(c->seg, c->blocks, c->frame, e);
	return c->lines != NULL;
}

bool columns_line_in(struct columns *c, const struct segment_frame *f, struct str raw, uint32_t row, struct str *line,
		     struct err *e)
{
	if (!lens_at(c, row, e)) return false;
	uint64_t pos = c->lens->pos[row - c->lens_first];
	uint32_t len = c->lens->len[row - c->lens_first];
	if (pos < f->pos || pos - f->pos > raw.n || len > raw.n - (pos - f->pos))
		return err_set(e, ERR_CORRUPT, "segment %s: lengths and frame at offset %llu do not agree",
			       c->seg->name, (unsigned long long)f->part.off);
	*line = str_of(raw.p + (pos - f->pos), len);
	return true;
}

bool columns_line(struct columns *c, uint32_t row, struct str *line, struct err *e)
{
	return lines_at(c, row, e) &&
	       columns_line_in(c, &c->blocks->frames[c->frame], buf_view(&c->lines->raw), row, line, e);
}

const struct labels *columns_meta(struct columns *c, uint32_t row, struct err *e)
{
	if (!columns_has_meta(c, row)) {
		segment_release(c->seg, c->metas);
		c->metas_granule = segment_granule_of(c->blocks, row, &c->metas_first);
		c->metas = segment_metas(c->seg, c->blocks, c->metas_granule, e);
		if (!c->metas) return NULL;
	}
	return c->metas->v[row - c->metas_first];
}

void columns_release(struct columns *c)
{
	if (!c->seg) return;
	segment_release(c->seg, c->times);
	segment_release(c->seg, c->lens);
	segment_release(c->seg, c->lines);
	segment_release(c->seg, c->metas);
	c->times = NULL;
	c->lens = NULL;
	c->lines = NULL;
	c->metas = NULL;
}

bool segment_view_open(struct segment_view *v, const struct segment *s, struct err *e)
{
	*v = (struct segment_view){.seg = segment_new(s->objects, cache_new(0), str_c(s->name))};
	v->seg->size = s->size;
	v->root = segment_root(v->seg, e);
	v->blocks = v->root ? segment_blocks(v->seg, v->root, e) : NULL;
	return v->blocks != NULL;
}

bool segment_view_stream(struct segment_view *v, uint32_t i, struct segment_stream *st, struct err *e)
{
	if (!v->page || i < v->page->first || i - v->page->first >= v->page->n) {
		segment_release(v->seg, v->page);
		v->page = segment_page(v->seg, v->root, segment_page_of(v->root, i), e);
		if (!v->page) return false;
	}
	*st = segment_stream_get(v->page, i);
	return true;
}

void segment_view_close(struct segment_view *v)
{
	if (!v->seg) return;
	struct cache *cache = v->seg->cache;
	segment_release(v->seg, v->page);
	segment_release(v->seg, v->blocks);
	segment_release(v->seg, v->root);
	segment_unref(v->seg);
	cache_free(cache);
	*v = (struct segment_view){0};
}
