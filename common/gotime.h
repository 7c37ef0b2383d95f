/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gotime: times written and read with Go's reference layouts (https://pkg.go.dev/time#pkg-constants), such as
 * "2006-01-02T15:04:05.000Z07:00".
 *
 * A layout is compiled once into elements; parsing and formatting then make one pass. As in Go: a fraction after
 * seconds is accepted although the layout has none, "." and "," both start one, the weekday is not cross-checked,
 * all input must be consumed, and a zone abbreviation that the location does not know counts as offset 0. Layouts
 * are immutable once made; any thread. */
#ifndef LARCH_COMMON_GOTIME_H
#define LARCH_COMMON_GOTIME_H

#include "common/buf.h"
#include "common/err.h"
#include "common/tz.h"

struct gotime_layout;

/* The text of a layout's alias ("RFC3339Nano", "ANSIC", …), or s itself when it is none. */
struct str gotime_alias(struct str s);

struct gotime_layout *gotime_layout_new(struct str layout);
void gotime_layout_free(struct gotime_layout *l);
bool gotime_layout_has_year(const struct gotime_layout *l);

/* zone (NULL: UTC) applies when the text has no offset. A layout without a year gives year 0. False: the text is
 * not of that layout, with Go's words in e: `parsing time "x" as "2006": cannot parse "x" as "2006"`. */
bool gotime_parse(const struct gotime_layout *l, const struct tz *zone, struct str text, int64_t *ns, struct err *e);
/* The same for layouts without a year, which is taken from now: December read in January is of last year,
 * January read in December of next year. */
bool gotime_parse_near(const struct gotime_layout *l, const struct tz *zone, struct str text, int64_t now, int64_t *ns,
                       struct err *e);
void gotime_format(const struct gotime_layout *l, const struct tz *zone, int64_t ns, struct buf *out);

#endif
