/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/joins.h"

void join_free(struct streams *t, struct join *j)
{
	kept_free(j->entry);
	buf_free(&j->text);
	streams_remove(t, j);
}

void joins_fini(struct streams *t)
{
	for (struct join *j; (j = streams_oldest(t));) join_free(t, j);
	streams_fini(t);
}

void join_emit(struct join *j, struct batch *out)
{
	kept_emit(j->entry, out)->line = arena_str(out->arena, buf_view(&j->text));
}
