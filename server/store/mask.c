/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/mask.h"

#include <stdlib.h>

struct mask *mask_new(struct deletes *d, uint64_t floor, uint64_t upto, int64_t min_ts, int64_t max_ts)
{
	struct mask *m = NULL;
	for (size_t i = d->n; i-- > 0 && d->v[i].r->number > floor;) {
		struct delete_request *r = d->v[i].r;
		if (d->v[i].state == DELETE_CANCELLED || r->number > upto || r->from > max_ts || r->to < min_ts)
			continue;
		const struct delete_query *q = deletes_query(d, r);
		if (!q) continue;
		if (!m) {
			m = mem_alloc(sizeof *m + (i + 1) * sizeof m->v[0]);
			*m = (struct mask){.set = deletes_ref(d)};
		}
		m->v[m->n++] = (struct mask_item){q, r->from, r->to};
	}
	return m;
}

void mask_free(struct mask *m)
{
	if (!m) return;
	deletes_unref(m->set);
	free(m);
}

static bool by_time_alone(const struct delete_query *q) { return !q->filters && !q->stages; }

void mask_stream_init(struct mask_stream *s, const struct mask *m, const struct labels *l, int64_t min_ts,
		      int64_t max_ts)
{
	*s = (struct mask_stream){0};
	for (size_t i = 0; m && i < m->n; i++) {
		const struct mask_item *it = &m->v[i];
		if (it->from > max_ts || it->to < min_ts || !selector_match(it->query->selector, l)) continue;
		if (!s->v) {
			s->lang = m->set->lang;
			s->v = mem_alloc((m->n - i) * sizeof *s->v);
		}
		struct mask_rule *r = &s->v[s->n++];
		*r = (struct mask_rule){.item = *it};
		if (it->query->stages) {
			r->run = s->lang->start(it->query, l);
			s->meta = true;
		}
		if (by_time_alone(it->query) && it->from <= min_ts && it->to >= max_ts) s->all = true;
	}
}

void mask_stream_fini(struct mask_stream *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].run) s->lang->stop(s->v[i].run);
	}
	free(s->v);
	*s = (struct mask_stream){0};
}

enum mask_verdict mask_time(const struct mask_stream *s, int64_t ts)
{
	enum mask_verdict v = MASK_SHOWN;
	for (size_t i = 0; i < s->n; i++) {
		const struct mask_item *it = &s->v[i].item;
		if (ts < it->from || ts > it->to) continue;
		if (by_time_alone(it->query)) return MASK_HIDDEN;
		v = MASK_BY_LINE;
	}
	return v;
}

bool mask_hides(const struct mask_stream *s, int64_t ts, struct str line, const struct labels *meta)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct mask_rule *r = &s->v[i];
		if (ts < r->item.from || ts > r->item.to) continue;
		if (r->item.query->filters && !linefilters_match(r->item.query->filters, line)) continue;
		if (!r->run || s->lang->passes(r->run, ts, line, meta)) return true;
	}
	return false;
}
