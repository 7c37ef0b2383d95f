/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/objects.h"

#include "common/log.h"
#include "server/store/object_cache.h"
#include "server/store/object_s3.h"

#include <stdio.h>

#define CACHED "/segments/" /* catalogs are read once, so only these are worth keeping */

static void observe(void *ud, const char *op, int status, int64_t ns)
{
	struct objects *o = ud;
	char name[64], code[16];
	snprintf(name, sizeof name, "S3.%s", op);
	snprintf(code, sizeof code, "%d", status);
	struct str values[] = {str_c(name), str_c(code)};
	metrics_observe(metrics_get(o->metrics, METRIC_S3_SECONDS, values), (double)ns / 1e9);
}

static struct object_store *open_bucket(struct objects *o, const struct config *c, const char *spool, struct err *e)
{
	struct object_s3_config b = c->storage.bucket;
	b.s3.clock = &clock_real;
	b.s3.observe = observe;
	b.s3.observe_ud = o;
	b.fs = &fs_real;
	b.spool_dir = spool;
	b.multipart_bytes = c->larch.multipart_bytes;
	b.single_writer = c->larch.single_writer;
	return o->bucket = object_s3_open(&b, e);
}

bool objects_check(void *ud, struct err *e)
{
	struct objects *o = ud;
	return !o->bucket || object_s3_check(o->bucket, e);
}

static bool open_remote(struct objects *o, const struct config *c, struct err *e)
{
	struct buf dir = {0};
	if (c->larch.object_cache_dir.n)
		buf_str(&dir, c->larch.object_cache_dir);
	else
		buf_printf(&dir, "%s/cache", c->data_dir);
	o->store = open_bucket(o, c, buf_cstr(&dir), e);
	if (o->store && c->larch.object_cache_bytes) {
		struct object_cache_config cc = {.under = o->store,
						 .fs = &fs_real,
						 .dir = dir.p,
						 .max_bytes = c->larch.object_cache_bytes,
						 .only = CACHED};
		o->cache = o->store = object_cache_open(&cc, e);
	}
	buf_free(&dir);
	if (!o->store) return false;
	const struct s3_config *b = &c->storage.bucket.s3;
	log_info("objects are kept in a bucket", kv_c("bucket", b->bucket), kv_c("prefix", b->prefix),
		 kv_c("endpoint", b->endpoint ? b->endpoint : "AWS"), kv_c("region", b->region));
	o->remote = o->shared = true;
	return true;
}

bool objects_open(struct objects *o, const struct config *c, struct metrics *m, struct err *e)
{
	*o = (struct objects){.metrics = m};
	if (c->storage.in_bucket) return open_remote(o, c, e);
	if (!c->larch.store_dir.n) return true;
	struct buf dir = {0};
	buf_str(&dir, c->larch.store_dir);
	o->shared = true;
	o->store = object_fs_open(&fs_real, buf_cstr(&dir), true, e);
	buf_free(&dir);
	return o->store != NULL;
}

void objects_figures(const struct objects *o)
{
	if (!o->cache) return;
	struct object_cache_figures f;
	object_cache_figures(o->cache, &f);
	metrics_put(o->metrics, METRIC_OBJECT_CACHE_HITS, (double)f.hits);
	metrics_put(o->metrics, METRIC_OBJECT_CACHE_MISSES, (double)f.misses);
	metrics_put(o->metrics, METRIC_OBJECT_CACHE_FETCHED, (double)f.fetched);
	metrics_put(o->metrics, METRIC_OBJECT_CACHE_BYTES, (double)f.bytes);
}
