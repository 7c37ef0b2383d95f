/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a ledger: never a crash, and what was read keeps its invariants and can be asked. */
#include "agent/ledger.h"

#include "common/log.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ledger *l = ledger_new(&fs_real, "unused");
	struct err e = ERR_INIT;
	size_t n;

	log_set_level(LOG_LEVEL_ERROR);
	if (ledger_parse(l, str_of((const char *)data, size), &e)) {
		struct ledger_file **v = ledger_files(l, &n);
		for (size_t i = 0; i < n; i++) {
			int64_t end = 0, next;
			for (size_t k = 0; k < v[i]->nchunks; k++) {
				const struct chunk *c = &v[i]->chunks[k];
				if (c->start < end || c->end < c->start) abort();
				if (c->end > c->start && ledger_chunk_at(v[i], c->start, &next) != c) abort();
				end = c->end;
			}
			if (ledger_slowest(v[i]) < 0 || v[i]->head.len > LEDGER_HEAD) abort();
			ledger_drop_chunks(v[i], end / 2);
		}
	}
	ledger_free(l);
	return 0;
}
