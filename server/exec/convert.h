/* SPDX-License-Identifier: GPL-2.0-or-later */
/* convert: label values as numbers, for label filters and unwrap. Errors are put into the answer as
 * `__error_details__`, so their texts are those of Go's strconv and time packages and of go-humanize. Pure. */
#ifndef LARCH_SERVER_EXEC_CONVERT_H
#define LARCH_SERVER_EXEC_CONVERT_H

#include "common/arena.h"

/* On false *why is the error's text, in the arena. */
bool convert_number(struct arena *a, struct str s, double *out, struct str *why);
bool convert_duration(struct arena *a, struct str s, int64_t *ns, struct str *why); /* Go's: "1h30m", no days */
bool convert_bytes(struct arena *a, struct str s, uint64_t *n, struct str *why);    /* "1.5MB", "20 KiB" */

#endif
