/* SPDX-License-Identifier: GPL-2.0-or-later */
/* paging: a long log query as several short ones.
 *
 * The API has no cursor: the next page starts at the last time of the page before, asks for as many lines more
 * as are known to stand there, and drops those. Whether two lines are the same one is told by labels and text;
 * lines that are equal in all are counted. Memory: what is known at one time. Progress is certain: a full page
 * holds at least `page` new lines. */
#ifndef LARCH_CLI_PAGING_H
#define LARCH_CLI_PAGING_H

#include "cli/result.h"

#define PAGING_PAGE 1000

struct paging {
	int64_t start, end; /* what is left, [start, end) */
	bool forward;
	uint64_t left;  /* lines still wanted; UINT64_MAX: all */
	uint64_t page;  /* new lines asked for at once; the caller may lower it */
	uint64_t asked; /* lines of the page under way, known ones included */
	bool done;
	bool more;       /* done by the limit, while the last page was full */
	int64_t last;    /* time of the last line given out */
	uint64_t *known; /* hashes of what was given out with that time */
	bool *met;       /* …and came again on the page under way */
	size_t nknown, known_cap, met_cap;
};

void paging_init(struct paging *p, int64_t start, int64_t end, bool forward, uint64_t limit); /* limit 0: all */
void paging_free(struct paging *p);
/* How many lines to ask for next between p->start and p->end. */
uint64_t paging_ask(struct paging *p);
/* Takes the sorted lines of an answer: moves the new ones to the front and returns how many there are. */
size_t paging_take(struct paging *p, struct result_entry *v, size_t n);

#endif
