/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/http/shares.h"

#include "common/buf.h"
#include "common/map.h"

#include <pthread.h>
#include <stdlib.h>

struct held {
	struct budget_share share; /* first: what is handed out */
	struct str tenant;         /* own copy */
	size_t refs;
};

struct shares {
	struct budget *budget;
	bool fair;
	pthread_mutex_t lock; /* guards what follows */
	struct map by_tenant;
};

struct shares *shares_new(struct budget *b, bool fair)
{
	struct shares *s = mem_zalloc(sizeof *s);
	s->budget = b;
	s->fair = fair;
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void shares_free(struct shares *s)
{
	if (!s) return;
	map_free(&s->by_tenant);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct budget_share *shares_get(struct shares *s, struct str tenant)
{
	if (!tenant.p) tenant = STR("");
	pthread_mutex_lock(&s->lock);
	struct held *h = map_get(&s->by_tenant, tenant);
	if (!h) {
		h = mem_zalloc(sizeof *h);
		*h = (struct held){.share = {.of = s->budget, .whole = !s->fair}, .tenant = mem_str(tenant)};
		map_put(&s->by_tenant, h->tenant, h);
	}
	h->refs++;
	pthread_mutex_unlock(&s->lock);
	return &h->share;
}

void shares_put(struct shares *s, struct budget_share *share)
{
	struct held *h = (struct held *)share;
	pthread_mutex_lock(&s->lock);
	bool last = --h->refs == 0;
	if (last) map_del(&s->by_tenant, h->tenant);
	pthread_mutex_unlock(&s->lock);
	if (!last) return;
	free((char *)h->tenant.p);
	free(h);
}
