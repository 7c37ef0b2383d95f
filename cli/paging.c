/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/paging.h"

#include "common/buf.h"

#include <stdlib.h>

void paging_init(struct paging *p, int64_t start, int64_t end, bool forward, uint64_t limit)
{
	*p = (struct paging){.start = start, .end = end, .forward = forward, .page = PAGING_PAGE};
	p->left = limit ? limit : UINT64_MAX;
}

void paging_free(struct paging *p)
{
	free(p->known);
	free(p->met);
}

uint64_t paging_ask(struct paging *p)
{
	p->asked = (p->left < p->page ? p->left : p->page) + p->nknown;
	return p->asked;
}

static uint64_t identity(const struct result_entry *entry)
{
	return labels_hash(entry->labels) * 31 + str_hash(entry->line);
}

/* True when the entry was given out before. An answer has them in the order of the one before, mostly, so the
 * search goes on from where the last one was found. */
static bool met_before(struct paging *p, const struct result_entry *entry, size_t *from)
{
	uint64_t id;

	if (entry->ts != p->last) return false;
	id = identity(entry);
	for (size_t k = 0; k < p->nknown; k++) {
		size_t i = (*from + k) % p->nknown;

		if (p->met[i] || p->known[i] != id) continue;
		p->met[i] = true;
		*from = i + 1;
		return true;
	}
	return false;
}

static void remember(struct paging *p, const struct result_entry *entry)
{
	if (entry->ts != p->last) p->nknown = 0;
	p->last = entry->ts;
	MEM_GROW(p->known, p->nknown, p->known_cap);
	MEM_GROW(p->met, p->nknown, p->met_cap);
	p->known[p->nknown++] = identity(entry);
}

size_t paging_take(struct paging *p, struct result_entry *v, size_t n)
{
	bool full = n >= p->asked;
	size_t fresh = 0, from = 0;

	for (size_t i = 0; i < p->nknown; i++) p->met[i] = false;
	for (size_t i = 0; i < n; i++)
		if (!met_before(p, &v[i], &from)) v[fresh++] = v[i];
	if (fresh > p->left) fresh = (size_t)p->left;
	for (size_t i = 0; i < fresh; i++) remember(p, &v[i]);
	if (p->left != UINT64_MAX) p->left -= fresh;
	p->more = full && p->left == 0;
	p->done = !full || p->left == 0 || fresh == 0;
	if (fresh && p->forward)
		p->start = p->last;
	else if (fresh && p->last < INT64_MAX)
		p->end = p->last + 1;
	return fresh;
}
