/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/fileset.h"

#include "agent/stats.h"
#include "common/log.h"

#include <unistd.h>

static void set_parked(struct fileset *s, struct item *it, bool parked)
{
	if (it->parked != parked) metrics_inc(s->env.metrics, STAT_FILES_PARKED, parked ? 1 : -1);
	it->parked = parked;
}

/* What cannot be opened again: whatever of it is unread is lost. */
static void give_up(struct fileset *s, struct item *it, const char *why)
{
	struct stat st;
	int64_t unread = it->drained ? 0 : -1; /* unknown */

	if (it->tail->fd >= 0 && fstat(it->tail->fd, &st) == 0) unread = st.st_size - it->tail->off;
	set_parked(s, it, false);
	item_idle(s, it);
	tail_close(it->tail);
	it->drained = it->nameless = true;
	if (unread == 0) return;
	metrics_inc(s->env.metrics, STAT_FILES_LOST, 1);
	log_error("a rotated file is given up before its end", kv_c("file", it->path),
		  kv_i("inode", (int64_t)it->tail->file->ino), kv_i("unread", unread), kv_c("reason", why),
		  kv_i("larch.max_rotated_files", s->env.conf->larch.max_rotated_files));
}

static bool park(struct fileset *s, struct item *it)
{
	int fd = fileset_find_inode(it);

	if (fd < 0) return false;
	close(fd);
	tail_close(it->tail);
	set_parked(s, it, true);
	return true;
}

bool item_unpark(struct fileset *s, struct item *it)
{
	int fd = fileset_find_inode(it);

	if (fd < 0) {
		give_up(s, it, "it was deleted while it waited for its turn");
		return false;
	}
	set_parked(s, it, false);
	tail_reopen(it->tail, fd);
	return true;
}

static bool is_open(const struct item *it) { return it->rotated && it->tail->fd >= 0; }

void fileset_bound(struct fileset *s)
{
	size_t open = 0, max = (size_t)s->env.conf->larch.max_rotated_files;
	struct item *it;

	TAILQ_FOREACH (it, &s->all, all) open += is_open(it);
	TAILQ_FOREACH_REVERSE(it, &s->all, items, all)
	if (open > max && is_open(it) && park(s, it)) open--;
	TAILQ_FOREACH (it, &s->all, all) {
		if (open <= max) break;
		if (!is_open(it)) continue;
		give_up(s, it, "it was deleted, and too many others wait");
		open--;
	}
	/* Those that were read to their end get a place to be watched from until nobody writes to them. */
	TAILQ_FOREACH (it, &s->all, all)
		if (open < max && it->parked && it->drained) open += item_unpark(s, it);
}
