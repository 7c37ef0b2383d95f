/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A layout, a NUL, a text: what the text gives as a time of the layout prints in that layout, and gives the same time
 * again where the layout tells all of it (RFC3339Nano); the strict reader of RFC 3339 takes nothing that Go refuses. */
#include "common/gotime.h"
#include "common/units.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_strict(struct str text, struct err *e)
{
	int64_t strict, ns;
	if (!units_rfc3339(text, &strict, e)) return;
	struct gotime_layout *l = gotime_layout_new(gotime_alias(STR("RFC3339Nano")));
	struct buf out = {0};
	if (!gotime_parse(l, NULL, text, &ns, e) || ns != strict) abort();
	gotime_format(l, NULL, ns, &out);
	if (!gotime_parse(l, NULL, buf_view(&out), &ns, e) || ns != strict) abort();
	buf_free(&out);
	gotime_layout_free(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_of((const char *)data, size), layout;
	struct err e = ERR_INIT;
	struct buf out = {0};
	int64_t ns;
	str_cut(&text, '\0', &layout);
	struct tz *zone = tz_new(STR("Europe/Berlin"), &e);
	struct gotime_layout *l = gotime_layout_new(gotime_alias(layout));
	const struct tz *zones[] = {NULL, zone};
	for (size_t i = 0; i < 2; i++) {
		if (gotime_parse(l, zones[i], text, &ns, &e)) gotime_format(l, zones[i], ns, &out);
		if (!gotime_layout_has_year(l) &&
		    gotime_parse_near(l, zones[i], text, INT64_C(1793534400) * UNITS_SEC, &ns, &e))
			gotime_format(l, zones[i], ns, &out);
		buf_clear(&out);
	}
	check_strict(text, &e);
	buf_free(&out);
	gotime_layout_free(l);
	tz_free(zone);
	return 0;
}
