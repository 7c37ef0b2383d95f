/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/overrides.h"

#include "common/map.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#define FILE_MAX (16u << 20) /* bytes of one file */

struct set;

struct held {
	struct limits limits;
	struct set *set;
};

struct set {
	_Atomic size_t refs;
	struct held global;
	struct map by_tenant; /* name -> struct held */
	struct arena arena;   /* the tenants' */
};

struct overrides {
	const struct limits *global;
	struct conf_strs files;
	struct fs *fs;
	uint64_t sum; /* of the files' bytes as read last */
	pthread_mutex_t lock;
	struct set *set; /* guarded by lock */
};

/* A file: the tenants' blocks are decoded over what they already have. */
struct runtime_file {
	struct yaml *overrides;
};

static const struct conf_field file_fields[] = {
	{.key = "overrides",
	 .kind = CONF_NODE,
	 .off = offsetof(struct runtime_file, overrides),
	 .doc = "Limits by tenant."},
	{.key = "configs", .kind = CONF_IGNORED, .doc = "Means nothing here."},
	{.key = "multi_kv_config", .kind = CONF_IGNORED, .doc = "Means nothing here."},
	{0},
};
static const struct conf_table file_table = {"runtime_config", sizeof(struct runtime_file), file_fields};

static struct set *set_new(const struct limits *global)
{
	struct set *s = mem_zalloc(sizeof *s);
	s->refs = 1;
	s->global = (struct held){*global, s};
	arena_init(&s->arena, 0);
	return s;
}

static void set_unref(struct set *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1) return;
	map_free(&s->by_tenant);
	arena_free(&s->arena);
	free(s);
}

static struct held *set_tenant(struct set *s, struct str name)
{
	struct held *h = map_get(&s->by_tenant, name);
	if (h) return h;
	h = arena_alloc(&s->arena, sizeof *h);
	*h = s->global;
	map_put(&s->by_tenant, name, h);
	return h;
}

static bool decode_tenants(struct set *s, const struct yaml *all, const char *file, struct err *e)
{
	struct conf_ctx ctx = {.arena = &s->arena, .file = file};
	if (!yaml_is_null(all) && all->kind != YAML_MAP)
		return err_set(e, ERR_INVALID, "%s:%d:%d: overrides: want a mapping from tenants to limits, have %s",
			       file, all->line, all->col, yaml_kind_name(all));
	for (size_t i = 0; all && i < all->n; i++) {
		struct held *h = set_tenant(s, all->pairs[i].key->text);
		if (!conf_decode(&limits_table, all->pairs[i].val, &h->limits, &ctx, e)) return false;
	}
	return true;
}

static bool decode_file(struct set *s, struct str bytes, const char *file, struct err *e)
{
	struct runtime_file f = {0};
	struct conf_ctx ctx = {.arena = &s->arena, .file = file};
	struct yaml *root = yaml_parse(&s->arena, arena_str(&s->arena, bytes), e);
	if (!root) return err_wrap(e, "%s:%d:%d", file, e->line, e->col);
	return conf_decode(&file_table, root, &f, &ctx, e) && decode_tenants(s, f.overrides, file, e);
}

static struct set *read_files(const struct overrides *o, uint64_t *sum, struct err *e)
{
	struct set *s = set_new(o->global);
	struct buf bytes = {0};
	bool ok = true;
	*sum = o->files.n;
	for (size_t i = 0; ok && i < o->files.n; i++) {
		const char *file = arena_cstr(&s->arena, o->files.v[i]);
		buf_clear(&bytes);
		ok = fs_read_file(o->fs, file, FILE_MAX, &bytes, e) && decode_file(s, buf_view(&bytes), file, e);
		*sum = *sum * 31 + str_hash(buf_view(&bytes));
	}
	buf_free(&bytes);
	if (ok) return s;
	err_wrap(e, "runtime_config");
	set_unref(s);
	return NULL;
}

struct overrides *overrides_new(const struct limits *global, struct conf_strs files, struct fs *fs, struct err *e)
{
	struct overrides *o = mem_zalloc(sizeof *o);
	*o = (struct overrides){.global = global, .files = files, .fs = fs};
	pthread_mutex_init(&o->lock, NULL);
	o->set = read_files(o, &o->sum, e);
	if (o->set) return o;
	overrides_free(o);
	return NULL;
}

void overrides_free(struct overrides *o)
{
	if (!o) return;
	set_unref(o->set);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

const struct limits *overrides_get(struct overrides *o, struct str tenant)
{
	pthread_mutex_lock(&o->lock);
	struct held *h = map_get(&o->set->by_tenant, tenant);
	if (!h) h = &o->set->global;
	atomic_fetch_add(&h->set->refs, 1);
	pthread_mutex_unlock(&o->lock);
	return &h->limits;
}

void overrides_put(const struct limits *l)
{
	if (l) set_unref(((const struct held *)l)->set);
}

bool overrides_reload(struct overrides *o, bool *changed, struct err *e)
{
	uint64_t sum;
	struct set *fresh = read_files(o, &sum, e), *gone = fresh;
	*changed = fresh && sum != o->sum;
	if (*changed) {
		o->sum = sum;
		pthread_mutex_lock(&o->lock);
		gone = o->set;
		o->set = fresh;
		pthread_mutex_unlock(&o->lock);
	}
	set_unref(gone);
	return fresh != NULL;
}
