/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/acks.h"

#include "common/buf.h"

#include <stdlib.h>

/* How often each client still has to report a row. */
struct share {
	uint64_t row; /* its bytes are the map's key */
	size_t left[];
};

void acks_init(struct acks *a, size_t nclients)
{
	*a = (struct acks){.nclients = nclients, .v = mem_zalloc((nclients ? nclients : 1) * sizeof *a->v)};
}

void acks_fini(struct acks *a)
{
	for (size_t i = 0; i < a->nclients; i++) free(a->v[i].bits);
	free(a->v);
	for (struct map_slot *s = NULL; (s = map_next(&a->shares, s));) free(s->val);
	map_free(&a->shares);
	*a = (struct acks){0};
}

static uint64_t *word_of(const struct acks_client *c, uint64_t row) { return &c->bits[(row / 64) & (c->words - 1)]; }
static bool is_set(const struct acks_client *c, uint64_t row) { return *word_of(c, row) >> (row % 64) & 1; }

/* Makes the ring wide enough for rows [prefix, to). */
static void widen(struct acks_client *c, uint64_t to)
{
	size_t need = (size_t)(to / 64 - c->prefix / 64) + 1, words = c->words ? c->words : 4;

	while (words < need) words *= 2;
	if (words == c->words) return;
	struct acks_client wide = {.prefix = c->prefix, .bits = mem_zalloc(words * sizeof *wide.bits), .words = words};
	uint64_t first = c->prefix / 64;
	for (size_t i = 0; i < c->words; i++) *word_of(&wide, (first + i) * 64) = *word_of(c, (first + i) * 64);
	free(c->bits);
	*c = wide;
}

static void take_prefix(struct acks_client *c, uint64_t to)
{
	c->prefix = to;
	while (c->words && is_set(c, c->prefix)) {
		*word_of(c, c->prefix) &= ~(UINT64_C(1) << (c->prefix % 64));
		c->prefix++;
	}
}

static struct str row_key(const uint64_t *row) { return str_of((const char *)row, sizeof *row); }

void acks_share(struct acks *a, uint64_t row, size_t more)
{
	struct share *s = map_get(&a->shares, row_key(&row));

	if (!s) {
		s = mem_alloc(sizeof *s + a->nclients * sizeof *s->left);
		s->row = row;
		for (size_t i = 0; i < a->nclients; i++) s->left[i] = 1;
		map_put(&a->shares, row_key(&s->row), s);
	}
	for (size_t i = 0; i < a->nclients; i++) s->left[i] += more;
}

/* The client has reported the row once. False: it has to do so again. */
static bool take_share(struct acks *a, size_t client, uint64_t row)
{
	struct share *s = map_get(&a->shares, row_key(&row));
	size_t owed = 0;

	if (!s) return true;
	if (s->left[client] && --s->left[client]) return false;
	for (size_t i = 0; i < a->nclients; i++) owed += s->left[i];
	if (owed) return true;
	map_del(&a->shares, row_key(&row));
	free(s);
	return true;
}

static void done(struct acks_client *c, uint64_t from, uint64_t to)
{
	if (from < c->prefix) from = c->prefix;
	if (from >= to) return;
	if (from > c->prefix) {
		widen(c, to);
		for (uint64_t r = from; r < to; r++) *word_of(c, r) |= UINT64_C(1) << (r % 64);
		return;
	}
	/* Bits inside the range would stay behind the prefix: clear them as it passes. */
	if (c->words) {
		uint64_t end = c->prefix - c->prefix % 64 + c->words * UINT64_C(64);
		for (uint64_t r = from; r < to && r < end; r++) *word_of(c, r) &= ~(UINT64_C(1) << (r % 64));
	}
	take_prefix(c, to);
}

void acks_done(struct acks *a, size_t client, uint64_t from, uint64_t to)
{
	if (!a->shares.n) {
		done(&a->v[client], from, to);
		return;
	}
	for (uint64_t r = from; r < to; r++)
		if (take_share(a, client, r)) done(&a->v[client], r, r + 1);
}

void acks_done_all(struct acks *a, uint64_t from, uint64_t to)
{
	for (size_t i = 0; i < a->nclients; i++) acks_done(a, i, from, to);
}

uint64_t acks_prefix(const struct acks *a, size_t client) { return a->v[client].prefix; }

uint64_t acks_slowest(const struct acks *a)
{
	uint64_t min = a->next;

	for (size_t i = 0; i < a->nclients; i++)
		if (a->v[i].prefix < min) min = a->v[i].prefix;
	return min;
}
