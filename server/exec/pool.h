/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pool: worker threads that many queries share. A job is n numbered tasks; the thread that runs it works on it
 * too, and idle workers help whichever job's turn it is, one task at a time: owners (tenants) take turns, and so do
 * the jobs of one owner, so that neither a large query nor many of one tenant starve the others. Tasks start in
 * the order of their numbers. */
#ifndef LARCH_SERVER_EXEC_POOL_H
#define LARCH_SERVER_EXEC_POOL_H

#include <stddef.h>
#include <stdint.h>

struct pool;

struct pool *pool_new(unsigned threads); /* besides the callers; 0: callers work alone */
void pool_free(struct pool *p);          /* no job may be running */
/* Calls fn(ud, 0 … n - 1), each once, on several threads; returns when all have returned. */
void pool_run(struct pool *p, uint64_t owner, size_t n, void (*fn)(void *ud, size_t i), void *ud);

#endif
