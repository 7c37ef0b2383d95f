/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first line as a pattern, the rest as a path: never a crash, and bounded time. */
#include "agent/glob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str path = str_of((const char *)data, size), pattern;
	struct err e = ERR_INIT;

	str_cut(&path, '\n', &pattern);
	struct glob *g = glob_new(pattern, &e);
	if (g) glob_match(g, path);
	glob_free(g);
	return 0;
}
