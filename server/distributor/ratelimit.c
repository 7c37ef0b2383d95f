/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/distributor/ratelimit.h"

#include "common/buf.h"
#include "common/map.h"
#include "common/units.h"

#include <pthread.h>
#include <stdlib.h>

struct bucket {
	struct str key; /* own copy */
	double tokens, rate, burst;
	int64_t at; /* clock_mono when tokens was right */
};

struct ratelimit {
	struct clock *clock;
	pthread_mutex_t lock;
	struct map buckets;
	size_t sweep_at; /* number of buckets at which full ones are forgotten */
};

#define SWEEP_MIN 1024

struct ratelimit *ratelimit_new(struct clock *c)
{
	struct ratelimit *r = mem_zalloc(sizeof *r);
	r->clock = c;
	r->sweep_at = SWEEP_MIN;
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

static void bucket_free(struct bucket *b)
{
	free((char *)b->key.p);
	free(b);
}

void ratelimit_free(struct ratelimit *r)
{
	if (!r) return;
	for (struct map_slot *s = NULL; (s = map_next(&r->buckets, s));) bucket_free(s->val);
	map_free(&r->buckets);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static void refill(struct bucket *b, int64_t now)
{
	b->tokens += (double)(now - b->at) / UNITS_SEC * b->rate;
	if (b->tokens > b->burst) b->tokens = b->burst;
	b->at = now;
}

static void sweep(struct ratelimit *r, int64_t now)
{
	struct map kept = {0};
	for (struct map_slot *s = NULL; (s = map_next(&r->buckets, s));) {
		struct bucket *b = s->val;
		refill(b, now);
		if (b->tokens < b->burst)
			map_put(&kept, b->key, b);
		else
			bucket_free(b);
	}
	map_free(&r->buckets);
	r->buckets = kept;
	r->sweep_at = kept.n * 2 > SWEEP_MIN ? kept.n * 2 : SWEEP_MIN;
}

bool ratelimit_take(struct ratelimit *r, struct str key, double rate, double burst, double n)
{
	int64_t now = clock_mono(r->clock);
	pthread_mutex_lock(&r->lock);
	struct bucket *b = map_get(&r->buckets, key);
	if (!b) {
		if (r->buckets.n >= r->sweep_at) sweep(r, now);
		b = mem_zalloc(sizeof *b);
		*b = (struct bucket){.key = mem_str(key), .tokens = burst, .at = now};
		map_put(&r->buckets, b->key, b);
	}
	b->rate = rate;
	b->burst = burst;
	refill(b, now);
	bool ok = n <= b->tokens;
	if (ok) b->tokens -= n;
	pthread_mutex_unlock(&r->lock);
	return ok;
}
