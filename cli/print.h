/* SPDX-License-Identifier: GPL-2.0-or-later */
/* print: what larchctl shows, into cli.out.
 *
 * default: time (UTC, milliseconds), labels, line; metrics as a table of time, value, series.
 * raw: the line, or the value, alone. jsonl: one object a line, {"labels":{},"timestamp":"…","line":"…"} or
 * {"metric":{},"timestamp":seconds,"value":"…"}.
 * Delete requests: a table; their ids; one object a line.
 * On a terminal, control characters of a line other than tab and line feed are shown as \xNN (not in raw). */
#ifndef LARCH_CLI_PRINT_H
#define LARCH_CLI_PRINT_H

#include "cli/cli.h"
#include "cli/result.h"
#include "common/json.h"

void print_entry(struct cli *c, const struct result_entry *entry);
void print_samples(struct cli *c, const struct result_sample *v, size_t n);
void print_string(struct cli *c, struct str s);
void print_deletes(struct cli *c, const struct result_delete *v, size_t n);
void print_labels(struct cli *c, const struct labels *l);
void print_labels_json(struct json_out *o, const struct labels *l); /* {"name":"value"} */
void print_time(struct buf *b, int64_t ns);                         /* UTC, milliseconds */

#endif
