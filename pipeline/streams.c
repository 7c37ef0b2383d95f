/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/streams.h"

#include <stdlib.h>

void streams_init(struct streams *t, size_t size, size_t max)
{
	*t = (struct streams){.size = size, .max = max};
	t->ring.newer = t->ring.older = &t->ring;
}

void streams_fini(struct streams *t)
{
	for (struct stream *s = t->ring.newer, *next; s != &t->ring; s = next) {
		next = s->newer;
		free(s);
	}
	map_free(&t->map);
	buf_free(&t->key);
}

void streams_begin(struct streams *t)
{
	t->v = NULL;
	t->last = NULL;
}

static void unlink_stream(struct stream *s)
{
	s->older->newer = s->newer;
	s->newer->older = s->older;
}

static void link_newest(struct streams *t, struct stream *s)
{
	s->newer = &t->ring;
	s->older = t->ring.older;
	s->older->newer = t->ring.older = s;
}

static void *found(struct streams *t, const struct labels *l, struct stream *s)
{
	t->v = l->v;
	t->n = l->n;
	t->last = s;
	return s;
}

static struct str key_of(struct streams *t, const struct labels *l)
{
	buf_clear(&t->key);
	for (size_t i = 0; i < l->n; i++) {
		buf_lpstr(&t->key, l->v[i].name);
		buf_lpstr(&t->key, l->v[i].value);
	}
	return buf_view(&t->key);
}

void *streams_find(struct streams *t, const struct labels *l)
{
	if (t->last && t->v == l->v && t->n == l->n) return t->last;
	struct stream *s = map_get(&t->map, key_of(t, l));
	if (!s) return NULL;
	unlink_stream(s);
	link_newest(t, s);
	return found(t, l, s);
}

void *streams_add(struct streams *t, const struct labels *l)
{
	struct str key = key_of(t, l);
	struct stream *s = mem_zalloc(t->size + key.n);
	s->key = str_of((char *)s + t->size, key.n);
	if (key.n) memcpy((char *)s + t->size, key.p, key.n);
	map_put(&t->map, s->key, s);
	link_newest(t, s);
	return found(t, l, s);
}

void *streams_oldest(const struct streams *t) { return t->ring.newer == &t->ring ? NULL : t->ring.newer; }

void *streams_newer(const struct streams *t, const void *s)
{
	struct stream *next = ((const struct stream *)s)->newer;
	return next == &t->ring ? NULL : next;
}

void streams_remove(struct streams *t, void *p)
{
	struct stream *s = p;
	if (t->last == s) streams_begin(t);
	map_del(&t->map, s->key);
	unlink_stream(s);
	free(s);
}
