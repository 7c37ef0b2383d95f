/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hand-written decoder against the generated one: both take the same bytes and find the same in them.
 * What was decoded survives encoding. */
#include "proto/push.h"

#include "proto/push.pb-c.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok) abort();
}

/* The generated code ends its strings with a NUL, so one inside cuts them. */
static void check_text(struct str ours, const char *theirs)
{
	size_t n = strnlen(ours.p, ours.n);
	check(strlen(theirs) == n && memcmp(ours.p, theirs, n) == 0);
}

static int64_t reference_ns(const Logproto__Timestamp *t)
{
	__int128 ns = t ? (__int128)t->seconds * 1000000000 + t->nanos : 0;
	return ns > INT64_MAX ? INT64_MAX : ns < INT64_MIN ? INT64_MIN : (int64_t)ns;
}

static size_t check_entry(const struct push_entry *v, const Logproto__Entry *m)
{
	size_t bytes = v->line.n;
	int64_t want = reference_ns(m->timestamp);
	/* Next to an end of the range the seconds alone may overflow. */
	check(v->ts == want || want > INT64_MAX - 3000000000 || want < INT64_MIN + 3000000000);
	check(v->line.n == m->line.len && (!v->line.n || memcmp(v->line.p, m->line.data, v->line.n) == 0));
	check(v->meta.n == m->n_structured_metadata);
	for (size_t i = 0; i < v->meta.n; i++) {
		check_text(v->meta.v[i].name, m->structured_metadata[i]->name);
		check_text(v->meta.v[i].value, m->structured_metadata[i]->value);
		bytes += v->meta.v[i].name.n + v->meta.v[i].value.n;
	}
	return bytes;
}

static void check_same(const struct push *p, const Logproto__PushRequest *m)
{
	size_t entries = 0, bytes = 0;
	check(p->n == m->n_streams);
	for (size_t i = 0; i < p->n; i++) {
		const struct push_stream *s = &p->v[i];
		check_text(s->labels, m->streams[i]->labels);
		check(s->n == m->streams[i]->n_entries);
		for (size_t k = 0; k < s->n; k++) bytes += check_entry(&s->v[k], m->streams[i]->entries[k]);
		entries += s->n;
	}
	check(p->entries == entries && p->bytes == bytes);
}

static void check_encode(const struct push *p)
{
	struct arena a;
	struct buf once = {0}, twice = {0};
	struct push again;
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	push_encode(p, &once);
	check(push_decode(&a, buf_view(&once), &again, &e));
	check(again.n == p->n && again.entries == p->entries && again.bytes == p->bytes);
	push_encode(&again, &twice);
	check(str_eq(buf_view(&once), buf_view(&twice)));
	buf_free(&once);
	buf_free(&twice);
	arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a;
	struct push p;
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	bool ok = push_decode(&a, str_of((const char *)data, size), &p, &e);
	Logproto__PushRequest *m = logproto__push_request__unpack(NULL, size, data);
	check(ok == (m != NULL));
	if (ok) {
		check_same(&p, m);
		check_encode(&p);
		logproto__push_request__free_unpacked(m, NULL);
	} else {
		check(e.code == ERR_INVALID && e.off >= 0 && (size_t)e.off <= size);
	}
	arena_free(&a);
	return 0;
}
