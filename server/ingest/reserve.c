/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/ingest/reserve.h"

#include "common/log.h"
#include "common/units.h"

#define FRESH_NS    (200 * UNITS_MS)
#define DEFAULT_MAX (UINT64_C(1) << 30)

static uint64_t unflushed(const struct reserve *r) { return r->heads ? budget_used(r->heads) : 0; }

static uint64_t kept_of(const struct reserve *r, uint64_t total)
{
	uint64_t keep = r->bytes, by_share = 0;
	if (!keep) keep = total / 20 < DEFAULT_MAX ? total / 20 : DEFAULT_MAX;
	if (r->full_at > 0) by_share = (uint64_t)((double)total * (1 - r->full_at));
	return by_share > keep ? by_share : keep;
}

static void tell(const struct reserve *r, bool low)
{
	struct log_kv free = kv_i("free", (int64_t)r->avail), kept = kv_i("larch.disk_reserve", (int64_t)r->keep);
	if (low)
		log_error("the disk is nearly full; pushes are refused until there is space", kv_c("directory", r->dir),
			  free, kept);
	else
		log_info("the disk has space again; pushes are taken", kv_c("directory", r->dir), free, kept);
}

static void measure(struct reserve *r)
{
	struct fs_space s;
	struct err e = ERR_INIT;
	if (atomic_exchange(&r->busy, true)) return; /* whoever is at it will do */
	r->at = clock_mono(r->clock);
	bool asked = fs_space(r->fs, r->dir, &s, &e);
	if (!asked) log_warn("cannot ask how much space is free", kv_err(&e));
	r->keep = asked ? kept_of(r, s.total) : 0;
	r->avail = asked ? s.avail : UINT64_MAX;
	r->written = 0;
	uint64_t line = r->keep + unflushed(r) + (r->low ? r->keep / 8 : 0);
	bool low = r->avail < line;
	if (low != r->low) tell(r, low);
	r->low = low;
	r->busy = false;
}

static bool has_room(const struct reserve *r, uint64_t n)
{
	return !r->low && r->avail >= r->keep + unflushed(r) + r->written + n;
}

void reserve_init(struct reserve *r) { measure(r); }

bool reserve_allows(struct reserve *r, uint64_t n, struct err *e)
{
	if (clock_mono(r->clock) - r->at >= FRESH_NS || (!r->low && !has_room(r, n))) measure(r);
	if (has_room(r, n)) {
		r->written += n;
		return true;
	}
	r->refused++;
	return err_set(e, ERR_NO_SPACE,
		       "no space: the disk of %s has %llu bytes free, of which larch.disk_reserve keeps %llu for "
		       "flushing, retention and compaction, and entries not yet flushed may need %llu; nothing of this "
		       "push was stored, free space and send it again",
		       r->dir, (unsigned long long)r->avail, (unsigned long long)r->keep,
		       (unsigned long long)unflushed(r));
}

bool reserve_spares(struct reserve *r, uint64_t n, struct err *e)
{
	measure(r);
	if (r->avail >= r->keep / 2 + unflushed(r) + n) return true;
	return err_set(
		e, ERR_NO_SPACE,
		"no space to merge segments: the disk of %s has %llu bytes free, the merge needs %llu beside half "
		"of what larch.disk_reserve keeps (%llu)",
		r->dir, (unsigned long long)r->avail, (unsigned long long)n, (unsigned long long)r->keep);
}
