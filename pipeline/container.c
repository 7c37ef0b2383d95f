/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/container.h"

#include "common/gotime.h"

void container_init(struct container *c)
{
	c->cache = label_edits_new();
	c->layout = gotime_layout_new(gotime_alias(STR("RFC3339Nano")));
}

void container_fini(struct container *c)
{
	label_edits_free(c->cache);
	gotime_layout_free(c->layout);
}

void container_begin(struct container *c) { label_edits_begin(c->cache); }

void container_apply(struct container *c, struct batch *b, struct entry *e, const struct container_line *l)
{
	struct label_edit edit = {.name = STR("stream"), .value = l->stream};
	struct err why = ERR_INIT;
	int64_t ts;
	label_edits_apply(c->cache, b, e, &edit, 1);
	if (gotime_parse(c->layout, NULL, l->time, &ts, &why)) e->ts = ts;
	e->line = l->text;
}
