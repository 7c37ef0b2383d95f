/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lines: uniq, top and sort, which look at all lines of an answer (docs/LOGQL-EXTENSIONS.md).
 *
 * Entries come in any order, from any thread under the caller's lock; the outcome does not depend on it. uniq and top
 * hold one entry per group, all charged to the query, whose memory limit bounds them; sort alone holds nothing: the
 * caller's heap keeps the first `limit` entries in the order that lines_order() gives. */
#ifndef LARCH_SERVER_EXEC_LINES_H
#define LARCH_SERVER_EXEC_LINES_H

#include "common/map.h"
#include "server/exec/kept.h"
#include "server/exec/plan.h"
#include "server/exec/query.h"

struct lines {
	struct query *q;
	const struct logql_stage *group, *sort; /* NULL: none */
	struct map groups;                      /* key → struct group */
	struct arena keys;
	struct buf key;
};

void lines_init(struct lines *l, struct query *q, const struct plan *p);
void lines_free(struct lines *l); /* and entries that lines_finish has not handed out */
/* Do all entries have to be seen before the first is known? */
static inline bool lines_wait(const struct lines *l) { return l->group || l->sort; }
/* Do entries leave in an order other than time? */
static inline bool lines_ordered(const struct lines *l)
{
	return l->sort || (l->group && l->group->kind == LOGQL_STAGE_TOP);
}
/* Takes an entry into its group; false: there are no groups and it is for the heap, ready to be compared. */
bool lines_take(struct lines *l, struct kept *k);
/* Hands the groups' entries over, each once. */
void lines_finish(struct lines *l, void (*fn)(void *ud, struct kept *k), void *ud);
/* Order of the answer: negative when a comes first. */
int lines_order(const struct lines *l, const struct kept *a, const struct kept *b);

#endif
